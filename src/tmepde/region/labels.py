"""Regions from label images that were made elsewhere: NumPy arrays, grey pictures, NIfTI volumes.

Every pixel holds a whole number that says what it is. Axes are those of the array, in the order (z, y, x); a NIfTI
volume, whose file order is (x, y, z), is turned round. Pixels that belong to no class are outside of the tissue.

**Coarser cells** average the classes exactly by area: a cell has the share of tumour nest that its pixels have, and is
tissue where at least half of it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tmepde._arguments import as_number, not_a_number
from tmepde.grid import MOST_CELLS, Grid
from tmepde.region.distance import signed_distance
from tmepde.region.histology import overlap
from tmepde.region.region import Region

#: what the numbers mean unless it is said
USUAL = {"tumour": 1, "stroma": 2, "vessel": 3}
#: file name endings of volumes, whose header has the size of a voxel
VOLUMES = (".nii", ".nii.gz")
_PICTURES = (".png", ".tif", ".tiff", ".bmp")


def from_file(
    file: str | Path,
    pixel_size: float | Sequence[float] | None = None,
    cell_size: float | Sequence[float] | None = None,
    classes: Mapping[str, int | Sequence[int]] | None = None,
) -> Region:
    """A region on the grid of a label image in one, two or three dimensions.

    Args:
        file: ``.npy``, a grey ``.png`` or ``.tif`` (its pages are z), ``.nii`` or ``.nii.gz``.
        pixel_size: µm, one number or one per axis; of a NIfTI volume that of its header where it is left out, which
            must then agree with its affine to 1 %.
        cell_size: µm of the grid's cells, the same; at least ``pixel_size``, which is the default. The last pixels that
            do not fill a cell are left out.
        classes: which labels mean ``"tumour"``, ``"stroma"`` and ``"vessel"`` (counted as stroma with four times the
            vessels of its surroundings); default :data:`USUAL`.

    Raises:
        ValueError: for a file that holds no labels, sizes that do not fit it, or labels without tissue or tumour.

    Warns:
        UserWarning: of labels in ``classes`` that no pixel has.
    """
    labels, header = _read(Path(file), sized=pixel_size is None)
    pixels = _sizes("pixel_size", header if pixel_size is None else pixel_size, labels.ndim)
    cells = pixels if cell_size is None else _sizes("cell_size", cell_size, labels.ndim)
    if np.any(cells < pixels * (1 - 1e-9)):
        raise ValueError(
            f"`cell_size` must be at least the size of a pixel, {_text(pixels)} µm, but {_text(cells)} µm was given. "
            "Enlarge it: smaller cells add no information."
        )
    counts = tuple(int(n * p / c + 1e-9) for n, p, c in zip(labels.shape, pixels, cells, strict=True))
    if min(counts) < 1 or float(np.prod([float(n) for n in counts])) > MOST_CELLS:
        raise ValueError(
            f"`cell_size` must give 1 to {MOST_CELLS} cells, but {_text(cells)} µm makes {counts} of {labels.shape} "
            f"pixels of {_text(pixels)} µm. Change it."
        )
    chosen = USUAL if classes is None else classes
    grid = Grid.box(tuple(n * c for n, c in zip(counts, cells, strict=True)), counts)
    if counts == labels.shape and np.allclose(cells, pixels):
        return _with_labels(lambda: Region.from_labels(grid, labels, chosen), labels, classes)
    fine = Grid.box(tuple(n * p for n, p in zip(labels.shape, pixels, strict=True)), labels.shape)
    return _with_labels(
        lambda: averaged(Region.from_labels(fine, labels, chosen), grid, cells / pixels), labels, classes
    )


def averaged(fine: Region, grid: Grid, ratios: Sequence[float]) -> Region:
    """``fine`` on the coarser ``grid``, whose cells are ``ratios`` pixels long; exact averages by area."""
    weights = [overlap(n, m, r) for n, m, r in zip(fine.grid.shape, grid.shape, ratios, strict=True)]

    def average(values: np.ndarray) -> np.ndarray:
        for axis, one in enumerate(weights):
            values = np.moveaxis(np.tensordot(one, values, (1, axis)), 0, axis)
        return values

    tumour, stroma = average(fine.tumour), average(fine.stroma)
    mask = tumour + stroma >= 0.5 - 1e-9
    if not mask.any():
        raise ValueError("`cell_size` must leave tissue, but no cell is half tissue. Choose smaller cells.")
    tissue = np.where(mask, tumour + stroma, 1.0)

    def share(values: np.ndarray) -> np.ndarray:
        return np.where(mask, average(values) / tissue, 0.0)

    centers = [np.asarray(fine.grid.centers(k)) for k in range(fine.grid.ndim)]
    distance = average(signed_distance(fine.tumour > 0.5, fine.stroma > 0.5, centers))
    reach = float(np.sqrt(sum(float(np.sum(np.asarray(w))) ** 2 for w in grid.widths)))
    masked = Grid(grid.widths, grid.origin, mask)
    found = np.clip(distance, -reach, reach)
    return Region(masked, share(fine.tumour), share(fine.stroma), share(fine.vessels), mask.astype(float), found)


def _with_labels(make: Any, labels: np.ndarray, classes: Mapping[str, Any] | None) -> Region:
    """What ``make()`` returns; a refusal, or a warning of absent labels in ``classes``, says which there are."""
    there = np.unique(labels)
    listed = "Labels in the file: " + ", ".join(map(str, there[:12])) + (", …" if len(there) > 12 else "")
    try:
        made = make()
    except ValueError as error:
        raise ValueError(f"{error} {listed}. Say what they mean with `classes`.") from error
    for name, given in (classes or {}).items():
        absent = np.setdiff1d(given, there)
        if absent.size:
            which = ", ".join(map(str, absent))
            warnings.warn(f"`classes` gives {name!r} a label that no pixel has: {which}. {listed}.", stacklevel=3)
    return made


def _read(path: Path, sized: bool) -> tuple[np.ndarray, Any]:
    """Whole numbers in one to three dimensions, and the size of a voxel in µm if the file states it; if ``sized``, in
    one way alone."""
    name = path.name.lower()
    if not path.is_file():
        raise ValueError(f"`file` must be a file of labels, but {str(path)!r} is none. Check the path.")
    size = None
    try:
        if name.endswith(".npy"):
            values = np.load(path, mmap_mode="r", allow_pickle=False)
            if not isinstance(values, np.ndarray):
                raise ValueError(f"`file` must hold one array, but {path.name!r} is an archive. Save it with np.save.")
        elif name.endswith(VOLUMES):
            values, size = _volume(path, sized)
        elif name.endswith(_PICTURES):
            values = _picture(path)
        else:
            known = ", ".join((".npy", *_PICTURES, *VOLUMES))
            raise ValueError(f"`file` must end in one of {known}, but {path.name!r} does not. Convert it.")
    except ImportError:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith("`file`"):
            raise
        raise ValueError(
            f"`file` must be readable, but {path.name!r} is not ({_reason(error)}). Write it again."
        ) from error
    return _whole(values, path.name), size


def _reason(error: Exception) -> str:
    """What a reader says, without its advice about other readers."""
    first = str(error).partition("Based on")[0].splitlines()[:1]
    return f"{type(error).__name__}: {' '.join(first).strip()[:200]}"


def _whole(values: Any, name: str) -> np.ndarray:
    if not 1 <= np.ndim(values) <= 3 or np.size(values) == 0:
        raise ValueError(f"`file` must have 1, 2 or 3 axes, but {name!r} has shape {np.shape(values)}. Reshape it.")
    if np.size(values) > MOST_CELLS:
        raise ValueError(f"`file` must have at most {MOST_CELLS} pixels, but {name!r} has {np.size(values)}. Bin it.")
    if values.dtype.kind not in "iubf":
        raise ValueError(f"`file` must hold whole numbers, but {name!r} holds {values.dtype}. Save it as integers.")
    values = np.asarray(values)
    if values.dtype.kind == "f":
        values = values.astype(np.float64)  # 2³¹ is more than a float16 can be
        if not np.all(np.isfinite(values)) or np.any(values != np.round(values)) or np.max(np.abs(values)) > 2**31:
            raise ValueError(
                f"`file` must hold whole numbers, but {name!r} holds fractions or NaN. Threshold it first, as in "
                "`(probability > 0.5).astype(int)`."
            )
        return values.astype(np.int64)
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def _picture(path: Path) -> np.ndarray:
    """The numbers of the pixels, of a palette their indices; pages come first."""
    from tmepde.region.stains import MOST_PIXELS, declared, require_skimage

    require_skimage()  # brings what reads pictures
    if declared(path) > MOST_PIXELS:
        raise ValueError(f"`file` must have at most {MOST_PIXELS:.0e} pixels, but {path.name!r} has more. Bin it.")
    volume = path.suffix.lower() in (".tif", ".tiff")
    values, bands, pages = _tiff(path) if volume else _frames(path)
    if pages > 1 and not volume:
        raise ValueError(f"`file` must hold one picture, but {path.name!r} holds {pages}. Save a .tif with pages z.")
    if pages > 1 and values.ndim <= 2 + (bands > 1):
        raise ValueError(f"`file` must have pages of one size, but those of {path.name!r} differ. Save them alike.")
    if bands > 1:
        if values.shape[-1] != bands and bands in values.shape:  # colour planes one after another
            values = np.moveaxis(values, values.shape.index(bands), -1)
        if bands >= 3 and np.any(values[..., :3] != values[..., :1]):
            hint = " (tifffile: photometric='minisblack', or 3 and 4 slices become colours)" if volume else ""
            raise ValueError(
                f"`file` must be grey, one number a pixel, but {path.name!r} has colours. Save it as grey{hint}."
            )
        return values[..., 0]
    return values


def _frames(path: Path) -> tuple[np.ndarray, int, int]:
    """Pixels, numbers a pixel (of a palette one), and pages; those of one size are stacked."""
    from PIL import Image, ImageSequence

    with Image.open(path) as picture:
        bands, found = len(picture.getbands()), [np.array(frame) for frame in ImageSequence.Iterator(picture)]
    alike = len({one.shape for one in found}) == 1
    return (np.stack(found) if alike and len(found) > 1 else found[0]), bands, len(found)


def _tiff(path: Path) -> tuple[np.ndarray, int, int]:
    """The same. A reader that guesses takes three or four pages for colours and turns the volume round."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            return np.asarray(file.asarray()), int(getattr(page, "samplesperpixel", 1)), len(file.pages)
    except Exception:  # a compression that needs a package of its own
        return _frames(path)


