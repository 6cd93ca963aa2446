"""Where ``--out`` leads, and what is written beside a store."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from tmepde.cli.exits import BAD_INPUT, Stop

#: bytes of the name of a store: file systems take 255, and what is written beside it has longer names
LONGEST = 220


def target(out: Path) -> Path:
    """The place that ``out`` means: what a link leads to, whether or not it is there.

    Raises:
        Stop: with exit code 2 for a place inside a store, which would go with it when that is replaced, for the folder
            that the command runs in or one above it, and for a name without letters.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:
        told = "The folder that this command was started in has been deleted. Change to another one."
        raise Stop(BAD_INPUT, told) from None
    if (size := len(os.fsencode(out.name))) > LONGEST:
        raise Stop(BAD_INPUT, f"--out must have a name of at most {LONGEST} bytes, but it has {size}. Shorten it.")
    if out.is_symlink():
        out = real(out)
    whole = out.absolute() if out.name not in ("", "..") else real(out)
    if lost := next((p for p in (out, *whole.parents) if p.is_symlink() and not p.exists()), None):
        raise Stop(BAD_INPUT, f"{out} cannot be made, because the link {lost} leads nowhere. Choose another place.")
    if whole == here or whole in here.parents:
        raise Stop(
            BAD_INPUT, f"--out must name a store to make, but {str(out)!r} is {whole}, a folder in use. Add a name."
        )
    out = whole if out.name in ("", "..") else out
    store = next((p for p in whole.parents if (p / "zarr.json").is_file()), None)
    if store is not None:
        raise Stop(BAD_INPUT, f"{out} lies inside {store}, which is a store. Choose another place.")
    return out


def check_place(out: Path) -> None:
    """Refuse a place in which no store can be made.

    Raises:
        Stop: with exit code 2.
    """
    above = next((p for p in out.parents if p.exists()), Path("."))
    if not above.is_dir():
        raise Stop(BAD_INPUT, f"{out} lies inside {above}, which is a file. Choose another place.")
    if not os.access(above, os.W_OK):
        raise Stop(BAD_INPUT, f"{out} cannot be written, because {above} is read-only. Choose another place.")


def page_of(store: Path) -> Path:
    """The report of a store: ``a.zarr`` has ``a.html`` beside it, ``a.v2`` has ``a.v2.html``."""
    whole = store if store.name not in ("", "..") else real(store)
    return whole.with_name(f"{whole.name.removesuffix('.zarr')}.html") if whole.name else whole / "report.html"


def real(path: Path) -> Path:
    """What links lead to; ``resolve`` raises where they lead in a circle."""
    return Path(os.path.realpath(path))


def word(path: Path) -> str:
    """A path as a shell takes it, and a command no option."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
