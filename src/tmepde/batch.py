"""Many scenarios of one structure at once.

On a CPU a small run leaves cores idle and a large batch falls out of the cache, so members run one a thread, tiny ones
in small mapped blocks, all threads calling one compiled program (XLA releases the interpreter). On a GPU all members
are one program. Every member takes its own steps; a block goes on until its slowest member has reached the save, so
that it costs max(steps) instead of mean(steps) per interval. Blocks of one wait for nobody.
"""

from __future__ import annotations

import functools
import itertools
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from tmepde._arguments import as_number, entries, given, not_a_number, whole, word
from tmepde._cache import cores, keep_programs
from tmepde._results import Status
from tmepde._types import Frame, cast, cast_each, parted, shapes, stacked
from tmepde.diagnosis import explain, standing
from tmepde.elliptic import METHODS
from tmepde.layout import members_mesh, platform, to_host
from tmepde.runner import DTYPES as _DTYPES
from tmepde.runner import Runner as _Runner
from tmepde.runner import spans as _spans
from tmepde.scenario import Scenario, reservations
from tmepde.simulation import _check, _hosted, initial_problems, save_times, suited_each
from tmepde.solution import Solution
from tmepde.steppers import NewtonKrylov, StepControl, Stepper
from tmepde.steppers.choice import general_stepper
from tmepde.steppers.control import ending, shortened
from tmepde.steppers.structure import structure

#: structures whose programs this process has: their members need not wait for a first one
_compiled: set[Any] = set()
#: bytes of state of a block on a CPU: below, a step is mostly the start of many small operations, which members share;
#: above, sharing gains less than waiting for the slowest costs (two fields: 16² twice as fast, 32² even, 64² slower)
_BLOCK_BYTES = 2**14


