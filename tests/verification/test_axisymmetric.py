"""Bodies of revolution: axes (z, r) with metric 1 and r."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ladder import SMOOTH, SMOOTH_EVEN, Curve, Exact, balance, fixed, l2, orders
from scipy.special import j0, j1, jn_zeros

import tmepde as tme
from tmepde.io import to_dataset
from tmepde.process import process

HEIGHT, RADIUS = 1.4, 1.0
ALONG = Curve(
    lambda z: 2.0 + np.sin(1.7 * z + 0.3),
    lambda z: 1.7 * np.cos(1.7 * z + 0.3),
    lambda z: -(1.7**2) * np.sin(1.7 * z + 0.3),
)
ACROSS = Curve(
    lambda r: 2.0 + np.cos(2.5 * r) + 0.4 * r * r,
    lambda r: -2.5 * np.sin(2.5 * r) + 0.8 * r,
    lambda r: -6.25 * np.cos(2.5 * r) + 0.8,
)


def test_volumes_are_those_of_the_solid():
    grid = tme.Grid.axisymmetric(2.0, 3.0, (4, 6))
    assert float(np.sum(grid.volumes())) == pytest.approx(np.pi * 9.0 * 2.0, rel=1e-12)
    hollow = tme.Grid.axisymmetric(2.0, 3.0, (4, 6), inner=1.0)
    assert float(np.sum(hollow.volumes())) == pytest.approx(np.pi * 8.0 * 2.0, rel=1e-12)
    assert (grid.axes, grid.metric, grid.resolved) == (("z", "r"), (0, 1), 3)


@functools.cache
def steady_errors(kind):
    """u = Z(z)·R(r), D = a(z)·b(r): values and inward fluxes of u on every side."""
    errors = []
    for n in (12, 24, 48):
        grid = tme.Grid.axisymmetric(HEIGHT, RADIUS, (n, n))
        z, r = grid.coordinates()
        zs, rs = grid.centers(0), grid.centers(1)
        a, b = SMOOTH, SMOOTH_EVEN
        first, second = Exact(ALONG, a), Exact(ACROSS, b)
        u = ALONG.value(z) * ACROSS.value(r)
        spread = a.value(z) * b.value(r)
        divergence = b.value(r) * ACROSS.value(r) * first.divergence(z)
        divergence = divergence + a.value(z) * ALONG.value(z) * second.divergence(r, 1)

        def side(values, flux):
            if kind == "dirichlet":
                return tme.Dirichlet(values)
            return tme.Robin(1.7, values + flux / 1.7) if kind == "robin" else tme.PrescribedFlux(flux)

        profile_r, profile_z = ACROSS.value(rs), ALONG.value(zs)
        boundary = {
            "z-": side(ALONG.value(0.0) * profile_r, -b.value(rs) * profile_r * first.flux(0.0)),
            "z+": side(ALONG.value(HEIGHT) * profile_r, b.value(rs) * profile_r * first.flux(HEIGHT)),
            "r+": side(ACROSS.value(RADIUS) * profile_z, a.value(zs) * profile_z * second.flux(RADIUS)),
        }
        model = tme.Model(
            grid, {"u": tme.Species(0.0, spread, boundary)}, {"p": fixed(u__source=3.0 * u - divergence, u__loss=3.0)}
        )
        errors.append(l2(grid, balance(model)["u"] - u))
    return errors


@pytest.mark.parametrize("kind", ["dirichlet", "robin", "flux"])
def test_order_two_against_a_manufactured_solution(kind):
    found = orders(steady_errors(kind))
    assert found[-1] == pytest.approx(2.0, abs=0.05), found


@pytest.mark.slow
def test_a_bessel_mode_decays_at_its_rate_with_order_two():
    """u = 1 + J₀(k r) cos(π z/H)/2 with closed sides decays by e^(−D(k² + π²/H²)t); J₀′(kR) = 0."""
    k, t = jn_zeros(1, 1)[0] / RADIUS, 0.02
    assert j1(k * RADIUS) == pytest.approx(0.0, abs=1e-12)
    errors = []
    for n in (10, 20, 40):
        grid = tme.Grid.axisymmetric(HEIGHT, RADIUS, (n, n))
        z, r = grid.coordinates()
        mode = 0.5 * j0(k * r) * np.cos(np.pi * z / HEIGHT)
        model = tme.Model(grid, {"u": tme.Species(1.0 + mode, 1.0)})
        control = tme.StepControl(dt=t / 64)  # error of time 64⁻² of the second-order scheme: far below that of space
        found = tme.simulate(tme.Scenario(model, until=t), precision="f64", control=control)
        exact = 1.0 + mode * np.exp(-(k**2 + (np.pi / HEIGHT) ** 2) * t)
        errors.append(l2(grid, found.fields["u"][-1] - exact))
        assert float(found.budgets["u"]["error"]) < 1e-13
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.05)


@pytest.mark.slow
def test_without_z_it_is_the_cylinder_and_with_drift_too():
    def swept(clock, state, tissue):
        grid = tissue.grid
        shapes = [tuple(n + (j == i) for j, n in enumerate(grid.shape)) for i in range(grid.ndim)]
        speeds = [jnp.full(s, 0.3 if axis == "r" else 0.0) for s, axis in zip(shapes, grid.axes, strict=True)]
        return {"u.velocity": tuple(speeds), "u.loss": 0.2}

    ends = []
    for grid in (tme.Grid.radial(2.0, 16, "cylinder"), tme.Grid.axisymmetric(1.0, 2.0, (4, 16))):
        r = grid.coordinates()[-1]
        model = tme.Model(grid, {"u": tme.Species(1.0 + np.exp(-(r**2)), 0.5)}, {"p": process(swept)})
        control = tme.StepControl(dt=0.02, rtol=1e-10)
        ends.append(tme.simulate(tme.Scenario(model, until=0.4), precision="f64", control=control).fields["u"][-1])
    np.testing.assert_allclose(ends[1], np.broadcast_to(ends[0], (4, 16)), rtol=1e-9)


@pytest.mark.slow
def test_single_precision_keeps_the_mass_and_gradients_flow():
    grid = tme.Grid.axisymmetric(100.0, 60.0, (8, 12))
    _, r = grid.coordinates()

    def mean_square(d):
        model = tme.Model(grid, {"u": tme.Species(np.exp(-((r / 20.0) ** 2)), d)})
        found = tme.simulate(tme.Scenario(model, until=2.0), [2.0], precision="f32")
        return jnp.sum(found.fields["u"][-1] ** 2), found

    assert float(mean_square(50.0)[1].budgets["u"]["error"]) < 1e-5
    slope = jax.grad(lambda d: mean_square(d)[0])(50.0)
    step = 0.5
    difference = (mean_square(50.0 + step)[0] - mean_square(50.0 - step)[0]) / (2 * step)
    assert float(slope) == pytest.approx(
        float(difference), rel=0.02
    )  # adaptive float32 steps differ by about a percent


def test_datasets_say_what_the_axes_are():
    grid = tme.Grid.axisymmetric(100.0, 60.0, (4, 6))
    model = tme.Model(grid, {"u": tme.Species(1.0, 10.0, unit="nM")})
    dataset = to_dataset(tme.simulate(tme.Scenario(model, until=1.0)))
    assert dataset["u"].dims == ("time", "z", "r")
    assert dataset["cell_volume"].attrs["units"] == "um3"
    assert dataset["r"].attrs["long_name"] == "Distance from the axis"
    assert float(dataset["cell_volume"].sum()) == pytest.approx(np.pi * 60.0**2 * 100.0, rel=1e-12)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: tme.Grid.axisymmetric(1.0, 1.0, (4,)), "two entries"),
        (lambda: tme.Grid.axisymmetric(1.0, 1.0, (4, 4), inner=-1.0), "must be at least 0"),
        (lambda: tme.Grid.axisymmetric(1.0, 1.0, (4, 4), periodic=True), "cannot be periodic"),
        (lambda: tme.Grid((np.ones(3),), symmetry="axisymmetric"), "two axes"),
    ],
)
def test_bad_axisymmetric_grids_are_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()
