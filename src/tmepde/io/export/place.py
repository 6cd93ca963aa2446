"""Where an export goes: written under a hidden name beside the target, synchronised, renamed when complete."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tmepde.io.durable import replace_folder

#: the file by which a folder of VTK images is known as one of ours
SERIES = "fields.json"


@contextmanager
def placed(target: Path, to: str, overwrite: bool) -> Iterator[Path]:
    """A path to write to, which becomes ``target`` when the block ends well and vanishes when it does not.

    Raises:
        FileExistsError: if ``target`` exists and may not be replaced, or lies inside a file.
    """
    _check(target, to, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
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
    if not _ours(target, to):
        raise FileExistsError(f"{target} is no {to} export, so it is never replaced. Choose another name.")


def _ours(target: Path, to: str) -> bool:
    """Whether what is there looks like an earlier export of this kind."""
    if target.is_symlink():
        return False
    if to == "netcdf":
        if not target.is_file():
            return False
        with target.open("rb") as file:
            return file.read(4)[:3] == b"CDF"
    if to == "vti":
        return (target / SERIES).is_file()
    with suppress(OSError, ValueError, AttributeError):
        return "ome" in json.loads((target / "zarr.json").read_text("utf-8")).get("attributes", {})
    return False


def _synchronise(path: Path) -> None:
    """Everything below ``path`` is on the disk before it gets its name."""
    for one in [path, *path.rglob("*")] if path.is_dir() else [path]:
        handle = os.open(one, os.O_RDONLY)
        try:
            with suppress(OSError):  # some file systems cannot synchronise folders
                os.fsync(handle)
        finally:
            os.close(handle)
