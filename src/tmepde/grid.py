"""Where: cell-centred grids in one, two or three dimensions, radial grids, and masks for irregular tissue.

A grid is a product of axes. Each axis has cells of width w_i and a metric exponent m: faces carry the area r^m and
cells the metric width ∫ r^m dr, so that one flux balance

    (1/W_i) · (A_{i+½} F_{i+½} − A_{i−½} F_{i−½})

is right for a slab (m = 0), a cylinder (m = 1) and a sphere (m = 2). Shape is static, extent is data: a new spacing
never recompiles, a new number of cells does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import Field, as_number

_SYMMETRY = {"slab": 0, "cylinder": 1, "sphere": 2}
_NAMES = {1: ("x",), 2: ("y", "x"), 3: ("z", "y", "x")}


def _mask(value: Any) -> Any:
    return value if value is None or isinstance(value, jax.Array | jax.ShapeDtypeStruct) else np.asarray(value)


class Grid(eqx.Module):
    """A cell-centred Cartesian or radial grid.

    Args:
        widths: per axis the cell widths in µm, shape ``(n_k,)``; equal widths are usual, unequal ones allowed.
        origin: per axis the position of the first face in µm.
        mask: boolean array of ``shape``, true inside the tissue; no flux crosses the edge of the mask. ``None``: all.
        periodic: per axis, whether the last cell neighbours the first.
        symmetry: ``"slab"`` (Cartesian), ``"cylinder"`` or ``"sphere"`` (one axis ``r`` ≥ 0).

    Use the constructors :meth:`box`, :meth:`line`, :meth:`square`, :meth:`cube`, :meth:`radial` and :meth:`point`.
    Array axes are ordered ``(z, y, x)``; the last axis is x.
    """

    widths: tuple[Any, ...]
    origin: tuple[Any, ...]
    mask: Any
    shape: tuple[int, ...] = eqx.field(static=True)
    periodic: tuple[bool, ...] = eqx.field(static=True)
    symmetry: str = eqx.field(static=True)

    def __init__(
        self,
        widths: Sequence[Any],
        origin: Sequence[Any] | None = None,
        mask: Any = None,
        periodic: bool | Sequence[bool] = False,
        symmetry: str = "slab",
    ):
        if symmetry not in _SYMMETRY:
            raise ValueError(f"Argument `symmetry` must be one of {sorted(_SYMMETRY)}, but {symmetry!r} was given.")
        self.widths = tuple(as_number(w) for w in widths)
        self.shape = tuple(int(w.shape[0]) for w in self.widths)
        if len(self.shape) not in _NAMES:
            raise ValueError(f"A grid must have 1, 2 or 3 axes, but {len(self.shape)} were given.")
        if symmetry != "slab" and len(self.shape) != 1:
            raise ValueError(f"Symmetry {symmetry!r} needs one axis r, but {len(self.shape)} axes were given.")
        self.origin = tuple(as_number(o) for o in (origin if origin is not None else (0.0,) * len(self.shape)))
        flags = (periodic,) * len(self.shape) if isinstance(periodic, bool) else tuple(bool(p) for p in periodic)
        if len(flags) != len(self.shape):
            raise ValueError(f"`periodic` must have {len(self.shape)} entries, one per axis, but has {len(flags)}.")
        if symmetry != "slab" and any(flags):
            raise ValueError("A radial axis cannot be periodic. Drop `periodic` or use symmetry='slab'.")
        self.periodic, self.symmetry = flags, symmetry
        self.mask = _mask(mask)
        if mask is not None:
            if tuple(self.mask.shape) != self.shape:
                raise ValueError(f"`mask` must have the grid's shape {self.shape}, but has {tuple(self.mask.shape)}.")
            if self.mask.dtype != bool:
                raise ValueError(f"`mask` must be boolean, but its dtype is {self.mask.dtype}. Write `mask > 0`.")
            if isinstance(self.mask, np.ndarray) and not self.mask.any():
                raise ValueError("`mask` must contain tissue, but it is false everywhere.")

    # -- constructors -------------------------------------------------------------------------------------------

    @classmethod
    def box(cls, extent: Sequence[Any], cells: Sequence[int], **options: Any) -> Grid:
        """Equal cells: ``extent`` in µm and ``cells`` per axis, in array order (z, y, x)."""
        if len(extent) != len(cells):
            raise ValueError(f"`extent` has {len(extent)} entries but `cells` has {len(cells)}; they must agree.")
        for n in cells:
            if isinstance(n, bool) or int(n) != n or n < 1:
                raise ValueError(f"`cells` must be whole numbers of at least 1, but {n!r} was given.")
        for length in extent:
            if isinstance(length, int | float) and not (np.isfinite(length) and length > 0):
                raise ValueError(f"`extent` must be positive lengths in µm, but {length!r} was given.")
        widths = []
        for length, n in zip(extent, cells, strict=True):
            xp = jnp if isinstance(length, jax.Array) else np
            widths.append(xp.full((int(n),), as_number(length) / int(n)))
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
        width = (as_number(radius) - as_number(inner)) / cells
        xp = jnp if isinstance(width, jax.Array) else np
        return cls((xp.full((cells,), width),), origin=(inner,), symmetry=symmetry)

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
        return ("r",) if self.symmetry != "slab" else _NAMES[self.ndim]

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
        return self._along(xp.ones_like(f) * f ** _SYMMETRY[self.symmetry], axis)

    def metric_widths(self, axis: int) -> Any:
        """∫ r^m dr over each cell, broadcastable, n entries along ``axis``.

        Written as w·(mean of r^m) so that nothing cancels in float32.
        """
        f, w, m = self.faces(axis), self.widths[axis], _SYMMETRY[self.symmetry]
        a, b = f[:-1], f[1:]
        mean = {0: 1.0, 1: 0.5 * (a + b), 2: (a * a + a * b + b * b) / 3.0}[m]
        return self._along(w * mean, axis)

    def half_widths(self, axis: int) -> Any:
        """Distance from a cell's centre to its faces, broadcastable, n entries along ``axis``."""
        return self._along(0.5 * self.widths[axis], axis)

    @property
    def solid_angle(self) -> float:
        """What one axis stands for: 1 (slab), 2π (cylinder, per length) or 4π (sphere)."""
        return {"slab": 1.0, "cylinder": 2.0 * np.pi, "sphere": 4.0 * np.pi}[self.symmetry]

    def volumes(self) -> Any:
        """Cell volumes of array ``shape``: µm, µm², µm³ (per unit length of what is not resolved); spheres 4π∫r²dr."""
        out: Any = self.solid_angle
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
        masked = "" if self.mask is None else ", masked"
        return f"Grid({cells} cells ({', '.join(self.axes)}){kind}{masked})"
