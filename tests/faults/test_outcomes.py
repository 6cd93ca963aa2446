"""Every failure ends in a named status and a sentence with field, place, time, step and likely cause."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde import Status
from tmepde.process import process
from tmepde.simulation import follow

pytestmark = pytest.mark.filterwarnings("ignore:The run ended:UserWarning")


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
    run = follow(
        tme.Scenario(two(process(dividing, rate=1.0)), until=2.0),
        save=tme.every(0.25),
        control=control,
        precision="f64",
    )
    rows = list(run)
    end = run.outcome
    assert end.status == Status.not_finite
    assert all(finite(r.fields) and finite(r.snapshot.state) for r in rows) and finite(end.snapshot.state)
    assert end.time == pytest.approx(np.log(2.0), abs=0.02) and end.rows == 3 == len(rows)
    assert "`u`" in end.message and "in cell (7), x = 75 µm" in end.message
    assert "its source is not finite" in end.message and "divides by zero" in end.message
