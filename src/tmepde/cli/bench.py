"""``tmepde bench``: measure, print a table or JSON, and keep the JSON where it is wanted."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tmepde.cli.exits import BAD_INPUT, ENVIRONMENT, Stop
from tmepde.io.durable import atomic_write


def bench(name: str, as_json: bool, out: Path | None, **options: Any) -> None:
    """Run one workload or ``all``; the latter passes over what this machine cannot measure."""
    from tmepde.bench import NAMES, NoDeviceError, Options, run

    wanted = NAMES if name == "all" else (name,)
    if unknown := [n for n in wanted if n not in NAMES]:
        from tmepde.config.errors import suggest

        raise Stop(BAD_INPUT, f"There is no benchmark {unknown[0]!r}. {suggest(unknown[0], (*NAMES, 'all'))}")
    _writable(out)
    from tmepde.cli.devices import choose_device

    choose_device(options.get("device"), "f32")
    if not options["quick"]:
        os.environ["TMEPDE_CACHE"] = "off"  # what is kept on disk would hide the seconds of the compiler
    found: list[dict[str, Any]] = []

    def keep(record: Any) -> None:
        if out is not None:
            _write(out, [*found, record.as_dict()] if name == "all" else record.as_dict())

    try:
        for one in wanted:
            try:
                record = run(one, Options(**options), keep).as_dict()
            except NoDeviceError as error:
                if name != "all":
                    raise Stop(ENVIRONMENT, str(error)) from None
                print(f"{one}: left out. {error}", file=sys.stderr)
                continue
            found.append(record)
            if not as_json:
                print(text(record), flush=True)
            if out is not None:  # after each, so that an interrupted run keeps what it has
                _write(out, found if name == "all" else record)
    except ValueError as error:
        raise Stop(BAD_INPUT, str(error)) from error
    if as_json:
        print(json.dumps(found if name == "all" else found[0], indent=1, ensure_ascii=False))


def _writable(out: Path | None) -> None:
    if out is None:
        return
    if out.is_dir():
        raise Stop(BAD_INPUT, f"{out} must be a file to write, but it is a folder. Write --out {out / 'bench.json'}.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        there = out.exists()
        with out.open("ab"):  # what is there stays; permissions alone do not say what a folder of the system takes
            pass
        if not there:
            out.unlink()
    except OSError as error:
        raise Stop(BAD_INPUT, f"{out} cannot be written: {error.strerror}. Choose another place.") from None


def _write(out: Path, value: Any) -> None:
    atomic_write(out, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def text(record: dict[str, Any]) -> str:
    """A record for the eye: headline, peers, rows, notes, limits."""
    lines = [f"{record['name']}: {record['what']}"]
    if record["quick"]:
        lines.append("  QUICK: small sizes, to see that it runs; the figures mean nothing")
    lines.append(f"  {_pair('tmepde', record)}, compiled in {_number(record['compile_s'])} s, {record['device']}")
    for name, peer in record["peers"].items():
        ratio = "" if peer["ratio"] is None else f", {_number(peer['ratio'])} times ours"
        lines.append(f"  {_pair(name, peer)}{ratio}{'; ' if peer['note'] else ''}{peer['note']}")
    lines += ["  " + ", ".join(f"{k} {_value(v)}" for k, v in row.items()) for row in record["rows"]]
    lines += [f"  note: {note}" for note in record["notes"]]
    lines.append("  limits: " + ", ".join(f"{k} {_number(v)}" for k, v in record["limits"].items()))
    if placed := record["machine"].get("placement"):
        lines.append(f"  cores, before and after: {placed}")
    busy = record["machine"].get("load", 0.0)
    if busy > record["machine"]["cores"] + 1:
        lines.append(f"  the machine was busy with other work (load {busy:g}): the times are too long")
    return "\n".join(lines) + "\n"


def _pair(name: str, one: dict[str, Any]) -> str:
    error = "" if one["error"] is None else f", error {one['error']:.1e}"
    return f"{name:<12}{'not measured' if one['wall_s'] is None else _number(one['wall_s']) + ' s'}{error}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"
