"""Stiff reactions, stiff coupling among fields, and drift far beyond the Courant limit.

References: scipy's Radau with rtol 1e-10 (Robertson's kinetics, four fields that exchange up to 2e5 times faster than
they spread), and Rosenbrock2 at a tenth of the tolerance (drift).
"""

from __future__ import annotations

import functools

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import tmepde as tme
from tmepde.model import System
from tmepde.operators import gradient
from tmepde.process import process
from tmepde.schedule import Clock
from tmepde.steppers import NewtonKrylov, Rosenbrock2, Rosenbrock3, SemiDiscrete

EXACT_KINETICS = {
    "rosenbrock 2": Rosenbrock2(kinetics=True),
    "rosenbrock 3": Rosenbrock3(),
    "newton": NewtonKrylov(),
}


# -- what simulate chooses by itself -----------------------------------------------------------------------------------


def binding(clock, state, tissue):
    """A + B ⇄ C, 200 per hour either way, and A is lost at 0.1 per hour: C makes two of one, yet nothing grows."""
    a, b, c = (state[n] for n in "abc")
    return {
        "a.source": 200.0 * c,
        "a.loss": 200.0 * b + 0.1,
        "b.source": 200.0 * c,
        "b.loss": 200.0 * a,
        "c.source": 200.0 * a * b,
        "c.loss": 200.0,
    }


def test_binding_is_implicit_by_itself():
    species = {n: tme.Species(v, kind="local") for n, v in zip("abc", (1.0, 1.0, 0.0), strict=True)}
    model = tme.Model(tme.Grid.point(), species, {"binding": process(binding)})
    found = tme.simulate(tme.Scenario(model, until=24.0))

    def slope(_, y):
        bound = 200.0 * (y[0] * y[1] - y[2])
        return [-bound - 0.1 * y[0], -bound, bound]

    wanted = solve_ivp(slope, (0, 24.0), [1.0, 1.0, 0.0], method="Radau", rtol=1e-10, atol=1e-14).y[:, -1]
    assert [found.fields[n][-1, 0] for n in "abc"] == pytest.approx(wanted, rel=1e-3)
    assert found.fields["b"][-1, 0] + found.fields["c"][-1, 0] == pytest.approx(1.0, abs=2e-5)
    assert found.statistics["steps"] < 100


#: rates of HIRES (Hairer & Wanner 1996, Solving Ordinary Differential Equations II, IV.10), and y(321.8122)
HIRES = (
    7.371312573325668e-4,
    1.442485726316185e-4,
    5.888729740967575e-5,
    1.175651343283149e-3,
    2.386356198831331e-3,
    6.238968252742796e-3,
    2.849998395185769e-3,
    2.850001604814231e-3,
)


def hires(clock, state, tissue):
    y = {i: state[f"y{i}"] for i in range(1, 9)}
    made = {
        1: 0.43 * y[2] + 8.32 * y[3] + 0.0007,
        2: 1.71 * y[1],
        3: 0.43 * y[4] + 0.035 * y[5],
        4: 8.32 * y[2] + 1.71 * y[3],
        5: 0.43 * (y[6] + y[7]),
        6: 0.69 * y[4] + 1.71 * y[5] + 0.69 * y[7],
        7: 280.0 * y[6] * y[8],
        8: 1.81 * y[7],
    }
    lost = {1: 1.71, 2: 8.75, 3: 10.03, 4: 1.12, 5: 1.745, 6: 0.43 + 280.0 * y[8], 7: 1.81, 8: 280.0 * y[6]}
    return {f"y{i}.source": s for i, s in made.items()} | {f"y{i}.loss": k for i, k in lost.items()}


def test_hires_is_the_published_solution():
    start = {1: 1.0, 8: 0.0057}
    species = {f"y{i}": tme.Species(start.get(i, 0.0), kind="local") for i in range(1, 9)}
    model = tme.Model(tme.Grid.point(), species, {"hires": process(hires)})
    found = tme.simulate(tme.Scenario(model, until=321.8122))
    assert [found.fields[f"y{i}"][-1, 0] for i in range(1, 9)] == pytest.approx(HIRES, rel=2e-3)
    assert found.statistics["steps"] < 500


# -- Robertson 1966: rates 0.04, 1e4, 3e7 -----------------------------------------------------------------------------


def robertson(clock, state, tissue):
    a, b, c = (state[n] for n in "abc")
    return {
        "a.source": 1e4 * b * c,
        "a.loss": 0.04,
        "b.source": 0.04 * a,
        "b.loss": 1e4 * c + 3e7 * b,
        "c.source": 3e7 * b * b,
    }


AMOUNTS = np.array([1.0, 0.5, 0.25])


