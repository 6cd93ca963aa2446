"""``[sweep]``: which numbers of a config vary, and how. Checked value by value before anything is computed.

    [sweep]
    batch = 16
    [sweep.grid]                                   # every combination
    "interventions.car_t.dose.amount" = ["1e8 cells", "5e8 cells"]
    "model.processes.killing.rate" = { low = "0.1 1/h", high = "1 1/h", count = 5, scale = "log" }

Blocks multiply: a grid beside a Latin hypercube runs every draw at every point of the grid, in every arm.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, StrictInt, field_validator, model_validator

from tmepde.config.assign import assign, keys
from tmepde.config.errors import ConfigError, Problem, suggest
from tmepde.config.section import Section, at, dotted, shown, wrong
from tmepde.config.slurm import Slurm
from tmepde.config.units import factor, split

#: scenarios of one sweep at most
MOST = 1_000_000
_Count = Annotated[StrictInt, Field(ge=1, le=MOST)]
#: what a path may not begin with: all scenarios of a store share these
_SHARED = ("run", "schema", "name", "description", "arms", "sweep")
_OWN = ("run.rtol", "run.max_steps")


class Range(Section):
    """``count`` values from ``low`` to ``high``, both included, evenly spaced or by equal factors (``"log"``).

    Between ends that are whole numbers without a unit or a point, all values are whole.
    """

    low: Any
    high: Any
    count: Annotated[StrictInt, Field(ge=2, le=100_000)] | None = None
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _increasing(self) -> Range:
        low, high = split(self.low), split(self.high)
        for name, end in (("low", low), ("high", high)):
            if end is None or not abs(end[0]) < 1e300:
                given = shown(getattr(self, name))
                raise at(name, f'must be a finite number, but {given} was given. Write "1e8 cells" or 0.5.')
        assert low is not None and high is not None
        try:
            scale = factor(high[1], low[1]) if low[1] and high[1] else (1.0 if low[1] == high[1] else None)
        except ValueError as error:
            raise at("high", str(error)) from None
        if scale is None:
            name, other = ("high", "low") if low[1] else ("low", "high")
            ends = {"low": self.low, "high": self.high}
            remedy = "Write both in one unit."
            raise at(
                name,
                f"must have a unit like {other} ({shown(ends[other])}), but {shown(ends[name])} was given. {remedy}",
            )
        if not low[0] < high[0] * scale:
            raise at("high", f"must be above low ({shown(self.low)}), but {shown(self.high)} was given. Swap them.")
        if self.scale == "log" and not low[0] > 0.0:
            raise at(
                "low", f'must be positive on a scale "log", but {shown(self.low)} was given. Write scale = "linear".'
            )
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Range:
        """Whole numbers must not come twice."""
        if not self.whole or self.count is None:
            return self
        low, high, shares = self.low, self.high, [i / (self.count - 1) for i in range(self.count)]
        log = self.scale == "log"
        there = len({round(low * (high / low) ** s if log else low + (high - low) * s) for s in shares})
        if there < self.count:
            raise at(
                "count",
                f"must not ask for a whole number twice, but is {self.count}, and {low} to {high} holds {there}"
                f"{' at equal factors' if log else ''}. Lower it, or write {low}.0 for numbers with fractions.",
            )
        return self

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers: both ends are, without a unit or a point."""
        return isinstance(self.low, int) and isinstance(self.high, int)


def _axis(value: Any) -> Any:
    """A list of values or a range with a ``count``."""
    if isinstance(value, Mapping):
        return _range(value, counted=True)
    if not isinstance(value, list | tuple) or not value:
        remedy = "Write [a, b] or { low, high, count }."
        raise wrong(f"must be a list of values or a range, but {shown(value)} was given. {remedy}")
    known: dict[Any, Any] = {}
    for one, mark in zip(value, _marks(value), strict=True):
        if mark in known:
            same = "repeated" if one == known[mark] else f"the same as {shown(known[mark])}"
            raise wrong(f"must list each value once, but {shown(one)} is {same}. Drop it.")
        known[mark] = one
    if odd := _without_unit(value):
        raise wrong(odd)
    return tuple(value)


