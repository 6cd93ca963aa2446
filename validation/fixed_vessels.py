"""The model of the engine that has the equations of :mod:`validation.prototype`: all else is switched off."""

from __future__ import annotations

from typing import Any

import numpy as np

import tmepde as tme
from tmepde import observables
from tmepde.units import day
from validation.prototype import CAPSULE, NEST, RADIUS, Arm, vessels
from validation.solve import ran

_OFF = (
    *("tgf_beta_kinetics", "tgf_beta_signal", "checkpoint_engagement", "interferon_kinetics", "growth_factor_kinetics"),
    *("vegf_kinetics", "vegf_signal", "angiogenesis", "pore_relaxation", "egress", "antigen_loss", "bystander_killing"),
    *("collagen_turnover", "hyaluronan_turnover", "peroxide_production", "payload_release"),
    *("nanoparticle_plasma", "nanoparticle_exchange", "nanoparticle_diffusion", "nanoparticle_binding"),
)


class FixedPerfusion(tme.Process):
    """f_p as it is given, whatever pores and matrix do."""

    fraction: Any

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"perfusion": self.fraction - 1.0}  # the base is 1


def model(arm: Arm, cells: int) -> tme.Model:
    """The nodule of the prototype on ``cells`` shells."""
    grid = tme.Grid.radial(RADIUS, cells)
    perfused, adhesion = vessels(np.asarray(grid.centers(0)), arm)
    collagen = (0.03, 0.03, 0.0) if arm.degraded else (0.15, 0.5, 0.55)
    changes = {
        "perfusion": FixedPerfusion(perfused),
        "growth": {"rate": 0.012},
        "chemotaxis": {"index": arm.index},
        "expansion": {"baseline": arm.drive},
        "exhaustion": {"hypoxia": 0.0},
        "killing": {"anoxic_share": 1.0},
        "oxygen_uptake": {"host": 0.0},
        "forced_blood_kinetics": {"peak": arm.blood},
    }
    return tme.library.solid_tumour(
        grid,
        radius=NEST,
        blood="forced",
        processes={name: False for name in _OFF} | changes,
        host_density=0.0,
        hyaluronan_tumour=0.0,
        hyaluronan_capsule=0.0,
        hyaluronan_host=0.0,
        collagen_tumour=collagen[0],
        collagen_capsule=collagen[1],
        collagen_host=0.03,
        capsule_barrier=collagen[2],
        capsule_width=CAPSULE,
        adhesion_tumour=float(adhesion[0]),
    )


def outcome(arm: Arm, cells: int = 150, days: tuple[float, ...] = (14.0, 28.0)) -> dict[str, np.ndarray]:
    """What :func:`validation.prototype.outcome` gives, by the engine with its default tolerance."""
    names = ("tumour_burden", "antigen_positive_burden", "antigen_negative_burden", "car_t_total")
    seen = {name: one for name, one in observables.standard().items() if name in (*names, "car_t_peak_distance")}
    scenario = tme.Scenario(model(arm, cells), until=days[-1] * day, observables=seen)
    found = {n: np.asarray(v) for n, v in ran(scenario, 0.0, save=[d * day for d in days]).observables.items()}
    start = found["tumour_burden"][0]
    return {
        "+": found["antigen_positive_burden"][1:] / start,
        "-": found["antigen_negative_burden"][1:] / start,
        "effectors": found["car_t_total"][1:],
        "peak": NEST + found["car_t_peak_distance"][1:],
    }
