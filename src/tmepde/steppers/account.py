"""What every stepper owes besides a new state: the acceptable error, budgets that close, positivity, hazards."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde._types import State, freeze
from tmepde.schedule import Clock
from tmepde.steppers.control import StepControl, norm
from tmepde.steppers.semidiscrete import Evaluation, SemiDiscrete

BUDGET = ("produced", "lost", "inflow", "killed", "clipped")


class StepResult(eqx.Module):
    """``error``: weighted, 1 is just acceptable. ``budget``: per dynamic species the amounts of :data:`BUDGET`.

    ``solved``: what the linear and quasi-steady equations of the step gave, for steppers that ``remember``. ``change``:
    what was added to each dynamic species, of steppers with ``increments``.
    """

    state: State
    error: Any
    budget: State
    converged: Any
    iterations: Any
    courant: Any
    solved: Any = None
    change: Any = None


class Stepper(eqx.Module):
    """Advances a state by one step.

    ``power``: the error estimate is O(Δt^power), which the step-size controller must know. ``implicit_drift``: the
    drift is part of the implicit system, so that no Courant number limits the step.
    """

    @property
    def power(self) -> int:
        return 2

    @property
    def implicit_drift(self) -> bool:
        return False

    @property
    def remembers(self) -> bool:
        """Whether ``step(…, known=result.solved)`` repeats a step without solving anything again."""
        return False

    @property
    def increments(self) -> bool:
        """Whether a step is one sum u + δu per field, with δu in ``result.change``, whose rounding can be made good."""
        return False

    @property
    def solves(self) -> bool:
        """Whether elliptic equations are solved in a step."""
        return True

    @property
    def name(self) -> str:
        """What results call the scheme."""
        return type(self).__name__.lower()

    def first(self, control: StepControl) -> Any:
        """The step to try first, h."""
        return control.first

    def step(
        self,
        problem: SemiDiscrete,
        control: StepControl,
        clock: Clock,
        state: State,
        differentiable: bool = False,
    ) -> StepResult:
        """Advance ``state`` by ``clock.step`` from ``clock.local``; with ``differentiable`` also carry derivatives."""
        raise NotImplementedError


def contribution(
    problem: SemiDiscrete, stage: Evaluation, values: State, implicit: State, extra: State, linear: Evaluation
) -> State:
    """Rates (amount/h) at which one slope k = F(values) + A·implicit produces, loses and lets in each species.

    ``implicit``: the increments that the linearisation at ``linear`` acts on; ``extra``: its coupling terms.
    """
    out = {}
    here, base = stage.rates, linear.rates
    for name in stage.tendency:
        produced = here.source[name] + extra[name] if name in extra else here.source[name]
        lost = here.loss[name] * values[name]
        if name in implicit:
            lost = lost + base.loss[name] * implicit[name]
        inflow = jnp.zeros_like(produced)
        if name in here.side_source:
            inflow = here.side_source[name] - here.side_loss[name] * values[name]
            if name in implicit:
                inflow = inflow - base.side_loss[name] * implicit[name]
        if name in stage.drift:
            inflow = inflow + stage.drift[name]
        out[name] = jnp.stack([problem.total(x) for x in (produced, lost, inflow)])
    return out


def budget_of(amounts: State) -> State:
    """Budgets of a step with nothing killed or clipped so far, from ``amounts`` (produced, lost, inflow)."""
    return {n: jnp.concatenate([a, jnp.zeros(2, a.dtype)]) for n, a in amounts.items()}


def mean(problem: SemiDiscrete, values: Any) -> Any:
    """Mean over the tissue; a compartment's value itself."""
    if jnp.ndim(values) == 0:
        return values
    volumes = problem.volumes(values.dtype)
    return jnp.sum(volumes * values) / jnp.sum(volumes)


def expected(problem: SemiDiscrete, stage: Evaluation) -> State:
    """|mean tendency| of each species, unit/h."""
    return {n: jnp.abs(mean(problem, f)) for n, f in stage.tendency.items()}


