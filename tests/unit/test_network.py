"""Oxygen from a resolved network: our own vessels against Krogh's cylinder, mass balance and mixing at nodes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.physiology.network import NetworkOxygen
from tmepde.region.network import VesselNetwork, effective_radius
from tmepde.units import second

KROGH = 4.2e-10 * 1e8 / second  # Dα in µm² µm³/(µm³ mmHg h)
RESISTANCE = 1.5 * second  # mmHg µm h/µm³


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def _model(grid, network, consuming=None, step=10.0, **numbers):
    vessels = NetworkOxygen.on(grid, network, np.full(len(network.flow), RESISTANCE), KROGH, step, **numbers)
    diffusivity = KROGH / float(vessels.solubility)
    species = {"oxygen": tme.Species(20.0, diffusivity, kind="quasi_steady", unit="mmHg")}
    consuming = np.ones(grid.shape) if consuming is None else consuming
    return tme.Model(grid, species, {"vessels": vessels}, {"consuming": consuming}), vessels


def _settled(model):
    found = tme.steady_state(model, precision="f64", tolerance=1e-8)
    assert found.ok, found.message
    return found.fields["oxygen"][-1]


def test_a_thin_vessel_is_felt_at_a_part_of_a_cell_and_a_wide_one_at_its_radius():
    grid = tme.Grid.cube(40.0, 10)
    thin, wide = effective_radius([0.01, 1.0], grid), effective_radius([16.0, 40.0], grid)
    np.testing.assert_allclose(thin, thin[0])
    assert 2.0 < thin[0] < 4.0  # half a cell to a cell
    assert np.all(wide > [16.0, 40.0]) and np.all(wide < np.asarray([16.0, 40.0]) + 0.25 * 4.0)


@pytest.mark.slow
@pytest.mark.parametrize("radius", [3.0, 8.0])
def test_one_vessel_is_krogh_cylinder(radius):
    """What enters leaves with the blood or is consumed; across the tissue pO₂ falls as in Krogh's cylinder.

    P_wall − P(r) = M/(4Dα) (2 R² ln(r/a) − r² + a²) for the circle of the square's area. In units of J/2πDα the square
    differs from its circle by 0.012, the place of the wall within a cell by 0.05 at most; 0.02 is left to the mean.
    """
    side, length, demand, flow = 80.0, 200.0, 5e-4 / second, 40.0 * 1e6 * 60.0 * 0.05
    grid = tme.Grid.box((side, side, length), (20, 20, 20))
    network = VesselNetwork([[side / 2, side / 2, 0.0], [side / 2, side / 2, length]], [[0, 1]], [2 * radius], [flow])
    model, vessels = _model(grid, network, demand=demand, half=1e-3, inlet=90.0)
    oxygen = _settled(model)
    assert oxygen.min() > 1.0  # so that the demand is met everywhere
    blood = np.asarray(vessels.blood(jnp.asarray(oxygen)))
    consumed = demand * side * side * length * (1.0 - 1e-3 / np.mean(oxygen))
    lost = flow * float(vessels.content(90.0) - vessels.content(blood[-1]))
    assert lost == pytest.approx(consumed, rel=1e-4)  # 1e-3/(1e-3 + O) differs from its mean by less
    outer = side / np.sqrt(np.pi)
    middle = 10  # a slice half-way down
    per_length = demand * side * side
    wall = np.mean(blood[9:11]) - RESISTANCE * per_length
    r = np.linspace(radius, outer, 2001)
    drop = demand / (4 * KROGH) * (2 * outer**2 * np.log(r / radius) - r**2 + radius**2)
    mean_drop = np.trapezoid(drop * r, r) / np.trapezoid(r, r)
    y, x = np.meshgrid(grid.centers(0) - side / 2, grid.centers(1) - side / 2, indexing="ij")
    outside = np.hypot(y, x) > radius
    found = wall - float(np.mean(oxygen[:, :, middle - 1 : middle + 1][outside]))
    assert found == pytest.approx(mean_drop, abs=(0.012 + 0.05 + 0.02) * per_length / (2 * np.pi * KROGH))


def test_blood_is_mixed_by_flow_where_vessels_join():
    """Two inlets, one outlet, no exchange (far too fast a flow): the contents average with the flows."""
    nodes = [[25.0, 10.0, 5.0], [25.0, 40.0, 5.0], [25.0, 25.0, 50.0], [25.0, 25.0, 95.0]]
    network = VesselNetwork(nodes, [[0, 2], [2, 1], [2, 3]], [8.0] * 3, [1e12, -3e12, 4e12])
    grid = tme.Grid.box((50.0, 50.0, 100.0), (5, 5, 10))
    _, vessels = _model(grid, network)
    blood = np.asarray(vessels.blood(jnp.full(grid.shape, 10.0)))
    np.testing.assert_allclose(blood, 50.0, rtol=1e-4)
    assert set(network.inlets) == {0, 1}


@pytest.mark.slow
def test_a_branching_network_balances_and_hardly_depends_on_the_grid():
    """An arteriole that splits in two and joins again: what it gives is consumed, and dx = 12 and 6 µm agree."""
    nodes = [[60.0, 60.0, 0.0], [60.0, 60.0, 40.0], [30.0, 35.0, 90.0], [85.0, 90.0, 80.0], [60.0, 60.0, 140.0]]
    nodes.append([60.0, 60.0, 180.0])
    pairs, diameter = [[0, 1], [1, 2], [1, 3], [2, 4], [3, 4], [4, 5]], [14.0, 8.0, 9.0, 8.0, 9.0, 16.0]
    flow = np.asarray([3.0, 1.0, 2.0, 1.0, 2.0, 3.0]) * 1e6 * 60.0
    mean = {}
    for step in (12.0, 6.0):
        cells = tuple(round(v / step) for v in (120.0, 120.0, 180.0))
        grid = tme.Grid.box((120.0, 120.0, 180.0), cells)
        model, vessels = _model(grid, VesselNetwork(nodes, pairs, diameter, flow), demand=2e-4 / second)
        oxygen = _settled(model)
        around = np.bincount(vessels.piece, vessels.weight * oxygen.ravel()[vessels.cell])
        given = np.sum(vessels.exchange * (np.asarray(vessels.blood(jnp.asarray(oxygen))) - around))
        eaten = np.sum(grid.volumes() * float(vessels.demand) * oxygen / (1.0 + oxygen))
        assert given == pytest.approx(eaten, rel=1e-6)
        mean[step] = oxygen.mean()
    # the place of a wall within a cell is worth 0.05 J/2πDα (see Krogh's cylinder): 0.5 mmHg here
    per_length = 2e-4 / second * 120.0 * 120.0
    assert mean[12.0] == pytest.approx(mean[6.0], abs=0.05 * per_length / (2 * np.pi * KROGH))


def test_where_blood_hardly_flows_it_has_the_oxygen_of_its_tissue():
    network = VesselNetwork([[25.0, 25.0, 5.0], [25.0, 25.0, 95.0]], [[0, 1]], [8.0], [1.0])
    grid = tme.Grid.box((50.0, 50.0, 100.0), (5, 5, 10))
    _, vessels = _model(grid, network)
    np.testing.assert_allclose(vessels.blood(jnp.full(grid.shape, 7.0)), 7.0, rtol=1e-5)


def test_the_sweep_has_the_derivative_of_finite_differences():
    network = VesselNetwork([[25.0, 25.0, 5.0], [25.0, 25.0, 95.0]], [[0, 1]], [8.0], [2e8])
    grid = tme.Grid.box((50.0, 50.0, 100.0), (5, 5, 10))
    _, vessels = _model(grid, network)
    field = jnp.full(grid.shape, 20.0)
    change = jax.jvp(vessels.blood, (field,), (jnp.ones(grid.shape),))[1]
    step = 1e-3
    plain = (vessels.blood(field + step) - vessels.blood(field - step)) / (2 * step)
    np.testing.assert_allclose(change, plain, rtol=1e-6)


def test_bad_networks_are_named():
    with pytest.raises(ValueError, match="must not flow in a circle"):
        VesselNetwork(np.zeros((3, 3)), [[0, 1], [1, 2], [2, 0]], [5.0] * 3, [1.0] * 3)
    with pytest.raises(ValueError, match="must be finite and not 0"):
        VesselNetwork(np.zeros((2, 3)), [[0, 1]], [5.0], [0.0])
    with pytest.raises(ValueError, match="three dimensions"):
        network = VesselNetwork([[0, 0, 0], [0, 0, 9.0]], [[0, 1]], [5.0], [1.0])
        network.walls(tme.Grid.line(10.0, 5), network.pieces(5.0))
