"""Where one pass over the cells ends and the next begins: XLA on a CPU fuses a chain of stencils into recomputation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from tmepde.layout import platform

#: cells from which a pass of its own costs less than what it saves
LARGE = 32_768


def apart(function: Callable[..., Any], *values: Any) -> Any:
    """``function(*values)``, one array, written to memory before anything reads it.

    On a CPU a barrier does not do that: it is gone when loops are fused. A branch of a conditional is a program of its
    own, and that the other is never taken is hidden from the compiler by the barrier (one flag for all members of a
    batch, so that the conditional stays one).
    """
    if platform() != "cpu":
        return jax.lax.optimization_barrier(function(*values))
    like = jax.eval_shape(function, *values)
    always = jax.lax.optimization_barrier(jnp.asarray(True))
    return jax.lax.cond(always, function, lambda *_: jnp.zeros(like.shape, like.dtype), *values)


def apart_if_large(cells: tuple[int, ...], function: Callable[..., Any], *values: Any) -> Any:
    """``function(*values)``, :func:`apart` on a processor where there are many ``cells``."""
    large = platform() == "cpu" and math.prod(cells) >= LARGE
    return apart(function, *values) if large else function(*values)


def written(tree: Any) -> Any:
    """The fields of ``tree``, and their derivatives in both modes, written to memory by a CPU before they are read."""
    leaves, treedef = jax.tree.flatten(tree)
    fields = [i for i, x in enumerate(leaves) if isinstance(x, jax.Array) and jnp.ndim(x) > 0]
    if platform() != "cpu" or not fields:
        return tree
    always = jax.lax.optimization_barrier(jnp.asarray(True))
    same, none = lambda *x: x, lambda *x: tuple(map(jnp.zeros_like, x))  # noqa: E731
    arrays = jax.lax.cond(always, same, none, *(leaves[i] for i in fields))
    for i, x in zip(fields, arrays, strict=True):
        leaves[i] = x
    return jax.tree.unflatten(treedef, leaves)
