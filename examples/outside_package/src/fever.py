"""A therapy in a package of its own: whole-body heat of the fever range, which opens vessels to T cells."""

from typing import Any

from tmepde import Effects, Intervention, param
from tmepde.interventions.base import dose


class FeverRangeHeat(Intervention):
    """a ← a (1 + g h), f_p ← f_p (1 + w h), h hours of heat per hour: adhesion and perfusion rise while it lasts."""

    sessions: Any = dose("h", doc="hours at 39.5 degrees, at most one per hour")
    adhesion: Any = param(
        "1", doc="relative gain of adhesion", default=1.0, bounds=(0, 10), ref="Chen 2006, ICAM-1", status="assumed"
    )
    perfusion: Any = param("1", doc="relative gain of perfusion", default=0.3, bounds=(0, 3), status="assumed")

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        heat = clock.rate(self.sessions)
        return Effects(scale={"adhesion": 1 + self.adhesion * heat, "perfusion": 1 + self.perfusion * heat})
