"""Neighbours of every cell, read from one array with a layer of ghost cells that is written first.

On a CPU a stencil over it has no edges to test for and runs at memory bandwidth. Padding that XLA fuses into it instead
made it three times slower (64³, three face arrays: 0.47 against 0.16 ms), hence the barrier. A graphics
processor tests for edges while it waits for memory: there nothing is written, and every neighbour is the field moved
by one cell along one axis.

Where the grid lies in parts on several devices every part has ghost cells of its own, and each side of a part is
exchanged once: what XLA makes of one array two cells longer than the grid moves many layers instead, because its equal
parts do not begin where those of the grid do.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde.layout import current, platform
from tmepde.operators.faces import pad, take


class Parts(eqx.Module):
    """Parts with ghost cells of their own, one after the other in one array."""

    values: Any


class Bare(eqx.Module):
    """A field that no ghost cells are written for."""

    values: Any
    periodic: tuple[bool, ...] = eqx.field(static=True)

    def moved(self, k: int, by: int) -> Any:
        """The cell ``by`` further along axis ``k``: across a periodic side, else 0."""
        axis = k - len(self.periodic)
        if by == 0:
            return self.values
        if self.periodic[k]:
            return jnp.roll(self.values, -by, axis)
        widths = [(0, 0, 0)] * self.values.ndim
        widths[axis] = (-by, by, 0)
        return jax.lax.pad(self.values, jnp.zeros((), self.values.dtype), widths)


def ghosted(u: Any, periodic: tuple[bool, ...]) -> Any:
    """``u`` with one more cell at every end of its last axes: the neighbour across a periodic side, else 0."""
    layout = current()
    if layout is None or not layout.cuts(u.shape[-len(periodic) :]):
        if platform() != "cpu":
            return Bare(u, periodic)
        for k, wraps in enumerate(periodic):
            u = _closed(u, k - len(periodic), wraps)
        return jax.lax.optimization_barrier(u)
    parts, names = layout.parts, layout.mesh.axis_names

    def part(u: Any) -> Any:
        for k, wraps in enumerate(periodic):
            axis = k - len(periodic)
            u = _closed(u, axis, wraps) if parts[k] == 1 else _exchanged(u, axis, names[k], parts[k], wraps)
        return jax.lax.optimization_barrier(u)

    return Parts(layout.locally(part, u))


def _closed(u: Any, axis: int, wraps: bool) -> Any:
    if not wraps:
        return pad(u, axis)
    return jnp.concatenate([take(u, -1, None, axis), u, take(u, 0, 1, axis)], axis=axis)


def _exchanged(u: Any, axis: int, name: str, count: int, wraps: bool) -> Any:
    """With the outermost layers of the parts before and after; what nobody sends is 0."""
    up = [(i, (i + 1) % count) for i in range(count if wraps else count - 1)]
    below = jax.lax.ppermute(take(u, -1, None, axis), name, up)
    above = jax.lax.ppermute(take(u, 0, 1, axis), name, [(j, i) for i, j in up])
    return jnp.concatenate([below, u, above], axis=axis)


def neighbours(ghosts: Any, k: int, by: int, ndim: int) -> Any:
    """The cell ``by`` (−1, 0, 1) further along axis ``k`` of the last ``ndim``, for all cells of a ghosted array."""

    if isinstance(ghosts, Bare):
        return ghosts.moved(k, by)

    def inner(values: Any) -> Any:
        for j in range(ndim):
            start = 1 + (by if j == k else 0)
            values = take(values, start, start + values.shape[j - ndim] - 2, j - ndim)
        return values

    layout = current()
    return inner(ghosts) if layout is None or not isinstance(ghosts, Parts) else layout.locally(inner, ghosts.values)
