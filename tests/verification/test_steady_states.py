"""Steady states do not depend on the step, and a run reaches the one that is solved for directly."""

from __future__ import annotations

import numpy as np
import pytest

import tmepde as tme
from tmepde.operators import gradient
from tmepde.process import process
from tmepde.steppers import BackwardEuler, Rosenbrock2


def tissue_like(clock, state, tissue, chi):
    """Fast uptake (k·Δt up to 5), logistic growth, chemotaxis, a quasi-steady nutrient."""
    u, c, o = state["u"], state["c"], state["o"]
    return {
        "u.source": 1.0 * u * o / (0.2 + o),
        "u.loss": u,
        "u.velocity": tuple(chi * g for g in gradient(tissue.grid, c)),
        "c.source": 2.0 * u,
        "c.loss": 10.0 + 0.0 * c,
        "o.loss": 20.0 * u / (0.2 + o),
    }


def scenario(until):
    grid = tme.Grid.line(1.0, 24)
    species = {
        "u": tme.Species(0.5, 0.05),
        "c": tme.Species(0.1, 0.5),
        "o": tme.Species(1.0, 1.0, {"x+": tme.Dirichlet(1.0)}, kind="quasi_steady"),
    }
    model = tme.Model(grid, species, {"p": process(tissue_like, chi=0.2)})
    return tme.Scenario(model, until=until)


def settled(dt, stepper=None):
    control = tme.StepControl(dt=dt, rtol=1e-11, max_steps=100_000)
    solution = tme.simulate(scenario(150.0), precision="f64", control=control, stepper=stepper or Rosenbrock2())
    assert solution.ok
    return {n: u[-1] for n, u in solution.fields.items()}


@pytest.mark.slow
def test_the_steady_state_does_not_depend_on_the_step():
    """Steps of 0.005 to 0.5 h (0.05 to 5 uptake times) agree to 1e-8, and so does backward Euler."""
    runs = [settled(0.5), settled(0.05), settled(0.005), settled(0.05, BackwardEuler())]
    for other in runs[1:]:
        for name, u in other.items():
            np.testing.assert_allclose(u, runs[0][name], rtol=1e-8)


@pytest.mark.slow
def test_the_steady_state_is_the_one_solved_for_directly():
    direct = tme.steady_state(scenario(1.0), precision="f64")
    assert direct.ok
    for name, u in settled(0.05).items():
        np.testing.assert_allclose(direct.fields[name][-1], u, rtol=1e-7)


@pytest.mark.slow
def test_an_equilibrium_is_not_left():
    """Started in its steady state a run stays there to round-off, whatever the step."""
    start = settled(0.05)
    base = scenario(5.0)
    species = {n: tme.Species(start[n], s.diffusivity, s.boundary, kind=s.kind) for n, s in base.model.species.items()}
    model = tme.Model(base.model.grid, species, base.model.processes)
    for control in (tme.StepControl(dt=0.5, rtol=1e-11), tme.StepControl(rtol=1e-3)):
        solution = tme.simulate(tme.Scenario(model, until=5.0), precision="f64", control=control)
        np.testing.assert_allclose(solution.fields["u"][-1], start["u"], rtol=1e-8)
    assert solution.statistics["steps"] < 20  # nothing happens: the controller lets go


@pytest.mark.parametrize("stepper", [Rosenbrock2(), BackwardEuler()], ids=["rosenbrock", "euler"])
def test_fast_decay_is_damped_at_any_step(stepper):
    """L-stability: λΔt = 1e6 leaves nothing and never changes sign."""

    def decay(clock, state, tissue):
        return {"u.source": 1e6, "u.loss": 1e6}

    model = tme.Model(tme.Grid.point(), {"u": tme.Species(5.0, kind="local")}, {"d": process(decay)})
    control = tme.StepControl(dt=1.0)
    solution = tme.simulate(tme.Scenario(model, until=4.0), precision="f64", control=control, stepper=stepper)
    assert solution.fields["u"][-1][0] == pytest.approx(1.0, abs=1e-5)


def exchange(clock, state, tissue, there, back):
    return {"a.loss": there, "b.source": there * state["a"], "b.loss": back, "a.source": back * state["b"]}


def dimers(clock, state, tissue):
    a, b = state["a"], state["b"]
    return {"a.loss": 6.0 * a, "b.source": 3.0 * a**2, "b.loss": 0.5, "a.source": 1.0 * b}


@pytest.mark.parametrize(
    ("law", "second", "begun", "expected"),
    [
        (process(exchange, there=1.0, back=0.5), 1.0, 0.0, (1 / 3, 2 / 3)),
        (process(exchange, there=100.0, back=50.0), 1.0, 1e-9, (1 / 3, 2 / 3)),
        (process(exchange, there=1.0, back=50.0), 1.0, 0.0, (50 / 51, 1 / 51)),
        (process(dimers), 2.0, 0.0, (0.25, 0.375)),
    ],
)
def test_what_is_conserved_stays_in_the_steady_state(law, second, begun, expected):
    """a + b (a + 2b for dimers) is 1 at the start. 61 % of it was gone where b begins at 0: the derivative of max(b, 0)
    is ½ there, and a field of next to nothing was all that the linear equations were solved for."""
    grid = tme.Grid.line(10.0, 12)
    x = grid.centers(0)
    species = {"a": tme.Species(1.0 + 0.5 * np.cos(np.pi * x / 10.0), 1.0), "b": tme.Species(begun, 2.0)}
    found = tme.steady_state(tme.Model(grid, species, {"p": law}), precision="f64")
    a, b = (np.asarray(found.fields[n][-1]) for n in "ab")
    assert found.ok and np.ptp(a) < 1e-7 and float(grid.integrate(a + second * b)) == pytest.approx(10.0, rel=1e-7)
    assert a[0] == pytest.approx(expected[0], rel=1e-6) and b[0] == pytest.approx(expected[1], rel=1e-6)
