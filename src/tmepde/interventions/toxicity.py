"""Against what CAR-T cells do to the rest of the body: receptor blockers, scavengers, steroids, a switch.

All are drugs in plasma, dP/dt = dose/V − k P, and act on what :class:`~tmepde.physiology.CytokineRelease` follows.
"""

from __future__ import annotations

import math
from typing import Any

from tmepde.interventions.base import Effects, Intervention, dose
from tmepde.interventions.delivery import plasma
from tmepde.parameter import param
from tmepde.physiology.populations import CAR_T, CAR_T_BLOOD, FAP_CAR_T, FAP_CAR_T_BLOOD, WAITING, dying, losing
from tmepde.physiology.rates import inhibition, saturation


def _elimination(hours: float, ref: str) -> Any:
    text = f"clearance (half-life {hours:g} h)"
    return param("1/h", doc=text, default=math.log(2.0) / hours, bounds=(0, 100), ref=ref, status="from memory")


def _volume(litres: float, ref: str = "label") -> Any:
    return param("L", doc="volume of distribution", default=litres, bounds=(1e-4, 1000), ref=ref, status="from memory")


def _half(doc: str, default: float, ref: str = "") -> Any:
    return param("nM", doc=doc, default=default, bounds=(1e-4, 1e6), ref=ref, status="assumed")


class Tocilizumab(Intervention):
    """s₆ ← s₆/(1 + P/K), r ← 1 − w P/(K + P): an antibody on the IL-6 receptor.

    IL-6 signals less but is cleared less, so that its level rises; the antibody does not pass the blood-brain barrier,
    and there the risen IL-6 acts unblocked.
    """

    requires = ("cytokine_release",)
    reviews = (45,)

    dose: Any = dose("nmol", doc="antibody into plasma; 8 mg/kg are 3800 nmol")
    affinity: Any = _half("level that blocks half the receptors", 2.5, "Kd")
    receptor_clearance: Any = param(
        "1", doc="share of the clearance of IL-6 by its receptor", default=0.9, bounds=(0, 1), status="assumed"
    )
    elimination: Any = _elimination(240.0, "10 days at high levels")
    volume: Any = _volume(5.0)

    def species(self, grid: Any) -> dict[str, Any]:
        return {"tocilizumab_plasma": plasma("Tocilizumab in plasma")}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"tocilizumab_plasma.loss": self.elimination}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        level = state["tocilizumab_plasma"]
        return Effects(
            scale={
                "il6_signal": inhibition(level, self.affinity),
                "il6_clearance": 1.0 - self.receptor_clearance * saturation(level, self.affinity),
            },
            add={"tocilizumab_plasma.source": clock.rate(self.dose) / self.volume},
        )


class Anakinra(Intervention):
    """s₁ ← s₁/(1 + P/K): IL-1 receptor antagonist; less IL-6 follows, and it acts behind the blood-brain barrier too.

    Short-lived: it is given every few hours.
    """

    requires = ("cytokine_release",)
    reviews = (45,)

    dose: Any = dose("nmol", doc="antagonist into plasma; 100 mg are 5800 nmol")
    affinity: Any = _half("level that blocks half of IL-1; a large excess is needed", 10.0, "excess over Kd 0.1 nM")
    elimination: Any = _elimination(5.0, "4-6 h")
    volume: Any = _volume(10.0)

    def species(self, grid: Any) -> dict[str, Any]:
        return {"anakinra_plasma": plasma("Anakinra in plasma")}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"anakinra_plasma.loss": self.elimination}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        return Effects(
            scale={"il1_signal": inhibition(state["anakinra_plasma"], self.affinity)},
            add={"anakinra_plasma.source": clock.rate(self.dose) / self.volume},
        )


