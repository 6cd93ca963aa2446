"""Therapies that bring oxygen."""

from __future__ import annotations

from typing import Any

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import (
    ROUTES,
    deposit,
    depot_nanomolar,
    depth_parameter,
    site_parameter,
    volume_parameter,
    width_parameter,
)
from tmepde.parameter import param
from tmepde.physiology.oxygen import SOLUBILITY
from tmepde.physiology.rates import saturation


class OxygenGenerator(Intervention):
    """S_O = s P_H k e/(k_H + k e)/α: manganese dioxide particles turn hydrogen peroxide into oxygen.

    e = n + b is the local particle level, P_H the tumour's peroxide *production*: however many particles, no more than
    s P_H can be released. Each particle is spent after ``capacity`` turnovers. Particles travel as the model's
    nanoparticle. Oxygen feeds T cells and tumour alike.
    """

    reviews = (1, 4, 16)

    dose: Any = dose("nmol", doc="particles into plasma or tissue")
    route: str = choice(*ROUTES, doc="into plasma, or a depot in the tissue")
    oxygen_yield: Any = param(
        "1",
        doc="oxygen per peroxide: 1 for MnO2 that dissolves, 0.5 for catalysis",
        default=1.0,
        bounds=(0, 1),
        ref="stoichiometry",
        status="derived",
    )
    activity: Any = param(
        "1/(nM h)", doc="peroxide turnover per particle", default=1000.0, bounds=(0, 1e8), status="assumed"
    )
    decay: Any = param(
        "1/h",
        doc="peroxide removal by tissue (0.3/s)",
        default=1080.0,
        bounds=(1e-3, 1e6),
        ref="handbook 3",
        status="assumed",
    )
    capacity: Any = param(
        "1",
        doc="turnovers until a particle is spent",
        default=1e7,
        bounds=(1, 1e12),
        ref="Mn atoms in 50-100 nm",
        status="assumed",
    )
    volume: Any = volume_parameter()
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        particles = state["nanoparticle"] + state["nanoparticle_bound"]
        production = tissue["peroxide_production"]
        turnover = production * saturation(self.activity * particles, self.decay)
        spent = self.activity * production / (self.decay + self.activity * particles) / self.capacity
        rate = clock.rate(self.dose)
        if self.route == "intravenous":
            entry = {"nanoparticle_plasma.source": rate / self.volume}
        else:
            shape = deposit(tissue.grid, self.site, self.width, self.depth)
            entry = {"nanoparticle.source": depot_nanomolar(rate, shape, tissue)}
        return Effects(
            add={
                "oxygen.source": self.oxygen_yield * turnover / SOLUBILITY,
                "nanoparticle.loss": spent,
                "nanoparticle_bound.loss": spent,
                **entry,
            }
        )
