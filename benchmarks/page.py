"""Write docs/benchmarks.md from the results: ``python benchmarks/page.py [RESULTS] [PAGE]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
ORDER = (
    *("w1", "w2", "w3", "w4", "w5", "reference", "milieu", "gradient", "batch", "sweep", "store", "devices"),
    *("gpu", "gpu_models"),
)
TITLES = {
    "w1": "W1: one field in a box",
    "w2": "W2: ten fields in a box",
    "w3": "W3: a pattern by explicit steps",
    "w4": "W4: oxygen in uneven tissue",
    "w5": "W5: from small to large",
    "reference": "The reference model",
    "milieu": "Every species on",
    "gradient": "Gradients",
    "batch": "Batches",
    "sweep": "A sweep",
    "store": "Writing results",
    "devices": "One domain on many devices",
    "gpu": "Graphics processors",
    "gpu_models": "Models on a graphics processor",
}
ABOUT = {
    "w1": "100³ cells of 20 µm, D 1e5 µm²/min, λ 0.1/min, no flux: a smooth bump and a source in a ball, one minute. "
    "Error: relative L2 from the exact solution of the semi-discrete equations (scipy's cosine transform in float64). "
    "`tme.simulate` as it comes.",
    "w2": "The same with ten fields, D from 1e3 to 1e5 µm²/min and λ from 0.01 to 1/min; the worst field counts.",
    "w3": "Gray–Scott, float32, explicit Euler steps through `tme.simulate`; an update advances both fields of a cell.",
    "w4": "u_t = ∇·(D∇u) + S(38 − u) − Vu/(2.5 + u) on 64³ cells for 60 minutes, D varying tenfold, a slow, hungry "
    "ball inside. Error: the largest relative L2 difference at 1, 5, 20 and 60 min. Our default tolerance comes first.",
    "w5": "One stencil, and one solve of (1 − s∇·D∇)u = b to 1e-4, where D varies hundredfold smoothly, in jumps, or "
    "from cell to cell.",
    "reference": "The whole model of a solid tumour with all its species: seconds per simulated day, and the error "
    "against a tenth of the tolerance. Explicit steps: one measured step times the steps that stability demands.",
    "milieu": "The solid tumour with every optional process on and four therapies, four weeks, and the core model "
    "beside it; seconds of the time loop, compilation apart.",
    "gradient": "Value and gradient of the tumour's cells at the end with respect to ten parameters, in reverse.",
    "batch": "Members per second, all at once against one after the other.",
    "sweep": "Scenarios per second by `tmepde sweep`, against a loop over `simulate` and against separate processes.",
    "store": "A run that writes its rows against one that makes them and writes nothing.",
    "devices": "Bytes that a device sends, counted from the compiled program; the same number of cells on each device.",
    "gpu": "Float32 at 256³ against the copy bandwidth of the card: the share is of the bytes that must move at least.",
    "gpu_models": "The nodule on 64³ cells beside a tenth of its tolerance, and on 256³; batches of 64² cells, 2 days.",
}
OTHERS = """\
## Programs that pip does not bring

Measured once on another two-core x86-64 machine (AVX-512, two threads, 23 GB/s DRAM copy), same problems, without us
beside them; ratios travel, seconds do not. Devito's explicit program on W1 took 0.59 s there.

| program | W1, s per simulated minute | error | W2, s per step of 0.01 min | W4 |
|---|---|---|---|---|
| paraBioFVM f32 / f64 (hand-vectorised LOD) | 0.32 / 0.35 | 4.5e-4 | 0.0115 | cannot: one D per field |
| PhysiCore 1.4.1 f64 | 0.32 | 4.5e-4 | | cannot: one D per field |
| BioFVM (PhysiCell 1.14.2) f64 | 4.2 | 4.5e-4 | 0.072 | cannot: one D per field |
| dolfinx | | | | more than 300 s, error 4.3e-3 |
"""
HOW = """\
## How it was measured

`make bench` repeats everything and rewrites this page; `tmepde bench NAME --peers` measures one workload. Every figure
is the best of several repeats after a warm-up, compilation apart. Our seconds are those of the whole call of
`tme.simulate`. The other programs are written against their public interfaces as a user would
(`tmepde.bench.peers`), each in a process of its own with all cores. *Extrapolated* means that the first steps were
timed and multiplied. Ratios above 1: we are faster. The ratio ignores errors; look at both.

