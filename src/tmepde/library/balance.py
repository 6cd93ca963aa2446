"""Starting fields of cytokines: the balance of a given production, solved once on the host.

0 = ∇·(D ∇c) + s − k c       with no flux across the sides and the edge of the mask

On a box of equal cells a cosine transform along every axis solves it at once; where a mask cuts the box, that solution
of the whole box is the preconditioner of conjugate gradients. Grids of other kinds have few cells or one axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import numpy as np
from scipy.fft import dctn, idctn
from scipy.sparse import coo_matrix, diags_array
from scipy.sparse.linalg import LinearOperator, cg

from tmepde.grid import Grid
from tmepde.model import Model
from tmepde.physiology.rates import secretion
from tmepde.physiology.soluble import Soluble

#: pO₂ taken for the hypoxia of the start: 4.5 mmHg deep inside, 36 at the margin, over 160 µm (handbook 2.9)
_CORE, _RISE, _REACH = 4.5, 31.5, 160.0


def expected_oxygen(margin_distance: Any) -> Any:
    """A guess of pO₂ (mmHg) from the signed distance to the margin (µm); the run itself solves for oxygen."""
    return _CORE + _RISE * np.exp(np.minimum(margin_distance, 0.0) / _REACH)


def balance(grid: Grid, diffusivity: float, decay: float, source: Any) -> Any:
    """c for constant D (µm²/h) and k (1/h > 0) and a field s (unit/h); relative accuracy 1e-6."""
    volumes = np.asarray(grid.volumes(), float)
    inside = np.ones(grid.shape, bool) if grid.mask is None else np.asarray(grid.mask)
    if not diffusivity > 0:
        return np.where(inside, source / decay, 0.0)
    box = _box_solver(grid, diffusivity, decay)
    if box is not None and grid.mask is None:
        return np.maximum(box(np.broadcast_to(np.asarray(source, float), grid.shape)), 0.0)
    rows, columns, flows = _links(grid, inside, volumes)
    links = coo_matrix((diffusivity * flows, (rows, columns)), shape=(volumes.size,) * 2).tocsr()
    links = links + links.T
    loss = np.where(inside, decay * volumes, 1.0).ravel()
    diagonal = loss + np.asarray(links.sum(axis=1)).ravel()
    right = np.where(inside, volumes * source, 0.0).ravel()
    scaling = diags_array(1.0 / diagonal) if box is None else _preconditioner(box, inside, volumes)
    found, _ = cg(diags_array(diagonal) - links, right, rtol=1e-6, maxiter=2000, M=scaling)
    return np.maximum(found, 0.0).reshape(grid.shape)


def settled(model: Model) -> Model:
    """``model`` with the cytokines that its cells make at the start (CCL2, CCL5, IL-1, IL-6) in balance with decay.

    Left at 0 are those that blood or cells take up as well.
    """
    species = model.species
    found: dict[str, np.ndarray] = {}
    for _, one in sorted(model.processes.items()):
        if not isinstance(one, Soluble) or type(one).cleared is not Soluble.cleared or f"{one.name}_plasma" in species:
            continue
        known = {n: found.get(n, s.initial) for n, s in species.items() if s.kind != "compartment"}
        state = {n: np.broadcast_to(u, model.grid.shape) for n, u in known.items()}
        source = np.asarray(secretion(1.0, one.made(state, model.base), model.base["interstitium"]), float)
        if np.any(source > 0.0):
            found[one.name] = balance(model.grid, float(one.diffusivity), float(one.decay), source)
    if not found:
        return model
    # built anew: a model taken apart as a tree comes back with its species in alphabetical order
    begun = {n: eqx.tree_at(lambda x: x.initial, s, found[n]) if n in found else s for n, s in species.items()}
    return Model(model.grid, begun, model.processes, model.tissue)


def _box_solver(grid: Grid, diffusivity: float, decay: float) -> Callable[[Any], Any] | None:
    """s ↦ c on the whole box without mask, by the eigenvalues k + Σ_a 4 D sin²(π i_a/2n_a)/h_a² of the five-point
    operator (Strang 1999, SIAM Review 41:135); ``None`` where cells differ in width or sides are periodic or curved."""
    rate = np.full(grid.shape, float(decay))
    for k, n in enumerate(grid.shape):
        width = 2.0 * np.asarray(grid.half_widths(k), float).ravel()
        flat = np.ptp(np.asarray(grid.areas(k), float)) == 0 and np.allclose(np.ravel(grid.metric_widths(k)), width)
        if grid.periodic[k] or not flat or np.ptp(width) > 1e-9 * width[0]:
            return None
        wave = 4.0 * diffusivity * np.sin(0.5 * np.pi * np.arange(n) / n) ** 2 / width[0] ** 2
        rate += wave.reshape([n if j == k else 1 for j in range(grid.ndim)])
    return lambda source: idctn(dctn(source, workers=-1) / rate, workers=-1)


def _preconditioner(box: Callable[[Any], Any], inside: Any, volumes: Any) -> LinearOperator:
    """The box in place of the mask; cells outside stay apart."""
    size = float(np.max(volumes))

    def apply(residual: Any) -> Any:
        field = residual.reshape(inside.shape)
        return np.where(inside, box(np.where(inside, field, 0.0)) / size, field).ravel()

    return LinearOperator((inside.size,) * 2, matvec=apply, dtype=float)


def _links(grid: Grid, inside: Any, volumes: Any) -> tuple[Any, Any, Any]:
    """Pairs of neighbouring tissue cells and the conductance area/distance of the face between them."""
    index = np.arange(volumes.size).reshape(grid.shape)
    found = []
    for k in range(grid.ndim):
        width = np.broadcast_to(2.0 * np.asarray(grid.half_widths(k)), grid.shape)
        face = np.broadcast_to(np.asarray(grid.areas(k)), tuple(n + (j == k) for j, n in enumerate(grid.shape)))
        transverse = volumes / np.asarray(grid.metric_widths(k))  # other axes and solid angle; 0 outside the mask
        low, high = np.arange(grid.shape[k] - 1), np.arange(1, grid.shape[k])
        if grid.periodic[k] and grid.shape[k] > 2:
            low, high = np.append(low, grid.shape[k] - 1), np.append(high, 0)

        def at(values: Any, where: Any, k: int = k) -> Any:
            return np.take(values, where, axis=k)

        distance = 0.5 * (at(width, low) + at(width, high))
        flow = at(face, high) * np.minimum(at(transverse, low), at(transverse, high)) / distance
        joined = at(inside, low) & at(inside, high)
        found.append((at(index, low)[joined], at(index, high)[joined], flow[joined]))
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))  # type: ignore[return-value]
