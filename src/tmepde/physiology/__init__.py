"""Mechanisms as small processes, one family per file; ``REGISTRY`` names them as configurations do.

``MILIEU`` groups the optional ones, which a model carries only when asked, or when a therapy needs them.
"""

from collections.abc import Iterable

from tmepde.coefficients import unknown
from tmepde.physiology.acid import AcidBalance
from tmepde.physiology.adenosine import AdenosineKinetics
from tmepde.physiology.arginine import ArginineMetabolism
from tmepde.physiology.bioheat import Bioheat
from tmepde.physiology.blood import BloodKinetics, ForcedBloodKinetics
from tmepde.physiology.chemokines import Ccl2, Ccl5, Cxcl10
from tmepde.physiology.cytokines import Chemokine, GrowthFactor, InterferonGamma, TgfBeta, Vegf
from tmepde.physiology.debris import Debris
from tmepde.physiology.endogenous import EndogenousImmunity
from tmepde.physiology.fibroblasts import Cxcl12Retention, Fibroblasts
from tmepde.physiology.flow import Haptotaxis, InterstitialFlow
from tmepde.physiology.glycolysis import Glycolysis
from tmepde.physiology.interleukins import Il1, Il2, Il6, Il12
from tmepde.physiology.killing import AntigenContact, BystanderKilling, CheckpointEngagement, Killing, TgfBetaSignal
from tmepde.physiology.lymphocytes import Chemotaxis, Exhaustion, Expansion, MatrixHindrance, Motility, Turnover
from tmepde.physiology.matrix import CollagenTurnover, HyaluronanTurnover
from tmepde.physiology.memory import MemoryCells
from tmepde.physiology.nanoparticles import (
    NanoparticleBinding,
    NanoparticleDiffusion,
    NanoparticleExchange,
    NanoparticlePlasma,
    PayloadRelease,
)
from tmepde.physiology.oxygen import OxygenSupply, OxygenUptake, PeroxideProduction
from tmepde.physiology.peroxide import PeroxideKinetics
from tmepde.physiology.plasma import CarTExposure, GrowthFactorPlasma, HostTCells
from tmepde.physiology.starling import StarlingFlow
from tmepde.physiology.suppressors import MyeloidCells, RegulatoryCells
from tmepde.physiology.systemic import CytokineRelease
from tmepde.physiology.tryptophan import TryptophanCatabolism
from tmepde.physiology.tumour import AntigenLoss, Crowding, Growth, Necrosis
from tmepde.physiology.vessels import Angiogenesis, Egress, Extravasation, Perfusion, PoreRelaxation, VegfSignal
from tmepde.physiology.virus import ViralInfection
from tmepde.process import Process

REGISTRY: dict[str, type[Process]] = {
    "crowding": Crowding,
    "growth": Growth,
    "necrosis": Necrosis,
    "antigen_loss": AntigenLoss,
    "antigen_contact": AntigenContact,
    "checkpoint_engagement": CheckpointEngagement,
    "tgf_beta_signal": TgfBetaSignal,
    "killing": Killing,
    "bystander_killing": BystanderKilling,
    "matrix_hindrance": MatrixHindrance,
    "motility": Motility,
    "chemotaxis": Chemotaxis,
    "expansion": Expansion,
    "turnover": Turnover,
    "exhaustion": Exhaustion,
    "oxygen_uptake": OxygenUptake,
    "oxygen_supply": OxygenSupply,
    "peroxide_production": PeroxideProduction,
    "chemokine_kinetics": Chemokine,
    "growth_factor_kinetics": GrowthFactor,
    "interferon_kinetics": InterferonGamma,
    "tgf_beta_kinetics": TgfBeta,
    "vegf_kinetics": Vegf,
    "vegf_signal": VegfSignal,
    "perfusion": Perfusion,
    "pore_relaxation": PoreRelaxation,
    "angiogenesis": Angiogenesis,
    "extravasation": Extravasation,
    "egress": Egress,
    "collagen_turnover": CollagenTurnover,
    "hyaluronan_turnover": HyaluronanTurnover,
    "blood_kinetics": BloodKinetics,
    "nanoparticle_plasma": NanoparticlePlasma,
    "nanoparticle_exchange": NanoparticleExchange,
    "nanoparticle_diffusion": NanoparticleDiffusion,
    "nanoparticle_binding": NanoparticleBinding,
    "payload_release": PayloadRelease,
}

#: optional processes by group
MILIEU: dict[str, dict[str, type[Process]]] = {
    "metabolism": {
        "glycolysis": Glycolysis,
        "acid_balance": AcidBalance,
        "peroxide_kinetics": PeroxideKinetics,
        "adenosine_kinetics": AdenosineKinetics,
        "tryptophan_catabolism": TryptophanCatabolism,
        "arginine_metabolism": ArginineMetabolism,
    },
    "stroma": {
        "fibroblasts": Fibroblasts,
        "cxcl12_retention": Cxcl12Retention,
        "interstitial_flow": StarlingFlow,
        "bioheat": Bioheat,
    },
    "immunity": {
        "memory_cells": MemoryCells,
        "endogenous_immunity": EndogenousImmunity,
        "regulatory_cells": RegulatoryCells,
        "myeloid_cells": MyeloidCells,
        "il1_kinetics": Il1,
        "il2_kinetics": Il2,
        "il6_kinetics": Il6,
        "il12_kinetics": Il12,
        "ccl2_kinetics": Ccl2,
        "ccl5_kinetics": Ccl5,
        "cxcl10_kinetics": Cxcl10,
        "debris": Debris,
        "viral_infection": ViralInfection,
    },
    "systemic": {
        "cytokine_release": CytokineRelease,
        "growth_factor_plasma": GrowthFactorPlasma,
        "car_t_exposure": CarTExposure,
        "host_t_cells": HostTCells,
        "forced_blood_kinetics": ForcedBloodKinetics,
    },
}
OPTIONAL: dict[str, type[Process]] = {name: cls for group in MILIEU.values() for name, cls in group.items()}


def needed(names: Iterable[str]) -> tuple[str, ...]:
    """The optional processes among ``names`` with all that they require in turn, sorted.

    Raises:
        ValueError: for a name that is no process, with the nearest valid one.
    """
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in REGISTRY or name in found:
            continue
        if name not in OPTIONAL:
            raise ValueError(unknown("optional process", name, OPTIONAL))
        found.add(name)
        waiting += OPTIONAL[name].requires
    return tuple(sorted(found))


#: processes that the solid-tumour model does not have; for models written in Python
_MORE: tuple[type[Process], ...] = (Haptotaxis, InterstitialFlow)

__all__ = [
    "MILIEU",
    "OPTIONAL",
    "REGISTRY",
    "needed",
    *sorted(c.__name__ for c in (*REGISTRY.values(), *OPTIONAL.values(), *_MORE)),
]
