"""Where an export goes: written under a hidden name beside the target, synchronised, renamed when complete."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tmepde.io.durable import WriteError, replace_folder, sweep_partials
from tmepde.io.lock import Lock

#: the file by which a folder of VTK images is known as one of ours
SERIES = "fields.json"
#: the attribute by which a netCDF file is
WRITER = "tmepde_version"
#: what an OME-Zarr has: documents, and the chunks of an array (a level, of an arm where there are several)
_OME = re.compile(r"zarr\.json|OME(/zarr\.json)?|\d+(/\d+)?(/zarr\.json|/c(/\d+)*)?")


@contextmanager
def placed(target: Path, to: str, overwrite: bool) -> Iterator[Path]:
    """A path to write to, which becomes ``target`` when the block ends well and vanishes when it does not. What is left
    of exports to ``target`` that were killed goes too.

    Raises:
        FileExistsError: if ``target`` exists and may not be replaced, or lies inside a file.
        LockedError: if another process writes ``target``.
    """
    _check(target, to, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock(target)
    try:
        lock.acquire()
    except WriteError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    try:
        _check(target, to, overwrite)  # another process may have been faster
        sweep_partials(target)
        with _partial(target) as partial:
            yield partial
    finally:
        lock.release()


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    token = uuid.uuid4().hex[:8]
    partial = target.with_name(f".{target.name}.partial-{token}")
    old = target.with_name(f".{target.name}.old-{token}")
    try:
        yield partial
        _synchronise(partial)
        if target.is_dir():
            replace_folder(partial, target, old)
        else:
            os.replace(partial, target)
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(target)) from error  # a full disk names no file
    finally:
        for leftover in (partial, old):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def _check(target: Path, to: str, overwrite: bool) -> None:
    blocking = next((p for p in target.parents if p.exists()), None)
    if blocking is not None and not blocking.is_dir():
        raise FileExistsError(f"{target} lies inside {blocking}, which is a file. Choose another place.")
    if not (target.exists() or target.is_symlink()):
        return
    if not overwrite:
        raise FileExistsError(f"{target} exists already and is not replaced. Choose another name, or add --overwrite.")
    written = _written(target, to)
    if written is None:
        raise FileExistsError(f"{target} is no {to} export, so it is never replaced. Choose another name.")
    if foreign := next((p for p in _below(target) if not written.fullmatch(p)), None):
        raise FileExistsError(
            f"{target} holds {foreign!r}, which no {to} export writes, so it is never replaced. Move that away, or "
            "choose another name."
        )


def _written(target: Path, to: str) -> re.Pattern[str] | None:
    """What an export of this kind has written below ``target``, if an earlier one is there."""
    if target.is_symlink():
        return None
    if to == "netcdf":
        return re.compile("") if _netcdf(target) else None
    told = _json(target / (SERIES if to == "vti" else "zarr.json"))
    if to == "ome-zarr":
        attributes = told.get("attributes")
        return _OME if isinstance(attributes, dict) and {"ome", "tmepde"} <= set(attributes) else None
    arms = told.get("arms")
    if told.get("written_by") != "tmepde" or not isinstance(arms, dict):
        return None
    slugs = "|".join(re.escape(str(series).removesuffix(".pvd")) for series in arms.values())
    return re.compile(rf"{re.escape(SERIES)}|({slugs})(\.pvd|/\d+\.vti)?")


def _netcdf(file: Path) -> bool:
    """Whether tmepde wrote it."""
    from scipy.io import netcdf_file

    if not file.is_file() or file.stat().st_size < 4:
        return False
    try:
        with netcdf_file(file) as found:
            return hasattr(found, WRITER)
    except Exception:  # whatever scipy meets in a file that is none, or is cut
        return False


def _json(file: Path) -> dict[str, Any]:
    """The object that a file holds; an empty one where there is none."""
    with suppress(OSError, ValueError):
        found = json.loads(file.read_text("utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def _below(folder: Path) -> Iterator[str]:
    """What a folder holds, by its path within; links with a mark that no export has."""
    for path in folder.rglob("*"):
        yield path.relative_to(folder).as_posix() + (" (link)" if path.is_symlink() else "")


def _synchronise(path: Path) -> None:
    """Everything below ``path`` is on the disk before it gets its name."""
    for one in [path, *path.rglob("*")] if path.is_dir() else [path]:
        handle = os.open(one, os.O_RDONLY)
        try:
            with suppress(OSError):  # some file systems cannot synchronise folders
                os.fsync(handle)
        finally:
            os.close(handle)
