"""The assembled model: it builds on any grid, every part can be switched, every number is documented and harmless."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tmepde import library, observables
from tmepde.grid import Grid
from tmepde.model import System
from tmepde.parameter import STATUSES, parameters
from tmepde.physiology import REGISTRY
from tmepde.region import Region
from tmepde.schedule import Clock

GRIDS = {
    "radial": Grid.radial(1500.0, 30),
    "line": Grid.line(1500.0, 30),
    "square": Grid.square(1500.0, 12),
    "cube": Grid.cube(1500.0, 8),
    "masked": Grid.box((1500.0, 1500.0), (12, 12), mask=np.hypot(*np.mgrid[-5.5:6, -5.5:6]) > 2.0),
}


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def _clock():
    return Clock(*(jnp.asarray(v) for v in (0.0, 0.0, 0.0, 0.5)))


@jax.jit
def _coefficients(system, state):
    return system.coefficients(_clock(), state)


def _check(coefficients):
    for channel in ("diffusivity", "source", "loss"):
        for name, value in getattr(coefficients, channel).items():
            assert np.all(np.isfinite(value)), f"{name}.{channel}"
            assert np.all(np.asarray(value) >= 0.0), f"{name}.{channel}"
    for name, value in coefficients.velocity.items():
        assert all(np.all(np.isfinite(v)) for v in value), name


@pytest.mark.parametrize("kind", GRIDS)
def test_builds_on_every_grid(kind):
    model = library.solid_tumour(GRIDS[kind], radius=500.0)
    system = System(model, {})
    assert not system.problems()
    coefficients = _coefficients(system, system.initial_state(jnp.float64))
    _check(coefficients)
    unsupplied = {"systemic_antigen", "growth_factor", "nanoparticle_plasma"}  # used up, or brought by a therapy
    assert set(coefficients.source) == set(model.species) - unsupplied
    assert set(coefficients.loss) == set(model.species)
    assert set(coefficients.diffusivity) == {
        n for n, s in model.species.items() if s.kind in ("transported", "quasi_steady")
    }


def _extreme_states(model):
    start = System(model, {}).initial_state(jnp.float64)
    cells = {n for n, s in model.species.items() if s.unit == "cells/mm^3"}
    yield "zeros", {k: jnp.zeros_like(v) for k, v in start.items()}
    yield "traces", {k: jnp.full_like(v, 1e-30) for k, v in start.items()}
    yield "no oxygen", start | {"oxygen": jnp.zeros_like(start["oxygen"])}
    yield "packed", {k: jnp.full_like(v, 4e5) if k in cells else v for k, v in start.items()}
    yield "flooded", {k: jnp.full_like(v, 4e5) if k in cells else jnp.full_like(v, 1e4) for k, v in start.items()}


@pytest.mark.parametrize("dtype", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.slow)])
def test_finite_and_non_negative_at_extreme_states_with_finite_gradients(dtype):
    system = System(library.solid_tumour(Grid.radial(1500.0, 30), radius=600.0), {})
    numbers = jax.tree.map(lambda x: jnp.asarray(x, dtype), system)

    @jax.jit
    def total(numbers, state):
        c = numbers.coefficients(jax.tree.map(lambda x: x.astype(dtype), _clock()), state)
        return sum(jnp.sum(jnp.asarray(x)) for x in jax.tree.leaves((c.source, c.loss, c.diffusivity, c.velocity)))

    slope = jax.jit(jax.grad(total, argnums=(0, 1)))
    for label, state in _extreme_states(system.model):
        state = {k: v.astype(dtype) for k, v in state.items()}
        _check(_coefficients(numbers, state))
        for path, leaf in jax.tree_util.tree_leaves_with_path(slope(numbers, state)):
            assert np.all(np.isfinite(leaf)), f"{label}: {jax.tree_util.keystr(path)}"


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_process_can_be_switched_off(name):
    system = System(library.solid_tumour(Grid.radial(1500.0, 30), radius=600.0).without(name), {})
    _check(_coefficients(system, system.initial_state(jnp.float64)))


@pytest.mark.parametrize(
    "cls", [*REGISTRY.values(), library.SolidTumour, *(type(o) for o in observables.standard().values())]
)
def test_every_number_is_documented(cls):
    import dataclasses

    found = parameters(cls)
    for field in dataclasses.fields(cls):
        assert field.name in found or field.metadata.get("static"), f"{cls.__name__}.{field.name} is no param"
    for name, p in found.items():
        assert p.unit and p.doc and not p.doc.endswith("."), name
        assert p.status in STATUSES and (p.ref or p.status == "assumed"), f"{cls.__name__}.{name} has no source"
        assert p.default is not None and p.problem(p.default) is None, name
        assert p.bounds[0] is not None and p.bounds[1] is not None, f"{cls.__name__}.{name} has no bounds"


def test_initial_cells_and_matrix():
    model = library.solid_tumour(Grid.radial(1500.0, 150), radius=600.0)
    system = System(model, {})
    state = system.initial_state(jnp.float64)
    burden = float(observables.standard()["tumour_burden"](None, state, system.tissue(_clock(), state)[0]))
    assert burden == pytest.approx(2.3e5 * 4 / 3 * np.pi * 0.6**3, rel=1e-6)
    share = float(
        model.grid.integrate(state["tumour_negative"])
        / model.grid.integrate(state["tumour"] + state["tumour_negative"])
    )
    assert share == pytest.approx(0.05)
    matrix = np.asarray(state["collagen"] + state["hyaluronan"])
    assert matrix[0] == pytest.approx(0.15, rel=1e-3) and matrix[-1] == pytest.approx(0.03, rel=1e-3)
    assert matrix.max() == pytest.approx(0.5, rel=0.01)


def test_presets_and_explicit_values():
    grid = Grid.radial(1500.0, 30)
    mouse = library.solid_tumour(grid, blood="mouse", stroma="inflamed", adhesion_tumour=0.5)
    assert float(mouse.processes["blood_kinetics"].peak) == 2400.0
    assert float(np.min(mouse.tissue["adhesion"])) == pytest.approx(0.5)
    own = library.solid_tumour(grid, blood="mouse", processes={"blood_kinetics": {"peak": 7.0}, "chemotaxis": False})
    assert float(own.processes["blood_kinetics"].peak) == 7.0 and "chemotaxis" not in own.processes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blood": "mose"}, "Did you mean 'mouse'"),
        ({"stroma": "exclude"}, "Did you mean 'excluded'"),
        ({"colagen_tumour": 0.1}, "Did you mean 'collagen_tumour'"),
        ({"processes": {"kiling": {}}}, "Did you mean 'killing'"),
        ({"processes": {"killing": {"rat": 1.0}}}, "Did you mean 'rate'"),
        ({"region": Region.nodule(Grid.line(100.0, 10), 30.0)}, "brings its own grid"),
        ({"grid": None}, "`grid` must be given"),
        ({"interstitium": 0.0}, "`model.interstitium` must be at least 0.001.*by which what cells secrete is divided"),
    ],
)
def test_wrong_names_are_errors_with_a_hint(options, message):
    with pytest.raises(ValueError, match=message):
        library.solid_tumour(**{"grid": Grid.radial(1500.0, 30), **options})


@pytest.mark.parametrize("name", sorted(observables.standard()))
def test_observables_are_numbers_with_units_even_of_nothing(name):
    one = observables.standard()[name]
    system = System(library.solid_tumour(GRIDS["masked"], radius=500.0), {})
    state = {k: jnp.zeros_like(v) for k, v in system.initial_state(jnp.float64).items()}
    value = one(_clock(), state, system.tissue(_clock(), state)[0])
    assert jnp.shape(value) == () and np.isfinite(value) and one.unit and one.long_name


def test_infiltration_observables_of_a_known_distribution():
    grid = Grid.line(1000.0, 100)
    system = System(library.solid_tumour(grid, radius=200.0), {})
    state = system.initial_state(jnp.float64)
    x = grid.centers(0)
    state["car_t"] = jnp.asarray(np.where((x > 300) & (x < 320), 1e3, np.where((x > 200) & (x < 220), 3e3, 0.0)))
    tissue = system.tissue(_clock(), state)[0]
    assert float(observables.InfiltratedFraction()(None, state, tissue)) == pytest.approx(0.25)
    assert float(observables.InfiltrationDepth()(None, state, tissue)) == pytest.approx(
        10.0
    )  # 0–20 µm below the margin
    assert float(observables.PeakDistance()(None, state, tissue)) == pytest.approx(95.0)


@pytest.mark.parametrize("mask", [None, np.arange(400) < 390])
def test_starting_fields_are_in_balance(mask):
    """A plane margin: c = ½ s/k e^{−x/ℓ} outside; 4 µm cells against ℓ = 100 µm leave (h/ℓ)²/12 = 1.3e-4."""
    from tmepde.library.balance import balance

    grid = Grid.line(1600.0, 400, mask=mask)
    x = grid.centers(0) - 800.0
    found = balance(grid, 1e4, 1.0, np.where(x < 0, 2.0, 0.0))
    wanted = np.where(x < 0, 2.0 - np.exp(x / 100.0), np.exp(-x / 100.0))
    np.testing.assert_allclose(found[50:300], wanted[50:300], rtol=1e-3, atol=2e-4)  # far from the closed ends


@pytest.mark.parametrize("holes", [False, True])
def test_starting_fields_on_a_box_hold_what_is_made(holes):
    """k Σ c V = Σ s V over the tissue, and every cell's budget, summed here face by face."""
    from tmepde.library.balance import balance

    shape, width, d, k = (7, 12, 9), (10.0, 5.0, 8.0), 3e3, 0.7
    draw = np.random.default_rng(3)
    inside = draw.random(shape) > (0.2 if holes else -1.0)
    grid = Grid.box([n * h for n, h in zip(shape, width, strict=True)], shape, mask=inside if holes else None)
    source = draw.random(shape)
    found = balance(grid, d, k, source)
    rest = np.where(inside, source - k * found, 0.0)
    for axis, h in enumerate(width):
        low, high = (np.moveaxis(found, axis, 0)[cut] for cut in (slice(0, -1), slice(1, None)))
        open_face = np.moveaxis(inside, axis, 0)[:-1] & np.moveaxis(inside, axis, 0)[1:]
        flow = np.where(open_face, d * (high - low) / h**2, 0.0)
        np.moveaxis(rest, axis, 0)[:-1] += flow
        np.moveaxis(rest, axis, 0)[1:] -= flow
    assert np.max(np.abs(rest[inside])) < 1e-4
    assert k * np.sum(found[inside]) == pytest.approx(np.sum(source[inside]), rel=1e-5)


def test_cytokines_of_an_optional_milieu_begin_in_balance():
    """What cells make of CCL2, CCL5, IL-1 and IL-6 without therapy decays as fast: dc/dt = 0 in every cell."""
    from tmepde.steppers import SemiDiscrete

    model = library.solid_tumour(Grid.radial(800.0, 20), radius=300.0, milieu="immunity")
    problem = SemiDiscrete(System(model, {}))
    state = System(model, {}).initial_state(jnp.float64)
    found = problem.evaluate(_clock(), state)
    for name in ("ccl2", "ccl5", "il1", "il6"):
        turnover = np.asarray(model.processes[f"{name}_kinetics"].decay * state[name])
        assert np.max(turnover) > 0.0, name
        np.testing.assert_allclose(found.tendency[name] / np.max(turnover), 0.0, atol=1e-5, err_msg=name)
    assert not np.any(state["il12"])  # blood takes it up too
