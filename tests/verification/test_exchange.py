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
from scipy.linalg import expm

import tmepde as tme
from tmepde._types import cast, parted, shapes
from tmepde.library import solid_tumour
from tmepde.steppers import SemiDiscrete, stiffness
from tmepde.steppers.choice import choose_stepper, longest_step
from tmepde.steppers.stiffness import Moment, fastest, fastest_each
from tmepde.steppers.structure import instant, structure

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


@pytest.mark.slow
@pytest.mark.parametrize(("e", "method"), [(40.0, "rosenbrock2"), (1000.0, "newton_krylov2"), (1e5, "newton_krylov2")])
def test_a_pair_that_exchanges_fast_among_ten_slow_fields_spreads_as_one(e, method):
    """At 30 round trips an hour by steps that resolve them, at 750 and 75,000 by all couplings."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = tme.simulate(scenario(e))
    assert solution.ok and solution.method.startswith(method)
    assert error(solution) < 0.01
    assert solution.message == solution.status.message


@pytest.mark.slow
def test_a_stepper_that_does_not_hold_an_exchange_says_so():
    """The user's own Rosenbrock2 errs by more than 5 %; the sentence names both, the rate and the remedy."""
    with pytest.warns(UserWarning, match="`b` and `f` exchange up to 30 times an hour"):
        solution = tme.simulate(scenario(40.0), stepper=tme.Rosenbrock2())
    assert error(solution) > 0.05
    assert "NewtonKrylov()" in solution.message and "StepControl(longest=…)" in solution.message


def test_a_slow_exchange_is_left_to_the_error_control():
    solution = tme.simulate(scenario(1.0), stepper=tme.Rosenbrock2())
    assert solution.message == solution.status.message


@pytest.mark.slow
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


def test_a_program_for_all_members_as_on_a_card_finds_what_each_alone_does(monkeypatch):
    """A fast pair, a slow one that is not told of, and one whose partner has gone."""
    parts = [parted(SemiDiscrete(cast(scenario(e, 2), jnp.float32).system)) for e in (1000.0, 1.0, 300.0)]
    frame, members = parts[0][1], [arrays for arrays, _ in parts]
    found = structure(frame, shapes(members[0]), jnp.float32)
    state = {n: jnp.ones(CELLS) for n in ("f", "b", "slow_0", "slow_1")}
    clock = instant(state, 0.0)
    moments = [Moment(state, clock, dict.fromkeys(state, jnp.float32(gone))) for gone in (0.0, 0.0, 2.0)]
    for when, names in (([HOURS] * 3, (2, 0, 2)), (moments, (2, 0, 0))):
        alone = [fastest(m, frame, found, 6.0, jnp.float32, w) for m, w in zip(members, when, strict=True)]
        with monkeypatch.context() as patched:
            patched.setattr(stiffness, "platform", lambda: "gpu")
            together = fastest_each(members, frame, found, [6.0] * 3, jnp.float32, when)
        assert [len(e.names) for e in alone] == list(names)
        assert [e.names for e in together] == [e.names for e in alone]
        np.testing.assert_allclose([e.trips for e in together], [e.trips for e in alone], rtol=1e-5)


def test_a_chain_is_no_exchange_and_what_stays_zero_is_not_looked_at():
    def chain(clock, state, tissue, k):
        return {"y.source": k * state["x"], "x.loss": k, "y.loss": k}

    exchange, found = looked(chain, {"x": 1.0, "y": 1.0}, k=1000.0)
    assert exchange.trips == 0.0 and found.exchanging == ()

    def pair(clock, state, tissue, k):
        return {"y.source": k * state["x"], "x.source": k * state["y"], "x.loss": k, "y.loss": k}

    assert looked(pair, {"x": 1.0, "y": 0.0}, k=1000.0)[0].names == ("x", "y")
    assert looked(pair, {"x": 0.0, "y": 0.0}, k=1000.0)[0].trips == 0.0

    def used_up(clock, state, tissue, k):
        x, y, z = state["x"], state["y"], state["z"]
        return {
            "x.source": k * y * z,
            "y.source": k * x,
            "z.source": 0.1 * k * x,
            "x.loss": k,
            "y.loss": k,
            "z.loss": k,
        }

    assert looked(used_up, {"x": 1.0, "y": 1.0, "z": 1.0}, k=1000.0)[0].trips > 400.0
    assert looked(used_up, {"x": 0.0, "y": 0.0, "z": 1.0}, k=1000.0)[0].trips == 0.0  # z is there and lost as fast


def test_a_dose_to_come_counts():
    """A drug that is not there at the start but is given later is looked at."""

    def pair(clock, state, tissue, k, dose):
        return {"x.source": k * state["y"] + clock.doses(dose)[0], "y.source": k * state["x"], "x.loss": k, "y.loss": k}

    exchange, _ = looked(pair, {"x": 0.0, "y": 0.0}, k=1000.0, dose=tme.Bolus(at=1.0, amount=1.0))
    np.testing.assert_allclose(exchange.trips, 500.0, rtol=1e-3)


@pytest.mark.slow
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


# -- by way of what follows at once, and of compartments --------------------------------------------------------------

ROUND = 1e7  # loss of the quasi-steady field, 1/h


def by_way(clock, state, tissue, e):
    """u → q → u and w at e/2 each, w → q likewise; q is in balance with them."""
    u, w, q = state["u"], state["w"], state["q"]
    rates = {"q.source": e * (u + w), "q.loss": 2.0 * ROUND, "u.loss": e, "w.loss": e}
    return rates | {"u.source": ROUND * q, "w.source": ROUND * q}


