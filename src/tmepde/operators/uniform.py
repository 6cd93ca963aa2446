"""∇²u where D is one number: three vectors per axis instead of an array per face.

    (∇²u)_i = Σ_k a_i (u_{i−1} − u_i) + b_i (u_{i+1} − u_i) ,   a = A_{i−½}/(W_i (h_i + h_{i−1})), b likewise above

with the face areas A, metric widths W and half widths h of the grid.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from tmepde._types import Field
from tmepde.grid import Grid
from tmepde.operators import ghosts
from tmepde.operators.faces import axis_of, pad, take


def ghosted(grid: Grid, u: Field) -> Any:
    """``u`` with one more cell at every end: the neighbour across a periodic side, else 0 (never used)."""
    return ghosts.ghosted(u, grid.periodic)


def interior(grid: Grid, around: Any) -> Field:
    """The cells themselves of a :func:`ghosted` array."""
    return ghosts.neighbours(around, 0, 0, grid.ndim)


def coupling_rates(grid: Grid, k: int, dtype: Any) -> tuple[Any, Any]:
    """a and b of axis ``k`` in 1/µm², broadcastable, 0 at closed sides; D·(a + b) empties a cell."""
    axis = axis_of(grid, k)
    half, area, width = (
        jnp.asarray(x).astype(dtype) for x in (grid.half_widths(k), grid.areas(k), grid.metric_widths(k))
    )
    inner = take(area, 1, -1, axis) / (take(half, 1, None, axis) + take(half, 0, -1, axis))
    if grid.periodic[k]:
        wrap = take(area, 0, 1, axis) / (take(half, 0, 1, axis) + take(half, -1, None, axis))
        factors = jnp.concatenate([wrap, inner, wrap], axis=axis)
    else:
        factors = pad(inner, axis)
    return take(factors, 0, -1, axis) / width, take(factors, 1, None, axis) / width


def uniform_laplacian(grid: Grid, around: Any) -> Field:
    """∇²u from a :func:`ghosted` u; no mask. Shape ``grid.shape``, unit of u per µm²."""
    u = interior(grid, around)
    out = jnp.zeros((), u.dtype)
    for k in range(grid.ndim):
        below, above = coupling_rates(grid, k, u.dtype)
        out = out + below * (ghosts.neighbours(around, k, -1, grid.ndim) - u)
        out = out + above * (ghosts.neighbours(around, k, 1, grid.ndim) - u)
    return out
