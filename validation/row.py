"""What a row of the table is: a set-up, what is expected with its source, what came out, and the verdict."""

from __future__ import annotations

import dataclasses
import math
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

#: verdicts from the worst to the best
FAIL, PENDING, NO_DATA, PASS = "fail", "not yet measured", "data not given", "pass"


class DataNotGiven(Exception):
    """The row needs files of the folder ``TMEPDE_DATA``."""


@dataclasses.dataclass(frozen=True)
class Check:
    """One number. |obtained − expected| ≤ tolerance (relative: times |expected|), or what ``rule`` says.

    Args:
        expected: the published or analytic number; a (low, high) pair for ``rule="between"``.
        obtained: ``None``: not yet measured.
        tolerance: as the validation table states it.
        rule: ``"relative"``, ``"absolute"``, ``"between"``, ``"at most"`` or ``"holds"`` (a statement is true).
        cause: why this check is known to fail; it must then fail.
    """

    quantity: str
    expected: Any
    obtained: Any
    tolerance: float = 0.0
    unit: str = ""
    rule: str = "relative"
    cause: str = ""

    @property
    def verdict(self) -> str:
        if self.obtained is None:
            return PENDING
        return PASS if self._meets() else FAIL

    def _meets(self) -> bool:
        if self.rule == "holds":
            return bool(self.obtained) == bool(self.expected)
        found = float(self.obtained)
        if not math.isfinite(found):
            return False
        if self.rule == "between":
            low, high = self.expected
            return low <= found <= high
        if self.rule == "at most":
            return found <= self.expected
        size = abs(self.expected) if self.rule == "relative" else 1.0
        return abs(found - self.expected) <= self.tolerance * size

    def to_json(self) -> dict[str, Any]:
        out = dataclasses.asdict(self)
        if self.obtained is not None:
            out["obtained"] = bool(self.obtained) if self.rule == "holds" else float(self.obtained)
        return {**out, "verdict": self.verdict}


@dataclasses.dataclass(frozen=True)
class Row:
    """A function that yields checks, with its name in the table, its set-up, its source and what must be said of it."""

    id: str
    title: str
    source: str
    function: Callable[[], Iterable[Check]]
    note: str = ""

    def run(self) -> dict[str, Any]:
        """Measure, and say what came out as plain JSON."""
        began, note = time.perf_counter(), self.note
        checks: list[Check] = []
        try:
            for check in self.function():
                checks.append(check)
            verdict = worst(c.verdict for c in checks)
        except DataNotGiven as error:
            # what could be compared with quoted figures is kept
            verdict, note = worst([NO_DATA, *(c.verdict for c in checks)]), str(error)
        except Exception as error:
            verdict, note = FAIL, f"{type(error).__name__}: {error}"
            traceback.print_exc()
        return {
            "id": self.id,
            "title": self.title,
            "source": self.source,
            "verdict": verdict,
            "note": note,
            "seconds": round(time.perf_counter() - began, 1),
            "checks": [c.to_json() for c in checks],
        }


def worst(verdicts: Iterable[str]) -> str:
    found = list(verdicts) or [PENDING]
    return min(found, key=[FAIL, PENDING, NO_DATA, PASS].index)


def quoted(text: str) -> tuple[float, float]:
    """A number as it is quoted, and half of its last digit relative to it: what the quotation leaves open."""
    value = float(text)
    mantissa, _, exponent = text.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return value, 0.5 * 10.0 ** (int(exponent or 0) - decimals) / abs(value)


#: all rows in the order they were declared
ROWS: dict[str, Row] = {}


def row(
    id: str, title: str, source: str, note: str = ""
) -> Callable[[Callable[[], Iterable[Check]]], Callable[[], Iterable[Check]]]:
    """Declare a row of the table; the function yields its checks."""

    def declare(function: Callable[[], Iterable[Check]]) -> Callable[[], Iterable[Check]]:
        ROWS[id] = Row(id, title, source, function, note)
        return function

    return declare


def not_yet(*quantities: str) -> list[Check]:
    """Checks that nobody has written: they are listed as "not yet measured"."""
    return [Check(q, None, None) for q in quantities]


def lines(result: dict[str, Any]) -> str:
    """A row as text, one line per check."""
    out = [f"{result['id']} {result['title']}: {result['verdict']} ({result['seconds']} s) {result['note']}"]
    for c in result["checks"]:
        out.append(
            f"    {c['quantity']:<58} expected {show(c['expected']):<14} obtained {show(c['obtained']):<12} "
            f"{allowed(c) if c['expected'] is not None else '':<12} {c['verdict']}"
        )
    out += [f"    cause: {cause}" for cause in sorted({c["cause"] for c in result["checks"] if c["cause"]})]
    return "\n".join(out)


def show(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " to ".join(show(v) for v in value)
    return f"{value:.5g}"


def allowed(check: dict[str, Any]) -> str:
    """The tolerance in words."""
    rule, tolerance = check["rule"], check["tolerance"]
    return {
        "relative": f"± {100 * tolerance:.3g} %",
        "absolute": f"± {tolerance:.3g}",
        "between": "in the band",
        "at most": "at most",
        "holds": "holds",
    }[rule]
