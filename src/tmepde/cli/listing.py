"""``tmepde list``: the catalogue as tables or JSON; starts no JAX."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from tmepde.cli.exits import BAD_INPUT, Stop
from tmepde.config.errors import suggest
from tmepde.config.modules import catalogue, foreign_kinds

Row = dict[str, Any]


def listing(what: str, name: str | None, as_json: bool) -> None:
    """Print what there is, all of it or one by name."""
    rows = {"parameters": _parameters, "species": _species}.get(what, lambda: _entries(what))()
    if name is not None:
        keys = {row["of"] if what == "parameters" else row["name"] for row in rows}
        found = [row for row in rows if name in (row.get("of"), row["name"])]
        said = [] if found else [row for row in rows if name.lower() in _words(row)]
        if not found and not said:
            raise Stop(BAD_INPUT, f"There is no {name!r} among the {what}. {suggest(name, keys)}")
        rows = found or said
        if found and what != "parameters" and not as_json:
            _one(rows[0])
            return
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    columns = {
        "parameters": ("of", "name", "value", "unit", "bounds", "meaning", "source"),
        "species": ("name", "kind", "unit", "long_name", "of"),
        "interventions": ("name", "doc", "strategies"),
    }.get(what, ("name", "doc"))
    _table(columns, rows)


def _entries(what: str) -> list[Row]:
    group = dict(catalogue()[what])
    if what == "models":  # and those of the literature
        group |= catalogue()["published"]
    if what == "interventions":
        group |= {name: _foreign(name) for name in foreign_kinds() if name not in group}
    return [{"name": name, **entry} for name, entry in group.items()]


def _foreign(kind: str) -> Row:
    """An intervention of an installed package; importing it starts JAX."""
    from tmepde.config.catalogue import describe
    from tmepde.interventions import resolve

    return describe(resolve(kind))


def _species() -> list[Row]:
    rows = []
    for kind, model in catalogue()["models"].items():
        rows += [{"name": n, **s, "of": kind} for n, s in model["species"].items()]
    for kind, entry in catalogue()["interventions"].items():
        rows += [{"name": n, **s, "of": kind} for n, s in entry["species"].items()]
    return rows


def _parameters() -> list[Row]:
    rows = []
    for group in ("models", "published", "processes", "interventions"):
        for of, entry in catalogue()[group].items():
            rows += list(_parameter_rows(of, "", entry))
    return rows


def _parameter_rows(of: str, prefix: str, entry: dict[str, Any]) -> Iterable[Row]:
    for name, one in entry.get("schedules", {}).items():
        yield {
            "of": of,
            "name": prefix + name,
            "value": None,
            "unit": one["unit"],
            "bounds": [0, None],
            "meaning": one["doc"],
        }
    for name, one in entry.get("options", {}).items():
        meaning = one["doc"] + (f" ({', '.join(map(str, one['choices']))})" if one.get("choices") else "")
        yield {"of": of, "name": prefix + name, "value": one["default"], "unit": "", "bounds": None, "meaning": meaning}
    for name, one in entry.get("parameters", {}).items():
        yield {
            "of": of,
            "name": prefix + name,
            "value": one["default"],
            "unit": one["unit"],
            "bounds": one["bounds"],
            "meaning": one["doc"],
            "ref": one["ref"],
            "status": one["status"],
        }
    for name, part in entry.get("parts", {}).items():
        yield from _parameter_rows(of, f"{prefix}{name}.", part)


def _words(row: Row) -> str:
    """What an entry says of itself, to be searched for a word."""
    told = [str(row.get(key) or "") for key in ("name", "doc", "notes", "long_name", "meaning")]
    return " ".join([*told, *row.get("strategies", {}).values()]).lower()


def _one(row: Row) -> None:
    """One entry in full, with its parameters."""
    print(f"{row['name']}\n{row.get('doc') or row.get('long_name', '')}")
    if row.get("notes"):
        print(f"\n{row['notes']}")
    rows = list(_parameter_rows("", "", row))
    if rows:
        print()
        _table(("name", "value", "unit", "bounds", "meaning", "source"), rows)
    if row.get("strategies"):
        print(f"\nstrategies: {_cell('strategies', row)}")
    for key in ("requires", "processes", "species"):
        if row.get(key):
            print(f"\n{key}: {', '.join(row[key])}")


def _cell(column: str, row: Row) -> str:
    if column == "source":
        return ", ".join(t for t in (row.get("ref"), row.get("status")) if t)
    value = row.get(column)
    if column == "strategies":
        return "; ".join(value.values()) if value else ""
    if column == "bounds" and value:
        low, high = ("…" if v is None else f"{v:g}" for v in value)
        return f"{low} to {high}"
    return "" if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)


def _table(columns: Sequence[str], rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("name", "of", "unit", "value"))
    for row in rows:
        table.add_row(*(_cell(c, row).replace("[", "\\[") for c in columns))
    console = Console()
    # a pipe has no width: do not cut what another program will read
    Console(width=console.width if console.is_terminal else 200).print(table)
