"""The config that the store of a sweep was made from, and whether another one is the same.

The store holds it twice: resolved, for readers, and as it was given, for the batches: a row changes what was given.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from tmepde.sweep import store
from tmepde.sweep.table import table

#: attributes: the config as it was given, and the folder of the files that it names
GIVEN, FOLDER = "config_given", "config_folder"
#: keys that may change while a sweep goes on: they change no scenario
_FREE = ("description", "sweep.batch", "sweep.slurm")


class ChangedConfig(ValueError):
    """The store is of another config, or of other code that it names; the message says what differs."""


def check_same(config: Any, out: Path) -> None:
    """Refuse to go on with a store of another config.

    Raises:
        ChangedConfig: with the keys, the Python files or the pictures that differ.
    """
    from tmepde.io.provenance import edited
    from tmepde.sweep.members import PLACES

    attributes = store.head(Path(out))
    old, new = _flat(tomllib.loads(attributes["config"])), _flat(tomllib.loads(config.toml()))
    changed = [k for k in sorted({*old, *new}) if old.get(k) != new.get(k)]
    if (
        not changed and GIVEN in attributes and _shaped(config)
    ):  # what is given stays where a swept preset would put its own value
        old, new = (_flat(tomllib.loads(text)) for text in (attributes[GIVEN], given(config)))
        changed = [k for k in sorted({*old} ^ {*new}) if k.split(".")[0] in ("model", *PLACES)]
    changed = [k for k in changed if not any(k == free or k.startswith(f"{free}.") for free in _FREE)]
    if changed:
        shown = [f"  {k}: {old.get(k, 'nothing')!r} in the store, {new.get(k, 'nothing')!r} now" for k in changed[:12]]
        more = [f"  and {len(changed) - 12} more"] if len(changed) > 12 else []
        told = "\n".join([*shown, *more])
        raise ChangedConfig(f"{out} was made from another config. What differs:\n{told}\nGive the store another name.")
    if told := edited(attributes, config):
        raise ChangedConfig(f"{out} {told}")


def _shaped(config: Any) -> bool:
    """Whether something varies that sets what is not given: a preset, a kind of model, the grid."""
    from tmepde.sweep.members import shaping

    return bool(shaping(table(config)))


def given(config: Any) -> str:
    """The config as it was given, as TOML."""
    import tomli_w

    return tomli_w.dumps(config.given)


def _flat(table: Any, path: str = "") -> dict[str, Any]:
    """Values by dotted path; lists whole."""
    if not isinstance(table, dict):
        return {path: table}
    return {k: v for name, one in table.items() for k, v in _flat(one, f"{path}.{name}" if path else name).items()}


def keep_up(config: Any, out: Path) -> None:
    """Let batches look for the files that the config names where ``config`` is now, which :func:`check_same` took.

    Raises:
        WriteError: of the disk.
    """
    store.amend(Path(out), **{FOLDER: folder(config)})


def folder(config: Any) -> str:
    """Where the files that the config names are looked for."""
    return str(Path(config.folder).resolve())
