"""What closes the budget of an implicit equation must not seed a species that grows in empty tissue."""

from __future__ import annotations

import numpy as np
import pytest

import tmepde as tme

RATE, UNTIL = 0.02, 700.0


@pytest.mark.parametrize(
    ("stepper", "precision"),
    [
        (tme.Rosenbrock2(), "f32"),
        pytest.param(tme.Rosenbrock3(), "f32", marks=pytest.mark.slow),
        pytest.param(tme.NewtonKrylov(), "f64", marks=pytest.mark.slow),
        pytest.param(tme.Rosenbrock2(), "f64", marks=pytest.mark.slow),
        pytest.param(tme.Rosenbrock3(), "f64", marks=pytest.mark.slow),
        pytest.param(tme.NewtonKrylov(), "f32", marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_cells_far_from_a_front_stay_absent(stepper, precision):
    """Growth by e^14 = 1.2e6: a nest spreads with 2√(Dr), and 300 µm before the front nothing has arrived.

    A second field that diffuses fast makes the solves those of a tumour model: multigrid, until all fields are good.
    The front is 700 h · 2√(0.4 · 0.02) = 125 µm ahead. A shift of all cells by one constant, so that the sum of what a
    solve left is zero, filled the tissue.
    """

    def kinetics(clock, state, tissue):
        room = 1.0 - state["cells"] / 1e5
        return {
            "cells.source": RATE * state["cells"] * room,
            "signal.source": 1e-3 * state["cells"],
            "signal.loss": 1.0,
        }

    grid = tme.Grid.square(1000.0, 64)
    y, x = np.meshgrid(grid.centers(0), grid.centers(1), indexing="ij")
    nest = np.hypot(y - 150.0, x - 150.0) < 100.0
    species = {
        "cells": tme.Species(1e5 * nest, 0.4 * (1.0 + 0.5 * np.sin(x / 30.0)), negligible=100.0),
        "signal": tme.Species(0.0, 1e4 * (1.0 + 0.5 * np.cos(y / 30.0)), negligible=1e-2),
    }
    model = tme.Model(grid, species, {"kinetics": tme.process(kinetics)})
    found = tme.simulate(tme.Scenario(model, until=UNTIL), precision=precision, stepper=stepper)
    assert found.ok
    cells = np.asarray(found.fields["cells"][-1])
    far = np.hypot(y - 150.0, x - 150.0) > 100.0 + 125.0 + 300.0
    assert np.max(cells[far]) < 1e-3, "not a hundred-thousandth of what is negligible"
    assert np.max(cells[~far]) > 0.9e5
