"""Doses as tables: ``{ kind = "infusion", at = "1 day", amount = "5 mg/kg", over = "1 hour" }``.

Kinds and keys are the constructors of :mod:`tmepde.schedule` and their arguments.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tmepde.config.section import Quantity, Section, by_kind, section_class, wrong

_TIME = Quantity("h", low=0.0, bare=False, many="may")
_SPAN = Quantity("h", above=0.0, bare=False, many="may")
_MINUTE = 1.0 / 60.0


def _count(value: Any) -> int:
    return len(value) if isinstance(value, tuple) else 1


def _pairs(one: Any, other: Any) -> list[tuple[float, float]]:
    """Of two values, one for each dose or one for all, those that go together."""
    many = [v if isinstance(v, tuple) else (v,) for v in (one, other)]
    count = max(map(len, many))
    left, right = (v * (count if len(v) == 1 else 1) for v in many)
    return list(zip(left, right, strict=True))


class _Doses(Section):
    """Common checks: as many amounts and durations as times, or one for all."""

    @model_validator(mode="after")
    def _agree(self) -> _Doses:
        given = {n: _count(getattr(self, n)) for n in ("at", "amount", "over") if hasattr(self, n)}
        many = {n: c for n, c in given.items() if c > 1}
        if len(set(many.values())) > 1:
            told = ", ".join(f"{n} has {c}" for n, c in many.items())
            raise wrong(f"must have one value or equally many in each list, but {told}. Make the lists equally long.")
        return self

    def begins(self) -> float:
        """The first time at which anything is given, in h."""
        at: Any = getattr(self, "at", None)
        return min(at) if isinstance(at, tuple) else float(at)

    def ends(self) -> float:
        """The last time at which a dose begins, in h."""
        at: Any = getattr(self, "at", None)
        return max(at) if isinstance(at, tuple) else float(at)

    def stops(self) -> float:
        """When the last dose has been given, in h."""
        return float(max(a + o for a, o in _pairs(self.at, self.over)))  # type: ignore[attr-defined]

    def power(self) -> float:
        """The largest amount in an hour."""
        return float(max(a / o for a, o in _pairs(self.amount, self.over)))  # type: ignore[attr-defined]


class _Course(Section):
    def begins(self) -> float:
        return float(self.start)  # type: ignore[attr-defined]

    def ends(self) -> float:
        return self.begins() + (self.doses - 1) * self.every  # type: ignore[attr-defined]

    def stops(self) -> float:
        return self.ends() + float(self.over)  # type: ignore[attr-defined]

    def power(self) -> float:
        return float(self.amount / self.over)  # type: ignore[attr-defined]


class _Continuous(Section):
    @model_validator(mode="after")
    def _forward(self) -> _Continuous:
        start, stop = self.start, self.stop  # type: ignore[attr-defined]
        if stop <= start:
            raise wrong(f"must stop after it starts, but start is {start:g} h and stop {stop:g} h. Exchange them.")
        return self

    def begins(self) -> float:
        return float(self.start)  # type: ignore[attr-defined]

    def ends(self) -> float:
        return self.begins()

    def stops(self) -> float:
        return self.begins()  # a rate until further notice: that the run ends first is usual

    def power(self) -> float:
        return float(self.rate)  # type: ignore[attr-defined]


@functools.cache
def dose_kinds(unit: str) -> dict[str, type[Section]]:
    """The section classes of doses whose amount is in ``unit``."""
    amount = Annotated[Any, Quantity(unit, low=0.0, many="may", doc="amount of each dose")]
    single = Annotated[Any, Quantity(unit, low=0.0, doc="amount of each dose")]
    per_hour = "1/h" if unit == "1" else f"{unit}/h"
    time, span = Annotated[Any, _TIME], Annotated[Any, _SPAN]
    once, long = (
        Annotated[Any, Quantity("h", low=0.0, bare=False)],
        Annotated[Any, Quantity("h", above=0.0, bare=False)],
    )
    fields: dict[str, tuple[type[Section], dict[str, Any]]] = {
        "infusion": (_Doses, {"at": (time, ...), "amount": (amount, ...), "over": (span, ...)}),
        "bolus": (_Doses, {"at": (time, ...), "amount": (amount, ...), "over": (span, _MINUTE)}),
        "course": (
            _Course,
            {
                "start": (once, ...),
                "every": (long, ...),
                "doses": (Annotated[int, Field(ge=1, le=100_000)], ...),
                "amount": (single, ...),
                "over": (long, _MINUTE),
            },
        ),
        "continuous": (
            _Continuous,
            {"rate": (Annotated[Any, Quantity(per_hour, low=0.0)], ...), "start": (once, ...), "stop": (long, ...)},
        ),
    }
    return {
        kind: section_class(f"Dose_{kind}", {"kind": (Literal[kind], kind), **keys}, base)
        for kind, (base, keys) in fields.items()
    }


def dose(unit: str) -> Any:
    """The validator of a dose in ``unit``."""
    return by_kind(dose_kinds(unit))


def schedule(section: Any) -> Any:
    """The :class:`~tmepde.schedule.Schedule` that a dose section describes."""
    from tmepde import schedule as made

    keys = {n: getattr(section, n) for n in type(section).model_fields if n != "kind"}
    keys = {n: list(v) if isinstance(v, tuple) else v for n, v in keys.items()}
    return getattr(made, section.kind.capitalize())(**keys)
