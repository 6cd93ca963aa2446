"""A sweep from its config to a full store: make the store, run a batch of it, see what is left.

    create(config, out)                  # all metadata, every row pending
    for index in pending(out):
        run_batch(out, index)            # in any process, in any order, as often as you like

A batch reads everything it needs from the store. What a scenario does wrong becomes its ``status`` and ``message``;
only what is wrong with the machine (disk, memory, device) is raised.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tmepde import config as configs
from tmepde.io.store import StoreError
from tmepde.sweep import store, width
from tmepde.sweep.origin import FOLDER, GIVEN, folder, given
from tmepde.sweep.store import Array
from tmepde.sweep.table import Table, table


@dataclass(frozen=True)
class BatchReport:
    """What came of one batch: how many ended well, and those that did not with their messages."""

    index: int
    ok: int
    bad: dict[int, str]


#: structures whose first scenario is built to see how large it is
_TRIED = 16
#: scenarios that are tried until one can be built
_ATTEMPTS = 32


def ordered(config: Any) -> Table:
    """The table in the order of the store: scenarios of one structure beside each other."""
    from tmepde.sweep.members import structural

    plain = table(config)
    order = structural(plain)
    return Table(
        {path: [column[i] for i in order] for path, column in plain.values.items()},
        [plain.arms[i] for i in order],
        [plain.replicates[i] for i in order],
    )


def create(config: Any, out: Path) -> None:
    """Make the store of a sweep, with every scenario pending.

    Args:
        config: a loaded config with ``[sweep]``.

    Raises:
        FileExistsError: if there is something at ``out``.
        ValueError: if ``[sweep]`` is missing, or fields are asked for of scenarios with different grids.
    """
    if config.sweep is None:
        raise ValueError("`config` must have [sweep], but has none. Add one, or use tmepde run.")
    rows = ordered(config)
    arrays, wide, member = _arrays(config, rows)
    store.create(Path(out), len(rows), wide.batch, arrays, _attributes(config, rows, wide, member))


def plan(config: Any) -> tuple[int, int, int]:
    """Scenarios, scenarios of a batch, and structures, going by the values that shape arrays."""
    from tmepde.sweep.members import structures

    rows = ordered(config)
    return len(rows), _arrays(config, rows)[1].batch, structures(rows)


def _attributes(config: Any, rows: Table, wide: width.Width, member: float) -> dict[str, Any]:
    from tmepde.io.provenance import inputs, provenance
    from tmepde.sweep.members import beginnings

    text, starts = config.toml(), beginnings(rows)
    return {
        "Conventions": "CF-1.11",
        "title": config.name,
        **provenance(None, text),
        **inputs(config),
        "precision": config.run.precision,
        "sweep_table_hash": rows.digest,
        GIVEN: given(config),
        FOLDER: folder(config),
        "mapped": wide.mapped,
        "member_bytes": round(member),
        # where every batch begins another structure, there is nothing to be said
        "structure_starts": starts if len(starts) <= -(-len(rows) // wide.batch) else [0],
    }


def _arrays(config: Any, rows: Table) -> tuple[dict[str, Array], width.Width, float]:
    """Every array of the store, its widths, and the bytes that a member takes while it runs."""
    from tmepde.simulation import save_times
    from tmepde.sweep.members import Members

    members = Members(config, rows)
    scenario, built = _first(config, rows, members)
    tried = [scenario, *_others(rows, members)]
    times = save_times(scenario, built.save)
    kind = {"f32": np.float32, "f64": np.float64}[config.run.precision]
    taken = {"time", "arm", "status", "message"} | set(config.sweep.fields)
    found: dict[str, Array] = {
        "time": Array(
            ("time",),
            times.shape,
            np.float64,
            {"units": "h", "long_name": "Time since the start of the scenario", "axis": "T", "coordinate": True},
            times,
            scenario=False,
        ),
        "scenario": Array(
            (), (), np.int64, {"long_name": "Scenario", "units": "1", "coordinate": True}, range(len(rows))
        ),
        "arm": Array((), (), str, {"long_name": "Treatment arm", "units": "1", "coordinate": True}, rows.arms),
    }
    if len(set(rows.replicates)) > 1:
        attributes = {"long_name": "Repetition of the draws", "units": "1", "coordinate": True}
        found["replicate"] = Array((), (), np.int32, attributes, rows.replicates)
    for path in rows.values:
        numbers, unit = rows.column(path)
        attributes = {"units": unit, "long_name": f"Config value {path}", "coordinate": True}
        found[path] = Array((), (), str if numbers.dtype == object else np.float64, attributes, numbers)
    found |= _outcome()
    for name, one in sorted(_observables(tried).items()):
        attributes = {
            "units": _unit(one),
            "long_name": getattr(one, "long_name", "") or name.replace("_", " ").capitalize(),
            "cell_methods": "time: point",
        }
        found[f"obs_{name}" if name in taken else name] = Array(("time",), times.shape, kind, attributes)
    found |= _fields(config, scenario, times, kind)
    written = [a for a in found.values() if a.scenario and a.values is None]
    per_row = sum(np.prod(a.shape, dtype=float) * np.dtype(a.dtype).itemsize for a in written)
    if config.sweep.batch:
        wide = width.Width(*[min(config.sweep.batch, len(rows))] * 2)
    else:
        wide = width.chosen(scenario, config.run.precision, float(per_row), len(written), len(rows))
    return found, wide, max(width.member_bytes(one, config.run.precision) for one in tried)


def _first(config: Any, rows: Table, members: Any) -> tuple[Any, Any]:
    """The first scenario that can be built, of all or of 32 by chance; those that cannot will fail in their rows.

    Raises:
        ConfigError: where none can, with the reason of the first.
    """
    from tmepde.config.section import shown
    from tmepde.config.trial import trial

    chosen = np.random.default_rng(0).permutation(np.arange(1, len(rows)))[: _ATTEMPTS - 1]
    refusal: Exception | None = None
    for index in [0, *sorted(chosen.tolist())]:
        try:
            scenario, built = members.build(index)
            if files := tuple(config.code_files.values()):
                trial(scenario, files)
            return scenario, built
        except (configs.ConfigError, ValueError, KeyError) as error:
            refusal = refusal or error
    values = [f"{path} = {shown(value)}" for path, value in rows.changes(0).items()]
    reasons = refusal.problems if isinstance(refusal, configs.ConfigError) else (refusal,)
    message = (
        f"must have a scenario that can be built, but none of the {len(chosen) + 1} tried can be. Scenario 0, arm "
        f"{shown(rows.arms[0])}, with {', '.join(values)}: {' '.join(map(str, reasons))}"
    )
    raise configs.ConfigError([configs.Problem("sweep", message)]) from refusal


def _others(rows: Table, members: Any) -> list[Any]:
    """The first scenario of each other structure that can be built, of at most :data:`_TRIED`."""
    from tmepde.sweep.members import beginnings

    starts, found = beginnings(rows), []
    for i in starts[1 :: max(1, len(starts) // _TRIED)]:
        with contextlib.suppress(configs.ConfigError, ValueError, KeyError):  # which its row will say
            found.append(members.build(i)[0])
    return found


def _observables(scenarios: Sequence[Any]) -> dict[str, Any]:
    """The observables of all ``scenarios``; rows of one without it hold NaN.

    Raises:
        ValueError: where they measure one of them in different units.
    """
    found: dict[str, Any] = {}
    for one in scenarios:
        for name, observable in one.observables.items():
            units = [_unit(found.setdefault(name, observable)), _unit(observable)]
            if units[0] != units[1]:
                raise ValueError(
                    f"`sweep` must leave the units of observables alone, but {name!r} is in {units[0]!r} in one "
                    f"scenario and in {units[1]!r} in another. Make a sweep of each."
                )
    return found


def _unit(observable: Any) -> str:
    return getattr(observable, "unit", "1") or "1"


def _outcome() -> dict[str, Array]:
    flags = {
        "flag_values": list(range(len(store.MEANINGS))),
        "flag_meanings": " ".join(store.MEANINGS),
        "long_name": "How the scenario ended",
        "units": "1",
    }
    numbers = {
        "wall_time": (np.float32, "Run time without compilation", "s"),
        "n_steps": (np.int32, "Accepted steps", "1"),
        "n_rejected": (np.int32, "Rejected steps", "1"),
        "mass_balance_error": (np.float32, "Largest relative error of the budget of a species", "1"),
        "members": (np.int32, "Scenarios that were one program call", "1"),
    }
    found = {"status": Array((), (), np.int8, flags)}
    found["message"] = Array((), (), str, {"long_name": "Result in words", "units": "1"})
    for name, (dtype, long_name, unit) in numbers.items():
        found[name] = Array((), (), dtype, {"long_name": long_name, "units": unit})
    return found


def _fields(config: Any, scenario: Any, times: np.ndarray, kind: Any) -> dict[str, Array]:
    """Arrays of the fields asked for, with the coordinates of their grid."""
    wanted = config.sweep.fields
    species = scenario.system.species
    if not wanted:
        return {}
    from tmepde.coefficients import unknown

    if missing := [n for n in wanted if n not in species]:
        raise ValueError(unknown("species", missing[0], species) + " (in `sweep.fields`)")
    if any(path.split(".")[0] in ("grid", "tissue") for path in config.sweep.paths()):
        raise ValueError("`sweep.fields` must be empty where the grid varies, because fields then differ in shape.")
    grid = scenario.model.grid
    found = {}
    for k, axis in enumerate(grid.axes):
        attributes = {"units": "um", "long_name": f"Position along {axis}", "axis": axis.upper(), "coordinate": True}
        centers = np.asarray(grid.centers(k), np.float64)
        found[axis] = Array((axis,), centers.shape, np.float64, attributes, centers, scenario=False)
    for name in wanted:
        one = species[name]
        attributes = {"units": one.unit, "long_name": one.long_name or name, "cell_methods": "time: point"}
        space = () if one.kind == "compartment" else (*grid.axes,)
        shape = () if one.kind == "compartment" else grid.shape
        found[name] = Array(("time", *space), (*times.shape, *shape), kind, attributes)
    return found


#: hashes of the files of a config that names none
_NONE = "{}"


@functools.lru_cache(maxsize=4)
def _known(text: str, folder: str, source: str, code: str, pictures: str) -> tuple[Any, Table]:
    """The config of a store and its table, kept for the batches that follow; hashes of the files it was made of."""
    from tmepde.io.provenance import CODE, PICTURES, edited

    beside = "" if (code, pictures) == (_NONE, _NONE) else f", beside which is {folder},"
    lost = ""
    if beside and not Path(folder).is_dir():
        lost = (
            f"must be run with the files that its config names, but the folder where they were, {folder}, is not "
            "there. Put it back, or give the config at its new place to `tmepde sweep CONFIG --resume`."
        )
    try:
        config = configs.loads(text, source=f"{source}: attribute config{beside}", folder=folder)
        told = edited({CODE: code, PICTURES: pictures}, config)
    except configs.ConfigError as error:
        if lost:
            raise StoreError(f"{source} {lost}") from error
        raise
    if told:
        raise StoreError(f"{source} {lost or f'{told} (Looked in {folder}.)'}")
    return config, ordered(config)


_kept: list[tuple[Any, Any]] = []


def _members(config: Any, rows: Table) -> Any:
    """The builder of members, with the tissue it has made for earlier batches."""
    from tmepde.sweep.members import Members

    if not _kept or _kept[0][0] is not config:
        _kept[:] = [(config, Members(config, rows))]
    return _kept[0][1]


def pending(out: Path) -> list[int]:
    """Batches that have not been run."""
    return store.pending(Path(out))


def ready(out: Path) -> tuple[Any, Table]:
    """The config of a store and its table; whatever would stop every batch is found here.

    Raises:
        ConfigError: for Python files that the config names, without leave to run them.
        StoreError: for a store that is damaged, not of a sweep, or of files that were edited since or are not there.
    """
    from tmepde.io.provenance import CODE, PICTURES

    attributes = store.head(Path(out))
    made_of = (attributes.get(name, _NONE) for name in (CODE, PICTURES))
    config, rows = _known(attributes.get(GIVEN, attributes["config"]), attributes[FOLDER], str(out), *made_of)
    _check_table(out, attributes, rows)
    return config, rows


def _check_table(out: Path, attributes: Mapping[str, Any], rows: Table) -> None:
    if rows.digest != attributes["sweep_table_hash"]:
        raise StoreError(f"{out} holds other scenarios than this version of tmepde makes of its config. Run it again.")


def coordinates(out: Path, config: Any = None) -> dict[str, Array]:
    """What was written with a store, made again of the config that it holds.

    Args:
        config: the same config, where its files have moved since.

    Raises:
        ConfigError, StoreError: where that cannot be, as for :func:`ready`.
    """
    if config is None:
        config, rows = ready(out)
    else:
        rows = ordered(config)
        _check_table(out, store.head(out), rows)
    return {name: array for name, array in _arrays(config, rows)[0].items() if array.values is not None}


def run_batch(out: Path, index: int, threads: int | None = None) -> BatchReport:
    """Compute and store one batch. Doing it again, or twice at a time, gives the same bytes.

    Args:
        threads: members at a time on a processor; default one a core.

    Raises:
        ValueError: for a batch that is not there.
        StoreError: for a store that is damaged, not of a sweep, or of files that were edited since.
        OSError, MemoryError: of the machine; the batch stays pending.
    """
    out = Path(out)
    part, attributes = store.rows(out, index), store.head(out)
    config, rows = ready(out)
    import jax

    from tmepde.sweep.compute import compute, how
    from tmepde.sweep.results import Rows

    if config.run.precision == "f64":
        jax.config.update("jax_enable_x64", True)
    results, mapped = Rows(out, part), int(attributes.get("mapped", attributes["batch"]))
    compute(_members(config, rows), part, config, results, how(mapped, threads))
    store.write(out, part.start, part.stop, results.columns)
    return BatchReport(index, results.good, results.bad)


def fail(out: Path, index: int, reason: str) -> None:
    """Mark the scenarios of a batch that could not be run at all; numbers that it would have had are NaN or 0."""
    from tmepde.sweep.results import Rows

    part = store.rows(Path(out), index)
    results = Rows(Path(out), part)
    for scenario in part:
        results.failed(scenario, reason)
    store.write(Path(out), part.start, part.stop, results.columns)
