"""Therapies that kill at once."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp

from tmepde.interventions.base import Effects, Intervention, dose
from tmepde.interventions.delivery import drug_kinetics, interstitial, plasma
from tmepde.interventions.drugs import distribution_parameter, elimination_parameter
from tmepde.parameter import param
from tmepde.physiology.populations import ANY_T_CELL, ANY_T_CELL_BLOOD, TUMOUR, dying, losing, present
from tmepde.physiology.rates import saturation
from tmepde.species import Species

#: h, in which the memory of oxygen follows it: a fraction at the start of a run must find it
_MEMORY = 1e-4
#: what its errors are measured against, so that no step is made for them: the memory is in balance when it is read
_UNJUDGED = 1e6


class Radiotherapy(Intervention):
    """−ln S = Σᵢ (α dᵢ m + β dᵢ² m²), m = (O·OER + K)/((O + K) OER): linear-quadratic, modified by oxygen.

    The law is applied per fraction and in proportion to the part of the fraction that falls into a step, with the
    oxygen O that there was before the fraction (dz/dt = (O − z)/τ between fractions, 0 during one): cells that will die
    still breathe, so that the kill does not depend on the step. T cells of any kind in the field die with their own α;
    those in blood are spared, and so are myeloid cells and fibroblasts. For days after, dx/dt = dose rate − x/τ,
    endothelium holds T cells better and the tumour calls them: adhesion and chemokine × (1 + g x/(x + x_h)), which low
    doses already do.
    """

    reviews: ClassVar[tuple[int, ...]] = (16, 37)
    records: ClassVar[tuple[str, ...]] = ("radiation_oxygen", "radiation_oxygen_weight")

    dose: Any = dose("Gy", doc="fractions; 2 Gy each is usual")
    alpha: Any = param(
        "1/Gy",
        doc="linear radiosensitivity of tumour cells",
        default=0.3,
        bounds=(0, 2),
        ref="handbook, item 37",
        status="from memory",
    )
    beta: Any = param(
        "1/Gy^2",
        doc="quadratic radiosensitivity of tumour cells",
        default=0.03,
        bounds=(0, 1),
        ref="alpha/beta 10 Gy",
        status="from memory",
    )
    enhancement: Any = param(
        "1", doc="oxygen enhancement ratio", default=3.0, bounds=(1, 5), ref="handbook, item 37", status="from memory"
    )
    oxygen_half: Any = param(
        "mmHg",
        doc="pO2 of half enhancement",
        default=3.0,
        bounds=(0.01, 50),
        ref="handbook, item 37",
        status="from memory",
    )
    lymphocyte_alpha: Any = param(
        "1/Gy", doc="radiosensitivity of T cells", default=0.8, bounds=(0, 5), ref="0.6-1 /Gy", status="from memory"
    )

    adhesion_gain: Any = param(
        "1", doc="largest rise of T-cell adhesion (ICAM-1)", default=1.0, bounds=(0, 20), ref="handbook 37, direction"
    )
    chemokine_gain: Any = param(
        "1", doc="largest rise of chemokine", default=1.0, bounds=(0, 20), ref="handbook 37, direction"
    )
    recruiting_dose: Any = param(
        "Gy", doc="dose of half the recruitment", default=1.0, bounds=(0.01, 50), ref="2 Gy mainly recruits"
    )
    recruiting_time: Any = param("h", doc="time that recruitment lasts", default=72.0, bounds=(1, 1000), ref="days")

    def species(self, grid: Any) -> dict[str, Any]:
        level = Species(0.0, kind="compartment", unit="Gy", long_name="Dose still felt by endothelium", negligible=1e-2)
        known = Species(0.0, kind="compartment", unit="1", long_name="Memory of oxygen, weight", negligible=_UNJUDGED)
        before = Species(0.0, kind="local", unit="mmHg", long_name="Oxygen before a fraction", negligible=_UNJUDGED)
        return {"radiation_response": level, "radiation_oxygen": before, "radiation_oxygen_weight": known}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {
            "radiation_response.loss": 1.0 / self.recruiting_time,
            "radiation_oxygen.source": state["oxygen"] / _MEMORY,
            "radiation_oxygen.loss": 1.0 / _MEMORY,
            "radiation_oxygen_weight.source": 1.0 / _MEMORY,
            "radiation_oxygen_weight.loss": 1.0 / _MEMORY,
        }

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        weight = state["radiation_oxygen_weight"]
        known = weight > 0.5  # not in the first step of a run
        oxygen = jnp.where(known, state["radiation_oxygen"] / jnp.where(known, weight, 1.0), state["oxygen"])
        follows = jnp.where((clock.rate(self.dose) > 0) & known, 0.0, 1.0)
        modifier = (oxygen * self.enhancement + self.oxygen_half) / ((oxygen + self.oxygen_half) * self.enhancement)
        linear = jnp.sum(clock.doses(self.dose))
        quadratic = jnp.sum(clock.doses(self.dose) * self.dose.amount)  # Σ fraction_i d_i²
        tumour = self.alpha * linear * modifier + self.beta * quadratic * modifier**2
        lymphocytes = self.lymphocyte_alpha * linear * jnp.ones_like(oxygen)
        felt = saturation(state["radiation_response"], self.recruiting_dose)
        return Effects(
            scale={
                "adhesion": 1.0 + self.adhesion_gain * felt,
                "chemokine.source": 1.0 + self.chemokine_gain * felt,
                **{
                    f"radiation_oxygen{which}.{term}": follows
                    for which in ("", "_weight")
                    for term in ("source", "loss")
                },
            },
            add={"radiation_response.source": clock.rate(self.dose)},
            hazard={
                **dict.fromkeys(present(TUMOUR, state), tumour),
                **dict.fromkeys(present(ANY_T_CELL, state), lymphocytes),
            },
        )


class NabPaclitaxel(Intervention):
    """λ = k e/(e + K) for tumour cells, fibroblasts and T cells, each with its k; P and e as any drug through the wall.

    Chemotherapy on albumin kills tumour cells and the fibroblasts that keep vessels compressed: within days hyaluronan
    falls, perfusion rises. T cells die too while the drug lasts, 1–3 days: give it before CAR-T cells, not with them.
    That goes for every kind of T cell, in blood too. Where no vessel is perfused there is no drug. Limits: SPARC is not
    resolved, resistance does not arise, myeloid cells are spared.
    """

    requires: ClassVar[tuple[str, ...]] = ("fibroblasts",)
    reviews: ClassVar[tuple[int, ...]] = (36,)

    dose: Any = dose("nmol", doc="drug into plasma; 125 mg/m^2 is 2.6e5 nmol")
    tumour_kill: Any = param("1/h", doc="largest death rate of tumour cells", default=0.03, bounds=(0, 1))
    fibroblast_kill: Any = param("1/h", doc="largest death rate of fibroblasts", default=0.05, bounds=(0, 1))
    lymphocyte_kill: Any = param("1/h", doc="largest death rate of T cells", default=0.05, bounds=(0, 1))
    half: Any = param("nM", doc="level of half effect in tissue", default=200.0, bounds=(1e-2, 1e6), status="assumed")
    diameter: Any = param(
        "nm", doc="hydrodynamic diameter of drug on albumin", default=7.0, bounds=(0.1, 200), ref="albumin"
    )
    diffusivity: Any = param(
        "um^2/h", doc="diffusivity in tissue (20 um^2/s)", default=20.0 * 3600, bounds=(0, 1e7), ref="albumin, order"
    )
    elimination: Any = elimination_parameter(15.0, "nab-paclitaxel 13-27 h")
    clearance: Any = param(
        "1/h", doc="loss in tissue (half-life 14 h)", default=0.05, bounds=(0, 100), ref="toxic for 1-3 days"
    )
    volume: Any = distribution_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {
            "nab_paclitaxel": interstitial("nab-Paclitaxel", self.diffusivity),
            "nab_paclitaxel_plasma": plasma("nab-Paclitaxel in plasma"),
        }

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return drug_kinetics("nab_paclitaxel", self.diameter, self.elimination, self.clearance, state, tissue)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        local = saturation(state["nab_paclitaxel"], self.half)
        blood = self.lymphocyte_kill * saturation(state["nab_paclitaxel_plasma"], self.half)
        return Effects(
            add={
                "nab_paclitaxel_plasma.source": clock.rate(self.dose) / self.volume,
                "fibroblast.death": self.fibroblast_kill * local,
                **dying(TUMOUR, self.tumour_kill * local, state),
                **dying(ANY_T_CELL, self.lymphocyte_kill * local, state),
                **losing(ANY_T_CELL_BLOOD, blood, state),
            }
        )
