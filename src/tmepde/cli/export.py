"""``tmepde export``: a store in the format of another program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tmepde.cli.exits import BAD_INPUT, Stop
from tmepde.cli.target import real


def export(
    store: Path,
    to: str,
    out: Path,
    fields: Sequence[str] = (),
    arms: Sequence[str] = (),
    times: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Write ``out`` and say so; everything that can be wrong with the question is refused before it is begun."""
    hours = _hours(times)
    if not store.exists():
        raise Stop(BAD_INPUT, f"There is no store at {store}. Write one with `tmepde run CONFIG -o {store}`.")
    if real(store) in (real(out), *real(out).parents):
        raise Stop(BAD_INPUT, f"{out} lies inside the store. Write the export beside it.")
    if real(out) in real(store).parents:
        raise Stop(BAD_INPUT, f"{out} holds the store {store}, which would go with it. Write the export beside it.")
    from tmepde.io.export import export as write
    from tmepde.io.store import StoreError, open_rows

    dataset = open_rows(store)
    wanted = [float(dataset["time"].values[-1]) if one is None else one for one in hours]
    try:
        write(dataset, out, to, fields=fields, arms=arms, times=wanted, overwrite=overwrite)
    except StoreError:
        raise
    except (ValueError, FileExistsError) as error:
        raise Stop(BAD_INPUT, str(error)) from None
    print(out)


def _hours(times: Sequence[str]) -> list[float | None]:
    """Times with units in h; ``"last"`` is ``None``."""
    from tmepde.config.units import parse

    found: list[float | None] = []
    for text in times:
        if text.strip().lower() == "last":
            found.append(None)
            continue
        try:
            found.append(parse(text, "h", bare=False))
        except ValueError as error:
            raise Stop(BAD_INPUT, f"`--time` {error} Or write last.") from None
    return found
