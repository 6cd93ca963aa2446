"""w3: Gray–Scott in two dimensions, float32, explicit Euler steps of 1, through ``tme.simulate``.

A cell update advances both fields of one cell by one step. The error is the relative L2 difference from numpy's float64
run of the same steps; ours takes a few more and shorter ones where a cell would empty in one, which shows in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tmepde as tme
from tmepde.bench.measure import call
from tmepde.bench.peers import Job, compare
from tmepde.bench.problems import gray_scott, gray_scott_steps, worst
from tmepde.bench.record import Options, Record

SUBSTEPS = 20


def measure(name: str, options: Options) -> Record:
    """512² and 1024² cells; the larger is the headline."""
    largest = options.size(1024, 64)
    sizes = [largest] if options.cells or options.quick else [512, largest]
    rows = [_row(n, _steps(n, options), options) for n in sizes]
    last = rows[-1]
    record = Record(
        name,
        f"Gray–Scott, {largest}² cells, {last['steps']} explicit steps; error against numpy in float64",
        "f32",
        largest**2,
        last["wall_s"],
        last["compile_s"],
        last["error"],
        last["updates_per_s"],
        rows=rows,
    )
    job = Job(steps=last["steps"], quick=options.quick, full=options.full, repeats=options.repeats)
    found = compare(name, largest, job, options, lambda f: worst(f, gray_scott_steps(largest, last["steps"])))
    for one in found.values():
        if one["wall_s"]:
            one["updates_per_s"] = largest**2 * last["steps"] / one["wall_s"]
    return record.compared(found)


def _steps(n: int, options: Options) -> int:
    """A multiple of the substeps in a step."""
    wanted = 60 if options.quick else max(100, 200 * 1024**2 // n**2)
    return SUBSTEPS * -(-wanted // SUBSTEPS)


def reaction(clock: Any, state: Any, tissue: Any, feed: Any, kill: Any) -> dict[str, Any]:
    """±uv², feed and kill, as sources and loss rates."""
    u, v = state["u"], state["v"]
    return {"u.source": feed, "u.loss": feed + v * v, "v.source": u * v * v, "v.loss": feed + kill}


def scenario(n: int, until: float) -> tme.Scenario:
    """The pattern as a model on n² cells of 1 µm."""
    g = gray_scott(n)
    species = {"u": tme.Species(g.u, g.du), "v": tme.Species(g.v, g.dv)}
    process = tme.process(reaction, feed=g.feed, kill=g.kill)
    return tme.Scenario(tme.Model(tme.Grid.square(float(n), cells=n), species, {"p": process}), until=until)


def _row(n: int, steps: int, options: Options) -> dict[str, Any]:
    control = tme.StepControl(dt=float(SUBSTEPS), max_steps=steps)  # limits and budgets are looked at once in dt
    stepper = tme.ExplicitEuler(substep=1.0001)  # a hair more, or rounding makes 21 substeps of 20
    solution, row = call(scenario(n, float(steps)), options.repeats, control=control, stepper=stepper)
    found = np.stack([solution.fields[f][-1] for f in "uv"])
    error = worst(found, gray_scott_steps(n, steps))
    done = row.pop("solver_iterations")  # substeps; more than the steps where positivity asks for shorter ones
    rate = n * n * done / row["wall_s"]
    return {**row, "cells": n * n, "steps": steps, "substeps": done, "error": error, "updates_per_s": rate}
