"""From a picture to stain amounts: reading, checking and unmixing a haematoxylin–DAB image.

    I = I₀ · exp(−Σₛ cₛ εₛ)      (Beer–Lambert)      →      c = M⁻¹ · (−log I/I₀)

with M the stain matrix of Ruifrok & Johnston (Anal. Quant. Cytol. Histol. 23:291, 2001) as shipped by scikit-image.
Amounts are in arbitrary units: they are compared with thresholds found in the same picture, never with a table.
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import numpy as np

#: the picture must at least hold a few cells
SMALLEST = 64

#: a larger picture is refused before it is unpacked: 1.75e8 pixels are 4 GB as floats, and PIL reads 1.79e8 at most
MOST_PIXELS = 175_000_000

#: ways to write colours other than as red, green and blue, as PIL and TIFF call them
NO_LIGHT = ("CMYK", "LAB", "HSV", "SEPARATED", "CIELAB", "ICCLAB", "ITULAB")

BUNDLED = "ihc"


def read(image: Any) -> np.ndarray:
    """An RGB picture as floats in 0…1, shape ``(rows, columns, 3)``; 4 where it is transparent somewhere.

    Rows and columns are those of the file: an orientation in its EXIF data is not applied.

    Args:
        image: ``"ihc"`` (the colon section bundled with scikit-image; nothing is downloaded), the path of a picture
            file, or an array of shape ``(rows, columns, 3)`` or ``(…, 4)``. Floats are 0…1. Bytes are 0…255; wider
            integers reach up to the smallest of 2⁸, 2¹⁰, 2¹², 2¹⁴ and 2¹⁶ that holds the largest one.

    Raises:
        ValueError: if the file is missing or unreadable, not RGB, of several pages, too small, or of one single colour.
    """
    require_skimage()
    if isinstance(image, str) and image == BUNDLED:
        import skimage.data

        pixels, label = skimage.data.immunohistochemistry(), "ihc"
    elif isinstance(image, str | Path):
        pixels, label = _open(Path(image)), str(image)
    else:
        pixels, label = np.asarray(image), "array"
    return _checked(pixels, label)


def require_skimage() -> None:
    """Say how to get scikit-image where it is missing; it is an extra, as only pictures need it."""
    if importlib.util.find_spec("skimage") is None:
        raise ImportError("Regions from pictures need scikit-image. Install it with `pip install 'tmepde[image]'`.")


def _open(path: Path) -> np.ndarray:
    if not path.is_file():
        raise ValueError(
            f"`image` must be {BUNDLED!r} or the path of a picture, but {str(path)!r} is not a file. "
            "Paths are taken relative to the working directory."
        )
    pixels = declared(path)
    if pixels > MOST_PIXELS:
        found = f"{pixels:.3g}" if np.isfinite(pixels) else "more"
        raise ValueError(
            f"`image` must have at most {MOST_PIXELS:.3g} pixels, but {str(path)!r} has {found}. Crop or bin it."
        )
    colours, opacity = _colours(path)
    if colours in NO_LIGHT:
        raise ValueError(
            f"`image` must be RGB, but {str(path)!r} is {colours.replace('SEPARATED', 'CMYK')}, whose numbers are not "
            "amounts of light. Save it as RGB."
        )
    if pages := _grey_pages(path):
        raise ValueError(
            f"`image` must be one RGB picture, but {str(path)!r} holds {pages} grey pages that nothing in it calls "
            "channels. Save it as RGB."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of readers that are tried for other formats
            values = _unpacked(path)
            return values[..., :3] if values.shape[-1] == 4 and not opacity else values
    except Exception as error:
        raise ValueError(
            f"`image` must be a picture (PNG, JPEG or TIFF), but {str(path)!r} could not be read as one "
            f"({type(error).__name__}). Convert it to PNG."
        ) from error


def declared(path: Path) -> float:
    """Pixels that the header of a picture states, before any is unpacked; 0 where no header can be read."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PIL warns at a quarter of the limit
            with Image.open(path) as picture:
                return float(picture.size[0]) * float(picture.size[1]) * float(getattr(picture, "n_frames", 1))
    except Image.DecompressionBombError:
        return float("inf")
    except Exception:  # not of a kind that PIL knows: the reader says so
        return 0.0


def _colours(path: Path) -> tuple[str, bool]:
    """How a file writes its colours, as PIL or TIFF calls it (empty where neither can say), and whether a fourth number
    of a pixel would be its opacity: TIFF holds others too, infrared say."""
    import tifffile
    from PIL import Image

    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            with tifffile.TiffFile(path) as file:
                page: Any = file.pages[0]
                fourth = [getattr(one, "name", "") for one in getattr(page, "extrasamples", ())]
                return str(getattr(page.photometric, "name", "")), any("ALPHA" in name for name in fourth)
        with Image.open(path) as picture:
            return str(picture.mode), True
    except Exception:  # the reader says what is wrong
        return "", True


