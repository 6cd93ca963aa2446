"""OME-NGFF 0.5 (OME-Zarr): fields as the channels of an image with axes t, c, (z), y, x, halved into a pyramid.

One arm is one image at the root; several are images ``0``, ``1``, … (layout of bioformats2raw) with their names in the
attribute ``tmepde``. Scales are micrometers and hours. Where saved times are not evenly spaced the time axis counts
them, without a unit, and ``tmepde.time_h`` holds the hours. A radial grid is an image one cell high.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tmepde.io.export.choice import images, members, space, spacing

VERSION = "0.5"
#: the pyramid ends where no axis of space is longer than this
SMALLEST = 128
#: cells of a chunk along y and x, and along z
CHUNK, DEEP = 512, 32


def write_ome(dataset: Any, folder: Path) -> None:
    """Write all arms below ``folder``."""
    import zarr

    parts = list(members(dataset))
    root = zarr.open_group(str(folder), mode="w", zarr_format=3)
    if len(parts) == 1:
        _write_image(root, *parts[0])
        return
    for index, (arm, one) in enumerate(parts):
        _write_image(root.create_group(str(index)), arm, one)
    series = [str(i) for i in range(len(parts))]
    root.create_group("OME").attrs.update({"ome": {"version": VERSION, "series": series}})
    arms = dict(zip(series, (arm for arm, _ in parts), strict=True))
    root.attrs.update({"ome": {"version": VERSION, "bioformats2raw.layout": 3}, "tmepde": {"arms": arms}})


def _write_image(group: Any, arm: str, dataset: Any) -> None:
    names = [n for n in images(dataset) if "time" in dataset[n].dims]
    axes, shape, scale, origin = _geometry(dataset)
    times = np.asarray(dataset["time"].values, float)
    dtype = np.result_type(*(dataset[n].dtype for n in names), np.float32)
    levels = _levels(shape)
    arrays = []
    for level, size in enumerate(levels):
        chunks = tuple(min(n, CHUNK) for n in size)
        chunks = (min(size[0], DEEP), *chunks[1:]) if len(size) == 3 else chunks
        arrays.append(
            group.create_array(
                str(level),
                shape=(len(times), len(names), *size),
                chunks=(1, 1, *chunks),
                dtype=dtype,
                fill_value=np.nan,
                dimension_names=["t", "c", *axes],
            )
        )
    ranges = [[np.inf, -np.inf] for _ in names]
    for index in range(len(times)):
        here = dataset.isel(time=index)
        for channel, name in enumerate(names):
            values = np.asarray(here[name].values, dtype).reshape(shape)
            if np.any(np.isfinite(values)):
                low, high = ranges[channel]
                ranges[channel] = [min(low, float(np.nanmin(values))), max(high, float(np.nanmax(values)))]
            for array in arrays:
                array[index, channel] = values
                values = _halved(values)
    channels = [_channel(dataset[n], n, *r) for n, r in zip(names, ranges, strict=True)]
    scales = _scales(levels, times, scale, origin)
    even = _even(times)
    group.attrs.update(
        {
            "ome": {
                "version": VERSION,
                "multiscales": [
                    {
                        "name": arm,
                        "axes": [
                            {"name": "t", "type": "time", **({"unit": "hour"} if even else {})},
                            {"name": "c", "type": "channel"},
                            *({"name": a, "type": "space", "unit": "micrometer"} for a in axes),
                        ],
                        "datasets": [
                            {"path": str(i), "coordinateTransformations": one} for i, one in enumerate(scales)
                        ],
                        "type": "mean",
                    }
                ],
                "omero": {"channels": channels},
            },
            "tmepde": {
                "arm": arm,
                "time_h": times.tolist(),
                "channels": {n: str(dataset[n].attrs.get("units", "")) for n in names},
            },
        }
    )


def _geometry(dataset: Any) -> tuple[list[str], tuple[int, ...], list[float], list[float]]:
    """Names of the axes of space, cells, widths and first centres; at least two axes, as the format wants."""
    found = spacing(dataset)
    axes = list(space(dataset))
    shape = [int(dataset.sizes[a]) for a in axes]
    widths = [found[a][1] for a in axes]
    first = [found[a][0] + 0.5 * found[a][1] for a in axes]
    if len(axes) == 1:
        return ["y", "x"], (1, *shape), [widths[0], *widths], [0.0, *first]
    return (["y", "x"] if axes == ["z", "r"] else axes), tuple(shape), widths, first


def _levels(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    levels = [shape]
    while max(levels[-1]) > SMALLEST:
        levels.append(tuple(-(-n // 2) for n in levels[-1]))
    return levels


def _halved(values: np.ndarray) -> np.ndarray:
    """Means of pairs along every axis; cells outside the tissue and beyond the end do not count."""
    for axis, n in enumerate(values.shape):
        if n == 1:
            continue
        if n % 2:
            pad = [(0, 1) if k == axis else (0, 0) for k in range(values.ndim)]
            values = np.pad(values, pad, constant_values=np.nan)
        pairs = np.stack([np.take(values, range(start, values.shape[axis], 2), axis=axis) for start in (0, 1)])
        inside = np.isfinite(pairs)
        count = inside.sum(axis=0)
        total = np.where(inside, pairs, 0.0).sum(axis=0)
        values = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(values.dtype)
    return values


def _even(times: np.ndarray) -> bool:
    steps = np.diff(times)
    return steps.size > 0 and bool(np.ptp(steps) <= 1e-6 * abs(steps.mean()))


def _scales(
    levels: list[tuple[int, ...]], times: np.ndarray, scale: list[float], origin: list[float]
) -> list[list[dict[str, Any]]]:
    """Scale and translation of every level: pixel i lies at translation + scale · i, its centre."""
    even = _even(times)
    step, start = (float(np.diff(times).mean()), float(times[0])) if even else (1.0, 0.0)
    out = []
    for level, size in enumerate(levels):
        factor = [1.0 if levels[0][k] == 1 else float(2**level) for k in range(len(size))]
        widths = [s * f for s, f in zip(scale, factor, strict=True)]
        places = [o + 0.5 * (f - 1.0) * s for o, f, s in zip(origin, factor, scale, strict=True)]
        out.append(
            [
                {"type": "scale", "scale": [step, 1.0, *widths]},
                {"type": "translation", "translation": [start, 0.0, *places]},
            ]
        )
    return out


def _channel(variable: Any, name: str, low: float, high: float) -> dict[str, Any]:
    low, high = (low, high) if np.isfinite(low) and np.isfinite(high) else (0.0, 1.0)
    high = high if high > low else low + 1.0
    units = str(variable.attrs.get("units", ""))
    label = name if units in ("", "1") else f"{name} ({units})"
    return {
        "label": label,
        "color": "FFFFFF",
        "active": True,
        "window": {"min": low, "max": high, "start": low, "end": high},
    }
