"""CARRGO (Sahoo et al. 2020; Brummer et al. 2022): CAR-T cells as predators of glioma cells in a dish.

    dx/dt = ρ x (1 − x/K) − κ₁ x y          dy/dt = κ₂ x y − θ y

x tumour and y CAR-T cells as xCELLigence cell index (CI, about 1e4 cells). κ₂ < 0 (exhaustion on contact) is allowed.
Coexistence x = θ/κ₂, y = ρ (1 − x/K)/κ₁ exists where θ < κ₂ K. ρ is sloppy: fits with T cells give up to six times the
growth rate of the same cells alone.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp

from tmepde.grid import Grid
from tmepde.library.published.base import PublishedModel
from tmepde.model import Model
from tmepde.parameter import param
from tmepde.species import Species

_REF = "CARRGODEX fit PBT1, E:T 1:4, no dexamethasone (MIT; Brummer et al. 2022)"


class Carrgo(PublishedModel):
    """dx/dt = ρ x (1 − x/K) − κ₁ x y, dy/dt = κ₂ x y − θ y, in cell index."""

    growth: Any = param("1/h", doc="ρ, growth of the tumour", default=0.302972, bounds=(0, 2), ref=_REF, status="seen")
    capacity: Any = param(
        "1", doc="K, largest cell index", default=1 / 0.323034, bounds=(1e-3, 1e4), ref=_REF, status="seen"
    )
    kill: Any = param(
        "1/h", doc="κ₁, killing per CAR-T index", default=0.556785, bounds=(0, 100), ref=_REF, status="seen"
    )
    proliferation: Any = param(
        "1/h",
        doc="κ₂, CAR-T growth per tumour index; negative where contact exhausts",
        default=0.0242088,
        bounds=(-10, 10),
        ref=_REF,
        status="seen",
    )
    death: Any = param("1/h", doc="θ, death of CAR-T cells", default=8.6e-14, bounds=(0, 10), ref=_REF, status="seen")
    tumour_start: Any = param("1", doc="cell index at the start", default=1.0, bounds=(0, 1e3), status="assumed")
    car_t_start: Any = param(
        "1", doc="CAR-T index at the start (E:T 1:4)", default=0.25, bounds=(0, 1e3), ref=_REF, status="seen"
    )

    name: ClassVar[str] = "carrgo"

    def build(self, grid: Grid) -> Model:
        species = {
            "tumour": Species(self.tumour_start, kind="local", negligible=1e-6, long_name="Tumour cell index"),
            "car_t": Species(self.car_t_start, kind="local", negligible=1e-6, long_name="CAR-T cell index"),
        }
        return Model(grid, species, {self.name: self})

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        tumour, car_t = state["tumour"], state["car_t"]
        return {
            "tumour.source": self.growth * tumour,
            "tumour.loss": self.growth * tumour / self.capacity + self.kill * car_t,
            "car_t.source": jnp.maximum(self.proliferation, 0.0) * tumour * car_t,
            "car_t.loss": self.death + jnp.maximum(-self.proliferation, 0.0) * tumour,
        }
