"""No negative value and no silent NaN: sharp fronts, strong chemotaxis, blow-up."""

from __future__ import annotations

import numpy as np
import pytest

import tmepde as tme
from tmepde.operators import gradient
from tmepde.process import process
from tmepde.steppers import BackwardEuler, NewtonKrylov, Rosenbrock2, Rosenbrock3

#: a run that ends early also warns
pytestmark = pytest.mark.filterwarnings("ignore:The run ended:UserWarning")


def swarm(clock, state, tissue, chi):
    return {
        "u.velocity": tuple(chi * g for g in gradient(tissue.grid, state["c"])),
        "u.loss": 30.0 * state["k"] / (0.01 + state["u"]),
        "c.source": 10.0 * state["u"],
        "c.loss": 1.0 + 0.0 * state["c"],
    }


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize(
    "stepper",
    [
        Rosenbrock2(),
        pytest.param(BackwardEuler(), marks=pytest.mark.slow),
        pytest.param(Rosenbrock3(), marks=pytest.mark.slow),
        pytest.param(NewtonKrylov(), marks=pytest.mark.slow),
    ],
    ids=["rosenbrock", "euler", "rosenbrock 3", "newton"],
)
def test_fields_stay_positive(stepper, precision):
    """Steps in u and k, cell Péclet number up to 40, loss concentrated where u is small."""
    grid = tme.Grid.line(100.0, 50)
    x = grid.centers(0)
    species = {
        "u": tme.Species(np.where(x < 30.0, 1.0, 0.0), 0.5),
        "c": tme.Species(np.where(x > 60.0, 5.0, 0.0), 5.0),
        "k": tme.Species(np.where(x > 50.0, 0.01, 0.0), kind="local"),
    }
    scenario = tme.Scenario(tme.Model(grid, species, {"p": process(swarm, chi=40.0)}), until=5.0)
    solution = tme.simulate(scenario, save=tme.every(0.25), precision=precision, stepper=stepper)
    assert solution.ok, solution.message
    for name, u in solution.fields.items():
        assert np.all(np.isfinite(u)), name
        assert np.min(u) >= 0.0, (name, np.min(u))
    for budget in solution.budgets.values():
        assert float(budget["error"]) < (1e-10 if precision == "f64" else 1e-5)


def quadratic(clock, state, tissue):
    return {"u.source": state["u"] ** 2}


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # the budget has overflowed too
@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_blow_up_in_time_ends_with_a_named_status(precision):
    """u′ = u², u(0) = 1 is infinite at t = 1: saves before are kept, the run says why it ended, no NaN is kept."""
    model = tme.Model(tme.Grid.point(), {"u": tme.Species(1.0, kind="local")}, {"p": process(quadratic)})
    scenario = tme.Scenario(model, until=2.0)
    solution = tme.simulate(scenario, save=[0.5, 0.9, 1.5, 2.0], precision=precision)
    assert not solution.ok
    assert solution.status in (tme.Status.step_too_small, tme.Status.not_finite, tme.Status.step_limit)
    np.testing.assert_allclose(solution.times, [0.0, 0.5, 0.9])
    np.testing.assert_allclose(solution.fields["u"][1:, 0], [2.0, 10.0], rtol=0.02)
    assert np.isfinite(solution.state["u"]).all()


def test_blow_up_with_fixed_steps_ends_with_a_named_status():
    model = tme.Model(tme.Grid.point(), {"u": tme.Species(1.0, kind="local")}, {"p": process(quadratic)})
    control = tme.StepControl(dt=0.05)
    solution = tme.simulate(tme.Scenario(model, until=4.0), save=tme.every(0.5), precision="f64", control=control)
    assert solution.status == tme.Status.not_finite
    assert np.all(np.isfinite(solution.fields["u"]))


def keller_segel(clock, state, tissue, chi):
    return {
        "u.velocity": tuple(chi * g for g in gradient(tissue.grid, state["c"])),
        "c.source": state["u"],
        "c.loss": 1.0,
    }


@pytest.mark.slow
def test_supercritical_keller_segel_ends_finite():
    """Mass far above 8πD/χ collapses onto a few cells: on a grid that is a spike, or a named end; never NaN."""
    n = 24
    grid = tme.Grid.square(1.0, n)
    y, x = grid.coordinates()
    blob = 400.0 * np.exp(-40.0 * ((x - 0.45) ** 2 + (y - 0.5) ** 2))
    species = {"u": tme.Species(blob, 1.0), "c": tme.Species(0.0, 1.0, kind="quasi_steady")}
    model = tme.Model(grid, species, {"ks": process(keller_segel, chi=8.0)})
    assert blob.mean() * 8.0 > 8 * np.pi
    control = tme.StepControl(rtol=1e-2, max_steps=3000)
    solution = tme.simulate(tme.Scenario(model, until=0.2), save=tme.every(0.02), precision="f64", control=control)
    assert np.all(np.isfinite(solution.fields["u"]))
    assert solution.ok or solution.message
    assert solution.fields["u"][-1].max() > 2 * blob.max()
    mass = solution.fields["u"].sum(axis=(1, 2))
    np.testing.assert_allclose(mass, mass[0], rtol=1e-10)


def nothing_holds_it(clock, state, tissue):
    return {"q.source": 1.0}


@pytest.mark.parametrize(
    "grid",
    [tme.Grid.line(1.0, 8), pytest.param(tme.Grid.square(1.0, 5), marks=pytest.mark.slow)],
    ids=["line", "square"],
)
def test_a_quasi_steady_field_that_nothing_holds_is_named(grid):
    """All sides closed, a source, no loss: there is no balance, and the run must not pretend that there is."""
    species = {"q": tme.Species(1.0, 1.0, kind="quasi_steady"), "u": tme.Species(1.0, 1.0)}
    model = tme.Model(grid, species, {"s": process(nothing_holds_it)})
    solution = tme.simulate(tme.Scenario(model, until=1.0), precision="f64")
    assert solution.status == tme.Status.solver
    assert len(solution.times) == 1
    assert np.all(np.isfinite(solution.fields["q"]))


def divides(clock, state, tissue):
    return {"u.source": 1.0 / (state["u"] - state["u"])}


def test_a_rate_law_that_divides_by_zero_is_named():
    model = tme.Model(tme.Grid.line(1.0, 4), {"u": tme.Species(1.0, 1.0)}, {"p": process(divides)})
    solution = tme.simulate(tme.Scenario(model, until=1.0), precision="f64")
    assert solution.status == tme.Status.not_finite
    np.testing.assert_array_equal(solution.state["u"], 1.0)
