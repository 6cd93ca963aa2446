"""How the species of one kind are pulled by those of another in the linear system of a step.

The matrix A of a Rosenbrock-W scheme may be any; the nearer it is to the Jacobian of all species at once, the smaller
is what the scheme leaves out. Quasi-steady fields q, which follow the others, are taken as known functions of time:
from 0 = R(q, u, t) their slope at the start of a step is

    q̇ = −(∂R/∂q)⁻¹ (∂R/∂u u̇ + ∂R/∂t) ,      u̇ ≈ F/(1 + γΔt λ) of slow and pointwise species

and ∂F/∂q q̇ stands beside ∂F/∂t. Scaled by the step, what is left out without it is, for a cytokine that decays at the
rate λ and is made by cells that see q: 9 times the error at λΔt = 0.3 and 18 times at λΔt = 1, both in the step and in
its estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tmepde._types import State, freeze
from tmepde.operators.apart import apart_if_large
from tmepde.schedule import Clock
from tmepde.steppers.dependence import depends
from tmepde.steppers.quasi_steady import balance_slope
from tmepde.steppers.semidiscrete import Evaluation, SemiDiscrete

#: a field is slow beside one that diffuses this many times faster: what the estimate of its slope makes of its short
#: waves is then gone from the fast field
_FASTER = 100.0

Linear = Callable[[State, Any], State]


class Pull(NamedTuple):
    """Derivatives of tendencies, ``None`` where there is nothing to depend on.

    ``outer``: of the transported along (pointwise and quasi-steady species, time). ``inner``: of the reactions of the
    transported along the slow among them, with ``slow`` 1 or 0 for each. ``back``: of the pointwise along (transported
    and quasi-steady species, time). ``balance``: slopes of the quasi-steady fields at the start of the step, ``solved``
    as :func:`~tmepde.steppers.quasi_steady.balance_slope` has them.
    """

    outer: Linear | None
    inner: Callable[[State], State] | None
    slow: State
    back: Linear | None
    balance: State
    solved: Any


def linearised(
    problem: SemiDiscrete, clock: Clock, state: State, weight: Any, adjoint: Any = None, known: Any = None
) -> tuple[Evaluation, Pull | None, Any]:
    """The evaluation at ``state``, how tendencies are pulled by other species, and the linear iterations it took.

    How D follows pointwise fields (the matrix, say) is left out of the pull, which the order of W-methods allows:
    with 69 species on 64³ cells the linearisation then takes two thirds as long.

    Args:
        weight: γΔt.
        adjoint: relative error of solves that carry derivatives; ``None``: no derivatives are asked for.
        known: ``solved`` of the same taken before.
    """
    names = problem.transported
    here = problem.evaluate(clock, state)
    slow = _slow(names, here, problem.grid.shape) if len(names) > 1 else dict.fromkeys(names, jnp.asarray(1.0))
    balance, count, solved = _balance(problem, clock, state, here, slow, weight, adjoint, known)
    steady, pointwise = problem.quasi_steady, problem.pointwise

    def transported(given: State, local: Any) -> State:
        there = problem.evaluate(_at(clock, local), {**state, **given}, here.laplacian)
        return {n: there.tendency[n] for n in names}

    def still(given: State, local: Any) -> State:
        rates = problem.reaction(pointwise, _at(clock, local), problem.positive({**state, **given}))
        return {n: problem.inside(rates.gain(n) - rates.rate(n) * state[n]) for n in pointwise}

    def reacting(moving: State) -> State:
        rates = problem.reaction(names, clock, problem.positive({**state, **moving}))
        return {n: rates.gain(n) - rates.rate(n) * state[n] for n in names}

    outer = inner = back = None
    if names and (pointwise or steady or depends(lambda local: transported({}, local), clock.local)):
        _, outer = jax.linearize(transported, {n: state[n] for n in pointwise + steady}, clock.local)
    if pointwise and (names or steady or depends(lambda local: still({}, local), clock.local)):
        _, back = jax.linearize(still, {n: state[n] for n in names + steady}, clock.local)
    if len(names) > 1:
        _, inner = jax.linearize(reacting, {n: state[n] for n in names})
    return here, Pull(outer, inner, slow, back, balance, solved), count


def _at(clock: Clock, local: Any) -> Clock:
    return Clock(clock.base, local, clock.start, clock.step)


def _balance(
    problem: SemiDiscrete,
    clock: Clock,
    state: State,
    here: Evaluation,
    slow: State,
    weight: Any,
    adjoint: Any,
    known: Any,
) -> tuple[State, Any, Any]:
    """Slopes of the quasi-steady fields, from estimates of those of the others."""
    if not problem.quasi_steady:
        return {}, jnp.asarray(0), None
    slopes = {}
    for name in problem.dynamic:
        share = slow.get(name, 1.0)
        slopes[name] = (share * here.tendency[name] / (1.0 + weight * here.rates.rate(name))).astype(state[name].dtype)
    return balance_slope(problem, clock, state, slopes, adjoint, known)


def _slow(names: tuple[str, ...], here: Evaluation, cells: tuple[int, ...]) -> State:
    """1 for each field beside one that diffuses :data:`_FASTER` times faster, else 0. The limit stands apart from what
    uses it: fused, every cell took the maximum of all fields again, which was a seventh of a step of 28 of them."""
    found = freeze({n: here.rates.coefficients.diffusivity[n] for n in names})
    largest = {n: jnp.max(jnp.stack([jnp.max(jnp.abs(d)) for d in jax.tree.leaves(found[n])])) for n in names}
    limit = apart_if_large(cells, lambda d: jnp.max(d) / _FASTER, jnp.stack(list(largest.values())))
    return {n: jnp.where(d < limit, 1.0, 0.0) for n, d in largest.items()}


def foreseen(problem: SemiDiscrete, state: State, pull: Pull | None, later: Any) -> State:
    """The quasi-steady fields after ``later`` hours by their slopes, where the search for their balance starts."""
    if pull is None or not pull.balance:
        return {n: state[n] for n in problem.quasi_steady}
    found = {n: state[n] + later * pull.balance[n] for n in problem.quasi_steady}
    species = problem.system.species
    return {n: q if species[n].signed else jnp.maximum(q, 0.1 * state[n]) for n, q in found.items()}
