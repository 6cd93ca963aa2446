"""What every stepper owes besides a new state: the acceptable error, budgets that close, positivity, hazards."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde._types import State, binary_unit, freeze
from tmepde.schedule import Clock
from tmepde.steppers.control import StepControl, over
from tmepde.steppers.semidiscrete import Evaluation, SemiDiscrete

BUDGET = ("produced", "lost", "inflow", "killed", "clipped")
#: cells up to which the sums of many fields are one product
_SMALL = 2**14


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
    def separate(self) -> bool:
        """Whether fields are implicit each by itself, so that what they exchange may stand still unnoticed."""
        return False

    @property
    def remembers(self) -> bool:
        """Whether ``step(…, known=result.solved)`` repeats a step without solving anything again."""
        return False

    def memory(self, problem: SemiDiscrete, state: State) -> Any:
        """Zeros of the shape of ``result.solved``, where the stepper remembers."""
        return None

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
    problem: SemiDiscrete,
    stage: Evaluation,
    values: State,
    implicit: State,
    extra: State,
    linear: Evaluation,
    swept: State | None = None,
) -> State:
    """Rates (amount/h) at which one slope k = F(values) + A·implicit produces, loses and lets in each species.

    ``implicit``: the increments that the linearisation at ``linear`` acts on; ``extra``: its coupling terms; ``swept``:
    what its flow does.
    """
    terms: dict[tuple[str, str], Any] = {}
    here, base = stage.rates, linear.rates
    for name in stage.tendency:
        produced = here.source[name] + extra[name] if name in extra else here.source[name]
        lost = here.loss[name] * values[name]
        if name in implicit:
            lost = lost + base.loss[name] * implicit[name]
        inflow: Any = None
        if name in here.side_source:
            inflow = here.side_source[name] - here.side_loss[name] * values[name]
            if name in implicit:
                inflow = inflow - base.side_loss[name] * implicit[name]
        if name in stage.drift:
            inflow = stage.drift[name] if inflow is None else inflow + stage.drift[name]
        if swept is not None and name in swept:
            inflow = swept[name] if inflow is None else inflow + swept[name]
        terms[name, "produced"], terms[name, "lost"] = produced, lost
        if inflow is not None:
            terms[name, "inflow"] = inflow
    sums = totals(problem, terms)
    none = {n: jnp.zeros((), jnp.result_type(f)) for n, f in stage.tendency.items()}
    return {
        n: jnp.stack([sums[n, "produced"], sums[n, "lost"], sums.get((n, "inflow"), none[n])]) for n in stage.tendency
    }


def totals(problem: SemiDiscrete, values: Mapping[Any, Any]) -> dict[Any, Any]:
    """Σ V·x of every field in ``values`` over the tissue; the value itself of a compartment.

    Small fields are stacked for one product of a matrix and a vector: a sum by itself is an operation of some 5 µs on a
    processor however few its cells, and a step of sixteen species had 184 of them. Large ones are summed where they are
    computed, without being written.
    """
    fields = [key for key, x in values.items() if jnp.ndim(x) > 0]
    volumes = problem.volumes(values[fields[0]].dtype) if fields else None
    if volumes is None or volumes.size > _SMALL:
        return {key: problem.total(x) for key, x in values.items()}
    rows = jnp.stack([values[key] for key in fields]).reshape(len(fields), -1)
    sums = jnp.matmul(rows, volumes.reshape(-1), precision=jax.lax.Precision.HIGHEST)
    return {**dict(values), **{key: sums[i] for i, key in enumerate(fields)}}


def budget_of(amounts: State) -> State:
    """Budgets of a step with nothing killed or clipped so far, from ``amounts`` (produced, lost, inflow)."""
    return {n: jnp.concatenate([a, jnp.zeros(2, a.dtype)]) for n, a in amounts.items()}


def means(problem: SemiDiscrete, values: Mapping[Any, Any]) -> dict[Any, Any]:
    """Mean of every field in ``values`` over the tissue; the value itself of a compartment."""
    sums = totals(problem, values)
    sizes = {key: jnp.sum(problem.volumes(x.dtype)) for key, x in values.items() if jnp.ndim(x) > 0}
    return {key: total / sizes[key] if key in sizes else total for key, total in sums.items()}


def expected(problem: SemiDiscrete, stage: Evaluation) -> State:
    """|mean tendency| of each species, unit/h."""
    return {n: jnp.abs(m) for n, m in means(problem, stage.tendency).items()}


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
    out, largest, terms = {}, {}, {}
    for name in first.tendency:
        same = new[name] is old[name]
        u = jnp.abs(old[name]) if same else jnp.maximum(jnp.abs(old[name]), jnp.abs(new[name]))
        largest[name], terms[name, "rate"] = u, first.rates.rate(name)
        terms[name, "square"] = old[name] * old[name] if same else u * u  # no |u| need be written for it
    found = means(problem, terms)
    roots = _roots(problem, largest, {n: found[n, "square"] for n in largest})
    for name, u in largest.items():
        rate, root = jnp.abs(found[name, "rate"]) + 1.0 / control.horizon, roots[name]
        typical = jnp.maximum(root, coming[name] / rate)
        species = problem.system.species[name]
        negligible = jnp.asarray(species.negligible, u.dtype)
        started = 1e-6 * jnp.max(jnp.abs(jnp.asarray(species.initial, u.dtype)))
        negligible = jnp.where(negligible > 0, negligible, started)
        out[name] = freeze(control.rtol * jnp.maximum(u + typical, negligible))
    return out


def _roots(problem: SemiDiscrete, sizes: State, squares: State) -> State:
    """Root mean square of each field, from the mean ``squares`` of the ``sizes``; anew where these are too large."""

    def plain(squares: State) -> State:
        return {n: jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0) for n, x in squares.items()}

    def anew(_: State) -> State:
        units = {n: binary_unit(u) for n, u in sizes.items()}
        found = plain(means(problem, {n: (u / units[n]) ** 2 for n, u in sizes.items()}))
        return {n: units[n] * root for n, root in found.items()}

    if not squares:
        return {}
    finite = jnp.all(jnp.stack([jnp.isfinite(x) for x in squares.values()]))
    return jax.lax.cond(finite, plain, anew, squares)


def weighted_error(problem: SemiDiscrete, new: State, estimate: State, scale: State, dtype: Any) -> Any:
    """Largest weighted root mean square of ``estimate`` over the species; undershoots of ``new`` count."""
    if not estimate:
        return jnp.zeros((), dtype)
    squares = {}
    for name, delta in estimate.items():
        undershoot = 0.0 if problem.system.species[name].signed else jnp.minimum(new[name], 0.0)
        ratio = over(freeze(jnp.abs(delta) - undershoot), scale[name])
        squares[name] = ratio * ratio
    sizes = jnp.stack([m.astype(dtype) for m in means(problem, squares).values()])
    worst = jnp.max(jnp.where(jnp.isfinite(sizes), sizes, jnp.inf))
    return jnp.where(worst == 0, 0.0, jnp.sqrt(jnp.where(worst == 0, 1.0, worst)))


def positive(problem: SemiDiscrete, state: State, budget: State) -> State:
    """Remove undershoots and scale the rest so that the total is kept; the removed amount goes into the budget."""
    out = dict(state)
    unsigned = [n for n in state if not problem.system.species[n].signed]
    fields = [state[n] for n in unsigned if jnp.ndim(state[n]) > 0]
    small = all(u.size <= _SMALL for u in fields)
    for names in [unsigned] if small else [[n] for n in unsigned]:  # small fields share one test
        group = {n: state[n] for n in names}
        if not group:
            continue
        lowest = jnp.min(functools.reduce(jnp.minimum, group.values()))
        lifted, created, clipped = jax.lax.cond(
            lowest < 0, lambda group: _lifted(problem, group), lambda group: _as_it_is(problem, group), group
        )
        out.update(lifted)
        for name in names:
            budget[name] = budget[name].at[BUDGET.index("clipped")].add(clipped[name])
            budget[name] = budget[name].at[BUDGET.index("produced")].add(created[name])
    return out


def _lifted(problem: SemiDiscrete, group: State) -> tuple[State, State, State]:
    """Without undershoots, what of each total that has created, and what was removed; unchanged where there is none."""
    kept = {n: jnp.maximum(u, 0.0) for n, u in group.items()}
    below = {n: jnp.minimum(u, 0.0) for n, u in group.items()}
    before, after, under = (totals(problem, values) for values in (group, kept, below))
    lifted = {}
    for name, total in after.items():
        ratio = jnp.where(total > 0, jnp.maximum(before[name], 0.0) / jnp.where(total > 0, total, 1.0), 1.0)
        lifted[name] = problem.hold(name, kept[name] * ratio)
    held = totals(problem, lifted)
    return lifted, {n: held[n] - before[n] for n in group}, {n: -u for n, u in under.items()}


def _as_it_is(problem: SemiDiscrete, group: State) -> tuple[State, State, State]:
    nothing = {n: jnp.zeros((), u.dtype) for n, u in group.items()}
    return {n: problem.hold(n, u) for n, u in group.items()}, nothing, nothing


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
