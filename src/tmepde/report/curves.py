"""Figures of curves: time series of all arms, and profiles against the distance to the tumour margin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from tmepde.report import style
from tmepde.report.maps import label, length, shown_times, space
from tmepde.report.measures import AMOUNTS, CAR_T, HYPOXIA, Arm, distance_edges

#: title, unit, logarithmic if it spreads far, one line per arm
Panel = tuple[str, str, bool, dict[str, np.ndarray]]


def overview(dataset: xr.Dataset, arms: Mapping[str, Arm]) -> str:
    """Burden, hypoxic fraction, CAR-T cells and antigen-negative fraction over time, one line per arm."""
    panels = _overview_panels(dataset, arms)
    if not panels:
        return ""
    figure = style.new(12.4, 2.7 * ((len(panels) + 1) // 2) + 0.4)
    grid = figure.subplots((len(panels) + 1) // 2, 2, squeeze=False).ravel()
    for axes, (title, unit, logarithmic, lines) in zip(grid, panels, strict=False):
        for i, (arm, values) in enumerate(lines.items()):
            axes.plot(arms[arm].days, values, label=arm, **style.arm_style(i))
        axes.set_title(title, loc="left")
        axes.set(xlabel="time (day)", ylabel=unit)
        if logarithmic and _spread(list(lines.values())) > 30:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlim(_time_limits(arms))
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    _plain(grid[: len(panels)])
    handles, names = grid[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=min(len(names), 4))
    return style.embed(figure, "Time series of burden, hypoxia and CAR-T cells for all arms")


def _overview_panels(dataset: xr.Dataset, arms: Mapping[str, Arm]) -> list[Panel]:
    some = next(iter(arms.values()))
    amount = AMOUNTS[dataset["cell_volume"].attrs["units"]][1]
    found: list[Panel] = []

    def add(title: str, unit: str, logarithmic: bool, value: Any) -> None:
        lines = {name: arm.series(lambda i, arm=arm: value(arm, i)) for name, arm in arms.items()}
        found.append((title, unit, logarithmic, lines))

    if some.has("tumour"):
        add("Tumour burden, relative to the start", "× start", True, lambda arm, i: arm.burden(i))
    if some.has("oxygen"):
        for limit in HYPOXIA:
            title = f"Hypoxic fraction of the nests, below {limit:g} mmHg"
            add(title, "fraction", False, lambda arm, i, limit=limit: arm.hypoxic(i, limit))
    if some.has("car_t"):
        add("CAR-T cells in the tissue", amount, True, lambda arm, i: arm.amount(CAR_T, i) or np.nan)
    if some.has("tumour_negative"):
        add("Antigen-negative part of the tumour", "fraction", False, lambda arm, i: arm.antigen_negative(i))
    if "car_t_plasma" in some.dataset:
        blood = {name: arm.dataset["car_t_plasma"].values for name, arm in arms.items()}
        lines = {name: np.where(values > 0, values, np.nan) for name, values in blood.items()}
        if any(np.isfinite(values).any() for values in lines.values()):
            found.append(("CAR-T cells in blood", "cells/µL", True, lines))
    return found


def _plain(panels: Any) -> None:
    for axes in panels:
        style.plain_ticks(axes.yaxis)


def _time_limits(arms: Mapping[str, Arm]) -> tuple[float, float]:
    days = next(iter(arms.values())).days
    return float(days[0]), float(days[-1]) if len(days) > 1 else float(days[0]) + 1.0


def _spread(lines: list[np.ndarray]) -> float:
    values = np.concatenate([np.asarray(v, float).ravel() for v in lines])
    values = values[np.isfinite(values) & (values > 0)]
    return float(values.max() / values.min()) if values.size else 1.0


def series_names(dataset: xr.Dataset) -> list[str]:
    """Stored observables and compartments: whatever has time and no space."""
    axes = set(space(dataset))
    return sorted(str(n) for n, v in dataset.data_vars.items() if "time" in v.dims and not axes & set(v.dims))


def observables(dataset: xr.Dataset, arms: Mapping[str, Arm]) -> str:
    """Every stored time series in a small panel of its own."""
    names = series_names(dataset)
    if not names:
        return ""
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = style.new(3.1 * columns, 2.1 * rows + 0.6)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(grid, names, strict=False):
        for i, arm in enumerate(arms.values()):
            axes.plot(arm.days, arm.dataset[name].values, label=list(arms)[i], lw=1.3, **style.arm_style(i))
        text = label(dataset[name])
        axes.set_title(text if len(text) < 44 else text[:42] + "…", loc="left", fontsize=8)
        axes.set_xlim(_time_limits(arms))
    for axes in grid[len(names) :]:
        axes.set_visible(False)
    _plain(grid[: len(names)])
    figure.supxlabel("time (day)", fontsize=8.5)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4))
    return style.embed(figure, "Stored observables over time for all arms")


def infiltration(dataset: xr.Dataset, arms: Mapping[str, Arm]) -> str:
    """CAR-T density against signed distance to the margin: one panel per arm, one line per time."""
    edges = distance_edges(dataset)
    treated = {n: a for n, a in arms.items() if a.has("car_t") and a.amount(CAR_T, a.last) > 0}
    if edges is None or not treated:
        return ""
    size, unit = length(edges[-1] - edges[0])
    days = next(iter(treated.values())).days
    times = [t for t in shown_times(days, 6) if t > 0] or [0]
    lines = {n: [a.profile(t, edges) for t in times if t <= a.last] for n, a in treated.items()}
    peaks = [max((float(np.nan_to_num(p.values).max()) for p in ps), default=0.0) for ps in lines.values()]
    columns = min(3, len(treated))
    rows = -(-len(treated) // columns)
    figure = style.new(4.0 * columns + 0.3, 2.4 * rows + 0.6)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    logarithmic = max(peaks) > 20 * max(min(peaks), 1e-9)
    for axes, (name, profiles) in zip(panels, lines.items(), strict=False):
        axes.axvspan(size * edges[0], 0, color=style.TISSUE["tumour nest"], alpha=0.16, lw=0)
        for k, profile in enumerate(profiles):
            day = f"day {days[times[k]]:.3g}"
            axes.plot(size * profile.centers, profile.values, color=_ramp(k, len(times)), lw=1.5, label=day)
        axes.set_title(name, loc="left")
        axes.set_xlim(size * edges[0], size * edges[-1])
        if logarithmic:
            axes.set_yscale("log")
            axes.set_ylim(max(peaks) * 1e-4, max(peaks) * 2)
        else:
            axes.set_ylim(0, 1.05 * max(peaks))
    for axes in panels[len(treated) :]:
        axes.set_visible(False)
    for x, side, text, color in ((0.02, "left", "nest", "#7a4a22"), (0.98, "right", "stroma", "#4a6578")):
        panels[0].text(x, 0.97, text, transform=panels[0].transAxes, va="top", ha=side, fontsize=8, color=color)
    _plain(panels)
    figure.supxlabel(f"distance to the tumour margin ({unit})", fontsize=8.5)
    figure.supylabel("CAR-T cells/mm³", fontsize=8.5)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return style.embed(figure, "CAR-T density against signed distance to the tumour margin, per arm and time")


def _ramp(index: int, count: int) -> Any:
    """Early is light, late is dark."""
    from matplotlib import colormaps

    return colormaps["viridis_r"](0.12 + 0.85 * index / max(count - 1, 1))


def radial(dataset: xr.Dataset, arms: Mapping[str, Arm]) -> str:
    """For 3-D: oxygen, tumour and CAR-T at the end against signed distance, all arms in one panel per field."""
    edges = distance_edges(dataset)
    names = [n for n in ("tumour", "oxygen", "car_t", "chemokine", "collagen") if next(iter(arms.values())).has(n)][:4]
    if edges is None or not names:
        return ""
    size, unit = length(edges[-1] - edges[0])
    figure = style.new(3.0 * len(names) + 0.3, 2.9)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        axes.axvspan(size * edges[0], 0, color=style.TISSUE["tumour nest"], alpha=0.16, lw=0)
        for i, (arm, one) in enumerate(arms.items()):
            profile = one.profile(one.last, edges, (name,))
            axes.plot(size * profile.centers, profile.values, label=arm, **style.arm_style(i))
        axes.set_title(label(dataset[name]), loc="left", fontsize=8)
        axes.set_xlim(size * edges[0], size * edges[-1])
        axes.set_ylim(bottom=0)
    _plain(panels)
    figure.supxlabel(f"distance to the tumour margin ({unit})", fontsize=8.5)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)))
    return style.embed(figure, "Final profiles against signed distance to the tumour margin")