def simulate_batch(
    scenarios: Scenario | Sequence[Scenario],
    values: Mapping[str, Any] | None = None,
    *,
    save: Mapping[str, Any] | Sequence[float] | None = None,
    fields: Sequence[str] | None = None,
    precision: str = "f32",
    control: StepControl | None = None,
    stepper: Stepper | None = None,
    solver: str = "auto",
    block: int | None = None,
    threads: int | None = None,
    devices: int | str | Sequence[Any] | None = None,
    beside: Sequence[Scenario] = (),
    progress: Callable[[int, int], None] | None = None,
) -> list[Solution]:
    """Run many scenarios of one structure (same species, shapes and schedules; other numbers) as one program.

    Args:
        scenarios: a sequence of scenarios, or one scenario that ``values`` vary.
        values: by dotted path (see :meth:`Scenario.replace`) an array whose first axis runs over the members.
        save, fields, precision, control, stepper, solver: see :func:`simulate`.
        block: members mapped into one program; ``None``: all on a GPU, one on a CPU, or as many as make up 16 kB of
            state where that is more.
        threads: blocks run at the same time; ``None``: one a core on a CPU, 1 on a GPU.
        devices: share the members out among so many devices (a number, ``"all"``, or the devices), each going on by
            itself until its own slowest; ``block`` is then rounded up to a multiple of them. See :mod:`tmepde.layout`.
        beside: scenarios of other calls. What differs among these and the members is mapped, so that one program
            serves those calls too; without them, each call maps the numbers that differ in it.
        progress: called with (members done, members) after each block.

    Returns:
        one :class:`Solution` per member, in the order given. A member that fails keeps what it reached and its status;
        the others go on, and one warning names those that failed. ``wall_time`` is that of the member's block.
        With ``block=1`` results are bitwise those of :func:`simulate`, otherwise equal to round-off.

    Raises:
        ValueError: for an empty batch, members of different structure, or settings that cannot work.
    """
    members = _members(scenarios, values)
    control = StepControl() if control is None else control
    times = save_times(members[0], save)
    _check(members[0], fields, precision, control, "reverse", None)
    word("solver", solver, METHODS, "Leave it out.")
    chosen = "Leave it out to have it chosen."
    block = None if block is None else whole("block", block, remedy=chosen)
    threads = None if threads is None else whole("threads", threads, remedy=chosen)
    if progress is not None and (not callable(progress) or isinstance(progress, type)):
        raise ValueError(f"`progress` must be a function of (done, members), but {given(progress)} was given.")
    for i, other in enumerate(beside := entries("beside", beside, "scenarios")):
        if not isinstance(other, Scenario):
            raise ValueError(f"`beside[{i}]` must be a tmepde.Scenario, but {given(other)} was given.")
    for told in sorted({text for one in members for text in reservations(one)}):
        warnings.warn(told, stacklevel=2)
    bad = [f"member {i}: {text}" for i, m in enumerate(members) for text in initial_problems(m)]
    if bad:
        raise ValueError("\n".join(bad))
    keep_programs()
    dtype = _DTYPES[precision]
    kept = tuple(sorted(fields if fields is not None else members[0].system.species))
    with jax.default_matmul_precision("highest"):
        own = cast_each(members, dtype)
        scheme, longest = _shared_stepper(own, control, stepper, solver, dtype)
        general = cast(control, dtype)
        controls = [
            shortened(ending(general, one.until, dtype), limit, dtype) for one, limit in zip(own, longest, strict=True)
        ]
        runners = [_Runner(m, c, scheme, kept, dtype, solver) for m, c in zip(own, controls, strict=True)]
        others = [_Runner(cast(m, dtype), general, scheme, kept, dtype, solver) for m in beside]
        _check_structure([*runners, *others])
    mesh = None if devices is None else members_mesh(devices)
    size, workers = _plan(runners[0], len(members), block, threads, mesh)
    chunks = [slice(i, i + size) for i in range(0, len(members), size)]
    solutions: list[Any] = [None] * len(members)
    known, done = (_signature(runners[0]), size, mesh is None), 0

    def one(chunk: slice) -> slice:
        with jax.default_matmul_precision("highest"):  # a setting of the thread
            if size == 1 and mesh is None:
                solutions[chunk] = [_hosted(runners[chunk.start], members[chunk.start], times, False, quiet=True)]
            else:
                solutions[chunk] = _run_block(runners[chunk], members[chunk], times, size, mesh, others)
        return chunk

    with ThreadPoolExecutor(workers) as pool:
        head = [] if known in _compiled else [pool.submit(one, chunks[0]).result()]  # compiles once, for all
        _compiled.add(known)
        for chunk in itertools.chain(head, pool.map(one, chunks[len(head) :])):
            done += len(members[chunk])
            if progress is not None:
                progress(done, len(members))
    _warn(solutions)
    return solutions


