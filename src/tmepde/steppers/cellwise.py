"""Reactions within a cell: their Jacobian, and small dense systems, one a cell."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from tmepde._types import State
from tmepde.schedule import Clock
from tmepde.steppers.semidiscrete import SemiDiscrete

#: weights over which growth is looked at, and doublings that lead there
_SPAN, _DOUBLINGS = 32, 30


def pointwise_jacobian(
    problem: SemiDiscrete, names: tuple[str, ...], clock: Clock, state: State, every: int = 1
) -> Any:
    """∂(s_i − λ_i u_i)/∂u_j of ``names``, cell by cell, shape ``(i, j, *cells)``; exact where rates are pointwise.

    Compartments beside fields are the same in every cell, and follow all cells of a field at once. ``every``: keep one
    cell in so many, in one row.
    """
    shapes = {n: jnp.shape(state[n]) for n in names}
    cells = max(shapes.values(), key=len)

    def reaction(values: State) -> Any:
        rates = problem.reaction(names, clock, problem.positive({**state, **values}))
        rows = [rates.gain(n) - rates.rate(n) * values[n] for n in names]
        return jnp.stack([jnp.broadcast_to(row, cells) for row in rows])

    here = {n: state[n] for n in names}

    def column(unit: Any) -> Any:
        direction = {n: jnp.broadcast_to(unit[i], shapes[n]) for i, n in enumerate(names)}
        change = jax.jvp(reaction, (here,), (direction,))[1]
        return change if every == 1 else change.reshape(len(names), -1)[:, ::every]

    columns = jax.lax.map(column, jnp.eye(len(names), dtype=jnp.result_type(*here.values())))  # in turn: less memory
    return jnp.moveaxis(columns, 0, 1)


def cellwise_inverse(jacobian: Any, weight: Any) -> Any:
    """(I − weight·J)⁻¹ in every cell, shape ``(i, j, *cells)`` like J."""
    matrix = jnp.moveaxis(jacobian, (0, 1), (-2, -1))
    inverse = jnp.linalg.inv(jnp.eye(matrix.shape[-1], dtype=matrix.dtype) - weight * matrix)
    return jnp.moveaxis(inverse, (-2, -1), (0, 1))


def growth(jacobian: Any, weight: Any) -> Any:
    """weight × the largest real part of an eigenvalue of J in every cell; NaN or infinite where that is beyond any use,
    or where J is (a diagonal entry, or the mean of two that are mirrored, above 8e6/weight): what grows as fast as that
    would look as if it fell.

    From E(t) = exp(tJ), as the 2ᵏ-th power of (I − tJ/2ᵏ)⁻¹: ln ‖E(2t)‖/‖E(t)‖ with t = 32 weights, which neither the
    units of the species nor what one makes of another (C → A + B) enter. E − I is squared, not E, so that a slow mode
    is not lost beside fast ones.
    """
    matrix = jnp.moveaxis(jacobian, (0, 1), (-2, -1))
    unit = jnp.eye(matrix.shape[-1], dtype=matrix.dtype)
    product = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)

    def doubled(_: Any, less: Any) -> Any:
        return 2.0 * less + product(less, less)

    def size(less: Any) -> Any:
        found = jnp.max(jnp.sum(jnp.abs(unit + less), axis=-2), axis=-1)
        return jnp.maximum(found, jnp.finfo(matrix.dtype).eps)

    small = (2.0 * _SPAN / 2.0**_DOUBLINGS) * weight * matrix
    half = jax.lax.fori_loop(1, _DOUBLINGS, doubled, product(small, jnp.linalg.inv(unit - small)))
    told = jnp.max(jnp.sqrt(jnp.abs(small)) * jnp.sqrt(jnp.abs(jnp.swapaxes(small, -1, -2))), axis=(-2, -1)) <= 0.5
    return jnp.where(told, jnp.log(size(doubled(0, half)) / size(half)) / _SPAN, jnp.inf)


def cellwise_product(matrix: Any, values: Any) -> Any:
    """Σ_j M_ij u_j in every cell."""
    return jnp.einsum("ij...,j...->i...", matrix, values, precision=jax.lax.Precision.HIGHEST)
