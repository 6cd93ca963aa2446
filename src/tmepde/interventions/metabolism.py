"""Therapies of fuel and acid."""

from __future__ import annotations

from typing import Any, ClassVar

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import (
    ROUTES,
    deposit,
    depot_nanomolar,
    depth_parameter,
    drug_kinetics,
    site_parameter,
    width_parameter,
)
from tmepde.interventions.drugs import (
    brought,
    clearance_parameter,
    diameter_parameter,
    diffusivity_parameter,
    distribution_parameter,
    elimination_parameter,
)
from tmepde.parameter import param
from tmepde.physiology.rates import inhibition, saturation
from tmepde.species import Species


class Buffer(Intervention):
    """s_B = z k H e K/(K + e): calcium carbonate dissolves where it is acid and leaves a base of two charges.

    ∂e/∂t = … − k H e K/(K + e). Bicarbonate is a base of one charge wherever it is (H = 1). pH rises towards 7.4;
    without acid nothing happens. Acid that is gone no longer holds T cells, which takes them a day to notice. Limits:
    what a dose does to the pH of blood is not in the model.
    """

    requires: ClassVar[tuple[str, ...]] = ("acid_balance",)
    reviews: ClassVar[tuple[int, ...]] = (5, 6)

    dose: Any = dose("mmol", doc="carbonate into plasma or tissue")
    agent: str = choice("calcium_carbonate", "bicarbonate", doc="particles that acid dissolves, or a solution")
    route: str = choice(*ROUTES, doc="into plasma, or a depot in the tissue")
    dissolution: Any = param(
        "1/h",
        doc="dissolution per unit of pH below 7.4; of bicarbonate at any pH",
        default=5.0,
        bounds=(0, 1e4),
        status="assumed",
    )
    limit: Any = param(
        "mM",
        doc="level K beyond which more carbonate dissolves no faster",
        default=20.0,
        bounds=(0.01, 1e6),
        status="assumed",
    )
    diameter: Any = param(
        "nm",
        doc="hydrodynamic diameter of the particle; 0.5 for bicarbonate",
        default=20.0,
        bounds=(0.1, 200),
        ref="20-100 nm",
        status="assumed",
    )
    diffusivity: Any = param(
        "um^2/h",
        doc="diffusivity of the particle in tissue (3 um^2/s); 1e6 for bicarbonate",
        default=3.0 * 3600.0,
        bounds=(0, 1e7),
        ref="20 nm, handbook 2.7",
        status="derived",
    )
    elimination: Any = elimination_parameter(24.0, "PEG liposomes 10-55 h")
    clearance: Any = clearance_parameter(0.01)
    volume: Any = param(
        "L",
        doc="volume of distribution (3 for particles in a human, 20 for bicarbonate)",
        default=3.0,
        bounds=(1e-4, 100),
        ref="physiology",
        status="from memory",
    )
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return brought("carbonate", "Carbonate", self.diffusivity, "mM")

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return drug_kinetics("carbonate", self.diameter, self.elimination, self.clearance, state, tissue)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        solid = self.agent == "calcium_carbonate"
        speed = self.dissolution * (tissue["acidity"] if solid else 1.0) * inhibition(state["carbonate"], self.limit)
        rate = clock.rate(self.dose)
        if self.route == "intravenous":
            entry = {"carbonate_plasma.source": rate / self.volume}
        else:
            shape = deposit(tissue.grid, self.site, self.width, self.depth)
            entry = {"carbonate.source": depot_nanomolar(rate, shape, tissue)}
        base = (2.0 if solid else 1.0) * speed * state["carbonate"]
        return Effects(add={"buffer_base.source": base, "carbonate.loss": speed, **entry})


