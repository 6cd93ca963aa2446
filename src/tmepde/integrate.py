"""Advance a state over one save interval with adaptive steps that land on dose knots.

Time inside an interval is local (it starts at 0), so that float32 keeps its resolution however long the run is.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde._results import Status
from tmepde._types import State
from tmepde.schedule import Clock, schedules
from tmepde.steppers import SemiDiscrete, StepControl, Stepper
from tmepde.steppers.blocks import groups, joined
from tmepde.steppers.rosenbrock import BUDGET


class Progress(eqx.Module):
    """What is carried from step to step besides the state: controller, counters and budgets.

    ``before``: length and error of the last accepted step, zeros after a knot. ``refused``: those of the last attempt,
    if it was refused, else zeros. ``lag``: by how much the local time is ahead of the sum of the steps asked for.
    ``begun``: attempts made before the save interval. ``residue``: what the sums in ``budget`` lack by rounding (Kahan
    1965), so that they do not drift; ``rest``: the same of the fields, in float32 (see :func:`_compensated`).
    """

    dt: Any
    before: Any
    refused: Any
    lag: Any
    courant: Any
    steps: Any
    rejected: Any
    iterations: Any
    begun: Any
    status: Any
    budget: Any
    residue: Any
    rest: State


class Record(eqx.Module):
    """Local start and length of each accepted step, arrays as long as the most steps allowed.

    ``kept``: a place for the state before each step and what its equations gave, of which ``offset`` are taken; what
    does not fit overwrites the last.
    """

    start: Any
    length: Any
    count: Any
    kept: Any = None
    offset: Any = 0


def first_progress(
    problem: SemiDiscrete, control: StepControl, dtype: Any, first: Any = None, compensate: State | None = None
) -> Progress:
    """The controller at the start of a run.

    Args:
        first: the step to try, h (default: that of ``control``).
        compensate: the state whose rounding errors are to be carried along; ``None``: not at all.
    """
    dt = (control.first if first is None else first) if control.adaptive else control.dt
    zero = jnp.asarray(0)
    return Progress(
        dt=jnp.asarray(dt, dtype),
        before=(jnp.zeros((), dtype), jnp.zeros((), dtype)),
        refused=(jnp.zeros((), dtype), jnp.zeros((), dtype)),
        lag=jnp.zeros((), dtype),
        courant=jnp.zeros((), dtype),
        steps=zero,
        rejected=zero,
        iterations=zero,
        begun=zero,
        status=jnp.asarray(int(Status.ok)),
        budget=jnp.zeros((len(problem.dynamic), len(BUDGET)), dtype),
        residue=jnp.zeros((len(problem.dynamic), len(BUDGET)), dtype),
        rest={} if compensate is None else {n: jnp.zeros_like(compensate[n]) for n in problem.dynamic},
    )


def advance(
    problem: SemiDiscrete,
    stepper: Stepper,
    control: StepControl,
    state: State,
    progress: Progress,
    base: Any,
    end: Any,
    differentiable: bool = False,
    record: int = 0,
    kept: Any = None,
    offset: Any = 0,
    start: Any = 0.0,
) -> tuple[State, Progress, Record]:
    """Integrate from local time ``start`` to ``end``, both in hours after ``base``.

    Args:
        differentiable: carry derivatives through each solve (forward mode differentiates this function as it is).
        record: size of the record of accepted steps; 0 records nothing.
        kept: from :func:`room`, where what is needed to repeat accepted steps is written, after ``offset`` of them.
    """
    begin = jnp.asarray(start, end.dtype)
    span = (base, begin, begin, end)
    state, progress, _, log = march(
        problem, stepper, control, state, progress, span, None, differentiable, record, kept, offset
    )
    return state, progress, log


def march(
    problem: SemiDiscrete,
    stepper: Stepper,
    control: StepControl,
    state: State,
    progress: Progress,
    span: tuple[Any, ...],
    attempts: Any = None,
    differentiable: bool = False,
    record: int = 0,
    kept: Any = None,
    offset: Any = 0,
) -> tuple[State, Progress, Any, Record]:
    """Go on within a save interval, with at most ``attempts`` attempted steps (``None``: to its end).

    Args:
        span: base, local times of the interval's start, of ``state``, and of the interval's end.
        record: as for :func:`advance`; without ``attempts`` a save interval that takes more of them has failed.

    Returns:
        the state, the controller, the local time reached, and the record.
    """
    base, start, local, end = span
    dtype = end.dtype
    problem = problem.prepared(beginning(base, local, control), state)
    knots = knots_of(problem, base, start, end)
    made = progress.steps + progress.rejected
    empty = jnp.zeros(max(record, 1), dtype)
    nothing = Record(empty, empty, jnp.asarray(0), kept, jnp.asarray(offset))
    limit = control.max_steps if record == 0 or attempts is not None else min(record, control.max_steps)

    def running(carry: tuple[Any, ...]) -> Any:
        local, _, progress, _ = carry
        going = (local < end) & (progress.status == int(Status.ok))
        return going if attempts is None else going & (progress.steps + progress.rejected - made < attempts)

    def attempt(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        local, state, progress, log = carry
        target = jnp.min(jnp.where(knots > local, knots, end))
        wish, landing = _next_step(stepper, control, progress, target - local)
        moved, dt, lag = _moved(local, wish, landing, target, progress.lag)
        clock = Clock(base, local, local, dt)
        result = stepper.step(problem, control, clock, state, differentiable)
        error = jnp.where(_finite(result.state), result.error, jnp.inf)
        result = eqx.tree_at(lambda r: r.error, result, jax.lax.stop_gradient(error))
        fine = jnp.isfinite(result.error) & result.converged & _stable(stepper, control, result, dt)
        accepted = fine & ((result.error <= 1.0) | (not control.adaptive))
        new, rest = _compensated(state, result, progress.rest)
        carried = jax.tree.map(lambda n, o: jnp.where(accepted, n, o), (lag, rest), (progress.lag, progress.rest))
        progress = dataclasses.replace(progress, lag=carried[0], rest=carried[1])
        progress = _account(stepper, control, progress, result, wish, accepted, landing, limit)
        if record:
            before_it = None if kept is None else (state, remembered(stepper, result))
            log = _note(log, local, dt, accepted, before_it)
        state = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), new, state)
        return jnp.where(accepted, moved, local), state, progress, log

    local, state, progress, log = jax.lax.while_loop(running, attempt, (local, state, progress, nothing))
    total = jnp.where(local < end, progress.begun, progress.steps + progress.rejected)
    return state, eqx.tree_at(lambda p: p.begun, progress, total), local, log


def _moved(local: Any, wish: Any, landing: Any, target: Any, lag: Any) -> tuple[Any, Any, Any]:
    """The local time after a step, the step that is exactly the difference, and the new lag.

    In float32 at a local time of 8 h a step of 1e-4 h can only be 0.999e-4 or 1.009e-4. Steps of what was asked for
    beside a clock of rounded sums would drift apart (1e5 of them by 6e-4); here clock, steps and doses agree, and the
    lag picks the lengths so that they are right on average.
    """
    here, asked = jax.lax.stop_gradient((local, wish - lag))
    later = jnp.maximum(here + asked, jnp.nextafter(here, jnp.asarray(jnp.inf, here.dtype)))
    step = later - here
    lag = jnp.where(landing, 0.0, step - asked)
    return jnp.where(landing, target, local + step), jnp.where(landing, wish, step), lag


def _compensated(old: State, result: Any, rest: State) -> tuple[State, State]:
    """The new state with what rounding left out of it before, and what it leaves out now (Kahan 1965).

    A float32 u + δu with |δu| ≪ |u| is off by up to half a unit in the last place, and always to the same side while δu
    hardly changes: over 1e5 steps a content drifts by 1e-4 and slow fields stand still. More than two units are no
    rounding but a kill or a clipping, and are left alone.
    """
    new, left = dict(result.state), {}
    for name, carried in rest.items():
        value = new[name]
        excess = (value - old[name]) - result.change[name] + carried
        excess = jnp.where(jnp.abs(excess) <= 2.0 * jnp.finfo(value.dtype).eps * jnp.abs(value), excess, 0.0)
        new[name] = value - excess
        left[name] = (new[name] - value) + excess
    return new, left


def _stable(stepper: Stepper, control: StepControl, result: Any, dt: Any) -> Any:
    """Whether a fixed step stays within the Courant number 1 of an explicit drift; adaptive ones stay below its limit.

    Beyond it the field is torn apart and rescaled to its total, or to nothing, without any error estimate to say so.
    """
    if control.adaptive or stepper.implicit_drift:
        return jnp.asarray(True)
    return result.courant * dt <= 1.0 + 1e-3


def _finite(state: State) -> Any:
    """Whether every value of every field is a number: NaN in one cell of one field refuses the step."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(joined(state, names))) for names in groups(state)]))


