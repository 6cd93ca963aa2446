"""Tissue classes of a haematoxylin–DAB section in which DAB marks the epithelium (the tumour nests).

Four classes per pixel, found without training and without a random number:

* **tumour**: DAB-positive (Otsu) at the scale of a nucleus, with the nuclei inside it filled in;
* **background**: what is empty, that is pale and without texture (glass, gland lumen), or lies within a gland
  and has no nuclei;
* **vessel**: an empty patch that lies within the stroma;
* **stroma**: the rest.

Every length is a multiple of the nuclear diameter measured in the same picture, so that neither the magnification nor
the assumed pixel size changes the classes. Glass around the section (:mod:`tmepde.region.glass`) and what is
transparent are background, and no threshold is taken from them.

Limits: DAB must mark the nests, evenly; for H&E or fluorescence make the labels elsewhere and use
:meth:`tmepde.region.Region.from_labels`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from tmepde.region.glass import glass
from tmepde.region.stains import over_white, unmix

BACKGROUND, STROMA, TUMOUR, VESSEL = 0, 1, 2, 3
ELSEWHERE = 'make class labels elsewhere (`kind = "labels"`, in Python `Region.from_labels`)'
CLASSES = {"background": BACKGROUND, "stroma": STROMA, "tumour": TUMOUR, "vessel": VESSEL}


class Segmentation(NamedTuple):
    """Classes per pixel, the nuclei, and the scale they were found at.

    ``labels`` int8, values of :data:`CLASSES`; ``nuclei`` bool; ``nucleus`` diameter in pixels.
    """

    labels: np.ndarray
    nuclei: np.ndarray
    nucleus: float


def segment(rgb: np.ndarray, nucleus: float | None = None) -> Segmentation:
    """Classify every pixel of an RGB picture (floats 0…1).

    Args:
        rgb: shape ``(rows, columns, 3)``, or 4 where the last says how opaque a pixel is.
        nucleus: nuclear diameter in pixels where it is known; ``None`` measures it.

    Raises:
        ValueError: if there is no brown epithelium, no stroma, or no nuclei to set the scale.
    """
    rgb, hidden = over_white(rgb)
    haematoxylin, dab, density = unmix(rgb)
    section = ~glass(density, hidden)
    if nucleus is None:
        nucleus = nuclear_diameter(haematoxylin, dab, section)
    tumour = _nests(dab, section, nucleus) & section
    pale = _pale(density, tumour, section, nucleus)
    tumour &= ~_drop(pale, 3.0 * np.pi / 4 * nucleus**2)
    brown = tumour[section].mean()
    if not 0.01 < brown < 0.99:
        raise ValueError(
            f"`image` must show DAB-positive (brown) nests beside other tissue, but {brown:.1%} of it is brown. "
            f"Use a section in which DAB marks the tumour cells, or {ELSEWHERE}."
        )
    nuclei = _nuclei(haematoxylin, dab, tumour, section, nucleus)
    empty = _empty(density, tumour, section, nucleus) | ~section
    labels = np.where(tumour, TUMOUR, STROMA).astype(np.int8)
    labels[empty] = BACKGROUND
    labels = _without_nuclei(labels, nuclei, nucleus)
    if not np.any(labels == STROMA):
        raise ValueError("`image` must show stroma beside the nests, but none was found. Use a larger field of view.")
    labels = _widened(_vessels(labels), pale, nucleus)
    return Segmentation(labels, nuclei & np.isin(labels, (TUMOUR, STROMA)), float(nucleus))


def nuclear_diameter(haematoxylin: np.ndarray, dab: np.ndarray, section: np.ndarray) -> float:
    """Diameter in pixels of the disc with the area of a typical nucleus, from the nuclei outside the DAB stain.

    The median over objects, each weighted by its area: specks do not count, and few nuclei are merged in stroma.
    """
    from skimage.filters import threshold_otsu
    from skimage.measure import label, regionprops

    brown = ndimage.gaussian_filter(dab, 4.0)
    pale = section & (brown < threshold_otsu(brown[section]))
    smooth = ndimage.gaussian_filter(haematoxylin, 1.0)
    if pale.sum() < 100 or np.ptp(smooth[pale]) <= 0:
        raise ValueError("`image` must show nuclei outside the brown nests, but there is hardly any unstained tissue.")
    dark = ndimage.binary_opening(pale & (smooth > threshold_otsu(smooth[pale])))
    areas = np.sort([region.area for region in regionprops(label(dark)) if region.area >= 9])
    if len(areas) < 5:
        raise ValueError(
            f"`image` must show blue nuclei (at least 5) to set the scale, but {len(areas)} were found. "
            f"Use a larger field of view or a higher magnification, or {ELSEWHERE}."
        )
    middle = areas[np.searchsorted(np.cumsum(areas), 0.5 * areas.sum())]
    return float(np.sqrt(4.0 * middle / np.pi))


def _disc(radius: float) -> np.ndarray:
    from skimage.morphology import disk

    return disk(max(1, round(radius)))


def _close(image: np.ndarray, radius: float) -> np.ndarray:
    """Binary closing that treats what lies beyond the picture like its edge."""
    pad = max(1, round(radius)) + 1
    padded = np.pad(image, pad, mode="edge")
    return ndimage.binary_closing(padded, _disc(radius))[pad:-pad, pad:-pad]


def _open(image: np.ndarray, radius: float) -> np.ndarray:
    pad = max(1, round(radius)) + 1
    padded = np.pad(image, pad, mode="edge")
    return ndimage.binary_opening(padded, _disc(radius))[pad:-pad, pad:-pad]


def _drop(image: np.ndarray, area: float) -> np.ndarray:
    """Without the connected pieces smaller than ``area`` pixels."""
    pieces, count = ndimage.label(image)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    keep = sizes >= area
    keep[0] = False
    return keep[pieces]


def _nests(dab: np.ndarray, section: np.ndarray, nucleus: float) -> np.ndarray:
    from skimage.filters import threshold_otsu

    # the square root evens out the spread of weak and strong stain, so that pale basal nuclei are not cut off
    smooth = np.sqrt(ndimage.gaussian_filter(dab, 0.2 * nucleus))
    brown = smooth > threshold_otsu(smooth[section])
    brown = _close(brown, 0.35 * nucleus)
    disc = np.pi / 4 * nucleus**2
    brown = _drop(brown, 10 * disc)
    brown = ~_drop(~brown, 3.0 * disc)
    return _open(brown, 0.25 * nucleus)


def _pale(density: np.ndarray, tumour: np.ndarray, section: np.ndarray, nucleus: float) -> np.ndarray:
    """Slits within the nests: nearer in optical density to what lies outside than to the epithelium."""
    outside = section & ~tumour
    if not tumour.any() or not outside.any():
        return np.zeros_like(tumour)
    smooth = ndimage.gaussian_filter(density, 0.15 * nucleus)
    halfway = 0.5 * (np.median(smooth[tumour]) + np.median(smooth[outside]))
    return _close(_open(tumour & (smooth < halfway), 0.12 * nucleus), 0.3 * nucleus) & tumour


def _widened(labels: np.ndarray, pale: np.ndarray, nucleus: float) -> np.ndarray:
    """Lumina grown along the pale slits they open into, by at most three nuclei."""
    lumen = labels == BACKGROUND
    grown = ndimage.binary_dilation(lumen, mask=lumen | (pale & (labels == TUMOUR)), iterations=round(3 * nucleus))
    grown = _open(grown, 0.2 * nucleus) | lumen
    nests = (labels == TUMOUR) & ~grown
    grown |= nests & ~_drop(nests, np.pi / 4 * nucleus**2)
    return np.where(grown, BACKGROUND, labels).astype(np.int8)


def _nuclei(
    haematoxylin: np.ndarray, dab: np.ndarray, tumour: np.ndarray, section: np.ndarray, nucleus: float
) -> np.ndarray:
    """Nuclei by Otsu in each class: outside the nests on haematoxylin, inside on its share of all stain."""
    from skimage.filters import threshold_otsu

    h = ndimage.gaussian_filter(haematoxylin, 0.06 * nucleus)
    d = ndimage.gaussian_filter(dab, 0.06 * nucleus)
    share = h / np.maximum(h + d, 1e-6)
    found = np.zeros_like(tumour)
    for inside, feature in ((tumour, share), (section & ~tumour, h)):
        values = feature[inside]
        if values.size and np.ptp(values) > 0:
            found |= inside & (feature > threshold_otsu(values))
    return _drop(ndimage.binary_opening(found), 0.15 * np.pi / 4 * nucleus**2)


def _empty(density: np.ndarray, tumour: np.ndarray, section: np.ndarray, nucleus: float) -> np.ndarray:
    """Pale and flat: low optical density, and a local deviation below a third of what tissue shows."""
    width = 0.25 * nucleus
    mean = ndimage.gaussian_filter(density, width)
    deviation = np.sqrt(np.maximum(ndimage.gaussian_filter(density**2, width) - mean**2, 0.0))
    outside = section & ~ndimage.binary_dilation(tumour, _disc(0.25 * nucleus))
    if not outside.any():
        return np.zeros_like(tumour)
    flat = deviation < np.median(deviation[outside]) / 3.0
    pale = mean < np.median(mean[outside])
    disc = np.pi / 4 * nucleus**2
    core = _drop(_open(flat & pale & ~tumour, 0.3 * nucleus), 2.0 * disc)
    # the deviation is blurred over `width`, so that the flat core stops short of the true edge by about that much
    grown = ndimage.binary_dilation(core, _disc(1.5 * width)) & ~tumour
    return _close(grown, 0.5 * nucleus) & ~tumour


def _without_nuclei(labels: np.ndarray, nuclei: np.ndarray, nucleus: float) -> np.ndarray:
    """Pieces of "stroma" that are small or hold no nuclei are mucus and debris in a lumen, or a cleft: background."""
    labels = labels.copy()
    disc = np.pi / 4 * nucleus**2
    core = _open(labels == STROMA, 0.5 * nucleus)
    pieces, count = ndimage.label(core)
    for piece in range(1, count + 1):
        inside = pieces == piece
        if inside.sum() < 10 * disc or nuclei[inside].mean() < 0.04:
            core[inside] = False
    # give the narrow rims that opening removed back to whichever class they touch
    rest = (labels == STROMA) & ~core
    pieces, count = ndimage.label(rest)
    for piece, where in enumerate(ndimage.find_objects(pieces), start=1):
        box = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in where)
        inside = pieces[box] == piece
        ring = ndimage.binary_dilation(inside) & ~inside
        touching_stroma = np.count_nonzero(ring & core[box])
        around = labels[box][ring & ~core[box]]
        empty = np.count_nonzero(around != TUMOUR)
        if touching_stroma == 0 and inside.sum() < disc and empty == 0:
            labels[box][inside] = TUMOUR
        elif touching_stroma <= 0.05 * np.count_nonzero(ring) or empty > touching_stroma:
            labels[box][inside] = BACKGROUND
    labels[(labels == STROMA) & ~core & ~rest] = BACKGROUND
    return labels


def _vessels(labels: np.ndarray) -> np.ndarray:
    """Empty patches whose surroundings are stroma (≥ 90 % of the rim) and that do not touch the picture's edge."""
    labels = labels.copy()
    pieces, _ = ndimage.label(labels == BACKGROUND)
    rows, columns = labels.shape
    for piece, where in enumerate(ndimage.find_objects(pieces), start=1):
        touches = where[0].start == 0 or where[1].start == 0 or where[0].stop == rows or where[1].stop == columns
        if touches:
            continue
        box = tuple(slice(max(s.start - 3, 0), s.stop + 3) for s in where)
        inside = pieces[box] == piece
        rim = ndimage.binary_dilation(inside, iterations=3) & ~inside
        if np.mean(labels[box][rim] == STROMA) >= 0.9:
            labels[box][inside] = VESSEL
    return labels
