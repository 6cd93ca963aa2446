"""The numbers a reader of a report asks for, from the dataset alone.

With cell volumes V, nest fraction w, and densities n in cells/mm³:

    burden(t)        Σ V (tumour + tumour_negative)                           relative to the start
    hypoxic(t, p)    Σ V w [pO₂ < p] / Σ V w                                  p = 10 and 2.5 mmHg
    profile(d, t)    Σ_{cells at distance d} V n / Σ_{cells at distance d} V  n = all CAR-T
    depth            Σ V w n (−d)₊ / Σ V w n                                  mean over the CAR-T cells inside the nests
    call             desert: fewer than 1000 CAR-T/mm³ in the nests and the stroma within 200 µm of them; otherwise
                     inflamed if their mean density in the nests is at least half of that in this stroma, excluded if
                     it is less

The limits of the call are assumed. 1000 cells/mm³ are about 10 nuclei/mm² of a 4 µm section, in which a nucleus of
6 µm shows if its centre lies within 4 + 6 µm.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

CAR_T = ("car_t", "car_t_exhausted")
TUMOUR = ("tumour", "tumour_negative")
HYPOXIA = (10.0, 2.5)
DESERT, INFLAMED, NEAR = 1000.0, 0.5, 200.0
#: cells/mm³ → nuclei/mm² of a section: thickness 4 µm + diameter 6 µm (assumed)
SECTION = 0.010

#: unit of ``cell_volume`` → factor from (cells/mm³ × volume) to the amount, and how that amount is called
AMOUNTS = {
    "um3": (1e-9, "cells"),
    "um2": (1e-6, "cells per mm of thickness"),
    "um": (1e-3, "cells per mm² of cross-section"),
}


class Profile(NamedTuple):
    """Mean density per bin of signed distance (µm); NaN where a bin holds no tissue."""

    edges: np.ndarray
    values: np.ndarray

    @property
    def centers(self) -> np.ndarray:
        return 0.5 * (self.edges[1:] + self.edges[:-1])


class Arm:
    """One scenario of a dataset, reading each field when it is asked for."""

    def __init__(self, dataset: xr.Dataset):
        self.dataset = dataset
        self.days = np.asarray(dataset["time"].values, float) / 24.0
        self.volume = np.asarray(dataset["cell_volume"].values, float).ravel()
        self._amounts: dict[tuple[str, int], float] = {}
        self.nest = self._nest()

    def _nest(self) -> np.ndarray:
        """Nest fraction; without a stored region, where the initial tumour exceeds half of its maximum."""
        if "region_tumour" in self.dataset:
            return np.nan_to_num(self.dataset["region_tumour"].values).ravel()
        first = self._sum(TUMOUR, 0)
        return np.zeros_like(self.volume) if first is None else (first > 0.5 * first.max()).astype(float)

    @property
    def near_stroma(self) -> np.ndarray:
        """Stroma fraction within :data:`NEAR` of the margin: far host tissue must not decide about the tumour."""
        stroma = np.where(self.volume > 0, 1.0 - self.nest, 0.0)
        if "region_margin_distance" not in self.dataset:
            return stroma
        return np.where(np.nan_to_num(self.dataset["region_margin_distance"].values).ravel() <= NEAR, stroma, 0.0)

    @cached_property
    def last(self) -> int:
        """Index of the last time with a result (an arm that stopped early is padded with NaN)."""
        name = next((n for n in (*TUMOUR, *CAR_T, "oxygen", *map(str, self.dataset.data_vars)) if self.has(n)), None)
        if name is None:
            return len(self.days) - 1
        field = self.dataset[name]
        known = field.notnull().any([d for d in field.dims if d != "time"]).values
        return int(np.flatnonzero(known)[-1]) if known.any() else 0

    def has(self, name: str) -> bool:
        """Whether ``name`` was saved as a field over time and space."""
        return name in self.dataset and self.dataset[name].ndim > 1 and self.dataset[name].dims[0] == "time"

    @property
    def of_a_tumour(self) -> bool:
        """Whether anything is there that the measures of hypoxia and CAR-T cells speak of."""
        return any(self.has(n) for n in (*CAR_T, "oxygen"))

    def spread(self, name: str, index: int) -> tuple[float, float, float]:
        """Mean over the tissue, smallest and largest value of a field."""
        values = np.asarray(self.dataset[name].isel(time=index).values, float).ravel()
        inside = (self.volume > 0) & np.isfinite(values)
        if not inside.any():
            return (float("nan"),) * 3
        return _mean(values[inside], self.volume[inside]), float(values[inside].min()), float(values[inside].max())

    def field(self, name: str, index: int) -> np.ndarray:
        return np.nan_to_num(np.asarray(self.dataset[name].isel(time=index).values, float)).ravel()

    def _sum(self, names: Sequence[str], index: int) -> np.ndarray | None:
        parts = [self.field(n, index) for n in names if self.has(n)]
        return sum(parts[1:], parts[0]) if parts else None

    def car_t(self, index: int) -> np.ndarray | None:
        """All CAR-T cells, effector and exhausted, cells/mm³; ``None`` if they were not saved."""
        return self._sum(CAR_T, index)

    def series(self, value: Any) -> np.ndarray:
        """``value(index)`` for all times; NaN after the last result."""
        end = self.last
        return np.array([value(i) if i <= end else np.nan for i in range(len(self.days))], float)

    def amount(self, names: Sequence[str], index: int) -> float:
        """Cells in the domain, in the unit of :data:`AMOUNTS`."""
        found = [n for n in names if self.has(n)]
        return sum(self._amount(n, index) for n in found) if found else float("nan")

    def _amount(self, name: str, index: int) -> float:
        """Of one field, which several measures ask for: read from the store once."""
        key = (name, index)
        if key not in self._amounts:
            factor = AMOUNTS[self.dataset["cell_volume"].attrs["units"]][0]
            self._amounts[key] = float(np.sum(self.volume * self.field(name, index))) * factor
        return self._amounts[key]

    def burden(self, index: int) -> float:
        """Tumour cells of both kinds relative to the start."""
        start = self.amount(TUMOUR, 0)
        return self.amount(TUMOUR, index) / start if start > 0 else float("nan")

    def antigen_negative(self, index: int) -> float:
        """Antigen-negative part of all tumour cells."""
        total = self.amount(TUMOUR, index)
        return self.amount(TUMOUR[1:], index) / total if total > 0 and self.has(TUMOUR[1]) else float("nan")

    def hypoxic(self, index: int, limit: float) -> float:
        """Part of the nest volume below ``limit`` mmHg."""
        if not self.has("oxygen"):
            return float("nan")
        return _mean(self.field("oxygen", index) < limit, self.volume * self.nest)

    def mean_car_t(self, index: int) -> float:
        """Mean CAR-T density over the tissue, cells/mm³."""
        density = self.car_t(index)
        return float("nan") if density is None else _mean(density, self.volume)

    def depth(self, index: int) -> tuple[float, float]:
        """Mean depth (µm) of the CAR-T cells inside the nests, and of the nests' volume for comparison."""
        density = self.car_t(index)
        if density is None or "region_margin_distance" not in self.dataset:
            return float("nan"), float("nan")
        below = np.maximum(-np.nan_to_num(self.dataset["region_margin_distance"].values).ravel(), 0.0)
        weight = self.volume * self.nest
        return _mean(below, weight * density), _mean(below, weight)

    def call(self, index: int) -> str:
        """``"desert"``, ``"excluded"``, ``"inflamed"``, or ``"none"`` where there is no CAR-T at all."""
        density = self.car_t(index)
        if density is None or not density.any():
            return "none"
        nest, stroma = self.volume * self.nest, self.volume * self.near_stroma
        if _mean(density, nest + stroma) < DESERT:
            return "desert"
        inside, outside = _mean(density, nest), _mean(density, stroma)
        return "excluded" if inside < INFLAMED * outside else "inflamed"

    def profile(self, index: int, edges: np.ndarray, names: Sequence[str] = CAR_T) -> Profile:
        """Mean density against signed distance to the margin."""
        density = self._sum(names, index)
        distance = np.nan_to_num(self.dataset["region_margin_distance"].values).ravel()
        total = np.histogram(distance, edges, weights=self.volume)[0]
        amount = np.zeros_like(self.volume) if density is None else self.volume * density
        held = np.histogram(distance, edges, weights=amount)[0]
        return Profile(edges, np.divide(held, total, out=np.full_like(total, np.nan), where=total > 0))


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    total = float(weights.sum())
    return float(np.sum(values * weights)) / total if total > 0 else float("nan")


