"""gradient: d log(tumour cells after 14 days)/d log(ten parameters) on 64² cells, in reverse.

    cost        seconds of value and gradient over seconds of the time loop of the run itself, compilation apart
    memory      peak of a process that compiles the programs, and of one that finds them in the cache of programs; and
                what is kept of the run for its derivative
    agreement   with central differences in float64, with fixed steps, so that both sides see the same ones

The gradient runs in processes of its own, because a peak of memory belongs to a process: the first compiles, the second
takes the program from the cache that the first has filled.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import tmepde as tme
from tmepde.bench.record import Options, Record

PARAMETERS = (
    "model.processes.killing.rate",
    "model.processes.growth.rate",
    "model.processes.expansion.rate",
    "model.processes.exhaustion.antigen",
    "model.processes.motility.diffusivity",
    "model.processes.chemotaxis.speed",
    "model.processes.oxygen_uptake.tumour",
    "model.processes.oxygen_supply.rate",
    "interventions.car_t.dose.amount",
    "interventions.hyaluronidase.dose.amount",
)


def measure(name: str, options: Options) -> Record:
    """``wall_s`` is value and gradient in float32; ``error`` the largest difference over the largest derivative."""
    n, days = options.size(64, 12), options.length(14.0, 0.25)
    quick = options.quick
    job = {"what": "cost", "cells": n, "days": days, "small": quick, "repeats": 1 if quick else 2}
    with tempfile.TemporaryDirectory() as folder:
        compiling = _child(job, folder)
        cost = _child(job, folder)
    cost |= {"cached_s": cost["compile_s"], "compile_s": compiling["compile_s"]}
    cost["peak_compiling_mib"] = compiling["peak_mib"]
    # with the doses inside, and few cells: twenty runs are needed for the differences
    agreement = _child({"what": "agreement", "cells": min(n, 24), "days": min(days, 1.0), "small": quick})
    where = f"{n}{'' if quick else '²'} cells with respect to {len(cost['gradient'])} parameters"
    return Record(
        name,
        f"gradient of the tumour's cells after {days:g} days on {where}; error against central differences in float64",
        "f32",
        n if quick else n * n,
        cost["wall_s"],
        cost["compile_s"],
        agreement["error"],
        rows=[cost, agreement],
        notes=[
            f"{cost['forward_runs']:.1f} forward runs, {cost['steps']} steps",
            f"peak memory {cost['peak_mib'] / 1024:.2f} GiB with programs from the cache, in {cost['cached_s']:.0f} "
            f"s ({cost['before_mib'] / 1024:.2f} before, {cost['compiled_mib'] / 1024:.2f} after the first gradient), "
            f"{cost['peak_compiling_mib'] / 1024:.2f} GiB where they are compiled; kept of the run for its derivative "
            f"{cost['kept_mib'] / 1024:.2f} GiB",
        ],
    )


def _child(job: dict[str, Any], cache: str | None = None) -> dict[str, Any]:
    environment = dict(os.environ) if cache is None else {**os.environ, "TMEPDE_CACHE": cache}
    if cache is not None:
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    command = [sys.executable, "-m", __name__, json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=7200, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"The gradient's process failed: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_mib() -> float:
    """Most memory that this process has held. What ``getrusage`` calls so includes, on Linux, what the process that
    started this one held."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def live_mib() -> float:
    """The arrays that somebody holds."""
    return sum(x.nbytes for x in jax.live_arrays()) / 2**20


def scenario(n: int, days: float) -> tme.Scenario:
    """A nodule in a section of n² cells with CAR-T cells, a matrix enzyme and anti-VEGF."""
    model = tme.library.solid_tumour(tme.Grid.square(800.0, cells=n), radius=250.0, stroma="excluded")
    plan = {
        "car_t": tme.CellInfusion(dose=tme.Bolus(at=2.0, amount=1e8)),
        "hyaluronidase": tme.MatrixEnzyme(dose=tme.Infusion(at=1.0, amount=50.0, over=1.0)),
        "bevacizumab": tme.AntiVEGF(dose=tme.Infusion(at=0.0, amount=2300.0, over=1.0)),
    }
    return tme.Scenario(model, plan, until=24.0 * days)


def small(n: int, days: float) -> tme.Scenario:
    """Three fields in one dimension, which compile in seconds: a stand-in for quick runs."""

    numbers = dict(killing=0.2, growth=0.02, expansion=0.04, half=0.5, death=0.01, supply=2.0, uptake=3.0, affinity=0.2)
    species = {
        "tumour": tme.Species(1.0, 1.0),
        "car_t": tme.Species(0.1, 500.0),
        "oxygen": tme.Species(1.0, 1e5, kind="quasi_steady"),
    }
    model = tme.Model(tme.Grid.line(400.0, cells=n), species, {"p": tme.process(kinetics, **numbers)})
    return tme.Scenario(model, until=24.0 * days)


