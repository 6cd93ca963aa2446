"""One number of a config by its dotted path: ``run.until``, ``model.processes."odd name".rate``."""

from __future__ import annotations

import copy
import re
from typing import Any

from tmepde.config.errors import Problem


def keys(path: str) -> list[str]:
    """The keys that a dotted path goes through, without quotes."""
    return [p.strip('"') for p in re.findall(r'"[^"]+"|[^.]+', path)]


def assign(raw: dict[str, Any], key: str, value: Any) -> Problem | None:
    """Set a dotted path; whether it is known is for the validation to say."""
    if not isinstance(key, str) or not key.strip('." '):
        return Problem("overrides", f"must have paths such as run.until for keys, but {key!r} was given. Write one.")
    parts = keys(key)
    table: Any = raw
    for i, part in enumerate(parts[:-1]):
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            path = ".".join(parts[: i + 1])
            return Problem(
                key, f"cannot be set, because `{path}` is {table!r} and has no keys below it. Check the path."
            )
    table[parts[-1]] = copy.deepcopy(value)
    return None
