"""What the program of the rates says, whatever the numbers in it: read once for every structure.

Which fields each source is made of, what drifts, and whether coefficients can depend on the state or on time at all.
Numbers are then looked at only where the program leaves a question open.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from tmepde._types import Frame, State
from tmepde.elliptic import SeparableOperator, choose
from tmepde.schedule import Clock, schedules
from tmepde.steppers.dependence import connected, sources
from tmepde.steppers.semidiscrete import SemiDiscrete


@dataclass(frozen=True)
class Structure:
    """What a problem is, by its program.

    Attributes:
        direct: by species that moves, is local or a compartment, those of them (or itself) that its source depends on.
        passed: the same, where the source depends on them by way of quasi-steady fields.
        between: the quasi-steady fields by way of which it does.
        drifting: species with a velocity of their own.
        constant: whether the equations are linear with constant coefficients, as
            :func:`~tmepde.steppers.choice.choose_stepper` says it; ``None`` where numbers must tell.
        timed: whether a rate, a side or a drift is a function of the time itself (doses are not: steps end on them).
        held: sets of species whose action on each other a W-method has in A; the compartments always.
    """

    direct: dict[str, frozenset[str]]
    passed: dict[str, frozenset[str]]
    between: tuple[str, ...]
    drifting: frozenset[str]
    constant: bool | None
    timed: bool
    held: tuple[frozenset[str], ...]

    def holding(self, names: Iterable[str]) -> Structure:
        """The same for a stepper that has the action of ``names`` on each other in A."""
        return dataclasses.replace(self, held=(*self.held, frozenset(names)))

    @functools.cached_property
    def made_of(self) -> dict[str, frozenset[str]]:
        """By species, those (or itself) that its source depends on, where A does not know of it."""
        within = {n: frozenset[str]().union(*(one for one in self.held if n in one)) for n in self.direct}
        return {n: (row - within[n]) | self.passed[n] for n, row in self.direct.items()}

    @functools.cached_property
    def exchanging(self) -> tuple[tuple[str, ...], ...]:
        """The species that act on each other, directly or around others, and each by itself that is made of itself."""
        kept = sorted(self.direct)
        rows = [{kept.index(m) for m in self.made_of[n] if m in kept} for n in kept]
        groups = connected(rows)
        return tuple(tuple(kept[i] for i in g) for g in groups if len(g) > 1 or g[0] in rows[g[0]])


def instant(state: State, local: Any) -> Clock:
    """The clock of an instant near the start."""
    dtype = jnp.result_type(*state.values())
    zero = jnp.zeros((), dtype)
    return Clock(zero, jnp.asarray(local, dtype), zero, jnp.asarray(1e-3, dtype))


def transport(problem: SemiDiscrete, clock: Clock, state: State) -> tuple[Any, Any]:
    """The diffusion operator of the transported fields, to look at (it has no eigenbases), and what drifts or is
    carried."""
    coefficients = problem.system.coefficients(clock, state)
    drift = coefficients.velocity or coefficients.flow
    return problem.prepared(clock, state, solved=False).laplacian(problem.transported, coefficients, state), drift


@functools.lru_cache(maxsize=256)
def structure(frame: Frame, given: tuple[Any, ...], dtype: Any) -> Structure:
    """What the program of a problem says, by its frame and the ``given`` shapes of its arrays: its numbers have no part
    in it."""
    told: dict[str, Any] = {}

    def program(state: State, local: Any, arrays: list[Any]) -> Any:
        problem: SemiDiscrete = frame.filled(arrays)
        clock = instant(state, local)
        compartments, steady = problem.system.of_kind("compartment"), problem.quasi_steady
        rates = problem.reaction(problem.dynamic + steady, clock, state)
        told["names"], told["steady"], told["held"] = problem.dynamic, steady, (frozenset(compartments),)
        told["drifting"] = frozenset(rates.coefficients.velocity)
        told["separate"] = _separate(problem, clock, state, rates)
        d = rates.coefficients.diffusivity
        motion = (rates.coefficients.velocity, rates.coefficients.flow)
        everything = (rates.source, rates.loss, rates.side_source, rates.side_loss, d, motion)
        return [rates.gain(n) for n in told["names"] + steady], everything

    arrays = [jax.ShapeDtypeStruct(*leaf) for leaf in given]

    def initial(arrays: list[Any]) -> State:
        return frame.filled(arrays).system.initial_state(dtype)

    state = jax.eval_shape(initial, arrays)
    found = sources(program, state, jax.ShapeDtypeStruct((), dtype), arrays)
    species, names, steady = sorted(state), told["names"], told["steady"]  # as a tree of a dictionary has them
    rows = {n: {species[i] for i in row if i < len(species)} for n, row in zip(names + steady, found, strict=False)}
    passed, between = _passed(rows, names, steady)
    direct = {n: frozenset(m for m in rows[n] if m in names) for n in names}
    changing = any(i <= len(species) for row in found[len(names + steady) :] for i in row)
    constant = None if told["separate"] and changing else told["separate"]
    timed = any(len(species) in row for row in found)
    return Structure(direct, passed, between, told["drifting"], constant, timed, told["held"])


def _passed(
    rows: dict[str, set[str]], names: tuple[str, ...], steady: tuple[str, ...]
) -> tuple[dict[str, frozenset[str]], tuple[str, ...]]:
    """Which of ``names`` each of them is made of by way of ``steady`` ones, and by way of which; ``rows`` say what
    every source depends on."""
    reach = {q: set(rows[q]) for q in steady}
    for middle in steady:  # Warshall, as in ``connected``
        for row in reach.values():
            if middle in row:
                row |= reach[middle]
    way = {n: {q for p in steady if p in rows[n] for q in (p, *reach[p]) if q in reach} for n in names}
    passed = {n: frozenset(m for q in way[n] for m in reach[q] if m in names) for n in names}
    between = {q for n in names for q in way[n] if any(m in names for m in reach[q])}
    return passed, tuple(sorted(between))


def _separate(problem: SemiDiscrete, clock: Clock, state: State, rates: Any) -> bool | None:
    """Whether fast diagonalisation suits, with the same loss rate in all cells (``None``: numbers must tell)."""
    names = problem.transported
    if not names or problem.quasi_steady or problem.solver not in ("auto", "fast_diagonal"):
        return False
    sides = [s.boundary for s in problem.system.species.values()]
    if schedules(problem.system) or any(map(callable, jax.tree.leaves(sides))):
        return False
    laplacian, drift = transport(problem, clock, state)
    if drift or not isinstance(laplacian, SeparableOperator) or choose(laplacian, "auto") == "multigrid":
        return False
    losses = rates.coefficients.loss
    return True if all(jnp.ndim(losses.get(n, 0.0)) == 0 for n in names) else None
