"""The microenvironment of PhysiCell's sample project ``cancer_immune``: oxygen and an immunostimulatory factor.

    0 = D ∇²O − (λ + φ U) O                          O = 38 mmHg at the sides
    ∂I/∂t = D_I ∇²I − λ_I I + φ S (1 − I)            no flux at the sides

φ is the volume fraction of cells; PhysiCell's agents take up and secrete in proportion to their volume, here in the
mean. Oxygen reaches √(D/(λ + U)) = 99.5 µm into packed cells and √(D/λ) = 1000 µm without; the factor √(D_I/λ_I) =
250 µm beyond the nodule.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tmepde.boundary import Dirichlet
from tmepde.grid import Grid
from tmepde.library.published.base import PublishedModel, ball
from tmepde.model import Model
from tmepde.parameter import param
from tmepde.species import Species
from tmepde.units import minute

_REF = "PhysiCell sample project cancer_immune (BSD-3)"


def _per_minute(doc: str, value: float, status: str = "seen") -> Any:
    return param("1/h", doc=f"{doc} ({value:g}/min)", default=value / minute, bounds=(0, 1e6), ref=_REF, status=status)


def _diffusivity(doc: str, value: float) -> Any:
    text = f"diffusivity of {doc} ({value:g} um^2/min)"
    return param("um^2/h", doc=text, default=value / minute, bounds=(0, 1e8), ref=_REF, status="seen")


class PhysiCellImmune(PublishedModel):
    """0 = D∇²O − (λ + φU) O, ∂I/∂t = D_I∇²I − λ_I I + φS (1 − I): what the agents of PhysiCell swim in."""

    oxygen_diffusivity: Any = _diffusivity("oxygen", 1e5)
    oxygen_decay: Any = _per_minute("decay of oxygen", 0.1)
    oxygen_uptake: Any = _per_minute("uptake of oxygen by packed cells", 10.0)
    oxygen_outside: Any = param("mmHg", doc="pO2 at the sides", default=38.0, bounds=(0, 200), ref=_REF, status="seen")
    factor_diffusivity: Any = _diffusivity("the immunostimulatory factor", 1e3)
    factor_decay: Any = _per_minute("decay of the factor", 0.016)
    factor_secretion: Any = _per_minute("secretion of the factor by packed cells", 10.0, "from memory")
    radius: Any = param(
        "um", doc="nodule of tumour cells", default=250.0, bounds=(0, 1e6), ref=_REF, status="from memory"
    )
    packing: Any = param(
        "1", doc="volume fraction of cells in the nodule", default=1.0, bounds=(0, 1), status="assumed"
    )

    name: ClassVar[str] = "physicell_immune"

    def build(self, grid: Grid) -> Model:
        """A nodule in the middle of any grid (PhysiCell: a cube of 1500 µm)."""
        species = {
            "oxygen": Species(
                self.oxygen_outside,
                boundary=Dirichlet(self.oxygen_outside),
                kind="quasi_steady",
                unit="mmHg",
                negligible=1e-3,
                long_name="Oxygen partial pressure",
            ),
            "immunostimulatory_factor": Species(negligible=1e-5, long_name="Immunostimulatory factor"),
        }
        return Model(grid, species, {self.name: self}, {"cells": self.packing * ball(grid, self.radius)})

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        cells = tissue["cells"]
        return {
            "oxygen.diffusivity": self.oxygen_diffusivity,
            "immunostimulatory_factor.diffusivity": self.factor_diffusivity,
            "oxygen.loss": self.oxygen_decay + self.oxygen_uptake * cells,
            "immunostimulatory_factor.source": self.factor_secretion * cells,
            "immunostimulatory_factor.loss": self.factor_decay + self.factor_secretion * cells,
        }
