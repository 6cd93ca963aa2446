"""Therapies. ``REGISTRY`` names the built-in ones; :func:`resolve` also finds those of packages and of files.

A package offers its own under the entry-point group ``tmepde.interventions``; a configuration may name a class of a
file beside it as ``"mylab.py:Cooling"`` or of an installed module as ``"mylab.cooling:Cooling"``.
"""

from __future__ import annotations

from tmepde.interventions.agonists import StingAgonist, TlrAgonist
from tmepde.interventions.backpack import CytokineBackpack, FreeCytokine
from tmepde.interventions.base import Effects, Intervention
from tmepde.interventions.carriers import DrugCarrier, Glycoengineering, TargetedCarrier
from tmepde.interventions.cells import CellInfusion, Secretes
from tmepde.interventions.chemokines import (
    Ccl2Blockade,
    Ccr2bReceptor,
    Ccr5Receptor,
    ChemokineReceptor,
    Cxcr3Receptor,
    Cxcr4Antagonist,
)
from tmepde.interventions.cytotoxic import NabPaclitaxel, Radiotherapy
from tmepde.interventions.engineering import (
    Cd28Costimulation,
    Cd137Costimulation,
    IcosCostimulation,
    Il21CarT,
    Sialidase,
    TnfCarT,
)
from tmepde.interventions.immune import CheckpointBlockade, Pd1Nanocluster, PdL1ScfvCarT
from tmepde.interventions.interleukins import Il12CarT, Il12Therapy
from tmepde.interventions.metabolism import ArginineSupplement, Buffer, GlutamineAntagonist, GlycolysisInhibitor
from tmepde.interventions.oxygen import OxygenCarrier, OxygenGel, OxygenGenerator
from tmepde.interventions.physical import MagneticGuidance, Photodynamic, Photothermal, Sonodynamic
from tmepde.interventions.programming import InSituProgramming
from tmepde.interventions.registry import GROUP, names, resolve_from
from tmepde.interventions.reservoirs import SCAFFOLDS, CellScaffold, MicroneedleArray, RegionalInfusion, ThinFilm
from tmepde.interventions.stroma import HyaluronidaseParticle, MatrixEnzyme
from tmepde.interventions.stromal_cells import EnzymeCarT, FapCarT, SynnotchCarT
from tmepde.interventions.suppression import AdenosineBackpack, AdenosineBlockade, IdoInhibitor, TgfBetaInhibitor
from tmepde.interventions.suppressors import Csf1rInhibitor, MdscDepletion
from tmepde.interventions.toxicity import Anakinra, Corticosteroid, CytokineScavenger, SuicideSwitch, Tocilizumab
from tmepde.interventions.vasculature import (
    AntiVEGF,
    EdbTargeting,
    EndothelialMetabolism,
    NitricOxideDonor,
    Pak4Inhibitor,
    VascularDisruption,
)
from tmepde.interventions.virus import OncolyticVirus

REGISTRY: dict[str, type[Intervention]] = {
    "anti_vegf": AntiVEGF,
    "matrix_enzyme": MatrixEnzyme,
    "cell_infusion": CellInfusion,
    "oxygen_generator": OxygenGenerator,
    "checkpoint_blockade": CheckpointBlockade,
    "radiotherapy": Radiotherapy,
    # metabolism
    "adenosine_backpack": AdenosineBackpack,
    "adenosine_blockade": AdenosineBlockade,
    "arginine_supplement": ArginineSupplement,
    "buffer": Buffer,
    "glutamine_antagonist": GlutamineAntagonist,
    "glycolysis_inhibitor": GlycolysisInhibitor,
    "ido_inhibitor": IdoInhibitor,
    "oxygen_carrier": OxygenCarrier,
    "oxygen_gel": OxygenGel,
    "tgf_beta_inhibitor": TgfBetaInhibitor,
    # stroma
    "edb_targeting": EdbTargeting,
    "endothelial_metabolism": EndothelialMetabolism,
    "enzyme_car_t": EnzymeCarT,
    "fap_car_t": FapCarT,
    "hyaluronidase_particle": HyaluronidaseParticle,
    "magnetic_guidance": MagneticGuidance,
    "nab_paclitaxel": NabPaclitaxel,
    "nitric_oxide_donor": NitricOxideDonor,
    "pak4_inhibitor": Pak4Inhibitor,
    "photodynamic": Photodynamic,
    "photothermal": Photothermal,
    "sonodynamic": Sonodynamic,
    "synnotch_car_t": SynnotchCarT,
    "vascular_disruption": VascularDisruption,
    # immunity
    "ccl2_blockade": Ccl2Blockade,
    "ccr2b_receptor": Ccr2bReceptor,
    "ccr5_receptor": Ccr5Receptor,
    "cd28_costimulation": Cd28Costimulation,
    "cd137_costimulation": Cd137Costimulation,
    "chemokine_receptor": ChemokineReceptor,
    "csf1r_inhibitor": Csf1rInhibitor,
    "cxcr3_receptor": Cxcr3Receptor,
    "cxcr4_antagonist": Cxcr4Antagonist,
    "icos_costimulation": IcosCostimulation,
    "il12_car_t": Il12CarT,
    "il12_therapy": Il12Therapy,
    "il21_car_t": Il21CarT,
    "mdsc_depletion": MdscDepletion,
    "oncolytic_virus": OncolyticVirus,
    "pd1_nanocluster": Pd1Nanocluster,
    "pd_l1_scfv_car_t": PdL1ScfvCarT,
    "sialidase": Sialidase,
    "sting_agonist": StingAgonist,
    "tlr_agonist": TlrAgonist,
    "tnf_car_t": TnfCarT,
    # systemic
    "anakinra": Anakinra,
    "cell_scaffold": CellScaffold,
    "corticosteroid": Corticosteroid,
    "cytokine_backpack": CytokineBackpack,
    "cytokine_scavenger": CytokineScavenger,
    "drug_carrier": DrugCarrier,
    "free_cytokine": FreeCytokine,
    "glycoengineering": Glycoengineering,
    "in_situ_programming": InSituProgramming,
    "microneedle_array": MicroneedleArray,
    "regional_infusion": RegionalInfusion,
    "suicide_switch": SuicideSwitch,
    "targeted_carrier": TargetedCarrier,
    "thin_film": ThinFilm,
    "tocilizumab": Tocilizumab,
}


def resolve(kind: str, beside: str = ".") -> type[Intervention]:
    """The class of ``kind``: a built-in name, a name of an installed package, or ``"file.py:Class"``.

    Args:
        kind: what a configuration says.
        beside: the folder against which a file is looked up.

    Raises:
        ValueError: when there is no such name, file or class, or when it is no :class:`Intervention`.
    """
    return resolve_from(REGISTRY, kind, beside)


__all__ = [
    "GROUP",
    "REGISTRY",
    "SCAFFOLDS",
    "Effects",
    "Intervention",
    "Secretes",
    "names",
    "resolve",
    *sorted(c.__name__ for c in REGISTRY.values()),
]
