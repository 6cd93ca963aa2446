"""Fibroblasts of the stroma, and the CXCL12 by which they hold T cells.

    ∂F/∂t = [δ F⁰ + r F (1 − F/F⁰)₊] (½ + T/(T + K)) − δ F,          F⁰ = N φ_c⁰/φ_ref
    ∂c/∂t = ∇·(D ∇c) + q F/φ_i − k c

F⁰ is the density that keeps up the resident collagen φ_c⁰; at T = K it is in balance.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp

from tmepde.parameter import param
from tmepde.physiology.rates import positive, saturation, secretion
from tmepde.process import Process
from tmepde.species import Species

#: density (cells/mm³) of fibroblasts in tissue of the reference collagen, and that collagen
_DENSITY, _COLLAGEN = 1e4, 0.12


def _resident(density: Any, tissue: Any) -> Any:
    return density / _COLLAGEN * tissue["collagen_base"]


class Fibroblasts(Process):
    """∂F/∂t = [δF⁰ + r F (1 − F/F⁰)₊](½ + T/(T + K)) − δF; ``fibroblast_activity`` += F/F⁰ − 1.

    TGF-β recruits and activates fibroblasts; what they make (collagen, hyaluronan, TGF-β) falls with their number, in
    proportion. They are as dense as the collagen that they keep up, hence most in the capsule. Where there is no
    resident collagen there are none. Limits: fibroblasts do not move, and take no room.
    """

    density: Any = param(
        "cells/mm^3",
        doc="fibroblasts in tissue of 12 % collagen",
        default=_DENSITY,
        bounds=(0, 2e5),
        status="assumed",
    )
    proliferation: Any = param(
        "1/h", doc="regrowth (0.12/day)", default=0.12 / 24, bounds=(0, 0.1), ref="handbook 2.5, 0.1-0.15/day (SPQSP)"
    )
    death: Any = param(
        "1/h",
        doc="death rate (0.0165/day)",
        default=0.0165 / 24,
        bounds=(0, 0.1),
        ref="SPQSP PDAC k_FAPdeath",
        status="seen",
    )
    tgf_beta_half: Any = param(
        "nM", doc="TGF-beta of half activation", default=0.07, bounds=(1e-4, 100), ref="SPQSP PDAC", status="seen"
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        resident = _resident(self.density, tissue)
        return {"fibroblast": Species(resident, 0.0, None, 10.0, "local", "cells/mm^3", "Fibroblasts")}

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        resident = _resident(self.density, tissue)
        there = resident > 0
        share = state["fibroblast"] / jnp.where(there, resident, 1.0)
        return {"fibroblast_activity": jnp.where(there, share - 1.0, 0.0)}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        resident, cells = _resident(self.density, tissue), state["fibroblast"]
        there = resident > 0
        room = positive(1.0 - cells / jnp.where(there, resident, 1.0))
        growth = self.death * resident + jnp.where(there, self.proliferation * cells * room, 0.0)
        activation = 0.5 + saturation(tissue["tgf_beta_signal"], self.tgf_beta_half)
        return {"fibroblast.source": growth * activation, "fibroblast.death": self.death}


class Cxcl12Retention(Process):
    """∂c/∂t = ∇·(D ∇c) + q F/φ_i − k c, ``cxcl12_signal`` = c: T cells slow down by 1/(1 + c/2 nM) among fibroblasts.

    The signal is what CXCR4 sees; an antagonist scales it. Range √(D/k) = 202 µm.
    """

    requires: ClassVar[tuple[str, ...]] = ("fibroblasts",)

    secretion: Any = param(
        "1/s", doc="molecules per fibroblast", default=15.0, bounds=(0, 1e4), ref="gives 2 nM in a capsule"
    )
    decay: Any = param(
        "1/h",
        doc="uptake and decay (5e-4/s)",
        default=5e-4 * 3600,
        bounds=(1e-3, 100),
        ref="uptake as that of CCL2; SPQSP PDAC has a decay of 2/day",
        status="assumed",
    )
    diffusivity: Any = param(
        "um^2/h",
        doc="diffusivity in tissue (20.3 um^2/s)",
        default=20.3 * 3600,
        bounds=(0, 1e7),
        ref="Ramanujan 2002, SPQSP PDAC",
        status="seen",
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        settled = secretion(self.secretion, _resident(_DENSITY, tissue), tissue["interstitium"]) / self.decay
        return {"cxcl12": Species(settled, self.diffusivity, None, 1e-2, "transported", "nM", "CXCL12")}

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"cxcl12_signal": state["cxcl12"]}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        made = secretion(self.secretion, state["fibroblast"], tissue["interstitium"])
        return {"cxcl12.source": made, "cxcl12.loss": self.decay}
