"""Every failure ends in a named status and a sentence with field, place, time, step and likely cause."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde import Status
from tmepde.operators import gradient
from tmepde.process import process
from tmepde.simulation import follow

pytestmark = pytest.mark.filterwarnings("ignore:The run ended:UserWarning", "ignore:1 of 3 members:UserWarning")


def finite(tree):
    return all(np.all(np.isfinite(u)) for u in tree.values())


def decay(clock, state, tissue, rate):
    return {"u.loss": rate, "w.loss": rate}


def two(process_of, initial=1.0, n=8, **species):
    u, w = tme.Species(initial, 1.0), tme.Species(np.linspace(1.0, 0.2, n), kind="local")
    return tme.Model(tme.Grid.line(80.0, n), {"u": u, "w": w, **species}, {"p": process_of})


def dividing(clock, state, tissue, rate):
    """u is made at 1/(w − 0.1): w falls through 0.1 first in the last cell, at ln(0.2/0.1)/rate h."""
    left = jnp.maximum(state["w"] - 0.1, 0.0)
    return {"u.source": jnp.where(left > 0, 1.0, 0.0) / left * left, "w.loss": rate}


@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "adaptive"])
def test_a_rate_law_that_divides_by_zero_is_named_with_cell_and_time(fixed):
    control = tme.StepControl(dt=0.01) if fixed else tme.StepControl()
    scenario = tme.Scenario(two(process(dividing, rate=1.0)), until=2.0)
    run = follow(scenario, save=tme.every(0.25), control=control, precision="f64")
    rows = list(run)
    end = run.outcome
    assert end.status == Status.not_finite
    assert all(finite(r.fields) and finite(r.snapshot.state) for r in rows) and finite(end.snapshot.state)
    assert end.time == pytest.approx(np.log(2.0), abs=0.02) and end.rows == 3 == len(rows)
    assert "`u`" in end.message and "in cell (7), x = 75 µm" in end.message
    assert "its source is not finite" in end.message and "divides by zero" in end.message
    assert end.snapshot.time == end.time  # the state of that instant, to be looked at


def poisoned(clock, state, tissue):
    """Log-kill that is NaN once p, a compartment, has fallen below 0.5 (after ln 2/1 h)."""
    return {"p.loss": 1.0}


class Poison(tme.Intervention):
    """Λ = 0, or NaN."""

    def effects(self, clock, state, tissue):
        return tme.Effects(hazard={"w": jnp.where(state["p"] < 0.5, jnp.nan, 0.0)})


def test_a_log_kill_that_is_nan_is_refused_and_named():
    """It acts after the error estimate of a step, which does not see it; w is a local field."""
    model = two(process(poisoned), p=tme.Species(1.0, kind="compartment"))
    solution = tme.simulate(tme.Scenario(model, {"poison": Poison()}, until=2.0), save=tme.every(0.1), precision="f64")
    assert solution.status == Status.not_finite and len(solution.times) == 8
    assert finite(solution.fields) and finite(solution.state)
    assert float(solution.state["p"]) == pytest.approx(np.exp(-0.7), rel=1e-3)  # the first state at which it is NaN
    assert "`w`" in solution.message and "its log-kill is not finite" in solution.message


def test_initial_values_that_are_not_finite_are_refused_with_their_cell():
    """By the model, and by the run where replaced values have passed the model by; no row is written."""
    start = jnp.ones(8).at[3].set(jnp.nan)
    with pytest.raises(ValueError, match=r"`u.initial` must be finite, but it is nan in cell \(3,\)"):
        two(process(decay, rate=1.0), start)
    one = tme.Scenario(two(process(decay, rate=1.0), np.ones(8)), until=1.0).replace("model.species.u.initial", start)
    with pytest.raises(ValueError, match=r"`u.initial` must be finite, but it is nan in cell \(3,\)"):
        tme.simulate(one)
    base = tme.Scenario(two(process(decay, rate=1.0), np.ones(8)), until=1.0)
    with pytest.raises(ValueError, match=r"member 1: `u.initial` must be finite"):
        tme.simulate_batch(base, {"model.species.u.initial": np.stack([np.ones(8), np.asarray(start)])})


def taxis(clock, state, tissue, chi):
    pull = gradient(tissue.grid, state["c"])
    return {"u.velocity": tuple(chi * g for g in pull), "c.source": state["u"], "c.loss": 1.0}


def attracted(chi, n=24, side=10.0):
    """Keller–Segel: mass 8π; it collapses where χ M > 8π D, that is χ > 1, without end but for the grid."""
    x = (np.arange(n) + 0.5) / n * side - side / 2
    blob = 8.0 * np.exp(-(x[:, None] ** 2) - x[None, :] ** 2)
    species = {"u": tme.Species(blob, 1.0), "c": tme.Species(0.1, 1.0)}
    return tme.Scenario(tme.Model(tme.Grid.square(side, n), species, {"t": process(taxis, chi=chi)}), until=3.0)


@pytest.mark.slow
def test_a_collapse_by_chemotaxis_is_named():
    """Positivity and conservation keep it finite: what is left is all of it in one cell, which no one should trust."""
    solution = tme.simulate(attracted(4.0))
    assert solution.ok and "one cell" in solution.message
    assert "`u`" in solution.message and "chemotaxis without volume filling" in solution.message
    assert "Péclet" in solution.message
    calm = tme.simulate(attracted(0.2))
    assert calm.ok and calm.message == Status.ok.message


def test_a_fixed_step_too_large_for_the_drift_is_refused_and_named():
    """It went on before, with all of u rescaled to nothing and status ok."""
    solution = tme.simulate(attracted(20.0), control=tme.StepControl(dt=0.05))
    assert solution.status == Status.unstable and finite(solution.state)
    assert "`u`" in solution.message and "Courant number" in solution.message and "Δt = 0.05 h" in solution.message


def test_a_step_limit_is_named_with_time_and_what_changes_fastest():
    control = tme.StepControl(dt=1e-3, max_steps=10)
    solution = tme.simulate(tme.Scenario(two(process(decay, rate=1.0)), until=1.0), [0.005, 1.0], control=control)
    assert solution.status == Status.step_limit
    assert "At 0.015 h with Δt = 0.001 h" in solution.message and "Raise `max_steps`" in solution.message


def test_a_step_limit_by_drift_names_what_drifts_and_the_stepper_that_helps():
    """The field that changes fastest was named, and a looser `rtol` recommended, which would have changed nothing."""

    def carried(clock, state, tissue):
        return {"u.velocity": (np.full(41, 400.0),), "w.loss": 3.0}

    species = {"u": tme.Species(1.0, 1.0), "w": tme.Species(1.0, kind="local")}
    model = tme.Model(tme.Grid.line(40.0, 40, periodic=True), species, {"carried": process(carried)})
    control = tme.StepControl(max_steps=100)
    solution = tme.simulate(tme.Scenario(model, until=10.0), control=control)
    assert solution.status == Status.step_limit
    assert "`u`" in solution.message and "Its drift holds steps at 0.001" in solution.message
    assert "NewtonKrylov" in solution.message and "rtol" not in solution.message


def test_what_is_taken_from_an_emptied_field_is_named():
    """A side that takes more than there is: no step is short enough."""
    species = {"u": tme.Species(1.0, 100.0, boundary={"x+": tme.PrescribedFlux(-500.0)})}
    control = tme.StepControl(max_steps=500)
    solution = tme.simulate(tme.Scenario(tme.Model(tme.Grid.line(100.0, 20), species), until=10.0), control=control)
    assert solution.status == Status.step_limit and finite(solution.state)
    assert "cell (19)" in solution.message and "outward PrescribedFlux" in solution.message


def unsupplied(clock, state, tissue):
    return {"q.source": 1.0 + 0.0 * state["q"]}


def test_a_quasi_steady_field_without_a_balance_is_named():
    """Production without loss in a closed box: nothing balances it."""
    model = two(process(unsupplied), q=tme.Species(1.0, 1.0, kind="quasi_steady"))
    solution = tme.simulate(tme.Scenario(model, until=1.0))
    assert solution.status in (Status.solver, Status.not_finite) and finite(solution.state)
    assert "`q`" in solution.message


def test_one_bad_member_of_a_block_is_named_and_leaves_the_others():
    base = tme.Scenario(two(process(dividing, rate=1.0)), until=1.0)
    path = "model.processes.p.numbers.rate"
    runs = tme.simulate_batch(base, {path: [0.1, 1.0, 0.2]}, block=3, precision="f64")
    assert [r.ok for r in runs] == [True, False, True]
    assert "`u`" in runs[1].message and "At 0.69" in runs[1].message
