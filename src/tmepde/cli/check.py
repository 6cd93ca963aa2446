"""``tmepde check``: the config, then what it means: grid, sides, length scales, memory, runs and compilations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tmepde import config as configs
from tmepde.cli import memory


def check(path: Path, overrides: list[str], as_json: bool, compile_: bool = False) -> None:
    """Print the findings; a bad config raises before JAX starts. ``compile_``: memory as the compiler plans it."""
    config = configs.load(path, overrides)
    build = config.build()
    found = {"config": str(path), "name": config.name, **findings(build, compile_)}
    if config.sweep is not None:
        found["sweep"] = _sweep(config)
    found["warnings"] = [*config.warnings, *_too_large(found["memory_gib"])]
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return
    print(f"{path} is good: {config.name}\n")
    print(build.scenario)
    print(f"\ngrid          {found['grid']}")
    print(f"cells         {found['cells']} of them tissue, width {found['cell_width']} um")
    print("sides         " + "; ".join(f"{side}: {what}" for side, what in found["sides"].items()))
    print("length scales sqrt(D/lambda) at the start, in um and cells")
    for name, one in found["lengths"].items():
        note = "  <- below one cell: not resolved" if one["cells"] < 1 else ""
        print(f"              {name:<20}{one['length']:>10.3g} um {one['cells']:>8.2g} cells{note}")
    need = f"{'' if compile_ else 'about '}{found['memory_gib']:.2g} GiB of arrays while running"
    print(f"memory        {need}, 1 to 2 GiB for the programs, {found['store_mib']:.2g} MiB of fields saved")
    print(f"runs          {found['runs']} ({', '.join(build.arms)}), {found['compilations']} compilation")
    if "sweep" in found:
        arms = ", ".join(found["sweep"]["arms"])
        print(f"sweep         {found['sweep']['scenarios']} scenarios ({arms}) with `tmepde sweep`")
    for warning in found["warnings"]:
        print(f"warning       {warning}")


def _sweep(config: Any) -> dict[str, Any]:
    """Scenarios and arms of ``[sweep]``; paths of priors are known only to the objects.

    Raises:
        ConfigError: for a path that has no prior.
    """
    from tmepde.config.sweep import size

    arms = list(config.sweep.arms or config.all_arms)
    if config.sweep.priors is not None:
        from tmepde.sweep.table import table

        table(config)
    return {"scenarios": size(config.sweep, len(arms)), "arms": arms}


def _too_large(gib: float) -> list[str]:
    """A sentence when the run would not fit into this machine."""
    there = memory.installed()
    if there is None or gib * 2**30 <= 0.9 * there:
        return []
    return [
        f"The run needs {gib:.2g} GiB, but this machine has {there / 2**30:.2g} GiB. Take fewer cells, "
        'precision = "f32", or a larger machine.'
    ]


def findings(build: Any, compile_: bool = False) -> dict[str, Any]:
    """What follows from the objects, as plain values."""
    import numpy as np

    scenario = build.scenario
    grid = scenario.model.grid
    species = _species(scenario)
    tissue = int(np.asarray(grid.volumes() > 0).sum())
    widths = [float(np.mean(np.asarray(w))) for w in grid.widths]
    item = 8 if build.precision == "f64" else 4
    fields = [n for n, s in species.items() if s.kind != "compartment"]
    saved = len(build.fields if build.fields is not None else fields)
    snapshots = _snapshots(build)
    cells = int(np.prod(grid.shape))
    return {
        "grid": repr(grid),
        "cells": tissue,
        "cell_width": " x ".join(f"{w:g}" for w in widths),
        "sides": _sides(species, grid),
        "lengths": _lengths(build, min(widths)),
        "memory_gib": _memory(build, species, compile_) / 2**30,
        "store_mib": cells * saved * item * snapshots * len(build.arms) / 2**20,
        "runs": len(build.arms),
        "compilations": 1,
    }


def _memory(build: Any, species: dict[str, Any], compile_: bool) -> float:
    if not compile_:
        return memory.estimate(species, build.scenario.model.grid.shape, build.precision)
    from tmepde.cli.devices import choose_device
    from tmepde.steppers import StepControl

    choose_device(None, build.precision)
    control = StepControl(rtol=build.rtol, max_steps=build.max_steps)
    return memory.compiled(build.scenario, build.precision, control, build.fields)


def _species(scenario: Any) -> dict[str, Any]:
    found = dict(scenario.model.species)
    for one in scenario.interventions.values():
        found |= one.species(scenario.model.grid)
    return found


def _snapshots(build: Any) -> int:
    if isinstance(build.save, dict):
        return int(float(build.scenario.until) / build.save["every"]) + 1
    return len(build.save)


def _sides(species: dict[str, Any], grid: Any) -> dict[str, str]:
    """The effective condition of every side, with the species that differ from no flux."""
    from tmepde.boundary import sides

    out: dict[str, str] = {}
    for k, axis in enumerate(grid.axes):
        if grid.periodic[k]:
            out[axis] = "periodic"
            continue
        for end, sign in enumerate("-+"):
            other = []
            for name, one in species.items():
                if one.kind in ("transported", "quasi_steady"):
                    condition = type(sides(one.boundary, grid.axes)[k][end]).__name__
                    if condition != "NoFlux":
                        other.append(f"{name} {condition}")
            out[axis + sign] = ", ".join(other) + (", others no flux" if other else "no flux for all")
    if grid.symmetry != "slab":
        out["r-"] = "centre" if float(grid.origin[-1]) == 0.0 else out["r-"]
    return out


def _lengths(build: Any, width: float) -> dict[str, dict[str, float]]:
    """Volume means of D and λ at the start give √(D/λ) per species; 0 where nothing moves is left out."""
    import jax
    import numpy as np

    from tmepde.model import System
    from tmepde.schedule import Clock

    scenario = build.scenario
    system = System(scenario.model, scenario.interventions)
    state = system.initial_state(np.float32)
    zero = np.float32(0.0)
    clock = Clock(zero, zero, zero, np.float32(1e-3))
    coefficients = jax.jit(lambda u: system.coefficients(clock, u))(state)
    grid = scenario.model.grid
    volumes = np.asarray(grid.volumes(), float)

    def mean(value: Any) -> float:
        return float((np.broadcast_to(np.asarray(value, float), grid.shape) * volumes).sum() / volumes.sum())

    out = {}
    for name, diffusivity in coefficients.diffusivity.items():
        loss = coefficients.loss.get(name)
        if loss is None or isinstance(diffusivity, tuple):
            continue
        d, rate = mean(diffusivity), mean(loss)
        if d > 0 and rate > 0:
            out[name] = {"length": (d / rate) ** 0.5, "cells": (d / rate) ** 0.5 / width}
    return out
