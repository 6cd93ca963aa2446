"""The symmetric operator that every implicit stage inverts, for a stack of S fields at once:

    (A u)_i = c_i u_i + Σ_f Φ_f (u_i − u_j)

with c ≥ 0 (cell volume times rate) and face conductances Φ ≥ 0: an M-matrix, so that A⁻¹ keeps what is positive
positive.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from tmepde.operators.faces import pad, take


class EllipticOperator(eqx.Module):
    """``diagonal``: shape ``(S, *cells)``. ``faces``: per axis ``(S, …, n_k + 1, …)``, zero at closed sides; a periodic
    axis carries its wrap conductance at both ends."""

    diagonal: Any
    faces: tuple[Any, ...]
    periodic: tuple[bool, ...] = eqx.field(static=True)

    @property
    def ndim(self) -> int:
        return len(self.faces)

    def __call__(self, u: Any) -> Any:
        out = self.diagonal * u
        for k, phi in enumerate(self.faces):
            axis = k - self.ndim
            if self.periodic[k]:
                padded = jnp.concatenate([take(u, -1, None, axis), u, take(u, 0, 1, axis)], axis=axis)
            else:
                padded = pad(u, axis)
            lower, upper = take(padded, 0, -2, axis), take(padded, 2, None, axis)
            out = out + take(phi, 0, -1, axis) * (u - lower) + take(phi, 1, None, axis) * (u - upper)
        return out

    def couplings(self) -> Any:
        """Σ_f Φ_f of each cell."""
        total = jnp.zeros_like(self.diagonal)
        for k, phi in enumerate(self.faces):
            axis = k - self.ndim
            total = total + take(phi, 0, -1, axis) + take(phi, 1, None, axis)
        return total

    def with_diagonal(self, diagonal: Any) -> EllipticOperator:
        """The same conductances with another diagonal."""
        return EllipticOperator(diagonal, self.faces, self.periodic)
