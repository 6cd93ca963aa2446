"""Species that exchange faster than everything else happens, in models of any size: right to 1 %, or it is said.

    ∂f/∂t = D∇²f + e b − 3e f ,   ∂b/∂t = 3e f − e b          (free and bound, three in four are bound)

Beyond a few round trips f = b/3 and the sum spreads at D/4: its first cosine mode, an eigenvector of the mesh too,
decays at μ = D/4 (2 − 2 cos(π/n))/h².
"""

from __future__ import annotations

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde._types import cast, parted, shapes
from tmepde.library import solid_tumour
from tmepde.steppers import SemiDiscrete
from tmepde.steppers.choice import choose_stepper, longest_step
from tmepde.steppers.stiffness import fastest
from tmepde.steppers.structure import structure

D, HOURS, CELLS, WIDTH = 2e4, 4.0, 20, 50.0
MU = D / 4.0 * (2.0 - 2.0 * np.cos(np.pi / CELLS)) / WIDTH**2
MODE = np.cos(np.pi * (np.arange(CELLS) + 0.5) / CELLS)
SUM = 1.0 + 0.5 * MODE * np.exp(-MU * HOURS)


def binding(clock, state, tissue, e, slow):
    rates = {"f.source": e * state["b"], "f.loss": 3.0 * e, "b.source": 3.0 * e * state["f"], "b.loss": e}
    others = sorted(n for n in state if n not in "fb")
    return rates | {f"{n}.{c}": slow * (i + 1) for i, n in enumerate(others) for c in ("source", "loss")}


@functools.cache
def process():
    return tme.process(binding, e=10.0, slow=0.05)


def scenario(e, others=10):
    """The pair among ``others`` that spread slowly and turn over by themselves."""
    start = 1.0 + 0.5 * MODE
    species = {"f": tme.Species(0.25 * start, D), "b": tme.Species(0.75 * start, 0.0)}
    species |= {f"slow_{i}": tme.Species(1.0 + 0.5 * MODE, 1.0 + i) for i in range(others)}
    made = tme.Scenario(tme.Model(tme.Grid.line(CELLS * WIDTH, CELLS), species, {"p": process()}), until=HOURS)
    return made.replace("model.processes.p.numbers.e", e)


def error(solution):
    found = np.asarray(solution.fields["f"][-1]) + np.asarray(solution.fields["b"][-1])
    return np.max(np.abs(found - SUM)) / 0.5


@pytest.mark.parametrize(("e", "method"), [(40.0, "rosenbrock2"), (1000.0, "newton_krylov2"), (1e5, "newton_krylov2")])
def test_a_pair_that_exchanges_fast_among_ten_slow_fields_spreads_as_one(e, method):
    """At 30 round trips an hour by steps that resolve them, at 750 and 75,000 by all couplings."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = tme.simulate(scenario(e))
    assert solution.ok and solution.method.startswith(method)
    assert error(solution) < 0.01
    assert solution.message == solution.status.message


def test_a_stepper_that_does_not_hold_an_exchange_says_so():
    """The user's own Rosenbrock2 errs by more than 5 %; the sentence names both, the rate and the remedy."""
    with pytest.warns(UserWarning, match="`b` and `f` exchange up to 30 times an hour"):
        solution = tme.simulate(scenario(40.0), stepper=tme.Rosenbrock2())
    assert error(solution) > 0.05
    assert "NewtonKrylov()" in solution.message and "StepControl(longest=…)" in solution.message


def test_a_slow_exchange_is_left_to_the_error_control():
    solution = tme.simulate(scenario(1.0), stepper=tme.Rosenbrock2())
    assert solution.message == solution.status.message


def test_a_gradient_holds_the_exchange_too():
    """d(sum in the first cell)/dD by the closed form, inside jit, where no number is known beforehand."""
    base = scenario(1000.0, others=0)

    @jax.jit
    @jax.value_and_grad
    def first(diffusivity):
        solution = tme.simulate(base.replace("model.species.f.diffusivity", diffusivity))
        return solution.fields["f"][-1][0] + solution.fields["b"][-1][0]

    value, slope = first(jnp.asarray(D))
    assert abs(value - SUM[0]) < 0.01 * 0.5
    assert abs(slope / (-MU / D * HOURS * (SUM[0] - 1.0)) - 1.0) < 0.02


