"""Face velocities that processes return: taxis up a gradient, bounded speeds, volume filling, Darcy flow.

taxis       v = χ ∇c ,  bounded: v/(1 + |v|/v_max) ,  volume filling: v (1 − n/n_max)₊ on the receiving side
Darcy       v = −K ∇p
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from tmepde._types import Faces, Field
from tmepde.boundary import NoFlux, Sides
from tmepde.grid import Grid
from tmepde.operators.advection import limited_slopes
from tmepde.operators.anisotropy import along
from tmepde.operators.diffusion import boundary_terms, face_transfer
from tmepde.operators.faces import axis_of, face_mean, faces_to_cells, gradient, open_faces, take


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


def bounded_speed(grid: Grid, velocity: Faces, largest: Any) -> Faces:
    """v/(1 + |v|/``largest``): never faster than ``largest`` (µm/h), unchanged where it is slow.

    |v| at a face: its own component, and the others averaged from the cells beside it.
    """
    cells = faces_to_cells(grid, velocity)
    out = []
    for k, v in enumerate(velocity):
        square = v * v
        for j in range(grid.ndim):
            if j != k:
                square = square + face_mean(grid, cells[j])[k] ** 2
        moving = square > 0
        norm = jnp.where(moving, jnp.sqrt(jnp.where(moving, square, 1.0)), 0.0)
        out.append(v / (1.0 + norm / largest))
    return tuple(out)


def volume_filling(grid: Grid, velocity: Faces, density: Field, full: Any) -> Faces:
    """v (1 − n/``full``)₊ with the room 1 − n/``full`` of the cell that v leads into, carried to the face by a limited
    slope: second order, and nothing moves into a full cell. (Room moves against the cells; within its limits none is
    taken that is not there, as MUSCL takes no cells. The room at the centre of that cell is of first order.)"""
    room = jnp.maximum(1.0 - density / full, 0.0)
    out = []
    for k, (v, faces) in enumerate(zip(velocity, gradient(grid, room), strict=True)):
        axis = axis_of(grid, k)
        reach = limited_slopes(grid, k, room, faces) * jnp.asarray(grid.half_widths(k)).astype(room.dtype)
        before, after = room - reach, room + reach
        inner = take(v, 1, -1, axis)
        scaled = inner * jnp.where(inner > 0, take(before, 1, None, axis), take(after, 0, -1, axis))
        edge = take(v, 0, 1, axis)
        wrap = edge * jnp.where(edge > 0, take(before, 0, 1, axis), take(after, -1, None, axis))
        wrap = wrap if grid.periodic[k] else jnp.zeros_like(edge)
        out.append(jnp.concatenate([wrap, scaled, wrap], axis=axis))
    return tuple(out)


def taxis_velocity(
    grid: Grid,
    signal: Field,
    sensitivity: Any = 1.0,
    largest: Any = None,
    density: Field | None = None,
    full: Any = None,
) -> Faces:
    """v = χ ∇c at the faces, µm/h: chemotaxis, or haptotaxis where c is bound to the matrix; one line for a process.

    Args:
        signal: c, shape ``grid.shape``.
        sensitivity: χ in µm²/h per unit of c; a number, or a field (then its mean at the face).
        largest: speed that is never exceeded (µm/h); ``None``: unbounded.
        density, full: with both, volume filling: no motion into cells whose ``density`` has reached ``full``.

    Raises:
        ValueError: if only one of ``density`` and ``full`` is given.
    """
    if (density is None) != (full is None):
        raise ValueError("Arguments `density` and `full` must be given together (volume filling), but one is None.")
    pace = face_mean(grid, jnp.asarray(sensitivity)) if jnp.ndim(sensitivity) else (sensitivity,) * grid.ndim
    velocity = tuple(x * g for x, g in zip(pace, gradient(grid, signal), strict=True))
    if largest is not None:
        velocity = bounded_speed(grid, velocity, largest)
    return velocity if density is None else volume_filling(grid, velocity, density, full)


def darcy_velocity(
    grid: Grid, pressure: Field, conductivity: Any, sides: Sides | None = None, clock: Any = None, state: Any = None
) -> Faces:
    """v = −K ∇p at the faces, µm/h, with the conductances that the elliptic balance of p uses.

    So ∇·v is, cell by cell, what −∇·(K∇p) is in the balance of the pressure: its sources and nothing else, and a
    constant concentration is changed by those sources alone.

    Args:
        pressure: p in mmHg.
        conductivity: K in µm²/(mmHg h): number, field, or tuple of these per axis.
        sides: the boundary conditions of p (:func:`tmepde.boundary.sides`); ``None``: nothing flows through the sides.
    """

    def full(value: Any) -> Any:
        return jnp.broadcast_to(jnp.asarray(value), pressure.shape).astype(pressure.dtype)

    spread: Any = tuple(full(c) for c in conductivity) if isinstance(conductivity, tuple) else full(conductivity)
    out = []
    for k in range(grid.ndim):
        axis = axis_of(grid, k)
        transfer = face_transfer(grid, along(spread, k), k) * open_faces(grid, k, pressure.dtype)
        first, last = take(pressure, 0, 1, axis), take(pressure, -1, None, axis)
        wrap = first - last if grid.periodic[k] else jnp.zeros_like(first)
        step = take(pressure, 1, None, axis) - take(pressure, 0, -1, axis)
        v = -transfer * jnp.concatenate([wrap, step, wrap], axis=axis)
        if sides is not None and not grid.periodic[k]:
            low, high = (_through_side(grid, k, end, spread, pressure, sides, clock, state) for end in (0, 1))
            v = jnp.concatenate([low, take(v, 1, -1, axis), -high], axis=axis)
        out.append(v)
    return tuple(out)


def _through_side(
    grid: Grid, k: int, end: int, conductivity: Any, pressure: Any, sides: Sides, clock: Any, state: Any
) -> Any:
    """Inward velocity through one side of the box, from the same terms as in the balance of p."""
    axis = axis_of(grid, k)
    begin, stop = (0, 1) if end == 0 else (-1, None)
    edge = take(pressure, begin, stop, axis)
    closed = (NoFlux(), NoFlux())
    pair = (sides[k][0], NoFlux()) if end == 0 else (NoFlux(), sides[k][1])
    only = tuple(pair if j == k else closed for j in range(grid.ndim))
    terms = boundary_terms(grid, only, conductivity, clock, state)
    if terms is None:
        return jnp.zeros_like(edge)
    source, loss = (take(jnp.broadcast_to(t, pressure.shape), begin, stop, axis) for t in terms)
    area = take(jnp.asarray(grid.areas(k)), begin, stop, axis).astype(edge.dtype)
    if grid.apertures is not None:
        open_part = take(jnp.asarray(grid.apertures[k]), begin, stop, axis)
        part = take(jnp.asarray(grid.fractions), begin, stop, axis)
        area = area * (open_part / part).astype(edge.dtype)
    width = take(jnp.asarray(grid.metric_widths(k)), begin, stop, axis).astype(edge.dtype)
    conducts = area > 0
    return jnp.where(conducts, (source - loss * edge) * width / jnp.where(conducts, area, 1.0), 0.0)
