"""Grids: geometry, volumes, masks, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme


def test_box_geometry():
    grid = tme.Grid.box((2.0, 6.0), (4, 3))
    assert (grid.shape, grid.ndim, grid.axes) == ((4, 3), 2, ("y", "x"))
    np.testing.assert_allclose(grid.faces(1), [0.0, 2.0, 4.0, 6.0])
    np.testing.assert_allclose(grid.centers(0), [0.25, 0.75, 1.25, 1.75])
    y, x = grid.coordinates()
    assert y.shape == x.shape == (4, 3)
    assert y[1, 0] == 0.75 and x[0, 2] == 5.0
    np.testing.assert_allclose(grid.volumes(), np.full((4, 3), 1.0))


def test_axis_names_end_in_x():
    assert tme.Grid.line(1.0, 2).axes == ("x",)
    assert tme.Grid.cube(1.0, 2).axes == ("z", "y", "x")
    assert tme.Grid.radial(1.0, 2).axes == ("r",)


@pytest.mark.parametrize(
    ("symmetry", "inner", "whole"),
    [
        ("slab", 1.0, 2.0),
        ("cylinder", 0.0, np.pi * 9.0),
        ("cylinder", 1.0, np.pi * 8.0),
        ("sphere", 0.0, 4 / 3 * np.pi * 27.0),
        ("sphere", 1.0, 4 / 3 * np.pi * 26.0),
    ],
)
def test_volumes_add_up(symmetry, inner, whole):
    grid = tme.Grid.radial(3.0, 7, symmetry, inner)
    assert float(np.sum(grid.volumes())) == pytest.approx(whole, rel=1e-12)
    assert float(grid.integrate(jnp.full(7, 2.0))) == pytest.approx(2.0 * whole, rel=1e-12)


def test_metric_widths_do_not_cancel_in_single_precision():
    """∫ r² dr of a thin shell far out: 1 µm at 10 mm, relative error below 1e-6 (b³ − a³ would lose three digits)."""
    grid = tme.Grid((jnp.full(4, 1.0, jnp.float32),), origin=(jnp.asarray(9996.0, jnp.float32),), symmetry="sphere")
    a, b = 9999.0, 10000.0
    assert float(grid.metric_widths(0)[-1]) == pytest.approx((b**3 - a**3) / 3.0, rel=1e-6)


def test_a_mean_counts_the_tissue_alone():
    mask = np.array([[True, False], [True, True]])
    grid = tme.Grid.square(2.0, 2, mask=mask)
    values = jnp.asarray([[1.0, np.nan], [2.0, 3.0]])
    assert float(grid.integrate(values)) == pytest.approx(6.0)


def test_mean_over_a_mask_divides_by_the_tissue_volume():
    grid = tme.Grid.square(2.0, 2, mask=np.array([[True, False], [True, True]]))
    assert float(grid.mean(jnp.ones((2, 2)))) == pytest.approx(1.0)


def test_unequal_widths_and_origin():
    grid = tme.Grid((np.array([1.0, 2.0, 3.0]),), origin=(-1.0,))
    np.testing.assert_allclose(grid.faces(0), [-1.0, 0.0, 2.0, 5.0])
    np.testing.assert_allclose(grid.centers(0), [-0.5, 1.0, 3.5])


def test_extent_is_data_and_shape_is_structure():
    one, two = jax.tree.structure(tme.Grid.line(1.0, 4)), jax.tree.structure(tme.Grid.line(9.0, 4))
    assert one == two
    assert one != jax.tree.structure(tme.Grid.line(1.0, 5))
    assert one != jax.tree.structure(tme.Grid.line(1.0, 4, periodic=True))


def test_extent_can_be_differentiated():
    slope = jax.grad(lambda length: jnp.sum(tme.Grid.line(length, 4).volumes()))(3.0)
    assert float(slope) == pytest.approx(1.0)


def test_arrays_are_frozen():
    with pytest.raises(ValueError, match="read-only"):
        tme.Grid.line(1.0, 4).widths[0][0] = 2.0


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: tme.Grid.box((1.0,), (2, 3)), "must agree"),
        (lambda: tme.Grid.line(1.0, 0), "whole numbers of at least 1"),
        (lambda: tme.Grid.line(1.0, 2.5), "whole numbers of at least 1"),
        (lambda: tme.Grid.line(-1.0, 4), "must be positive"),
        (lambda: tme.Grid.line(float("nan"), 4), "must be finite"),
        (lambda: tme.Grid.box((1.0,) * 4, (2,) * 4), "1, 2 or 3 axes"),
        (lambda: tme.Grid.radial(1.0, 4, "cone"), "symmetry"),
        (lambda: tme.Grid((np.ones(3), np.ones(3)), symmetry="sphere"), "one axis r"),
        (lambda: tme.Grid((np.ones(3),), symmetry="sphere", periodic=True), "cannot be periodic"),
        (lambda: tme.Grid((np.ones(4),), origin=(-1.0,), symmetry="sphere"), "`origin` must be at least 0"),
        (lambda: tme.Grid.square(1.0, 3, periodic=(True,)), "one per axis"),
        (lambda: tme.Grid.square(1.0, 3, mask=np.ones((2, 3), bool)), "must have the grid's shape"),
        (lambda: tme.Grid.square(1.0, 3, mask=np.ones((3, 3))), "must be boolean"),
        (lambda: tme.Grid.square(1.0, 3, mask=np.zeros((3, 3), bool)), "must contain tissue"),
    ],
)
def test_bad_grids_are_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_repr_names_the_axes():
    assert repr(tme.Grid.box((1.0, 1.0), (4, 3))) == "Grid(4 × 3 cells (y, x))"
    assert "sphere" in repr(tme.Grid.radial(1.0, 3))
