"""One step of all dynamic fields together.

Rosenbrock2 (ROS2-W; Verwer, Spee, Blom & Hundsdorfer 1999, SIAM J. Sci. Comput. 20:1456), γ = 1 − 1/√2:

    (I − γΔt A) k₁ = F(u_n)
    (I − γΔt A) k₂ = F(u_n + Δt k₁) − 2 k₁
    u_{n+1} = u_n + 3/2 Δt k₁ + 1/2 Δt k₂ ,      error estimate ½Δt (k₁ + k₂)

Order 2 *whatever* A is, so A holds what is cheap and stiff: each field's own diffusion and loss rate, the full Jacobian
of the compartments among each other, the pull of compartments and local fields on transported ones (block-triangular:
they are solved first), and explicit time dependence. The rest (coupling among fields, taxis) sits in F alone. Without
the pull a fast field driven by a slow plasma level lags by 0.7 of its change per step, which the error control answered
with four times the steps. Where F = 0 nothing moves: steady states do not depend on Δt.

BackwardEuler is the one-stage member with γ = 1: order 1, and positive by construction (an M-matrix applied to
u_n + Δt s ≥ 0). The second-order scheme can undershoot zero; the undershoot counts as error, so that a step with one
above the tolerance is refused; what remains below it is removed by scaling the field down to its own total (nothing is
created) and reported as ``clipped``.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from tmepde._types import State, freeze
from tmepde.schedule import Clock
from tmepde.steppers.control import StepControl, norm
from tmepde.steppers.quasi_steady import relax_quasi_steady
from tmepde.steppers.semidiscrete import Evaluation, SemiDiscrete
from tmepde.steppers.stage import StageSolver, linearised

BUDGET = ("produced", "lost", "inflow", "killed", "clipped")


class StepResult(eqx.Module):
    """``error``: weighted, 1 is just acceptable. ``budget``: per dynamic species the amounts of :data:`BUDGET`."""

    state: State
    error: Any
    budget: State
    converged: Any
    iterations: Any
    courant: Any


class Stepper(eqx.Module):
    """A two-stage Rosenbrock-W scheme; use :class:`Rosenbrock2` or :class:`BackwardEuler`.

    u ← u + Δt(b₁k₁ + b₂k₂), second right-hand side F(u + Δt k₁) − c k₁, error Δt(e₁k₁ + e₂k₂).
    """

    gamma: float = eqx.field(static=True)
    weights: tuple[float, float] = eqx.field(static=True)
    subtract: float = eqx.field(static=True)
    errors: tuple[float, float] = eqx.field(static=True)
    order: int = eqx.field(static=True)
    coupled: bool = eqx.field(static=True)

    def step(
        self,
        problem: SemiDiscrete,
        control: StepControl,
        clock: Clock,
        state: State,
        differentiable: bool = False,
    ) -> StepResult:
        """Advance ``state`` by ``clock.step`` from ``clock.local``.

        Quasi-steady fields are relaxed once, at the second stage, and handed to the next step: that stage differs from
        the step's result by the error estimate, so that the order and the error control hold.
        """
        dt = clock.step
        first, pull = linearised(problem, clock, state) if self.coupled else (problem.evaluate(clock, state), None)
        scale = _scales(problem, control, state, state, (first,))
        solver = StageSolver(problem, first, self.gamma * dt, dt, scale, control, differentiable)
        if self.coupled:
            solver.couple(clock, state, pull)
        k1, extra_1, ok_1, count_1 = solver(first.tendency, None, 1.0)
        middle = {**state, **{n: state[n] + dt * k1[n] for n in k1}}
        later = Clock(clock.base, clock.local + dt, clock.start, clock.step)
        tolerance = control.algebraic * control.rtol
        relaxed, steady, count_0 = relax_quasi_steady(
            problem, later, problem.positive(middle), tolerance, differentiable
        )
        second = problem.evaluate(later, {**relaxed, **{n: middle[n] for n in k1}})
        rhs = {n: second.tendency[n] - self.subtract * k1[n] for n in k1}
        guess = {n: -k1[n] for n in k1} if self.order == 2 else None
        k2, extra_2, ok_2, count_2 = solver(rhs, guess, 1.0 - self.subtract)
        b, e = self.weights, self.errors
        new = {n: state[n] + dt * (b[0] * k1[n] + b[1] * k2[n]) for n in k1}
        estimate = {n: dt * (e[0] * k1[n] + e[1] * k2[n]) for n in k1}
        budget = self._budget(problem, dt, (state, middle), (first, second), (k1, k2), (extra_1, extra_2))
        scale = _scales(problem, control, state, new, (first, second))
        error = _error(problem, new, estimate, scale, jnp.asarray(dt).dtype)
        new = _positive(problem, new, budget)
        new = _hazards(problem, clock, state, new, budget)
        return StepResult(
            state={**relaxed, **new},
            error=error,
            budget=budget,
            converged=steady & ok_1 & ok_2,
            iterations=count_0 + count_1 + count_2,
            courant=second.courant,
        )

    def _budget(
        self,
        problem: SemiDiscrete,
        dt: Any,
        states: tuple[State, State],
        stages: tuple[Evaluation, Evaluation],
        slopes: tuple[State, State],
        extras: tuple[State, State],
    ) -> State:
        """What the scheme itself adds and removes: the sums over the cells of its own terms, so that budgets close."""
        (state, middle), (first, second), (k1, k2) = states, stages, slopes
        w2 = self.weights[1]
        w1 = self.weights[0] - self.subtract * w2  # weight of F(u_n) once k₁ is eliminated from k₂'s equation
        budget = {}
        for name in k1:
            implicit = self.gamma * dt * (w1 * k1[name] + w2 * k2[name])
            a, b = first.rates, second.rates
            produced = w1 * a.source[name] + w2 * b.source[name]
            if name in extras[0]:
                produced = produced + w1 * extras[0][name] + w2 * extras[1][name]
            lost = w1 * a.loss[name] * state[name] + w2 * b.loss[name] * middle[name] + a.loss[name] * implicit
            inflow = jnp.zeros_like(produced)
            if name in a.side_source:
                entering = w1 * a.side_source[name] + w2 * b.side_source[name]
                leaving = w1 * a.side_loss[name] * state[name] + w2 * b.side_loss[name] * middle[name]
                inflow = inflow + entering - leaving - a.side_loss[name] * implicit
            if name in first.drift:
                inflow = inflow + w1 * first.drift[name] + w2 * second.drift[name]
            zero = jnp.zeros((), produced.dtype)
            totals = [dt * problem.total(x) for x in (produced, lost, inflow)]
            budget[name] = jnp.stack([*totals, zero, zero])
        return budget


def Rosenbrock2(gamma: float = 1.0 - 0.5**0.5) -> Stepper:  # noqa: N802 - a constructor with the scheme's name
    """Second order, L-stable for the default γ; γ = 1.71 tolerates stronger coupling left out of A, less accurately."""
    return Stepper(gamma, (1.5, 0.5), 2.0, (0.5, 0.5), 2, True)


def BackwardEuler() -> Stepper:  # noqa: N802
    """First order with lagged coefficients, positive by construction; the second stage serves the error estimate."""
    return Stepper(1.0, (1.0, 0.0), 1.0, (0.0, 0.5), 1, False)


def _scales(
    problem: SemiDiscrete, control: StepControl, old: State, new: State, stages: tuple[Evaluation, ...]
) -> State:
    """Acceptable local error: rtol·max(|u| + typical, negligible).

    Typical is the field's root mean square, or what its mean tendency will make of it within its lifetime or the
    control's horizon, |F̄|/(λ̄ + 1/horizon), if that is more: a field that rises from zero need not be resolved while it
    is still next to nothing (a chain of two such fields grows as t², which no relative tolerance can start).
    """
    scales = {}
    for name in stages[0].tendency:
        u = jnp.maximum(jnp.abs(old[name]), jnp.abs(new[name]))
        rate = jnp.abs(_mean(problem, stages[0].rates.rate(name))) + 1.0 / control.horizon
        coming = jnp.stack([jnp.abs(_mean(problem, stage.tendency[name])) for stage in stages])
        square = _mean(problem, u * u)
        root = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
        typical = jnp.maximum(root, jnp.max(coming) / rate)
        species = problem.system.species[name]
        negligible = jnp.asarray(species.negligible, u.dtype)
        started = 1e-6 * jnp.max(jnp.abs(jnp.asarray(species.initial, u.dtype)))
        negligible = jnp.where(negligible > 0, negligible, started)
        scales[name] = freeze(control.rtol * jnp.maximum(u + typical, negligible))
    return scales


def _mean(problem: SemiDiscrete, values: Any) -> Any:
    if jnp.ndim(values) == 0:
        return values
    volumes = problem.volumes(values.dtype)
    return jnp.sum(volumes * values) / jnp.sum(volumes)


def _error(problem: SemiDiscrete, new: State, estimate: State, scale: State, dtype: Any) -> Any:
    worst = jnp.zeros((), dtype)
    volumes = problem.volumes(worst.dtype)
    for name, delta in estimate.items():
        undershoot = 0.0 if problem.system.species[name].signed else jnp.minimum(new[name], 0.0)
        size = norm(freeze(jnp.abs(delta) - undershoot), scale[name], volumes)
        worst = jnp.where(jnp.isfinite(size), jnp.maximum(worst, size), jnp.inf)
    return worst


def _positive(problem: SemiDiscrete, state: State, budget: State) -> State:
    """Remove undershoots and scale the rest so that the total is kept; the removed amount goes into the budget."""
    out = {}
    for name, u in state.items():
        if problem.system.species[name].signed:
            out[name] = u
            continue
        kept = jnp.maximum(u, 0.0)
        before, after = problem.total(u), problem.total(kept)
        ratio = jnp.where(after > 0, jnp.maximum(before, 0.0) / jnp.where(after > 0, after, 1.0), 1.0)
        negative = jnp.any(u < 0)
        out[name] = jnp.where(negative, kept * ratio, u)
        created = jnp.where(negative, problem.total(out[name]) - before, 0.0)
        clipped = -problem.total(jnp.minimum(u, 0.0))
        budget[name] = budget[name].at[BUDGET.index("clipped")].add(clipped)
        budget[name] = budget[name].at[BUDGET.index("produced")].add(created)
    return out


def _hazards(problem: SemiDiscrete, clock: Clock, before: State, state: State, budget: State) -> State:
    """u ← u·exp(−Λ), once and exactly."""
    hazards = problem.system.hazards(clock, before)
    out = dict(state)
    for name, value in sorted(hazards.items()):
        survivors = state[name] * jnp.exp(-jnp.asarray(value).astype(state[name].dtype))
        killed = problem.total(state[name] - survivors)
        budget[name] = budget[name].at[BUDGET.index("killed")].add(killed)
        out[name] = survivors
    return out
