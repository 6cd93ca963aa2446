"""``follow``: rows one by one; stopped and resumed anywhere, a run is the same to the last bit."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tmepde as tme
from tmepde import Status
from tmepde.content import content
from tmepde.process import process
from tmepde.runner import Runner
from tmepde.simulation import follow
from tmepde.snapshot import Snapshot

STEPPERS = {
    "rosenbrock2": tme.Rosenbrock2,
    "rosenbrock3": tme.Rosenbrock3,
    "exponential2": tme.Exponential2,
    "newton_krylov": tme.NewtonKrylov,
    "backward_euler": tme.BackwardEuler,
    "explicit_euler": tme.ExplicitEuler,
    "chebyshev": tme.RungeKuttaChebyshev,
}


def react(clock, state, tissue, rate, dose):
    return {"u.source": rate * state["w"] + clock.rate(dose), "u.loss": 0.1 + state["u"], "w.source": 0.2 * state["u"]}


def scenario(rate=0.3, until=6.0):
    """Two fields and a compartment, an open side with a transfer that eigenbases depend on, and two short doses."""
    species = {
        "u": tme.Species(np.linspace(0.5, 1.5, 12), 4.0, {"x-": tme.Robin(0.5, 1.0)}),
        "w": tme.Species(0.5, kind="local"),
        "p": tme.Species(3.0, kind="compartment"),
    }
    dose = tme.Infusion(at=[1.3, 4.1], amount=0.5, over=0.2)
    model = tme.Model(tme.Grid.line(10.0, 12), species, {"react": process(react, rate=rate, dose=dose)})
    return tme.Scenario(model, until=until, observables={"total": tme.observables.Total("u", "1", "Content")})


def options(stepper, fixed, precision):
    control = tme.StepControl(dt=0.05) if fixed else tme.StepControl(rtol=1e-4)
    return {"save": [1.0, 2.5, 6.0], "control": control, "stepper": STEPPERS[stepper](), "precision": precision}


def in_calls_of(monkeypatch, attempts):
    monkeypatch.setattr(Runner, "attempts", property(lambda self: attempts))


def same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


#: every stepper fixed and adaptive, both precisions; the rest of the table is slow
QUICK = {("rosenbrock2", False, "f32"), ("rosenbrock2", True, "f64"), ("chebyshev", False, "f64")}
TABLE = [
    pytest.param(*one, marks=() if one in QUICK else pytest.mark.slow)
    for one in itertools.product(STEPPERS, (False, True), ("f32", "f64"))
]


@pytest.mark.parametrize(("stepper", "fixed", "precision"), TABLE)
def test_stopped_at_every_call_and_resumed_is_the_straight_run(monkeypatch, stepper, fixed, precision):
    """Calls of three attempts, stopped after each, through flat arrays each time."""
    settings = options(stepper, fixed, precision)
    straight = tme.simulate(scenario(), **settings)
    assert straight.ok
    in_calls_of(monkeypatch, 3)
    rows, snapshot, stops = [], None, 0
    while True:
        calls = iter([False, True])
        run = follow(scenario(), snapshot=snapshot, stop=lambda c=calls: next(c), **settings)
        rows += list(run)
        if run.outcome.status != Status.stopped:
            break
        stops += 1
        snapshot = Snapshot.from_arrays(run.outcome.snapshot.to_arrays())
    assert run.outcome.ok and stops > 10
    np.testing.assert_array_equal([r.time for r in rows], straight.times)
    for i, row in enumerate(rows):
        same(row.fields, {n: f[i] for n, f in straight.fields.items()})
        same(row.observables, {n: f[i] for n, f in straight.observables.items()})
    assert run.outcome.statistics == straight.statistics
    assert run.outcome.budgets == straight.budgets


def test_resumed_in_another_process_it_is_the_straight_run(tmp_path, monkeypatch):
    """The rest of a run that stopped within an interval, from plain arrays, in a process of its own."""
    settings = options("rosenbrock2", False, "f32")
    straight = tme.simulate(scenario(), **settings)
    in_calls_of(monkeypatch, 7)
    calls = iter([False, False, True])
    run = follow(scenario(), stop=lambda: next(calls), **settings)
    first = list(run)
    assert run.outcome.status == Status.stopped and run.outcome.time not in straight.times
    np.savez(tmp_path / "snapshot.npz", **run.outcome.snapshot.to_arrays())
    here = Path(__file__)
    code = f"""
