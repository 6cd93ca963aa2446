"""Adenosine, quasi-steady: 0 = ∇·(D ∇A) + (q_C C + q_S S)(1 + a (1 − h_O))/φ_i + q_D N_d/φ_i − k A."""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.physiology.populations import TUMOUR, total
from tmepde.physiology.rates import inhibition, secretion
from tmepde.process import Process
from tmepde.species import Species


class AdenosineKinetics(Process):
    """s_A = [(q_C C + q_S S)(1 + a K/(K + O)) + q_D N_d]/φ_i, λ_A = k: CD39 and CD73 make it of ATP, more in hypoxia.

    S is ``suppressor_signal``, N_d the dead cells where a model counts them: they spill ATP. ``adenosine_signal`` is
    what receptors see. Range √(D/k) = 100 µm. The rise of the receptor A2aR on activated cells is left out.
    """

    tumour: Any = param(
        "1/s",
        doc="molecules per tumour cell in plenty of oxygen (0.5 uM in a nest)",
        default=1.3e4,
        bounds=(0, 1e8),
        ref="tumour adenosine 0.1-10 uM",
        status="assumed",
    )
    suppressor: Any = param("1/s", doc="molecules per suppressor cell", default=2.6e4, bounds=(0, 1e8))
    dead: Any = param("1/s", doc="molecules per dead cell, of its ATP", default=1.3e4, bounds=(0, 1e8))
    hypoxia: Any = param(
        "1", doc="relative increase without oxygen (CD73 is a HIF-1 target)", default=4.0, bounds=(0, 100)
    )
    oxygen_half: Any = param("mmHg", doc="pO2 of half the increase", default=8.0, bounds=(0.01, 50), status="assumed")
    decay: Any = param(
        "1/h",
        doc="uptake and deaminase (0.05/s)",
        default=0.05 * 3600.0,
        bounds=(1e-3, 1e5),
        ref="handbook 2.3",
        status="assumed",
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        return {"adenosine": Species(500.0, 500.0 * 3600.0, None, 1.0, "quasi_steady", "nM", "Adenosine")}

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"adenosine_signal": state["adenosine"]}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        boost = 1.0 + self.hypoxia * inhibition(state["oxygen"], self.oxygen_half)
        interstitium = tissue["interstitium"]
        made = secretion(self.tumour, total(TUMOUR, state) * boost, interstitium)
        made = made + secretion(self.suppressor, tissue["suppressor_signal"] * boost, interstitium)
        if "dead_cells" in state:
            made = made + secretion(self.dead, state["dead_cells"], interstitium)
        return {"adenosine.source": made, "adenosine.loss": self.decay}
