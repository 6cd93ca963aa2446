"""Figures of a sweep: main effects, heat maps of two parameters, maps of synergy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tmepde.report import style
from tmepde.report.sweep_measures import Effect, Factor, Outcomes, Pair, Synergy, is_timing
from tmepde.report.tables import percent

#: cells of a heat map up to which each carries its number
_WRITTEN = 80
#: multiples of it fill an interval evenly, in no order that any parameter follows
_GOLDEN = 0.6180339887498949


def short_name(path: str) -> str:
    """``car_t · amount`` for ``interventions.car_t.dose.amount``."""
    parts = [p for p in path.split(".") if p not in ("interventions", "model", "processes", "parameters", "dose")]
    return " · ".join(parts[-2:]) if parts else path


def axis_label(factor: Factor) -> str:
    unit = f" ({factor.unit})" if factor.unit not in ("", "1") else ""
    return short_name(factor.name) + unit


def level_label(factor: Factor, level: int) -> str:
    value = factor.levels[level]
    text = style.short(float(f"{value:.3g}")) if factor.numeric else str(value)
    return f"≈ {text}" if factor.binned else text


def main_effects(found: Outcomes, effects: Sequence[Effect]) -> str:
    """One panel per factor: mean outcome and its standard error by level, over the points of all scenarios."""
    columns = min(3, len(effects))
    rows = -(-len(effects) // columns)
    figure = style.new(4.0 * columns + 0.3, 2.6 * rows + 0.2)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes, one in zip(panels, effects, strict=False):
        factor = one.factor
        place = range(len(factor.levels))
        some = np.isfinite(found.values) & (factor.index >= 0)
        spread = 0.24 * (np.flatnonzero(some) * _GOLDEN % 1.0 - 0.5)
        axes.plot(factor.index[some] + spread, found.values[some], ".", color=style.FAINT, ms=3, alpha=0.5)
        axes.errorbar(
            place,
            one.mean,
            np.nan_to_num(one.error),
            color=style.ARMS[1],
            fmt="o-" if factor.numeric else "o",
            ms=4,
            capsize=2,
        )
        names = [level_label(factor, i) for i in place]
        axes.set_xticks(place, [n if len(n) < 18 else n[:16] + "…" for n in names])
        if max(map(len, names)) > 7 and len(names) > 2:
            axes.tick_params(axis="x", rotation=30)
        axes.set_xlabel(axis_label(factor))
        axes.set_title(f"{percent(one.share)} of the variance", loc="left")
    for axes in panels[len(effects) :]:
        axes.set_visible(False)
    _logarithmic(panels, found.values)
    figure.supylabel(f"{found.name} ({found.unit})", fontsize=8.5)
    return style.embed(figure, "Mean outcome by the level of every parameter")


def _logarithmic(panels: Any, values: np.ndarray) -> None:
    some = values[np.isfinite(values)]
    if some.size and some.min() > 0 and some.max() / some.min() > 30:
        panels[0].set_yscale("log")
    for axes in panels:
        style.plain_ticks(axes.yaxis)


def heat_maps(found: Outcomes, pairs: Sequence[Pair]) -> str:
    """Mean outcome by two factors, timing upwards; one colour scale for all maps."""
    turned = [_turned(p) for p in pairs]
    columns = min(2, len(turned))
    rows = -(-len(turned) // columns)
    figure = style.new(5.4 * columns + 0.4, 3.6 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    spread = np.concatenate([p.mean.ravel() for p in turned])
    for axes, one in zip(panels, turned, strict=False):
        image = _map(axes, one.mean.T, one.first, one.second, style.OTHER_MAP + "_r", spread.min(), spread.max())
        axes.set_title(f"interaction: {percent(max(one.interaction, 0.0))} of the variance", loc="left")
    for axes in panels[len(turned) :]:
        axes.set_visible(False)
    bar = figure.colorbar(image, ax=list(panels), shrink=0.8, label=f"{found.name} ({found.unit})")
    bar.outline.set_visible(False)
    return style.embed(figure, "Mean outcome by the levels of two parameters", pixels=True)


def _turned(pair: Pair) -> Pair:
    if is_timing(pair.first) and not is_timing(pair.second):
        return Pair(pair.second, pair.first, pair.mean.T, pair.interaction)
    return pair


def _map(axes: Any, values: np.ndarray, first: Factor, second: Factor, colors: str, low: float, high: float) -> Any:
    """``values`` are ``(second, first)``."""
    high = high if high > low else low + 1.0
    image = axes.imshow(values, origin="lower", aspect="auto", cmap=colors, vmin=low, vmax=high)
    axes.set_xticks(range(len(first.levels)), [level_label(first, i) for i in range(len(first.levels))])
    axes.set_yticks(range(len(second.levels)), [level_label(second, i) for i in range(len(second.levels))])
    axes.set_xlabel(axis_label(first))
    axes.set_ylabel(axis_label(second))
    _written(axes, values, image)
    return image


def _written(axes: Any, values: np.ndarray, image: Any) -> None:
    """Numbers in the cells, dark or light against their colour."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    if values.size > _WRITTEN:
        return
    for (j, i), value in np.ndenumerate(values):
        if np.isfinite(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
            axes.text(
                i,
                j,
                f"{value:.3g}".replace("-", "−"),
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if dark else style.INK,
            )


def synergy_maps(one: Synergy) -> str:
    """Effect, Bliss excess and, where it is known, the Loewe index by the doses of two agents."""
    first, second = (
        Factor(n, u, tuple(d.tolist()), np.zeros(0, int), True)
        for n, u, d in zip((one.first, one.second), one.units, one.doses, strict=True)
    )
    panels: list[tuple[str, np.ndarray, str, float, float]] = [("effect", one.effects, "viridis", 0.0, 1.0)]
    size = max(0.05, float(np.nanmax(np.abs(one.excess))))
    panels.append(("Bliss excess (> 0: synergy)", one.excess, "RdBu", -size, size))
    if np.isfinite(one.index).any():
        far = max(0.1, float(np.nanmax(np.abs(one.index - 1.0))))
        panels.append(("Loewe index (< 1: synergy)", one.index, "RdBu_r", 1.0 - far, 1.0 + far))
    figure = style.new(4.2 * len(panels) + 0.2, 3.2)
    for axes, (title, values, colors, low, high) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        image = _map(axes, values.T, first, second, colors, low, high)
        axes.set_facecolor(style.OUTSIDE)
        axes.set_title(title, loc="left")
        figure.colorbar(image, ax=axes, shrink=0.85).outline.set_visible(False)
    return style.embed(figure, f"Effect and synergy of {one.first} and {one.second}", pixels=True)
