"""GMRES for the coupled linear system of a Newton step (Saad & Schultz 1986, SIAM J. Sci. Stat. Comput. 7:856).

    x = argmin ‖b − M x‖ over the Krylov space of b ,     M v given as a function

Vectors are flat and scaled, so that the plain norm is the one that matters; M is preconditioned from the left, so that
the residual is an estimate of the error. The basis is orthogonalised twice. The residual of a restart is
taken from the basis itself, so that the program holds M once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tmepde._types import State


class Krylov(NamedTuple):
    """``value`` x, ``residual`` ‖b − M x‖, ``count`` of products by M, and the ``cost`` that M reported in all."""

    value: Any
    residual: Any
    count: Any
    cost: Any


class Packing:
    """State ↔ flat vector in which the plain norm is the largest-field-honest norm Σ_k mean((u_k/scale_k)²).

    ``weights``: √(volume share)/scale per entry, zero outside the mask and where the scale is zero.
    """

    def __init__(self, names: tuple[str, ...], like: State, weights: State):
        self.names, self.weights = names, {n: jnp.broadcast_to(weights[n], jnp.shape(like[n])) for n in names}
        self.shapes = {n: jnp.shape(like[n]) for n in names}

    def flat(self, state: State) -> Any:
        return jnp.concatenate([jnp.ravel(state[n] * self.weights[n]) for n in self.names])

    def state(self, vector: Any) -> State:
        out, at = {}, 0
        for name in self.names:
            size = int(jnp.size(self.weights[name]))
            part = vector[at : at + size].reshape(self.shapes[name])
            weight = self.weights[name]
            out[name] = jnp.where(weight > 0, part / jnp.where(weight > 0, weight, 1.0), 0.0)
            at += size
        return out


def gmres(matvec: Callable[[Any], tuple[Any, Any]], b: Any, tolerance: Any, limit: Any, restart: int = 30) -> Krylov:
    """Solve M x = b from x = 0.

    Args:
        matvec: v ↦ (M v, cost of it).
        tolerance: of ‖b − M x‖, absolute.
        limit: most products by M; 0 returns x = 0.
        restart: size of the basis (static).
    """
    zero = jnp.zeros((), b.dtype)

    def unfinished(carry: tuple[Any, ...]) -> Any:
        _, residual, size, count, _ = carry
        return (size > tolerance) & (count < limit) & jnp.isfinite(size)

    def cycle(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        x, residual, size, count, cost = carry
        step, residual, size, count, cost = _cycle(matvec, residual, size, tolerance, (count, limit), cost, restart)
        return x + step, residual, size, count, cost

    size = jnp.linalg.norm(b)
    start = (jnp.zeros_like(b), b, size, jnp.asarray(0), jnp.asarray(0))
    x, _, size, count, cost = jax.lax.while_loop(unfinished, cycle, start)
    return Krylov(x, size + zero, count, cost)


def _cycle(
    matvec: Callable[[Any], tuple[Any, Any]],
    residual: Any,
    size: Any,
    tolerance: Any,
    counts: tuple[Any, Any],
    cost: Any,
    restart: int,
) -> tuple[Any, ...]:
    """One Arnoldi cycle; Qᵀ H = R is kept by plane rotations, β Q e₁ is the rotated right-hand side."""
    before, limit = counts
    basis = jnp.zeros((restart + 1, residual.size), residual.dtype).at[0].set(residual / size)
    rotation = jnp.eye(restart + 1, dtype=residual.dtype)
    triangle = jnp.eye(restart + 1, restart, dtype=residual.dtype)

    def unfinished(carry: tuple[Any, ...]) -> Any:
        j, left = carry[0], carry[4]
        return (j < restart) & (before + j < limit) & (left > tolerance) & jnp.isfinite(left)

    def extend(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        j, basis, rotation, triangle, _, cost = carry
        w, spent = matvec(basis[j])
        h = basis @ w
        w = w - h @ basis
        again = basis @ w
        w, h = w - again @ basis, h + again
        length = jnp.linalg.norm(w)
        basis = basis.at[j + 1].set(jnp.where(length > 0, w / jnp.where(length > 0, length, 1.0), 0.0))
        column = rotation @ h.at[j + 1].set(length)
        below = column[j + 1]
        hypotenuse = jnp.hypot(column[j], below)
        safe = jnp.where(hypotenuse > 0, hypotenuse, 1.0)
        c, s = jnp.where(hypotenuse > 0, column[j] / safe, 1.0), below / safe
        upper, lower = rotation[j], rotation[j + 1]
        rotation = rotation.at[j].set(c * upper + s * lower).at[j + 1].set(c * lower - s * upper)
        column = column.at[j].set(safe).at[j + 1].set(0.0)
        triangle = triangle.at[:, j].set(column)
        return j + 1, basis, rotation, triangle, size * jnp.abs(rotation[j + 1, 0]), cost + spent

    start = (jnp.asarray(0), basis, rotation, triangle, size, cost)
    used, basis, rotation, triangle, left, cost = jax.lax.while_loop(unfinished, extend, start)
    rhs = jnp.where(jnp.arange(restart) < used, size * rotation[:restart, 0], 0.0)
    y = jax.scipy.linalg.solve_triangular(triangle[:restart], rhs)
    step = y @ basis[:restart]
    rest = size * rotation[used, 0] * (rotation[used] @ basis)
    return step, rest, left, before + used, cost
