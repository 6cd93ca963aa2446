"""How every number, list, word and mask enters: converted once, or refused in a sentence that names it.

Messages say "`name` must …, but … was given. <What to do>."
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import is_traced


def as_number(value: Any, unit: str = "") -> Any:
    """Turn a Python or numpy number (or nested sequence) into a float64 numpy array; leave JAX arrays alone.

    Python floats as module leaves would retrace for every new value; arrays of a fixed dtype do not. A quantity of pint
    is converted to ``unit`` where that is known. What is not a number (text, complex numbers, placeholders that tree
    transformations put into modules) comes back as it is; whoever knows the field's name refuses it, see
    :func:`not_a_number`.
    """
    if value is None or isinstance(value, bool | np.bool_ | jax.Array | jax.ShapeDtypeStruct):
        return value
    if hasattr(value, "magnitude") and hasattr(value, "dimensionality"):
        value = _magnitude(value, unit)
    if _of_another_library(value):
        value = np.asarray(value)
    if not isinstance(value, int | float | np.ndarray | np.generic | list | tuple) or _masked(value):
        return value
    if isinstance(value, list | tuple) and is_traced(value):
        return jnp.asarray(value)
    try:
        array = np.asarray(value)
    except ValueError:  # lists of unequal length
        return value
    if array.dtype.kind not in "iufb":
        return value
    array = np.array(array, dtype=np.float64)
    array.setflags(write=False)
    return array


def _of_another_library(value: Any) -> bool:
    """Whether ``value`` is an array of xarray, pandas or the like, which is a number to us as a numpy array."""
    return (
        hasattr(value, "__array__")
        and hasattr(value, "dtype")
        and not isinstance(value, np.ndarray | np.generic | type)
    )


def _masked(value: Any) -> bool:
    """Whether entries of ``value`` are masked: what lies beneath is no number."""
    return isinstance(value, np.ma.MaskedArray) and bool(np.ma.getmaskarray(value).any())


def _magnitude(quantity: Any, unit: str) -> Any:
    """The plain number of a pint quantity in ``unit``; the quantity itself where that cannot be."""
    try:
        return quantity.to("" if unit == "1" else unit.replace("\u00b5", "u")).magnitude if unit else quantity
    except Exception:  # of a registry that we do not know: an unknown unit, another dimension, an offset
        return quantity


def not_a_number(value: Any) -> str | None:
    """The end of a sentence that says why ``value`` cannot be a number, after :func:`as_number`; else ``None``."""
    if value is None:
        return None
    if isinstance(value, jax.Array | jax.ShapeDtypeStruct):
        if np.dtype(value.dtype).kind == "c":
            return "must be real, but a complex array was given. Give its real part"
        return None
    if isinstance(value, bool | np.bool_):
        return f"must be a number, but {value} was given. Write 0.0 or 1.0"
    if isinstance(value, str | bytes):
        return (
            f"must be a number, but the text {value!r} was given. Texts with units belong into configs; write a float"
        )
    if hasattr(value, "magnitude") and hasattr(value, "dimensionality"):
        return f"must be a number, but the quantity {value} cannot be read here. Write .to(UNIT).magnitude"
    if isinstance(value, complex | np.complexfloating):
        return f"must be real, but {value} was given. Give its real part"
    if isinstance(value, datetime.timedelta | np.timedelta64):
        return f"must be a number, but the time span {value} was given. Write it in hours"
    if _masked(value):
        count = int(np.ma.getmaskarray(value).sum())
        return f"must be a number everywhere, but {count} entries are masked. Fill them, as with .filled(0.0)"
    if isinstance(value, np.ndarray | np.generic | list | tuple):
        try:
            kind = np.asarray(value).dtype
        except ValueError:
            return "must be an array, but lists of unequal lengths were given. Make them equally long"
        if kind.kind not in "iufb":
            return f"must hold numbers, but has the dtype {kind}. Convert it with .astype(float)"
        return None
    return None if isinstance(value, int | float) else f"must be a number, but {kind_of(value)} was given. Write one"


def number(
    name: str,
    value: Any,
    unit: str = "",
    *,
    low: float | None = None,
    above: float | None = None,
    single: bool = False,
) -> Any:
    """:func:`as_number` of an argument that must be a finite number or array of them.

    Args:
        name: of the argument, for the message.
        unit: into which pint quantities are converted, and which the message names.
        low, above: inclusive and exclusive lower bound. Traced values are not looked at.
        single: whether it must be one number.

    Raises:
        ValueError: "`name` must …, but … was given. <What to do>."
    """
    array = as_number(value, unit)
    problem = "must be a number, but None was given. Write one" if value is None else not_a_number(array)
    if problem:
        raise ValueError(f"`{name}` {problem}.")
    if not isinstance(array, np.ndarray):
        if array is not None and not hasattr(array, "dtype"):
            raise ValueError(f"`{name}` must be a number, but {type(value).__name__} was given. Write one.")
        return array
    in_unit = f" (in {unit})" if unit not in ("", "1") else ""
    if single and array.shape != ():
        raise ValueError(
            f"`{name}` must be one number{in_unit}, but an array of shape {array.shape} was given. Write one."
        )
    if not np.all(np.isfinite(array)):
        raise ValueError(f"`{name}` must be finite{in_unit}, but {_short(value)} was given. Write a number.")
    words = ""
    if above is not None and np.any(array <= above):
        words = "positive" if above == 0 else f"more than {above:g}"
    elif low is not None and np.any(array < low):
        words = f"at least {low:g}"
    if words:
        raise ValueError(f"`{name}` must be {words}{in_unit}, but {_short(value)} was given. Change it.")
    return array


def whole(name: str, value: Any, least: int = 1, remedy: str = "Write a number.") -> int:
    """An argument that must be a whole number of at least ``least``.

    Raises:
        ValueError: for anything else, with ``remedy``.
    """
    known = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool | np.timedelta64)
    if not known or not abs(value) < 2**62 or int(value) != value or value < least:
        raise ValueError(f"`{name}` must be a whole number of at least {least}, but {given(value)} was given. {remedy}")
    return int(value)


def entries(name: str, value: Any, what: str) -> tuple[Any, ...]:
    """The entries of an argument that must be a list of ``what``.

    Raises:
        ValueError: for text, mappings, and what has no entries.
    """
    listed = hasattr(value, "__iter__") and not isinstance(value, str | bytes | Mapping) and not isinstance(value, type)
    if not listed or getattr(value, "ndim", 1) == 0:
        raise ValueError(f"`{name}` must be a list of {what}, but {given(value)} was given. Write [ ] around it.")
    return tuple(value)


def word(name: str, value: Any, known: Collection[str] = (), remedy: str = "") -> str:
    """An argument that must be text, one of ``known`` if there are any.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(value, str) and (not known or value in known):
        return value
    wanted = f"one of {', '.join(map(repr, known))}" if known else "text"
    raise ValueError(f"`{name}` must be {wanted}, but {given(value)} was given. {remedy or 'Write it in quotes.'}")


