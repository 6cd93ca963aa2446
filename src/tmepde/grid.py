"""Where: cell-centred grids in one, two or three dimensions, radial and axisymmetric grids, masks and cut cells.

A grid is a product of axes. Each axis has cells of width w_i and a metric exponent m: faces carry the area r^m and
cells the metric width ∫ r^m dr, so that one flux balance

    (1/W_i) · (A_{i+½} F_{i+½} − A_{i−½} F_{i−½})

is right for a slab (m = 0), a cylinder (m = 1) and a sphere (m = 2); an axisymmetric grid (z, r) has m = 0 along z and
m = 1 along r. Where a level set cuts a cell, its volume is multiplied by the fraction and its faces by the apertures
inside. Shape is static, extent is data: a new spacing never recompiles, a new number of cells does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._arguments import boolean, entries, given, number, word
from tmepde._heap import suit_heaps
from tmepde._types import Field, Whole
from tmepde.cut_cells import cut

#: metric exponents of the axes; Cartesian axes have 0
_METRIC = {"slab": (0, 0, 0), "cylinder": (1,), "sphere": (2,), "axisymmetric": (0, 1)}
_SOLID_ANGLE = {"slab": 1.0, "cylinder": 2.0 * np.pi, "sphere": 4.0 * np.pi, "axisymmetric": 2.0 * np.pi}
_NAMES = {1: ("x",), 2: ("y", "x"), 3: ("z", "y", "x")}


#: cells of the largest grid: one float32 field of them is 4 GiB
MOST_CELLS = 2**30


def _counts(cells: Sequence[Any]) -> tuple[int, ...]:
    """Numbers of cells per axis, checked before anything of that size is made."""
    for n in cells:
        known = isinstance(n, int | float | np.number) and not isinstance(n, bool | np.timedelta64 | complex)
        if not known or not abs(n) < 2**62 or int(n) != n or n < 1:
            raise ValueError(f"`cells` must be whole numbers of at least 1, but {given(n)} was given. Write a number.")
    counts = tuple(int(n) for n in cells)
    total = float(np.prod([float(n) for n in counts]))
    if total > MOST_CELLS:
        raise ValueError(
            f"`cells` must be at most {MOST_CELLS} in all, but {list(counts)} are {total:.3g}: "
            f"{total * 4 / 2**30:.3g} GiB for every float32 field. Use fewer cells."
        )
    return counts


def _ordered(inner: Any, outer: Any) -> None:
    known = isinstance(inner, np.ndarray) and isinstance(outer, np.ndarray)
    if known and not inner < outer:
        raise ValueError(
            f"`inner` must be less than `radius` = {outer:g} µm, but {inner:g} µm was given. Exchange them."
        )


def _widths(value: Any) -> Any:
    """Cell widths of one axis: one dimension, positive."""
    made = number("widths", value, "um", above=0.0)
    if getattr(made, "ndim", 1) != 1 or made.shape[0] == 0:
        raise ValueError(
            f"`widths` must hold one list of cell widths per axis, but an entry has shape {tuple(made.shape)}. "
            "Use Grid.line, Grid.square, Grid.box or Grid.radial for equal cells."
        )
    return made


def _flags(periodic: Any, axes: int) -> tuple[bool, ...]:
    """Whether each axis is periodic."""
    if isinstance(periodic, bool | np.bool_):
        return (bool(periodic),) * axes
    flags = entries("periodic", periodic, "True or False, one per axis")
    for one in flags:
        if not isinstance(one, bool | int | np.bool_ | np.integer) or one not in (0, 1):
            raise ValueError(f"`periodic` must be True or False, but {given(one)} was given. Write one per axis.")
    if len(flags) != axes:
        raise ValueError(f"`periodic` must have {axes} entries, one per axis, but has {len(flags)}.")
    return tuple(bool(one) for one in flags)


def _aspect(widths: tuple[Any, ...]) -> tuple[int, ...]:
    """How many times the cells of the finest axis must be doubled to be as long as those of each axis (rounded).

    The multigrid merges cells along short sides first. Nothing else depends on it; traced widths count as equal.
    """
    if not all(isinstance(w, np.ndarray) and np.all(w > 0) for w in widths):
        return (0,) * len(widths)
    means = [float(np.mean(w)) for w in widths]
    return tuple(round(np.log2(m / min(means))) for m in means)


def _equal(widths: tuple[Any, ...], metric: tuple[int, ...]) -> tuple[bool, ...]:
    """Whether all cells along an axis have the same metric width; traced widths count as unequal."""
    return tuple(
        m == 0 and isinstance(w, np.ndarray) and bool(np.all(w == w[0])) for w, m in zip(widths, metric, strict=True)
    )


class Grid(Whole):
    """A cell-centred Cartesian, radial or axisymmetric grid.

    Args:
        widths: per axis the cell widths in µm, shape ``(n_k,)``; equal widths are usual, unequal ones allowed.
        origin: per axis the position of the first face in µm.
        mask: boolean array of ``shape``, true inside the tissue; no flux crosses the edge of the mask. ``None``: all.
        periodic: per axis, whether the last cell neighbours the first.
        symmetry: ``"slab"`` (Cartesian), ``"cylinder"`` or ``"sphere"`` (one axis ``r`` ≥ 0), or ``"axisymmetric"``
            (axes ``z`` and ``r`` ≥ 0).
        fractions: part of each cell that is tissue, in (0, 1], array of ``shape``; ``None``: whole cells.
        apertures: per axis the open part of each face, n_k + 1 entries along axis k; ``None``: whole faces.

    Use the constructors :meth:`box`, :meth:`line`, :meth:`square`, :meth:`cube`, :meth:`radial`, :meth:`axisymmetric`
    and :meth:`point`; :meth:`with_level_set` cuts the cells at a curved edge and sets ``fractions`` and ``apertures``.
    Array axes are ordered ``(z, y, x)``; the last axis is x.
    """

    widths: tuple[Any, ...]
    origin: tuple[Any, ...]
    mask: Any
    fractions: Any
    apertures: tuple[Any, ...] | None
    shape: tuple[int, ...] = eqx.field(static=True)
    periodic: tuple[bool, ...] = eqx.field(static=True)
    symmetry: str = eqx.field(static=True)
    aspect: tuple[int, ...] = eqx.field(static=True)
    equal: tuple[bool, ...] = eqx.field(static=True)

    def __init__(
        self,
        widths: Sequence[Any],
        origin: Sequence[Any] | None = None,
        mask: Any = None,
        periodic: bool | Sequence[bool] = False,
        symmetry: str = "slab",
        fractions: Any = None,
        apertures: Sequence[Any] | None = None,
    ):
        word("symmetry", symmetry, sorted(_METRIC), "Choose one of these.")
        self.widths = tuple(_widths(w) for w in entries("widths", widths, "cell widths, one list per axis"))
        self.shape = tuple(int(w.shape[0]) for w in self.widths)
        if len(self.shape) not in _NAMES:
            raise ValueError(f"`widths` must be of 1, 2 or 3 axes, but has {len(self.shape)} entries, one per axis.")
        if symmetry == "axisymmetric" and len(self.shape) != 2:
            raise ValueError(f"Symmetry {symmetry!r} needs two axes (z, r), but {len(self.shape)} axes were given.")
        if symmetry in ("cylinder", "sphere") and len(self.shape) != 1:
            raise ValueError(f"Symmetry {symmetry!r} needs one axis r, but {len(self.shape)} axes were given.")
        starts = (0.0,) * len(self.shape) if origin is None else entries("origin", origin, "places, one per axis")
        if len(starts) != len(self.shape):
            raise ValueError(f"`origin` must have {len(self.shape)} entries, one per axis, but has {len(starts)}.")
        self.origin = tuple(number("origin", o, "um", single=True) for o in starts)
        if symmetry != "slab":
            number("origin", self.origin[-1], "um", low=0.0)  # a radius
        flags = _flags(periodic, len(self.shape))
        if symmetry != "slab" and flags[-1]:
            raise ValueError("A radial axis cannot be periodic. Drop `periodic` or use symmetry='slab'.")
        self.periodic, self.symmetry = flags, symmetry
        self.aspect = _aspect(self.widths)
        self.equal = _equal(self.widths, self.metric)
        mask = np.ones(self.shape, bool) if mask is None and fractions is not None else mask
        self.mask = boolean("mask", mask)
        if mask is not None:
            if tuple(self.mask.shape) != self.shape:
                raise ValueError(f"`mask` must have the grid's shape {self.shape}, but has {tuple(self.mask.shape)}.")
            if self.mask.dtype != bool:
                raise ValueError(f"`mask` must be boolean, but its dtype is {self.mask.dtype}. Write `mask > 0`.")
            if isinstance(self.mask, np.ndarray) and not self.mask.any():
                raise ValueError("`mask` must contain tissue, but it is false everywhere.")
        self.fractions = None if fractions is None else number("fractions", fractions)
        self.apertures = None if apertures is None else tuple(number("apertures", a) for a in apertures)
        _check_cut(self.shape, self.fractions, self.apertures)
        suit_heaps(math.prod(self.shape))

    # -- constructors -------------------------------------------------------------------------------------------

    @classmethod
    def box(cls, extent: Sequence[Any], cells: Sequence[int], **options: Any) -> Grid:
        """Equal cells: ``extent`` in µm and ``cells`` per axis, in array order (z, y, x)."""
        extent, cells = (
            entries("extent", extent, "lengths, one per axis"),
            entries("cells", cells, "numbers, one per axis"),
        )
        if len(extent) != len(cells):
            raise ValueError(f"`extent` has {len(extent)} entries but `cells` has {len(cells)}; they must agree.")
        counts = _counts(cells)
        lengths = [number("extent", length, "um", above=0.0, single=True) for length in extent]
        widths = []
        for length, n in zip(lengths, counts, strict=True):
            xp = jnp if isinstance(length, jax.Array) else np
            widths.append(xp.full((n,), length / n))
        return cls(widths, **options)

    @classmethod
    def line(cls, extent: Any, cells: int, **options: Any) -> Grid:
        """One axis x of length ``extent`` µm."""
        return cls.box((extent,), (cells,), **options)

    @classmethod
    def square(cls, extent: Any, cells: int, **options: Any) -> Grid:
        """Two equal axes (y, x) of length ``extent`` µm."""
        return cls.box((extent,) * 2, (cells,) * 2, **options)

    @classmethod
    def cube(cls, extent: Any, cells: int, **options: Any) -> Grid:
        """Three equal axes (z, y, x) of length ``extent`` µm."""
        return cls.box((extent,) * 3, (cells,) * 3, **options)

    @classmethod
    def radial(cls, radius: Any, cells: int, symmetry: str = "sphere", inner: Any = 0.0) -> Grid:
        """One axis r from ``inner`` to ``radius`` µm with the symmetry of a sphere, a cylinder or a slab."""
        (count,) = _counts((cells,))
        outer = number("radius", radius, "um", above=0.0, single=True)
        start = number("inner", inner, "um", low=0.0, single=True)
        _ordered(start, outer)
        width = (outer - start) / count
        xp = jnp if isinstance(width, jax.Array) else np
        return cls((xp.full((count,), width),), origin=(start,), symmetry=symmetry)

    @classmethod
    def axisymmetric(cls, height: Any, radius: Any, cells: Sequence[int], inner: Any = 0.0, **options: Any) -> Grid:
        """Axes (z, r): 0 ≤ z ≤ ``height`` and ``inner`` ≤ r ≤ ``radius`` in µm, ``cells`` = (n_z, n_r).

        A body of revolution; z may be periodic (``periodic=(True, False)``).
        """
        cells = entries("cells", cells, "two numbers (n_z, n_r)")
        if len(cells) != 2:
            raise ValueError(f"`cells` must have two entries (n_z, n_r), but {tuple(cells)!r} was given.")
        outer = number("radius", radius, "um", above=0.0, single=True)
        start = number("inner", inner, "um", low=0.0, single=True)
        _ordered(start, outer)
        span = outer - start
        boxed = cls.box((number("height", height, "um", above=0.0, single=True), span), cells)
        return cls(boxed.widths, origin=(0.0, start), symmetry="axisymmetric", **options)

    def with_level_set(self, level: Any, smallest: float = 1e-3) -> Grid:
        """The same grid cut along φ = 0; tissue is where φ < 0.

        Cells become polygons or polyhedra (φ linear on simplices between the nodes): their volumes, and the open parts
        of their faces, replace the staircase of a mask, so that no-flux at a curved edge is nearly of second order.

        Args:
            level: φ on the nodes, shape ``(n_k + 1, …)``, or a function of the node coordinates in array order, e.g.
                ``lambda y, x: numpy.hypot(y - 50, x - 50) - 40``. It must be concrete, not traced.
            smallest: cells with less than this part inside are dropped. They shorten the steps of an explicit drift,
                but dropping more than the default costs accuracy: 0.05 makes diffusion along the edge first order.

        Raises:
            ValueError: for a wrong shape, values that are not finite, or no tissue at all.
        """
        nodes = [np.asarray(self.faces(k), np.float64) for k in range(self.ndim)]
        values = level(*np.meshgrid(*nodes, indexing="ij")) if isinstance(level, Callable) else level  # type: ignore[arg-type]
        fractions, apertures, inside = cut(self.shape, values, smallest)
        if self.mask is not None:
            inside = inside & np.asarray(self.mask)
        return Grid(self.widths, self.origin, inside, self.periodic, self.symmetry, fractions, apertures)

    @classmethod
    def point(cls) -> Grid:
        """A single well-mixed cell: ordinary differential equations."""
        return cls.line(1.0, 1)

    # -- geometry -----------------------------------------------------------------------------------------------

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def axes(self) -> tuple[str, ...]:
        """Axis names in array order."""
        if self.symmetry == "axisymmetric":
            return ("z", "r")
        return ("r",) if self.symmetry != "slab" else _NAMES[self.ndim]

    @property
    def metric(self) -> tuple[int, ...]:
        """Exponent m of r^m per axis; 0 along Cartesian axes."""
        return _METRIC[self.symmetry][: self.ndim]

    @property
    def resolved(self) -> int:
        """How many dimensions of space the cell volumes stand for: 3 on a sphere or an axisymmetric grid."""
        return self.ndim if self.symmetry == "slab" else self.ndim + sum(self.metric)

    def faces(self, axis: int) -> Any:
        """Face positions along ``axis`` in µm, shape ``(n + 1,)``."""
        w = self.widths[axis]
        xp = jnp if isinstance(w, jax.Array) else np
        return self.origin[axis] + xp.concatenate([xp.zeros((1,), w.dtype), xp.cumsum(w)])

    def centers(self, axis: int) -> Any:
        """Cell centres along ``axis`` in µm, shape ``(n,)``."""
        f = self.faces(axis)
        return 0.5 * (f[1:] + f[:-1])

    def coordinates(self) -> tuple[Any, ...]:
        """Cell-centre coordinates, one array of ``shape`` per axis."""
        lines = [self.centers(k) for k in range(self.ndim)]
        xp = jnp if any(isinstance(c, jax.Array) for c in lines) else np
        return tuple(xp.meshgrid(*lines, indexing="ij"))

    def _along(self, values: Any, axis: int) -> Any:
        return values.reshape(tuple(-1 if k == axis else 1 for k in range(self.ndim)))

    def areas(self, axis: int) -> Any:
        """Metric area r^m of the faces along ``axis``, broadcastable, n + 1 entries along ``axis``."""
        f = self.faces(axis)
        xp = jnp if isinstance(f, jax.Array) else np
        return self._along(xp.ones_like(f) * f ** self.metric[axis], axis)

    def metric_widths(self, axis: int) -> Any:
        """∫ r^m dr over each cell, broadcastable, n entries along ``axis``.

        Written as w·(mean of r^m) so that nothing cancels in float32.
        """
        f, w, m = self.faces(axis), self.widths[axis], self.metric[axis]
        a, b = f[:-1], f[1:]
        mean = {0: 1.0, 1: 0.5 * (a + b), 2: (a * a + a * b + b * b) / 3.0}[m]
        return self._along(w * mean, axis)

    def half_widths(self, axis: int) -> Any:
        """Distance from a cell's centre to its faces, broadcastable, n entries along ``axis``."""
        return self._along(0.5 * self.widths[axis], axis)

    @property
    def solid_angle(self) -> float:
        """What the r axis stands for: 1 (slab), 2π (cylinder, per length; axisymmetric) or 4π (sphere)."""
        return _SOLID_ANGLE[self.symmetry]

    def volumes(self) -> Any:
        """Cell volumes of array ``shape``: µm, µm², µm³ (per unit length of what is not resolved); spheres 4π∫r²dr.

        Cut cells count with their part inside, masked ones with 0.
        """
        out: Any = self.solid_angle if self.fractions is None else self.solid_angle * self.fractions
        for k in range(self.ndim):
            out = out * self.metric_widths(k)
        xp = jnp if isinstance(out, jax.Array) else np
        out = xp.broadcast_to(out, self.shape)
        return out if self.mask is None else xp.where(self.mask, out, xp.zeros_like(out))

    def integrate(self, field: Field) -> Any:
        """∫ field dV over the tissue."""
        volumes = self.volumes()
        if self.mask is not None:
            field = jnp.where(self.mask, field, jnp.zeros_like(field))
        return jnp.sum(volumes * field)

    def mean(self, field: Field) -> Any:
        """Volume mean over the tissue."""
        return self.integrate(field) / jnp.sum(self.volumes())

    def __repr__(self) -> str:
        cells = " × ".join(str(n) for n in self.shape)
        kind = "" if self.symmetry == "slab" else f" {self.symmetry}"
        masked = "" if self.mask is None else ", masked" if self.fractions is None else ", cut"
        return f"Grid({cells} cells ({', '.join(self.axes)}){kind}{masked})"


def _check_cut(shape: tuple[int, ...], fractions: Any, apertures: tuple[Any, ...] | None) -> None:
    if (fractions is None) != (apertures is None):
        raise ValueError("`fractions` and `apertures` must be given together. Use `Grid.with_level_set`.")
    if apertures is None or not isinstance(fractions, np.ndarray):
        return
    if tuple(fractions.shape) != shape:
        raise ValueError(f"`fractions` must have the grid's shape {shape}, but has {tuple(fractions.shape)}.")
    if not np.all((fractions > 0) & (fractions <= 1)):
        raise ValueError("`fractions` must lie in (0, 1], but they do not. Leave out empty cells by `mask`.")
    wanted = [tuple(n + (j == k) for j, n in enumerate(shape)) for k in range(len(shape))]
    given = [tuple(a.shape) for a in apertures]
    if given != wanted:
        raise ValueError(f"`apertures` must have the shapes {wanted} of the faces, but have {given}.")
