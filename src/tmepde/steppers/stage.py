"""(I − γΔt A) k = r for all fields of a stage, with one A for all stages of a step.

A is block-triangular: compartments (dense among themselves), then local fields (their loss rates), then transported
fields (diffusion and loss rate, one stacked elliptic solve), each row knowing the pull of the rows above it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from tmepde._types import State, freeze
from tmepde.elliptic import LinearControl, prepare
from tmepde.elliptic.solve import differentiable_solve
from tmepde.schedule import Clock
from tmepde.steppers.control import StepControl
from tmepde.steppers.semidiscrete import Evaluation, SemiDiscrete

Pull = Callable[[State, Any], State]


def linearised(problem: SemiDiscrete, clock: Clock, state: State) -> tuple[Evaluation, Pull | None]:
    """The evaluation at ``state``, and the derivative of the transported tendencies along (pointwise fields, time)."""
    if not problem.transported:
        return problem.evaluate(clock, state), None

    def transported(pointwise: State, local: Any) -> tuple[State, Evaluation]:
        now = Clock(clock.base, local, clock.start, clock.step)
        here = problem.evaluate(now, {**state, **pointwise})
        return {n: here.tendency[n] for n in problem.transported}, here

    _, pull, here = jax.linearize(transported, {n: state[n] for n in problem.pointwise}, clock.local, has_aux=True)
    return here, pull


class StageSolver:
    """Set up once per step; called once per stage.

    Args:
        weight: γΔt.
        scale: acceptable local error per field, which ties the linear tolerance to the step tolerance.
        differentiable: also carry derivatives of the elliptic solves.
    """

    def __init__(
        self,
        problem: SemiDiscrete,
        first: Evaluation,
        weight: Any,
        dt: Any,
        scale: State,
        control: StepControl,
        differentiable: bool,
    ):
        self.problem, self.control, self.differentiable = problem, control, differentiable
        self.weight, self.first = weight, first
        self.rate = {n: 1.0 + weight * first.rates.rate(n) for n in problem.dynamic}
        self.compartments = problem.system.of_kind("compartment")
        self.block: Any = None
        self.pull: Pull | None = None
        if problem.transported:
            names = problem.transported
            assert first.laplacian is not None
            stacked = jnp.stack([self.rate[n] for n in names])
            self.operator = problem.shifted(first.laplacian, stacked, weight)
            self.solve = prepare(self.operator)
            scales = jnp.stack([jnp.broadcast_to(scale[n], problem.grid.shape) for n in names])
            positive = scales > 0
            self.error_weight = freeze(jnp.where(positive, dt / jnp.where(positive, scales, 1.0), 1e15))
            silent = ~jnp.any(positive, axis=tuple(range(1, scales.ndim)), keepdims=True)
            floor = 10 * jnp.finfo(scales.dtype).eps
            self.relative = freeze(jnp.where(silent, jnp.maximum(floor, control.linear * control.rtol), floor))

    def couple(self, clock: Clock, state: State, pull: Pull | None) -> None:
        """Add to A the Jacobian of the compartments, and the ``pull`` on transported fields."""
        problem, names = self.problem, self.compartments
        self.pull = pull
        if names:

            def compartments(values: Any) -> Any:
                rates = problem.reaction(names, clock, {**state, **dict(zip(names, values, strict=True))})
                return jnp.stack([rates.gain(n) - rates.rate(n) * v for n, v in zip(names, values, strict=True)])

            self.block = jax.jacfwd(compartments)(jnp.stack([state[n] for n in names]))

    def __call__(self, rhs: State, guess: State | None, time: float) -> tuple[State, State, Any, Any]:
        """The slopes k, the coupling terms γΔt·(A − diag)k that entered them, convergence and iterations.

        ``time``: the slope of time itself at this stage.
        """
        problem = self.problem
        extra: State = {}
        out = {n: rhs[n] / self.rate[n] for n in problem.pointwise}
        if self.block is not None:
            self._compartments(rhs, out, extra)
        names = problem.transported
        if not names:
            return out, extra, jnp.asarray(True), jnp.asarray(0)
        if self.pull is not None:
            like = rhs[names[0]]
            pulled = self.pull(out, jnp.asarray(time, like.dtype))
            extra.update({n: self.weight * pulled[n] for n in names})
            rhs = {**rhs, **{n: rhs[n] + extra[n] for n in names}}
        b = jnp.stack([rhs[n] for n in names]) * problem.volumes(rhs[names[0]].dtype)
        start = None if guess is None else freeze(jnp.stack([guess[n] for n in names]))
        floor = LinearControl(relative=self.relative)
        solved = self.solve(freeze(b), start, self.error_weight, self.control.linear, floor)
        value = solved.value
        if self.differentiable:
            value = differentiable_solve(self.operator, self.solve, b, value)
        out.update({n: value[i] for i, n in enumerate(names)})
        return out, extra, jnp.all(solved.converged), solved.iterations

    def _compartments(self, rhs: State, out: State, extra: State) -> None:
        names = self.compartments
        r = jnp.stack([rhs[n] for n in names])
        matrix = jnp.eye(len(names), dtype=r.dtype) - self.weight * self.block
        k = jnp.linalg.solve(matrix, r)
        change = self.block @ k
        for i, name in enumerate(names):
            out[name] = k[i]
            extra[name] = self.weight * (change[i] + self.first.rates.rate(name) * k[i])
