"""Diffusivities with a direction: one per axis, and symmetric tensors."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ladder import matrix, orders

import tmepde as tme
from tmepde.elliptic import EllipticOperator, prepare
from tmepde.elliptic.solve import LinearControl
from tmepde.operators import fibres, field_flow, stack_flows, tensor
from tmepde.operators.anisotropy import lattice
from tmepde.process import process
from tmepde.scenario import reservations

L = 20.0


def rows(angle, parallel, across=1.0):
    """Plain numbers: faster along (sin, cos) of ``angle`` in (y, x)."""
    full = np.asarray(fibres((np.sin(angle), np.cos(angle)), parallel, across))
    return tuple(tuple(float(v) for v in row) for row in full)


def gaussian(covariance, *coordinates):
    """Density of a centred normal distribution."""
    inverse = np.linalg.inv(covariance)
    square = sum(inverse[i, j] * a * b for i, a in enumerate(coordinates) for j, b in enumerate(coordinates))
    scale = np.sqrt(np.linalg.det(2 * np.pi * covariance))
    return np.exp(-0.5 * square) / scale


def spread(n, diffusivity, full, until=0.5, steps=32, **options):
    """Relative error of u(0) = N(0, I) spreading by the tensor ``full``: N(0, I + 2 D t), far from the sides."""
    dimension = len(full)
    grid = tme.Grid.box((L,) * dimension, (n,) * dimension)
    coordinates = [c - L / 2 for c in grid.coordinates()]
    model = tme.Model(grid, {"u": tme.Species(gaussian(np.eye(dimension), *coordinates), diffusivity)})
    control = tme.StepControl(dt=until / steps)
    found = tme.simulate(tme.Scenario(model, until=until), precision="f64", control=control, **options)
    exact = gaussian(np.eye(dimension) + 2.0 * until * np.asarray(full), *coordinates)
    error = np.sqrt(np.mean((found.fields["u"][-1] - exact) ** 2) / np.mean(exact**2))
    return float(error), found


@functools.cache
def rotated(angle, parallel):
    full = rows(angle, parallel)
    return [spread(n, full, full, 0.2, 16) for n in (24, 48)]


@pytest.mark.slow
@pytest.mark.parametrize(("angle", "parallel"), [(0.5, 5.0), (-1.2, 10.0)])
def test_a_rotated_gaussian_is_met_with_order_two(angle, parallel):
    """16 steps of the second-order scheme leave 1e-4, far below the error of the grid."""
    assert orders([e for e, _ in rotated(angle, parallel)])[-1] == pytest.approx(2.0, abs=0.15)


@pytest.mark.slow
def test_a_tensor_keeps_the_mass_and_the_sign():
    for _, found in rotated(0.5, 5.0):
        assert float(found.budgets["u"]["error"]) < 1e-13
        assert found.fields["u"].min() >= 0.0


def test_one_diffusivity_per_axis_is_met_with_order_two():
    full = np.diag([3.0, 0.7])
    assert orders([spread(n, (3.0, 0.7), full, 0.3, 8)[0] for n in (20, 40)])[-1] == pytest.approx(2.0, abs=0.1)


@pytest.mark.slow
def test_three_dimensions():
    full = np.array([[2.0, 0.5, -0.3], [0.5, 1.0, 0.2], [-0.3, 0.2, 1.5]])
    given = tuple(tuple(float(v) for v in r) for r in full)
    errors = [spread(n, given, full, 0.3, 8)[0] for n in (24, 32)]
    assert orders(errors, 4 / 3)[-1] == pytest.approx(2.0, abs=0.2)
    assert errors[-1] < 0.03


@pytest.mark.parametrize("limit", [1.0, 17.9])
def test_the_lattice_weights_give_back_the_tensor(limit):
    """Σ_o w_o o oᵀ = D for every direction up to an anisotropy of 17.9 in the plane, with w ≥ 0."""
    angles = np.linspace(0.0, np.pi, 181)
    sine, cosine = np.sin(angles), np.cos(angles)
    a, b, c = 1.0 + (limit - 1.0) * sine**2, (limit - 1.0) * sine * cosine, 1.0 + (limit - 1.0) * cosine**2
    axes, weights = lattice(((jnp.asarray(a), jnp.asarray(b)), (jnp.asarray(b), jnp.asarray(c))))
    total = [axes[0], jnp.zeros_like(a), axes[1]]
    for (p, q), w in weights.items():
        assert float(w.min()) >= 0.0
        total = [total[0] + p * p * w, total[1] + p * q * w, total[2] + q * q * w]
    assert float(min(axes[0].min(), axes[1].min())) >= 0.0
    for found, wanted in zip(total, (a, b, c), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-12 * limit)


def test_the_lattice_weights_in_space():
    """Exact where D is diagonally dominant; beyond that the diagonal is kept and the off-diagonals reduced."""

    def rebuilt(full):
        given = tuple(tuple(jnp.asarray(float(v)) for v in row) for row in full)
        axes, weights = lattice(given)
        assert all(float(w) >= 0.0 for w in (*axes, *weights.values()))
        out = np.diag([float(a) for a in axes])
        for offset, w in weights.items():
            out += float(w) * np.outer(offset, offset)
        return out

    mild = np.array([[2.0, 0.5, -0.3], [0.5, 1.0, 0.2], [-0.3, 0.2, 1.5]])
    np.testing.assert_allclose(rebuilt(mild), mild, atol=1e-15)
    d = np.ones(3) / np.sqrt(3.0)
    steep = np.eye(3) + 9.0 * np.outer(d, d)
    found = rebuilt(steep)
    np.testing.assert_allclose(np.diag(found), np.diag(steep))
    assert 0.0 < found[0, 1] < steep[0, 1]


def _operator(grid, seed=0):
    """A tensor that differs from cell to cell, with loss 1, and its dense matrix."""
    rng = np.random.default_rng(seed)
    angle, strength = rng.uniform(0, np.pi, grid.shape), rng.uniform(1, 8, grid.shape)
    d = fibres((jnp.sin(angle), jnp.cos(angle)), jnp.asarray(strength), 1.0)
    faces, links, offsets = stack_flows([field_flow(grid, d)])
    volumes = np.asarray(grid.volumes())[None]
    return EllipticOperator(jnp.asarray(volumes), faces, grid.periodic, links, offsets)


MASK = np.ones((12, 12), bool)
MASK[4:7, 5:9] = False
GRIDS = {
    "closed": tme.Grid.square(12.0, 12),
    "periodic": tme.Grid.square(12.0, 12, periodic=(True, False)),
    "masked": tme.Grid.square(12.0, 12, mask=MASK),
    "oblong": tme.Grid.box((12.0, 30.0), (12, 12)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_the_operator_is_a_symmetric_m_matrix_whose_rows_add_up_to_the_loss(name):
    op = _operator(GRIDS[name])
    cells = np.prod(op.diagonal.shape)
    basis = jnp.eye(int(cells)).reshape(-1, *op.diagonal.shape)
    a = np.asarray(jax.vmap(op)(basis)).reshape(cells, cells)
    np.testing.assert_allclose(a, a.T, atol=1e-12)
    off = a - np.diag(np.diag(a))
    assert off.max() <= 0.0
    np.testing.assert_allclose(a.sum(axis=1), np.asarray(op.diagonal).ravel(), atol=1e-10)
    inert = np.asarray(op.diagonal + op.couplings()).ravel() == 0
    np.testing.assert_allclose(a + np.diag(1.0 * inert), matrix(op).toarray(), atol=1e-12)
    assert inert.sum() == (0 if name != "masked" else (~MASK).sum())


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n == "closed" else n for n in GRIDS])
def test_the_linear_solver_inverts_it(name):
    op = _operator(GRIDS[name])
    b = jnp.where(op.diagonal > 0, jnp.asarray(np.random.default_rng(1).normal(size=op.diagonal.shape)), 0.0)
    solved = prepare(op)(b, control=LinearControl(relative=1e-12, limit=200))
    assert bool(solved.converged.all())
    np.testing.assert_allclose(op(solved.value), b, atol=1e-8)
    assert int(solved.iterations) < 40  # 20 to 25: links are preconditioned by axis faces


def test_nothing_passes_a_wall_or_a_diagonal_gap_of_the_mask():
    """Two chambers that touch at a corner alone: diagonal links must not join them."""
    mask = np.zeros((8, 8), bool)
    mask[:4, :4] = mask[4:, 4:] = True
    grid = tme.Grid.square(8.0, 8, mask=mask)
    start = np.zeros((8, 8))
    start[:4, :4] = 1.0
    model = tme.Model(grid, {"u": tme.Species(start, rows(np.pi / 4, 5.0))})
    found = tme.simulate(tme.Scenario(model, until=5.0), precision="f64")
    np.testing.assert_array_equal(found.fields["u"][-1][4:, 4:], 0.0)
    np.testing.assert_allclose(found.fields["u"][-1][:4, :4], 1.0, rtol=1e-12)


def test_a_cell_without_diffusivity_is_left_alone():
    angle = 0.6
    d = tuple(
        tuple(np.where(np.arange(6)[:, None] == 3, 0.0, v) + np.zeros((6, 6)) for v in r) for r in rows(angle, 4.0)
    )
    faces, links = field_flow(tme.Grid.square(6.0, 6), jax.tree.map(jnp.asarray, d))
    assert float(jnp.abs(faces[0][3:5]).max()) == 0.0
    for offset, link in links.items():
        touched = link[3]
        assert float(jnp.abs(touched).max()) == 0.0
        assert float(jnp.abs(link[3 - offset[0]]).max()) == 0.0


def test_diffusivities_of_different_forms_add_up_and_are_scaled():
    def more(clock, state, tissue):
        return {"u.diffusivity": 0.5}

    def axes(clock, state, tissue):
        return {"u.diffusivity": (0.1, 0.2)}

    grid = tme.Grid.square(1.0, 4)
    model = tme.Model(grid, {"u": tme.Species(1.0, ((1.0, 0.3), (0.3, 2.0)))}, [process(more), process(axes)])
    from tmepde.model import System

    (a, b), (_, c) = System(model).coefficients(None, {"u": jnp.ones((4, 4))}).diffusivity["u"]
    assert [float(v) for v in (a, b, c)] == pytest.approx([1.6, 0.3, 2.7])


def test_a_tensor_field_as_one_array():
    full = np.zeros((4, 4, 2, 2)) + np.array([[1.0, 0.3], [0.3, 2.0]])
    (a, b), (_, c) = tensor(full)
    assert a.shape == (4, 4) and float(b[0, 0]) == 0.3 and float(c[0, 0]) == 2.0
    tme.Model(
        tme.Grid.square(1.0, 4), {"u": tme.Species(1.0, tuple(tuple(np.asarray(v) for v in r) for r in tensor(full)))}
    )
    with pytest.raises(ValueError, match="must end in"):
        tensor(np.ones((3, 2)))


@pytest.mark.slow
def test_gradients_with_respect_to_a_tensor_are_those_of_differences():
    grid = tme.Grid.square(8.0, 8)
    y, x = grid.coordinates()
    start = np.exp(-((x - 4) ** 2) - (y - 4) ** 2)

    def end(b):
        one, two = jnp.asarray(2.0), jnp.asarray(1.5)
        model = tme.Model(grid, {"u": tme.Species(start, ((one, b), (b, two)))})
        found = tme.simulate(tme.Scenario(model, until=0.5), [0.5], precision="f64", control=tme.StepControl(dt=0.1))
        return jnp.sum(found.fields["u"][-1] * jnp.asarray((x - 4) * (y - 4)))

    slope = jax.grad(end)(0.4)
    h = 1e-4
    assert float(slope) == pytest.approx(
        (float(end(0.4 + h)) - float(end(0.4 - h))) / (2 * h), rel=1e-3
    )  # values: iterations


@pytest.mark.parametrize(
    ("grid", "diffusivity", "words"),
    [
        (tme.Grid.square(1.0, 4), (1.0,), "2 entries"),
        (tme.Grid.square(1.0, 4), (1.0, -1.0), "must not be negative"),
        (tme.Grid.square(1.0, 4), ((1.0, 0.2), (0.3, 1.0)), "symmetric"),
        (tme.Grid.square(1.0, 4), ((1.0, 2.0), (2.0, 1.0)), "no negative eigenvalue"),
        (tme.Grid.square(1.0, 4), (1.0, np.ones(3)), "shape"),
        (tme.Grid.square(1.0, 4), ((1.0, np.nan), (np.nan, 1.0)), "finite"),
    ],
)
def test_bad_diffusivities_are_refused(grid, diffusivity, words):
    with pytest.raises(ValueError, match=words):
        tme.Model(grid, {"u": tme.Species(1.0, diffusivity)})


@pytest.mark.parametrize(
    ("dimension", "ratio", "share"), [(2, 17.0, None), (2, 100.0, "31%"), (3, 3.0, None), (3, 10.0, "33%")]
)
def test_a_tensor_that_is_too_steep_is_told_of(dimension, ratio, share):
    """Its spread would be that of another tensor: along (0.3, 1) the cross term is 19 instead of 28 after N(0, 4)."""
    direction = (np.sin(0.3), np.cos(0.3)) if dimension == 2 else (1.0, 1.0, 1.0)
    full = np.asarray(fibres(direction, ratio, 1.0), np.float32)
    given = tuple(tuple(float(v) for v in row) for row in full)
    grid = tme.Grid.box((4.0,) * dimension, (4,) * dimension)
    told = reservations(tme.Scenario(tme.Model(grid, {"u": tme.Species(1.0, given)}), until=1.0))
    assert told == [] if share is None else share in told[0]


def test_a_tensor_needs_equal_cells():
    grid = tme.Grid((np.array([1.0, 2.0, 3.0]), np.ones(3)))
    with pytest.raises(ValueError, match="equal cells along each axis"):
        field_flow(grid, jax.tree.map(lambda v: jnp.full((3, 3), v), ((1.0, 0.1), (0.1, 1.0))))


@pytest.mark.slow
def test_a_steep_tensor_meets_a_side_kept_at_a_value_with_order_two():
    """u = x/L between two sides to round-off, and u = sin(πx/L) (1 + cos(2πy/L)/2) with the source that keeps it: links
    of two cells that a side cuts are made up for (2e-2 and order 1 without)."""
    full = rows(-0.4, 12.0)

    def law(clock, state, tissue, amount):
        return {"u.source": amount}

    def found(n, source, start, high):
        grid = tme.Grid.square(L, n, periodic=(True, False))
        sides = {"x-": tme.Dirichlet(0.0), "x+": tme.Dirichlet(high)}
        species = {"u": tme.Species(start, full, sides, kind="quasi_steady", signed=True)}
        keep = tme.process(
            lambda clock, state, tissue, amount: {"u.source": amount}, amount=source(*grid.coordinates())
        )
        scenario = tme.Scenario(tme.Model(grid, species, {"keep": keep}), until=1.0)
        control = tme.StepControl(rtol=1e-9)
        return grid.coordinates(), tme.simulate(scenario, precision="f64", control=control).fields["u"][-1]

    (_, x), linear = found(16, lambda y, x: 0.0 * x * y, 0.5, 1.0)
    np.testing.assert_allclose(linear, np.broadcast_to(x / L, linear.shape), atol=1e-8)

    def wave(y, x):
        return jnp.sin(jnp.pi * x / L) * (1 + 0.5 * jnp.cos(2 * jnp.pi * y / L))

    def source(y, x):
        p, q = jnp.pi / L, 2 * jnp.pi / L
        along, across = jnp.sin(p * x), 1 + 0.5 * jnp.cos(q * y)
        mixed = -0.5 * p * q * jnp.cos(p * x) * jnp.sin(q * y)
        (a, b), (_, c) = full
        return -(a * along * (across - 1) * -(q**2) + 2 * b * mixed - c * p**2 * along * across)

    errors = []
    for n in (16, 32):
        (y, x), field = found(n, source, 0.5, 0.0)
        errors.append(np.max(np.abs(field - wave(y, x))))
    assert orders(errors)[0] > 1.8 and errors[-1] < 0.02
