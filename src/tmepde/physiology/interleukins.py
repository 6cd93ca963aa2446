"""Interleukins of an optional milieu: IL-1, IL-2, IL-6, IL-12.

∂c/∂t = ∇·(D ∇c) + Σ q_i N_i/φ_i − (k₀ + Σ u_j N_j) c
"""

from __future__ import annotations

from typing import Any

from tmepde.coefficients import add
from tmepde.parameter import param
from tmepde.physiology.plasma import compartment, plasma_volume_parameter, tumour_volume_parameter, wall_exchange
from tmepde.physiology.populations import ROAMING, TUMOUR, total
from tmepde.physiology.rates import saturation, secretion
from tmepde.physiology.soluble import Soluble, decay, diffusivity, half, rate

_PDAC = "SPQSP PDAC"


class Il2(Soluble):
    """∂c/∂t = ∇·(D ∇c) + q A E/φ_i − (k + u (E + X)) c; division × (1 + g c/(c + K)): IL-2 of engaged CAR-T cells.

    Uptake makes niches of 48 µm where T cells are packed. CD25 on the cells is ``uptake`` and ``half``: more of it
    means a lower half level and a shorter reach. Regulatory T cells eat it too, where they are present.
    """

    name, long_name = "il2", "IL-2"

    diffusivity: Any = diffusivity(6.87)
    decay: Any = decay(2.78e-5 * 3600, "decay (2.78e-5/s)", "SPQSP k_IL2")
    effector: Any = rate("CAR-T cell in antigen contact", 3.0)
    uptake: Any = param(
        "mm^3/h",
        doc="clearance per CAR-T cell (3e-3/s at 5e4 cells/mm^3)",
        default=3e-3 * 3600 / 5e4,
        bounds=(0, 1),
        ref="handbook 3",
        status="derived",
    )
    half: Any = half("IL-2 of half effect on CAR-T cells", 0.32, "SPQSP IL2_50", "seen")
    gain: Any = param("1", doc="relative increase of division", default=0.5, bounds=(0, 20), status="assumed")

    def made(self, state: Any, tissue: Any) -> Any:
        return self.effector * tissue["antigen_contact"] * state["car_t"]

    def cleared(self, state: Any) -> Any:
        return self.uptake * total(ROAMING, state)

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"car_t_division": self.gain * saturation(state["il2"], self.half)}


class Il12(Soluble):
    """∂c/∂t = ∇·(D ∇c) + q N_M1/φ_i + w (P − c) − k c, dP/dt = (V_t/V_p) ⟨w φ_i (c − P)⟩ − k_p P: IL-12.

    IFN-γ × (1 + a H), killing × (1 + g H), M2 → M1 × (1 + b H), chemokine + q E H, H = c/(c + K): CAR-T cells kill
    better and so bear the PD-L1 that their IFN-γ brings about (Koneru 2015, Yeku 2017), and secrete more chemokine;
    macrophages turn to M1 (Luo 2022). Untreated tissue has none but what M1 macrophages make, where they are
    present. It passes the vessel wall (w = ν f_p P_w/φ_i) wherever it is from: most of what is made in well perfused
    tissue is washed out into plasma.
    """

    name, long_name = "il12", "IL-12"

    diffusivity: Any = diffusivity(3.97)
    decay: Any = decay(0.6931471805599453 / 10, "decay and uptake (half-life 10 h)", "plasma 5-10 h", "from memory")
    m1: Any = rate("M1 macrophage", 0.01)
    half: Any = half("IL-12 of half effect", 0.05)
    secretion_gain: Any = param(
        "1", doc="relative increase of IFN-gamma", default=4.0, bounds=(0, 100), ref="handbook 20", status="assumed"
    )
    cytolysis_gain: Any = param(
        "1",
        doc="relative increase of killing per CAR-T cell",
        default=1.0,
        bounds=(0, 20),
        ref="Koneru 2015, Yeku 2017, direction",
        status="assumed",
    )
    repolarisation_gain: Any = param(
        "1", doc="relative increase of M2 → M1", default=10.0, bounds=(0, 1e3), ref="handbook 20", status="assumed"
    )
    chemokine: Any = rate("CAR-T cell of chemokine in plenty of IL-12", 3.0, "handbook 20")
    diameter: Any = param(
        "nm", doc="hydrodynamic diameter", default=7.0, bounds=(1, 200), ref="70 kDa", status="assumed"
    )
    elimination: Any = param(
        "1/h",
        doc="clearance from plasma (half-life 8 h)",
        default=0.6931471805599453 / 8,
        bounds=(0, 10),
        ref="5-10 h",
        status="from memory",
    )
    volume: Any = plasma_volume_parameter()
    tumour_volume: Any = tumour_volume_parameter()

    def brings(self, tissue: Any) -> dict[str, Any]:
        return {**super().brings(tissue), "il12_plasma": compartment("IL-12 in plasma", "nM")}

    def made(self, state: Any, tissue: Any) -> Any:
        return self.m1 * state["macrophage_m1"] if "macrophage_m1" in state else 0.0

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        effect = saturation(state["il12"], self.half)
        return {
            "car_t_secretion": self.secretion_gain * effect,
            "car_t_cytolysis": self.cytolysis_gain * effect,
            "macrophage_repolarisation": self.repolarisation_gain * effect,
        }

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        called = saturation(state["il12"], self.half) * state["car_t"]
        terms = {
            **super().coefficients(clock, state, tissue),
            "chemokine.source": secretion(self.chemokine, called, tissue["interstitium"]),
        }
        add(terms, wall_exchange("il12", self, state, tissue))
        return terms


