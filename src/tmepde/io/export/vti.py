"""VTK images for ParaView: a folder with one ``.vti`` per arm and saved time, and one ``.pvd`` per arm that lists them.

Values belong to cells (``CellData``); NaN is outside the tissue. Axes are x, y, z of VTK for x, y, z of the store; a
radial axis ``r`` becomes x, and the axis z of an axisymmetric grid y. Lengths are µm, times h. ``fields.json`` holds
units and names, which the format cannot.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from tmepde.io.export.choice import images, members, space, spacing
from tmepde.io.export.place import SERIES

_TYPES = {"f4": "Float32", "f8": "Float64", "i1": "Int8", "i4": "Int32", "i8": "Int64"}


def write_vti(dataset: Any, folder: Path) -> None:
    """Write all images below ``folder``."""
    names, extent = images(dataset), _extent(dataset)
    taken: set[str] = set()
    folder.mkdir()
    arms = {}
    for arm, one in members(dataset):
        slug = file_name(arm, taken)
        (folder / slug).mkdir()
        listed = []
        for index, time in enumerate(np.asarray(one["time"].values, float)):
            here = one.isel(time=index)
            arrays = {n: _array(here[n]) for n in names}
            place = f"{slug}/{index:06d}.vti"
            _write_image(folder / place, arrays, extent, float(time))
            listed.append((float(time), place))
        _write_series(folder / f"{slug}.pvd", listed)
        arms[arm] = f"{slug}.pvd"
    described = {n: {k: str(dataset[n].attrs.get(k, "")) for k in ("units", "long_name")} for n in names}
    told = {"written_by": "tmepde", "length_unit": "um", "time_unit": "h", "arms": arms, "fields": described}
    told |= {k: str(dataset.attrs[k]) for k in ("title", "config_hash", "tmepde_version") if k in dataset.attrs}
    (folder / SERIES).write_text(json.dumps(told, indent=1, ensure_ascii=False), "utf-8")


def file_name(name: str, taken: set[str]) -> str:
    """``name`` as a file name of letters, digits, ``_`` and ``-``, unlike those ``taken`` (which it joins)."""
    base = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:60] or "arm"
    slug, number = base, 2
    while slug.lower() in taken:
        slug, number = f"{base}_{number}", number + 1
    taken.add(slug.lower())
    return slug


def _extent(dataset: Any) -> tuple[list[int], list[float], list[float]]:
    """Cells, origin and spacing along x, y, z of VTK; missing axes have one cell as wide as the narrowest."""
    found = spacing(dataset)
    axes = list(reversed(space(dataset)))  # x first, as VTK counts
    cells = [int(dataset.sizes[a]) for a in axes]
    origin, width = [found[a][0] for a in axes], [found[a][1] for a in axes]
    while len(cells) < 3:
        cells, origin, width = [*cells, 1], [*origin, 0.0], [*width, min(width)]
    return cells, origin, width


def _array(variable: Any) -> np.ndarray:
    """Values in VTK's order (x runs fastest), little-endian."""
    values = np.asarray(variable.values)
    kind = values.dtype.str.lstrip("<>|=")
    values = values if kind in _TYPES else values.astype(np.float64)
    return np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"))).ravel()


def _write_image(
    path: Path, arrays: dict[str, np.ndarray], extent: tuple[list[int], list[float], list[float]], time: float
) -> None:
    cells, origin, width = extent
    whole = " ".join(f"0 {n}" for n in cells)
    rows, offset = [], 0
    for name, values in arrays.items():
        kind = _TYPES[values.dtype.str.lstrip("<>|=")]
        rows.append(f'<DataArray type="{kind}" Name={quoteattr(name)} format="appended" offset="{offset}"/>')
        offset += 8 + values.nbytes
    with path.open("wb") as file:
        file.write(
            '<?xml version="1.0"?>\n<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" '
            f'header_type="UInt64">\n<ImageData WholeExtent="{whole}" Origin="{_triple(origin)}" '
            f'Spacing="{_triple(width)}">\n<FieldData><DataArray type="Float64" Name="TimeValue" NumberOfTuples="1" '
            f'format="ascii">{time!r}</DataArray></FieldData>\n<Piece Extent="{whole}"><CellData>\n'
            f"{chr(10).join(rows)}\n</CellData></Piece></ImageData>\n"
            '<AppendedData encoding="raw">_'.encode()
        )
        for values in arrays.values():
            file.write(np.uint64(values.nbytes).astype("<u8").tobytes())
            file.write(values.tobytes())
        file.write(b"</AppendedData>\n</VTKFile>\n")


def _triple(values: list[float]) -> str:
    return " ".join(repr(float(v)) for v in values)


def _write_series(path: Path, listed: list[tuple[float, str]]) -> None:
    rows = "\n".join(f'<DataSet timestep="{time!r}" part="0" file={quoteattr(place)}/>' for time, place in listed)
    path.write_text(
        f'<?xml version="1.0"?>\n<VTKFile type="Collection" version="0.1">\n<Collection>\n{rows}\n</Collection>\n'
        "</VTKFile>\n",
        "utf-8",
    )
