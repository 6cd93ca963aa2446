"""Whether fields exchange, or turn over, so fast that a W-method with loss rates alone in A would let them stand still.

Of f ⇄ b, exchanged at e and spreading at D, the sum moves at the mean diffusivity. With their loss rates alone in A
both slopes are damped by 1 + γΔt e, and the sum moves by 1/(γΔt e) of what it should: smoothly, so that the estimated
error of a step falls as its slope does, and long steps are taken. Free and bound drug after four hours at rtol 1e-3:
0.2 % off at 7.5 round trips an hour, 1 % at 22, 90 % at 750, no step refused. :class:`NewtonKrylov` holds the exchange,
and steps of few round trips resolve it.

Fields exchange where they are made of each other and most of what they lose comes back. In a cell let λ_i = −J_ii and
K_ij = max(J_ij, 0)/λ_i off the diagonal, J the Jacobian of the reactions; ρ, w and y are the Perron root of K and its
right and left vectors. Then ρ is the share that comes back (√(ab/λ₁λ₂) of a pair), and round trips are

    ½ Σ y_i w_i / Σ (y_i w_i/λ_i)          (ab/(a + b) of a pair that exchanges at a and b: about the slower way)

where ρ² ≥ ½. One field turns over where most of its loss λ is made again of itself, and both its net slope J_ii and its
net rate are ten times less. Which fields act on each other is read from the program; numbers are looked at only for
those, and the Jacobian only for those of them that are lost faster than the least round trips that matter: no pair
makes more than its slower rate (a cycle of k at most k/2 times as many).

What is made by way of quasi-steady fields q, which follow at once, comes back as well: to J_ij stands beside, with q
taken out of the cell's reactions,

    G_ij = J_iq (−J_qq)⁻¹ J_qj      of gains alone (what is made, not what is used up)

whose diagonal counts too, as what a field gets back of its own loss (u → q → u turns over as u → u does). How far q
spreads has no part in it: of a content it is the whole that matters, wherever it comes back.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import Frame, State, stacked
from tmepde.layout import beside, platform
from tmepde.schedule import Clock
from tmepde.steppers.cellwise import pointwise_jacobian
from tmepde.steppers.semidiscrete import SemiDiscrete
from tmepde.steppers.structure import Structure, instant

#: net rates of a field that turns over, in parts of its loss
_SLOWER = 0.1
#: ρ² from which on most comes back
_MOSTLY = 0.5
#: products for the Perron vectors
_POWERS = 40
#: a step balances quasi-steady fields once, and what they hand on comes late: the error falls as the cube of the step,
#: from 17 % at one round trip of u → q → u, and is 1e-3 where each counts for so many; share from which it does
_LAG, _LATE = 8.0, 0.1
#: doublings of the longest way among quasi-steady fields that is followed: 2¹⁰ of them
_LINKS = 10
#: numbers in the Jacobians that are kept: beyond, some cells are passed over
_KEPT = 2**19


class Exchange(NamedTuple):
    """``trips`` round trips per hour (0: none), in the cell where they are most, and the ``names`` that exchange there:
    two, or one that turns over. Each counts for ``lag`` of those that a step resolves."""

    trips: float
    names: tuple[str, ...]
    lag: float = 1.0

    @property
    def pace(self) -> float:
        return self.trips * self.lag


NOTHING = Exchange(0.0, ())


class Moment(NamedTuple):
    """A state and its clock, and the mean of each species below which it is as good as gone (below 0: never)."""

    state: State
    clock: Clock
    gone: State


def fastest(
    arrays: list[Any], frame: Frame, found: Structure, least: float, dtype: Any, when: float | Moment
) -> Exchange:
    """The fastest exchange that a stepper does not hold, of those of a pace of more than ``least`` per hour.

    Args:
        arrays, frame: the problem, in parts; ``found``: its structure.
        when: hours of a run, to look at its start and at a state unlike it that is nowhere zero, but only at species
            that can be there at all; or a moment, to look at it alone.
    """
    return fastest_each([arrays], frame, found, [least], dtype, [when])[0]


@jax.default_matmul_precision("highest")  # wherever it is called from, it is the same program
def fastest_each(
    members: Sequence[list[Any]],
    frame: Frame,
    found: Structure,
    least: Sequence[float],
    dtype: Any,
    when: Sequence[float | Moment],
) -> list[Exchange]:
    """:func:`fastest` for each of many problems that differ in their numbers alone: on a card by one program."""
    names = tuple(sorted({n for group in found.exchanging for n in group}))
    if not names:
        return [NOTHING] * len(members)
    at = [one for one in when if isinstance(one, Moment)] or None
    until = [np.asarray(0.0 if at else one, dtype) for one in when]
    with beside(sum(x.size for arrays in members for x in arrays)):
        if platform() != "cpu":
            return _fastest(members, frame, found, least, names, until, at)
        every = zip(members, least, until, [None] * len(members) if at is None else [[one] for one in at], strict=True)
        return [_fastest([own], frame, found, [limit], names, [t], moment)[0] for own, limit, t, moment in every]


def _fastest(
    members: Sequence[list[Any]],
    frame: Frame,
    found: Structure,
    least: Sequence[float],
    names: tuple[str, ...],
    until: list[Any],
    at: list[Moment] | None,
) -> list[Exchange]:
    arrays, axes = stacked(members) if len(members) > 1 else (members[0], None)

    def joined(*values: Any) -> Any:
        return jax.tree.map(lambda *x: np.stack(x) if axes else x[0], *values)

    moments = (joined(*at),) if at else _begun(arrays, frame, axes, joined(*until))
    losses = [np.reshape(_losses(arrays, frame, axes, names, one), (len(members), -1)) for one in moments]
    lost = np.max(losses, axis=0) * (_LAG if found.between else 1.0)
    fast = {n for i, n in enumerate(names) if np.any(lost[:, i] > np.asarray(least))}
    groups = tuple(group for group in found.exchanging if fast & {*group})  # whole ones: other numbers compile nothing
    if not groups:
        return [NOTHING] * len(members)
    there = {n: lost[:, i] > 0 if axes else lost[0, i] > 0 for i, n in enumerate(names)}
    fixed = (groups, found.between, found.held)
    paces = [jax.device_get(_paces(arrays, frame, axes, *fixed, one, there)) for one in moments]
    alone = [[jax.tree.map(lambda x, i=i: x[i], one) if axes else one for one in paces] for i in range(len(members))]
    return [_worst(own, groups, limit) for own, limit in zip(alone, least, strict=True)]


def _worst(paces: Any, groups: tuple[tuple[str, ...], ...], least: float) -> Exchange:
    """Of all states and groups."""
    best = NOTHING
    for state in paces:
        for group, (trips, shares, lag) in zip(groups, state, strict=True):
            if float(trips) * float(lag) > max(best.pace, least):
                order = sorted(range(len(group)), key=lambda i, s=shares: -float(s[i]))[:2]  # type: ignore[misc]
                best = Exchange(float(trips), tuple(group[i] for i in sorted(order) if shares[i] > 0), float(lag))
    return best


def pace(problem: SemiDiscrete, found: Structure, clock: Clock, state: State, until: Any) -> Any:
    """The pace (1/h) of the fastest exchange at ``state`` among species that can be there, inside a program."""
    there = _coming(problem, jnp.asarray(until, jnp.result_type(*state.values())))
    groups = found.exchanging
    told = _each(problem, groups, found.between, found.held, clock, state, there) if groups else []
    paces = [trips * lag for trips, _, lag in told]
    return jnp.max(jnp.stack([jnp.zeros((), jnp.result_type(*state.values())), *paces]))


def unlike(state: State) -> State:
    """A state unlike ``state``, nowhere zero."""
    return {n: 0.7 * u + 0.1 * (1.0 + jnp.max(jnp.abs(u))) for n, u in state.items()}


def _mapped(one: Callable[..., Any], axes: tuple[Any, ...] | None) -> Callable[..., Any]:
    """``one(arrays, *others)`` for many members: of the arrays those by ``axes``, of all others the first."""
    if axes is None:
        return one
    return lambda arrays, *others: jax.vmap(one, in_axes=(list(axes), *(0 for _ in others)))(arrays, *others)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _begun(arrays: list[Any], frame: Frame, axes: tuple[Any, ...] | None, until: Any) -> tuple[Moment, Moment]:
    """The start, and a moment unlike it; what cannot be there until ``until`` is gone in both."""

    def one(arrays: list[Any], until: Any) -> tuple[Moment, Moment]:
        problem: SemiDiscrete = frame.filled(arrays)
        state = problem.system.initial_state(until.dtype)
        gone = {n: jnp.where(there, -1.0, jnp.inf).astype(until.dtype) for n, there in _coming(problem, until).items()}
        clock = instant(state, 0.0)
        return Moment(state, clock, gone), Moment(unlike(state), clock, gone)

    found: tuple[Moment, Moment] = _mapped(one, axes)(arrays, until)
    return found


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _losses(
    arrays: list[Any], frame: Frame, axes: tuple[Any, ...] | None, names: tuple[str, ...], moment: Moment
) -> Any:
    """Largest loss rate of each species over the cells, 1/h; 0 of those that are not there."""

    def one(arrays: list[Any], moment: Moment) -> Any:
        problem: SemiDiscrete = frame.filled(arrays)
        rates = problem.reaction(names, moment.clock, problem.positive(moment.state))
        own = [rates.rate(n) for n in names]
        found = jnp.stack([jnp.max(jnp.where(jnp.isfinite(rate), rate, 0.0)) for rate in own])
        gone = jnp.stack([moment.gone[n] for n in names])
        there = (gone < 0) | (jnp.stack([_mean(problem, moment.state[n]) for n in names]) > gone)
        return jnp.where(there, found, 0.0)

    return _mapped(one, axes)(arrays, moment)


def _mean(problem: SemiDiscrete, values: Any) -> Any:
    size = jnp.abs(values)
    return problem.total(size) / problem.total(jnp.ones_like(size))


def _coming(problem: SemiDiscrete, until: Any) -> dict[str, Any]:
    """Which species are there at the start, or come from what is there and what is given until ``until``.

    A model carries species for drugs that a scenario does not give; nothing that stays zero need be held.
    """
    state = problem.system.initial_state(until.dtype)
    species, names = problem.system.species, problem.dynamic
    other, clock = unlike(state), dataclasses.replace(instant(state, 0.0), step=until)  # with all doses in one step
    begun = [jnp.any(state[n] != 0) if not species[n].signed else jnp.asarray(True) for n in names]

    def more(carry: tuple[Any, Any]) -> tuple[Any, Any]:
        there = carry[0]
        known = {n: jnp.where(there[i], other[n], 0.0) for i, n in enumerate(names)}
        rates = problem.reaction(names, clock, {**other, **known})
        made = jnp.stack([jnp.any(rates.gain(n) != 0) for n in names])  # NaN counts as made
        return there | made, jnp.any(made & ~there)

    start = jnp.stack(begun)
    there, _ = jax.lax.while_loop(lambda carry: carry[1], more, (start, ~jnp.all(start)))
    return {n: there[i] for i, n in enumerate(names)}


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4, 5))
def _paces(
    arrays: list[Any],
    frame: Frame,
    axes: tuple[Any, ...] | None,
    groups: tuple[tuple[str, ...], ...],
    between: tuple[str, ...],
    held: tuple[frozenset[str], ...],
    moment: Moment,
    there: dict[str, Any],
) -> Any:
    def one(arrays: list[Any], moment: Moment, there: dict[str, Any]) -> Any:
        return _each(frame.filled(arrays), groups, between, held, moment.clock, moment.state, there)

    return _mapped(one, axes)(arrays, moment, there)


def _each(
    problem: SemiDiscrete,
    groups: tuple[tuple[str, ...], ...],
    between: tuple[str, ...],
    held: tuple[frozenset[str], ...],
    clock: Clock,
    state: State,
    there: dict[str, Any],
) -> list[Any]:
    """Of each group the round trips per hour in the cell where they are most, the share of each species in them, and
    their lag; of those that are ``there``. ``between``: quasi-steady fields that pass on what they are given;
    ``held``: sets of species whose action on each other does not count."""
    names = tuple(n for group in groups for n in group)
    problem = problem.parted()  # else XLA makes one loop of it all, and is minutes about it
    size = (len(names) + len(between)) ** 2 * int(np.prod(problem.grid.shape))
    every = 1 if size <= _KEPT else size // _KEPT // 2 * 2 + 3  # odd: no axis of the grid is met at one place alone
    whole = jnp.nan_to_num(pointwise_jacobian(problem, names + between, clock, state, every), posinf=0.0, neginf=0.0)
    outside = np.asarray(
        [[i == j or not any({m, n} <= one for one in held) for j, n in enumerate(names)] for i, m in enumerate(names)]
    )
    flat = (1,) * (whole.ndim - 2)
    jacobian = jnp.where(outside.reshape(*outside.shape, *flat), whole[: len(names), : len(names)], 0.0)
    passed = _passed(whole, len(names))
    known = jnp.stack([jnp.asarray(there[n]) for n in names]).reshape(-1, 1, *flat)
    jacobian, passed = jnp.where(known, jacobian, 0.0), jnp.where(known, passed, 0.0)
    rates = problem.reaction(names, clock, problem.positive(state))
    out, start = [], 0
    for group in groups:
        count = len(group)
        block = (slice(start, start + count), slice(start, start + count))
        own = jacobian[block].reshape(count, count, -1)
        start += count
        trips, shares, lag = _trips(own, passed[block].reshape(count, count, -1))
        for i, name in enumerate(group):
            if any(name in one for one in held):
                continue
            turns = _turnover(rates, name, state[name], own[i, i], every)
            turns = jnp.where(there[name], turns, 0.0)
            alone = jnp.zeros_like(shares).at[i].set(1.0)
            shares = jnp.where(turns > trips, alone, shares)
            lag = jnp.where(turns > trips, 1.0, lag)
            trips = jnp.maximum(trips, turns)
        worst = jnp.argmax(trips * lag)
        out.append((trips[worst], shares[:, worst], lag[worst]))
    return out


def _turnover(rates: Any, name: str, values: Any, slope: Any, every: int) -> Any:
    """The loss rate where a field is made of itself as fast, else 0."""
    loss, gain, values = (x.reshape(-1)[::every] for x in (rates.rate(name), rates.gain(name), values))
    amount = jnp.abs(values)
    net = jnp.abs(gain - loss * values) / jnp.where(amount > 0, amount, 1.0)
    slow = jnp.maximum(jnp.abs(slope), net) < _SLOWER * loss
    return jnp.where(slow & jnp.isfinite(loss), loss, 0.0)


def _passed(jacobian: Any, count: int) -> Any:
    """G, what the first ``count`` fields make of each other by way of the others, ``(i, j, …)``; 0 without others."""
    others = jacobian.shape[0] - count
    if not others:
        return jnp.zeros_like(jacobian)
    gains, flat = jnp.maximum(jacobian, 0.0), (1,) * (jacobian.ndim - 2)
    unit = jnp.eye(others, dtype=jacobian.dtype).reshape(others, others, *flat)
    rate = jnp.maximum(-jnp.sum(unit * jacobian[count:, count:], axis=0), 0.0)
    inverse = jnp.where(rate > 0, 1.0 / jnp.where(rate > 0, rate, 1.0), 0.0)[:, None]
    into, among = inverse * gains[count:, :count], inverse * gains[count:, count:] * (1.0 - unit)

    def further(_: Any, pair: tuple[Any, Any]) -> tuple[Any, Any]:
        into, among = pair  # 1 + K + K² + …, twice as many terms each time
        return into + _matrix(among, into), _matrix(among, among)

    into, _ = jax.lax.fori_loop(0, _LINKS if others > 1 else 0, further, (into, among))
    return _matrix(gains[:count, count:], into)


def _matrix(a: Any, b: Any) -> Any:
    return jnp.einsum("ik...,kj...->ij...", a, b, precision=jax.lax.Precision.HIGHEST)


def _trips(jacobian: Any, passed: Any) -> tuple[Any, Any, Any]:
    """Round trips per hour, y_i w_i and the lag of every cell, of a Jacobian ``(i, j, cells)`` and what is ``passed``
    on."""
    count = jacobian.shape[0]
    rate = jnp.maximum(-jnp.stack([jacobian[i, i] for i in range(count)]), 0.0)
    here = rate > 0
    inverse = jnp.where(here, 1.0 / jnp.where(here, rate, 1.0), 0.0)
    direct = jacobian * (1.0 - jnp.eye(count, dtype=jacobian.dtype))[:, :, None]
    back = (jnp.maximum(direct, 0.0) + passed) * inverse[:, None]

    def towards(_: Any, pair: tuple[Any, Any]) -> tuple[Any, Any]:
        right, left = pair  # (1 + K)/2, whose powers do not swing
        return _scaled(right + _product(back, right)), _scaled(left + _product(jnp.swapaxes(back, 0, 1), left))

    even = jnp.full_like(rate, 1.0 / count)
    right, left = jax.lax.fori_loop(0, _POWERS, towards, (even, even))
    shares = left * right
    total = jnp.sum(shares, axis=0)
    made, late = (jnp.sum(left * _product(m, right), axis=0) for m in (back, passed * inverse[:, None]))
    root = made / jnp.where(total > 0, total, 1.0)
    mean = jnp.sum(shares * inverse, axis=0)
    fine = (total > 0) & (mean > 0) & (root * root >= _MOSTLY)
    trips = jnp.where(fine, 0.5 * total / jnp.where(mean > 0, mean, 1.0), 0.0)
    return jnp.where(jnp.isfinite(trips), trips, 0.0), shares, jnp.where(late > _LATE * made, _LAG, 1.0)


def _product(matrix: Any, values: Any) -> Any:
    """Matrix times vector in every cell. Column by column on a processor: XLA's sum over a middle axis takes four times
    as long there (15 species, 2331 cells, 40 powers: 76 against 18 ms); a card pays for every turn of a loop."""
    if platform() != "cpu":
        return jnp.sum(matrix * values[None], axis=1)

    def column(j: Any, total: Any) -> Any:
        return total + jax.lax.dynamic_index_in_dim(matrix, j, 1, False) * values[j]

    return jax.lax.fori_loop(0, matrix.shape[1], column, jnp.zeros_like(values))


def _scaled(values: Any) -> Any:
    total = jnp.sum(values, axis=0)
    return values / jnp.where(total > 0, total, 1.0)
