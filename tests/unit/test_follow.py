"""``follow``: rows one by one; stopped and resumed anywhere, a run is the same to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

import tmepde as tme
from tmepde import Status
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


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "adaptive"])
@pytest.mark.parametrize("stepper", STEPPERS)
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
