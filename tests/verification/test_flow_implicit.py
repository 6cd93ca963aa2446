"""A flow that carries fields, taken implicitly: order, steady layers, pulses, budgets and gradients beyond Courant's
limit. The last Courant number tried is stated with each test; an explicit drift is limited to 1/2."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from ladder import orders

import tmepde as tme
from tmepde.model import System
from tmepde.process import process
from tmepde.schedule import Clock
from tmepde.steppers import BackwardEuler, NewtonKrylov, Rosenbrock2, Rosenbrock3, SemiDiscrete


def terms(clock, state, tissue, **numbers):
    return {k.replace("__", "."): tuple(v) if k.endswith(("flow", "velocity")) else v for k, v in numbers.items()}


# -- order in time -----------------------------------------------------------------------------------------------------


@functools.cache
def channel():
    """A smooth profile in a stream that speeds up, Péclet number 2 to 6 per cell, open ends; linear in u."""
    n = 40
    grid = tme.Grid.line(1.0, n)
    x, faces = grid.centers(0), grid.faces(0)
    sides = {"x-": tme.Dirichlet(1.0), "x+": tme.Dirichlet(0.0)}
    species = {"u": tme.Species(1.0 + np.sin(np.pi * x) ** 2, 0.005, sides, drift="scharfetter_gummel")}
    numbers = {"u__flow": [0.4 + 0.8 * faces], "u__loss": 0.5}
    return tme.Scenario(tme.Model(grid, species, {"p": process(terms, **numbers)}), until=0.8)


@functools.cache
def exact():
    """e^{tJ} of the semi-discrete equations, which are linear: u′ = J u + s."""
    scenario = channel()
    problem = SemiDiscrete(System(scenario.model, {}))
    clock = Clock(*(jnp.zeros(()),) * 3, jnp.ones(()))
    start = jnp.asarray(scenario.model.species["u"].initial)

    def tendency(u):
        return problem.evaluate(clock, {"u": u}).tendency["u"]

    slope = np.asarray(jax.jacfwd(tendency)(start))
    steady = np.asarray(start) - np.linalg.solve(slope, np.asarray(tendency(start)))
    return steady + scipy.linalg.expm(0.8 * slope) @ (np.asarray(start) - steady)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stepper", "order"),
    [
        pytest.param(Rosenbrock2(), 2.0, id="second"),
        pytest.param(Rosenbrock3(), 3.0, id="third", marks=pytest.mark.slow),
    ],
)
def test_order_in_time_with_courant_numbers_up_to_five(stepper, order):
    errors = []
    for count in (8, 16, 32):  # 1.2·0.1/(1/40) = 4.8
        control = tme.StepControl(dt=0.8 / count, rtol=1e-9)
        found = tme.simulate(channel(), precision="f64", control=control, stepper=stepper)
        errors.append(np.sqrt(np.mean((found.fields["u"][-1] - exact()) ** 2)))
    assert orders(errors)[-1] == pytest.approx(order, abs=0.25), (errors, orders(errors))
    assert errors[-1] < 1e-3


# -- steady layers -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "precision"),
    [("muscl", "f32"), ("muscl", "f64"), ("scharfetter_gummel", "f32"), ("scharfetter_gummel", "f64")],
)
def test_a_layer_at_peclet_100_per_cell_is_reached_without_undershoot(scheme, precision):
    """u = (e^{Pe x} − 1)/(e^{Pe} − 1): zero but for the last cell, which is all layer. Steps grow to hundreds of times
    Courant's, and with fixed ones too nothing goes below 0 or above 1 at the end."""
    n = 50
    grid = tme.Grid.line(1.0, n)
    sides = {"x-": tme.Dirichlet(0.0), "x+": tme.Dirichlet(1.0)}
    species = {"u": tme.Species(grid.centers(0), 1.0 / n / 100.0, sides, drift=scheme)}
    model = tme.Model(grid, species, {"p": process(terms, u__flow=[np.ones(n + 1)])})
    found = tme.simulate(tme.Scenario(model, until=100.0), save=[10.0, 100.0], precision=precision)
    assert found.ok, found.message
    assert int(found.statistics["steps"]) < 0.1 * 100.0 / (0.5 / n)
    fields = found.fields["u"]
    assert fields.min() >= 0.0 and fields.max() <= 1.0 + 1e-3
    assert np.abs(fields[-1][:-1]).max() < 1e-3  # the tolerance, of 1
    assert abs(float(found.budgets["u"]["error"])) < (1e-12 if precision == "f64" else 1e-5)


