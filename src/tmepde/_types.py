"""Shared aliases and the one converter through which every number enters a module."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, ArrayLike, Float

#: a number (0-d array), traced: a new value never recompiles
Scalar = Float[Array, ""] | np.ndarray | float
#: one value per cell, shape ``grid.shape``
Field = Float[Array, "*cells"]
#: one array per axis; axis k has n_k + 1 entries along k and n_j along the others
Faces = tuple[Any, ...]
State = dict[str, Any]

__all__ = ["Array", "ArrayLike", "Faces", "Field", "Scalar", "State", "as_number", "cast", "freeze", "is_traced"]


def as_number(value: Any) -> Any:
    """Turn a Python or numpy number (or nested sequence) into a float64 numpy array; leave JAX arrays alone.

    Python floats as module leaves would retrace for every new value; arrays of a fixed dtype do not.
    """
    if value is None or isinstance(value, jax.Array | jax.ShapeDtypeStruct):
        return value
    if isinstance(value, bool):
        raise TypeError("Argument must be a number, but a bool was given.")
    if not isinstance(value, int | float | np.ndarray | np.generic | list | tuple):
        return value  # placeholders that tree transformations put into modules
    array = np.array(value, dtype=np.float64)
    array.setflags(write=False)
    return array


def cast(tree: Any, dtype: Any) -> Any:
    """Cast every floating leaf of a pytree to ``dtype``; integers, booleans and static data stay.

    Nodes with a ``cast`` of their own are left to it.
    """

    def leaf(x: Any) -> Any:
        if hasattr(x, "cast"):
            return x.cast(dtype)
        if hasattr(x, "dtype") and np.issubdtype(x.dtype, np.floating):
            return x.astype(dtype)
        return x

    return jax.tree.map(leaf, tree, is_leaf=lambda x: hasattr(x, "cast"))


def is_traced(tree: Any) -> bool:
    """True when any leaf is a tracer, that is, when we are inside ``jit``, ``grad`` or ``vmap``."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def freeze(tree: Any) -> Any:
    """``stop_gradient`` on every array of a pytree that may also hold functions."""
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if isinstance(x, jax.Array) else x, tree)


def materialised(tree: Any) -> Any:
    """The same arrays, written to memory before anything reads them: XLA else computes them anew in each reader."""
    arrays = [x for x in jax.tree.leaves(tree) if isinstance(x, jax.Array)]
    written = iter(jax.lax.optimization_barrier(arrays) if arrays else ())
    return jax.tree.map(lambda x: next(written) if isinstance(x, jax.Array) else x, tree)
