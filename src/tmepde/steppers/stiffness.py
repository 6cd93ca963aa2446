"""Whether fields exchange, or turn over, so fast that a W-method with loss rates alone in A would let them stand still.

Of f ⇄ b, exchanged at e and spreading at D, the sum moves at the mean diffusivity. With their loss rates alone in A
both slopes are damped by 1 + γΔt e, and the sum moves by 1/(γΔt e) of what it should: smoothly, so that the estimated
error of a step falls as its slope does, and long steps are taken. Free and bound drug after four hours at rtol 1e-3:
0.2 % off at 7.5 round trips an hour, 1 % at 22, 90 % at 750, no step refused. :class:`NewtonKrylov` holds the exchange.

Two fields exchange where each is made of the other, J_ij > 0 and J_ji > 0, and most of what they lose goes there,
J_ij J_ji ≥ J_ii J_jj/2. Round trips are J_ij J_ji/(|J_ii| + |J_jj|), about the slower of the two ways. One field turns
over where most of its loss λ is made again of itself, and both its net slope J_ii and its net rate are ten times less.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from tmepde._types import State
from tmepde.schedule import Clock
from tmepde.steppers.cellwise import pointwise_jacobian
from tmepde.steppers.dependence import mutual, sources
from tmepde.steppers.semidiscrete import SemiDiscrete

#: fields of the largest model that is looked at, and numbers in the largest Krylov basis that is taken unasked (1 GiB)
_MOST, _NUMBERS = 8, 2**28
#: round trips in a run from which on they are fast
_FAST = 25.0
#: net rates of a field that turns over, in parts of its loss
_SLOWER = 0.1


def turns_fast(problem: SemiDiscrete, clock: Clock, state: State, other: State, until: float) -> bool:
    """Whether any moving or local fields do, at ``state`` or at ``other``, in a run of ``until`` hours.

    Larger models are not looked at: a Jacobian of all fields costs as much to compile as a step.
    """
    names = tuple(n for n in problem.dynamic if n not in problem.system.of_kind("compartment"))
    size = 1
    for cells in problem.grid.shape:
        size *= cells
    if not problem.transported or len(names) > _MOST or 41 * len(names) * size > _NUMBERS:
        return False
    return any(float(_pace(problem, names, clock, one)) * until > _FAST for one in (state, other))


def _related(problem: SemiDiscrete, names: tuple[str, ...], clock: Clock, state: State) -> bool:
    """Whether any field is made of itself, or any two of each other (known from the program, not from values)."""

    def gains(*fields: Any) -> tuple[Any, ...]:
        rates = problem.reaction(names, clock, {**state, **dict(zip(names, fields, strict=True))})
        return tuple(rates.gain(n) for n in names)

    fields = tuple(state[n] for n in names)
    return any(i in row for i, row in enumerate(sources(gains, *fields))) or bool(mutual(gains, fields))


@eqx.filter_jit
def _pace(problem: SemiDiscrete, names: tuple[str, ...], clock: Clock, state: State) -> Any:
    """Largest rate (1/h) of round trips between two fields, or of turnover of one, over cells."""
    if not _related(problem, names, clock, state):
        return jnp.zeros(())
    jacobian = jnp.nan_to_num(pointwise_jacobian(problem, names, clock, state), posinf=0.0, neginf=0.0)
    rates = problem.reaction(names, clock, state)
    largest = jnp.zeros((), jacobian.dtype)
    for i, name in enumerate(names):
        loss, amount = rates.rate(name), jnp.abs(state[name])
        net = jnp.abs(rates.gain(name) - loss * state[name]) / jnp.where(amount > 0, amount, 1.0)
        slow = jnp.maximum(jnp.abs(jacobian[i, i]), net) < _SLOWER * loss
        largest = jnp.maximum(largest, jnp.max(jnp.where(slow & jnp.isfinite(loss), loss, 0.0)))
        for j in range(i):
            there, back, first, second = jacobian[i, j], jacobian[j, i], jacobian[i, i], jacobian[j, j]
            feeding = (there > 0) & (back > 0) & (first < 0) & (second < 0)
            mostly = feeding & (there * back >= 0.5 * first * second)
            trips = there * back / jnp.where(mostly, -(first + second), 1.0)
            largest = jnp.maximum(largest, jnp.max(jnp.where(mostly, trips, 0.0)))
    return largest
