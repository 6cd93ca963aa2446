"""All rows, in order: ``python -m validation.suite [V1 V9 …]`` runs them and keeps what came out.

Results go to ``out/validation/``, one file per row; ``python -m validation.page`` gathers them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jax

from validation import flow, growth, kinetics, numerics, orderings, oxygen, therapies, transport, vessels  # noqa: F401
from validation.row import ROWS, Row, lines

ORDERED: list[Row] = sorted(ROWS.values(), key=lambda r: int(r.id[1:]))
FRESH = Path(__file__).parent.parent / "out" / "validation"


def measure(one: Row) -> dict[str, Any]:
    """Run a row in 64-bit mode and keep the result."""
    with jax.enable_x64(True):
        result = one.run()
    FRESH.mkdir(parents=True, exist_ok=True)
    (FRESH / f"{one.id}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return result


def main(names: list[str]) -> None:
    for one in ORDERED:
        if not names or one.id in names:
            print(lines(measure(one)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
