"""reference: the model of a solid tumour as users run it, on the colon section (256² cells) and in a nodule (64³).

Per simulated day the seconds, steps, rejections and iterations; what each part of a step costs alone, and its share;
how far the run is from one with a tenth of the tolerance (relative L2 of every field at the end, every observable over
time); and what explicit steps would have cost: seconds of one measured explicit step times the steps that stability
demands. Days are few, so that two cores are done in minutes; they hold the doses that make steps short.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import tmepde as tme
from tmepde import config as configs
from tmepde.bench.measure import kernel_seconds, loop_seconds
from tmepde.bench.record import Options, Record
from tmepde.elliptic import LinearControl, prepare
from tmepde.schedule import Clock
from tmepde.steppers import Rosenbrock2, SemiDiscrete, explicit_rate, relax_quasi_steady
from tmepde.steppers.explicit_terms import terms
from tmepde.steppers.semidiscrete import Evaluation

#: simulated days of the colon section with all therapies (to the first hyaluronidase), with CAR-T cells alone (to a day
#: after them) and of the nodule (three fractions, and CAR-T cells for two days)
_SECTION, _ALONE, _NODULE = 3.25, 1.5, 3.0


def measure(name: str, options: Options) -> Record:
    """The headline is the colon section with all therapies; ``wall_s`` is one simulated day of it."""
    n, days = options.size(256, 16), options.length(_SECTION, 0.25)
    if options.quick:  # one dimension compiles in seconds
        sphere = {"grid.cells": n, "run.until": f"{days} day"}
        return _record(name, "a spheroid in one dimension", [case("radial_1d", None, sphere, options)])
    section = {"tissue.cell_size": f"{256.0 / n} um"}
    rows = [case("colon_ihc", "all together", {**section, "run.until": f"{days} day"}, options)]
    alone = {**section, "run.until": f"{min(days, _ALONE)} day"}
    rows.append(case("colon_ihc", "CAR-T", alone, options, whole=False))
    small = options.cells or 64
    nodule = {"grid.cells": [small] * 3, "run.until": f"{min(days, _NODULE)} day"}
    rows.append(case("nodule_3d", "radiotherapy, then CAR-T", nodule, options))
    return _record(name, f"the colon section, {n}² cells, all therapies", rows)


def _record(name: str, where: str, rows: list[dict[str, Any]]) -> Record:
    head = rows[0]
    return Record(
        name,
        f"solid tumour on {where}; seconds per simulated day of {head['days']:g}; error against a tenth of rtol",
        "f32",
        head["cells"],
        head["wall_s_per_day"],
        head["compile_s"],
        head["error"],
        rows=rows,
    )


def case(
    config: str, arm: str | None, overrides: dict[str, Any], options: Options, whole: bool = True
) -> dict[str, Any]:
    """One arm of a config (``None``: its last): the run, its error, its parts, and explicit steps beside it.

    Seconds are those of the time loop, so that the first run counts. ``whole``: also what costs further compilations,
    the parts of a step and explicit steps.
    """
    built = configs.load(config_path(config), overrides).build()
    arm = arm or list(built.arms)[-1]
    scenario = built.scenario.only(built.arms[arm])
    days = float(scenario.until) / 24.0
    rtol = built.rtol
    save, most = tme.every(24.0), 10 * built.max_steps  # another limit of steps would be another program
    solution = tme.simulate(scenario, control=tme.StepControl(rtol=rtol, max_steps=most), save=save)
    finer = tme.simulate(scenario, control=tme.StepControl(rtol=rtol / 10, max_steps=most), save=save)
    errors, observed = field_errors(solution, finer), observable_errors(solution, finer)
    counts = {k: int(v) for k, v in solution.statistics.items()}
    found: dict[str, Any] = {
        "case": config,
        "arm": arm,
        "cells": int(np.prod(scenario.model.grid.shape)),
        "days": days,
        **counts,
    }
    found |= {"ok": bool(solution.ok), "method": solution.method, "rtol": float(rtol)}
    wall = float(solution.wall_time or 0.0)
    found |= {"wall_s": wall, "compile_s": solution.compile_time, "wall_s_per_day": wall / days}
    found |= {f"{k}_per_day": v / days for k, v in counts.items()}
    found["rejected_share"] = counts["rejected"] / max(counts["steps"] + counts["rejected"], 1)
    found |= {"error": max(errors.values()), "field_errors": errors, "observable_errors": observed}
    found |= {"finer_steps": int(finer.statistics["steps"]), "finer_wall_s": finer.wall_time}
    if whole:
        found["parts_s"] = parts(solution, counts["steps"], rtol, whole=not options.quick)
        found["shares"] = shares(found["parts_s"])
        found |= explicit(solution, found["wall_s_per_day"])
    return found


def config_path(name: str) -> Path:
    """A config of the package, or of the source tree it runs from."""
    package = Path(tme.__file__).parent
    for folder in (package / "configs", package.parents[1] / "configs"):
        if (folder / f"{name}.toml").is_file():
            return folder / f"{name}.toml"
    raise FileNotFoundError(
        f"The config {name}.toml must come with the package, but it is not there. Install it again."
    )


def field_errors(found: tme.Solution, finer: tme.Solution) -> dict[str, float]:
    """Relative L2 difference of every field at the end; fields that are zero are left out."""
    out = {}
    for name, values in finer.fields.items():
        size = np.linalg.norm(values[-1])
        if size > 0 and len(found.fields[name]) == len(values):
            out[name] = float(np.linalg.norm(np.asarray(found.fields[name][-1]) - values[-1]) / size)
    return out


def observable_errors(found: tme.Solution, finer: tme.Solution) -> dict[str, float]:
    """Largest difference of every observable over the saves, relative to its largest value."""
    out = {}
    for name, values in finer.observables.items():
        size = np.max(np.abs(values))
        if size > 0 and len(found.observables[name]) == len(values):
            out[name] = float(np.max(np.abs(np.asarray(found.observables[name]) - values)) / size)
    return out


def parts(solution: tme.Solution, steps: int, rtol: float, whole: bool = True) -> dict[str, float]:
    """Seconds of one evaluation, set-up, linear solve, relaxation and whole step at the end of a run, each compiled by
    itself. A step has two evaluations and two solves with one set-up, and one relaxation."""
    scenario = solution.scenario
    problem = SemiDiscrete(scenario.system)
    state = {n: jnp.asarray(u, jnp.float32) for n, u in solution.state.items()}
    end = jnp.asarray(float(scenario.until), jnp.float32)
    dt = jnp.asarray(float(scenario.until) / max(steps, 1), jnp.float32)
    clock = Clock(end, jnp.zeros_like(dt), jnp.zeros_like(dt), dt)

    def evaluate(u: Any) -> Evaluation:
        return problem.evaluate(clock, u)

    def operator(u: Any) -> Any:
        here, weight = evaluate(u), 0.29 * dt
        assert here.laplacian is not None
        rate = jnp.stack([1.0 + weight * here.rates.rate(n) for n in problem.transported])
        return problem.shifted(here.laplacian, rate, weight)

    built = jax.jit(operator)(state)
    volumes = problem.volumes(jnp.float32)
    rhs = volumes * jnp.stack([state[n] for n in problem.transported])
    fast = {n: 1.01 * u if n in problem.quasi_steady else u for n, u in state.items()}
    control = LinearControl(relative=1e-3)
    kernels = {
        "evaluation": (lambda u: evaluate(u).tendency, state),
        "set_up_and_one_solve": (lambda o: prepare(o)(rhs, control=control).value, built),
        "set_up_and_two_solves": (lambda o: _two(prepare(o), rhs, control), built),
        "quasi_steady": (lambda u: relax_quasi_steady(problem, clock, u, 0.1 * rtol)[0], fast),
    }
    if whole:
        accuracy = tme.StepControl(rtol=np.float32(rtol))
        kernels["whole_step"] = (lambda u: Rosenbrock2().step(problem, accuracy, clock, u).state, state)
    found = {}
    with jax.default_matmul_precision("highest"):
        for label, (function, argument) in kernels.items():
            found[label], _ = kernel_seconds(function, argument)
    found["one_solve"] = found["set_up_and_two_solves"] - found["set_up_and_one_solve"]
    found["set_up"] = max(found["set_up_and_one_solve"] - found["one_solve"], 0.0)
    return found


def shares(parts: dict[str, float]) -> dict[str, float]:
    """Parts of one step over the whole of it (of their sum, where no whole step was timed); ``rest`` may be negative,
    since parts timed alone wait for memory that a whole step has at hand."""
    each = {
        "rate_evaluation": 2.0 * parts["evaluation"],
        "solver_set_up": parts["set_up"],
        "elliptic_iterations": 2.0 * parts["one_solve"],
        "quasi_steady_balance": parts["quasi_steady"],
    }
    whole = parts.get("whole_step", sum(each.values()))
    found = {k: v / whole for k, v in each.items()}
    return {**found, "rest": 1.0 - sum(found.values())}


def _two(solve: Any, rhs: Any, control: LinearControl) -> Any:
    first = solve(rhs, control=control).value
    return first + solve(rhs * (1.0 + 1e-3 * first / (jnp.max(jnp.abs(first)) + 1e-30)), control=control).value


def explicit(solution: tme.Solution, wall_s_per_day: float) -> dict[str, float]:
    """What explicit Euler steps of all fields, the fast ones too, would have cost."""
    scenario = solution.scenario
    problem = SemiDiscrete(scenario.system, all_dynamic=True)
    state = {n: jnp.asarray(u, jnp.float32) for n, u in solution.state.items()}
    zero = jnp.zeros((), jnp.float32)
    clock = Clock(jnp.asarray(float(scenario.until), jnp.float32), zero, zero, jnp.asarray(1e-6, jnp.float32))
    dt = 2.0 / float(jax.jit(lambda u: explicit_rate(problem, clock, u))(state))

    def step(u: Any, _: Any) -> Any:
        change = terms(problem, clock, u).tendency
        return {**u, **{n: u[n] + dt * change[n] for n in change}}

    wall = loop_seconds(step, state, None, 10)
    per_day = 24.0 / dt * wall
    return {
        "explicit_step_s": wall,
        "explicit_steps_per_day": 24.0 / dt,
        "explicit_s_per_day": per_day,
        "ratio_to_explicit": per_day / wall_s_per_day,
    }
