"""Oxygen in heterogeneous tissue: heterogeneous diffusivity and saturable uptake on n³ cells for 60 minutes.

    u_t = ∇·(D∇u) + S(x)(38 − u) − V(x) u/(2.5 + u),   no flux, 20 µm cells, D varying tenfold with a slow ball inside

How long to a given accuracy, beside twenty lines of scipy (implicit Euler, Jacobi-preconditioned CG, dt 0.125 min) in
the same process? The error is the largest relative L2 difference at t = 1, 5, 20, 60 min from our own run in float64 at
rtol 1e-6. Compilation is excluded and stated.

    python benchmarks/oxygen_64.py --cells 64 --peers --json out/oxygen_64.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import jax
import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import cg

import tmepde as tme
from tmepde.io.provenance import git_commit, version

TIMES = [1.0, 5.0, 20.0, 60.0]  # minutes; the clock of this script counts minutes


def problem(n: int) -> tuple[tme.Grid, np.ndarray, np.ndarray, np.ndarray]:
    length = n * 20.0
    grid = tme.Grid.cube(length, cells=n)
    axes = grid.coordinates()
    waves = np.prod([np.cos(2 * np.pi * x / length) for x in axes], axis=0)
    ball = sum((x - length / 2) ** 2 for x in axes) < (0.3 * length) ** 2
    diffusivity = 1e5 * 10 ** (-0.5 * (1 - waves)) * np.where(ball, 0.1, 1.0)
    return grid, diffusivity, np.where(ball, 20.0, 3.0), np.where(ball, 0.02, 0.5)


def uptake(clock, state, tissue, V, S):
    return {"o2.source": S * 38.0, "o2.loss": S + V / (2.5 + state["o2"])}


def ours(n: int, rtol: float, precision: str) -> tme.Solution:
    grid, diffusivity, V, S = problem(n)
    model = tme.Model(
        grid, {"o2": tme.Species(initial=38.0, diffusivity=diffusivity)}, {"uptake": tme.process(uptake, V=V, S=S)}
    )
    return tme.simulate(
        tme.Scenario(model, until=60.0), save=TIMES, precision=precision, control=tme.StepControl(rtol=rtol)
    )


def scipy_program(n: int, dt: float = 0.125) -> tuple[np.ndarray, float]:
    _, d, V, S = problem(n)
    start = time.perf_counter()
    index = np.arange(n**3).reshape((n,) * 3)
    total = sp.csr_matrix((n**3,) * 2)
    for k in range(3):
        a, b = (np.take(index, np.arange(*r), axis=k).ravel() for r in ((0, n - 1), (1, n)))
        flat = d.ravel()
        g = 2 * flat[a] * flat[b] / (flat[a] + flat[b]) / 400.0
        total = total + sp.coo_matrix((np.r_[g, g, -g, -g], (np.r_[a, b, a, b], np.r_[a, b, b, a])), total.shape)
    u, kept = np.full(n**3, 38.0), []
    V, S = V.ravel(), S.ravel()
    for step in range(1, int(TIMES[-1] / dt) + 1):
        rate = 1 / dt + S + V / (2.5 + u)
        matrix = (total + sp.diags_array(rate)).tocsr()
        u, _ = cg(matrix, u / dt + S * 38.0, x0=u, rtol=1e-6, M=sp.diags_array(1 / matrix.diagonal()))
        if step * dt in TIMES:
            kept.append(u.reshape((n,) * 3))
    return np.stack(kept), time.perf_counter() - start


def worst(found: np.ndarray, exact: np.ndarray) -> float:
    return float(max(np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(found, exact, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=64)
    parser.add_argument("--peers", action="store_true", help="run the scipy program in the same process")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    exact = ours(options.cells, 1e-6, "f64").fields["o2"][1:]
    rows = []
    for rtol in (1e-2, 1e-3, 1e-4):
        first = ours(options.cells, rtol, "f32")
        best = min((ours(options.cells, rtol, "f32") for _ in range(3)), key=lambda s: s.wall_time)
        rows.append(
            {
                "rtol": rtol,
                "wall_s": best.wall_time,
                "compile_s": first.compile_time,
                "error": worst(best.fields["o2"][1:], exact),
                **{k: int(v) for k, v in best.statistics.items()},
            }
        )
    device = jax.devices()[0].device_kind
    result = {
        "name": "oxygen",
        "device": device,
        "dtype": "f32",
        "cells": options.cells**3,
        "runs": rows,
        "jax": version("jax"),
        "commit": git_commit(),
    }
    if options.peers:
        found, wall = scipy_program(options.cells)
        result["peers"] = {"scipy": {"wall_s": wall, "error": worst(found, exact)}}
        result["ratio_to_scipy"] = wall / rows[1]["wall_s"]
    text = json.dumps(result, indent=2, default=str)
    print(text)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
