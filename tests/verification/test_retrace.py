"""New numbers never compile again; a new structure does, once."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import tmepde as tme
from tmepde.process import process

TRACES = []


def counted(clock, state, tissue, rate):
    TRACES.append(1)
    return {"u.source": rate + 0.0 * state["u"], "u.loss": 0.1 * state["q"], "q.source": state["u"], "q.loss": 1.0}


class Push(tme.Intervention):
    """s += dose rate."""

    dose: tme.Schedule = tme.Bolus(0.0, 0.0)

    def effects(self, clock, state, tissue):
        return tme.Effects(add={"u.source": clock.rate(self.dose)})


def scenario(
    extent=10.0, rate=1.0, d=2.0, outside=1.0, at=(0.2, 0.5), amount=1.0, over=0.1, strength=1.0, until=1.0, initial=1.0
):
    grid = tme.Grid.line(extent, 6)
    species = {
        "u": tme.Species(initial, d, {"x-": tme.Robin(0.5, outside)}),
        "q": tme.Species(1.0, 1.0, kind="quasi_steady"),
    }
    model = tme.Model(grid, species, {"p": process(counted, rate=rate)})
    push = Push(dose=tme.Schedule(list(at), amount, over), strength=strength)
    return tme.Scenario(model, {"push": push}, until=until)


CHANGES = {
    "parameter": {"rate": 3.3},
    "integer parameter": {"rate": 3},
    "spacing": {"extent": 17},
    "diffusivity": {"d": 5.5},
    "boundary value": {"outside": 0.3},
    "initial value": {"initial": 0.7},
    "dose times": {"at": (0.11, 0.87)},
    "dose amounts": {"amount": (2.0, 5.0)},
    "dose durations": {"over": (0.3, 1e-6)},
    "strength": {"strength": 0},
    "duration": {"until": 2.5},
}


def run(save=(0.5, 1.0), control=None, precision="f32", **changes):
    one = scenario(**changes)
    save = [t * float(one.until) for t in save]
    return tme.simulate(one, save=save, control=control or tme.StepControl(), precision=precision)


@pytest.fixture
def count():
    """How many times the rate law has been traced, or anything compiled, since."""
    run()
    before, events = len(TRACES), []

    def listen(name, *_, **__):
        if "compile" in name or "trace" in name:
            events.append(name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield lambda: len(TRACES) - before + len(events)
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize("change", CHANGES)
def test_new_numbers_do_not_recompile(change, count):
    assert run(**CHANGES[change]).ok
    assert count() == 0


@pytest.mark.parametrize(
    "options",
    [{"save": (0.3, 1.0)}, {"save": (0.1, 0.2, 0.7, 1.0)}, {"control": tme.StepControl(rtol=1e-2, longest=0.1)}],
    ids=["save times", "number of saves", "tolerances"],
)
def test_new_saves_and_tolerances_do_not_recompile(options, count):
    assert run(**options).ok
    assert count() == 0


def test_a_new_structure_compiles_and_the_old_one_is_kept(count):
    run(precision="f64")
    assert count() > 0
    first = count()
    run()
    run(precision="f64", rate=2.0)
    assert count() == first


def test_numbers_that_did_not_recompile_do_matter():
    """No stale value is baked into the compiled program."""
    reference = run().fields["u"][-1]
    for change in CHANGES.values():
        assert not np.allclose(run(**change).fields["u"][-1], reference, rtol=1e-4) or change == {"rate": 1.0}


def test_arms_share_one_compilation(count):
    arms = tme.run_arms(scenario(), {"off": [], "on": ["push"]})
    assert count() == 0
    assert arms["on"].fields["u"][-1].sum() > arms["off"].fields["u"][-1].sum()
