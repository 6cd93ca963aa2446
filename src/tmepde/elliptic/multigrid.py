"""Geometric multigrid V-cycle, the preconditioner of the elliptic solves.

Cells are merged in pairs along every axis that is still long. The conductance of a coarse face is half the sum of the
fine faces in it (cells twice as far apart; the Galerkin product with these transfers would leave out the half); the
diagonal is summed. (Half the fine face in series with its neighbours, harmonically, took up to three times the
iterations where jumps do not fall on coarse faces: 39 instead of 17 for a checkerboard of contrast 100 on 70 × 33 × 50
cells.) Restriction sums, prolongation copies (its transpose), and a Chebyshev–Jacobi smoother before and after keeps
the cycle symmetric, as conjugate gradients need. Odd lengths are padded with inert cells, masked cells are inert, so
any shape works. Every pass over the cells stands apart from the next (:func:`apart`): XLA else fuses a chain of
stencils into recomputation (505 ms a cycle at 128³ instead of 32 ms, and 9 s to compile).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde.elliptic.operator import EllipticOperator
from tmepde.layout import current, parts_of, platform
from tmepde.layout import level as settled
from tmepde.operators.apart import apart
from tmepde.operators.faces import pad
from tmepde.operators.ghosts import ghosted, neighbours

#: axes of at most this many cells are not merged further
_SHORT = 4


def _chebyshev(low: float, high: float) -> tuple[float, float, float]:
    """(first, keep, take) of two steps of Chebyshev iteration on D⁻¹A over [low, high], with t = D⁻¹(b − A u) (Saad
    2003, Iterative Methods for Sparse Linear Systems, algorithm 12.1):

    u₁ = u₀ + first·t₀ ,   u₂ = u₁ + keep (u₁ − u₀) + take·t₁
    """
    theta, delta = 0.5 * (high + low), 0.5 * (high - low)
    sigma = theta / delta
    following = 1.0 / (2.0 * sigma - 1.0 / sigma)
    return 1.0 / theta, following / sigma, 2.0 * following / delta


#: D⁻¹A has no eigenvalue beyond 2 (Gershgorin); those below a quarter of that are left to the coarser levels
_FIRST, _KEEP, _TAKE = _chebyshev(0.5, 2.0)


def reciprocal(x: Any) -> Any:
    """1/x, 0 where x is 0."""
    positive = x > 0
    return jnp.where(positive, 1.0 / jnp.where(positive, x, 1.0), 0.0)


def _merge(values: Any, axis: int) -> Any:
    """Sum of neighbouring pairs along ``axis`` by strided slices (a reshape-mean is eight times slower on a CPU)."""
    n = values.shape[axis]
    return jax.lax.slice_in_dim(values, 0, n, 2, axis) + jax.lax.slice_in_dim(values, 1, n, 2, axis)


def _padding(cells: tuple[int, ...], periodic: tuple[bool, ...], coarsen: tuple[bool, ...]) -> tuple[int, ...]:
    """Inert cells to add at the end of each axis, so that pairs come out even, in every part where there are many."""
    each = zip(cells, parts_of(cells), periodic, coarsen, strict=True)
    return tuple(-n % (2 * m) if c and not p else 0 for n, m, p, c in each)


def _pad_even(op: EllipticOperator, padding: tuple[int, ...]) -> EllipticOperator:
    diagonal, faces = op.diagonal, list(op.faces)
    for k, more in enumerate(padding):
        if more:
            diagonal = pad(diagonal, k - op.ndim, 0, more)
            faces = [pad(f, k - op.ndim, 0, more) for f in faces]
    return dataclasses.replace(op, diagonal=diagonal, faces=tuple(faces), pairs=())


def _coarse(op: EllipticOperator, coarsen: tuple[bool, ...]) -> EllipticOperator:
    """Rediscretise ``op`` (even along the axes to coarsen) on cells merged in pairs."""
    diagonal, faces = op.diagonal, list(op.faces)
    for k, flag in enumerate(coarsen):
        if not flag:
            continue
        axis = k - op.ndim
        phi, n = faces[k], diagonal.shape[axis]
        merged = 0.5 * jax.lax.slice_in_dim(phi, 0, n + 1, 2, axis)
        faces = [merged if j == k else _merge(f, axis) for j, f in enumerate(faces)]
        diagonal = _merge(diagonal, axis)
    return dataclasses.replace(op, diagonal=diagonal, faces=tuple(faces), pairs=())


def _plan(shape: tuple[int, ...], periodic: tuple[bool, ...], aspect: tuple[int, ...]) -> list[tuple[bool, ...]]:
    """Which axes to merge at each level: those with long cells only once the others have caught up."""
    plan: list[tuple[bool, ...]] = []
    wait = aspect or (0,) * len(shape)
    while True:
        able = tuple(n > _SHORT and not (p and n % 2) for n, p in zip(shape, periodic, strict=True))
        if not any(able):
            return plan
        least = min(w for w, a in zip(wait, able, strict=True) if a)
        coarsen = tuple(a and w == least for w, a in zip(wait, able, strict=True))
        plan.append(coarsen)
        padding = _padding(shape, periodic, coarsen)
        shape = tuple((n + more) // 2 if c else n for n, more, c in zip(shape, padding, coarsen, strict=True))
        wait = tuple(w + c for w, c in zip(wait, coarsen, strict=True))


class _Level(eqx.Module):
    """An operator with D⁻¹ = 1/(c + w Σ_f Φ_f), 0 in inert cells."""

    operator: EllipticOperator
    inverse: Any
    coarsen: tuple[bool, ...] = eqx.field(static=True)


class Multigrid(eqx.Module):
    """V(2,2) hierarchy of an :class:`EllipticOperator`; calling it applies the cycle to a residual ``(S, *cells)``.

    The value is 0 in inert cells. ``inverse``: D⁻¹ of ``op``, where it is at hand; ``below``:
    :attr:`below` of the same. ``coarsest``: the inverse of the last operator, or, where that lies in parts no more, a
    hierarchy that each device goes through by itself.
    """

    levels: list[_Level]
    coarsest: Any

    def __init__(self, op: EllipticOperator, inverse: Any = None, below: Any = None):
        levels: list[_Level] = []
        inverse = None if op.links else inverse
        op = op.folded()
        layout, wait = current(), op.aspect or (0,) * op.ndim
        for coarsen in _plan(op.diagonal.shape[1:], op.periodic, op.aspect):
            even = _pad_even(op, _padding(op.diagonal.shape[1:], op.periodic, coarsen))
            if inverse is None or levels or even.diagonal.shape != op.diagonal.shape:
                inverse = reciprocal(even.diagonal + even.couplings())
            even = even.paired()
            levels.append(_Level(even, inverse, coarsen))
            if below is not None:
                self.levels, self.coarsest = [*levels, *below[0]], below[1]
                return
            op = _coarse(even, coarsen)
            wait = tuple(w + c for w, c in zip(wait, coarsen, strict=True))
            if layout is not None and not layout.cuts(op.diagonal.shape[1:]):
                op = dataclasses.replace(op, aspect=wait)
                self.levels, self.coarsest = levels, layout.alone(Multigrid, op)
                return
        self.levels, self.coarsest = levels, _dense_inverse(op)

    @property
    def below(self) -> Any:
        """The coarser levels, all that need be kept where the operator itself is at hand."""
        return self.levels[1:], self.coarsest

    def __call__(self, residual: Any) -> Any:
        return self._cycle(0, residual)

    def _cycle(self, index: int, residual: Any) -> Any:
        if index == len(self.levels):
            layout = current()
            if layout is not None and isinstance(self.coarsest, Multigrid):
                return layout.alone(lambda cycle, b: cycle(b), self.coarsest, residual)
            flat = residual.reshape(residual.shape[0], -1)
            solved = jnp.einsum("sij,sj->si", self.coarsest, flat, precision=jax.lax.Precision.HIGHEST)
            return solved.reshape(residual.shape)
        level = self.levels[index]
        shape = residual.shape
        padded = level.operator.diagonal.shape
        if shape != padded:
            residual = settled(jnp.pad(residual, [(0, p - n) for p, n in zip(padded, shape, strict=True)]))
        u = _presmooth(level, residual)
        correction = self._cycle(index + 1, settled(apart(_restricted, level, u, residual)))
        u = _postsmooth(level, _step(_corrected, level, u, correction), residual)
        return u if u.shape == shape else settled(u[tuple(slice(0, n) for n in shape)])


def _step(function: Callable[..., Any], *values: Any) -> Any:
    """:func:`apart` on a CPU; elsewhere the next pass computes it on the way, for itself and its neighbours, rather
    than that another array is written and read."""
    return apart(function, *values) if platform() == "cpu" else function(*values)


def _defect(level: _Level, u: Any, scaled: Any) -> Any:
    """t = D⁻¹(b − A u) from ``scaled`` = D⁻¹b. Its round-off, that of u, is of no consequence in a preconditioner, and
    neither c nor the differences of neighbours need be read."""
    return scaled - u + level.inverse * level.operator.inflow(u)


def _presmooth(level: _Level, b: Any) -> Any:
    """Two sweeps from zero. On a CPU the first is written with its ghosts alone (7 % of a cycle)."""

    def first(b: Any) -> Any:
        return _FIRST * level.inverse * b

    def both(b: Any) -> Any:
        op = level.operator
        ghosts = ghosted(first(b) if platform() == "cpu" else apart(first, b), op.periodic)
        u = neighbours(ghosts, 0, 0, op.ndim)
        return (1.0 + _KEEP) * u + _TAKE * (u / _FIRST - u + level.inverse * op.inflow_from(ghosts))

    return apart(both, b)


def _residual(level: _Level, u: Any, b: Any) -> Any:
    return b + level.operator.inflow(u) - u / jnp.maximum(level.inverse, jnp.finfo(u.dtype).tiny)


def _restricted(level: _Level, u: Any, b: Any) -> Any:
    """The residual of u, summed over the cells that are merged."""
    coarsen = level.coarsen

    def merged(values: Any) -> Any:
        for k, flag in enumerate(coarsen):
            values = _merge(values, k - len(coarsen)) if flag else values
        return values

    return _within(merged, coarsen, _step(_residual, level, u, b))


def _corrected(level: _Level, u: Any, correction: Any) -> Any:
    for k, flag in enumerate(level.coarsen):
        correction = jnp.repeat(correction, 2, axis=k - len(level.coarsen)) if flag else correction
    return u + settled(correction)


def _within(merge: Callable[[Any], Any], coarsen: tuple[bool, ...], values: Any) -> Any:
    """``merge`` of ``values``, in each part for itself where pairs do not lie across parts."""
    layout, cells = current(), values.shape[-len(coarsen) :]
    parts = parts_of(cells)
    even = all(not c or n % (2 * m) == 0 for n, m, c in zip(cells, parts, coarsen, strict=True))
    return merge(values) if layout is None or parts == (1,) * len(cells) or not even else layout.locally(merge, values)


def _postsmooth(level: _Level, start: Any, b: Any) -> Any:
    """Two sweeps from ``start``, and 0 in inert cells, into which the prolongation spreads."""
    u = apart(lambda u, b: u + _FIRST * _defect(level, u, level.inverse * b), start, b)

    def last(u: Any, start: Any, b: Any) -> Any:
        u = u + _KEEP * (u - start) + _TAKE * _defect(level, u, level.inverse * b)
        return jnp.where(level.inverse > 0, u, 0.0)

    return apart(last, u, start, b)


def _dense_inverse(op: EllipticOperator) -> Any:
    """Inverse of the coarsest operator, shape ``(S, N, N)``; inert cells and a null space are given a unit diagonal."""
    fields, cells = op.diagonal.shape[0], op.diagonal.shape[1:]
    n = 1
    for m in cells:
        n *= m
    basis = jnp.eye(n, dtype=op.diagonal.dtype).reshape((n, 1, *cells))
    columns = jax.vmap(lambda e: op(jnp.broadcast_to(e, op.diagonal.shape)))(basis)
    matrix = jnp.moveaxis(columns.reshape(n, fields, n), 0, 2)
    diagonal = jnp.diagonal(matrix, axis1=1, axis2=2)
    inert = jnp.where(diagonal > 0, 0.0, 1.0)
    typical = jnp.max(diagonal, axis=1, keepdims=True)
    ridge = inert * jnp.where(typical > 0, typical, 1.0) + typical * 10.0 * jnp.finfo(matrix.dtype).eps
    singular = jnp.all(op.diagonal.reshape(fields, -1) == 0, axis=1)  # closed sides, no loss: constants are lifted
    live = jnp.where(diagonal > 0, 1.0, 0.0)
    lift = jnp.where(singular[:, None, None], typical[:, :, None] / n * live[:, :, None] * live[:, None, :], 0.0)
    return _inverse_positive(matrix + lift + jax.vmap(jnp.diag)(ridge))


def _inverse_positive(matrix: Any) -> Any:
    """Inverses of positive definite matrices ``(S, N, N)`` by Gauss–Jordan elimination, which needs no pivots there (a
    factorisation and two triangular solves of 64 unknowns took 3 ms on a CPU, as long as two V-cycles of 64³)."""
    size = matrix.shape[-1]

    def eliminate(k: Any, a: Any) -> Any:
        unit = jnp.arange(size) == k
        row, column = (jax.lax.dynamic_index_in_dim(a, k, axis, keepdims=False) for axis in (1, 2))
        pivot = jax.lax.dynamic_slice_in_dim(row, k, 1, axis=1)
        row = jnp.where(unit, 1.0, row) / pivot
        inner = jnp.where(unit[None, None, :], 0.0, a) - column[:, :, None] * row[:, None, :]
        return jnp.where(unit[None, :, None], row[:, None, :], inner)

    return jax.lax.fori_loop(0, size, eliminate, matrix)
