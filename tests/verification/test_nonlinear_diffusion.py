"""Porous media: ∂u/∂t = ∇·(m u^{m−1} ∇u), Barenblatt's solution with compact support."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import tmepde as tme
from tmepde.process import process


def barenblatt(r, t, m, dimension):
    """u and the radius of the front (Barenblatt 1952; Vázquez 2007, The Porous Medium Equation, 17.5), C = 1."""
    k = dimension / (dimension * (m - 1) + 2)
    a = k / dimension
    b = (m - 1) * a / (2 * m)
    return t**-k * np.maximum(1.0 - b * (r / t**a) ** 2, 0.0) ** (1 / (m - 1)), t**a / np.sqrt(b)


def porous(clock, state, tissue, m, scale=1.0):
    return {"u.diffusivity": scale * m * jnp.maximum(state["u"], 0.0) ** (m - 1)}


@functools.cache
def spread(m, dimension, n, length, mean="arithmetic"):
    grid = tme.Grid.box((length,) * dimension, (n,) * dimension)
    r = np.sqrt(sum((c - length / 2) ** 2 for c in grid.coordinates()))
    start, _ = barenblatt(r, 1.0, m, dimension)
    model = tme.Model(grid, {"u": tme.Species(start, 0.0, mean=mean)}, {"p": process(porous, m=m)})
    return r, tme.simulate(tme.Scenario(model, until=3.0), precision="f64")


CASES = [(2.0, 1, 50, 14.0), (2.0, 1, 100, 14.0), (3.0, 1, 100, 14.0)]
MORE = [pytest.param((2.0, 2, 40, 14.0), marks=pytest.mark.slow)]


@pytest.mark.parametrize("case", [*CASES, *MORE], ids=str)
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


#: front x/√t and flux √t u u_x of a half space kept at u = 1 (shooting from the front)
FRONT, FLUX = 1.616125, 0.443747


def test_the_similarity_solution_of_a_half_space():
    """u = f(x/√t), (f f')' = −½ η f', f(0) = 1: shooting from the front gives its place and the flux at the side."""
    begin = FRONT * (1 - 1e-5)
    slope = -FRONT / 2
    start = [slope * (begin - FRONT), slope * slope * (begin - FRONT)]
    f, flux = solve_ivp(
        lambda eta, y: [y[1] / y[0], -0.5 * eta * y[1] / y[0]], (begin, 0), start, rtol=1e-9, atol=1e-12
    ).y[:, -1]
    assert f == pytest.approx(1.0, abs=1e-5) and -flux == pytest.approx(FLUX, rel=1e-5)


@pytest.mark.parametrize("stepper", [None, tme.NewtonKrylov()], ids=["default", "newton"])
@pytest.mark.parametrize("kept", ["side", "cell"])
def test_a_front_enters_an_empty_half_space_that_is_kept_at_a_value(kept, stepper):
    """D = u: an empty cell has none of its own, and what comes in needs that of the value which is kept."""
    n, until = 40, 2.0
    grid = tme.Grid([np.full(n, 0.1)], origin=(-0.1,)) if kept == "cell" else tme.Grid.line(0.1 * n, n)
    x = grid.centers(0)
    held, sides = (x < 0, None) if kept == "cell" else (None, {"x-": tme.Dirichlet(1.0)})
    u = tme.Species(1.0 * (x < 0), 0.0, sides, held=held, mean="arithmetic")
    model = tme.Model(grid, {"u": u}, {"p": process(porous, m=2.0, scale=0.5)})
    found = tme.simulate(tme.Scenario(model, until=until), precision="f64", stepper=stepper)
    last = found.fields["u"][-1]
    assert found.ok and last[x > 0][0] > 0.9
    assert abs(x[last > 1e-3].max() - FRONT * np.sqrt(until)) < 0.15  # a cell and a half
    assert float(found.budgets["u"]["inflow"]) == pytest.approx(2 * FLUX * np.sqrt(until), rel=3e-3)
