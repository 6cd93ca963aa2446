"""−∇·(v u) in conservative form, by one of two face fluxes.

MUSCL: second-order upwind with limited slopes (van Leer),

    F_f = v⁺ u_f^L + v⁻ u_f^R ,   u^L = u_i + σ_i w_i/2 ,   σ = 2ab/(a + b) if ab > 0 else 0

where a and b are the one-sided slopes. The limiter keeps the flux between the neighbouring values, so that no new
extremum and no negative value arises while |v| Δt/w ≤ ½. First-order upwind is 16 times the tolerance off. At a closed
face the other slope stands alone, cut so that u^L stays within [0, 2u].

Scharfetter–Gummel (1969, IEEE Trans. Electron Devices 16:64): the flux v u − D u′ that is constant between two centres,

    F_f = v (1 − c) u_i + v c u_j ,   c(P) = 1/P − 1/(e^P − 1) ,   P = v/(D_f/Δ)

beside the diffusive flux D_f/Δ (u_i − u_j): together D_f/Δ [B(−P) u_i − B(P) u_j] with B(P) = P/(e^P − 1) ≥ 0, zero on
equilibria u ∝ e^{φ/D} of v = ∇φ, however steep. c is ½ where diffusion dominates and 0 or 1 (upwind) where drift does.

A Dirichlet side carries the mean of its value and the cell's with the same weights, for either scheme.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from tmepde._types import Faces, Field
from tmepde.boundary import Dirichlet, NoFlux, PrescribedFlux, Sides
from tmepde.grid import Grid
from tmepde.operators.anisotropy import along
from tmepde.operators.apart import apart_if_large
from tmepde.operators.diffusion import face_transfer
from tmepde.operators.faces import axis_of, close, distances, gradient, open_faces, open_parts, take

#: Péclet numbers beyond this are pure upwind
_STEEP = 1e4


def _shares(a: Any, b: Any) -> tuple[Any, Any]:
    """a/(a + b) and b/(a + b) where both have one sign, else 0."""
    same = ((a > 0) & (b > 0)) | ((a < 0) & (b < 0))  # not a product, which is 0 or infinite sooner
    total = jnp.where(same, a + b, 1.0)
    return jnp.where(same, a / total, 0.0), jnp.where(same, b / total, 0.0)


@jax.custom_jvp
def _limited(a: Any, b: Any) -> Any:
    """van Leer's harmonic slope, 0 at extrema, with a finite derivative everywhere.

    dσ = 2 (b/(a + b))² da + 2 (a/(a + b))² db; what JAX would write holds 1/(a + b)², which is infinite in float32 for
    slopes below 1e-19, as in any tissue that is still empty.
    """
    return 2.0 * a * _shares(a, b)[1]


@_limited.defjvp
def _change_of_limited(values: tuple[Any, Any], changes: tuple[Any, Any]) -> tuple[Any, Any]:
    first, second = _shares(*values)
    return _limited(*values), 2.0 * (second * second * changes[0] + first * first * changes[1])


def limited_slopes(grid: Grid, k: int, u: Any, faces: Any) -> Any:
    """Limited slope of each cell along axis ``k``, given those at its ``faces``; one-sided, and at most |u|/(w/2),
    beside a closed face.

    What it adds to a cell's value at a face is no more than the neighbour there differs by. Among equal cells van
    Leer's slope keeps to that by itself; that of a wide cell beside a narrow one passes it, up to twofold.
    """
    axis = axis_of(grid, k)
    a, b = take(faces, 0, -1, axis), take(faces, 1, None, axis)
    joined = open_faces(grid, k, u.dtype)
    before, after = take(joined, 0, -1, axis) > 0, take(joined, 1, None, axis) > 0
    half = jnp.asarray(grid.half_widths(k)).astype(u.dtype)
    most = jnp.abs(u) / half
    alone = jnp.clip(a + b, -most, most)  # the closed face has slope 0
    slope = _limited(a, b)
    if not grid.equal[k]:
        across = jnp.broadcast_to(close(grid, *distances(grid, k), k).astype(u.dtype), faces.shape)
        steps = jnp.abs(faces) * across
        least = jnp.minimum(take(steps, 0, -1, axis), take(steps, 1, None, axis)) / half
        slope = jnp.clip(slope, -least, least)
    return jnp.where(before & after, slope, jnp.where(before | after, alone, 0.0))


def downstream_weight(peclet: Any) -> Any:
    """c(P) = 1/P − 1/(e^P − 1) in (0, 1): ½ at 0, 0 for P → ∞; a series near 0, where the terms cancel."""
    small = jnp.abs(peclet) < 0.5
    p = jnp.clip(jnp.where(small, 1.0, peclet), -_STEEP, _STEEP)
    away = 1.0 / p - 1.0 / jnp.expm1(jnp.minimum(p, 80.0))
    q = jnp.where(small, peclet, 0.0)
    square = q * q
    series = 0.5 - q / 12.0 * (1.0 - square / 60.0 * (1.0 - square / 42.0 * (1.0 - square / 40.0)))
    return jnp.where(small, series, away)


def _weight(v: Any, transfer: Any) -> Any:
    """c(v/transfer), upwind where nothing diffuses."""
    moves = transfer > 0
    ratio = v / jnp.where(moves, transfer, 1.0)
    return downstream_weight(jnp.where(moves, ratio, _STEEP * jnp.sign(v)))


def advective_tendency(
    grid: Grid,
    u: Field,
    velocity: Faces,
    sides: Sides | None = None,
    clock: Any = None,
    state: Any = None,
    diffusivity: Any = None,
    scheme: str = "muscl",
) -> Field:
    """−∇·(v u) in unit/h, for face velocities in µm/h.

    A closed side (no flux, prescribed flux) lets nothing be carried across it; a Dirichlet or Robin side carries the
    outside value inwards and the cell's value outwards (weighted as above at a Dirichlet side with ``diffusivity``).

    Args:
        diffusivity: field, tuple per axis or rows of a tensor in µm²/h; needed by ``"scharfetter_gummel"``.
        scheme: ``"muscl"`` or ``"scharfetter_gummel"``.

    Raises:
        ValueError: for Scharfetter–Gummel fluxes without a diffusivity.
    """
    if scheme == "scharfetter_gummel" and diffusivity is None:
        raise ValueError("Argument `diffusivity` must be given for the scheme 'scharfetter_gummel', but is None.")
    total = jnp.zeros_like(u)
    slopes = gradient(grid, u) if scheme == "muscl" else None
    for k in range(grid.ndim):
        axis = axis_of(grid, k)

        def through(u: Any, v: Any, k: int = k, axis: int = axis) -> Any:
            """Flux times area at all faces along axis k."""
            if slopes is None:
                interior, wrap = _weighted(grid, k, v, u, face_transfer(grid, along(diffusivity, k), k))
            else:
                interior, wrap = _upwind_fluxes(grid, k, v, u, slopes[k])
            ends = (wrap, wrap) if grid.periodic[k] else _end_fluxes(grid, k, v, u, sides, clock, state, diffusivity)
            flux = jnp.concatenate([ends[0], interior, ends[1]], axis=axis)
            if grid.mask is not None or grid.apertures is not None:
                flux = flux * _passable(grid, k, flux.dtype)
            return flux * jnp.asarray(grid.areas(k)).astype(u.dtype)

        flux = apart_if_large(grid.shape, through, u, jnp.asarray(velocity[k]).astype(u.dtype))
        width = jnp.asarray(grid.metric_widths(k)).astype(u.dtype)
        total = total - (take(flux, 1, None, axis) - take(flux, 0, -1, axis)) / width
    return total if grid.fractions is None else total / jnp.asarray(grid.fractions).astype(u.dtype)


def _upwind_fluxes(grid: Grid, k: int, v: Any, u: Any, slopes: Any) -> tuple[Any, Any]:
    """MUSCL fluxes through the interior faces, and through the periodic one."""
    axis = axis_of(grid, k)
    reach = limited_slopes(grid, k, u, slopes) * jnp.asarray(grid.half_widths(k)).astype(u.dtype)
    upper, lower = u + reach, u - reach
    interior = _upwind(take(v, 1, -1, axis), take(upper, 0, -1, axis), take(lower, 1, None, axis))
    return interior, _upwind(take(v, 0, 1, axis), take(upper, -1, None, axis), take(lower, 0, 1, axis))


def _weighted(grid: Grid, k: int, v: Any, u: Any, transfer: Any) -> tuple[Any, Any]:
    """v((1 − c) u_i + c u_j) through the interior faces, and through the periodic one."""
    axis = axis_of(grid, k)

    def flux(start: int, stop: int | None, lower: Any, upper: Any) -> Any:
        speed = take(v, start, stop, axis)
        c = _weight(speed, take(transfer, start, stop, axis))
        return speed * ((1.0 - c) * lower + c * upper)

    wrap = flux(0, 1, take(u, -1, None, axis), take(u, 0, 1, axis))
    return flux(1, -1, take(u, 0, -1, axis), take(u, 1, None, axis)), wrap


def _passable(grid: Grid, k: int, dtype: Any) -> Any:
    """Open part of the faces, with those of the sides of the box (which end fluxes open or close)."""
    axis = axis_of(grid, k)
    inner = take(open_parts(grid, k, dtype), 1, -1, axis)
    inside = jnp.ones(grid.shape, dtype) if grid.mask is None else jnp.asarray(grid.mask).astype(dtype)
    low, high = take(inside, 0, 1, axis), take(inside, -1, None, axis)
    if grid.periodic[k]:
        low = high = low * high
    if grid.apertures is not None:
        parts = jnp.asarray(grid.apertures[k]).astype(dtype)
        low, high = low * take(parts, 0, 1, axis), high * take(parts, -1, None, axis)
    return jnp.concatenate([low, inner, high], axis=axis)


def _upwind(v: Any, left: Any, right: Any) -> Any:
    return jnp.where(v > 0, v * left, v * right)


def _end_fluxes(
    grid: Grid, k: int, v: Any, u: Any, sides: Sides | None, clock: Any, state: Any, diffusivity: Any
) -> tuple[Any, Any]:
    """Fluxes through the two sides of the box along axis ``k``, in the direction of the axis."""
    axis = axis_of(grid, k)
    out = []
    for low in (True, False):
        cell: tuple[int, int | None] = (0, 1) if low else (-1, None)
        speed, inside = take(v, cell[0], cell[1], axis), take(u, cell[0], cell[1], axis)
        condition = None if sides is None else sides[k][0 if low else 1]
        if condition is None or isinstance(condition, NoFlux | PrescribedFlux):
            out.append(jnp.zeros_like(speed))
            continue
        outside = jnp.asarray(condition.terms(clock, state)[1], u.dtype)
        if outside.ndim:
            outside = outside.reshape(speed.shape)
        before, after = (outside, inside) if low else (inside, outside)
        if diffusivity is not None and isinstance(condition, Dirichlet):
            half = jnp.broadcast_to(jnp.asarray(grid.half_widths(k)).astype(u.dtype), grid.shape)
            transfer = take(along(diffusivity, k) / half, cell[0], cell[1], axis)
            c = _weight(speed, transfer)
            out.append(speed * ((1.0 - c) * before + c * after))
        else:
            out.append(_upwind(speed, before, after))
    return out[0], out[1]


def courant_rate(grid: Grid, velocity: Faces, diffusivity: Any) -> Any:
    """Largest |v|/(w + 2D/|v|) over the faces, 1/h: its inverse limits the step of an explicit drift beside an implicit
    diffusion (pure advection: w/|v|; where diffusion dominates the mesh: 2D/v²). Cut cells count with their open faces
    over their part inside, by which what diffuses through them is as much faster as what drifts."""
    worst = jnp.asarray(0.0)
    for k, v in enumerate(velocity):
        axis = axis_of(grid, k)
        half = jnp.broadcast_to(jnp.asarray(grid.half_widths(k)), grid.shape)
        d = jnp.broadcast_to(along(diffusivity, k), grid.shape)
        speed = jnp.maximum(jnp.abs(take(v, 1, None, axis)), jnp.abs(take(v, 0, -1, axis)))
        if grid.apertures is not None:
            through = opening(grid, k, v.dtype)
            speed, d = speed * through, d * through
        worst = jnp.maximum(worst, jnp.max(_rate(speed, 2.0 * half, d)))
    return worst


def opening(grid: Grid, k: int, dtype: Any) -> Any:
    """The larger open part of a cut cell's two faces along axis ``k`` over its part inside."""
    axis = axis_of(grid, k)
    parts = _passable(grid, k, dtype)
    widest = jnp.maximum(take(parts, 1, None, axis), take(parts, 0, -1, axis))
    return widest / jnp.asarray(grid.fractions).astype(dtype)


def _rate(speed: Any, width: Any, d: Any) -> Any:
    denominator = speed * width + 2.0 * d
    return jnp.where(denominator > 0, speed * speed / jnp.where(denominator > 0, denominator, 1.0), 0.0)
