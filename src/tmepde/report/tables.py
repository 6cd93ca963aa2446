"""Tables of a report as HTML text: arms, budgets, parameters, provenance."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import xarray as xr

from tmepde.report.maps import pretty
from tmepde.report.measures import AMOUNTS, CAR_T, Arm, edges
from tmepde.report.style import ARMS, short

#: relative mass-balance errors above this are marked
NOTABLE_ERROR = 1e-3
_BUDGET = ("initial", "produced", "inflow", "lost", "killed", "clipped", "final")
_STATUS = {"seen": "seen", "from memory": "memory", "derived": "derived", "assumed": "assumed"}


def number(value: Any, digits: int = 3) -> str:
    """A number as a reader wants it: 3 significant digits, no ``e+00``; a dash for what is not known."""
    value = float(value)
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    value = float(f"{value:.{digits - 1}e}")
    size = abs(value)
    if 1e-3 <= size < 1e5:
        text = f"{value:.{max(0, digits - 1 - math.floor(math.log10(size)))}f}"
        text = f"{float(text):,.0f}".replace(",", "\u202f") if size >= 1e4 else text
        return text.replace("-", "−")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}·10{raised}".replace("-", "−")


def percent(value: float) -> str:
    return (
        "–"
        if math.isnan(value)
        else f"{100 * value:.0f} %"
        if value >= 0.0995 or value == 0
        else f"{100 * value:.1f} %"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], css: str = "") -> str:
    """Rows of ready HTML cells; the first cell of each row is its heading."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>' + "".join(f"<td>{cell}</td>" for cell in row[1:]) + "</tr>" for row in rows
    )
    return f'<div class="scroll"><table class="{css}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def tag(text: str, kind: str) -> str:
    return f'<span class="tag {kind}">{escape(text)}</span>'


def counted(arms: Mapping[str, Arm]) -> str:
    """What is counted as CAR-T cells: fields that were not saved (``run.save.fields``) are not."""
    return "CAR-T, effectors only" if any(a.has(CAR_T[0]) and not a.has(CAR_T[1]) for a in arms.values()) else "CAR-T"


def key_results(dataset: xr.Dataset, arms: Mapping[str, Arm]) -> str:
    """One row per arm, at the end of the run (and the peak of CAR-T)."""
    amount = AMOUNTS[dataset["cell_volume"].attrs["units"]][1]
    who = counted(arms)
    head = [
        "arm", "final burden<small>× start</small>", "hypoxic nest<small>&lt; 10 mmHg</small>",
        "hypoxic nest<small>&lt; 2.5 mmHg</small>", f"{who}, final<small>{amount}</small>",
        f"{who}, peak<small>{amount} (day)</small>", "infiltration depth<small>µm (an even spread: µm)</small>", "call",
        "antigen-negative<small>of tumour cells</small>", "status",
    ]  # fmt: skip
    burdens = {name: number(arm.burden(arm.last)) for name, arm in arms.items()}
    known = [arm.burden(arm.last) for arm in arms.values() if not math.isnan(arm.burden(arm.last))]
    lowest = number(min(known)) if len(set(burdens.values())) > 1 and known else ""
    rows = []
    for index, (name, arm) in enumerate(arms.items()):
        end, burden = arm.last, burdens[name]
        cells = arm.series(lambda i, arm=arm: arm.amount(CAR_T, i))
        peak = int(np.nanargmax(cells)) if np.any(np.isfinite(cells)) else 0
        reached, even = arm.depth(end)
        call = arm.call(end)
        any_cells = cells[peak] > 0
        rows.append(
            [
                f'<i class="key" style="background:{_color(index)}"></i>{escape(name)}',
                f"<b>{burden}</b>" if burden == lowest else burden,
                percent(arm.hypoxic(end, 10.0)),
                percent(arm.hypoxic(end, 2.5)),
                number(cells[end]),
                f"{number(cells[peak])} <small>({number(arm.days[peak], 2)})</small>" if any_cells else "–",
                f"{reached:.0f} <small>({even:.0f})</small>" if not math.isnan(reached) else "–",
                tag(call, call) if call != "none" else "–",
                percent(arm.antigen_negative(end)),
                status(arm.dataset),
            ]
        )
    return table(head, rows, "key-results")


