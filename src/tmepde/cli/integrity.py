"""``tmepde verify`` and ``tmepde repair``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from tmepde.cli.exits import BAD_INPUT, ENVIRONMENT, Stop


def verify(store: Path, as_json: bool) -> None:
    """Print what was found; exit code 5 where something is damaged."""
    from tmepde.io import integrity
    from tmepde.io.root import StoreError

    try:
        found = integrity.verify(store)
    except StoreError as error:
        raise Stop(ENVIRONMENT if "damaged" in str(error) else BAD_INPUT, str(error)) from None
    if as_json:
        print(json.dumps({**dataclasses.asdict(found), "good": found.good}, indent=1, ensure_ascii=False))
    else:
        rows = "".join(f"\n{name:<24} {count} rows" for name, count in found.rows.items())
        print(f"{store}: {found.chunks} chunks, {len(found.checkpoints)} checkpoints read{rows}")
        for name, wrong in [*found.damaged.items(), *found.checkpoints.items()]:
            if wrong != "good":
                print(f"damaged  {name}: {wrong}")
        for name, count in found.waiting.items():
            print(f"{name:<24} {count} rows more that a killed run computed: --resume or `tmepde repair` commits them")
        if found.leftovers:
            print(f"{len(found.leftovers)} unfinished files of a killed run (harmless)")
    if not found.good:
        raise Stop(ENVIRONMENT, f"{store} is damaged. `tmepde repair {store}` keeps what is good.")


def repair(store: Path) -> None:
    """Repair, and print what was lost."""
    from tmepde.io import integrity

    told = integrity.repair(store)
    print("\n".join(told) if told else f"{store} is as written; nothing to repair.")