def _marks(values: Iterable[Any]) -> Iterator[Any]:
    """By which values are known: of numbers, how many of the first unit they are, to 12 digits."""
    first = ""
    for value in values:
        number, unit = split(value) or (None, "")
        try:
            factor(unit or "1", "1")
            first = first or unit
            scale = factor(unit, first) if unit and number else 1.0
        except ValueError:  # no unit: a name, say
            scale = None
        if number is None or scale is None or not abs(number) < 1e300:
            yield f"{type(value).__name__} {value!r}"
        else:
            yield float(f"{number * scale:.12g}")


def _without_unit(values: Iterable[Any]) -> str | None:
    """What is wrong with numbers some of which have a unit: only 0 is the same in each."""
    parts = {shown(value): part for value in values if (part := split(value)) is not None}
    units = [name for name, (_, unit) in parts.items() if unit]
    bare = [name for name, (number, unit) in parts.items() if not unit and number]
    if not units or not bare:
        return None
    return f"must have a unit in all values or in none, but {bare[0]} has none and {units[0]} has. Write both alike."


def _draws(value: Any) -> Range:
    """A range without a ``count``."""
    return _range(value, counted=False)


def _range(value: Any, counted: bool) -> Range:
    if isinstance(value, Range):
        return value
    one = Range.model_validate(value)
    if counted and one.count is None:
        raise wrong("must have a `count` in a grid. Write count = 5.")
    if not counted and one.count is not None:
        raise wrong("must not have a `count`: `samples` says how many draws there are. Drop it.")
    return one


class Sampled(Section):
    """``samples`` draws of several numbers at once."""

    samples: _Count
    axes: dict[str, Annotated[Any, PlainValidator(_draws)]]

    @field_validator("axes")
    @classmethod
    def _some(cls, value: dict[str, Any]) -> dict[str, Any]:
        if not value:
            raise wrong('must name a number, but is empty. Write "PATH" = { low = …, high = … }.')
        return value


class Uncertain(Section):
    """``samples`` Latin-hypercube draws of numbers within the range that their status and bounds give."""

    samples: _Count
    paths: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


