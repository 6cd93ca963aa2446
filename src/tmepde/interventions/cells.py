"""Therapies that are cells."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import ROUTES, deposit, depth_parameter, heap, site_parameter, width_parameter
from tmepde.parameter import param
from tmepde.physiology.rates import secretion


class Secretes(eqx.Module):
    """Armour: s = q E/φ_i. What every CAR-T cell makes unasked (molecules/cell/s): 7×19 (IL-7, CCL19), CXCL9.

    Good values: 7×19 cells ``chemokine`` 3, ``growth_factor`` 10; IL-15 cells ``growth_factor`` 10 to 50.
    """

    chemokine: Any = param(
        "1/s",
        doc="CCL19-class chemokine per CAR-T cell",
        default=0.0,
        bounds=(0, 1e4),
        ref="CCL19 15 ng/mL, GPC3-7-19",
        status="assumed",
    )
    growth_factor: Any = param(
        "1/s",
        doc="IL-7/IL-15-class cytokine per CAR-T cell",
        default=0.0,
        bounds=(0, 1e4),
        ref="IL-7 0.5 ng/mL, GPC3-7-19",
        status="assumed",
    )


class CellInfusion(Intervention):
    """dT/dt += f·dose/V_blood (intravenous), or ∂E/∂t += dose·w(x)/∫w dV (intratumoral); armoured if wished (7×19).

    Of the cells infused into blood a fraction f survives the first day's trapping in lung, liver and spleen and goes on
    to expand (:class:`~tmepde.physiology.BloodKinetics`). 1e8 cells in 5 L give the 3900-fold expansion of Stein 2019
    up to 36 cells/µL; in mice use ``blood_volume`` 2e-3 L. A depot that holds more cells than fit is told of: 1e7 cells
    fill a ball of 1.5 mm. ``armour`` belongs to all CAR-T cells of the model; of
    two infusions in one arm whose armour differs the mean counts.
    """

    reviews = (21, 39, 44, 47)
    acts_through = ("car_t",)

    dose: Any = dose("cells", doc="CAR-T cells")
    route: str = choice(*ROUTES, doc="into blood, or a depot in the tissue")
    armour: Secretes = eqx.field(default_factory=Secretes, kw_only=True)
    engraftment: Any = param(
        "1",
        doc="infused cells that go on to expand",
        default=4.6e-4,
        bounds=(0, 1),
        ref="36/3900 cells/uL x 5 L/1e8 cells",
        status="derived",
    )
    blood_volume: Any = param(
        "L",
        doc="blood volume (5 in a human, 2e-3 in a mouse)",
        default=5.0,
        bounds=(1e-4, 20),
        ref="physiology",
        status="seen",
    )
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    def densest(self, grid: Any) -> Any:
        """Cells/mm³ that the largest dose makes where most of it lies; 0 where cells go into blood."""
        if self.route == "intravenous":
            return 0.0
        return heap(self.dose, grid, self.site, self.width, self.depth)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        cells, interstitium = state["car_t"], tissue["interstitium"]
        made = {
            "chemokine.source": secretion(self.armour.chemokine, cells, interstitium),
            "growth_factor.source": secretion(self.armour.growth_factor, cells, interstitium),
        }
        rate = clock.rate(self.dose)
        if self.route == "intravenous":
            arriving = rate * self.engraftment / (self.blood_volume * 1e6)  # L → µL
            entry = {"car_t_plasma.source": arriving}
            if "car_t_arrival" in tissue.quantities:
                entry["car_t_arrival"] = arriving
        else:
            entry = {"car_t.source": rate * deposit(tissue.grid, self.site, self.width, self.depth)}
        return Effects(add={**made, **entry})
