"""batch: 64 scenarios of 64² cells, one program for all against one after the other.

``jax.vmap`` steps all members until the slowest has finished: ``waiting`` is the steps that the batch makes every
member take over the mean of those that a member needs. Processes of one core each, which ``tmepde sweep`` begins, are
timed without their start. Members differ in the rates of killing, growth and expansion.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import tmepde as tme
from tmepde.bench import pinned
from tmepde.bench.gradient import scenario, small
from tmepde.bench.measure import call, compiled, kernel_seconds, seconds
from tmepde.bench.members import drawn
from tmepde.bench.placement import placement
from tmepde.bench.record import Options, Record
from tmepde.elliptic import EllipticOperator, LinearControl, prepare
from tmepde.layout import platform
from tmepde.operators import conductances
from tmepde.sweep.executors import slot

#: of what takes milliseconds: with three the ratio came out between 1.2 and 2.5
_REPEATS = 15
#: members that a way takes before it is another's turn: some two seconds
_TURN = 8
_ALONE, _BATCH = "one after the other", "tme.simulate_batch"


def measure(name: str, options: Options) -> Record:
    """``wall_s`` is the whole batch by the fastest way that ``tmepde`` offers."""
    n, days = options.size(64, 8), options.length(2.0, 0.1)
    members = 4 if options.quick else 64
    rows = [solves(n, members), *runs((small if options.quick else scenario)(n, days), members)]
    if platform() == "cpu" and len(slot.cores()) > 1:
        rows.append(_processes(n, days, options.quick, members, rows[1]["wall_s"]))
    ways = [r for r in rows if r["what"] != "solve" and r["wall_s"] is not None]
    best = min(ways, key=lambda r: r["wall_s"])
    where = f"{n}{'' if options.quick else '²'} cells"
    return Record(
        name,
        f"{members} scenarios on {where} for {days:g} days; fastest way: {best['what']}",
        "f32",
        members * (n if options.quick else n * n),
        best["wall_s"],
        best.get("compile_s"),
        rows=rows,
        notes=[_said(r) for r in rows if r.get("gain")],
    )


def _said(row: dict[str, Any]) -> str:
    """A gain in words."""
    placed = [f"{row[f'gain_{p}']:.2f} with two cores {p}" for p in ("together", "apart") if f"gain_{p}" in row]
    apart = f" ({', '.join(placed)})" if placed else ""
    return f"{row['what']}: {row['gain']:.2f} times one after the other{apart}"


def solves(n: int, members: int) -> dict[str, Any]:
    """One elliptic solve each: D differs from member to member."""
    grid = tme.Grid.square(float(n), cells=n)
    draw = np.random.default_rng(0).uniform(-1.0, 1.0, (members, 1, n, n))
    d = jnp.asarray(10.0**draw, jnp.float32)
    b = jnp.ones_like(d[0]).at[0, n // 2, n // 2].set(100.0)

    def solve(d: Any) -> Any:
        op = EllipticOperator(jnp.ones_like(d), tuple(100.0 * f for f in conductances(grid, d)), grid.periodic)
        found = prepare(op, "multigrid")(b, control=LinearControl(relative=1e-4, limit=200))
        return found.value, found.iterations

    one, _ = compiled(solve, d[0])
    single = seconds(lambda: [one(x) for x in d], _REPEATS)
    together, compile_s = kernel_seconds(jax.vmap(solve), d, repeats=_REPEATS)
    counts = np.asarray(jax.jit(jax.vmap(solve))(d)[1])
    return {
        "what": "solve",
        "wall_s": together,
        "single_s": single,
        "gain": single / together,
        "compile_s": compile_s,
        "waiting": float(counts.max() / counts.mean()),
    }


def runs(base: tme.Scenario, members: int, alone: int | None = None) -> list[dict[str, Any]]:
    """The whole model: one after the other, ``tme.simulate_batch``, and ``jax.vmap``.

    ``alone``: how many of them are run one after the other; seconds are scaled to all. On a GPU ``simulate_batch``
    is the mapped program, and the only other way. On a processor the ways take turns, some members at a time: where
    two cores are changes within seconds, and a gain is also told for the turns in which they stayed.
    """
    values, scenarios = drawn(base, members)
    some = scenarios[: alone or members]
    _, first = call(scenarios[0], 1)
    if platform() != "cpu":
        began = time.perf_counter()
        steps = _steps([tme.simulate(s) for s in some])
        single = (time.perf_counter() - began) * members / len(some)
        cold = seconds(lambda: _states(tme.simulate_batch(scenarios)), 1)
        warm = seconds(lambda: _states(tme.simulate_batch(scenarios)), 1)
        batch = {"what": _BATCH, "wall_s": warm, "gain": single / warm, "compile_s": max(cold - warm, 0.0)}
        return [{"what": _ALONE, "wall_s": single, "compile_s": first["compile_s"], "steps": steps}, batch]
    steps = _steps([tme.simulate(s) for s in some[:16]])
    tme.simulate_batch(scenarios[:_TURN])
    ways = {_ALONE: lambda some: [tme.simulate(s) for s in some], _BATCH: tme.simulate_batch}
    total, where = _taken_in_turns(ways, scenarios)
    rows: list[dict[str, Any]] = [{"what": _ALONE, "wall_s": total[_ALONE], "compile_s": first["compile_s"]}]
    rows[0]["steps"] = steps
    rows.append({"what": _BATCH, "wall_s": total[_BATCH], "gain": total[_ALONE] / total[_BATCH]})
    for place, took in where.items():
        if all(took.values()):
            rows[1][f"gain_{place}"] = float(np.median(took[_ALONE]) / np.median(took[_BATCH]))
    return [*rows, _vmapped(base, values, total[_ALONE])]


def _taken_in_turns(ways: dict[str, Any], scenarios: list[tme.Scenario]) -> tuple[dict[str, float], dict[str, Any]]:
    """Seconds of each way for all scenarios, and of its turns in which two cores stayed ``"together"`` or ``"apart"``.

    The last turn, where it is a smaller one, counts for the seconds alone."""
    total = dict.fromkeys(ways, 0.0)
    where: dict[str, dict[str, list[float]]] = {p: {w: [] for w in ways} for p in ("together", "apart")}
    before = placement()
    for i in range(0, len(scenarios), _TURN):
        some = scenarios[i : i + _TURN]
        for name, way in ways.items():
            took = seconds(lambda: _states(way(some)), 1)  # noqa: B023
            total[name] += took
            after = placement()
            if before == after and before in where and len(some) == _TURN:
                where[before][name].append(took)
            before = after
    return total, where


def _steps(solutions: list[tme.Solution]) -> list[int]:
    return [int(s.statistics["steps"]) for s in solutions[:16]]


def _processes(n: int, days: float, quick: bool, members: int, single: float) -> dict[str, Any]:
    """One process a core, as a sweep runs them."""
    shares = slot.shares(min(members, len(slot.cores())))
    wall = pinned.seconds(n, days, quick, members, shares)
    return {"what": f"{len(shares)} processes, one a core, as in a sweep", "wall_s": wall, "gain": single / wall}


def _states(solutions: list[tme.Solution]) -> list[Any]:
    return [s.state for s in solutions]


def _vmapped(base: tme.Scenario, values: dict[str, np.ndarray], single: float) -> dict[str, Any]:
    def one(numbers: Any) -> Any:
        varied = base
        for path, value in numbers.items():
            varied = varied.replace(path, value)
        run = tme.simulate(varied, save=[float(base.until)], gradient="forward")
        return run.state, run.statistics["steps"] + run.statistics["rejected"], run.code

    numbers = {p: jnp.asarray(v, jnp.float32) for p, v in values.items()}
    program, compile_s = compiled(jax.vmap(one), numbers)
    _, counts, codes = jax.block_until_ready(program(numbers))
    wall = seconds(lambda: program(numbers), 1)
    counts = np.asarray(counts)
    return {
        "what": "jax.vmap",
        "wall_s": wall,
        "gain": single / wall,
        "compile_s": compile_s,
        "waiting": float(counts.max() / counts.mean()),
        "failed": int(np.sum(np.asarray(codes) != tme.Status.ok)),
    }
