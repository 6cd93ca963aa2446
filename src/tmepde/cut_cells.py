"""Volume fractions and face apertures of cells that a level set φ = 0 cuts; inside is φ < 0.

Each cell is split into simplices between its nodes (Kuhn: one for each order of the axes), on which φ is
taken as linear. With a, b, … the negative and c, d, … the positive vertex values the part of a simplex inside is

    one negative of d + 1      Π_j a/(a − φ_j)
    two of four                [a²b² − (c + d)ab(a + b) + cd(a² + ab + b²)] / [(a − c)(a − d)(b − c)(b − d)]

and one minus the same with the signs exchanged for d of d + 1. (The second is the divided difference of the first.) A
smooth edge is then known to second order in the cell size.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np

from tmepde._arguments import as_number, not_a_number, number


def cut(shape: tuple[int, ...], level: Any, smallest: float) -> tuple[np.ndarray, tuple[np.ndarray, ...], np.ndarray]:
    """Volume fractions (1 in cells left out), face apertures per axis, and which cells are kept.

    Args:
        shape: cells per axis.
        level: φ on the nodes, shape ``(n_k + 1, …)``.
        smallest: cells with a smaller fraction are left out and their faces closed.
    """
    if not 0 <= number("smallest", smallest, single=True) < 1:
        raise ValueError(f"Argument `smallest` must lie in [0, 1), but {smallest!r} was given.")
    values = as_number(level)
    if problem := not_a_number(values):
        raise ValueError(f"Argument `level` {problem}.")
    values = np.asarray(values, np.float64)
    nodes = tuple(n + 1 for n in shape)
    if values.shape != nodes:
        raise ValueError(
            f"Argument `level` must have one value per node, shape {nodes}, but has {values.shape}. "
            "Evaluate φ at the corners of the cells, `grid.faces(k)`."
        )
    if not np.all(np.isfinite(values)):
        raise ValueError("Argument `level` must be finite, but it contains NaN or infinity.")
    axes = tuple(range(len(shape)))
    fractions = _fraction(values, axes)
    inside = (fractions > 0) & (fractions >= smallest)
    if not inside.any():
        raise ValueError("Argument `level` must be negative somewhere (tissue is φ < 0), but no cell has tissue.")
    apertures = tuple(_fraction(values, tuple(j for j in axes if j != k)) for k in axes)
    return np.where(inside, fractions, 1.0), apertures, inside


def _fraction(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Part with φ < 0 of the boxes spanned by neighbouring nodes along ``axes``; the other axes stay nodal."""
    if not axes:
        return (values < 0).astype(np.float64)
    total: Any = 0.0
    orders = list(permutations(axes))
    for order in orders:
        corner: set[int] = set()
        vertices = [_corner(values, axes, corner)]
        for axis in order:
            corner = corner | {axis}
            vertices.append(_corner(values, axes, corner))
        total = total + _simplex(np.sort(np.stack(vertices), axis=0))
    return np.clip(total / len(orders), 0.0, 1.0)


def _corner(values: np.ndarray, axes: tuple[int, ...], high: set[int]) -> np.ndarray:
    pick = [slice(None)] * values.ndim
    for axis in axes:
        pick[axis] = slice(1, None) if axis in high else slice(0, -1)
    return values[tuple(pick)]


def _simplex(sorted_values: np.ndarray) -> np.ndarray:
    """Part with φ < 0 of simplices; vertex values sorted along the first axis."""
    negative = np.sum(sorted_values < 0, axis=0)
    count = sorted_values.shape[0]
    out = np.where(negative == count, 1.0, 0.0)
    one = _tip(sorted_values[0], sorted_values[1:])
    rest = 1.0 - _tip(sorted_values[-1], sorted_values[:-1])
    out = np.where((negative == 1) & (count > 1), one, out)
    out = np.where((negative == count - 1) & (count > 2), rest, out)
    if count == 4:
        out = np.where(negative == 2, _wedge(*sorted_values), out)
    return out


def _quotient(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)


def _tip(tip: np.ndarray, others: np.ndarray) -> np.ndarray:
    out = np.ones_like(tip)
    for other in others:
        out = out * _quotient(tip, tip - other)
    return out


def _wedge(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    top = a * a * b * b - (c + d) * a * b * (a + b) + c * d * (a * a + a * b + b * b)
    return _quotient(top, (a - c) * (a - d) * (b - c) * (b - d))
