"""The host's own T cells: primed against the whole tumour where its cells die next to an adjuvant (antigen spreading).

dB/dt = k ⟨x/(1 + x) · d/(K + d)⟩ − δ_b B
∂N/∂t = ∇·(D g ∇N) + k_x ν f_p a B + r h_O A (b + (1 − b) H(G)) N (1 − N/N_max)₊ − (δ + e (1 − A)) N,    A = C/(K_A + C)
"""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.physiology.populations import TUMOUR, dying, total
from tmepde.physiology.rates import inhibition, positive, saturation, secretion
from tmepde.process import Process
from tmepde.species import Species


class EndogenousImmunity(Process):
    """dB/dt = k ⟨x/(1 + x) d/(K + d)⟩ − δ_b B in blood; in tissue B enters, divides and kills C₊ and C₋ alike.

    ⟨⟩ is the mean over the nests: dendritic cells need danger (``damp`` d) *and* an adjuvant: the tissue quantity
    ``priming_signal`` x (0), to which STING and TLR agonists add their level over their half level. Polyclonal T cells
    need no CAR antigen; the growth factor of armoured CAR-T cells feeds them too. TGF-β, PD-1 and suppressor cells
    weaken them as they weaken CAR-T cells. Limits: one pool for all specificities; lymph nodes are part of the rate of
    priming.
    """

    requires = ("debris",)

    priming: Any = param(
        "cells/(uL h)",
        doc="entry into blood at full priming",
        default=5.0,
        bounds=(0, 1e3),
        ref="hundreds of cells/uL within two weeks",
        status="assumed",
    )
    spontaneous: Any = param(
        "1", doc="priming signal without an adjuvant", default=0.0, bounds=(0, 10), status="assumed"
    )
    damp_half: Any = param("nM", doc="DAMP of half-maximal priming", default=2.0, bounds=(1e-3, 1e4), status="assumed")
    death: Any = param(
        "1/h",
        doc="death in tissue (0.1/day)",
        default=0.1 / 24,
        bounds=(0, 0.1),
        ref="SPQSP PDAC k_CD8_death",
        status="seen",
    )
    blood_death: Any = param(
        "1/h",
        doc="death in blood, memory cells among them (0.01/day)",
        default=0.01 / 24,
        bounds=(0, 0.1),
        ref="SPQSP NSCLC k_CD8_death",
        status="seen",
    )
    velocity: Any = param(
        "um/h",
        doc="entry per vessel surface and blood level",
        default=6.0,
        bounds=(0, 1e3),
        ref="as CAR-T cells",
        status="assumed",
    )
    vegf_half: Any = param(
        "nM", doc="VEGF that halves adhesion", default=0.5, bounds=(1e-4, 100), ref="as CAR-T cells", status="assumed"
    )
    diffusivity: Any = param(
        "um^2/h",
        doc="random motility in open tissue (8.6 um^2/min)",
        default=516.0,
        bounds=(0, 1e5),
        ref="S^2 P/3, handbook",
        status="derived",
    )
    division: Any = param(
        "1/h",
        doc="division on tumour contact with oxygen and cytokine in plenty (1/day)",
        default=1.0 / 24,
        bounds=(0, 0.2),
        ref="SPQSP k_CD8_pro",
        status="seen",
    )
    baseline: Any = param(
        "1",
        doc="share of division that needs no common-gamma cytokine",
        default=0.25,
        bounds=(0, 1),
        ref="as CAR-T cells",
        status="assumed",
    )
    cytokine_half: Any = param(
        "nM",
        doc="growth factor of half effect on division",
        default=0.32,
        bounds=(1e-4, 100),
        ref="SPQSP IL2_50",
        status="seen",
    )
    oxygen_half: Any = param(
        "mmHg",
        doc="pO2 of half-maximal division",
        default=8.0,
        bounds=(0.01, 50),
        ref="as CAR-T cells, Berahovich 2019",
        status="derived",
    )
    contact_half: Any = param(
        "cells/mm^3",
        doc="tumour density of half-maximal contact",
        default=1e4,
        bounds=(1, 1e6),
        ref="as CAR-T cells",
        status="assumed",
    )
    entry_gain: Any = param(
        "1",
        doc="relative increase of entry in plenty of CXCL10, where that is present",
        default=3.0,
        bounds=(0, 100),
        ref="CXCR3",
        status="assumed",
    )
    cxcl10_half: Any = param("nM", doc="CXCL10 of half effect", default=1.0, bounds=(1e-4, 1e3), status="assumed")
    egress: Any = param(
        "1/h",
        doc="departure without contact",
        default=1 / 72,
        bounds=(0, 1),
        ref="residence of three days",
        status="assumed",
    )
    full: Any = param(
        "cells/mm^3",
        doc="density at which tissue is full",
        default=5e4,
        bounds=(1e3, 1e6),
        ref="as CAR-T cells",
        status="assumed",
    )
    kill: Any = param(
        "1/h",
        doc="kills per cell in plenty of targets",
        default=5 / 24,
        bounds=(0, 5),
        ref="within 2-16/day, Halle 2016",
        status="derived",
    )
    kill_half: Any = param(
        "cells/mm^3",
        doc="double-saturation constant",
        default=4e4,
        bounds=(1, 1e7),
        ref="as CAR-T cells",
        status="assumed",
    )
    tgf_beta_half: Any = param(
        "nM",
        doc="TGF-beta that halves killing",
        default=0.14,
        bounds=(1e-4, 100),
        ref="SPQSP PDAC TGFb_50_Teff",
        status="seen",
    )
    pd1_half: Any = param(
        "1/um^2",
        doc="engaged PD-1 that halves killing",
        default=6.0,
        bounds=(1e-3, 1e3),
        ref="SPQSP PDAC PD1_50",
        status="seen",
    )
    suppressor_half: Any = param(
        "cells/mm^3", doc="suppressor cells that halve killing", default=2e4, bounds=(1, 1e7), status="assumed"
    )
    interferon: Any = param(
        "1/s",
        doc="IFN-gamma molecules per cell in contact",
        default=5.0,
        bounds=(0, 1e4),
        ref="half of a CAR-T cell",
        status="assumed",
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        cells = Species(0.0, 0.0, None, 5.0, "transported", "cells/mm^3", "Endogenous T cells")
        blood = Species(0.0, 0.0, None, 1e-2, "compartment", "cells/uL", "Primed endogenous T cells in blood")
        return {"endogenous_t": cells, "endogenous_t_plasma": blood}

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"priming_signal": self.spontaneous}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        cells, tumour = state["endogenous_t"], total(TUMOUR, state)
        contact = saturation(tumour, self.contact_half)
        room = positive(1.0 - cells / self.full)
        drive = self.baseline + (1.0 - self.baseline) * saturation(state["growth_factor"], self.cytokine_half)
        division = self.division * saturation(state["oxygen"], self.oxygen_half) * contact * drive * room
        adhesion = tissue["adhesion"] * inhibition(tissue["vegf_signal"], self.vegf_half)
        entry = self.velocity * state["vessel_surface"] * tissue["perfusion"] * adhesion * state["endogenous_t_plasma"]
        if "cxcl10" in state:
            entry = entry * (1.0 + self.entry_gain * saturation(state["cxcl10"], self.cxcl10_half))
        pressure = self.kill * self.potency(tissue) * cells / (self.kill_half + cells + tumour)
        return {
            "endogenous_t_plasma.source": self.priming * self.primed(state, tissue),
            "endogenous_t_plasma.loss": self.blood_death,
            "endogenous_t.diffusivity": self.diffusivity * tissue["motility"],
            "endogenous_t.source": entry + division * cells,
            "endogenous_t.loss": self.egress * (1.0 - contact),
            "endogenous_t.death": self.death,
            "ifn_gamma.source": secretion(self.interferon, contact * cells, tissue["interstitium"]),
            **dying(TUMOUR, pressure, state),
        }

    def primed(self, state: Any, tissue: Any) -> Any:
        """⟨x/(1 + x) d/(K + d)⟩ over the nests; 0 where there are none."""
        nest = tissue["region_tumour"]
        local = saturation(tissue["priming_signal"], 1.0) * saturation(state["damp"], self.damp_half)
        return tissue.grid.integrate(nest * local) / (tissue.grid.integrate(nest) + 1e-30)

    def potency(self, tissue: Any) -> Any:
        """What TGF-β, PD-1 and suppressor cells leave of killing, 0…1."""
        left = inhibition(tissue["tgf_beta_signal"], self.tgf_beta_half)
        left = left * inhibition(tissue["pd1_engagement"], self.pd1_half, 2)
        return left * inhibition(tissue["suppressor_signal"], self.suppressor_half)
