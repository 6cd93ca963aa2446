"""What quasi-steady fields that exchange fast have in common, corrected for all of them at once.

Taken field by field, A⁻¹ of each by itself, the balance of a ⇄ b is approached by e/(e + 1) an iteration where they
exchange e times faster than they are lost: what one loses the other has gained, and their sum hardly moves. So the sum
of each group of fields that act on each other gets an equation of its own. With R the Jacobian of the reactions in a
cell (sides included), the composition that relaxes slowest and what weighs the residuals are

    w = R⁻¹ s ,   l = R⁻ᵀ s⁻¹ ,   l·w = 1 ,      s: a typical size of each field

and for a residual r the correction is w φ with one scalar elliptic solve,

    (l·R w) φ − ∇·(Σ_i l_i D_i w_i ∇φ) = l·r

(D_i w_i at faces as the mean of both cells: exact for a composition that is the same everywhere). What is left are
differences, which A⁻¹ damps when it is taken by :data:`DAMPED`: their eigenvalues lie near 2, all others near 1.
Measured on two fields with diffusivities from equal to 1 : 1000 and e from 1 to 1e5: an iteration leaves a third of the
error, whatever e. Fields that are lost together (a + b → 0) have no such sum: the plain iteration goes on.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import freeze
from tmepde.elliptic import LinearControl, SeparableOperator, prepare
from tmepde.elliptic.operator import EllipticOperator
from tmepde.elliptic.solve import Operator
from tmepde.operators.faces import take
from tmepde.steppers.cellwise import cellwise_inverse, cellwise_product

#: share of the correction of each field by itself, behind the common one
DAMPED = 2.0 / 3.0
#: pace of the plain iteration beyond which the common correction is taken
SLOW = 0.75
#: added to R, in parts of the diagonal of the whole operator, so that exchange without loss has an inverse
_SHIFT = 1e-5
_COMMON = LinearControl(relative=0.02, limit=60)


class Common:
    """r ↦ w φ for residuals r of shape ``(S, *cells)``, volumes included; ``transposed`` takes l for w.

    Args:
        op: the operator A of the fields, each by itself.
        jacobian: R with the other sign, ∂(s − λq)_i/∂q_j, ``(S, S, *cells)``.
        volumes: of the cells, zero outside the mask.
        q: the fields, for their sizes.
        groups: fields that act on each other; each group has a φ of its own, fields in none have no correction.
    """

    def __init__(self, op: Operator, jacobian: Any, volumes: Any, q: Any, groups: tuple[tuple[int, ...], ...]):
        full = op.expanded() if isinstance(op, SeparableOperator) else op
        member = np.zeros((len(groups), q.shape[0]))
        for row, group in zip(member, groups, strict=True):
            row[list(group)] = 1.0
        self.member = jnp.asarray(member, q.dtype)
        live, flat = volumes > 0, (1,) * (q.ndim - 1)
        size = jnp.mean(jnp.abs(q), axis=tuple(range(1, q.ndim)), keepdims=True)
        size = jnp.where(size > 0, size, 1.0)
        related = (self.member.T @ self.member).reshape(q.shape[0], q.shape[0], *flat)
        scaled = -related * jacobian * size[None] / size[:, None]
        own = jnp.where(live, (full.diagonal + full.couplings()) / jnp.where(live, volumes, 1.0), 1.0)
        unit = jnp.eye(q.shape[0], dtype=q.dtype).reshape(q.shape[0], q.shape[0], *flat)
        single = (1.0 - jnp.sum(self.member, axis=0)).reshape(-1, *flat)
        inverse = cellwise_inverse(unit - scaled - (_SHIFT * own + single) * unit, 1.0)
        w, left = jnp.sum(inverse, axis=1), jnp.sum(inverse, axis=0)
        norm = self._each(self._sums(left * w))
        w = w / jnp.where(norm == 0, 1.0, norm)
        helps = self._each(self._exchanging(scaled)).reshape(-1, *flat)
        self.gains, self.weights = helps * size * w, helps * left / size
        rate = jnp.maximum(self._sums(left * cellwise_product(scaled, w)), 0.0)
        self.solve = prepare(freeze(self._operator(full, left * w, volumes * rate)))

    def __call__(self, residual: Any, transposed: bool = False) -> tuple[Any, Any]:
        """The correction, and the iterations of its solve."""
        out, into = (self.weights, self.gains) if transposed else (self.gains, self.weights)
        found = self.solve(self._sums(into * residual), control=_COMMON)
        return out * self._each(found.value), found.iterations

    def _exchanging(self, scaled: Any) -> Any:
        """Per group 1 where its fields make more of each other than they take, else 0."""
        link = jnp.mean(scaled, axis=tuple(range(2, scaled.ndim)))
        link = link - jnp.diag(jnp.diag(link))
        return jnp.where(jnp.einsum("gi,ij,gj->g", self.member, link, self.member) < 0, 1.0, 0.0).astype(link.dtype)

    def _sums(self, values: Any) -> Any:
        """Sums of fields over each group."""
        return jnp.einsum("gs,s...->g...", self.member, values, precision=jax.lax.Precision.HIGHEST)

    def _each(self, values: Any) -> Any:
        """The value of its group for each field, 0 for those in none."""
        return jnp.einsum("gs,g...->s...", self.member, values, precision=jax.lax.Precision.HIGHEST)

    def _operator(self, op: EllipticOperator, share: Any, diagonal: Any) -> EllipticOperator:
        """Σ_i (l w)_i Φ_i over each group, with the mean of ``share`` ``(S, *cells)`` at a face."""
        faces = []
        for k, conductance in enumerate(op.folded().faces):
            axis = k - op.ndim
            inner = 0.5 * (take(share, 1, None, axis) + take(share, 0, -1, axis))
            wrap = 0.5 * (take(share, 0, 1, axis) + take(share, -1, None, axis))
            ends = wrap if op.periodic[k] else jnp.zeros_like(wrap)
            mean = jnp.concatenate([ends, inner, ends], axis=axis)
            faces.append(op.weight * self._sums(jnp.maximum(mean, 0.0) * conductance))
        return EllipticOperator(diagonal, tuple(faces), op.periodic, aspect=op.aspect)
