"""Tumour cells: packing, growth, necrosis and antigen loss.

∂C/∂t = ∇·(D_C ∇C) + r h(O) q(φ) C − δ_nec (1 − H(O)) C − μ C₊ (→ C₋),    q = (1 − φ/φ_max)₊
"""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.physiology.populations import ANTIGEN_CLASSES, T_CELLS, TUMOUR, dying, total
from tmepde.physiology.rates import inhibition, positive, saturation
from tmepde.process import Process


class Crowding(Process):
    """φ = v_C C + v_T T: the volume fraction of cells, tissue quantity ``crowding``."""

    tumour_volume: Any = param(
        "um^3",
        doc="volume of a tumour cell",
        default=2572,
        bounds=(500, 10000),
        ref="SPQSP PDAC/HCC vol_cell",
        status="seen",
    )
    lymphocyte_volume: Any = param(
        "um^3", doc="volume of a T cell", default=175, bounds=(100, 1000), ref="SPQSP vol_Tcell", status="seen"
    )

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        tumour = self.tumour_volume * total(TUMOUR, state)
        return {"crowding": 1e-9 * (tumour + self.lymphocyte_volume * total(T_CELLS, state))}


class Growth(Process):
    """s_C = r · O/(O + K_O) · (1 − φ/φ_max)₊ · f · C for both antigen classes.

    f is ``tumour_division`` (base 1), what fuel and drugs leave of it.
    """

    rate: Any = param(
        "1/h",
        doc="proliferation rate with oxygen and space in plenty",
        default=0.02,
        bounds=(0, 0.1),
        ref="between CARRGODEX 0.045/h in vitro and PANC-1 0.013/h (SPQSP PDAC)",
        status="derived",
    )
    oxygen_half: Any = param(
        "mmHg", doc="pO2 of half-maximal growth", default=4.0, bounds=(0.01, 50), ref="handbook 2.1", status="assumed"
    )
    packing_limit: Any = param(
        "1",
        doc="cell packing fraction at which growth stops",
        default=0.8,
        bounds=(0.1, 1),
        ref="handbook",
        status="assumed",
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        room = positive(1.0 - tissue["crowding"] / self.packing_limit)
        rate = self.rate * saturation(state["oxygen"], self.oxygen_half) * room * positive(tissue["tumour_division"])
        return {f"{name}.source": rate * state[name] for name in ANTIGEN_CLASSES}


class Necrosis(Process):
    """λ_C = δ · K⁴/(K⁴ + O⁴): death under anoxia, both antigen classes."""

    rate: Any = param(
        "1/h", doc="death rate without oxygen", default=0.02, bounds=(0, 1), ref="handbook 2.1", status="assumed"
    )
    oxygen_half: Any = param(
        "mmHg",
        doc="pO2 of half-maximal necrosis",
        default=1.0,
        bounds=(0.01, 20),
        ref="Grimes, anoxia near 0.8 mmHg",
        status="from memory",
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        rate = self.rate * inhibition(state["oxygen"], self.oxygen_half, 4)
        return dying(TUMOUR, rate, state)


class AntigenLoss(Process):
    """C₊ → C₋ at rate μ: cells that stop showing the antigen."""

    rate: Any = param(
        "1/h",
        doc="antigen loss per antigen-positive cell",
        default=1e-5,
        bounds=(0, 0.1),
        ref="handbook, item 43",
        status="assumed",
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"tumour.loss": self.rate, "tumour_negative.source": self.rate * state["tumour"]}
