"""Shared aliases, and what is done with trees of arrays: cast, parted from what is not an array, stacked, frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from tmepde._each import each

#: a number (0-d array), traced: a new value never recompiles
Scalar = Float[Array, ""] | np.ndarray | float
#: one value per cell, shape ``grid.shape``
Field = Float[Array, "*cells"]
#: one array per axis; axis k has n_k + 1 entries along k and n_j along the others
Faces = tuple[Any, ...]
State = dict[str, Any]

__all__ = [
    "Array",
    "ArrayLike",
    "Faces",
    "Field",
    "Frame",
    "Scalar",
    "State",
    "cast",
    "freeze",
    "is_traced",
    "parted",
    "shapes",
    "stacked",
]


#: bytes of a cast array from which on it is put where a device can take it as it is, and the alignment that needs
_LARGE, _ALIGNED = 2**16, 64


def cast(tree: Any, dtype: Any) -> Any:
    """Cast every floating leaf of a pytree to ``dtype``; integers, booleans and static data stay, and so do arrays that
    have it already.

    Nodes with a ``cast`` of their own are left to it.
    """
    pending: list[tuple[np.ndarray, np.ndarray]] = []

    def leaf(x: Any) -> Any:
        if hasattr(x, "cast"):
            return x.cast(dtype)
        if hasattr(x, "dtype") and np.issubdtype(x.dtype, np.floating):
            if x.dtype == dtype:
                return x
            return _aligned(x, np.dtype(dtype), pending) if isinstance(x, np.ndarray) else x.astype(dtype)
        return x

    made = jax.tree.map(leaf, tree, is_leaf=lambda x: hasattr(x, "cast"))
    each(lambda pair: np.copyto(pair[0], pair[1], casting="same_kind"), pending, sum(x.nbytes for _, x in pending))
    return made


def cast_each(trees: Sequence[Any], dtype: Any) -> list[Any]:
    """:func:`cast` of many pytrees that hold most of their arrays in common: those are cast once."""
    frame: Any
    first = cast(trees[0], dtype)
    known, frame = jax.tree.flatten(trees[0])
    made, target = jax.tree.flatten(first)
    places = _places(trees[0], dtype)

    def other(tree: Any) -> Any:
        leaves, treedef = jax.tree.flatten(tree)
        if frame != treedef:
            return cast(tree, dtype)
        new = list(made)
        for i in (i for i, leaf in enumerate(leaves) if leaf is not known[i]):
            if (place := places[i]) is None:
                return cast(tree, dtype)
            new[place] = cast(leaves[i], dtype)
        return jax.tree.unflatten(target, new)

    return [first, *map(other, trees[1:])]


def _places(tree: Any, dtype: Any) -> list[int | None]:
    """Where each leaf of a pytree is among those of the cast one; ``None`` for those of nodes with a cast of their
    own."""
    found: list[int | None] = []
    count = 0
    for node in jax.tree.leaves(tree, is_leaf=lambda x: hasattr(x, "cast")):
        own = hasattr(node, "cast")
        found += [None] * len(jax.tree.leaves(node)) if own else [count]
        count += len(jax.tree.leaves(node.cast(dtype))) if own else 1
    return found


def _aligned(x: np.ndarray, dtype: np.dtype[Any], pending: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """``x`` in another precision; a large one begins where a processor of XLA can use it without another copy, and is
    yet to be filled, as ``pending`` then says."""
    size = x.size * dtype.itemsize
    if size < _LARGE:
        return x.astype(dtype)
    memory = np.empty(size + _ALIGNED, np.uint8)
    begin = -memory.ctypes.data % _ALIGNED
    out = memory[begin : begin + size].view(dtype).reshape(x.shape)
    pending.append((out, x))
    return out


class Whole(eqx.Module):
    """A module of many arrays, with plain methods: equinox makes a module of each method that is looked up, for which
    it goes through all arrays, and that was a sixth of the time to trace a step of the tumour model."""

    __getattribute__ = object.__getattribute__


class Frame:
    """A pytree without its arrays, hashable: what a program is compiled for. See :func:`parted`."""

    def __init__(self, treedef: Any, others: tuple[Any, ...]):
        self.treedef, self.others = treedef, others
        self._hash = hash((treedef, others))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Frame)
            and (self._hash, self.treedef, self.others) == (other._hash, other.treedef, other.others)
        )

    def filled(self, arrays: Sequence[Any]) -> Any:
        """The pytree, with ``arrays`` in their places."""
        given = iter(arrays)
        return jax.tree.unflatten(self.treedef, [next(given) if x is _PLACE else x for x in self.others])


class _Place:
    """Where an array was."""


_PLACE = _Place()


def parted(tree: Any) -> tuple[list[Any], Frame]:
    """The arrays of a pytree, and the rest: one look at a tree whose leaves are many."""
    leaves, treedef = jax.tree.flatten(tree)
    known = [isinstance(x, jax.Array | np.ndarray) for x in leaves]
    others = tuple(_PLACE if array else x for x, array in zip(leaves, known, strict=True))
    return [x for x, array in zip(leaves, known, strict=True) if array], Frame(treedef, others)


def stacked(
    members: Sequence[Sequence[Any]], others: Sequence[Sequence[Any]] = ()
) -> tuple[list[Any], tuple[Any, ...]]:
    """Arrays of many members by position: one where all have the same, else all along a new first axis; and that axis
    of each, 0 or ``None``. ``others``: what differs among these is stacked as well."""
    columns = list(zip(*members, strict=True))
    seen = zip(columns, zip(*others, strict=True) if others else [()] * len(columns), strict=True)
    axes = tuple(
        None if all(x is own[0] or np.array_equal(x, own[0]) for x in (*own, *more)) else 0 for own, more in seen
    )
    return [c[0] if a is None else np.stack(c) for a, c in zip(axes, columns, strict=True)], axes


def shapes(arrays: Sequence[Any]) -> tuple[Any, ...]:
    """Shape and dtype of each."""
    return tuple([(x.shape, x.dtype) for x in arrays])


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


def binary_unit(values: Any, axes: tuple[int, ...] | None = None) -> Any:
    """A power of two near the largest |value| along ``axes`` (kept; ``None``: all), 1 where all are 0 or one is not
    finite: squares of values in this unit neither overflow nor vanish, and dividing by it changes no digit."""
    largest = jnp.max(jnp.abs(jax.lax.stop_gradient(values)), axis=axes, keepdims=axes is not None)
    fine = (largest > 0) & jnp.isfinite(largest)
    _, exponent = jnp.frexp(jnp.where(fine, largest, 1.0))
    most = -int(jnp.finfo(largest.dtype).minexp) - 2
    return jnp.ldexp(jnp.ones_like(largest), jnp.clip(exponent, -most, most))
