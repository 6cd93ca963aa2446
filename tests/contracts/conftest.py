"""One small case of every therapy, for the contracts that all of them must keep.

The cases of a family are in ``cases_*.py`` beside this file. What holds at one instant is checked for all of them in
programs that hold the whole registry, the arms being strengths: one compilation instead of one per therapy.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.interventions import REGISTRY
from tmepde.model import System
from tmepde.physiology import OPTIONAL
from tmepde.schedule import Clock, Schedule


def _load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_FAMILIES = [_load(path) for path in sorted(Path(__file__).parent.glob("cases_*.py"))]
#: label → (registry key, therapy); doses are short, begin off the step grid and act within hours
CASES = {label: case for family in _FAMILIES for label, case in family.CASES.items()}
#: where each case puts its dose, and how much of the species one unit of dose makes (``None``: a depot in the tissue)
ENTRIES = {label: entry for family in _FAMILIES for label, entry in family.ENTRIES.items() if entry[0] is not None}
#: the six that are combined in all ways
SIX = {
    kind: CASES[kind][1]
    for kind in (
        "anti_vegf",
        "cell_infusion",
        "checkpoint_blockade",
        "matrix_enzyme",
        "oxygen_generator",
        "radiotherapy",
    )
}


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def slab(milieu):
    """A slab of 16 cells with T cells already at the margin, so that every therapy has something to act on."""
    grid = tme.Grid.line(800.0, 16)
    model = tme.library.solid_tumour(grid, radius=220.0, milieu=milieu, processes={"bystander_killing": {"rate": 0.02}})
    near = abs(model.tissue["region_margin_distance"])
    for name, amount in (("car_t", 2e3), ("car_t_exhausted", 300.0)):
        species = model.species[name]
        start = amount / (1.0 + (near / 80.0) ** 2)
        model.species[name] = tme.Species(
            start, species.diffusivity, None, species.negligible, species.kind, species.unit, species.long_name
        )
    return model


@pytest.fixture(scope="session")
def model():
    """The core model."""
    return slab("core")


@pytest.fixture(scope="session")
def full():
    """The model with every optional process."""
    return slab("full")


@pytest.fixture
def clock():
    """A step of half an hour that begins at 1 h, inside several doses."""
    return Clock(*(jnp.asarray(v) for v in (1.0, 0.0, 0.0, 0.5)))


def with_drugs(system, state, level=3.0):
    """The state with what therapies and optional processes bring at ``level``, so that effects are not all zero."""
    optional = {n for p in OPTIONAL.values() for n in p().brings(system.model.base)}
    foreign = (set(system.species) - set(system.model.species)) | optional
    raised = {"nanoparticle", "nanoparticle_bound", "nanoparticle_plasma", "ifn_gamma", "car_t_plasma"} | foreign
    return {k: v + level if k in raised else v for k, v in state.items()}


def _schedule(leaf):
    return isinstance(leaf, Schedule)


class Registry(eqx.Module):
    """Every case at once on the full model, with a strength for each."""

    system: System
    labels: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, model, labels=CASES):
        self.labels = tuple(sorted(labels))
        self.system = System(model, {label: CASES[label][1] for label in self.labels})

    def at(self, strengths, doses=1.0):
        """The system with these strengths, in the order of ``labels``, and every dose times ``doses``."""
        system = eqx.tree_at(
            lambda s: [s.interventions[n].strength for n in self.labels],
            self.system,
            [strengths[i] for i in range(len(self.labels))],
        )

        def given(leaf):
            return eqx.tree_at(lambda s: s.amount, leaf, leaf.amount * doses) if _schedule(leaf) else leaf

        return jax.tree.map(given, system, is_leaf=_schedule)

    def only(self, *labels, value=1.0):
        """Strengths: ``value`` for these, 0 for all others."""
        return np.asarray([value if n in labels else 0.0 for n in self.labels])

    def dosed(self):
        """Labels of the therapies that are given in doses."""
        return [n for n in self.labels if any(map(_schedule, vars(self.system.interventions[n]).values()))]

    def terms(self, strengths, clock, state, doses=1.0):
        system = self.at(strengths, doses)
        return system.coefficients(clock, state), system.hazards(clock, state)


@pytest.fixture(scope="session")
def registry(full):
    with jax.enable_x64(True):
        return Registry(full)


@pytest.fixture(scope="session")
def core_registry(model):
    """The same for the cases on the core model: a program of a tenth of the size."""
    core = next(f for f in _FAMILIES if f.__name__ == "cases_core")
    with jax.enable_x64(True):
        return Registry(model, core.CASES)


@pytest.fixture(scope="session")
def populated_registry(registry):
    """The state of the registry with therapies in the middle of their work."""
    with jax.enable_x64(True):
        return with_drugs(registry.system, registry.system.initial_state(jnp.float64))


@pytest.fixture(scope="session")
def populated_core(core_registry):
    """Likewise for the cases on the core model."""
    with jax.enable_x64(True):
        return with_drugs(core_registry.system, core_registry.system.initial_state(jnp.float64))


@pytest.fixture
def cases():
    return CASES


@pytest.fixture
def entries():
    return ENTRIES


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
