"""Curved edges: cells cut by a level set, beside the staircase of a mask."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from ladder import balance, fixed, l2, orders
from scipy.special import jnp_zeros, jv, spherical_jn

import tmepde as tme
from tmepde.elliptic import EllipticOperator, prepare
from tmepde.elliptic.solve import LinearControl
from tmepde.operators import conductances, gradient
from tmepde.process import process

RADIUS = 0.8


def disc(y, x):
    return np.hypot(y - 1.0, x - 1.0) - RADIUS


def ball(z, y, x):
    return np.sqrt((z - 1.0) ** 2 + (y - 1.0) ** 2 + (x - 1.0) ** 2) - RADIUS


@pytest.mark.parametrize(
    ("level", "axes", "whole"), [(disc, 2, np.pi * RADIUS**2), (ball, 3, 4 / 3 * np.pi * RADIUS**3)]
)
def test_volumes_converge_with_order_two(level, axes, whole):
    errors = []
    for n in (8, 16, 32):
        grid = tme.Grid.box((2.0,) * axes, (n,) * axes).with_level_set(level, smallest=0.0)
        errors.append(abs(float(np.sum(grid.volumes())) - whole))
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.1)


def test_a_plane_is_cut_exactly():
    """φ linear: fractions and apertures are those of the half space 2x + y < 2.2 in each cell."""
    grid = tme.Grid.square(2.0, 2).with_level_set(lambda y, x: 2 * x + y - 2.2, smallest=0.0)
    np.testing.assert_allclose(grid.volumes(), [[0.84, 0.01], [0.35, 0.0]], atol=1e-12)
    np.testing.assert_allclose(grid.apertures[1], [[1.0, 0.2, 0.0], [1.0, 0.0, 0.0]], atol=1e-12)
    np.testing.assert_allclose(grid.apertures[0], [[1.0, 0.1], [0.6, 0.0], [0.1, 0.0]], atol=1e-12)
    cube = tme.Grid.cube(1.0, 1).with_level_set(lambda z, y, x: x + y + z - 0.9)
    assert float(cube.fractions[0, 0, 0]) == pytest.approx(0.9**3 / 6.0)
    middle = tme.Grid.cube(1.0, 1).with_level_set(lambda z, y, x: x + y + z - 1.5)
    assert float(middle.fractions[0, 0, 0]) == pytest.approx(0.5)


def steady_error(grid, exact, source):
    model = tme.Model(grid, {"u": tme.Species(0.0, 1.0)}, {"p": fixed(u__source=source, u__loss=3.0)})
    return l2(grid, np.where(grid.mask, balance(model)["u"] - exact, 0.0))


@functools.cache
def disc_errors(order):
    """u = 2 + J_m(k r) cos(mθ − 0.4) with J_m′(kR) = 0: no flux through the edge; (cut, staircase) per grid."""
    cut, stairs = [], []
    for n in (16, 32, 64):
        box = tme.Grid.square(2.0, n)
        y, x = box.coordinates()
        k = jnp_zeros(order, 1)[0] / RADIUS
        mode = jv(order, k * np.hypot(y - 1, x - 1)) * np.cos(order * np.arctan2(y - 1, x - 1) - 0.4)
        exact, source = 2.0 + mode, 6.0 + (3.0 + k * k) * mode
        cut.append(steady_error(box.with_level_set(disc), exact, source))
        stairs.append(steady_error(tme.Grid.square(2.0, n, mask=disc(y, x) < 0), exact, source))
    return cut, stairs


@pytest.mark.parametrize("order", [0, 2])
def test_no_flux_at_a_curved_edge_is_of_order_two(order):
    """A staircase has no fixed order (first on average); cut cells are at least four times better throughout."""
    cut, stairs = disc_errors(order)
    assert orders(cut)[-1] == pytest.approx(2.0, abs=0.2), (cut, stairs)
    assert np.all(np.asarray(cut) < 0.25 * np.asarray(stairs)), (cut, stairs)


@pytest.mark.slow
def test_no_flux_in_a_ball_is_of_order_two():
    """u = 2 + j₀(k r), j₀′(kR) = 0 (kR = 4.4934); conjugate gradients with multigrid, as the engine solves."""
    errors = []
    k = 4.493409457909064 / RADIUS
    for n in (12, 24):
        grid = tme.Grid.cube(2.0, n).with_level_set(ball)
        r = ball(*grid.coordinates()) + RADIUS
        mode = spherical_jn(0, k * r)
        volumes = jnp.where(jnp.asarray(grid.mask), jnp.asarray(grid.volumes()), 0.0)[None]
        op = EllipticOperator(3.0 * volumes, conductances(grid, jnp.ones((1, *grid.shape))), grid.periodic)
        solved = prepare(op)(volumes * (6.0 + (3.0 + k * k) * mode), control=LinearControl(relative=1e-10, limit=100))
        assert bool(solved.converged.all()) and int(solved.iterations) < 40
        errors.append(l2(grid, np.where(grid.mask, np.asarray(solved.value[0]) - 2.0 - mode, 0.0)))
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.25)


def swirl(clock, state, tissue):
    """A rigid rotation about the centre: tangential to the edge."""
    grid = tissue.grid
    (fy, fx), (cy, cx) = (jnp.asarray(grid.faces(0)), jnp.asarray(grid.faces(1))), map(grid.centers, range(2))
    return {
        "u.velocity": (
            jnp.broadcast_to(jnp.asarray(cx)[None, :] - 1.0, (fy.size, cx.size)),
            jnp.broadcast_to(-(jnp.asarray(cy)[:, None] - 1.0), (cy.size, fx.size)),
        )
    }


@pytest.mark.parametrize("precision", [pytest.param("f64", marks=pytest.mark.slow), "f32"])
def test_drift_and_diffusion_in_a_disc_keep_the_mass_and_the_sign(precision):
    grid = tme.Grid.square(2.0, 16).with_level_set(disc, smallest=0.05)
    y, x = grid.coordinates()
    start = np.exp(-(((y - 1.3) ** 2 + (x - 1.0) ** 2) / 0.05))
    model = tme.Model(grid, {"u": tme.Species(start, 0.01)}, {"p": process(swirl)})
    found = tme.simulate(tme.Scenario(model, until=1.0), precision=precision)
    assert found.ok
    assert float(found.budgets["u"]["error"]) < (1e-12 if precision == "f64" else 2e-5)
    assert found.fields["u"].min() >= 0.0
    assert np.all(found.fields["u"][-1][~np.asarray(grid.mask)] == 0.0)


@pytest.mark.slow
def test_small_cells_shorten_the_steps_no_more_than_their_diffusion_allows():
    """u ∝ e^(2x) in a disc, whose smallest cell is 0.2 % of a whole one: drift and diffusion are both that much faster
    there, and what limits the step is 2D/v², not that times the part inside (4844 steps, now 622 to t = 3)."""
    grid = tme.Grid.square(2.0, 16).with_level_set(lambda y, x: np.hypot(y - 1.013, x - 0.99) - 0.9)
    x, volumes = grid.coordinates()[1], np.asarray(grid.volumes())
    velocity = tuple(2.0 * slope for slope in gradient(grid, jnp.asarray(x)))
    model = tme.Model(
        grid,
        {"u": tme.Species(np.where(grid.mask, 1.0, 0.0), 1.0, drift="scharfetter_gummel")},
        {"p": process(lambda *_: {"u.velocity": velocity})},
    )
    found = tme.simulate(tme.Scenario(model, until=2.0), precision="f64")
    exact = np.exp(2.0 * x) * volumes.sum() / np.sum(volumes * np.exp(2.0 * x))
    np.testing.assert_allclose(found.fields["u"][-1][grid.mask], exact[grid.mask], rtol=1e-3)
    assert int(found.statistics["steps"]) < 1000 and float(found.budgets["u"]["error"]) < 1e-12


def test_tiny_cells_are_dropped_at_the_stated_threshold():
    rough = tme.Grid.square(2.0, 16).with_level_set(disc, smallest=0.2)
    fine = tme.Grid.square(2.0, 16).with_level_set(disc, smallest=0.0)
    assert rough.fractions[rough.mask].min() >= 0.2
    assert rough.mask.sum() < fine.mask.sum()
    assert np.all(rough.fractions[~rough.mask] == 1.0)


def test_the_cut_combines_with_a_mask():
    half = np.ones((16, 16), bool)
    half[:, 8:] = False
    grid = tme.Grid.square(2.0, 16, mask=half).with_level_set(disc)
    assert float(np.sum(grid.volumes())) == pytest.approx(0.5 * np.pi * RADIUS**2, rel=0.01)
    assert "cut" in repr(grid)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda g: g.with_level_set(np.ones((4, 4))), "one value per node"),
        (lambda g: g.with_level_set(np.ones((5, 5))), "must be negative somewhere"),
        (lambda g: g.with_level_set(np.full((5, 5), np.nan)), "must be finite"),
        (lambda g: g.with_level_set(-np.ones((5, 5)), smallest=1.0), "must lie in"),
        (lambda g: tme.Grid(g.widths, fractions=np.ones((4, 4))), "given together"),
        (lambda g: tme.Grid(g.widths, fractions=np.zeros((4, 4)), apertures=(np.ones((5, 4)),) * 2), r"\(0, 1\]"),
        (lambda g: tme.Grid(g.widths, fractions=np.ones((4, 4)), apertures=(np.ones((4, 4)),) * 2), "shapes"),
    ],
)
def test_bad_cuts_are_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build(tme.Grid.square(1.0, 4))
