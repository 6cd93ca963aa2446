"""Plasma levels beside the CAR-T cells: the cytokine of T cells, host T cells, and exposures (areas under curves).

dP/dt = (V_t/V_p) ⟨w φ_i (c − P)⟩ − k P,    ∂c/∂t += w (P − c),    w = ν f_p P_w/φ_i
dA/dt = T_blood
"""

from __future__ import annotations

import math
from typing import Any

from tmepde.parameter import param
from tmepde.physiology.pores import wall_permeability
from tmepde.physiology.vessels import PORE_AREA, WALL
from tmepde.process import Process
from tmepde.species import Species

#: µL per L, which is also mm³ per L
_PER_LITRE = 1e6


def compartment(name: str, unit: str, initial: Any = 0.0, negligible: float = 0.02) -> Species:
    """One number that belongs to no place."""
    return Species(initial, kind="compartment", unit=unit, long_name=name, negligible=negligible)


def tumour_volume_parameter() -> Any:
    """How much tumour the simulated tissue stands for."""
    return param(
        "mm^3",
        doc="volume of the whole tumour (1e5 in a human, 200 in a mouse)",
        default=1e5,
        bounds=(0, 1e7),
        ref="a nodule of 6 cm",
        status="assumed",
    )


def plasma_volume_parameter() -> Any:
    """Volume of plasma."""
    return param(
        "L",
        doc="plasma volume (3 in a human, 1e-3 in a mouse)",
        default=3.0,
        bounds=(1e-4, 10),
        ref="physiology",
        status="seen",
    )


def nest_mean(field: Any, tissue: Any) -> Any:
    """∫ f w dV/∫ w dV over the nests at the start, 0 where there are none."""
    nest = tissue["region_tumour"]
    return tissue.grid.integrate(field * nest) / (tissue.grid.integrate(nest) + 1e-30)


def per_nest(field: Any, tissue: Any) -> Any:
    """∫ f dV/∫ w dV: what is anywhere, by the volume of the nests at the start; 0 where there are none."""
    return tissue.grid.integrate(field) / (tissue.grid.integrate(tissue["region_tumour"]) + 1e-30)


def wall_exchange(name: str, one: Any, state: Any, tissue: Any) -> dict[str, Any]:
    """s_c = w P, λ_c = w, s_P = (V_t/V_p) ⟨w φ_i c⟩, λ_P = (V_t/V_p) ⟨w φ_i⟩ + k: ``name`` and ``name_plasma``.

    w = ν f_p P_w(d)/φ_i, ⟨ ⟩ the mean over the nests. The process ``one`` declares ``diameter`` d, ``elimination`` k,
    ``volume`` V_p and ``tumour_volume`` V_t, for which the simulated tissue stands.
    """
    passage = wall_permeability(one.diameter, state["pore_diameter"], PORE_AREA, WALL) * tissue["wall_factor"]
    passage = passage * state["vessel_surface"] * tissue["perfusion"]  # w φ_i
    wall, share = passage / tissue["interstitium"], one.tumour_volume / (_PER_LITRE * one.volume)
    return {
        f"{name}.source": wall * state[f"{name}_plasma"],
        f"{name}.loss": wall,
        f"{name}_plasma.source": share * nest_mean(passage * state[name], tissue),
        f"{name}_plasma.loss": share * nest_mean(passage, tissue) + one.elimination,
    }


class GrowthFactorPlasma(Process):
    """dP/dt = (V_t/V_p) ⟨w φ_i (c − P)⟩ − k P, s_c = w P, λ_c = w: IL-15 passes between plasma and tissue.

    ⟨ ⟩ is the mean over the nests and V_t the whole tumour, for which the simulated tissue stands. Exposures (nM h) of
    plasma and of the nests are kept. Nobody makes the cytokine unless a therapy does.
    """

    diameter: Any = param(
        "nm",
        doc="hydrodynamic diameter",
        default=9.0,
        bounds=(1, 200),
        ref="IL-15 superagonist, 90 kDa",
        status="assumed",
    )
    elimination: Any = param(
        "1/h",
        doc="clearance from plasma (half-life 24 h; 0.7 h for IL-15 itself)",
        default=math.log(2.0) / 24.0,
        bounds=(0, 100),
        ref="N-803",
        status="from memory",
    )
    volume: Any = plasma_volume_parameter()
    tumour_volume: Any = tumour_volume_parameter()

    def brings(self, tissue: Any) -> dict[str, Any]:
        return {
            "growth_factor_plasma": compartment("IL-7/IL-15-class cytokine in plasma", "nM", negligible=1e-2),
            "growth_factor_exposure": compartment("Exposure of the nests to the cytokine", "nM*h", negligible=1.0),
            "growth_factor_plasma_exposure": compartment("Exposure of plasma to the cytokine", "nM*h", negligible=1.0),
        }

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {
            **wall_exchange("growth_factor", self, state, tissue),
            "growth_factor_exposure.source": nest_mean(state["growth_factor"], tissue),
            "growth_factor_plasma_exposure.source": state["growth_factor_plasma"],
        }


class CarTExposure(Process):
    """dA/dt = T + M: area under the curve of CAR-T cells in blood, (cells/µL) h."""

    def brings(self, tissue: Any) -> dict[str, Any]:
        return {"car_t_exposure": compartment("Exposure of blood to CAR-T cells", "cells*h/uL", negligible=1.0)}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"car_t_exposure.source": state["car_t_plasma"] + state["car_t_plasma_memory"]}


class HostTCells(Process):
    """dH/dt = k (H₀ − H): the patient's own T cells in blood, which can be made into CAR-T cells there."""

    level: Any = param(
        "cells/uL",
        doc="resting level; 200 after lymphodepletion",
        default=1000.0,
        bounds=(0, 1e5),
        ref="physiology",
        status="from memory",
    )
    turnover: Any = param(
        "1/h", doc="return to the resting level (0.1/day)", default=0.1 / 24, bounds=(0, 1), status="assumed"
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        return {"host_t_plasma": compartment("Host T cells in blood", "cells/uL", self.level, 1.0)}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"host_t_plasma.source": self.turnover * self.level, "host_t_plasma.loss": self.turnover}