def looked(rates, values, until=4.0, **numbers):
    """The fastest exchange of species on one cell, with ``values`` at the start."""
    species = {n: tme.Species(v, 1.0) for n, v in values.items()}
    model = tme.Model(tme.Grid.line(10.0, 1), species, {"p": tme.process(rates, **numbers)})
    problem = SemiDiscrete(cast(tme.Scenario(model, until=until), jnp.float32).system)
    arrays, frame = parted(problem)
    found = structure(frame, shapes(arrays), jnp.float32)
    return fastest(arrays, frame, found, 25.0 / until, jnp.float32, until), found


def test_round_trips_are_counted_in_cycles_and_stars_whatever_the_units():
    """A cycle of three that passes on at a, b, c makes ½·3/(1/a + 1/b + 1/c) trips; a centre that hands a third to each
    of three others as many as with one of them. A unit 1e9 times smaller changes nothing."""

    def cycle(clock, state, tissue, a, b, c):
        gains = {"x.source": c * state["z"] * 1e9, "y.source": a * state["x"], "z.source": b * state["y"] * 1e-9}
        return gains | {"x.loss": a, "y.loss": b, "z.loss": c}

    exchange, _ = looked(cycle, {"x": 1.0, "y": 1.0, "z": 1e-9}, a=1000.0, b=200.0, c=500.0)
    np.testing.assert_allclose(exchange.trips, 1.5 / (1 / 1000 + 1 / 200 + 1 / 500), rtol=1e-3)

    def star(clock, state, tissue, out, back):
        arms = {f"{n}.source": out / 3.0 * state["o"] for n in "abc"} | {f"{n}.loss": back for n in "abc"}
        return arms | {"o.source": back * (state["a"] + state["b"] + state["c"]), "o.loss": out}

    exchange, _ = looked(star, dict.fromkeys("abco", 1.0), out=300.0, back=100.0)
    np.testing.assert_allclose(exchange.trips, 300.0 * 100.0 / 400.0, rtol=1e-3)


def test_a_chain_is_no_exchange_and_what_stays_zero_is_not_looked_at():
    def chain(clock, state, tissue, k):
        return {"y.source": k * state["x"], "x.loss": k, "y.loss": k}

    exchange, found = looked(chain, {"x": 1.0, "y": 1.0}, k=1000.0)
    assert exchange.trips == 0.0 and found.exchanging == ()

    def pair(clock, state, tissue, k):
        return {"y.source": k * state["x"], "x.source": k * state["y"], "x.loss": k, "y.loss": k}

    assert looked(pair, {"x": 1.0, "y": 0.0}, k=1000.0)[0].names == ("x", "y")
    assert looked(pair, {"x": 0.0, "y": 0.0}, k=1000.0)[0].trips == 0.0


def test_a_dose_to_come_counts():
    """A drug that is not there at the start but is given later is looked at."""

    def pair(clock, state, tissue, k, dose):
        return {"x.source": k * state["y"] + clock.doses(dose)[0], "y.source": k * state["x"], "x.loss": k, "y.loss": k}

    exchange, _ = looked(pair, {"x": 0.0, "y": 0.0}, k=1000.0, dose=tme.Bolus(at=1.0, amount=1.0))
    np.testing.assert_allclose(exchange.trips, 500.0, rtol=1e-3)


def test_the_reference_model_keeps_its_scheme_and_its_steps():
    """Its carriers and what they bind exchange nine times a day, but only where a therapy brings them."""
    hours = 24.0 * 365.0
    problem = SemiDiscrete(
        cast(tme.Scenario(solid_tumour(tme.Grid.square(500.0, cells=8)), until=hours).system, jnp.float32)
    )
    choice = choose_stepper(problem, jnp.float32, hours, tme.StepControl())
    assert choice.stepper == tme.Rosenbrock2() and choice.longest == float("inf")
    within = jax.jit(lambda state: longest_step(problem, state, hours, 1e-3))(problem.system.initial_state(jnp.float32))
    assert within > 24.0
