"""A round nodule in a real network of vessels: the retina photograph bundled with scikit-image.

    v(x) = [Frangi(green channel) above a threshold],      density = v/⟨v⟩ over the field

**The picture** (1411 × 1411 pixels, Häggström 2014, CC0) shows arterioles and venules; capillaries are not resolved. It
lends the *architecture* of its network: branching, calibres, and an avascular field around the fovea. At its own scale
(about 9 µm per pixel: a field of 45 degrees is some 13 mm) the meshes are millimetres wide and fed by the capillaries
that the picture does not show. A smaller ``pixel_size`` stands for the same tree at the scale of a tumour's vessels.

**Vessels** are found by the multiscale ridge filter of Frangi et al. (MICCAI 1998, 130) on the green channel, in which
blood is darkest, with hysteresis between two thresholds chosen by eye on this picture; pieces below 200 pixels and the
rim of the field are left out. The share of a cell that is vessel stands for its wall surface, since both grow with
calibre × length.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from tmepde.grid import Grid
from tmepde.region.histology import overlap
from tmepde.region.region import Region
from tmepde.region.stains import cropped, require_skimage

#: scales of the ridge filter in pixels: vessels are 4 to 20 pixels wide
SCALES = (2, 4, 6, 8)
#: response of the ridge filter at which a vessel goes on, and at which it begins
LOW, HIGH = 0.02, 0.08
#: pixels of the smallest piece that counts as a vessel, and of the rim of the field that is left out
SMALLEST, RIM = 200, 20
#: rows and columns around the fovea, without the optic disc
CROP = (320, 1088, 380, 1148)


def retina(
    pixel_size: float,
    cell_size: float,
    radius: float,
    center: Sequence[float] | None = None,
    crop: Any = None,
) -> Region:
    """A nodule of ``radius`` µm among the vessels of the retina; the mean vessel density of the field is 1.

    Args:
        pixel_size: µm per pixel, > 0; about 9 is the true scale, see the module's text.
        cell_size: edge of the grid's square cells in µm, at least ``pixel_size``.
        radius: µm, of the nodule.
        center: µm, (y, x) of its centre; default the middle of the field.
        crop: ``(row0, row1, column0, column1)`` in pixels; default the field around the fovea.

    Raises:
        ValueError: for sizes that do not fit, or a crop without vessels.
        ImportError: without scikit-image.
    """
    for name, value in (("pixel_size", pixel_size), ("cell_size", cell_size)):
        if isinstance(value, bool) or not np.isfinite(value) or value <= 0:
            raise ValueError(f"`{name}` must be a positive length in µm, but {value!r} was given.")
    if cell_size < pixel_size:
        raise ValueError(
            f"`cell_size` must be at least `pixel_size`, but {cell_size:g} µm and {pixel_size:g} µm were given. "
            "Cells finer than the picture add no information."
        )
    found = cropped(network(), CROP if crop is None else crop)
    rows, columns = (int(n * pixel_size / cell_size + 1e-9) for n in found.shape)
    if min(rows, columns) < 4:
        raise ValueError(
            f"`cell_size` must leave at least 4 cells each way, but {cell_size:g} µm was given for a field of "
            f"{found.shape[0] * pixel_size:g} × {found.shape[1] * pixel_size:g} µm. Choose smaller cells."
        )
    ratio = cell_size / pixel_size
    share = overlap(found.shape[0], rows, ratio) @ found.astype(float) @ overlap(found.shape[1], columns, ratio).T
    if not share.any():
        raise ValueError(f"`crop` must show vessels, but none was found in {tuple(crop)!r}. Choose a larger part.")
    nodule = Region.nodule(Grid.box((rows * cell_size, columns * cell_size), (rows, columns)), radius, center)
    vessels = share / share.mean()
    return Region(nodule.grid, nodule.tumour, nodule.stroma, vessels, nodule.nuclei, nodule.margin_distance)


@functools.cache
def network() -> np.ndarray:
    """Where the photograph shows vessels: boolean, 1411 × 1411 pixels, read-only. Nothing is downloaded."""
    require_skimage()
    import skimage.data
    from skimage.filters import apply_hysteresis_threshold, frangi

    picture = skimage.data.retina().astype(float) / 255.0
    response = frangi(picture[..., 1], sigmas=SCALES, black_ridges=True)
    field = ndimage.binary_erosion(ndimage.binary_fill_holes(picture[..., 0] > 0.2), iterations=RIM)
    found = apply_hysteresis_threshold(np.where(field, response, 0.0), LOW, HIGH)
    pieces, count = ndimage.label(found, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    vessels: np.ndarray = (sizes >= SMALLEST)[pieces]
    vessels.setflags(write=False)
    return vessels
