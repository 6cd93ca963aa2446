"""Doses: exactly what was prescribed arrives, for every step size; hazards do not depend on the step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.interventions.base import dose
from tmepde.interventions.delivery import deposit

CONTROLS = [{"dt": d} for d in (0.01, 0.1, 0.37, 1.0, 5.0)] + [{"rtol": 1e-2}, {"rtol": 1e-6}, {"longest": 0.3}]
IDS = [str(c) for c in CONTROLS]


class Drip(tme.Intervention):
    """p′ = rate of the dose; nothing leaves. The schedule is also logged as a kill, Λ = 0.1 per unit."""

    dose: tme.Schedule = dose("1", doc="amount into the compartment")

    def species(self, grid):
        return {"p": tme.Species(0.0, kind="compartment")}

    def effects(self, clock, state, tissue):
        hazard = {"u": 0.1 * jnp.sum(clock.doses(self.dose))}
        return tme.Effects(add={"p.source": clock.rate(self.dose)}, hazard=hazard)


def run(schedule, until=24.0, **control):
    model = tme.Model(tme.Grid.line(10.0, 4), {"u": tme.Species(1.0, 2.0)})
    scenario = tme.Scenario(model, {"drip": Drip(dose=schedule)}, until=until)
    control = tme.StepControl(**control, max_steps=100_000)
    solution = tme.simulate(scenario, precision="f64", control=control)
    assert solution.ok
    return solution


@pytest.mark.parametrize("control", CONTROLS, ids=IDS)
def test_the_prescribed_amount_is_delivered(control):
    """Overlapping infusions, an hour, a second, 1e-6 h, and one at the very start and end: to 1e-12."""
    schedule = tme.Schedule(
        [0.0, 3.3, 4.1, 9.87654321, 17.0, 23.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1e-6, 2.0, 1.0, 1e-6, 1 / 3600, 1.0]
    )
    solution = run(schedule, **control)
    assert float(solution.fields["p"][-1]) == pytest.approx(21.0, rel=1e-12)
    np.testing.assert_allclose(solution.fields["u"][-1], np.exp(-2.1), rtol=1e-12)


@pytest.mark.parametrize("control", CONTROLS[2:6], ids=IDS[2:6])
def test_a_dose_cut_by_the_end_is_delivered_in_part(control):
    solution = run(tme.Infusion(20.0, 8.0, 16.0), **control)
    assert float(solution.fields["p"][-1]) == pytest.approx(2.0, rel=1e-12)


def test_a_dose_in_single_precision_after_three_weeks():
    """In float32 504 h + 1e-3 h is 504 h + 9.8e-4 h; local time keeps the dose whole."""
    model = tme.Model(tme.Grid.point(), {"u": tme.Species(1.0, kind="local")})
    schedule = tme.Bolus([504.001, 504.5], [3.0, 2.0], 1e-3)
    scenario = tme.Scenario(model, {"drip": Drip(dose=schedule)}, until=505.0)
    solution = tme.simulate(scenario, save=[504.0, 505.0], precision="f32")
    assert float(solution.fields["p"][1]) == 0.0
    assert float(solution.fields["p"][-1]) == pytest.approx(5.0, rel=1e-5)


def test_half_the_strength_delivers_half():
    base = tme.Scenario(
        tme.Model(tme.Grid.line(10.0, 4), {"u": tme.Species(1.0, 2.0)}),
        {"drip": Drip(dose=tme.Bolus([2.0, 5.0], 4.0))},
        until=8.0,
    )
    solution = tme.simulate(base.replace("interventions.drip.strength", 0.5), precision="f64")
    assert float(solution.fields["p"][-1]) == pytest.approx(4.0, rel=1e-12)
    np.testing.assert_allclose(solution.fields["u"][-1], np.exp(-0.4), rtol=1e-12)


def test_steps_land_on_dose_times():
    """The level just before and after a bolus, saved there, is a step: nothing leaks to earlier times."""
    model = tme.Model(tme.Grid.point(), {"u": tme.Species(1.0, kind="local")})
    scenario = tme.Scenario(model, {"drip": Drip(dose=tme.Bolus(5.0, 7.0, 1e-4))}, until=10.0)
    solution = tme.simulate(scenario, save=[5.0, 5.0001, 10.0], precision="f64")
    np.testing.assert_allclose(solution.fields["p"], [0.0, 0.0, 7.0, 7.0], atol=1e-9)


def _square_with_a_lumen():
    """1 mm square of 20 µm cells around a round lumen of 300 µm."""
    grid = tme.Grid.square(1000.0, 50)
    y, x = np.meshgrid(*(np.asarray(grid.centers(k)) - 500.0 for k in (0, 1)), indexing="ij")
    return tme.Grid.square(1000.0, 50, mask=np.hypot(x, y) > 300.0)


@pytest.mark.parametrize("width", [5.0, 20.0, 100.0])
@pytest.mark.parametrize("site", [None, [500.0, 480.0], [0.0, 0.0]], ids=["centre", "lumen", "corner"])
def test_a_dose_into_a_lumen_arrives_in_the_nearest_tissue(site, width):
    """All of it was lost in lumens wider than the depot: the cell that kept its weight was a masked one."""
    grid = _square_with_a_lumen()
    shape = deposit(grid, site, width, 1000.0)
    assert float(grid.integrate(shape)) * 1000.0 * 1e-9 == pytest.approx(1.0, rel=1e-5)
    assert np.all(np.asarray(shape)[~np.asarray(grid.mask)] == 0)


def test_needles_over_a_lumen_let_all_their_cells_go():
    needles = tme.MicroneedleArray(dose=tme.Bolus(0.0, 1e4), site=[500.0, 500.0], width=5.0, extent=200.0)
    grid = _square_with_a_lumen()
    assert float(grid.integrate(needles.shape(grid))) * 1000.0 * 1e-9 == pytest.approx(1.0, rel=1e-5)


def test_the_place_of_a_dose_has_a_derivative_on_masked_grids():
    grid = _square_with_a_lumen()

    def reach(width):
        return jnp.sum(deposit(grid, [500.0, 500.0], width, 1000.0) ** 2)

    assert np.isfinite(jax.grad(reach)(20.0)) and jax.grad(reach)(20.0) < 0
