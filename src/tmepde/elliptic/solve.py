"""Solve A u = b for a stack of fields, with the solver that suits the operator and the step.

    direct         one axis: Thomas elimination
    fast_diagonal  one D per field, no mask: conjugate gradients with the exact inverse at the mean loss rate
    multigrid      anything: conjugate gradients with a V-cycle
    jacobi         conjugate gradients with the diagonal, where a step is so short that neighbours hardly couple

``auto`` takes the first that can do it, and within ``multigrid`` the diagonal whenever no cell's couplings exceed
:data:`WEAK` times its own rate: decided at run time, since it depends on the step.

Iteration stops, field by field, when the preconditioned residual — an estimate of the error of u itself — is small in
the weighted norm of the *step*: sqrt(mean((z·w)²)) ≤ tolerance. Tying the linear tolerance to the step tolerance
matters: a relative residual of 1e-2 made one test wrong by 80 % while its error estimate looked fine. In float32 the
plain residual stalls where the error is already 1e-5, so it is not used. A field that has converged is frozen, so that
its result does not depend on its neighbours in the stack.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tmepde._types import binary_unit
from tmepde.elliptic.fast_diagonal import FastDiagonal
from tmepde.elliptic.multigrid import Multigrid, reciprocal
from tmepde.elliptic.operator import EllipticOperator
from tmepde.elliptic.separable import SeparableOperator
from tmepde.layout import platform, whole
from tmepde.operators.faces import take

METHODS = ("auto", "direct", "fast_diagonal", "multigrid", "jacobi")
#: couplings/rate up to which Jacobi-preconditioned iteration costs less than V-cycles and their set-up
WEAK = 4.0
#: cells per axis up to which the matrix products of fast diagonalisation pay, by number of axes
_LONGEST = {1: 4096, 2: 512, 3: 256}
#: cells from which several fields are solved one after the other
_LARGE = 32_768
#: least reduction of the preconditioned norm: slopes below the tolerance add up over many steps, none may be dropped
_REDUCTION = 1e-2


class LinearControl(NamedTuple):
    """When to stop. ``relative``: reduction of the preconditioned norm that always suffices; ``limit``: iterations.

    ``against``: per field ``(S,)`` the sum of the sizes of the terms that b is the difference of, where it is one.
    """

    relative: Any = 1e-3
    limit: int = 60
    against: Any = 0.0


class LinearResult(NamedTuple):
    """``value`` ``(S, *cells)``, whether each field ``converged`` ``(S,)``, and the ``iterations`` of the slowest."""

    value: Any
    converged: Any
    iterations: Any


Solver = Callable[..., LinearResult]
Operator = EllipticOperator | SeparableOperator


def _inner(a: Any, b: Any) -> Any:
    return jnp.sum(a * b, axis=tuple(range(1, a.ndim)), keepdims=True)


def choose(op: Operator, method: str = "auto") -> str:
    """The solver that ``method`` means for ``op``.

    Raises:
        ValueError: for an unknown name, or one that cannot solve this operator.
    """
    direct = op.ndim == 1 and not any(op.periodic)
    separable = isinstance(op, SeparableOperator) and max(op.diagonal.shape[1:]) <= _LONGEST[op.ndim]
    if method == "auto":
        return "direct" if direct else "fast_diagonal" if separable else "multigrid"
    if method not in METHODS:
        raise ValueError(f"`solver` must be one of {', '.join(METHODS)}, but {method!r} was given.")
    if method == "direct" and not direct:
        raise ValueError("`solver` 'direct' needs one axis that is not periodic. Use 'auto' or 'multigrid'.")
    if method == "fast_diagonal" and not separable:
        raise ValueError(
            "`solver` 'fast_diagonal' needs one diffusivity per field, no mask and at most "
            f"{_LONGEST[op.ndim]} cells per axis. Use 'auto' or 'multigrid'."
        )
    return method


def prepare(op: Operator, method: str = "auto", definite: bool = False) -> Solver:
    """Set up a solver for ``op`` and return ``solve(b, guess, weight, tolerance, control)``.

    The set-up (factors, coarse levels) is shared by all right-hand sides. ``weight`` is 1/scale per cell
    ``(S, *cells)`` or a number; ``tolerance`` the weighted error that suffices (0: only the relative criterion).
    Where a field has no loss at all (all sides closed, c = 0) u has mean zero; a b whose sum is not zero has no
    solution and counts as not converged. ``definite``: the caller knows that every live cell has a loss, so that none
    of this need be looked for.
    """
    frozen = jax.lax.stop_gradient(op)
    name = choose(frozen, method)
    if name == "fast_diagonal" and isinstance(frozen, SeparableOperator):
        return _conjugate_gradients(frozen, FastDiagonal(frozen), None, definite)
    full = frozen.expanded() if isinstance(frozen, SeparableOperator) else frozen
    if name == "direct":
        return _direct(full)
    if name == "multigrid" and _apart(full):
        return _one_by_one(full, method, definite)
    full = full.paired()
    inverse = reciprocal(full.diagonal + full.couplings())
    if name == "jacobi":
        return _conjugate_gradients(full, lambda residual: inverse * residual, inverse, definite)
    return _conjugate_gradients(full, _cycle(full, method, inverse), inverse, definite)


def preconditioner(op: EllipticOperator, method: str = "auto") -> Callable[[Any], Any]:
    """An approximate inverse of ``op``, linear and symmetric: Thomas elimination, a V-cycle, or the diagonal where
    neighbours hardly couple."""
    frozen = jax.lax.stop_gradient(op)
    if choose(frozen, "auto") == "direct":
        solve = _direct(frozen)
        return lambda residual: solve(residual).value
    inverse = reciprocal(frozen.diagonal + frozen.couplings())
    if method == "jacobi":
        return lambda residual: inverse * residual
    return _cycle(frozen, method, inverse)


def _apart(op: EllipticOperator) -> bool:
    """Whether fields are solved one after the other: where they are several and a few of them fill the cache."""
    fields, cells = op.diagonal.shape[0], math.prod(op.diagonal.shape[1:])
    return platform() == "cpu" and fields > 1 and cells >= _LARGE


def _one_by_one(op: EllipticOperator, method: str, definite: bool) -> Solver:
    """Each field by itself, within the cache: for as many iterations as it needs, none where its right-hand side is 0,
    and with the preconditioner that suits it. A stack iterates for its slowest field."""
    arrays = (op.diagonal, op.faces, op.links)

    def part(one: Any) -> tuple[EllipticOperator, Any]:
        diagonal, faces, links = jax.tree.map(lambda x: x[None], one)
        field = dataclasses.replace(op, diagonal=diagonal, faces=faces, links=links)
        return field, reciprocal(field.diagonal + field.couplings())

    below = jax.lax.map(lambda one: Multigrid(*part(one)).below, arrays)

    def solve(
        b: Any, guess: Any = None, weight: Any = 1.0, tolerance: Any = 0.0, control: LinearControl = LinearControl()
    ) -> LinearResult:
        shape = (b.shape[0],) + (1,) * (b.ndim - 1)
        weight, relative = jnp.asarray(weight, b.dtype), jnp.asarray(control.relative, b.dtype)
        weight = weight if weight.ndim == b.ndim else jnp.broadcast_to(weight, shape)

        def one(given: Any) -> LinearResult:
            own, lower, rest = given
            field, inverse = part(own)
            b, guess, weight, relative, against = jax.tree.map(lambda x: x[None], rest)
            alone = _conjugate_gradients(field, _cycle(field, method, inverse, lower), inverse, definite)
            return alone(b, guess, weight, tolerance, LinearControl(relative, control.limit, against))

        against = jnp.broadcast_to(jnp.asarray(control.against, b.dtype), shape[:1])
        given = (arrays, below, (b, guess, weight, jnp.broadcast_to(relative, shape), against))
        found = jax.lax.map(one, given)
        return LinearResult(found.value[:, 0], found.converged[:, 0], jnp.max(found.iterations))

    return solve


def _cycle(op: EllipticOperator, method: str, inverse: Any, below: Any = None) -> Callable[[Any], Any]:
    """The V-cycle; with ``"auto"`` the diagonal instead where neighbours hardly couple."""
    levels = Multigrid(op, inverse, below)
    if method != "auto":
        return levels
    weak = op.weight * jnp.max(op.sums() * inverse) <= WEAK / (1.0 + WEAK)

    def either(residual: Any) -> Any:
        return jax.lax.cond(weak, lambda r: inverse * r, lambda r: levels(r), residual)

    return either


def _direct(op: EllipticOperator) -> Solver:
    """Thomas elimination: exact, whatever the coefficients. Lines in parts are brought together: the partitioner takes
    the factorisation apart at the cuts, which was wrong by 6e-5."""
    op = whole(op)
    phi = op.weight * op.faces[0]
    lower, upper = take(phi, 0, -1, -1), take(phi, 1, None, -1)
    diagonal = op.diagonal + lower + upper
    diagonal = jnp.where(diagonal > 0, diagonal, 1.0)
    lower = lower.at[:, 0].set(0.0)
    upper = upper.at[:, -1].set(0.0)
    null = _Null(op)
    # a closed axis without loss is singular: its last value is pinned, then the mean removed
    diagonal = diagonal.at[:, -1].multiply(1.0 + null.flag.reshape(-1))

    def solve(
        b: Any, guess: Any = None, weight: Any = 1.0, tolerance: Any = 0.0, control: LinearControl = LinearControl()
    ) -> LinearResult:
        solvable, b = null.solvable(b, control.against), null.centred(b)
        if diagonal.shape[-1] == 1:
            value = b / diagonal
        else:
            value = jax.lax.linalg.tridiagonal_solve(-lower, diagonal, -upper, whole(b)[..., None])[..., 0]
        value = null.centred(whole(value))
        return LinearResult(value, solvable & jnp.all(jnp.isfinite(value), axis=-1), jnp.asarray(1))

    return solve


class _Null:
    """Fields whose operator annihilates constants: c = 0 everywhere."""

    def __init__(self, op: Operator):
        self.live = op.diagonal + op.couplings() > 0
        self.flag = jnp.where(jnp.any(op.diagonal > 0, axis=tuple(range(1, op.ndim + 1)), keepdims=True), 0.0, 1.0)
        self.flag = self.flag.astype(op.diagonal.dtype)
        self.count = jnp.maximum(jnp.sum(self.live, axis=tuple(range(1, op.ndim + 1)), keepdims=True), 1)

    def centred(self, u: Any) -> Any:
        """Without its mean over the live cells, where the operator is singular."""
        mean = _inner(u, self.live.astype(u.dtype)) / self.count
        return jnp.where(self.live, u - self.flag * mean, u)

    def solvable(self, b: Any, against: Any) -> Any:
        """Per field ``(S,)``: whether Σb = 0 up to round-off, of b or of what it is the difference of, wherever the
        operator is singular."""
        total, size = (_inner(x, self.live.astype(b.dtype)).reshape(-1) for x in (b, jnp.abs(b)))
        round_off = jnp.finfo(b.dtype).eps ** 0.6
        return (self.flag.reshape(-1) == 0) | (jnp.abs(total) <= round_off * jnp.maximum(size, against))


class _Content:
    """Σ(b − A u) = Σb − Σ c u = 0 after every cell has been changed by the same fraction of |u|: mass is conserved to
    round-off, and where there is nothing nothing is added. Cells that nothing couples (held, or D = 0 around) have
    their own exact solution b/c."""

    def __init__(self, op: Operator, inverse: Any):
        self.diagonal, self.alone = op.diagonal, op.alone()
        self.inverse = reciprocal(op.diagonal) if inverse is None else inverse  # the same where nothing couples
        self.joined = jnp.where(self.alone, 0.0, 1.0).astype(op.diagonal.dtype)

    def balanced(self, u: Any, b: Any) -> tuple[Any, Any]:
        """u after the change, and per field whether all of it is finite (NaN anywhere makes the sum NaN)."""
        content = self.diagonal * u
        lack = _inner(b - content, self.joined)
        size = _inner(jnp.abs(content), self.joined)
        share = jnp.where(size > 0, lack / jnp.where(size > 0, size, 1.0), 0.0)
        return jnp.where(self.alone, self.inverse * b, u + share * jnp.abs(u)), jnp.isfinite(lack).reshape(-1)


def _unit(residual: Any, square: Any) -> Any:
    """A power of two per field for the ``residual`` where its ``square``, or a 1e-16th of it, is beyond the numbers."""
    info = jnp.finfo(residual.dtype)
    low, high = info.tiny / info.eps**2, info.max * info.eps
    fits = jnp.all((square > low) & (square < high))
    axes = tuple(range(1, residual.ndim))
    return jax.lax.cond(fits, lambda r: jnp.ones_like(square), lambda r: binary_unit(r, axes), residual)


def _conjugate_gradients(op: Operator, precondition: Callable[[Any], Any], inverse: Any, definite: bool) -> Solver:
    """Iteration ends when the preconditioned residual z, an estimate of the error, is small, or when it would be, were
    it computed once more: the error falls at least as the residual does in the norm of D⁻¹ = ``inverse``, of which
    smooth errors, that the preconditioner removes best, are the smaller part. Without ``inverse`` the preconditioner is
    nearly A⁻¹, and the error falls as the plain residual does. Where squares would be beyond the numbers (of molecules
    per litre in float32) all of it is done in another unit."""
    content = _Content(op, inverse)
    null = None if definite else _Null(op)

    def measure(residual: Any) -> Any:
        return _inner(residual, residual if inverse is None else inverse * residual)

    def solve(
        b: Any, guess: Any = None, weight: Any = 1.0, tolerance: Any = 0.0, control: LinearControl = LinearControl()
    ) -> LinearResult:
        solvable: Any = True
        if null is not None:
            solvable, b = null.solvable(b, control.against), null.centred(b)

        residual = b if guess is None else b - op(guess)
        unit = _unit(residual, measure(residual))

        def size(z: Any, on: Any) -> Any:
            """The weighted norm of z, which is not needed before the least reduction has been reached."""
            weighted = lambda z: _inner(z * unit * weight, z * unit * weight) / z[0].size  # noqa: E731
            far = lambda z: jnp.full(on.shape, jnp.inf, z.dtype)  # noqa: E731
            return jax.lax.cond(jnp.any(on), weighted, far, z)

        def keep_going(carry: tuple[Any, ...]) -> Any:
            return jnp.any(carry[3]) & (carry[7] < control.limit)

        def iterate(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            # the preconditioner stands here once and nowhere else: every further copy costs a second of compilation
            u, residual, p, on, product, reference, before, count = carry
            z = precondition(residual)
            updated = _inner(residual, z)
            reference = jnp.where(count == 0, updated, reference)
            beta = jnp.where(product > 0, updated / jnp.where(product > 0, product, 1.0), 0.0)
            p = z + beta * p
            ap = op(p)
            curvature = _inner(p, ap)
            step = jnp.where(on & (curvature > 0), updated / jnp.where(curvature > 0, curvature, 1.0), 0.0)
            rest = residual - step * ap
            after = measure(rest)
            left = jnp.minimum(1.0, jnp.where(before > 0, after / jnp.where(before > 0, before, 1.0), 0.0))
            near = left * updated <= _REDUCTION**2 * reference
            small = near & (left * size(z, on & near) < tolerance**2)  # not where both have underflown
            on = on & ~small & (left * updated > control.relative**2 * reference)
            return u + step * p, rest, p, on, updated, reference, after, count + 1

        u, residual = jnp.zeros_like(b) if guess is None else guess / unit, residual / unit
        zero = jnp.zeros((b.shape[0],) + (1,) * (b.ndim - 1), b.dtype)
        first = measure(residual)
        start = (u, residual, jnp.zeros_like(b), first != 0, zero, zero, first, jnp.asarray(0))
        u, _, _, on, _, _, _, count = jax.lax.while_loop(keep_going, iterate, start)
        value, finite = content.balanced(u, b / unit)
        value = unit * (value if null is None else null.centred(value))
        return LinearResult(value, solvable & finite & ~on.reshape(-1), count)

    return solve


def inside(op: Operator, b: Any) -> Any:
    """``b`` without the cells in which ``op`` is nothing (beyond a mask). What is pulled back reaches them, and the
    preconditioner would carry it into the tissue."""
    if isinstance(op, SeparableOperator):
        return b
    return jnp.where(op.diagonal + op.couplings() > 0, b, 0.0)


def differentiable_solve(op: Operator, solver: Solver, b: Any, value: Any, relative: Any = 0.0) -> Any:
    """``value`` (already A⁻¹b), made differentiable with respect to ``op`` and ``b``.

    By the implicit function theorem du = A⁻¹(db − dA u): one more solve with the same preconditioner, forwards or
    backwards, to the ``relative`` tolerance or as tightly as the dtype allows; the iterations themselves are never
    differentiated.
    """
    value = jax.lax.stop_gradient(value)
    rest = b - op(value)
    rest = rest - jax.lax.stop_gradient(rest)  # zero, with the right derivative
    relative = jax.lax.stop_gradient(jnp.maximum(30 * jnp.finfo(rest.dtype).eps, relative))
    tight = LinearControl(relative=relative.astype(rest.dtype), limit=200)
    frozen = jax.lax.stop_gradient(op)

    def solve(_: Any, rhs: Any) -> Any:
        return solver(inside(frozen, rhs), control=tight).value

    return value + derivative_of(jax.lax.custom_linear_solve(frozen, rest, solve, symmetric=True))


@jax.custom_jvp
def derivative_of(x: Any) -> Any:
    """Zero, with the derivative of ``x``: the solve that gives ``x`` its derivative is then not part of a program that
    needs no value of it."""
    return jnp.zeros_like(x)


@derivative_of.defjvp
def _(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return derivative_of(primals[0]), tangents[0]
