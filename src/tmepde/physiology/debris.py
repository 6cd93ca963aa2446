"""Dead tumour cells and the danger signal (HMGB1, calreticulin, ATP: DAMP) that they set free.

∂N_d/∂t = Σ λ_death C − k N_d          ∂d/∂t = ∇·(D ∇d) + n Σ λ_death C/φ_i − k_d d
"""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.physiology.populations import TUMOUR
from tmepde.process import Process
from tmepde.species import Species
from tmepde.units import SECRETION


class Debris(Process):
    """∂N_d/∂t = Σ λ C − k N_d, ∂d/∂t = ∇·(D ∇d) + n Σ λ C/φ_i − k_d d: debris and DAMP of whatever kills tumour cells.

    All deaths count alike, those by therapy included. Limits: debris takes no room in this model, and apoptosis is as
    immunogenic as necrosis.
    """

    clearance: Any = param(
        "1/h",
        doc="clearance of dead cells (0.1/day)",
        default=0.1 / 24,
        bounds=(0, 1),
        ref="SPQSP k_cell_clear",
        status="seen",
    )
    content: Any = param(
        "1",
        doc="DAMP molecules that a dead cell sets free",
        default=1e6,
        bounds=(0, 1e10),
        ref="HMGB1, order of copies per cell",
        status="assumed",
    )
    decay: Any = param(
        "1/h", doc="loss of free DAMP (half-life 2 h)", default=0.35, bounds=(1e-4, 100), status="assumed"
    )
    diffusivity: Any = param(
        "um^2/h",
        doc="diffusivity of a 25 kDa protein (13 um^2/s)",
        default=13.0 * 3600,
        bounds=(0, 1e7),
        ref="cytokine class, Ramanujan 2002",
        status="derived",
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        return {
            "dead_cells": Species(0.0, 0.0, None, 100.0, "local", "cells/mm^3", "Dead tumour cells"),
            "damp": Species(0.0, self.diffusivity, None, 1e-2, "transported", "nM", "Danger signal (HMGB1 class)"),
        }

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"dead_cells.loss": self.clearance, "damp.loss": self.decay}

    def aftermath(self, clock: Any, state: Any, tissue: Any, deaths: Any) -> dict[str, Any]:
        died = sum(deaths[name] * state[name] for name in TUMOUR if name in deaths)
        released = self.content * (SECRETION / 3600.0) / tissue["interstitium"]
        return {"dead_cells.source": died, "damp.source": released * died}
