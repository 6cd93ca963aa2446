"""The derivative of a run backwards, one save interval at a time, in bounded memory.

Step sizes are frozen (the derivative of the step-size controller is truncation error, not physics), but steps that end
on a dose move with the dose. Of an interval with N ≤ R steps the states and the solutions of the linear equations are
kept on the way, if the memory allows it for all intervals. Otherwise nothing of the adaptive loop is stored but the
lengths of the accepted steps, and backwards they are repeated in segments of R ≥ √N: first once through, leaving the
state at the start of each segment (left out where R ≥ N), then segment by segment from the last, each repeated once
more with what is kept of it. Kept steps are pulled back one by one:

    (ḡ, ū) ← (ḡ + ∂step/∂θᵀ ū , ∂step/∂uᵀ ū)

A step that is pulled back solves nothing again but the adjoint systems (implicit function theorem). This is two-level
checkpointing (Griewank & Walther 2008, Evaluating Derivatives, ch. 12): memory for 2R states, whatever N ≤ R².
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde._types import State
from tmepde.integrate import Progress, Record, advance, beginning, knots_of, remembered, room
from tmepde.schedule import Clock
from tmepde.steppers import SemiDiscrete, StepControl, Stepper

#: bytes to spend on the steps of a segment, and the bounds of their number
_MEMORY, _LEAST, _MOST = 2**29, 16, 256
#: bytes to spend on keeping the steps of all intervals on the way, and the fewest per interval that are worth it: their
#: square is the number of attempts that an interval may take
_KEPT, _WORTH = 2**30, 64


def segment_size(problem: SemiDiscrete, state: State, intervals: int) -> tuple[int, bool]:
    """How many steps to keep at once, and whether to keep them on the way.

    64 to 256 in each of ``intervals`` if a gigabyte holds them all; else half a gigabyte's worth, 16 to 256.
    """
    size = sum(u.size * u.dtype.itemsize for u in state.values())
    moving = sum(state[n].size * state[n].dtype.itemsize for n in problem.transported)
    step = max(1, size + 3 * moving)
    affordable = _KEPT // (step * max(1, intervals))
    if affordable >= _WORTH:
        return min(_MOST, affordable), True
    return max(_LEAST, min(_MOST, _MEMORY // (size + step))), False


def _sought(x: Any) -> bool:
    """What can have a derivative: traced numbers; anything else is a constant of the program."""
    return eqx.is_inexact_array(x) and isinstance(x, jax.core.Tracer)


def advance_reversible(
    problem: SemiDiscrete,
    stepper: Stepper,
    control: StepControl,
    state: State,
    progress: Progress,
    base: Any,
    end: Any,
    record: int,
    keep: bool = False,
    start: Any = 0.0,
) -> tuple[State, Progress]:
    """:func:`~tmepde.integrate.advance` with a reverse-mode derivative with respect to ``problem`` and ``state``.

    Args:
        record: R, states kept at once; an interval of more than R² attempted steps ends with ``Status.step_limit``.
        keep: keep the states of up to R steps on the way, so that such an interval is not repeated.
    """
    begin = jnp.asarray(start, end.dtype)
    problem = problem.prepared(beginning(base, begin, control), state)
    arrays, static = eqx.partition(problem, _sought)
    most = min(control.max_steps, record * record)

    @jax.custom_vjp
    def run(arrays: Any, state: State, rest: Any) -> tuple[State, Progress]:
        return forward(arrays, state, rest, 0)[0]  # without a derivative nothing is kept

    def forward(
        arrays: Any, state: State, rest: Any, kept: int = record if keep else 0
    ) -> tuple[tuple[State, Progress], Any]:
        control, progress, base, begin, end = rest
        whole = eqx.combine(arrays, static)
        last, progress, log = advance(
            whole, stepper, control, state, progress, base, end, record=most, keep=kept, start=begin
        )
        return (last, progress), (arrays, state, rest, log)

    def backward(kept: Any, cotangent: Any) -> Any:
        arrays, state, (control, _, base, begin, end), log = kept
        interval = _Interval(stepper, control, arrays, static, (base, begin, end), log)
        gradient, adjoint = _pull_back(interval, state, cotangent[0], record)
        return gradient, adjoint, None

    run.defvjp(forward, backward)
    return run(arrays, state, (control, progress, base, begin, end))


class _Interval:
    """The accepted steps of one interval as functions of the state before them."""

    def __init__(
        self, stepper: Stepper, control: StepControl, arrays: Any, static: Any, span: tuple[Any, Any, Any], log: Record
    ):
        self.stepper, self.control, self.arrays, self.static = stepper, control, arrays, static
        self.base, self.begin, self.end = span
        self.log = log
        self.fixed = knots_of(eqx.combine(arrays, static), *span)

    def plain(self, state: State, index: Any) -> tuple[State, Any]:
        """Step ``index`` as it was, and what its equations gave (``None`` if the stepper does not remember)."""
        start = self.log.start[index]
        clock = Clock(self.base, start, start, self.log.length[index])
        result = self.stepper.step(eqx.combine(self.arrays, self.static), self.control, clock, state)
        return result.state, remembered(self.stepper, result)

    def differentiable(self, arrays: Any, state: State, index: Any, solved: Any) -> State:
        """The same as a function of ``arrays`` and ``state``, with the times that move with doses."""
        whole, log = eqx.combine(arrays, self.static), self.log
        knots = knots_of(whole, self.base, self.begin, self.end)
        last = log.start.shape[0] - 1
        end = jnp.where(index + 1 < log.count, log.start[jnp.minimum(index + 1, last)], self.end)
        start = self._moved(log.start[index], knots)
        clock = Clock(self.base, start, start, self._moved(end, knots) - start)
        more = {"known": solved} if self.stepper.remembers else {}
        return self.stepper.step(whole, self.control, clock, state, differentiable=True, **more).state

    def _moved(self, time: Any, knots: Any) -> Any:
        """``time`` carried along by the last knot the stepper landed on before it."""
        reached = (self.fixed <= time) & (time < self.end)
        last = jnp.argmax(jnp.where(reached, self.fixed, -jnp.inf))
        return time + jnp.where(reached[last], knots[last] - self.fixed[last], 0.0)


def _pull_back(interval: _Interval, state: State, adjoint: State, record: int) -> tuple[Any, State]:
    """Derivatives with respect to the interval's arrays and its first ``state``, from the ``adjoint`` of its last."""
    count = interval.log.count
    segments = (count + record - 1) // record
    store, repeat = interval.log.kept, jnp.asarray(True)
    if store is None:
        store = room(jax.eval_shape(lambda u: (u, interval.plain(u, 0)[1]), state), record)
    else:
        repeat = count > record
    marks = jax.tree.map(lambda u: jnp.zeros((record, *u.shape), u.dtype).at[0].set(u), state)

    def walk(index: Any, carry: Any) -> Any:
        state, marks, store = carry
        slot = jnp.where(index % record == 0, index // record, record)
        marks = jax.tree.map(lambda m, u: m.at[slot].set(u, mode="drop"), marks, state)
        following, solved = interval.plain(state, index)
        store = jax.tree.map(lambda s, u: s.at[index % record].set(u), store, (state, solved))
        return following, marks, store

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
            gradient, adjoint = carry
            index = last - 1 - i
            before, solved = jax.tree.map(lambda s: s[index % record], store)
            _, pull = jax.vjp(lambda a, u: interval.differentiable(a, u, index, solved), interval.arrays, before)
            more, adjoint = pull(adjoint)
            return jax.tree.map(jnp.add, gradient, more), adjoint

        trips = jnp.where(number == 0, 0, last - first)
        gradient, adjoint = jax.lax.fori_loop(0, trips, sweep, (gradient, adjoint))
        return marks, store, gradient, adjoint

    zero = jax.tree.map(jnp.zeros_like, interval.arrays)
    _, _, gradient, adjoint = jax.lax.fori_loop(0, segments + 1, job, (marks, store, zero, adjoint))
    return gradient, adjoint
