"""Problems that show only when two sections of a config are read together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tmepde.config.errors import Problem, suggest
from tmepde.config.modules import carried, catalogue, of_library
from tmepde.config.schema import PICTURES
from tmepde.config.section import dotted, shown

#: name under which the picture bundled with scikit-image is known, and bytes of the largest picture file
BUNDLED, LARGEST_PICTURE = "ihc", 2**30


def disagreements(raw: Mapping[str, Any], parts: Mapping[str, Any], folder: str) -> list[Problem]:
    """All of them.

    Args:
        raw: the tables as they were written.
        parts: the sections that were good by themselves.
        folder: where files that the config names are looked up.
    """
    return [
        *_arms(raw, parts),
        *_places(raw, parts),
        *_picture(parts.get("tissue"), folder),
        *_fields(parts),
        *_species(parts),
        *_sites(parts),
    ]


def species_of(parts: Mapping[str, Any]) -> set[str]:
    """Names of the species of a model and of the interventions chosen, as far as the catalogue knows them."""
    model = parts.get("model")
    names: set[str] = set()
    if model is not None and of_library(model):
        entry = catalogue()["models"][model.kind]
        absent = set(entry["optional"]) - carried(model, parts.get("interventions") or {})
        kept = {s for n, own in entry["brought"].items() if n not in absent for s in own}
        names = set(entry["species"]) - {s for n in absent for s in entry["brought"][n]} | kept
    for section in (parts.get("interventions") or {}).values():
        names |= set(catalogue()["interventions"].get(getattr(section, "kind", ""), {}).get("species", ()))
    return names


def _quoted(name: str) -> str:
    return repr(name) if len(name) <= 60 else f"{name[:57]!r}…"


def _foreign(parts: Mapping[str, Any]) -> bool:
    """Whether an intervention is of another package, or the model no one of the library: they may bring anything."""
    if parts.get("model") is not None and not of_library(parts["model"]):
        return True
    kinds = [getattr(s, "kind", "") for s in (parts.get("interventions") or {}).values()]
    return any(kind not in catalogue()["interventions"] for kind in kinds)


def _arms(raw: Mapping[str, Any], parts: Mapping[str, Any]) -> list[Problem]:
    problems = []
    names = raw.get("interventions") if isinstance(raw.get("interventions"), Mapping) else {}
    for arm, members in parts.get("arms", {}).items():
        for member in members:
            if member not in (names or {}):
                message = f"names {_quoted(member)}, which is not in [interventions]. {suggest(member, names or {})}"
                problems.append(Problem(dotted(("arms", arm)), message))
    return problems


def _places(raw: Mapping[str, Any], parts: Mapping[str, Any]) -> list[Problem]:
    tissue, grid = parts.get("tissue"), parts.get("grid")
    if tissue is not None and tissue.kind in PICTURES and "grid" in raw:
        return [Problem("grid", f"must be left out: the tissue {tissue.kind!r} brings its own. Drop it.")]
    if "grid" not in raw and "tissue" not in raw:
        return [Problem("grid", "must be given, but is missing. Add [grid], or a [tissue] from a picture.")]
    if "grid" not in raw and tissue is not None and tissue.kind not in PICTURES:
        return [Problem("grid", f"must be given for the tissue {tissue.kind!r}, but is missing. Add [grid].")]
    if grid is not None and tissue is not None and tissue.kind == "nodule":
        return _nodule(grid, tissue)
    return []


def _nodule(grid: Any, tissue: Any) -> list[Problem]:
    if grid.kind == "radial":
        if tissue.center is not None:
            return [
                Problem("tissue.center", "has no meaning on a radial grid, whose nodule sits at r = 0. Leave it out.")
            ]
        if tissue.radius > grid.radius:
            message = f"must be at most the grid's {grid.radius:g} um, but {tissue.radius:g} um was given."
            return [Problem("tissue.radius", f"{message} Enlarge the grid.")]
        nearest, width = grid.inner + 0.5 * (grid.radius - grid.inner) / grid.cells, 0.0
        width = (grid.radius - grid.inner) / grid.cells
        return _reaches(tissue.radius, nearest, width)
    middle = tuple(0.0 if a == "r" else 0.5 * e for a, e in zip(grid.axes, grid.extent, strict=True))
    center = tissue.center if tissue.center is not None else middle
    problems = _inside("tissue.center", center, grid)
    if problems:
        return problems
    if grid.kind == "axisymmetric":
        if center[1] != 0.0:
            message = f"must lie on the axis, but r = {center[1]:g} um was given. Write 0 um there."
            return [Problem("tissue.center", message)]
        return []  # whether the nodule reaches a cell is found when it is made
    widths = [e / n for e, n in zip(grid.extent, grid.cells, strict=True)]
    off = [_to_centre(c, w, n) for c, w, n in zip(center, widths, grid.cells, strict=True)]
    return _reaches(tissue.radius, math.hypot(*off), math.prod(widths) ** (1 / len(widths)))


def _to_centre(place: float, width: float, cells: int) -> float:
    """Distance along one axis from ``place`` to the nearest cell centre."""
    index = min(max(math.floor(place / width), 0), cells - 1)
    return abs(place - (index + 0.5) * width)


def _reaches(radius: float, nearest: float, width: float) -> list[Problem]:
    """A nodule fills a cell by 0.5 − (distance − radius)/width; it must reach one."""
    if radius > nearest - 0.5 * width:
        return []
    return [
        Problem(
            "tissue.radius",
            f"must be large enough for the nodule to reach a cell of {width:g} um, but {radius:g} um was given. "
            "Enlarge it or use smaller cells.",
        )
    ]


def _inside(path: str, place: Any, grid: Any) -> list[Problem]:
    """A place in the grid, one entry per axis."""
    ends = [(grid.inner, grid.radius)] if grid.kind == "radial" else [(0.0, e) for e in grid.extent]
    if len(place) != len(ends):
        message = f"must have {len(ends)} entries like the grid, but {len(place)} were given. Write all."
        return [Problem(path, message)]
    outside = [c for c, (low, high) in zip(place, ends, strict=True) if not low <= c <= high]
    return (
        [Problem(path, f"must lie inside the grid, but {outside[0]:g} um does not. Move it inside.")] if outside else []
    )


def _picture(tissue: Any, folder: str) -> list[Problem]:
    """The picture must be a file, and its crop in order; what it shows is found out when it is read."""
    found = []
    crop = getattr(tissue, "crop", None)
    if crop is not None and not (0 <= crop[0] < crop[1] and 0 <= crop[2] < crop[3]):
        message = f"must be [row0, row1, column0, column1] with row0 < row1 and column0 < column1, but {list(crop)} was"
        found.append(Problem("tissue.crop", f"{message} given. Reorder it."))
    kind = getattr(tissue, "kind", "")
    if kind == "labels":
        return found + _file("tissue.file", "a file of labels", tissue.file, folder)
    if kind != "image" or tissue.image == BUNDLED:
        return found
    return found + _file("tissue.image", "a picture file", tissue.image, folder)


def _file(key: str, what: str, name: str, folder: str) -> list[Problem]:
    path, given = Path(folder) / name, shown(name)
    try:
        if not name or "\x00" in name or not path.is_file():
            message = f"must be {what} (paths start at the config's folder), but {given} is none. Check the path."
            return [Problem(key, message)]
        if path.stat().st_size > LARGEST_PICTURE:
            message = f"must be at most {LARGEST_PICTURE / 2**30:g} GiB, but {given} is larger. Crop or bin it."
            return [Problem(key, message)]
    except OSError as error:
        return [Problem(key, f"must be readable, but {given} is not: {error.strerror}. Check the path.")]
    return []


def _fields(parts: Mapping[str, Any]) -> list[Problem]:
    save = parts["run"].save if "run" in parts else None
    if save is None or save.fields is None or "model" not in parts or _foreign(parts):
        return []
    known = species_of(parts)
    return [
        Problem("run.save.fields", f"names {_quoted(f)}, which is not a species of this model. {suggest(f, known)}")
        for f in save.fields
        if f not in known
    ]


def _species(parts: Mapping[str, Any]) -> list[Problem]:
    """Changes to species that the model does not carry, and sides that the grid does not have."""
    model, grid = parts.get("model"), parts.get("grid")
    if model is None or _foreign(parts) or model.species is None:
        return []
    known, found = species_of(parts), []
    for name in sorted(model.species.model_fields_set):
        change = getattr(model.species, name)
        if change is None:
            continue
        if name not in known:
            message = "is of an optional process that this model does not carry. Name that process, or its milieu."
            found.append(Problem(dotted(("model", "species", name)), message))
        boundary = getattr(change, "boundary", None)
        if grid is not None and boundary is not None:
            found += _sides(dotted(("model", "species", name, "boundary")), boundary, grid)
    return found


def _sides(path: str, boundary: Any, grid: Any) -> list[Problem]:
    """A side must exist, and not be of a periodic axis."""
    axes: tuple[str, ...] = grid.axes
    periodic = getattr(grid, "periodic", False)
    wraps = dict(zip(axes, periodic if isinstance(periodic, tuple) else (periodic,) * len(axes), strict=True))
    wraps = {axis: around and axis != "r" for axis, around in wraps.items()}
    if hasattr(boundary, "kind"):
        given = {axis: boundary for axis in axes}
    else:
        given = {side: getattr(boundary, side) for side in type(boundary).model_fields}
    found = []
    for side, condition in given.items():
        if condition is None:
            continue
        if side[0] not in axes:
            message = f"is no side of this grid. {suggest(side, [a + s for a in axes for s in ('', '-', '+')])}"
            found.append(Problem(f"{path}.{side}", message))
        elif side == "r-" and grid.inner == 0.0 and condition.kind != "no_flux":
            message = "is the centre, which has no area: nothing crosses it. Write r+, or give the grid an `inner`."
            found.append(Problem(f"{path}.{side}", message))
        elif wraps[side[0]] and condition.kind != "no_flux":
            message = f"must be left out: the grid is periodic along {side[0]}. Drop it, or set grid.periodic = false."
            found.append(Problem(f"{path}.{side}" if not hasattr(boundary, "kind") else path, message))
    return found


def _sites(parts: Mapping[str, Any]) -> list[Problem]:
    """A depot must lie inside the grid."""
    grid, found = parts.get("grid"), []
    if grid is None:
        return []
    for name, section in (parts.get("interventions") or {}).items():
        site = getattr(section, "site", None)
        if site is not None:
            place = site if isinstance(site, tuple) else (site,)
            found += _inside(dotted(("interventions", name, "site")), place, grid)
    return found
