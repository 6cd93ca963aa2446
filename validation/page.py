"""Writes docs/validation.md: ``python -m validation.page``.

Fresh results of ``out/validation/`` replace their rows in ``validation/results.json``, which is kept with the project.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

from validation.row import NO_DATA, PASS, allowed, show
from validation.suite import FRESH, ORDERED

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PAGE = HERE.parent / "docs" / "validation.md"

HEAD = """# Validation

*Made by `python -m validation.page` from `validation/results.json`; do not edit.*

`make validate` measures every row in float64 and rewrites this page. A tolerance is that of the validation table and
never tuned: a row that cannot be met fails here, with its cause. Where it is tighter than the digits that are quoted,
half of the last digit is added. *Not yet measured* and *data not given* (files that may not be shipped: set
`TMEPDE_DATA`) are neither.

"""


def gather() -> list[dict[str, Any]]:
    """The kept results with the fresh ones, written back; rows that are no longer declared are dropped."""
    kept = {r["id"]: r for r in json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]} if RESULTS.exists() else {}
    for path in sorted(FRESH.glob("V*.json")):
        fresh = json.loads(path.read_text(encoding="utf-8"))
        if fresh["verdict"] == NO_DATA and kept.get(fresh["id"], fresh)["verdict"] != NO_DATA:
            continue  # measured where the data are
        kept[fresh["id"]] = fresh
    rows = [kept[r.id] for r in ORDERED if r.id in kept]
    told = {"machine": platform.machine(), "precision": "float64", "rows": rows}
    RESULTS.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return rows


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def page(rows: list[dict[str, Any]]) -> str:
    """The whole page as Markdown."""
    verdicts = [r["verdict"] for r in rows]
    out = [HEAD, "Rows: " + ", ".join(f"{verdicts.count(v)} {v}" for v in sorted(set(verdicts))) + ".\n\n"]
    out.append("| row | set-up | verdict | checks met | source |\n|---|---|---|---|---|\n")
    for r in rows:
        met = sum(c["verdict"] == PASS for c in r["checks"])
        out.append(
            f"| [{r['id']}](#{r['id'].lower()}) | {_cell(r['title'])} | {r['verdict']} | {met} of {len(r['checks'])} "
            f"| {_cell(r['source'])} |\n"
        )
    for r in rows:
        out.append(f"\n## {r['id']}\n\n{r['title']}. Source: {r['source']}.\n\n")
        if r["note"]:
            out.append(f"{r['note']}\n\n")
        if r["checks"]:
            out.append("| quantity | expected | obtained | tolerance | verdict |\n|---|---|---|---|---|\n")
        for c in r["checks"]:
            known = c["expected"] is not None
            unit = f" {c['unit']}" if c["unit"] and known else ""
            out.append(
                f"| {_cell(c['quantity'])} | {show(c['expected'])}{unit} | {show(c['obtained'])} "
                f"| {allowed(c) if known else ''} | {c['verdict']} |\n"
            )
        for cause in sorted({c["cause"] for c in r["checks"] if c["cause"]}):
            out.append(f"\nCause: {cause}.\n")
    return "".join(out)


if __name__ == "__main__":
    PAGE.write_text(page(gather()), encoding="utf-8")
    print(f"wrote {PAGE}")
