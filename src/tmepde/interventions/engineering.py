"""What is built into CAR-T cells: costimulation, a bystander arm, a sialidase. They belong to all CAR-T cells.

r ← f_r r,   ε ← f_ε ε,   a_EM ← f_M a_EM,   k ← f_k k
"""

from __future__ import annotations

from typing import Any

from tmepde.interventions.base import Effects, Intervention
from tmepde.parameter import param
from tmepde.physiology.populations import bystanders_dying
from tmepde.physiology.rates import saturation

_REF = "handbook 1e"


def _factor(what: str, default: float) -> Any:
    return param("1", doc=f"factor of {what}", default=default, bounds=(0, 20), ref=_REF, status="assumed")


class _Costimulation(Intervention):
    """r ← f_r r, ε ← f_ε ε, a_EM ← f_M a_EM."""

    requires = ("memory_cells",)
    reviews = (21,)

    division: Any = _factor("division", 1.0)
    exhaustion: Any = _factor("exhaustion", 1.0)
    memory: Any = _factor("the formation of memory", 1.0)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        return Effects(
            scale={
                "car_t_division": self.division,
                "car_t_exhaustion": self.exhaustion,
                "memory_formation": self.memory,
            }
        )


class Cd28Costimulation(_Costimulation):
    """r ← 1.3 r, ε ← 1.5 ε, a_EM ← a_EM: a CD28 domain (28z) lets CAR-T cells divide faster and tire sooner."""

    division: Any = _factor("division", 1.3)
    exhaustion: Any = _factor("exhaustion", 1.5)


class Cd137Costimulation(_Costimulation):
    """r ← r, ε ← 0.7 ε, a_EM ← 2 a_EM: a 4-1BB domain (CD137, BBz) lets CAR-T cells last and leave more memory."""

    exhaustion: Any = _factor("exhaustion", 0.7)
    memory: Any = _factor("the formation of memory", 2.0)


class IcosCostimulation(_Costimulation):
    """r ← r, ε ← 0.8 ε, a_EM ← 1.5 a_EM: an ICOS domain makes CAR-T cells persist (Guedan 2018, direction only)."""

    exhaustion: Any = _factor("exhaustion", 0.8)
    memory: Any = _factor("the formation of memory", 1.5)


class Il21CarT(_Costimulation):
    """r ← r, ε ← 0.8 ε, a_EM ← 2 a_EM: CAR-T cells that secrete IL-21 stay young (memory bias, direction only).

    What they secrete acts on themselves; IL-21 is not a field.
    """

    exhaustion: Any = _factor("exhaustion", 0.8)
    memory: Any = _factor("the formation of memory", 2.0)


class TnfCarT(Intervention):
    """λ_C₋ += k I/(I + K), a ← a (1 + g I/(I + K)): bystander killing and open vessels by TNF of engaged CAR-T cells.

    TNF is taken to be where their IFN-γ I is. It kills antigen-negative neighbours within its 35 µm, not beyond, of
    infected ones the share without antigen, and raises adhesion of T cells to vessels. Limits: TNF is not a field of
    its own; healthy neighbours are not counted.
    """

    reviews = (43,)

    rate: Any = param(
        "1/h",
        doc="death rate of antigen-negative cells in plenty of TNF",
        default=0.05,
        bounds=(0, 1),
        status="assumed",
    )
    half: Any = param(
        "nM", doc="IFN-gamma of half effect", default=0.05, bounds=(1e-5, 100), ref="handbook 26", status="assumed"
    )
    adhesion: Any = param("1", doc="relative increase of adhesion", default=1.0, bounds=(0, 20), status="assumed")

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        level = saturation(state["ifn_gamma"], self.half)
        return Effects(scale={"adhesion": 1.0 + self.adhesion * level}, add=bystanders_dying(self.rate * level, state))


class Sialidase(Intervention):
    """k ← f k: a sialidase (NEU1) strips sialic acid from CAR-T and tumour cells, which then hold and kill better."""

    reviews = (43,)

    cytolysis: Any = param(
        "1", doc="factor of killing", default=1.35, bounds=(0, 20), ref="1.2-1.5, handbook 1e", status="assumed"
    )

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        return Effects(scale={"car_t_cytolysis": self.cytolysis})
