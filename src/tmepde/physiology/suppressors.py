"""Cells that hold T cells down: regulatory T cells, myeloid-derived suppressor cells and macrophages.

    ∂S/∂t = ∇·(D ∇S) + k H(CCL2) f_p ν/ν₀ − δ S          K_CCL2 = 0.23 nM

They are called by CCL2 through perfused vessels, count into ``suppressor_signal`` (cells/mm³), which weakens killers,
and make TGF-β.
"""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.physiology.rates import saturation, secretion
from tmepde.process import Process
from tmepde.species import Species

#: vessel surface density (1/µm) of the stated recruitment, 200/cm
_SURFACE = 0.02


def _resident(who: str, default: float) -> Any:
    return param(
        "cells/mm^3", doc=f"{who} in the nests at the start", default=default, bounds=(0, 1e5), status="assumed"
    )


def _recruitment(who: str, default: float) -> Any:
    return param(
        "cells/(mm^3 h)",
        doc=f"entry of {who} in plenty of CCL2 and perfusion",
        default=default,
        bounds=(0, 1e4),
        ref="keeps up the resident density",
        status="assumed",
    )


def _death(per_day: float) -> Any:
    return param(
        "1/h",
        doc=f"death rate ({per_day:g}/day)",
        default=per_day / 24,
        bounds=(0, 1),
        ref="SPQSP, handbook 2.5",
        status="seen",
    )


def _motility(speed: float) -> Any:
    """S² P/3 with P = 2 min, 0.3 of it where cells touch."""
    return param(
        "um^2/h",
        doc=f"random motility ({speed:g} um/min for 2 min, arrested on contact for 0.7 of the time)",
        default=0.3 * 60.0 * speed**2 * 2.0 / 3.0,
        bounds=(0, 1e5),
        ref="speed SPQSP PDAC, handbook 2.2",
        status="derived",
    )


def _ccl2_half() -> Any:
    return param(
        "nM", doc="CCL2 of half-maximal entry", default=0.23, bounds=(1e-4, 100), ref="SPQSP PDAC", status="seen"
    )


def _weight(who: str, default: float) -> Any:
    return param(
        "1", doc=f"weight of {who} in the suppressor signal", default=default, bounds=(0, 10), status="assumed"
    )


def _tgf_beta(who: str, default: float) -> Any:
    return param(
        "1/s", doc=f"TGF-beta molecules of {who}", default=default, bounds=(0, 100), ref="as stroma", status="assumed"
    )


def _cells(name: str, density: Any, motility: Any, tissue: Any) -> Species:
    return Species(density * tissue["region_tumour"], motility, None, 20.0, "transported", "cells/mm^3", name)


def _entry(rate: Any, half: Any, state: Any, tissue: Any) -> Any:
    supply = tissue["perfusion"] * state["vessel_surface"] / _SURFACE
    return rate * supply * saturation(state["ccl2"], half)


class RegulatoryCells(Process):
    """∂R/∂t = ∇·(D ∇R) + k H(CCL2) f_p ν/ν₀ − δ R: regulatory T cells suppress, make TGF-β and eat IL-2 and IL-15.

    Their IL-2 receptor is a hundred times as sensitive as that of effectors: they take up IL-2 and growth factor as a
    sink and starve CAR-T cells. Limits: no conversion from effectors; CCL22 is lumped into CCL2.
    """

    requires = ("ccl2_kinetics",)

    resident: Any = _resident("regulatory T cells", 2e3)
    recruitment: Any = _recruitment("regulatory T cells", 60.0)
    ccl2_half: Any = _ccl2_half()
    death: Any = _death(0.1)
    diffusivity: Any = _motility(3.6)
    weight: Any = _weight("regulatory T cells", 2.0)
    tgf_beta: Any = _tgf_beta("a regulatory T cell", 0.01)
    uptake: Any = param(
        "mm^3/h",
        doc="clearance of IL-2 and growth factor per cell",
        default=3e-3 * 3600 / 5e4,
        bounds=(0, 1),
        ref="as CAR-T cells, handbook 3",
        status="assumed",
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        return {"regulatory_t": _cells("Regulatory T cells", self.resident, self.diffusivity, tissue)}

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"suppressor_signal": self.weight * state["regulatory_t"]}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        cells = state["regulatory_t"]
        eaten = {f"{name}.loss": self.uptake * cells for name in ("growth_factor", "il2") if name in state}
        return {
            "regulatory_t.source": _entry(self.recruitment, self.ccl2_half, state, tissue),
            "regulatory_t.death": self.death,
            "tgf_beta.source": secretion(self.tgf_beta, cells, tissue["interstitium"]),
            **eaten,
        }


