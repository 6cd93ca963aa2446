"""Solve A u = b for a stack of fields: one axis directly (tridiagonal), otherwise conjugate gradients with multigrid.

Iteration stops, field by field, when the preconditioned residual — an estimate of the error of u itself — is small in
the weighted norm of the *step*: sqrt(mean((z·w)²)) ≤ tolerance. Tying the linear tolerance to the step tolerance
matters: a relative residual of 1e-2 made one test wrong by 80 % while its error estimate looked fine. In float32 the
plain residual stalls where the error is already 1e-5, so it is not used. A field that has converged is frozen, so that
its result does not depend on its neighbours in the stack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tmepde.elliptic.multigrid import Multigrid
from tmepde.elliptic.operator import EllipticOperator
from tmepde.operators.faces import take

#: least reduction of the preconditioned norm: slopes below the tolerance add up over many steps, none may be dropped
_REDUCTION = 1e-2


class LinearControl(NamedTuple):
    """When to stop. ``relative``: reduction of the preconditioned norm that always suffices; ``limit``: iterations."""

    relative: Any = 1e-3
    limit: int = 60


class LinearResult(NamedTuple):
    """``value`` ``(S, *cells)``, whether each field ``converged`` ``(S,)``, and the ``iterations`` of the slowest."""

    value: Any
    converged: Any
    iterations: Any


Solver = Callable[..., LinearResult]


def _inner(a: Any, b: Any) -> Any:
    return jnp.sum(a * b, axis=tuple(range(1, a.ndim)), keepdims=True)


def prepare(op: EllipticOperator) -> Solver:
    """Set up a solver for ``op`` and return ``solve(b, guess, weight, tolerance, control)``.

    The set-up (factors, coarse levels) is shared by all right-hand sides. ``weight`` is 1/scale per cell
    ``(S, *cells)`` or a number; ``tolerance`` the weighted error that suffices (0: only the relative criterion).
    """
    frozen = jax.lax.stop_gradient(op)
    if op.ndim == 1 and not any(op.periodic):
        return _direct(frozen)
    return _conjugate_gradients(frozen, Multigrid(frozen))


def _direct(op: EllipticOperator) -> Solver:
    """Thomas elimination: exact, whatever the coefficients."""
    (phi,) = op.faces
    lower, upper = take(phi, 0, -1, -1), take(phi, 1, None, -1)
    diagonal = op.diagonal + lower + upper
    diagonal = jnp.where(diagonal > 0, diagonal, 1.0)
    lower = lower.at[:, 0].set(0.0)
    upper = upper.at[:, -1].set(0.0)

    def solve(
        b: Any, guess: Any = None, weight: Any = 1.0, tolerance: Any = 0.0, control: LinearControl = LinearControl()
    ) -> LinearResult:
        if diagonal.shape[-1] == 1:
            value = b / diagonal
        else:
            value = jax.lax.linalg.tridiagonal_solve(-lower, diagonal, -upper, b[..., None])[..., 0]
        return LinearResult(value, jnp.all(jnp.isfinite(value), axis=-1), jnp.asarray(1))

    return solve


def _conjugate_gradients(op: EllipticOperator, precondition: Callable[[Any], Any]) -> Solver:
    total = _inner(op.diagonal, jnp.ones_like(op.diagonal))
    live = op.diagonal + op.couplings() > 0  # prolongation spreads into cells outside the mask

    def balance(u: Any, b: Any) -> Any:
        """Shift each field by a constant so that Σ(b − A u) = Σb − Σ c u = 0: conserves mass to round-off."""
        lack = _inner(b, jnp.ones_like(b)) - _inner(op.diagonal, u)
        shift = jnp.where(total > 0, lack / jnp.where(total > 0, total, 1.0), 0.0)
        return jnp.where(op.diagonal > 0, u + shift, u)

    def solve(
        b: Any, guess: Any = None, weight: Any = 1.0, tolerance: Any = 0.0, control: LinearControl = LinearControl()
    ) -> LinearResult:
        cells = b[0].size

        def unfinished(z: Any, product: Any, reference: Any) -> Any:
            size = jnp.sqrt(_inner(z * weight, z * weight) / cells)
            small = (size <= tolerance) & (product <= _REDUCTION**2 * reference)
            enough = small | (product <= control.relative**2 * reference)
            return ~enough & (product > 0)

        def keep_going(carry: tuple[Any, ...]) -> Any:
            return jnp.any(carry[3]) & (carry[6] < control.limit)

        def iterate(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            # the preconditioner stands here once and nowhere else: every further copy costs a second of compilation
            u, residual, p, on, product, reference, count = carry
            z = jnp.where(live, precondition(residual), 0.0)
            updated = _inner(residual, z)
            reference = jnp.where(count == 0, updated, reference)
            on = on & unfinished(z, updated, reference)
            beta = jnp.where(product > 0, updated / jnp.where(product > 0, product, 1.0), 0.0)
            p = z + beta * p
            ap = op(p)
            curvature = _inner(p, ap)
            step = jnp.where(on & (curvature > 0), updated / jnp.where(curvature > 0, curvature, 1.0), 0.0)
            return u + step * p, residual - step * ap, p, on, updated, reference, count + 1

        u = jnp.zeros_like(b) if guess is None else guess
        residual = b if guess is None else b - op(u)
        zero = jnp.zeros((b.shape[0],) + (1,) * (b.ndim - 1), b.dtype)
        on = jnp.any(residual != 0, axis=tuple(range(1, b.ndim)), keepdims=True)
        start = (u, residual, jnp.zeros_like(b), on, zero, zero, jnp.asarray(0))
        u, _, _, on, _, _, count = jax.lax.while_loop(keep_going, iterate, start)
        value = balance(u, b)
        finite = jnp.all(jnp.isfinite(value.reshape(value.shape[0], -1)), axis=1)
        return LinearResult(value, finite & ~on.reshape(-1), count)

    return solve


def differentiable_solve(op: EllipticOperator, solver: Solver, b: Any, value: Any) -> Any:
    """``value`` (already A⁻¹b), made differentiable with respect to ``op`` and ``b``.

    By the implicit function theorem du = A⁻¹(db − dA u): one more solve with the same preconditioner, forwards or
    backwards, to a tight relative tolerance; the iterations themselves are never differentiated.
    """
    value = jax.lax.stop_gradient(value)
    rest = b - op(value)
    rest = rest - jax.lax.stop_gradient(rest)  # zero, with the right derivative
    tight = LinearControl(relative=float(30 * jnp.finfo(rest.dtype).eps), limit=200)
    frozen = jax.lax.stop_gradient(op)

    def solve(_: Any, rhs: Any) -> Any:
        return solver(rhs, control=tight).value

    return value + jax.lax.custom_linear_solve(frozen, rest, solve, symmetric=True)