def beginning(base: Any, local: Any, control: StepControl) -> Clock:
    """The clock of an instant."""
    return Clock(base, local, local, jnp.asarray(control.first, local.dtype))


def knots_of(problem: SemiDiscrete, base: Any, start: Any, end: Any) -> Any:
    """Local times to land on: dose starts and ends inside the interval, and its end."""
    found = [s.knots(base).astype(end.dtype) for s in schedules(problem.system)]
    knots = jnp.concatenate([*found, end[None]])
    return jnp.where((knots > start) & (knots < end), knots, end)


def _next_step(stepper: Stepper, control: StepControl, progress: Progress, gap: Any) -> tuple[Any, Any]:
    """A step that lands on the gap's end or splits it evenly rather than leaving a crumb.

    Only the length of a landing step has a derivative: it moves with its knot, and the steps after it move along.
    """
    courant = jnp.where(progress.courant > 0, control.courant / jnp.maximum(progress.courant, 1e-30), jnp.inf)
    capped = control.adaptive and not stepper.implicit_drift
    wish = jnp.minimum(progress.dt, courant) if capped else progress.dt
    landing = wish >= gap * (1.0 - 1e-3)
    free = jnp.where((wish > 0.5 * gap) & control.adaptive, 0.5 * gap, wish)
    return jnp.where(landing, gap, jax.lax.stop_gradient(free)), landing