def scales(
    problem: SemiDiscrete, control: StepControl, old: State, new: State, first: Evaluation, coming: State
) -> State:
    """Acceptable local error: rtol·max(|u| + typical, negligible).

    Typical is the field's root mean square, or what its mean tendency will make of it within its lifetime or the
    control's horizon, |F̄|/(λ̄ + 1/horizon), if that is more: a field that rises from zero need not be resolved while it
    is still next to nothing (a chain of two such fields grows as t², which no relative tolerance can start).

    Args:
        first: the evaluation at the start of the step (lifetimes).
        coming: largest |F̄| of the stages so far, from :func:`expected`.
    """
    out = {}
    for name in first.tendency:
        same = new[name] is old[name]
        u = jnp.abs(old[name]) if same else jnp.maximum(jnp.abs(old[name]), jnp.abs(new[name]))
        rate = jnp.abs(mean(problem, first.rates.rate(name))) + 1.0 / control.horizon
        square = mean(problem, old[name] * old[name] if same else u * u)  # no |u| need be written for it
        root = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
        typical = jnp.maximum(root, coming[name] / rate)
        species = problem.system.species[name]
        negligible = jnp.asarray(species.negligible, u.dtype)
        started = 1e-6 * jnp.max(jnp.abs(jnp.asarray(species.initial, u.dtype)))
        negligible = jnp.where(negligible > 0, negligible, started)
        out[name] = freeze(control.rtol * jnp.maximum(u + typical, negligible))
    return out


def weighted_error(problem: SemiDiscrete, new: State, estimate: State, scale: State, dtype: Any) -> Any:
    """Largest weighted root mean square of ``estimate`` over the species; undershoots of ``new`` count."""
    worst = jnp.zeros((), dtype)
    volumes = problem.volumes(worst.dtype)
    for name, delta in estimate.items():
        undershoot = 0.0 if problem.system.species[name].signed else jnp.minimum(new[name], 0.0)
        size = norm(freeze(jnp.abs(delta) - undershoot), scale[name], volumes)
        worst = jnp.where(jnp.isfinite(size), jnp.maximum(worst, size), jnp.inf)
    return worst


def positive(problem: SemiDiscrete, state: State, budget: State) -> State:
    """Remove undershoots and scale the rest so that the total is kept; the removed amount goes into the budget."""
    out = {}
    for name, u in state.items():
        if problem.system.species[name].signed:
            out[name] = u
            continue
        out[name], created, clipped = jax.lax.cond(
            jnp.min(u) < 0, lambda u, n=name: _lifted(problem, n, u), lambda u, n=name: _as_it_is(problem, n, u), u
        )
        budget[name] = budget[name].at[BUDGET.index("clipped")].add(clipped)
        budget[name] = budget[name].at[BUDGET.index("produced")].add(created)
    return out


def _lifted(problem: SemiDiscrete, name: str, u: Any) -> tuple[Any, Any, Any]:
    """``u`` without undershoots, what of its total that has created, and what was removed."""
    kept = jnp.maximum(u, 0.0)
    before, after = problem.total(u), problem.total(kept)
    ratio = jnp.where(after > 0, jnp.maximum(before, 0.0) / jnp.where(after > 0, after, 1.0), 1.0)
    lifted = problem.hold(name, kept * ratio)
    return lifted, problem.total(lifted) - before, -problem.total(jnp.minimum(u, 0.0))


def _as_it_is(problem: SemiDiscrete, name: str, u: Any) -> tuple[Any, Any, Any]:
    nothing = jnp.zeros((), u.dtype)
    return problem.hold(name, u), nothing, nothing


def hazards(problem: SemiDiscrete, clock: Clock, before: State, state: State, budget: State) -> State:
    """u ← u·exp(−Λ), once and exactly."""
    found = problem.system.hazards(clock, before)
    out = dict(state)
    for name, value in sorted(found.items()):
        survivors = problem.hold(name, state[name] * jnp.exp(-jnp.asarray(value).astype(state[name].dtype)))
        killed = problem.total(state[name] - survivors)
        budget[name] = budget[name].at[BUDGET.index("killed")].add(killed)
        out[name] = survivors
    return out
