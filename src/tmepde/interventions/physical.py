"""Energy from outside, where particles turn it into heat, radicals or a pull.

heat      S_T = a I e                            radicals   R = y I e O/(O + K) ,  λ_C = R/ρ ,  oxygen falls by R/α
magnet    v_n = μ B along an axis

I is the power over the present step (1 full; doses are hours of full power), e = n + b the particles per interstitial
fluid; heat and radicals R are per tissue, and a and y hold the fraction φ_i between the two.
The field of light or sound is even over the tissue: millimetres do not dim near infrared or ultrasound much.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import (
    ROUTES,
    arrival,
    depth_parameter,
    site_parameter,
    volume_parameter,
    width_parameter,
)
from tmepde.operators import downwind
from tmepde.parameter import param
from tmepde.physiology.oxygen import SOLUBILITY
from tmepde.physiology.populations import LIVING, dying


def _particles(state: Any) -> Any:
    return state["nanoparticle"] + state["nanoparticle_bound"]


class Photothermal(Intervention):
    """S_T = a I (n + b): particles (gold, ICG, black phosphorus, carbon) turn light into heat.

    Mild heat (40–43 °C) loosens matrix, opens vessels and calls T cells (CXCL13, CCL3); above 48 °C it kills and shuts
    vessels: what heat does is in the process ``bioheat``. Without particles, or in the dark, nothing happens. Limits:
    light is even over the tissue and tissue alone absorbs none.
    """

    requires: ClassVar[tuple[str, ...]] = ("bioheat",)
    reviews: ClassVar[tuple[int, ...]] = (13,)

    light: Any = dose("h", doc="light, in hours of full power (1 W/cm^2)")
    dose: Any = dose("nmol", doc="particles into plasma or tissue")
    route: str = choice(*ROUTES, doc="into plasma, or a depot in the tissue")
    absorption: Any = param(
        "K/(nM h)",
        doc="heating per particle at full power (ICG-loaded polymer; gold rods 5e4)",
        default=540.0,
        bounds=(0, 1e9),
        ref="cross-section 5e-16 m^2 of 1e4 dyes, order",
        status="assumed",
    )
    volume: Any = volume_parameter()
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        heat = self.absorption * clock.rate(self.light) * _particles(state)
        return Effects(add={"temperature.source": heat, **arrival("nanoparticle", self, clock.rate(self.dose), tissue)})


class _Radicals(Intervention):
    """R = y I (n + b) O/(O + K), λ = R/ρ for all cells, λ_O += y I (n + b)/(α (O + K)).

    Those below declare energy I, dose, radical_yield y, oxygen_half K, lethal ρ and the way in.
    """

    route: str = choice(*ROUTES, doc="into plasma, or a depot in the tissue")

    def effects(self: Any, clock: Any, state: Any, tissue: Any) -> Effects:
        per_oxygen = self.radical_yield * clock.rate(self.energy) * _particles(state)
        per_oxygen = per_oxygen / (state["oxygen"] + self.oxygen_half)
        death = per_oxygen * state["oxygen"] / self.lethal
        return Effects(
            add={
                "oxygen.loss": per_oxygen / SOLUBILITY,
                **dying(LIVING, death, state),
                **arrival("nanoparticle", self, clock.rate(self.dose), tissue),
            }
        )


def _yield(doc: str, default: float) -> Any:
    return param("1/h", doc=doc, default=default, bounds=(0, 1e12), status="assumed")


def _oxygen_half() -> Any:
    return param(
        "mmHg", doc="pO2 of half the yield", default=5.0, bounds=(0.01, 100), ref="photosensitisers 2-10 mmHg, order"
    )


def _lethal() -> Any:
    return param(
        "nM",
        doc="radicals that leave 1/e of the cells (0.5 mM)",
        default=5e5,
        bounds=(1.0, 1e9),
        ref="threshold dose of singlet oxygen, order of 1 mM",
        status="from memory",
    )


class Photodynamic(_Radicals):
    """R = y I (n + b) O/(O + K), λ = R/ρ, O falls by R/α: light on a sensitiser turns oxygen to radicals.

    The kill is limited by the oxygen that vessels bring: a brighter light soon kills no more. Suppressor cells, T cells
    and fibroblasts in the field die alike. Limits: light is even over the tissue; no vascular shutdown.
    """

    reviews: ClassVar[tuple[int, ...]] = (14,)

    energy: Any = dose("h", doc="light, in hours of full power (0.1 W/cm^2)")
    dose: Any = dose("nmol", doc="particles with sensitiser into plasma or tissue")
    radical_yield: Any = _yield("singlet oxygen per particle at full power and plenty of oxygen", 1e6)
    oxygen_half: Any = _oxygen_half()
    lethal: Any = _lethal()
    volume: Any = volume_parameter()
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()


class Sonodynamic(_Radicals):
    """R = y I (n + b) O/(O + K), λ = R/ρ, O falls by R/α: ultrasound on a sensitiser makes radicals.

    As photodynamic therapy, at depth and with a lower yield; it too limits itself without a supply of oxygen.
    """

    reviews: ClassVar[tuple[int, ...]] = (14,)

    energy: Any = dose("h", doc="ultrasound, in hours of full power (1 W/cm^2)")
    dose: Any = dose("nmol", doc="particles with sensitiser into plasma or tissue")
    radical_yield: Any = _yield("radicals per particle at full power and plenty of oxygen", 3e5)
    oxygen_half: Any = _oxygen_half()
    lethal: Any = _lethal()
    volume: Any = volume_parameter()
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()


class MagneticGuidance(Intervention):
    """v = μ B along the last axis: a magnet beside the tissue pulls iron-oxide particles, or cells that carry them.

    They gather at the side of the magnet; none are made or lost: the sides of the tissue are closed.
    Along a radius it is an implant in the centre that pulls (``"near"``). Limits: the pull is even over the tissue (a
    magnet far off), and particles in blood are not held back.
    """

    reviews: ClassVar[tuple[int, ...]] = (15,)

    dose: Any = dose("h", doc="hours of full field")
    side: str = choice("far", "near", doc="end of the last axis where the magnet is")
    cargo: str = choice("nanoparticle", "car_t", doc="what is magnetic")
    speed: Any = param(
        "um/h",
        doc="drift in the full field",
        default=30.0,
        bounds=(0, 1e4),
        ref="100 nm clusters in 10 T/m, order",
        status="assumed",
    )

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        grid, dtype = tissue.grid, state[self.cargo].dtype
        pull = self.speed * clock.rate(self.dose) * (1.0 if self.side == "far" else -1.0)
        last = grid.ndim - 1
        faces = [tuple(n + (j == k) for j, n in enumerate(grid.shape)) for k in range(grid.ndim)]
        drift = tuple(jnp.full(shape, pull if k == last else 0.0, dtype) for k, shape in enumerate(faces))
        return Effects(add={f"{self.cargo}.velocity": downwind(grid, drift, jnp.ones(grid.shape, dtype))})