class MyeloidCells(Process):
    """∂S/∂t = ∇·(D ∇S) + k H(CCL2) f_p ν/ν₀ − δ S for MDSC and M2; M2 ⇄ M1 at 0.045 f and 0.1/day.

    f is the tissue quantity ``macrophage_repolarisation`` (1, and more by IFN-γ; IL-12 and drugs add to it). MDSC and
    M2 suppress, M1 do not; M2 make TGF-β. Limits: monocytes enter as M2; M1 macrophages kill nobody here.
    """

    requires = ("ccl2_kinetics",)

    mdsc_resident: Any = _resident("MDSC", 5e3)
    m2_resident: Any = _resident("M2 macrophages", 8e3)
    m1_resident: Any = _resident("M1 macrophages", 3e3)
    mdsc_recruitment: Any = _recruitment("MDSC", 100.0)
    macrophage_recruitment: Any = _recruitment("macrophages", 60.0)
    ccl2_half: Any = _ccl2_half()
    mdsc_death: Any = _death(0.07)
    macrophage_death: Any = _death(0.02)
    mdsc_diffusivity: Any = _motility(3.9)
    macrophage_diffusivity: Any = _motility(1.6)
    repolarisation: Any = param(
        "1/h", doc="M2 → M1 (0.045/day)", default=0.045 / 24, bounds=(0, 1), ref="SPQSP, handbook 2.5", status="seen"
    )
    polarisation: Any = param(
        "1/h", doc="M1 → M2 (0.1/day)", default=0.1 / 24, bounds=(0, 1), ref="SPQSP, handbook 2.5", status="seen"
    )
    interferon_gain: Any = param(
        "1", doc="relative increase of M2 → M1 by IFN-gamma", default=5.0, bounds=(0, 100), status="assumed"
    )
    interferon_half: Any = param(
        "nM", doc="IFN-gamma of half effect", default=0.05, bounds=(1e-5, 100), ref="handbook 26", status="assumed"
    )
    mdsc_weight: Any = _weight("MDSC", 1.0)
    m2_weight: Any = _weight("M2 macrophages", 0.5)
    tgf_beta: Any = _tgf_beta("an M2 macrophage", 0.003)

    def brings(self, tissue: Any) -> dict[str, Any]:
        return {
            "mdsc": _cells("Myeloid-derived suppressor cells", self.mdsc_resident, self.mdsc_diffusivity, tissue),
            "macrophage": _cells("M2-like macrophages", self.m2_resident, self.macrophage_diffusivity, tissue),
            "macrophage_m1": _cells("M1-like macrophages", self.m1_resident, self.macrophage_diffusivity, tissue),
        }

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {
            "suppressor_signal": self.mdsc_weight * state["mdsc"] + self.m2_weight * state["macrophage"],
            "macrophage_repolarisation": 1.0
            + self.interferon_gain * saturation(state["ifn_gamma"], self.interferon_half),
        }

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        m2, m1 = state["macrophage"], state["macrophage_m1"]
        to_m1 = self.repolarisation * tissue["macrophage_repolarisation"]
        entry = _entry(self.macrophage_recruitment, self.ccl2_half, state, tissue)
        return {
            "mdsc.source": _entry(self.mdsc_recruitment, self.ccl2_half, state, tissue),
            "mdsc.death": self.mdsc_death,
            "macrophage.source": entry + self.polarisation * m1,
            "macrophage.loss": to_m1,
            "macrophage.death": self.macrophage_death,
            "macrophage_m1.source": to_m1 * m2,
            "macrophage_m1.loss": self.polarisation,
            "macrophage_m1.death": self.macrophage_death,
            "tgf_beta.source": secretion(self.tgf_beta, m2, tissue["interstitium"]),
        }
