"""The gradient of a treated solid tumour with respect to ten numbers equals finite differences, in float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme

PATHS = (
    "model.processes.growth.rate",
    "model.processes.killing.rate",
    "model.processes.oxygen_uptake.tumour",
    "model.processes.oxygen_supply.rate",
    "model.processes.chemotaxis.speed",
    "model.species.tumour.diffusivity",
    "model.species.chemokine.diffusivity",
    "interventions.car_t.dose.amount",
    "interventions.enzyme.dose.amount",
    "interventions.vegf.dose.amount",
)
#: fixed steps, so that a difference quotient sees the same steps; all equations solved to round-off
CONTROL = tme.StepControl(dt=1.0, rtol=1e-11)


def scenario():
    grid = tme.Grid.square(800.0, cells=12)
    model = tme.library.solid_tumour(grid, radius=250.0)
    plan = {
        "car_t": tme.CellInfusion(dose=tme.Bolus(at=2.5, amount=5e8)),
        "enzyme": tme.MatrixEnzyme(dose=tme.Infusion(at=4.5, amount=50.0, over=1.0)),
        "vegf": tme.AntiVEGF(dose=tme.Infusion(at=0.5, amount=2300.0, over=1.0)),
    }
    return tme.Scenario(model, plan, until=16.0)


BASE = scenario()


def result(run):
    """A smooth number that all of the ten change."""
    names = ("tumour", "car_t", "oxygen", "hyaluronan", "vegf", "chemokine")
    return sum(jnp.mean(run.fields[n][-1]) / (1e-6 + np.mean(np.asarray(SCALE[n]))) for n in names)


SCALE = {"tumour": 1e5, "car_t": 10.0, "oxygen": 20.0, "hyaluronan": 0.05, "vegf": 1.0, "chemokine": 0.1}


def varied(values):
    one = BASE
    for path, value in zip(PATHS, values, strict=True):
        one = one.replace(path, one.at(path) * (1.0 + value))
    return result(tme.simulate(one, save=[8.0, 16.0], precision="f64", control=CONTROL))


@pytest.mark.slow
def test_ten_derivatives_of_a_treated_tumour_equal_differences():
    """Central differences with h = 1e-3 and 2e-3, extrapolated to O(h⁴): truncation about 1e-12 of the fifth
    derivative; round-off and what the iterations leave, about 1e-12/h, bound the absolute part."""
    slopes = np.asarray(jax.jit(jax.grad(varied))(jnp.zeros(len(PATHS))))
    for i, path in enumerate(PATHS):
        pairs = []
        for h in (1e-3, 2e-3):
            high, low = (float(varied(s * h * np.eye(len(PATHS))[i])) for s in (1, -1))
            pairs.append((high - low) / (2 * h))
        wanted = (4 * pairs[0] - pairs[1]) / 3
        assert slopes[i] == pytest.approx(wanted, rel=1e-6, abs=2e-9), path
    assert np.sum(np.abs(slopes) > 1e-6) >= 8  # the test sees most of them
