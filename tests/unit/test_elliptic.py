"""Elliptic solves: against a direct sparse solver, and how many iterations they take."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import tmepde as tme
from tmepde.elliptic import EllipticOperator, LinearControl, prepare
from tmepde.elliptic.multigrid import Multigrid
from tmepde.elliptic.solve import differentiable_solve
from tmepde.operators import conductances, metric_volumes


def assemble(op):
    """The operator applied to every unit vector."""
    n = op.diagonal[0].size
    basis = jnp.eye(n).reshape((n, 1, *op.diagonal.shape[1:]))
    return np.asarray(jax.vmap(lambda e: op(jnp.broadcast_to(e, op.diagonal.shape))[0].ravel())(basis)).T


def field(shape, kind, contrast=100.0):
    """A diffusivity between 1 and ``contrast``: smooth waves, jumps in blocks, or random from cell to cell."""
    grids = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    if kind == "smooth":
        wave = np.prod([np.sin(2 * np.pi * g + 0.5) for g in grids], axis=0)
        return contrast ** (0.5 + 0.5 * wave)
    if kind == "jumps":
        checker = sum(np.floor(4 * g).astype(int) for g in grids) % 2
        return np.where(checker == 1, contrast, 1.0)
    return contrast ** np.random.default_rng(0).uniform(size=shape)


def operator(grid, d, s):
    """V − s·V∇·(D∇) with s = Δt D̄/h² folded into D, for one field."""
    mean = float(np.mean(d))
    h = float(np.mean(grid.widths[0]))
    inside = 1.0 if grid.mask is None else jnp.asarray(grid.mask)
    diffusivity = jnp.asarray(d) * inside * (s * h * h / mean)
    volumes = metric_volumes(grid) * inside
    return EllipticOperator(volumes[None], tuple(f[None] for f in conductances(grid, diffusivity)), grid.periodic)


@functools.partial(jax.jit, static_argnums=2)
def solve(op, b, relative):
    return prepare(op)(b, control=LinearControl(relative=relative, limit=100))


def disc(n):
    x = np.linspace(-1, 1, n)
    return x[:, None] ** 2 + x[None, :] ** 2 < 0.8


CASES = {
    "line": (tme.Grid.line(1.0, 33), "random", 1e3),
    "periodic line": (tme.Grid.line(1.0, 24, periodic=True), "random", 1e3),
    "odd": (tme.Grid.box((1.0, 1.3), (17, 23)), "jumps", 100.0),
    "half periodic": (tme.Grid.box((1.0, 1.0), (16, 18), periodic=(True, False)), "smooth", 1e3),
    "masked": (tme.Grid.square(1.0, 21, mask=disc(21)), "random", 1e3),
    "cube": (tme.Grid.cube(1.0, 7), "random", 1e2),
    "thin": (tme.Grid.box((0.1, 1.0), (2, 30)), "smooth", 1e4),
    "stretched": (tme.Grid((np.linspace(0.02, 0.1, 20), np.full(12, 0.05))), "smooth", 1e2),
    "sphere": (tme.Grid.radial(1.0, 25), "smooth", 1e3),
}
MORE = ("odd", "half periodic", "periodic line", "stretched")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in MORE else n for n in CASES])
def test_the_solution_is_that_of_a_sparse_direct_solver(name):
    """To a preconditioned residual of 1e-12 the relative error is below 1e-9, mask, odd sizes and all."""
    grid, kind, s = CASES[name]
    op = operator(grid, field(grid.shape, kind), s)
    inside = np.ones(grid.shape, bool) if grid.mask is None else grid.mask
    b = np.where(inside, np.random.default_rng(1).normal(size=grid.shape), 0.0)
    result = solve(op, jnp.asarray(b)[None], 1e-12)
    assert bool(result.converged[0])
    keep = inside.ravel()
    matrix = scipy.sparse.csc_matrix(assemble(op)[np.ix_(keep, keep)])
    wanted = scipy.sparse.linalg.spsolve(matrix, b.ravel()[keep])
    found = np.asarray(result.value[0]).ravel()
    assert np.linalg.norm(found[keep] - wanted) < 1e-9 * np.linalg.norm(wanted)
    assert np.all(found[~keep] == 0.0)


ITERATIONS = [
    ("smooth", 25.0, 10),
    ("smooth", 1000.0, 10),
    ("jumps", 25.0, 16),
    ("jumps", 1000.0, 16),
    ("random", 1000.0, 16),
]


@pytest.mark.parametrize(("kind", "s", "limit"), ITERATIONS)
def test_multigrid_needs_few_iterations(kind, s, limit):
    """Contrast 100, relative 1e-4 of the preconditioned norm, 65 × 64 cells (odd: padded)."""
    grid = tme.Grid.box((1.0, 1.0), (65, 64))
    b = jnp.asarray(np.random.default_rng(2).normal(size=grid.shape))[None]
    result = solve(operator(grid, field(grid.shape, kind), s), b, 1e-4)
    assert bool(result.converged[0])
    assert int(result.iterations) <= limit, int(result.iterations)


@pytest.mark.parametrize(
    "grid",
    [
        pytest.param(tme.Grid.square(1.0, 64, periodic=True), marks=pytest.mark.slow),
        tme.Grid.box((1.0, 1.0), (47, 61)),
        tme.Grid.square(1.0, 64, mask=disc(64)),
        pytest.param(tme.Grid.box((1.0, 1.0), (50, 64), periodic=(True, False)), marks=pytest.mark.slow),
    ],
    ids=["torus", "odd", "disc", "half periodic"],
)
def test_shapes_and_masks_do_not_cost_iterations(grid):
    inside = 1.0 if grid.mask is None else jnp.asarray(grid.mask)
    b = jnp.asarray(np.random.default_rng(2).normal(size=grid.shape))[None] * inside
    result = solve(operator(grid, field(grid.shape, "smooth"), 1000.0), b, 1e-4)
    assert bool(result.converged[0])
    assert int(result.iterations) <= 10, int(result.iterations)


def test_the_operator_and_the_cycle_are_symmetric_and_positive():
    """What conjugate gradients need of both, on an odd, masked grid."""
    grid = tme.Grid.box((1.0, 1.0), (9, 7), mask=np.random.default_rng(4).uniform(size=(9, 7)) > 0.15)
    op = operator(grid, field(grid.shape, "random"), 50.0)
    inside = grid.mask.ravel()
    for apply in (op, Multigrid(op)):
        n = 63
        basis = jnp.eye(n).reshape(n, 1, 9, 7)
        columns = jax.jit(jax.vmap(lambda e, f=apply: f(e)[0].ravel()))(basis)
        matrix = np.asarray(columns)[np.ix_(inside, inside)]
        np.testing.assert_allclose(matrix, matrix.T, rtol=1e-9, atol=1e-12 * abs(matrix).max())
        assert np.linalg.eigvalsh(0.5 * (matrix + matrix.T)).min() > 0.0


def test_the_operator_is_an_m_matrix():
    grid = tme.Grid.box((1.0, 1.0), (5, 6), periodic=(False, True))
    matrix = assemble(operator(grid, field(grid.shape, "random"), 30.0))
    off = matrix - np.diag(np.diag(matrix))
    assert np.all(off <= 0.0)
    np.testing.assert_allclose(matrix.sum(axis=1), np.asarray(metric_volumes(grid)).ravel(), rtol=1e-9)
    assert np.linalg.inv(matrix).min() >= 0.0


def test_a_field_does_not_depend_on_its_neighbours_in_the_stack():
    """A slow field beside a fast one is the same as alone: converged fields are frozen."""
    grid = tme.Grid.square(1.0, 12)
    one, two = (operator(grid, field(grid.shape, k), s) for k, s in (("smooth", 1.0), ("jumps", 1e4)))
    both = EllipticOperator(
        jnp.concatenate([one.diagonal, two.diagonal]),
        tuple(jnp.concatenate(f) for f in zip(one.faces, two.faces, strict=True)),
        one.periodic,
    )
    b = jnp.asarray(np.random.default_rng(2).normal(size=(2, 12, 12)))
    together, alone = solve(both, b, 1e-4), solve(one, b[:1], 1e-4)
    np.testing.assert_allclose(together.value[0], alone.value[0], rtol=1e-12)
    assert int(together.iterations) > int(alone.iterations)


def test_the_content_of_the_solution_is_exact_however_loose_the_tolerance():
    """Σ c u = Σ b to round-off: mass does not depend on the linear tolerance."""
    grid = tme.Grid.square(1.0, 16)
    op = operator(grid, field(grid.shape, "jumps"), 1000.0)
    b = jnp.asarray(np.random.default_rng(2).uniform(size=(1, 16, 16)))
    value = solve(op, b, 0.3).value
    assert float(jnp.sum(op.diagonal * value)) == pytest.approx(float(jnp.sum(b)), rel=1e-13)


def test_nothing_in_nothing_out():
    grid = tme.Grid.square(1.0, 8)
    result = solve(operator(grid, np.ones((8, 8)), 10.0), jnp.zeros((1, 8, 8)), 1e-6)
    assert bool(result.converged[0])
    np.testing.assert_array_equal(result.value, 0.0)


@pytest.mark.parametrize("power", [-100, 70])
def test_the_unit_of_the_right_hand_side_changes_no_digit(power):
    """Squares of 1e-30 and of 1e21 are beyond float32; a power of two only moves the exponent."""
    grid = tme.Grid.square(1.0, 16)
    op = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), operator(grid, field(grid.shape, "jumps"), 100.0))
    b = jnp.asarray(np.random.default_rng(3).uniform(size=(1, 16, 16)), jnp.float32)
    wanted, found = solve(op, b, 1e-3), solve(op, jnp.ldexp(b, power), 1e-3)
    assert bool(found.converged[0]) and int(found.iterations) == int(wanted.iterations)
    np.testing.assert_array_equal(found.value, jnp.ldexp(wanted.value, power))


def test_not_a_number_is_never_converged():
    grid = tme.Grid.square(1.0, 8)
    b = jnp.ones((1, 8, 8)).at[0, 3, 3].set(jnp.nan)
    assert not bool(solve(operator(grid, np.ones((8, 8)), 10.0), b, 1e-6).converged[0])
    line = tme.Grid.line(1.0, 8)
    assert not bool(solve(operator(line, np.ones(8), 10.0), b[:, 3], 1e-6).converged[0])


@pytest.mark.parametrize("kind", ["smooth", "jumps", "random"])
@pytest.mark.parametrize("s", [1.0, 25.0, 1e5])
def test_iteration_ends_at_the_wanted_error(kind, s):
    """In the norm of A, relative to the solution: the end is predicted from the last residual, to within a half."""
    grid = tme.Grid.box((1.0, 1.0), (40, 48))
    op = operator(grid, field(grid.shape, kind), s)
    b = jnp.asarray(np.random.default_rng(7).normal(size=grid.shape))[None]
    exact, found = solve(op, b, 1e-12).value, solve(op, b, 1e-3).value
    size = lambda u: float(jnp.sqrt(jnp.sum(u * op(u))))  # noqa: E731
    assert size(found - exact) < 1.5e-3 * size(exact)


@pytest.mark.slow
def test_what_is_pulled_back_from_beyond_a_mask_leaves_the_tissue_alone():
    """A mean over all cells reaches those outside; their share went round the preconditioner and into the tissue."""
    grid = tme.Grid.square(1.0, 12, mask=disc(12))
    op = operator(grid, field((12, 12), "smooth"), 20.0)
    inside = np.asarray(grid.mask)[None]
    b = jnp.where(inside, jnp.asarray(np.random.default_rng(1).normal(size=(1, 12, 12))), 0.0)
    solver = prepare(op)
    value = solver(b, control=LinearControl(relative=1e-12, limit=200)).value

    def total(b):
        return jnp.sum(differentiable_solve(op, solver, b, value))

    dense = assemble(op)
    live = inside.ravel()
    expected = np.zeros(live.size)
    expected[live] = np.linalg.solve(dense[np.ix_(live, live)], np.ones(live.sum()))
    np.testing.assert_allclose(np.ravel(jax.grad(total)(b)), expected, rtol=1e-9, atol=1e-12)
