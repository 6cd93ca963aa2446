"""The operator of :mod:`tmepde.elliptic.operator` where D is one number per field (and axis): sums of 1-D operators.

    A u = c u + Σ_k w D_k (K_k ⊗ Π_{j≠k} W_j) u ,   (K_k u)_i = g_i (u_i − u_{i−1}) + g_{i+1} (u_i − u_{i+1})

with the face factors g = A_f / distance and the metric widths W of the grid. Nothing but vectors is stored, so that a
product reads u and c alone (three face arrays otherwise), and :class:`~tmepde.elliptic.fast_diagonal.FastDiagonal`
inverts it by its 1-D eigenbases.
"""

from __future__ import annotations

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde.boundary import Dirichlet, NoFlux, PrescribedFlux, Robin, Sides
from tmepde.elliptic.operator import EllipticOperator, rows
from tmepde.grid import Grid
from tmepde.operators.faces import take
from tmepde.operators.ghosts import ghosted, neighbours


class AxisLine(eqx.Module):
    """One axis of the grid: face factors ``(n + 1,)`` (zero at closed ends, the wrap at both ends of a periodic axis),
    metric widths ``(n,)``, what an open side adds to the first and last cell ``(m, 2)``, and the eigenbasis of K with
    those corners ``(m, n, n)``, or ``None``. m is 1 if all fields share it, else the number of fields."""

    factors: Any
    widths: Any
    corners: Any
    basis: Any
    periodic: bool = eqx.field(static=True)

    def subset(self, fields: tuple[int, ...]) -> AxisLine:
        """The line of some of the fields."""
        if self.corners.shape[0] == 1:
            return self
        basis = None if self.basis is None else rows(self.basis, fields)
        return AxisLine(self.factors, self.widths, rows(self.corners, fields), basis, self.periodic)

    def eigenvalues(self) -> Any:
        """QᵀKQ as Σ_f g_f (Δq)² + corners, shape ``(m, n)``: no cancellation, so that a smooth mode decays right in
        float32; with Q fixed this also has the right derivative (Hellmann–Feynman)."""
        q = jax.lax.stop_gradient(self.basis)
        inner = jnp.sum(self.factors[1:-1, None] * (q[:, 1:] - q[:, :-1]) ** 2, axis=1)
        if self.periodic:
            inner = inner + self.factors[0] * (q[:, 0] - q[:, -1]) ** 2
        values = inner + self.corners[:, :1] * q[:, 0] ** 2 + self.corners[:, 1:] * q[:, -1] ** 2
        noise = jnp.finfo(values.dtype).eps ** 1.5 * jnp.max(values, axis=1, keepdims=True)
        return jnp.where(values > noise, values, 0.0)  # the constant mode of closed sides: exactly 0


def shared_kinds(boundaries: list[Sides]) -> bool:
    """Whether these fields have the same eigenbases: alike in the kinds of their sides, and none a barrier, whose
    share in the basis depends on the field's own diffusivity."""
    kinds = [tuple(type(side) for pair in sides for side in pair) for sides in boundaries]
    return all(k == kinds[0] for k in kinds) and Robin not in kinds[0]


def side_factors(grid: Grid, sides: Sides, diffusivity: Any, clock: Any, state: Any) -> list[Any]:
    """Per axis what the two open sides add to the first and last cell, in the unit of the face factors: A/half behind a
    fixed value, in series with κ/D behind a barrier (its mean over the side)."""
    out = []
    for k, pair in enumerate(sides):
        d = diffusivity[k] if isinstance(diffusivity, tuple) else diffusivity
        half, area = (jnp.asarray(a).reshape(-1) for a in (grid.half_widths(k), grid.areas(k)))
        corner = []
        for end, side in zip((0, -1), pair, strict=True):
            value = jnp.zeros_like(half[0])
            if isinstance(side, Dirichlet) and not grid.periodic[k]:
                value = area[end] / half[end]
            elif not isinstance(side, NoFlux | PrescribedFlux) and not grid.periodic[k]:
                transfer = jnp.mean(jnp.asarray(side.terms(clock, state)[0]))
                barrier = transfer * half[end] + d
                value = area[end] * transfer / jnp.where(barrier > 0, barrier, 1.0)
            corner.append(value)
        out.append(jax.lax.stop_gradient(jnp.stack(corner)))
    return out


