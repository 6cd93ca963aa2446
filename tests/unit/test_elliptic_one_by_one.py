"""Large fields are solved one by one on a CPU: the same solutions as in a stack, and nothing where nothing is asked."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.elliptic import EllipticOperator, LinearControl, prepare
from tmepde.operators import conductances, metric_volumes

MASK = np.ones((12, 14), bool)
MASK[4:7, 5:9] = False


def system(weight=1.0):
    """Weakly coupled, strongly coupled, and a field without a right-hand side."""
    grid = tme.Grid.box((12.0, 14.0), (12, 14), mask=MASK)
    rng = np.random.default_rng(0)
    d = jnp.asarray(np.stack([np.full(grid.shape, 0.1), rng.uniform(5.0, 50.0, grid.shape), np.ones(grid.shape)]))
    volumes = jnp.where(jnp.asarray(MASK), metric_volumes(grid), 0.0)
    op = EllipticOperator(volumes * jnp.ones((3, 1, 1)), conductances(grid, d), grid.periodic, weight=weight)
    b = np.stack([rng.uniform(-1, 1, grid.shape), rng.uniform(-1, 1, grid.shape), np.zeros(grid.shape)])
    return op, jnp.where(jnp.asarray(MASK), jnp.asarray(b), 0.0)


@pytest.mark.parametrize("method", ["auto", pytest.param("multigrid", marks=pytest.mark.slow)])
def test_one_by_one_is_the_stack(monkeypatch, method):
    op, b = system()
    control = LinearControl(relative=1e-11)
    found = {}
    for size in (10**9, 1):
        monkeypatch.setattr("tmepde.elliptic.solve._LARGE", size)
        solved = jax.jit(lambda o, b: prepare(o, method, definite=True)(b, control=control))(op, b)
        assert bool(jnp.all(solved.converged)) and solved.converged.shape == (3,)
        np.testing.assert_allclose(op(solved.value), b, atol=1e-9)
        assert not np.any(np.asarray(solved.value[2]))
        found[size] = solved
    np.testing.assert_allclose(found[1].value, found[10**9].value, atol=1e-9)
    assert int(found[1].iterations) <= int(found[10**9].iterations) + 2


@pytest.mark.slow
def test_a_guess_and_weights_by_field_reach_their_field(monkeypatch):
    """The exact solution as a guess leaves next to nothing to do; a loose weight stops its own field early."""
    monkeypatch.setattr("tmepde.elliptic.solve._LARGE", 1)
    op, b = system()
    solve = prepare(op, definite=True)
    exact = solve(b, control=LinearControl(relative=1e-12)).value
    again = solve(b, exact, control=LinearControl(relative=0.5))
    np.testing.assert_allclose(again.value, exact, atol=1e-9)
    weight = jnp.asarray([1.0, 1e-6, 1.0]).reshape(3, 1, 1) * jnp.ones_like(b)
    loose = solve(b, None, weight, 1e-7, LinearControl(relative=1e-12))
    errors = np.abs(np.asarray(loose.value - exact)).reshape(3, -1).max(axis=1)
    assert errors[0] < 1e-6 and 1e-6 < errors[1] < 0.2
