"""Therapies against what suppresses T cells: kynurenine, adenosine, TGF-β.

f = 1/(1 + x/(K (1 + e/K_i))) is the law of a competitive blocker: receptors see x/(1 + e/K_i).
"""

from __future__ import annotations

from typing import Any, ClassVar

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import drug_kinetics
from tmepde.interventions.drugs import (
    CARRIERS,
    brought,
    clearance_parameter,
    diameter_parameter,
    diffusivity_parameter,
    distribution_parameter,
    elimination_parameter,
    level_and_entry,
)
from tmepde.parameter import param
from tmepde.physiology.oxygen import UPTAKE
from tmepde.physiology.populations import ROAMING, total
from tmepde.physiology.rates import inhibition
from tmepde.species import Species


class IdoInhibitor(Intervention):
    """ω ← ω/(1 + e/IC₅₀): epacadostat, free or on nanosheets (hyaluronan-graphene oxide), stops IDO.

    Less kynurenine, more killing and division, hence more IFN-γ; without IFN-γ there is no IDO to stop.
    """

    requires: ClassVar[tuple[str, ...]] = ("tryptophan_catabolism",)
    reviews: ClassVar[tuple[int, ...]] = (10,)
    acts_through: ClassVar[tuple[str, ...]] = ("payload",)

    dose: Any = dose("nmol", doc="drug into plasma, 100 mg is 2.3e5 nmol; or particles that carry it")
    carrier: str = choice(*CARRIERS, doc="dissolved, or the cargo of the model's nanoparticle")
    half: Any = param(
        "nM",
        doc="level that halves the activity of IDO",
        default=50.0,
        bounds=(1e-3, 1e6),
        ref="epacadostat, 10-70 nM",
        status="from memory",
    )
    diameter: Any = diameter_parameter()
    diffusivity: Any = diffusivity_parameter()
    elimination: Any = elimination_parameter(3.0, "epacadostat")
    clearance: Any = clearance_parameter()
    volume: Any = distribution_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return brought("ido_inhibitor", "IDO inhibitor", self.diffusivity)

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return drug_kinetics("ido_inhibitor", self.diameter, self.elimination, self.clearance, state, tissue)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        rate = clock.rate(self.dose)
        level, entry = level_and_entry("ido_inhibitor", self.carrier, rate, self.volume, state)
        return Effects(scale={"ido_activity": inhibition(level, self.half)}, add=entry)


def _antagonist(diffusivity: Any) -> dict[str, Species]:
    return brought("adenosine_antagonist", "A2aR antagonist", diffusivity)


class AdenosineBlockade(Intervention):
    """A_seen = A/(1 + e/K_i): an antagonist of the adenosine receptor A2aR, free or as cargo of nanoparticles.

    Adenosine is highest where oxygen is lowest; there the gain is largest. Without adenosine there is none.
    """

    requires: ClassVar[tuple[str, ...]] = ("adenosine_kinetics",)
    reviews: ClassVar[tuple[int, ...]] = (11,)
    acts_through: ClassVar[tuple[str, ...]] = ("payload",)

    dose: Any = dose("nmol", doc="drug into plasma, or particles that carry it")
    carrier: str = choice(*CARRIERS, doc="dissolved, or the cargo of the model's nanoparticle")
    half: Any = param(
        "nM",
        doc="level that halves what receptors see",
        default=10.0,
        bounds=(1e-3, 1e6),
        ref="SCH-58261 1.3 nM, AB928 1.4 nM, less in serum",
        status="from memory",
    )
    diameter: Any = diameter_parameter()
    diffusivity: Any = diffusivity_parameter()
    elimination: Any = elimination_parameter(2.0, "small molecule", "assumed")
    clearance: Any = clearance_parameter()
    volume: Any = distribution_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return _antagonist(self.diffusivity)

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return drug_kinetics("adenosine_antagonist", self.diameter, self.elimination, self.clearance, state, tissue)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        rate = clock.rate(self.dose)
        level, entry = level_and_entry("adenosine_antagonist", self.carrier, rate, self.volume, state)
        return Effects(scale={"adenosine_signal": inhibition(level, self.half)}, add=entry)


