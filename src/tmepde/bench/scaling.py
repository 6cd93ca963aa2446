"""w5: one stencil and one linear solve from small to large cubes, and the iterations that the solve takes.

    copy      u ← 1.0000001 u on as many cells: what the memory gives that a field of this size lies in
    stencil   u ← u + a ∇·(D∇u), one field, D one number or an array per face
    solve     (1 − s h²/D̄ ∇·D∇) u = b by conjugate gradients with multigrid V-cycles, the preconditioned
              residual reduced by 1e-4

D varies a hundredfold about its geometric mean D̄: smoothly, in jumps (balls of high and low D), or from cell to cell at
random; b is a few point sources on a wave. Set-up of the levels is part of a solve. Iterations do not depend on the
machine, and should not depend on the size.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import tmepde as tme
from tmepde.bench.measure import compiled, loop_seconds, seconds
from tmepde.bench.record import Options, Record
from tmepde.elliptic import EllipticOperator, LinearControl, prepare
from tmepde.layout import platform
from tmepde.operators import conductances
from tmepde.operators.uniform import ghosted, uniform_laplacian

KINDS = ("uniform", "smooth", "jumps", "random")
STRENGTHS = (25.0, 1000.0)
_WANTED = LinearControl(relative=1e-4, limit=200)


def measure(name: str, options: Options) -> Record:
    """The headline is the solve with smooth D and s = 1000 on the largest timed cube."""
    if options.cells:
        sizes: tuple[int, ...] = (options.cells,)
    else:
        sizes = (16, 24) if options.quick else (32, 48, 64, 96, 128, 160)
    rows = [row for n in sizes for row in [copy_row(n, options), *stencil_rows(n, options)]]
    for n in sizes:
        for kind in KINDS[1:] if not options.quick else KINDS[1:2]:
            rows += solve_rows(n, kind, options)
    if options.full and not options.cells:  # once, for the bound on the iterations
        rows += solve_rows(256, "jumps", Options(repeats=1))
    solves = [r for r in rows if r["kernel"] == "solve"]
    head = [r for r in solves if r["diffusivity"] == "smooth" and r["cells_axis"] == sizes[-1]]
    stencils = [r for r in rows if r.get("kernel") == "stencil" and r["diffusivity"] == "uniform"]
    kernels = [("stencil", "uniform"), ("stencil", "variable"), ("copy", None)]
    kernels += [("solve", kind) for kind in KINDS[1:] if any(r.get("diffusivity") == kind for r in solves)]
    growth = [grown(rows, *which) for which in kernels]
    counts = [r["iterations"] for r in solves]
    return Record(
        name,
        "seconds of one linear solve (smooth D, s = 1000) on the largest cube; rows: stencils and solves of all sizes",
        "f32",
        sizes[-1] ** 3,
        head[-1]["wall_s"],
        head[-1]["compile_s"],
        None,
        stencils[-1]["updates_per_s"],
        rows=rows,
        notes=[f"iterations between {min(counts)} and {max(counts)} over all sizes, kinds and strengths", *growth],
    )


def grown(rows: list[dict[str, Any]], kernel: str, kind: str | None) -> str:
    """How the seconds of a cell grow from the smallest cube to the largest, and where they are least; of solves those
    with the largest s."""
    cost = {
        r["cells_axis"]: 1e9 * r["wall_s"] / r["cells_axis"] ** 3
        for r in rows
        if r["kernel"] == kernel and r.get("diffusivity") == kind
    }
    first, last, best = min(cost), max(cost), min(cost, key=lambda n: cost[n])
    name = kernel if kind is None else f"{kernel}, {kind} D"
    return (
        f"{name}: {cost[first]:.3f} ns a cell at {first}³, {cost[best]:.3f} at {best}³, {cost[last]:.3f} at {last}³: "
        f"{cost[last] / cost[first]:.2f} times that of {first}³"
    )


def copy_row(n: int, options: Options) -> dict[str, Any]:
    """Seconds of one pass that reads and writes a field in place."""
    trips = max(20, int(4e7 / n**3))
    wall = loop_seconds(lambda v, _: v * 1.0000001, jnp.ones((n,) * 3, jnp.float32), None, trips, options.repeats)
    return {"kernel": "copy", "cells_axis": n, "wall_s": wall, "least_gb_s": 8e-9 * n**3 / wall}


def diffusivity(n: int, kind: str) -> np.ndarray:
    """D/D̄ on n³ cells, between 0.1 and 10."""
    line = (np.arange(n) + 0.5) / n
    x, y, z = np.meshgrid(line, line, line, indexing="ij")
    if kind == "uniform":
        return np.ones((n,) * 3)
    if kind == "smooth":
        return 10.0 ** (np.cos(2 * np.pi * x) * np.cos(2 * np.pi * y) * np.cos(2 * np.pi * z))
    if kind == "jumps":
        inside = (x - 0.3) ** 2 + (y - 0.4) ** 2 + (z - 0.5) ** 2 < 0.04
        other = (x - 0.7) ** 2 + (y - 0.6) ** 2 + (z - 0.5) ** 2 < 0.05
        return np.where(inside, 10.0, np.where(other, 0.1, 1.0))
    return 10.0 ** np.random.default_rng(0).uniform(-1.0, 1.0, (n,) * 3)


def stencil_rows(n: int, options: Options) -> list[dict[str, Any]]:
    """Seconds of one explicit update with D one number, and with face arrays."""
    grid = tme.Grid.cube(float(n), cells=n)
    u = jnp.asarray(1.0 + diffusivity(n, "smooth"), jnp.float32)
    faces = conductances(grid, jnp.asarray(diffusivity(n, "smooth")[None], jnp.float32))
    operator = EllipticOperator(jnp.zeros((1, 1, 1, 1), jnp.float32), faces, grid.periodic)
    trips = max(20, int(2e7 / n**3))
    steps = {
        "uniform": (u, None, lambda v, _: v + 0.1 * uniform_laplacian(grid, ghosted(grid, v)), 8),
        "variable": (u[None], operator, lambda v, op: v - 0.01 * op(v), 20),
    }
    rows = []
    for kind, (start, constants, step, least) in steps.items():
        wall = loop_seconds(step, start, constants, trips, options.repeats, times=1 if platform() == "cpu" else 10)
        rows.append(
            {
                "kernel": "stencil",
                "diffusivity": kind,
                "cells_axis": n,
                "wall_s": wall,
                "updates_per_s": n**3 / wall,
                "least_gb_s": 1e-9 * least * n**3 / wall,  # bytes that must move at least, float32
            }
        )
    return rows


def solve_rows(n: int, kind: str, options: Options) -> list[dict[str, Any]]:
    """Seconds, iterations and true residual of one solve for each strength."""
    grid = tme.Grid.cube(float(n), cells=n)
    d = jnp.asarray(diffusivity(n, kind)[None], jnp.float32)
    b = np.cos(np.pi * (np.arange(n) + 0.5) / n)[:, None, None] * np.ones((n,) * 3)
    spots = np.random.default_rng(1).integers(0, n, (20, 3))
    b[tuple(spots.T)] += 100.0
    rhs = jnp.asarray(b[None], jnp.float32)

    def solve(d: Any, rhs: Any, strength: Any) -> Any:
        op = EllipticOperator(jnp.ones_like(d), tuple(strength * f for f in conductances(grid, d)), grid.periodic)
        return prepare(op, "multigrid")(rhs, control=_WANTED)

    program, compile_s = compiled(solve, d, rhs, jnp.float32(1.0))
    rows = []
    for strength in STRENGTHS:
        arguments = (d, rhs, jnp.float32(strength))
        result = jax.block_until_ready(program(*arguments))
        wall = seconds(lambda: program(*arguments), options.repeats)  # noqa: B023
        rows.append(
            {
                "kernel": "solve",
                "diffusivity": kind,
                "strength": strength,
                "cells_axis": n,
                "wall_s": wall,
                "ns_per_cell": 1e9 * wall / n**3,
                "iterations": int(result.iterations),
                "converged": bool(jnp.all(result.converged)),
                "compile_s": compile_s,
            }
        )
    return rows


def cycle_seconds(n: int, kind: str = "smooth", strength: float = 1000.0) -> float:
    """Seconds of one V-cycle on n³ cells, set-up apart."""
    from tmepde.elliptic import Multigrid

    grid = tme.Grid.cube(float(n), cells=n)
    d = jnp.asarray(diffusivity(n, kind)[None], jnp.float32)

    def levels(d: Any) -> Any:
        faces = tuple(strength * f for f in conductances(grid, d))
        return Multigrid(EllipticOperator(jnp.ones_like(d), faces, grid.periodic))

    hierarchy = jax.jit(levels)(d)
    return loop_seconds(lambda r, m: m(r), jnp.ones_like(d), hierarchy, 20 if platform() != "cpu" else 3)
