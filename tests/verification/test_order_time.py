"""The order of the integrators in time, and the error that a tolerance buys.

A transported field with a Robin side driven by a compartment that climbs the gradient of a second one, a local field
and the compartment, all coupled nonlinearly and forced in time. The reference is the same semi-discrete system
integrated by scipy's explicit DOP853 with rtol 1e-12, which is 1e-4 of the smallest measured error or less.
"""

from __future__ import annotations

import functools

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from ladder import orders
from scipy.integrate import solve_ivp

import tmepde as tme
from tmepde.model import System
from tmepde.operators import gradient
from tmepde.process import process
from tmepde.schedule import Clock
from tmepde.steppers import BackwardEuler, NewtonKrylov, Rosenbrock2, Rosenbrock3, SemiDiscrete

NAMES = ("u", "v", "w", "p")
STEPPERS = {
    "euler": BackwardEuler(),
    "rosenbrock 2": Rosenbrock2(),
    "rosenbrock 3": Rosenbrock3(),
    "newton 2": NewtonKrylov(2),
    "newton 3": NewtonKrylov(3),
}


def reactions(clock, state, tissue):
    u, v, w, p = (state[n] for n in NAMES)
    return {
        "u.source": 2.0 * v + 0.5 * p * (1.0 + jnp.sin(clock.time)),
        "u.loss": 1.0 + u + w,
        "u.velocity": tuple(0.1 * g for g in gradient(tissue.grid, v)),
        "v.source": u / (1.0 + u),
        "v.loss": 0.7 + 0.3 * w,
        "w.source": 0.5 * u * v,
        "w.loss": 1.0 / (1.0 + w),
        "p.source": 1.0 + 0.0 * p,
        "p.loss": 0.8 + 0.2 * p,
    }


def level(clock, state):
    return state["p"]


def scenario():
    grid = tme.Grid.line(1.0, 16)
    x = grid.centers(0)
    species = {
        "u": tme.Species(1.0 + 0.5 * np.cos(np.pi * x), 0.05, {"x+": tme.Robin(0.3, level)}),
        "v": tme.Species(0.5 + 0.3 * np.cos(np.pi * x), 0.3),
        "w": tme.Species(0.2, kind="local"),
        "p": tme.Species(1.0, kind="compartment"),
    }
    return tme.Scenario(tme.Model(grid, species, {"reactions": process(reactions)}), until=2.0)


@functools.cache
def run(stepper, dt=None, rtol=1e-3):
    """With fixed steps the implicit equations are solved to 1e-9, far below the errors measured."""
    control = tme.StepControl(dt=dt, rtol=rtol if dt is None else 1e-9, max_steps=100_000)
    solution = tme.simulate(scenario(), precision="f64", control=control, stepper=STEPPERS[stepper])
    assert solution.ok
    return solution


@functools.cache
def exact():
    """scipy's solution at the end, by species."""
    problem = SemiDiscrete(System(scenario().model, {}))
    start = problem.system.initial_state(jnp.float64)
    flat, unflatten = jax.flatten_util.ravel_pytree(start)
    zero = jnp.zeros(())

    @jax.jit
    def slope(time, values):
        clock = Clock(zero, time, time, jnp.ones(()))
        return jax.flatten_util.ravel_pytree(problem.evaluate(clock, unflatten(values)).tendency)[0]

    found = solve_ivp(slope, (0.0, 2.0), np.asarray(flat), method="DOP853", rtol=1e-12, atol=1e-13)
    assert found.success
    return unflatten(jnp.asarray(found.y[:, -1]))


def error(solution):
    return max(float(np.max(np.abs(solution.fields[n][-1] - exact()[n]))) for n in NAMES)


@pytest.mark.parametrize(
    ("stepper", "order", "longest"),
    [
        ("euler", 1, 0.05),
        ("rosenbrock 2", 2, 0.05),
        ("rosenbrock 3", 3, 0.02),
        pytest.param("newton 2", 2, 0.1, marks=pytest.mark.slow),
        pytest.param("newton 3", 3, 0.04, marks=pytest.mark.slow),
    ],
)
def test_the_order_in_time(stepper, order, longest):
    """Within 0.1 of the theory at the last halving; the moving Robin side delays the third order."""
    errors = [error(run(stepper, longest / 2**i)) for i in range(3)]
    assert orders(errors)[-1] == pytest.approx(order, abs=0.1), (orders(errors), errors)