# -- pulses ------------------------------------------------------------------------------------------------------------


@functools.cache
def pulse(channel_name, rtol=1e-3, stepper=None, scheme="muscl"):
    """A Gaussian goes half around a periodic axis of 200 cells; what is measured is the relative L1 error."""
    n, width, time = 200, 8.0, 50.0
    grid = tme.Grid.box((100.0,), (n,), periodic=(True,))
    x = grid.centers(0)
    species = {"u": tme.Species(np.exp(-(((x - 30.0) / width) ** 2)), 0.0, drift=scheme)}
    model = tme.Model(grid, species, {"p": process(terms, **{f"u__{channel_name}": [np.ones(n + 1)]})})
    control = tme.StepControl(rtol=rtol)
    found = tme.simulate(tme.Scenario(model, until=time), precision="f64", control=control, stepper=stepper)
    away = (x - 80.0 + 50.0) % 100.0 - 50.0
    wanted = np.exp(-((away / width) ** 2))
    return found, float(np.abs(found.fields["u"][-1] - wanted).sum() / wanted.sum())


@pytest.mark.slow
def test_a_pulse_takes_half_the_explicit_steps_and_is_no_worse():
    """Courant number 1.1 on average. Measured: 88 steps and 0.95 % instead of 203 steps and 1.8 %."""
    implicit, error = pulse("flow")
    explicit, explicit_error = pulse("velocity")
    assert int(implicit.statistics["steps"]) < 0.6 * int(explicit.statistics["steps"])
    assert error < explicit_error
    for found in (implicit, explicit):
        assert found.fields["u"].min() >= 0.0
        assert float(found.budgets["u"]["error"]) < 1e-12
        assert found.fields["u"][-1].sum() == pytest.approx(found.fields["u"][0].sum(), rel=1e-12)


@pytest.mark.slow
def test_backward_euler_stays_explicit_and_newton_has_no_limit():
    limited, _ = pulse("flow", stepper=BackwardEuler())
    assert int(limited.statistics["steps"]) >= 200
    free, error = pulse("flow", stepper=NewtonKrylov())
    assert int(free.statistics["steps"]) < 150 and error < 0.1


@pytest.mark.slow
def test_what_leaves_through_an_open_side_is_inflow():
    """A box function is washed out; the linearised flow moves through the side too, and the budget knows."""
    n = 60
    grid = tme.Grid.line(1.0, n)
    x = grid.centers(0)
    sides = {"x+": tme.Dirichlet(0.0), "x-": tme.Dirichlet(0.0)}
    species = {"u": tme.Species(np.where(abs(x - 0.5) < 0.2, 1.0, 0.0), 1e-4, sides)}
    model = tme.Model(grid, species, {"p": process(terms, u__flow=[np.ones(n + 1)])})
    found = tme.simulate(tme.Scenario(model, until=3.0), save=[0.3, 3.0], precision="f64")
    assert found.ok
    assert found.fields["u"].min() >= 0.0
    assert found.fields["u"][-1].max() < 1e-3
    budget = found.budgets["u"]
    assert float(budget["error"]) < 1e-12
    assert float(budget["inflow"]) == pytest.approx(-np.sum(found.fields["u"][0]) / n, rel=1e-3)


# -- carried beside others, in the plane -------------------------------------------------------------------------------

MASK = np.ones((20, 24), bool)
MASK[6:10, 8:14] = False


def swirl(grid):
    """v = rot ψ on the faces: free of divergence cell by cell, closed at the box; 40 cells an hour at the most."""
    corners = np.meshgrid(np.linspace(0, np.pi, 21), np.linspace(0, np.pi, 25), indexing="ij")
    stream = 100.0 * np.sin(corners[0]) * np.sin(corners[1])
    return [np.diff(stream, axis=1), -np.diff(stream, axis=0)]