def _unpacked(path: Path) -> np.ndarray:
    """The pixels of a file. Of TIFF, the reader lacks some compressions (LZW, JPEG), which PIL has."""
    from PIL import Image
    from skimage.io import imread

    try:
        return np.asarray(imread(str(path)))
    except Exception:
        if path.suffix.lower() not in (".tif", ".tiff"):
            raise
        with Image.open(path) as picture:
            frames = int(getattr(picture, "n_frames", 1))
            plain = picture.convert("RGB") if picture.mode in ("P", "YCbCr") else picture
            return np.asarray(plain) if frames == 1 else np.stack([np.asarray(plain)] * 2)  # refused, as several are


def _grey_pages(path: Path) -> int:
    """How many grey pages a TIFF has that are no channels of one picture; a reader takes three for colours."""
    import tifffile

    if path.suffix.lower() not in (".tif", ".tiff"):
        return 0
    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            series = file.series[0]
            pages = len(series.pages) if page.samplesperpixel == 1 else 1
            return pages if pages > 1 and "C" not in series.axes else 0
    except Exception:  # the reader says what is wrong
        return 0


def _checked(pixels: np.ndarray, label: str) -> np.ndarray:
    if pixels.ndim == 4 and pixels.shape[-1] in (3, 4):
        raise ValueError(
            f"`image` must be one picture, but {label!r} holds {pixels.shape[0]} of them. "
            "Save one of its pages by itself."
        )
    if pixels.ndim != 3 or pixels.shape[-1] not in (3, 4):
        raise ValueError(
            f"`image` must be RGB, shape (rows, columns, 3), but {label!r} has shape {pixels.shape}. "
            'Grey pictures carry no stain colours: give class labels instead (`kind = "labels"`, in Python '
            "`Region.from_labels`)."
        )
    if min(pixels.shape[:2]) < SMALLEST:
        raise ValueError(
            f"`image` must have at least {SMALLEST} × {SMALLEST} pixels, but {label!r} has "
            f"{pixels.shape[0]} × {pixels.shape[1]}. Use a larger picture."
        )
    whole = pixels.dtype.kind in "ui" and pixels.min() >= 0
    if not whole and not (pixels.dtype.kind == "f" and pixels.min() >= 0 and pixels.max() <= 1):  # NaN fails both
        found = f" in {np.nanmin(pixels):g}…{np.nanmax(pixels):g}" if pixels.dtype.kind in "if" else ""
        raise ValueError(
            f"`image` must hold integers from 0 or finite floats in 0…1, but {label!r} is {pixels.dtype}{found}. "
            "Divide by its largest possible value."
        )
    rgb, opaque = (part.astype(np.float64) / (_full(part) if whole else 1.0) for part in np.split(pixels, [3], axis=-1))
    if opaque.size and opaque.min() < 1.0:
        rgb = np.concatenate([rgb, opaque], axis=-1)
    if float(np.ptp(over_white(rgb)[0])) < 0.05:
        raise ValueError(f"`image` must show tissue, but {label!r} has one colour only. Check the file.")
    return rgb


def _full(pixels: np.ndarray) -> float:
    """The number that stands for white (see :func:`read`): cameras of 12 bits write integers of 16."""
    depths = [8] if pixels.dtype.itemsize == 1 else [8, 10, 12, 14, 16, 32, 64]
    return next(2.0**bits - 1.0 for bits in depths if bits == depths[-1] or np.max(pixels, initial=0) < 2**bits)


def cropped(rgb: np.ndarray, crop: Any) -> np.ndarray:
    """The rows and columns ``(row0, row1, column0, column1)`` of a picture; ``None`` is all of it."""
    if crop is None:
        return rgb
    rows, columns = rgb.shape[:2]
    try:
        top, bottom, left, right = (int(c) for c in crop)
    except (TypeError, ValueError):
        raise ValueError(
            f"`crop` must be four whole numbers (row0, row1, column0, column1), but {crop!r} was given."
        ) from None
    if not (0 <= top < bottom <= rows and 0 <= left < right <= columns):
        raise ValueError(
            f"`crop` must lie inside the picture's {rows} × {columns} pixels and be in order "
            f"(row0 < row1, column0 < column1), but {tuple(crop)!r} was given."
        )
    if min(bottom - top, right - left) < SMALLEST:
        raise ValueError(f"`crop` must keep at least {SMALLEST} pixels each way, but {tuple(crop)!r} was given.")
    return rgb[top:bottom, left:right]


def over_white(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A picture as on white paper, and which of its pixels are more than half transparent."""
    if rgb.shape[-1] == 3:
        return rgb, np.zeros(rgb.shape[:2], bool)
    opaque = rgb[..., 3:]
    return opaque * rgb[..., :3] + (1.0 - opaque), opaque[..., 0] < 0.5


def unmix(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Amounts of haematoxylin and DAB (≥ 0) and the mean optical density, each of shape ``(rows, columns)``."""
    from skimage.color import rgb2hed

    hed = rgb2hed(rgb)
    density = -np.log(np.maximum(rgb, 1.0 / 255.0)).mean(axis=-1)
    return hed[..., 0], hed[..., 2], density
