"""From cells to faces and back: shifts, means and gradients on a grid.

Cell arrays have the grid's shape in their last axes; face arrays along axis k have n_k + 1 entries there, the first and
last being the sides of the box. Sides are closed unless the axis is periodic, and so are the faces at a mask's edge.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from tmepde._types import Faces, Field
from tmepde.grid import Grid


def take(values: Any, start: int | None, stop: int | None, axis: int) -> Any:
    """``values[start:stop]`` along ``axis``."""
    n = values.shape[axis]
    begin, end, _ = slice(start, stop).indices(n)
    return jax.lax.slice_in_dim(values, begin, end, axis=axis)


def pad(values: Any, axis: int, low: int = 1, high: int = 1) -> Any:
    """Zeros before and after along ``axis`` (the one form of padding that XLA fuses on a CPU)."""
    width = [(0, 0)] * values.ndim
    width[axis] = (low, high)
    return jnp.pad(values, width)


def shift(values: Any, offset: tuple[int, ...], periodic: tuple[bool, ...]) -> Any:
    """x_{i + offset} of each cell i: zero beyond a closed side, wrapped around a periodic one."""
    for k, o in enumerate(offset):
        axis = k - len(offset)
        if o == 0:
            continue
        inner, rest = (take(values, o, None, axis), (0, o)) if o > 0 else (take(values, 0, o, axis), (-o, 0))
        if periodic[k]:
            ends = take(values, 0, o, axis) if o > 0 else take(values, o, None, axis)
            values = jnp.concatenate([inner, ends] if o > 0 else [ends, inner], axis=axis)
        else:
            values = pad(inner, axis, *rest)
    return values


def axis_of(grid: Grid, k: int) -> int:
    """Array axis of grid axis k, counted from the end, so that leading batch axes are allowed."""
    return k - grid.ndim


def close(grid: Grid, interior: Any, wrap: Any, k: int) -> Any:
    """Face array from its interior faces (n − 1): closed sides get 0, periodic sides the ``wrap`` value twice."""
    axis = axis_of(grid, k)
    if not grid.periodic[k]:
        return pad(interior, axis)
    return jnp.concatenate([wrap, interior, wrap], axis=axis)


def open_faces(grid: Grid, k: int, dtype: Any) -> Any:
    """1 where a face along axis k joins two tissue cells, else 0; shape with n_k + 1 along k."""
    inside = jnp.ones(grid.shape, dtype) if grid.mask is None else jnp.asarray(grid.mask).astype(dtype)
    axis = axis_of(grid, k)
    interior = take(inside, 1, None, axis) * take(inside, 0, -1, axis)
    wrap = take(inside, 0, 1, axis) * take(inside, -1, None, axis) if grid.periodic[k] else None
    faces = close(grid, interior, wrap, k)
    return faces if grid.apertures is None else faces * (jnp.asarray(grid.apertures[k]) > 0).astype(dtype)


def open_parts(grid: Grid, k: int, dtype: Any) -> Any:
    """Open part of each face along axis k: 0 or 1, or the aperture of a cut face; 0 at the sides of the box."""
    faces = open_faces(grid, k, dtype)
    return faces if grid.apertures is None else faces * jnp.asarray(grid.apertures[k]).astype(dtype)


def distances(grid: Grid, k: int) -> tuple[Any, Any]:
    """Centre-to-centre distances across the interior faces, and across the periodic face."""
    half = jnp.asarray(grid.half_widths(k))
    axis = axis_of(grid, k)
    return take(half, 1, None, axis) + take(half, 0, -1, axis), take(half, 0, 1, axis) + take(half, -1, None, axis)


def gradient(grid: Grid, u: Field) -> Faces:
    """Normal derivative ∂u/∂x_k at the faces (unit/µm), zero at closed sides and mask edges."""
    out = []
    for k in range(grid.ndim):
        axis = axis_of(grid, k)
        between, across = distances(grid, k)
        interior = (take(u, 1, None, axis) - take(u, 0, -1, axis)) / between.astype(u.dtype)
        wrap = (take(u, 0, 1, axis) - take(u, -1, None, axis)) / across.astype(u.dtype) if grid.periodic[k] else None
        faces = close(grid, interior, wrap, k)
        out.append(faces if grid.mask is None else faces * open_faces(grid, k, u.dtype))
    return tuple(out)


def face_mean(grid: Grid, u: Field) -> Faces:
    """Arithmetic mean of the two cells at each face; the cell's own value at closed sides."""
    out = []
    for k in range(grid.ndim):
        axis = axis_of(grid, k)
        first, last = take(u, 0, 1, axis), take(u, -1, None, axis)
        if grid.periodic[k]:
            first = last = 0.5 * (first + last)
        interior = 0.5 * (take(u, 1, None, axis) + take(u, 0, -1, axis))
        out.append(jnp.concatenate([first, interior, last], axis=axis))
    return tuple(out)


def faces_to_cells(grid: Grid, faces: Faces) -> Faces:
    """Per axis the mean of a cell's two faces. At a closed face the open one counts alone (one-sided)."""
    out = []
    for k, values in enumerate(faces):
        axis = axis_of(grid, k)
        weight = open_faces(grid, k, values.dtype)
        total = take(values * weight, 1, None, axis) + take(values * weight, 0, -1, axis)
        count = take(weight, 1, None, axis) + take(weight, 0, -1, axis)
        out.append(total / jnp.maximum(count, 1.0))
    return tuple(out)


def cell_gradient(grid: Grid, u: Field) -> Faces:
    """Per axis ∂u/∂x_k at the cell centres (unit/µm): second order inside, one-sided at closed faces."""
    return faces_to_cells(grid, gradient(grid, u))


def _root(square: Any) -> Any:
    """√x with derivative 0 at 0."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


def gradient_norm(grid: Grid, u: Field) -> Field:
    """|∇u| at the cell centres (unit/µm)."""
    return _root(sum(g * g for g in cell_gradient(grid, u)))


def face_norm(grid: Grid, u: Field) -> Faces:
    """|∇u| at the faces: the normal part from the two cells, the tangential parts averaged from cell gradients."""
    normal, cells = gradient(grid, u), cell_gradient(grid, u)
    out = []
    for k in range(grid.ndim):
        square = normal[k] ** 2
        for j in range(grid.ndim):
            if j != k:
                square = square + face_mean(grid, cells[j])[k] ** 2
        out.append(_root(square))
    return tuple(out)


def metric_volumes(grid: Grid) -> Any:
    """Π_k W_k, the cell volumes without the solid angle and without the mask, shape ``grid.shape``; cut cells count
    with their part inside."""
    out = box_volumes(grid)
    return out if grid.fractions is None else out * jnp.asarray(grid.fractions)


def box_volumes(grid: Grid) -> Any:
    """Π_k W_k of whole cells, whatever cuts them. Axes of equal cells enter as one number: as arrays every sum over the
    cells read another copy of them (at 128³ 16 of the 25 arrays that a step kept)."""
    out = jnp.asarray(1.0)
    for k in range(grid.ndim):
        out = out * (jnp.asarray(grid.widths[k])[0] if grid.equal[k] else jnp.asarray(grid.metric_widths(k)))
    return jnp.broadcast_to(out, grid.shape)
