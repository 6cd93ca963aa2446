"""One small case of every therapy, for the contracts that all of them must keep."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import tmepde as tme
from tmepde.interventions import REGISTRY
from tmepde.model import System
from tmepde.schedule import Clock

#: label → (registry key, therapy); doses are short, begin off the step grid and act within hours
CASES = {
    "anti_vegf": ("anti_vegf", tme.AntiVEGF(dose=tme.Infusion([1.3, 5.0], [2300.0, 1500.0], 1.5))),
    "matrix_enzyme": ("matrix_enzyme", tme.MatrixEnzyme(dose=tme.Infusion(0.7, 900.0, 1.5))),
    "matrix_enzyme_local": (
        "matrix_enzyme",
        tme.MatrixEnzyme(dose=tme.Infusion(0.7, 3e-5, 1.5), route="intratumoral", site=[420.0], width=150.0),
    ),
    "cell_infusion": (
        "cell_infusion",
        tme.CellInfusion(dose=tme.Infusion(0.3, 1e11, 1.0), armour=tme.Secretes(chemokine=3.0, growth_factor=10.0)),
    ),
    "cell_infusion_local": (
        "cell_infusion",
        tme.CellInfusion(
            dose=tme.Infusion(0.3, 1e6, 1.0), route="intratumoral", site=[380.0], armour=tme.Secretes(chemokine=3.0)
        ),
    ),
    "oxygen_generator": ("oxygen_generator", tme.OxygenGenerator(dose=tme.Infusion(0.2, 300.0, 0.8))),
    "oxygen_generator_local": (
        "oxygen_generator",
        tme.OxygenGenerator(dose=tme.Infusion(0.2, 3e-5, 0.8), route="intratumoral", site=[420.0]),
    ),
    "checkpoint_blockade": ("checkpoint_blockade", tme.CheckpointBlockade(dose=tme.Infusion(0.9, 1400.0, 0.7))),
    "radiotherapy": ("radiotherapy", tme.Radiotherapy(dose=tme.Infusion([1.1, 4.3], [2.0, 3.0], 0.4))),
}
#: the six that are combined in all ways
SIX = {kind: CASES[kind][1] for kind in REGISTRY}


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def model():
    """A slab of 16 cells with T cells already at the margin, so that every therapy has something to act on."""
    grid = tme.Grid.line(800.0, 16)
    model = tme.library.solid_tumour(grid, radius=220.0, processes={"bystander_killing": {"rate": 0.02}})
    near = abs(model.tissue["region_margin_distance"])
    for name, amount in (("car_t", 2e3), ("car_t_exhausted", 300.0)):
        species = model.species[name]
        start = amount / (1.0 + (near / 80.0) ** 2)
        model.species[name] = tme.Species(
            start, species.diffusivity, None, species.negligible, species.kind, species.unit, species.long_name
        )
    return model


@pytest.fixture
def clock():
    """A step of half an hour that begins at 1 h, inside several doses."""
    return Clock(*(jnp.asarray(v) for v in (1.0, 0.0, 0.0, 0.5)))


def with_drugs(system, state, level=3.0):
    """The state with every species that a therapy brings at ``level``, so that effects are not all zero."""
    foreign = set(system.species) - set(system.model.species)
    raised = {"nanoparticle", "nanoparticle_bound", "nanoparticle_plasma", "ifn_gamma", "car_t_plasma"} | foreign
    return {k: v + level if k in raised else v for k, v in state.items()}


@pytest.fixture
def cases():
    return CASES


@pytest.fixture
def six():
    return SIX


@pytest.fixture
def populated():
    """Build ``(system, state)`` with therapies in the middle of their work."""

    def build(model, interventions):
        system = System(model, interventions)
        return system, with_drugs(system, system.initial_state(jnp.float64))

    return build


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", sorted(CASES))
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", sorted(REGISTRY))
