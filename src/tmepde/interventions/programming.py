"""CAR-T cells made inside the body."""

from __future__ import annotations

import math
from typing import Any

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import plasma, volume_parameter
from tmepde.parameter import param
from tmepde.physiology.populations import CAR_T, CAR_T_BLOOD, losing
from tmepde.physiology.rates import positive
from tmepde.species import Species

#: cells/µL below which nobody asks what share of them was programmed
_TRACE = 1e-3


def _in_blood(state: Any) -> Any:
    """CAR-T cells/µL of blood, and a trace, so that there is a share of them where there are none."""
    return state["car_t_plasma"] + state["car_t_plasma_memory"] + _TRACE


class InSituProgramming(Intervention):
    """dT/dt += m − δ p T, m = f k v H, dH/dt −= k v H, dv/dt = dose/V − k_el v: a gene turns host T cells into CAR-T.

    With ``"mrna"`` (CD5-targeted lipid particles) the receptor is diluted and lost at δ = 0.4/day, so that doses must
    be repeated; ``"dna"`` (PBAE with a transposon) lasts. p is the share of the CAR-T cells in blood whose receptor is
    transient, dp/dt = (1 − p)(m/T − δ p) − p a/T, since all expand alike: CAR-T cells that were there before, or come
    by an infusion a later (``car_t_arrival``), keep theirs. Limits: tissue has the share of blood, though cells came
    there by another way; other cells are not transfected.
    """

    requires = ("host_t_cells",)
    reviews = (28,)

    dose: Any = dose("nmol", doc="particles into plasma")
    vector: str = choice("mrna", "dna", doc="transient messenger, or a transposon that stays")
    transfection: Any = param(
        "1/(nM h)",
        doc="host T cells programmed per particle level",
        default=0.002,
        bounds=(0, 10),
        ref="a few per cent of T cells, Smith 2017, Parayath 2020",
        status="from memory",
    )
    functional: Any = param(
        "1", doc="programmed cells that go on to expand", default=0.05, bounds=(0, 1), status="assumed"
    )
    dilution: Any = param(
        "1/h",
        doc="loss of a receptor made from messenger (0.4/day)",
        default=0.4 / 24,
        bounds=(0, 1),
        ref="0.3-0.5/day, Rurik 2022 transient",
        status="from memory",
    )
    elimination: Any = param(
        "1/h",
        doc="clearance of particles (half-life 3 h)",
        default=math.log(2.0) / 3.0,
        bounds=(0, 100),
        ref="lipid nanoparticles",
        status="from memory",
    )
    volume: Any = volume_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        share = Species(0.0, kind="compartment", unit="1", long_name="Share with a transient CAR", negligible=1e-3)
        return {"vector_plasma": plasma("Gene carrier in plasma"), "programmed": share}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        arriving = tissue.quantities.get("car_t_arrival", 0.0)
        return {"vector_plasma.loss": self.elimination, "programmed.loss": arriving / _in_blood(state)}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        rate = self.transfection * state["vector_plasma"]
        made = self.functional * rate * state["host_t_plasma"]
        transient = float(self.vector == "mrna")
        dilution, share = transient * self.dilution, state["programmed"]
        lost = dilution * share
        fresh = made / _in_blood(state)
        return Effects(
            add={
                "vector_plasma.source": clock.rate(self.dose) / self.volume,
                "host_t_plasma.loss": rate,
                "car_t_plasma.source": made,
                "programmed.source": transient * fresh,
                "programmed.loss": fresh + dilution * positive(1.0 - share),
                **losing((*CAR_T, *CAR_T_BLOOD), lost, state),
            }
        )
