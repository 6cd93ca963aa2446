"""Memory CAR-T cells in tissue: what is left when antigen is gone, and what answers when it returns.

∂M/∂t = a_EM f (1 − A) E − a_ME A M − δ M          E loses the first and gains the second term
"""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.process import Process
from tmepde.species import Species


class MemoryCells(Process):
    """∂M/∂t = a_EM f (1 − A) E − a_ME A M − δ M: effectors rest without antigen and wake on contact A.

    f is the tissue quantity ``memory_formation`` (1), which costimulation scales. Memory cells are resident: they do
    not move, which makes the field cheap. Limits: recirculating memory is that of ``blood_kinetics``.
    """

    formation: Any = param(
        "1/h", doc="E → M without antigen (0.05/day)", default=0.05 / 24, bounds=(0, 1), status="assumed"
    )
    recall: Any = param("1/h", doc="M → E on antigen (1/day)", default=1 / 24, bounds=(0, 1), status="assumed")
    death: Any = param(
        "1/h", doc="death (0.0032/day)", default=0.0032 / 24, bounds=(0, 0.1), ref="Stein 2019 beta", status="seen"
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        return {"car_t_memory": Species(0.0, 0.0, None, 5.0, "local", "cells/mm^3", "Memory CAR-T cells")}

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"memory_formation": 1.0}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        contact = tissue["antigen_contact"]
        rest, wake = self.formation * tissue["memory_formation"] * (1.0 - contact), self.recall * contact
        return {
            "car_t.loss": rest,
            "car_t.source": wake * state["car_t_memory"],
            "car_t_memory.source": rest * state["car_t"],
            "car_t_memory.loss": wake,
            "car_t_memory.death": self.death,
        }
