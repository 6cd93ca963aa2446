"""Accepted steps as functions of what is differentiated: once more as they were, and pulled back."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde._types import State
from tmepde.integrate import Record, beginning, knots_of, remembered
from tmepde.schedule import Clock
from tmepde.steppers import SemiDiscrete, StepControl, Stepper
from tmepde.steppers.account import StepResult


class Replay:
    """The accepted steps of a save interval, or some of them in a row, as functions of ``arrays`` and the state before.

    ``arrays``: those of the problem, and the eigenbases prepared with them and the state ``first`` of all.

    Args:
        span: base, local start and local end of the save interval.
        log: of the steps; ``reach``: local times of their begin and end, where they are not the whole interval.
    """

    def __init__(
        self,
        stepper: Stepper,
        control: StepControl,
        arrays: Any,
        static: Any,
        span: tuple[Any, Any, Any],
        first: State,
        log: Record,
        reach: tuple[Any, Any] | None = None,
    ):
        self.stepper, self.control, self.static, self.log = stepper, control, static, log
        self.base, self.begin, self.end = span
        start, self.stop = span[1:] if reach is None else reach
        clock = beginning(self.base, start, control)

        def lines(arrays: Any, state: State) -> Any:
            return eqx.partition(eqx.combine(arrays, static).prepared(clock, state).lines, eqx.is_inexact_array)

        bases, self.prepared, self.rest = jax.vjp(lines, arrays, first, has_aux=True)
        self.arrays = (arrays, bases)
        self.fixed = knots_of(self.problem(self.arrays), *span)

    def problem(self, arrays: Any) -> SemiDiscrete:
        whole = eqx.combine(arrays[0], self.static)
        return dataclasses.replace(whole, lines=eqx.combine(arrays[1], self.rest))

    def plain(self, state: State, index: Any) -> tuple[State, Any]:
        """Step ``index`` as it was, and what its equations gave (``None`` if the stepper does not remember)."""
        start = self.log.start[index]
        clock = Clock(self.base, start, start, self.log.length[index])
        result = self.stepper.step(self.problem(self.arrays), self.control, clock, state)
        return result.state, remembered(self.stepper, result)

    def pulled(
        self, index: Any, before: tuple[State, Any], carry: tuple[Any, State], flows: Any = None
    ) -> tuple[Any, State]:
        """(ḡ, ū) before step ``index`` from those after it.

        Args:
            before: the state, and what its equations gave.
            flows: cotangents of the budgets, which every step adds to; ``None`` where nobody asks for them.
        """
        state, solved = before
        gradient, adjoint = carry

        def step(arrays: Any, state: State) -> tuple[State, Any]:
            result = self.differentiable(arrays, state, index, solved)
            return result.state, None if flows is None else result.budget

        _, pull = jax.vjp(step, self.arrays, state)
        more, adjoint = pull((adjoint, flows))
        return jax.tree.map(jnp.add, gradient, more), adjoint

    def differentiable(self, arrays: Any, state: State, index: Any, solved: Any) -> StepResult:
        """The step as a function of ``arrays`` and ``state``, with the times that move with doses."""
        whole, log = self.problem(arrays), self.log
        knots = knots_of(whole, self.base, self.begin, self.end)
        last = log.start.shape[0] - 1
        end = jnp.where(index + 1 < log.count, log.start[jnp.minimum(index + 1, last)], self.stop)
        start = self._moved(log.start[index], knots)
        clock = Clock(self.base, start, start, self._moved(end, knots) - start)
        more = {"known": solved} if self.stepper.remembers else {}
        return self.stepper.step(whole.parted(), self.control, clock, state, differentiable=True, **more)

    def _moved(self, time: Any, knots: Any) -> Any:
        """``time`` carried along by the last knot the stepper landed on before it."""
        reached = (self.fixed <= time) & (time < self.end)
        last = jnp.argmax(jnp.where(reached, self.fixed, -jnp.inf))
        return time + jnp.where(reached[last], knots[last] - self.fixed[last], 0.0)