def axis_line(grid: Grid, k: int, corners: Any, dtype: Any, solved: bool = True) -> AxisLine:
    """The line of axis ``k``; ``corners`` ``(m, 2)`` in the unit of the face factors. If ``solved``, with its basis,
    frozen:

    K q = μ W q by a symmetric eigenproblem of W^−½ K W^−½, QᵀWQ = 1.
    """
    half, width = (jnp.asarray(a).reshape(-1).astype(dtype) for a in (grid.half_widths(k), grid.metric_widths(k)))
    area = jnp.asarray(grid.areas(k)).reshape(-1).astype(dtype)
    inner = area[1:-1] / (half[1:] + half[:-1])
    wrap = area[:1] / (half[:1] + half[-1:]) * (1.0 if grid.periodic[k] else 0.0)
    factors = jnp.concatenate([wrap, inner, wrap])
    corners = jnp.asarray(corners, dtype)
    basis = _eigenbasis(factors, width, corners, grid.periodic[k]) if solved else None
    return AxisLine(factors, width, corners, basis, grid.periodic[k])


@functools.partial(jax.jit, static_argnums=3)  # traced once for all axes and calls of one length
def _eigenbasis(factors: Any, width: Any, corners: Any, periodic: bool) -> Any:
    """Cosines (closed) or the real Fourier basis (periodic) of equal cells, else LAPACK's."""
    factors, width, corners = jax.lax.stop_gradient((factors, width, corners))
    n, m = width.shape[0], corners.shape[0]
    inner = factors if periodic else factors[1:-1]

    def level(values: Any) -> Any:
        return jnp.all(jnp.abs(values - values[:1]) <= 1e-5 * jnp.abs(values[:1]))

    waves = jnp.broadcast_to(_waves(n, width, periodic), (m, n, n))
    if n == 1:  # one mode, whatever the sides; XLA finds no LAPACK routine for 1 × 1
        return waves
    regular = level(width) & level(inner) & jnp.all(corners == 0)
    return jax.lax.cond(
        regular,
        lambda: waves,
        lambda: _numeric_eigenbasis(factors, width, corners, periodic),
    )


def _waves(n: int, width: Any, periodic: bool) -> Any:
    """Orthonormal columns: √(2/nw) cos(π(2i+1)j/2n), or 1, cos, sin, … of 2πki/n. Phases are reduced as integers."""
    i, j = np.arange(n)[:, None], np.arange(n)[None, :]
    if periodic:
        k = (j + 1) // 2
        phase = 2 * np.pi * ((k * i) % n) / n
        wave = np.where((j > 0) & (j % 2 == 0), np.sin(phase), np.cos(phase))
        single = (k == 0) | (2 * k == n)
    else:
        wave = np.cos(np.pi * (((2 * i + 1) * j) % (4 * n)) / (2 * n))
        single = j == 0
    scaled = wave * np.sqrt(np.where(single, 1.0, 2.0) / n)
    return jnp.asarray(scaled, width.dtype) / jnp.sqrt(width[:, None])


def _numeric_eigenbasis(factors: Any, width: Any, corners: Any, periodic: bool) -> Any:
    n = width.shape[0]
    diagonal = factors[1:] + factors[:-1]
    matrix = jnp.diag(diagonal) - jnp.diag(factors[1:-1], 1) - jnp.diag(factors[1:-1], -1)
    if periodic:
        matrix = matrix.at[0, n - 1].add(-factors[0]).at[n - 1, 0].add(-factors[0])
    matrix = matrix + jnp.zeros((corners.shape[0], 1, 1), matrix.dtype)
    matrix = matrix.at[:, 0, 0].add(corners[:, 0]).at[:, n - 1, n - 1].add(corners[:, 1])
    root = jnp.sqrt(width)
    _, vectors = jnp.linalg.eigh(matrix / (root[:, None] * root))
    return vectors / root[:, None]


