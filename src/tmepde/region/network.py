"""Vessels as a graph: nodes, straight segments with a diameter and a flow, and where their walls lie on a grid.

Each segment is cut into pieces no longer than a step. The wall of a piece is a ring of points on its cylinder, each
shared between the eight (four, two) nearest cells, so that what a piece gives to the tissue is spread over the cells
around its wall, and what it feels is the mean of the same cells. A ring smeared like that is felt as one of the
effective radius ρ (cf. Peaceman's 0.2 h of a point source): :func:`effective_radius`, computed, not fitted. Where in a
cell the vessel lies changes ρ by 5 % at most; rings of less than half a cell, for which it would matter more, are
widened to that.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.linalg import spsolve

from tmepde.grid import Grid

_RING = 16
#: narrowest ring in cells
_NARROWEST = 0.5


class Pieces(NamedTuple):
    """Pieces of vessel in the order in which blood passes them.

    ``start`` and ``end`` are node numbers (inner joints included), ``length``, ``radius`` in µm, ``flow`` in µm³/h,
    ``segment`` the segment they were cut from; ``inflow`` is the flow that enters each node from other pieces or, at an
    inlet, from outside.
    """

    start: np.ndarray
    end: np.ndarray
    length: np.ndarray
    radius: np.ndarray
    flow: np.ndarray
    segment: np.ndarray
    middle: np.ndarray
    direction: np.ndarray
    inflow: np.ndarray


class VesselNetwork:
    """A network of vessels.

    Args:
        nodes: positions in µm in array order (z, y, x), shape ``(n, 3)``.
        segments: the two nodes of each segment, shape ``(m, 2)``.
        diameter: µm, shape ``(m,)``.
        flow: µm³/h from the first node to the second (negative: the other way), shape ``(m,)``.

    Raises:
        ValueError: for shapes that do not agree, a flow of 0, or blood that flows in a circle.
    """

    def __init__(self, nodes: Any, segments: Any, diameter: Any, flow: Any):
        self.nodes = np.asarray(nodes, float)
        segments = np.asarray(segments, int)
        self.diameter, flow = np.asarray(diameter, float), np.asarray(flow, float)
        if segments.shape != (self.diameter.size, 2) or flow.shape != self.diameter.shape:
            raise ValueError(
                f"`segments` must have shape (m, 2) and `diameter` and `flow` (m,), but they have {segments.shape}, "
                f"{self.diameter.shape} and {flow.shape}."
            )
        if np.any(flow == 0) or not np.all(np.isfinite(flow)):
            raise ValueError("`flow` must be finite and not 0. Leave out segments in which no blood flows.")
        self.segments = np.where((flow > 0)[:, None], segments, segments[:, ::-1])
        self.flow = np.abs(flow)
        self.order = self._downstream()

    def _downstream(self) -> np.ndarray:
        """Segments sorted so that every one comes after those that feed its first node."""
        waiting = np.bincount(self.segments[:, 1], minlength=len(self.nodes))
        ready = [n for n in range(len(self.nodes)) if waiting[n] == 0]
        order: list[int] = []
        while ready:
            node = ready.pop()
            for k in np.flatnonzero(self.segments[:, 0] == node):
                order.append(int(k))
                end = self.segments[k, 1]
                waiting[end] -= 1
                if waiting[end] == 0:
                    ready.append(int(end))
        if len(order) < len(self.segments):
            raise ValueError("Blood must not flow in a circle, but some segments feed themselves. Check the flows.")
        return np.asarray(order)

    @property
    def inlets(self) -> np.ndarray:
        """Nodes that blood enters from outside."""
        return np.setdiff1d(self.segments[:, 0], self.segments[:, 1])

    def pieces(self, step: float) -> Pieces:
        """Pieces no longer than ``step`` µm, downstream."""
        found: list[tuple[Any, ...]] = []
        joints = len(self.nodes)
        for k in self.order:
            a, b = self.segments[k]
            begin, end = self.nodes[a], self.nodes[b]
            length = float(np.linalg.norm(end - begin))
            count = max(1, int(np.ceil(length / step)))
            names = [a, *range(joints, joints + count - 1), b]
            joints += count - 1
            along = (end - begin) / max(length, 1e-9)
            for i in range(count):
                middle = begin + (i + 0.5) / count * (end - begin)
                found.append((names[i], names[i + 1], length / count, 0.5 * self.diameter[k], k, middle, along))
        start, stop, length_, radius, segment, middle_, direction = (np.asarray(c) for c in zip(*found, strict=True))
        flow = self.flow[segment]
        inflow = np.bincount(stop, flow, minlength=joints)
        entering = np.bincount(start, flow, minlength=joints)
        inflow = np.where(inflow > 0, inflow, entering)
        return Pieces(start, stop, length_, radius, flow, segment, middle_, direction, inflow)

    def walls(self, grid: Grid, pieces: Pieces) -> csr_matrix:
        """Weights (pieces × cells, rows sum to 1) of the cells around the wall of each piece."""
        if grid.symmetry != "slab" or grid.ndim != 3:
            raise ValueError(f"A vessel network needs a Cartesian grid in three dimensions, but {grid} was given.")
        helper = np.where(np.abs(pieces.direction[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
        first = np.cross(pieces.direction, helper)
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        second = np.cross(pieces.direction, first)
        angle = 2.0 * np.pi * (np.arange(_RING) + 0.5) / _RING
        ring = np.cos(angle)[:, None, None] * first + np.sin(angle)[:, None, None] * second
        ring = np.maximum(pieces.radius, _NARROWEST * _spacing(grid))[:, None] * ring
        total: Any = 0.0
        for shift in (-1 / 3, 0.0, 1 / 3):  # along the piece
            points = pieces.middle + shift * (pieces.length[:, None] * pieces.direction) + ring
            for one in points:
                total = total + _shared(grid, one)
        return (total / (3 * _RING)).tocsr()


def _spacing(grid: Grid) -> float:
    return float(np.mean([np.mean(np.asarray(w)) for w in grid.widths]))


def _shared(grid: Grid, points: np.ndarray) -> csr_matrix:
    """Multilinear weights of the nearest cells for points (array order); those outside go to the edge."""
    rows = np.arange(len(points))
    index: Any = np.zeros((1, len(points)), int)
    weight: Any = np.ones((1, len(points)))
    for k in range(grid.ndim):
        centres = np.asarray(grid.centers(k))
        place = np.interp(points[:, k], centres, np.arange(centres.size, dtype=float))
        low = np.minimum(place.astype(int), max(centres.size - 2, 0))
        part = place - low
        high = np.minimum(low + 1, centres.size - 1)
        index = np.concatenate([index * centres.size + low, index * centres.size + high])
        weight = np.concatenate([weight * (1.0 - part), weight * part])
    shape = (len(points), int(np.prod(grid.shape)))
    return coo_matrix((weight.ravel(), (np.tile(rows, len(weight)), index.ravel())), shape=shape).tocsr()


@functools.lru_cache(maxsize=1)
def _radii() -> tuple[np.ndarray, np.ndarray]:
    """Table of ρ over r/h: the mean over its own smeared ring of the potential that the ring makes.

    −∇²φ = ring on a grid of unit cells, φ = −ln(r)/2π far away; then φ̄ = −ln(ρ)/2π. Mean over places in a cell.
    """
    n, ratios = 25, np.asarray([0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
    grid = Grid.square(float(n), n)
    cells = np.arange(n * n).reshape(n, n)
    links = [(cells[1:].ravel(), cells[:-1].ravel()), (cells[:, 1:].ravel(), cells[:, :-1].ravel())]
    a, b = (np.concatenate(pair) for pair in zip(*links, strict=True))
    off = coo_matrix((np.ones(a.size), (a, b)), shape=(n * n, n * n)).tocsr()
    off = off + off.T
    edges = np.zeros((n, n))
    edges[[0, -1], :] += 2.0  # half a cell to the side
    edges[:, [0, -1]] += 2.0
    diagonal = np.asarray(off.sum(axis=1)).ravel() + edges.ravel()
    matrix = coo_matrix((diagonal, (cells.ravel(), cells.ravel())), shape=off.shape).tocsr() - off
    found = []
    angle = 2.0 * np.pi * (np.arange(64) + 0.5) / 64
    for ratio in ratios:
        logs = []
        for place in ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.25, 0.0), (0.25, 0.25), (0.25, 0.5)):
            centre = n / 2.0 + np.asarray(place)
            points = centre + ratio * np.stack([np.sin(angle), np.cos(angle)], axis=1)
            ring = np.asarray(_shared(grid, points).mean(axis=0)).ravel()
            right = ring + _far(n, centre)
            potential = spsolve(matrix.tocsc(), right)
            logs.append(-2.0 * np.pi * float(ring @ potential))
        found.append(np.exp(np.mean(logs)))
    return ratios, np.asarray(found)


def _far(n: int, centre: np.ndarray) -> np.ndarray:
    """What the sides with φ = −ln(r)/2π give to the edge cells (conductance 2: half a cell)."""
    middle = np.arange(n) + 0.5
    given = np.zeros((n, n))
    for side in (0.0, float(n)):
        cell = 0 if side == 0.0 else -1
        given[cell, :] += 2.0 * -np.log(np.hypot(side - centre[0], middle - centre[1])) / (2.0 * np.pi)
        given[:, cell] += 2.0 * -np.log(np.hypot(middle - centre[0], side - centre[1])) / (2.0 * np.pi)
    return given.ravel()


def effective_radius(radius: Any, grid: Grid) -> np.ndarray:
    """ρ in µm: the radius at which a line of flow has the mean over the smeared wall of a vessel of ``radius`` µm.

    0.73 of a cell for thin vessels, radius + 0.19 of a cell for wide ones.
    """
    ratios, found = _radii()
    spacing = _spacing(grid)
    ratio = np.maximum(np.asarray(radius, float) / spacing, _NARROWEST)
    wide = ratio + (found[-1] - ratios[-1])
    return spacing * np.where(ratio > ratios[-1], wide, np.interp(ratio, ratios, found))