def kinetics(
    clock: Any,
    state: Any,
    tissue: Any,
    killing: Any,
    growth: Any,
    expansion: Any,
    half: Any,
    death: Any,
    supply: Any,
    uptake: Any,
    affinity: Any,
) -> dict[str, Any]:
    """Growth by oxygen, killing by contact, expansion by antigen, uptake that saturates."""
    tumour, car_t, oxygen = state["tumour"], state["car_t"], state["oxygen"]
    breath = oxygen / (affinity + oxygen)
    return {
        "tumour.source": growth * tumour * breath,
        "tumour.loss": killing * car_t / (half + tumour),
        "car_t.source": expansion * car_t * tumour / (half + tumour),
        "car_t.loss": death,
        "oxygen.source": supply,
        "oxygen.loss": supply + uptake * tumour / (affinity + oxygen),
    }


def parameters(base: tme.Scenario) -> tuple[str, ...]:
    """:data:`PARAMETERS`, or the numbers of the stand-in."""
    if "p" not in base.model.processes:
        return PARAMETERS
    return tuple(f"model.processes.p.numbers.{n}" for n in base.model.processes["p"].numbers)  # type: ignore[attr-defined]


def burden(base: tme.Scenario, factors: Any, **options: Any) -> tuple[Any, Any]:
    """log of the tumour cells at the end, with every parameter multiplied by e^factor; and the counts of the run."""
    varied = base
    for path, factor in zip(parameters(base), factors, strict=True):
        varied = varied.replace(path, jnp.asarray(base.at(path)) * jnp.exp(factor))
    cells = tuple(n for n in ("tumour", "tumour_negative") if n in base.model.species)
    run = tme.simulate(varied, fields=cells, **options)
    return jnp.log(base.model.grid.integrate(sum(run.fields[n][-1] for n in cells))), run.statistics


def cost(job: dict[str, Any]) -> dict[str, Any]:
    """Memory and seconds of value and gradient, then seconds of the run as users call it; float32."""
    from tmepde.bench.measure import call, seconds

    base = (small if job["small"] else scenario)(job["cells"], job["days"])
    save = tme.every(24.0) if job["days"] > 1 else None
    times = np.arange(24.0, 24.0 * job["days"] + 1.0, 24.0) if save else [24.0 * job["days"]]

    def value(factors: Any) -> Any:
        return burden(base, factors, save=times)

    factors = jnp.zeros(len(parameters(base)), jnp.float32)
    gradient = jax.value_and_grad(value, has_aux=True)  # not inside jax.jit: made of programs as it is
    before = peak_mib()
    first = seconds(lambda: gradient(factors), 1)
    after = peak_mib()
    (_, counts), slope = gradient(factors)
    wall = seconds(lambda: gradient(factors), job["repeats"])
    peak = peak_mib()
    kept = live_mib()
    pull = jax.vjp(value, factors, has_aux=True)[1]
    kept = live_mib() - kept
    del pull
    _, plain = call(base, job["repeats"], save=save)
    return {
        "what": "cost",
        "forward_s": plain["stepping_s"],
        "wall_s": wall,
        "compile_s": first - wall,
        "forward_runs": wall / plain["stepping_s"],
        "before_mib": before,
        "compiled_mib": after,
        "peak_mib": peak,
        "kept_mib": kept,
        "steps": int(counts["steps"]),
        "forward_steps": plain["steps"],
        "gradient": [float(g) for g in slope],
    }


def agreement(job: dict[str, Any]) -> dict[str, Any]:
    """Reverse against central differences in float64: fixed steps, equations of a step solved to 1e-11."""
    jax.config.update("jax_enable_x64", True)
    base = (small if job["small"] else scenario)(job["cells"], job["days"])
    control = tme.StepControl(dt=0.25, rtol=1e-11)
    options = {"save": [24.0 * job["days"]], "precision": "f64", "control": control}
    forward = jax.jit(lambda f: burden(base, f, **options)[0])
    slope = jax.grad(lambda f: burden(base, f, **options)[0])(jnp.zeros(len(parameters(base))))
    h = 1e-4
    shifts = h * np.eye(len(parameters(base)))
    differences = np.array([(float(forward(s)) - float(forward(-s))) / (2 * h) for s in shifts])
    scale = np.max(np.abs(differences))
    return {
        "what": "agreement",
        "cells": job["cells"],
        "days": job["days"],
        "gradient": [float(g) for g in slope],
        "differences": differences.tolist(),
        "error": float(np.max(np.abs(np.asarray(slope) - differences)) / scale),
    }


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    print(json.dumps({"cost": cost, "agreement": agreement}[wanted["what"]](wanted)))
