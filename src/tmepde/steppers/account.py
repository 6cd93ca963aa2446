"""What every stepper owes besides a new state: the acceptable error, budgets that close, positivity, hazards."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import State, binary_unit, freeze
from tmepde.schedule import Clock
from tmepde.steppers.blocks import SMALL, groups, joined
from tmepde.steppers.control import StepControl, over
from tmepde.steppers.semidiscrete import Evaluation, SemiDiscrete

BUDGET = ("produced", "lost", "inflow", "killed", "clipped")

#: errors beyond so many times the acceptable one are all the same: their fourth powers, times volumes, stay in float32
_FAR = 1e5


class StepResult(eqx.Module):
    """``error``: weighted, 1 is just acceptable. ``budget``: a row per dynamic species, the amounts of :data:`BUDGET`.

    ``solved``: what the linear and quasi-steady equations of the step gave, for steppers that ``remember``. ``change``:
    what was added to each dynamic species, of steppers with ``increments``.
    """

    state: State
    error: Any
    budget: Any
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
) -> Any:
    """Rates (amount/h) at which one slope k = F(values) + A·implicit produces, loses and lets in each species, a table
    (dynamic species, 3).

    ``implicit``: the increments that the linearisation at ``linear`` acts on; ``extra``: its coupling terms; ``swept``:
    what its flow does.
    """
    here, base = stage.rates, linear.rates
    keys: list[tuple[str, str]] = []
    found = []

    def counted(label: str, names: list[str], block: Any) -> None:
        keys.extend((n, label) for n in names)
        found.append(_rows(problem, block))

    for names in groups({n: stage.tendency[n] for n in problem.dynamic}):
        u = joined(values, names)
        produced, lost = joined(here.source, names), joined(here.loss, names) * u
        if any(n in extra for n in names):
            produced = produced + joined(extra, names, u)
        if any(n in implicit for n in names):
            lost = lost + joined(base.loss, names) * joined(implicit, names, u)
        counted("produced", names, produced)
        counted("lost", names, lost)
        let_in: dict[str, Any] = {}
        for name in names:
            parts = []
            if name in here.side_source:
                parts.append(here.side_source[name] - here.side_loss[name] * values[name])
                if name in implicit:
                    parts.append(-base.side_loss[name] * implicit[name])
            parts += [part[name] for part in (stage.drift, swept or {}) if name in part]
            if parts:
                let_in[name] = functools.reduce(operator.add, parts)
        if let_in:
            counted("inflow", list(let_in), joined(let_in, list(let_in)))
    table = _placed(keys, found, [[(n, label) for label in BUDGET[:3]] for n in problem.dynamic])
    return table.reshape(-1, 3)  # also where nothing is dynamic


def _rows(problem: SemiDiscrete, block: Any) -> Any:
    """Σ V·x of each of the stacked fields; compartments as they are."""
    if block.ndim == 1:
        return block
    volumes = problem.volumes(block.dtype)
    if volumes.size > SMALL:
        return jnp.sum(volumes * block, axis=tuple(range(1, block.ndim)))
    return jnp.matmul(block.reshape(len(block), -1), volumes.reshape(-1), precision=jax.lax.Precision.HIGHEST)


def _placed(keys: list[Any], parts: list[Any], wanted: list[Any]) -> Any:
    """The values of ``keys``, in ``parts``, as an array with the keys ``wanted`` (nested lists: a table), 0 for those
    missing."""
    values = jnp.concatenate(parts) if parts else jnp.zeros((0,), jnp.float32)  # gives way to any other precision
    if keys == wanted:
        return values
    place = {key: i for i, key in enumerate(keys)}

    def index(of: Any) -> Any:
        return [index(one) for one in of] if isinstance(of, list) else place.get(of, len(keys))

    return jnp.concatenate([values, jnp.zeros((1,), values.dtype)])[np.asarray(index(wanted), int)]


def _along(values: Any, block: Any) -> Any:
    """A number for each of the stacked fields, to be multiplied with ``block``."""
    return values.reshape((-1,) + (1,) * (block.ndim - 1))


def budget_of(amounts: Any) -> Any:
    """Budgets of a step with nothing killed or clipped so far, from ``amounts`` (species, (produced, lost, inflow))."""
    return jnp.pad(amounts, ((0, 0), (0, len(BUDGET) - amounts.shape[1])))


def means(problem: SemiDiscrete, values: Mapping[Any, Any]) -> Any:
    """Mean of every field in ``values`` over the tissue, the value itself of a compartment: a vector in their order."""
    every = groups(values)
    found = [_mean(problem, joined(values, names)) for names in every]
    return _placed([n for names in every for n in names], found, list(values))


def expected(problem: SemiDiscrete, stage: Evaluation) -> Any:
    """|mean tendency| (unit/h) and |mean loss rate| (1/h) of each dynamic species, in two rows."""
    given = (stage.tendency, {n: stage.rates.rate(n) for n in problem.dynamic})
    return jnp.stack([jnp.abs(means(problem, {n: one[n] for n in problem.dynamic})) for one in given])


def scales(problem: SemiDiscrete, control: StepControl, old: State, new: State, coming: Any) -> State:
    """Acceptable local error: rtol·max(|u| + typical, negligible).

    Typical is the field's root mean square, or what its mean tendency will make of it within its lifetime or the
    control's horizon, |F̄|/(λ̄ + 1/horizon), if that is more: a field that rises from zero need not be resolved while it
    is still next to nothing (a chain of two such fields grows as t², which no relative tolerance can start). What is
    lost faster the more of it there is (pairs that annihilate) has no end to its lifetime at zero, so that the shortest
    of all stages counts.

    Args:
        coming: largest |F̄| and |λ̄| of the stages so far, from :func:`expected`.
    """
    every, sizes = groups({n: old[n] for n in problem.dynamic}), []
    out: State = {}
    for names in every:
        u = jnp.abs(joined(old, names))
        changed = any(new[n] is not old[n] for n in names)
        sizes.append(jnp.maximum(u, jnp.abs(joined(new, names))) if changed else u)
    order, horizon = problem.dynamic, 1.0 / control.horizon
    for names, u, root in zip(every, sizes, _roots(problem, sizes), strict=True):
        arriving, rate = coming[:, np.asarray([order.index(n) for n in names])]
        typical = jnp.maximum(root, arriving / (rate + horizon))
        least = _along(_least(problem, names, u.dtype), u)
        found = freeze(control.rtol * jnp.maximum(u + _along(typical, u), least))
        out |= {n: found[i] for i, n in enumerate(names)}
    return {n: out[n] for n in order}


def _least(problem: SemiDiscrete, names: list[str], dtype: Any) -> Any:
    """What is negligible of each: as given, or a millionth of the largest initial value."""
    species = [problem.system.species[n] for n in names]
    given = jnp.stack([jnp.asarray(one.negligible, dtype) for one in species])
    begun = jnp.stack([jnp.max(jnp.abs(jnp.asarray(one.initial, dtype))) for one in species])
    return jnp.where(given > 0, given, 1e-6 * begun)


def _mean(problem: SemiDiscrete, block: Any) -> Any:
    """Mean over the tissue of each of the stacked fields; compartments as they are."""
    return block if block.ndim == 1 else _rows(problem, block) / jnp.sum(problem.volumes(block.dtype))


def _roots(problem: SemiDiscrete, blocks: list[Any]) -> list[Any]:
    """Root mean square of each of the stacked fields of each block, in another unit where squares are too large."""

    def root(block: Any) -> Any:
        square = _mean(problem, block * block)
        return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)

    def anew(_: list[Any]) -> list[Any]:
        units = [binary_unit(block, tuple(range(1, block.ndim))) for block in blocks]
        return [unit.reshape(-1) * root(block / unit) for block, unit in zip(blocks, units, strict=True)]

    found = [root(block) for block in blocks]
    if not found:
        return []
    return jax.lax.cond(jnp.all(jnp.isfinite(jnp.concatenate(found))), lambda found: found, anew, found)


def weighted_error(problem: SemiDiscrete, new: State, estimate: State, scale: State, dtype: Any) -> Any:
    """Largest weighted mean of ``estimate`` over the species, (mean of e⁴)^¼; undershoots of ``new`` count.

    Between the root mean square, which lets a nodule in a thousandth of the grid err 32 times as much (a fourth power:
    6 times), and the largest error, which a single cell at a jump decides.
    """
    if not estimate:
        return jnp.zeros((), dtype)
    found = []
    for names in groups(estimate):
        delta, below = jnp.abs(joined(estimate, names)), jnp.minimum(joined(new, names), 0.0)
        unsigned = np.asarray([not problem.system.species[n].signed for n in names])
        ratio = over(freeze(delta - jnp.where(_along(unsigned, delta), below, 0.0)), joined(scale, names))
        square = jnp.where(jnp.isfinite(ratio), jnp.minimum(ratio, _FAR), ratio) ** 2
        found.append(_mean(problem, square * square).astype(dtype))
    sizes = jnp.concatenate(found)
    worst = jnp.max(jnp.where(jnp.isfinite(sizes), sizes, jnp.inf))
    return jnp.where(worst == 0, 0.0, jnp.sqrt(jnp.sqrt(jnp.where(worst == 0, 1.0, worst))))


def positive(problem: SemiDiscrete, state: State, budget: Any) -> tuple[State, Any]:
    """Remove undershoots and scale the rest so that the total is kept; the removed amount goes into the budget."""
    out = dict(state)
    unsigned = [n for n in state if not problem.system.species[n].signed]
    fields = [state[n] for n in unsigned if jnp.ndim(state[n]) > 0]
    small = all(u.size <= SMALL for u in fields)
    tested = [unsigned] if small else [[n] for n in unsigned]  # small fields share one test
    keys: list[tuple[str, str]] = []
    added = []
    for names in tested if unsigned else []:
        group, lift = {n: state[n] for n in names}, functools.partial(_lifted, problem, names)
        lowest = jnp.min(functools.reduce(jnp.minimum, group.values()))
        lifted, created, clipped = jax.lax.cond(lowest < 0, lift, functools.partial(_as_it_is, problem), group)
        out.update(lifted)
        keys += [(n, label) for label in ("produced", "clipped") for n in names]
        added += [created, clipped]
    if not keys:
        return out, budget
    table = _placed(keys, added, [[(n, label) for label in BUDGET] for n in problem.dynamic])
    return out, budget + table


def _lifted(problem: SemiDiscrete, order: list[str], group: State) -> tuple[State, Any, Any]:
    """Without undershoots, what of each total that has created, and what was removed, the latter in that ``order`` (a
    dictionary that has been through a conditional is sorted); unchanged where there is none."""
    lifted: State = {}
    names, created, clipped = [], [], []
    for members in groups(group):
        block = joined(group, members)
        kept = jnp.where(block < 0, 0.0, block)
        before, after, under = (_rows(problem, x) for x in (block, kept, jnp.minimum(block, 0.0)))
        ratio = jnp.where(after > 0, jnp.maximum(before, 0.0) / jnp.where(after > 0, after, 1.0), 1.0)
        whole = kept * _along(ratio, kept)
        held = {n: problem.hold(n, whole[i]) for i, n in enumerate(members)}
        lifted |= held
        if any(problem.system.species[n].held is not None for n in members):
            whole = jnp.stack(list(held.values()))
        created.append(_rows(problem, whole) - before)
        clipped.append(-under)
        names += members
    return lifted, *(_placed(names, x, order) for x in (created, clipped))


def _as_it_is(problem: SemiDiscrete, group: State) -> tuple[State, Any, Any]:
    nothing = jnp.zeros(len(group), jnp.result_type(*group.values()))
    return {n: problem.hold(n, u) for n, u in group.items()}, nothing, nothing


def hazards(problem: SemiDiscrete, clock: Clock, before: State, state: State, budget: Any) -> tuple[State, Any]:
    """u ← u·exp(−Λ), once and exactly."""
    found = problem.system.hazards(clock, before)
    out = dict(state)
    for name, value in sorted(found.items()):
        survivors = problem.hold(name, state[name] * jnp.exp(-jnp.asarray(value).astype(state[name].dtype)))
        killed = problem.total(state[name] - survivors)
        budget = budget.at[problem.dynamic.index(name), BUDGET.index("killed")].add(killed)
        out[name] = survivors
    return out, budget
