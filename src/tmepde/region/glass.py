"""Glass: the part of a picture that lies outside of the section, found before any threshold is taken from the section.

Glass is flat and the palest there is. Its optical density deviates by less than :data:`FLAT` within a few pixels (noise
of a camera up to 8 of 255 and JPEG stay below; pale stroma shows 0.02 and more) and exceeds that of the palest flat
pixels by less than :data:`PALE`; and most of what is as pale is flat, which tells glass from stroma at high
magnification. Thresholds that are medians or Otsu's would be those of glass once half of a picture is glass.

Limits: glass with dirt or strong noise counts as tissue, as does a margin of a few pixels, or one filled with black.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

#: local deviation in optical density below which a pixel is flat
FLAT = 0.01
#: optical density by which glass may exceed the palest; where light is uneven, what is darker is found next
PALE = 0.04
#: part of the pale pixels that must be flat (measured: 0.64 with a margin of 12 pixels, 0.49 without any)
_PURE = 0.55
#: share of a picture below which glass does not move its thresholds, and is left to the search for lumina
LITTLE = 0.06
#: edge in pixels of the square over which the deviation is taken
_WIDTH = 9
#: part of the deviation that must survive a blur of 2 pixels: white noise keeps 1/(4√π) = 0.14 of it, sections 0.85
_STRUCTURE = 0.3


def glass(density: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Which pixels are outside of the section, by their optical density: those ``hidden``, and glass.

    Glass, a white fill around it, and glass in less light are found one after the other; less than :data:`LITTLE` of
    the rest is left.

    Raises:
        ValueError: if there is nothing but glass, or noise without structure beside it.
    """
    fine = ndimage.gaussian_filter(density, 1.0)
    mean = ndimage.uniform_filter(fine, _WIDTH)
    flat = ndimage.uniform_filter(fine**2, _WIDTH) - mean**2 < FLAT**2
    found = hidden
    while not found.all():
        more = _palest(flat, mean, fine, ~found)
        if more.sum() < LITTLE * np.sum(~found):
            break
        found = found | more
    rest = ~found
    if rest.mean() < 0.01:
        raise ValueError("`image` must show tissue, but it holds nothing but glass. Check the file, or `crop`.")
    if np.std(ndimage.gaussian_filter(density, 2.0)[rest]) < _STRUCTURE * np.std(density[rest]):
        raise ValueError(
            "`image` must show tissue, but it holds noise without structure: a blur of 2 pixels takes nearly all of "
            "it away. Check the file."
        )
    return found


def _palest(flat: np.ndarray, mean: np.ndarray, fine: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The palest flat pixels of ``rest``, grown up to the edge of the section; none where they are darker than what is
    not flat (a black frame)."""
    flat, other = flat & rest, rest & ~flat
    if not flat.any():
        return flat
    level = np.percentile(mean[flat], 2) + PALE
    core, pale = flat & (mean < level), rest & (mean < level)
    if core.sum() < _PURE * pale.sum() or (other.any() and np.median(mean[other]) <= level):
        return np.zeros_like(flat)
    # the deviation is blurred, so that the flat core stops short of the edge by half the square and the blur
    return ndimage.binary_dilation(core, iterations=_WIDTH, mask=core | (rest & (fine < level)))
