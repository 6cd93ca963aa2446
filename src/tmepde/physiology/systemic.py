"""Cytokine release syndrome and neurotoxicity: what killing does to the rest of the body (levels in pg/mL of plasma).

    K = V_t ∫k_lysis C₊ dV/∫w dV                   kills per hour of the whole tumour, w nests at the start
    dI/dt = (y_I K + q_I B)/V_p − k_I I            IFN-γ;  GM-CSF (G) alike;  B = V_b T_blood S/(K_S + S)
    dM/dt = a x²/(1 + x²) (1 − M) − d M            macrophages activated,  x = I/K_I + G/K_G
    dL₁/dt = f p₁ M − k₁ L₁                        IL-1
    dL₆/dt = k₆ L₆⁰ + f p₆ M (1 + g s₁/(K₁ + s₁)) − k₆ r L₆        IL-6,  s₁ = IL-1 that receptors see
    dN/dt = (n − N)/τ,  n = b (w₁ s₁/K₁ + w₆ L₆/K₆ + w_I I/K_N)    nervous system behind its barrier

s₁ and s₆ (tissue ``il1_signal``, ``il6_signal``) are what receptor blockers scale; r (``il6_clearance``) falls with a
block of the IL-6 receptor, through which IL-6 is cleared, so that its level rises, and behind the barrier nobody blocks
it. f is ``cytokine_secretion``. Peak, exposure and kills are kept as compartments. Numbers are of the right order in
patients, not fitted to any: grades are indices.
"""

from __future__ import annotations

import math
from typing import Any

from tmepde.parameter import param
from tmepde.physiology.plasma import compartment, per_nest, plasma_volume_parameter, tumour_volume_parameter
from tmepde.physiology.populations import TUMOUR
from tmepde.physiology.rates import hill, positive, saturation
from tmepde.process import Process


def _yield(doc: str, default: float, ref: str) -> Any:
    return param("pg/cell", doc=doc, default=default, bounds=(0, 100), ref=ref, status="assumed")


def _half(doc: str, default: float) -> Any:
    return param("pg/mL", doc=doc, default=default, bounds=(1e-3, 1e6), status="assumed")


def _decay(doc: str, hours: float, ref: str = "cytokine half-lives of 0.5-2 h") -> Any:
    return param("1/h", doc=doc, default=math.log(2.0) / hours, bounds=(1e-4, 100), ref=ref, status="from memory")


