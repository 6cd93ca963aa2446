"""Models of the literature: each builds, says where its numbers come from, and meets what is known of its equations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import tmepde as tme
from tmepde.boundary import sides
from tmepde.library import PUBLISHED, published
from tmepde.model import System
from tmepde.operators import darcy_velocity
from tmepde.parameter import STATUSES, parameters
from tmepde.schedule import Clock
from tmepde.units import day, mm, second

#: a small grid that suits each model
GRIDS = {
    "anderson_chaplain_1998": tme.Grid.line(2 * mm, 40),
    "baxter_jain_embedded": tme.Grid.radial(12 * mm, 60),
    "baxter_jain_isolated": tme.Grid.radial(1 * mm, 40),
    "matzavinos_2004": tme.Grid.line(10 * mm, 40),
    "physicell_immune": tme.Grid.square(1.5 * mm, 24),
    "swanson_glioma": tme.Grid.square(60 * mm, 24),
}


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def _run(model, until, save=None, **keys):
    found = tme.simulate(tme.Scenario(model, until=until), save=save, precision="f64", **keys)
    assert found.ok, found.message
    return found


def _steady(model, **keys):
    found = tme.steady_state(model, precision="f64", **keys)
    assert found.ok, found.message
    return {name: field[-1] for name, field in found.fields.items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_model_builds_and_its_waist_is_sound(name):
    system = System(published(name, GRIDS.get(name)))
    assert not system.problems()
    clock = Clock(*(jnp.asarray(v) for v in (0.0, 0.0, 0.0, 0.5)))
    waist = system.coefficients(clock, system.initial_state(jnp.float64))
    for channel in ("diffusivity", "source", "loss"):
        for label, value in getattr(waist, channel).items():
            assert np.all(np.isfinite(value)) and np.all(np.asarray(value) >= 0.0), f"{label}.{channel}"


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_number_has_a_source(name):
    cls = PUBLISHED[name]
    assert cls.name == name and "=" in cls.__doc__.splitlines()[0]
    for label, p in parameters(cls).items():
        assert p.unit and p.doc and not p.doc.endswith("."), label
        assert p.status in STATUSES and (p.ref or p.status == "assumed"), label
        assert p.problem(p.default) is None and None not in p.bounds, label


def _leaves(model):
    """What the model starts from and its waist, early and late."""
    system = System(model)
    state = system.initial_state(jnp.float64)
    clocks = [Clock(*(jnp.asarray(v) for v in (t, 0.0, 0.0, 0.5))) for t in (0.0, 1000.0)]
    raised = {k: v + 0.1 * jnp.arange(1.0, v.size + 1.0).reshape(v.shape) for k, v in state.items()}  # with gradients
    return jax.tree.leaves((state, model.species, [system.coefficients(c, raised) for c in clocks]))


@pytest.mark.parametrize("name", PUBLISHED)
def test_no_number_is_dead(name):
    grid = GRIDS.get(name)
    more = {"white": 0.5} if name == "swanson_glioma" else {}
    usual = _leaves(published(name, grid, **more))
    for label, p in parameters(PUBLISHED[name]).items():
        changed = _leaves(published(name, grid, **more, **{label: 0.5 * p.default}))
        assert any(not np.array_equal(a, b) for a, b in zip(usual, changed, strict=True)), label


def test_a_rate_may_be_replaced_later():
    scenario = tme.Scenario(published("matzavinos_2004", GRIDS["matzavinos_2004"]), until=1.0)
    changed = scenario.replace("model.processes.matzavinos_2004.tumour_motility", 7.0)
    clock = Clock(*(jnp.asarray(v) for v in (0.0, 0.0, 0.0, 0.5)))
    waist = changed.system.coefficients(clock, changed.system.initial_state(jnp.float64))
    assert float(waist.diffusivity["tumour"]) == 7.0


def test_a_misspelt_name_is_an_error_with_a_hint():
    with pytest.raises(ValueError, match="Did you mean 'kuznetsov_1994'"):
        published("kuznetsow_1994")
    with pytest.raises(ValueError, match="Did you mean 'growth'"):
        published("carrgo", growht=0.1)


@pytest.mark.slow
def test_kuznetsov_has_a_dormant_and_an_escaped_tumour():
    for effector, tumour, wanted in ((1.6e6, 8e6, (1.608e6, 8.186e6)), (2e5, 4.4e8, (1.732e5, 4.470e8))):
        found = _steady(published("kuznetsov_1994", effector_start=effector, tumour_start=tumour))
        assert float(found["effector"][0]) == pytest.approx(wanted[0], rel=5e-4)  # the digits given
        assert float(found["tumour"][0]) == pytest.approx(wanted[1], rel=5e-4)


def test_carrgo_settles_at_coexistence():
    numbers = dict(growth=0.3, capacity=3.0, kill=0.5, proliferation=0.05, death=0.04)
    found = _steady(published("carrgo", tumour_start=1.0, car_t_start=0.3, **numbers))
    assert float(found["tumour"][0]) == pytest.approx(0.04 / 0.05, rel=1e-6)
    assert float(found["car_t"][0]) == pytest.approx(0.3 * (1 - 0.8 / 3.0) / 0.5, rel=1e-6)


def test_carrgo_allows_exhaustion_on_contact():
    found = _run(published("carrgo", growth=0.0, kill=0.0, proliferation=-0.1, death=0.02, tumour_start=2.0), 10.0)
    assert float(found.fields["car_t"][-1][0]) == pytest.approx(0.25 * np.exp(-(0.02 + 0.2) * 10.0), rel=1e-3)


def test_stein_runs_along_its_closed_curve():
    model = published("stein_2019")
    times = [2 * day, 9.3 * day, 14 * day, 100 * day]
    found = _run(model, times[-1], times, control=tme.StepControl(rtol=1e-6))
    total = found.fields["car_t_effector"] + found.fields["car_t_memory"]
    np.testing.assert_allclose(total[1:], model.processes["stein_2019"].level(times), rtol=1e-4)
    assert model.processes["stein_2019"].level(9.3 * day) == pytest.approx(24000.0)


@pytest.mark.slow
def test_matzavinos_without_space_is_its_kinetics():
    """One cell outside the slab, against scipy at 1e-10."""
    model = published("matzavinos_2004", slab=0.0, secretion=0.0)
    species = {
        name: tme.Species(start, s.diffusivity, kind=s.kind, negligible=1e-3)
        for (name, s), start in zip(model.species.items(), (3.3e5, 1e6, 1e4, 0.0), strict=True)
    }
    found = _run(tme.Model(model.grid, species, model.processes, model.tissue), 10 * day)
    p = model.processes["matzavinos_2004"]
    on, off, dies, share = (float(getattr(p, n)) for n in ("binding", "unbinding", "outcome", "kill_share"))

    def kinetics(t, y):
        e, u, c = y
        bind = on * e * u
        drawn = float(p.recruitment) * c / (float(p.recruitment_half) + u)
        return [
            float(p.influx) + drawn - float(p.death) * e - bind + (off + dies * share) * c,
            float(p.growth) * u * (1 - u / float(p.capacity)) - bind + (off + dies * (1 - share)) * c,
            bind - (off + dies) * c,
        ]

    exact = solve_ivp(kinetics, (0.0, 240.0), [3.3e5, 1e6, 1e4], method="LSODA", rtol=1e-10, atol=1e-6).y[:, -1]
    ours = [float(found.fields[n][-1][0]) for n in ("effector", "tumour", "complexes")]
    np.testing.assert_allclose(ours, exact, rtol=2e-3)  # rtol of the steps, 1e-3 by default


@pytest.mark.slow
def test_matzavinos_without_tumour_keeps_its_lymphocytes():
    grid = tme.Grid.line(1 * mm, 4)
    model = published("matzavinos_2004", grid, slab=0.0)
    none = tme.Species(0.0, kind="local")
    model = tme.Model(
        grid, {**model.species, "tumour": tme.Species(0.0), "complexes": none}, model.processes, model.tissue
    )
    found = _steady(model)["effector"]
    np.testing.assert_allclose(found, 1.36e4 / 0.0412, rtol=1e-6)


def test_physicell_oxygen_falls_into_packed_tissue():
    """A slab of packed cells: O = 38 cosh(x/L)/cosh(H/L), L = √(1e5/10.1) = 99.5 µm; the factor is near S/(S + λ)."""
    half, cells = 200.0, 100
    grid = tme.Grid.line(2 * half, cells)
    found = _steady(published("physicell_immune", grid, radius=1e4))
    length = np.sqrt(1e5 / 10.1)
    assert length == pytest.approx(99.5, abs=0.05)
    exact = 38.0 * np.cosh((grid.centers(0) - half) / length) / np.cosh(half / length)
    np.testing.assert_allclose(found["oxygen"], exact, rtol=(2 * half / cells / length) ** 2)
    np.testing.assert_allclose(found["immunostimulatory_factor"], 10.0 / 10.016, rtol=1e-6)


def test_anderson_chaplain_stands_still_as_exp_of_its_potential():
    """Without uptake of the signals n ∝ exp(Φ/D), exactly; without taxis cells are conserved and spread evenly."""
    grid = GRIDS["anderson_chaplain_1998"]
    numbers = dict(diffusion=0.2, production=0.0, degradation=0.0, uptake=0.0)
    model = published("anderson_chaplain_1998", grid, **numbers)
    found = _run(model, 60 * 38.3, control=tme.StepControl(rtol=1e-5))
    c, f, n = (found.fields[k][-1] for k in ("angiogenic_factor", "fibronectin", "endothelium"))
    exact = np.exp(np.asarray(model.processes["anderson_chaplain_1998"].potential(c, f)) / 0.2)
    np.testing.assert_allclose(n / n.mean(), exact / exact.mean(), rtol=1e-3)
    assert float(found.budgets["endothelium"]["error"]) < 1e-10


def test_anderson_chaplain_goes_to_the_tumour_only_when_it_is_drawn():
    grid = GRIDS["anderson_chaplain_1998"]
    reach = {}
    for label, numbers in (("both", {}), ("random", dict(chemotaxis=0.0, haptotaxis=0.0))):
        found = _run(published("anderson_chaplain_1998", grid, **numbers), 3 * 38.3)
        n = found.fields["endothelium"][-1]
        reach[label] = float((n * grid.centers(0)).sum() / n.sum())
    assert reach["both"] > 5 * reach["random"]


def test_a_glioma_runs_faster_in_white_matter():
    """2√(D r) with Bramson's delay; √5 between white and grey."""
    speeds = {}
    for label, white in (("grey", 0.0), ("white", 1.0)):
        d = 0.65 if white else 0.13
        width = np.sqrt(d / 0.012)
        grid = tme.Grid.line(70 * width * mm, 350)
        model = published("swanson_glioma", grid, white=white, radius=4 * width * mm)
        times = [20 / 0.012 * day, 28 / 0.012 * day]
        u = _run(model, times[-1], times).fields["glioma"]
        front = [np.interp(-0.5, -profile, grid.centers(0)) for profile in u[1:]]
        speeds[label] = (front[1] - front[0]) / (times[1] - times[0]) / (mm / (365 * day))
        delay = 0.75 * np.log(1.4) / 8.0
        assert speeds[label] == pytest.approx(2 * np.sqrt(d * 0.012) * 365 * (1 - delay), rel=0.02)
    assert speeds["white"] / speeds["grey"] == pytest.approx(np.sqrt(5.0), rel=0.01)


