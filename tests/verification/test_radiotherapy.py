"""The linear-quadratic law in hypoxic tissue, however long a fraction lasts, and the dead that it leaves.

Cells that a fraction has hit go on breathing for hours, so that its oxygen is the one from before it. (A model in which
they stop at once lets oxygen rise within the minute: of 10 Gy at 1 mmHg a tenth of the survivors were left.)
"""

import numpy as np
import pytest

import tmepde as tme

DEEP = slice(0, 4)  # nest
AT = 24.0
pytestmark = pytest.mark.slow  # a tumour in float64 takes half a minute to compile


@pytest.fixture(scope="module")
def scenario():
    still = {"necrosis": {"rate": 0.0}, "growth": {"rate": 0.0}}
    grid = tme.Grid.radial(800.0, 8)
    model = tme.library.solid_tumour(grid, radius=400.0, milieu=("debris",), processes=still, vessel_surface=0.003)
    return tme.Scenario(model, {"rays": tme.Radiotherapy(dose=tme.Bolus(AT, 10.0))}, until=48.0)


@pytest.mark.parametrize("minutes", [0.1, 1.0, 12.0])
def test_survival_is_that_of_the_oxygen_before_the_fraction(scenario, minutes):
    over = minutes / 60.0
    found = tme.simulate(
        scenario.replace("interventions.rays.dose.over", over), save=[AT, AT + over, 48.0], precision="f64"
    ).fields
    before, after = (sum(found[n][i][DEEP] for n in ("tumour", "tumour_negative")) for i in (1, 2))
    oxygen = found["oxygen"][1][DEEP]
    assert oxygen.min() < 1.0  # hypoxic
    modified = 10.0 * (oxygen * 3.0 + 3.0) / ((oxygen + 3.0) * 3.0)
    np.testing.assert_allclose(after / before, np.exp(-0.3 * modified - 0.03 * modified**2), rtol=5e-3)
    volumes = scenario.model.grid.volumes()
    whole = [np.sum(volumes * sum(found[n][i] for n in ("tumour", "tumour_negative"))) for i in (1, 2)]
    dead = np.sum(volumes * (found["dead_cells"][2] - found["dead_cells"][1]))
    cleared = 0.1 / 24.0 * over  # per hour of what is dead already
    assert dead == pytest.approx(whole[0] - whole[1], rel=1e-3 + cleared)


def test_a_fraction_at_the_very_start_sees_the_oxygen_there(scenario):
    first = scenario.replace("interventions.rays.dose.at", 0.0)
    found = tme.simulate(first, save=[1 / 60, 48.0], precision="f64").fields
    oxygen = found["oxygen"][0][DEEP]
    modified = 10.0 * (oxygen * 3.0 + 3.0) / ((oxygen + 3.0) * 3.0)
    expected = np.exp(-0.3 * modified - 0.03 * modified**2)
    np.testing.assert_allclose(found["tumour"][1][DEEP] / found["tumour"][0][DEEP], expected, rtol=0.05)


def test_the_memory_of_oxygen_costs_no_steps(scenario):
    """It follows within half a minute and is in balance when it is read. (Followed as closely as other fields it took
    some thirty steps at the start of every run and twenty after every fraction, most refusals among them.)"""
    nothing = scenario.replace("interventions.rays.dose.amount", 0.0)
    without = tme.Scenario(scenario.model, until=48.0)
    attempts = [sum(int(tme.simulate(s).statistics[n]) for n in ("steps", "rejected")) for s in (nothing, without)]
    assert attempts[0] <= attempts[1] + 5  # those that land on a fraction of nothing