class Il6(Soluble):
    """∂c/∂t = ∇·(D ∇c) + (q_C C + q_H N_host + q_M N_M) (1 + g H(IL-1))/φ_i − k c: IL-6, range 340 µm.

    IL-1 raises it, where that is present. It is what cytokine release reads; in the tumour it does nothing here.
    """

    name, long_name, negligible = "il6", "IL-6", 1e-4

    diffusivity: Any = diffusivity(13.3)
    decay: Any = decay(10.0 / 24, "decay (10/day)", "SPQSP PDAC k_IL6_deg")
    tumour: Any = rate("tumour cell", 1e-3)
    host: Any = rate("stroma cell", 2e-3)
    macrophage: Any = rate("macrophage", 5e-3)
    il1_gain: Any = param("1", doc="relative increase by IL-1", default=10.0, bounds=(0, 1e3), status="assumed")
    il1_half: Any = half("IL-1 of half effect", 0.01, _PDAC, "seen")

    def made(self, state: Any, tissue: Any) -> Any:
        made = self.tumour * total(TUMOUR, state) + self.host * tissue["host_cells"] * tissue["fibroblast_activity"]
        made = made + self.macrophage * _macrophages(state)
        return made * (1.0 + self.il1_gain * saturation(state["il1"], self.il1_half)) if "il1" in state else made


class Il1(Soluble):
    """∂c/∂t = ∇·(D ∇c) + (q_C C + q_M N_M (1 + g H(IFN-γ)))/φ_i − k c: IL-1, range 400 µm.

    Macrophages that CAR-T cells excite make most of it, where they are present. It raises IL-6.
    """

    name, long_name, negligible = "il1", "IL-1", 1e-5

    diffusivity: Any = diffusivity(13.1)
    decay: Any = decay(6.93 / 24, "decay (6.93/day)", _PDAC)
    tumour: Any = rate("tumour cell", 2e-6)
    macrophage: Any = rate("macrophage", 2e-4)
    interferon_gain: Any = param(
        "1", doc="relative increase by IFN-gamma", default=10.0, bounds=(0, 1e3), status="assumed"
    )
    interferon_half: Any = half("IFN-gamma of half effect", 0.05, "handbook 26")

    def made(self, state: Any, tissue: Any) -> Any:
        excited = 1.0 + self.interferon_gain * saturation(state["ifn_gamma"], self.interferon_half)
        return self.tumour * total(TUMOUR, state) + self.macrophage * _macrophages(state) * excited


def _macrophages(state: Any) -> Any:
    return sum((state[name] for name in ("macrophage", "macrophage_m1") if name in state), 0.0)
