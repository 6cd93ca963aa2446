"""Arginine and nitric oxide: what suppressor cells take from T cells and what they give them.

∂A/∂t = ∇·(D_A ∇A) + k f_p (ν/ν₀)(A_v − A) − (V_S S + V_C C)/(K_A + A) A
0     = ∇·(D_N ∇N) + q S A/(A + K)/φ_i − k_N N
"""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.physiology.glycolysis import vessel_share
from tmepde.physiology.oxygen import UPTAKE
from tmepde.physiology.populations import TUMOUR, total
from tmepde.physiology.rates import inhibition, saturation, secretion
from tmepde.process import Process
from tmepde.species import Species

_SECOND = 3600.0
#: nM of arginine in blood at which CAR-T cells divide as without this process
_NORMAL = 1e5


class ArginineMetabolism(Process):
    """λ_A = (v_S S + v_C C)/(K + A) + k p, and f = H(A)/H(A₀) · K_N/(K_N + N) on CAR-T division, H = A/(A + K_T).

    S is ``suppressor_signal`` (myeloid cells with arginase and iNOS); tumour cells take a little. At A₀ = 0.1 mM, which
    is normal in blood, and without nitric oxide f = 1; what is supplied beyond helps further, up to 1 + K_T/A₀.
    ``plasma_arginine`` (nM) is what a supplement raises. NO reaches 1.4 mm.
    """

    suppressor: Any = param(
        "amol/s", doc="arginine used by a suppressor cell", default=20.0, bounds=(0, 1e4), status="assumed"
    )
    tumour: Any = param("amol/s", doc="arginine used by a tumour cell", default=0.5, bounds=(0, 1e3), status="assumed")
    uptake_half: Any = param(
        "nM",
        doc="Michaelis constant of uptake (CAT transporters)",
        default=1e5,
        bounds=(1, 1e8),
        ref="0.1 mM",
        status="from memory",
    )
    plasma: Any = param(
        "nM",
        doc="arginine in blood",
        default=_NORMAL,
        bounds=(1e3, 1e7),
        ref="physiology, 0.1 mM",
        status="from memory",
    )
    division_half: Any = param(
        "nM",
        doc="arginine of half-maximal CAR-T division",
        default=1e5,
        bounds=(1, 1e8),
        ref="handbook, item 9",
        status="assumed",
    )
    exchange: Any = param(
        "1/h",
        doc="exchange with fully perfused vessels (0.01/s)",
        default=0.01 * _SECOND,
        bounds=(0, 1e4),
        ref="as lactate",
        status="assumed",
    )
    nitric_oxide: Any = param(
        "1/s", doc="nitric oxide per suppressor cell with arginine in plenty", default=10.0, bounds=(0, 1e6)
    )
    nitric_oxide_half: Any = param(
        "nM",
        doc="nitric oxide that halves CAR-T division",
        default=1.5,
        bounds=(1e-3, 1e5),
        ref="SPQSP PDAC IC50_NO",
        status="seen",
    )
    nitric_oxide_decay: Any = param(
        "1/h",
        doc="removal of nitric oxide (1.6e-3/s)",
        default=1.6e-3 * _SECOND,
        bounds=(1e-3, 1e5),
        ref="handbook 3",
        status="assumed",
    )
    reference: Any = param(
        "1/um",
        doc="vessel surface density of the stated rate",
        default=0.02,
        bounds=(1e-4, 1),
        ref="Baxter-Jain 200/cm",
        status="from memory",
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        return {
            "arginine": Species(1e5, 300.0 * _SECOND, None, 100.0, "transported", "nM", "Arginine"),
            "nitric_oxide": Species(0.0, 3090.0 * _SECOND, None, 1e-3, "quasi_steady", "nM", "Nitric oxide"),
        }

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        fed = saturation(state["arginine"], self.division_half) / saturation(_NORMAL, self.division_half)
        free = inhibition(state["nitric_oxide"], self.nitric_oxide_half)
        return {"plasma_arginine": self.plasma, "car_t_division": fed * free - 1.0}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        arginine, suppressors = state["arginine"], tissue["suppressor_signal"]
        demand = UPTAKE * (self.suppressor * suppressors + self.tumour * total(TUMOUR, state))
        exchange = self.exchange * vessel_share(state, tissue, self.reference)
        making = suppressors * saturation(arginine, self.uptake_half)
        return {
            "arginine.source": exchange * tissue["plasma_arginine"],
            "arginine.loss": demand / (self.uptake_half + arginine) + exchange,
            "nitric_oxide.source": secretion(self.nitric_oxide, making, tissue["interstitium"]),
            "nitric_oxide.loss": self.nitric_oxide_decay,
        }
