"""Derivatives through ``simulate``, in both modes, equal finite differences; they are finite where a field is zero."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.adjoint import Tape
from tmepde.integrate import remembered
from tmepde.interventions.base import dose
from tmepde.model import System
from tmepde.operators import gradient
from tmepde.process import process
from tmepde.reel import pull_program, record_program
from tmepde.schedule import Clock
from tmepde.steppers import Rosenbrock3, SemiDiscrete


def coupled(clock, state, tissue, rate, chi, uptake):
    u, c, q = state["u"], state["c"], state["q"]
    return {
        "u.source": rate * u * q / (0.3 + q),
        "u.loss": 0.2 + 0.1 * u,
        "u.velocity": tuple(chi * g for g in gradient(tissue.grid, c)),
        "c.source": u,
        "c.loss": 1.0 + state["p"],
        "q.loss": uptake * u / (0.3 + q),
    }


class Drug(tme.Intervention):
    """A plasma level p and a kill of u."""

    dose: tme.Schedule = dose("1", doc="amount")

    def species(self, grid):
        return {"p": tme.Species(0.0, kind="compartment")}

    def kinetics(self, clock, state, tissue):
        return {"p.loss": 0.5}

    def effects(self, clock, state, tissue):
        kill = {"u": 0.1 * jnp.sum(clock.doses(self.dose))}
        return tme.Effects(add={"p.source": clock.rate(self.dose)}, hazard=kill)


def scenario(grid):
    x = grid.coordinates()[-1] / 1.2
    species = {
        "u": tme.Species(1.0 + 0.5 * np.cos(3.0 * x), 0.1, {"x-": tme.Robin(0.3, 1.5)}),
        "c": tme.Species(0.4, 0.4),
        "q": tme.Species(1.0, 1.0, {"x+": tme.Dirichlet(1.0)}, kind="quasi_steady"),
    }
    model = tme.Model(grid, species, {"p": process(coupled, rate=0.8, chi=0.3, uptake=3.0)})
    return tme.Scenario(model, {"drug": Drug(dose=tme.Infusion(0.35, 2.0, 0.3))}, until=1.0)


GRIDS = {"line": tme.Grid.line(1.2, 12), "square": tme.Grid.square(1.2, 6)}
PATHS = {
    "growth": "model.processes.p.numbers.rate",
    "chemotaxis": "model.processes.p.numbers.chi",
    "uptake": "model.processes.p.numbers.uptake",
    "initial field": "model.species.u.initial",
    "diffusivity": "model.species.u.diffusivity",
    "supply": "model.species.q.boundary.x+.value",
    "barrier": "model.species.u.boundary.x-.transfer",
    "dose": "interventions.drug.dose.amount",
    "strength": "interventions.drug.strength",
}
#: fixed steps, so that a difference quotient sees the same steps; linear and quasi-steady solves to round-off
CONTROL = tme.StepControl(dt=0.1, rtol=1e-12)


@functools.cache
def base(name):
    return scenario(GRIDS[name])


def total(name, values, gradient="reverse", record=32):
    one = base(name)
    for key, value in values.items():
        one = one.replace(PATHS[key], one.at(PATHS[key]) * (1.0 + value))
    solution = tme.simulate(one, save=[0.5, 1.0], precision="f64", control=CONTROL, gradient=gradient, record=record)
    state = {n: f[-1] for n, f in solution.fields.items()}
    return jnp.mean(state["u"] ** 2) + jnp.mean(state["q"]) + 0.1 * state["p"]


NAMES = {"line": list(PATHS), "square": ["growth", "diffusivity", "uptake", "dose"]}


@functools.cache
def differences(name):
    """Central differences of the total with relative steps of 1e-4: error about 1e-9 of the second derivative."""
    out = {}
    step = 1e-4
    for key in NAMES[name]:
        high, low = (float(total(name, {key: s})) for s in (step, -step))
        out[key] = (high - low) / (2 * step)
    return out


def compare(name, found):
    for key, wanted in differences(name).items():
        assert float(found[key]) == pytest.approx(wanted, rel=1e-6, abs=1e-9), key


@pytest.mark.slow
@pytest.mark.parametrize("name", ["line", "square"])
def test_reverse_mode_equals_differences(name):
    zero = dict.fromkeys(NAMES[name], 0.0)
    compare(name, jax.jit(jax.grad(lambda v: total(name, v)))(zero))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["line", "square"])
def test_forward_mode_equals_differences(name):
    zero = dict.fromkeys(NAMES[name], 0.0)
    compare(name, jax.jit(jax.jacfwd(lambda v: total(name, v, "forward")))(zero))


@pytest.mark.slow
def test_flows_of_a_budget_have_a_derivative_in_both_modes():
    def let_in(outside, key="inflow", gradient="reverse"):
        fields = {"u": tme.Species(1.0, 0.3, {"x-": tme.Robin(0.7, outside)})}
        scenario = tme.Scenario(tme.Model(tme.Grid.line(1.0, 4), fields, {}), until=1.0)
        options = {"precision": "f64", "control": CONTROL, "stepper": tme.Rosenbrock2()}
        return tme.simulate(scenario, gradient=gradient, **options).budgets["u"][key]

    slope = (let_in(2.001) - let_in(1.999)) / 0.002
    _, forwards = jax.jvp(lambda u: let_in(u, gradient="forward"), (2.0,), (1.0,))
    assert forwards == pytest.approx(slope, rel=1e-6)
    assert jax.grad(let_in)(2.0) == pytest.approx(slope, rel=1e-6)
    assert jax.grad(lambda u: let_in(u, "final"))(2.0) == pytest.approx(slope, rel=1e-6)  # all there is came in


@pytest.mark.parametrize("begun", [0.0, 1e-9])
def test_the_derivative_at_an_empty_field_is_that_beside_it(begun):
    """n' = −0.2 n u with u = u₀ e^(−0.1 t): dn/du₀ = −0.2 (1 − e^(−0.5))/0.1 at u₀ = 0. It was half of that: the
    derivative of max(u, 0) is ½ at 0, so that what a first dose does came out too small."""

    def left(begun):
        kill = process(lambda clock, state, tissue: {"n.loss": 0.2 * state["u"], "u.loss": 0.1})
        species = {"n": tme.Species(1.0, kind="local"), "u": tme.Species(begun, 3.0)}
        model = tme.Model(tme.Grid.line(10.0, 4), species, {"kill": kill})
        return tme.simulate(tme.Scenario(model, until=5.0), precision="f64").fields["n"][-1][2]

    assert float(jax.grad(left)(jnp.asarray(begun))) == pytest.approx(-2.0 * (1.0 - np.exp(-0.5)), rel=2e-3)


FLOWS = [("u", "produced"), ("u", "lost"), ("u", "inflow"), ("u", "killed"), ("c", "lost"), ("p", "produced")]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kept", "repeated", "one program"])
def test_all_flows_of_a_budget_have_their_derivative_backwards(how):
    """Weighted sum of all flows beside a field: kept steps, steps repeated in segments, and inside ``jax.jit``."""

    def weighted(values, gradient="reverse"):
        one = base("line")
        for key, value in values.items():
            one = one.replace(PATHS[key], one.at(PATHS[key]) * (1.0 + value))
        record = 3 if how == "repeated" else None
        options = {"precision": "f64", "control": CONTROL, "gradient": gradient, "record": record}
        solution = tme.simulate(one, save=[0.5, 1.0], **options)
        flows = [solution.budgets[name][label] for name, label in FLOWS]
        return sum(k * flow for k, flow in enumerate(flows, 1)) + jnp.sum(solution.fields["u"][1] ** 2)

    zero = dict.fromkeys(NAMES["line"], 0.0)
    wrap = jax.jit if how == "one program" else lambda f: f
    backwards = wrap(jax.grad(weighted))(zero)
    forwards = jax.jit(jax.jacfwd(lambda v: weighted(v, "forward")))(zero)
    for key in zero:
        assert float(backwards[key]) == pytest.approx(float(forwards[key]), rel=1e-8, abs=1e-10), key
    step = 1e-4
    slope = (weighted({"growth": step}) - weighted({"growth": -step})) / (2 * step)
    assert float(backwards["growth"]) == pytest.approx(float(slope), rel=1e-6)


@pytest.mark.slow
def test_an_interval_of_more_steps_than_are_kept_gives_the_same_gradient(monkeypatch):
    """Two intervals of some six steps: all kept on the way, those of the first alone, none. What is not kept is
    repeated four steps at a time, so that marks and restarts occur.
    """

    def slopes(kept):
        monkeypatch.setattr("tmepde.transformed.tape_for", lambda *_: Tape(kept, 4))

        def mean(values):
            one = base("line")
            for key, value in values.items():
                one = one.replace(PATHS[key], one.at(PATHS[key]) * (1.0 + value))
            run = tme.simulate(one, save=[0.5, 1.0], precision="f64", control=CONTROL)
            return jnp.mean(run.fields["u"][1:] ** 2) + run.fields["p"][-1]

        return jax.jit(jax.grad(mean))(dict.fromkeys(PATHS, 0.0))

    whole = slopes(32)
    for other in (slopes(8), slopes(0)):
        for key in PATHS:
            assert float(other[key]) == pytest.approx(float(whole[key]), rel=1e-10, abs=1e-13), key


@pytest.mark.slow
@pytest.mark.parametrize("kept", [32, 8, 0])
def test_outside_jit_the_gradient_equals_differences(kept, monkeypatch):
    """Two intervals of some six steps in chunks of four: one chunk goes on into the second interval; with room for
    eight the last steps are made again, with none all are, from states that are left on the way."""
    monkeypatch.setattr("tmepde.transformed.tape_for", lambda *_: Tape(kept, 4))
    zero = dict.fromkeys(NAMES["line"], 0.0)
    compare("line", jax.grad(lambda v: total("line", v, record=None))(zero))


@pytest.mark.slow
def test_outside_jit_other_numbers_compile_nothing_and_a_run_is_pulled_back_twice(monkeypatch):
    monkeypatch.setattr("tmepde.transformed.tape_for", lambda *_: Tape(8, 4))
    names = dict.fromkeys(NAMES["line"])
    _, pull = jax.vjp(lambda v: total("line", v, record=None), dict.fromkeys(names, 0.0))
    (once,), (again,) = pull(1.0), pull(2.0)
    sizes = [p._cache_size() for p in (record_program, pull_program)]
    other = jax.grad(lambda v: total("line", v, record=None))(dict.fromkeys(names, 0.1))
    assert [p._cache_size() for p in (record_program, pull_program)] == sizes
    for key in names:
        assert float(again[key]) == pytest.approx(2.0 * float(once[key]), rel=1e-12), key
        assert float(other[key]) != float(once[key]), key


@pytest.mark.slow
def test_outside_jit_many_results_are_pulled_back_at_once(monkeypatch):
    monkeypatch.setattr("tmepde.transformed.tape_for", lambda *_: Tape(8, 4))

    def both(values):
        value = total("line", values, record=None)
        return jnp.stack([value, 3.0 * value])

    rows = jax.jacrev(both)(dict.fromkeys(NAMES["line"], 0.0))
    compare("line", {key: row[0] for key, row in rows.items()})
    compare("line", {key: row[1] / 3.0 for key, row in rows.items()})


@pytest.mark.slow
def test_outside_jit_a_run_that_fails_says_so():
    """Three attempts do not reach the first save; the others are not tried."""

    def mean(rate):
        one = base("line").replace(PATHS["growth"], rate)
        run = tme.simulate(one, save=[0.5, 1.0], precision="f64", control=tme.StepControl(dt=0.1, max_steps=3))
        return jnp.mean(run.fields["u"][-1]), (run.code, run.statistics["steps"])

    (_, (code, steps)), slope = jax.value_and_grad(mean, has_aux=True)(0.8)
    assert (int(code), int(steps)) == (tme.Status.step_limit, 3)
    assert np.isfinite(slope)


@pytest.mark.slow
@pytest.mark.parametrize("stepper", [Rosenbrock3(), tme.BackwardEuler()], ids=["third order", "backward Euler"])
def test_other_steppers_have_the_same_gradient_as_their_differences(stepper):
    """What a step remembers of its solves (slopes, quasi-steady fields) is put back at the right stage."""

    def mean(value):
        one = base("line").replace(PATHS["uptake"], 3.0 * (1.0 + value))
        run = tme.simulate(one, precision="f64", control=CONTROL, stepper=stepper, record=8)
        return jnp.mean(run.fields["u"][-1] ** 2) + jnp.mean(run.fields["q"][-1])

    step = 1e-4
    wanted = (float(mean(step)) - float(mean(-step))) / (2 * step)
    assert float(jax.jit(jax.grad(mean))(0.0)) == pytest.approx(wanted, rel=1e-6)


def test_an_interval_of_more_steps_than_the_square_of_those_kept_ends_with_its_status():
    """R = 3 allows 9 attempts; ten steps and the landings on the dose need more."""

    def code(rate):
        one = base("line").replace(PATHS["growth"], rate)
        return tme.simulate(one, precision="f64", control=CONTROL, record=3).code

    assert int(jax.jit(code)(0.8)) == tme.Status.step_limit


@pytest.mark.parametrize(
    "stepper", [tme.Rosenbrock2(), Rosenbrock3(), tme.BackwardEuler(), tme.ExplicitEuler()], ids=lambda s: s.name
)
@pytest.mark.parametrize("kind", ["transported", "local"])
def test_room_is_made_for_what_a_step_remembers(stepper, kind):
    """Where nothing is transported, or nothing quasi-steady, there is less."""

    def decay(clock, state, tissue, rate):
        return {"u.source": state["q"], "u.loss": rate, "q.loss": 1.0 + state["u"]}

    quasi = "quasi_steady" if kind == "transported" else "local"
    spread = (0.1, 1.0) if kind == "transported" else (0.0, 0.0)
    species = {"u": tme.Species(1.0, spread[0], kind=kind), "q": tme.Species(1.0, spread[1], kind=quasi)}
    problem = SemiDiscrete(System(tme.Model(tme.Grid.line(1.0, 8), species, {"p": process(decay, rate=0.8)})))
    state, zero = problem.system.initial_state(jnp.float64), jnp.zeros(())
    clock = Clock(zero, zero, zero, jnp.asarray(0.1))
    solved = jax.eval_shape(lambda u: remembered(stepper, stepper.step(problem, CONTROL, clock, u)), state)
    made = jax.eval_shape(lambda u: stepper.memory(problem, u), state)
    assert jax.tree.structure(made) == jax.tree.structure(solved)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), made) == jax.tree.map(lambda x: (x.shape, x.dtype), solved)


def test_a_number_of_kept_steps_below_one_is_refused():
    with pytest.raises(ValueError, match="`record` must be a whole number of at least 1"):
        tme.simulate(base("line"), precision="f64", record=0)


@pytest.mark.parametrize("twice", [jax.hessian, lambda f: jax.grad(jax.grad(f)), lambda f: jax.jit(jax.hessian(f))])
def test_a_second_derivative_is_refused(twice):
    """It came out as some other number: 2.09 in place of 3.27 for exp(−2k) at 0.1."""

    def decay(clock, state, tissue, rate):
        return {"u.loss": rate}

    model = tme.Model(tme.Grid.point(), {"u": tme.Species(1.0, kind="local")}, {"p": process(decay, rate=0.1)})
    scenario = tme.Scenario(model, until=2.0)

    def left(rate):
        return tme.simulate(scenario.replace("model.processes.p.numbers.rate", rate)).fields["u"][-1, 0]

    with pytest.raises(ValueError, match="no second derivatives"):
        twice(left)(jnp.asarray(0.1, jnp.float32))


@pytest.mark.slow
def test_the_gradient_with_adaptive_steps_is_that_of_the_solution():
    """Step sizes are held fixed in the derivative: what differs is of the size of the truncation error."""

    def mean(factor, control):
        one = base("line").replace(PATHS["growth"], 0.8 * factor)
        return jnp.mean(tme.simulate(one, precision="f64", control=control).fields["u"][-1])

    loose = jax.grad(mean)(1.0, tme.StepControl(rtol=1e-4))
    tight = jax.grad(mean)(1.0, tme.StepControl(dt=0.01, rtol=1e-12))
    assert float(loose) == pytest.approx(float(tight), rel=1e-2)


@pytest.mark.slow
def test_the_gradient_is_finite_where_fields_are_zero():
    """Half the line is empty, the attractant starts at zero everywhere: where(…, sqrt, 0)-type NaN would show."""
    grid = tme.Grid.line(1.2, 12)
    start = np.where(grid.centers(0) < 0.6, 1.0, 0.0)

    def mean(values):
        species = {
            "u": tme.Species(start * values["amount"], 0.1),
            "c": tme.Species(0.0, 0.4),
            "q": tme.Species(0.0, 1.0, {"x+": tme.Dirichlet(0.0)}, kind="quasi_steady"),
        }
        model = tme.Model(grid, species, {"p": process(coupled, rate=values["rate"], chi=0.3, uptake=3.0)})
        drug = {"drug": Drug(dose=tme.Infusion(0.35, 0.0, 0.3))}
        solution = tme.simulate(tme.Scenario(model, drug, until=0.5), precision="f64", record=64)
        return jnp.sum(solution.fields["u"][-1])

    slopes = jax.grad(mean)({"amount": 1.0, "rate": 0.8})
    assert all(bool(jnp.isfinite(s)) for s in slopes.values()), slopes
    assert float(slopes["amount"]) > 0.0
