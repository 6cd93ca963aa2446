"""Small fields worked on as one array.

A field by itself is an operation on a processor for each of its terms: some µs, and some 40 ms of compilation. Large
fields are worked on one by one, where they are computed, without being written to be joined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from tmepde._types import State

#: cells up to which fields are joined
SMALL = 2**14


def groups(values: Mapping[Any, Any]) -> list[list[Any]]:
    """Names whose values are worked on as one array: small fields, and compartments; each large field is by itself."""
    alone = [n for n, u in values.items() if jnp.ndim(u) == 0]
    fields = [n for n in values if n not in alone]
    small = bool(fields) and jnp.size(values[fields[0]]) <= SMALL
    return [names for names in ([fields] if small else [[n] for n in fields]) + [alone] if names]


def joined(values: Mapping[Any, Any], names: list[Any], like: Any = None) -> Any:
    """The values of ``names`` along a new first axis; ``like``: a block of the same, 0 for those that have none."""
    return jnp.stack([values[n] if like is None or n in values else jnp.zeros_like(like[0]) for n in names])


def together(function: Callable[..., Any], *states: State) -> State:
    """``function`` (elementwise) of the values of each name of the first of ``states``."""
    out: State = {}
    for names in groups(states[0]):
        if len(names) == 1:
            out[names[0]] = function(*(state[names[0]] for state in states))
        else:
            found = function(*(joined(state, names) for state in states))
            out |= {n: found[i] for i, n in enumerate(names)}
    return {n: out[n] for n in states[0]}
