"""A second-order explicit scheme whose stability limit grows as the square of its number of stages.

Runge–Kutta–Chebyshev (RKC; van der Houwen & Sommeijer 1980; Sommeijer, Shampine & Verwer 1998, J. Comput. Appl. Math.
88:315), ε = 2/13, w₀ = 1 + ε/s², w₁ = T_s′(w₀)/T_s″(w₀), b_j = T_j″(w₀)/T_j′(w₀)² (b₀ = b₁ = b₂), written for the
increments d_j = Y_j − u_n so that rounding is relative to the change:

    d_1 = μ̃_1 Δt F_0 ,   d_j = μ_j d_{j−1} + ν_j d_{j−2} + Δt (μ̃_j F_{j−1} + γ̃_j F_0) ,   u_{n+1} = u_n + d_s
    μ_j = 2 b_j w₀/b_{j−1} ,  ν_j = −b_j/b_{j−2} ,  μ̃_j = 2 b_j w₁/b_{j−1} ,  γ̃_j = −(1 − b_{j−1} T_{j−1}(w₀)) μ̃_j
    error = −4/5 d_s + 2/5 Δt (F_0 + F_s) = O(Δt³)

Stable for Δt ρ ≤ ⅔ (s² − 1): s stages go s/3 times as far per evaluation as Euler. The estimate is one of the
result itself: held to rtol √(rtol/10⁻²) the global error falls as rtol.
"""

from __future__ import annotations

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import State
from tmepde.schedule import Clock
from tmepde.steppers.account import Stepper, StepResult, budget_of
from tmepde.steppers.control import ROUND_OFF, StepControl
from tmepde.steppers.explicit import cap, conclude, judged, relaxed_part, repeat
from tmepde.steppers.explicit_terms import Terms, amounts, explicit_rate, terms
from tmepde.steppers.semidiscrete import SemiDiscrete

#: numbers of stages to choose from
STAGES = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 29, 35, 42, 50, 60, 72, 86, 100)


def coefficients(stages: int) -> np.ndarray:
    """Rows j = 1 … s + 1 of (μ, ν, μ̃, γ̃, c), c being the time at which the row's F is taken; the last row gives the
    error estimate in place of an increment. Shape ``(s + 1, 5)``."""
    s = stages
    w0 = 1.0 + 2.0 / (13.0 * s * s)
    t, d, dd = np.zeros(s + 1), np.zeros(s + 1), np.zeros(s + 1)
    t[0], t[1], d[1] = 1.0, w0, 1.0
    for j in range(2, s + 1):
        t[j] = 2 * w0 * t[j - 1] - t[j - 2]
        d[j] = 2 * w0 * d[j - 1] - d[j - 2] + 2 * t[j - 1]
        dd[j] = 2 * w0 * dd[j - 1] - dd[j - 2] + 4 * d[j - 1]
    w1 = d[s] / dd[s]
    b = np.full(s + 1, dd[2] / d[2] ** 2)
    b[2:] = dd[2:] / d[2:] ** 2
    rows, c = np.zeros((s + 1, 5)), np.zeros(s + 1)
    rows[0, 2], c[1] = b[1] * w1, b[1] * w1
    for j in range(2, s + 1):
        mu, nu, tilde = 2 * b[j] * w0 / b[j - 1], -b[j] / b[j - 2], 2 * b[j] * w1 / b[j - 1]
        gamma = -(1 - b[j - 1] * t[j - 1]) * tilde
        rows[j - 1] = mu, nu, tilde, gamma, c[j - 1]
        c[j] = mu * c[j - 1] + nu * c[j - 2] + tilde + gamma
    rows[s] = -0.8, 0.0, 0.4, 0.4, c[s]
    return rows


@functools.cache
def _table(most: int) -> tuple[np.ndarray, np.ndarray]:
    """What each number of stages up to ``most`` reaches, and its rows, ``(choices, most + 1, 5)``, padded with 0."""
    choices = [s for s in STAGES if s <= most]
    table = np.zeros((len(choices), choices[-1] + 1, 5))
    for i, s in enumerate(choices):
        table[i, : s + 1] = coefficients(s)
    return np.asarray([reach(s) for s in choices]), table


def reach(stages: int) -> float:
    """Largest Δt ρ of ``stages``: nine tenths of the real stability boundary (w₀ + 1)/w₁ ≈ ⅔ (s² − 1)."""
    w0 = 1.0 + 2.0 / (13.0 * stages * stages)
    x = np.polynomial.chebyshev.Chebyshev.basis(stages)
    return 0.9 * (w0 + 1.0) * float(x.deriv(2)(w0) / x.deriv(1)(w0))


class _Carry(eqx.Module):
    """Increments, amounts and quasi-steady fields: of the newest stage, and of the one before."""

    newest: State
    before: State
    amounts: Any
    amounts_before: Any
    steady: State
    converged: Any
    iterations: Any


