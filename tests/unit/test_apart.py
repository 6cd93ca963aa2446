"""Passes over large grids that are written to memory are the same numbers, and have the same derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.operators import advective_tendency, taxis_velocity
from tmepde.operators import apart as module


def _pieces(grid, u, direction):
    """The tendency, its derivative along ``direction``, and what a cotangent becomes."""
    velocity = taxis_velocity(grid, jnp.cos(3.0 * u), 40.0)

    def moved(values):
        return advective_tendency(grid, values, velocity)

    value, along = jax.linearize(moved, u)
    (back,) = jax.vjp(moved, u)[1](direction)
    return value, along(direction), back


@pytest.mark.parametrize("masked", [False, True])
def test_fluxes_of_a_large_grid_are_those_of_a_small_one(monkeypatch, masked):
    grid = tme.Grid.square(300.0, 24)
    if masked:
        grid = tme.Grid.square(300.0, 24, mask=np.hypot(*np.meshgrid(*2 * [np.arange(24) - 11.5])) < 10.0)
    u, direction = jax.random.uniform(jax.random.key(0), (2, 24, 24), jnp.float32)
    plain = jax.jit(lambda u, d: _pieces(grid, u, d))
    assert "cond" not in str(jax.make_jaxpr(lambda u, d: _pieces(grid, u, d))(u, direction))
    expected = plain(u, direction)
    monkeypatch.setattr(module, "LARGE", 24 * 24)
    written = jax.make_jaxpr(lambda u, d: _pieces(grid, u, d))(u, direction)
    assert ("cond" in str(written)) == (jax.default_backend() == "cpu")
    found = jax.jit(lambda u, d: _pieces(grid, u, d))(u, direction)
    for one, other in zip(found, expected, strict=True):
        scale = float(jnp.max(jnp.abs(other)))
        np.testing.assert_allclose(one, other, rtol=0, atol=64 * np.finfo(np.float32).eps * scale)
        assert scale > 0
