"""Kuznetsov et al. 1994: cytotoxic lymphocytes and an immunogenic tumour, dormancy and escape.

    dE/dt = s + p E T/(g + T) − m E T − d E          dT/dt = a T (1 − b T) − n E T

Steady states: no tumour, E = s/d = 3.155e5 cells (a saddle); a dormant tumour T = 8.186e6, E = 1.608e6 (a stable
spiral, −0.00552 ± 0.0634 i per day); a saddle at T = 2.680e8; an escaped tumour T = 4.470e8, E = 1.732e5 (stable).
"""

from __future__ import annotations

from typing import Any, ClassVar

from tmepde.grid import Grid
from tmepde.library.published.base import PublishedModel, per_day
from tmepde.model import Model
from tmepde.parameter import param
from tmepde.species import Species
from tmepde.units import day

_REF = "Kuznetsov et al. 1994, Bull. Math. Biol. 56:295"


def _cells(doc: str, default: float, status: str = "seen", ref: str = _REF) -> Any:
    return param("1", doc=f"{doc} (cells)", default=default, bounds=(0, 1e12), ref=ref, status=status)


class Kuznetsov1994(PublishedModel):
    """dE/dt = s + p E T/(g + T) − m E T − d E, dT/dt = a T (1 − b T) − n E T, in cells of a well-mixed tumour."""

    influx: Any = param(
        "1/h", doc="s, effectors that arrive (1.3e4/day)", default=1.3e4 / day, bounds=(0, 1e9), ref=_REF, status="seen"
    )
    recruitment: Any = per_day("p, largest recruitment per effector", 0.1245, _REF)
    recruitment_half: Any = _cells("g, tumour of half recruitment", 2.019e7)
    inactivation: Any = per_day("m, effectors lost per tumour cell", 3.422e-10, _REF)
    death: Any = per_day("d, death of effectors", 0.0412, _REF)
    growth: Any = per_day("a, growth of the tumour", 0.18, _REF)
    crowding: Any = param(
        "1", doc="b, inverse of the capacity (per cell)", default=2e-9, bounds=(0, 1), ref=_REF, status="seen"
    )
    kill: Any = per_day("n, tumour cells lost per effector", 1.101e-7, _REF)
    effector_start: Any = _cells("effectors at the start", 3.2e5, "assumed", "near s/d, the state without a tumour")
    tumour_start: Any = _cells("tumour cells at the start", 5e5, "assumed", "")

    name: ClassVar[str] = "kuznetsov_1994"

    def build(self, grid: Grid) -> Model:
        species = {
            "effector": Species(self.effector_start, kind="local", negligible=1.0, long_name="Effector cells"),
            "tumour": Species(self.tumour_start, kind="local", negligible=1.0, long_name="Tumour cells"),
        }
        return Model(grid, species, {self.name: self})

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        effector, tumour = state["effector"], state["tumour"]
        return {
            "effector.source": self.influx + self.recruitment * effector * tumour / (self.recruitment_half + tumour),
            "effector.loss": self.inactivation * tumour + self.death,
            "tumour.source": self.growth * tumour,
            "tumour.loss": self.growth * self.crowding * tumour + self.kill * effector,
        }
