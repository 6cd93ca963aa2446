"""Rate laws and pore theory against the numbers of the literature they come from."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tmepde.physiology import ArginineMetabolism, Glycolysis, pores, rates

SECOND = 3600.0


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


# Dechadilok & Deen 2006; the values are those of the same polynomial evaluated independently, hence 1e-4
@pytest.mark.parametrize(
    ("ratio", "diffusive", "convective"),
    [(0.1, 0.5918, 0.9388), (0.3, 0.2033, 0.6450), (0.5, 0.04745, 0.3364), (0.7, 0.0049, 0.1151), (0.9, 3e-5, 0.0112)],
)
def test_pore_hindrance_table(ratio, diffusive, convective):
    assert float(pores.diffusive_hindrance(ratio)) == pytest.approx(diffusive, abs=1e-4)
    assert float(pores.convective_hindrance(ratio)) == pytest.approx(convective, abs=1e-4)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 1e6])
def test_particles_as_large_as_the_pore_do_not_pass(ratio):
    assert float(pores.diffusive_hindrance(ratio)) == 0.0
    assert float(pores.convective_hindrance(ratio)) == 0.0


def test_a_point_is_not_hindered():
    assert float(pores.diffusive_hindrance(0.0)) == 1.0
    assert float(pores.convective_hindrance(0.0)) == 1.0


@pytest.mark.parametrize(("diameter", "expected"), [(12, 54.9), (40, 16.5), (100, 6.58), (125, 5.27)])
def test_stokes_einstein(diameter, expected):
    assert float(pores.free_diffusivity(diameter)) / SECOND == pytest.approx(expected, rel=3e-3)  # three figures


# handbook 2.7, at φ = 0.03, two figures
@pytest.mark.parametrize(("diameter", "expected"), [(12, 8.5), (20, 3.3), (40, 0.71), (60, 0.25), (100, 0.058)])
def test_interstitial_diffusivity_falls_with_size(diameter, expected):
    value = pores.interstitial_diffusivity(diameter, 0.03, 20.0, 6.1, 0.37)
    assert float(value) / SECOND == pytest.approx(expected, rel=0.03)


def test_hydraulic_conductivity_of_a_leaky_tumour_vessel():
    per_second = float(pores.hydraulic_conductivity(200.0, 1e-4, 5.0)) / SECOND * 1e-4  # cm/(mmHg s)
    assert per_second == pytest.approx(2.8e-7, rel=0.01)  # Baxter & Jain
    assert float(pores.hydraulic_conductivity(60.0, 1e-4, 5.0)) / SECOND * 1e-4 == pytest.approx(2.5e-8, rel=0.01)


def test_normalisation_lets_small_particles_in_and_shuts_large_ones_out():
    """Chauhan 2012: pores 200 → 100 nm; the reference model gives 1.67, 0.19 and 0 for 12, 60 and 125 nm."""

    def exchange(diameter, pore):
        leak = pores.hydraulic_conductivity(pore, 1e-4, 5.0) * 0.02 / (2e-5 * SECOND)
        return float(pores.wall_permeability(diameter, pore, 1e-4, 5.0) / (1.0 + leak))

    assert 1.0 / (1.0 + float(pores.hydraulic_conductivity(200.0, 1e-4, 5.0)) * 0.02 / 0.072) == pytest.approx(
        0.265, abs=2e-3
    )
    assert exchange(12, 100.0) / exchange(12, 200.0) == pytest.approx(1.67, rel=0.02)
    assert exchange(60, 100.0) / exchange(60, 200.0) == pytest.approx(0.19, rel=0.03)
    assert exchange(125, 100.0) == 0.0


@pytest.mark.parametrize("x", [0.0, 1e-30, 1.0, 4e5])
@pytest.mark.parametrize(
    "law",
    [
        lambda x: rates.saturation(x, 1.0),
        lambda x: rates.hill(x, 1.0, 4),
        lambda x: rates.inhibition(x, 1.0),
        lambda x: rates.inhibition(x, 1.0, 4),
        lambda x: rates.positive(1.0 - x),
        lambda x: rates.tanh_ratio(x),
        lambda x: pores.diffusive_hindrance(x),
        lambda x: pores.wall_permeability(50.0, x, 1e-4, 5.0),
        lambda x: pores.interstitial_diffusivity(50.0, jnp.minimum(x, 1.0), 20.0, 6.1, 0.37),
    ],
)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_laws_and_their_derivatives_are_finite(law, x, dtype):
    value, slope = jax.value_and_grad(lambda y: jnp.asarray(law(y), dtype))(jnp.asarray(x, dtype))
    assert np.isfinite(value) and np.isfinite(slope)


def test_what_inhibition_leaves_keeps_its_digits_where_little_is_left():
    x = jnp.asarray(100.0, jnp.float32)  # 1 − hill is 0 there
    assert float(rates.inhibition(x, 1.0, 4)) == pytest.approx(1.0 / (1.0 + 1e8), rel=1e-6)
    assert float(rates.inhibition(0.3, 0.2, 3)) == pytest.approx(1.0 - float(rates.hill(0.3, 0.2, 3)), rel=1e-12)


def test_tanh_ratio_is_smooth_across_its_switch():
    x = jnp.array([0.999e-3, 1.001e-3])
    np.testing.assert_allclose(rates.tanh_ratio(x), np.tanh(x) / x, rtol=1e-12)  # x⁴ term 2/15·1e-12


def test_secretion_factor():
    assert float(rates.secretion(1.0, 1.0, 1.0)) == pytest.approx(5.98e-6, rel=1e-3)  # handbook 2


def test_blood_short_of_fuel_slows_division():
    """Division was relative to whatever blood held: arginine cut to a tenth was nothing to CAR-T cells near vessels."""
    depleted = ArginineMetabolism(plasma=1e4).tissue(None, {"arginine": 1e4, "nitric_oxide": 0.0}, None)
    assert depleted["car_t_division"] == pytest.approx((1 / 11) / (1 / 2) - 1)
    assert Glycolysis(plasma_glucose=1.0).fuel(1.0, 0.2) == pytest.approx((0.2 + 0.8 / 1.5) / (0.2 + 0.8 * 5 / 5.5))
    assert Glycolysis().fuel(5.0, 0.2) == pytest.approx(1.0)
    normal = ArginineMetabolism().tissue(None, {"arginine": 1e5, "nitric_oxide": 0.0}, None)
    assert normal["car_t_division"] == pytest.approx(0.0)
