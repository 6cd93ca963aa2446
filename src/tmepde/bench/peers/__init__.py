"""Other programs on the same problems, written against their public interfaces as a user of each would.

A peer is a function ``(n, job) -> Result``. Each runs in a process of its own, so that one that is missing, fails,
takes too long or needs other threads can neither stop nor disturb the rest: it is reported with a note.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tmepde.bench.record import Options
from tmepde.bench.turns import turns

#: workload → peer → "module:function"
PEERS: dict[str, dict[str, str]] = {
    "w1": {
        "devito": "box:devito",
        "jax-cfd": "box:jax_cfd",
        "scipy.fft": "box:scipy_fft",
        "jax by hand": "box:jax_by_hand",
        "py-pde": "box:py_pde",
    },
    "w2": {"devito": "box:devito", "jax-cfd": "box:jax_cfd", "scipy.fft": "box:scipy_fft"},
    "w3": {
        "devito": "gray_scott:devito",
        "numpy": "gray_scott:by_numpy",
        "jax by hand": "gray_scott:jax_by_hand",
        "diffrax": "gray_scott:diffrax",
        "py-pde": "gray_scott:py_pde",
    },
    "w4": {
        "devito": "oxygen:devito",
        "scipy": "oxygen:scipy_cg",
        "jax by hand": "oxygen:jax_by_hand",
        "fipy": "oxygen:fipy",
        "py-pde": "oxygen:py_pde",
    },
    "w4-reference": {"devito float64": "oxygen:devito_float64"},
}


class Job(NamedTuple):
    """What a peer is asked for: ``fields`` of the box, ``steps`` of the pattern, and whether to run to the end."""

    fields: int = 1
    steps: int = 0
    quick: bool = False
    full: bool = False
    repeats: int = 3

    def timed(self, total: int, usual: int) -> int:
        """Steps to time of ``total``: all of them in a full run, else ``usual``."""
        return total if self.full else min(total, max(10, usual // 10) if self.quick else usual)


class Result(NamedTuple):
    """``wall_s`` of the whole problem (extrapolated where ``note`` says so); ``fields`` as the exact solution has them,
    ``None`` where the run did not reach them."""

    wall_s: float
    fields: np.ndarray | None = None
    note: str = ""
    compile_s: float | None = None


def clocked(action: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """Least seconds of ``action`` over ``repeats`` calls, and the last result."""
    best, value = float("inf"), None
    for _ in turns(repeats):
        began = time.perf_counter()
        value = action()
        best = min(best, time.perf_counter() - began)
    return best, value


def extrapolated(wall: float, steps: int, total: int) -> tuple[float, str]:
    """Seconds of ``total`` steps from those of ``steps``, and what to say about it."""
    if steps >= total:
        return wall, f"{total} steps"
    return wall * total / steps, f"{steps} of {total} steps timed, the rest extrapolated"


def compare(
    workload: str, n: int, job: Job, options: Options, judge: Callable[[np.ndarray], float]
) -> dict[str, dict[str, Any]]:
    """Every peer of ``workload`` on ``n`` cells along an axis; ``judge`` gives the error of its fields.

    Returns an empty mapping unless ``options.peers``.
    """
    if not options.peers:
        return {}
    return {name: _measured(workload, name, n, job, judge) for name in PEERS[workload]}


def _measured(workload: str, name: str, n: int, job: Job, judge: Callable[[np.ndarray], float]) -> dict[str, Any]:
    found: dict[str, Any] = {"wall_s": None, "error": None, "compile_s": None, "ratio": None, "note": ""}
    limit = 60 if job.quick else 7200 if job.full else 1200
    with tempfile.TemporaryDirectory(prefix="tmepde-bench-") as folder:
        command = [
            sys.executable,
            "-m",
            "tmepde.bench.peers",
            workload,
            name,
            str(n),
            folder,
            json.dumps(job._asdict()),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=_environment())
        except subprocess.TimeoutExpired:
            return {**found, "note": f"gave up after {limit} s"}
        written = Path(folder) / "result.json"
        if done.returncode != 0 or not written.exists():
            return {**found, "note": f"failed: {(done.stderr.strip().splitlines() or ['no message'])[-1][:200]}"}
        found |= json.loads(written.read_text("utf-8"))
        fields = Path(folder) / "fields.npy"
        if fields.exists():
            found["error"] = judge(np.load(fields, allow_pickle=False))
    return found


def _environment() -> dict[str, str]:
    """All cores for OpenMP programs; Devito compiles for them and keeps quiet."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = {
        "OMP_NUM_THREADS": str(cores),
        "NUMBA_NUM_THREADS": str(cores),
        "DEVITO_LANGUAGE": "openmp",
        "DEVITO_LOGGING": "ERROR",
        "FIPY_SOLVERS": "scipy",
        "JAX_PLATFORMS": "cpu",
    }
    return {**wanted, **os.environ}
