"""What moves, reacts and is saved: one declaration per species."""

from __future__ import annotations

import functools
from typing import Any

import equinox as eqx
import numpy as np

from tmepde._arguments import as_number, boolean, given, word

#: full equation · elliptic balance at each instant · no transport · zero-dimensional
KINDS = ("transported", "quasi_steady", "local", "compartment")
#: mean of the diffusivity at a face · scheme of the drift
MEANS = ("harmonic", "arithmetic")
DRIFTS = ("muscl", "scharfetter_gummel")


def _diffusivity(value: Any) -> Any:
    """Tuples stay tuples (per axis, or rows of a tensor); their entries and everything else become arrays."""
    return tuple(_diffusivity(v) for v in value) if isinstance(value, tuple) else as_number(value)


class Species(eqx.Module):
    """One unknown of the model.

    Args:
        kind: ``"transported"`` (∂u/∂t with diffusion and drift), ``"quasi_steady"`` (the same right-hand side set to
            zero: fields that relax in seconds), ``"local"`` (an ODE in each cell) or ``"compartment"`` (one number).
        initial: a number or an array of the grid's shape, in ``unit``.
        diffusivity: base diffusivity in µm²/h, ≥ 0: a number or an array of the grid's shape; a tuple with one of these
            per axis; or a tuple of rows, ((D_zz, D_zy, …), …), of a symmetric tensor (see
            :func:`tmepde.operators.fibres` and :func:`tmepde.operators.tensor`).
        boundary: ``None`` (no flux), one :class:`~tmepde.boundary.BoundaryCondition`, or a mapping of sides.
        negligible: values below this do not matter; the absolute part of the error control. 0 stands for 1e-6 of the
            largest initial value.
        held: boolean array of the grid's shape; these cells keep their ``initial`` value, and their faces are Dirichlet
            sides for their neighbours (resolved vessels, electrodes). What they give and take is inflow in the budget.
        mean: ``"harmonic"`` (two half cells in series, exact for a jump of D) or ``"arithmetic"`` mean of D at a face;
            the latter where D vanishes with the species itself, so that its front can enter empty cells.
        drift: ``"muscl"`` (limited second-order upwind) or ``"scharfetter_gummel"`` (exact for a steady flux between
            two cells: equilibria u ∝ exp(φ/D) of a drift ∇φ stand still).
        signed: true for a quantity that may be negative (a potential); all others are kept ≥ 0.
        carrier: name of the species on which this one rides: it takes over that one's diffusivity, drift and loss rate,
            on top of its own (what cells carry on their surface, per tissue volume; division leaves it as it is).
        unit, long_name: written into the dataset.
    """

    initial: Any = eqx.field(converter=as_number, default=0.0)
    diffusivity: Any = eqx.field(converter=_diffusivity, default=0.0)
    boundary: Any = None
    negligible: Any = eqx.field(converter=as_number, default=0.0)
    kind: str = eqx.field(static=True, default="transported")
    unit: str = eqx.field(static=True, default="1")
    long_name: str = eqx.field(static=True, default="")
    signed: bool = eqx.field(static=True, default=False)
    held: Any = eqx.field(converter=functools.partial(boolean, "held"), default=None)
    mean: str = eqx.field(static=True, default="harmonic")
    drift: str = eqx.field(static=True, default="muscl")
    carrier: str = eqx.field(static=True, default="")

    def __check_init__(self) -> None:
        for label, allowed in (("kind", KINDS), ("mean", MEANS), ("drift", DRIFTS)):
            word(label, getattr(self, label), allowed, "Choose one of these.")
        for label in ("unit", "long_name", "carrier"):
            word(label, getattr(self, label))
        if not isinstance(self.signed, bool | np.bool_):
            raise ValueError(f"`signed` must be True or False, but {given(self.signed)} was given. Write one of them.")
        if self.boundary is not None and self.kind not in ("transported", "quasi_steady"):
            raise ValueError(
                f"Argument `boundary` needs a species that diffuses, but its kind is {self.kind!r}. "
                "Leave it out, or use kind='transported' or 'quasi_steady'."
            )
        if self.held is not None and self.kind not in ("transported", "quasi_steady"):
            raise ValueError(
                f"Argument `held` needs a species that diffuses, but its kind is {self.kind!r}. "
                "Use kind='transported' or 'quasi_steady'."
            )
