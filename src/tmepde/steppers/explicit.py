"""Forward Euler, with as many substeps as its stability limit asks for.

    u ← u + h F(t, u),   h = Δt/m ≤ 2/ρ        ρ: explicit_rate

For problems whose diffusion is not stiff (patterns, fronts, slow species on coarse cells) nothing is cheaper per step.
A step longer than the limit is divided, never taken unstable: below the limit positive values stay positive. Over one
step Δt the error is about ½ h ∫u″ = ½ h (F(u_end) − F(u_start)): one of the result itself, so that adaptive steps are
held to rtol²/10⁻², as those of ``BackwardEuler``. (Held to rtol the error of a run fell as √rtol.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._arguments import as_number
from tmepde._types import State
from tmepde.schedule import Clock
from tmepde.steppers.account import (
    Stepper,
    StepResult,
    budget_of,
    expected,
    hazards,
    positive,
    scales,
    weighted_error,
)
from tmepde.steppers.control import ROUND_OFF, StepControl
from tmepde.steppers.explicit_terms import amounts, explicit_rate, terms
from tmepde.steppers.quasi_steady import relax_quasi_steady
from tmepde.steppers.semidiscrete import SemiDiscrete


def _substep(value: Any) -> Any:
    value = as_number(value)
    if isinstance(value, np.ndarray) and not np.all(value > 0):
        raise ValueError(
            f"Argument `substep` must be positive hours, but {value} was given. Leave it out for the limit."
        )
    return value


def repeat(count: Any, most: int, body: Callable[[Any, Any], Any], carry: Any, differentiable: bool) -> Any:
    """``body(i, carry)`` for i < count ≤ most. The loop ends early; its differentiable form keeps one carry a turn."""
    if not differentiable:
        return jax.lax.fori_loop(0, count, body, carry)
    kept = jax.checkpoint(body)

    def turn(carry: Any, index: Any) -> tuple[Any, None]:
        return jax.lax.cond(index < count, lambda c: kept(index, c), lambda c: c, carry), None

    return jax.lax.scan(turn, carry, jnp.arange(most))[0]


def cap(control: StepControl, rate: Any, longest: Any) -> Any:
    """The rate to report as ``courant``, so that the controller proposes no step above ``longest`` (h)."""
    return jnp.where(rate > 0, control.courant / jnp.where(rate > 0, longest, 1.0), 0.0)


def conclude(
    problem: SemiDiscrete, clock: Clock, before: State, result: State, budget: Any, **found: Any
) -> StepResult:
    """Undershoots removed, hazards applied, and ``error`` made infinite where a value is not finite."""
    new = {n: result[n] for n in problem.dynamic}
    finite = jnp.asarray(True)
    for value in new.values():
        finite = finite & jnp.isfinite(jnp.sum(value))
    new, budget = positive(problem, new, budget)
    new, budget = hazards(problem, clock, before, new, budget)
    found["error"] = jnp.where(finite, found["error"], jnp.inf)
    return StepResult(state={**result, **new}, budget=budget, **found)


class _Carry(eqx.Module):
    state: State
    amounts: Any
    converged: Any
    iterations: Any


class ExplicitEuler(Stepper):
    """First order, positive, no linear solves: u ← u + h F(u) with h at most the stability limit 2/ρ.

    With ``StepControl(dt=…)`` each step of dt hours is divided evenly into as many substeps as `substep` and the limit
    ask for; take dt some twenty substeps long, because limit, error, clipping and dose times are looked at once a step.
    The number of substeps is ``statistics["solver_iterations"]``. Quasi-steady fields are brought into balance after
    every substep. A step whose limit falls below its substeps on the way is refused. In float32 what rounding leaves
    out of a step is carried along, and substeps add to the change since the start of their step.

    Args:
        substep: longest substep in h; ``None``: the stability limit alone.
        safety: part of the limit that is used, which leaves room for rates that rise within a step.
        most: substeps allowed in one step (static); gradients in reverse keep that many states.
        budget: whether to add up what is produced, lost and let in (static); ``False`` saves a third of a cheap step
            and reports NaN.

    Raises:
        ValueError: for a `substep` that is not positive.
    """

    substep: Any = eqx.field(converter=_substep, default=None)
    safety: Any = eqx.field(converter=as_number, default=0.8)
    most: int = eqx.field(static=True, default=256)
    budget: bool = eqx.field(static=True, default=True)

    @property
    def increments(self) -> bool:
        return True

    @property
    def solves(self) -> bool:
        return False

    @property
    def name(self) -> str:
        return "explicit_euler"

    def step(
        self,
        problem: SemiDiscrete,
        control: StepControl,
        clock: Clock,
        state: State,
        differentiable: bool = False,
    ) -> StepResult:
        dt = jnp.asarray(clock.step)
        rate = explicit_rate(problem, clock, state).astype(dt.dtype)
        limit = jnp.where(
            rate > 0, 2.0 * jnp.asarray(self.safety).astype(dt.dtype) / jnp.where(rate > 0, rate, 1.0), jnp.inf
        )
        if self.substep is not None:
            limit = jnp.minimum(limit, jnp.asarray(self.substep).astype(dt.dtype))
        wanted = jnp.ceil(jax.lax.stop_gradient(dt) / limit * (1.0 - 1e-4))
        feasible = wanted <= self.most
        count = jnp.where(feasible, jnp.maximum(wanted, 1.0), 0.0).astype(int)
        h = dt / jnp.maximum(count, 1)
        end, change = self._run(problem, control, clock, state, h, count, differentiable)
        last = Clock(clock.base, clock.local + dt, clock.start, clock.step)
        after = jax.lax.cond(
            count > 1, lambda u: explicit_rate(problem, last, u).astype(dt.dtype), lambda _: rate, end.state
        )
        stable = h * after <= 2.0 * (1.0 + 1e-3)
        error = (
            self._error(problem, control, clock, last, state, end.state, h) if control.adaptive else jnp.zeros_like(dt)
        )
        budget = budget_of(h * end.amounts)
        return conclude(
            problem,
            clock,
            state,
            end.state,
            budget,
            error=error,
            converged=feasible & stable & end.converged,
            iterations=end.iterations,
            courant=cap(control, rate, 0.99 * self.most * limit),
            change=change,
        )

    def _run(
        self, problem: SemiDiscrete, control: StepControl, clock: Clock, state: State, h: Any, count: Any, tracked: bool
    ) -> tuple[_Carry, State | None]:
        """The end of the step, and in float32 what changed in it.

        There substeps add to the change since the start of the step: what is small beside the state is then rounded as
        a small number, so that a content does not drift however many substeps there are.
        """
        tolerance = control.algebraic * control.rtol
        unknown = jnp.full((len(problem.dynamic), 3), jnp.nan, jnp.result_type(*state.values()))

        def advance(index: Any, carry: _Carry) -> tuple[_Carry, State]:
            start = clock.local + index * h
            found = terms(problem, Clock(clock.base, start, start, h), carry.state)
            here = found.state
            added = amounts(problem, found) if self.budget else unknown
            change = {n: h * f for n, f in found.tendency.items()}
            new = {**here, **{n: here[n] + d for n, d in change.items()}}
            later = Clock(clock.base, start + h, start, h)
            relaxed, steady, solves = relaxed_part(problem, later, new, tolerance, tracked)
            after = _Carry(
                {**new, **relaxed},
                carry.amounts + added,
                carry.converged & steady,
                carry.iterations + solves + 1,
            )
            return after, change

        def whole(carry: _Carry, change: State) -> _Carry:
            moved = {n: state[n] + d for n, d in change.items()}
            return dataclasses.replace(carry, state={**carry.state, **moved})

        def further(index: Any, pair: tuple[_Carry, State]) -> tuple[_Carry, State]:
            carry, change = pair
            after, added = advance(index, whole(carry, change))
            change = {n: change[n] + d for n, d in added.items()}
            return other(after), change

        def other(carry: _Carry) -> _Carry:  # the change stands for the rest
            kept = {n: u for n, u in carry.state.items() if n not in problem.dynamic}
            return dataclasses.replace(carry, state=kept)

        def many() -> tuple[_Carry, State]:
            still = {n: jnp.zeros_like(state[n]) for n in problem.dynamic}
            end, change = jax.lax.fori_loop(0, count, further, (other(begin), still))
            return whole(end, change), change

        begin = _Carry(state, jnp.zeros_like(unknown), jnp.asarray(True), jnp.asarray(0))
        if tracked or jnp.asarray(h).dtype != jnp.float32:  # where the rounding is not carried along
            return repeat(count, self.most, lambda index, carry: advance(index, carry)[0], begin, tracked), None
        return jax.lax.cond(count == 1, lambda: advance(0, begin), many)

    def _error(
        self, problem: SemiDiscrete, control: StepControl, clock: Clock, last: Clock, state: State, end: State, h: Any
    ) -> Any:
        first = terms(problem, clock, state)
        then = terms(problem, last, end)
        dynamic = {n: end[n] for n in problem.dynamic}
        estimate = {n: 0.5 * h * (then.tendency[n] - first.tendency[n]) for n in dynamic}
        sharp = control.sharpened(1.0, ROUND_OFF * jnp.finfo(jnp.asarray(h).dtype).eps)
        return judged(problem, sharp, state, dynamic, first, then, estimate, h)


def judged(
    problem: SemiDiscrete,
    control: StepControl,
    old: State,
    new: State,
    first: Any,
    then: Any,
    estimate: State,
    dt: Any,
) -> Any:
    """The weighted error of an ``estimate``, on the scales that all steppers share; ``first`` and ``then`` are
    :class:`Terms` at the start and the end."""
    coming = jnp.maximum(expected(problem, first), expected(problem, then))
    scale = scales(problem, control, old, new, coming)
    return weighted_error(problem, new, estimate, scale, jnp.asarray(dt).dtype)


def relaxed_part(
    problem: SemiDiscrete, clock: Clock, state: State, tolerance: Any, differentiable: bool
) -> tuple[State, Any, Any]:
    """The quasi-steady fields in balance with ``state``, whether they converged, and the linear iterations."""
    if not problem.quasi_steady:
        return {}, jnp.asarray(True), jnp.asarray(0)
    found, steady, solves = relax_quasi_steady(problem, clock, problem.positive(state), tolerance, differentiable)
    return {n: found[n] for n in problem.quasi_steady}, steady, solves
