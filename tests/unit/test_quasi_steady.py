"""Quasi-steady fields reach their balance: zero where nobody makes them, negative where they are signed."""

from __future__ import annotations

import numpy as np
import pytest

import tmepde as tme


def test_a_vanishing_field_and_a_signed_one_reach_their_balance():
    """0 = D p″ − k p between −3 and 2 is a sum of hyperbolic sines; a field without source is 0 whatever it was."""
    length, diffusivity, rate = 800.0, 100.0, 1e-4
    sides = {"x-": tme.Dirichlet(-3.0), "x+": tme.Dirichlet(2.0)}
    species = {
        "pressure": tme.Species(5.0, diffusivity, sides, kind="quasi_steady", signed=True),
        "gone": tme.Species(3.0, diffusivity, kind="quasi_steady", negligible=1e-3),
    }

    def kinetics(clock, state, tissue):
        return {"pressure.loss": rate, "gone.loss": 1.0}

    grid = tme.Grid.line(length, 80)
    model = tme.Model(grid, species, {"kinetics": tme.process(kinetics)})
    found = tme.simulate(tme.Scenario(model, until=1.0), stepper=tme.Rosenbrock2(), precision="f64")
    assert found.ok
    x, reach = np.asarray(grid.centers(0)), np.sqrt(diffusivity / rate)
    wanted = (2.0 * np.sinh(x / reach) - 3.0 * np.sinh((length - x) / reach)) / np.sinh(length / reach)
    assert found.fields["pressure"][-1] == pytest.approx(wanted, abs=1e-4)  # (w/reach)²/8, w = 10 µm
    assert np.max(found.fields["gone"]) < 1e-6  # a thousandth of what is negligible
