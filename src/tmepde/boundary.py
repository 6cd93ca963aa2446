"""What happens at the sides of the box.

Every condition is a special case of one inward flux law with a transfer coefficient κ (µm/h), an outside value U and a
prescribed flux g (unit·µm/h):

    q_in = κ (U − u_face) + g

    no flux: κ = 0, g = 0 · Dirichlet: κ = ∞ · Robin: κ, U · prescribed flux: κ = 0, g

so that one discrete formula serves them all. U, κ and g may be numbers, arrays over the side, or functions
``f(clock, state)``, hence of time or of a compartment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx

from tmepde._arguments import number


def _named(name: str, unit: str = "", low: float | None = None) -> Any:
    """A converter for functions of time, numbers and arrays."""
    return lambda value: value if callable(value) else number(name, value, unit, low=low)


class BoundaryCondition(eqx.Module):
    """Common base; use :class:`NoFlux`, :class:`Dirichlet`, :class:`Robin` or :class:`PrescribedFlux`."""

    def terms(self, clock: Any, state: Any) -> tuple[Any, Any, Any]:
        """(κ, U, g); κ is ``None`` where it is infinite."""
        raise TypeError("BoundaryCondition is abstract. Use NoFlux, Dirichlet, Robin or PrescribedFlux.")


def _evaluate(value: Any, clock: Any, state: Any) -> Any:
    return value(clock, state) if callable(value) else value


class NoFlux(BoundaryCondition):
    """Nothing crosses this side (the default)."""

    def terms(self, clock: Any, state: Any) -> tuple[Any, Any, Any]:
        return 0.0, 0.0, 0.0


class Dirichlet(BoundaryCondition):
    """u = ``value`` on the face (not at the cell centre)."""

    value: Any = eqx.field(converter=_named("value"))

    def terms(self, clock: Any, state: Any) -> tuple[Any, Any, Any]:
        return None, _evaluate(self.value, clock, state), 0.0


class Robin(BoundaryCondition):
    """Inward flux ``transfer``·(``outside`` − u_face): exchange with a bath across a barrier; transfer in µm/h, ≥ 0."""

    transfer: Any = eqx.field(converter=_named("transfer", "um/h", 0.0))
    outside: Any = eqx.field(converter=_named("outside"))

    def terms(self, clock: Any, state: Any) -> tuple[Any, Any, Any]:
        return _evaluate(self.transfer, clock, state), _evaluate(self.outside, clock, state), 0.0


class PrescribedFlux(BoundaryCondition):
    """Inward flux ``flux`` in unit·µm/h (negative: outward)."""

    flux: Any = eqx.field(converter=_named("flux"))

    def terms(self, clock: Any, state: Any) -> tuple[Any, Any, Any]:
        return 0.0, 0.0, _evaluate(self.flux, clock, state)


_CLOSED = NoFlux()

Sides = tuple[tuple[BoundaryCondition, BoundaryCondition], ...]


def sides(boundary: Any, axes: tuple[str, ...]) -> Sides:
    """Normalise what a user writes to ((low, high), …) per axis in array order.

    Accepts ``None`` (no flux everywhere), one condition for all sides, or a mapping with keys ``"x"`` (both sides),
    ``"x-"`` or ``"x+"``. A side that is not named is no-flux.
    """
    if boundary is None:
        boundary = {}
    if isinstance(boundary, BoundaryCondition):
        return tuple((boundary, boundary) for _ in axes)
    if not isinstance(boundary, Mapping):
        given = type(boundary).__name__
        raise TypeError(f"`boundary` must be a condition or a mapping of sides, but {given} was given.")
    allowed = [a + s for a in axes for s in ("", "-", "+")]
    for key in boundary:
        if key not in allowed:
            raise ValueError(f"`boundary` has no side {key!r} on this grid. Sides: {', '.join(allowed)}.")
        if not isinstance(boundary[key], BoundaryCondition):
            given = type(boundary[key]).__name__
            raise TypeError(f"`boundary[{key!r}]` must be a condition, but {given} was given. Write Dirichlet(value).")

    def pick(axis: str, sign: str) -> BoundaryCondition:
        return boundary.get(axis + sign, boundary.get(axis, _CLOSED))

    return tuple((pick(a, "-"), pick(a, "+")) for a in axes)
