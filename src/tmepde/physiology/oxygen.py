"""Oxygen, quasi-steady: 0 = ∇·(D ∇O) − V(N) O/(K + O) + k f_p ν/ν₀ (O_v − O).

Uptake is written as the loss rate V/(K + O) and the wash-out into vessels as the loss rate k f_p ν/ν₀, so that O ≥ 0
by construction. α = 1380 nM/mmHg turns cell uptake into mmHg.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from tmepde.parameter import param
from tmepde.physiology.populations import T_CELLS, TUMOUR, total
from tmepde.process import Process

#: amol/cell/s × cells/mm³ → nM/h: 1e-18 mol · 1e9 nmol/mol · 1e6 mm³/L · 3600 s/h
UPTAKE = 1e-18 * 1e9 * 1e6 * 3600.0
#: nM of dissolved oxygen per mmHg (3.1e-5 ml/ml/mmHg)
SOLUBILITY = 1380.0
#: mmHg of oxygen above which what is dissolved becomes gas
ATMOSPHERE = 760.0


class OxygenUptake(Process):
    """λ_O = (q_C f C + q_T T + q_H N_host)/(α (K + O)): Michaelis–Menten, 9.5 mmHg/s at 2.3e5 cells/mm³.

    f is ``tumour_respiration`` (base 1), which drugs scale.
    """

    tumour: Any = param(
        "amol/s",
        doc="uptake of a tumour cell",
        default=57.0,
        bounds=(0, 1000),
        ref="MIA PaCa-2, SPQSP PDAC",
        status="seen",
    )
    lymphocyte: Any = param(
        "amol/s", doc="uptake of a T cell", default=5.7, bounds=(0, 1000), ref="a tenth, handbook 2.3", status="assumed"
    )
    host: Any = param(
        "amol/s", doc="uptake of a stroma cell", default=15.0, bounds=(0, 1000), ref="a quarter", status="assumed"
    )
    half: Any = param(
        "mmHg", doc="Michaelis constant", default=1.0, bounds=(0.01, 20), ref="Secomb 1; tumorcode 2-4", status="seen"
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        demand = self.tumour * tissue["tumour_respiration"] * total(TUMOUR, state)
        demand = demand + self.lymphocyte * total(T_CELLS, state) + self.host * tissue["host_cells"]
        demand = demand * (UPTAKE / SOLUBILITY)
        return {"oxygen.loss": demand / (self.half + state["oxygen"])}


class OxygenSupply(Process):
    """s_O = k f_p (ν/ν₀) min(O_v + ΔO, P₀), λ_O = k f_p (ν/ν₀): exchange with perfused vessels.

    ΔO is ``vessel_oxygen_gain`` and P₀ one atmosphere: blood holds no more, however many carriers of oxygen are in it.
    """

    rate: Any = param(
        "1/h",
        doc="exchange with fully perfused vessels of 100 mm/mm^3 (0.58/s)",
        default=0.58 * 3600,
        bounds=(0, 1e5),
        ref="2 pi D L_v/(ln(R_K/r_c) - 3/4), handbook 2.3",
        status="derived",
    )
    vessel_oxygen: Any = param(
        "mmHg", doc="pO2 in the vessels", default=50.0, bounds=(0, 150), ref="Secomb inlets", status="seen"
    )
    reference: Any = param(
        "1/um",
        doc="vessel surface density of the stated rate",
        default=0.02,
        bounds=(1e-4, 1),
        ref="Baxter-Jain 200/cm",
        status="from memory",
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        rate = self.rate * tissue["perfusion"] * state["vessel_surface"] / self.reference
        inside = jnp.minimum(self.vessel_oxygen + tissue["vessel_oxygen_gain"], ATMOSPHERE)
        return {"oxygen.source": rate * inside, "oxygen.loss": rate}


class PeroxideProduction(Process):
    """P_H = p C/N₀: hydrogen peroxide made by tumour cells, tissue ``peroxide_production`` (nM/h).

    A pool of 100 µM would only be 36 mmHg of oxygen, gone in seconds: what a catalyst can release is limited by this
    *production*. The default raises oxygen in a 1.2 mm nodule by 45 % when all of it is turned over (Prasad 2014); it
    is a fifth of the oxygen uptake and probably high.
    """

    rate: Any = param(
        "nM/h",
        doc="production at the reference density (2.4 uM/s)",
        default=2.4e3 * 3600,
        bounds=(0, 1e8),
        ref="calibrated to Prasad 2014, +45 %",
        status="assumed",
    )
    reference: Any = param(
        "cells/mm^3",
        doc="density of the stated rate",
        default=2.3e5,
        bounds=(1e3, 1e6),
        ref="handbook",
        status="derived",
    )

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"peroxide_production": self.rate / self.reference * total(TUMOUR, state)}