import sys; sys.path.insert(0, {str(here.parent)!r})
import jax; jax.config.update("jax_enable_x64", True)
import numpy as np
from test_follow import scenario, options
from tmepde.simulation import follow
from tmepde.snapshot import Snapshot
saved = Snapshot.from_arrays(np.load({str(tmp_path / "snapshot.npz")!r}, allow_pickle=False))
rows = list(follow(scenario(), snapshot=saved, **options("rosenbrock2", False, "f32")))
np.savez({str(tmp_path / "rest.npz")!r}, **{{n: np.stack([r.fields[n] for r in rows]) for n in rows[0].fields}})
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
    rest = np.load(tmp_path / "rest.npz")
    for name, values in straight.fields.items():
        np.testing.assert_array_equal(np.concatenate([[r.fields[name] for r in first], rest[name]]), values)


def test_rows_are_never_changed_by_later_steps():
    """State buffers are given up to each call; rows are copies, and write-protected."""
    kept, copies = [], []
    for row in follow(scenario(), save=tme.every(0.5)):
        kept.append(row)
        copies.append(
            {n: f.copy() for n, f in row.fields.items()} | {n: f.copy() for n, f in row.snapshot.state.items()}
        )
    for row, copy in zip(kept, copies, strict=True):
        for name, values in (row.fields | row.snapshot.state).items():
            np.testing.assert_array_equal(values, copy[name])
            assert not values.flags.writeable and values.base is None


def test_a_run_left_early_tells_where_it_stands_and_another_goes_on():
    straight = tme.simulate(scenario(), save=[1.0, 2.5, 6.0])
    run = follow(scenario(), save=[1.0, 2.5, 6.0], snapshots=False, fields=["u"])
    for row in run:
        assert row.snapshot is None and set(row.fields) == {"u"}
        if row.time == 1.0:
            break
    assert run.outcome is None and run.snapshot().time == 1.0
    more = list(follow(scenario(), save=[1.0, 2.5, 6.0], snapshot=run.snapshot()))
    assert [r.time for r in more] == [2.5, 6.0]
    same(more[-1].fields, {n: f[-1] for n, f in straight.fields.items()})


def test_a_finished_run_says_so_and_can_be_prolonged():
    run = follow(scenario(until=1.0), save=[1.0])
    list(run)
    end = run.outcome.snapshot
    again = follow(scenario(until=1.0), save=[1.0], snapshot=end)
    assert list(again) == [] and again.outcome.ok
    longer = list(follow(scenario(until=6.0), save=[1.0, 2.5, 6.0], snapshot=end))
    straight = tme.simulate(scenario(), save=[1.0, 2.5, 6.0])
    same(longer[-1].fields, {n: f[-1] for n, f in straight.fields.items()})


@pytest.mark.parametrize("timed", [False, True])
def test_a_run_of_less_than_an_hour_can_be_prolonged(timed):
    """The horizon of its errors and, of rates that follow the time, its longest step are those of the new end."""

    def law(clock, state, tissue):
        return {"u.source": 1.0 + (clock.time if timed else 0.0), "u.loss": state["u"]}

    def until(hours):
        model = tme.Model(tme.Grid.line(4.0, 4), {"u": tme.Species(0.0, 1.0)}, {"law": process(law)})
        return tme.Scenario(model, until=hours)

    control = tme.StepControl(rtol=1e-4)
    end = list(follow(until(0.25), control=control))[-1].snapshot
    longer = list(follow(until(2.0), save=[0.25, 2.0], control=control, snapshot=end))[-1]
    straight = tme.simulate(until(2.0), save=[0.25, 2.0], control=control)
    np.testing.assert_allclose(longer.fields["u"], straight.fields["u"][-1], rtol=1e-3)
    with pytest.raises(ValueError, match="`control.horizon` has another value"):
        follow(until(2.0), save=[0.25, 2.0], control=tme.StepControl(rtol=1e-4, horizon=0.5), snapshot=end)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"precision": "f64"}, "`precision` is f64, but was f32"),
        ({"stepper": tme.Rosenbrock3()}, "`stepper` is rosenbrock"),
        ({"control": tme.StepControl(rtol=1e-4)}, "`control.rtol` has another value"),
        ({"save": [0.7, 2.0]}, "the save times up to"),
        ({"scenario": scenario(rate=0.4, until=2.0)}, "`model.processes.react.numbers.rate` has another value"),
    ],
    ids=["precision", "stepper", "control", "save", "parameter"],
)
def test_a_snapshot_of_another_run_is_refused_by_name(change, words):
    settings = {"scenario": scenario(until=2.0), "save": [1.0, 2.0], "stepper": tme.Rosenbrock2()}
    snapshot = list(follow(**settings))[1].snapshot
    with pytest.raises(ValueError, match=words):
        follow(**settings | change, snapshot=snapshot)


