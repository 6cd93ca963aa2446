"""The scenario objects of rows of a sweep, and which of them are one program."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np

from tmepde.config.assign import assign
from tmepde.config.build import Build, build
from tmepde.config.config import validate
from tmepde.sweep.table import Table

#: sections that decide about the grid
PLACES = ("grid", "tissue")


class Members:
    """Builds members of a sweep; the tissue, which may be a picture to be segmented, once for all that share it."""

    def __init__(self, config: Any, table: Table):
        self.table = table
        self._raw = {k: v for k, v in config.given.items() if k != "sweep"}
        self._folder, self._allowed = config.folder, config.allowed
        self._regions: dict[str, Any] = {}
        self._beside: dict[str, list[Any]] = {}

    def build(self, index: int) -> tuple[Any, Build]:
        """The scenario of row ``index`` with its arm alone, and what the config says about the run.

        Raises:
            ConfigError: where the objects refuse what the config could not know.
        """
        raw = copy.deepcopy(self._raw)
        for path, value in self.table.changes(index).items():
            assign(raw, path, value)
        config = validate(raw, folder=self._folder, code=self._allowed)
        place = json.dumps({k: config.table().get(k) for k in PLACES}, sort_keys=True)
        built = build(config, self._regions.get(place))
        self._regions.setdefault(place, built.region)
        return built.scenario.only(built.arms[self.table.arms[index]]), built

    def beside(self, index: int) -> list[Any]:
        """Scenarios of the structure of row ``index`` that together vary whatever varies."""
        keys = self._keys
        rows = [i for i, key in enumerate(keys) if key == keys[index]]
        if keys[index] not in self._beside:
            chosen = {rows[0]}
            for column in (*self.table.values.values(), self.table.arms):
                chosen |= {next((i for i in rows if column[i] != column[rows[0]]), rows[0])}
            self._beside[keys[index]] = [self.build(i)[0] for i in sorted(chosen)]
        return self._beside[keys[index]]

    def key(self, index: int) -> str:
        """The structure of row ``index`` by a name that all processes give it."""
        return f"{json.dumps(self._raw, sort_keys=True)} {self._keys[index]}"

    @functools.cached_property
    def _keys(self) -> list[str]:
        return _keys(self.table)


def structural(table: Table) -> np.ndarray:
    """The order of rows in which those of one structure are neighbours; rows of equal rank stay as they are.

    Numbers with a unit, a 0 beside them, and fractions are data. Whole numbers, words, tables and whatever shapes the
    grid are structure.
    """
    keys = _keys(table)
    first = {key: rank for rank, key in reversed(list(enumerate(keys)))}
    return np.argsort([first[key] for key in keys], kind="stable")


def structures(table: Table) -> int:
    """How many structures there may be at most."""
    return len(set(_keys(table)))


def shaping(table: Table) -> list[str]:
    """Paths whose values are structure."""
    return [p for p, column in table.values.items() if p.split(".")[0] in PLACES or not _are_data(column)]


def beginnings(table: Table) -> list[int]:
    """The first row of each structure of a table that is in the order of :func:`structural`."""
    keys = _keys(table)
    return [i for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]]


def _keys(table: Table) -> list[str]:
    paths = shaping(table)
    return [json.dumps([table.values[p][i] for p in paths], sort_keys=True) for i in range(len(table))]


def _are_data(column: Sequence[Any]) -> bool:
    from tmepde.config.units import split

    parts = [split(value) for value in column]
    units = any(part is not None and part[1] for part in parts)
    return all(part is not None and (units or isinstance(v, float)) for v, part in zip(column, parts, strict=True))


def groups(scenarios: Sequence[Any], settings: Sequence[Any]) -> list[list[int]]:
    """Positions of scenarios that are one program, in the order of their first."""
    found: dict[Any, list[int]] = {}
    for i, (scenario, setting) in enumerate(zip(scenarios, settings, strict=True)):
        found.setdefault((structure(scenario), setting), []).append(i)
    return list(found.values())


def structure(scenario: Any) -> Any:
    """What two scenarios share that are one program: everything but the numbers in their arrays."""
    arrays, rest = eqx.partition(scenario, lambda x: isinstance(x, jax.Array | np.ndarray))
    leaves, tree = jax.tree.flatten(arrays)
    shapes = tuple((np.shape(x), str(x.dtype)) for x in leaves)
    static, shape = jax.tree.flatten(rest)
    return tree, shapes, shape, tuple(map(repr, static))
