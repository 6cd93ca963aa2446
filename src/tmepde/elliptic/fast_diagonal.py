"""Fast diagonalisation (Lynch, Rice & Thomas 1964, Numer. Math. 6:185): functions of a separable operator.

With the 1-D eigenbases Q_k (QᵀWQ = 1, QᵀKQ = μ) the operator L = Σ_k D_k ∇_k² − c is diagonal,

    f(L) = Q f(−Σ_k D_k μ_k − c) QᵀW ,

two matrix products per axis and direction, whatever the step, the stretching and the kind of sides. Exact where c is
uniform; elsewhere a preconditioner with the mean of c.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde.elliptic.separable import SeparableOperator
from tmepde.layout import current

#: cells above which the fields are transformed one after the other, each within the cache
LARGE = 32_768


class FastDiagonal(eqx.Module):
    """Eigenbases and eigenvalues ``(S, *modes)`` of a :class:`SeparableOperator`; calling it applies its inverse.

    ``mean`` ``(S, 1, …)``: what stands for the diagonal, per volume.
    """

    bases: tuple[Any, ...]
    decay: Any
    mean: Any

    def __init__(self, op: SeparableOperator):
        self.bases = tuple(jax.lax.stop_gradient(line.basis) for line in op.lines)
        volumes = jnp.broadcast_to(op.volumes(), (1, *op.diagonal.shape[1:]))
        axes = tuple(range(1, op.ndim + 1))
        total = jnp.sum(op.diagonal, axis=axes, keepdims=True)
        decay: Any = 0.0
        for k, line in enumerate(op.lines):
            d = op.along(op.diffusivity[:, k : k + 1], k)
            decay = decay + d * op.along(line.eigenvalues(), k)
            transverse = jnp.sum(volumes) / jnp.sum(line.widths)
            corner = op.along(jnp.sum(line.corners, axis=1, keepdims=True), k)
            total = total - d * corner * transverse
        self.decay = jnp.broadcast_to(decay, op.diagonal.shape)
        self.mean = total / jnp.sum(volumes)

    def forward(self, integrals: Any) -> Any:
        """Modes of a field given as cell integrals (V·u), ``(S, *cells)``."""
        return self._each(integrals, transpose=False)

    def backward(self, modes: Any) -> Any:
        """The field of ``modes``."""
        return self._each(modes, transpose=True)

    def _each(self, values: Any, transpose: bool) -> Any:
        shared = all(q.shape[0] == 1 for q in self.bases)

        def one(args: tuple[Any, ...]) -> Any:
            field, *bases = args
            return _transform(field, bases, transpose)

        fields = values.shape[0]
        if shared:
            fixed = [q[0] for q in self.bases]
            if fields == 1 or values[0].size < LARGE:
                return jax.vmap(lambda v: _transform(v, fixed, transpose))(values)
            return jax.lax.map(lambda v: _transform(v, fixed, transpose), values)
        bases = [jnp.broadcast_to(q, (fields, *q.shape[1:])) for q in self.bases]
        if values[0].size < LARGE:
            return jax.vmap(lambda *a: one(a))(values, *bases)
        return jax.lax.map(one, (values, *bases))

    def __call__(self, residual: Any) -> Any:
        positive = self.mean + self.decay
        modes = self.forward(residual) / jnp.where(positive > 0, positive, 1.0)
        return self.backward(jnp.where(positive > 0, modes, 0.0))


def _transform(field: Any, bases: list[Any], transpose: bool) -> Any:
    """One product per axis: always the first axis, whose result becomes the last, so that none is ever transposed."""
    layout = current()
    if layout is None or not layout.cuts(field.shape):
        for q in bases:
            field = _product(field, q, transpose)
        return field
    cuts = list(zip(layout.mesh.axis_names, layout.parts, strict=True))

    def part(field: Any, *bases: Any) -> Any:
        for q, (name, count) in zip(bases, cuts, strict=True):
            field = _product(field, q, transpose) if count == 1 else _across(field, q, transpose, name, count)
        return field

    return layout.locally(part, field, whole=bases)


def _product(field: Any, q: Any, transpose: bool) -> Any:
    contracted = (((0,), (1 if transpose else 0,)), ((), ()))
    return jax.lax.dot_general(field, q, contracted, precision=jax.lax.Precision.HIGHEST)


def _across(field: Any, q: Any, transpose: bool, name: str, count: int) -> Any:
    """The product along a first axis that lies in ``count`` parts: another axis is cut in its place meanwhile (an
    exchange of all with all there and back), or each device takes the whole line where none can be."""
    able = [j for j in range(1, field.ndim) if field.shape[j] % count == 0]
    if not able:
        lines = _product(jax.lax.all_gather(field, name, axis=0, tiled=True), q, transpose)
        size = field.shape[0]
        return jax.lax.dynamic_slice_in_dim(lines, jax.lax.axis_index(name) * size, size, axis=-1)
    other = max(able, key=lambda j: field.shape[j])
    lines = jax.lax.all_to_all(field, name, split_axis=other, concat_axis=0, tiled=True)
    done = _product(lines, q, transpose)
    return jax.lax.all_to_all(done, name, split_axis=done.ndim - 1, concat_axis=other - 1, tiled=True)
