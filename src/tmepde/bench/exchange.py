"""What devices send to each other in a compiled program, read from its text.

Every collective operation is counted once for each time that its computation runs, by depth of the loops around it:
depth 0 once a call, depth 1 once a trip of a loop (a step), depth 2 once a trip of a loop within (an iteration). Bytes
are those that a device sends: what it holds for a permutation, (N − 1)/N of it for an exchange of all with all, its
part times N − 1 for a gathering, twice (N − 1)/N of it for a reduction (ring algorithms; Thakur, Rabenseifner & Gropp
2005, Int. J. High Perform. Comput. Appl. 19:49). Of a conditional's branches the one that sends most counts.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np

KINDS = ("collective-permute", "all-to-all", "all-gather", "all-reduce", "reduce-scatter")
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) (?:\([^{]*\) -> .*)?\{", re.M)
_OPERATION = re.compile(rf" = (\(?[^=]*?) ({'|'.join(KINDS)})(?:-start)?\(")
_ARRAY = re.compile(r"\b(pred|[a-z]+?\d+)\[([\d,]*)\]")
_CALLED = re.compile(r"(calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")


def exchanged(text: str, devices: int) -> dict[int, dict[str, Any]]:
    """Per depth of loops ``{"bytes": …, "count": {kind: …}}`` of the optimised HLO ``text``, for one device."""
    bodies, entry = _computations(text)
    return _sent(entry, bodies, devices, {})


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    """Lines by computation, and the name of the one that is run."""
    bodies: dict[str, list[str]] = {}
    entry = name = ""
    for line in re.sub(r"/\*.*?\*/", "", text).splitlines():
        if not line.startswith((" ", "}")) and (head := _HEAD.match(line)):
            name = head.group(2)
            bodies[name] = []
            entry = name if head.group(1) else entry
        elif name and line.startswith(" "):
            bodies[name].append(line)
    return bodies, entry


def _sent(name: str, bodies: dict[str, list[str]], devices: int, known: dict[str, Any]) -> dict[int, dict[str, Any]]:
    if name in known:
        return known[name]
    found: dict[int, dict[str, Any]] = {}
    for line in bodies.get(name, ()):
        if operation := _OPERATION.search(line):
            kind = operation.group(2)
            size = _size(operation.group(1))
            if f"{kind}-start(" in line and operation.group(1).startswith("("):
                size /= 2  # operand and result of what runs beside other work
            _add(found, 0, size * _share(kind, devices), {kind: 1})
            continue
        branches = _BRANCHES.search(line)
        called = [b.strip().lstrip("%") for b in branches.group(1).split(",")] if branches else []
        ways = [_sent(b, bodies, devices, known) for b in called]
        pairs = _CALLED.findall(line)
        ways += [_sent(b, bodies, devices, known) for how, b in pairs if how.endswith("_computation")]
        if ways:
            _merge(found, max(ways, key=lambda w: sum(d["bytes"] for d in w.values())), 0)
        for how, other in pairs:
            if how in ("body", "condition"):
                _merge(found, _sent(other, bodies, devices, known), 1)
            elif how == "calls" or (how == "to_apply" and " call(" in line):
                _merge(found, _sent(other, bodies, devices, known), 0)
    known[name] = found
    return found


def _size(shape: str) -> float:
    """Bytes of an HLO shape, or of all in a tuple."""
    total = 0.0
    for kind, extents in _ARRAY.findall(shape):
        bits = 8 if kind == "pred" else int(re.sub(r"\D", "", kind))
        total += np.prod([int(n) for n in extents.split(",") if n]) * bits / 8
    return total


def _share(kind: str, devices: int) -> float:
    """Bytes that a device sends over the bytes of the result."""
    part = (devices - 1) / devices
    return {"collective-permute": 1.0, "reduce-scatter": devices - 1.0, "all-reduce": 2 * part}.get(kind, part)


def _add(found: dict[int, dict[str, Any]], depth: int, size: float, count: dict[str, int]) -> None:
    entry = found.setdefault(depth, {"bytes": 0.0, "count": Counter()})
    entry["bytes"] += size
    entry["count"].update(count)


def _merge(found: dict[int, dict[str, Any]], other: dict[int, dict[str, Any]], deeper: int) -> None:
    for depth, entry in other.items():
        _add(found, depth + deeper, entry["bytes"], entry["count"])