class CytokineRelease(Process):
    """dL₆/dt = k₆ L₆⁰ + f p₆ M (1 + g s₁/(K₁ + s₁)) − k₆ r L₆, M driven by IFN-γ and GM-CSF from kills and blood CAR-T.

    Kills are scaled from the nests simulated to the whole tumour V_t; CAR-T cells in blood
    count while systemic antigen lasts.
    """

    volume: Any = plasma_volume_parameter()
    blood_volume: Any = param(
        "L",
        doc="blood volume (5 in a human, 2e-3 in a mouse)",
        default=5.0,
        bounds=(1e-4, 20),
        ref="physiology",
        status="seen",
    )
    tumour_volume: Any = tumour_volume_parameter()
    interferon_yield: Any = _yield("IFN-gamma in plasma per kill", 0.01, "10 molecules/s for the 6 h of a kill: 0.006")
    growth_yield: Any = _yield("GM-CSF in plasma per kill", 0.005, "half of IFN-gamma")
    interferon_blood: Any = param(
        "pg/(cell h)",
        doc="IFN-gamma of a CAR-T cell in blood that meets antigen",
        default=1e-3,
        bounds=(0, 10),
        ref="10 molecules/s of 17 kDa",
        status="derived",
    )
    growth_blood: Any = param(
        "pg/(cell h)",
        doc="GM-CSF of a CAR-T cell in blood that meets antigen",
        default=5e-4,
        bounds=(0, 10),
        ref="half of IFN-gamma",
        status="assumed",
    )
    antigen_half: Any = param(
        "1", doc="systemic antigen of half secretion", default=0.02, bounds=(1e-3, 10), ref="as blood_kinetics"
    )
    interferon_decay: Any = _decay("clearance of IFN-gamma (half-life 0.7 h)", 0.7)
    growth_decay: Any = _decay("clearance of GM-CSF (half-life 1 h)", 1.0)
    interferon_half: Any = _half("IFN-gamma of half activation", 200.0)
    growth_half: Any = _half("GM-CSF of half activation", 100.0)
    activation: Any = param("1/h", doc="activation of macrophages", default=0.1, bounds=(0, 10), status="assumed")
    calming: Any = param("1/h", doc="return to rest", default=0.03, bounds=(1e-4, 10), status="assumed")
    il1_production: Any = param(
        "pg/(mL h)", doc="IL-1 of all macrophages activated", default=10.0, bounds=(0, 1e4), status="assumed"
    )
    il1_decay: Any = _decay("clearance of IL-1 (half-life 2 h)", 2.0)
    il1_half: Any = _half("IL-1 of half gain of IL-6", 5.0)
    il6_baseline: Any = param(
        "pg/mL", doc="IL-6 at rest", default=5.0, bounds=(0, 1e3), ref="handbook 2.8", status="from memory"
    )
    il6_production: Any = param(
        "pg/(mL h)",
        doc="IL-6 of all macrophages activated, without IL-1",
        default=500.0,
        bounds=(0, 1e6),
        ref="severe cases reach 1e4 pg/mL",
        status="assumed",
    )
    il1_gain: Any = param("1", doc="relative gain of IL-6 by IL-1", default=9.0, bounds=(0, 100), status="assumed")
    il6_decay: Any = _decay("clearance of IL-6 (half-life 1.5 h)", 1.5, "handbook 2.8: 1-2 h")
    barrier: Any = param(
        "1", doc="share of plasma cytokine behind the barrier", default=0.1, bounds=(0, 1), status="assumed"
    )
    neural_lag: Any = param(
        "h",
        doc="lag of neurotoxicity",
        default=48.0,
        bounds=(0.1, 1000),
        ref="ICANS follows CRS by days",
        status="assumed",
    )
    neural_il1_half: Any = _half("IL-1 behind the barrier of effect 1", 1.0)
    neural_il6_half: Any = _half("IL-6 behind the barrier of effect 1", 3000.0)
    neural_interferon_half: Any = _half("IFN-gamma behind the barrier of effect 1", 1000.0)

    def brings(self, tissue: Any) -> dict[str, Any]:
        def one(name: str, unit: str = "pg/mL", initial: Any = 0.0, negligible: float = 0.1) -> Any:
            return compartment(name, unit, initial, negligible)

        return {
            "ifn_gamma_plasma": one("IFN-gamma in plasma", negligible=1.0),
            "gm_csf_plasma": one("GM-CSF in plasma", negligible=1.0),
            "macrophage_activation": one("Macrophages activated", "1", negligible=1e-4),
            "il1_plasma": one("IL-1 in plasma", negligible=1e-2),
            "il6_plasma": one("IL-6 in plasma", initial=self.il6_baseline),
            "il6_peak": one("Highest IL-6 in plasma so far", initial=self.il6_baseline, negligible=1.0),
            "neural_exposure": one("Cytokine action on the nervous system", "1", negligible=1e-3),
            "killed_cells": one("Tumour cells killed by CAR-T cells, whole tumour", "cells", negligible=1e5),
        }

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {
            "il1_signal": state["il1_plasma"],
            "il6_signal": state["il6_plasma"],
            "il6_clearance": 1.0,
            "cytokine_secretion": 1.0,
        }

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        seen = saturation(state["systemic_antigen"], self.antigen_half) * state["car_t_plasma"]
        engaged = seen * self.blood_volume * 1e6
        millilitres = 1e3 * self.volume
        drive = state["ifn_gamma_plasma"] / self.interferon_half + state["gm_csf_plasma"] / self.growth_half
        wake = self.activation * hill(drive, 1.0, 2)
        active = state["macrophage_activation"] * tissue["cytokine_secretion"]
        signal, level = tissue["il1_signal"], state["il6_plasma"]
        gain = 1.0 + self.il1_gain * saturation(signal, self.il1_half)
        return {
            "ifn_gamma_plasma.source": self.interferon_blood * engaged / millilitres,
            "ifn_gamma_plasma.loss": self.interferon_decay,
            "gm_csf_plasma.source": self.growth_blood * engaged / millilitres,
            "gm_csf_plasma.loss": self.growth_decay,
            "macrophage_activation.source": wake,
            "macrophage_activation.loss": wake + self.calming,
            "il1_plasma.source": self.il1_production * active,
            "il1_plasma.loss": self.il1_decay,
            "il6_plasma.source": self.il6_decay * self.il6_baseline + self.il6_production * active * gain,
            "il6_plasma.loss": self.il6_decay * tissue["il6_clearance"],
            "il6_peak.source": _FOLLOW * positive(level - state["il6_peak"]),
            "neural_exposure.source": self.barrier * self._neural(state, signal) / self.neural_lag,
            "neural_exposure.loss": 1.0 / self.neural_lag,
        }

    def _neural(self, state: Any, signal: Any) -> Any:
        """IL-1 that receptors see, and IL-6 and IFN-γ that nobody blocks there, each over its half."""
        return (
            signal / self.neural_il1_half
            + state["il6_plasma"] / self.neural_il6_half
            + state["ifn_gamma_plasma"] / self.neural_interferon_half
        )

    def aftermath(self, clock: Any, state: Any, tissue: Any, deaths: Any) -> dict[str, Any]:
        lysed = [deaths[f"{name}.lysis"] * state[name] for name in TUMOUR if f"{name}.lysis" in deaths]
        if not lysed:
            return {}
        killed = self.tumour_volume * per_nest(sum(lysed), tissue)
        millilitres = 1e3 * self.volume
        return {
            "ifn_gamma_plasma.source": self.interferon_yield * killed / millilitres,
            "gm_csf_plasma.source": self.growth_yield * killed / millilitres,
            "killed_cells.source": killed,
        }


#: rate (1/h) at which the kept peak follows a rising level
_FOLLOW = 2.0
