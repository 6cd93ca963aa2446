"""Geometric multigrid V-cycle, the preconditioner of the elliptic solves.

Cells are merged in pairs along every axis that is still long. The conductance of a coarse face is half the sum of the
fine faces in it (cells twice as far apart; the Galerkin product with these transfers would leave out the half); the
diagonal is summed. (Half the fine face in series with its neighbours, harmonically, took up to three times the
iterations where jumps do not fall on coarse faces: 39 instead of 17 for a checkerboard of contrast 100 on 70 × 33 × 50
cells.) Restriction sums, prolongation copies (its transpose), and a Chebyshev–Jacobi smoother before and after keeps
the cycle symmetric, as conjugate gradients need. Odd lengths are padded with inert cells, masked cells are inert, so
any shape works. The smoother is a ``fori_loop``: unrolled, XLA fused it into recomputation (505 ms and 9 s to compile
instead of 32 ms and 2.9 s at 128³).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde.elliptic.operator import EllipticOperator
from tmepde.operators.faces import pad

#: axes of at most this many cells are not merged further
_SHORT = 4
_SWEEPS = 2


def _inverse(x: Any) -> Any:
    positive = x > 0
    return jnp.where(positive, 1.0 / jnp.where(positive, x, 1.0), 0.0)


def _merge(values: Any, axis: int) -> Any:
    """Sum of neighbouring pairs along ``axis`` by strided slices (a reshape-mean is eight times slower on a CPU)."""
    n = values.shape[axis]
    return jax.lax.slice_in_dim(values, 0, n, 2, axis) + jax.lax.slice_in_dim(values, 1, n, 2, axis)


def _pad_even(op: EllipticOperator, coarsen: tuple[bool, ...]) -> EllipticOperator:
    diagonal, faces = op.diagonal, list(op.faces)
    for k, flag in enumerate(coarsen):
        axis = k - op.ndim
        if flag and diagonal.shape[axis] % 2:
            diagonal = pad(diagonal, axis, 0, 1)
            faces = [pad(f, axis, 0, 1) for f in faces]
    return dataclasses.replace(op, diagonal=diagonal, faces=tuple(faces))


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
    return dataclasses.replace(op, diagonal=diagonal, faces=tuple(faces))


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
        shape = tuple((n + 1) // 2 if c else n for n, c in zip(shape, coarsen, strict=True))
        wait = tuple(w + c for w, c in zip(wait, coarsen, strict=True))


class _Level(eqx.Module):
    operator: EllipticOperator
    inverse_jacobi: Any
    low: Any
    high: Any
    coarsen: tuple[bool, ...] = eqx.field(static=True)


def _level(op: EllipticOperator, coarsen: tuple[bool, ...]) -> _Level:
    couplings = op.couplings()
    inverse = _inverse(op.diagonal + couplings)
    axes = tuple(range(1, op.ndim + 1))
    reach = jnp.max(couplings * inverse, axis=axes, keepdims=True)
    high = 1.0 + reach  # Gershgorin bound of D⁻¹A
    return _Level(op, inverse, jnp.maximum(1.0 - reach, 0.25 * high), high, coarsen)


class Multigrid(eqx.Module):
    """V(2,2) hierarchy of an :class:`EllipticOperator`; calling it applies the cycle to a residual ``(S, *cells)``."""

    levels: list[_Level]
    coarsest: Any

    def __init__(self, op: EllipticOperator):
        levels = []
        op = op.folded()
        for coarsen in _plan(op.diagonal.shape[1:], op.periodic, op.aspect):
            op = _pad_even(op, coarsen)
            levels.append(_level(op, coarsen))
            op = _coarse(op, coarsen)
        self.levels = levels
        self.coarsest = _dense_inverse(op)

    def __call__(self, residual: Any) -> Any:
        return self._cycle(0, residual)

    def _cycle(self, index: int, residual: Any) -> Any:
        if index == len(self.levels):
            flat = residual.reshape(residual.shape[0], -1)
            solved = jnp.einsum("sij,sj->si", self.coarsest, flat, precision=jax.lax.Precision.HIGHEST)
            return solved.reshape(residual.shape)
        level = self.levels[index]
        shape = residual.shape
        padded = level.operator.diagonal.shape
        residual = jnp.pad(residual, [(0, p - n) for p, n in zip(padded, shape, strict=True)])
        u, coarse = _presmooth(level, residual)
        for k, flag in enumerate(level.coarsen):
            coarse = _merge(coarse, k - len(level.coarsen)) if flag else coarse
        correction = self._cycle(index + 1, coarse)
        for k, flag in enumerate(level.coarsen):
            correction = jnp.repeat(correction, 2, axis=k - len(level.coarsen)) if flag else correction
        u = u + correction
        u = _postsmooth(level, u, residual)
        return u[tuple(slice(0, n) for n in shape)]


def _presmooth(level: _Level, residual: Any) -> tuple[Any, Any]:
    """Chebyshev iteration on the Jacobi-scaled operator over [low, high], from zero; returns u and its residual.

    All sweeps run inside the loop: a loop of one trip is inlined and the fusion it should prevent comes back.
    """
    theta, delta = 0.5 * (level.high + level.low), 0.5 * (level.high - level.low) + 1e-6
    sigma = theta / delta

    def sweep(_: Any, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        u, residual, step, rho = carry
        u, residual = u + step, residual - level.operator(step)
        following = 1.0 / (2.0 * sigma - rho)
        step = following * rho * step + 2.0 * following / delta * level.inverse_jacobi * residual
        return u, residual, step, following

    start = (jnp.zeros_like(residual), residual, level.inverse_jacobi * residual / theta, 1.0 / sigma)
    u, residual, _, _ = jax.lax.fori_loop(0, _SWEEPS, sweep, start)
    return u, residual


def _postsmooth(level: _Level, u: Any, b: Any) -> Any:
    """The same iteration from u, whose residual nobody knows yet and nobody needs afterwards: one product a sweep."""
    theta, delta = 0.5 * (level.high + level.low), 0.5 * (level.high - level.low) + 1e-6
    sigma = theta / delta

    def sweep(i: Any, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        u, step, rho = carry
        residual = b - level.operator(u)
        following = jnp.where(i == 0, 1.0 / sigma, 1.0 / (2.0 * sigma - rho))
        keep, take_up = jnp.where(i == 0, 0.0, following * rho), jnp.where(i == 0, 1.0 / theta, 2.0 * following / delta)
        step = keep * step + take_up * level.inverse_jacobi * residual
        return u + step, step, following

    u, _, _ = jax.lax.fori_loop(0, _SWEEPS, sweep, (u, jnp.zeros_like(u), 1.0 / sigma))
    return u


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
    return jnp.linalg.inv(matrix + lift + jax.vmap(jnp.diag)(ridge))
