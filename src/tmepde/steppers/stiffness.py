"""Whether fields exchange so fast that a W-method which leaves their coupling out of A would let them stand still.

Of f ⇄ b, exchanged at e and spreading at D, the sum moves at the mean diffusivity. With their loss rates alone in A
both slopes are damped by 1 + γΔt e, and the sum moves by 1/(γΔt e) of what it should: smoothly, so that the estimated
error of a step falls as its slope does, and long steps are taken. Free and bound drug after four hours at rtol 1e-3:
0.2 % off at 7.5 round trips an hour, 1 % at 22, 90 % at 750, no step refused. :class:`NewtonKrylov` holds the exchange.

Two fields exchange where each is made of the other, J_ij > 0 and J_ji > 0, and most of what they lose goes there,
J_ij J_ji ≥ J_ii J_jj/2. Round trips are J_ij J_ji/(|J_ii| + |J_jj|), about the slower of the two ways.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from tmepde._types import State
from tmepde.schedule import Clock
from tmepde.steppers.cellwise import pointwise_jacobian
from tmepde.steppers.exchange import mutual
from tmepde.steppers.semidiscrete import SemiDiscrete

#: fields of the largest model that is looked at, and numbers in the largest Krylov basis that is taken unasked (1 GiB)
_MOST, _NUMBERS = 8, 2**28
#: round trips in a run from which on they are fast
_FAST = 25.0


def exchanges_fast(problem: SemiDiscrete, clock: Clock, states: tuple[State, ...], until: float) -> bool:
    """Whether any two moving or local fields do, at one of ``states``, in a run of ``until`` hours.

    Larger models are not looked at: a Jacobian of all fields costs as much to compile as a step.
    """
    names = tuple(n for n in problem.dynamic if n not in problem.system.of_kind("compartment"))
    size = 1
    for cells in problem.grid.shape:
        size *= cells
    if not problem.transported or not 2 <= len(names) <= _MOST or 41 * len(names) * size > _NUMBERS:
        return False

    def reactions(*fields: Any) -> tuple[Any, ...]:
        given = dict(zip(names, fields, strict=True))
        rates = problem.reaction(names, clock, {**states[0], **given})
        return tuple(rates.gain(n) - rates.rate(n) * given[n] for n in names)

    if not mutual(reactions, tuple(states[0][n] for n in names)):
        return False
    return any(float(_pace(problem, names, clock, state)) * until > _FAST for state in states)


@eqx.filter_jit
def _pace(problem: SemiDiscrete, names: tuple[str, ...], clock: Clock, state: State) -> Any:
    """Largest rate (1/h) of round trips between two fields, over cells and pairs."""
    jacobian = jnp.nan_to_num(pointwise_jacobian(problem, names, clock, state), posinf=0.0, neginf=0.0)
    largest = jnp.zeros((), jacobian.dtype)
    for i in range(len(names)):
        for j in range(i):
            there, back, first, second = jacobian[i, j], jacobian[j, i], jacobian[i, i], jacobian[j, j]
            feeding = (there > 0) & (back > 0) & (first < 0) & (second < 0)
            mostly = feeding & (there * back >= 0.5 * first * second)
            trips = there * back / jnp.where(mostly, -(first + second), 1.0)
            largest = jnp.maximum(largest, jnp.max(jnp.where(mostly, trips, 0.0)))
    return largest
