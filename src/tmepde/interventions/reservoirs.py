"""CAR-T cells from a place: scaffolds, films, needles, a cavity. N cells wait there and enter tissue.

dN/dt = dose + (r c/(K_c + c) (1 − N/N_max)₊ − k − δ) N,    ∂E/∂t += k N w(x)/∫w dV
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp

from tmepde.interventions.base import Effects, Intervention, dose
from tmepde.interventions.delivery import bell, deposit, depth_parameter, site_parameter, spread, width_parameter
from tmepde.parameter import param
from tmepde.physiology.rates import positive, saturation
from tmepde.species import Species


def waiting(name: str) -> Species:
    """Cells that are in the body but not in tissue."""
    return Species(0.0, kind="compartment", unit="cells", long_name=name, negligible=1.0)


def centre(grid: Any, site: Any) -> list[Any]:
    """``site`` (µm per axis), by default the middle of the grid, or the origin of a radial axis."""
    if site is None:
        edges = [grid.faces(k) for k in range(grid.ndim)]
        return [0.0 if a == "r" else 0.5 * (f[0] + f[-1]) for a, f in zip(grid.axes, edges, strict=True)]
    return site if isinstance(site, list) else list(jnp.broadcast_to(jnp.asarray(site), (grid.ndim,)))


def lining(tissue: Any, thickness: Any, depth: Any, site: Any = None, reach: Any = None) -> Any:
    """exp(−m²/(2 t²)) over the tumour's margin (distance m), within ``reach`` of ``site`` if given; integral 1."""
    exponent = (tissue["region_margin_distance"] / thickness) ** 2
    if reach is not None:
        place = centre(tissue.grid, site)
        exponent = exponent + sum((x - place[k]) ** 2 for k, x in enumerate(tissue.grid.coordinates())) / reach**2
    return spread(bell(exponent, tissue.grid), tissue.grid, depth)


def _rate(doc: str, per_day: float, ref: str = "", status: str = "assumed") -> Any:
    text = f"{doc} ({per_day:g}/day)"
    return param("1/h", doc=text, default=per_day / 24.0, bounds=(0, 10), ref=ref, status=status)


def _thickness() -> Any:
    return param("um", doc="depth of tissue that the cells enter at once", default=50.0, bounds=(1, 1e4))


class CellScaffold(Intervention):
    """dN/dt = dose + (r c/(K_c + c) (1 − N/N_max)₊ − k − δ) N, dc/dt = −k_c c: cells divide in a gel and leave it.

    c is the cytokine that the gel was loaded with, 1 per implant. Lymph-node mimetics of PLGA expand their cells
    15-fold in vivo and hold them for 30 days; alginate holds less and HPMC lets go within days (``SCAFFOLDS``).
    """

    reviews = (40,)

    dose: Any = dose("cells", doc="CAR-T cells seeded into the implant")
    division: Any = _rate("division in plenty of cytokine", 0.45, "15-fold in vivo (PMC10911814)", "derived")
    cytokine_half: Any = param("1", doc="cytokine left at half division", default=0.3, bounds=(0.01, 10))
    cytokine_loss: Any = _rate("loss of cytokine", 0.1, "release over a week or two")
    release: Any = _rate("cells that leave", 0.15)
    death: Any = _rate("death in the gel", 0.03)
    capacity: Any = param("cells", doc="room in the implant", default=1e9, bounds=(1, 1e12), status="assumed")
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        cytokine = Species(0.0, kind="compartment", unit="1", long_name="Cytokine in the scaffold", negligible=1e-3)
        return {"scaffold_cells": waiting("CAR-T cells in the scaffold"), "scaffold_cytokine": cytokine}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        cells = state["scaffold_cells"]
        drive = saturation(state["scaffold_cytokine"], self.cytokine_half)
        return {
            "scaffold_cells.source": self.division * drive * positive(1.0 - cells / self.capacity) * cells,
            "scaffold_cells.loss": self.release + self.death,
            "scaffold_cytokine.loss": self.cytokine_loss,
        }

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        shape = deposit(tissue.grid, self.site, self.width, self.depth)
        return Effects(
            add={
                "scaffold_cells.source": clock.rate(self.dose),
                "scaffold_cytokine.source": jnp.sum(clock.fractions(self.dose)) / clock.step,
                "car_t.source": self.release * state["scaffold_cells"] * shape,
            }
        )


#: numbers of :class:`CellScaffold` by material (assumed but for the lymph-node mimetic): ``CellScaffold(dose, **…)``
SCAFFOLDS: dict[str, dict[str, float]] = {
    "lymph_node": {},
    "alginate": {"division": 0.3 / 24, "release": 0.3 / 24, "cytokine_loss": 0.3 / 24},
    "hpmc": {"division": 0.35 / 24, "release": 0.5 / 24, "cytokine_loss": 0.2 / 24},
    "plga": {"division": 0.35 / 24, "release": 0.1 / 24, "cytokine_loss": 0.07 / 24},
}


