"""The derivative of a run backwards, one save interval at a time, in bounded memory.

Step sizes are frozen (the derivative of the step-size controller is truncation error, not physics), but steps that end
on a dose move with the dose. On the way the states of the first steps of the run and the solutions of their linear
equations are kept, as many as there is room for, and of all steps their lengths. Backwards, an interval that has been
kept is pulled back at once. Any other is repeated in segments of R ≥ √N of its N steps: first once through, leaving the
state at the start of each segment (left out where R ≥ N), then segment by segment from the last, each repeated once
more with what is kept of it. Kept steps are pulled back one by one:

    (ḡ, ū) ← (ḡ + ∂step/∂θᵀ ū , ∂step/∂uᵀ ū)

Budgets are sums over the steps: where they are asked for, what each step adds is pulled back with its state. A step
that is pulled back solves nothing again but the adjoint systems (implicit function theorem). What is repeated is
two-level checkpointing (Griewank & Walther 2008, Evaluating Derivatives, ch. 12): memory for 2R states, whatever
N ≤ R².

All this is one program where a derivative is taken inside ``jax.jit``. Where numbers are at hand, :mod:`tmepde.reel`
does the same with smaller programs that are called one after the other.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import CustomVJPPrimal, SymbolicZero

from tmepde._types import State, is_traced
from tmepde.integrate import Progress, advance, put, room
from tmepde.reel import Recorder, Reel
from tmepde.replay import Replay
from tmepde.steppers import SemiDiscrete, StepControl, Stepper

#: bytes for steps that are kept, and the most that are kept on the way: for each save interval, and besides
_MEMORY, _EACH, _BESIDES = 3 * 2**27, 64, 256
#: bounds of the steps of a segment, and its share of what there is room for
_SHORTEST, _LONGEST, _SHARE = 16, 128, 8


class Tape(NamedTuple):
    """Steps of the whole run ``kept`` on the way, and of a ``segment`` that is repeated, whose square is the number of
    attempts that a save interval may take."""

    kept: int
    segment: int


def tape_for(problem: SemiDiscrete, state: State, intervals: int) -> Tape:
    """What fits into :data:`_MEMORY`, at least the shortest segment."""
    size = sum(u.size * u.dtype.itemsize for u in state.values())
    step = max(1, size + 3 * sum(state[n].size * state[n].dtype.itemsize for n in problem.transported))
    segment = min(_LONGEST, max(_SHORTEST, _MEMORY // step // _SHARE))
    left = _MEMORY - segment * (step + size)
    return Tape(max(0, min(_EACH * intervals + _BESIDES, left // step)), segment)


def _sought(x: Any) -> bool:
    """What can have a derivative: traced numbers; anything else is a constant of the program."""
    return eqx.is_inexact_array(x) and isinstance(x, jax.core.Tracer)


def run_reversible(
    problem: SemiDiscrete,
    stepper: Stepper,
    control: StepControl,
    state: State,
    progress: Progress,
    spans: tuple[Any, Any, Any],
    tape: Tape,
) -> tuple[State, Progress]:
    """The states at the ends of ``spans`` (stacked) and the controller at the end, both with a reverse-mode derivative
    with respect to ``problem`` and ``state`` (of the controller that of its budget).

    Args:
        spans: base, local start and local end of each save interval, one after the other, as arrays. One of more than
            ``tape.segment``² attempted steps ends with ``Status.step_limit``.
    """
    arrays, static = eqx.partition(problem, _sought)
    most = min(control.max_steps, tape.segment**2)

    @jax.custom_vjp
    def run(arrays: Any, state: State, rest: Any) -> tuple[State, Progress]:
        return recorded(arrays, state, rest, 0)[0]  # without a derivative nothing is kept

    def forward(*primals: Any) -> tuple[tuple[State, Progress], Any]:
        arrays, state, rest = jax.tree.map(lambda p: p.value, primals, is_leaf=_is_primal)
        return recorded(arrays, state, rest, tape.kept)

    def recorded(arrays: Any, state: State, rest: Any, kept: int) -> tuple[tuple[State, Progress], Any]:
        control, progress, spans = rest
        if Recorder.suits(arrays, static, state, rest):
            recorder = Recorder(static, stepper, control, spans, *tape)
            result, reel = recorder.record(arrays, state, progress)
            return result, (arrays, rest, reel)
        which = (eqx.combine(arrays, static), stepper, control)
        store = room(*which[:2], state, kept + tape.segment) if kept else None

        def one(carry: Any, span: Any) -> Any:
            state, progress, store, offset = carry
            base, begin, end = span
            state, progress, log = advance(
                *which, state, progress, base, end, record=most, kept=store, offset=offset, start=begin
            )
            steps = dataclasses.replace(log, kept=None)
            return (state, progress, log.kept, offset + log.count), (state, steps)

        start = (state, progress, store, jnp.asarray(0))
        (_, progress, store, _), (states, logs) = jax.lax.scan(one, start, spans)
        return (states, progress), (arrays, state, rest, states, logs, store)

    @jax.default_matmul_precision("highest")
    def backward(kept: Any, cotangents: Any) -> Any:
        kept, cotangents = (_once_only(kept[0]), *kept[1:]), _once_only(cotangents)
        cotangent, flows = jax.tree.map(_filled, cotangents[0], is_leaf=_is_zero), _asked(cotangents[1].budget)
        if isinstance(kept[-1], Reel):
            arrays, (control, _, spans), reel = kept
            recorder = Recorder(static, stepper, control, spans, *tape)
            return *recorder.pull_back(arrays, reel, cotangent, flows), None
        arrays, first, (control, _, spans), states, logs, store = kept
        if store is None:
            store = room(static, stepper, first, tape.segment)
        starts = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b[:-1]]), first, states)

        def one(carry: Any, each: Any) -> Any:
            gradient, adjoint, store = carry
            span, start, log, more = each
            adjoint = jax.tree.map(jnp.add, adjoint, more)
            interval = Replay(stepper, control, arrays, static, span, start, log)
            slope, adjoint, store = _pull_back(interval, start, adjoint, store, tape, flows)
            return (jax.tree.map(jnp.add, gradient, slope), adjoint, store), None

        zero = jax.tree.map(jnp.zeros_like, (arrays, first))
        (gradient, adjoint, _), _ = jax.lax.scan(one, (*zero, store), (spans, starts, logs, cotangent), reverse=True)
        return gradient, adjoint, None

    run.defvjp(forward, backward, symbolic_zeros=True)
    return run(arrays, state, (control, progress, spans))


def _once_only(tree: Any) -> Any:
    """The same, of which nothing may be differentiated any further: step sizes and what solvers found are constants
    there, and a second derivative came out as some other number."""

    def leaf(x: Any) -> Any:  # one by one: what is not mapped stays so
        return _barred(x) if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jnp.inexact) else x

    return jax.tree.map(leaf, tree, is_leaf=_is_zero)


@jax.custom_jvp
def _barred(value: Any) -> Any:
    return value


@_barred.defjvp
def _refused(primals: Any, tangents: Any) -> Any:
    raise ValueError(
        "A run has no second derivatives (jax.hessian, or jax.grad within jax.grad or jax.jvp). Take differences of "
        "gradients instead."
    )


def _is_primal(x: Any) -> bool:
    return isinstance(x, CustomVJPPrimal)


def _is_zero(x: Any) -> bool:
    return isinstance(x, SymbolicZero)


def _filled(cotangent: Any) -> Any:
    """``cotangent`` as an array."""
    return jnp.zeros(cotangent.shape, cotangent.dtype) if _is_zero(cotangent) else cotangent


def _asked(flows: Any) -> Any:
    """The cotangents of the budgets; ``None`` where nobody asks for them, so that no program need pull them back."""
    if _is_zero(flows) or (not is_traced(flows) and not np.any(flows)):
        return None
    return flows


def _pull_back(
    interval: Replay, state: State, adjoint: State, store: Any, tape: Tape, flows: Any
) -> tuple[Any, State, Any]:
    """Derivatives with respect to the problem's arrays and the interval's first ``state``, from the ``adjoint`` of its
    last and the cotangents ``flows`` of the budgets; and ``store``, behind whose kept steps segments are repeated."""
    count, first_kept = interval.log.count, interval.log.offset
    kept, record = jax.tree.leaves(store)[0].shape[0] - tape.segment, tape.segment
    repeat = first_kept + count > kept
    segments = (count + record - 1) // record
    marks = jax.tree.map(lambda u: jnp.zeros((record, *u.shape), u.dtype).at[0].set(u), state)

    def walk(index: Any, carry: Any) -> Any:
        state, marks, store = carry
        slot = jnp.where(index % record == 0, index // record, record)
        marks = jax.tree.map(lambda m, u: m.at[slot].set(u, mode="drop"), marks, state)
        following, solved = interval.plain(state, index)
        return following, marks, put(store, (state, solved), kept + index % record)

    def job(number: Any, carry: Any) -> Any:
        """Number 0 walks to the last segment and leaves marks; the others pull one segment back."""
        marks, store, gradient, adjoint = carry
        segment = segments - number
        first = jnp.where(number == 0, 0, segment * record)
        last = jnp.where(number == 0, (segments - 1) * record, jnp.minimum(count, first + record))
        begin = jax.tree.map(lambda m: m[first // record], marks)
        end, marks, store = jax.lax.fori_loop(first, jnp.where(repeat, last, first), walk, (begin, marks, store))
        slot = jnp.where((number == 0) & (segments > 0), segments - 1, record)
        marks = jax.tree.map(lambda m, u: m.at[slot].set(u, mode="drop"), marks, end)

        def sweep(i: Any, carry: Any) -> Any:
            index = last - 1 - i
            slot = jnp.where(repeat, kept + index % record, first_kept + index)
            return interval.pulled(index, jax.tree.map(lambda s: s[slot], store), carry, flows)

        trips = jnp.where(number == 0, 0, last - first)
        gradient, adjoint = jax.lax.fori_loop(0, trips, sweep, (gradient, adjoint))
        return marks, store, gradient, adjoint

    zero = jax.tree.map(jnp.zeros_like, interval.arrays)
    _, store, (gradient, bases), adjoint = jax.lax.fori_loop(0, segments + 1, job, (marks, store, zero, adjoint))
    more, change = interval.prepared(bases)
    return *jax.tree.map(jnp.add, (gradient, adjoint), (more, change)), store
