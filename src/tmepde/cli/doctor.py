"""``tmepde doctor``: what is installed, what JAX sees, and whether results can be written here."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from tmepde.cli.exits import ENVIRONMENT, Stop

PACKAGES = (
    "jax",
    "jaxlib",
    "equinox",
    "numpy",
    "xarray",
    "zarr",
    "pydantic",
    "pint",
    "typer",
    "matplotlib",
    "scikit-image",
)


def doctor(as_json: bool) -> None:
    """Print the findings; exit 5 when a run would fail."""
    found = findings()
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        for key, value in found.items():
            lines = [f"{k} {v}" for k, v in value.items()] if isinstance(value, dict) else [str(value)]
            print(f"{key:<12}{lines[0]}", *(f"{'':<12}{line}" for line in lines[1:]), sep="\n")
    broken = [k for k in ("devices", "store") if str(found[k]).startswith("failed")]
    if broken:
        raise Stop(ENVIRONMENT, f"Not ready to run: {', '.join(broken)}.")


def findings() -> dict[str, Any]:
    """Everything as plain values."""
    import tmepde

    return {
        "tmepde": tmepde.__version__,
        "python": f"{platform.python_version()} on {platform.platform(terse=True)} ({sys.executable})",
        "packages": {name: _version(name) for name in PACKAGES},
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": _memory(),
        "disk": f"{shutil.disk_usage('.').free / 2**30:.1f} GiB free here",
        "devices": _devices(),
        "store": _store(),
        "programs": _programs(),
        "slurm": "sbatch found" if shutil.which("sbatch") else "not found",
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
    except (ValueError, OSError, AttributeError):
        return "unknown"


def _devices() -> str:
    try:
        import jax

        return ", ".join(f"{d.platform}:{d.id} {d.device_kind}" for d in jax.devices())
    except Exception as error:
        return f"failed: {error}"


def _programs() -> str:
    """Where compiled programs are kept, how many, and their size."""
    try:
        from tmepde._cache import keep_programs

        place = keep_programs()
        folder = Path(place.removesuffix(" (chosen by the user)"))
        if not folder.is_dir():
            return place
        sizes = [p.stat().st_size for p in folder.iterdir() if p.name.endswith("-cache")]
        return f"{len(sizes)} kept, {sum(sizes) / 2**20:.0f} MiB, in {place}"
    except Exception as error:
        return f"unknown: {type(error).__name__}: {error}"


def _store() -> str:
    """Write and read back a small store in the current folder."""
    try:
        import numpy as np
        import xarray as xr

        with tempfile.TemporaryDirectory(prefix=".tmepde-doctor-", dir=".") as folder:
            path = Path(folder) / "test.zarr"
            xr.Dataset({"a": ("x", np.arange(3.0))}).to_zarr(path, zarr_format=3, consolidated=False)
            if xr.open_zarr(path, consolidated=False, chunks=None)["a"].sum() != 3.0:
                return "failed: what was read back is not what was written"
        return "write and read back ok"
    except Exception as error:
        return f"failed: {type(error).__name__}: {error}"
