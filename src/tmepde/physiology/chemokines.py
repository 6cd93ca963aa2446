"""Chemokines of an optional milieu (CCL2, CCL5, CXCL10), and how CAR-T cells follow one.

∂c/∂t = ∇·(D ∇c) + Σ q_i N_i/φ_i − k c          v = pace tanh(l) ∇c/|∇c|, into tissue that has room
"""

from __future__ import annotations

from typing import Any

from tmepde.operators import downwind
from tmepde.parameter import param
from tmepde.physiology.lymphocytes import taxis
from tmepde.physiology.populations import ROAMING, TUMOUR, total
from tmepde.physiology.rates import positive, saturation
from tmepde.physiology.soluble import Soluble, decay, diffusivity, half, rate

_CYCLE = 5e-4 * 3600, "uptake and decay (5e-4/s)"
#: as ``chemotaxis`` of the core: speed (µm/h), share arrested on antigen, full tissue (cells/mm³), R (µm) and θ
SPEED, ARREST, FULL, CELL_SIZE, THRESHOLD = 216.0, 0.7, 5e4, 10.0, 0.02


def attraction(ligand: Any, index: Any, ligand_half: Any, state: Any, tissue: Any) -> tuple[Any, ...]:
    """Velocity of CAR-T cells up (``index`` > 0) a ``ligand``, arrested by antigen and stopped by full tissue."""
    pace = index * SPEED * tissue["motility"] * (1.0 - ARREST * tissue["antigen_contact"])
    velocity = taxis(tissue.grid, ligand, pace, ligand_half, CELL_SIZE, THRESHOLD)
    room = positive(1.0 - total(ROAMING, state) / FULL)
    return downwind(tissue.grid, velocity, room)


class Ccl2(Soluble):
    """∂c/∂t = ∇·(D ∇c) + (q_C C + q_H N_host + q_M N_M2)/φ_i − k c: CCL2, range 76 µm.

    It calls MDSC, macrophages and regulatory T cells; CCR2b on CAR-T cells turns it to their use.
    """

    name, long_name = "ccl2", "CCL2"

    diffusivity: Any = diffusivity(2.92)
    decay: Any = decay(*_CYCLE, "CCR2 cycling, Volpe 2012 (SPQSP PDAC)")
    tumour: Any = rate("tumour cell", 0.3, "as the tumour chemokine")
    host: Any = rate("stroma cell", 0.1)
    macrophage: Any = rate("M2 macrophage", 0.5)

    def made(self, state: Any, tissue: Any) -> Any:
        made = self.tumour * total(TUMOUR, state) + self.host * tissue["host_cells"] * tissue["fibroblast_activity"]
        return made + self.macrophage * state["macrophage"] if "macrophage" in state else made


class Ccl5(Soluble):
    """∂c/∂t = ∇·(D ∇c) + (q_C C + q_E A E + q_M N_M1)/φ_i − k c: CCL5 of engaged T cells and M1 macrophages."""

    name, long_name = "ccl5", "CCL5"

    diffusivity: Any = diffusivity(20.6)
    decay: Any = decay(*_CYCLE, "uptake as that of CCL2; SPQSP PDAC has a decay of 1.5/day", "assumed")
    tumour: Any = rate("tumour cell", 0.05)
    effector: Any = rate("CAR-T cell in antigen contact", 3.0, "as the chemokine of engaged CAR-T cells")
    m1: Any = rate("M1 macrophage", 0.5)

    def made(self, state: Any, tissue: Any) -> Any:
        made = self.tumour * total(TUMOUR, state) + self.effector * tissue["antigen_contact"] * state["car_t"]
        return made + self.m1 * state["macrophage_m1"] if "macrophage_m1" in state else made


class Cxcl10(Soluble):
    """∂c/∂t = ∇·(D ∇c) + (q_C C + q_H N_host) H(IFN-γ)/φ_i − k c: CXCL10, made where IFN-γ is, calls CXCR3⁺ T cells.

    CAR-T cells carry CXCR3 by nature: v += CI S tanh(l) ∇c/|∇c|, and their entry × (1 + g c/(c + K)).
    """

    name, long_name = "cxcl10", "CXCL10"

    diffusivity: Any = diffusivity(13.5, "CCL21, Ramanujan 2002 (SPQSP PDAC)", "derived")
    decay: Any = decay(*_CYCLE, "uptake as that of CCL2", "assumed")
    tumour: Any = rate("tumour cell in plenty of IFN-gamma", 0.5)
    host: Any = rate("stroma cell in plenty of IFN-gamma", 0.5)
    interferon_half: Any = half("IFN-gamma of half induction", 0.05, "handbook 26")
    index: Any = param(
        "1", doc="chemotactic index of CXCR3 at its natural level", default=0.05, bounds=(0, 1), status="assumed"
    )
    half: Any = half("CXCL10 of half receptor occupancy", 1.0)
    entry_gain: Any = param("1", doc="relative increase of entry", default=0.5, bounds=(0, 20), status="assumed")

    def made(self, state: Any, tissue: Any) -> Any:
        induced = saturation(state["ifn_gamma"], self.interferon_half)
        return induced * (self.tumour * total(TUMOUR, state) + self.host * tissue["host_cells"])

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"car_t_entry": self.entry_gain * saturation(state["cxcl10"], self.half)}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {
            **super().coefficients(clock, state, tissue),
            "car_t.velocity": attraction(state["cxcl10"], self.index, self.half, state, tissue),
        }