class CytokineScavenger(Intervention):
    """λ_IL-6 += k₆ P, λ_IL-1 += k₁ P: antibodies or coated particles that take cytokines out of plasma."""

    requires = ("cytokine_release",)
    reviews = (45,)

    dose: Any = dose("nmol", doc="scavenger into plasma")
    il6_binding: Any = param("1/(nM h)", doc="uptake of IL-6", default=0.02, bounds=(0, 100), status="assumed")
    il1_binding: Any = param("1/(nM h)", doc="uptake of IL-1", default=0.02, bounds=(0, 100), status="assumed")
    elimination: Any = _elimination(48.0, "antibody or long-lived particle")
    volume: Any = _volume(3.0, "plasma")

    def species(self, grid: Any) -> dict[str, Any]:
        return {"scavenger_plasma": plasma("Cytokine scavenger in plasma")}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"scavenger_plasma.loss": self.elimination}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        level = state["scavenger_plasma"]
        return Effects(
            add={
                "il6_plasma.loss": self.il6_binding * level,
                "il1_plasma.loss": self.il1_binding * level,
                "scavenger_plasma.source": clock.rate(self.dose) / self.volume,
            }
        )


class Corticosteroid(Intervention):
    """f ← 1 − w P/(K + P) for the cytokines of macrophages, and less division and more death of CAR-T cells.

    Dexamethasone calms at the price of CAR-T cells, memory among them, and of endogenous T cells; regulatory ones are
    spared. How high the price is, is disputed: expansion in blood did not differ in Stein 2019, so that only cells in
    tissue pay here.
    """

    requires = ("cytokine_release",)
    reviews = (45,)

    dose: Any = dose("nmol", doc="dexamethasone; 10 mg are 25500 nmol")
    half: Any = _half("level of half effect", 20.0, "glucocorticoid receptor, 5-30 nM")
    calm: Any = param("1", doc="cytokine secretion lost at most", default=0.9, bounds=(0, 1), status="assumed")
    division_loss: Any = param("1", doc="division lost at most", default=0.5, bounds=(0, 1), status="assumed")
    secretion_loss: Any = param("1", doc="IFN-gamma lost at most", default=0.7, bounds=(0, 1), status="assumed")
    death: Any = param(
        "1/h", doc="death of T cells at most (0.2/day)", default=0.2 / 24, bounds=(0, 1), status="assumed"
    )
    elimination: Any = _elimination(36.0, "biological half-life 36-54 h")
    volume: Any = _volume(50.0)

    def species(self, grid: Any) -> dict[str, Any]:
        return {"dexamethasone_plasma": plasma("Dexamethasone, by effect")}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"dexamethasone_plasma.loss": self.elimination}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        taken = saturation(state["dexamethasone_plasma"], self.half)
        return Effects(
            scale={
                "cytokine_secretion": 1.0 - self.calm * taken,
                "car_t_division": 1.0 - self.division_loss * taken,
                "car_t_secretion": 1.0 - self.secretion_loss * taken,
            },
            add={
                **dying((*CAR_T, FAP_CAR_T, "endogenous_t"), self.death * taken, state),
                "dexamethasone_plasma.source": clock.rate(self.dose) / self.volume,
            },
        )


class SuicideSwitch(Intervention):
    """λ_T += k P/(K + P) for all CAR-T cells: a dimeriser sets off inducible caspase 9.

    Nine tenths are gone within an hour, in blood and tissue alike, memory and exhausted cells among them; the effect on
    the tumour goes with them. The switch is taken to be in every CAR-T cell given, FAP-CAR-T cells too, and the drug to
    soak a scaffold, a film, needles or a cavity as it does tissue.
    """

    reviews = (45,)

    dose: Any = dose("nmol", doc="rimiducid; 0.4 mg/kg are 2e4 nmol")
    rate: Any = param(
        "1/h",
        doc="death in plenty of dimeriser (90 % in 1 h)",
        default=math.log(10.0),
        bounds=(0, 100),
        ref="90 % within 30 min to hours, Di Stasi 2011",
        status="from memory",
    )
    half: Any = _half("level of half effect", 10.0)
    elimination: Any = _elimination(5.0, "rimiducid")
    volume: Any = _volume(30.0)

    def species(self, grid: Any) -> dict[str, Any]:
        return {"dimeriser_plasma": plasma("Dimeriser in plasma")}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"dimeriser_plasma.loss": self.elimination}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        rate = self.rate * saturation(state["dimeriser_plasma"], self.half)
        return Effects(
            add={
                **dying((*CAR_T, FAP_CAR_T), rate, state),
                **losing((*CAR_T_BLOOD, FAP_CAR_T_BLOOD, *WAITING), rate, state),
                "dimeriser_plasma.source": clock.rate(self.dose) / self.volume,
            }
        )
