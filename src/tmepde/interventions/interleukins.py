"""IL-12 as a drug, on the back of CAR-T cells, or made by them; IL-7/IL-15 arms are ``Secretes`` of a cell infusion.

s_IL12 += B (k₀ + k A) w(x)/φ_i,  dB/dt = dose − …,  w = E/∫E dV
"""

from __future__ import annotations

from typing import Any

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import (
    ROUTES,
    arrival,
    carriers,
    depot_nanomolar,
    depth_parameter,
    payload,
    site_parameter,
    targeting_parameter,
    volume_parameter,
    whole,
    width_parameter,
)
from tmepde.parameter import param
from tmepde.physiology.rates import secretion


class Il12Therapy(Intervention):
    """s_IL12 += B (k₀ + k A) w/φ_i, w = E/∫E dV: IL-12 on a nanochaperone that CAR-T cells carry, or injected freely.

    Carried, it is set free where CAR-T cells meet antigen and acts there (Luo 2022); in plasma it is everywhere and
    toxic. What IL-12 does, and how it passes the vessel wall and is cleared, is ``il12_kinetics``. Limits: the payload
    is one number, spread as the CAR-T cells are now; it does not thin out as cells divide.
    """

    requires = ("il12_kinetics",)
    reviews = (20,)

    dose: Any = dose("nmol", doc="IL-12; 1 ug is 0.014 nmol")
    route: str = choice("carried", *ROUTES, doc="on CAR-T cells, into plasma, or a depot in the tissue")
    targeting: Any = targeting_parameter()
    leak: Any = param("1/h", doc="release without antigen", default=0.005, bounds=(0, 10), status="assumed")
    release: Any = param("1/h", doc="release on antigen contact", default=0.05, bounds=(0, 10), status="assumed")
    volume: Any = volume_parameter()
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {"il12_payload": payload("IL-12 carried by CAR-T cells")} if self.route == "carried" else {}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        rate = clock.rate(self.dose)
        if self.route == "carried":
            return Effects(add=self._carried(rate, state, tissue))
        return Effects(add=arrival("il12", self, rate, tissue))

    def _carried(self, rate: Any, state: Any, tissue: Any) -> dict[str, Any]:
        freed = carriers(state["car_t"], tissue, self.depth) * (self.leak + self.release * tissue["antigen_contact"])
        return {
            "il12_payload.source": self.targeting * rate,
            "il12_payload.loss": whole(freed, tissue, self.depth),
            "il12.source": depot_nanomolar(state["il12_payload"], freed, tissue),
        }


class Il12CarT(Intervention):
    """s_IL12 += q E (l + (1 − l) A)/φ_i: CAR-T cells that make IL-12 on antigen contact (NFAT promoter), leak l.

    IFN-γ, chemokine and M1 macrophages follow where antigen is (``il12_kinetics``). Limits: no cost to the cell.
    """

    requires = ("il12_kinetics",)
    reviews = (20, 21)

    secretion: Any = param(
        "1/s", doc="IL-12 molecules per CAR-T cell in contact", default=1.0, bounds=(0, 1e4), status="assumed"
    )
    leak: Any = param("1", doc="share made without antigen", default=0.05, bounds=(0, 1), status="assumed")

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        active = state["car_t"] * (self.leak + (1.0 - self.leak) * tissue["antigen_contact"])
        return Effects(add={"il12.source": secretion(self.secretion, active, tissue["interstitium"])})