def fields(dataset: xr.Dataset, arms: Mapping[str, Arm], names: Sequence[str]) -> str:
    """For models without tumour and CAR-T cells: mean (smallest … largest) of every field, at the start and the end."""

    def told(arm: Arm, name: str, index: int) -> str:
        mean, low, high = arm.spread(name, index)
        return f"{number(mean)} <small>({number(low)} … {number(high)})</small>"

    rows = []
    for name in names:
        words, unit = str(dataset[name].attrs.get("long_name", name)), str(dataset[name].attrs.get("units", "1"))
        heading = escape(words) + (f"<small>{escape(pretty(unit))}</small>" if unit != "1" else "")
        first = told(next(iter(arms.values())), name, 0)
        rows.append([heading, first, *(told(arm, name, arm.last) for arm in arms.values())])
    rows.append(["status", "", *(status(arm.dataset) for arm in arms.values())])
    ends = [f"{escape(name)}<small>day {number(arm.days[arm.last])}</small>" for name, arm in arms.items()]
    return table(["mean (smallest … largest)", "start", *ends], rows)


def _color(index: int) -> str:
    return ARMS[index % len(ARMS)]


def finished(dataset: xr.Dataset) -> bool:
    """Whether a scenario reached its end; true where nothing is said."""
    good = ("ok", "done", "success", "finished")
    return "status" not in dataset or str(dataset["status"].values).lower() in good


def status(dataset: xr.Dataset) -> str:
    """Result code, with the message as a tooltip."""
    if "status" not in dataset:
        return "–"
    code = str(dataset["status"].values)
    message = escape(str(dataset["message"].values) if "message" in dataset else "", quote=True)
    return f'<span title="{message}">{tag(code.replace("_", " "), "good" if finished(dataset) else "bad")}</span>'


def budgets(dataset: xr.Dataset, arms: Mapping[str, Arm]) -> str:
    """Relative mass-balance error per species and arm; all terms folded below."""
    if "mass_balance_error" not in dataset:
        return "<p>The store holds no budgets.</p>"
    names = [str(s) for s in dataset["species"].values]
    errors = {a: np.asarray(arm.dataset["mass_balance_error"].values, float) for a, arm in arms.items()}
    rows = [[escape(name), *(_error(errors[arm][k]) for arm in arms)] for k, name in enumerate(names)]
    found = np.abs(np.array(list(errors.values())))
    worst = float(np.nanmax(found)) if np.isfinite(found).any() else math.nan
    share = max((_clipped(arm.dataset) for arm in arms.values()), default=0.0)
    words = f"<p>Largest error of any species in any arm: <b>{number(worst, 2)}</b>. "
    if share == 0:
        words += "No value was clipped.</p>"
    else:
        words += f"Clipping to zero added at most <b>{number(share, 2)}</b> of the amount of any species.</p>"
    head = ["species", *(escape(a) for a in arms)]
    return words + table(head, rows, "numbers") + _terms(dataset, arms, names)


def _clipped(dataset: xr.Dataset) -> float:
    """Largest amount added by clipping, relative to what was there or was produced."""
    if "budget_clipped" not in dataset:
        return 0.0
    whole = sum(np.abs(dataset[f"budget_{key}"].values) for key in ("initial", "produced", "inflow"))
    clipped = np.abs(dataset["budget_clipped"].values)
    return float(np.nanmax(np.divide(clipped, whole, out=np.zeros_like(clipped), where=whole > 0), initial=0.0))


def _error(value: float) -> str:
    text = number(value, 2)
    return f'<span class="warn">{text}</span>' if abs(value) > NOTABLE_ERROR else text


def _terms(dataset: xr.Dataset, arms: Mapping[str, Arm], names: Sequence[str]) -> str:
    present = [key for key in _BUDGET if f"budget_{key}" in dataset]
    units = (
        [str(u) for u in dataset["species_unit"].values] if "species_unit" in dataset.variables else [""] * len(names)
    )
    parts = []
    for arm_name, arm in arms.items():
        rows = []
        for k, (name, unit) in enumerate(zip(names, units, strict=True)):
            values = [float(arm.dataset[f"budget_{key}"].values[k]) for key in present]
            if np.any(np.nan_to_num(values) != 0):
                rows.append([f"{escape(name)} <small>{escape(pretty(unit))}</small>", *map(number, values)])
        parts.append(f"<h4>{escape(arm_name)}</h4>" + table(["species", *present], rows, "numbers"))
    volume = pretty(str(dataset["cell_volume"].attrs["units"]))
    note = f"<p>Integrals over the domain, in the unit of the species × {volume}; compartments in their unit. "
    note += "Species that never occur are left out.</p>"
    return f"<details><summary>All terms of the budgets</summary>{note}{''.join(parts)}</details>"


