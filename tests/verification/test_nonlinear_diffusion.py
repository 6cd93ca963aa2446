"""Porous media: ∂u/∂t = ∇·(m u^{m−1} ∇u), Barenblatt's solution with compact support."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.process import process


def barenblatt(r, t, m, dimension):
    """u and the radius of the front (Barenblatt 1952; Vázquez 2007, The Porous Medium Equation, 17.5), C = 1."""
    k = dimension / (dimension * (m - 1) + 2)
    a = k / dimension
    b = (m - 1) * a / (2 * m)
    return t**-k * np.maximum(1.0 - b * (r / t**a) ** 2, 0.0) ** (1 / (m - 1)), t**a / np.sqrt(b)


def porous(clock, state, tissue, m):
    return {"u.diffusivity": m * jnp.maximum(state["u"], 0.0) ** (m - 1)}


@functools.cache
def spread(m, dimension, n, length, mean="arithmetic"):
    grid = tme.Grid.box((length,) * dimension, (n,) * dimension)
    r = np.sqrt(sum((c - length / 2) ** 2 for c in grid.coordinates()))
    start, _ = barenblatt(r, 1.0, m, dimension)
    model = tme.Model(grid, {"u": tme.Species(start, 0.0, mean=mean)}, {"p": process(porous, m=m)})
    return r, tme.simulate(tme.Scenario(model, until=3.0), precision="f64")


CASES = [(2.0, 1, 50, 14.0), (2.0, 1, 100, 14.0), (3.0, 1, 100, 14.0), (2.0, 2, 40, 14.0)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_front_of_barenblatt(case):
    """The front, where u falls below a thousandth of its maximum, within a cell and a half of r(t) (half a cell of it
    is where a cell's centre lies); profile to a percent or two; mass exact; no negative value; no tiny steps."""
    m, dimension, n, length = case
    r, found = spread(*case)
    u, width = found.fields["u"][-1], length / n
    exact, front = barenblatt(r, 4.0, m, dimension)
    assert found.ok and int(found.statistics["steps"]) < 150
    assert abs(r[u > 1e-3 * u.max()].max() - front) < 1.5 * width
    assert np.abs(u - exact).mean() / exact.mean() < 0.02
    assert u.min() >= 0.0
    assert float(found.budgets["u"]["error"]) < 1e-13


def test_the_profile_converges():
    found = []
    for case in CASES[:2]:
        r, run = spread(*case)
        exact, _ = barenblatt(r, 4.0, case[0], case[1])
        found.append(np.abs(run.fields["u"][-1] - exact).mean())
    assert found[0] / found[1] > 2.0  # between first and second order: the slope jumps at the front


def test_a_harmonic_mean_would_not_let_the_front_enter_empty_cells():
    """Why the mean is a choice: with two half cells in series an empty cell is a wall."""
    r, found = spread(2.0, 1, 50, 14.0, "harmonic")
    start, now = found.fields["u"][0], found.fields["u"][-1]
    assert np.all(now[start == 0.0] == 0.0)
