"""Clocks, and what the machine itself can do: bandwidth and products measured in the same call.

    scale a ← s a   8 bytes a cell (float32)     triad a ← b + s a   12 bytes a cell     product 2n³ operations

The loops run inside one compiled program, so that no buffer is allocated in between (a fresh output costs half of the
bandwidth of a processor).
"""

from __future__ import annotations

import functools
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from tmepde.bench.placement import placement
from tmepde.bench.record import Options
from tmepde.bench.turns import turns
from tmepde.io.provenance import git_commit, version

PACKAGES = ("tmepde", "jax", "jaxlib", "numpy", "scipy", "devito", "py-pde", "fipy", "diffrax", "jax-cfd")


def seconds(action: Callable[[], Any], repeats: int = 3) -> float:
    """Least wall time of ``action`` over ``repeats`` calls (see :func:`turns`); results are waited for."""
    best = float("inf")
    for _ in turns(repeats):
        began = time.perf_counter()
        jax.block_until_ready(action())
        best = min(best, time.perf_counter() - began)
    return best


def compiled(function: Callable[..., Any], *arguments: Any) -> tuple[Callable[..., Any], float]:
    """``function`` compiled for ``arguments``, and the seconds it took."""
    began = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    return program, time.perf_counter() - began


def kernel_seconds(function: Callable[..., Any], *arguments: Any, repeats: int = 5) -> tuple[float, float]:
    """Least wall time of a compiled call of ``function``, and its compilation; one call warms up."""
    program, compile_s = compiled(function, *arguments)
    jax.block_until_ready(program(*arguments))
    return seconds(lambda: program(*arguments), repeats), compile_s


def loop_seconds(
    step: Callable[[Any, Any], Any], value: Any, constants: Any, trips: int, repeats: int = 3, times: int = 1
) -> float:
    """Seconds of one ``value ← step(value, constants)``, from ``trips`` of them in one compiled loop.

    ``times``: how many in the body of the loop, one after the other: on a GPU a pass through a loop costs as much as
    some 70 MB of memory traffic, whatever is done in it.
    """

    def body(_: Any, value: Any, constants: Any) -> Any:
        for _ in range(times):
            value = jax.lax.optimization_barrier(step(value, constants)) if times > 1 else step(value, constants)
        return value

    def loop(value: Any, constants: Any) -> Any:
        return jax.lax.fori_loop(0, trips, functools.partial(body, constants=constants), value)

    best, _ = kernel_seconds(loop, value, constants, repeats=repeats)
    return best / (trips * times)


def bandwidth(cells: int, trips: int) -> dict[str, float]:
    """GB/s of scale and triad on arrays of ``cells`` float32 numbers."""
    a, b = jnp.ones(cells, jnp.float32), jnp.full(cells, 1e-3, jnp.float32)
    scale = loop_seconds(lambda v, _: v * 1.0000001, a, None, trips)
    triad = loop_seconds(lambda v, c: c + 0.999 * v, a, b, trips)
    return {"copy": 8e-9 * cells / scale, "triad": 12e-9 * cells / triad}


def product_rate(n: int) -> float:
    """GFLOP/s of one n × n product in float32 at full precision."""
    a = jnp.ones((n, n), jnp.float32)
    with jax.default_matmul_precision("highest"):
        best, _ = kernel_seconds(lambda x: x @ x, a)
    return 2e-9 * n**3 / best


@functools.cache
def limits(quick: bool = False) -> dict[str, float]:
    """What this device can do, measured now: GB/s and GFLOP/s."""
    large = jax.default_backend() != "cpu"
    memory, trips = (2**28, 50) if large else (2**24, 20)
    trips = trips // 4 if quick else trips
    dram = bandwidth(memory, trips)
    near = bandwidth(2**21, 20 * trips)
    return {
        "dram_copy_gb_s": dram["copy"],
        "dram_triad_gb_s": dram["triad"],
        "cache_copy_gb_s": near["copy"],
        "cache_triad_gb_s": near["triad"],
        "matmul_f32_gflop_s": product_rate(1024 if quick else 2048),
    }


def surroundings(options: Options, before: str = "") -> dict[str, Any]:
    """Device, machine, versions, commit, time, load and limits: what a figure depends on besides the program.

    ``before``: where two cores were when the measurement began.
    """
    placed = stayed(before, placement())
    device = jax.devices()[0]
    return {
        "device": f"{device.platform} ({device.device_kind})",
        "driver": driver(),
        "limits": limits(options.quick),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
        "commit": git_commit(),
        "machine": {**machine(), **({"placement": placed} if placed else {})},
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def stayed(before: str, after: str) -> str:
    """Where cores were, in words, from two looks."""
    return before if before == after else f"{before}, then {after}"


def driver() -> str:
    """What runs programs on the device: the platform of XLA's client, and the driver of NVIDIA where there is one."""
    found = [" ".join(str(getattr(jax.devices()[0].client, "platform_version", "")).split())]
    try:
        found.append(Path("/proc/driver/nvidia/version").read_text().splitlines()[0])
    except OSError:
        pass
    return "; ".join(filter(None, found))


def machine() -> dict[str, Any]:
    """Processor, cores, memory, and how busy it was in the last minute (1 means one core)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found: dict[str, Any] = {"processor": platform.processor() or platform.machine(), "cores": cores}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                found["processor"] = line.partition(":")[2].strip()
                break
        found["memory_gib"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
        found["load"] = round(os.getloadavg()[0], 1)
    except (OSError, ValueError):
        pass
    return found


def call(scenario: Any, repeats: int, **options: Any) -> tuple[Any, dict[str, Any]]:
    """``tme.simulate`` timed as a user waits for it: once with compilation, then the best of ``repeats``.

    Returns the solution and ``wall_s`` (the whole call), ``stepping_s`` (its time loop), ``compile_s``, the counts and
    ``cores``, where two cores were before and after the repeats (see :mod:`tmepde.bench.placement`).
    """
    import tmepde as tme

    began = time.perf_counter()
    first = tme.simulate(scenario, **options)
    cold = time.perf_counter() - began
    best, solution = (float("inf") if repeats else cold), first
    before = placement()
    for _ in turns(repeats):
        began = time.perf_counter()
        now = tme.simulate(scenario, **options)
        took = time.perf_counter() - began
        if took < best:
            best, solution = took, now
    row = {
        "wall_s": best,
        "stepping_s": solution.wall_time,
        "compile_s": max(cold - best, 0.0),
        **{k: int(v) for k, v in solution.statistics.items()},
        "ok": bool(solution.ok),
        "cores": stayed(before, placement()),
    }
    method = getattr(solution, "method", None)
    return solution, {**row, "method": method} if method else row
