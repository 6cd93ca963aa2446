"""The pictures of docs/cases.md, from the stores that ``tmepde run`` leaves: ``python docs/case_figures.py out``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.colors import LogNorm

from tmepde.report.measures import CAR_T, arms
from tmepde.report.style import arm_style

TARGET = Path(__file__).parent / "images"


def main(folder: str) -> None:
    TARGET.mkdir(exist_ok=True)
    for name, draw in FIGURES.items():
        store = Path(folder) / f"{name}.zarr"
        if not store.exists():
            print(f"{store} is missing: tmepde run configs/{name}.toml -o {store}")
            continue
        figure = draw(xr.open_zarr(store, consolidated=False))
        figure.savefig(TARGET / f"{name}.png", dpi=100)
        plt.close(figure)
        print(TARGET / f"{name}.png")


def image(axes: Any, values: Any, title: str, margin: Any = None, flip: bool = False, **colours: Any) -> Any:
    """One map without ticks; ``flip`` shows y upwards."""
    values = np.asarray(values, float)[:: -1 if flip else 1]
    drawn = axes.imshow(values, interpolation="nearest", **colours)
    if margin is not None:
        distance = np.asarray(margin, float)[:: -1 if flip else 1]
        axes.contour(np.ma.masked_invalid(distance), [0.0], colors="white", linewidths=0.7)
    axes.set_title(title, fontsize=9)
    axes.set(xticks=[], yticks=[], facecolor="0.88")
    return drawn


def lines(axes: Any, data: xr.Dataset, value: Any, label: str, log: bool = False) -> None:
    """One line per arm over time."""
    for i, (name, arm) in enumerate(arms(data).items()):
        axes.plot(arm.days, arm.series(lambda k, arm=arm: value(arm, k)), label=name, **arm_style(i))
    axes.set(xlabel="day", ylabel=label)
    axes.set_yscale("log" if log else "linear")


def glioblastoma(data: xr.Dataset) -> Any:
    middle = data.isel(z=data.sizes["z"] // 2)
    margin = middle.region_margin_distance
    tumour = dict(cmap="cividis", vmin=0, vmax=3e5)
    figure, axes = plt.subplots(2, 4, figsize=(10.4, 5.4), layout="constrained")
    motility = image(axes[0, 0], middle.region_motility, "tumour motility", margin, True, cmap="gray", vmin=0, vmax=1)
    figure.colorbar(motility, ax=axes[0, 0], label="of that in white matter", shrink=0.8)
    start = middle.tumour.isel(scenario=0, time=0)
    image(axes[1, 0], start, "tumour cells, day 0", margin, True, **tumour)
    for column, arm in enumerate(("no therapy", "CAR-T into a vein", "CAR-T into the cavity"), start=1):
        one = middle.sel(scenario=arm)
        shown = image(axes[0, column], one.tumour.isel(time=-1), f"{arm}, day 70", margin, True, **tumour)
        cells = one.car_t.sel(time=28 * 24.0)
        cells = np.where(np.isfinite(cells), np.maximum(cells, 0.1), np.nan)
        density = image(
            axes[1, column], cells, "CAR-T cells, day 28", margin, True, cmap="viridis", norm=LogNorm(0.1, 3e3)
        )
    figure.colorbar(shown, ax=axes[0, 1:], label="tumour cells/mm³", shrink=0.8)
    figure.colorbar(density, ax=axes[1, 1:], label="CAR-T cells/mm³", shrink=0.8)
    return figure


def retina(data: xr.Dataset) -> Any:
    margin = data.region_margin_distance
    figure, axes = plt.subplots(2, 3, figsize=(9.4, 6.0), layout="constrained")
    vessels = image(axes[0, 0], data.region_vessels, "vessels of the retina", margin, cmap="magma", vmin=0)
    figure.colorbar(vessels, ax=axes[0, 0], label="density (mean 1)", shrink=0.8)
    places = {"no therapy": axes[0, 1], "anti-VEGF, low": axes[0, 2], "anti-VEGF, high": axes[1, 0]}
    for arm, place in places.items():
        field = data.oxygen.sel(scenario=arm).isel(time=-1)
        oxygen = image(place, field, f"oxygen, {arm}, day 28", margin, cmap="inferno", vmin=0, vmax=50)
    figure.colorbar(oxygen, ax=axes[0, 2], label="mmHg", shrink=0.8)
    alone = data.sel(scenario=list(places))
    lines(axes[1, 1], alone, lambda arm, k: arm.hypoxic(k, 10.0), "nest below 10 mmHg")
    axes[1, 1].set_ylim(0, 1)
    treated = data.sel(scenario=["CAR-T", "CAR-T + anti-VEGF, low", "CAR-T + anti-VEGF, high"])
    lines(axes[1, 2], treated, lambda arm, k: arm.amount(CAR_T, k) or np.nan, "CAR-T cells per mm", log=True)
    for place in axes[1, 1:]:
        place.legend(fontsize=7, frameon=False, loc="best")
    return figure


def spheroid(data: xr.Dataset) -> Any:
    figure, axes = plt.subplots(1, 4, figsize=(11.6, 3.0), layout="constrained")
    alone = data.sel(scenario="spheroid alone")
    axes[0].plot(data.r, alone.oxygen.isel(time=0), color="#0072B2")
    axes[0].axvline(330, color="0.5", lw=0.8)
    axes[0].axvspan(330 * 0.50, 330 * 0.62, color="#D55E00", alpha=0.25, lw=0)
    axes[0].set(xlabel="r (µm)", ylabel="oxygen, day 0 (mmHg)", xlim=(0, 600), ylim=(0, None))
    axes[0].text(185, 55, "necrotic radius\nmeasured", ha="center", fontsize=8, color="#D55E00")
    for place, arm in zip(axes[1:3], ("spheroid alone", "CAR-T 1:4"), strict=True):
        field = data.tumour.sel(scenario=arm).transpose("r", "time")
        shown = place.pcolormesh(data.time / 24, data.r, field, cmap="cividis", vmin=0, vmax=3e5)
        place.set(title=arm, xlabel="day", ylabel="r (µm)", ylim=(0, 450))
    figure.colorbar(shown, ax=axes[1:3], label="tumour cells/mm³")
    lines(axes[3], data, lambda arm, k: arm.burden(k), "tumour burden, × start")
    axes[3].set_ylim(0, None)
    axes[3].legend(fontsize=7, frameon=False)
    return figure


def curves_and_cells(arm: str, limits: tuple[float, float], radius: float) -> Any:
    """Burden and antigen loss of all arms beside the CAR-T cells of ``arm`` along the radius."""

    def draw(data: xr.Dataset) -> Any:
        figure, axes = plt.subplots(1, 3, figsize=(11.6, 3.3), layout="constrained", width_ratios=[1.2, 1, 1.1])
        lines(axes[0], data, lambda one, k: one.burden(k), "tumour burden, × start")
        axes[0].set_ylim(0, None)
        lines(axes[1], data, lambda one, k: one.hypoxic(k, 10.0), "nest below 10 mmHg")
        field = np.maximum(data.car_t.sel(scenario=arm).transpose("r", "time"), limits[0])
        shown = axes[2].pcolormesh(data.time / 24, data.r / 1e3, field, cmap="viridis", norm=LogNorm(*limits))
        axes[2].axhline(radius, color="white", lw=0.8, ls="--")
        axes[2].set(title=arm, xlabel="day", ylabel="r (mm)")
        figure.colorbar(shown, ax=axes[2], label="CAR-T cells/mm³")
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=8, frameon=False
        )
        return figure

    return draw


FIGURES = {
    "glioblastoma_mni": glioblastoma,
    "retina_vessels": retina,
    "spheroid_culture": spheroid,
    "mouse_flank": curves_and_cells("CAR-T + both", (10.0, 3e4), 1.5),
    "pancreas_desmoplastic": curves_and_cells("armed + hyaluronidase + anti-VEGF", (1.0, 3e4), 1.0),
}

if __name__ == "__main__":
    main(sys.argv[1])
