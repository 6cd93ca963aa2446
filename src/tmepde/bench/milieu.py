"""milieu: the solid tumour with every optional process on, four weeks, in the plane (128²) and in space (64³).

A nodule with CAR-T cells, anti-VEGF, hyaluronidase and oxygen-generating particles. Beside it the core model on the
same plane: what a model that carries nothing optional costs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tmepde as tme
from tmepde.bench.record import Options, Record
from tmepde.observables import standard
from tmepde.units import day, hour


def measure(name: str, options: Options) -> Record:
    """The headline is the full model in the plane; ``wall_s`` is the time loop of the whole run."""
    days = options.length(28.0, 0.25)
    plane = tme.Grid.square(1500.0, options.size(128, 12))
    cases = [("full, plane", plane, "full"), ("core, plane", plane, "core")]
    if not options.quick:
        cases.append(("full, space", tme.Grid.cube(1280.0, (options.cells or 128) // 2), "full"))
    head = case(*cases[0], days)
    record = Record(
        name,
        f"solid tumour with {head['fields']} species, {head['cells']} cells, {days:g} days; seconds of the time loop",
        "f32",
        head["cells"],
        head["wall_s"],
        head["compile_s"],
        rows=[head],
    )
    for one in cases[1:]:
        if options.keep is not None:  # the next takes long
            options.keep(record)
        record.rows.append(case(*one, days))
    return record


def plan() -> dict[str, Any]:
    """CAR-T cells after three preparations."""
    return {
        "bevacizumab": tme.AntiVEGF(dose=tme.Infusion(at=0.0, amount=2300.0, over=1 * hour)),
        "hyaluronidase": tme.MatrixEnzyme(
            dose=tme.Course(start=2 * day, every=3 * day, doses=8, amount=50.0, over=1.0)
        ),
        "car_t": tme.CellInfusion(dose=tme.Bolus(at=3 * day, amount=5e8), armour=tme.Secretes(growth_factor=10.0)),
        "particles": tme.OxygenGenerator(
            dose=tme.Course(start=4 * day, every=2 * day, doses=10, amount=300.0, over=1.0)
        ),
    }


def case(label: str, grid: Any, milieu: str, days: float) -> dict[str, Any]:
    """One run, as a user would start it; the first of its structure, so that compilation is told apart."""
    model = tme.library.solid_tumour(grid, radius=450.0, milieu=milieu)
    scenario = tme.Scenario(model, plan(), until=days * day, observables=standard())
    solution = tme.simulate(scenario, save=tme.every(1 * day), fields=["car_t", "oxygen", "tumour"])
    found = solution.statistics
    rejected = int(found["rejected"])
    species = scenario.system.species
    return {
        "case": label,
        "fields": len(species),
        "fields_in_space": sum(s.kind != "compartment" for s in species.values()),
        "cells": int(np.prod(grid.shape)),
        "days": days,
        "wall_s": solution.wall_time,
        "compile_s": solution.compile_time,
        **{k: int(v) for k, v in found.items()},
        "rejected_share": rejected / max(int(found["steps"]) + rejected, 1),
        "ok": bool(solution.ok),
        "burden_left": float(solution.observables["tumour_burden"][-1] / solution.observables["tumour_burden"][0]),
    }