What to expect: where D is one number and the equations are linear, one exact step replaces thousands, and so it does
in any program built on fast transforms, some of which are faster than we are. Nothing of that kind exists for uneven D
and nonlinear uptake (W4), which is what tissue has; there, large adaptive steps with multigrid stand against many cheap
explicit ones. Per explicit step a compiled stencil in C is at least our equal.
"""


def main(results: Path, page: Path) -> None:
    """One page from all ``*.json`` of ``results``."""
    records = {p.stem: json.loads(p.read_text("utf-8")) for p in sorted(results.glob("*.json"))}
    known = [records[n] for n in ORDER if n in records]
    if not known:
        sys.exit(f"There are no results in {results}. Run `make bench`.")
    parts = ["# Benchmarks\n\n*Made by `benchmarks/page.py` from `benchmarks/results/`; do not edit.*\n", HOW]
    parts += [machine(known), summary(known)]
    parts += [section(one) for one in known]
    if "gpu" not in records:
        parts.append(predicted())
    page.write_text("\n".join([*parts, OTHERS]), "utf-8")
    print(page)


def machine(records: list[dict[str, Any]]) -> str:
    """Where and with what: a paragraph per machine with all versions that were used on it, and for each workload its
    commit and the limits of its minute."""
    lines = ["## The machine and its limits\n"]
    found: dict[str, dict[str, list[str]]] = {}
    for one in records:
        m = one["machine"]
        memory = f", {m['memory_gib']:.0f} GiB" if "memory_gib" in m else ""
        versions = found.setdefault(f"{m['processor']}, {m['cores']} cores{memory}; {one['device']}", {})
        for name, version in one["versions"].items():
            if version != "not installed":
                versions.setdefault(name, []).append(version)
    for where, versions in found.items():
        used = ", ".join(f"{k} {' or '.join(dict.fromkeys(v))}" for k, v in versions.items())
        lines.append(f"{where}: {used}.\n")
    keys = list(records[0]["limits"])
    lines.append("| workload | commit | date | load | cores | " + " | ".join(k.replace("_", " ") for k in keys) + " |")
    lines.append("|---|---|---|---|---|" + "---|" * len(keys))
    for one in records:
        values = " | ".join(number(one["limits"].get(k)) for k in keys)
        load = number(one["machine"].get("load"))
        when = f"{one['commit'][:8]} | {one['date'][:16]} | {load}"
        lines.append(f"| {one['name']} | {when} | {one['machine'].get('placement', '–')} | {values} |")
    lines.append(
        "\nLoad: processes that wanted to run in the last minute; ours alone are as many as there are cores. Cores: "
        "whether two cores shared their last level of cache before and after (together) or not (apart), see "
        "[Make it fast](how-to/speed.md#two-cores-together-or-apart).\n"
    )
    return "\n".join(lines)


def summary(records: list[dict[str, Any]]) -> str:
    """The headline of every workload."""
    lines = [
        "## In short\n",
        "| workload | seconds | error | fastest other program | its seconds / ours |",
        "|---|---|---|---|---|",
    ]
    for one in records:
        ratios = {n: p["ratio"] for n, p in one["peers"].items() if p.get("ratio") is not None}
        best = min(ratios, key=lambda n: ratios[n]) if ratios else None
        other = f"{best} | {number(ratios[best])}" if best is not None else "– | –"
        lines.append(
            f"| [{TITLES[one['name']]}](#{anchor(TITLES[one['name']])}) | {seconds(one)} | {error(one)} | {other} |"
        )
    if any(map(busy, records)):
        lines.append("\n† measured while other work ran: the seconds are too long, and ratios uncertain.")
    return "\n".join(lines) + "\n"


def busy(one: dict[str, Any]) -> bool:
    """Whether other work ran at the time. A workload's own threads and peers count for the cores that there are."""
    return one["machine"].get("load", 0.0) > one["machine"]["cores"] + 1


def anchor(title: str) -> str:
    """The id that the table of contents gives a heading."""
    return "".join(c for c in title.lower() if c.isalnum() or c in " -").replace(" ", "-")


