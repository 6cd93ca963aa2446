"""``--from STORE@TIME``: the state that a run had saved, for other treatments to start from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from tmepde.cli.exits import BAD_INPUT, Stop

#: hours within which a saved time is the one that was asked for
_NEAR = 1e-6


def parsed(text: str) -> tuple[Path, float, str | None]:
    """Store, hours and arm of ``STORE@TIME`` or ``STORE@TIME@ARM``."""
    from tmepde.config.units import parse

    store, _, rest = text.partition("@")
    time, _, arm = rest.partition("@")
    if not store or not time:
        raise Stop(BAD_INPUT, f"--from must be STORE@TIME, but {text!r} was given. Write --from out/a.zarr@48h.")
    try:
        return Path(store), parse(time.strip(), "h", bare=False), arm or None
    except ValueError as error:
        raise Stop(BAD_INPUT, f"--from: the time {error}") from None


def start_of(text: str, build: Any) -> Any:
    """The :class:`~tmepde.outcome.Start` that ``--from`` means, for the scenario that is to go on.

    Raises:
        Stop: with exit code 2 where the store has no such arm or time, or lacks what the model needs.
    """
    from tmepde.io import open_store
    from tmepde.outcome import Start

    path, hours, arm = parsed(text)
    until = float(build.scenario.until)
    if not 0.0 <= hours < until:
        raise Stop(
            BAD_INPUT,
            f"--from must lie in the run, from 0 to before the end at {until:g} h, but {hours:g} h was given.",
        )
    with open_store(path) as store:
        row = _row(store, path, hours, arm)
        species, shape = build.scenario.system.species, build.scenario.model.grid.shape
        found, missing = {}, []
        for name, one in species.items():
            wanted = () if one.kind == "compartment" else shape
            if name not in store or "time" not in store[name].dims:
                missing.append(name)
                continue
            values = np.asarray(row[name].load().values)
            if values.shape != wanted:
                raise Stop(
                    BAD_INPUT,
                    f"--from: {name!r} has the shape {values.shape} in {path}, but {wanted} here. Use the same grid.",
                )
            found[name] = np.where(np.isnan(values), 0.0, values) if values.ndim else values
        kept = row.attrs.get("precision")
    if not found:
        raise Stop(BAD_INPUT, f"--from: {path} holds no field of this model. Give the store of a run with its fields.")
    if missing:
        print(f"warning: {path} does not hold {', '.join(sorted(missing))}: initial values are taken.", file=sys.stderr)
    if kept and kept != build.precision:
        print(f"warning: {path} was computed in {kept}, this run is in {build.precision}.", file=sys.stderr)
    return Start(hours, found)


def _row(store: Any, path: Path, hours: float, arm: str | None) -> Any:
    arms = [str(name) for name in store["scenario"].values]
    if arm is None and len(arms) > 1:
        raise Stop(BAD_INPUT, f"--from: {path} has {len(arms)} arms. Write {path}@{hours:g}h@{arms[0]!r}, say.")
    chosen = arms[0] if arm is None else arm
    if chosen not in arms:
        from tmepde.config.errors import suggest

        raise Stop(BAD_INPUT, f"--from: {path} has no arm {chosen!r}. {suggest(chosen, arms)}")
    position = arms.index(chosen)
    rows = store.attrs.get("committed_rows")
    times = np.asarray(store["time"].values, float)
    times = times[: int(rows[position])] if rows is not None else times
    near = np.flatnonzero(np.abs(times - hours) <= _NEAR)
    if not len(near):
        shown = ", ".join(f"{t:g}" for t in times[:12]) + (", …" if len(times) > 12 else "")
        raise Stop(BAD_INPUT, f"--from: {path} was not saved at {hours:g} h, but at {shown} h. Choose one of these.")
    return store.isel(scenario=position, time=int(near[0]))
