"""Fields that relax in seconds: 0 = ∇·(D∇q) + s(q) − λ(q) q, solved at every stage.

Newton with the exact derivative of each field's own reaction, J = −∂(s − λq)/∂q ≥ 0 (where it would be negative the
frozen rate λ is used), so that every correction solves an M-matrix problem. Michaelis–Menten uptake is concave: Newton
steps approach from below and could fall below zero where supply is short; a step may therefore remove at most 90 % of a
value, after which the iteration is monotone. It starts from the last solution and does nothing if that still holds.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import State, freeze
from tmepde.elliptic import LinearControl, prepare
from tmepde.elliptic.solve import Operator, derivative_of, differentiable_solve, inside
from tmepde.schedule import Clock
from tmepde.steppers.cellwise import pointwise_jacobian
from tmepde.steppers.dependence import mutual
from tmepde.steppers.exchange import DAMPED, SLOW, Common
from tmepde.steppers.semidiscrete import SemiDiscrete, flux_divergence

_LIMIT = 100
#: iterations over the links between fields in a derivative, and contraction that is told from standing still
_SWEEPS, _SLOWEST = 300, 0.99
#: error that one sweep of these may leave in each field
_ROUGH = 1e-2
#: iterations after which their pace is believed
_TRIED = 3
#: of the corrections; beside cells that have run out, whose slope is V/K, they take a hundred and more
_INNER = LinearControl(relative=0.05, limit=200)
#: error of these in a run that carries derivatives, in units of that of the derivatives: 5 % at rtol 5e-4 and above
_LOOSER = 1e4
#: solves for the slopes of the balances: one for each field by itself, one more for what links them
LINKED = 2


class _Balance(eqx.Module):
    """The algebraic equations of the stacked fields q, all else given."""

    problem: SemiDiscrete
    clock: Any
    state: State

    @property
    def names(self) -> tuple[str, ...]:
        return self.problem.quasi_steady

    def place(self, q: Any) -> State:
        return {**self.state, **{n: q[i] for i, n in enumerate(self.names)}}

    def residual(self, q: Any) -> tuple[Any, Any, Operator]:
        """V·(∇·D∇q + s − λq), the rates λ, and the diffusion operator."""
        problem = self.problem
        rates = problem.reaction(self.names, self.clock, self.place(q))
        _check_still(self.names, rates.coefficients)
        laplacian = problem.laplacian(self.names, rates.coefficients, self.state)
        reaction = jnp.stack([rates.gain(n) - rates.rate(n) * q[i] for i, n in enumerate(self.names)])
        volumes = problem.volumes(q.dtype)
        balance = volumes * (reaction - flux_divergence(laplacian, problem.grid, q))
        return balance, jnp.stack([rates.rate(n) for n in self.names]), laplacian

    def passing(self, q: Any, laplacian: Operator) -> Any:
        """∫|∇·D∇q| of each field: what a balance is the difference of, beside what is made and lost."""
        spread = flux_divergence(laplacian, self.problem.grid, q)
        return jnp.sum(self.problem.volumes(q.dtype) * jnp.abs(spread), axis=tuple(range(1, q.ndim)))

    def operator(self, q: Any, loss: Any, laplacian: Operator) -> Operator:
        """Its linearisation, each field with its own slope −∂(s − λq)/∂q (λ where that is negative)."""
        slopes = []
        for i, name in enumerate(self.names):

            def own(value: Any, i: int = i, name: str = name) -> Any:
                rates = self.problem.reaction((name,), self.clock, self.place(q.at[i].set(value)))
                return rates.gain(name) - rates.rate(name) * value

            _, slope = jax.jvp(own, (q[i],), (jnp.ones_like(q[i]),))
            slopes.append(jnp.where(slope < 0, -slope, loss[i]))
        return self.problem.shifted(laplacian, jnp.stack(slopes), 1.0)

    def mutual(self) -> tuple[tuple[int, ...], ...]:
        """Groups of fields that act on each other (known from the program, not from values)."""

        def reactions(*fields: Any) -> tuple[Any, ...]:
            q = dict(zip(self.names, fields, strict=True))
            rates = self.problem.reaction(self.names, self.clock, {**self.state, **q})
            return tuple(rates.gain(n) - rates.rate(n) * q[n] for n in self.names)

        return mutual(reactions, tuple(self.state[n] for n in self.names)) if len(self.names) > 1 else ()

    def common(self, q: Any, op: Operator, groups: tuple[tuple[int, ...], ...]) -> Common:
        """The correction of what the fields of each group have in common, at ``q``."""
        jacobian = pointwise_jacobian(self.problem, self.names, self.clock, self.place(q))
        return Common(op, jacobian, self.problem.volumes(q.dtype), q, groups)

    def size(self, delta: Any, q: Any) -> Any:
        """Largest weighted root mean square of a correction over the fields, against the field and its mean.

        A thousandth of what is negligible is the least that counts: a field that vanishes would never be reached.
        Where all of a field is zero, any change is of the size 1.
        """
        volumes, axes = self.problem.volumes(q.dtype), tuple(range(1, q.ndim))
        total = jnp.sum(volumes)
        scale = jnp.abs(q) + jnp.sum(volumes * jnp.abs(q), axis=axes, keepdims=True) / total
        least = jnp.stack([1e-3 * self.problem.system.species[n].negligible for n in self.names]).astype(q.dtype)
        scale = jnp.maximum(scale, least.reshape((-1,) + (1,) * len(axes)))
        any_change = jnp.sign(jnp.where(jnp.abs(delta) < jnp.finfo(q.dtype).tiny, 0.0, delta))
        ratio = jnp.where(scale == 0, any_change, delta / jnp.where(scale == 0, 1.0, scale))  # NaN stays NaN
        return jnp.max(jnp.sqrt(jnp.sum(volumes * ratio**2, axis=axes) / total))


def _check_still(names: tuple[str, ...], coefficients: Any) -> None:
    """Raises ValueError for a quasi-steady field that drifts or is carried: its balance here knows none of it."""
    for channel in ("velocity", "flow"):
        for name in names:
            if name in getattr(coefficients, channel):
                raise ValueError(
                    f"`{name}.{channel}` needs a species that moves in time, but {name!r} is quasi-steady. Use "
                    "kind='transported', which costs as much however fast it relaxes, or `steady_state`."
                )


def relax_quasi_steady(
    problem: SemiDiscrete,
    clock: Any,
    state: State,
    tolerance: Any,
    differentiable: bool = False,
    known: State | None = None,
    adjoint: Any = None,
) -> tuple[State, Any, Any]:
    """Replace the quasi-steady fields of ``state`` by their balance at ``clock``.

    Args:
        tolerance: relative error (against the field and its mean) that may be left, judged by the last correction.
        differentiable: also carry derivatives, by the implicit function theorem.
        known: the fields in balance, where they have been solved for before.
        adjoint: relative error of the solves that carry derivatives; ``None``: a hundredth of ``tolerance``.

    Returns:
        the state, whether it converged, and the number of linear iterations.
    """
    if not problem.quasi_steady:
        return state, jnp.asarray(True), jnp.asarray(0)
    balance = _Balance(problem, clock, state)
    if known is not None:
        q = jnp.stack([known[n] for n in balance.names])
        converged, linear = jnp.asarray(True), jnp.asarray(0)
    else:
        q, converged, linear = freeze(_newton(freeze(balance), freeze(tolerance)))
    if differentiable:
        q = _with_derivatives(balance, freeze(q), 1e-2 * tolerance if adjoint is None else adjoint)
    return balance.place(q), converged, linear


def balance_slope(
    problem: SemiDiscrete, clock: Any, state: State, slopes: State, adjoint: Any = None, known: Any = None
) -> tuple[State, Any, Any]:
    """How fast the quasi-steady fields change (unit/h) where the others have the ``slopes``, the iterations, and what
    each solve found, shape (2, S, *cells).

    Each field by its own linearisation, the links between them by a second sweep; to a few per cent, since it serves as
    a guess and in the matrix of a W-method.

    Args:
        adjoint: relative error of the solves that carry derivatives; ``None``: none are carried.
        known: what each solve found, where these have been carried out before.
    """
    balance = _Balance(problem, clock, problem.positive(state))
    q = jnp.stack([state[n] for n in balance.names])
    _, loss, laplacian = balance.residual(q)
    op = balance.operator(q, loss, laplacian)
    solve = prepare(freeze(op), problem.solver)

    def defect(moving: State, local: Any) -> Any:
        now = Clock(clock.base, local, clock.start, clock.step)
        return _Balance(problem, now, {**balance.state, **moving}).residual(q)[0]

    _, forced = jax.jvp(defect, ({n: state[n] for n in slopes}, clock.local), (slopes, jnp.ones_like(clock.local)))
    control = _INNER
    if adjoint is not None:  # what a loose solve leaves has a derivative too, which is not carried
        relative = jnp.clip(_LOOSER * freeze(jnp.asarray(adjoint)), 30 * jnp.finfo(q.dtype).eps, _INNER.relative)
        control = LinearControl(relative=relative.astype(q.dtype), limit=200)
    change, count, solved = jnp.zeros_like(q), jnp.asarray(0), []
    for sweep in range(LINKED):
        rest = forced
        if sweep:
            rest = rest + jax.jvp(lambda q: balance.residual(q)[0], (q,), (change,))[1] + op(change)
        if known is None:
            found = solve(freeze(rest), freeze(change), control=control)
            count, value = count + found.iterations, found.value
        else:
            value = known[sweep]
        solved.append(value)
        change = value if adjoint is None else differentiable_solve(op, solve, rest, value, adjoint)
    return {n: change[i] for i, n in enumerate(balance.names)}, count, jnp.stack(solved)


def _with_derivatives(balance: _Balance, q: Any, relative: Any) -> Any:
    """The solution q with derivatives: one solve carries a field's own, further ones the links between fields.

    0 = R(q, θ) gives dq = A⁻¹(∂R/∂θ dθ + (A + ∂R/∂q) dq), of which the last bracket is the links alone: a chain of n
    fields takes n solves, fields that act on each other as many as their mutual action asks for. θ enters once, so that
    its side of the rate laws is transposed once.
    """
    still = freeze(balance)
    _, loss, laplacian = still.residual(q)
    op = still.operator(q, loss, laplacian)
    solve = prepare(op, balance.problem.solver)
    defect, _, _ = balance.residual(q)
    defect = defect - freeze(defect)
    if len(balance.names) == 1:
        return q + differentiable_solve(op, solve, defect, jnp.zeros_like(defect), relative)
    _, along = jax.linearize(lambda q: still.residual(q)[0], q)
    relative = freeze(jnp.maximum(30 * jnp.finfo(q.dtype).eps, relative)).astype(q.dtype)
    rough = LinearControl(relative=jnp.maximum(_ROUGH, relative), limit=200)  # each sweep makes good what one leaves

    groups = still.mutual()
    common = still.common(q, op, groups) if groups else None

    def linked(transposed: bool) -> Any:
        def own(r: Any) -> Any:
            return solve(inside(op, r), control=rough).value

        def shared(r: Any) -> Any:
            assert common is not None
            return common(inside(op, r), transposed)[0]

        return lambda product, b: _linked(product, own, None if common is None else shared, b, relative)

    return q + derivative_of(jax.lax.custom_linear_solve(lambda v: -along(v), defect, linked(False), linked(True)))


def _linked(product: Any, own: Any, shared: Any, b: Any, relative: Any) -> Any:
    """Solve M x = b by x ← x + A⁻¹(b − M x), where A is M without the links between fields; where that is slow, with
    the correction of what they have in common before it."""
    axes = tuple(range(1, b.ndim))

    def unfinished(carry: tuple[Any, ...]) -> Any:
        _, moved, left, count, _ = carry
        return ~(left <= relative) & (count < _SWEEPS) & jnp.isfinite(moved)

    def improve(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        x, before, _, count, slow = carry
        begun, damping = x, jnp.ones_like(before)
        if shared is not None:
            x = x + jax.lax.cond(slow, lambda: shared(b - product(x)), lambda: jnp.zeros_like(x))
            damping = jnp.where(slow, DAMPED, 1.0)
        x = x + damping * own(b - product(x))
        change = x - begun
        size = jnp.max(jnp.abs(x), axis=axes)
        moved = jnp.max(jnp.where(size > 0, jnp.max(jnp.abs(change), axis=axes) / jnp.where(size > 0, size, 1.0), 0.0))
        pace = moved / before
        bounded = jnp.clip(pace, 0.1, _SLOWEST)
        return x, moved, moved * bounded / (1 - bounded), count + 1, slow | ((count >= _TRIED) & (pace > SLOW))

    one = jnp.ones((), b.dtype)
    first = (jnp.zeros_like(b), one, one * jnp.inf, jnp.asarray(0), jnp.asarray(False))
    return jax.lax.while_loop(unfinished, improve, first)[0]


def _newton(balance: _Balance, tolerance: Any) -> tuple[Any, Any, Any]:
    species = balance.problem.system.species
    signed = np.asarray([species[n].signed for n in balance.names]).reshape((-1,) + (1,) * balance.problem.grid.ndim)

    groups = balance.mutual()

    def moved(q: Any, delta: Any) -> Any:
        return jnp.where(signed, q + delta, jnp.maximum(q + delta, 0.1 * q))

    def together(q: Any) -> tuple[Any, Any]:
        defect, loss, laplacian = balance.residual(q)
        delta, count = balance.common(q, balance.operator(q, loss, laplacian), groups)(defect)
        return moved(q, delta), count

    def improve(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        begun, _, count, linear, _, before, slow = carry
        q, damping = begun, jnp.ones_like(before)
        if groups:
            q, more = jax.lax.cond(slow, together, lambda q: (q, jnp.asarray(0)), begun)
            linear, damping = linear + more, jnp.where(slow, DAMPED, 1.0)
        defect, loss, laplacian = balance.residual(q)
        control = _INNER._replace(against=balance.passing(q, laplacian))
        solved = prepare(balance.operator(q, loss, laplacian), balance.problem.solver)(defect, control=control)
        updated = moved(q, damping * solved.value)
        change = balance.size(updated - begun, begun)
        left = change * jnp.maximum(2.0 * _INNER.relative, change)  # of the linear solve, of Newton's quadratic term
        if len(balance.names) > 1:  # links between fields are left out of the slope: their iteration is no faster than
            pace = jnp.clip(change / before, 0.0, _SLOWEST)  # what it was seen to be, above round-off
            known = (count > 0) & (change > 30 * jnp.finfo(change.dtype).eps)
            left = jnp.where(known, jnp.maximum(left, change * pace / (1 - pace)), left)
            slow = slow | ((count >= _TRIED) & (pace > SLOW))
        done = jnp.all(solved.converged)
        return updated, left, count + 1, linear + solved.iterations, done, change, slow

    def unfinished(carry: tuple[Any, ...]) -> Any:
        return ~(carry[1] <= tolerance) & (carry[2] < _LIMIT) & ~jnp.isnan(carry[5])

    start = jnp.stack([balance.state[n] for n in balance.names])
    far = jnp.asarray(jnp.inf, start.dtype)
    no = jnp.asarray(False)
    first = (start, far, jnp.asarray(0), jnp.asarray(0), jnp.asarray(True), far, no)
    q, size, _, linear, solved, _, _ = jax.lax.while_loop(unfinished, improve, first)
    return q, solved & (size <= tolerance), linear