class GlycolysisInhibitor(Intervention):
    """u_C ← u_C K_C/(K_C + e), r_C ← r_C (1 − γ_C e/(K_C + e)), T cells alike with K_T: 2-deoxyglucose.

    γ is the share of division that glucose carries (``glycolysis``), so that cells without glucose, or that live of
    other fuel, have nothing to lose. Less lactate of the tumour frees T cells from acid, but T cells live of glycolysis
    themselves: above a best dose their own division falls faster than acid does.
    """

    requires: ClassVar[tuple[str, ...]] = ("glycolysis",)
    reviews: ClassVar[tuple[int, ...]] = (7,)

    dose: Any = dose("mmol", doc="drug into plasma; 63 mg/kg of 2-deoxyglucose is 27 mmol")
    tumour_half: Any = param(
        "mM", doc="level that halves the glycolysis of tumour cells", default=0.5, bounds=(1e-4, 1e3), status="assumed"
    )
    lymphocyte_half: Any = param(
        "mM", doc="level that halves that of T cells", default=3.0, bounds=(1e-4, 1e3), status="assumed"
    )
    diameter: Any = diameter_parameter(0.8, "0.16 kDa")
    diffusivity: Any = diffusivity_parameter(300.0)
    elimination: Any = elimination_parameter(5.0, "2-deoxyglucose in patients")
    clearance: Any = clearance_parameter()
    volume: Any = distribution_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return brought("glycolysis_inhibitor", "Glycolysis inhibitor", self.diffusivity, "mM")

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return drug_kinetics("glycolysis_inhibitor", self.diameter, self.elimination, self.clearance, state, tissue)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        level = state["glycolysis_inhibitor"]
        tumour, lymphocytes = (saturation(level, k) for k in (self.tumour_half, self.lymphocyte_half))
        return Effects(
            scale={
                "tumour_glycolysis": 1.0 - tumour,
                "tumour_division": 1.0 - tissue["tumour_glucose_share"] * tumour,
                "car_t_glycolysis": 1.0 - lymphocytes,
                "car_t_division": 1.0 - tissue["car_t_glucose_share"] * lymphocytes,
            },
            add={"glycolysis_inhibitor_plasma.source": clock.rate(self.dose) / self.volume},
        )


class GlutamineAntagonist(Intervention):
    """r_C ← r_C K/(K + e), u_C ← u_C (1 − x e/(K + e)), r_E ← r_E (1 + g e/(K + e)): DON and its prodrug JHU083.

    Tumour cells divide and breathe less, oxygen and glucose rise; T cells are spared and gain a little (g).
    Where the model carries glucose, its uptake falls by x as well.
    """

    reviews: ClassVar[tuple[int, ...]] = (8,)

    dose: Any = dose("nmol", doc="drug into plasma")
    half: Any = param(
        "nM", doc="level that halves tumour division", default=1000.0, bounds=(0.1, 1e6), status="assumed"
    )
    respiration: Any = param(
        "1", doc="share x of tumour respiration that glutamine carries", default=0.4, bounds=(0, 1), status="assumed"
    )
    benefit: Any = param(
        "1",
        doc="largest relative gain g of CAR-T division",
        default=0.2,
        bounds=(0, 5),
        ref="10-30 %, handbook item 8",
        status="assumed",
    )
    diameter: Any = diameter_parameter(0.8, "0.17 kDa")
    diffusivity: Any = diffusivity_parameter(300.0)
    elimination: Any = elimination_parameter(2.0, "DON")
    clearance: Any = clearance_parameter()
    volume: Any = distribution_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return brought("glutamine_antagonist", "Glutamine antagonist", self.diffusivity)

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return drug_kinetics("glutamine_antagonist", self.diameter, self.elimination, self.clearance, state, tissue)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        level = state["glutamine_antagonist"]
        less = 1.0 - self.respiration * saturation(level, self.half)
        scale = {
            "tumour_division": inhibition(level, self.half),
            "tumour_respiration": less,
            "car_t_division": 1.0 + self.benefit * saturation(level, self.half),
        }
        if "tumour_glycolysis" in tissue.quantities:
            scale["tumour_glycolysis"] = less
        return Effects(scale=scale, add={"glutamine_antagonist_plasma.source": clock.rate(self.dose) / self.volume})


class ArginineSupplement(Intervention):
    """A_v ← A_v + P, dP/dt = dose/V − k P: arginine beyond that of plasma (``plasma_arginine``).

    It reaches tissue through perfused vessels and restores the division of T cells where suppressor cells have eaten
    arginine; the nitric oxide that these make of it rises as well.
    """

    requires: ClassVar[tuple[str, ...]] = ("arginine_metabolism",)
    reviews: ClassVar[tuple[int, ...]] = (9,)

    dose: Any = dose("nmol", doc="arginine into plasma; 30 g is 1.7e8 nmol")
    elimination: Any = elimination_parameter(1.0, "1-2 h")
    volume: Any = distribution_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        level = Species(0.0, kind="compartment", unit="nM", long_name="Arginine supplied to plasma", negligible=100.0)
        return {"arginine_plasma": level}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"arginine_plasma.loss": self.elimination}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        return Effects(
            add={
                "plasma_arginine": state["arginine_plasma"],
                "arginine_plasma.source": clock.rate(self.dose) / self.volume,
            }
        )
