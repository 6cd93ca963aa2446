"""tmepde: CAR-T cells, therapies and the microenvironment of solid tumours as reaction–diffusion equations in JAX.

    import tmepde as tme
    from tmepde.units import mm, day, hour

    model = tme.library.solid_tumour(tme.Grid.square(4 * mm, cells=256), radius=1.2 * mm)
    plan = {"car_t": tme.CellInfusion(dose=tme.Bolus(at=1 * day, amount=1e8))}
    solution = tme.simulate(tme.Scenario(model, interventions=plan, until=14 * day), save=tme.every(12 * hour))
    dataset = solution.to_xarray()

Names are loaded on first use, so that ``import tmepde`` and ``tmepde --help`` do not start JAX.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tmepde._heap import keep_memory as _keep_memory
from tmepde._version import __version__

_keep_memory()  # now: threads that JAX starts before it keep heaps of their own

if TYPE_CHECKING:
    from tmepde import interventions, library, observables, operators, physiology, units
    from tmepde._results import Status
    from tmepde.batch import simulate_batch
    from tmepde.boundary import Dirichlet, NoFlux, PrescribedFlux, Robin
    from tmepde.grid import Grid
    from tmepde.interventions import (
        AdenosineBackpack,
        AdenosineBlockade,
        Anakinra,
        AntiVEGF,
        ArginineSupplement,
        Buffer,
        Ccl2Blockade,
        Ccr2bReceptor,
        Ccr5Receptor,
        Cd28Costimulation,
        Cd137Costimulation,
        CellInfusion,
        CellScaffold,
        CheckpointBlockade,
        ChemokineReceptor,
        Corticosteroid,
        Csf1rInhibitor,
        Cxcr3Receptor,
        Cxcr4Antagonist,
        CytokineBackpack,
        CytokineScavenger,
        DrugCarrier,
        EdbTargeting,
        Effects,
        EndothelialMetabolism,
        EnzymeCarT,
        FapCarT,
        FreeCytokine,
        GlutamineAntagonist,
        Glycoengineering,
        GlycolysisInhibitor,
        HyaluronidaseParticle,
        IcosCostimulation,
        IdoInhibitor,
        Il12CarT,
        Il12Therapy,
        Il21CarT,
        InSituProgramming,
        Intervention,
        MagneticGuidance,
        MatrixEnzyme,
        MdscDepletion,
        MicroneedleArray,
        NabPaclitaxel,
        NitricOxideDonor,
        OncolyticVirus,
        OxygenCarrier,
        OxygenGel,
        OxygenGenerator,
        Pak4Inhibitor,
        Pd1Nanocluster,
        PdL1ScfvCarT,
        Photodynamic,
        Photothermal,
        Radiotherapy,
        RegionalInfusion,
        Secretes,
        Sialidase,
        Sonodynamic,
        StingAgonist,
        SuicideSwitch,
        SynnotchCarT,
        TargetedCarrier,
        TgfBetaInhibitor,
        ThinFilm,
        TlrAgonist,
        TnfCarT,
        Tocilizumab,
        VascularDisruption,
    )
    from tmepde.model import Model
    from tmepde.parameter import param
    from tmepde.prior import drawn, priors, sample
    from tmepde.process import Process, process
    from tmepde.region import Region
    from tmepde.scenario import Scenario
    from tmepde.schedule import Bolus, Continuous, Course, Infusion, Schedule, every
    from tmepde.simulation import run_arms, simulate
    from tmepde.solution import Solution
    from tmepde.species import Species
    from tmepde.steady import steady_state
    from tmepde.steppers import (
        BackwardEuler,
        ExplicitEuler,
        Exponential2,
        NewtonKrylov,
        Rosenbrock2,
        Rosenbrock3,
        RungeKuttaChebyshev,
        StepControl,
    )

_MODULES = ("interventions", "library", "observables", "operators", "physiology", "units")
_HOMES = {
    "_results": ("Status",),
    "batch": ("simulate_batch",),
    "boundary": ("Dirichlet", "NoFlux", "PrescribedFlux", "Robin"),
    "grid": ("Grid",),
    "interventions": (
        "AdenosineBackpack",
        "AdenosineBlockade",
        "Anakinra",
        "AntiVEGF",
        "ArginineSupplement",
        "Buffer",
        "Ccl2Blockade",
        "Ccr2bReceptor",
        "Ccr5Receptor",
        "Cd137Costimulation",
        "Cd28Costimulation",
        "CellInfusion",
        "CellScaffold",
        "CheckpointBlockade",
        "ChemokineReceptor",
        "Corticosteroid",
        "Csf1rInhibitor",
        "Cxcr3Receptor",
        "Cxcr4Antagonist",
        "CytokineBackpack",
        "CytokineScavenger",
        "DrugCarrier",
        "EdbTargeting",
        "Effects",
        "EndothelialMetabolism",
        "EnzymeCarT",
        "FapCarT",
        "FreeCytokine",
        "GlutamineAntagonist",
        "Glycoengineering",
        "GlycolysisInhibitor",
        "HyaluronidaseParticle",
        "IcosCostimulation",
        "IdoInhibitor",
        "Il12CarT",
        "Il12Therapy",
        "Il21CarT",
        "InSituProgramming",
        "Intervention",
        "MagneticGuidance",
        "MatrixEnzyme",
        "MdscDepletion",
        "MicroneedleArray",
        "NabPaclitaxel",
        "NitricOxideDonor",
        "OncolyticVirus",
        "OxygenCarrier",
        "OxygenGel",
        "OxygenGenerator",
        "Pak4Inhibitor",
        "Pd1Nanocluster",
        "PdL1ScfvCarT",
        "Photodynamic",
        "Photothermal",
        "Radiotherapy",
        "RegionalInfusion",
        "Secretes",
        "Sialidase",
        "Sonodynamic",
        "StingAgonist",
        "SuicideSwitch",
        "SynnotchCarT",
        "TargetedCarrier",
        "TgfBetaInhibitor",
        "ThinFilm",
        "TlrAgonist",
        "TnfCarT",
        "Tocilizumab",
        "VascularDisruption",
    ),
    "model": ("Model",),
    "parameter": ("param",),
    "prior": ("drawn", "priors", "sample"),
    "process": ("Process", "process"),
    "region": ("Region",),
    "scenario": ("Scenario",),
    "schedule": ("Bolus", "Continuous", "Course", "Infusion", "Schedule", "every"),
    "simulation": ("run_arms", "simulate"),
    "solution": ("Solution",),
    "species": ("Species",),
    "steady": ("steady_state",),
    "steppers": (
        "BackwardEuler",
        "ExplicitEuler",
        "Exponential2",
        "NewtonKrylov",
        "Rosenbrock2",
        "Rosenbrock3",
        "RungeKuttaChebyshev",
        "StepControl",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AdenosineBackpack",
    "AdenosineBlockade",
    "Anakinra",
    "AntiVEGF",
    "ArginineSupplement",
    "BackwardEuler",
    "Bolus",
    "Buffer",
    "Ccl2Blockade",
    "Ccr2bReceptor",
    "Ccr5Receptor",
    "Cd137Costimulation",
    "Cd28Costimulation",
    "CellInfusion",
    "CellScaffold",
    "CheckpointBlockade",
    "ChemokineReceptor",
    "Continuous",
    "Corticosteroid",
    "Course",
    "Csf1rInhibitor",
    "Cxcr3Receptor",
    "Cxcr4Antagonist",
    "CytokineBackpack",
    "CytokineScavenger",
    "Dirichlet",
    "DrugCarrier",
    "EdbTargeting",
    "Effects",
    "EndothelialMetabolism",
    "EnzymeCarT",
    "ExplicitEuler",
    "Exponential2",
    "FapCarT",
    "FreeCytokine",
    "GlutamineAntagonist",
    "Glycoengineering",
    "GlycolysisInhibitor",
    "Grid",
    "HyaluronidaseParticle",
    "IcosCostimulation",
    "IdoInhibitor",
    "Il12CarT",
    "Il12Therapy",
    "Il21CarT",
    "InSituProgramming",
    "Infusion",
    "Intervention",
    "MagneticGuidance",
    "MatrixEnzyme",
    "MdscDepletion",
    "MicroneedleArray",
    "Model",
    "NabPaclitaxel",
    "NitricOxideDonor",
    "NewtonKrylov",
    "NoFlux",
    "OncolyticVirus",
    "OxygenCarrier",
    "OxygenGel",
    "OxygenGenerator",
    "Pak4Inhibitor",
    "Pd1Nanocluster",
    "PdL1ScfvCarT",
    "Photodynamic",
    "Photothermal",
    "PrescribedFlux",
    "Process",
    "Radiotherapy",
    "Region",
    "RegionalInfusion",
    "Robin",
    "Rosenbrock2",
    "Rosenbrock3",
    "RungeKuttaChebyshev",
    "Scenario",
    "Schedule",
    "Secretes",
    "Sialidase",
    "Solution",
    "Sonodynamic",
    "Species",
    "Status",
    "StepControl",
    "StingAgonist",
    "SuicideSwitch",
    "SynnotchCarT",
    "TargetedCarrier",
    "TgfBetaInhibitor",
    "ThinFilm",
    "TlrAgonist",
    "TnfCarT",
    "Tocilizumab",
    "VascularDisruption",
    "__version__",
    "drawn",
    "every",
    "interventions",
    "library",
    "observables",
    "operators",
    "param",
    "physiology",
    "priors",
    "process",
    "run_arms",
    "sample",
    "simulate",
    "simulate_batch",
    "steady_state",
    "units",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = importlib.import_module(f"tmepde.{name}")
    elif name in _HOME:
        value = getattr(importlib.import_module(f"tmepde.{_HOME[name]}"), name)
    else:
        import difflib

        near = difflib.get_close_matches(name, __all__, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise AttributeError(f"Module 'tmepde' has no name {name!r}.{hint}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """Keeps a public function from being covered by the submodule of the same name (``tme.process``)."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and _HOME.get(name) == name):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
