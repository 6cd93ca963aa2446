"""Therapies of vessels, stroma, heat and radicals: what each does at an instant, and its null without substrate."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.library.tissue import SIGNALS
from tmepde.model import System
from tmepde.physiology.bioheat import thermal_dose_rate
from tmepde.schedule import Clock

HOUR = tme.Infusion(0.0, 1.0, 1.0)  # full power during the step
NOTHING = tme.Bolus(50.0, 1.0)
PLAN = {
    "collapse": tme.VascularDisruption(dose=NOTHING),
    "edb": tme.EdbTargeting(dose=NOTHING),
    "endothelium": tme.EndothelialMetabolism(dose=NOTHING),
    "fap": tme.FapCarT(dose=NOTHING),
    "heparanase": tme.EnzymeCarT(substrate="collagen"),
    "light": tme.Photodynamic(dose=NOTHING, energy=HOUR),
    "magnet": tme.MagneticGuidance(dose=HOUR),
    "pak4": tme.Pak4Inhibitor(dose=NOTHING),
    "particle": tme.HyaluronidaseParticle(dose=NOTHING),
    "ph20": tme.EnzymeCarT(),
    "rays": tme.Radiotherapy(dose=NOTHING),
    "sound": tme.Sonodynamic(dose=NOTHING, energy=HOUR),
    "synnotch": tme.SynnotchCarT(),
    "taxane": tme.NabPaclitaxel(dose=NOTHING),
    "warmth": tme.Photothermal(dose=NOTHING, light=HOUR),
}
CENTRE, EDGE = 8, 0


@pytest.fixture(scope="module")
def at():
    """``at("pak4", fibroblast=0.0)``: coefficients and tissue with these therapies on and these values everywhere."""
    with jax.enable_x64(True):
        model = tme.library.solid_tumour(tme.Grid.line(800.0, 16), radius=220.0, milieu="stroma")
        system = System(model, PLAN)
        start = system.initial_state(jnp.float64)
        clock = Clock(*(jnp.asarray(v) for v in (0.0, 0.0, 0.0, 1.0)))

        @jax.jit
        def terms(strengths, state):
            changed = eqx.tree_at(
                lambda s: [s.interventions[n].strength for n in sorted(PLAN)],
                system,
                [strengths[i] for i in range(len(PLAN))],
            )
            return changed.coefficients(clock, state), changed.tissue(clock, state)[0].quantities

        def found(*on, **values):
            seen = {"car_t": 1e3, "car_t_plasma": 100.0} | values
            state = {n: jnp.full_like(v, seen[n]) if n in seen else v for n, v in start.items()}
            with jax.enable_x64(True):
                out = terms(jnp.asarray([float(n in on) for n in sorted(PLAN)]), state)
            return jax.tree.map(np.asarray, out)

        found.start = start
        yield found


def _source(result, name):
    return result[0].source[name]


def _loss(result, name):
    return result[0].loss[name]


def _entry(at, *on, **values):
    """CAR-T cells that come from blood: their source less that of division."""
    return _source(at(*on, **values), "car_t") - _source(at(*on, **{**values, "car_t_plasma": 0.0}), "car_t")


def test_normalisers_let_t_cells_in_and_close_pores(at):
    """PAK4 more than PFKFB3; without vessels nobody enters."""
    off = at()
    gains = []
    for name, drug in (("pak4", "pak4_inhibitor_plasma"), ("endothelium", "pfkfb3_inhibitor_plasma")):
        on = at(name, **{drug: 1000.0})
        gains.append((_entry(at, name, **{drug: 1000.0}) / _entry(at))[CENTRE])
        assert np.all(_source(on, "pore_diameter") < _source(off, "pore_diameter"))
        barren = at(name, **{drug: 1000.0, "vessel_surface": 0.0})
        np.testing.assert_array_equal(_source(barren, "car_t"), _source(at(vessel_surface=0.0), "car_t"))
        np.testing.assert_array_equal(_source(at(name), "car_t"), _source(off, "car_t"))
    assert gains[0] > gains[1] > 1.2


def test_disruption_shuts_tumour_vessels_only(at):
    off, on = at(), at("collapse", vessel_collapse=1.0)
    share = on[1]["perfusion"] / off[1]["perfusion"]
    assert share[CENTRE] == pytest.approx(0.2, rel=0.01) and share[EDGE] > 0.99
    assert _entry(at, "collapse", vessel_collapse=1.0)[CENTRE] == pytest.approx(0.2 * _entry(at)[CENTRE], rel=0.01)
    np.testing.assert_array_equal(at("collapse")[1]["perfusion"], off[1]["perfusion"])


def test_edb_needs_vegf(at):
    drug = {"edb_conjugate_plasma": 500.0}
    on, off = at("edb", **drug), at()
    for name in ("vessel_surface", "collagen"):
        assert np.all(_loss(on, name) > _loss(off, name))
        idle = _loss(at("edb", **drug, vegf=0.0), name)
        np.testing.assert_array_equal(idle, _loss(at(vegf=0.0), name))


def test_enzymes_of_car_t_cells_touch_matrix_and_nothing_else(at):
    for name, enzyme, target in (("ph20", "ph20", "hyaluronan"), ("heparanase", "heparanase", "collagen")):
        on, off = at(name, **{enzyme: 3.0}), at(**{enzyme: 3.0})
        assert np.all(_loss(on, target) > _loss(off, target)) and np.all(_source(on, enzyme) > 0)
        for same in ("tumour", "car_t"):
            np.testing.assert_array_equal(_loss(on, same), _loss(off, same))
        np.testing.assert_array_equal(_source(on, "ifn_gamma"), _source(off, "ifn_gamma"))
        assert np.all(_source(at(name, car_t=0.0), enzyme) == 0)


def test_synnotch_waits_for_its_priming_antigen(at):
    made = _source(at("synnotch"), "synnotch_enzyme")
    assert made[CENTRE] > 100 * made[EDGE]
    assert np.all(_source(at("synnotch", tumour=0.0, tumour_negative=0.0), "synnotch_enzyme") == 0)


def test_fap_car_t_cells_kill_fibroblasts_and_free_proteases(at):
    on, off = at("fap", fap_car_t=2e3), at(fap_car_t=2e3)
    extra = 24 * (_loss(on, "collagen") - _loss(off, "collagen"))[CENTRE]
    assert 0.1 < extra < 0.2  # per day, an order above the turnover of 0.007
    assert np.all(_loss(on, "fibroblast") > 2 * _loss(off, "fibroblast"))
    gone = {"fap_car_t": 2e3, "fibroblast": 0.0}
    np.testing.assert_array_equal(_loss(at("fap", **gone), "collagen"), _loss(at(**gone), "collagen"))


def test_fap_car_t_cells_enter_as_car_t_cells_do(at):
    """VEGF lowers the adhesion of both alike."""
    entering = [_source(at("fap", fap_car_t=0.0, fap_car_t_plasma=100.0, vegf=v), "fap_car_t") for v in (0.0, 0.5)]
    np.testing.assert_allclose(entering[1], 0.5 * entering[0], rtol=1e-12)
    cells = [_source(at(car_t=0.0, vegf=v), "car_t") for v in (0.0, 0.5)]
    np.testing.assert_allclose(entering[1] / entering[0], cells[1] / cells[0], rtol=1e-12)


def test_enzyme_on_particles_is_where_particles_are(at):
    assert np.all(_loss(at("particle", nanoparticle=1.0), "hyaluronan") > _loss(at(), "hyaluronan"))
    np.testing.assert_array_equal(_loss(at("particle"), "hyaluronan"), _loss(at(), "hyaluronan"))


def test_taxane_kills_tumour_stroma_and_t_cells(at):
    off, on = at(), at("taxane", nab_paclitaxel=1e3, nab_paclitaxel_plasma=1e3)
    for name in ("tumour", "fibroblast", "car_t", "car_t_plasma"):
        assert np.all(_loss(on, name) > _loss(off, name)), name
        np.testing.assert_array_equal(_loss(at("taxane"), name), _loss(off, name))


def test_radicals_use_the_oxygen_that_they_need(at):
    """R = kill · ρ = uptake · α in nM/h at every pO₂; without oxygen, or without particles, nobody dies."""
    for name in ("light", "sound"):
        for oxygen in (0.5, 5.0, 50.0):
            on, off = (at(*names, nanoparticle=2.0, oxygen=oxygen) for names in ((name,), ()))
            kill = (_loss(on, "tumour_negative") - _loss(off, "tumour_negative")) * 5e5
            uptake = (_loss(on, "oxygen") - _loss(off, "oxygen")) * oxygen * 1380.0
            np.testing.assert_allclose(kill, uptake, rtol=1e-9)
            assert np.all(kill > 0)
        for idle in ({"oxygen": 0.0, "nanoparticle": 2.0}, {"nanoparticle": 0.0, "nanoparticle_bound": 0.0}):
            np.testing.assert_array_equal(_loss(at(name, **idle), "tumour"), _loss(at(**idle), "tumour"))


def test_light_on_particles_heats(at):
    assert np.all(_source(at("warmth", nanoparticle=1.0), "temperature") == pytest.approx(540.0))
    assert np.all(_source(at("warmth"), "temperature") == 0)


def test_tissue_gets_no_hotter_than_boiling_water(at):
    """A depot of 0.1 pmol of particles in full light came to 37 000 K; in balance with this loss it is 64 K."""
    warm, hot, hotter = (_loss(at(temperature=t), "temperature") for t in (62.9, 64.0, 163.0))
    np.testing.assert_allclose(hot - warm, 1e4, rtol=1e-5)
    np.testing.assert_allclose(hotter - warm, 1e6, rtol=1e-5)
    assert np.all(warm < 30.0)


def test_mild_heat_opens_and_great_heat_shuts(at):
    off, mild, hot = at(), at(temperature=5.0, heat_response=1.0), at(temperature=15.0, heat_response=1.0)
    assert mild[1]["perfusion"] / off[1]["perfusion"] == pytest.approx(1.75, rel=1e-3)
    assert mild[1]["wall_factor"] == pytest.approx(2.0)
    assert np.all(hot[1]["perfusion"] < 0.1 * off[1]["perfusion"])
    assert np.all(_loss(hot, "tumour") > 20 * _loss(mild, "tumour"))
    assert thermal_dose_rate(0.0) == 0.0
    assert float(thermal_dose_rate(6.0)) == pytest.approx(60.0, rel=1e-3)
    assert float(thermal_dose_rate(11.0)) == pytest.approx(1920.0, rel=1e-3)


def test_without_heat_and_signal_nothing_is_scaled(at):
    assert np.all(at()[1]["wall_factor"] == SIGNALS["wall_factor"])
    free = at(cxcl12=0.0)[0].diffusivity["car_t"]
    np.testing.assert_allclose(at(cxcl12=2.0)[0].diffusivity["car_t"], 0.5 * free, rtol=1e-12)


def test_matrix_is_made_by_fibroblasts(at):
    none = at(fibroblast=0.0)
    for name in ("collagen", "hyaluronan"):
        assert np.all(np.abs(_source(none, name)) < 1e-15) and np.all(_source(at(), name) > 0)


def test_radiation_recruits_for_days(at):
    """x/(1 + x) = 2/3 of a doubling at 2 Gy; without a dose none."""
    assert _entry(at, "rays", radiation_response=2.0)[CENTRE] == pytest.approx(5 / 3 * _entry(at)[CENTRE], rel=1e-6)
    np.testing.assert_array_equal(_entry(at, "rays"), _entry(at))


def test_magnet_pulls_to_its_side_and_nothing_leaves(at):
    pulled, free = at("magnet")[0], at()[0]
    np.testing.assert_array_equal(pulled.flow["nanoparticle"][0], free.flow["nanoparticle"][0])
    drift = pulled.velocity["nanoparticle"][0]
    assert drift[0] == drift[-1] == 0.0
    np.testing.assert_allclose(drift[1:-1], 30.0)


def test_wall_exchange_with_flow(at):
    """At the pressure without filtration the exchange is diffusive; filtration adds to what enters, never to a loss."""
    still = at(interstitial_pressure=11.5, nanoparticle_plasma=1.0)
    flowing = at(interstitial_pressure=0.0, nanoparticle_plasma=1.0)
    assert flowing[0].source["nanoparticle"][CENTRE] > still[0].source["nanoparticle"][CENTRE]
    assert flowing[0].loss["nanoparticle"][CENTRE] < still[0].loss["nanoparticle"][CENTRE]
    assert np.all(flowing[0].loss["nanoparticle"] > 0)
    back = at(interstitial_pressure=40.0, nanoparticle_plasma=1.0)
    assert np.all(back[0].source["nanoparticle"] >= -1e-12)
