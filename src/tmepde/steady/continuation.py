"""A step of pseudo-transient continuation, and what tells whether it was a good one.

    (1/Δτ − ∂R/∂u) δ = R(u) ,   u⁺ = u + δ

    error       the larger of ½ ‖P⁻¹ Δτ (R(u⁺) − R(u))‖/0.3 over what moves in time (how far the path of the equations
                is left) and ‖P⁻¹ (δ − Δτ R(u⁺))‖ over all fields (how far a Newton step is from the implicit one)
    growth      ‖R(u⁺)‖/‖R(u)‖
    imbalance   ‖R(u⁺)‖ relative to all that comes, goes and moves through a cell in an hour, and 1e-6 of the field

Norms are root mean squares, each field relative to its own; the worst field counts. P ≈ 1 − Δτ ∂R/∂u.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import Frame, State, binary_unit
from tmepde.elliptic import LinearControl
from tmepde.schedule import Clock
from tmepde.steady.totals import kept, reactions, unbroken
from tmepde.steppers import SemiDiscrete
from tmepde.steppers.coupled import BlockInverse, weights
from tmepde.steppers.krylov import Packing, gmres
from tmepde.steppers.semidiscrete import Evaluation

#: pseudo time step, h, at which all is settled that ever will be
LONG = 1e6
#: reduction of the residual that the linear solve aims at, and with which it is still taken for a solution
_AIM, _SOLVED = 1e-9, 1e-2
#: most products by the matrix, and bytes and vectors of a basis: a larger one saves many products, and what a short one
#: never solves for may be the balance of a short wave
_PRODUCTS, _BASIS, _VECTORS = 200, 2**26, 100
#: share of the largest a field ever was below which it is nothing, and below which its path is not followed closely
GONE, _FAINT = 1e-30, 1e-4
#: error of the path that is acceptable, relative to the field
_ASTRAY = 0.3
#: of the elliptic solves in the preconditioner
TIGHT = LinearControl(relative=2e-14, limit=100)


class Step(NamedTuple):
    """Where a step leads and what it is worth, see the module; ``size`` of its correction, ``sizes`` of the fields,
    whether the linear equations were ``solved`` and all is ``finite``, and which totals are ``unbroken``."""

    state: State
    sizes: State
    size: Any
    error: Any
    growth: Any
    imbalance: Any
    solved: Any
    finite: Any
    unbroken: Any
    iterations: Any


def instant(time: Any) -> Clock:
    """A clock that stands at ``time``."""
    zero = jnp.zeros_like(time)
    return Clock(time, zero, zero, jnp.asarray(1e-3, time.dtype))


@functools.partial(jax.jit, static_argnums=1)
def step(
    arrays: list[Any], frame: Frame, state: State, largest: State, conserved: tuple[Any, Any], dt: Any, time: Any
) -> Step:
    """One step of length ``dt``.

    Args:
        largest: root mean square of each field when there was most of it.
        conserved: combinations of totals and their values, see :mod:`tmepde.steady.totals`.
    """
    problem: SemiDiscrete = frame.filled(arrays)
    names, clock = problem.dynamic, instant(time)
    here = problem.evaluate(clock, state)
    inverse = BlockInverse(problem, here, clock, state, dt, {n: 1.0 for n in names})
    guess = inverse({n: dt * here.tendency[n] for n in names}, TIGHT)[0]
    # a field next to nothing is measured by what becomes of it, or it alone would be solved for
    scale = {n: _scale(largest[n], root_mean_square(problem, state[n]), guess[n], problem) for n in names}
    packing = Packing(names, state, weights(problem, {n: jnp.broadcast_to(scale[n], state[n].shape) for n in names}))
    _, linear = jax.linearize(lambda u: problem.evaluate(clock, u).tendency, state)

    def matrix(v: Any) -> tuple[Any, Any]:
        direction = packing.state(v)
        change = linear(direction)
        image, cost = inverse({n: direction[n] - dt * change[n] for n in names}, TIGHT)
        return packing.flat(image), cost

    rhs = packing.flat(guess)
    restart = int(np.clip(_BASIS // (8 * rhs.size), 30, _VECTORS))
    found = gmres(matrix, rhs, _AIM * jnp.linalg.norm(rhs), _PRODUCTS, restart)
    delta = packing.state(found.value)
    new = {n: u + delta[n] for n, u in state.items()}
    new = {n: u if problem.system.species[n].signed else _lifted(problem, u, state[n]) for n, u in new.items()}
    new = kept(problem, new, *conserved)
    there = problem.evaluate(clock, new)
    short = {n: new[n] - state[n] - dt * there.tendency[n] for n in names}
    turn = {n: 0.5 * dt * (there.tendency[n] - here.tendency[n]) for n in names}
    both = {n: jnp.stack([short[n], turn[n]]) for n in names}
    both = jax.lax.map(lambda v: inverse(v, TIGHT)[0], both)  # in turn: the program holds the solver once for them
    error = _worst(problem, {n: v[0] for n, v in both.items()}, scale)
    timed = [n for n in names if problem.system.species[n].kind != "quasi_steady"]
    if timed:
        seen = {n: jnp.maximum(scale[n], _FAINT * largest[n]) for n in timed}
        error = jnp.maximum(error, _worst(problem, {n: both[n][1] for n in timed}, seen) / _ASTRAY)
    before, after = (_worst(problem, x.tendency, scale) for x in (here, there))
    size = _worst(problem, {n: new[n] - state[n] for n in names}, scale)
    sizes = {n: root_mean_square(problem, new[n]) for n in names}
    return Step(
        state=new,
        sizes=sizes,
        size=size,
        error=error,
        growth=after / jnp.where(before > 0, before, 1.0),
        imbalance=_imbalance(problem, there, new, {n: sizes[n] <= GONE * largest[n] for n in names}),
        solved=found.residual <= _SOLVED * jnp.linalg.norm(rhs),
        finite=jnp.isfinite(size + after + error),
        unbroken=unbroken(problem, here, state, conserved[0]) & unbroken(problem, there, new, conserved[0]),
        iterations=found.cost,
    )


def root_mean_square(problem: SemiDiscrete, values: Any) -> Any:
    if jnp.ndim(values) == 0:
        return jnp.abs(values)
    volumes, unit = problem.volumes(values.dtype), binary_unit(values)
    return unit * jnp.sqrt(jnp.sum(volumes * (values / unit) ** 2) / jnp.sum(volumes))


def _scale(largest: Any, size: Any, guess: Any, problem: SemiDiscrete) -> Any:
    """What a field of root mean square ``size`` is measured by."""
    found = jnp.maximum(jnp.maximum(size, root_mean_square(problem, guess)), GONE * largest)
    return jnp.where(found > 0, found, 1.0)


def _worst(problem: SemiDiscrete, values: State, scale: State) -> Any:
    return jnp.max(jnp.stack([root_mean_square(problem, v / scale[n]) for n, v in values.items()]))


def _lifted(problem: SemiDiscrete, stepped: Any, before: Any) -> Any:
    """``stepped`` with a tenth of what was there in place of undershoots, and the same total where that is positive."""
    lifted = jnp.where(stepped < 0, 0.1 * before, stepped)
    total, more = problem.total(stepped), problem.total(lifted)
    scalable = jnp.any(stepped < 0) & (total > 0) & (more > 0)
    return lifted * jnp.where(scalable, total / jnp.where(more > 0, more, 1.0), 1.0)


def _imbalance(problem: SemiDiscrete, here: Evaluation, state: State, gone: State) -> Any:
    """The largest over the fields of |R| relative to what passes through its cells; nothing of those that are gone."""
    gross = reactions(problem, here, state)[1]
    spread = {}
    if here.laplacian is not None:
        volumes = problem.volumes(jnp.result_type(*state.values()))
        through = here.laplacian.couplings() / jnp.where(volumes > 0, volumes, 1.0)
        spread = {n: through[i] * state[n] for i, n in enumerate(problem.transported)}
    found = []
    for name in problem.dynamic:
        passing = root_mean_square(problem, gross[name] + jnp.abs(spread.get(name, 0.0)))
        passing = passing + root_mean_square(problem, state[name]) / LONG
        left = root_mean_square(problem, here.tendency[name])
        share = jnp.where(passing > 0, left / jnp.where(passing > 0, passing, 1.0), jnp.where(left > 0, jnp.inf, 0.0))
        found.append(jnp.where(gone[name], 0.0, share))
    return jnp.max(jnp.stack(found))
