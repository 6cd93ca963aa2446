"""Diffusivities with a direction: per axis, or symmetric tensors as links to further cells with non-negative weights.

A diffusivity is a number or field D, a tuple of one entry per axis (D_0, D_1, …), or a tuple of rows of a symmetric
tensor ((D_00, D_01, …), …); entries are numbers or fields. A tensor is written as a sum over offsets o of cells,

    D_kl = Σ_o w_o (o_k h_k)(o_l h_l) ,  w_o ≥ 0 ,      ∇u·D∇u ≈ Σ_o w_o (u_{i+o} − u_i)²

so that the discrete operator stays a symmetric M-matrix: monotone, conservative, closed at closed sides. With
d_kl = D_kl/(h_k h_l), in two dimensions m = min(d_00, d_11), M = max(d_00, d_11), β = |d_01|:

    β ≤ m        w = β on (1, ±1), axes d_00 − β and d_11 − β                              (Weickert 1998, ch. 3)
    β > m        e = β − m:  w = e on (1, ±2) or (2, ±1), β − 2e on (1, ±1), axes 0 and M − β − 2e

The second line (a step of Selling's reduction, as in Fehrenbach & Mirebeau 2014) needs β ≤ 2m and 3β ≤ M + 2m: beyond
that β is *reduced* to the bound, less anisotropy than asked for. In three dimensions offsets have entries of at most
1 along pairs of axes, and off-diagonals are reduced until d_kk ≥ Σ_l |d_kl|.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import jax.numpy as jnp

from tmepde.grid import Grid
from tmepde.operators.faces import box_volumes, shift

Weights = dict[tuple[int, ...], Any]


def is_tensor(diffusivity: Any) -> bool:
    """Whether a diffusivity is given by rows."""
    return isinstance(diffusivity, tuple) and isinstance(diffusivity[0], tuple)


def along(diffusivity: Any, k: int) -> Any:
    """The diffusivity normal to axis ``k``: D, D_k or D_kk."""
    if is_tensor(diffusivity):
        return diffusivity[k][k]
    return diffusivity[k] if isinstance(diffusivity, tuple) else diffusivity


def tensor(values: Any) -> tuple[tuple[Any, ...], ...]:
    """Rows of a tensor field given as one array of shape ``(*cells, n, n)``, e.g. of diffusion imaging; symmetrised."""
    values = jnp.asarray(values)
    n = values.shape[-1]
    if values.ndim < 2 or values.shape[-2] != n or n not in (2, 3):
        raise ValueError(f"Argument `values` must end in (2, 2) or (3, 3), but has shape {values.shape}.")
    return tuple(tuple(0.5 * (values[..., i, j] + values[..., j, i]) for j in range(n)) for i in range(n))


def fibres(direction: tuple[Any, ...], parallel: Any, across: Any) -> tuple[tuple[Any, ...], ...]:
    """D = D_⊥ I + (D_∥ − D_⊥) d dᵀ: faster along fibres.

    Args:
        direction: one entry (number or field) per axis in array order; any length, where zero D is D_⊥ I.
        parallel, across: D_∥ and D_⊥ in µm²/h.
    """
    if not isinstance(direction, tuple | list) or len(direction) not in (2, 3):
        raise ValueError(f"Argument `direction` must have one entry per axis (2 or 3), but {direction!r} was given.")
    square = sum(jnp.asarray(d) ** 2 for d in direction)
    scale = jnp.where(square > 0, (parallel - across) / jnp.where(square > 0, square, 1.0), 0.0)
    return tuple(
        tuple(scale * d * e + (across if i == j else 0.0) for j, e in enumerate(direction))
        for i, d in enumerate(direction)
    )


def lattice(scaled: tuple[tuple[Any, ...], ...]) -> tuple[list[Any], Weights]:
    """Weights w ≥ 0 of the axes and of the further offsets, for d_kl = D_kl/(h_k h_l)."""
    return _plane(scaled) if len(scaled) == 2 else _space(scaled)


def _plane(d: tuple[tuple[Any, ...], ...]) -> tuple[list[Any], Weights]:
    a, b, c = d[0][0], d[0][1], d[1][1]
    small, large = jnp.minimum(a, c), jnp.maximum(a, c)
    beta = jnp.minimum(jnp.abs(b), jnp.where(large >= 4.0 * small, 2.0 * small, (large + 2.0 * small) / 3.0))
    excess = jnp.maximum(beta - small, 0.0)
    lesser, greater = jnp.maximum(small - beta, 0.0), jnp.maximum(large - beta - 2.0 * excess, 0.0)
    first = a >= c  # the larger one is along axis 0
    axes = [jnp.where(first, greater, lesser), jnp.where(first, lesser, greater)]
    weights: Weights = {}
    for sign in (1, -1):
        here = jnp.sign(b) * sign > 0
        weights[(1, sign)] = jnp.where(here, beta - 2.0 * excess, 0.0)
        weights[(2, sign)] = jnp.where(here & first, excess, 0.0)
        weights[(1, 2 * sign)] = jnp.where(here & ~first, excess, 0.0)
    return axes, weights


def _space(d: tuple[tuple[Any, ...], ...]) -> tuple[list[Any], Weights]:
    others = [sum(jnp.abs(d[k][j]) for j in range(3) if j != k) for k in range(3)]
    share = [jnp.where(s > d[k][k], d[k][k] / jnp.where(s > 0, s, 1.0), 1.0) for k, s in enumerate(others)]
    axes, weights = [d[k][k] for k in range(3)], {}
    for k, j in combinations(range(3), 2):
        value = d[k][j] * jnp.minimum(share[k], share[j])
        axes = [a - jnp.abs(value) if i in (k, j) else a for i, a in enumerate(axes)]
        for sign in (1, -1):
            offset = tuple(1 if i == k else sign if i == j else 0 for i in range(3))
            weights[offset] = jnp.maximum(sign * value, 0.0)
    return [jnp.maximum(a, 0.0) for a in axes], weights


def reduced(grid: Grid, diffusivity: Any) -> Any:
    """The largest part of an off-diagonal entry of a tensor that its weights leave out, over the tissue.

    What is small beside the diagonal entries does not count.
    """
    n = grid.ndim
    wanted = _scaled(_cell_widths(grid), diffusivity)
    _, weights = lattice(wanted)
    inside = jnp.ones(grid.shape, bool) if grid.mask is None else jnp.asarray(grid.mask)
    lost = []
    for k, j in combinations(range(n), 2):
        carried = sum(o[k] * o[j] * w for o, w in weights.items())
        matters = inside & (jnp.abs(wanted[k][j]) > 1e-2 * jnp.sqrt(wanted[k][k] * wanted[j][j]))
        lost.append(jnp.max(jnp.where(matters, 1.0 - carried / jnp.where(matters, wanted[k][j], 1.0), 0.0)))
    return jnp.max(jnp.stack(lost))


def tensor_parts(grid: Grid, diffusivity: Any) -> tuple[tuple[Any, ...], Any, Weights]:
    """Axis diffusivities and a measure Σ_k d_kk (fields of the grid's shape), and link conductances of a tensor.

    A link counts with the arithmetic mean of its two weights times the harmonic over the arithmetic mean of Σ_k d_kk,
    so that a jump of a factor is met as by a harmonic mean and nothing passes where D = 0. It is open if all cells of
    the box that it spans are inside.

    Raises:
        ValueError: on grids of one axis, or with cells of unequal width along an axis.
    """
    _check(grid)
    dtype = diffusivity[0][0].dtype
    widths = [w.astype(dtype) for w in _cell_widths(grid)]
    scaled = _scaled(widths, diffusivity)
    axes, weights = lattice(scaled)
    trace = sum(scaled[k][k] for k in range(grid.ndim))
    volumes = box_volumes(grid).astype(dtype)
    inside = jnp.ones(grid.shape, dtype) if grid.mask is None else jnp.asarray(grid.mask).astype(dtype)
    links = {}
    for offset, weight in weights.items():
        other = shift(trace, offset, grid.periodic)
        square = (trace + other) ** 2
        damping = jnp.where(square > 0, 4.0 * trace * other / jnp.where(square > 0, square, 1.0), 0.0)
        amount = volumes * weight
        both = 0.5 * (amount + shift(amount, offset, grid.periodic))
        links[offset] = both * damping * _open(inside, offset, grid.periodic)
    return tuple(w * h * h for w, h in zip(axes, widths, strict=True)), trace, links


def straddling(grid: Grid, diffusivity: Any, k: int) -> Any:
    """Σ_o V w_o of each cell over the links that span two cells of axis ``k``."""
    dtype = diffusivity[0][0].dtype
    _, weights = lattice(_scaled([w.astype(dtype) for w in _cell_widths(grid)], diffusivity))
    return box_volumes(grid).astype(dtype) * sum(
        (w for o, w in weights.items() if abs(o[k]) == 2), jnp.zeros((), dtype)
    )


def _cell_widths(grid: Grid) -> list[Any]:
    return [2.0 * jnp.broadcast_to(jnp.asarray(grid.half_widths(k)), grid.shape) for k in range(grid.ndim)]


def _scaled(widths: list[Any], diffusivity: Any) -> tuple[tuple[Any, ...], ...]:
    """d_kl = D_kl/(h_k h_l)."""
    return tuple(tuple(d / (widths[k] * widths[j]) for j, d in enumerate(row)) for k, row in enumerate(diffusivity))


def _open(inside: Any, offset: tuple[int, ...], periodic: tuple[bool, ...]) -> Any:
    """1 where all cells of the box between i and i + offset are inside."""
    found = inside
    for k, o in enumerate(offset):
        step = 1 if o > 0 else -1
        for _ in range(abs(o)):
            unit = tuple(step if j == k else 0 for j in range(len(offset)))
            found = found * shift(found, unit, periodic)
    return found


def _check(grid: Grid) -> None:
    import numpy as np

    if grid.ndim == 1:
        raise ValueError("A tensor diffusivity needs two or three axes, but the grid has one. Give a number or field.")
    for k, width in enumerate(grid.widths):
        if isinstance(width, np.ndarray) and np.ptp(width) > 1e-6 * np.max(width):
            raise ValueError(
                f"A tensor diffusivity needs equal cells along each axis, but axis {grid.axes[k]} has widths from "
                f"{width.min():g} to {width.max():g} µm. Use equal cells, or one diffusivity per axis."
            )
