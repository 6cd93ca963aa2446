"""Writes the pages that are tables of the catalogue: ``python docs/tables.py``, once the catalogue is up to date.

docs/parameters.md lists every number, docs/mechanisms.md every strategy with the therapies that cover it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tmepde.config.modules import catalogue
from tmepde.interventions.reviews import STRATEGIES

HERE = Path(__file__).parent
NOTE = "*Made by `docs/tables.py` from the classes; do not edit.*"


def _plain(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|").replace("``", "`").replace("](", "] (")  # no link


def _number(value: Any) -> str:
    return "" if value is None else f"{value:g}"


def _parameter_rows(entry: dict[str, Any], prefix: str = "") -> Iterable[str]:
    for name, one in entry.get("schedules", {}).items():
        yield f"| `{prefix}{name}` | dose | {one['unit']} | | {_plain(one['doc'])} | |"
    for name, one in entry.get("options", {}).items():
        choices = ", ".join(map(str, one.get("choices", ())))
        yield f"| `{prefix}{name}` | {one['default']} | | {_plain(choices)} | {_plain(one['doc'])} | |"
    for name, one in entry["parameters"].items():
        if name == "strength":
            continue
        low, high = (("…" if v is None else f"{v:g}") for v in one["bounds"])
        source = ", ".join(t for t in (one["ref"], one["status"]) if t)
        cells = (f"`{prefix}{name}`", _number(one["default"]), one["unit"], f"{low} to {high}", one["doc"], source)
        yield f"| {' | '.join(_plain(c) for c in cells)} |"
    for name, part in entry.get("parts", {}).items():
        yield from _parameter_rows(part, f"{prefix}{name}.")


def parameters() -> str:
    """Every number of models, processes and therapies."""
    lines = ["# Parameters", "", NOTE, ""]
    lines += [
        "Value, unit, bounds, meaning, source and how far the value can be trusted: *seen* in the named source,",
        "*derived*, *from memory* or *assumed*. On the command line: `tmepde list parameters NAME`. Draws from what is",
        "uncertain: `tme.priors(scenario)` and `tme.sample(priors, count)`.",
        "",
    ]
    titles = {
        "models": "Models",
        "published": "Models of the literature",
        "processes": "Processes",
        "interventions": "Therapies",
    }
    optional = catalogue()["models"]["solid_tumour"]["optional"]
    for group, title in titles.items():
        lines += [f"## {title}", ""]
        for name, entry in sorted(catalogue()[group].items()):
            kind = " (optional)" if name in optional else ""
            lines += [f"### {name}{kind}", "", _plain(entry["doc"]), ""]
            rows = list(_parameter_rows(entry))
            if rows:
                lines += ["| name | value | unit | bounds | meaning | source |", "|---|---|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def mechanisms() -> str:
    """Every strategy of the reviews, and what covers it."""
    therapies = catalogue()["interventions"]
    lines = ["# Strategies of the reviews", "", NOTE, ""]
    lines += [
        "What two reviews of CAR-T therapy of solid tumours discuss (Small Science 2026, PMC12928070; Chinese Medical",
        "Journal 138(19), 2025), and the therapies for it. `tmepde list interventions WORD` searches the same.",
        "",
        "| | strategy | therapies |",
        "|---|---|---|",
    ]
    for number, strategy in STRATEGIES.items():
        covering = sorted(k for k, e in therapies.items() if str(number) in e["strategies"])
        named = "any of them, in any combination" if number == 47 else ", ".join(f"`{k}`" for k in covering)
        lines.append(f"| {number} | {_plain(strategy)} | {named} |")
    lines += ["", "## The therapies", "", "| therapy | equation | needs | brings |", "|---|---|---|---|"]
    for kind, entry in sorted(therapies.items()):
        needs, brings = (", ".join(f"`{n}`" for n in entry[key]) for key in ("requires", "species"))
        lines.append(f"| `{kind}` | {_plain(entry['doc'])} | {needs} | {brings} |")
    return "\n".join([*lines, ""])


PAGES = {"parameters.md": parameters, "mechanisms.md": mechanisms}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (HERE / name).write_text(make(), "utf-8")
