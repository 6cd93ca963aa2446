"""A run inside a transformation (``jax.grad``, ``jax.jvp``, ``jax.vmap``, ``jax.jit``): what ``simulate`` does there.

What comes before and after the steps are programs of their own: outside ``jax.jit`` they would be carried out operation
by operation.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import Frame, State, freeze, parted
from tmepde.adjoint import Tape, run_reversible, tape_for
from tmepde.integrate import Progress, advance
from tmepde.runner import Runner, spans
from tmepde.scenario import Scenario
from tmepde.solution import Solution, account_of
from tmepde.steppers.choice import longest_step
from tmepde.steppers.control import shortened


def transformed(
    runner: Runner, scenario: Scenario, times: np.ndarray, gradient: str, record: int | None, chosen: bool
) -> Solution:
    """The solution with traced arrays and no timings.

    Args:
        gradient: ``"reverse"`` or ``"forward"``.
        record: see :func:`tmepde.simulate`.
        chosen: the stepper is not the user's.
    """
    if chosen and runner.control.adaptive:
        control = control_program(freeze(parted(runner)[0]), parted(runner)[1], float(times[-1]))
        runner = dataclasses.replace(runner, control=control)
    arrays, frame = parted(runner)
    state, carry, initial, first = begin_program(arrays, frame)
    bases, starts, ends = (jnp.asarray(np.stack(c)) for c in zip(*spans(times, runner.dtype), strict=True))
    columns = (bases, starts, ends)
    which = (runner.problem, runner.stepper, runner.control)
    if gradient == "reverse":
        tape = tape_for(runner.problem, state, len(times) - 1) if record is None else Tape(0, record)
        states, carry = run_reversible(*which, state, carry, columns, tape)
    else:
        states, carry = _scanned(*which, state, carry, columns)
    outputs, final, budgets = conclude_program(arrays, frame, states, bases + ends, first, initial, carry.budget)
    return Solution.traced(scenario, times, outputs, carry, budgets, final, runner.method)


def _scanned(problem: Any, stepper: Any, control: Any, state: State, carry: Progress, columns: Any) -> Any:
    """The states at the ends of the save intervals (stacked), and the controller; to be differentiated as it is."""

    def one(carry: Any, span: Any) -> Any:
        state, progress = carry
        base, start, end = span
        which = (problem, stepper, control)
        state, progress, _ = advance(*which, state, progress, base, end, differentiable=True, start=start)
        return (state, progress), state

    (_, carry), states = jax.lax.scan(one, (state, carry), columns)
    return states, carry


@functools.partial(jax.jit, static_argnums=(1, 2))
def control_program(arrays: list[Any], frame: Frame, until: float) -> Any:
    """Step control of a run of ``until`` hours with steps that resolve the fastest exchange; no derivatives."""
    runner: Runner = frame.filled(arrays)
    start = runner.problem.system.initial_state(runner.dtype)
    longest = longest_step(runner.problem, start, until, runner.control.rtol)
    return shortened(runner.control, longest, runner.dtype)


@functools.partial(jax.jit, static_argnums=1)
def begin_program(arrays: list[Any], frame: Frame) -> tuple[State, Progress, State, Any]:
    """State and controller at the start, totals, and the first row."""
    runner: Runner = frame.filled(arrays)
    state, progress = runner.start(differentiable=True)
    found = (state, progress, runner.totals(state), runner.output(state, jnp.zeros((), runner.dtype)))
    strong: tuple[State, Progress, State, Any] = jax.tree.map(lambda x: jax.lax.convert_element_type(x, x.dtype), found)
    return strong


@functools.partial(jax.jit, static_argnums=1)
def conclude_program(
    arrays: list[Any], frame: Frame, states: State, times: Any, first: Any, initial: State, budget: State
) -> tuple[Any, State, Any]:
    """All rows, from the ``first`` and the ``states`` at the later ``times``; the last state; and the account."""
    runner: Runner = frame.filled(arrays)
    later = jax.lax.map(lambda row: runner.output(*row), (states, times))
    outputs = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, later)
    final = {n: u[-1] for n, u in states.items()}
    return outputs, final, account_of(runner.problem, budget, initial, runner.totals(final))
