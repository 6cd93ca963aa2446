"""Newton–Krylov: one step of all fields as one implicit system, drift, couplings and quasi-steady fields included.

Singly diagonal schemes with an explicit first stage, stiffly accurate and L-stable, for u′ = F(u, t):

    k₁ = F(u_n) ,     k_i = F(u_n + Δt Σ_{j<i} a_ij k_j + dΔt k_i)  at t + c_iΔt
    u_{n+1} = the argument of the last stage ,      error (I − dΔt A)⁻¹ Δt Σ (b_i − b̂_i) k_i

order 2: TR-BDF2 (Bank et al. 1985, IEEE Trans. CAD 4:436) with the third-order b̂ of Hosea & Shampine (1996, Appl.
Numer. Math. 20:21); order 3: the implicit part of ARK3(2)4L[2]SA (Kennedy & Carpenter 2003, Appl. Numer. Math. 44:139),
b̂ of order 2.

Each stage is solved by Newton with the exact Jacobian in GMRES (see ``coupled``), until the error left is a fraction
``StepControl.algebraic`` of the step tolerance. Quasi-steady fields are rows without a time derivative, 0 = F, of
the same system. Nothing is explicit: no Courant number limits the step, and species that exchange fast cost nothing.

The estimate of order 2 is one of the result itself, O(Δt³), while errors add up to O(Δt²). Held to rtol, the global
error would fall as rtol^⅔; held to rtol √(rtol/10⁻²) it falls as rtol.

A shift per field then restores Σ (k − F) = 0, so that budgets close to round-off whatever Newton left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import State, freeze, parted, shapes
from tmepde.schedule import Clock
from tmepde.steppers.account import (
    Stepper,
    StepResult,
    budget_of,
    contribution,
    expected,
    hazards,
    means,
    positive,
    scales,
    weighted_error,
)
from tmepde.steppers.control import StepControl
from tmepde.steppers.coupled import BlockInverse, implicit_derivative, newton
from tmepde.steppers.semidiscrete import Evaluation, SemiDiscrete
from tmepde.steppers.structure import structure


@dataclass(frozen=True)
class Implicit:
    """d, the rows a_ij (j < i) of the implicit stages, b − b̂, and ``power``: the error estimate is O(Δt^power)."""

    diagonal: float
    before: tuple[tuple[float, ...], ...]
    errors: tuple[float, ...]
    power: int

    @property
    def stages(self) -> int:
        return len(self.before)

    @property
    def times(self) -> tuple[float, ...]:
        return tuple(sum(row) + self.diagonal for row in self.before)

    @property
    def weights(self) -> tuple[float, ...]:
        return (*self.before[-1], self.diagonal)


def _tr_bdf2() -> Implicit:
    d, w = 1.0 - 0.5**0.5, 0.25 * 2.0**0.5
    embedded = ((1.0 - w) / 3.0, (3.0 * w + 1.0) / 3.0, d / 3.0)
    return Implicit(d, ((d,), (w, w)), tuple(b - e for b, e in zip((w, w, d), embedded, strict=True)), 3)


def _ark3() -> Implicit:
    d = 1767732205903 / 4055673282236
    last = (1471266399579 / 7840856788654, -4482444167858 / 7529755066697, 11266239266428 / 11593286722821)
    embedded = (
        2756255671327 / 12835298489170,
        -10771552573575 / 22201958757719,
        9247589265047 / 10645013368117,
        2193209047091 / 5459859503100,
    )
    third = (2746238789719 / 10658868560708, -640167445237 / 6845629431997)
    return Implicit(d, ((d,), third, last), tuple(b - e for b, e in zip((*last, d), embedded, strict=True)), 3)


SCHEMES = {2: _tr_bdf2(), 3: _ark3()}

#: what Newton can leave in the unit of round-off, in a field of size 1
_ROUND_OFF = 30.0


class _Frame(eqx.Module):
    """What both stages of a step share. ``problem`` is ``all_dynamic``; ``steady`` names the quasi-steady fields."""

    problem: SemiDiscrete
    clock: Clock
    state: State
    scale: State
    allowed: Any
    steady: tuple[str, ...] = eqx.field(static=True)
    scheme: Implicit = eqx.field(static=True)

    @property
    def weight(self) -> Any:
        return self.scheme.diagonal * self.clock.step

    def mass(self, name: str) -> float:
        return 0.0 if name in self.steady else 1.0

    def later(self, fraction: Any) -> Clock:
        clock = self.clock
        return Clock(clock.base, clock.local + fraction * clock.step, clock.start, clock.step)

    def residual(self, base: State, fraction: Any, z: State) -> State:
        """w F(base + z) − m z, in the unit of each field."""
        here = self.problem.evaluate(self.later(fraction), {n: base[n] + z[n] for n in z})
        return {n: self.weight * here.tendency[n] - self.mass(n) * z[n] for n in z}

    def limited(self, base: State, z: State, delta: State) -> State:
        """z + δ; a correction removes at most 90 % of a quasi-steady field (uptake is concave, Newton overshoots)."""
        out = {n: z[n] + delta[n] for n in z}
        for name in self.steady:
            if not self.problem.system.species[name].signed:
                out[name] = jnp.maximum(out[name], 0.1 * (base[name] + z[name]) - base[name])
        return out

    def closed(self, inverse: BlockInverse, base: State, fraction: Any, z: State) -> tuple[State, Any]:
        """z with what Newton left put right where that is exact, and the rates for the budgets.

        A transported field u is changed by the same fraction of |u| in every cell, so that Σ V (w (F − λc) − z) = 0 and
        nothing appears where there is nothing; local fields and compartments are corrected by their own Jacobian,
        c = (1 − wJ)⁻¹ r, which keeps whatever their reactions conserve.
        """
        problem, weight = self.problem, self.weight
        values = {n: base[n] + z[n] for n in z}
        here = problem.evaluate(self.later(fraction), values)
        r = {n: weight * here.tendency[n] - z[n] for n in z}
        added, change = inverse.pointwise(r)
        extra = {n: change[n] + here.rates.rate(n) * added[n] for n in added}
        for name in problem.transported:
            if name not in self.steady:
                size = jnp.abs(values[name])
                content = problem.total(size * (1.0 + weight * here.rates.rate(name)))
                share = jnp.where(content > 0, problem.total(r[name]) / jnp.where(content > 0, content, 1.0), 0.0)
                added[name] = share * size
        rates = contribution(problem, here, values, added, extra, here)
        return {n: z[n] + added.get(n, 0.0) for n in z}, rates


class NewtonKrylov(Stepper):
    """L-stable, everything implicit: drift, all couplings, quasi-steady fields.

    For drift far beyond the Courant limit of the other schemes and for species that exchange fast. A step takes some 30
    to 70 elliptic iterations, one of :func:`Rosenbrock2` some 15; where neither holds, that one is cheaper down to
    errors of 1e-4. Derivatives are those of the implicit function theorem. Memory: 41 vectors of all fields.

    Args:
        order: 2, TR-BDF2, whose Newton iteration bears the longest steps with drift. Or 3, for smooth problems and
            errors below 1e-4.

    Raises:
        ValueError: for any other order.
    """

    order: int = eqx.field(static=True, default=2)

    def __check_init__(self) -> None:
        if not isinstance(self.order, int) or self.order not in SCHEMES:
            raise ValueError(f"Argument `order` must be 2 or 3, but {self.order!r} was given. Choose one of them.")

    @property
    def increments(self) -> bool:
        return True

    @property
    def power(self) -> int:
        return SCHEMES[self.order].power

    @property
    def implicit_drift(self) -> bool:
        return True

    @property
    def name(self) -> str:
        return f"newton_krylov{self.order}"

    def step(
        self,
        problem: SemiDiscrete,
        control: StepControl,
        clock: Clock,
        state: State,
        differentiable: bool = False,
    ) -> StepResult:
        """Advance ``state`` by ``clock.step`` from ``clock.local``."""
        dt, dynamic, scheme = clock.step, problem.dynamic, SCHEMES[self.order]
        eps = float(jnp.finfo(jnp.asarray(dt).dtype).eps)
        if self.order == 2:
            control = control.sharpened(0.5, _ROUND_OFF * eps / control.algebraic)
        full = SemiDiscrete(problem.system, all_dynamic=True, solver=problem.solver)
        first = full.evaluate(clock, state)
        scale = scales(full, control, state, state, expected(full, first))
        allowed = jnp.maximum(control.algebraic, _ROUND_OFF * eps / control.rtol)
        frame = _Frame(full, clock, state, scale, allowed, problem.quasi_steady, scheme)
        masses = {n: frame.mass(n) for n in full.dynamic}
        fixed, here, now, before, weight = freeze((full, first, clock, state, frame.weight))
        arrays, shell = parted(problem)
        between = structure(shell, shapes(arrays), jnp.asarray(dt).dtype).between if problem.quasi_steady else ()
        inverse = BlockInverse(fixed, here, now, before, weight, masses, between)
        slopes, end, amounts, ok, count = _stages(frame, inverse, first, differentiable)
        change = {n: dt * sum(b * slopes[n][i] for i, b in enumerate(scheme.weights)) for n in dynamic}
        new = {n: state[n] + change[n] for n in dynamic}
        raw = {n: dt * sum(e * slopes[n][i] for i, e in enumerate(scheme.errors)) for n in dynamic}
        filtered, more = inverse(freeze({**{n: jnp.zeros_like(state[n]) for n in frame.steady}, **raw}))
        rows = np.asarray([full.dynamic.index(n) for n in dynamic])
        budget = budget_of(dt * amounts[rows])
        scale = scales(full, control, state, {**state, **new}, _coming(full, first, slopes, scheme.stages))
        error = weighted_error(problem, new, {n: filtered[n] for n in dynamic}, scale, jnp.asarray(dt).dtype)
        new, budget = positive(problem, new, budget)
        new, budget = hazards(problem, clock, state, new, budget)
        result = {**{n: end[n] for n in frame.steady}, **new}
        return StepResult(result, error, budget, ok, count + more, first.courant, change=change)


def _coming(problem: SemiDiscrete, first: Evaluation, slopes: State, stages: int) -> Any:
    """Largest |mean tendency| over the stages: the third of a chain that starts from nothing has none at the start."""
    arriving, rate = expected(problem, first)
    for i in range(1, stages + 1):
        later = means(problem, {n: slopes[n][i] if n in slopes else first.tendency[n] for n in problem.dynamic})
        arriving = jnp.maximum(arriving, jnp.abs(later))
    return jnp.stack([arriving, rate])


def _stages(
    frame: _Frame, inverse: BlockInverse, first: Evaluation, differentiable: bool
) -> tuple[State, State, Any, Any, Any]:
    """Slopes ``(stages + 1, …)`` of each field, the last values, rates for the budgets, convergence, iterations.

    All implicit stages run in one loop, so that the program holds Newton's method once.
    """
    problem, state, dt = frame.problem, frame.state, frame.clock.step
    names, dynamic = problem.dynamic, tuple(n for n in problem.dynamic if n not in frame.steady)
    dtype = jnp.asarray(dt).dtype
    scheme = frame.scheme
    count = scheme.stages
    before = jnp.asarray([(*row, *(0.0,) * (count - len(row))) for row in scheme.before], dtype)
    times, weights = jnp.asarray((0.0, *scheme.times), dtype), jnp.asarray(scheme.weights, dtype)
    store = {
        n: jnp.zeros((count + 1, *jnp.shape(state[n])), state[n].dtype).at[0].set(first.tendency[n]) for n in dynamic
    }
    added = contribution(problem, first, state, {}, {}, first)
    amounts = scheme.weights[0] * added

    def stage(index: Any, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        store, last, amounts, ok, spent = carry
        row, time = before[index], times[index + 1]
        base = {n: state[n] + dt * sum(row[j] * store[n][j] for j in range(count)) for n in dynamic}
        base = {**base, **{n: last[n] for n in frame.steady}}
        # start where the solution was, then where its secant points
        reach = jnp.where(index > 0, time / jnp.where(index > 0, times[index], 1.0), 0.0)
        guess = {n: state[n] + reach * (last[n] - state[n]) for n in dynamic}
        start = {n: guess[n] - base[n] if n in guess else jnp.zeros_like(base[n]) for n in names}
        z, ok, more = _solve(frame, inverse, base, time, start, ok, differentiable)
        z, rates = frame.closed(inverse, base, time, z)
        store = {n: store[n].at[index + 1].set(z[n] / frame.weight) for n in dynamic}
        amounts = amounts + weights[index + 1] * rates
        return store, {n: base[n] + z[n] for n in names}, amounts, ok, spent + more

    carry = (store, {n: state[n] for n in names}, amounts, jnp.asarray(True), jnp.asarray(0))
    return jax.lax.fori_loop(0, count, stage, carry)


def _solve(
    frame: _Frame, inverse: BlockInverse, base: State, time: Any, start: State, ok: Any, differentiable: bool
) -> tuple[State, Any, Any]:
    """z of one stage by Newton, with everything frozen; derivatives are put back by the implicit function theorem."""
    still, fixed = freeze(frame), freeze(base)

    def residual(z: State) -> State:
        return still.residual(fixed, time, z)

    def limited(z: State, delta: State) -> State:
        return still.limited(fixed, z, delta)

    solved = newton(still.problem, residual, inverse, still.scale, freeze(start), still.allowed, limited)
    z = solved.value
    if differentiable:

        def live(z: State) -> State:
            return frame.residual(base, time, z)

        z = implicit_derivative(still.problem, live, residual, inverse, still.scale, freeze(z))
    return z, ok & solved.converged, solved.iterations
