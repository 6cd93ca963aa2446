"""The picture of the README, from the store that ``make run`` leaves: ``python docs/picture.py out/colon_ihc.zarr``."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.colors import LogNorm

ARMS = ("no therapy", "CAR-T", "armed CAR-T", "all together")
DAY = 28
FIELDS = (
    ("tumour", "tumour cells/mm³", "cividis", dict(vmin=0, vmax=3e5)),
    ("car_t", "CAR-T cells/mm³", "magma", dict(norm=LogNorm(10, 3e4))),
    ("oxygen", "oxygen, mmHg", "viridis", dict(vmin=0, vmax=40)),
)


def main(store: str) -> None:
    data = xr.open_zarr(store, consolidated=False)
    figure, axes = plt.subplots(3, 4, figsize=(9.2, 7.0), layout="constrained")
    for arm, axis in zip(ARMS, axes[0], strict=True):
        axis.set_title(arm, fontsize=10)
    for row, (name, label, colours, limits) in zip(axes, FIELDS, strict=True):
        for axis, arm in zip(row, ARMS, strict=True):
            field = data[name].sel(scenario=arm).sel(time=24.0 * DAY).values
            shown = np.where(np.isfinite(field), np.maximum(field, 1e-3), np.nan)
            image = axis.imshow(shown, cmap=colours, **limits)
            axis.contour(data.region_tumour.values, [0.5], colors="white", linewidths=0.6)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_facecolor("0.9")
        figure.colorbar(image, ax=row, label=label, fraction=0.05, pad=0.01)
    title = f"Human colon section, 256 µm wide, day {DAY}; white: margin of the nests at the start"
    figure.suptitle(title, fontsize=10)
    target = Path(__file__).parent / "images" / "colon_ihc.png"
    figure.savefig(target, dpi=110)
    print(target)


if __name__ == "__main__":
    main(sys.argv[1])
