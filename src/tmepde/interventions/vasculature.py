"""Therapies of the vessel wall."""

from __future__ import annotations

from typing import Any

from tmepde.interventions.base import Effects, Intervention, dose
from tmepde.interventions.delivery import plasma, volume_parameter
from tmepde.parameter import param
from tmepde.physiology.rates import hill, inhibition


class AntiVEGF(Intervention):
    """V_seen = V/(1 + a/K), da/dt = dose/V_p − k a, ∂ν/∂t −= k_p a⁴/(a⁴ + K_p⁴) ν: bevacizumab class.

    Less VEGF signal lets pores shrink within days: less leak, more perfusion, more adhesion of T cells; oxygen, entry
    and small particles follow, large ones are shut out. A high level prunes vessels and undoes it (Mpekris 2020).
    Limits: one well-stirred plasma level; the antibody's own penetration is not resolved.
    """

    reviews = (32,)

    dose: Any = dose("nmol", doc="antibody into plasma; 5 mg/kg of bevacizumab is 2300 nmol")
    volume: Any = volume_parameter()
    elimination: Any = param(
        "1/h",
        doc="clearance (half-life 20 days)",
        default=0.6931471805599453 / 480,
        bounds=(0, 10),
        ref="IgG 10-21 days",
        status="from memory",
    )
    affinity: Any = param(
        "nM", doc="plasma level that halves the VEGF signal", default=100.0, bounds=(1e-3, 1e5), status="assumed"
    )
    pruning: Any = param(
        "1/h", doc="largest loss of vessel surface (0.2/day)", default=0.2 / 24, bounds=(0, 1), status="assumed"
    )
    pruning_half: Any = param(
        "nM",
        doc="plasma level of half-maximal pruning",
        default=1500.0,
        bounds=(1e-3, 1e6),
        ref="high dose, Mpekris 2020",
        status="assumed",
    )

    def species(self, grid: Any) -> dict[str, Any]:
        return {"bevacizumab_plasma": plasma("Anti-VEGF antibody in plasma")}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"bevacizumab_plasma.loss": self.elimination}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        level = state["bevacizumab_plasma"]
        return Effects(
            scale={"vegf_signal": inhibition(level, self.affinity)},
            add={
                "bevacizumab_plasma.source": clock.rate(self.dose) / self.volume,
                "vessel_surface.loss": self.pruning * hill(level, self.pruning_half, 4),
            },
        )
