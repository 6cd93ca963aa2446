"""The discrete −∇·(D∇·) of one field: faces and links, for every form of D, with cells held at a value cut out.

A held cell keeps its value U; for its free neighbours its face is a Dirichlet side,

    q_in = D_f/(w_i/2) (U − u_i)          and over a link   q_in = L (U − u_i)

with D_f = D_i, or the arithmetic mean of the two cells where the species says so. It enters their balance as a source
and a loss rate, like the sides of the box, so that budgets see it as inflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from tmepde._types import Field
from tmepde.boundary import Dirichlet, Robin, Sides
from tmepde.grid import Grid
from tmepde.operators.anisotropy import Weights, along, is_tensor, straddling, tensor_parts
from tmepde.operators.diffusion import _ratio, conductances, face_areas, face_transfer
from tmepde.operators.faces import axis_of, close, metric_volumes, open_parts, pad, shift, take

Flow = tuple[tuple[Any, ...], Weights]


def field_flow(
    grid: Grid, diffusivity: Any, mean: str = "harmonic", held: Any = None, sides: Sides | None = None
) -> Flow:
    """Face conductances and link conductances (by offset) of one field; nothing enters or leaves ``held`` cells.

    Args:
        diffusivity: field of the grid's shape, tuple of such per axis, or rows of a symmetric tensor; µm²/h.
        mean: of D at the faces, ``"harmonic"`` or ``"arithmetic"`` (tensors use their own, see ``anisotropy``).
        held: boolean, the grid's shape, or ``None``.
        sides: of the box; ``None``: closed.
    """
    if is_tensor(diffusivity):
        faces, links = _tensor_flow(grid, diffusivity)
        faces = (
            faces if sides is None else tuple(f + _cut_off(grid, diffusivity, k, sides) for k, f in enumerate(faces))
        )
    else:
        faces, links = conductances(grid, diffusivity, mean), {}
    if held is None:
        return faces, links
    free = 1.0 - jnp.asarray(held).astype(faces[0].dtype)
    kept = tuple(f * _both(grid, free, k) for k, f in enumerate(faces))
    return kept, {o: a * free * shift(free, o, grid.periodic) for o, a in links.items()}


def _tensor_flow(grid: Grid, diffusivity: Any) -> Flow:
    axes, trace, links = tensor_parts(grid, diffusivity)
    faces = []
    for k, part in enumerate(axes):
        damping = _ratio(face_transfer(grid, trace, k), face_transfer(grid, trace, k, "arithmetic"))
        transfer = face_transfer(grid, part, k, "arithmetic") * damping
        faces.append(face_areas(grid, k, part.dtype) * transfer * open_parts(grid, k, part.dtype))
    return tuple(faces), links


def _cut_off(grid: Grid, diffusivity: Any, k: int, sides: Sides) -> Any:
    """What the faces behind the edge cells of axis ``k`` conduct in place of links of two cells that open sides cut.

    A link from the cell before the side to the one behind the edge cell would carry L (u₁ − u₋₁) = 2L (u₁ − u₀) of a
    slope across the side. Without it those faces conduct too little, an error of first order beyond D_∥/D_⊥ = 5.8.
    """
    axis, n = axis_of(grid, k), grid.shape[k]
    own = straddling(grid, diffusivity, k)
    if grid.periodic[k] or n < 2 or not own.ndim:
        return jnp.zeros((), own.dtype)
    lower, upper = take(own, 0, -1, axis), take(own, 1, None, axis)
    amount = close(grid, 4.0 * lower * _ratio(upper, lower + upper), None, k) * open_parts(grid, k, own.dtype)
    found = jnp.zeros_like(amount)
    for place, condition in zip((1, n - 1), sides[k], strict=True):
        if isinstance(condition, Dirichlet | Robin):
            found = found + pad(take(amount, place, place + 1, axis), axis, place, n - place)
    return found


def _both(grid: Grid, values: Any, k: int) -> Any:
    """Product of the two cells at each face along axis ``k``; 0 at closed sides."""
    axis = axis_of(grid, k)
    wrap = take(values, 0, 1, axis) * take(values, -1, None, axis) if grid.periodic[k] else None
    return close(grid, take(values, 1, None, axis) * take(values, 0, -1, axis), wrap, k)


def stack_flows(flows: Sequence[Flow]) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[tuple[int, ...], ...]]:
    """Faces, links and offsets of several fields; a field without a link that another has gets zeros."""
    faces = tuple(jnp.stack(parts) for parts in zip(*(f for f, _ in flows), strict=True))
    offsets = tuple(sorted({o for _, links in flows for o in links}))
    found = {o: next(links[o] for _, links in flows if o in links) for o in offsets}
    links = tuple(jnp.stack([own.get(o, jnp.zeros_like(found[o])) for _, own in flows]) for o in offsets)
    return faces, links, offsets


def held_terms(grid: Grid, diffusivity: Any, held: Any, value: Any, mean: str = "harmonic") -> tuple[Field, Field]:
    """Source (unit/h) and loss rate (1/h) by which held cells act on their free neighbours.

    Args:
        held: boolean, the grid's shape.
        value: U, a number or field; read in held cells alone.
        mean: of D between a held cell's face and its neighbour's centre: ``"harmonic"``, the neighbour's own, or
            ``"arithmetic"``.
    """
    dtype = along(diffusivity, 0).dtype
    held = jnp.asarray(held).astype(dtype)
    free, amount = 1.0 - held, held * jnp.asarray(value).astype(dtype)
    source, loss = jnp.zeros(grid.shape, dtype), jnp.zeros(grid.shape, dtype)
    for k in range(grid.ndim):
        axis = axis_of(grid, k)
        own, half = along(diffusivity, k), jnp.asarray(grid.half_widths(k)).astype(dtype)
        area = face_areas(grid, k, dtype) * open_parts(grid, k, dtype)
        for low in (True, False):
            faces = take(area, 0, -1, axis) if low else take(area, 1, None, axis)
            step = tuple((-1 if low else 1) if j == k else 0 for j in range(grid.ndim))
            between = own if mean == "harmonic" else 0.5 * (own + shift(own, step, grid.periodic))
            source = source + faces * between / half * shift(amount, step, grid.periodic)
            loss = loss + faces * between / half * shift(held, step, grid.periodic)
    if is_tensor(diffusivity):
        for offset, link in tensor_parts(grid, diffusivity)[2].items():
            back = tuple(-o for o in offset)
            returned = shift(link, back, grid.periodic)
            for conductance, step in ((link, offset), (returned, back)):
                source = source + conductance * shift(amount, step, grid.periodic)
                loss = loss + conductance * shift(held, step, grid.periodic)
    volumes = metric_volumes(grid).astype(dtype)
    return free * source / volumes, free * loss / volumes
