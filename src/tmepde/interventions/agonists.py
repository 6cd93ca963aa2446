"""Agonists of innate sensing, with which the host's own T cells learn the tumour: STING and toll-like receptors.

x += e/K          dB/dt = k ⟨x/(1 + x) · d/(K_d + d)⟩ − …     (``endogenous_immunity``)
"""

from __future__ import annotations

from typing import Any

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import (
    ROUTES,
    arrival,
    depth_parameter,
    drug_kinetics,
    interstitial,
    plasma,
    site_parameter,
    volume_parameter,
    width_parameter,
)
from tmepde.parameter import param
from tmepde.physiology.populations import TUMOUR, total
from tmepde.physiology.rates import saturation, secretion


def _loss(hours: float) -> Any:
    return param(
        "1/h",
        doc=f"uptake and decay in tissue (half-life {hours:g} h)",
        default=0.6931471805599453 / hours,
        bounds=(0, 100),
        status="assumed",
    )


class StingAgonist(Intervention):
    """x += e/K, s_CXCL10 += q N e/(e + K): a scaffold in place lets out cyclic di-nucleotide (c-di-GMP).

    Dendritic cells and interferon-I prime T cells against whatever dies nearby, antigen-negative cells included (Smith
    2017); without dying cells (DAMP) nobody is primed. The schedule is the scaffold's release: a ``Continuous`` dose
    over a week is usual. Limits: interferon-I is not a field; no toxicity to T cells at high doses.
    """

    requires = ("endogenous_immunity", "cxcl10_kinetics")
    reviews = (25,)

    dose: Any = dose("nmol", doc="agonist let out by the scaffold")
    half: Any = param(
        "nM",
        doc="level of half-maximal priming and CXCL10",
        default=500.0,
        bounds=(1e-2, 1e6),
        ref="c-di-GMP and cGAMP, micromolar in cells",
        status="assumed",
    )
    cxcl10: Any = param(
        "1/s", doc="CXCL10 molecules per tumour or stroma cell", default=0.5, bounds=(0, 1e4), status="assumed"
    )
    diffusivity: Any = param(
        "um^2/h",
        doc="diffusivity in tissue (200 um^2/s)",
        default=200.0 * 3600,
        bounds=(0, 1e7),
        ref="small molecule",
        status="assumed",
    )
    clearance: Any = _loss(1.0)
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    route = "intratumoral"

    def species(self, grid: Any) -> dict[str, Any]:
        return {"sting_agonist": interstitial("STING agonist", self.diffusivity)}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"sting_agonist.loss": self.clearance}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        level = state["sting_agonist"]
        responding = total(TUMOUR, state) + tissue["host_cells"]
        made = secretion(self.cxcl10, saturation(level, self.half) * responding, tissue["interstitium"])
        entry = arrival("sting_agonist", self, clock.rate(self.dose), tissue)
        return Effects(add={"priming_signal": level / self.half, "cxcl10.source": made, **entry})


class TlrAgonist(Intervention):
    """x += e/K, f_M1 += g e/(e + K): CpG (TLR9) or imiquimod class (TLR7) primes T cells and turns macrophages to M1.

    Good values: CpG diameter 4 nm, ``half`` 100 nM; imiquimod and resiquimod (TLR7/8) diameter 0.8 nm, ``half`` 1000
    nM. Without dying cells (DAMP) nobody is primed. Limits: as for STING.
    """

    requires = ("endogenous_immunity", "myeloid_cells")
    reviews = (25,)

    dose: Any = dose("nmol", doc="agonist into plasma or tissue")
    route: str = choice(*reversed(ROUTES), doc="a depot in the tissue, or into plasma")
    half: Any = param("nM", doc="level of half effect", default=100.0, bounds=(1e-2, 1e6), status="assumed")
    repolarisation: Any = param(
        "1", doc="relative increase of M2 → M1", default=10.0, bounds=(0, 1e3), status="assumed"
    )
    diameter: Any = param("nm", doc="hydrodynamic diameter", default=4.0, bounds=(0.1, 200), status="assumed")
    diffusivity: Any = param(
        "um^2/h", doc="diffusivity in tissue (40 um^2/s)", default=40.0 * 3600, bounds=(0, 1e7), status="assumed"
    )
    elimination: Any = param(
        "1/h",
        doc="clearance from plasma (half-life 1 h)",
        default=0.6931471805599453,
        bounds=(0, 100),
        status="assumed",
    )
    clearance: Any = _loss(6.0)
    volume: Any = volume_parameter()
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {
            "tlr_agonist": interstitial("TLR agonist", self.diffusivity),
            "tlr_agonist_plasma": plasma("TLR agonist in plasma"),
        }

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return drug_kinetics("tlr_agonist", self.diameter, self.elimination, self.clearance, state, tissue)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        level = state["tlr_agonist"]
        return Effects(
            add={
                "priming_signal": level / self.half,
                "macrophage_repolarisation": self.repolarisation * saturation(level, self.half),
                **arrival("tlr_agonist", self, clock.rate(self.dose), tissue),
            }
        )
