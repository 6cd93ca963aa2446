"""``param``: one declaration that is at once a traced number, its documentation, its bounds and its source."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import equinox as eqx
import numpy as np

from tmepde._arguments import as_number, given, not_a_number, word
from tmepde._types import is_traced

#: how far a value can be trusted
STATUSES = ("seen", "from memory", "derived", "assumed")
_REQUIRED = dataclasses.MISSING


@dataclasses.dataclass(frozen=True)
class Parameter:
    """What a reader may ask of a parameter. ``bounds`` are inclusive, in ``unit``; ``None`` is open."""

    name: str
    unit: str
    doc: str
    default: float | None
    bounds: tuple[float | None, float | None]
    ref: str
    status: str

    def problem(self, value: Any) -> str | None:
        """A sentence saying what is wrong with ``value``, or ``None``."""
        problem = not_a_number(value)
        if problem:
            return problem
        array = np.asarray(value, dtype=float)
        if not np.all(np.isfinite(array)):
            return f"must be finite, but {value} was given"
        low, high = self.bounds
        in_unit = "" if self.unit == "1" else f" {self.unit}"
        if low is not None and np.any(array < low):
            return f"must be at least {low:g}{in_unit}, but {value} was given"
        if high is not None and np.any(array > high):
            return f"must be at most {high:g}{in_unit}, but {value} was given"
        return None


def param(
    unit: str,
    *,
    doc: str,
    default: Any = _REQUIRED,
    bounds: tuple[float | None, float | None] = (0.0, None),
    ref: str = "",
    status: str = "assumed",
    kw_only: bool = False,
) -> Any:
    """Declare a numeric field of a module.

    Args:
        unit: the unit in which the number is stored (see :mod:`tmepde.units`), ``"1"`` if none.
        doc: what it means, in a sentence without a full stop.
        default: the value used where none is given.
        bounds: the range inside which the number makes sense; checked when a scenario is built.
        ref: the paper, file or derivation the default comes from.
        status: ``"seen"`` in the named source, ``"from memory"``, ``"derived"`` or ``"assumed"``.
    """
    word("status", status, STATUSES, "Choose one of these.")
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise ValueError(
            f"Argument `bounds` must be (low, high), but {given(bounds)} was given. Write None where open."
        )
    if None not in bounds and bounds[0] > bounds[1]:  # type: ignore[operator]
        raise ValueError(f"Argument `bounds` must be (low, high), but {bounds!r} was given. Exchange them.")
    metadata = {"parameter": dict(unit=unit, doc=doc, bounds=bounds, ref=ref, status=status)}
    keywords: dict[str, Any] = {} if default is _REQUIRED else {"default": default}
    if kw_only:
        keywords["kw_only"] = True
    return eqx.field(converter=functools.partial(as_number, unit=unit), metadata=metadata, **keywords)


def parameters(cls: Any) -> dict[str, Parameter]:
    """The parameters that a module class (or instance) declares with :func:`param`, in order."""
    found = {}
    for field in dataclasses.fields(cls):
        if "parameter" in field.metadata:
            default = None if field.default is _REQUIRED or field.default is None else float(field.default)
            found[field.name] = Parameter(name=field.name, default=default, **field.metadata["parameter"])
    return found


def out_of_bounds(module: Any, path: str) -> list[str]:
    """Sentences for each parameter of ``module``, and of the modules inside it, that lies outside its bounds.

    Traced values are skipped.
    """
    problems = []
    declared = parameters(type(module))
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if field.name not in declared:
            if isinstance(value, eqx.Module):
                problems += out_of_bounds(value, f"{path}.{field.name}")
            continue
        if value is None or is_traced(value):
            continue
        parameter = declared[field.name]
        problem = parameter.problem(value)
        if problem:
            problems.append(f"`{path}.{field.name}` {problem}. Meaning: {parameter.doc}.")
    return problems
