"""The symmetric operator that every implicit stage inverts, for a stack of S fields at once:

    (A u)_i = c_i u_i + Σ_f Φ_f (u_i − u_j) + Σ_o [L_o,i (u_i − u_{i+o}) + L_o,i−o (u_i − u_{i−o})]

with c ≥ 0 (cell volume times rate) and face conductances Φ ≥ 0: an M-matrix, so that A⁻¹ keeps what is positive
positive. The links L ≥ 0 to cells further off (offsets o, diagonal ones say) carry the off-diagonal part of a tensor D.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from tmepde.operators.faces import pad, shift, take
from tmepde.operators.ghosts import ghosted, neighbours


class EllipticOperator(eqx.Module):
    """``diagonal``: shape ``(S, *cells)``. ``faces``: per axis ``(S, …, n_k + 1, …)``, zero at closed sides; a periodic
    axis carries its wrap conductance at both ends. ``links``: one array ``(S, *cells)`` per entry of ``offsets``; its
    entry i joins cell i with cell i + offset, zero where there is no such cell. ``aspect``: see ``Grid.aspect``."""

    diagonal: Any
    faces: tuple[Any, ...]
    periodic: tuple[bool, ...] = eqx.field(static=True)
    links: tuple[Any, ...] = ()
    offsets: tuple[tuple[int, ...], ...] = eqx.field(static=True, default=())
    aspect: tuple[int, ...] = eqx.field(static=True, default=())

    @property
    def ndim(self) -> int:
        return len(self.faces)

    def __call__(self, u: Any) -> Any:
        ghosts = ghosted(u, self.periodic)
        u = neighbours(ghosts, 0, 0, self.ndim)
        out = self.diagonal * u
        for k, phi in enumerate(self.faces):
            axis = k - self.ndim
            lower, upper = neighbours(ghosts, k, -1, self.ndim), neighbours(ghosts, k, 1, self.ndim)
            out = out + take(phi, 0, -1, axis) * (u - lower) + take(phi, 1, None, axis) * (u - upper)
        for link, offset in zip(self.links, self.offsets, strict=True):
            flow = link * (u - shift(u, offset, self.periodic))
            out = out + flow - shift(flow, tuple(-o for o in offset), self.periodic)
        return out

    def couplings(self) -> Any:
        """Σ_f Φ_f of each cell."""
        total = jnp.zeros_like(self.diagonal)
        for k, phi in enumerate(self.faces):
            axis = k - self.ndim
            total = total + take(phi, 0, -1, axis) + take(phi, 1, None, axis)
        for link, offset in zip(self.links, self.offsets, strict=True):
            total = total + link + shift(link, tuple(-o for o in offset), self.periodic)
        return total

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
        return dataclasses.replace(self, faces=tuple(faces), links=(), offsets=())

    def shifted(self, diagonal: Any, weight: Any) -> EllipticOperator:
        """``diagonal`` + ``weight`` times the diffusion of this operator."""
        faces, links = tuple(weight * f for f in self.faces), tuple(weight * a for a in self.links)
        return dataclasses.replace(self, diagonal=diagonal, faces=faces, links=links)