def _most(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= STAGES[-1]:
        raise ValueError(f"Argument `most` must be from 2 to {STAGES[-1]} stages, but {value!r} was given.")
    return value


class RungeKuttaChebyshev(Stepper):
    """Second order, explicit, no linear solves; the number of stages follows from Δt and the spectral radius ρ.

    Good where diffusion is mildly stiff (Δt ρ up to some thousands) and nothing is quasi-steady. A step of s stages
    reaches Δt ρ ≈ 0.6 s²; steps beyond `most` stages are not proposed, and refused where `dt` is fixed. Quasi-steady
    fields are brought into balance at every stage. ``statistics["solver_iterations"]`` counts the stages.

    Args:
        most: stages allowed in one step, 2 to 100 (static); gradients in reverse keep that many states.

    Raises:
        ValueError: for `most` out of range.
    """

    most: int = eqx.field(static=True, default=100, converter=_most)

    @property
    def increments(self) -> bool:
        return True

    @property
    def power(self) -> int:
        return 3

    @property
    def solves(self) -> bool:
        return False

    @property
    def name(self) -> str:
        return "runge_kutta_chebyshev"

    def step(
        self,
        problem: SemiDiscrete,
        control: StepControl,
        clock: Clock,
        state: State,
        differentiable: bool = False,
    ) -> StepResult:
        dt = jnp.asarray(clock.step)
        reached, table = _table(self.most)
        rate = explicit_rate(problem, clock, state).astype(dt.dtype)
        stiffness = rate * jax.lax.stop_gradient(dt)
        index = jnp.sum(jnp.asarray(reached, dt.dtype) < stiffness)
        feasible = index < len(reached)
        index = jnp.minimum(index, len(reached) - 1)
        stages = jnp.asarray(STAGES)[index]
        rows = jnp.asarray(table, dt.dtype)[index]
        estimated = control.adaptive or bool(problem.quasi_steady)  # both need one more evaluation, at the end
        count = jnp.where(feasible, stages - 1 + estimated, 0)
        first, end = self._run(problem, control, clock, state, rows, count, differentiable)
        d, found = (end.before, end.amounts_before) if estimated else (end.newest, end.amounts)
        new = {**state, **{n: state[n] + d[n] for n in d}, **end.steady}
        error = jnp.zeros_like(dt)
        if control.adaptive:
            dynamic = {n: new[n] for n in d}
            sharp = control.sharpened(0.5, ROUND_OFF * jnp.finfo(dt.dtype).eps)
            error = judged(problem, sharp, state, dynamic, first, first, end.newest, dt)
        return conclude(
            problem,
            clock,
            state,
            new,
            budget_of(dt * found),
            error=error,
            converged=feasible & end.converged,
            iterations=end.iterations + 1,
            courant=cap(control, rate, 0.99 * float(reached[-1]) / jnp.where(rate > 0, rate, 1.0)),
            change=d,
        )

    def _run(
        self,
        problem: SemiDiscrete,
        control: StepControl,
        clock: Clock,
        state: State,
        rows: Any,
        count: Any,
        tracked: bool,
    ) -> tuple[Terms, _Carry]:
        """F_0, and what ``count`` rows after the first make of it."""
        dt, tolerance = clock.step, control.algebraic * control.rtol
        first = terms(problem, clock, state)
        start = amounts(problem, first)
        nothing = {n: jnp.zeros_like(f) for n, f in first.tendency.items()}

        def stage(index: Any, carry: _Carry) -> _Carry:
            mu, nu, tilde, gamma, time = rows[index + 1]
            now = Clock(clock.base, clock.local + time * dt, clock.start, clock.step)
            values = {**state, **{n: state[n] + d for n, d in carry.newest.items()}, **carry.steady}
            relaxed, steady, solves = relaxed_part(problem, now, values, tolerance, tracked)
            found = terms(problem, now, {**values, **relaxed})
            added = amounts(problem, found)

            def combine(one: Any, two: Any, slope: Any, base: Any) -> Any:
                return mu * one + nu * two + tilde * slope + gamma * base

            return _Carry(
                {
                    n: combine(d, carry.before[n], dt * found.tendency[n], dt * first.tendency[n])
                    for n, d in carry.newest.items()
                },
                carry.newest,
                combine(carry.amounts, carry.amounts_before, added, start),
                carry.amounts,
                relaxed,
                carry.converged & steady,
                carry.iterations + solves + 1,
            )

        opening = rows[0, 2]
        begin = _Carry(
            {n: dt * opening * f for n, f in first.tendency.items()},
            nothing,
            opening * start,
            jnp.zeros_like(start),
            {n: state[n] for n in problem.quasi_steady},
            jnp.asarray(True),
            jnp.asarray(0),
        )
        return first, repeat(count, self.most, stage, begin, tracked)