@functools.cache
def robertson_exact():
    def slope(_, y):
        one, two, three = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
        return [two - one, one - two - three, three]

    ends = [solve_ivp(slope, (0, 1e4), [x, 0, 0], method="Radau", rtol=1e-10, atol=1e-16).y[:, -1] for x in AMOUNTS]
    return np.stack(ends, axis=1)


@pytest.mark.parametrize("stepper", list(EXACT_KINETICS))
def test_robertson_kinetics_in_each_cell(stepper):
    """Three cells with different amounts up to t = 1e4, where a has fallen to a tenth: all values positive, the sum in
    each cell kept to round-off (the exact Jacobian knows that it is conserved), the error a few times the tolerance."""
    species = {
        "a": tme.Species(AMOUNTS, kind="local"),
        "b": tme.Species(0.0, kind="local", negligible=1e-8),
        "c": tme.Species(0.0, kind="local", negligible=1e-6),
    }
    model = tme.Model(tme.Grid.line(1.0, 3), species, {"robertson": process(robertson)})
    control = tme.StepControl(rtol=1e-3, first=1e-5, longest=1e9, max_steps=1000)
    solution = tme.simulate(
        tme.Scenario(model, until=1e4), precision="f64", control=control, stepper=EXACT_KINETICS[stepper]
    )
    assert solution.ok, solution.message
    found = np.stack([solution.fields[n][-1] for n in "abc"])
    assert found.min() > 0
    np.testing.assert_allclose(found.sum(axis=0), AMOUNTS, rtol=1e-12)
    np.testing.assert_allclose(found, robertson_exact(), rtol=1e-2)
    assert solution.statistics["steps"] < 300


# -- four fields that exchange 2e5 times faster than they spread ------------------------------------------------------


def exchange(clock, state, tissue, fast):
    """a ⇌ b within 1/fast hours, c ⇌ d with half of that, b + c slowly used up."""
    a, b, c, d = (state[n] for n in "abcd")
    return {
        "a.source": fast * b,
        "a.loss": 2.0 * fast,
        "b.source": 2.0 * fast * a,
        "b.loss": fast + 0.5 * c,
        "c.source": 0.5 * fast * d,
        "c.loss": fast + 0.5 * b,
        "d.source": fast * c,
        "d.loss": 0.5 * fast,
    }


def exchanging():
    grid = tme.Grid.line(1.0, 12)
    x = grid.centers(0)
    start = {"a": 1.0 + 0.5 * np.cos(np.pi * x), "b": 0.2, "c": 0.3 + x, "d": 0.1}
    species = {n: tme.Species(u, d) for (n, u), d in zip(start.items(), (0.5, 0.2, 0.1, 1.0), strict=True)}
    return tme.Scenario(tme.Model(grid, species, {"p": process(exchange, fast=2e5)}), until=1.0)


@functools.cache
def exchanged():
    problem = SemiDiscrete(System(exchanging().model, {}))
    flat, unflatten = jax.flatten_util.ravel_pytree(problem.system.initial_state(jnp.float64))
    zero = jnp.zeros(())

    @jax.jit
    def slope(time, values):
        here = problem.evaluate(Clock(zero, time, time, jnp.ones(())), unflatten(values))
        return jax.flatten_util.ravel_pytree(here.tendency)[0]

    jacobian = jax.jit(jax.jacfwd(slope, argnums=1))
    found = solve_ivp(
        slope, (0.0, 1.0), np.asarray(flat), method="Radau", jac=lambda t, y: np.asarray(jacobian(t, y)), rtol=1e-10
    )
    assert found.success
    return unflatten(jnp.asarray(found.y[:, -1]))


def test_four_fields_with_a_stiffness_ratio_of_2e5():
    """Exchange of 2e5/h beside dynamics of 1/h: fewer than a hundred steps, although each field's own terms alone
    (all that the Rosenbrock schemes take implicitly) leave steps of 1/fast."""
    control = tme.StepControl(rtol=3e-4, max_steps=300)
    solution = tme.simulate(exchanging(), precision="f64", control=control, stepper=NewtonKrylov())
    assert solution.ok, solution.message
    assert solution.statistics["steps"] < 100
    for name in "abcd":
        np.testing.assert_allclose(solution.fields[name][-1], exchanged()[name], rtol=2e-3)


# -- steady states ----------------------------------------------------------------------------------------------------


def balanced(clock, state, tissue, chi):
    u, c, o = state["u"], state["c"], state["o"]
    return {
        "u.source": u * o / (0.2 + o),
        "u.loss": u,
        "u.velocity": tuple(chi * g for g in gradient(tissue.grid, c)),
        "c.source": 2.0 * u,
        "c.loss": 10.0,
        "o.loss": 20.0 * u / (0.2 + o),
    }


