"""What is conserved is conserved to round-off, and budgets close."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from ladder import fixed

import tmepde as tme
from tmepde import config as configs
from tmepde.operators import gradient
from tmepde.process import process

CONFIGS = Path(__file__).parents[2] / "configs"


def climb(clock, state, tissue, chi):
    return {"u.velocity": tuple(chi * g for g in gradient(tissue.grid, state["c"]))}


def rough(shape, seed=0):
    """A diffusivity that jumps from cell to cell by up to 1e4."""
    return 10.0 ** np.random.default_rng(seed).uniform(-1.0, 3.0, shape)


def closed_box(grid):
    rng = np.random.default_rng(1)
    species = {
        "u": tme.Species(rng.uniform(0.0, 1.0, grid.shape), rough(grid.shape)),
        "c": tme.Species(rng.uniform(0.0, 1.0, grid.shape), rough(grid.shape, 2)),
    }
    return tme.Scenario(tme.Model(grid, species, {"climb": process(climb, chi=5.0)}), until=2.0)


def blob(n):
    y, x = np.meshgrid(*(np.linspace(-1, 1, n),) * 2, indexing="ij")
    return (x**2 + 1.4 * y**2 + 0.3 * np.sin(5 * x) < 0.7) | (np.random.default_rng(3).uniform(size=(n, n)) > 0.9)


GRIDS = {
    "line": lambda: tme.Grid.line(100.0, 37),
    "sphere": lambda: tme.Grid.radial(100.0, 37),
    "masked": lambda: tme.Grid.box((80.0, 100.0), (13, 13), mask=blob(13)),
}


@pytest.mark.parametrize(
    ("name", "precision", "tolerance"),
    [
        ("line", "f64", 1e-12),
        ("sphere", "f64", 1e-12),
        pytest.param("masked", "f32", 1e-6, marks=pytest.mark.slow),
        pytest.param("masked", "f64", 1e-12, marks=pytest.mark.slow),
        pytest.param("line", "f32", 1e-6, marks=pytest.mark.slow),
        pytest.param("sphere", "f32", 1e-6, marks=pytest.mark.slow),
    ],
)
def test_a_closed_box_keeps_its_content(name, precision, tolerance):
    """Cell-wise random D over four decades, chemotaxis, a ragged mask, odd sizes (multigrid pads them)."""
    grid = GRIDS[name]()
    solution = tme.simulate(closed_box(grid), precision=precision)
    assert solution.ok
    inside = np.ones(grid.shape, bool) if grid.mask is None else grid.mask
    for field in ("u", "c"):
        u = solution.fields[field].astype(float)
        mass = [np.sum((np.asarray(grid.volumes()) * one)[inside]) for one in u]
        assert abs(mass[1] / mass[0] - 1.0) < tolerance
        assert np.all(u >= 0.0)
        assert np.all(u[:, ~inside] == 0.0)


STEPPERS = {
    "rosenbrock2": tme.Rosenbrock2,
    "backward_euler": pytest.param(tme.BackwardEuler, marks=pytest.mark.slow),
    "exponential2": tme.Exponential2,
    "chebyshev": tme.RungeKuttaChebyshev,
    "explicit_euler": tme.ExplicitEuler,
    "rosenbrock3": pytest.param(tme.Rosenbrock3, marks=pytest.mark.slow),
    "newton_krylov": pytest.param(tme.NewtonKrylov, marks=pytest.mark.slow),
}


@pytest.mark.parametrize(
    ("precision", "tolerance"), [pytest.param("f64", 1e-12, marks=pytest.mark.slow), ("f32", 1e-6)]
)
@pytest.mark.parametrize("diffusivity", [50.0, pytest.param(5000.0, marks=pytest.mark.slow)], ids=["moving", "settled"])
@pytest.mark.parametrize("stepper", STEPPERS.values(), ids=STEPPERS)
def test_a_hundred_thousand_small_steps_lose_nothing(stepper, diffusivity, precision, tolerance):
    """Increments of 1e-5 of the field and less: float32 without compensation lost 7e-5 in all, and was 1e-3 off."""
    grid = tme.Grid.line(100.0, 32)
    model = tme.Model(grid, {"u": tme.Species(np.linspace(0.0, 1.0, 32), diffusivity)})
    control = tme.StepControl(dt=1e-4, max_steps=200_000)
    scenario = tme.Scenario(model, until=10.0)
    solution = tme.simulate(scenario, precision=precision, control=control, stepper=stepper())
    assert solution.statistics["steps"] == pytest.approx(100_000, abs=1)
    mass = solution.fields["u"].astype(float).sum(axis=1)
    assert abs(mass[1] / mass[0] - 1.0) < tolerance
    assert float(solution.budgets["u"]["error"]) < tolerance


@pytest.mark.slow
@pytest.mark.parametrize("substeps", [1, 20, 200])
def test_a_hundred_thousand_substeps_lose_nothing_in_single_precision(substeps):
    """However many there are in a step. Added to the state one by one, they lost 2e-5."""
    count, h = 100_000, 0.2
    grid = tme.Grid.line(64.0, 64)
    x = np.asarray(grid.centers(0))
    noise = 0.01 * np.random.default_rng(0).random(64)
    start = 1.0 + 0.7 * np.sin(2.0 * np.pi * x / 64.0) + 0.3 * np.cos(5.0 * np.pi * x / 64.0) + noise
    solution = tme.simulate(
        tme.Scenario(tme.Model(grid, {"u": tme.Species(start, 1.0)}), until=count * h),
        precision="f32",
        stepper=tme.ExplicitEuler(substep=1.0001 * h),
        control=tme.StepControl(dt=substeps * h, max_steps=2 * count),
    )
    assert solution.ok and int(solution.statistics["solver_iterations"]) >= count
    mass = solution.fields["u"].astype(float).sum(axis=1)
    assert abs(mass[-1] / mass[0] - 1.0) < 1e-6
    assert abs(float(solution.budgets["u"]["error"])) < 1e-6


@pytest.mark.slow
def test_single_precision_follows_double_over_many_small_steps():
    """The rounding of each step is carried along: a few units in the last place are left, not 1e-3."""
    model = tme.Model(tme.Grid.line(100.0, 32), {"u": tme.Species(np.linspace(0.0, 1.0, 32), 50.0)})
    control = tme.StepControl(dt=1e-4, max_steps=200_000)
    single, double = (
        tme.simulate(tme.Scenario(model, until=10.0), precision=p, control=control, stepper=tme.Rosenbrock2())
        for p in ("f32", "f64")
    )
    np.testing.assert_allclose(single.fields["u"][-1], double.fields["u"][-1], rtol=1e-6)


def test_budgets_in_single_precision_do_not_drift():
    """1e5 additions of what is produced and lost in a step, each 1e-5 of the sums."""

    def turnover(clock, state, tissue):
        return {"u.source": 1.0, "u.loss": 1.0}

    model = tme.Model(tme.Grid.point(), {"u": tme.Species(1.0, kind="local")}, {"t": process(turnover)})
    control = tme.StepControl(dt=1e-3, max_steps=200_000)
    budget = tme.simulate(tme.Scenario(model, until=100.0), control=control).budgets["u"]
    assert float(budget["produced"]) == pytest.approx(100.0, rel=1e-6)
    assert float(budget["lost"]) == pytest.approx(100.0, rel=1e-6)


@pytest.mark.slow
def test_the_budget_of_the_main_job_closes_with_all_therapies_on():
    """The shipped colon section on coarser cells, four days with every therapy of the config, double precision."""
    config = configs.load(CONFIGS / "colon_ihc.toml", ["tissue.cell_size=8 um", "run.until=4 day"])
    scenario = config.build().scenario
    solution = tme.simulate(scenario, precision="f64")
    assert solution.ok
    for name, budget in solution.budgets.items():
        assert float(budget["error"]) < 1e-10, (name, budget)


class Kill(tme.Intervention):
    """u ← u·exp(−Λ)."""

    def effects(self, clock, state, tissue):
        return tme.Effects(hazard={"u": 0.3 * clock.step, "w": 0.1 * clock.step})


def busy(clock, state, tissue):
    u, w, p = state["u"], state["w"], state["p"]
    return {
        "u.source": 1.0 + p + 0.2 * w,
        "u.loss": 0.5 + 0.3 * u,
        "w.source": 0.4 * u,
        "w.loss": 0.2 + 0.1 * p,
        "p.source": 0.5 + 0.0 * p,
        "p.loss": 0.3 + 0.0 * p,
    }


def plasma(clock, state):
    return state["p"]


SQUARE = pytest.param(tme.Grid.square(10.0, 5), marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "grid",
    [
        tme.Grid.line(10.0, 20),
        pytest.param(tme.Grid.radial(10.0, 20, "cylinder", 1.0), marks=pytest.mark.slow),
        SQUARE,
    ],
    ids=["line", "annulus", "square"],
)
def test_budgets_close(grid):
    """Sources, losses, a drift over open sides, Robin and prescribed flux, hazards: final = initial + Σ to 1e-10."""
    first = grid.axes[0]
    faces = tuple(np.full([n + (j == k) for j, n in enumerate(grid.shape)], 0.5) for k in range(grid.ndim))
    sides = {f"{first}-": tme.Robin(2.0, plasma), f"{first}+": tme.Dirichlet(0.5)}
    if grid.ndim > 1:
        sides |= {"x+": tme.PrescribedFlux(0.7)}
    species = {
        "u": tme.Species(1.0, 3.0, sides),
        "w": tme.Species(0.5, kind="local"),
        "p": tme.Species(1.0, kind="compartment"),
    }

    model = tme.Model(grid, species, {"busy": process(busy), "drift": process(carried(grid.ndim), **named(faces))})
    solution = tme.simulate(tme.Scenario(model, {"kill": Kill()}, until=3.0), precision="f64")
    assert solution.ok
    for name, budget in solution.budgets.items():
        assert float(budget["error"]) < 1e-10, (name, budget)
        balance = budget["initial"] + budget["produced"] - budget["lost"] + budget["inflow"] - budget["killed"]
        assert float(balance) == pytest.approx(float(budget["final"]), rel=1e-10)
    assert float(solution.budgets["u"]["killed"]) > 0.0
    assert abs(float(solution.budgets["u"]["inflow"])) > 0.1


def named(faces):
    return {f"v{k}": f for k, f in enumerate(faces)}


def carried(ndim):
    def velocity(clock, state, tissue, **numbers):
        return {"u.velocity": tuple(numbers[f"v{k}"] for k in range(ndim))}

    return velocity


def test_the_inflow_of_a_prescribed_flux_is_flux_times_area_times_time():
    grid = tme.Grid.radial(10.0, 10, "sphere")
    model = tme.Model(grid, {"u": tme.Species(0.0, 5.0, {"r+": tme.PrescribedFlux(0.3)})})
    solution = tme.simulate(tme.Scenario(model, until=2.0), precision="f64")
    content = float(grid.integrate(jnp.asarray(solution.fields["u"][-1])))
    assert content == pytest.approx(0.3 * 4 * np.pi * 100.0 * 2.0, rel=1e-12)


def test_production_is_source_times_volume_times_time():
    grid = tme.Grid.square(10.0, 6)
    model = tme.Model(grid, {"u": tme.Species(0.0, 5.0)}, {"s": fixed(u__source=0.25)})
    solution = tme.simulate(tme.Scenario(model, until=2.0), precision="f64")
    assert solution.fields["u"][-1].mean() == pytest.approx(0.5, rel=1e-12)
    np.testing.assert_allclose(solution.fields["u"][-1], 0.5, rtol=2e-5)  # linear solves: 0.02·rtol
    assert float(solution.budgets["u"]["produced"]) == pytest.approx(0.25 * 100.0 * 2.0, rel=1e-12)


@pytest.mark.slow
def test_budgets_of_every_species_of_a_tumour_close_in_single_precision():
    """Compartments too, however small: the rate laws must not be differences of what nearly cancels."""
    model = tme.library.solid_tumour(tme.Grid.square(1000.0, 16), radius=300.0)
    therapy = {"car_t": tme.CellInfusion(dose=tme.Bolus(1.0, 1e8))}
    solution = tme.simulate(tme.Scenario(model, therapy, until=24.0), precision="f32")
    assert solution.ok
    errors = {name: float(budget["error"]) for name, budget in solution.budgets.items()}
    assert {"car_t", "car_t_plasma_memory", "oxygen"} & set(errors) == {"car_t", "car_t_plasma_memory"}
    assert {n: e for n, e in errors.items() if not abs(e) < 2e-6} == {}
