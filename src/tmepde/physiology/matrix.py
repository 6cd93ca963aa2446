"""Extracellular matrix in place: collagen and hyaluronan as volume fractions.

    ∂φ_c/∂t = k_c [φ_c⁰ (½ + T/(T + K)) − φ_c]          ∂φ_h/∂t = k_h (φ_h⁰ − φ_h) − enzymes

The tissue quantities ``collagen_base`` and ``hyaluronan_base`` are what the resident fibroblasts keep up.
"""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.physiology.rates import saturation
from tmepde.process import Process


class CollagenTurnover(Process):
    """s = k φ⁰ (½ + T/(T + K)) f, λ = k: TGF-β drives deposition; balanced at T = K; half-life 99 days.

    f is ``fibroblast_activity`` (base 1): the share of matrix-making fibroblasts that is left.
    """

    rate: Any = param(
        "1/h", doc="turnover (0.007/day)", default=0.007 / 24, bounds=(0, 1), ref="SPQSP PDAC k_col_deg", status="seen"
    )
    tgf_beta_half: Any = param(
        "nM", doc="TGF-beta of half effect", default=0.07, bounds=(1e-4, 100), ref="SPQSP PDAC TGFb_50", status="seen"
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        deposition = 0.5 + saturation(tissue["tgf_beta_signal"], self.tgf_beta_half)
        deposition = deposition * tissue["fibroblast_activity"]
        return {"collagen.source": self.rate * tissue["collagen_base"] * deposition, "collagen.loss": self.rate}


class HyaluronanTurnover(Process):
    """s = k φ⁰ f, λ = k: hyaluronan is renewed within days, so that a degraded matrix grows back; f as for collagen."""

    rate: Any = param(
        "1/h", doc="turnover (0.75/day)", default=0.75 / 24, bounds=(0, 1), ref="handbook 2.6", status="from memory"
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        made = self.rate * tissue["hyaluronan_base"] * tissue["fibroblast_activity"]
        return {"hyaluronan.source": made, "hyaluronan.loss": self.rate}