def _rim_speed(model, pressure, face, conductivity, boundary=None):
    """v at a face in µm/s."""
    (v,) = darcy_velocity(
        model.grid, jnp.asarray(pressure), conductivity, sides(boundary, model.grid.axes), Clock(0.0, 0.0, 0.0, 1.0), {}
    )
    return float(v[face]) * second


def test_the_pressure_of_an_isolated_tumour():
    grid = tme.Grid.radial(1000.0, 200)
    model = published("baxter_jain_isolated", grid)
    p = _steady(model)["interstitial_pressure"]
    assert float(p[0]) == pytest.approx(9.367, rel=1e-3)
    flow = model.processes["flow"]
    speed = _rim_speed(model, p, -1, flow.conductivity, tme.Dirichlet(0.0))
    assert speed == pytest.approx(0.1276, rel=5e-3)


def test_the_pressure_of_an_embedded_tumour_is_its_two_layer_solution():
    """p(R) = p_n + (p_e − p_n)/(1 + q), q = K_n(κ R + 1)/(K (α coth α − 1)), κ = √((L_n + L_L)/K_n)."""
    model = published("baxter_jain_embedded", tme.Grid.radial(12000.0, 2400))
    p = _steady(model)["interstitial_pressure"]
    k, kn, leak, host = 4.13e-8, 8.53e-9, 5.6e-5, 2.52e-6 + 1.33e-5
    radius, far = 1.0, 2.52e-6 * 6.5 / host
    alpha, kappa = radius * np.sqrt(leak / k), np.sqrt(host / kn)
    q = kn * (kappa * radius + 1.0) / (k * (alpha / np.tanh(alpha) - 1.0))
    at_rim = (11.5 + q * far) / (1.0 + q)
    inside, outside = float(p[1999]), float(p[2000])  # either side of R, half a cell away
    found = (inside * k + outside * kn) / (k + kn)
    assert found == pytest.approx(at_rim, rel=2e-3)
    assert float(p[-1]) == pytest.approx(far, rel=1e-2)
