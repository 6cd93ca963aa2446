"""Single therapies in the radial nodule do what their literature says, in sign and rough size."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import tmepde as tme
from tmepde import observables
from tmepde.units import day

pytestmark = pytest.mark.slow  # the nodule is compiled for all
GRID = tme.Grid.radial(1500.0, 100)
SAVES = [10 * day, 10 * day + 6, 14 * day, 28 * day]


@pytest.fixture(scope="module")
def scenario():
    with jax.enable_x64(True):
        model = tme.library.solid_tumour(GRID, radius=600.0, processes={"growth": {"rate": 0.012}})
        plan = {
            "particles": tme.OxygenGenerator(
                dose=tme.Bolus(10 * day, 1e-2), route="intratumoral", site=[0.0], width=300.0
            ),
            "antibody": tme.AntiVEGF(dose=tme.Bolus([1 * day, 15 * day], 1000.0)),
            "blockade": tme.CheckpointBlockade(dose=tme.Bolus(1 * day, 1400.0)),
            "car_t": tme.CellInfusion(dose=tme.Bolus(0.0, 1e8), armour=tme.Secretes(growth_factor=50.0)),
            "rays": tme.Radiotherapy(dose=tme.Course(start=5 * day, every=1 * day, doses=5, amount=2.0)),
        }
        yield tme.Scenario(model, plan, until=28 * day, observables=observables.standard())


def _seen(scenario, on, changes=None):
    for path, value in (changes or {}).items():
        scenario = scenario.replace(path, value)
    return tme.run_arms(scenario, {"arm": on}, save=SAVES, precision="f64")["arm"].observables


@pytest.fixture(scope="module")
def untreated(scenario):
    return _seen(scenario, [])


def test_manganese_dioxide_raises_oxygen_by_half_while_peroxide_is_made(scenario, untreated):
    """Prasad 2014: +45 %, calibrated by the peroxide production; band 30–60 %. Without production no gain."""
    gain = _seen(scenario, ["particles"])["mean_oxygen"][2] / untreated["mean_oxygen"][2]
    assert 1.3 < gain < 1.6
    barren = {"model.processes.peroxide_production.rate": 0.0}
    seen = _seen(scenario, ["particles"], barren)["mean_oxygen"]
    np.testing.assert_allclose(seen, untreated["mean_oxygen"], rtol=1e-3)  # the tolerance of a step


def test_more_particles_do_not_bring_more_oxygen(scenario, untreated):
    """The release is limited by production: ten times the dose adds under 1 %."""
    once, more = (_seen(scenario, ["particles"], {"interventions.particles.dose.amount": d}) for d in (1e-2, 1e-1))
    assert more["mean_oxygen"][2] == pytest.approx(once["mean_oxygen"][2], rel=0.01)


def test_anti_vegf_has_a_best_dose(scenario):
    """Mpekris 2020: a moderate dose normalises and helps T cells, a high one prunes and starves them."""
    doses = (0.0, 1000.0, 15000.0)
    arms = [_seen(scenario, ["antibody", "car_t"], {"interventions.antibody.dose.amount": d}) for d in doses]
    oxygen = [a["mean_oxygen"][3] for a in arms]
    assert oxygen[1] > 1.3 * oxygen[0] and oxygen[2] < 0.5 * oxygen[0]
    cells = [a["car_t_total"][3] for a in arms]
    assert cells[1] > 1.2 * cells[0] and cells[2] < 0.5 * cells[0]
    assert arms[1]["antigen_positive_burden"][4] < 0.8 * arms[0]["antigen_positive_burden"][4]


def test_checkpoint_blockade_helps_where_interferon_raised_the_checkpoint(scenario):
    alone, both = (_seen(scenario, on)["antigen_positive_burden"][4] for on in (["car_t"], ["car_t", "blockade"]))
    assert both < 0.8 * alone


def test_radiation_reoxygenates_and_spares_nobody(scenario, untreated):
    seen = _seen(scenario, ["rays"])
    assert seen["antigen_positive_burden"][1] < 0.35 * untreated["antigen_positive_burden"][1]
    assert seen["antigen_negative_burden"][1] < 0.35 * untreated["antigen_negative_burden"][1]
    assert seen["mean_oxygen"][1] > 1.5 * untreated["mean_oxygen"][1]
