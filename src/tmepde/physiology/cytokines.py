"""Cytokines in interstitial fluid (nM), all of one form:

    ∂c/∂t = ∇·(D ∇c) + Σ q_i N_i/φ_i − (k₀ + Σ u_j N_j) c

Secretion q is in molecules/cell/s; φ_i is the interstitial volume fraction.
"""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.physiology.populations import ROAMING, T_CELLS, TUMOUR, total
from tmepde.physiology.rates import inhibition, positive, saturation, secretion
from tmepde.process import Process

_SECOND = 3600.0


class Chemokine(Process):
    """CCL19/CXCL10 class: s = (q_C C + q_E A E)/φ_i, λ = k; range √(D/k) = 164 µm."""

    tumour: Any = param(
        "1/s", doc="molecules per tumour cell", default=0.3, bounds=(0, 1e3), ref="handbook 2.9", status="assumed"
    )
    effector: Any = param(
        "1/s",
        doc="molecules per CAR-T cell in antigen contact",
        default=3.0,
        bounds=(0, 1e3),
        ref="handbook 2.9",
        status="assumed",
    )
    decay: Any = param(
        "1/h",
        doc="uptake and decay (5e-4/s)",
        default=5e-4 * _SECOND,
        bounds=(0, 100),
        ref="as CCL2: CCR2 cycling, Volpe 2012 (SPQSP PDAC)",
        status="assumed",
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        made = secretion(self.tumour, total(TUMOUR, state), tissue["interstitium"])
        made = made + secretion(self.effector, tissue["antigen_contact"] * state["car_t"], tissue["interstitium"])
        return {"chemokine.source": made, "chemokine.loss": self.decay}


class GrowthFactor(Process):
    """IL-7/IL-15 class: λ = k + u (E + X). Nobody makes it unless a therapy does (armoured CAR-T).

    The uptake makes niches: 48 µm where T cells are packed, 500 µm where there are none.
    """

    decay: Any = param(
        "1/h", doc="decay (2.78e-5/s)", default=2.78e-5 * _SECOND, bounds=(0, 100), ref="SPQSP k_IL2", status="seen"
    )
    uptake: Any = param(
        "mm^3/h",
        doc="clearance per T cell (3e-3/s at 5e4 cells/mm^3)",
        default=3e-3 * _SECOND / 5e4,
        bounds=(0, 1),
        ref="handbook 3, receptor-rich tissue",
        status="derived",
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"growth_factor.loss": self.decay + self.uptake * total(ROAMING, state)}


class InterferonGamma(Process):
    """IFN-γ, quasi-steady: s = q A h_O f E/φ_i, λ = k₀ + u N; f ``car_t_secretion`` and acid.

    Consumption in proportion to the local density N of tumour, T and stroma cells gives the range √(D/λ) = 35 µm at
    2.3e5 cells/mm³ (measured 30–40 µm); cell-free decay alone would give 440 µm.
    """

    secretion: Any = param(
        "1/s",
        doc="molecules per engaged effector",
        default=10.0,
        bounds=(0, 1e4),
        ref="handbook table",
        status="assumed",
    )
    oxygen_half: Any = param(
        "mmHg",
        doc="pO2 of half-maximal secretion",
        default=8.0,
        bounds=(0.01, 50),
        ref="Berahovich 2019",
        status="derived",
    )
    acid_half: Any = param(
        "1",
        doc="drop of pH below 7.4 that halves secretion",
        default=0.3,
        bounds=(0.01, 5),
        ref="Fischer 2007: cytokines -95 % at 20 mM",
        status="derived",
    )
    decay: Any = param(
        "1/h",
        doc="cell-free decay (6.5e-5/s)",
        default=6.5e-5 * _SECOND,
        bounds=(1e-6, 1e3),
        ref="SPQSP",
        status="seen",
    )
    uptake: Any = param(
        "mm^3/h",
        doc="clearance per cell (0.0103/s at 2.3e5 cells/mm^3)",
        default=0.0103 * _SECOND / 2.3e5,
        bounds=(0, 1),
        ref="D/lambda^2, B16 cultures 30-40 um",
        status="derived",
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        active = tissue["antigen_contact"] * saturation(state["oxygen"], self.oxygen_half) * state["car_t"]
        active = active * positive(tissue["car_t_secretion"]) * inhibition(tissue["acidity"], self.acid_half, 2)
        everyone = total(TUMOUR, state) + total(T_CELLS, state) + tissue["host_cells"]
        return {
            "ifn_gamma.source": secretion(self.secretion, active, tissue["interstitium"]),
            "ifn_gamma.loss": self.decay + self.uptake * everyone,
        }


class TgfBeta(Process):
    """TGF-β: s = (q_C C + q_H N_host)/φ_i, λ = k; range 400 µm. Kept dynamic: quasi-steady is 28 % off at 6 h."""

    tumour: Any = param(
        "1/s", doc="molecules per tumour cell", default=0.0015, bounds=(0, 100), ref="gives 0.02 nM", status="assumed"
    )
    host: Any = param(
        "1/s",
        doc="molecules per stroma cell",
        default=0.003,
        bounds=(0, 100),
        ref="fibroblasts twice tumour",
        status="assumed",
    )
    decay: Any = param(
        "1/h", doc="decay (1.65e-4/s)", default=1.65e-4 * _SECOND, bounds=(0, 100), ref="SPQSP", status="seen"
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        made = secretion(self.tumour, total(TUMOUR, state), tissue["interstitium"])
        made = made + secretion(self.host, tissue["host_cells"] * tissue["fibroblast_activity"], tissue["interstitium"])
        return {"tgf_beta.source": made, "tgf_beta.loss": self.decay}


class Vegf(Process):
    """VEGF: s = q C (1 + (m − 1) K/(K + O))/φ_i, λ = k; hypoxia raises it 7-fold; range 335 µm."""

    tumour: Any = param(
        "1/s", doc="molecules per tumour cell in plenty of oxygen", default=0.008, bounds=(0, 100), status="assumed"
    )
    hypoxia: Any = param(
        "1",
        doc="fold increase without oxygen",
        default=7.15,
        bounds=(1, 100),
        ref="HIF boost, SPQSP PDAC",
        status="seen",
    )
    oxygen_half: Any = param("mmHg", doc="pO2 of half the increase", default=8.0, bounds=(0.01, 50), status="assumed")
    decay: Any = param(
        "1/h",
        doc="decay 1.92e-4/s and uptake 5e-5/s",
        default=2.42e-4 * _SECOND,
        bounds=(0, 100),
        ref="SPQSP HCC/PDAC",
        status="seen",
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        boost = 1.0 + (self.hypoxia - 1.0) * inhibition(state["oxygen"], self.oxygen_half)
        return {
            "vegf.source": secretion(self.tumour, total(TUMOUR, state) * boost, tissue["interstitium"]),
            "vegf.loss": self.decay,
        }
