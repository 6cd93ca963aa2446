"""Which arguments the results of a function use, read from its program, not from values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Literal


def sources(function: Callable[..., Any], *arguments: Any) -> list[frozenset[int]]:
    """Which arrays of ``arguments``, by their number among all of them, each result of ``function(*arguments)`` uses;
    an operation of several results counts as one."""
    program = jax.make_jaxpr(function)(*arguments).jaxpr
    used: dict[Any, frozenset[int]] = {x: frozenset({i}) for i, x in enumerate(program.invars)}
    for equation in program.eqns:
        found = [used.get(x, frozenset()) for x in equation.invars if not isinstance(x, Literal)]
        for out in equation.outvars:
            used[out] = frozenset().union(*found)
    return [frozenset() if isinstance(x, Literal) else used.get(x, frozenset()) for x in program.outvars]


def depends(function: Callable[[Any], Any], value: Any) -> bool:
    """Whether the program of ``function`` uses its argument for what it returns."""
    return any(sources(function, value))


def mutual(function: Callable[..., tuple[Any, ...]], fields: tuple[Any, ...]) -> tuple[tuple[int, ...], ...]:
    """The groups of ``fields`` that act on each other, directly or around others, through ``function(*fields)``, which
    returns one result for each."""
    return tuple(g for g in connected([set(row) for row in sources(function, *fields)]) if len(g) > 1)


def connected(rows: list[set[int]]) -> tuple[tuple[int, ...], ...]:
    """Groups of numbers that reach each other, where i goes to those in ``rows[i]``; each by itself that reaches no
    other and comes back from none."""
    reach = [set(row) for row in rows]
    for middle in range(len(rows)):  # Warshall 1962, J. ACM 9:11
        for row in reach:
            if middle in row:
                row |= reach[middle]
    count = range(len(rows))
    return tuple(sorted({tuple(j for j in count if j == i or (j in reach[i] and i in reach[j])) for i in count}))
