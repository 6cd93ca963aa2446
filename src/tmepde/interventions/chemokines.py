"""Therapies of chemokines: receptors that send CAR-T cells to the tumour, and blockers of those that lead astray.

v += CI S tanh(l) ∇c/|∇c| · room          entry × (1 + g c/(c + K))
"""

from __future__ import annotations

from typing import Any, ClassVar

from tmepde.interventions.base import Effects, Intervention, dose
from tmepde.interventions.delivery import drug_kinetics, interstitial, plasma, volume_parameter
from tmepde.parameter import param
from tmepde.physiology.chemokines import attraction
from tmepde.physiology.rates import inhibition, saturation


class _Receptor(Intervention):
    """v += CI S tanh(l) ∇c/|∇c|, entry × (1 + g c/(c + K)) with the level c of one ligand."""

    reviews = (22, 24)
    ligand: ClassVar[str]

    index: Any = param(
        "1",
        doc="chemotactic index that the receptor gives",
        default=0.15,
        bounds=(0, 1),
        ref="0.15-0.3, handbook 22",
        status="assumed",
    )
    half: Any = param("nM", doc="ligand of half receptor occupancy", default=1.0, bounds=(1e-4, 1e3), status="assumed")
    entry_gain: Any = param(
        "1",
        doc="relative increase of entry from blood in plenty of ligand",
        default=3.0,
        bounds=(0, 100),
        ref="Craddock 2010, over 10-fold homing with CCR2b",
        status="assumed",
    )

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        level = state[self.ligand]
        return Effects(
            scale={"car_t_entry": 1.0 + self.entry_gain * saturation(level, self.half)},
            add={"car_t.velocity": attraction(level, self.index, self.half, state, tissue)},
        )


class ChemokineReceptor(_Receptor):
    """v += CI S tanh(l) ∇c/|∇c|, entry × (1 + g c/(c + K)): CXCR6, CXCR2, CXCR1, CCR4 or CXCR5 on CAR-T cells.

    Their ligands (CXCL16, IL-8, CCL17/22, CXCL13) are made by the tumour; the model has one field for them, the
    tumour's ``chemokine``. Without ligand the receptor does nothing (Lesch 2021). Limits: one field for all.
    """

    ligand = "chemokine"


class Ccr2bReceptor(_Receptor):
    """v += CI S tanh(l) ∇c/|∇c|, entry × (1 + g c/(c + K)) with CCL2: CCR2b on CAR-T cells.

    CCL2 calls suppressor cells; the receptor lets CAR-T cells follow the same call (Wang 2021, Craddock 2010).
    """

    requires = ("ccl2_kinetics",)
    ligand = "ccl2"

    half: Any = param(
        "nM", doc="CCL2 of half receptor occupancy", default=0.23, bounds=(1e-4, 1e3), ref="SPQSP PDAC", status="seen"
    )


class Ccr5Receptor(_Receptor):
    """v += CI S tanh(l) ∇c/|∇c|, entry × (1 + g c/(c + K)) with CCL5: CCR5 on CAR-T cells.

    Engaged CAR-T cells make CCL5 themselves, so that those which found the tumour call the others.
    """

    requires = ("ccl5_kinetics",)
    ligand = "ccl5"


class Cxcr3Receptor(_Receptor):
    """v += CI S tanh(l) ∇c/|∇c|, entry × (1 + g c/(c + K)) with CXCL10: CXCR3 on CAR-T cells beyond its natural level.

    The ligand is made where IFN-γ is: the receptor helps only after the first CAR-T cells, or a STING agonist, worked.
    """

    requires = ("cxcl10_kinetics",)
    ligand = "cxcl10"


