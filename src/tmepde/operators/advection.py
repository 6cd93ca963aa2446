"""−∇·(v u): second-order upwind fluxes with limited slopes (MUSCL, van Leer), in conservative form.

    F_f = v⁺ u_f^L + v⁻ u_f^R ,   u^L = u_i + σ_i w_i/2 ,   σ = 2ab/(a + b) if ab > 0 else 0

where a and b are the one-sided slopes. The limiter keeps the flux between the neighbouring values, so that no new
extremum and no negative value arises while |v| Δt/w ≤ ½. First-order upwind is 16 times the tolerance off.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from tmepde._types import Faces, Field
from tmepde.boundary import NoFlux, PrescribedFlux, Sides
from tmepde.grid import Grid
from tmepde.operators.faces import axis_of, gradient, open_faces, take


def _limited(a: Any, b: Any) -> Any:
    """van Leer's harmonic slope, 0 at extrema, with a finite derivative at 0."""
    same = a * b > 0
    total = jnp.where(same, a + b, 1.0)
    return jnp.where(same, 2.0 * a * b / total, 0.0)


def advective_tendency(
    grid: Grid, u: Field, velocity: Faces, sides: Sides | None = None, clock: Any = None, state: Any = None
) -> Field:
    """−∇·(v u) in unit/h, for face velocities in µm/h.

    A closed side (no flux, prescribed flux) lets nothing be carried across it; a Dirichlet or Robin side carries the
    outside value inwards and the cell's value outwards.
    """
    total = jnp.zeros_like(u)
    slopes = gradient(grid, u)
    for k in range(grid.ndim):
        axis = axis_of(grid, k)
        half = jnp.asarray(grid.half_widths(k)).astype(u.dtype)
        slope = _limited(take(slopes[k], 0, -1, axis), take(slopes[k], 1, None, axis))
        upper, lower = u + slope * half, u - slope * half
        v = velocity[k]
        if grid.mask is not None:
            v = v * open_faces(grid, k, u.dtype)
        interior = _upwind(take(v, 1, -1, axis), take(upper, 0, -1, axis), take(lower, 1, None, axis))
        first, last = _end_fluxes(grid, k, v, u, upper, lower, sides, clock, state)
        flux = jnp.concatenate([first, interior, last], axis=axis) * jnp.asarray(grid.areas(k)).astype(u.dtype)
        width = jnp.asarray(grid.metric_widths(k)).astype(u.dtype)
        total = total - (take(flux, 1, None, axis) - take(flux, 0, -1, axis)) / width
    return total


def _upwind(v: Any, left: Any, right: Any) -> Any:
    return jnp.where(v > 0, v * left, v * right)


def _end_fluxes(
    grid: Grid, k: int, v: Any, u: Any, upper: Any, lower: Any, sides: Sides | None, clock: Any, state: Any
) -> tuple[Any, Any]:
    axis = axis_of(grid, k)
    first, last = take(v, 0, 1, axis), take(v, -1, None, axis)
    if grid.periodic[k]:
        wrap = _upwind(first, take(upper, -1, None, axis), take(lower, 0, 1, axis))
        return wrap, wrap
    out = []
    for low, speed in ((True, first), (False, last)):
        condition = None if sides is None else sides[k][0 if low else 1]
        if condition is None or isinstance(condition, NoFlux | PrescribedFlux):
            out.append(jnp.zeros_like(speed))
            continue
        outside = jnp.asarray(condition.terms(clock, state)[1], u.dtype)
        if outside.ndim:
            outside = outside.reshape(speed.shape)
        inside = take(u, 0, 1, axis) if low else take(u, -1, None, axis)
        out.append(_upwind(speed, outside, inside) if low else _upwind(speed, inside, outside))
    return out[0], out[1]


def downwind(grid: Grid, velocity: Faces, factor: Field) -> Faces:
    """Multiply each face velocity by the ``factor`` of the cell it leads into (volume filling); closed sides get 0."""
    out = []
    for k, v in enumerate(velocity):
        axis = axis_of(grid, k)
        lower, upper = take(factor, 0, -1, axis), take(factor, 1, None, axis)
        inner = take(v, 1, -1, axis)
        scaled = jnp.where(inner > 0, inner * upper, inner * lower)
        if grid.periodic[k]:
            edge = take(v, 0, 1, axis)
            wrap = jnp.where(edge > 0, edge * take(factor, 0, 1, axis), edge * take(factor, -1, None, axis))
        else:
            wrap = jnp.zeros_like(take(v, 0, 1, axis))
        out.append(jnp.concatenate([wrap, scaled, wrap], axis=axis))
    return tuple(out)


def courant_rate(grid: Grid, velocity: Faces, diffusivity: Any) -> Any:
    """Largest |v|/(w + 2D/|v|) over the faces, 1/h: its inverse limits the step of an explicit drift beside an implicit
    diffusion (pure advection: w/|v|; where diffusion dominates the mesh: 2D/v²)."""
    worst = jnp.asarray(0.0)
    for k, v in enumerate(velocity):
        axis = axis_of(grid, k)
        half = jnp.broadcast_to(jnp.asarray(grid.half_widths(k)), grid.shape)
        d = jnp.broadcast_to(diffusivity, grid.shape)
        speed = jnp.maximum(jnp.abs(take(v, 1, None, axis)), jnp.abs(take(v, 0, -1, axis)))
        worst = jnp.maximum(worst, jnp.max(_rate(speed, 2.0 * half, d)))
    return worst


def _rate(speed: Any, width: Any, d: Any) -> Any:
    denominator = speed * width + 2.0 * d
    return jnp.where(denominator > 0, speed * speed / jnp.where(denominator > 0, denominator, 1.0), 0.0)