def section(one: dict[str, Any]) -> str:
    """Headline, peers, rows and notes of one workload."""
    lines = [f"## {TITLES[one['name']]}\n", ABOUT[one["name"]] + "\n", f"*{one['what']}*\n"]
    if one["quick"]:
        lines.append("**Quick run: the figures mean nothing.**\n")
    lines += ["| program | seconds | error | seconds / ours | how |", "|---|---|---|---|---|"]
    compiled = "" if one["compile_s"] is None else f"compiled in {one['compile_s']:.1f} s"
    lines.append(f"| **tmepde** | {seconds(one)} | {error(one)} | 1 | {one['dtype']}, {compiled} |")
    for name, peer in one["peers"].items():
        ratio = number(peer.get("ratio"))
        lines.append(f"| {name} | {seconds(peer)} | {error(peer)} | {ratio} | {peer['note']} |")
    lines.append("")
    lines += reading(one)
    lines += tables(one["rows"])
    lines += [f"- {note}" for note in one["notes"]]
    return "\n".join(lines) + "\n"


def reading(one: dict[str, Any]) -> list[str]:
    """Who is ahead of whom, without adjectives."""
    ratios = {n: p["ratio"] for n, p in one["peers"].items() if p.get("ratio") is not None}
    ahead = [f"{n} ({r:.1f}×)" for n, r in sorted(ratios.items(), key=lambda x: x[1]) if r >= 1.1]
    level = [n for n, r in ratios.items() if 1 / 1.1 < r < 1.1]
    behind = [
        f"{n} (it needs {r:.2f} of our time)" for n, r in sorted(ratios.items(), key=lambda x: x[1]) if r <= 1 / 1.1
    ]
    texts = [("Ahead of", ahead), ("Level with", level), ("Behind", behind)]
    return [f"{label}: {', '.join(names)}.\n" for label, names in texts if names]


def tables(rows: list[dict[str, Any]]) -> list[str]:
    """Rows of equal keys share a table; nested values become a list below it."""
    lines: list[str] = []
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        flat = {k: v for k, v in row.items() if not isinstance(v, dict | list)}
        groups.setdefault(tuple(flat), []).append(row)
    for keys, group in groups.items():
        lines.append("| " + " | ".join(k.replace("_", " ") for k in keys) + " |")
        lines.append("|---" * len(keys) + "|")
        for row in group:
            lines.append("| " + " | ".join(cell(row[k]) for k in keys) + " |")
        lines.append("")
        for row in group:
            for key, value in row.items():
                if isinstance(value, dict):
                    items = ", ".join(f"{k} {cell(v)}" for k, v in value.items())
                    lines.append(
                        f"- {cell(row.get('case', row.get('what', '')))} {cell(row.get('arm', ''))}, {key}: {items}"
                    )
        lines.append("")
    return lines


def predicted() -> str:
    """Bounds for a card that was not there."""
    from tmepde.bench.gpu import COPY_GB_S, PREDICTED

    lines = [
        f"## {TITLES['gpu']}\n",
        f"Not measured. Bounds at 256³ on a card that copies {COPY_GB_S / 1000:g} TB/s, by [counting bytes](gpu.md):\n",
    ]
    lines += ["| kernel | ms |", "|---|---|"] + [f"| {k} | {v:.3f} |" for k, v in PREDICTED.items()]
    return "\n".join(lines) + "\n"


def seconds(one: dict[str, Any]) -> str:
    """Wall time, or a dash."""
    return number(one["wall_s"])


def error(one: dict[str, Any]) -> str:
    """Error, or a dash."""
    return "–" if one.get("error") is None else f"{one['error']:.1e}"


def cell(value: Any) -> str:
    """A value in a table."""
    return number(value) if isinstance(value, float) else "–" if value is None else str(value)


def number(value: Any) -> str:
    """Three digits."""
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float | int) and not isinstance(value, bool) else str(value)


if __name__ == "__main__":
    folders = [Path(a) for a in sys.argv[1:]]
    main(*[*folders, *(ROOT / "benchmarks/results", ROOT / "docs/benchmarks.md")[len(folders) :]])
