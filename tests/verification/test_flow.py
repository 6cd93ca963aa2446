"""Interstitial flow: the pressure of an isolated tumour, and a velocity whose divergence is the balance of p."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from ladder import orders

import tmepde as tme
from tmepde.boundary import sides
from tmepde.elliptic import EllipticOperator
from tmepde.operators import advective_tendency, boundary_terms, conductances, darcy_velocity, metric_volumes
from tmepde.physiology import Haptotaxis, InterstitialFlow
from tmepde.schedule import Clock

RADIUS = 1000.0


@functools.cache
def isolated(cells):
    flow = InterstitialFlow(boundary=tme.Dirichlet(0.0), carried=("drug",))
    grid = tme.Grid.radial(RADIUS, cells)
    species = {"interstitial_pressure": flow.species(), "drug": tme.Species(1.0, 0.0, tme.Dirichlet(1.0))}
    scenario = tme.Scenario(tme.Model(grid, species, {"flow": flow}), until=0.05)
    found = tme.simulate(scenario, precision="f64", control=tme.StepControl(rtol=1e-8))
    return flow, grid, found


@pytest.mark.slow
def test_the_pressure_of_an_isolated_tumour_is_that_of_baxter_and_jain():
    """p = p_e [1 − R sinh(αr/R)/(r sinh α)], α = R √(L/K), with order two."""
    errors = []
    for cells in (20, 40, 80):
        flow, grid, found = isolated(cells)
        r = grid.centers(0)
        alpha = RADIUS * np.sqrt(float(flow.filtration) / float(flow.conductivity))
        exact = float(flow.effective_pressure) * (1.0 - RADIUS * np.sinh(alpha * r / RADIUS) / (r * np.sinh(alpha)))
        errors.append(np.sqrt(np.mean((found.fields["interstitial_pressure"][-1] - exact) ** 2)))
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.1)
    assert errors[-1] < 0.01  # mmHg, of 11.5


@pytest.mark.slow
def test_the_fluid_leaks_through_the_rim():
    """v(R) = (K p_e/R)(α coth α − 1): 0.14 µm/s with the numbers of the paper."""
    flow, grid, found = isolated(80)
    p = jnp.asarray(found.fields["interstitial_pressure"][-1])
    around = sides(tme.Dirichlet(0.0), grid.axes)
    (v,) = darcy_velocity(grid, p, flow.conductivity, around, Clock(0.0, 0.0, 0.0, 1.0), {})
    k, p_e = float(flow.conductivity), float(flow.effective_pressure)
    alpha = RADIUS * np.sqrt(float(flow.filtration) / k)
    exact = k * p_e / RADIUS * (alpha / np.tanh(alpha) - 1.0)
    assert float(v[-1]) == pytest.approx(exact, rel=2e-3)
    assert 0.1 < exact / 3600.0 < 0.2
    assert float(v[0]) == 0.0


@pytest.mark.slow
def test_a_constant_concentration_is_changed_by_the_sources_of_fluid_alone():
    """∂u/∂t = −u ∇·v = −u L (p_e − p) where u is constant and nothing diffuses: first Euler slope of the run."""
    flow, grid, found = isolated(40)
    p = found.fields["interstitial_pressure"][-1]
    leak = float(flow.filtration) * (float(flow.effective_pressure) - p)
    t = found.times[-1]
    inner = slice(0, 12)  # the core, from where the fluid has hardly moved
    np.testing.assert_allclose(found.fields["drug"][-1][inner], np.exp(-leak[inner] * t), rtol=1e-4)


MASK = np.ones((6, 7), bool)
MASK[2:4, 3:5] = False


@pytest.mark.parametrize(
    "grid",
    [
        tme.Grid.box((6.0, 14.0), (6, 7)),
        tme.Grid.box((6.0, 14.0), (6, 7), mask=MASK),
        tme.Grid.box((6.0, 14.0), (6, 7), periodic=(True, False)),
        tme.Grid.axisymmetric(6.0, 7.0, (6, 7)),
        tme.Grid.box((6.0, 7.0), (6, 7)).with_level_set(lambda y, x: np.hypot(y - 3.0, x - 3.5) - 2.9),
    ],
    ids=["box", "mask", "periodic", "axisymmetric", "cut"],
)
def test_the_divergence_of_the_velocity_is_the_balance_of_the_pressure(grid):
    rng = np.random.default_rng(0)
    k, p = jnp.asarray(rng.uniform(0.5, 2.0, grid.shape)), jnp.asarray(rng.uniform(0.0, 1.0, grid.shape))
    inside = np.ones(grid.shape, bool) if grid.mask is None else np.asarray(grid.mask)
    around = sides({grid.axes[1] + "+": tme.Dirichlet(0.3)}, grid.axes)
    op = EllipticOperator(jnp.zeros((1, *grid.shape)), conductances(grid, k[None]), grid.periodic)
    source, loss = boundary_terms(grid, around, k, None, {})
    balance = op(p[None])[0] / metric_volumes(grid) - source + loss * p  # = ∇·v

    velocity = darcy_velocity(grid, p, k, around, None, {})
    open_to_all = sides({grid.axes[1] + "+": tme.Dirichlet(1.0)}, grid.axes)
    carried = -advective_tendency(grid, jnp.ones(grid.shape), velocity, open_to_all, None, {})
    np.testing.assert_allclose(np.where(inside, carried, 0.0), np.where(inside, balance, 0.0), atol=1e-12)


def test_haptotaxis_goes_up_the_matrix_and_stops_where_it_is_full():
    grid = tme.Grid.line(300.0, 30)
    x = grid.centers(0)
    species = {
        "car_t": tme.Species(np.where(x < 100.0, 2e4, 0.0), 50.0),
        "collagen": tme.Species(0.1 + 0.2 * x / 300.0, kind="local"),
    }
    model = tme.Model(grid, species, {"h": Haptotaxis(sensitivity=1e5)})
    found = tme.simulate(tme.Scenario(model, until=48.0), precision="f64")
    u = found.fields["car_t"]
    assert np.sum(x * u[-1]) / u[-1].sum() > np.sum(x * u[0]) / u[0].sum() + 50.0
    assert u[-1].max() <= 5e4 * (1 + 1e-3)
    assert float(found.budgets["car_t"]["error"]) < 1e-12
