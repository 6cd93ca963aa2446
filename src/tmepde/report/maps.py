"""Figures of space: tissue classes, fields over time and arms, slices of 3-D, kymographs of 1-D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from tmepde.report import style
from tmepde.report.measures import Arm, edges

#: what is shown first, and open; other fields follow, folded
FIRST = ("tumour", "car_t", "oxygen", "chemokine", "collagen", "ifn_gamma")
_NEXT = ("tumour_negative", "car_t_exhausted", "growth_factor", "tgf_beta", "vegf", "hyaluronan", "vessel_surface")
_PRETTY = {"um": "µm", "uL": "µL", "uM": "µM", "m^2": "m²", "m^3": "m³", "m2": "m²", "m3": "m³", "**2": "²", "**3": "³"}
#: inches: the widest figure
WIDTH = 12.4


def space(dataset: xr.Dataset) -> tuple[str, ...]:
    """Spatial dimensions in array order."""
    return tuple(str(d) for d in dataset["cell_volume"].dims)


def field_names(dataset: xr.Dataset) -> list[str]:
    """All fields over time and space, the most looked-at first."""
    axes = set(space(dataset))
    names = [str(n) for n, v in dataset.data_vars.items() if "time" in v.dims and axes <= set(v.dims)]
    known = [n for n in (*FIRST, *_NEXT) if n in names]
    return known + sorted(set(names) - set(known))


def shown_times(days: np.ndarray, count: int) -> list[int]:
    """Indices of ``count`` saved times, about evenly spaced, the first and the last among them."""
    wanted = np.linspace(days[0], days[-1], min(count, len(days)))
    return sorted({int(np.argmin(np.abs(days - t))) for t in wanted})


def middle(values: xr.DataArray) -> xr.DataArray:
    """2-D of 3-D: the slice through the middle of z, seen with y upwards (a picture's y runs down its rows)."""
    if "z" not in values.dims or "r" in values.dims:
        return values
    return values.isel(z=values.sizes["z"] // 2, y=slice(None, None, -1))


def plane(dataset: xr.Dataset) -> tuple[str, str]:
    """The axes of a picture: to the right, and down; (r, z) on axisymmetric grids."""
    return ("r", "z") if {"r", "z"} <= set(space(dataset)) else ("x", "y")


def label(variable: xr.DataArray) -> str:
    """``Long name (unit)`` as a reader would write it."""
    unit = pretty(str(variable.attrs.get("units", "1")))
    return f"{variable.attrs.get('long_name', variable.name)}" + (f" ({unit})" if unit != "1" else "")


def pretty(unit: str) -> str:
    """Powers and µ as they are printed."""
    for plain, nice in _PRETTY.items():
        unit = unit.replace(plain, nice)
    return unit


def length(span: float) -> tuple[float, str]:
    """Factor and unit in which lengths up to ``span`` µm are shown."""
    return (1e-3, "mm") if span > 5e3 else (1.0, "µm")


def _extent(dataset: xr.Dataset) -> tuple[float, float, float, float]:
    """Left, right, bottom, top for an image whose first row is on top, as in a micrograph."""
    across, down = plane(dataset)
    x, y = edges(dataset, across), edges(dataset, down)
    return float(x.min()), float(x.max()), float(y.max()), float(y.min())


def _bare(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _scale_bar(axes: Any, extent: tuple[float, float, float, float], color: str) -> None:
    """A round length of about a quarter of the width, in the lower left corner, readable on any ground."""
    from matplotlib.patheffects import withStroke

    width, height = extent[1] - extent[0], extent[2] - extent[3]
    length = max(s * 10.0**p for p in range(-1, 5) for s in (1, 2, 5) if s * 10.0**p <= 0.3 * width)
    left, y = extent[0] + 0.06 * width, extent[2] - 0.06 * height
    halo = [withStroke(linewidth=2.2, foreground=style.INK if color == "white" else "white")]
    axes.plot([left, left + length], [y, y], color=color, lw=2.4, solid_capstyle="butt", path_effects=halo)
    text = f"{length:g} µm" if length < 1000 else f"{length / 1000:g} mm"
    axes.text(left, y - 0.03 * height, text, ha="left", va="bottom", fontsize=7.5, color=color, path_effects=halo)


def _margin_lines(dataset: xr.Dataset) -> list[np.ndarray]:
    """The initial tumour margin as polylines of (x, y) in µm; none if it is not stored or not in the picture."""
    if "region_margin_distance" not in dataset:
        return []
    from contourpy import contour_generator

    distance = middle(dataset["region_margin_distance"]).values.astype(float)
    if min(distance.shape) < 2:
        return []
    across, down = plane(dataset)
    lines = contour_generator(dataset[across].values, dataset[down].values, np.ma.masked_invalid(distance)).lines(0.0)
    return [np.asarray(line) for line in lines]


def _draw_margin(axes: Any, lines: Sequence[np.ndarray], color: str, shift: tuple[float, float] = (0.0, 0.0)) -> None:
    from matplotlib.collections import LineCollection

    moved = [line + np.array(shift) for line in lines]
    axes.add_collection(LineCollection(moved, colors=color, linewidths=0.6), autolim=False)


def _bar(figure: Any, image: Any, axes: Any = None, cax: Any = None, **options: Any) -> Any:
    bar = figure.colorbar(image, ax=axes, cax=cax, **options)
    bar.outline.set_visible(False)
    style.plain_ticks(bar.ax.xaxis if options.get("orientation") == "horizontal" else bar.ax.yaxis)
    return bar


def tissue(dataset: xr.Dataset) -> str:
    """Tissue classes beside vessels, nuclei and the distance to the margin, as far as stored and not all the same."""
    axes = space(dataset)
    if "region_tumour" not in dataset:
        return ""
    return _tissue_line(dataset, axes[0]) if len(axes) == 1 else _tissue_image(dataset)


def _tissue_image(dataset: xr.Dataset) -> str:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    extent = _extent(dataset)
    shown = ("region_vessels", "region_nuclei", "region_margin_distance", "region_motility")
    known = [n for n in shown if n in dataset]
    extras = [n for n in known if float(dataset[n].max() - dataset[n].min()) > 0]
    columns = 1 + len(extras)
    tall = min(1.4, (extent[2] - extent[3]) / (extent[1] - extent[0]))
    figure = style.new(3.1 * columns, 3.0 * tall + 0.75)
    panels, bars = figure.subplots(2, columns, squeeze=False, height_ratios=[3.0 * tall, 0.1])
    outside, stroma, nest = (np.array(to_rgb(c)) for c in style.TISSUE.values())
    fraction = np.nan_to_num(middle(dataset["region_tumour"]).values)[..., None]
    mask = middle(dataset["mask"]).values[..., None] > 0
    panels[0].imshow(np.where(mask, fraction * nest + (1 - fraction) * stroma, outside), extent=extent)
    panels[0].set_title("Tissue classes")
    patches = [Patch(facecolor=c, edgecolor=style.FAINT, lw=0.5, label=n) for n, c in style.TISSUE.items()]
    bars[0].axis("off")
    bars[0].legend(handles=patches[::-1], loc="center", ncols=3, handlelength=1, columnspacing=1, borderpad=0)
    _scale_bar(panels[0], extent, style.INK)
    size, unit = length(extent[1] - extent[0])
    titles = {
        "region_vessels": "Vessel density (typical host = 1)",
        "region_nuclei": "Nuclei density (nest mean = 1)",
        "region_margin_distance": f"Distance to the margin ({unit})",
        "region_motility": "Tumour motility (as stated = 1)",
    }
    lines = _margin_lines(dataset)
    for axes, bar, name in zip(panels[1:], bars[1:], extras, strict=True):
        values = middle(dataset[name]).values
        signed = name == "region_margin_distance"
        values = size * values if signed else values
        span = float(np.nanmax(np.abs(values))) or 1.0
        options = {"cmap": "PuOr_r", "vmin": -span, "vmax": span} if signed else {"cmap": "cividis", "vmin": 0.0}
        image = axes.imshow(values, extent=extent, interpolation="nearest", **options)
        _draw_margin(axes, lines, style.INK if signed else "white")
        axes.set_title(titles[name])
        _bar(figure, image, cax=bar, orientation="horizontal")
    for axes in panels:
        _bare(axes)
    return style.embed(figure, "Tissue classes, vessels, nuclei and distance to the tumour margin", pixels=True)


def _tissue_line(dataset: xr.Dataset, axis: str) -> str:
    figure = style.new(7.5, 1.9)
    axes = figure.subplots()
    x = dataset[axis].values
    nest = np.nan_to_num(dataset["region_tumour"].values)
    axes.fill_between(x, 0, nest, color=style.TISSUE["tumour nest"], lw=0, label="tumour nest")
    axes.fill_between(x, nest, 1, color=style.TISSUE["stroma"], lw=0, label="stroma")
    axes.set(xlabel=f"{axis} (µm)", ylabel="fraction", xlim=(x[0], x[-1]), ylim=(0, 1))
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return style.embed(figure, "Tissue classes along the axis")


def _norm(values: np.ndarray) -> tuple[Any, str]:
    """One colour scale for all panels: linear from 0, or by square root where few places tower over the rest."""
    from matplotlib.colors import Normalize, PowerNorm

    known = values[np.isfinite(values)]
    top = float(np.percentile(known, 99.7)) if known.size else 1.0
    top = top if top > 0 else float(known.max(initial=0.0)) or 1.0
    low = float(np.percentile(known, 0.3)) if known.size else 0.0
    low = low if low > 0.6 * top else 0.0
    if known.size and low == 0.0 and float(np.median(known)) < 0.08 * top:
        return PowerNorm(0.5, 0.0, top), "square-root colour scale"
    return Normalize(low, top if top > low else low + 1.0), ""


def field(dataset: xr.Dataset, arms: Mapping[str, Arm], name: str) -> str:
    """One field: rows are times, columns are arms, one colour scale; radial grids give a kymograph per arm."""
    if len(space(dataset)) == 1:
        return _kymograph(arms, name, space(dataset)[0])
    return _grid_of_maps(dataset, arms, name)


def _grid_of_maps(dataset: xr.Dataset, arms: Mapping[str, Arm], name: str) -> str:
    names = list(arms)
    days = next(iter(arms.values())).days
    times = shown_times(days, 5)
    shots = np.stack([[middle(arms[a].dataset[name].isel(time=t)).values for a in names] for t in times]).astype(float)
    norm, remark = _norm(shots)
    extent = _extent(dataset)
    wide, tall = extent[1] - extent[0], extent[2] - extent[3]
    panel = min(2.1, (WIDTH - 1.3) / len(names))
    titles = [_wrapped(arm, panel) for arm in names]
    above = 0.3 + 0.17 * max(title.count("\n") + 1 for title in titles)
    figure = style.new(panel * len(names) + 1.3, panel * tall / wide * len(times) + above)
    axes = figure.subplots()
    step_x, step_y = 1.03 * wide, tall + 0.03 * wide
    lines = _margin_lines(dataset)
    image = None
    for i, t in enumerate(times):
        for j in range(len(names)):
            dx, dy = j * step_x, i * step_y
            placed = (extent[0] + dx, extent[1] + dx, extent[2] + dy, extent[3] + dy)
            image = axes.imshow(shots[i, j], norm=norm, cmap=_colors(name), extent=placed, interpolation="nearest")
            _draw_margin(axes, lines, "white", (dx, dy))
        text = f"day {days[t]:.3g}"
        middle_y = extent[3] + i * step_y + tall / 2
        axes.text(extent[0] - 0.03 * wide, middle_y, text, rotation=90, ha="right", va="center")
    for j, title in enumerate(titles):
        middle_x = extent[0] + j * step_x + wide / 2
        axes.text(middle_x, extent[3] - 0.04 * wide, title, ha="center", va="bottom")
    down = (len(times) - 1) * step_y
    _scale_bar(axes, (extent[0], extent[1], extent[2] + down, extent[3] + down), "white")
    axes.set_xlim(extent[0], extent[1] + (len(names) - 1) * step_x)
    axes.set_ylim(extent[2] + down, extent[3])
    _bare(axes)
    axes.set_anchor("W")
    bar = _bar(figure, image, axes=axes, shrink=min(1.0, 2.4 / len(times)), aspect=30, pad=0.012, extend="max")
    bar.set_label(label(dataset[name]) + (f"\n{remark}" if remark else ""))
    return style.embed(figure, f"{name}: rows are times, columns are arms", pixels=True, scale=_colors(name))


def _colors(name: str) -> Any:
    """The field's colour map, with grey for what is outside the tissue."""
    from matplotlib import colormaps

    return colormaps[style.MAPS.get(name, style.OTHER_MAP)].with_extremes(bad=style.OUTSIDE)


def _wrapped(text: str, inches: float) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, max(10, int(inches * 13))))


def _kymograph(arms: Mapping[str, Arm], name: str, axis: str) -> str:
    first = next(iter(arms.values())).dataset
    blocks = {arm: one.dataset[name].transpose(axis, "time").values.astype(float) for arm, one in arms.items()}
    norm, remark = _norm(np.stack(list(blocks.values())))
    panel = min(3.2, (WIDTH - 1.4) / len(arms))
    figure = style.new(panel * len(arms) + 1.4, 2.7)
    panels = figure.subplots(1, len(arms), squeeze=False, sharey=True)[0]
    mesh = None
    for axes, (arm, values) in zip(panels, blocks.items(), strict=True):
        days = first["time"].values / 24.0
        mesh = axes.pcolormesh(days, first[axis].values, values, norm=norm, cmap=_colors(name), shading="nearest")
        for radius in _crossings(first, axis):
            axes.axhline(radius, color="white", lw=0.7, ls=(0, (4, 2)))
        axes.set_title(_wrapped(arm, panel), fontsize=8.5)
        axes.set_xlabel("time (day)")
        if len(days) > 1:
            axes.set_xlim(days[0], days[-1])
    panels[0].set_ylabel(f"{axis} (µm)")
    bar = _bar(figure, mesh, axes=panels, aspect=24, pad=0.012, extend="max")
    bar.set_label(label(first[name]) + (f"\n{remark}" if remark else ""))
    return style.embed(figure, f"{name}: position against time, columns are arms", pixels=True)


def _crossings(dataset: xr.Dataset, axis: str) -> Sequence[float]:
    """Positions of the initial margin along a line."""
    if "region_margin_distance" not in dataset:
        return ()
    x, d = dataset[axis].values, dataset["region_margin_distance"].values
    at = np.flatnonzero(np.diff(np.sign(d)) != 0)
    return [float(x[i] - d[i] * (x[i + 1] - x[i]) / (d[i + 1] - d[i])) for i in at]
