"""Gradients with respect to when and how long a dose is given."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme


def plasma(clock: Any, state: Any, tissue: Any, dose: Any, rate: Any) -> dict[str, Any]:
    return {"drug.source": clock.rate(dose), "drug.loss": rate}


def left(at: Any, over: Any, gradient: str = "reverse") -> Any:
    """What is left of 100 units after a day, with steps of half an hour."""
    dose = tme.Infusion(at=at, amount=100.0, over=over)
    model = tme.Model(
        tme.Grid.point(),
        {"drug": tme.Species(kind="compartment", negligible=1e-3)},
        {"plasma": tme.process(plasma, dose=dose, rate=0.1)},
    )
    scenario = tme.Scenario(model, until=24.0)
    control = tme.StepControl(dt=0.5)
    found = tme.simulate(scenario, save=[24.0], precision="f64", control=control, gradient=gradient)
    return found.fields["drug"][-1]


@pytest.mark.slow
@pytest.mark.parametrize("over", [1.0 / 60.0, 1.0], ids=["minute", "hour"])
def test_dose_times_have_the_gradient_of_the_discrete_solution(over: float) -> None:
    """Steps that land on a dose move with it; a bolus of a minute sits inside steps of half an hour."""
    at, h = 5.3, 1e-4
    by_time = float(left(at + h, over) - left(at - h, over)) / (2 * h)
    by_length = float(left(at, over + h) - left(at, over - h)) / (2 * h)
    assert float(jax.grad(left)(jnp.asarray(at), over)) == pytest.approx(by_time, rel=1e-7)
    assert float(jax.grad(left, argnums=1)(at, jnp.asarray(over))) == pytest.approx(by_length, rel=1e-7)
    forward = jax.jacfwd(lambda t: left(t, over, "forward"))(jnp.asarray(at))
    assert float(forward) == pytest.approx(by_time, rel=1e-7)


STEPPERS = {
    "rosenbrock2": tme.Rosenbrock2,
    "rosenbrock3": tme.Rosenbrock3,
    "exponential2": tme.Exponential2,
    "newton_krylov": tme.NewtonKrylov,
    "backward_euler": tme.BackwardEuler,
    "explicit_euler": tme.ExplicitEuler,
    "chebyshev": tme.RungeKuttaChebyshev,
}


def given(clock: Any, state: Any, tissue: Any, dose: Any) -> dict[str, Any]:
    return {"drug.source": clock.rate(dose)}


def late(at: float, over: float, stepper: str, precision: str, save: list[float], dt: float | None = None) -> Any:
    """Amount at each save of a drug that is never lost, given once, 1e4 hours into the run."""
    model = tme.Model(
        tme.Grid.point(),
        {"drug": tme.Species(kind="compartment", negligible=1e-3)},
        {"given": tme.process(given, dose=tme.Infusion(at=at, amount=100.0, over=over))},
    )
    control = tme.StepControl(dt=dt, longest=1e5)
    scenario = tme.Scenario(model, until=save[-1])
    run = tme.simulate(scenario, save=save, precision=precision, control=control, stepper=STEPPERS[stepper]())
    assert run.ok
    return run.fields["drug"]


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("stepper", STEPPERS)
def test_a_window_of_four_milliseconds_after_a_year_is_not_skipped(stepper: str, precision: str) -> None:
    """1e-6 h at 1e4 h, in steps of up to a month: all of it, to 1e-9 (in float32 to its resolution)."""
    found = late(10003.7, 1e-6, stepper, precision, [10000.0, 10004.0, 10010.0])
    tolerance = 1e-9 if precision == "f64" else 1e-6
    assert found[1] == 0.0
    np.testing.assert_allclose(found[2:], 100.0, rtol=tolerance)


def test_dose_times_after_a_year_are_right_to_the_second_in_single_precision() -> None:
    """float32 holds 1e4 h to 1e-3 h: a dose from 10000.3004 h over 0.01 h would be off by a tenth of its length."""
    found = late(10000.3004, 0.01, "rosenbrock2", "f32", [10000.3, 10000.3054, 10001.0])
    assert found[1] == 0.0
    assert float(found[2]) == pytest.approx(50.0, rel=1e-3)
    assert float(found[3]) == pytest.approx(100.0, rel=1e-6)
