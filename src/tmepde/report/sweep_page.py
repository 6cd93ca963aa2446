"""The page of a sweep: what matters, what interacts, what is best; from the store alone, whole or half done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path

import numpy as np
import xarray as xr

from tmepde.report import style, sweep_figures
from tmepde.report.sweep_measures import (
    Outcomes,
    Pair,
    Synergy,
    best,
    is_timing,
    main_effects,
    outcomes,
    pairs,
    synergies,
)
from tmepde.report.tables import number, percent, table

#: maps and tables shown at the most
MAPS, SYNERGIES, BEST = 6, 8, 10
_STATES = ("pending", "ok", "failed", "diverged")


def open_sweep(path: str | os.PathLike[str]) -> xr.Dataset:
    """The store of a sweep, lazily; scenarios that are pending are NaN."""
    return xr.open_zarr(Path(path), chunks=None)


def render_sweep(dataset: xr.Dataset, observable: str | None = None) -> str:
    """The report of a sweep as HTML text.

    Args:
        observable: the outcome, lower is better; left out, the tumour burden, or the first that is stored.

    Raises:
        ValueError: for an observable that is not stored.
    """
    found = outcomes(dataset, observable)
    with style.figures():
        sections = [
            ("best", "Best scenarios", _best(dataset, found)),
            ("effects", "Main effects", _effects(found)),
            ("maps", "Two at a time", _maps(found)),
            ("synergy", "Synergy", _synergy(found)),
            ("configuration", "Configuration", _configuration(dataset)),
        ]
    title = escape(str(dataset.attrs.get("title", "tmepde sweep")))
    css = resources.files("tmepde.report").joinpath("style.css").read_text(encoding="utf-8")
    links = "".join(f'<a href="#{name}">{text}</a>' for name, text, body in sections if body)
    body = "".join(f'<section id="{name}"><h2>{text}</h2>{inner}</section>' for name, text, inner in sections if inner)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="tmepde">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{css}</style></head>\n<body><header><h1>{title}</h1>{_subtitle(dataset, found)}</header>"
        f"<nav>{links}</nav>\n<main>{body}</main></body></html>\n"
    )


def _subtitle(dataset: xr.Dataset, found: Outcomes) -> str:
    count = len(found.values)
    states = dataset["status"].values if "status" in dataset else np.ones(count, int)
    told = [f"{int((states == i).sum())} {name}" for i, name in enumerate(_STATES) if (states == i).any()]
    varied = ", ".join(escape(sweep_figures.short_name(f.name)) for f in found.factors)
    last = "at the end, over its value at the start" if found.relative else "at the end"
    return (
        f"<p>{count} scenarios: {', '.join(told)}. Varied: {varied or 'nothing'}. "
        f"Outcome: <b>{escape(found.name)}</b> {last}; lower is better.</p>"
    )


def _best(dataset: xr.Dataset, found: Outcomes) -> str:
    chosen = best(found, BEST)
    if not chosen:
        return "<p>No scenario has reached its end yet.</p>"
    names = [f.name for f in found.factors]
    head = ["scenario", f"{escape(found.name)} ({escape(found.unit)})"]
    head += [escape(sweep_figures.axis_label(f)) for f in found.factors]
    rows = [[str(i), number(found.values[i]), *(_cell(dataset, n, i) for n in names)] for i in chosen]
    return table(head, rows)


def _cell(dataset: xr.Dataset, name: str, index: int) -> str:
    value = dataset[name].values[index]
    return number(value) if isinstance(value, float | int | np.number) else escape(str(value))


def _effects(found: Outcomes) -> str:
    effects = [e for e in main_effects(found) if np.isfinite(e.share)]
    if not effects:
        return ""
    ranges = [(float(np.nanmin(e.mean)), float(np.nanmax(e.mean))) for e in effects]
    rows = [
        [escape(e.factor.name), str(len(e.factor.levels)), percent(e.share), number(low), number(high)]
        for e, (low, high) in zip(effects, ranges, strict=True)
    ]
    return (
        '<p class="note">Mean outcome at each level over all else that varies, with its standard error; grey: '
        "scenarios. Share of the variance: η² = Σ n (ȳ − ȳ<sub>all</sub>)²/Σ (y − ȳ<sub>all</sub>)², the first-order "
        "index where levels are crossed evenly. Parameters that were drawn are shown in bins of equal counts.</p>"
        + sweep_figures.main_effects(found, effects[:9])
        + table(["parameter", "levels", "share of the variance", "lowest mean", "highest mean"], rows)
    )


def _maps(found: Outcomes) -> str:
    every = pairs(found)
    if not every:
        return ""
    chosen = sorted(every, key=lambda p: (not _dose_and_timing(p), -p.interaction))[:MAPS]
    rows = [
        [f"{escape(p.first.name)} × {escape(p.second.name)}", percent(max(p.interaction, 0.0))]
        for p in sorted(every, key=lambda p: -p.interaction)
    ]
    return (
        '<p class="note">Mean outcome over all else that varies; pairs of a dose and a time first. Interaction: the '
        "variance that both explain together less what each explains alone.</p>"
        + sweep_figures.heat_maps(found, chosen)
        + table(["pair", "interaction, of the variance"], rows)
    )


def _dose_and_timing(pair: Pair) -> bool:
    return is_timing(pair.first) != is_timing(pair.second)


def _synergy(found: Outcomes) -> str:
    every = synergies(found)
    if not every:
        return ""
    shown = sorted(every, key=lambda s: -np.nanmax(np.abs(s.excess)))[:SYNERGIES]
    curves = [s for s in shown if s.effects.size > 4 or np.isfinite(s.index).any()]
    return (
        _formulas()
        + table(
            ["pair", "setting", "at doses", "effects alone", "together", "Bliss expects", "excess", "Loewe index"],
            [_strongest(s) for s in shown],
        )
        + "".join(f"<h3>{_pair(s)}</h3>{sweep_figures.synergy_maps(s)}" for s in curves)
    )


def _formulas() -> str:
    return (
        '<p class="note">Effect E = 1 − y/y<sub>0</sub> with y<sub>0</sub> the outcome without either. Bliss (1939): '
        "excess E<sub>ab</sub> − (E<sub>a</sub> + E<sub>b</sub> − E<sub>a</sub>E<sub>b</sub>), 0 where they act "
        "independently. Loewe (1953; Greco et al. 1995): a/D<sub>a</sub>(E<sub>ab</sub>) + b/D<sub>b</sub>"
        "(E<sub>ab</sub>), 1 for doses that add, as of an agent with itself; D is the dose that does as much alone, "
        "read between the measured ones, a dash where no measured dose does.</p>"
    )


def _pair(one: Synergy) -> str:
    words = f"{escape(sweep_figures.short_name(one.first))} × {escape(sweep_figures.short_name(one.second))}"
    return f"{words} ({escape(one.context)})" if one.context else words


def _strongest(one: Synergy) -> Sequence[str]:
    """The combination with the largest excess, in either direction."""
    i, j = np.unravel_index(int(np.nanargmax(np.abs(one.excess))), one.excess.shape)
    effects = one.effects
    together = float(effects[i, j])
    doses = " + ".join(
        f"{number(d[k])} {escape(u) if u != '1' else ''}".strip()
        for d, k, u in zip(one.doses, (i, j), one.units, strict=True)
    )
    return [
        f"{escape(sweep_figures.short_name(one.first))} × {escape(sweep_figures.short_name(one.second))}",
        escape(one.context) or "–",
        doses if np.isfinite(one.index).any() or one.effects.size > 4 else "given",
        f"{number(effects[i, 0])}, {number(effects[0, j])}",
        number(together),
        number(together - float(one.excess[i, j])),
        number(float(one.excess[i, j])),
        number(float(one.index[i, j])),
    ]


def _configuration(dataset: xr.Dataset) -> str:
    config = dataset.attrs.get("config")
    if not config:
        return ""
    return f"<details><summary>Resolved configuration</summary><pre>{escape(str(config))}</pre></details>"
