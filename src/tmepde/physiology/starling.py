"""Interstitial fluid of a tumour in its host: what vessels filter, what lymphatics drain, and what it carries.

    0 = ∇·(K ∇p) + L (p_e − p) − L_L (1 − t) p ,   L = L_p(d_p) ν f_p ,   K = K₀ (φ₀ + φ⁰)/(φ₀ + φ)
    v = −K ∇p/φ_i ,   J = L (p_e − p)
    wall: J W n_v + P Pe/(e^Pe − 1) (n_v − n) ,   Pe = J W/P                       (Kedem–Katchalsky, solute by solute)

t is the nest fraction: lymphatics are in the host only. The leak is that of the model's own vessels, so that vessels
that normalise and matrix that goes change the pressure.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from tmepde.operators import darcy_velocity, face_mean
from tmepde.parameter import param
from tmepde.physiology.pores import convective_hindrance, hydraulic_conductivity, wall_permeability
from tmepde.physiology.vessels import PORE_AREA, WALL
from tmepde.process import Process
from tmepde.species import Species

_BAXTER = "Baxter & Jain 1989"
#: what flows with the fluid, where a model has it: particles and proteins, for which drift counts beside diffusion
CARRIED = ("nanoparticle", "hyaluronidase", "pd1_antibody")


def _bernoulli(x: Any) -> Any:
    """x/(eˣ − 1): 1 at 0."""
    small = jnp.abs(x) < 1e-3
    safe = jnp.where(small, 1.0, x)
    return jnp.where(small, 1.0 - 0.5 * x, safe / jnp.expm1(safe))


class StarlingFlow(Process):
    """0 = ∇·(K∇p) + L_p ν f_p (p_e − p) − L_L (1 − t) p: interstitial pressure, and the drift of particles.

    Particles also pass the wall with the fluid: the diffusive exchange of the core model is replaced by its Péclet
    form, P Pe/(e^Pe − 1) (n_v − n) + J W n_v. Hyaluronan swells besides: tissue ``swelling_pressure`` (mmHg) = π φ_h is
    what a needle reads on top of p, and does not drive flow. Limits: fluid leaves by lymphatics or by the sides of the
    nest alone; cytokines are not carried.
    """

    conductivity_tumour: Any = param(
        "um^2/h/mmHg",
        doc="hydraulic conductivity of the tumour (4.13e-8 cm^2/mmHg/s)",
        default=4.13 * 3600,
        bounds=(1e-3, 1e7),
        ref=_BAXTER,
        status="from memory",
    )
    conductivity_host: Any = param(
        "um^2/h/mmHg",
        doc="hydraulic conductivity of the host (8.53e-9 cm^2/mmHg/s)",
        default=0.853 * 3600,
        bounds=(1e-3, 1e7),
        ref=_BAXTER,
        status="from memory",
    )
    matrix_half: Any = param(
        "1", doc="matrix besides which conductivity is inverse to matrix", default=0.1, bounds=(1e-3, 10)
    )
    effective_pressure: Any = param(
        "mmHg",
        doc="pressure at which tumour vessels filter nothing",
        default=11.5,
        bounds=(0, 100),
        ref=f"{_BAXTER}: 15.6 - 0.82 (20 - 15)",
        status="from memory",
    )
    effective_pressure_host: Any = param(
        "mmHg",
        doc="pressure at which host vessels filter nothing",
        default=6.5,
        bounds=(0, 100),
        ref=f"{_BAXTER}: 15.6 - 0.91 (20 - 10)",
        status="from memory",
    )
    lymphatic: Any = param(
        "1/h/mmHg",
        doc="drainage by lymphatics of the host (1.33e-5/mmHg/s)",
        default=1.33e-5 * 3600,
        bounds=(1e-9, 10),
        ref=_BAXTER,
        status="from memory",
    )
    swelling: Any = param(
        "mmHg",
        doc="swelling pressure per volume fraction of hyaluronan",
        default=200.0,
        bounds=(0, 1e4),
        ref="75-99 mmHg in pancreatic tumours, Provenzano 2012",
        status="assumed",
    )
    retardation: Any = param(
        "1", doc="speed of a particle over that of the fluid", default=1.0, bounds=(0, 1), status="assumed"
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        pressure = Species(
            0.0, 0.0, None, 1e-2, "quasi_steady", "mmHg", "Interstitial pressure", signed=True
        )  # K comes with the coefficients
        return {"interstitial_pressure": pressure}

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"swelling_pressure": self.swelling * state["hyaluronan"]}

    def _conductivity(self, tissue: Any) -> Any:
        nest = tissue["region_tumour"]
        plain = self.conductivity_host + (self.conductivity_tumour - self.conductivity_host) * nest
        resident = tissue["collagen_base"] + tissue["hyaluronan_base"]
        return plain * (self.matrix_half + resident) / (self.matrix_half + tissue["matrix"])

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        nest, pressure = tissue["region_tumour"], state["interstitial_pressure"]
        conductivity = self._conductivity(tissue)
        leak = hydraulic_conductivity(state["pore_diameter"], PORE_AREA, WALL) * tissue["wall_factor"]
        leak = leak * state["vessel_surface"] * tissue["perfusion"]
        level = self.effective_pressure_host + (self.effective_pressure - self.effective_pressure_host) * nest
        fluid = darcy_velocity(tissue.grid, pressure, conductivity)
        speed = tuple(
            self.retardation * v / room
            for v, room in zip(fluid, face_mean(tissue.grid, tissue["interstitium"]), strict=True)
        )
        return {
            "interstitial_pressure.diffusivity": conductivity,
            "interstitial_pressure.source": leak * level,
            "interstitial_pressure.loss": leak + self.lymphatic * (1.0 - nest),
            **{f"{name}.flow": speed for name in CARRIED if name in state},
            **self._wall(leak * (level - pressure), state, tissue),
        }

    def _wall(self, filtered: Any, state: Any, tissue: Any) -> dict[str, Any]:
        """What convection changes of the diffusive exchange; ``filtered`` J in 1/h. Sums with it stay ≥ 0."""
        diameter, pores = tissue["particle_diameter"], state["pore_diameter"]
        passes = wall_permeability(diameter, pores, PORE_AREA, WALL) * tissue["wall_factor"]
        passes = passes * state["vessel_surface"] * tissue["perfusion"]
        dragged = filtered * convective_hindrance(diameter / jnp.maximum(pores, 1e-3))
        tiny = jnp.finfo(jnp.result_type(passes)).tiny ** 0.5
        slowed = passes * (_bernoulli(jnp.minimum(dragged / (passes + tiny), 60.0)) - 1.0)
        return {
            "nanoparticle.source": (slowed + dragged) / tissue["interstitium"] * state["nanoparticle_plasma"],
            "nanoparticle.loss": slowed / tissue["interstitium"],
        }
