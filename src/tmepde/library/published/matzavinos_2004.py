"""Matzavinos, Chaplain & Kuznetsov 2004: lymphocytes that crawl into a slab of tumour and bind its cells.

    ∂E/∂t = D_E ∂²E − χ ∂(E ∂α) + s h(x) + f C/(g + T) − d E − k₊ E T + (k₋ + k p) C
    ∂α/∂t = D_α ∂²α + q C − d_α α
    ∂T/∂t = D_T ∂²T + b T (1 − T/T_max) − k₊ E T + (k₋ + k (1 − p)) C
    ∂C/∂t = k₊ E T − (k₋ + k) C

E lymphocytes, T tumour cells and C complexes in cells/cm (a column of 1 cm²), α chemokine in nM; h = 1 outside the
tumour's first slab x < l. Without tumour E = s/d = 3.3e5 cells/cm. Random motility is that of the paper, 100 times
below what tracked T cells show.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tmepde.grid import Grid
from tmepde.library.published.base import PublishedModel, per_day
from tmepde.model import Model
from tmepde.operators import taxis_velocity
from tmepde.parameter import param
from tmepde.species import Species
from tmepde.units import SECRETION, cm, day, mm

_REF = "Matzavinos et al. 2004, Math. Med. Biol. 21:1"
_MEMORY = "from memory"


def _diffusivity(doc: str, per_day_cm2: float) -> Any:
    return param(
        "um^2/h",
        doc=f"{doc} ({per_day_cm2:g} cm^2/day)",
        default=per_day_cm2 * cm**2 / day,
        bounds=(0, 1e8),
        ref=_REF,
        status=_MEMORY,
    )


class Matzavinos2004(PublishedModel):
    """∂E/∂t = D_E∂²E − χ∂(E∂α) + s h + fC/(g + T) − dE − k₊ET + (k₋ + kp)C, with chemokine α, tumour T, complexes C."""

    binding: Any = per_day("k₊, binding per cell/cm", 1.3e-7, _REF, _MEMORY)
    unbinding: Any = per_day("k₋, complexes that part unharmed", 24.0, _REF, _MEMORY)
    outcome: Any = per_day("k, complexes in which one cell dies", 7.2, _REF, _MEMORY)
    kill_share: Any = param(
        "1",
        doc="p, share of deaths that are the tumour cell's",
        default=0.9997,
        bounds=(0, 1),
        ref=_REF,
        status=_MEMORY,
    )
    influx: Any = param(
        "1/h",
        doc="s, lymphocytes that arrive (1.36e4/cm/day)",
        default=1.36e4 / day,
        bounds=(0, 1e9),
        ref=_REF,
        status=_MEMORY,
    )
    recruitment: Any = param(
        "1/h",
        doc="f, largest recruitment (2.988e7/cm/day)",
        default=2.988e7 / day,
        bounds=(0, 1e12),
        ref=_REF,
        status=_MEMORY,
    )
    recruitment_half: Any = param(
        "1", doc="g, tumour of half recruitment (per cm)", default=2.02e7, bounds=(1, 1e12), ref=_REF, status=_MEMORY
    )
    death: Any = per_day("d, death of lymphocytes", 0.0412, _REF, _MEMORY)
    growth: Any = per_day("b, growth of the tumour", 0.18, _REF, _MEMORY)
    capacity: Any = param(
        "1", doc="T_max, tumour cells per cm", default=5e8, bounds=(1, 1e15), ref=_REF, status=_MEMORY
    )
    lymphocyte_motility: Any = _diffusivity("D_E, random motility of lymphocytes", 1e-6)
    tumour_motility: Any = _diffusivity("D_T, random motility of tumour cells", 1e-6)
    chemokine_diffusivity: Any = _diffusivity("D_α, diffusivity of the chemokine", 1e-2)
    taxis: Any = param(
        "um^2/h/nM", doc="χ, chemotaxis (1.728e6 cm^2/day/M)", default=7200.0, bounds=(0, 1e8), ref=_REF, status=_MEMORY
    )
    secretion: Any = param(
        "1/s", doc="q, molecules per complex (300/min)", default=5.0, bounds=(0, 1e4), ref=_REF, status=_MEMORY
    )
    chemokine_decay: Any = per_day("d_α, decay of the chemokine", 1.155e-2, _REF, _MEMORY)
    slab: Any = param(
        "um",
        doc="l, where the tumour ends at the start (0.2 cm)",
        default=2 * mm,
        bounds=(0, 1e6),
        ref=_REF,
        status=_MEMORY,
    )

    name: ClassVar[str] = "matzavinos_2004"

    def build(self, grid: Grid) -> Model:
        """On a line of about 1 cm; the start is E = s/d outside the slab, T = T_max inside, and C where they meet."""
        x = (np.asarray(grid.coordinates()[-1]) - float(self.slab)) / cm
        shape = 1.0 - np.exp(-1000.0 * x**2)
        without = float(self.influx / self.death)

        def cells(initial: Any, long_name: str, kind: str = "transported") -> Species:
            return Species(initial, kind=kind, unit="1/cm", negligible=1.0, long_name=long_name)

        species = {
            "effector": cells(np.where(x > 0, without * shape, 0.0), "Lymphocytes"),
            "tumour": cells(np.where(x <= 0, self.capacity * shape, 0.0), "Tumour cells"),
            "complexes": cells(without * np.exp(-1000.0 * x**2), "Complexes", "local"),
            "chemokine": Species(0.0, unit="nM", negligible=1e-6, long_name="Chemokine"),
        }
        outside = {"recruiting": np.where(x > 0, 1.0, 0.0)}
        return Model(grid, species, {self.name: self}, outside)

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        effector, tumour, complexes = state["effector"], state["tumour"], state["complexes"]
        killed = self.outcome * self.kill_share
        arriving = self.influx * tissue["recruiting"]
        drawn = self.recruitment * complexes / (self.recruitment_half + tumour)
        return {
            "effector.diffusivity": self.lymphocyte_motility,
            "tumour.diffusivity": self.tumour_motility,
            "chemokine.diffusivity": self.chemokine_diffusivity,
            "effector.source": arriving + drawn + (self.unbinding + killed) * complexes,
            "effector.loss": self.death + self.binding * tumour,
            "effector.velocity": taxis_velocity(tissue.grid, state["chemokine"], self.taxis),
            "tumour.source": self.growth * tumour + (self.unbinding + self.outcome - killed) * complexes,
            "tumour.loss": self.growth * tumour / self.capacity + self.binding * effector,
            "complexes.source": self.binding * effector * tumour,
            "complexes.loss": self.unbinding + self.outcome,
            "chemokine.source": SECRETION * self.secretion * 1e-3 * complexes,  # per cm³ → per mm³
            "chemokine.loss": self.chemokine_decay,
        }
