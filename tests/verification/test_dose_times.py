"""Gradients with respect to when and how long a dose is given."""

from typing import Any

import jax
import jax.numpy as jnp
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
