"""What the Devito programs share: grids, boundaries, and a clock without the compiler."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tmepde.bench.turns import turns


def on(grid: Any, name: str, values: np.ndarray, time_steps: bool = True) -> Any:
    """A function on ``grid`` with ``values``."""
    import devito

    kind = devito.TimeFunction if time_steps else devito.Function
    keys = {"time_order": 1, "space_order": 2} if time_steps else {"space_order": 2}
    f = kind(name=name, grid=grid, **keys)
    f.data[:] = values  # both time levels
    return f


def mirrored(u: Any) -> list[Any]:
    """Equations that copy the edge cells of the new level into the halo: no flux through the sides."""
    import devito

    out, t = [], u.grid.stepping_dim + 1
    for k, n in enumerate(u.grid.shape):
        for ghost, edge in ((-1, 0), (n, n - 1)):
            there, here = list(u.grid.dimensions), list(u.grid.dimensions)
            there[k], here[k] = ghost, edge
            out.append(devito.Eq(u[(t, *there)], u[(t, *here)]))
    return out


def fill_halo(u: Any) -> None:
    """The halo of both levels at the start, mirrored."""
    for level in range(2):
        whole = u.data_with_halo[level]
        h = (whole.shape[0] - u.grid.shape[0]) // 2
        inner = np.asarray(u.data[level])
        whole[:] = np.pad(inner, h, mode="edge")


def neighbours(u: Any, k: int) -> tuple[Any, Any]:
    """The cells below and above along axis ``k``, at the old level."""
    dims, t = list(u.grid.dimensions), u.grid.stepping_dim
    below, above = list(dims), list(dims)
    below[k], above[k] = dims[k] - 1, dims[k] + 1
    return u[(t, *below)], u[(t, *above)]


def run(operator: Any, reset: Callable[[], None], steps: int, repeats: int) -> tuple[float, float]:
    """Least seconds of ``steps`` steps, and the seconds until the first could start; ``reset`` precedes each run."""
    began = time.perf_counter()
    operator.apply(time_m=0, time_M=1)
    compile_s = time.perf_counter() - began
    best = float("inf")
    for _ in turns(repeats):
        reset()
        began = time.perf_counter()
        operator.apply(time_m=0, time_M=steps - 1)
        best = min(best, time.perf_counter() - began)
    return best, compile_s