class Cxcr4Antagonist(Intervention):
    """c_seen = c/(1 + a/K): AMD3100 (plerixafor) frees T cells that CXCL12 of fibroblasts holds in the stroma.

    It scales the tissue quantity ``cxcl12_signal``; where there is no CXCL12 it does nothing. Limits: mobilisation of
    cells from the marrow is left out.
    """

    requires = ("cxcl12_retention",)
    reviews = (23,)

    dose: Any = dose("nmol", doc="drug into plasma; 0.24 mg/kg is 33000 nmol")
    affinity: Any = param(
        "nM",
        doc="level that halves the CXCL12 signal",
        default=50.0,
        bounds=(1e-2, 1e5),
        ref="IC50 of plerixafor 10-100 nM",
        status="from memory",
    )
    diameter: Any = param("nm", doc="hydrodynamic diameter", default=1.2, bounds=(0.1, 100), status="assumed")
    diffusivity: Any = param(
        "um^2/h",
        doc="diffusivity in tissue (150 um^2/s)",
        default=150.0 * 3600,
        bounds=(0, 1e7),
        ref="small molecule",
        status="assumed",
    )
    elimination: Any = param(
        "1/h",
        doc="clearance from plasma (half-life 4 h)",
        default=0.6931471805599453 / 4,
        bounds=(0, 10),
        ref="plerixafor 3-5 h",
        status="from memory",
    )
    clearance: Any = param("1/h", doc="loss in tissue", default=0.1, bounds=(0, 100), status="assumed")
    volume: Any = volume_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {
            "plerixafor": interstitial("CXCR4 antagonist", self.diffusivity),
            "plerixafor_plasma": plasma("CXCR4 antagonist in plasma"),
        }

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return drug_kinetics("plerixafor", self.diameter, self.elimination, self.clearance, state, tissue)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        return Effects(
            scale={"cxcl12_signal": inhibition(state["plerixafor"], self.affinity)},
            add={"plerixafor_plasma.source": clock.rate(self.dose) / self.volume},
        )


class Ccl2Blockade(Intervention):
    """∂c/∂t −= k_on a c: an antibody against CCL2 takes away what calls MDSC, macrophages and regulatory T cells.

    It also takes away the guide of CCR2b CAR-T cells. Limits: the complex is cleared at once; the rebound after the end
    of treatment (bone-marrow release) is left out.
    """

    requires = ("ccl2_kinetics",)
    reviews = (24,)

    dose: Any = dose("nmol", doc="antibody into plasma; 10 mg/kg is 4700 nmol")
    association: Any = param(
        "1/(nM h)",
        doc="binding (1e5 per M and s)",
        default=0.36,
        bounds=(0, 1e3),
        ref="antibodies 1e5-1e6",
        status="from memory",
    )
    diameter: Any = param(
        "nm", doc="hydrodynamic diameter of IgG", default=11.0, bounds=(1, 200), ref="IgG", status="from memory"
    )
    diffusivity: Any = param(
        "um^2/h",
        doc="diffusivity in tissue",
        default=10.2 * 3600,
        bounds=(0, 1e7),
        ref="Thurber 2008 (SPQSP PDAC)",
        status="seen",
    )
    elimination: Any = param(
        "1/h",
        doc="clearance from plasma (half-life 10 days)",
        default=0.6931471805599453 / 240,
        bounds=(0, 10),
        ref="IgG 10-21 days",
        status="from memory",
    )
    clearance: Any = param(
        "1/h", doc="uptake and drainage in tissue (5e-5/s)", default=0.18, bounds=(0, 100), status="assumed"
    )
    volume: Any = volume_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {
            "ccl2_antibody": interstitial("Anti-CCL2 antibody", self.diffusivity),
            "ccl2_antibody_plasma": plasma("Anti-CCL2 antibody in plasma"),
        }

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return drug_kinetics("ccl2_antibody", self.diameter, self.elimination, self.clearance, state, tissue)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        return Effects(
            add={
                "ccl2.loss": self.association * state["ccl2_antibody"],
                "ccl2_antibody_plasma.source": clock.rate(self.dose) / self.volume,
            }
        )