class Sweep(Section):
    """What varies.

    Attributes:
        batch: scenarios computed, stored and retried together; left out, it is chosen.
        arms: arms of the config to run at every point; left out, all.
        fields: species stored in full; left out, time series alone.
        seed: of the draws; replicate r draws with seed + r.
        replicates: how often the draws are repeated.
        grid, zip, list, latin_hypercube, sobol, priors: blocks, see the module.
        slurm: resources for the executors of SLURM.
    """

    batch: Annotated[StrictInt, Field(ge=1, le=65_536)] | None = None
    arms: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = None
    fields: Annotated[tuple[str, ...], Field(strict=False)] = ()
    seed: Annotated[StrictInt, Field(ge=0, lt=2**31)] = 0
    replicates: Annotated[StrictInt, Field(ge=1, le=10_000)] = 1
    grid: dict[str, Annotated[Any, PlainValidator(_axis)]] = Field(default_factory=dict)
    zip: dict[str, Annotated[Any, PlainValidator(_axis)]] = Field(default_factory=dict)
    list: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()
    latin_hypercube: Sampled | None = None
    sobol: Sampled | None = None
    priors: Uncertain | None = None
    slurm: Slurm | None = None

    @model_validator(mode="after")
    def _possible(self) -> Sweep:
        lengths = {path: count_of(axis) for path, axis in self.zip.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{n} for {path}" for path, n in lengths.items())
            raise at("zip", f"must give every path equally many values, but there are {told}. Even them out.")
        if self.list and len({tuple(sorted(one)) for one in self.list}) > 1:
            raise at("list", "must set the same paths in every entry. Write all of them in each.")
        for path in self.list[0] if self.list else ():
            if odd := _without_unit(one[path] for one in self.list):
                raise at("list", f"must set {path} alike: it {odd}")
        drawn = [b for b in (self.latin_hypercube, self.sobol, self.priors) if b is not None]
        if not (self.grid or self.zip or self.list or drawn):
            raise wrong("must vary something. Add [sweep.grid], zip, list, latin_hypercube, sobol or priors.")
        if self.replicates > 1 and not drawn:
            raise at("replicates", "must be 1 without draws, because equal scenarios give equal results. Drop it.")
        if self.arms and (twice := [arm for arm in self.arms if self.arms.count(arm) > 1]):
            raise at("arms", f"must name each arm once, but {shown(twice[0])} is repeated. Drop it.")
        paths = sorted(self.paths(), key=keys)
        for one, other in itertools.pairwise(paths):
            if keys(one) == keys(other):
                raise wrong(f"must vary each path in one block, but {other!r} is in two. Drop one.")
            if keys(one) and keys(one) == keys(other)[: len(keys(one))]:
                raise wrong(f"must not vary a path beside one below it, but {one!r} holds {other!r}. Drop one.")
        return self

    def paths(self) -> Iterator[str]:
        """All paths that vary."""
        yield from self.grid
        yield from self.zip
        yield from self.list[0] if self.list else ()
        for block in (self.latin_hypercube, self.sobol):
            yield from block.axes if block else ()
        yield from self.priors.paths if self.priors else ()

    def values(self) -> Iterator[tuple[str, Any]]:
        """(path, value) of every listed value, and of both ends of every range."""
        for _, path, value in _tried(self):
            yield path, value

    def table(self) -> dict[str, Any]:
        return {k: v for k, v in super().table().items() if v not in ({}, [])}


def count_of(axis: Any) -> int:
    """Values of an axis of a grid."""
    return int(axis.count or 2) if isinstance(axis, Range) else len(axis)


def size(sweep: Sweep, arms: int) -> int:
    """Scenarios of the sweep."""
    total = arms * sweep.replicates
    for axis in sweep.grid.values():
        total *= count_of(axis)
    if sweep.zip:
        total *= count_of(next(iter(sweep.zip.values())))
    total *= len(sweep.list) or 1
    for block in (sweep.latin_hypercube, sweep.sobol, sweep.priors):
        total *= block.samples if block else 1
    return total


def problems(raw: Mapping[str, Any], sweep: Sweep, arms: Mapping[str, Any], check: Any) -> list[Problem]:
    """What is wrong with the values, each tried by itself in the config.

    Args:
        raw: the tables of the file.
        arms: the arms of the config.
        check: a function of tables that raises :class:`ConfigError`.
    """
    found = []
    for arm in sweep.arms or ():
        if arm not in arms:
            found.append(Problem("sweep.arms", f"names {arm!r}, which is no arm. {suggest(arm, arms)}"))
    total = size(sweep, len(sweep.arms or arms))
    if total > MOST:
        found.append(Problem("sweep", f"must have at most {MOST:,} scenarios, but has {total:,}. Shorten it."))
        return found
    plain = {k: v for k, v in raw.items() if k != "sweep"}
    for where, path, value in _tried(sweep):
        if path.split(".")[0] in _SHARED and path not in _OWN:
            found.append(Problem(where, f"must not vary {path!r}, which all scenarios of a sweep share. Drop it."))
            continue
        named, therapies = path.split("."), raw.get("interventions", {})
        if named[0] == "interventions" and len(named) > 1 and named[1] not in therapies:
            found.append(
                Problem(where, f"names {named[1]!r}, which is no intervention. {suggest(named[1], therapies)}")
            )
            continue
        changed = copy.deepcopy(plain)
        problem = assign(changed, path, value)
        if problem is not None:
            found.append(Problem(where, str(problem.message)))
            continue
        try:
            check(changed)
        except ConfigError as error:
            found += [Problem(where, f"cannot be {shown(value)}: `{p.path}` {p.message}") for p in error.problems[:3]]
    return list(dict.fromkeys(found))


def _tried(sweep: Sweep) -> Iterator[tuple[str, str, Any]]:
    """(place in the file, path, value): every listed value, and both ends of every range."""
    for block in ("grid", "zip"):
        for path, axis in getattr(sweep, block).items():
            where = dotted(("sweep", block, path))
            values = (axis.low, axis.high) if isinstance(axis, Range) else axis
            for value in values:
                yield where, path, value
    for i, entry in enumerate(sweep.list):
        for path, value in entry.items():
            yield dotted(("sweep", "list", i, path)), path, value
    for name in ("latin_hypercube", "sobol"):
        for path, axis in (getattr(sweep, name).axes if getattr(sweep, name) else {}).items():
            for value in (axis.low, axis.high):
                yield dotted(("sweep", name, "axes", path)), path, value
