"""The order of the integrators in time, and the error that a tolerance buys.

A transported field with a Robin side driven by a compartment, a second one, a local field and the compartment, all
coupled nonlinearly and forced in time; the reference is the same semi-discrete system with a step of 2e-4 h, whose own
error is about 2e-9 (1e-4 of the smallest measured one).
"""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from ladder import orders

import tmepde as tme
from tmepde.process import process
from tmepde.steppers import BackwardEuler, Rosenbrock2

NAMES = ("u", "v", "w", "p")


def reactions(clock, state, tissue):
    u, v, w, p = (state[n] for n in NAMES)
    return {
        "u.source": 2.0 * v + 0.5 * p * (1.0 + jnp.sin(clock.time)),
        "u.loss": 1.0 + u + w,
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
        "v": tme.Species(0.5 + 0.3 * np.cos(2 * np.pi * x), 0.3),
        "w": tme.Species(0.2, kind="local"),
        "p": tme.Species(1.0, kind="compartment"),
    }
    return tme.Scenario(tme.Model(grid, species, {"reactions": process(reactions)}), until=2.0)


@functools.cache
def run(stepper, dt=None, rtol=1e-3):
    control = tme.StepControl(dt=dt, rtol=rtol, max_steps=100_000)
    solution = tme.simulate(scenario(), precision="f64", control=control, stepper=stepper)
    assert solution.ok
    return solution


def error(solution):
    exact = run(Rosenbrock2(), dt=2e-4)
    return max(float(np.max(np.abs(solution.fields[n][-1] - exact.fields[n][-1]))) for n in NAMES)


def test_rosenbrock_is_of_second_order():
    errors = [error(run(Rosenbrock2(), dt)) for dt in (0.05, 0.025, 0.0125)]
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.1), (orders(errors), errors)


def test_backward_euler_is_of_first_order():
    errors = [error(run(BackwardEuler(), dt)) for dt in (0.05, 0.025, 0.0125)]
    assert orders(errors)[-1] == pytest.approx(1.0, abs=0.1), (orders(errors), errors)


def test_the_global_error_follows_the_tolerance():
    """At least five times less per decade; the error itself stays below the tolerance."""
    tolerances = (1e-2, 1e-3, 1e-4, 1e-5)
    errors = [error(run(Rosenbrock2(), rtol=r)) for r in tolerances]
    assert all(a / b >= 5.0 for a, b in zip(errors, errors[1:], strict=False)), errors
    assert all(e < r for e, r in zip(errors, tolerances, strict=True)), errors


def test_few_steps_are_rejected():
    """The error estimate is smooth: under 5 % of the attempts fail."""
    statistics = run(Rosenbrock2(), rtol=1e-4).statistics
    assert statistics["rejected"] <= 0.05 * statistics["steps"]


def moving_side(clock, state):
    return 2.0 + jnp.sin(3.0 * clock.time)


def test_second_order_survives_a_moving_dirichlet_side():
    """Stiff (D dt/h² ≫ 1) with a boundary value that moves: no reduction of the order below 1.9."""
    grid = tme.Grid.line(1.0, 32)
    model = tme.Model(grid, {"u": tme.Species(2.0, 1.0, {"x-": tme.Dirichlet(moving_side)})})

    def end(dt):
        control = tme.StepControl(dt=dt, max_steps=100_000)
        return tme.simulate(tme.Scenario(model, until=1.0), precision="f64", control=control).fields["u"][-1]

    exact = end(1e-4)
    errors = [float(np.sqrt(np.mean((end(dt) - exact) ** 2))) for dt in (0.05, 0.025, 0.0125)]
    assert orders(errors)[-1] > 1.9, (orders(errors), errors)