class SeparableOperator(eqx.Module):
    """``diagonal``: shape ``(S, *cells)``; ``diffusivity``: ``(S, d)``, the step weight included; one line per axis."""

    diagonal: Any
    diffusivity: Any
    lines: tuple[AxisLine, ...]
    aspect: tuple[int, ...] = eqx.field(static=True, default=())

    @property
    def ndim(self) -> int:
        return len(self.lines)

    @property
    def periodic(self) -> tuple[bool, ...]:
        return tuple(line.periodic for line in self.lines)

    def along(self, values: Any, k: int) -> Any:
        """A vector (or one per field) along axis ``k``, shaped to broadcast against ``(S, *cells)``."""
        lead = values.shape[0] if values.ndim == 2 else 1
        return values.reshape((lead,) + tuple(-1 if j == k else 1 for j in range(self.ndim)))

    def volumes(self) -> Any:
        """Π W_k, broadcastable to ``(1, *cells)``."""
        out: Any = 1.0
        for k, line in enumerate(self.lines):
            out = out * self.along(line.widths, k)
        return out

    def flux_divergence(self, u: Any) -> Any:
        """−∇·(D∇u) of closed sides, per volume."""
        ghosts = ghosted(u, self.periodic)
        u = neighbours(ghosts, 0, 0, self.ndim)
        out = jnp.zeros_like(u)
        for k, line in enumerate(self.lines):
            lower, upper = neighbours(ghosts, k, -1, self.ndim), neighbours(ghosts, k, 1, self.ndim)
            d = self.along(self.diffusivity[:, k : k + 1], k)
            below, above = (self.along(g / line.widths, k) for g in (line.factors[:-1], line.factors[1:]))
            out = out + d * (below * (u - lower) + above * (u - upper))
        return out

    def __call__(self, u: Any) -> Any:
        return self.diagonal * u + self.volumes() * self.flux_divergence(u)

    def alone(self) -> Any:
        """Fields whose cells nothing joins, shape ``(S, 1, …)``."""
        joined: Any = False
        for k, line in enumerate(self.lines):
            joined = joined | ((self.diffusivity[:, k] > 0) & jnp.any(line.factors > 0))
        return ~joined.reshape((-1,) + (1,) * self.ndim)

    def couplings(self) -> Any:
        """Σ_f Φ_f of each cell."""
        total: Any = 0.0
        for k, line in enumerate(self.lines):
            d = self.along(self.diffusivity[:, k : k + 1], k)
            total = total + d * self.along((line.factors[:-1] + line.factors[1:]) / line.widths, k)
        return jnp.broadcast_to(total * self.volumes(), self.diagonal.shape)

    def shifted(self, diagonal: Any, weight: Any) -> SeparableOperator:
        """``diagonal`` + ``weight`` times the diffusion of this operator."""
        return SeparableOperator(diagonal, weight * self.diffusivity, self.lines, self.aspect)

    def subset(self, fields: tuple[int, ...]) -> SeparableOperator:
        """The operator of some of the fields, with the eigenbases of their sides."""
        lines = tuple(line.subset(fields) for line in self.lines)
        return SeparableOperator(rows(self.diagonal, fields), rows(self.diffusivity, fields), lines, self.aspect)

    def of_field(self, i: int) -> SeparableOperator:
        """The part of one field; its eigenbases are not those of the sides of that field."""
        return SeparableOperator(self.diagonal[i : i + 1], self.diffusivity[i : i + 1], self.lines, self.aspect)

    def expanded(self) -> EllipticOperator:
        """The same with an array per face."""
        volumes = self.volumes()
        faces = []
        for k, line in enumerate(self.lines):
            shape = tuple(n + (j == k) for j, n in enumerate(self.diagonal.shape[1:]))
            transverse = volumes / self.along(line.widths, k)
            d = self.along(self.diffusivity[:, k : k + 1], k)
            transverse = jnp.broadcast_to(transverse, (1, *self.diagonal.shape[1:]))
            transverse = take(transverse, 0, 1, k + 1)
            full = d * self.along(line.factors, k) * transverse
            faces.append(jnp.broadcast_to(full, (self.diagonal.shape[0], *shape)))
        return EllipticOperator(self.diagonal, tuple(faces), self.periodic, aspect=self.aspect)
