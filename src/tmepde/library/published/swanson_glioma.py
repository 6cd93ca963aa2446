"""Swanson et al. 2000: a glioma that diffuses and divides, faster in white matter than in grey.

    ∂u/∂t = ∇·(D(x) ∇u) + r u (1 − u) ,     D = D_g + w (D_w − D_g)

w is the white-matter fraction. Fronts run at 2√(D r): 28.8 mm/year in grey matter, √5 times that in white.
"""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from tmepde._arguments import as_number
from tmepde.grid import Grid
from tmepde.library.published.base import PublishedModel, ball, per_day
from tmepde.model import Model
from tmepde.parameter import param
from tmepde.species import Species
from tmepde.units import day, mm

_REF = "Swanson et al. 2000, Cell Prolif. 33:317"


def _diffusivity(doc: str, mm2_per_day: float) -> Any:
    text = f"{doc} ({mm2_per_day:g} mm^2/day)"
    value = mm2_per_day * mm**2 / day
    return param("um^2/h", doc=text, default=value, bounds=(0, 1e6), ref=_REF, status="from memory")


class SwansonGlioma(PublishedModel):
    """∂u/∂t = ∇·(D ∇u) + r u (1 − u), D = D_g + w (D_w − D_g): Fisher–KPP in grey and white matter.

    ``white`` is the white-matter fraction, a number or an array of the grid's shape.
    """

    grey_diffusivity: Any = _diffusivity("D_g, in grey matter", 0.13)
    white_diffusivity: Any = _diffusivity("D_w, in white matter, five times grey", 0.65)
    growth: Any = per_day("r, net proliferation", 0.012, _REF, "from memory")
    radius: Any = param("um", doc="tumour at the start", default=5 * mm, bounds=(0, 1e6), status="assumed")
    white: Any = eqx.field(converter=as_number, default=0.0)

    name: ClassVar[str] = "swanson_glioma"

    def build(self, grid: Grid) -> Model:
        """A ball of tumour in the middle of any grid (at x = 0 on a line)."""
        start = ball(grid, self.radius, [0.0] if grid.axes == ("x",) else None)
        species = {"glioma": Species(start, negligible=1e-6, long_name="Glioma cells, relative to the capacity")}
        white = np.broadcast_to(np.asarray(self.white, float), grid.shape)
        return Model(grid, species, {self.name: self}, {"white_matter": white})

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        white, cells = tissue["white_matter"], state["glioma"]
        return {
            "glioma.diffusivity": self.grey_diffusivity + white * (self.white_diffusivity - self.grey_diffusivity),
            "glioma.source": self.growth * cells,
            "glioma.loss": self.growth * cells,
        }
