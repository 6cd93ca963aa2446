"""Derivatives through Rosenbrock3 and NewtonKrylov: both modes equal finite differences.

The model has diffusion, chemotaxis, a Robin side, a quasi-steady nutrient, a plasma level, a dose and a hazard. Steps
are fixed and all equations are solved to 1e-12, so that the difference quotient (relative step 1e-4, error about 1e-8)
sees the same discrete solution.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from test_gradients import CONTROL, base

import tmepde as tme
from tmepde.steppers import NewtonKrylov, Rosenbrock3

VALUES = {
    "model.processes.p.numbers.rate": 0.8,
    "model.processes.p.numbers.chi": 0.3,
    "model.processes.p.numbers.uptake": 3.0,
    "interventions.drug.dose.amount": 2.0,
}


def total(values, stepper, gradient="reverse"):
    one = base("line")
    for path, value in values.items():
        value = jnp.reshape(value, (1,)) if path.endswith("amount") else value
        one = one.replace(path, value)
    run = tme.simulate(one, precision="f64", control=CONTROL, stepper=stepper, gradient=gradient)
    flows = run.budgets["u"]["killed"] + run.budgets["u"]["produced"] + run.budgets["u"]["inflow"]
    return sum(jnp.sum(field[-1] ** 2) for field in run.fields.values()) + flows


@pytest.mark.slow
@pytest.mark.parametrize("stepper", [Rosenbrock3(), NewtonKrylov()], ids=["rosenbrock 3", "newton"])
def test_gradients_equal_finite_differences(stepper):
    reverse = jax.grad(total)(VALUES, stepper)
    for path, value in VALUES.items():
        step = 1e-4 * value
        up, down = (float(total({**VALUES, path: value + s}, stepper)) for s in (step, -step))
        assert float(reverse[path]) == pytest.approx((up - down) / (2 * step), rel=1e-6), path


@pytest.mark.slow
@pytest.mark.parametrize("stepper", [Rosenbrock3(), NewtonKrylov()], ids=["rosenbrock 3", "newton"])
def test_both_modes_agree(stepper):
    """Forward and reverse derivative of the same discrete solution, to the accuracy of the adjoint solves."""
    ones = {path: jnp.asarray(1.0) for path in VALUES}
    start = {path: jnp.asarray(value) for path, value in VALUES.items()}
    _, forward = jax.jvp(lambda v: total(v, stepper, "forward"), (start,), (ones,))
    reverse = jax.grad(total)(start, stepper)
    assert float(forward) == pytest.approx(sum(map(float, reverse.values())), rel=1e-8)
