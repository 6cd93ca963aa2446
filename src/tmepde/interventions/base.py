"""Therapy. An intervention edits nothing: it *states* its effects in three commuting channels.

    value = base · Π_i (1 + strength_i (f_i − 1)) + Σ_i strength_i r_i ,      u ← u · exp(−Σ_i strength_i Λ_i)

``scale`` holds the f, ``add`` the r, ``hazard`` the Λ. Products and sums commute, so the order of interventions cannot
matter, and strength 0 is absence. What a therapy does by way of the species that it brought is weighted by its share in
these instead (:mod:`tmepde.sharing`): strength ½ is half a dose, and a dose in two entries is one dose.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import equinox as eqx

from tmepde.parameter import param


def dose(unit: str, *, doc: str) -> Any:
    """Declare the schedule of a therapy: doses are amounts in ``unit``, each spread over an interval."""
    return eqx.field(metadata={"schedule": {"unit": unit, "doc": doc}})


def choice(*options: str, doc: str) -> Any:
    """Declare a static field that takes one of ``options``, the first by default."""
    return eqx.field(
        static=True, default=options[0], metadata={"choice": {"options": options, "doc": doc}}, kw_only=True
    )


class Effects(eqx.Module):
    """What a therapy does at one instant, by target.

    Targets without a dot are tissue quantities, applied before the coefficients are computed; targets with a dot
    (``"oxygen.source"``) are coefficients, applied after. ``hazard`` names species and holds the log-kill Λ that falls
    into the current step, applied once as exp(−Λ).
    """

    scale: dict[str, Any] = dataclasses.field(default_factory=dict)
    add: dict[str, Any] = dataclasses.field(default_factory=dict)
    hazard: dict[str, Any] = dataclasses.field(default_factory=dict)


class Intervention(eqx.Module):
    """Base of all therapies. ``strength`` is traced: 0 = off, 1 = as prescribed.

    ``requires`` names the processes of the model that must be there for the therapy to act on; ``reviews`` the
    strategies of :data:`tmepde.interventions.reviews.STRATEGIES` that the therapy covers; ``records`` names species it
    brings that only record the tissue, rather than act; ``acts_through`` names species of the model that it doses and
    by way of which it acts, once for all entries of its kind (:mod:`tmepde.sharing`); ``mixes`` those of its choices
    that entries of its kind share nevertheless: what they act by is one amount, of which each has a part.
    """

    requires: ClassVar[tuple[str, ...]] = ()
    reviews: ClassVar[tuple[int, ...]] = ()
    records: ClassVar[tuple[str, ...]] = ()
    acts_through: ClassVar[tuple[str, ...]] = ()
    mixes: ClassVar[tuple[str, ...]] = ()

    strength: Any = param(
        "1", doc="0 is off, 1 is as prescribed", default=1.0, bounds=(0.0, 1.0), status="derived", kw_only=True
    )

    def species(self, grid: Any) -> dict[str, Any]:
        """Species the therapy brings along (drug, enzyme, plasma level). Default: none."""
        return {}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        """Coefficients of the species the therapy brings: what the body does to the drug. Default: none.

        These are not weighted by ``strength`` (half a dose is cleared as fast as a whole one) and see the treated
        tissue, so that better perfusion brings more drug. Of therapies that bring the same, their means
        by strength count.
        """
        return {}

    def densest(self, grid: Any) -> Any:
        """Cells/mm³ that the largest dose makes in tissue where most of it lies, which should fit. Default: 0."""
        return 0.0

    def __check_init__(self) -> None:
        for field in dataclasses.fields(self):
            chosen = field.metadata.get("choice")
            if chosen and getattr(self, field.name) not in chosen["options"]:
                given = getattr(self, field.name)
                allowed = ", ".join(repr(o) for o in chosen["options"])
                raise ValueError(f"Argument `{field.name}` must be one of {allowed}, but {given!r} was given.")

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        """The three channels at this instant. Must be finite at every state ≥ 0."""
        raise TypeError(f"{type(self).__name__} must define `effects(clock, state, tissue)`.")