class AdenosineBackpack(Intervention):
    """s_e = k_r b (E + X)/φ_i, db/dt = dose − (k_r + k_d) b, A_seen = A/(1 + e/K_i): T cells that carry the antagonist.

    b is the load of a CAR-T cell (amol): multilamellar vesicles with SCH-58261 on the cell (Siriwon 2018). The drug is
    made where the cells are, so that little of it suffices. Daughters share the load (k_d), all cells alike: the load
    is a mean over the cells of the body. Give it with the cells; it does nothing without them.
    """

    requires: ClassVar[tuple[str, ...]] = ("adenosine_kinetics",)
    reviews: ClassVar[tuple[int, ...]] = (11,)

    dose: Any = dose("amol", doc="drug on each CAR-T cell")
    release: Any = param(
        "1/h", doc="release by a cell", default=0.02, bounds=(0, 100), ref="days, Siriwon 2018", status="from memory"
    )
    dilution: Any = param(
        "1/h", doc="dilution by division, half in two days", default=0.0144, bounds=(0, 1), status="assumed"
    )
    half: Any = param(
        "nM",
        doc="level that halves what receptors see",
        default=10.0,
        bounds=(1e-3, 1e6),
        ref="SCH-58261 1.3 nM, less in serum",
        status="from memory",
    )
    diameter: Any = diameter_parameter()
    diffusivity: Any = diffusivity_parameter()
    elimination: Any = elimination_parameter(2.0, "small molecule", "assumed")
    clearance: Any = clearance_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        load = Species(0.0, kind="compartment", unit="amol", long_name="Antagonist on a CAR-T cell", negligible=1e-3)
        return {**_antagonist(self.diffusivity), "adenosine_backpack": load}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        name = "adenosine_antagonist"
        found = drug_kinetics(name, self.diameter, self.elimination, self.clearance, state, tissue)
        return {**found, "adenosine_backpack.loss": self.release + self.dilution}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        carriers = total(ROAMING, state)
        amol = self.release * state["adenosine_backpack"] * carriers  # amol/h per mm³
        return Effects(
            scale={"adenosine_signal": inhibition(state["adenosine_antagonist"], self.half)},
            add={
                "adenosine_antagonist.source": UPTAKE / 3600.0 * amol / tissue["interstitium"],
                "adenosine_backpack.source": clock.rate(self.dose),
            },
        )


class TgfBetaInhibitor(Intervention):
    """T_seen = T/(1 + e/K_i): a blocker of the TGF-β receptor (SD-208), free or as cargo of PEG nanoparticles.

    Killing, exhaustion and the deposition of collagen read ``tgf_beta_signal``. T cells profit within hours, collagen
    falls with its turnover, within months.
    """

    reviews: ClassVar[tuple[int, ...]] = (12,)
    acts_through: ClassVar[tuple[str, ...]] = ("payload",)

    dose: Any = dose("nmol", doc="drug into plasma, or particles that carry it")
    carrier: str = choice(*CARRIERS, doc="dissolved, or the cargo of the model's nanoparticle")
    half: Any = param(
        "nM",
        doc="level that halves what receptors see",
        default=50.0,
        bounds=(1e-3, 1e6),
        ref="SD-208, 48 nM",
        status="from memory",
    )
    diameter: Any = diameter_parameter()
    diffusivity: Any = diffusivity_parameter()
    elimination: Any = elimination_parameter(4.0, "small molecule", "assumed")
    clearance: Any = clearance_parameter()
    volume: Any = distribution_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return brought("tgf_beta_inhibitor", "TGF-beta inhibitor", self.diffusivity)

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return drug_kinetics("tgf_beta_inhibitor", self.diameter, self.elimination, self.clearance, state, tissue)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        rate = clock.rate(self.dose)
        level, entry = level_and_entry("tgf_beta_inhibitor", self.carrier, rate, self.volume, state)
        return Effects(scale={"tgf_beta_signal": inhibition(level, self.half)}, add=entry)