def edges(dataset: xr.Dataset, axis: str) -> np.ndarray:
    """Cell edges along an axis in µm, from its bounds, or halfway between centres where they were dropped."""
    if f"{axis}_bounds" in dataset.variables:
        bounds = dataset[f"{axis}_bounds"].values
        return np.append(bounds[:, 0], bounds[-1, 1])
    x = dataset[axis].values.astype(float)
    half = 0.5 * np.diff(x) if x.size > 1 else np.array([0.5])
    return np.concatenate([[x[0] - half[0]], x[:-1] + half if x.size > 1 else [], [x[-1] + half[-1]]])


def distance_edges(dataset: xr.Dataset) -> np.ndarray | None:
    """Bins of signed distance, at least two cells wide, about forty, one edge at the margin. ``None``: no margin."""
    if "region_margin_distance" not in dataset:
        return None
    inside = dataset["cell_volume"].values.ravel() > 0
    distance = dataset["region_margin_distance"].values.ravel()[inside]
    axis = str(dataset["cell_volume"].dims[-1])
    cell = float(np.median(np.diff(dataset[axis].values))) if dataset.sizes[axis] > 1 else 1.0
    low, high = np.nanpercentile(distance, [0.2, 99.8])
    if not low < 0 < high:
        return None
    width = max(2.0 * cell, (high - low) / 40.0)
    return np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width


def arms(dataset: xr.Dataset) -> dict[str, Arm]:
    """Every scenario of a dataset by name; a dataset without scenarios is one arm."""
    if "scenario" not in dataset.dims:
        return {str(dataset.attrs.get("title", "scenario")): Arm(dataset)}
    return {str(name): Arm(dataset.isel(scenario=i)) for i, name in enumerate(dataset["scenario"].values)}
