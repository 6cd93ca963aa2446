"""Hydrogen peroxide, quasi-steady: 0 = ∇·(D ∇H) + P_H − k_H H, gone within seconds and 70 µm of where it is made."""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.process import Process
from tmepde.species import Species


class PeroxideKinetics(Process):
    """s_H = P_H (``peroxide_production``), λ_H = k_H: level P_H/k_H = 8 µM, range √(D/k_H) = 68 µm.

    With this field, catalysts turn over what is *there*: λ_H grows by their activity, and peroxide diffuses to them.
    Without it they are given what is made on the spot.
    """

    decay: Any = param(
        "1/h",
        doc="removal by catalase and peroxidases of tissue (0.3/s)",
        default=1080.0,
        bounds=(1e-3, 1e6),
        ref="handbook 3",
        status="assumed",
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        field = Species(0.0, 1400.0 * 3600.0, None, 1.0, "quasi_steady", "nM", "Hydrogen peroxide")
        return {"peroxide": field}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"peroxide.source": tissue["peroxide_production"], "peroxide.loss": self.decay}
