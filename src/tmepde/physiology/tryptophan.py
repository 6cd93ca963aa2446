"""Tryptophan catabolism: IDO, which IFN-γ induces, makes kynurenine Y, which disarms T cells.

0 = ∇·(D ∇Y) + q H(I) C/φ_i − (k f_p ν/ν₀ + k₀) Y        H = I/(I + K)

Y follows IFN-γ, which is in balance itself, within minutes: perfused vessels wash it out in 100 s, and it diffuses out
of a nodule of R = 450 µm within R²/π²D = 51 s. Hence it is in balance too, like adenosine and lactate. (As a dynamic
field it lagged behind IFN-γ by 0.7 of its change in each step, and its error set the length of 9 steps in 10 on 12³
cells. Over eight days of a treated nodule of that size, rtol 1e-4, they differ by 0.11 % at most in any field.)
"""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.physiology.glycolysis import vessel_share
from tmepde.physiology.populations import TUMOUR, total
from tmepde.physiology.rates import saturation, secretion
from tmepde.process import Process
from tmepde.species import Species

_SECOND = 3600.0


class TryptophanCatabolism(Process):
    """s_Y = q ω C/φ_i, λ_Y = k f_p ν/ν₀ + k₀; ω = I/(I + K) is ``ido_activity``, which inhibitors scale.

    A negative feedback: T cells that work make IFN-γ, IFN-γ makes IDO, and kynurenine (above that of plasma,
    ``kynurenine_signal``) weakens killing and division. Starvation of tryptophan itself is left out.
    """

    tumour: Any = param(
        "1/s",
        doc="kynurenine per tumour cell with IDO in full",
        default=1.2e5,
        bounds=(0, 1e7),
        ref="0.2 amol/s; cultures reach tens of uM in a day",
        status="assumed",
    )
    interferon_half: Any = param(
        "nM", doc="IFN-gamma that induces half of IDO", default=0.05, bounds=(1e-5, 100), status="assumed"
    )
    exchange: Any = param(
        "1/h",
        doc="wash-out by fully perfused vessels (0.01/s)",
        default=0.01 * _SECOND,
        bounds=(0, 1e4),
        ref="as lactate",
        status="assumed",
    )
    decay: Any = param("1/h", doc="uptake and decay (1e-4/s)", default=1e-4 * _SECOND, bounds=(1e-6, 1e3))
    reference: Any = param(
        "1/um",
        doc="vessel surface density of the stated rate",
        default=0.02,
        bounds=(1e-4, 1),
        ref="Baxter-Jain 200/cm",
        status="from memory",
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        field = Species(0.0, 400.0 * _SECOND, None, 10.0, "quasi_steady", "nM", "Kynurenine above that of plasma")
        return {"kynurenine": field}

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        activity = saturation(state["ifn_gamma"], self.interferon_half)
        return {"ido_activity": activity, "kynurenine_signal": state["kynurenine"]}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        made = tissue["ido_activity"] * total(TUMOUR, state)
        return {
            "kynurenine.source": secretion(self.tumour, made, tissue["interstitium"]),
            "kynurenine.loss": self.exchange * vessel_share(state, tissue, self.reference) + self.decay,
        }
