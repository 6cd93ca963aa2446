"""Advance a state over one save interval with adaptive steps that land on dose knots, forwards and in reverse.

Time inside an interval is local (it starts at 0), so that float32 keeps its resolution however long the run is. The
reverse mode does not store the trajectory of the adaptive loop: it records the accepted steps, recomputes the states of
one interval at a time, and takes the vector–Jacobian product step by step. Step sizes are frozen in it (the derivative
of the step-size controller is truncation error, not physics), but steps that end on a dose move with the dose.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde._results import Status
from tmepde._types import State
from tmepde.schedule import Clock, schedules
from tmepde.steppers import SemiDiscrete, StepControl, Stepper
from tmepde.steppers.rosenbrock import BUDGET


class Progress(eqx.Module):
    """What is carried from step to step besides the state: controller, counters and budgets."""

    dt: Any
    courant: Any
    steps: Any
    rejected: Any
    iterations: Any
    status: Any
    budget: State


class Record(eqx.Module):
    """Local start and length of each accepted step, arrays of ``max_steps`` entries."""

    start: Any
    length: Any
    count: Any


def first_progress(problem: SemiDiscrete, control: StepControl, dtype: Any) -> Progress:
    """The controller at the start of a run."""
    dt = control.first if control.adaptive else control.dt
    zero = jnp.asarray(0)
    return Progress(
        dt=jnp.asarray(dt, dtype),
        courant=jnp.zeros((), dtype),
        steps=zero,
        rejected=zero,
        iterations=zero,
        status=jnp.asarray(int(Status.ok)),
        budget={n: jnp.zeros(len(BUDGET), dtype) for n in problem.dynamic},
    )


def advance(
    problem: SemiDiscrete,
    stepper: Stepper,
    control: StepControl,
    state: State,
    progress: Progress,
    base: Any,
    length: Any,
    differentiable: bool = False,
    record: int = 0,
) -> tuple[State, Progress, Record]:
    """Integrate from ``base`` (h) over ``length`` hours.

    Args:
        differentiable: carry derivatives through each solve (forward mode differentiates this function as it is).
        record: size of the record of accepted steps; 0 records nothing.
    """
    dtype = length.dtype
    knots = _knots(problem, base, length)
    before = progress.steps + progress.rejected
    nothing = Record(jnp.zeros(max(record, 1), dtype), jnp.zeros(max(record, 1), dtype), jnp.asarray(0))
    limit = control.max_steps if record == 0 else min(record, control.max_steps)

    def running(carry: tuple[Any, ...]) -> Any:
        local, _, progress, _ = carry
        return (local < length) & (progress.status == int(Status.ok))

    def attempt(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        local, state, progress, log = carry
        target = jnp.min(jnp.where(knots > local, knots, length))
        dt, landing = _next_step(control, progress, target - local)
        clock = Clock(base, local, local, dt)
        result = stepper.step(problem, control, clock, state, differentiable)
        result = eqx.tree_at(lambda r: r.error, result, jax.lax.stop_gradient(result.error))
        fine = jnp.isfinite(result.error) & result.converged
        accepted = fine & ((result.error <= 1.0) | (not control.adaptive))
        progress = _account(control, progress, result, dt, accepted, before, limit)
        if record:
            log = _note(log, local, dt, accepted)
        moved = jnp.where(landing, target, local + dt)
        state = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), result.state, state)
        return jnp.where(accepted, moved, local), state, progress, log

    start = (jnp.zeros((), dtype), state, progress, nothing)
    _, state, progress, log = jax.lax.while_loop(running, attempt, start)
    return state, progress, log


def _knots(problem: SemiDiscrete, base: Any, length: Any) -> Any:
    """Local times to land on: dose starts and ends inside the interval, and its end."""
    found = [s.knots(base).astype(length.dtype) for s in schedules(problem.system)]
    knots = jnp.concatenate([*found, length[None]])
    return jnp.where((knots > 0) & (knots < length), knots, length)


def _next_step(control: StepControl, progress: Progress, gap: Any) -> tuple[Any, Any]:
    """A step that lands on the gap's end or splits it evenly rather than leaving a crumb.

    Only the length of a landing step has a derivative: it moves with its knot, and the steps after it move along.
    """
    courant = jnp.where(progress.courant > 0, control.courant / jnp.maximum(progress.courant, 1e-30), jnp.inf)
    wish = jnp.minimum(progress.dt, courant) if control.adaptive else progress.dt
    landing = wish >= gap * (1.0 - 1e-3)
    free = jnp.where((wish > 0.5 * gap) & control.adaptive, 0.5 * gap, wish)
    return jnp.where(landing, gap, jax.lax.stop_gradient(free)), landing


def _account(
    control: StepControl, progress: Progress, result: Any, dt: Any, accepted: Any, before: Any, limit: int
) -> Progress:
    following = progress.dt
    if control.adaptive:
        error = jnp.where(result.converged, result.error, jnp.inf)
        following = control.following(dt, error, accepted).astype(dt.dtype)
        shortened = accepted & (dt < progress.dt)
        following = jnp.where(shortened, jnp.maximum(progress.dt, following), following)
        following = jax.lax.stop_gradient(following)
    steps = progress.steps + accepted
    rejected = progress.rejected + ~accepted
    stuck = ~accepted & ((following < control.shortest) | (not control.adaptive))
    cause = jnp.where(
        ~jnp.isfinite(result.error),
        int(Status.not_finite),
        jnp.where(result.converged, int(Status.step_too_small), int(Status.solver)),
    )
    spent = (steps + rejected - before >= limit) & ~stuck
    status = jnp.where(stuck, cause, jnp.where(spent, int(Status.step_limit), progress.status))
    budget = {n: progress.budget[n] + jnp.where(accepted, v, 0.0) for n, v in result.budget.items()}
    return Progress(
        dt=following,
        courant=jnp.where(accepted, result.courant, progress.courant).astype(dt.dtype),
        steps=steps,
        rejected=rejected,
        iterations=progress.iterations + result.iterations,
        status=status,
        budget=budget,
    )


def _note(log: Record, local: Any, dt: Any, accepted: Any) -> Record:
    here = jnp.where(accepted, log.count, log.start.shape[0])
    start = log.start.at[here].set(local, mode="drop")
    return Record(start, log.length.at[here].set(dt, mode="drop"), log.count + accepted)


def advance_reversible(
    problem: SemiDiscrete,
    stepper: Stepper,
    control: StepControl,
    state: State,
    progress: Progress,
    base: Any,
    length: Any,
    record: int,
) -> tuple[State, Progress]:
    """:func:`advance` with a reverse-mode derivative with respect to ``problem`` and ``state``.

    Memory: the states of ``record`` steps of one interval; over many intervals only their end states are kept.
    """
    arrays, static = eqx.partition(problem, eqx.is_inexact_array)

    @jax.custom_vjp
    def run(arrays: Any, state: State, rest: Any) -> tuple[State, Progress]:
        return forward(arrays, state, rest)[0]

    def forward(arrays: Any, state: State, rest: Any) -> tuple[tuple[State, Progress], Any]:
        control, progress, base, length = rest
        whole = eqx.combine(arrays, static)
        end, progress, log = advance(whole, stepper, control, state, progress, base, length, record=record)
        return (end, progress), (arrays, state, rest, log)

    def backward(kept: Any, cotangent: Any) -> Any:
        arrays, state, rest, log = kept
        control, _, base, length = rest
        fixed = _knots(eqx.combine(arrays, static), base, length)

        def moved(time: Any, knots: Any) -> Any:
            """``time`` carried along by the last knot the stepper landed on before it."""
            reached = (fixed <= time) & (time < length)
            last = jnp.argmax(jnp.where(reached, fixed, -1.0))
            return time + jnp.where(reached[last], knots[last] - fixed[last], 0.0)

        def one(arrays: Any, state: State, index: Any) -> State:
            whole = eqx.combine(arrays, static)
            knots = _knots(whole, base, length)
            end = jnp.where(index + 1 < log.count, log.start[jnp.minimum(index + 1, record - 1)], length)
            start = moved(log.start[index], knots)
            clock = Clock(base, start, start, moved(end, knots) - start)
            return stepper.step(whole, control, clock, state, differentiable=True).state

        def plain(state: State, index: Any) -> State:
            clock = Clock(base, log.start[index], log.start[index], log.length[index])
            return stepper.step(eqx.combine(arrays, static), control, clock, state).state

        store = jax.tree.map(lambda u: jnp.zeros((record, *u.shape), u.dtype), state)

        def replay(index: Any, carry: Any) -> Any:
            state, store = carry
            store = jax.tree.map(lambda s, u: s.at[index].set(u), store, state)
            return plain(state, index), store

        _, store = jax.lax.fori_loop(0, log.count, replay, (state, store))

        def sweep(i: Any, carry: Any) -> Any:
            index = log.count - 1 - i
            gradient, adjoint = carry
            then = jax.tree.map(lambda s: s[index], store)
            _, pull = jax.vjp(lambda a, u: one(a, u, index), arrays, then)
            d_arrays, adjoint = pull(adjoint)
            return jax.tree.map(jnp.add, gradient, d_arrays), adjoint

        zero = jax.tree.map(jnp.zeros_like, arrays)
        gradient, adjoint = jax.lax.fori_loop(0, log.count, sweep, (zero, cotangent[0]))
        return gradient, adjoint, None

    run.defvjp(forward, backward)
    return run(arrays, state, (control, progress, base, length))
