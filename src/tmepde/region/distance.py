"""Signed distance to the boundary between two classes, on a grid of any spacing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage


def signed_distance(inside: np.ndarray, outside: np.ndarray, centers: Sequence[np.ndarray]) -> np.ndarray:
    """d = d(inside) − d(outside): µm to the margin, negative inside, positive outside; between and beyond both, the
    difference of the two distances.

    The margin is taken half a cell beyond the centre of the last cell of the other class. Equal spacing uses the exact
    Euclidean transform, unequal spacing a nearest-neighbour search; both are exact to half a cell.

    Args:
        inside, outside: boolean, disjoint; together they need not fill the grid.
        centers: cell centres per axis in µm.
    """
    far = sum(float(c[-1] - c[0]) + 1.0 for c in centers) * 1e3
    if not inside.any() or not outside.any():
        return np.full(inside.shape, -far if inside.any() else far)
    return np.where(inside, 0.0, _to(inside, centers)) - np.where(outside, 0.0, _to(outside, centers))


def _to(target: np.ndarray, centers: Sequence[np.ndarray]) -> np.ndarray:
    """Distance from each cell centre to the nearest edge of a ``target`` cell (half a cell before its centre)."""
    steps = [np.diff(c) for c in centers]
    spacing = [float(s.mean()) if s.size else 1.0 for s in steps]
    if all(np.allclose(s, h) for s, h in zip(steps, spacing, strict=True)):
        distance = ndimage.distance_transform_edt(~target, sampling=spacing)
    else:
        from scipy.spatial import cKDTree

        points = np.stack([g.ravel() for g in np.meshgrid(*centers, indexing="ij")], axis=-1)
        distance = cKDTree(points[target.ravel()]).query(points)[0].reshape(target.shape)
    half = 0.5 * float(np.prod(spacing)) ** (1.0 / len(spacing))
    return np.maximum(distance - half, 0.0)
