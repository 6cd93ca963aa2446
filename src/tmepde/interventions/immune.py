"""Therapies of immune regulation."""

from __future__ import annotations

from typing import Any

from tmepde.interventions.base import Effects, Intervention, dose
from tmepde.interventions.delivery import drug_kinetics, interstitial, plasma, volume_parameter
from tmepde.parameter import param
from tmepde.physiology.rates import inhibition


class CheckpointBlockade(Intervention):
    """P_bound ← P_bound/(1 + a/K): an antibody against PD-1 reaches the tissue through the wall and frees the receptor.

    Killing and exhaustion read ``pd1_engagement``; IFN-γ raises it 6-fold where CAR-T cells work, so that the gain is
    largest there.
    """

    reviews = (26,)

    dose: Any = dose("nmol", doc="antibody into plasma; 200 mg is 1400 nmol")
    affinity: Any = param(
        "nM", doc="interstitial level that halves engagement", default=1.0, bounds=(1e-4, 1e4), status="assumed"
    )
    diameter: Any = param(
        "nm", doc="hydrodynamic diameter of IgG", default=11.0, bounds=(1, 200), ref="IgG", status="from memory"
    )
    diffusivity: Any = param(
        "um^2/h",
        doc="diffusivity in tissue",
        default=10.2 * 3600,
        bounds=(0, 1e7),
        ref="Thurber 2008 (SPQSP PDAC)",
        status="seen",
    )
    elimination: Any = param(
        "1/h",
        doc="clearance from plasma (half-life 20 days)",
        default=0.6931471805599453 / 480,
        bounds=(0, 10),
        ref="IgG 10-21 days",
        status="from memory",
    )
    clearance: Any = param(
        "1/h",
        doc="uptake and drainage in tissue (5e-5/s)",
        default=0.18,
        bounds=(0, 100),
        ref="handbook 3",
        status="assumed",
    )
    volume: Any = volume_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {
            "pd1_antibody": interstitial("Anti-PD-1 antibody", self.diffusivity),
            "pd1_antibody_plasma": plasma("Anti-PD-1 antibody in plasma"),
        }

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return drug_kinetics("pd1_antibody", self.diameter, self.elimination, self.clearance, state, tissue)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        return Effects(
            scale={"pd1_engagement": inhibition(state["pd1_antibody"], self.affinity)},
            add={"pd1_antibody_plasma.source": clock.rate(self.dose) / self.volume},
        )
