"""What quasi-steady fields that exchange fast have in common, corrected for all of them at once.

Taken field by field, A⁻¹ of each by itself, the balance of a ⇄ b is approached by e/(e + 1) an iteration where they
exchange e times faster than they are lost: what one loses the other has gained, and their sum hardly moves. So that sum
gets an equation of its own. With R the Jacobian of the reactions in a cell (sides included), its slowest composition
and what weighs the residuals are

    w = R⁻¹ s ,   l = R⁻ᵀ s⁻¹ ,   l·w = 1 ,      s: a typical size of each field

and for a residual r the correction is w φ with one scalar elliptic solve,

    (l·R w) φ − ∇·(Σ_i l_i D_i w_i ∇φ) = l·r

(D_i w_i at faces as the mean of both cells: exact for a composition that is the same everywhere). What is left are
differences, which A⁻¹ damps when it is taken by :data:`DAMPED`: their eigenvalues lie near 2, all others near 1.
Measured on two fields with diffusivities from equal to 1 : 1000 and e from 1 to 1e5: an iteration leaves a third of the
error, whatever e.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

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


def mutual(function: Callable[..., tuple[Any, ...]], fields: tuple[Any, ...]) -> bool:
    """Whether any two of ``fields`` act on each other, directly or around others, through ``function(*fields)``, which
    returns one result for each (an operation with several results counts as a whole)."""
    program = jax.make_jaxpr(function)(*fields).jaxpr
    sources: dict[Any, frozenset[int]] = {x: frozenset({i}) for i, x in enumerate(program.invars)}
    for equation in program.eqns:
        found = [sources.get(x, frozenset()) for x in equation.invars if not isinstance(x, Literal)]
        for out in equation.outvars:
            sources[out] = frozenset().union(*found)
    rows = [frozenset() if isinstance(x, Literal) else sources.get(x, frozenset()) for x in program.outvars]
    reach = [set(row) for row in rows]
    for _ in rows:
        reach = [row.union(*(reach[j] for j in row)) for row in reach]
    return any(i in reach[j] and j in reach[i] for i in range(len(rows)) for j in range(i))


class Common:
    """r ↦ w φ for residuals r of shape ``(S, *cells)``, volumes included; ``transposed`` takes l for w.

    Args:
        op: the operator A of the fields, each by itself.
        jacobian: R with the other sign, ∂(s − λq)_i/∂q_j, ``(S, S, *cells)``.
        volumes: of the cells, zero outside the mask.
        q: the fields, for their sizes.
    """

    def __init__(self, op: Operator, jacobian: Any, volumes: Any, q: Any):
        full = op.expanded() if isinstance(op, SeparableOperator) else op
        axes = tuple(range(1, q.ndim))
        live = volumes > 0
        size = jnp.mean(jnp.abs(q), axis=axes, keepdims=True)
        size = jnp.where(size > 0, size, 1.0)
        scaled = -jacobian * size[None] / size[:, None]
        own = jnp.where(live, (full.diagonal + full.couplings()) / jnp.where(live, volumes, 1.0), 1.0)
        shifted = scaled + _SHIFT * own * _diagonal(q)
        inverse = cellwise_inverse(-shifted + _diagonal(q), 1.0)
        w, left = jnp.sum(inverse, axis=1), jnp.sum(inverse, axis=0)
        norm = jnp.sum(left * w, axis=0)
        w = w / jnp.where(norm == 0, 1.0, norm)
        self.gains, self.weights = size * w, left / size
        rate = jnp.maximum(jnp.sum(left * cellwise_product(scaled, w), axis=0), 0.0)
        self.solve = prepare(freeze(_scalar(full, freeze(left * w), freeze(volumes * rate))))

    def __call__(self, residual: Any, transposed: bool = False) -> tuple[Any, Any]:
        """The correction, and the iterations of its solve."""
        out, into = (self.weights, self.gains) if transposed else (self.gains, self.weights)
        found = self.solve(jnp.sum(into * residual, axis=0)[None], control=_COMMON)
        return out * found.value, found.iterations


def _diagonal(q: Any) -> Any:
    return jnp.eye(q.shape[0], dtype=q.dtype).reshape(q.shape[0], q.shape[0], *(1,) * (q.ndim - 1))


def _scalar(op: EllipticOperator, share: Any, diagonal: Any) -> EllipticOperator:
    """Σ_i (l w)_i Φ_i as one field, with ``share`` ``(S, *cells)`` of both cells at a face."""
    faces = []
    for k, conductance in enumerate(op.folded().faces):
        axis = k - op.ndim
        inner = 0.5 * (take(share, 1, None, axis) + take(share, 0, -1, axis))
        wrap = 0.5 * (take(share, 0, 1, axis) + take(share, -1, None, axis))
        ends = wrap if op.periodic[k] else jnp.zeros_like(wrap)
        mean = jnp.concatenate([ends, inner, ends], axis=axis)
        faces.append(op.weight * jnp.sum(jnp.maximum(mean, 0.0) * conductance, axis=0, keepdims=True))
    return EllipticOperator(diagonal[None], tuple(faces), op.periodic, aspect=op.aspect)