def test_a_branch_goes_on_from_the_state_with_other_numbers():
    settings = {"save": [1.0, 2.0], "stepper": tme.Rosenbrock2()}
    first = list(follow(scenario(until=2.0), **settings))[1]
    more = list(follow(scenario(rate=3.0, until=2.0), snapshot=first.snapshot, branch=True, **settings))
    same_again = list(follow(scenario(until=2.0), snapshot=first.snapshot, branch=True, **settings))
    assert [r.time for r in more] == [2.0]
    assert np.mean(more[0].fields["u"]) > np.mean(same_again[0].fields["u"]) + 0.1
    with pytest.raises(ValueError, match="`precision` is f64"):
        follow(scenario(until=2.0), snapshot=first.snapshot, branch=True, precision="f64", **settings)


def test_arrays_that_are_no_snapshot_are_refused():
    with pytest.raises(ValueError, match="no snapshot of a run"):
        Snapshot.from_arrays({"u": np.zeros(3)})


def test_a_snapshot_that_knows_nothing_of_refusals_is_read():
    """As those of earlier versions are, made where the last attempt was accepted."""
    rows = list(follow(scenario(until=2.0), save=[1.0, 2.0]))
    arrays = rows[1].snapshot.to_arrays()
    older = {n: a for n, a in arrays.items() if not n.endswith("refused")}
    assert len(older) == len(arrays) - 1
    more = list(follow(scenario(until=2.0), save=[1.0, 2.0], snapshot=Snapshot.from_arrays(older)))
    assert [r.time for r in more] == [2.0]
    same(more[0].fields, rows[2].fields)


@pytest.mark.slow
def test_a_used_up_step_limit_can_be_resumed_with_a_larger_one():
    few, many = tme.StepControl(max_steps=5), tme.StepControl(max_steps=500)
    run = follow(scenario(), save=[6.0], control=few)
    list(run)
    assert run.outcome.status == Status.step_limit
    rest = follow(scenario(), save=[6.0], control=many, snapshot=run.outcome.snapshot)
    last = list(rest)[-1]
    same(last.fields, {n: f[-1] for n, f in tme.simulate(scenario(), save=[6.0], control=many).fields.items()})


def test_the_state_has_the_precision_asked_for():
    for precision, dtype in (("f32", np.float32), ("f64", np.float64)):
        row = next(iter(follow(scenario(), precision=precision)))
        assert {f.dtype for f in (row.fields | row.snapshot.state).values()} == {np.dtype(dtype)}


def test_a_batch_of_blocks_of_one_is_the_stream_to_the_bit():
    rows = list(follow(scenario(), save=[1.0, 6.0]))
    run = tme.simulate_batch([scenario(), scenario(rate=0.1)], save=[1.0, 6.0], block=1)[0]
    for i, row in enumerate(rows):
        same(row.fields, {n: f[i] for n, f in run.fields.items()})


@pytest.mark.parametrize("cells", [1, 8192, 20_001])
def test_a_content_is_the_sum_to_the_precision_of_float64(cells):
    """Summed in pieces; terms of one sign, so that each addition loses at most one unit in the last place."""
    numbers = np.random.default_rng(3)
    volumes, values = (numbers.uniform(0.5, 2.0, (cells, 1)).astype(np.float32) for _ in range(2))
    exact = math.fsum(float(v) * float(u) for v, u in zip(volumes[:, 0], values[:, 0], strict=True))
    assert abs(content(volumes, values) - exact) <= cells * np.finfo(float).eps * exact


def test_simulate_keeps_the_rows_of_follow():
    """The same rows, in one array a field, a compartment among them."""
    rows = list(follow(scenario(), save=[2.0, 6.0]))
    found = tme.simulate(scenario(), save=[2.0, 6.0])
    for name in ("u", "p"):
        np.testing.assert_array_equal(found.fields[name], np.stack([row.fields[name] for row in rows]))
    assert found.fields["u"].shape == (3, 12) and found.fields["p"].shape == (3,)