@functools.cache
def settled(stepper, dt):
    grid = tme.Grid.line(1.0, 12)
    species = {
        "u": tme.Species(0.5, 0.1),
        "c": tme.Species(0.1, 0.2),
        "o": tme.Species(1.0, 1.0, {"x-": tme.Dirichlet(1.0)}, kind="quasi_steady"),
    }
    model = tme.Model(grid, species, {"p": process(balanced, chi=0.5)})
    control = tme.StepControl(dt=dt, rtol=1e-10)
    solution = tme.simulate(tme.Scenario(model, until=100.0), precision="f64", control=control, stepper=stepper)
    assert solution.ok, solution.message
    return solution.fields


@pytest.mark.slow
@pytest.mark.parametrize("stepper", [Rosenbrock3(), NewtonKrylov()], ids=["rosenbrock 3", "newton"])
def test_steady_states_do_not_depend_on_the_step(stepper):
    """Steps of 1 and 0.25 h (uptake relaxes within 0.05 h): the same fields to the accuracy of the implicit solves."""
    for name in ("u", "c", "o"):
        np.testing.assert_allclose(settled(stepper, 1.0)[name][-1], settled(stepper, 0.25)[name][-1], rtol=1e-7)


# -- drift ------------------------------------------------------------------------------------------------------------


def climb(clock, state, tissue, speed):
    return {
        "u.velocity": tuple(speed * g for g in gradient(tissue.grid, state["c"])),
        "c.source": 0.1 * state["u"],
        "c.loss": 0.1,
    }


def climbing():
    """Cells of 0.5 µm, drift up to 6 µm/h and more: a Courant number of 13 for a step of an hour."""
    grid = tme.Grid.line(100.0, 200)
    x = grid.centers(0)
    wave = np.cos(np.pi * x / 100.0)
    species = {"u": tme.Species(1.0 + 0.5 * wave, 1.0), "c": tme.Species(2.0 + wave, 50.0)}
    return tme.Scenario(tme.Model(grid, species, {"p": process(climb, speed=200.0)}), until=8.0)


@pytest.mark.slow
def test_drift_beyond_a_courant_number_of_20():
    """Newton–Krylov with steps of 2 h, Courant number above 25: positive, bounded, nothing lost; within 3 % of the
    explicit drift, which needs some 200 steps instead of 4."""
    control = tme.StepControl(dt=2.0, rtol=1e-2)
    solution = tme.simulate(climbing(), precision="f64", control=control, stepper=NewtonKrylov())
    assert solution.ok, solution.message
    assert solution.statistics["steps"] == 4
    explicit = tme.simulate(climbing(), precision="f64", control=tme.StepControl(rtol=1e-3), stepper=Rosenbrock2())
    assert explicit.statistics["steps"] > 150
    u, wanted = solution.fields["u"][-1], explicit.fields["u"][-1]
    assert u.min() >= 0 and u.max() < 1.2 * wanted.max()
    assert np.linalg.norm(u - wanted) < 0.03 * np.linalg.norm(wanted)
    assert float(solution.budgets["u"]["error"]) < 1e-13
    assert float(solution.budgets["u"]["clipped"]) <= 1e-6 * float(np.sum(solution.fields["u"][0]))
    np.testing.assert_allclose(u.sum(), solution.fields["u"][0].sum(), rtol=1e-12)


@pytest.mark.slow
def test_adaptive_newton_krylov_takes_no_notice_of_the_courant_number():
    """rtol 1e-2: a tenth of the explicit steps, and the error that was asked for."""
    control = tme.StepControl(rtol=1e-2)
    solution = tme.simulate(climbing(), precision="f64", control=control, stepper=NewtonKrylov())
    explicit = tme.simulate(climbing(), precision="f64", control=tme.StepControl(rtol=1e-3), stepper=Rosenbrock2())
    assert solution.ok and solution.statistics["steps"] < 25
    u, wanted = solution.fields["u"][-1], explicit.fields["u"][-1]
    assert np.linalg.norm(u - wanted) < 1e-2 * np.linalg.norm(wanted)


@pytest.mark.parametrize("order", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_newton_krylov_starts_a_chain_from_nothing(order):
    """a → b → c → d with one rate k: Poisson's weights. d rises as t³, so that at first no step is small beside it."""

    def chain(clock, state, tissue, k):
        gains = {f"{after}.source": k * state[before] for before, after in zip("abc", "bcd", strict=True)}
        return gains | {f"{name}.loss": k for name in "abc"}

    species = {name: tme.Species(float(name == "a"), kind="local") for name in "abcd"}
    model = tme.Model(tme.Grid.point(), species, {"chain": process(chain, k=0.5)})
    run = tme.simulate(tme.Scenario(model, until=2.0), precision="f64", stepper=tme.NewtonKrylov(order))
    assert run.ok, run.message
    left = np.exp(-1.0)
    exact = [left, left, 0.5 * left, 1 - 2.5 * left]
    found = [run.fields[name][-1].item() for name in "abcd"]
    np.testing.assert_allclose(found, exact, rtol=1e-2)  # ten times rtol: some 30 steps add up
