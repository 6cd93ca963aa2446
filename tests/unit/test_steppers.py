"""Step control, and single steps of the schemes."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.integrate import advance, first_progress
from tmepde.model import System
from tmepde.process import process
from tmepde.schedule import Clock
from tmepde.steppers import BackwardEuler, Rosenbrock2, SemiDiscrete, StepControl
from tmepde.steppers.control import norm


def model():
    return tme.Model(tme.Grid.line(1.0, 4), {"u": tme.Species(1.0, 1.0)})


@pytest.mark.parametrize(
    ("control", "precision", "words"),
    [
        (StepControl(rtol=1e-7), "f32", "at least 1e-06 in f32.*precision='f64'"),
        (StepControl(rtol=0.0), "f64", "`rtol` must be at least"),
        (StepControl(rtol=float("nan")), "f64", "`rtol` must be at least"),
        (StepControl(dt=0.0), "f32", "`dt` must be positive"),
        (StepControl(dt=-1.0), "f64", "`dt` must be positive"),
        (StepControl(dt=float("nan")), "f64", "`dt` must be positive"),
        (StepControl(max_steps=0), "f64", "`max_steps` must be at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(control, precision, words):
    with pytest.raises(ValueError, match=words):
        tme.simulate(tme.Scenario(model(), until=1.0), precision=precision, control=control)


def test_the_smallest_tolerance_of_single_precision_works():
    assert tme.simulate(tme.Scenario(model(), until=1.0), control=StepControl(rtol=1e-6)).ok


def test_the_controller_is_bounded():
    control = StepControl(longest=3.0)

    def following(dt, error, accepted=True):
        return float(control.following(jnp.asarray(dt), jnp.asarray(error), jnp.asarray(accepted)))

    assert following(1.0, 1.0) == pytest.approx(0.9)
    assert following(1.0, 0.0) == 3.0
    assert following(0.1, 1e-12) == pytest.approx(0.4)
    assert following(1.0, 1e9, False) == pytest.approx(0.2)
    assert following(1.0, np.inf, False) == pytest.approx(0.2)
    assert following(1.0, np.nan, False) == pytest.approx(0.2)
    assert following(1.0, 1e-6, False) == pytest.approx(0.9)


def test_the_norm_weighs_by_volume_and_hides_nothing():
    volumes = jnp.asarray([1.0, 3.0])
    assert float(norm(jnp.asarray([2.0, 0.0]), jnp.asarray([1.0, 1.0]), volumes)) == pytest.approx(1.0)
    assert float(norm(jnp.asarray(3.0), jnp.asarray(2.0), volumes)) == 1.5
    assert float(norm(jnp.zeros(2), jnp.zeros(2), volumes)) == 0.0
    for bad in ((np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0)):
        assert not np.isfinite(float(norm(jnp.asarray([bad[0], 1.0]), jnp.asarray([bad[1], 1.0]), volumes)))
        assert not np.isfinite(float(norm(jnp.asarray(bad[0]), jnp.asarray(bad[1]), volumes)))


def decay(clock, state, tissue):
    return {"u.loss": 3.0}


def one_step(stepper, dt):
    problem = SemiDiscrete(
        System(tme.Model(tme.Grid.point(), {"u": tme.Species(2.0, kind="local")}, [process(decay)]), {})
    )
    zero = jnp.asarray(0.0)
    state = problem.system.initial_state(jnp.float64)
    return stepper.step(problem, StepControl(), Clock(zero, zero, zero, jnp.asarray(dt)), state)


def test_the_stability_function_of_the_rosenbrock_scheme():
    """R(z) = (1 + (1 − 2γ) z)/(1 − γz)² for the exact diagonal Jacobian, γ = 1 − 1/√2."""
    gamma = 1.0 - np.sqrt(0.5)
    for dt in (0.01, 0.5, 2.0):
        z = -3.0 * dt
        wanted = (1 + (1 - 2 * gamma) * z) / (1 - gamma * z) ** 2
        result = one_step(Rosenbrock2(), dt)
        if wanted >= 0:
            assert float(result.state["u"][0]) == pytest.approx(2.0 * wanted, rel=1e-12)
        else:
            assert float(result.state["u"][0]) == 0.0  # the undershoot is removed and counts as error
            assert float(result.error) > 1.0


def test_backward_euler_is_one_over_one_plus_z():
    assert float(one_step(BackwardEuler(), 0.5).state["u"][0]) == pytest.approx(2.0 / 2.5, rel=1e-14)


def test_the_error_estimate_is_of_second_order():
    small, half = (float(one_step(Rosenbrock2(), dt).error) for dt in (1e-3, 5e-4))
    assert small / half == pytest.approx(4.0, rel=0.02)


def test_steps_end_on_the_interval_and_leave_no_crumb():
    """A fixed step of 0.3 in an interval of 1: 0.3, 0.3, 0.3, 0.1."""
    problem = SemiDiscrete(System(model(), {}))
    control = StepControl(dt=0.3)
    state = problem.system.initial_state(jnp.float64)
    progress = first_progress(problem, control, jnp.float64)
    zero, one = jnp.asarray(0.0), jnp.asarray(1.0)
    _, progress, log = advance(problem, Rosenbrock2(), control, state, progress, zero, one, record=8)
    np.testing.assert_allclose(log.length[:4], [0.3, 0.3, 0.3, 0.1], rtol=1e-12)
    assert int(log.count) == int(progress.steps) == 4


def test_the_step_size_survives_a_save_time():
    """Twenty saves cost hardly more steps than one: a shortened step does not become the next proposal."""
    scenario = tme.Scenario(
        tme.Model(tme.Grid.point(), {"u": tme.Species(2.0, kind="local")}, [process(decay)]), until=2.0
    )
    control = StepControl(rtol=1e-5)
    few = tme.simulate(scenario, precision="f64", control=control)
    many = tme.simulate(scenario, save=tme.every(0.5), precision="f64", control=control)
    assert many.statistics["steps"] <= few.statistics["steps"] + 2 * 4
