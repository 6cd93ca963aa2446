"""IL-15 on the surface of CAR-T cells, and the same cytokine given freely.

    ∂b/∂t = −∇·J_E(b) + entry − (k₀ + k_a A) b − λ_E b,      s_IL-15 = (k₀ + k_a A) b/φ_i     b nmol per litre of tissue

Division leaves b as it is and halves what each cell carries.
"""

from __future__ import annotations

from typing import Any

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import (
    ROUTES,
    deposit,
    depth_parameter,
    site_parameter,
    volume_parameter,
    width_parameter,
)
from tmepde.parameter import param
from tmepde.physiology.vessels import CARGO
from tmepde.species import Species

_PLASMA = f"{CARGO}_plasma"
#: nmol/mm³ in nM
_PER_LITRE = 1e6


class CytokineBackpack(Intervention):
    """∂b/∂t = −∇·J_E(b) + entry − (k₀ + k_a A) b − λ_E b: IL-15 superagonist nanogels ride on CAR-T cells.

    The gel lets go where the receptor is engaged (its cross-links are reduced at the surface of an activated T cell),
    so that the cytokine is where antigen is and little of it in plasma. b moves, dies and leaves with its cells;
    division dilutes it per cell. Cells that are injected into the tissue bring all of it there: give ``route``,
    ``site`` and ``width`` as for these cells. Limits: of an infusion, cells that do not engraft take their load along
    but for ``leak``; the load does not slow the cells.
    """

    requires = ("growth_factor_plasma",)
    reviews = (19,)

    dose: Any = dose("nmol", doc="cytokine on the infused cells; 1e7 cells with 2.5e7 molecules each carry 0.4 nmol")
    route: str = choice(*ROUTES, doc="that of the cells: into blood, or a depot in the tissue")
    engraftment: Any = param(
        "1",
        doc="share of cells infused into blood that goes on, as in cell_infusion",
        default=4.6e-4,
        bounds=(0, 1),
        ref="36/3900 cells/uL x 5 L/1e8 cells",
        status="derived",
    )
    basal: Any = param(
        "1/h", doc="release without antigen (half-life 9 days)", default=0.0032, bounds=(0, 10), status="assumed"
    )
    triggered: Any = param(
        "1/h",
        doc="release added on antigen contact (half-life 28 h)",
        default=0.025,
        bounds=(0, 10),
        ref="Tang 2018: release over a week, faster on TCR triggering",
        status="assumed",
    )
    leak: Any = param(
        "1",
        doc="share of the load of cells that do not engraft which reaches plasma",
        default=0.05,
        bounds=(0, 1),
        status="assumed",
    )
    blood_loss: Any = param(
        "1/h", doc="loss of carriers in blood", default=0.16 / 24, bounds=(0, 10), ref="Stein 2019", status="seen"
    )
    volume: Any = volume_parameter()
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

    def species(self, grid: Any) -> dict[str, Any]:
        return {
            CARGO: Species(0.0, unit="nM", long_name="Cytokine carried, per tissue", negligible=1e-3, carrier="car_t"),
            _PLASMA: Species(
                0.0, kind="compartment", unit="nM", long_name="Cytokine carried, per blood", negligible=1e-4
            ),
        }

    def release(self, tissue: Any) -> Any:
        """k₀ + k_a A in 1/h."""
        return self.basal + self.triggered * tissue["antigen_contact"]

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {f"{CARGO}.loss": self.release(tissue), f"{_PLASMA}.loss": self.basal + self.blood_loss}

    def arrival(self, rate: Any, tissue: Any) -> dict[str, Any]:
        """Where ``rate`` nmol/h on the cells goes: blood, less what stays behind with most of them, or tissue."""
        if self.route == "intratumoral":
            shape = deposit(tissue.grid, self.site, self.width, self.depth)
            return {f"{CARGO}.source": _PER_LITRE * rate * shape}
        lost = self.leak * (1.0 - self.engraftment) * rate / self.volume
        return {f"{_PLASMA}.source": self.engraftment * rate / self.blood_volume, "growth_factor_plasma.source": lost}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        add = self.arrival(clock.rate(self.dose), tissue)
        shed = self.basal * state[_PLASMA] * self.blood_volume / self.volume
        add["growth_factor_plasma.source"] = add.get("growth_factor_plasma.source", 0.0) + shed
        add["growth_factor.source"] = self.release(tissue) * state[CARGO] / tissue["interstitium"]
        return Effects(add=add)


class FreeCytokine(Intervention):
    """dP/dt += dose/V: IL-15 superagonist into plasma, from where it passes the vessel wall.

    All of it passes through plasma, which limits the dose.
    """

    requires = ("growth_factor_plasma",)
    reviews = (19, 21)

    dose: Any = dose("nmol", doc="cytokine into plasma")
    volume: Any = volume_parameter()

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        return Effects(add={"growth_factor_plasma.source": clock.rate(self.dose) / self.volume})