def _volume(path: Path, sized: bool) -> tuple[np.ndarray, tuple[float, ...]]:
    """Axes (z, y, x) and µm; axes of a single voxel are dropped."""
    import importlib.util

    if importlib.util.find_spec("nibabel") is None:
        raise ImportError("NIfTI volumes need nibabel. Install it with `pip install 'tmepde[image]'`.")
    import nibabel

    image: Any = nibabel.load(path)
    if float(np.prod([float(n) for n in image.shape])) > MOST_CELLS:
        raise ValueError(f"`file` must have at most {MOST_CELLS} voxels, but {path.name!r} has more. Bin it.")
    unit = {"meter": 1e6, "micron": 1.0}.get(image.header.get_xyzt_units()[0], 1e3)  # mm where none is stated
    values = np.asarray(image.dataobj).T
    if sized:
        _check_voxels(image, path.name)
    sizes = [float(s) * unit for s in image.header.get_zooms()][::-1]
    kept = [k for k, n in enumerate(values.shape) if n > 1] or [0]
    return values.reshape([values.shape[k] for k in kept]), tuple(sizes[k] for k in kept)


def _check_voxels(image: Any, name: str) -> None:
    """Refuse a volume whose edges of a voxel are not those of its affine, or not at right angles.

    What wrote it, or has changed it since, left one of the two behind: every length would be wrong by some factor.
    """
    edges = np.asarray(image.header.get_zooms()[:3], float)
    axes = np.asarray(image.affine, float)[:3, : len(edges)]
    lengths = np.linalg.norm(axes, axis=0)
    if not np.allclose(lengths, edges, rtol=0.01, atol=0.0):
        told = f"{name!r} has voxels of {_text(edges)} by pixdim and of {_text(lengths)} by its affine"
        raise ValueError(f"`file` must state one size of a voxel, but {told}. Give `pixel_size`.")
    angles = np.abs(axes.T @ axes / np.outer(lengths, lengths) - np.eye(len(edges)))
    if np.max(angles) > 0.02:
        raise ValueError(
            f"`file` must have voxels with right angles, but those of {name!r} are sheared by its affine. Resample it, "
            "or give `pixel_size`."
        )


def _sizes(name: str, given: Any, axes: int) -> np.ndarray:
    """One length per axis in µm."""
    if given is None:
        raise ValueError(f"`{name}` must be given: only NIfTI volumes state it. Write the µm of a pixel.")
    made = as_number(given, "um")
    if problem := not_a_number(made):
        raise ValueError(f"`{name}` {problem}.")
    sizes = np.asarray(made, float).ravel()
    if sizes.size not in (1, axes) or not np.all(np.isfinite(sizes)) or np.any(sizes <= 0):
        raise ValueError(f"`{name}` must be 1 or {axes} positive lengths in µm, but {given!r} was given.")
    return np.broadcast_to(sizes, (axes,))


def _text(sizes: np.ndarray) -> str:
    return " × ".join(f"{s:g}" for s in (sizes[:1] if np.all(sizes == sizes[0]) else sizes))
