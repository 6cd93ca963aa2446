"""Therapies of suppressor cells: 6-thioguanine micelles against MDSC, CSF1R inhibitors against M2 macrophages."""

from __future__ import annotations

from typing import Any

from tmepde.interventions.base import Effects, Intervention, dose
from tmepde.interventions.delivery import drug_kinetics, interstitial, plasma, volume_parameter
from tmepde.parameter import param
from tmepde.physiology.rates import inhibition, saturation


class MdscDepletion(Intervention):
    """λ_MDSC += k e/(e + K), entry × 1/(1 + p/K_p): 6-thioguanine micelles kill MDSC in tissue (e) and blood (p).

    Fewer MDSC let T cells kill (Jeanbart 2015); without MDSC it does nothing. Limits: other dividing cells are spared.
    """

    requires = ("myeloid_cells",)
    reviews = (24,)

    dose: Any = dose("nmol", doc="6-thioguanine in micelles into plasma")
    rate: Any = param("1/h", doc="largest death rate (2/day)", default=2 / 24, bounds=(0, 5), status="assumed")
    half: Any = param("nM", doc="level in tissue of half effect", default=50.0, bounds=(1e-3, 1e6), status="assumed")
    plasma_half: Any = param(
        "nM", doc="level in plasma that halves entry", default=200.0, bounds=(1e-3, 1e6), status="assumed"
    )
    diameter: Any = param(
        "nm", doc="diameter of the micelle", default=30.0, bounds=(1, 500), ref="Jeanbart 2015", status="from memory"
    )
    diffusivity: Any = param(
        "um^2/h",
        doc="diffusivity in tissue (1.4 um^2/s)",
        default=1.4 * 3600,
        bounds=(0, 1e7),
        ref="30 nm, between 20 and 40 nm of handbook 2.7",
        status="derived",
    )
    elimination: Any = param(
        "1/h",
        doc="clearance from plasma (half-life 10 h)",
        default=0.6931471805599453 / 10,
        bounds=(0, 10),
        status="assumed",
    )
    clearance: Any = param(
        "1/h",
        doc="uptake and decay in tissue (half-life 24 h)",
        default=0.6931471805599453 / 24,
        bounds=(0, 100),
        status="assumed",
    )
    volume: Any = volume_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {
            "thioguanine": interstitial("6-thioguanine micelles", self.diffusivity),
            "thioguanine_plasma": plasma("6-thioguanine micelles in plasma"),
        }

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return drug_kinetics("thioguanine", self.diameter, self.elimination, self.clearance, state, tissue)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        return Effects(
            scale={"mdsc.source": inhibition(state["thioguanine_plasma"], self.plasma_half)},
            add={
                "mdsc.death": self.rate * saturation(state["thioguanine"], self.half),
                "thioguanine_plasma.source": clock.rate(self.dose) / self.volume,
            },
        )


class Csf1rInhibitor(Intervention):
    """λ_M2 += k H, f_M1 += g H, H = e/(e + K): a CSF1R inhibitor kills M2 macrophages and turns the rest to M1.

    Less suppression and TGF-β; without macrophages it does nothing. Limits: resident macrophages elsewhere are spared.
    """

    requires = ("myeloid_cells",)
    reviews = (24,)

    dose: Any = dose("nmol", doc="inhibitor into plasma; 400 mg of pexidartinib is 9.6e5 nmol")
    rate: Any = param(
        "1/h", doc="largest death rate of M2 (0.5/day)", default=0.5 / 24, bounds=(0, 5), status="assumed"
    )
    repolarisation: Any = param(
        "1", doc="relative increase of M2 → M1", default=10.0, bounds=(0, 1e3), status="assumed"
    )
    half: Any = param("nM", doc="level of half effect", default=100.0, bounds=(1e-3, 1e6), status="assumed")
    diameter: Any = param("nm", doc="hydrodynamic diameter", default=1.0, bounds=(0.1, 100), status="assumed")
    diffusivity: Any = param(
        "um^2/h",
        doc="diffusivity in tissue (200 um^2/s)",
        default=200.0 * 3600,
        bounds=(0, 1e7),
        ref="small molecule",
        status="assumed",
    )
    elimination: Any = param(
        "1/h",
        doc="clearance from plasma (half-life 20 h)",
        default=0.6931471805599453 / 20,
        bounds=(0, 10),
        status="assumed",
    )
    clearance: Any = param("1/h", doc="loss in tissue", default=0.05, bounds=(0, 100), status="assumed")
    volume: Any = volume_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {
            "csf1r_inhibitor": interstitial("CSF1R inhibitor", self.diffusivity),
            "csf1r_inhibitor_plasma": plasma("CSF1R inhibitor in plasma"),
        }

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return drug_kinetics("csf1r_inhibitor", self.diameter, self.elimination, self.clearance, state, tissue)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        effect = saturation(state["csf1r_inhibitor"], self.half)
        return Effects(
            add={
                "macrophage.death": self.rate * effect,
                "macrophage_repolarisation": self.repolarisation * effect,
                "csf1r_inhibitor_plasma.source": clock.rate(self.dose) / self.volume,
            }
        )
