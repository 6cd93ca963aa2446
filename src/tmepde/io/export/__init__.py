"""Stores in the formats of other programs: netCDF (CF), VTK images for ParaView, OME-Zarr for image viewers.

Everything is written under a temporary name beside the target and renamed when complete. Nothing is replaced without
``overwrite=True``, and then only what is an export of the same kind through and through.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tmepde.io.export.choice import chosen
from tmepde.io.export.place import placed

#: what can be asked for, and what the name of the result usually ends in
FORMATS = {"netcdf": ".nc", "vti": "", "ome-zarr": ".ome.zarr"}

__all__ = ["FORMATS", "export"]


def export(
    dataset: Any,
    target: str | os.PathLike[str],
    to: str,
    *,
    fields: Sequence[str] = (),
    arms: Sequence[str] = (),
    times: Sequence[float] = (),
    overwrite: bool = False,
) -> Path:
    """Write ``dataset`` to ``target`` and return that path.

    Args:
        dataset: from :func:`tmepde.io.open_store` or ``solution.to_xarray()``.
        target: a file for ``"netcdf"``, a folder for ``"vti"`` and ``"ome-zarr"``.
        to: one of :data:`FORMATS`.
        fields: names of variables; empty: all fields (netCDF: everything).
        arms: names of treatment arms; empty: all.
        times: saved times in h; empty: all.
        overwrite: replace an earlier export of the same kind.

    Raises:
        ValueError: for an unknown format, field, arm or time (with what there is), or a dataset that the format cannot
            hold.
        FileExistsError: if ``target`` exists and may not be replaced.
    """
    if to not in FORMATS:
        raise ValueError(f"`to` must be one of {', '.join(FORMATS)}, but {to!r} was given.")
    part = chosen(dataset, fields, arms, times)
    with placed(Path(target), to, overwrite) as partial:
        if to == "netcdf":
            from tmepde.io.export.netcdf import write_netcdf

            write_netcdf(part, partial)
        elif to == "vti":
            from tmepde.io.export.vti import write_vti

            write_vti(part, partial)
        else:
            from tmepde.io.export.ome import write_ome

            write_ome(part, partial)
    return Path(target)
