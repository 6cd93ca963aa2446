"""How tumour cells die of T cells, and what weakens the killers.

kill = k f E C₊/(h + E + C₊)         f = 1/((1 + T/K_T)(1 + (P/P₅₀)²)) · (m + (1 − m) O/(O + K_O)) · milieu

Signals of an optional milieu (adenosine, kynurenine, acid, suppressor cells; tissue quantities of base 0) weaken
killers further; where no process makes them their factors are 1.
"""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.physiology.populations import antigen_positive, antigen_share, bystanders_dying
from tmepde.physiology.rates import hill, inhibition, saturation
from tmepde.process import Process


class AntigenContact(Process):
    """A = C/(K + C), C = C₊ + p I: the share of CAR-T cells that touch antigen, tissue ``antigen_contact``.

    Of infected cells I, where a model has them, p = C₊/(C₊ + C₋) show it.
    """

    half: Any = param(
        "cells/mm^3",
        doc="target density of half-maximal contact",
        default=1e4,
        bounds=(1, 1e6),
        ref="handbook 2.2",
        status="assumed",
    )

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"antigen_contact": saturation(antigen_positive(state), self.half)}


class CheckpointEngagement(Process):
    """P = p₀ (1 + (m − 1) I/(I + K)): bound PD-1 per µm², adaptive to IFN-γ; tissue ``pd1_engagement``."""

    baseline: Any = param(
        "1/um^2",
        doc="PD-1 engaged without interferon",
        default=1.0,
        bounds=(0, 100),
        ref="handbook 26",
        status="assumed",
    )
    induction: Any = param(
        "1",
        doc="largest fold increase by interferon",
        default=6.0,
        bounds=(1, 50),
        ref="SPQSP r_PDL1_IFNg",
        status="seen",
    )
    interferon_half: Any = param(
        "nM",
        doc="IFN-gamma of half-maximal induction",
        default=0.05,
        bounds=(1e-5, 100),
        ref="handbook 26",
        status="assumed",
    )

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        induced = (self.induction - 1.0) * saturation(state["ifn_gamma"], self.interferon_half)
        return {"pd1_engagement": self.baseline * (1.0 + induced)}


class TgfBetaSignal(Process):
    """Tissue ``tgf_beta_signal`` (nM) = T: what receptors see; a trap or receptor blocker scales it."""

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"tgf_beta_signal": state["tgf_beta"]}