def boolean(name: str, value: Any) -> Any:
    """A mask as an array; ``None`` and arrays of JAX stay as they are. Whoever takes it looks at its shape.

    Raises:
        ValueError: for lists of unequal lengths.
    """
    if value is None or isinstance(value, jax.Array | jax.ShapeDtypeStruct):
        return value
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(
            f"`{name}` must be a boolean array, but lists of unequal lengths were given. Make them equally long."
        ) from None


def given(value: Any) -> str:
    """How a message names what was given: numbers and texts as they are, the rest by its type."""
    plain = isinstance(value, str | bytes | bool | int | float | complex | list | tuple | dict | np.generic)
    return "None" if value is None else _short(repr(value)) if plain else kind_of(value)


def kind_of(value: Any) -> str:
    """The type of a value, or what a class is called."""
    return f"the class {value.__name__} itself" if isinstance(value, type) else type(value).__name__


def concrete(name: str, *values: Any) -> None:
    """Refuse traced values for what happens on the host.

    Raises:
        ValueError: inside ``jax.jit``, ``jax.grad`` or ``jax.vmap``, with the name of what was asked for.
    """
    if is_traced(values):
        raise ValueError(
            f"{name} must be known when it is asked for, but it is being traced. Do this outside of jax.jit, jax.grad "
            "and jax.vmap, or pass the value in as a constant."
        )


def _short(value: Any) -> str:
    text = " ".join(f"{value}".split())
    return text if len(text) <= 60 else f"{text[:57]}…"
