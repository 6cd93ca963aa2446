"""Therapies. ``REGISTRY`` names the built-in ones; :func:`resolve` also finds those of packages and of files.

A package offers its own under the entry-point group ``tmepde.interventions``; a configuration may name a class of a
file beside it as ``"mylab.py:Cooling"`` or of an installed module as ``"mylab.cooling:Cooling"``.
"""

from __future__ import annotations

from tmepde.interventions.base import Effects, Intervention
from tmepde.interventions.cells import CellInfusion, Secretes
from tmepde.interventions.cytotoxic import Radiotherapy
from tmepde.interventions.immune import CheckpointBlockade
from tmepde.interventions.metabolism import ArginineSupplement, Buffer, GlutamineAntagonist, GlycolysisInhibitor
from tmepde.interventions.oxygen import OxygenCarrier, OxygenGel, OxygenGenerator
from tmepde.interventions.registry import GROUP, names, resolve_from
from tmepde.interventions.stroma import MatrixEnzyme
from tmepde.interventions.suppression import AdenosineBackpack, AdenosineBlockade, IdoInhibitor, TgfBetaInhibitor
from tmepde.interventions.vasculature import AntiVEGF

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
    "AdenosineBackpack",
    "AdenosineBlockade",
    "AntiVEGF",
    "ArginineSupplement",
    "Buffer",
    "CellInfusion",
    "CheckpointBlockade",
    "Effects",
    "GlutamineAntagonist",
    "GlycolysisInhibitor",
    "IdoInhibitor",
    "Intervention",
    "MatrixEnzyme",
    "OxygenCarrier",
    "OxygenGel",
    "OxygenGenerator",
    "Radiotherapy",
    "Secretes",
    "TgfBetaInhibitor",
    "names",
    "resolve",
]
