"""``Region``: which part of each cell is tumour nest, which is stroma, and how far the tumour margin is."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import numpy as np

from tmepde._arguments import concrete, entries, given, number
from tmepde.grid import Grid
from tmepde.region.distance import signed_distance

#: arrays of a region, with unit and meaning; what is written into datasets
ARRAYS = {
    "tumour": ("1", "Tumour nest fraction"),
    "stroma": ("1", "Stroma fraction"),
    "vessels": ("1", "Vessel density relative to typical host tissue"),
    "nuclei": ("1", "Nuclei density relative to the mean of the tumour nests"),
    "margin_distance": ("um", "Signed distance to the tumour margin, negative inside the tumour"),
    "motility": ("1", "Random motility of tumour cells relative to the stated one"),
}

CLASSES = ("tumour", "stroma", "vessel")


def _host(value: Any) -> Any:
    """A float64 numpy array on the host; abstract values (inside a trace) and ``None`` pass."""
    return value if value is None or hasattr(value, "aval") else np.asarray(value, np.float64)


class Region(eqx.Module):
    """Tissue classes on a grid. Arrays are float64 of ``grid.shape`` and finite everywhere.

    Args:
        grid: its mask leaves out lumen and background.
        tumour: 0…1, part of the cell that is tumour nest; 0 outside the mask.
        stroma: 0…1, part of the cell that is stroma; ``tumour + stroma`` is 1 inside the mask and 0 outside.
        vessels: vessel density relative to typical host tissue (1).
        nuclei: density of nuclei relative to the mean of the tumour nests (1).
        margin_distance: µm to the boundary between nest and stroma, negative inside the nests. A lumen is no margin:
            depth is counted from the stroma, where T cells enter. Where no margin exists, plus or minus the diagonal
            of the domain.
        motility: random motility of tumour cells relative to that of the model (1), or ``None`` where it is the same
            everywhere: white and grey matter, say.

    Use :meth:`uniform`, :meth:`nodule`, :meth:`from_labels`, or :mod:`tmepde.region.histology` for pictures of
    sections, :mod:`tmepde.region.retina` for a vessel network and :mod:`tmepde.region.brain` for a brain.
    """

    grid: Grid
    tumour: Any = eqx.field(converter=_host)
    stroma: Any = eqx.field(converter=_host)
    vessels: Any = eqx.field(converter=_host)
    nuclei: Any = eqx.field(converter=_host)
    margin_distance: Any = eqx.field(converter=_host)
    motility: Any = eqx.field(converter=_host, default=None)

    def __check_init__(self) -> None:
        for name in ARRAYS:
            value = getattr(self, name)
            if not isinstance(value, np.ndarray):
                continue
            if value.shape != self.grid.shape:
                raise ValueError(f"`{name}` must have the grid's shape {self.grid.shape}, but has {value.shape}.")
            if not np.all(np.isfinite(value)):
                raise ValueError(f"`{name}` must be finite, but it contains NaN or infinity.")
            if name != "margin_distance" and value.min() < 0:
                raise ValueError(f"`{name}` must not be negative, but its minimum is {value.min():g}.")

    @classmethod
    def uniform(cls, grid: Grid) -> Region:
        """Tumour nest everywhere, with vessels of typical density; there is no margin."""
        _known(grid)
        inside = _inside(grid).astype(float)
        return cls(grid, inside, 0.0 * inside, inside, inside, np.full(grid.shape, -_diagonal(grid)))

    @classmethod
    def nodule(cls, grid: Grid, radius: float, center: Sequence[float] | None = None, vessels: float = 1.0) -> Region:
        """A round nodule of ``radius`` µm in stroma: an interval, a disc or a ball; vessels everywhere alike.

        On one axis, radial or not, each cell holds its exact share of it; on more, its edge is smeared over a cell,
        which is of second order in the size of the cells. Warns of a radius below a cell, which shows no shape.

        Args:
            grid: any; on a radial grid the nodule is r < ``radius``.
            radius: µm, > 0.
            center: µm per axis in array order (z, y, x); default the middle of the domain. Not for radial grids;
                on axisymmetric ones (z, 0).
            vessels: their density relative to typical host tissue; 0 for a spheroid in culture.
        """
        concrete("The `radius` of a nodule", radius, center, vessels)
        _known(grid)
        vessels = number("vessels", vessels, low=0.0, single=True)
        radius = number("radius", radius, "um", above=0.0, single=True)
        middle = _middle(grid, center)
        away = [np.asarray(x, float) - c for x, c in zip(grid.coordinates(), middle, strict=True)]
        distance = np.sqrt(sum(x**2 for x in away)) - float(radius)
        width = np.prod([np.asarray(w).mean() for w in grid.widths]) ** (1.0 / grid.ndim)
        inside = _inside(grid)
        share = _share(grid, middle[0], float(radius)) if grid.ndim == 1 else np.clip(0.5 - distance / width, 0.0, 1.0)
        fraction = np.where(inside, share, 0.0)
        if not fraction.any():
            raise ValueError(
                f"`radius` must be large enough for the nodule to reach a cell, but {float(radius):g} µm was given "
                f"for cells of {width:g} µm. Enlarge `radius` or move `center` into the tissue."
            )
        if float(radius) < width * (1 - 1e-9):
            lost = "its shape is" if grid.ndim == 1 else "its shape and its volume are"
            warnings.warn(
                f"`radius` is {float(radius):g} µm, less than a cell of {width:g} µm, where {lost} lost. "
                "Use finer cells.",
                stacklevel=2,
            )
        ones = inside.astype(float)
        return cls(grid, fraction, ones - fraction, float(vessels) * ones, ones, distance)

    @classmethod
    def from_labels(cls, grid: Grid, labels: Any, classes: Mapping[str, int | Sequence[int]]) -> Region:
        """A region from a label image of the grid's shape.

        Args:
            grid: its own mask, if any, is kept as well.
            labels: integers, shape ``grid.shape``.
            classes: which labels mean ``"tumour"`` and ``"stroma"``; optionally ``"vessel"``, counted as stroma with
                four times the vessels of its surroundings. All other labels are masked out.
        """
        _known(grid)
        if not isinstance(classes, Mapping):
            raise ValueError(
                f"`classes` must be a mapping of names to labels, but {given(classes)} was given. Write {{NAME: 1}}."
            )
        try:
            labels = np.asarray(labels)
        except ValueError:
            raise ValueError(
                "`labels` must be an array, but lists of unequal lengths were given. Make them equally long."
            ) from None
        _check_labels(grid, labels, classes)
        picked = {name: np.isin(labels, np.atleast_1d(classes.get(name, []))) for name in CLASSES}
        inside = _inside(grid) & (picked["tumour"] | picked["stroma"] | picked["vessel"])
        if not inside.any():
            raise ValueError("`labels` must contain tissue, but no cell belongs to the classes " + f"{dict(classes)}.")
        tumour = inside & picked["tumour"]
        if not tumour.any():
            raise ValueError(
                f"`classes` must name a label of 'tumour' that some cell of the tissue has, but none has "
                f"{classes['tumour']!r}. Name another."
            )
        stroma = inside & ~tumour
        vessels = np.where(stroma, 1.0, 0.0) + 3.0 * (inside & picked["vessel"])
        if stroma.any():
            vessels /= vessels[stroma].mean()
        masked = Grid(grid.widths, grid.origin, inside, grid.periodic, grid.symmetry, grid.fractions, grid.apertures)
        distance = signed_distance(tumour, stroma, [np.asarray(grid.centers(k)) for k in range(grid.ndim)])
        return cls(masked, tumour, stroma, vessels, inside, np.clip(distance, -_diagonal(grid), _diagonal(grid)))

    def __repr__(self) -> str:
        volumes = np.asarray(self.grid.volumes())
        total = max(float(volumes.sum()), 1e-300)
        share = {name: float((volumes * getattr(self, name)).sum()) / total for name in ("tumour", "stroma")}
        masked = 1.0 - float(_inside(self.grid).mean())
        return (
            f"Region on {self.grid}\n├─ tumour nests {share['tumour']:.0%} of the tissue\n"
            f"├─ stroma {share['stroma']:.0%}\n└─ {masked:.0%} of the cells are masked out"
        )


def _inside(grid: Grid) -> np.ndarray:
    return np.ones(grid.shape, bool) if grid.mask is None else np.asarray(grid.mask)


def _diagonal(grid: Grid) -> float:
    return float(np.sqrt(sum(float(np.sum(np.asarray(w))) ** 2 for w in grid.widths)))


def _share(grid: Grid, middle: float, radius: float) -> np.ndarray:
    """∫ r^m dr over the part of each cell within ``radius`` of ``middle``, by that over the cell; one axis."""
    faces, m = np.asarray(grid.faces(0), float), grid.metric[0]
    low, high = faces[:-1], faces[1:]

    def integral(a: np.ndarray, b: np.ndarray) -> np.ndarray:  # without the cancellation of b^(m+1) − a^(m+1)
        return (b - a) * sum(a**k * b ** (m - k) for k in range(m + 1))

    ends = (np.clip(middle + way * radius, low, high) for way in (-1, 1))
    return integral(*ends) / integral(low, high)


def _known(grid: Any) -> None:
    if not isinstance(grid, Grid):
        raise ValueError(f"`grid` must be a tmepde.Grid, but {given(grid)} was given. Write Grid.square(…), say.")


def _middle(grid: Grid, center: Sequence[float] | None) -> list[float]:
    """``center`` in µm per axis, or what it is by default."""
    if grid.symmetry in ("cylinder", "sphere") and center is not None:
        raise ValueError("`center` has no meaning on a radial grid, whose nodule sits at r = 0. Leave it out.")
    if grid.symmetry in ("cylinder", "sphere"):
        return [0.0]
    faces = [np.asarray(grid.faces(k), float) for k in range(grid.ndim)]
    if center is None:
        center = [0.0 if a == "r" else 0.5 * (f[0] + f[-1]) for a, f in zip(grid.axes, faces, strict=True)]
    center = [number("center", c, "um", single=True) for c in entries("center", center, "places in µm, one per axis")]
    if len(center) != grid.ndim:
        raise ValueError(f"`center` must have {grid.ndim} entries, one per axis {grid.axes}, but {center!r} was given.")
    for name, c, f in zip(grid.axes, center, faces, strict=True):
        if name == "r" and float(c) != 0.0:
            raise ValueError(f"`center` must lie on the axis, but r = {c!r} was given. Write 0 there.")
        if name != "r" and not f[0] <= c <= f[-1]:
            raise ValueError(
                f"`center` must lie in the domain, {name} in {f[0]:g} … {f[-1]:g} µm, but {c!r} was given."
            )
    return [float(c) for c in center]


def _check_labels(grid: Grid, labels: np.ndarray, classes: Mapping[str, Any]) -> None:
    if labels.shape != grid.shape:
        raise ValueError(f"`labels` must have the grid's shape {grid.shape}, but has {labels.shape}.")
    if labels.dtype.kind not in "iub":
        raise ValueError(f"`labels` must be integers, but their dtype is {labels.dtype}. Write `labels.astype(int)`.")
    unknown = sorted(set(classes) - set(CLASSES))
    if unknown or "tumour" not in classes:
        raise ValueError(
            "`classes` must name the labels of 'tumour' and may name those of 'stroma' and 'vessel', "
            f"but {dict(classes)!r} was given."
        )
    for name in classes:
        labelled = np.atleast_1d(classes[name])
        if not labelled.size and name == "tumour":
            raise ValueError("`classes` must name a label of 'tumour', but its list is empty. Write the label.")
        kind = labelled.dtype.kind
        whole = kind in "iub" or kind == "f" and np.all(labelled == np.round(labelled))
        if not whole:
            raise ValueError(
                f"`classes` must give labels as whole numbers, but {name!r} has {classes[name]!r}, which no pixel can "
                "be. Write whole numbers."
            )
    named = [int(label) for name in classes for label in np.unique(np.atleast_1d(classes[name]))]
    twice = sorted({label for label in named if named.count(label) > 1})
    if twice:
        raise ValueError(f"`classes` must give each label one meaning, but {twice[0]} has two. Drop one of them.")