def plane(channel_name, grid, rtol, until=1.0):
    y, x = grid.coordinates()
    blob = np.exp(-(((y - 6.0) ** 2 + (x - 7.0) ** 2) / 18.0))
    species = {
        "a": tme.Species(blob, 0.05),
        "b": tme.Species(0.1 + 0.0 * blob, 3.0),
        "c": tme.Species(2.0 * blob, 0.5, drift="scharfetter_gummel"),
    }
    speeds = tuple(map(jnp.asarray, swirl(grid)))

    def rates(clock, state, tissue):
        flows = {f"{n}.{channel_name}": speeds for n in ("a", "c")}
        return {**flows, "b.source": state["a"], "b.loss": 1.0 + state["c"], "a.loss": 0.2 + 0.0 * state["a"]}

    scenario = tme.Scenario(tme.Model(grid, species, {"p": process(rates)}), until=until)
    found = tme.simulate(scenario, precision="f64", control=tme.StepControl(rtol=rtol))
    assert found.ok
    for name in species:
        assert float(found.budgets[name]["error"]) < 1e-10, name
        assert found.fields[name].min() >= 0.0, name
    return found


@pytest.mark.parametrize("mask", [pytest.param(None, id="whole"), pytest.param(MASK, id="mask")])
@pytest.mark.slow
def test_carried_fields_beside_others_are_those_of_an_explicit_drift(mask):
    """The fluxes are the same, so what is left is the error in time; per field relative to its norm."""
    grid = tme.Grid.box((20.0, 24.0), (20, 24), mask=mask)
    found, fine = plane("flow", grid, 1e-3), plane("velocity", grid, 1e-4)
    assert int(found.statistics["steps"]) < 0.6 * int(fine.statistics["steps"])
    for name in ("a", "b", "c"):
        error = np.linalg.norm(found.fields[name][-1] - fine.fields[name][-1])
        assert error < 1e-2 * np.linalg.norm(fine.fields[name][-1]), name


# -- derivatives -------------------------------------------------------------------------------------------------------


def washed(values, gradient="reverse"):
    """Mean square of what a stream of variable speed leaves of a profile; MUSCL, smooth data."""
    grid = tme.Grid.line(1.0, 12)
    x = grid.centers(0)
    species = {
        "u": tme.Species(1.0 + 0.5 * np.cos(3.0 * x), 0.01 * (1.0 + values["spread"]), {"x+": tme.Dirichlet(0.3)}),
        "b": tme.Species(0.4, 0.1),
    }

    def flows(clock, state, tissue, speed):
        return {"u.flow": (speed * (1.0 + 0.0 * grid.faces(0)),), "b.source": state["u"], "b.loss": 1.0, "u.loss": 0.3}

    model = tme.Model(grid, species, {"p": process(flows, speed=0.5 * (1.0 + values["speed"]))})
    control = tme.StepControl(dt=0.25, rtol=1e-12)
    found = tme.simulate(tme.Scenario(model, until=1.0), precision="f64", control=control, gradient=gradient, record=8)
    return jnp.mean(found.fields["u"][-1] ** 2) + jnp.mean(found.fields["b"][-1])


@pytest.mark.slow
def test_gradients_in_both_modes_are_differences():
    """Courant number 1.5; central differences with steps of 1e-4."""
    zero = {"speed": 0.0, "spread": 0.0}
    reverse = jax.jit(jax.grad(washed))(zero)
    forward = jax.jit(jax.jacfwd(lambda v: washed(v, "forward")))(zero)
    for key in zero:
        high, low = (float(washed({**zero, key: s})) for s in (1e-4, -1e-4))
        wanted = (high - low) / 2e-4
        assert abs(wanted) > 1e-3
        assert float(reverse[key]) == pytest.approx(wanted, rel=1e-6), key
        assert float(forward[key]) == pytest.approx(wanted, rel=1e-6), key