class Killing(Process):
    """λ_C₊ = k f_TGF f_PD1 f_O f_milieu E/(h + E + C₊): saturates in both, 2–16 kills/effector/day in crowds.

    Cytolysis survives hypoxia: f_O = 0.7 + 0.3 O/(O + 8 mmHg) (Berahovich 2019). At low densities the law is mass
    action with k/h. f_milieu = 1/((1 + A/K_A)(1 + Y/K_Y)(1 + S/K_S)) · (w + (1 − w)/(1 + (H/K_H)²)) with adenosine A,
    kynurenine Y, suppressor cells S and acid H = 7.4 − pH: acid takes half of the killing (Fischer 2007), and what acts
    is acid, not lactate (Mendler 2012). Engineering scales ``car_t_cytolysis`` (base 1). Infected
    cells are targets as far as they show antigen: the share p = C₊/(C₊ + C₋), the rest by ``delivered_antigen``.
    """

    rate: Any = param(
        "1/h",
        doc="kills per effector in plenty of targets",
        default=5 / 24,
        bounds=(0, 5),
        ref="within 2-16/day, Halle 2016",
        status="derived",
    )
    half: Any = param(
        "cells/mm^3",
        doc="double-saturation constant",
        default=4e4,
        bounds=(1, 1e7),
        ref="10 % packing",
        status="assumed",
    )
    tgf_beta_half: Any = param(
        "nM",
        doc="TGF-beta that halves killing",
        default=0.14,
        bounds=(1e-4, 100),
        ref="SPQSP PDAC TGFb_50_Teff",
        status="seen",
    )
    pd1_half: Any = param(
        "1/um^2",
        doc="engaged PD-1 that halves killing",
        default=6.0,
        bounds=(1e-3, 1e3),
        ref="SPQSP PDAC PD1_50, n = 2",
        status="seen",
    )
    anoxic_share: Any = param(
        "1", doc="cytolysis left without oxygen", default=0.7, bounds=(0, 1), ref="Berahovich 2019", status="derived"
    )
    oxygen_half: Any = param(
        "mmHg",
        doc="pO2 at which half of the rest is left",
        default=8.0,
        bounds=(0.01, 50),
        ref="Berahovich 2019",
        status="derived",
    )

    adenosine_half: Any = param(
        "nM",
        doc="adenosine that halves killing",
        default=1000.0,
        bounds=(1.0, 1e6),
        ref="A2aR, handbook table",
        status="from memory",
    )
    kynurenine_half: Any = param(
        "nM", doc="kynurenine that halves killing", default=2e4, bounds=(1.0, 1e7), ref="Shao 2021", status="assumed"
    )
    suppressor_half: Any = param(
        "cells/mm^3", doc="suppressor cells that halve killing", default=2e4, bounds=(1, 1e7), status="assumed"
    )
    acid_half: Any = param(
        "1",
        doc="drop of pH below 7.4 of half effect",
        default=0.5,
        bounds=(0.01, 5),
        ref="Fischer 2007: 20 mM lactic acid",
        status="derived",
    )
    acid_floor: Any = param(
        "1",
        doc="killing left in strong acid",
        default=0.5,
        bounds=(0, 1),
        ref="Fischer 2007, cytotoxicity -50 %",
        status="seen",
    )

    def milieu(self, tissue: Any) -> Any:
        """f_milieu: 1 where no process makes the signals."""
        free = inhibition(tissue["adenosine_signal"], self.adenosine_half)
        free = free * inhibition(tissue["kynurenine_signal"], self.kynurenine_half)
        free = free * inhibition(tissue["suppressor_signal"], self.suppressor_half)
        return free * (1.0 - (1.0 - self.acid_floor) * hill(tissue["acidity"], self.acid_half, 2))

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        suppression = inhibition(tissue["tgf_beta_signal"], self.tgf_beta_half)
        suppression = suppression * inhibition(tissue["pd1_engagement"], self.pd1_half, 2)
        suppression = suppression * self.milieu(tissue) * tissue["car_t_cytolysis"]
        oxygen = self.anoxic_share + (1.0 - self.anoxic_share) * saturation(state["oxygen"], self.oxygen_half)
        seen = {"tumour": 1.0}
        if "tumour_infected" in state:
            native = antigen_share(state)
            seen["tumour_infected"] = native + (1.0 - native) * tissue["delivered_antigen"]
        effectors, targets = state["car_t"], sum(share * state[name] for name, share in seen.items())
        death = self.rate * suppression * oxygen * (effectors / (self.half + effectors + targets))
        killed = {name: share * death for name, share in seen.items()}
        return {f"{name}.{channel}": one for name, one in killed.items() for channel in ("death", "lysis")}


class BystanderKilling(Process):
    """λ_C₋ = k I/(I + K): IFN-γ from engaged CAR-T kills antigen-negative neighbours. Off by default (rate 0).

    Of infected cells the share without antigen, 1 − p, dies as well.
    """

    rate: Any = param(
        "1/h",
        doc="death rate in plenty of interferon; 0.02-0.05 is a good value",
        default=0.0,
        bounds=(0, 1),
        status="assumed",
    )
    interferon_half: Any = param(
        "nM", doc="IFN-gamma of half-maximal kill", default=0.05, bounds=(1e-5, 100), status="assumed"
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return bystanders_dying(self.rate * saturation(state["ifn_gamma"], self.interferon_half), state)