def _account(
    stepper: Stepper,
    control: StepControl,
    progress: Progress,
    result: Any,
    dt: Any,
    accepted: Any,
    landing: Any,
    limit: int,
) -> Progress:
    following = progress.dt
    if control.adaptive:
        error = jnp.where(result.converged, result.error, jnp.inf)
        known = (progress.before, progress.refused)
        following = control.following(dt, error, accepted, stepper.power, *known).astype(dt.dtype)
        shortened = accepted & (dt < progress.dt)
        following = jnp.where(shortened, jnp.maximum(progress.dt, following), following)
        following = jax.lax.stop_gradient(following)
    steps = progress.steps + accepted
    rejected = progress.rejected + ~accepted
    stuck = ~accepted & ((following < control.shortest) | (not control.adaptive))
    left = int(Status.step_too_small if control.adaptive else Status.unstable)
    cause = jnp.where(result.converged, left, int(Status.solver))
    cause = jnp.where(jnp.isfinite(result.error), cause, int(Status.not_finite))
    spent = (steps + rejected - progress.begun >= limit) & ~stuck
    status = jnp.where(stuck, cause, jnp.where(spent, int(Status.step_limit), progress.status))
    added = jnp.where(accepted, result.budget, 0.0) - progress.residue
    budget = progress.budget + added
    residue = (budget - progress.budget) - added
    trend = accepted & ~landing  # what comes after a knot is another problem
    last = tuple(
        jnp.where(accepted, jnp.where(trend, new, 0.0), old).astype(dt.dtype)
        for new, old in zip((dt, result.error), progress.before, strict=True)
    )
    failed = ~accepted & result.converged & jnp.isfinite(result.error)
    refused = tuple(jnp.where(failed, x, 0.0).astype(dt.dtype) for x in (dt, result.error))
    return Progress(
        dt=following,
        before=last,
        refused=refused,
        lag=progress.lag,
        courant=jnp.where(accepted, result.courant, progress.courant).astype(dt.dtype),
        steps=steps,
        rejected=rejected,
        iterations=progress.iterations + result.iterations,
        begun=progress.begun,
        status=status,
        budget=budget,
        residue=residue,
        rest=progress.rest,
    )


def remembered(stepper: Stepper, result: Any) -> Any:
    """What the equations of a step gave; ``None`` if the stepper does not remember."""
    return result.solved if stepper.remembers else None


def room(problem: SemiDiscrete, stepper: Stepper, state: State, size: int) -> tuple[State, Any]:
    """Zeros for the states before ``size`` steps and what the equations of each gave."""
    found: tuple[State, Any] = jax.tree.map(
        lambda u: jnp.zeros((size, *u.shape), u.dtype), (state, stepper.memory(problem, state))
    )
    return found


def _note(log: Record, local: Any, dt: Any, accepted: Any, kept: Any) -> Record:
    """With an accepted step entered. What a refused attempt leaves in ``kept`` the next one overwrites."""
    here = jnp.where(accepted, log.count, log.start.shape[0])
    start, length = log.start.at[here].set(local, mode="drop"), log.length.at[here].set(dt, mode="drop")
    store = put(log.kept, kept, log.offset + log.count)
    return Record(start, length, log.count + accepted, store, log.offset)


def put(store: Any, values: Any, slot: Any) -> Any:
    """``store`` with ``values`` at ``slot``, or at its last one if that is beyond."""
    return jax.tree.map(lambda s, u: jax.lax.dynamic_update_index_in_dim(s, u, slot, 0), store, values)
