"""``tmepde verify`` and ``tmepde repair``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tmepde.cli.exits import ENVIRONMENT, Stop
from tmepde.cli.target import word

if TYPE_CHECKING:
    from tmepde.sweep.damage import Damage


def verify(store: Path, as_json: bool) -> None:
    """Print what was found; exit code 5 where something is damaged."""
    from tmepde.io import integrity

    if _is_sweep(store):
        return _verify_sweep(store, as_json)
    found = integrity.verify(store)
    if as_json:
        print(json.dumps({**dataclasses.asdict(found), "good": found.good}, indent=1, ensure_ascii=False))
    else:
        rows = "".join(f"\n{name:<24} {count} rows" for name, count in found.rows.items())
        print(f"{store}: {found.chunks} chunks, {len(found.checkpoints)} checkpoints read{rows}")
        for name, wrong in [*found.documents.items(), *found.damaged.items(), *found.checkpoints.items()]:
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

    if _is_sweep(store):
        told = mended(store)
        if any("pending again" in line for line in told):
            told += [f"run them with `tmepde sweep CONFIG -o {word(store)} --resume`"]
    else:
        told = integrity.repair(store)
    print("\n".join(told) if told else f"{store} is as written; nothing to repair.")


def sound_run(store: Path) -> None:
    """Stop where the store of a run that has ended has lost what it wrote; reads all of it."""
    from tmepde.io import integrity

    found = integrity.verify(store)
    if not found.good:
        name, wrong = next(iter((found.documents | found.damaged).items()))
        raise Stop(
            ENVIRONMENT,
            f"{store} is finished, but damaged ({name}: {wrong}). `tmepde repair {store}`, then --resume once more.",
        )


def sound_sweep(store: Path) -> None:
    """Stop where the store of a sweep has lost what it wrote; other stores are not looked at."""
    if not _is_sweep(store):
        return
    found = _looked(store)
    if not found.good:
        names = [f"batch {i}: {wrong}" for i, wrong in found.batches.items()]
        names += [f"{name}: {wrong}" for name, wrong in (found.fixed | found.documents).items()]
        raise Stop(ENVIRONMENT, f"{store} is damaged ({names[0]}). `tmepde repair {store}`, then sweep with --resume.")


def _is_sweep(store: Path) -> bool:
    """Whether ``tmepde sweep`` wrote it, batch by batch; what xarray saved has neither batches nor checksums."""
    from tmepde.sweep.store import COPY, KIND

    try:
        document = json.loads((store / "zarr.json").read_text("utf-8"))
        return bool(document["attributes"]["tmepde_kind"] == KIND and document["attributes"]["batch"])
    except (OSError, ValueError, KeyError, TypeError):
        return (store / COPY).is_file()


def _looked(store: Path) -> Damage:
    from tmepde.io.root import StoreError
    from tmepde.sweep.damage import look

    try:
        return look(store)
    except StoreError as error:
        raise Stop(ENVIRONMENT, str(error)) from None


def mended(store: Path, config: Any = None) -> list[str]:
    """Make the batches of a sweep that have lost something pending, and the rest as it was; in words."""
    from tmepde.io.root import StoreError
    from tmepde.sweep.damage import mend

    try:
        return mend(store, config)
    except StoreError as error:
        raise Stop(ENVIRONMENT, str(error)) from None


def _verify_sweep(store: Path, as_json: bool) -> None:
    found = _looked(store)
    if as_json:
        print(json.dumps({**dataclasses.asdict(found), "good": found.good}, indent=1, ensure_ascii=False))
    else:
        print(f"{store}: {found.chunks} chunks of finished batches and coordinates read")
        for index, wrong in sorted(found.batches.items()):
            print(f"damaged  batch {index}: {wrong}")
        for name, wrong in sorted((found.fixed | found.documents).items()):
            print(f"damaged  {name}: {wrong}")
    if not found.good:
        raise Stop(ENVIRONMENT, f"{store} is damaged. `tmepde repair {store}` keeps what is good.")
