"""What a model admits: names, values, shapes and sides that fit its grid, and doses that can be given.

Checked on the host, before anything is traced; traced values pass, since nobody knows them yet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from tmepde._arguments import not_a_number
from tmepde._types import is_traced
from tmepde.boundary import sides
from tmepde.grid import Grid
from tmepde.schedule import Schedule
from tmepde.species import Species


def type_of(value: Any) -> str:
    return f"an object of type {type(value).__name__}"


def by_name(label: str, given: Any, wanted: type) -> dict[str, Any]:
    """A copy of a mapping of names to objects of the type ``wanted``."""
    if not isinstance(given, Mapping):
        pairs = list(given) if isinstance(given, list | tuple) else None
        names = [p[0] for p in pairs if isinstance(p, tuple) and len(p) == 2] if pairs is not None else []
        twice = sorted({n for n in names if isinstance(n, str) and names.count(n) > 1})
        if twice:
            raise ValueError(f"`{label}` must name each entry once, but {twice[0]!r} is there twice. Rename one.")
        raise ValueError(f"`{label}` must be a mapping of names, but {type_of(given)} was given. Write {{name: …}}.")
    for name, value in given.items():
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(
                f"`{label}` must have names that are words without dots, but {name!r} was given. Rename it."
            )
        if not isinstance(value, wanted):
            raise ValueError(
                f"`{label}.{name}` must be a tmepde.{wanted.__name__}, but {type_of(value)} was given. "
                f"Write {wanted.__name__}(…)."
            )
    return dict(given)


def _known(value: Any) -> Any:
    """The values of an array that is not traced, else ``None``."""
    if isinstance(value, np.ndarray):
        return value
    return np.asarray(value) if isinstance(value, jax.Array) and not is_traced(value) else None


def check_tissue(name: str, value: Any, grid: Grid) -> None:
    values = _known(value)
    if values is None:
        return
    if values.ndim == grid.ndim and values.shape != grid.shape and values.size > 1:
        raise ValueError(f"`tissue.{name}` must be a number or have shape {grid.shape}, but has shape {values.shape}.")
    if not np.all(np.isfinite(values)):
        raise ValueError(f"`tissue.{name}` must be finite, but it contains NaN or infinity. Mask such cells.")


def check_species(name: str, species: Species, grid: Grid) -> None:
    for k, pair in enumerate(sides(species.boundary, grid.axes)):
        for sign, condition in zip("-+", pair, strict=True):
            _check_side(f"{name}.boundary.{grid.axes[k]}{sign}", condition, species, grid, k)
    if isinstance(species.boundary, Mapping) and "r-" in species.boundary and _has_centre(grid):
        raise ValueError(
            f"`{name}.boundary.r-` must be left out: it is the centre r = 0, which has no area: nothing crosses it. "
            "Write 'r+', give the grid an `inner` radius, or hold the cells there with `held`."
        )
    parts = [_known(d) for d in jax.tree.leaves(species.diffusivity)]
    if species.kind in ("local", "compartment") and any(d is not None and np.any(d != 0) for d in parts):
        raise ValueError(
            f"`{name}.diffusivity` needs a species that moves, but its kind is {species.kind!r}. "
            "Leave it out, or use kind='transported' or 'quasi_steady'."
        )
    wanted = () if species.kind == "compartment" else grid.shape
    checked = (
        ("initial", species.initial, -np.inf if species.signed else 0.0, wanted),
        ("negligible", species.negligible, 0.0, ()),
        *((label, value, least, grid.shape) for label, value, least in _diffusivities(name, species.diffusivity, grid)),
    )
    for label, value, least, shape in checked:
        problem = not_a_number(value)
        if problem:
            raise ValueError(f"`{name}.{label}` {problem}.")
        values = _known(value)
        if values is None:
            continue
        if values.shape not in ((), shape):
            raise ValueError(f"`{name}.{label}` must be a number or have shape {shape}, but has shape {values.shape}.")
        if not np.all(np.isfinite(values)):
            cell = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
            where = f" in cell {cell}" if cell else ""
            raise ValueError(f"`{name}.{label}` must be finite, but it is {values[cell]}{where}. Correct it.")
        if np.any(values < least):
            raise ValueError(f"`{name}.{label}` must not be negative, but its minimum is {values.min():g}.")
    if species.held is not None and (species.held.shape != grid.shape or species.held.dtype != bool):
        raise ValueError(
            f"`{name}.held` must be a boolean array of shape {grid.shape}, but has shape {species.held.shape} "
            f"and dtype {species.held.dtype}. Write `mask > 0`."
        )


def _has_centre(grid: Grid) -> bool:
    """Whether the radial axis begins at r = 0."""
    first = _known(grid.origin[-1])
    return grid.symmetry != "slab" and first is not None and float(first) == 0.0


def _check_side(path: str, condition: Any, species: Species, grid: Grid, k: int) -> None:
    """Values on a side must fit it, and be of a sign that the species can have."""
    if grid.periodic[k] and type(condition).__name__ != "NoFlux":
        raise ValueError(
            f"`{path}` must be left out, because the grid is periodic along {grid.axes[k]}. "
            "Drop the condition or build the grid with periodic=False."
        )
    side = tuple(1 if j == k else n for j, n in enumerate(grid.shape))
    for label in ("value", "transfer", "outside", "flux"):
        values = _known(getattr(condition, label, None))
        if values is None:
            continue
        if label == "value" and not species.signed and np.any(values < 0):  # the bath of Robin may be an effective one
            raise ValueError(f"`{path}.{label}` must not be negative, but its minimum is {values.min():g}.")
        if values.size not in (1, int(np.prod(side))):
            raise ValueError(
                f"`{path}.{label}` must be a number or have the {int(np.prod(side))} values of the side, but has shape "
                f"{values.shape}. Give one value per cell of the side."
            )


def _diffusivities(name: str, value: Any, grid: Grid) -> list[tuple[str, Any, float]]:
    """(label, entry, lower bound) of every entry; a tensor must be symmetric and have no negative direction."""
    if not isinstance(value, tuple):
        return [("diffusivity", value, 0.0)]
    n = grid.ndim
    rows = isinstance(value[0], tuple)
    if len(value) != n or (rows and any(not isinstance(r, tuple) or len(r) != n for r in value)):
        raise ValueError(
            f"`{name}.diffusivity` must have {n} entries (one per axis) or {n} rows of {n}, but {len(value)} "
            "were given."
        )
    if not rows:
        return [(f"diffusivity[{k}]", v, 0.0) for k, v in enumerate(value)]
    flat = [v for row in value for v in row]
    if all(isinstance(v, np.ndarray) for v in flat) and all(np.all(np.isfinite(v)) for v in flat):
        try:
            full = np.stack(np.broadcast_arrays(*flat), axis=-1).reshape(-1, n, n)
        except ValueError:
            full = np.eye(n)[None]  # shapes that do not agree are reported entry by entry
        size = np.max(np.abs(full), initial=0.0)
        if np.max(np.abs(full - np.swapaxes(full, 1, 2)), initial=0.0) > 1e-9 * size:
            raise ValueError(f"`{name}.diffusivity` must be a symmetric tensor, but its rows are not. Symmetrise it.")
        if np.min(np.linalg.eigvalsh(full), initial=0.0) < -1e-9 * size:
            raise ValueError(f"`{name}.diffusivity` must have no negative eigenvalue, but it has one.")
    return [(f"diffusivity[{i}][{j}]", value[i][j], 0.0 if i == j else -np.inf) for i in range(n) for j in range(n)]


def check_required(name: str, intervention: Any, processes: Mapping[str, Any]) -> None:
    missing = [one for one in intervention.requires if one not in processes]
    if missing:
        listed = ", ".join(repr(one) for one in missing)
        raise ValueError(
            f"Intervention {name!r} acts on what the model does not carry: it needs the processes {listed}. "
            "Build the model with them: solid_tumour(..., therapies=plan), or processes={name: True}."
        )


def check_moving(terms: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
    """Nothing may move what stays in its cell.

    Raises:
        ValueError: for a diffusivity, velocity or flow of a local species or a compartment.
    """
    for target in terms:
        name, _, channel = target.rpartition(".")
        if channel in ("diffusivity", "velocity", "flow") and kinds.get(name) in ("local", "compartment"):
            raise ValueError(
                f"`{target}` needs a species that moves, but the kind of {name!r} is {kinds[name]!r}. "
                "Use kind='transported', or leave it out."
            )


def site_problems(intervention: Any, path: str, grid: Grid) -> list[str]:
    """Sentences for a place of injection that is not on the grid; one in a lumen is."""
    site = _known(getattr(intervention, "site", None))
    if site is None:
        return []
    if site.shape != (grid.ndim,) and (site.shape != () or grid.ndim > 1):
        entries = "1 number" if site.shape == () else f"an array of shape {site.shape}"
        return [f"`{path}.site` must have {grid.ndim} entries, one per axis {grid.axes}, but {entries} was given."]
    for k, (axis, place) in enumerate(zip(grid.axes, site.reshape(-1), strict=True)):
        faces = _known(grid.faces(k))
        if faces is not None and not faces[0] <= place <= faces[-1]:
            return [
                f"`{path}.site` must lie on the grid, {axis} in {faces[0]:g} … {faces[-1]:g} µm, but {place:g} µm was "
                "given. Move it."
            ]
    return []


def dose_problems(intervention: Any, path: str) -> list[str]:
    """Sentences for fields that must be schedules and are not, and for doses before the start."""
    found = []
    for field in dataclasses.fields(intervention):
        if "schedule" not in field.metadata:
            continue
        doses = getattr(intervention, field.name)
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if not isinstance(doses, Schedule):
            if doses is not None or required:
                found.append(
                    f"`{path}.{field.name}` must be a schedule, but {doses!r} was given. Write Bolus(at, amount)."
                )
            continue
        at = _known(doses.at)
        if at is not None and np.any(at < 0):
            found.append(
                f"`{path}.{field.name}.at` must be at least 0 h, but {at.min():g} h was given: doses before the start "
                "are not given. Shift the times."
            )
    return found
