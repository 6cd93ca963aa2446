"""``tmepde report``: one HTML page from a store."""

from __future__ import annotations

from pathlib import Path

from tmepde.cli.exits import BAD_INPUT, Stop
from tmepde.cli.target import real


def report(store: Path, out: Path) -> None:
    """Write ``out``; the page reads only the store."""
    if not store.exists():
        raise Stop(BAD_INPUT, f"There is no store at {store}. Write one with `tmepde run CONFIG -o {store}`.")
    if out.is_dir():
        raise Stop(BAD_INPUT, f"{out} must be a file to write, but it is a folder. Write -o {out / 'report.html'}.")
    if real(store) in (real(out), *real(out).parents):
        raise Stop(BAD_INPUT, f"{out} lies inside the store. Write the page beside it.")
    from tmepde.cli.integrity import sound_sweep
    from tmepde.report import write_report

    sound_sweep(store)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_report(store, out)
    except FileExistsError as error:
        raise Stop(BAD_INPUT, str(error)) from None
    print(out)
