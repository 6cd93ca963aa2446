"""The symmetric operator that every implicit stage inverts, for a stack of S fields at once:

    (A u)_i = c_i u_i + w Σ_f Φ_f (u_i − u_j) + w Σ_o [L_o,i (u_i − u_{i+o}) + L_o,i−o (u_i − u_{i−o})]

with c ≥ 0 (cell volume times rate), face conductances Φ ≥ 0 and the step's weight w > 0: an M-matrix, so that A⁻¹ keeps
what is positive positive. The links L ≥ 0 to cells further off (offsets o, diagonal ones say) carry the off-diagonal
part of a tensor D. The weight is kept apart, so that faces (and what multigrid makes of them) stay what they are from
step to step: where D does not change, the compiler computes them once, outside the loop over steps.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from tmepde.layout import level, parts_of
from tmepde.operators.faces import pad, shift, take
from tmepde.operators.ghosts import ghosted, neighbours


def rows(values: Any, fields: tuple[int, ...]) -> Any:
    """Some entries along the first axis, by slices (a gather is slow on a CPU)."""
    return jnp.stack([values[i] for i in fields])


class EllipticOperator(eqx.Module):
    """``diagonal``: shape ``(S, *cells)``. ``faces``: per axis ``(S, …, n_k + 1, …)``, zero at closed sides; a periodic
    axis carries its wrap conductance at both ends. ``links``: one array ``(S, *cells)`` per entry of ``offsets``; its
    entry i joins cell i with cell i + offset, zero where there is no such cell. ``aspect``: see ``Grid.aspect``.
    ``weight``: a number. ``pairs``: see :meth:`paired`."""

    diagonal: Any
    faces: tuple[Any, ...]
    periodic: tuple[bool, ...] = eqx.field(static=True)
    links: tuple[Any, ...] = ()
    offsets: tuple[tuple[int, ...], ...] = eqx.field(static=True, default=())
    aspect: tuple[int, ...] = eqx.field(static=True, default=())
    weight: Any = 1.0
    pairs: tuple[Any, ...] = ()

    @property
    def ndim(self) -> int:
        return len(self.faces)

    def __call__(self, u: Any) -> Any:
        ghosts = ghosted(u, self.periodic)
        u = neighbours(ghosts, 0, 0, self.ndim)
        spread: Any = 0.0
        for k in range(self.ndim):
            lower, upper = neighbours(ghosts, k, -1, self.ndim), neighbours(ghosts, k, 1, self.ndim)
            first, last = self.sides(k)
            spread = spread + first * (u - lower) + last * (u - upper)
        for link, offset in zip(self.links, self.offsets, strict=True):
            flow = link * (u - shift(u, offset, self.periodic))
            spread = spread + flow - shift(flow, tuple(-o for o in offset), self.periodic)
        return self.diagonal * u + self.weight * spread

    def sides(self, k: int) -> tuple[Any, Any]:
        """Conductances of the lower and upper face along axis ``k`` of each cell."""
        if self.pairs and self.pairs[k] is not None:
            return self.pairs[k]
        return take(self.faces[k], 0, -1, k - self.ndim), take(self.faces[k], 1, None, k - self.ndim)

    def paired(self) -> EllipticOperator:
        """Where the grid lies in parts, with both faces of each cell along the cut axes kept in arrays of their own.

        The n + 1 faces in equal parts do not begin where the cells do, and would be sent about in every product."""
        parts = parts_of(self.diagonal.shape[1:])
        if all(m == 1 for m in parts):
            return self
        pairs = tuple(level(self.sides(k)) if m > 1 else None for k, m in enumerate(parts))
        return dataclasses.replace(self, pairs=pairs)

    def inflow(self, u: Any) -> Any:
        """w Σ_f Φ_f u_j of each cell i: what its neighbours add to A u, with the other sign. Without links."""
        return self.inflow_from(ghosted(u, self.periodic))

    def inflow_from(self, ghosts: Any) -> Any:
        """The same from a :func:`ghosted` u."""
        total: Any = 0.0
        for k in range(self.ndim):
            first, last = self.sides(k)
            total = total + first * neighbours(ghosts, k, -1, self.ndim)
            total = total + last * neighbours(ghosts, k, 1, self.ndim)
        return self.weight * total

    def sums(self) -> Any:
        """Σ_f Φ_f (and links) of each cell, without the weight."""
        total = jnp.zeros_like(self.diagonal)
        for k in range(self.ndim):
            first, last = self.sides(k)
            total = total + first + last
        for link, offset in zip(self.links, self.offsets, strict=True):
            total = total + link + shift(link, tuple(-o for o in offset), self.periodic)
        return total

    def couplings(self) -> Any:
        """w Σ_f Φ_f of each cell."""
        return self.weight * self.sums()

    def alone(self) -> Any:
        """Cells that nothing joins to another, broadcastable to ``(S, *cells)``."""
        return self.sums() == 0

    def folded(self) -> EllipticOperator:
        """Without links: L (Σ_k o_k ∂_k u)² is replaced by its diagonal part Σ_k o_k² L (∂_k u)², half of it on either
        side of the two cells. Spectrally equivalent, so that it serves as a preconditioner."""
        if not self.links:
            return self
        faces = list(self.faces)
        for link, offset in zip(self.links, self.offsets, strict=True):
            both = link + shift(link, tuple(-o for o in offset), self.periodic)
            for k, o in enumerate(offset):
                if o == 0:
                    continue
                axis, half = k - self.ndim, 0.25 * o * o * both
                if self.periodic[k]:
                    wrap = take(half, 0, 1, axis) + take(half, -1, None, axis)
                    inner = take(half, 1, None, axis) + take(half, 0, -1, axis)
                    added = jnp.concatenate([wrap, inner, wrap], axis=axis)
                else:
                    added = pad(take(half, 1, None, axis) + take(half, 0, -1, axis), axis)
                faces[k] = faces[k] + added
        return dataclasses.replace(self, faces=tuple(faces), links=(), offsets=(), pairs=())

    def subset(self, fields: tuple[int, ...]) -> EllipticOperator:
        """The operator of some of the fields."""
        faces, links = (tuple(rows(x, fields) for x in arrays) for arrays in (self.faces, self.links))
        return dataclasses.replace(self, diagonal=rows(self.diagonal, fields), faces=faces, links=links)

    def shifted(self, diagonal: Any, weight: Any) -> EllipticOperator:
        """``diagonal`` + ``weight`` times the diffusion of this operator."""
        return dataclasses.replace(self, diagonal=diagonal, weight=self.weight * weight)
