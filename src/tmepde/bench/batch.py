"""batch: 64 scenarios of 64² cells, one program for all against one after the other.

``jax.vmap`` steps all members until the slowest has finished: ``waiting`` is the steps that the batch makes every
member take over the mean of those that a member needs. Processes of one core each, which ``tmepde sweep`` begins, are
timed without their start. Members differ in the rates of killing, growth and expansion.
"""

from __future__ import annotations

import itertools
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
from tmepde.bench.record import Options, Record
from tmepde.elliptic import EllipticOperator, LinearControl, prepare
from tmepde.layout import platform
from tmepde.operators import conductances
from tmepde.sweep.executors import slot

#: of what takes milliseconds: with three the ratio came out between 1.2 and 2.5
_REPEATS = 15


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
        notes=[f"{r['what']}: {r['gain']:.2f} times one after the other" for r in rows if r.get("gain")],
    )


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
    """The whole model: one after the other, ``jax.vmap``, and ``tme.simulate_batch``.

    ``alone``: how many of them are run one after the other; seconds are scaled to all. On a GPU ``simulate_batch``
    is the mapped program, and the only other way.
    """
    values, scenarios = drawn(base, members)
    _, first = call(scenarios[0], 1)
    some = scenarios[: alone or members]
    began = time.perf_counter()
    found = [tme.simulate(s) for s in some]
    single = (time.perf_counter() - began) * members / len(some)
    steps = [int(s.statistics["steps"]) for s in found[:16]]
    rows = [{"what": "one after the other", "wall_s": single, "compile_s": first["compile_s"], "steps": steps}]
    if platform() == "cpu":
        rows.append(_vmapped(base, values, single))
    ways = {"tme.simulate_batch": None, "tme.simulate_batch, threads alone": 1}
    for label, block in itertools.islice(ways.items(), 2 if platform() == "cpu" else 1):
        cold = seconds(lambda: _states(tme.simulate_batch(scenarios, block=block)), 1)  # noqa: B023
        warm = seconds(lambda: _states(tme.simulate_batch(scenarios, block=block)), 1)  # noqa: B023
        rows.append({"what": label, "wall_s": warm, "gain": single / warm, "compile_s": max(cold - warm, 0.0)})
    return rows


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
