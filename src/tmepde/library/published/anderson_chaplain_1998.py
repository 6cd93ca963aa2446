"""Anderson & Chaplain 1998: endothelial cells crawl from a vessel (x = 0) to a tumour (x = L) and make fibronectin.

    ∂n/∂t = D ∇²n − ∇·(n χ/(1 + αc) ∇c) − ∇·(ρ n ∇f)          ∂f/∂t = β n − γ n f          ∂c/∂t = −η n c

n endothelial cells, f fibronectin, c angiogenic factor, all relative; lengths in L, times in τ. The drift is the
gradient of Φ = (χ/α) ln(1 + αc) + ρ f, so that n ∝ exp(Φ/D) stands still where c and f do.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from tmepde.grid import Grid
from tmepde.library.published.base import PublishedModel
from tmepde.model import Model
from tmepde.operators import taxis_velocity
from tmepde.parameter import param
from tmepde.species import Species

_REF = "Anderson & Chaplain 1998, Bull. Math. Biol. 60:857"


def _relative(doc: str, default: float, upper: float = 100.0) -> Any:
    return param("1", doc=doc, default=default, bounds=(0, upper), ref=_REF, status="from memory")


class AndersonChaplain1998(PublishedModel):
    """∂n/∂t = D∇²n − ∇·(n χ/(1 + αc) ∇c) − ∇·(ρn∇f), ∂f/∂t = βn − γnf, ∂c/∂t = −ηnc, in units of L and τ."""

    diffusion: Any = _relative("D, random motility, L^2/τ", 3.5e-4)
    chemotaxis: Any = _relative("χ, chemotaxis, L^2/τ", 0.38)
    saturation: Any = _relative("α, loss of sensitivity at high factor", 0.6)
    haptotaxis: Any = _relative("ρ, haptotaxis, L^2/τ", 0.34)
    production: Any = _relative("β, fibronectin made, 1/τ", 0.05)
    degradation: Any = _relative("γ, fibronectin used up, 1/τ", 0.1)
    uptake: Any = _relative("η, factor taken up, 1/τ", 0.1)
    length: Any = param(
        "um",
        doc="L, from the vessel to the tumour (2 mm)",
        default=2000.0,
        bounds=(1, 1e6),
        ref=_REF,
        status="from memory",
    )
    time: Any = param(
        "h", doc="τ = L^2/D_c for D_c = 2.9e-7 cm^2/s", default=38.3, bounds=(1e-3, 1e5), ref=_REF, status="derived"
    )

    name: ClassVar[str] = "anderson_chaplain_1998"

    def build(self, grid: Grid) -> Model:
        """On a line or square of side L; the last axis points to the tumour."""
        x = np.asarray(grid.coordinates()[-1]) / float(self.length)

        def one(initial: Any, long_name: str, **keys: Any) -> Species:
            return Species(initial, negligible=1e-6, long_name=long_name, **keys)

        species = {
            "endothelium": one(np.exp(-(x**2) / 0.001), "Endothelial cells", drift="scharfetter_gummel"),
            "fibronectin": one(0.75 * np.exp(-(x**2) / 0.45), "Fibronectin", kind="local"),
            "angiogenic_factor": one(np.exp(-((1.0 - x) ** 2) / 0.45), "Angiogenic factor", kind="local"),
        }
        return Model(grid, species, {self.name: self})

    def potential(self, factor: Any, fibronectin: Any) -> Any:
        """Φ = (χ/α) ln(1 + αc) + ρ f, in L²/τ."""
        small = jnp.maximum(self.saturation, 1e-9)
        return self.chemotaxis * jnp.log1p(small * factor) / small + self.haptotaxis * fibronectin

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        cells = state["endothelium"] / self.time
        potential = self.potential(state["angiogenic_factor"], state["fibronectin"])
        pace = self.length**2 / self.time
        return {
            "endothelium.diffusivity": self.diffusion * pace,
            "endothelium.velocity": taxis_velocity(tissue.grid, potential, pace),
            "fibronectin.source": self.production * cells,
            "fibronectin.loss": self.degradation * cells,
            "angiogenic_factor.loss": self.uptake * cells,
        }
