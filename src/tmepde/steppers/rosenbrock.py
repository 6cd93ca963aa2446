"""Rosenbrock-W: one step of all dynamic fields together, a linear solve per field and stage (see ``tableau``).

Rosenbrock2 (ROS2-W; Verwer, Spee, Blom & Hundsdorfer 1999, SIAM J. Sci. Comput. 20:1456), γ = 1 − 1/√2:

    (I − γΔt A) k₁ = F(u_n)
    (I − γΔt A) k₂ = F(u_n + Δt k₁) − 2 k₁
    u_{n+1} = u_n + 3/2 Δt k₁ + 1/2 Δt k₂ ,      error estimate ½Δt (k₁ + k₂)

Rosenbrock3 is ROS34PW2 (Rang & Angermann 2005, BIT Numer. Math. 45:761): four stages, order 3, its estimate of order 2.

Both keep their order *whatever* A is, so A holds what is cheap and stiff: each field's own diffusion and loss rate, the
full Jacobian of the compartments among each other, the pull of compartments and local fields on transported ones
(block-triangular: they are solved first), the flow that carries fields, and explicit time dependence. The rest
(coupling among fields, taxis) sits in F alone. Without the pull a fast field driven by a slow plasma level lags by 0.7
of its change per step, which the error control answered with four times the steps. Where F = 0 nothing moves: steady
states do not depend on Δt.

BackwardEuler is the one-stage member with γ = 1: order 1, and positive by construction (an M-matrix applied to
u_n + Δt s ≥ 0). Its estimate is one of its own result, so that its steps are held to rtol²/10⁻². The others can
undershoot zero; the undershoot counts as error, so that a step with one above the tolerance is refused; what remains
below it is removed by scaling the field down to its own total (nothing is created) and reported as ``clipped``.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde._arguments import given
from tmepde._types import State, Whole
from tmepde.schedule import Clock
from tmepde.steppers.account import (
    BUDGET,
    Stepper,
    StepResult,
    budget_of,
    contribution,
    expected,
    hazards,
    positive,
    scales,
    weighted_error,
)
from tmepde.steppers.blocks import together
from tmepde.steppers.control import ROUND_OFF, StepControl
from tmepde.steppers.pull import foreseen, linearised
from tmepde.steppers.quasi_steady import LINKED, relax_quasi_steady
from tmepde.steppers.semidiscrete import Evaluation, SemiDiscrete
from tmepde.steppers.stage import StageSolver
from tmepde.steppers.tableau import EULER, ROS34PW2, Tableau, ros2

__all__ = ["BUDGET", "BackwardEuler", "Rosenbrock2", "Rosenbrock3", "RosenbrockW", "StepResult", "Stepper"]


class _Row(eqx.Module):
    """The numbers of one stage: static floats where stages are unrolled, traced ones inside the loop."""

    arguments: Any
    subtract: Any
    weight: Any
    time: Any
    slope: Any
    known: Any = None


class _Progress(eqx.Module):
    """What the stages of a step hand on: balanced quasi-steady fields, budgets, largest mean tendencies, counters."""

    steady: State
    amounts: Any
    coming: Any
    converged: Any
    iterations: Any
    courant: Any


class _Step(Whole):
    """The frame of one step: where it starts, and the linear operator that all stages share."""

    problem: SemiDiscrete
    control: StepControl
    clock: Clock
    state: State
    differentiable: bool = eqx.field(static=True)
    balanced: State | None = None

    def later(self, fraction: Any) -> Clock:
        clock = self.clock
        return Clock(clock.base, clock.local + fraction * clock.step, clock.start, clock.step)

    def relax(self, fraction: Any, values: State) -> tuple[State, Any, Any]:
        tolerance = self.control.algebraic * self.control.rtol
        adjoint = self.control.adjoint * self.control.rtol
        clock = self.later(fraction)
        return relax_quasi_steady(self.problem, clock, values, tolerance, self.differentiable, self.balanced, adjoint)

    def stage(
        self, row: _Row, slopes: Sequence[State], carry: _Progress, solver: StageSolver, first: Evaluation, gamma: float
    ) -> tuple[State, _Progress]:
        """One stage after the first: its slope l_i, and the progress with its terms."""
        problem, state, dt = self.problem, self.state, self.clock.step
        begun = {n: state[n] for n in problem.dynamic}
        values = together(lambda u, *k: u + dt * _combine(row.arguments, k), begun, *slopes)
        relaxed, balanced, count = self.relax(row.time, problem.positive({**state, **carry.steady, **values}))
        here = _bounded(problem, problem.evaluate(self.later(row.time), {**relaxed, **values}), values, first)
        rhs = together(lambda f, *k: f - _combine(row.subtract, k), here.tendency, *slopes)
        certain = isinstance(row.slope, float) and row.slope == 0.0
        guess = None if certain else {n: row.slope * slopes[0][n] for n in values}
        slope, extra, solved, more = solver(rhs, guess, row.slope, row.known)
        implicit = together(lambda k: gamma * dt * k, slope)
        added = contribution(problem, here, values, implicit, extra, first, solver.swept(slope))
        return slope, _Progress(
            steady={n: relaxed[n] for n in problem.quasi_steady},
            amounts=carry.amounts + row.weight * added,
            coming=jnp.maximum(carry.coming, expected(problem, here)),
            converged=carry.converged & balanced & solved,
            iterations=carry.iterations + count + more,
            courant=here.active if solver.flow else here.courant,
        )


class RosenbrockW(Stepper):
    """A Rosenbrock-W scheme; use :func:`Rosenbrock2`, :func:`Rosenbrock3` or :func:`BackwardEuler`.

    ``coupled``: A knows the pull of compartments, local fields and time, not only each field's own terms.
    ``kinetics``: and the Jacobian of the local fields among each other in every cell; ``cautious``: in cells where
    nothing grows by much within a step, since what is implicit steps over a blow-up unseen.
    """

    tableau: Tableau = eqx.field(static=True)
    coupled: bool = eqx.field(static=True)
    kinetics: bool = eqx.field(static=True, default=False)
    cautious: bool = eqx.field(static=True, default=False)

    @property
    def increments(self) -> bool:
        return True

    @property
    def separate(self) -> bool:
        return True

    @property
    def power(self) -> int:
        return self.tableau.power

    @property
    def remembers(self) -> bool:
        return True

    def memory(self, problem: SemiDiscrete, state: State) -> Any:
        moving, steady = problem.transported, problem.quasi_steady

        def stacked(count: int, names: tuple[str, ...]) -> Any:
            return jnp.zeros((count, len(names), *problem.grid.shape), state[names[0]].dtype) if names else None

        found = {n: jnp.zeros_like(state[n]) for n in steady}
        return stacked(self.tableau.stages, moving), found, stacked(LINKED, steady) if self.coupled else None

    @property
    def order(self) -> int:
        return self.tableau.order

    @property
    def name(self) -> str:
        return f"rosenbrock{self.order}" if self.coupled else "backward_euler"

    def step(
        self,
        problem: SemiDiscrete,
        control: StepControl,
        clock: Clock,
        state: State,
        differentiable: bool = False,
        known: Any = None,
    ) -> StepResult:
        """Advance ``state`` by ``clock.step`` from ``clock.local``.

        ``known``: ``solved`` of the same step taken before (slopes of the transported fields by stage, quasi-steady
        fields in balance, and their slopes), so that only derivatives are left to solve for.

        Up to order 2 quasi-steady fields are relaxed once, at the second stage, and handed to the next step: that stage
        differs from the step's result by the error estimate, so that the order and the error control hold. Order 3
        needs them in balance at every stage and at the result.
        """
        table, dt = self.tableau, clock.step
        if table.power > table.order:  # the estimate is one of the result itself
            control = control.sharpened(1.0 / table.order, ROUND_OFF * jnp.finfo(jnp.asarray(dt).dtype).eps)
        remembered, balanced, before = (None, None, None) if known is None else known
        pull, spent = None, jnp.asarray(0)
        if self.coupled:
            adjoint = control.adjoint * control.rtol if differentiable else None
            first, pull, spent = linearised(problem, clock, state, table.gamma * dt, adjoint, before)
        else:
            first = problem.evaluate(clock, state)
        coming = expected(problem, first)
        scale = scales(problem, control, state, state, coming)
        begun = (clock, state) if self.coupled else None
        solver = StageSolver(problem, first, table.gamma * dt, dt, scale, control, differentiable, begun)
        if self.coupled:
            solver.couple(clock, state, pull, self.kinetics, self.cautious)
        slope, extra, solved, count = solver(
            first.tendency, None, table.slopes[0], None if remembered is None else remembered[0]
        )
        implicit = together(lambda k: table.gamma * dt * k, slope)
        added = contribution(problem, first, state, implicit, extra, first, solver.swept(slope))
        carry = _Progress(
            steady=foreseen(problem, state, pull, table.times[1] * dt),
            amounts=(table.weights[0] * added).astype(jnp.asarray(dt).dtype),
            coming=coming,
            converged=solved,
            iterations=spent + count,
            courant=first.active if solver.flow else first.courant,
        )
        frame = _Step(problem, control, clock, state, differentiable, balanced if table.order <= 2 else None)
        slopes, carry = self._stages(frame, solver, first, slope, carry, remembered)
        change = together(lambda *k: dt * _combine(table.final, k), *slopes)
        new = together(lambda d, u: u + d, change, state)
        estimate = together(lambda *k: dt * _combine(table.errors, k), *slopes)
        budget = budget_of(dt * carry.amounts)
        scale = scales(problem, control, state, new, carry.coming)
        error = weighted_error(problem, new, estimate, scale, jnp.asarray(dt).dtype)
        new, budget = positive(problem, new, budget)
        new, budget = hazards(problem, clock, state, new, budget)
        result = {**state, **carry.steady, **new}
        converged, iterations = carry.converged, carry.iterations
        if table.order > 2:
            result, balanced, count = frame.relax(1.0, result)
            converged, iterations = converged & balanced, iterations + count
        memory = (_transported(problem, slopes), carry.steady, None if pull is None else pull.solved)
        return StepResult(result, error, budget, converged, iterations, carry.courant, memory, change)

    def _stages(
        self, frame: _Step, solver: StageSolver, first: Evaluation, slope: State, carry: _Progress, remembered: Any
    ) -> tuple[Sequence[State], _Progress]:
        """All stages after the first; more than one in a loop, so that the program holds each solve once."""
        table = self.tableau
        if table.stages == 2:
            known = None if remembered is None else remembered[1]
            row = _Row(table.arguments[1], table.subtract[1], table.weights[1], table.times[1], table.slopes[1], known)
            second, carry = frame.stage(row, [slope], carry, solver, first, table.gamma)
            return [slope, second], carry
        dtype = jnp.asarray(frame.clock.step).dtype
        columns = (table.full(table.arguments), table.full(table.subtract), table.weights, table.times, table.slopes)
        arguments, subtract, weight, time, rise = (jnp.asarray(c, dtype) for c in columns)
        rows = _Row(arguments, subtract, weight, time, rise, remembered)
        store = {n: jnp.zeros((table.stages, *k.shape), k.dtype).at[0].set(k) for n, k in slope.items()}

        def one(index: Any, inside: tuple[State, _Progress]) -> tuple[State, _Progress]:
            store, carry = inside
            row = jax.tree.map(lambda c: c[index], rows)
            found, carry = frame.stage(row, _unstack(store, table.stages), carry, solver, first, table.gamma)
            return {n: store[n].at[index].set(found[n]) for n in store}, carry

        store, carry = jax.lax.fori_loop(1, table.stages, one, (store, carry))
        return _unstack(store, table.stages), carry


def _bounded(problem: SemiDiscrete, here: Evaluation, values: State, first: Evaluation) -> Evaluation:
    """``here`` with a loss rate no larger than that in A where the argument of a stage is negative.

    In a stiff mode of amplitude a the argument of the second stage is (1 − 1/γ) a = −2.4 a. Where that is negative, −λu
    is a source; rate laws read 0 there, where saturable uptake has its largest rate (V/K, against V/(K + u) in A), and
    steps that are loose enough for such modes to be large then grew threefold each, under an error estimate below one.
    """
    loss, tendency = dict(here.rates.loss), dict(here.tendency)
    for name in problem.transported:
        if problem.system.species[name].signed:
            continue
        beyond = jnp.where(values[name] < 0, jnp.maximum(loss[name] - first.rates.loss[name], 0.0), 0.0)
        loss[name] = loss[name] - beyond
        tendency[name] = tendency[name] + beyond * values[name]
    return dataclasses.replace(here, tendency=tendency, rates=dataclasses.replace(here.rates, loss=loss))


def _transported(problem: SemiDiscrete, slopes: Sequence[State]) -> Any:
    """Slopes of the transported fields, shape (stages, S, *cells); nothing where nothing is transported."""
    if not problem.transported:
        return None
    return jnp.stack([jnp.stack([one[n] for n in problem.transported]) for one in slopes])


def _unstack(store: State, stages: int) -> list[State]:
    return [{n: k[j] for n, k in store.items()} for j in range(stages)]


def _combine(weights: Any, slopes: Sequence[Any]) -> Any:
    """Σ_j w_j l_j, over the stages there are."""
    return functools.reduce(operator.add, [weights[j] * slopes[j] for j in range(min(len(slopes), len(weights)))])


def _switch(kinetics: Any) -> bool:
    if not isinstance(kinetics, bool):
        raise ValueError(f"`kinetics` must be True or False, but {given(kinetics)} was given. Write one of them.")
    return kinetics


def Rosenbrock2(gamma: float = 1.0 - 0.5**0.5, kinetics: bool = False) -> RosenbrockW:  # noqa: N802 - the scheme's name
    """Second order, L-stable for the default γ; two linear solves per field and step.

    Args:
        gamma: 1.71 tolerates stronger coupling left out of A, less accurately.
        kinetics: take stiff reactions among ``local`` species implicitly, with their exact Jacobian in every cell.
    """
    if not (isinstance(gamma, int | float) and not isinstance(gamma, bool) and 0.0 < gamma < math.inf):
        raise ValueError(
            f"`gamma` must be a positive number, but {gamma!r} was given. Leave it out; 1.71 is for strong coupling."
        )
    return RosenbrockW(ros2(gamma), True, _switch(kinetics))


def Rosenbrock3(kinetics: bool = True) -> RosenbrockW:  # noqa: N802
    """Third order, L-stable, stiffly accurate: four linear solves per field and step, for small tolerances.

    Args:
        kinetics: take reactions among ``local`` species implicitly, with their exact Jacobian in every cell.
    """
    return RosenbrockW(ROS34PW2, True, _switch(kinetics))


def BackwardEuler() -> RosenbrockW:  # noqa: N802
    """First order with lagged coefficients, positive by construction; the second stage serves the error estimate."""
    return RosenbrockW(EULER, False)