class ThinFilm(Intervention):
    """dN/dt = dose + (r (1 − N/N_max)₊ − k − δ) N, flux k N through the part of the margin that the film covers.

    A nitinol mesh with anti-CD3/CD28/CD137 lies on the tumour; its cells divide and go straight in.
    """

    reviews = (41,)

    dose: Any = dose("cells", doc="CAR-T cells seeded onto the film")
    division: Any = _rate("division on the film", 0.7, "Coon 2020, stimulating antibodies", "assumed")
    release: Any = _rate("cells that go into tissue", 0.5)
    death: Any = _rate("death on the film", 0.1)
    capacity: Any = param("cells", doc="room on the film", default=1e7, bounds=(1, 1e12), status="assumed")
    thickness: Any = _thickness()
    reach: Any = param("um", doc="extent of the film around its site", default=500.0, bounds=(1, 1e5), status="assumed")
    site: Any = site_parameter()
    depth: Any = depth_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {"film_cells": waiting("CAR-T cells on the film")}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        cells = state["film_cells"]
        return {
            "film_cells.source": self.division * positive(1.0 - cells / self.capacity) * cells,
            "film_cells.loss": self.release + self.death,
        }

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        shape = lining(tissue, self.thickness, self.depth, self.site, self.reach)
        entry = self.release * state["film_cells"] * shape
        return Effects(add={"film_cells.source": clock.rate(self.dose), "car_t.source": entry})


class RegionalInfusion(Intervention):
    """dN/dt = dose − (k + k_out) N, ∂E/∂t += k N w: into a cavity (pleura, peritoneum) that the tumour lines.

    Cells enter along the whole margin; what the cavity drains is lost to the tumour.
    """

    reviews = (39,)

    dose: Any = dose("cells", doc="CAR-T cells into the cavity")
    entry: Any = _rate("cells that enter tissue", 0.3)
    drainage: Any = _rate("drainage and death in the cavity", 0.7)
    thickness: Any = _thickness()
    depth: Any = depth_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {"cavity_cells": waiting("CAR-T cells in the cavity")}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"cavity_cells.loss": self.entry + self.drainage}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        shape = lining(tissue, self.thickness, self.depth)
        entry = self.entry * state["cavity_cells"] * shape
        return Effects(add={"cavity_cells.source": clock.rate(self.dose), "car_t.source": entry})


class MicroneedleArray(Intervention):
    """∂E/∂t += k N Σ_i exp(−|x − x_i|²/(2 w²))/∫…: n porous needles per axis let their cells go side by side.

    The more needles at the same dose, the more even the seeding. Needles stand along every axis but the first of a
    plane or a volume, which is their depth (``site``); along a line they stand on it. ``needles`` counts by each axis.
    """

    reviews = (42,)

    dose: Any = dose("cells", doc="CAR-T cells in all needles together")
    needles: Any = param("1", doc="needles along each axis", default=5.0, bounds=(1, 100), status="assumed")
    extent: Any = param("um", doc="length of the row of needles", default=800.0, bounds=(1, 1e5), status="assumed")
    release: Any = param(
        "1/h", doc="release (half-life 1 h)", default=math.log(2.0), bounds=(0, 100), ref="Li 2022, porous needles"
    )
    site: Any = site_parameter()
    width: Any = param("um", doc="spread around a needle", default=60.0, bounds=(1, 1e4), status="assumed")
    depth: Any = depth_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {"needle_cells": waiting("CAR-T cells in the needles")}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"needle_cells.loss": self.release}

    def shape(self, grid: Any) -> Any:
        """Where the needles let go, in 1/mm³."""
        place = centre(grid, self.site)
        weight: Any = 1.0
        for k, x in enumerate(grid.coordinates()):
            if grid.ndim > 1 and k == 0:
                weight = weight * bell(((x - place[k]) / self.width) ** 2 + jnp.zeros(grid.shape), grid)
            else:
                weight = weight * self._row(x - place[k])
        return spread(weight, grid, self.depth)

    def _row(self, x: Any) -> Any:
        """Σ_i exp(−(x − x_i)²/(2 w²)) over the needles nearest to x; a trace everywhere keeps the sum above 0."""
        pitch = self.extent / self.needles
        near = jnp.floor(x / pitch + 0.5 * self.needles)
        row: Any = 1e-12
        for k in (-2.0, -1.0, 0.0, 1.0, 2.0):
            there = (near + k >= 0) & (near + k < self.needles - 0.5)
            gap = x - (near + k + 0.5 - 0.5 * self.needles) * pitch
            row = row + jnp.where(there, jnp.exp(-0.5 * (gap / self.width) ** 2), 0.0)
        return row

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        entry = self.release * state["needle_cells"] * self.shape(tissue.grid)
        return Effects(add={"needle_cells.source": clock.rate(self.dose), "car_t.source": entry})
