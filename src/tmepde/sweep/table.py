"""The scenarios of a sweep as one table, the same for the same config on every machine.

Paths are in alphabetical order and the last varies fastest, arms slowest; the order of keys in the file is irrelevant.
Nothing here starts JAX, except for priors, whose ranges come from the objects.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tmepde.config.sweep import Range, Sampled, Sweep, Uncertain
from tmepde.config.units import factor, split

#: digits of a drawn or spaced number: libraries of mathematics differ in the last ones
_DIGITS = 12


@dataclass(frozen=True)
class Table:
    """Scenario i runs ``arms[i]`` with the config changed by ``values[path][i]`` for every path.

    Attributes:
        values: by path, as the config writes them.
        arms: by scenario.
        replicates: number of the repetition, by scenario.
    """

    values: dict[str, list[Any]]
    arms: list[str]
    replicates: list[int]

    def __len__(self) -> int:
        return len(self.arms)

    def changes(self, index: int) -> dict[str, Any]:
        """What scenario ``index`` changes in the config."""
        return {path: column[index] for path, column in self.values.items()}

    @property
    def digest(self) -> str:
        """SHA-256 of the whole table."""
        text = json.dumps([self.values, self.arms, self.replicates], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def column(self, path: str) -> tuple[np.ndarray, str]:
        """Numbers of a path and their unit, or texts and ``"1"`` where it holds no numbers."""
        found = [split(value) for value in self.values[path]]
        parts = [p for p in found if p is not None]
        if len(parts) < len(found) or not _readable({unit for _, unit in parts}):
            texts = [v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in self.values[path]]
            return np.array(texts, dtype=object), "1"
        unit = next((u for _, u in parts if u), "")
        # beside numbers with a unit, the config lets only 0 have none
        numbers = [x if u in ("", unit) else float(f"{x * (factor(u, unit) or 1.0):.15g}") for x, u in parts]
        return np.array(numbers, float), unit or "1"


def _readable(units: set[str]) -> bool:
    """Whether they are units: the name of a file, say, may begin with a number too."""
    try:
        for unit in units - {""}:
            factor(unit, "1")
    except ValueError:
        return False
    return True


def table(config: Any) -> Table:
    """The table of a config that has ``[sweep]``."""
    sweep: Sweep = config.sweep
    arms = list(sweep.arms or config.all_arms)
    blocks = [_grid(path, sweep.grid[path]) for path in sorted(sweep.grid)]
    if sweep.zip:
        columns = {path: _values(sweep.zip[path]) for path in sorted(sweep.zip)}
        blocks.append([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])
    if sweep.list:
        blocks.append([dict(sorted(one.items())) for one in sweep.list])
    rows: list[tuple[str, int, dict[str, Any]]] = []
    for arm in arms:
        for replicate in range(sweep.replicates):
            drawn = list(_drawn(config, sweep, sweep.seed + replicate))
            for combination in itertools.product(*blocks, *drawn):
                rows.append((arm, replicate, {k: v for part in combination for k, v in part.items()}))
    paths = sorted(rows[0][2])
    return Table(
        values={path: [row[2][path] for row in rows] for path in paths},
        arms=[row[0] for row in rows],
        replicates=[row[1] for row in rows],
    )


def _grid(path: str, axis: Any) -> list[dict[str, Any]]:
    return [{path: value} for value in _values(axis)]


def _values(axis: Any) -> list[Any]:
    if not isinstance(axis, Range):
        return list(axis)
    return _placed(axis, np.linspace(0.0, 1.0, axis.count or 2))


def _placed(axis: Range, shares: np.ndarray) -> list[Any]:
    """Values of a range at ``shares`` (0…1) of it, with the unit of its lower end."""
    low, high = split(axis.low), split(axis.high)
    assert low is not None and high is not None  # the config has checked them
    a, unit = low
    b = high[0] if high[1] == unit else high[0] * (factor(high[1], unit) or 1.0)
    found = []
    for share, value in zip(shares, _between(a, b, axis.scale, shares), strict=True):
        number = a if share == 0.0 else b if share == 1.0 else value
        number = round(number) if axis.whole else number
        found.append(f"{number!r} {unit}" if unit else number)
    return found


def _drawn_from(axis: Range, shares: np.ndarray) -> list[Any]:
    """Values of a range at ``shares`` that are drawn from 0…1. Whole numbers n stand for n to n + 1: to round would
    halve the weight of both ends."""
    if not axis.whole:
        return _placed(axis, shares)
    return [min(math.floor(x), axis.high) for x in _between(axis.low, axis.high + 1, axis.scale, shares)]


def _between(a: float, b: float, scale: str, shares: np.ndarray) -> list[float]:
    if scale == "log":
        x = np.exp(np.log(a) + (np.log(b) - np.log(a)) * shares)
    else:
        x = a + (b - a) * shares
    return [float(f"{value:.{_DIGITS}g}") for value in x]


def _drawn(config: Any, sweep: Sweep, seed: int) -> Iterator[list[dict[str, Any]]]:
    from scipy.stats import qmc

    for offset, name in enumerate(("latin_hypercube", "sobol")):
        block: Sampled | None = getattr(sweep, name)
        if block is None:
            continue
        paths = sorted(block.axes)
        rng = np.random.default_rng([seed, offset])
        if name == "sobol":
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="The balance properties of Sobol")  # the config says it
                shares = qmc.Sobol(d=len(paths), rng=rng).random(block.samples)
        else:
            shares = qmc.LatinHypercube(d=len(paths), rng=rng).random(block.samples)
        columns = [_drawn_from(block.axes[p], shares[:, i]) for i, p in enumerate(paths)]
        yield [dict(zip(paths, row, strict=True)) for row in zip(*columns, strict=True)]
    if sweep.priors is not None:
        yield _uncertain(config, sweep.priors, seed)


def _uncertain(config: Any, block: Uncertain, seed: int) -> list[dict[str, Any]]:
    """Draws within the ranges that :mod:`tmepde.prior` gives the numbers of the config."""
    from tmepde.prior import sample

    known = _priors(config)
    if missing := [p for p in block.paths if p not in known]:
        from tmepde.config.errors import ConfigError, Problem, suggest

        raise ConfigError(
            [Problem("sweep.priors.paths", f"names {p!r}, which has no prior. {suggest(p, known)}") for p in missing]
        )
    chosen = {path: known[path] for path in sorted(block.paths)}
    draws = sample(chosen, block.samples, seed)
    unit = {path: one.parameter.unit for path, one in chosen.items()}
    rows = []
    for i in range(block.samples):
        numbers = {path: float(f"{draws[path][i]:.{_DIGITS}g}") for path in chosen}
        rows.append({p: x if unit[p] == "1" else f"{x!r} {unit[p]}" for p, x in numbers.items()})
    return rows


def _priors(config: Any) -> dict[str, Any]:
    """Priors by the paths that the config has for them: a model of the literature, or one of its own, has its numbers
    in ``[model]``, and what else such a model brings has no path."""
    from tmepde.config.modules import of_library
    from tmepde.library.own import builder
    from tmepde.prior import priors

    scenario = config.build().scenario
    known = priors(scenario)
    if of_library(config.model):
        return known
    cls = builder(config.model.kind, config.folder)
    places = {f"model.processes.{name}" for name, one in scenario.model.processes.items() if type(one) is cls}
    found = {path: one for path, one in known.items() if not path.startswith("model.")}
    for place in places:
        found |= {f"model{p.removeprefix(place)}": one for p, one in known.items() if p.startswith(f"{place}.")}
    return found