def parameters(dataset: xr.Dataset) -> str:
    """Every declared parameter with value, unit, meaning, source and status, folded by process."""
    rows = json.loads(dataset.attrs.get("parameters", "[]"))
    if not rows:
        return "<p>The store holds no parameters.</p>"
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        parts = row["path"].split(".")
        depth = 3 if parts[:2] == ["model", "processes"] else min(2, len(parts) - 1)
        groups.setdefault(".".join(parts[:depth]), []).append(row)
    counts = {key: sum(row["status"] == key for row in rows) for key in _STATUS}
    summary = ", ".join(f"{n} {tag(key, _STATUS[key])}" for key, n in counts.items() if n)
    text = (
        f"<p>{len(rows)} parameters: {summary}. A value marked <i>assumed</i> has no source and needs calibration.</p>"
    )
    for group, members in groups.items():
        assumed = sum(row["status"] == "assumed" for row in members)
        note = f"{len(members)} parameter{'s' if len(members) > 1 else ''}" + (
            f", {assumed} assumed" if assumed else ""
        )
        body = [
            [
                f"<code>{escape(row['path'].removeprefix(group + '.'))}</code>",
                _value(row["value"]),
                escape(pretty(row["unit"])) if row["unit"] != "1" else "",
                escape(row["doc"]),
                escape(row["ref"]) or "–",
                tag(row["status"], _STATUS.get(row["status"], "assumed")),
            ]
            for row in members
        ]
        inner = table(["parameter", "value", "unit", "meaning", "source", "status"], body, "parameters")
        text += f"<details><summary><code>{escape(group)}</code> <small>{note}</small></summary>{inner}</details>"
    return text


def _value(value: Any) -> str:
    if isinstance(value, dict):
        by_value: dict[str, list[str]] = {}
        for arm, one in value.items():
            by_value.setdefault(_value(one), []).append(arm)
        return "<br>".join(f"{one} <small>{escape(', '.join(names))}</small>" for one, names in by_value.items())
    if isinstance(value, list):
        return ", ".join(_value(v) for v in value)
    return short(float(f"{value:.6g}")) if isinstance(value, int | float) else escape(str(value))


def facts(dataset: xr.Dataset) -> str:
    """Versions, device and configuration hash as a short list."""
    found = dataset.attrs
    items = [
        ("written", str(found.get("created", "")).replace("T", " ").replace("Z", " UTC")),
        ("tmepde", f"{found.get('tmepde_version', '–')} (commit {found.get('git_commit', 'unknown')})"),
        ("software", f"jax {found.get('jax_version', '–')}, python {found.get('python_version', '–')}"),
        ("device", f"{found.get('device', '–')}, {found.get('precision', '–')}"),
        ("grid", _grid(dataset)),
        ("run time", _run_time(dataset)),
        ("configuration", f"<code>{escape(str(found.get('config_hash', 'none'))[:12])}</code>"),
    ]
    body = "".join(f"<div><dt>{k}</dt><dd>{v if k == 'configuration' else escape(v)}</dd></div>" for k, v in items)
    return f"<dl>{body}</dl>"


def _grid(dataset: xr.Dataset) -> str:
    axes = [str(d) for d in dataset["cell_volume"].dims]
    cells = " × ".join(str(dataset.sizes[a]) for a in axes)
    size = " × ".join(f"{float(np.ptp(edges(dataset, a))) / 1000:.3g}" for a in axes)
    symmetry = str(dataset.attrs.get("symmetry", "slab"))
    return f"{cells} cells ({', '.join(axes)}), {size} mm" + (f", {symmetry}" if symmetry != "slab" else "")


def _run_time(dataset: xr.Dataset) -> str:
    if "wall_time" not in dataset:
        return "–"
    times = np.atleast_1d(dataset["wall_time"].values)
    compiled = np.atleast_1d(dataset["compile_time"].values).max() if "compile_time" in dataset else math.nan
    return (
        f"{number(times.sum())} s for {times.size} arm{'s' if times.size > 1 else ''}, compilation {number(compiled)} s"
    )
