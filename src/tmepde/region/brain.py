"""A tumour in a human brain, with the cavity that its resection left: the MNI ICBM152 template.

    D(x)/D = (w + g/contrast)/(w + g)        w, g: shares of white and grey matter

**The maps** are the symmetric non-linear average of 152 adults (ICBM152 2009a; Fonov et al., NeuroImage 54:313, 2011)
as probabilities of grey and white matter in voxels of 1 mm, which the package nilearn brings (0 to 255); its licence
lets anyone use, copy, modify and distribute them (© Louis Collins, McConnell Brain Imaging Centre, McGill University).
Nothing is downloaded. An average brain has blunter folds than any single one.

**Tissue** is where grey and white matter make up half of a voxel; ventricles, sulci and what lies outside are left out
(no flux), and so is the cavity. White matter conducts glioma cells 2 to 100 times better than grey (5 in Swanson 2000).

**Places** are MNI coordinates in the order of the array axes (z, y, x): up, forward, right, with 0 at the anterior
commissure. The grid keeps them, so that the site of an injection is given in them, too.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tmepde.grid import Grid
from tmepde.region.histology import connected, overlap
from tmepde.region.region import Region

#: µm per voxel of the maps
VOXEL = 1000.0
#: share of grey and white matter together from which a voxel is tissue
TISSUE = 0.5
_FILES = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"


class Maps(NamedTuple):
    """Shares of grey and white matter, 0…1, arrays (z, y, x) in voxels of 1 mm; ``origin`` of the first edge in µm."""

    grey: np.ndarray
    white: np.ndarray
    origin: tuple[float, float, float]


def read_maps() -> Maps:
    """The maps that nilearn brings; nilearn itself is not imported, which takes seconds.

    Raises:
        ImportError: without nilearn or nibabel, with the remedy.
    """
    for package in ("nilearn", "nibabel"):
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f"The tissue 'brain_mni' needs {package} for its maps. Install it with `pip install 'tmepde[image]'`."
            )
    import nibabel

    spec = importlib.util.find_spec("nilearn")
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    found = []
    for kind in ("gm", "wm"):
        path = folder / _FILES.format(kind)
        if not path.is_file():
            raise ImportError(
                f"The tissue 'brain_mni' needs the map {path.name} of nilearn, but this version does not bring it. "
                "Install another with `pip install 'nilearn>=0.14'`."
            )
        image: Any = nibabel.load(path)
        found.append(np.asarray(image.dataobj, np.float64).T / 255.0)  # (x, y, z) → (z, y, x)
    corner = image.affine[:3, 3] - 0.5  # mm; the axes of the file run right, forward and up in steps of 1 mm
    return Maps(found[0], found[1], tuple(float(c) * VOXEL for c in corner[::-1]))  # type: ignore[arg-type]


def brain_mni(
    voxel_size: float,
    extent: Sequence[float],
    center: Sequence[float],
    radius: float,
    tumour_center: Sequence[float] | None = None,
    infiltration: float = 0.0,
    cavity_radius: float = 0.0,
    cavity_center: Sequence[float] | None = None,
    contrast: float = 5.0,
    white_vessels: float = 0.5,
    maps: Maps | None = None,
) -> Region:
    """A ball of tumour in a block of brain, less the ball that was resected.

    Lengths in µm; places are MNI coordinates (z, y, x) in µm.

    Args:
        voxel_size: edge of the grid's cubes, at least 1000.
        extent: size of the block per axis; what does not fill a voxel is left out.
        center: middle of the block, met within half a millimetre.
        radius: of the tumour.
        tumour_center: default ``center``.
        infiltration: ℓ, the tumour's share falls as exp(−d/ℓ) at the distance d outside of the ball; 0 is a sharp edge.
            √(D/r) is that of a travelling wave, 3.3 mm for D = 0.13 mm²/day and r = 0.012/day.
        cavity_radius: 0 is no cavity; it is left out of the tissue.
        cavity_center: default that of the tumour.
        contrast: motility of tumour cells in white over that in grey matter, ≥ 1.
        white_vessels: vessel density in white over that in grey matter; the mean over the tissue is 1.
        maps: default those of :func:`read_maps`.

    Raises:
        ValueError: for a block outside the maps or without tissue, or a tumour that the cavity leaves nothing of.
        ImportError: without nilearn or nibabel.
    """
    _check(voxel_size, extent, center, radius, contrast)
    maps = read_maps() if maps is None else maps
    cells = [int(e / voxel_size + 1e-9) for e in extent]
    grey, white, origin = _block(maps, cells, float(voxel_size), center)
    grid = Grid.box([n * voxel_size for n in cells], cells, origin=origin)
    middle = center if tumour_center is None else tumour_center
    inside = grey + white >= TISSUE
    if cavity_radius > 0:
        inside &= _distance(grid, middle if cavity_center is None else cavity_center) > cavity_radius
    if not inside.any():
        raise ValueError("`center` must lie in the brain, but no voxel of the block is brain tissue. Move the block.")
    inside = connected(inside)
    return _region(grid, inside, grey, white, _distance(grid, middle) - radius, infiltration, contrast, white_vessels)


def _region(
    grid: Grid,
    inside: np.ndarray,
    grey: np.ndarray,
    white: np.ndarray,
    margin: np.ndarray,
    infiltration: float,
    contrast: float,
    white_vessels: float,
) -> Region:
    width = float(np.mean(np.asarray(grid.widths[0])))
    tumour = np.clip(0.5 - margin / width, 0.0, 1.0)
    if infiltration > 0:
        tumour = np.maximum(tumour, np.exp(-np.maximum(margin, 0.0) / infiltration))
    tumour = np.where(inside, tumour, 0.0)
    if not tumour.any():
        raise ValueError("`radius` must leave tumour beside the cavity, but nothing of it is left. Enlarge `radius`.")
    tissue = np.maximum(grey + white, 1e-9)
    motility = np.where(inside, (white + grey / contrast) / tissue, 0.0)
    vessels = np.where(inside, (grey + white_vessels * white) / tissue, 0.0)
    masked = Grid(grid.widths, grid.origin, inside)
    ones = inside.astype(float)
    scaled = vessels / max(float(vessels[inside].mean()), 1e-9)
    return Region(masked, tumour, ones - tumour, scaled, ones, margin, motility)


def _check(voxel_size: float, extent: Any, center: Any, radius: float, contrast: float) -> None:
    if not (np.isfinite(voxel_size) and voxel_size >= VOXEL):
        raise ValueError(f"`voxel_size` must be at least {VOXEL:g} µm, as the maps have, but {voxel_size!r} was given.")
    if len(extent) != 3 or len(center) != 3:
        raise ValueError("`extent` and `center` must have 3 entries (z, y, x). Write all three.")
    if not min(extent) >= 2 * voxel_size:
        raise ValueError(f"`extent` must be at least two voxels each way, but {list(extent)!r} was given. Enlarge it.")
    if not (np.isfinite(radius) and radius > 0):
        raise ValueError(f"`radius` must be a positive length in µm, but {radius!r} was given.")
    if not contrast >= 1:
        raise ValueError(f"`contrast` must be at least 1, but {contrast!r} was given. 5 is Swanson's.")


def _block(
    maps: Maps, cells: Sequence[int], voxel_size: float, center: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Grey and white matter averaged over the voxels of the block, and its first corner."""
    parts, origin, ratio = [], [], voxel_size / VOXEL
    for k, (axis, n) in enumerate(zip("zyx", cells, strict=True)):
        size = int(np.ceil(n * ratio - 1e-9))
        low = round((center[k] - maps.origin[k]) / VOXEL - 0.5 * n * ratio)
        if low < 0 or low + size > maps.grey.shape[k]:
            first, last = maps.origin[k] / VOXEL, maps.origin[k] / VOXEL + maps.grey.shape[k]
            raise ValueError(
                f"`extent` must stay inside the maps, {axis} from {first:g} to {last:g} mm, but the block runs from "
                f"{first + low:g} to {first + low + size:g} mm. Move `center` or shrink `extent`."
            )
        parts.append((slice(low, low + size), overlap(size, n, ratio)))
        origin.append(maps.origin[k] + low * VOXEL)

    def averaged(values: np.ndarray) -> np.ndarray:
        values = values[tuple(s for s, _ in parts)]
        return np.einsum("ai,bj,ck,ijk->abc", *(w for _, w in parts), values, optimize=True)

    return averaged(maps.grey), averaged(maps.white), tuple(origin)


def _distance(grid: Grid, place: Sequence[float]) -> np.ndarray:
    """µm from each cell centre to ``place``."""
    return np.sqrt(sum((np.asarray(x) - p) ** 2 for x, p in zip(grid.coordinates(), place, strict=True)))
