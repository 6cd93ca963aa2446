"""Where ``--out`` leads."""

from __future__ import annotations

from pathlib import Path

from tmepde.cli.exits import BAD_INPUT, Stop


def target(out: Path) -> Path:
    """The place that ``out`` means: what a link leads to, whether or not it is there.

    Raises:
        Stop: with exit code 2 for a place inside a store, which would go with it when that is replaced.
    """
    if out.is_symlink():
        out = out.resolve()
    store = next((p for p in out.absolute().parents if (p / "zarr.json").is_file()), None)
    if store is not None:
        raise Stop(BAD_INPUT, f"{out} lies inside {store}, which is a store. Choose another place.")
    return out