def _members(scenarios: Scenario | Sequence[Scenario], values: Mapping[str, Any] | None) -> list[Scenario]:
    if not isinstance(scenarios, Scenario):
        if values is not None and (not isinstance(values, Mapping) or values):
            raise ValueError("`values` must vary a single scenario, but a sequence was given. Leave one of them out.")
        members = list(entries("scenarios", scenarios, "scenarios"))
        if not members:
            raise ValueError("`scenarios` must hold at least one scenario, but it is empty.")
        for i, one in enumerate(members):
            if not isinstance(one, Scenario):
                raise ValueError(f"`scenarios[{i}]` must be a tmepde.Scenario, but {given(one)} was given.")
        return members
    if values is not None and not isinstance(values, Mapping):
        raise ValueError(f"`values` must be a mapping of paths, but {given(values)} was given. Write {{PATH: [ … ]}}.")
    arrays = {path: _column(path, v) for path, v in (values or {}).items()}
    lengths = {path: a.shape[0] if a.ndim else 0 for path, a in arrays.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ValueError(f"`values` must give every path one value per member, but their lengths are {lengths}.")
    members = []
    for i in range(next(iter(lengths.values()))):
        one = scenarios
        for path, array in arrays.items():
            one = one.replace(path, array[i])
        members.append(one)
    return members


def _column(path: str, values: Any) -> np.ndarray:
    """What a path is in each member."""
    made = as_number(values)
    problem = "must be numbers, but None was given. Write a list" if made is None else not_a_number(made)
    if problem:
        raise ValueError(f"`values[{path!r}]` {problem}.")
    return np.asarray(made)


def _shared_stepper(
    members: Sequence[Scenario], control: StepControl, stepper: Stepper | None, solver: str, dtype: Any
) -> tuple[Stepper, list[float | None]]:
    """One scheme for all: the one that suits every member, that which holds the fastest exchange, or the general one;
    and each member's longest step."""
    choices = suited_each(members if stepper is None else members[:1], control, stepper, solver, dtype)
    free: list[float | None] = [float("inf")] * len(members)
    longest = [c.longest for c in choices] if stepper is None else free
    schemes = [c.stepper for c in choices]
    if all(scheme == schemes[0] for scheme in schemes):
        return schemes[0], longest
    held = next((scheme for scheme in schemes if isinstance(scheme, NewtonKrylov)), None)
    return (general_stepper(members[0].system), longest) if held is None else (held, free)


def _signature(runner: _Runner) -> Any:
    arrays, frame = parted(runner)
    return frame, shapes(arrays)


def _check_structure(runners: Sequence[_Runner]) -> None:
    wanted = _signature(runners[0])
    for i, runner in enumerate(runners):
        if not _signature(runner) == wanted:
            raise ValueError(
                f"`scenarios` must share one structure, but member {i} differs from member 0 in species, processes, "
                "shapes, numbers of doses, or a function (a lambda, or one defined inside another, is a new one each "
                "time: define it once, and give its numbers by `process(function, number=…)`). Otherwise run it in a "
                "batch of its own; a dose of strength 0 is as good as none."
            )
        if not np.array_equal(runner.scenario.until, runners[0].scenario.until):
            raise ValueError(
                f"`scenarios` must end at the same time, but member {i} runs until {float(runner.scenario.until):g} h "
                f"and member 0 until {float(runners[0].scenario.until):g} h. Give all the longer one."
            )


def _plan(runner: _Runner, count: int, block: int | None, threads: int | None, mesh: Mesh | None) -> tuple[int, int]:
    """Members per block, and blocks at a time."""
    if mesh is not None:
        wanted = min(count if block is None else block, count)
        return -(-wanted // mesh.size) * mesh.size, 1
    cpu = platform() == "cpu"
    workers = threads if threads is not None else (cores() if cpu else 1)
    if block is None:
        cells = int(np.prod(runner.scenario.model.grid.shape))
        state = cells * np.dtype(runner.dtype).itemsize * len(runner.scenario.system.species)
        block = max(1, _BLOCK_BYTES // state) if cpu else count
        block = min(block, -(-count // workers))  # no idle worker
    return min(block, count), workers


def _run_block(
    runners: Sequence[_Runner],
    members: Sequence[Scenario],
    times: np.ndarray,
    size: int,
    mesh: Mesh | None,
    others: Sequence[_Runner],
) -> list[Solution]:
    """One mapped program for all members of a block; the last block is filled up with copies of its last member."""
    filled = [*runners, *[runners[-1]] * (size - len(runners))]
    parts = [parted(r) for r in filled]
    frame, dtype = parts[0][1], runners[0].dtype
    arrays, axes = stacked([arrays for arrays, _ in parts], [parted(r)[0] for r in others])
    began = time.perf_counter()
    state, carry, output, totals = _block_start(arrays, axes, frame, size, mesh)
    spans = [tuple(map(jnp.asarray, span)) for span in _spans(times, dtype)]
    program = _block_interval.lower(arrays, axes, frame, mesh, state, carry, spans[0]).compile()
    compile_time = time.perf_counter() - began
    outputs, initial = [_fetched(output)], _fetched(totals)
    began = time.perf_counter()
    reached, alive, stood = np.ones(size, int), np.ones(size, bool), np.zeros(size, dtype)
    for span in spans:
        state, carry, local, output, totals = program(arrays, state, carry, span)
        outputs.append(_fetched(output))
        stood = np.where(alive, to_host(local), stood)  # where a member ended within the interval
        alive = to_host(carry.status) == Status.ok
        reached += alive
        if not np.any(alive):
            break
    timing = (time.perf_counter() - began, compile_time)
    carry, totals, state = _fetched((carry, totals, state))
    bases = [span[0] for span in spans]
    volume = float(np.sum(np.asarray(runners[0].problem.volumes(dtype))))
    method = runners[0].method

    own = range(len(members))
    states, progress = [_member(state, i) for i in own], [_member(carry, i) for i in own]
    clocks = [(bases[min(reached[i], len(bases)) - 1], stood[i]) for i in own]
    means = [
        {n: abs(float(t[i])) / (1.0 if state[n][i].ndim == 0 else volume) for n, t in initial.items()} for i in own
    ]
    steps = [(*c, (float(c[0]) + float(c[1])) / max(int(p.steps), 1)) for c, p in zip(clocks, progress, strict=True)]
    problems = [parted(r.problem) for r in runners]
    found = structure(problems[0][1], shapes(problems[0][0]), dtype)
    cautions = standing(runners, problems, found, states, steps, means)

    def message(i: int) -> str:
        tried = max(float(progress[i].dt), float(progress[i].before[0]))
        said = explain(runners[i], Status(int(progress[i].status)), states[i], (*clocks[i], tried), means[i])
        return said + cautions[i][1]

    return [
        Solution.collect(
            scenario=member,
            problem=runners[i].problem,
            times=times[: reached[i]],
            outputs=[_member(o, i) for o in outputs[: reached[i]]],
            carry=progress[i],
            totals=(_member(initial, i), _member(totals, i)),
            final=states[i],
            timing=timing,
            precision={jnp.float32: "f32", jnp.float64: "f64"}[dtype],
            method=method,
            message=message(i),
        )
        for i, member in enumerate(members)
    ]


def _member(tree: Any, index: int) -> Any:
    return jax.tree.map(lambda x: x[index], tree)


def _fetched(tree: Any) -> Any:
    return jax.tree.map(to_host, tree)


def _shared_out(mapped: Any, mesh: Mesh | None, axes: Any, going: bool = False) -> Any:
    """``mapped`` with the members shared out among devices, each in a program of its own that waits for no other.

    ``going``: besides arrays by ``axes`` it is given state, progress and the span of all."""
    if mesh is None:
        return mapped
    part, whole = PartitionSpec("members"), PartitionSpec()
    given = [part if a == 0 else whole for a in axes]
    specs = (given,) if not going else (given, part, part, whole)
    return jax.shard_map(mapped, mesh=mesh, in_specs=specs, out_specs=part, check_vma=False)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _block_start(arrays: Any, axes: Any, frame: Frame, size: int, mesh: Mesh | None) -> Any:
    def one(arrays: Any) -> Any:
        runner = frame.filled(arrays)
        state, progress = runner.start()
        return state, progress, runner.output(state, jnp.zeros((), runner.dtype)), runner.totals(state)

    own = size if mesh is None else size // mesh.size
    return _shared_out(jax.vmap(one, in_axes=(list(axes),), axis_size=own), mesh, axes)(arrays)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _block_interval(
    arrays: Any, axes: Any, frame: Frame, mesh: Mesh | None, state: Any, progress: Any, span: Any
) -> Any:
    def one(arrays: Any, state: Any, progress: Any, span: Any) -> Any:
        runner = frame.filled(arrays)
        state, progress, local, output = runner.interval(state, progress, span)
        return state, progress, local, output, runner.totals(state)

    mapped = jax.vmap(one, in_axes=(list(axes), 0, 0, None))
    return _shared_out(mapped, mesh, axes, going=True)(arrays, state, progress, span)


def _warn(solutions: Sequence[Solution]) -> None:
    failed = {i: s.message for i, s in enumerate(solutions) if not s.ok}
    if failed:
        which = ", ".join(f"{i} ({message})" for i, message in list(failed.items())[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        warnings.warn(f"{len(failed)} of {len(solutions)} members did not reach their end: {which}{more}", stacklevel=3)
