"""netCDF with the CF conventions of the store: one file of the classic format (64-bit offsets), written by scipy.

The classic format needs nothing beyond the core dependencies and is read by everything; its limits are a variable below
2 GiB, 32-bit integers and text as characters. Larger results are exported in parts, or by
``open_store(PATH).to_netcdf(OUT, engine="h5netcdf")`` with the extra ``tmepde[io]``.

``units`` are those of UDUNITS, which CF asks for: it knows neither nM nor cells. The attribute ``tmepde_units`` is as
the store has it where that differs; no value does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tmepde.io.export.place import WRITER
from tmepde.io.provenance import version

#: bytes of the largest variable
LARGEST = 2**31 - 4
#: what is counted, and molar, as words of a unit
_COUNTED = re.compile(r"(?<![A-Za-z])(?:cells?|molecules?|copies)(?![A-Za-z])")
_MOLAR = re.compile(r"(?<![A-Za-zµμ])([fpnuµμm])M(?![A-Za-z])")
#: the budget of a species has its own unit, which is in a variable
_OWN = "species_unit"


def write_netcdf(dataset: Any, path: Path) -> None:
    """Write all variables to the file ``path``.

    Raises:
        ValueError: for a variable beyond the limit of the format.
    """
    for name, variable in dataset.variables.items():
        size = int(np.prod(variable.shape, dtype=float)) * max(variable.dtype.itemsize, 1)
        if size > LARGEST:
            raise ValueError(
                f"`{name}` must be below 2 GiB for netCDF, but has {size / 2**30:.3g} GiB. Choose fewer with --field, "
                "--arm or --time."
            )
    made = dataset.assign({n: _plain(v) for n, v in dataset.data_vars.items()})
    made = made.assign_coords({n: _plain(c) for n, c in dataset.coords.items() if c.dtype.kind in "OUTb"})
    made.attrs = {WRITER: version("tmepde"), **{k: _attribute(v) for k, v in dataset.attrs.items()}}
    for name, variable in made.variables.items():
        variable.attrs = _with_units(variable.attrs)
        # coordinates and their bounds have no missing values in CF
        filled = variable.dtype.kind == "f" and name not in made.coords
        variable.encoding = {"_FillValue": np.nan if filled else None} if variable.dtype.kind == "f" else {}
    made.to_netcdf(path, engine="scipy", format="NETCDF3_64BIT")


def _plain(variable: Any) -> Any:
    """Text as fixed-width unicode (zarr gives objects or variable-width strings), logicals as bytes."""
    if variable.dtype.kind in "OT":
        return variable.astype(str)
    return variable.astype(np.int8) if variable.dtype.kind == "b" else variable


def _attribute(value: Any) -> Any:
    return value if isinstance(value, str | int | float | np.ndarray | np.number) else str(value)


def _with_units(attributes: Mapping[Any, Any]) -> dict[Any, Any]:
    """Attributes with the units of UDUNITS, and those of the store beside them where they differ."""
    told = str(attributes.get("units", ""))
    found = "" if _OWN in told else udunits(told)
    if found == told:
        return dict(attributes)
    plain = {k: v for k, v in attributes.items() if k != "units"}
    return {**plain, **({"units": found} if found else {}), "tmepde_units": told}


def udunits(unit: str) -> str:
    """A unit in the words of UDUNITS, of the same size: ``cells/mm^3`` is ``1/mm^3``, and ``nM`` is ``(nmol/L)``."""
    return _MOLAR.sub(r"(\1mol/L)", _COUNTED.sub("1", unit))