@pytest.mark.parametrize(
    ("stepper", "first", "least"),
    [
        pytest.param("euler", -2, -4, marks=pytest.mark.slow),
        ("rosenbrock 2", -2, -6),
        pytest.param("rosenbrock 3", -3, -7, marks=pytest.mark.slow),
        pytest.param("newton 2", -2, -6, marks=pytest.mark.slow),
        pytest.param("newton 3", -3, -7, marks=pytest.mark.slow),
    ],
)
def test_the_global_error_follows_the_tolerance(stepper, first, least):
    """At least five times less per decade; the error itself stays near the tolerance. (An Euler step takes a tenth of
    the tolerance by ten times as many; seven steps of third order meet 1e-2 by chance and far better than asked.)"""
    tolerances = [10.0**p for p in range(first, least - 1, -1)]
    errors = [error(run(stepper, rtol=r)) for r in tolerances]
    assert (errors[0] / errors[-1]) ** (1.0 / (len(errors) - 1)) >= 5.0, errors
    assert all(e < 20 * r for e, r in zip(errors, tolerances, strict=True)), errors


@pytest.mark.slow
@pytest.mark.parametrize("stepper", ["rosenbrock 2", "rosenbrock 3", "newton 2"])
def test_few_steps_are_rejected(stepper):
    """The error estimate is smooth: at most one attempt or 5 % of them fail."""
    statistics = run(stepper, rtol=1e-5).statistics
    assert statistics["rejected"] <= max(1, 0.05 * statistics["steps"])


@pytest.mark.parametrize("stepper", ["rosenbrock 2", "rosenbrock 3", pytest.param("newton 2", marks=pytest.mark.slow)])
def test_budgets_close_whatever_the_stages_left(stepper):
    """To round-off of some hundred steps in float64, at a tolerance of 1e-3."""
    for budget in run(stepper, rtol=1e-3).budgets.values():
        assert float(budget["error"]) < 1e-13


def moving_side(clock, state):
    return 2.0 + jnp.sin(3.0 * clock.time)


def test_second_order_survives_a_moving_dirichlet_side():
    """Stiff (D dt/h² ≫ 1) with a boundary value that moves: no reduction of the order below 1.9."""
    grid = tme.Grid.line(1.0, 32)
    model = tme.Model(grid, {"u": tme.Species(2.0, 1.0, {"x-": tme.Dirichlet(moving_side)})})

    def end(dt):
        control = tme.StepControl(dt=dt, max_steps=100_000)
        solution = tme.simulate(tme.Scenario(model, until=1.0), precision="f64", control=control, stepper=Rosenbrock2())
        return solution.fields["u"][-1]

    exact = end(1e-4)
    errors = [float(np.sqrt(np.mean((end(dt) - exact) ** 2))) for dt in (0.05, 0.025, 0.0125)]
    assert orders(errors)[-1] > 1.9, (orders(errors), errors)


@pytest.mark.parametrize("order", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_newton_krylov_moves_in_steps_whose_change_is_below_its_tolerance(order):
    """u' = D u'' − k u with a cosine: exact in time to what 32 cells allow, however small the steps."""
    grid = tme.Grid.line(100.0, cells=32)
    x, end, rate = np.asarray(grid.centers(0)), 0.1, 0.5

    def decay(clock, state, tissue, rate):
        return {"u.loss": rate}

    species = {"u": tme.Species(1.0 + np.cos(np.pi * x / 100.0), 100.0, unit="nM")}
    scenario = tme.Scenario(tme.Model(grid, species, {"decay": tme.process(decay, rate=rate)}), until=end)
    found = tme.simulate(
        scenario, stepper=tme.NewtonKrylov(order=order), control=tme.StepControl(dt=1e-4, max_steps=10_000)
    )
    mode = np.exp(-100.0 * (np.pi / 100.0) ** 2 * end)
    exact = np.exp(-rate * end) * (1.0 + np.cos(np.pi * x / 100.0) * mode)
    assert np.max(np.abs(found.fields["u"][-1] - exact)) < 3e-5  # without the change itself: 0.1
