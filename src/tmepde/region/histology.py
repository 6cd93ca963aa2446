"""Regions from pictures of stained sections (haematoxylin, with DAB marking the tumour cells).

The picture is classified pixel by pixel (:mod:`tmepde.region.segmentation`), then averaged over the cells of a grid.

**Size of a pixel.** The bundled colon section states none. Its nuclei outside the DAB stain measure 18.3 pixels (disc
of equal area, area-weighted median of the objects; :func:`pixel_size_from_nuclei` repeats it). With a nuclear diameter
of 7 µm (assumed) one pixel is 7 / 18.3 = 0.38 µm and the field 0.2 mm wide; 6 to 9 µm would give 0.33 to 0.49 µm. The
pixel size therefore remains a setting: a larger value stands for the same architecture at a larger scale.

**Vessels** (assumed, deterministic). Capillaries cannot be told from fibres without an endothelial stain. Nests carry
none; stroma carries the typical density, raised around the empty lumina found within it (Gaussian, 25 µm), so
that the mean over the stroma is 1 and at most half of it is placed by lumina.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import ndimage

from tmepde.grid import Grid
from tmepde.region.distance import signed_distance
from tmepde.region.region import Region
from tmepde.region.segmentation import STROMA, TUMOUR, VESSEL, Segmentation, segment
from tmepde.region.stains import BUNDLED, cropped, read

#: assumed diameter of a nucleus in µm, from which a pixel size can be estimated
NUCLEUS = 7.0
#: µm per pixel of the bundled colon section: 7 µm / 18.3 pixels (see above)
PIXEL_SIZE = 0.38
#: µm between which nuclei lie in all likelihood (assumed): beyond, the pixel size is probably wrong
NUCLEI = (3.0, 25.0)
#: µm over which a lumen marks its stroma as vascular
VESSEL_SCALE = 25.0
#: nuclear diameters over which nuclei are counted: the height of a columnar cell, whose nucleus sits at its base
NUCLEI_SCALE = 4.0
#: pieces of tissue smaller than this part of the largest are left out
SMALLEST_PIECE = 0.05


def colon_ihc(pixel_size: float = PIXEL_SIZE, cell_size: float = 3.6, crop: Any = None) -> Region:
    """The colon section bundled with scikit-image (FHL2 by DAB, haematoxylin; 512 × 512 pixels, CMMI, no known
    restrictions): glands as tumour nests in stroma, gland lumina and one vessel left out. Needs no network.

    Args:
        pixel_size: µm per pixel (assumed, see the module's text).
        cell_size: edge of the grid's square cells in µm.
        crop: ``(row0, row1, column0, column1)`` in pixels; default all.
    """
    return from_image(BUNDLED, pixel_size=pixel_size, cell_size=cell_size, crop=crop)


def from_image(image: Any, pixel_size: float, cell_size: float, crop: Any = None) -> Region:
    """A region from an RGB picture of a section in which DAB marks the tumour cells.

    Rows run along y (downwards), columns along x. The last part of the picture that does not fill a cell is left out.
    Glass around the section, and what is more than half transparent, is outside of the tissue.

    Args:
        image: ``"ihc"``, a path, or an array ``(rows, columns, 3)``; see :func:`tmepde.region.stains.read`.
        pixel_size: µm per pixel, > 0; see :func:`pixel_size_from_nuclei`.
        cell_size: edge of the grid's square cells in µm, at least ``pixel_size``.
        crop: ``(row0, row1, column0, column1)`` in pixels; default all.

    Raises:
        ValueError: for a picture without brown nests, stroma or nuclei, not RGB, or too small.

    Warns:
        UserWarning: where its nuclei would measure less than 3 or more than 25 µm.
    """
    for name, value in (("pixel_size", pixel_size), ("cell_size", cell_size)):
        if isinstance(value, bool) or not np.isfinite(value) or value <= 0:
            raise ValueError(f"`{name}` must be a positive length in µm, but {value!r} was given.")
    if cell_size < pixel_size:
        raise ValueError(
            f"`cell_size` must be at least `pixel_size`, but {cell_size:g} µm and {pixel_size:g} µm were given. "
            "Cells finer than the picture add no information."
        )
    rgb = cropped(read(image), crop)
    if min(rgb.shape[:2]) * pixel_size < 4 * cell_size:
        raise ValueError(
            f"`cell_size` must leave at least 4 cells each way, but {cell_size:g} µm was given for a picture of "
            f"{rgb.shape[0] * pixel_size:g} × {rgb.shape[1] * pixel_size:g} µm. Choose smaller cells."
        )
    found = segment(rgb)
    size = found.nucleus * pixel_size
    if not NUCLEI[0] <= size <= NUCLEI[1]:
        warnings.warn(
            f"With a `pixel_size` of {pixel_size:g} µm the nuclei of the picture measure {size:.3g} µm. Plausible: "
            f"{NUCLEI[0]:g} to {NUCLEI[1]:g} µm; nuclei of {NUCLEUS:g} µm would give {NUCLEUS / found.nucleus:.2g} µm. "
            "Check its unit.",
            stacklevel=2,
        )
    return resampled(found, float(pixel_size), float(cell_size))


def pixel_size_from_nuclei(image: Any = BUNDLED, nucleus: float = NUCLEUS) -> float:
    """µm per pixel if the nuclei of the picture have the diameter ``nucleus`` in µm (assumed 7)."""
    return nucleus / segment(read(image)).nucleus


def resampled(found: Segmentation, pixel_size: float, cell_size: float) -> Region:
    """Average pixel classes over square cells; cells that are mostly tissue make the mask."""
    rows, columns = (int(n * pixel_size / cell_size + 1e-9) for n in found.labels.shape)

    def average(values: np.ndarray) -> np.ndarray:
        return (
            overlap(values.shape[0], rows, cell_size / pixel_size)
            @ values.astype(float)
            @ overlap(values.shape[1], columns, cell_size / pixel_size).T
        )

    is_tumour, is_stroma = found.labels == TUMOUR, found.labels == STROMA
    tumour, stroma = average(is_tumour), average(is_stroma)
    mask = connected(tumour + stroma >= 0.5)
    tissue = np.where(mask, np.maximum(tumour + stroma, 1e-12), 1.0)
    tumour, stroma = (np.where(mask, part / tissue, 0.0) for part in (tumour, stroma))

    centers = [(np.arange(n) + 0.5) * pixel_size for n in found.labels.shape]
    distance = average(signed_distance(is_tumour, is_stroma, centers))
    vessels = average(_vessels(found, pixel_size))
    nuclei = np.where(mask, average(_nuclei(found)) / tissue, 0.0)
    nuclei /= np.sum(nuclei * tumour) / np.sum(tumour)
    vessels = np.where(mask, vessels / tissue, 0.0)
    vessels /= np.sum(vessels) / np.sum(stroma)
    grid = Grid.box((rows * cell_size, columns * cell_size), (rows, columns), mask=mask)
    return Region(grid, tumour, stroma, vessels, nuclei, distance)


def overlap(pixels: int, cells: int, ratio: float) -> np.ndarray:
    """Weights of an exact area average along one axis, shape ``(cells, pixels)``; each row sums to 1."""
    edges = np.arange(cells + 1) * ratio
    low, high = np.arange(pixels), np.arange(1, pixels + 1)
    shared = np.minimum(edges[1:, None], high) - np.maximum(edges[:-1, None], low)
    return np.maximum(shared, 0.0) / ratio


def connected(mask: np.ndarray) -> np.ndarray:
    """The mask without small separate pieces of tissue, and with holes of up to two cells filled.

    Pieces are connected through faces, since no flux passes a corner.
    """
    if not mask.any():
        raise ValueError("`image` must show tissue, but no cell is mostly tissue. Check the picture.")
    holes, count = ndimage.label(~mask)
    sizes = np.bincount(holes.ravel(), minlength=count + 1)
    mask = mask | ((sizes <= 2)[holes] & (holes > 0))
    pieces, count = ndimage.label(mask)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    return (sizes >= SMALLEST_PIECE * sizes.max())[pieces] & mask


def _nuclei(found: Segmentation) -> np.ndarray:
    """Share of the tissue that is nucleus, smoothed within the class so that margins stay sharp."""
    out = np.zeros(found.labels.shape)
    sigma = NUCLEI_SCALE * found.nucleus
    for label in (TUMOUR, STROMA):
        inside = (found.labels == label).astype(float)
        weight = ndimage.gaussian_filter(inside, sigma)
        share = ndimage.gaussian_filter(inside * found.nuclei, sigma) / np.maximum(weight, 1e-9)
        out += inside * share
    return out


def _vessels(found: Segmentation, pixel_size: float) -> np.ndarray:
    """1 in stroma, more around lumina, 0 elsewhere; lumina place as much as the rest at most."""
    stroma = (found.labels == STROMA).astype(float)
    near = ndimage.gaussian_filter((found.labels == VESSEL).astype(float), VESSEL_SCALE / pixel_size) * stroma
    if near.any():
        near *= min(stroma.sum() / near.sum(), 3.0 / near.max())
    return stroma + near
