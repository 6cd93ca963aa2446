"""Therapies of oxygen, fuel, acid and suppression: what each does, and that it does nothing where its substrate is not.

Most claims hold at one instant and are read from the coefficients; the others come from one program of all therapies in
a small nodule, whose arms differ in strengths and numbers only.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.model import System
from tmepde.observables import NestMean, standard
from tmepde.schedule import Clock

PLAN = {
    "particles": tme.OxygenGenerator(dose=tme.Bolus(0.0, 3e-3), route="intratumoral", site=[0.0], width=200.0),
    "carrier": tme.OxygenCarrier(dose=tme.Bolus(0.0, 12.0)),
    "gel": tme.OxygenGel(dose=tme.Bolus(0.0, 50.0), site=[0.0], width=100.0),
    "buffer": tme.Buffer(dose=tme.Bolus(0.0, 4e-5), route="intratumoral", site=[0.0], width=200.0),
    "fast": tme.GlycolysisInhibitor(dose=tme.Continuous(5.0, 0.0, 48.0)),
    "antagonist": tme.GlutamineAntagonist(dose=tme.Continuous(3e4, 0.0, 48.0)),
    "arginine": tme.ArginineSupplement(dose=tme.Continuous(1e7, 0.0, 48.0)),
    "ido": tme.IdoInhibitor(dose=tme.Continuous(2e4, 0.0, 48.0)),
    "blockade": tme.AdenosineBlockade(dose=tme.Continuous(2e4, 0.0, 48.0)),
    "backpack": tme.AdenosineBackpack(dose=tme.Bolus(0.0, 300.0)),
    "receptor": tme.TgfBetaInhibitor(dose=tme.Continuous(2e4, 0.0, 48.0)),
    "rays": tme.Radiotherapy(dose=tme.Bolus(12.0, 4.0)),
    "car_t": tme.CellInfusion(
        dose=tme.Bolus(0.0, 3e3), route="intratumoral", site=[0.0], width=150.0, armour=tme.Secretes(growth_factor=50.0)
    ),
}
MEANS = (
    "acidity",
    "lactate",
    "glucose",
    "kynurenine",
    "arginine",
    "adenosine_signal",
    "tgf_beta_signal",
    "buffer_base",
)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def scenario():
    with jax.enable_x64(True):
        grid = tme.Grid.radial(900.0, 36)
        model = tme.library.solid_tumour(grid, radius=400.0, milieu="metabolism", therapies=PLAN)
        wanted = ("tumour_burden", "car_t_total", "car_t_exhausted_total", "mean_oxygen")
        seen = {n: standard()[n] for n in wanted} | {n: NestMean(n, n, "") for n in MEANS}
        yield tme.Scenario(model, PLAN, until=48.0, observables=seen)


def _run(scenario, on, changes=None):
    """Observables at 6, 24 and 48 h."""
    for path, value in (changes or {}).items():
        scenario = scenario.replace(path, value)
    arm = tme.run_arms(scenario, {"arm": on}, save=[6.0, 24.0, 48.0], precision="f64")["arm"]
    assert arm.ok
    return {k: np.asarray(v)[1:] for k, v in arm.observables.items()}


@pytest.fixture(scope="module")
def untreated(scenario):
    with jax.enable_x64(True):
        return _run(scenario, [])


@pytest.fixture(scope="module")
def cells(scenario):
    with jax.enable_x64(True):
        return _run(scenario, ["car_t"])


@pytest.fixture(scope="module")
def instant():
    """``(one, **state) → terms``: coefficients of a slab under a therapy whose own species are at 100 (nM, mM)."""
    with jax.enable_x64(True):
        grid = tme.Grid.line(800.0, 12)
        model = tme.library.solid_tumour(grid, radius=220.0, milieu="metabolism")
        clock = Clock(*(jnp.asarray(v) for v in (0.0, 0.0, 0.0, 1.0)))
        plain = System(model, {}).initial_state(jnp.float64)
        plain |= {k: jnp.full_like(plain[k], v) for k, v in (("car_t", 1e3), ("ifn_gamma", 0.1), ("kynurenine", 1e4))}
        plain |= {k: jnp.full_like(plain[k], v) for k, v in (("adenosine", 1e3), ("peroxide", 1e3))}

        def terms(one, **changes):
            system = System(model, {} if one is None else {"x": one})
            state = {k: plain.get(k, jnp.full_like(v, 100.0)) for k, v in system.initial_state(jnp.float64).items()}
            state |= {k: jnp.full_like(state[k], v) for k, v in changes.items() if k in state}
            found = system.coefficients(clock, state)
            return {
                f"{n}.{c}": np.broadcast_to(np.asarray(getattr(found, c).get(n, 0.0)), np.shape(plain[n]))
                for c in ("source", "loss")
                for n in plain
            }

        yield terms


def _changed(a, b):
    return {k for k in a if not np.array_equal(a[k], b[k])}


def _never(amount=0.0):
    return tme.Bolus(1e3, amount)


@pytest.mark.slow
def test_carriers_help_where_vessels_are_perfused(instant, scenario, untreated):
    one = tme.OxygenCarrier(dose=_never())
    assert _changed(instant(one), instant(None)) == {"oxygen.source"}
    assert not _changed(instant(one, vessel_surface=0.0), instant(None, vessel_surface=0.0))
    seen = _run(scenario, ["carrier"])["mean_oxygen"]
    assert seen[0] > 1.05 * untreated["mean_oxygen"][0]
    assert seen[2] - untreated["mean_oxygen"][2] < 0.1 * (
        seen[0] - untreated["mean_oxygen"][0]
    )  # gone with the carrier


def test_vessels_hold_one_atmosphere_however_many_carriers(instant):
    """A hundred standard doses took the oxygen of blood to 1050 mmHg."""
    one, plain = PLAN["carrier"], instant(None)["oxygen.source"]
    for level, held in ((4.0, 50.0 + 10.0), (400.0, 760.0), (1e5, 760.0)):
        loaded = instant(one, oxygen_carrier_plasma=level)["oxygen.source"]
        np.testing.assert_allclose(loaded, plain * held / 50.0, rtol=1e-12)


def test_a_depot_of_carriers_gives_what_it_holds_and_no_more(instant):
    """∫ S_O dt = load: the source per carrier over its loss is the load, in mmHg of oxygen."""
    one = tme.OxygenCarrier(dose=_never(), route="intratumoral")
    with_depot, without = instant(one, oxygen_carrier=1.0), instant(None)
    given = (with_depot["oxygen.source"] - without["oxygen.source"]) / float(one.release)
    np.testing.assert_allclose(given, 4e4 * 0.2 / 1380.0, rtol=1e-9)
    lost = (with_depot["oxygen.loss"] - without["oxygen.loss"]) * 760.0  # at one atmosphere nothing more dissolves
    np.testing.assert_allclose(lost, given * float(one.release), rtol=1e-9)
    assert not _changed(instant(one, oxygen_carrier=0.0), without)


@pytest.mark.slow
def test_manganese_dioxide_lives_on_peroxide_and_leaves_a_base(instant, scenario, untreated):
    one = tme.OxygenGenerator(dose=_never())
    some = {"nanoparticle": 1.0}
    found = instant(one, **some)
    assert {"oxygen.source", "buffer_base.source", "peroxide.loss"} <= _changed(found, instant(None, **some))
    added = found["oxygen.source"] - instant(None, **some)["oxygen.source"]
    np.testing.assert_allclose(added * 1380.0, 1000.0 * 1.0 * 1e3, rtol=1e-9)  # k e H
    np.testing.assert_allclose(found["buffer_base.source"], 2e-6 * added * 1380.0, rtol=1e-9)  # two charges each
    barren = _changed(instant(one, peroxide=0.0, **some), instant(None, peroxide=0.0, **some))
    assert barren == {"peroxide.loss"}
    seen = _run(scenario, ["particles"])
    assert seen["mean_oxygen"][0] > 1.1 * untreated["mean_oxygen"][0]
    assert seen["acidity"][1] < 0.7 * untreated["acidity"][1]
    seen = _run(scenario, ["particles"], {"model.processes.peroxide_production.rate": 0.0})
    np.testing.assert_allclose(seen["mean_oxygen"], untreated["mean_oxygen"], rtol=2e-3)  # the tolerance of a step


@pytest.mark.slow
def test_oxygen_from_peroxide_sensitises_to_radiation(scenario, untreated):
    """OER by oxygen alone: the share that survives 4 Gy is lower where particles work."""
    particles, rays, both = (_run(scenario, on) for on in (["particles"], ["rays"], ["particles", "rays"]))
    alone = rays["tumour_burden"][1] / untreated["tumour_burden"][1]
    assert both["tumour_burden"][1] / particles["tumour_burden"][1] < 0.99 * alone


def test_catalase_gives_half_and_is_not_spent(instant):
    some = {"nanoparticle": 1.0}
    mineral, enzyme = (
        instant(tme.OxygenGenerator(dose=_never(), catalyst=c), **some) for c in ("manganese_dioxide", "catalase")
    )
    plain = instant(None, **some)
    np.testing.assert_allclose(
        enzyme["oxygen.source"] - plain["oxygen.source"],
        0.5 * (mineral["oxygen.source"] - plain["oxygen.source"]),
        rtol=1e-9,
    )
    assert _changed(enzyme, plain) == {"oxygen.source", "peroxide.loss"}


@pytest.mark.slow
def test_a_gel_feeds_the_tissue_around_it(instant, scenario, untreated):
    one = tme.OxygenGel(dose=_never())
    assert _changed(instant(one), instant(None)) == {"oxygen.source", "oxygen.loss"}
    assert not _changed(instant(one, oxygen_gel=0.0), instant(None))
    seen = _run(scenario, ["gel"])["mean_oxygen"]
    assert np.all(seen > 1.02 * untreated["mean_oxygen"]) and np.all(np.diff(seen) < 0)


@pytest.mark.slow
def test_buffers_work_on_acid_alone(instant, scenario, cells):
    one = tme.Buffer(dose=_never())
    assert _changed(instant(one), instant(None)) == {"buffer_base.source"}
    neutral = {"lactate": 1.0}
    assert not _changed(instant(one, **neutral), instant(None, **neutral))
    seen = _run(scenario, ["buffer", "car_t"])
    assert np.all(seen["acidity"][:2] < 0.5 * cells["acidity"][:2])
    np.testing.assert_allclose(seen["lactate"], cells["lactate"], rtol=0.02)  # the acid goes, the lactate stays


@pytest.mark.slow
def test_t_cells_divide_more_where_acid_is_neutralised(scenario, cells):
    assert _run(scenario, ["buffer", "car_t"])["car_t_total"][2] > 1.05 * cells["car_t_total"][2]


@pytest.mark.slow
def test_blocking_glycolysis_has_a_best_dose(scenario, untreated, cells):
    """Acid falls at every dose; CAR-T cells gain at a moderate one and lose at a high one."""
    arms = [_run(scenario, ["fast", "car_t"], {"interventions.fast.dose.amount": 48.0 * d}) for d in (3.0, 300.0)]
    assert arms[0]["lactate"][1] < 0.95 * untreated["lactate"][1] and arms[1]["lactate"][1] < arms[0]["lactate"][1]
    assert arms[0]["glucose"][1] > untreated["glucose"][1]
    total = [a["car_t_total"][2] for a in (cells, *arms)]
    assert total[1] > total[0] > total[2]


def test_without_glycolysis_there_is_nothing_to_block(instant):
    one = tme.GlycolysisInhibitor(dose=_never())
    none = {"tumour": 0.0, "tumour_negative": 0.0, "car_t": 0.0, "car_t_exhausted": 0.0}
    assert "lactate.source" in _changed(instant(one), instant(None))
    assert not _changed(instant(one, **none), instant(None, **none))


@pytest.mark.slow
def test_glutamine_antagonists_slow_the_tumour_and_spare_t_cells(instant, scenario, untreated):
    one = tme.GlutamineAntagonist(dose=_never())
    found, plain = instant(one), instant(None)
    inside = plain["tumour.source"] > 0
    assert np.all(found["tumour.source"][inside] < plain["tumour.source"][inside])
    assert np.all(found["car_t.source"] >= plain["car_t.source"])
    none = {"tumour": 0.0, "tumour_negative": 0.0}
    assert not _changed(instant(one, **none), instant(None, **none))
    seen = _run(scenario, ["antagonist"])
    assert seen["mean_oxygen"][1] > untreated["mean_oxygen"][1] and seen["glucose"][1] > untreated["glucose"][1]
    assert seen["tumour_burden"][2] < untreated["tumour_burden"][2]


@pytest.mark.slow
def test_arginine_comes_through_vessels(instant, scenario, untreated):
    one = tme.ArginineSupplement(dose=_never())
    assert _changed(instant(one), instant(None)) == {"arginine.source"}
    assert not _changed(instant(one, vessel_surface=0.0), instant(None, vessel_surface=0.0))
    assert np.all(_run(scenario, ["arginine"])["arginine"] > 1.1 * untreated["arginine"])


def test_starved_of_arginine_t_cells_rest(instant):
    plasma = {"glucose": 5.0, "acid_memory": 0.0, "nitric_oxide": 0.0}
    rest, fed = (instant(None, **plasma, arginine=a) for a in (1e3, 1e5))
    gone, quiet = (instant(None, **plasma | {"nitric_oxide": n}, arginine=1e5) for n in (1.5, 1e9))
    quiet = quiet["car_t.source"]
    some = fed["car_t.source"] > 0
    assert np.all(quiet < 1e-6 * fed["car_t.source"].max())
    assert np.all(rest["car_t.source"][some] < 0.05 * fed["car_t.source"][some])
    np.testing.assert_allclose(gone["car_t.source"], 0.5 * fed["car_t.source"], rtol=1e-6)  # IC50 1.5 nM


@pytest.mark.slow
def test_ido_inhibitors_need_interferon(instant, scenario, cells):
    one = tme.IdoInhibitor(dose=_never())
    assert _changed(instant(one), instant(None)) == {"kynurenine.source"}
    assert not _changed(instant(one, ifn_gamma=0.0), instant(None, ifn_gamma=0.0))
    seen = _run(scenario, ["ido", "car_t"])
    assert np.all(seen["kynurenine"] < 0.5 * cells["kynurenine"]) and cells["kynurenine"][2] > 0.0
    assert seen["car_t_total"][2] > cells["car_t_total"][2]


@pytest.mark.slow
def test_adenosine_blockade_needs_adenosine(instant, scenario, cells):
    for one in (tme.AdenosineBlockade(dose=_never()), tme.AdenosineBackpack(dose=_never())):
        found, plain = instant(one), instant(None)
        assert {"tumour.loss", "car_t.source"} == _changed(found, plain)
        assert np.all(found["tumour.loss"] >= plain["tumour.loss"])
        assert not _changed(instant(one, adenosine=0.0), instant(None, adenosine=0.0))
    assert _run(scenario, ["blockade", "car_t"])["car_t_total"][2] > cells["car_t_total"][2]


@pytest.mark.slow
def test_backpacks_work_where_t_cells_are(scenario, cells):
    """A nanomole of the free drug goes into the whole body; 3000 cells carry a millionth of it. Alone it is nothing."""
    seen = _run(scenario, ["backpack", "car_t"])
    assert seen["adenosine_signal"][0] < 0.5 * cells["adenosine_signal"][0]
    alone, none = _run(scenario, ["backpack"]), _run(scenario, [])
    np.testing.assert_allclose(alone["adenosine_signal"], none["adenosine_signal"], rtol=2e-3)


@pytest.mark.slow
def test_tgf_beta_inhibitors_need_tgf_beta(instant, scenario, cells):
    one = tme.TgfBetaInhibitor(dose=_never())
    assert _changed(instant(one), instant(None)) == {
        "tumour.loss",
        "car_t.loss",
        "car_t_exhausted.source",
        "collagen.source",
    }
    assert not _changed(instant(one, tgf_beta=0.0), instant(None, tgf_beta=0.0))
    seen = _run(scenario, ["receptor", "car_t"])
    assert seen["tgf_beta_signal"][1] < 0.5 * cells["tgf_beta_signal"][1]
    assert seen["car_t_exhausted_total"][2] < cells["car_t_exhausted_total"][2]


def test_a_milieu_without_its_cells_is_neutral(instant):
    """At plasma values nothing suppresses: division is that of the core model."""
    plasma = {"glucose": 5.0, "lactate": 1.0, "acid_memory": 0.0, "buffer_base": 0.0, "adenosine": 0.0}
    plasma |= {"kynurenine": 0.0, "arginine": 1e5, "nitric_oxide": 0.0}
    core = tme.library.solid_tumour(tme.Grid.line(800.0, 12), radius=220.0)
    system = System(core, {})
    state = system.initial_state(jnp.float64)
    state |= {k: jnp.full_like(state[k], v) for k, v in (("car_t", 1e3), ("ifn_gamma", 0.1))}
    found = system.coefficients(Clock(*(jnp.asarray(v) for v in (0.0, 0.0, 0.0, 1.0))), state)
    here = instant(None, **plasma)
    for name in ("car_t", "tumour", "ifn_gamma"):
        np.testing.assert_allclose(here[f"{name}.source"], found.source[name], rtol=1e-12)
    np.testing.assert_allclose(here["tumour.loss"], found.loss["tumour"], rtol=1e-12)
