"""∇·(D ∇u) with face conductances, and the sides of the box as sources and loss rates of the edge cells.

    G_f = A_f / (w_i / 2D_i + w_j / 2D_j)        (two half cells in series: the harmonic mean; exact for a jump of D)
    q_in = κ' (U − u_i) + g,   1/κ' = 1/κ + (w_i/2)/D_i        (boundary: the bath's barrier and half a cell in series)

An arithmetic mean instead is 22 times the tolerance off in a two-layer slab; a Robin flux taken from the cell-centre
value 3.6 times. Where D vanishes with u itself (porous media) a harmonic mean would never let a front enter an empty
cell: ``mean="arithmetic"`` interpolates D to the face instead, and takes for D_i at a side kept at U the mean of D(U)
and D(u_i). Cut faces conduct with their open part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from tmepde._types import Faces, Field, State
from tmepde.boundary import NoFlux, Sides
from tmepde.grid import Grid
from tmepde.operators.anisotropy import along
from tmepde.operators.faces import axis_of, box_volumes, close, open_parts, pad, take


@jax.custom_jvp
def _ratio(numerator: Any, denominator: Any) -> Any:
    """numerator/denominator, 0 where the denominator is 0, with a finite derivative there; NaN stays NaN.

    The derivative that JAX would write holds 1/denominator², which is infinite in float32 below 1e-19.
    """
    positive = ~(denominator <= 0)
    return jnp.where(positive, numerator / jnp.where(positive, denominator, 1.0), 0.0)


@_ratio.defjvp
def _change_of_ratio(values: tuple[Any, Any], changes: tuple[Any, Any]) -> tuple[Any, Any]:
    found, denominator = _ratio(*values), values[1]
    positive = ~(denominator <= 0)
    change = (changes[0] - found * changes[1]) / jnp.where(positive, denominator, 1.0)
    return found, jnp.where(positive, change, 0.0)


def face_transfer(grid: Grid, diffusivity: Any, k: int, mean: str = "harmonic") -> Any:
    """D_f/(distance of the centres) at the faces along axis ``k`` in µm/h, n_k + 1 entries along it; closed sides 0.

    Args:
        diffusivity: that along axis k, the grid's shape in its last axes.
        mean: ``"harmonic"`` (two half cells in series) or ``"arithmetic"`` (interpolated to the face).
    """
    axis = axis_of(grid, k)
    half = jnp.broadcast_to(jnp.asarray(grid.half_widths(k)), grid.shape).astype(diffusivity.dtype)

    def between(lower: slice, upper: slice) -> Any:
        d, e = (take(diffusivity, s.start, s.stop, axis) for s in (lower, upper))
        a, b = (take(half, s.start, s.stop, axis) for s in (lower, upper))
        return d * _ratio(e, a * e + b * d) if mean == "harmonic" else (d * b + e * a) / (a + b) ** 2

    wrap = between(slice(-1, None), slice(0, 1)) if grid.periodic[k] else None
    return close(grid, between(slice(0, -1), slice(1, None)), wrap, k)


def conductances(grid: Grid, diffusivity: Any, mean: str = "harmonic") -> Faces:
    """Face conductances times the transverse metric widths: Φ_f (u_j − u_i) is the flow from j into i.

    ``diffusivity`` in µm²/h has the grid's shape in its last axes, or is a tuple of such arrays, one per axis. Zero at
    closed sides and mask edges.
    """
    out = []
    for k in range(grid.ndim):
        faces = face_transfer(grid, along(diffusivity, k), k, mean)
        faces = face_areas(grid, k, faces.dtype) * faces
        whole = grid.mask is None and grid.apertures is None
        out.append(faces if whole else faces * open_parts(grid, k, faces.dtype))
    return tuple(out)


def face_areas(grid: Grid, k: int, dtype: Any) -> Any:
    """Whole areas of the faces along axis ``k``: r^m times the metric widths of the other axes, broadcastable."""
    area = jnp.asarray(grid.areas(k)).astype(dtype)
    transverse = box_volumes(grid).astype(dtype) / jnp.asarray(grid.metric_widths(k)).astype(dtype)
    return area * take(transverse, 0, 1, axis_of(grid, k))


def boundary_terms(
    grid: Grid, sides: Sides, diffusivity: Any, clock: Any, state: State, reached: Callable[[Any], Any] | None = None
) -> tuple[Field, Field] | None:
    """Source (unit/h) and loss rate (1/h) that the sides impose on the edge cells; ``None`` if all are closed.

    Args:
        reached: the diffusivity that the cells would have at a given value (the grid's shape). Between a side kept at U
            and the centre of its cell D is then the mean of D(U) and D(u_i); ``None``: D(u_i).
    """
    dtype = along(diffusivity, 0).dtype
    source = loss = jnp.asarray(0.0, dtype)
    closed = True
    for k, pair in enumerate(sides):
        if grid.periodic[k]:
            continue
        axis, n = axis_of(grid, k), grid.shape[k]
        for low, condition in zip((True, False), pair, strict=True):
            if isinstance(condition, NoFlux):
                continue
            closed = False
            cell, face = (slice(0, 1), slice(0, 1)) if low else (slice(-1, None), slice(-1, None))
            transfer, outside, flux = condition.terms(clock, state)
            half = take(jnp.asarray(grid.half_widths(k)), cell.start, cell.stop, axis)
            inner = take(along(diffusivity, k), cell.start, cell.stop, axis)
            if reached is not None and transfer is None:
                there = reached(jnp.broadcast_to(_side(outside, k, grid), grid.shape))
                inner = 0.5 * (inner + take(along(there, k), cell.start, cell.stop, axis))
            inner = inner / half
            barrier = None if transfer is None else _side(transfer, k, grid)
            effective = inner if barrier is None else inner * _ratio(barrier, barrier + inner)
            area = take(jnp.asarray(grid.areas(k)), face.start, face.stop, axis)
            width = take(jnp.asarray(grid.metric_widths(k)), cell.start, cell.stop, axis)
            area = area * _cut(grid, k, cell, face, axis)
            rate = effective * area / width
            inflow = rate * _side(outside, k, grid) + _side(flux, k, grid) * area / width
            ends = dict(low=0, high=n - 1) if low else dict(low=n - 1, high=0)
            edge = tuple(1 if j == k else m for j, m in enumerate(grid.shape))
            source = source + pad(jnp.broadcast_to(inflow, edge).astype(dtype), axis, **ends)
            loss = loss + pad(jnp.broadcast_to(rate, edge).astype(dtype), axis, **ends)
    if closed:
        return None
    if grid.mask is not None:
        inside = jnp.asarray(grid.mask)
        source, loss = jnp.where(inside, source, 0.0), jnp.where(inside, loss, 0.0)
    return source, loss


def _side(value: Any, k: int, grid: Grid) -> Any:
    """A boundary value as a number or an array over the side, with a singleton along axis k."""
    value = jnp.asarray(value)
    return value if value.ndim == 0 else value.reshape(tuple(1 if j == k else m for j, m in enumerate(grid.shape)))


def _cut(grid: Grid, k: int, cell: slice, face: slice, axis: int) -> Any:
    """Open part of a side's faces over the part of the cells behind them that is inside."""
    if grid.apertures is None:
        return 1.0
    open_part = take(jnp.asarray(grid.apertures[k]), face.start, face.stop, axis)
    return open_part / take(jnp.asarray(grid.fractions), cell.start, cell.stop, axis)
