"""Faces, gradients, fluxes and limiters on small arrays."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.operators import (
    advective_tendency,
    boundary_terms,
    cell_gradient,
    conductances,
    courant_rate,
    downwind,
    face_mean,
    face_norm,
    gradient,
    gradient_norm,
)


def test_shapes_of_faces():
    grid = tme.Grid.box((1.0, 2.0, 3.0), (2, 3, 4))
    u = jnp.ones(grid.shape)
    for faces in (gradient(grid, u), face_mean(grid, u), face_norm(grid, u), conductances(grid, u)):
        assert [f.shape for f in faces] == [(3, 3, 4), (2, 4, 4), (2, 3, 5)]


def test_a_linear_field_has_an_exact_gradient():
    grid = tme.Grid.box((1.0, 2.0), (4, 5))
    y, x = grid.coordinates()
    u = jnp.asarray(3.0 * x - 2.0 * y)
    along_y, along_x = gradient(grid, u)
    np.testing.assert_allclose(along_y[1:-1], -2.0, rtol=1e-12)
    np.testing.assert_allclose(along_x[:, 1:-1], 3.0, rtol=1e-12)
    assert np.all(np.asarray(along_x)[:, [0, -1]] == 0.0)
    for found, wanted in zip(cell_gradient(grid, u), (-2.0, 3.0), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    np.testing.assert_allclose(gradient_norm(grid, u), np.sqrt(13.0), rtol=1e-12)
    np.testing.assert_allclose(face_norm(grid, u)[0][1:-1], np.sqrt(13.0), rtol=1e-12)


def test_a_gradient_wraps_around():
    grid = tme.Grid.line(4.0, 4, periodic=True)
    np.testing.assert_allclose(gradient(grid, jnp.asarray([1.0, 2.0, 4.0, 8.0]))[0], [-7.0, 1.0, 2.0, 4.0, -7.0])


def test_a_gradient_stops_at_the_mask():
    grid = tme.Grid.line(4.0, 4, mask=np.array([True, True, False, True]))
    np.testing.assert_allclose(gradient(grid, jnp.asarray([1.0, 2.0, 4.0, 8.0]))[0], [0.0, 1.0, 0.0, 0.0, 0.0])


def test_the_norm_of_a_flat_field_has_a_finite_derivative():
    grid = tme.Grid.square(1.0, 3)
    norms = jax.jit(jax.grad(lambda u: gradient_norm(grid, u).sum() + sum(f.sum() for f in face_norm(grid, u))))
    slope = norms(jnp.ones((3, 3)))
    assert bool(jnp.all(jnp.isfinite(slope)))


def test_a_conductance_is_two_half_cells_in_series():
    grid = tme.Grid((np.array([1.0, 3.0]),))
    (phi,) = conductances(grid, jnp.asarray([2.0, 6.0]))
    np.testing.assert_allclose(phi, [0.0, 1.0 / (0.5 / 2.0 + 1.5 / 6.0), 0.0])


def test_no_diffusivity_no_conductance_and_no_nan():
    grid = tme.Grid.line(3.0, 3)
    (phi,) = conductances(grid, jnp.asarray([0.0, 0.0, 1.0]))
    np.testing.assert_array_equal(phi, 0.0)
    slope = jax.grad(lambda d: conductances(grid, d)[0].sum())(jnp.zeros(3))
    assert bool(jnp.all(jnp.isfinite(slope)))


def test_a_diffusivity_that_is_not_a_number_is_not_hidden():
    (phi,) = conductances(tme.Grid.line(3.0, 3), jnp.asarray([1.0, jnp.nan, 1.0]))
    assert bool(jnp.isnan(phi[1]))


def sides(low, high):
    return ((low, high),)


def test_boundary_terms_of_each_kind():
    grid = tme.Grid.line(4.0, 4)  # h = 1, half a cell: D/(h/2) = 2D
    d = jnp.full(4, 3.0)
    source, loss = boundary_terms(grid, sides(tme.Dirichlet(5.0), tme.NoFlux()), d, None, {})
    np.testing.assert_allclose(source, [30.0, 0, 0, 0])
    np.testing.assert_allclose(loss, [6.0, 0, 0, 0])
    source, loss = boundary_terms(grid, sides(tme.Robin(2.0, 5.0), tme.PrescribedFlux(0.7)), d, None, {})
    np.testing.assert_allclose(loss, [1.5, 0, 0, 0])
    np.testing.assert_allclose(source, [7.5, 0, 0, 0.7])
    assert boundary_terms(grid, sides(tme.NoFlux(), tme.NoFlux()), d, None, {}) is None


def test_a_side_of_a_sphere_has_its_area():
    grid = tme.Grid.radial(2.0, 2)
    source, _ = boundary_terms(grid, sides(tme.NoFlux(), tme.PrescribedFlux(1.0)), jnp.ones(2), None, {})
    assert float(source[-1]) == pytest.approx(4.0 / (7.0 / 3.0))  # R² / ∫₁² r² dr


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_drift_conserves_and_makes_no_new_extremum(sign):
    """One Euler step at half a cell per step, from a step and a spike."""
    grid = tme.Grid.line(20.0, 20, periodic=True)
    u = jnp.asarray(np.r_[np.zeros(5), np.ones(6), np.zeros(4), 3.0, np.zeros(4)])
    change = advective_tendency(grid, u, (jnp.full(21, sign),))
    new = u + 0.5 * change
    assert float(change.sum()) == pytest.approx(0.0, abs=1e-12)
    assert float(new.min()) >= -1e-14
    assert float(new.max()) <= 3.0


def test_drift_is_second_order_on_smooth_monotone_data():
    errors = []
    for n in (32, 64, 128):
        grid = tme.Grid.line(1.0, n)
        x, f = grid.centers(0), grid.faces(0)
        u, v = np.exp(x), 1.0 + 0.5 * np.sin(f)
        exact = -(0.5 * np.cos(x) * np.exp(x) + (1.0 + 0.5 * np.sin(x)) * np.exp(x))
        found = np.asarray(advective_tendency(grid, jnp.asarray(u), (jnp.asarray(v),)))
        errors.append(np.abs(found - exact)[2:-2].max())
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2.0, abs=0.1)


def test_closed_sides_carry_nothing_and_open_ones_the_outside_value():
    grid = tme.Grid.line(3.0, 3)
    u, v = jnp.ones(3), (jnp.full(4, 2.0),)
    np.testing.assert_allclose(advective_tendency(grid, u, v), [-2.0, 0.0, 2.0])
    opened = sides(tme.Dirichlet(5.0), tme.Dirichlet(0.0))
    np.testing.assert_allclose(advective_tendency(grid, u, v, opened, None, {}), [8.0, 0.0, 0.0])


def test_drift_stops_at_the_mask():
    grid = tme.Grid.line(4.0, 4, mask=np.array([True, True, False, True]))
    found = advective_tendency(grid, jnp.asarray([1.0, 1.0, 0.0, 1.0]), (jnp.full(5, 1.0),))
    np.testing.assert_allclose(found, [-1.0, 1.0, 0.0, 0.0])


def test_the_limiter_has_a_finite_derivative_on_flat_data():
    grid = tme.Grid.line(1.0, 6)
    slope = jax.grad(lambda u: (advective_tendency(grid, u, (jnp.ones(7),)) ** 2).sum())(jnp.ones(6))
    assert bool(jnp.all(jnp.isfinite(slope)))


def test_downwind_takes_the_receiving_cell():
    grid = tme.Grid.line(3.0, 3)
    (found,) = downwind(grid, (jnp.asarray([9.0, 1.0, -1.0, 9.0]),), jnp.asarray([0.2, 0.5, 0.7]))
    np.testing.assert_allclose(found, [0.0, 0.5, -0.5, 0.0])


def test_the_courant_rate_of_pure_drift_and_of_a_fine_mesh():
    grid = tme.Grid.line(10.0, 5)  # w = 2
    assert float(courant_rate(grid, (jnp.full(6, 3.0),), 0.0)) == pytest.approx(1.5)
    assert float(courant_rate(grid, (jnp.full(6, 3.0),), 1e6)) == pytest.approx(9.0 / 2e6, rel=1e-5)
    assert float(courant_rate(grid, (jnp.zeros(6),), 0.0)) == 0.0
