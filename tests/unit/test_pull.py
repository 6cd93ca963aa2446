"""Steps know how fast what they do not solve for changes: quasi-steady fields, and fields seen from local species."""

from __future__ import annotations

import numpy as np
import pytest

import tmepde as tme

GAMMA = 1.0 - 0.5**0.5
#: relative growth per step, loss rate times step
GROWTH, RATE = 0.05, 1.0
STEPS = 20


def _lagging() -> float:
    """Relative error after STEPS steps of dt = 1 of u′ = λ(φ − u), φ = e^{wt}, by ROS2 whose matrix has −λ alone."""
    u = RATE / (RATE + GROWTH)
    for n in range(STEPS):
        first = RATE * (np.exp(GROWTH * n) - u) / (1.0 + GAMMA * RATE)
        later = RATE * (np.exp(GROWTH * (n + 1)) - (u + first))
        second = (later - 2.0 * first) / (1.0 + GAMMA * RATE)
        u += 1.5 * first + 0.5 * second
    return abs(u * (RATE + GROWTH) / RATE * np.exp(-GROWTH * STEPS) - 1.0)


def _error(kinds: dict[str, str], kinetics) -> float:
    """The same of ``follower`` in a uniform box where cells grow and ``follower`` sees them."""
    start = {"cells": 1.0, "follower": RATE / (RATE + GROWTH)}
    species = {
        n: tme.Species(start[n], 100.0 if kind == "transported" else 0.0, kind=kind, negligible=1e-6)
        for n, kind in kinds.items()
    }
    model = tme.Model(tme.Grid.line(100.0, 4), species, {"kinetics": tme.process(kinetics)})
    found = tme.simulate(
        tme.Scenario(model, until=float(STEPS)),
        control=tme.StepControl(rtol=1e-9, dt=1.0),
        stepper=tme.Rosenbrock2(),
        precision="f64",
    )
    assert found.ok
    last = np.asarray(found.fields["follower"][-1])
    return float(np.max(np.abs(last * (RATE + GROWTH) / RATE * np.exp(-GROWTH * STEPS) - 1.0)))


def test_what_follows_a_field_in_balance_needs_no_more_steps_than_its_error_asks_for():
    """Without ∂F/∂q q̇ the estimate is 18 times too large at λΔt = 1: 126 steps at rtol 1e-3, for an error of 7e-5."""

    def kinetics(clock, state, tissue):
        return {
            "cells.source": GROWTH * state["cells"],
            "leader.source": 1e3 * state["cells"],
            "leader.loss": 1e3,
            "follower.source": RATE * state["leader"],
            "follower.loss": RATE,
        }

    species = {
        "cells": tme.Species(1.0, 0.0, kind="local", negligible=1e-6),
        "leader": tme.Species(1.0, 100.0, kind="quasi_steady", negligible=1e-6),
        "follower": tme.Species(RATE / (RATE + GROWTH), 100.0, negligible=1e-6),
    }
    model = tme.Model(tme.Grid.line(100.0, 4), species, {"kinetics": tme.process(kinetics)})
    until, rtol = 40.0, 1e-3
    found = tme.simulate(
        tme.Scenario(model, until=until),
        control=tme.StepControl(rtol=rtol),
        stepper=tme.Rosenbrock2(),
        precision="f64",
    )
    assert found.ok
    last = np.asarray(found.fields["follower"][-1])
    assert np.max(np.abs(last * (RATE + GROWTH) / RATE * np.exp(-GROWTH * until) - 1.0)) < 3.0 * rtol
    assert found.statistics["steps"] < 60


@pytest.mark.parametrize("kind", ["local", "compartment"])
def test_what_follows_a_transported_field_does_not_lag(kind):
    """What is left (0.18) is the explicit growth of the cells: e^w against 1 + w + w²/2 makes 4e-4 in twenty steps."""

    def kinetics(clock, state, tissue):
        seen = state["cells"] if kind == "local" else tissue.grid.integrate(state["cells"]) / 100.0
        return {
            "cells.source": GROWTH * state["cells"],
            "follower.source": RATE * seen,
            "follower.loss": RATE,
        }

    assert _error({"cells": "transported", "follower": kind}, kinetics) < 0.25 * _lagging()
