"""What a sweep says: one outcome per scenario, main effects, pairs of parameters, pairs of interventions, the best.

The store is an xarray dataset with the dimension ``scenario``: what varies are coordinates on it (and ``arm``), what
came out are arrays (scenario, time), and ``status`` is 1 where a scenario was run to its end. Nothing is run again.

    main effect      mean outcome at each level of a parameter, over all else that varies
    share            η² = Σ_l n_l (ȳ_l − ȳ)²/Σ (y − ȳ)²: the part of the variance that a parameter explains by itself
                     (Pearson 1905; the first-order Sobol index where levels are crossed evenly)
    interaction      η²_ab − η²_a − η²_b on the table of both

Levels of a parameter that was drawn are bins of equal counts (assumption: six).
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from tmepde.report.synergy import bliss_excess, effect, surface

#: status of a scenario that reached its end
OK = 1
#: levels up to which a parameter counts as one of a grid, and bins of one that was drawn
MOST_LEVELS, BINS = 12, 6
#: outcomes by preference; the first stored is taken where none is
PREFERRED = ("tumour_burden", "obs_tumour_burden", "tumour", "tumour_amount")
#: path endings that say when something is given, not how much of it
TIMING = ("at", "start", "every", "over", "until", "delay", "doses", "times")
_NOT_SWEPT = ("scenario", "replicate", "arm")


@dataclass(frozen=True)
class Factor:
    """Something that varies: its level in every scenario (−1: none), and what the levels are called."""

    name: str
    unit: str
    levels: tuple[Any, ...]
    index: np.ndarray
    numeric: bool
    binned: bool = False

    @property
    def values(self) -> np.ndarray:
        """Levels as numbers (middle of a bin)."""
        return np.asarray(self.levels, float) if self.numeric else np.arange(len(self.levels), dtype=float)


@dataclass(frozen=True)
class Outcomes:
    """The outcome of every scenario, NaN where it did not end, and the factors.

    Attributes:
        name: of the observable.
        relative: whether it is over its value at the start.
        arms: members of every arm by its name; empty where the store does not say.
    """

    name: str
    unit: str
    values: np.ndarray
    relative: bool
    factors: tuple[Factor, ...]
    arms: Mapping[str, tuple[str, ...]]

    def factor(self, name: str) -> Factor:
        return next(f for f in self.factors if f.name == name)


def is_sweep(dataset: xr.Dataset) -> bool:
    """Whether a store says that it is one; arms of a run are along ``scenario`` too."""
    return dataset.attrs.get("tmepde_kind") == "sweep"


def outcomes(dataset: xr.Dataset, observable: str | None = None) -> Outcomes:
    """Read a sweep. The outcome is the last value of ``observable`` over its first, or itself where that is 0.

    Raises:
        ValueError: for an observable that is not stored, or a store without any.
    """
    known = series(dataset)
    if observable is None:
        observable = next((n for n in PREFERRED if n in known), known[0] if known else None)
    if observable not in known:
        raise ValueError(f"`observable` must be one of {', '.join(known) or 'none'}, but {observable!r} was given.")
    values = dataset[observable].transpose("scenario", "time").values.astype(float)
    last = _last(values)
    first = values[:, 0]
    relative = bool(np.nanmin(np.where(np.isfinite(first), first, np.inf)) > 0)
    found = last / first if relative else last
    ended = dataset["status"].values == OK if "status" in dataset else np.ones(len(last), bool)
    unit = "× start" if relative else str(dataset[observable].attrs.get("units", ""))
    values = np.where(ended, found, np.nan)
    return Outcomes(observable, unit, values, relative, factors(dataset), _arms(dataset))


def series(dataset: xr.Dataset) -> list[str]:
    """Observables: numbers by scenario and time."""
    return [
        str(n) for n, v in dataset.data_vars.items() if set(v.dims) == {"scenario", "time"} and v.dtype.kind in "fiu"
    ]


def _last(values: np.ndarray) -> np.ndarray:
    """The last number of each row that there is."""
    some = np.isfinite(values)
    at = values.shape[1] - 1 - np.argmax(some[:, ::-1], axis=1)
    return np.where(some.any(axis=1), values[np.arange(len(values)), at], np.nan)


def factors(dataset: xr.Dataset) -> tuple[Factor, ...]:
    """What varies between scenarios, in the order of the store; ``arm`` last."""
    along = [str(n) for n, v in dataset.variables.items() if v.dims == ("scenario",) and n not in _NOT_SWEPT]
    names = [n for n in along if n in dataset.coords or "." in n]  # a path with a blank cannot be named a coordinate
    names += ["arm"] if "arm" in dataset.variables else []
    found = [_factor(n, dataset[n]) for n in names]
    return tuple(f for f in found if len(f.levels) > 1)


def _factor(name: str, column: Any) -> Factor:
    values, unit = column.values, str(column.attrs.get("units", ""))
    if values.dtype.kind not in "fiu":
        texts = list(dict.fromkeys(map(str, values)))
        return Factor(name, "", tuple(texts), np.array([texts.index(str(v)) for v in values]), False)
    values = values.astype(float)
    some = np.isfinite(values)
    levels = np.unique(values[some])
    if len(levels) <= MOST_LEVELS:
        index = np.where(some, np.searchsorted(levels, np.where(some, values, levels[0])), -1)
        return Factor(name, unit, tuple(levels.tolist()), index, True)
    edges = np.quantile(values[some], np.linspace(0, 1, BINS + 1))
    index = np.where(some, np.clip(np.searchsorted(edges, values, side="right") - 1, 0, BINS - 1), -1)
    middles = tuple(float(np.median(values[index == i])) for i in range(BINS) if np.any(index == i))
    kept = [i for i in range(BINS) if np.any(index == i)]
    index = np.array([kept.index(i) if i >= 0 else -1 for i in index])
    return Factor(name, unit, middles, index, True, binned=True)


def is_timing(factor: Factor) -> bool:
    """Whether it says when, going by its path."""
    return factor.numeric and factor.name.rpartition(".")[2] in TIMING


def _arms(dataset: xr.Dataset) -> dict[str, tuple[str, ...]]:
    try:
        table = tomllib.loads(str(dataset.attrs.get("config", ""))).get("arms", {})
    except tomllib.TOMLDecodeError:
        return {}
    return {str(k): tuple(v) for k, v in table.items() if isinstance(v, list)}


# -- main effects and interactions ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Effect:
    """Mean outcome by level with its standard error, and the share of the variance."""

    factor: Factor
    mean: np.ndarray
    error: np.ndarray
    count: np.ndarray
    share: float


def main_effects(found: Outcomes) -> list[Effect]:
    """Of every factor, the strongest first."""
    some = np.isfinite(found.values)
    out = []
    for factor in found.factors:
        groups = [found.values[some & (factor.index == i)] for i in range(len(factor.levels))]
        mean = np.array([g.mean() if g.size else np.nan for g in groups])
        spread = np.array([g.std(ddof=1) / np.sqrt(g.size) if g.size > 1 else np.nan for g in groups])
        count = np.array([g.size for g in groups])
        out.append(Effect(factor, mean, spread, count, _explained(groups)))
    return sorted(out, key=lambda e: -np.nan_to_num(e.share))


def _explained(groups: list[np.ndarray]) -> float:
    """η² of the groups; 0 where nothing varies."""
    filled = [g for g in groups if g.size]
    if not filled:
        return float("nan")
    values = np.concatenate(filled)
    total = float(np.sum((values - values.mean()) ** 2))
    between = float(sum(g.size * (g.mean() - values.mean()) ** 2 for g in filled))
    return between / total if total > 1e-24 * max(1.0, float(np.sum(values**2))) else 0.0


@dataclass(frozen=True)
class Pair:
    """Mean outcome by the levels of two factors ``(first, second)``, NaN where there is no scenario."""

    first: Factor
    second: Factor
    mean: np.ndarray
    interaction: float


def pairs(found: Outcomes) -> list[Pair]:
    """All pairs of factors whose table is filled, the strongest interaction first."""
    shares = {e.factor.name: e.share for e in main_effects(found)}
    out = []
    some = np.isfinite(found.values)
    for a, b in itertools.combinations(found.factors, 2):
        cells = [
            [found.values[some & (a.index == i) & (b.index == j)] for j in range(len(b.levels))]
            for i in range(len(a.levels))
        ]
        mean = np.array([[c.mean() if c.size else np.nan for c in row] for row in cells])
        if not np.all(np.isfinite(mean)):
            continue
        joint = _explained([c for row in cells for c in row])
        out.append(Pair(a, b, mean, joint - shares[a.name] - shares[b.name]))
    return sorted(out, key=lambda p: -p.interaction)


def best(found: Outcomes, count: int = 10) -> list[int]:
    """Scenarios with the lowest outcome, of those that ended."""
    order = np.argsort(np.where(np.isfinite(found.values), found.values, np.inf), kind="stable")
    return [int(i) for i in order[:count] if np.isfinite(found.values[i])]


# -- synergy -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Synergy:
    """Of two agents by dose: effects, Bliss excess and Loewe index ``(first, second)``; ``context``: what else was set.

    Two interventions of arms have the doses 0 and 1, and no Loewe index: it needs dose–effect curves.
    """

    first: str
    second: str
    doses: tuple[np.ndarray, np.ndarray]
    units: tuple[str, str]
    effects: np.ndarray
    excess: np.ndarray
    index: np.ndarray
    context: str


def synergies(found: Outcomes) -> list[Synergy]:
    """Of all pairs of doses, that is parameters of different interventions that have a level 0 and are not times, each
    in every setting of the others where the table is full, and of all pairs of interventions that arms hold together,
    alone and not at all."""
    grid = [f for f in found.factors if f.numeric and not f.binned and not is_timing(f)]
    doses = [f for f in grid if f.levels[0] == 0.0]
    out: list[Synergy] = []
    for a, b in itertools.combinations(doses, 2):
        if _owner(a) == _owner(b):
            continue
        others = [f for f in found.factors if f.name not in (a.name, b.name)]
        for setting in sorted({tuple(int(f.index[i]) for f in others) for i in range(len(found.values))}):
            inside = np.ones(len(found.values), bool)
            for f, level in zip(others, setting, strict=True):
                inside &= f.index == level
            table = _table(found.values, inside, a, b)
            if np.all(np.isfinite(table)) and table[0, 0] > 0:
                effects, excess, index = surface((a.values, b.values), table)
                context = ", ".join(f"{f.name} = {f.levels[k]}" for f, k in zip(others, setting, strict=True) if k >= 0)
                both = (a.values, b.values)
                out.append(Synergy(a.name, b.name, both, (a.unit, b.unit), effects, excess, index, context))
    return out + _of_arms(found)


def _owner(factor: Factor) -> str:
    """``interventions.car_t`` of a path in it; the path itself elsewhere."""
    parts = factor.name.split(".")
    return ".".join(parts[:2]) if parts[0] == "interventions" else factor.name


def _table(values: np.ndarray, inside: np.ndarray, a: Factor, b: Factor) -> np.ndarray:
    """Mean outcome by the levels of a and b among the scenarios ``inside``."""
    out = np.full((len(a.levels), len(b.levels)), np.nan)
    for i, j in np.ndindex(out.shape):
        chosen = values[inside & (a.index == i) & (b.index == j)]
        if chosen.size and np.all(np.isfinite(chosen)):
            out[i, j] = chosen.mean()
    return out


def _of_arms(found: Outcomes) -> list[Synergy]:
    if not found.arms or all(f.name != "arm" for f in found.factors):
        return []
    arm = found.factor("arm")
    by_members = {frozenset(found.arms[n]): i for i, n in enumerate(arm.levels) if n in found.arms}
    names = sorted({m for members in by_members for m in members})
    out = []
    for a, b in itertools.combinations(names, 2):
        for base in sorted((m for m in by_members if not m & {a, b}), key=sorted):
            wanted = [base, base | {a}, base | {b}, base | {a, b}]
            if any(w not in by_members for w in wanted):
                continue
            y0, ya, yb, yab = (_mean(found.values[arm.index == by_members[frozenset(w)]]) for w in wanted)
            if not y0 > 0:
                continue
            ea, eb, eab = (float(effect(y, y0)) for y in (ya, yb, yab))
            effects = np.array([[0.0, eb], [ea, eab]])
            excess = np.array([[np.nan, np.nan], [np.nan, float(bliss_excess(ea, eb, eab))]])
            doses = (np.array([0.0, 1.0]), np.array([0.0, 1.0]))
            context = "with " + ", ".join(sorted(base)) if base else ""
            out.append(Synergy(a, b, doses, ("", ""), effects, excess, np.full((2, 2), np.nan), context))
    return out


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size and np.all(np.isfinite(values)) else float("nan")
