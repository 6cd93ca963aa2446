"""Therapies. ``REGISTRY`` names the built-in ones; :func:`resolve` also finds those of packages and of files.

A package offers its own under the entry-point group ``tmepde.interventions``; a configuration may name a class of a
file beside it as ``"mylab.py:Cooling"`` or of an installed module as ``"mylab.cooling:Cooling"``.
"""

from __future__ import annotations

from tmepde.interventions.backpack import CytokineBackpack, FreeCytokine
from tmepde.interventions.base import Effects, Intervention
from tmepde.interventions.carriers import DrugCarrier, Glycoengineering, TargetedCarrier
from tmepde.interventions.cells import CellInfusion, Secretes
from tmepde.interventions.cytotoxic import Radiotherapy
from tmepde.interventions.immune import CheckpointBlockade
from tmepde.interventions.oxygen import OxygenGenerator
from tmepde.interventions.programming import InSituProgramming
from tmepde.interventions.registry import GROUP, names, resolve_from
from tmepde.interventions.reservoirs import SCAFFOLDS, CellScaffold, MicroneedleArray, RegionalInfusion, ThinFilm
from tmepde.interventions.stroma import MatrixEnzyme
from tmepde.interventions.toxicity import Anakinra, Corticosteroid, CytokineScavenger, SuicideSwitch, Tocilizumab
from tmepde.interventions.vasculature import AntiVEGF

REGISTRY: dict[str, type[Intervention]] = {
    "anti_vegf": AntiVEGF,
    "matrix_enzyme": MatrixEnzyme,
    "cell_infusion": CellInfusion,
    "oxygen_generator": OxygenGenerator,
    "checkpoint_blockade": CheckpointBlockade,
    "radiotherapy": Radiotherapy,
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
    "Anakinra",
    "AntiVEGF",
    "CellInfusion",
    "CellScaffold",
    "CheckpointBlockade",
    "Corticosteroid",
    "CytokineBackpack",
    "CytokineScavenger",
    "DrugCarrier",
    "Effects",
    "FreeCytokine",
    "GROUP",
    "Glycoengineering",
    "InSituProgramming",
    "Intervention",
    "MatrixEnzyme",
    "MicroneedleArray",
    "OxygenGenerator",
    "REGISTRY",
    "Radiotherapy",
    "RegionalInfusion",
    "SCAFFOLDS",
    "Secretes",
    "SuicideSwitch",
    "TargetedCarrier",
    "ThinFilm",
    "Tocilizumab",
    "names",
    "resolve",
]