def handed_on(e):
    """As above, with what is handed on through a quasi-steady field: the sum spreads at D/2."""
    start = 0.5 + 0.25 * MODE
    species = {"u": tme.Species(start, D), "w": tme.Species(start, kind="local")}
    species["q"] = tme.Species(0.0, 1.0, kind="quasi_steady")
    model = tme.Model(tme.Grid.line(CELLS * WIDTH, CELLS), species, {"p": tme.process(by_way, e=10.0)})
    return tme.Scenario(model, until=HOURS).replace("model.processes.p.numbers.e", e)


@pytest.mark.slow
@pytest.mark.parametrize("e", [30.0, 1e3, 1e5])
def test_an_exchange_by_way_of_a_quasi_steady_field_spreads_as_one(e):
    """Rosenbrock2 errs by 9 % at 30 and by all of it from 1e3/h on; NewtonKrylov without q in its preconditioner by
    30 % at 1e5. At 30/h the sum is known to 1/(round trips) = 1 %."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = tme.simulate(handed_on(e), precision="f64")
    assert solution.method.startswith("newton_krylov2")
    found = np.asarray(solution.fields["u"][-1]) + np.asarray(solution.fields["w"][-1])
    assert np.max(np.abs(found - (1.0 + 0.5 * MODE * np.exp(-2.0 * MU * HOURS)))) / 0.5 < 0.01


@pytest.mark.slow
def test_what_a_bound_drug_gets_back_from_a_free_one_in_balance():
    """Bound drug b, free drug q in balance with it and with a side: 0 = D q″ − kq + e b, b′ = k q − e b. Against the
    exponential of the same finite volumes; Rosenbrock2 errs by 58 %."""
    cells, width, d, e, k, hours = 40, 5.0, 400.0, 100.0, 1000.0, 40.0

    def binding(clock, state, tissue):
        return {"q.loss": k, "q.source": e * state["b"], "b.source": k * state["q"], "b.loss": e}

    spread = d / width**2 * (np.eye(cells, k=1) + np.eye(cells, k=-1) - 2.0 * np.eye(cells))
    spread[0, 0], spread[-1, -1] = -3.0 * d / width**2, -d / width**2
    green = np.linalg.inv(k * np.eye(cells) - spread)
    matrix, driven = k * e * green - e * np.eye(cells), k * green[:, 0] * 2.0 * d / width**2
    limit = -np.linalg.solve(matrix, driven)
    exact = limit - expm(matrix * hours) @ limit
    species = {
        "q": tme.Species(0.0, d, {"x-": tme.Dirichlet(1.0)}, kind="quasi_steady"),
        "b": tme.Species(0.0, kind="local"),
    }
    model = tme.Model(tme.Grid.line(cells * width, cells), species, {"p": tme.process(binding)})
    solution = tme.simulate(tme.Scenario(model, until=hours), precision="f64")
    assert solution.method.startswith("newton_krylov2")
    np.testing.assert_allclose(solution.fields["b"][-1], exact, atol=1e-3 * np.max(exact))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["transported", "local"])
def test_blood_and_tissue_that_exchange_fast_are_emptied_as_one(kind):
    """p ⇄ f at 1000/h, f lost at 0.1/h: half of all is f. Rosenbrock2 errs by 17 to 64 %."""

    def exchange(clock, state, tissue, e):
        f = {"f.source": e * state["p"], "f.loss": e + 0.1}
        return f | {"p.source": e * jnp.mean(state["f"]), "p.loss": e}

    species = {"f": tme.Species(1.0 + MODE, D if kind == "transported" else 0.0, kind=kind)}
    species["p"] = tme.Species(0.0, kind="compartment")
    model = tme.Model(tme.Grid.line(CELLS * WIDTH, CELLS), species, {"p": tme.process(exchange, e=1000.0)})
    solution = tme.simulate(tme.Scenario(model, until=10.0), precision="f64")
    assert solution.method.startswith("newton_krylov2")
    np.testing.assert_allclose(solution.fields["p"][-1], 0.5 * np.exp(-0.5), rtol=5e-3)
    with pytest.warns(UserWarning, match="`f` and `p` exchange up to 500 times an hour"):
        tme.simulate(tme.Scenario(model, until=10.0), stepper=tme.Rosenbrock2())


def test_what_compartments_do_to_each_other_is_held_by_every_stepper():
    """Two pools that exchange at 1e4/h, and a field that neither of them is made of."""

    def pools(clock, state, tissue, e):
        rates = {"p.source": e * state["r"], "p.loss": e, "r.source": e * state["p"], "r.loss": e + 0.1}
        return rates | {"f.source": state["p"], "f.loss": 1.0}

    species = {"p": tme.Species(1.0, kind="compartment"), "r": tme.Species(0.0, kind="compartment")}
    model = tme.Model(tme.Grid.line(10.0, 2), species | {"f": tme.Species(0.0, 1.0)}, {"p": tme.process(pools, e=1e4)})
    # in single precision 1e4 (r − p) is held to 6e-4 of p an hour
    solution = tme.simulate(tme.Scenario(model, until=10.0), precision="f64")
    assert solution.method.startswith("rosenbrock2") and solution.message == solution.status.message
    np.testing.assert_allclose(solution.fields["p"][-1], 0.5 * np.exp(-0.5), rtol=2e-3)
