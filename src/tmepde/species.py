"""What moves, reacts and is saved: one declaration per species."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from tmepde._types import as_number

#: full equation · elliptic balance at each instant · no transport · zero-dimensional
KINDS = ("transported", "quasi_steady", "local", "compartment")


class Species(eqx.Module):
    """One unknown of the model.

    Args:
        kind: ``"transported"`` (∂u/∂t with diffusion and drift), ``"quasi_steady"`` (the same right-hand side set to
            zero: fields that relax in seconds), ``"local"`` (an ODE in each cell) or ``"compartment"`` (one number).
        initial: a number or an array of the grid's shape, in ``unit``.
        diffusivity: base diffusivity in µm²/h, a number or an array of the grid's shape, ≥ 0.
        boundary: ``None`` (no flux), one :class:`~tmepde.boundary.BoundaryCondition`, or a mapping of sides.
        negligible: values below this do not matter; the absolute part of the error control. 0 stands for 1e-6 of the
            largest initial value.
        signed: true for a quantity that may be negative (a potential); all others are kept ≥ 0.
        unit, long_name: written into the dataset.
    """

    initial: Any = eqx.field(converter=as_number, default=0.0)
    diffusivity: Any = eqx.field(converter=as_number, default=0.0)
    boundary: Any = None
    negligible: Any = eqx.field(converter=as_number, default=0.0)
    kind: str = eqx.field(static=True, default="transported")
    unit: str = eqx.field(static=True, default="1")
    long_name: str = eqx.field(static=True, default="")
    signed: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Argument `kind` must be one of {', '.join(KINDS)}, but {self.kind!r} was given.")
