"""Therapies of immune regulation."""

from __future__ import annotations

from typing import Any

from tmepde.interventions.base import Effects, Intervention, dose
from tmepde.interventions.delivery import (
    carriers,
    depot_nanomolar,
    depth_parameter,
    drug_kinetics,
    interstitial,
    payload,
    plasma,
    targeting_parameter,
    volume_parameter,
    whole,
)
from tmepde.parameter import param
from tmepde.physiology.rates import hill, inhibition, secretion


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


class PdL1ScfvCarT(Intervention):
    """P_bound ← P_bound/(1 + a/K), s_a = q E/φ_i: CAR-T cells that secrete a PD-L1-blocking antibody fragment.

    The fragment is where the cells are, and hardly in blood. Limits: no binding-site barrier.
    """

    reviews = (26,)

    secretion: Any = param("1/s", doc="fragments per CAR-T cell", default=10.0, bounds=(0, 1e4), status="assumed")
    affinity: Any = param(
        "nM", doc="level that halves engagement", default=1.0, bounds=(1e-4, 1e4), ref="as IgG", status="assumed"
    )
    diffusivity: Any = param(
        "um^2/h",
        doc="diffusivity in tissue (25 um^2/s)",
        default=25.0 * 3600,
        bounds=(0, 1e7),
        ref="27 kDa, TGF-beta class, SPQSP PDAC",
        status="derived",
    )
    clearance: Any = param(
        "1/h",
        doc="uptake and drainage (half-life 3 h)",
        default=0.6931471805599453 / 3,
        bounds=(0, 100),
        status="assumed",
    )

    def species(self, grid: Any) -> dict[str, Any]:
        return {"pd_l1_scfv": interstitial("PD-L1-blocking fragment", self.diffusivity)}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"pd_l1_scfv.loss": self.clearance}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        made = secretion(self.secretion, state["car_t"], tissue["interstitium"])
        return Effects(
            scale={"pd1_engagement": inhibition(state["pd_l1_scfv"], self.affinity)}, add={"pd_l1_scfv.source": made}
        )


class Pd1Nanocluster(Intervention):
    """P_bound ← P_bound/(1 + a/K), s_a = B (k₀ + k H²/(H² + K_H²)) w/φ_i: antibody on Fe₃O₄ clusters that cells carry.

    The clusters ride on T cells (w = E/∫E dV) and let go of the antibody in acid, H = 7.4 − pH (Nie 2019). Where
    nothing acidifies the tissue they only leak. Limits: magnetic steering is not part of it.
    """

    reviews = (26,)

    dose: Any = dose("nmol", doc="antibody on the clusters")
    targeting: Any = targeting_parameter()
    leak: Any = param("1/h", doc="release at pH 7.4", default=0.005, bounds=(0, 10), status="assumed")
    release: Any = param("1/h", doc="release in strong acid", default=0.1, bounds=(0, 10), status="assumed")
    acid_half: Any = param(
        "1", doc="drop of pH below 7.4 of half release", default=0.6, bounds=(0.01, 5), status="assumed"
    )
    affinity: Any = param(
        "nM", doc="level that halves engagement", default=1.0, bounds=(1e-4, 1e4), ref="as IgG", status="assumed"
    )
    diffusivity: Any = param(
        "um^2/h",
        doc="diffusivity in tissue",
        default=10.2 * 3600,
        bounds=(0, 1e7),
        ref="Thurber 2008 (SPQSP PDAC)",
        status="seen",
    )
    clearance: Any = param(
        "1/h", doc="uptake and drainage in tissue (5e-5/s)", default=0.18, bounds=(0, 100), status="assumed"
    )
    depth: Any = depth_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {
            "pd1_cluster": payload("Anti-PD-1 antibody carried by CAR-T cells"),
            "pd1_cluster_antibody": interstitial("Anti-PD-1 antibody let go by clusters", self.diffusivity),
        }

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"pd1_cluster_antibody.loss": self.clearance}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        freed = carriers(state["car_t"], tissue, self.depth) * (
            self.leak + self.release * hill(tissue["acidity"], self.acid_half, 2)
        )
        return Effects(
            scale={"pd1_engagement": inhibition(state["pd1_cluster_antibody"], self.affinity)},
            add={
                "pd1_cluster.source": self.targeting * clock.rate(self.dose),
                "pd1_cluster.loss": whole(freed, tissue, self.depth),
                "pd1_cluster_antibody.source": depot_nanomolar(state["pd1_cluster"], freed, tissue),
            },
        )
