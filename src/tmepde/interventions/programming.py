"""CAR-T cells made inside the body."""

from __future__ import annotations

import math
from typing import Any

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import plasma, volume_parameter
from tmepde.parameter import param
from tmepde.physiology.rates import saturation
from tmepde.species import Species


class InSituProgramming(Intervention):
    """dT/dt += f k v H, dH/dt −= k v H, dv/dt = dose/V − k_el v: particles with a gene turn host T cells into CAR-T.

    With ``"mrna"`` (CD5-targeted lipid particles) the receptor is diluted and lost at 0.4/day in blood and tissue, so
    that doses must be repeated; ``"dna"`` (PBAE with a transposon) lasts. Limits: the dilution takes all CAR-T cells of
    the model once any were programmed; transfection of other cells is not followed.
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
        made = Species(0.0, kind="compartment", unit="cells/uL", long_name="CAR-T cells programmed", negligible=1e-3)
        return {"vector_plasma": plasma("Gene carrier in plasma"), "programmed": made}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"vector_plasma.loss": self.elimination}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        rate = self.transfection * state["vector_plasma"]
        made = self.functional * rate * state["host_t_plasma"]
        lost = self.dilution * saturation(state["programmed"], 1e-3) if self.vector == "mrna" else 0.0
        return Effects(
            add={
                "vector_plasma.source": clock.rate(self.dose) / self.volume,
                "host_t_plasma.loss": rate,
                "car_t_plasma.source": made,
                "programmed.source": made,
                **{f"{n}.loss": lost for n in ("car_t", "car_t_exhausted", "car_t_plasma", "car_t_plasma_memory")},
            }
        )
