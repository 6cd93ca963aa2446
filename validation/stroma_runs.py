"""Rows V21 to V23 (first half) and vascular disruption: what therapies of vessels and stroma do in a run."""

from __future__ import annotations

import numpy as np

import tmepde as tme
from tmepde import observables
from tmepde.units import day

GRID = tme.Grid.radial(1500.0, 60)
WANTED = ("antigen_positive_burden", "tumour_burden", "car_t_total", "infiltration_depth", "infiltrated_fraction")


def _scenario(plan, until, **values):
    model = tme.library.solid_tumour(
        GRID, radius=600.0, blood="mouse", therapies=plan, processes={"growth": {"rate": 0.012}}, **values
    )
    return tme.Scenario(model, plan, until=until, observables={n: observables.standard()[n] for n in WANTED})


def _arms(scenario, arms, until):
    found = tme.run_arms(scenario, arms, save=[until], precision="f64")
    for name, one in found.items():
        if not one.ok:
            raise RuntimeError(f"Arm {name!r} did not end: {one.status}")
    return {a: {n: float(v[-1]) for n, v in one.observables.items()} for a, one in found.items()}


def v22():
    """Infiltration at day 10 with and without PH20 or heparanase on CAR-T cells; with matrix, and without any."""
    until = 10 * day
    plan = {
        "car_t": tme.CellInfusion(dose=tme.Bolus(0.0, 6.7e9)),
        "ph20": tme.EnzymeCarT(),
        "heparanase": tme.EnzymeCarT(substrate="collagen"),
    }
    arms = {"plain": ["car_t"], "ph20": ["car_t", "ph20"], "heparanase": ["car_t", "heparanase"]}
    scenario = _scenario(plan, until)
    bare = {f"{m}_{place}": 0.0 for m in ("collagen", "hyaluronan") for place in ("tumour", "capsule", "host")}
    return {"matrix": _arms(scenario, arms, until), "bare": _arms(_scenario(plan, until, **bare), arms, until)}


def v23_fap():
    """Burden 21 days after tumour-CAR-T cells: FAP-CAR-T cells 10 days before, with them, or not at all."""
    start, until = 10 * day, 31 * day
    plan = {
        "car_t": tme.CellInfusion(dose=tme.Bolus(start, 6.7e9)),
        "first": tme.FapCarT(dose=tme.Bolus(0.0, 1e9)),
        "with": tme.FapCarT(dose=tme.Bolus(start, 1e9)),
    }
    arms = {"alone": ["car_t"], "first": ["car_t", "first"], "simultaneous": ["car_t", "with"]}
    return _arms(_scenario(plan, until), arms, until)


def v21():
    """Burden at day 26, CAR-T cells at day 5: anti-VEGF by dose (nmol), before or with them, and PH20 besides."""
    start, until = 5 * day, 26 * day
    plan = {
        "car_t": tme.CellInfusion(dose=tme.Bolus(start, 6.7e9)),
        "before": tme.AntiVEGF(dose=tme.Bolus(0.0, 1000.0)),
        "with": tme.AntiVEGF(dose=tme.Bolus(start, 1000.0)),
        "enzyme": tme.MatrixEnzyme(dose=tme.Continuous(30.0, 0.0, until)),
    }
    scenario = _scenario(plan, until)
    arms = {"alone": ["car_t"], "before": ["car_t", "before"], "with": ["car_t", "with"]}
    arms |= {"enzyme": ["car_t", "enzyme"], "both": ["car_t", "before", "enzyme"]}
    found = _arms(scenario, arms, until)
    for amount in (300.0, 3000.0, 15000.0):
        changed = scenario.replace("interventions.before.dose.amount", amount)
        found |= _arms(changed, {f"before {amount:g}": ["car_t", "before"]}, until)
    return found


def disruption():
    """CAR-T cells in the nest a day after their infusion, 6 h (trough) or 96 h (recovery) after CA4P, or without it."""
    found = {}
    for hours in (6.0, 96.0):
        plan = {
            "car_t": tme.CellInfusion(dose=tme.Bolus(hours, 6.7e12)),
            "ca4p": tme.VascularDisruption(dose=tme.Bolus(0.0, 2.5e5)),
        }
        until = hours + day
        arms = _arms(_scenario(plan, until), {"none": ["car_t"], "ca4p": ["car_t", "ca4p"]}, until)
        found |= {f"{a} {hours:g} h": one for a, one in arms.items()}
    return found


def sequence():
    """Burden two weeks after a transfer of T cells that do not expand in blood: anti-VEGF five days before, or with."""
    start, until = 5 * day, 19 * day
    blood = 2e-3
    plan = {
        "car_t": tme.CellInfusion(dose=tme.Bolus(start, 2400e6 * blood), engraftment=1.0, blood_volume=blood),
        "before": tme.AntiVEGF(dose=tme.Bolus(0.0, 1000.0)),
        "with": tme.AntiVEGF(dose=tme.Bolus(start, 1000.0)),
    }
    scenario = _scenario(plan, until).replace("model.processes.blood_kinetics.expansion", 0.0)
    return _arms(scenario, {"alone": ["car_t"], "before": ["car_t", "before"], "with": ["car_t", "with"]}, until)


def collapse():
    """CAR-T cells over the radius after two weeks, with volume filling and antigen arrest, and without either."""
    until = 14 * day
    plan = {"car_t": tme.CellInfusion(dose=tme.Bolus(0.0, 6.7e9))}
    free = {
        "chemotaxis": {"full": 1e6, "arrest": 0.0},
        "motility": {"arrest": 0.0},
        "expansion": {"full": 1e6},
    }
    found = {}
    for label, processes in (("as it is", {}), ("without filling and arrest", free)):
        model = tme.library.solid_tumour(GRID, radius=600.0, blood="mouse", stroma="inflamed", processes=processes)
        solution = tme.simulate(tme.Scenario(model, plan, until=until), save=[until], precision="f64")
        if not solution.ok:
            raise RuntimeError(f"The run {label!r} did not end: {solution.status}")
        found[label] = solution.fields["car_t"][-1]
    return GRID.centers(0), found


def self_limit(power=(0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)):
    """Tumour cells killed by an hour of photodynamic therapy over its power, for full and a tenth of oxygen supply."""
    found = {}
    for supply in (1.0, 0.1):
        plan = {"light": tme.Photodynamic(dose=tme.Bolus(0.0, 300.0), energy=tme.Infusion(24.0, 1.0, 1.0))}
        scenario = _scenario(plan, 26.0)
        rate = scenario.at("model.processes.oxygen_supply.rate")
        scenario = scenario.replace("model.processes.oxygen_supply.rate", supply * rate)
        before = float(_arms(scenario, {"dark": []}, 26.0)["dark"]["tumour_burden"])
        left = []
        for p in power:
            lit = scenario.replace("interventions.light.energy.amount", p)
            left.append(_arms(lit, {"light": ["light"]}, 26.0)["light"]["tumour_burden"])
        found[supply] = 1.0 - np.asarray(left) / before
    return np.asarray(power), found


def pak4():
    """Growth of the tumour within five days of CAR-T cells, with a PAK4 inhibitor over without (Ma 2021: 0.2)."""
    start, until = 3 * day, 8 * day
    blood = 2e-3
    plan = {
        "car_t": tme.CellInfusion(dose=tme.Bolus(start, 600e6 * blood), engraftment=1.0, blood_volume=blood),
        "pak4": tme.Pak4Inhibitor(dose=tme.Course(start=0.0, every=0.5 * day, doses=16, amount=2e4, over=1.0)),
    }
    scenario = _scenario(plan, until)
    arms = {"alone": ["car_t"], "with": ["car_t", "pak4"]}
    found = tme.run_arms(scenario, arms, save=[start, until], precision="f64")
    growth = {
        a: float(s.observables["tumour_burden"][-1] / s.observables["tumour_burden"][1]) - 1 for a, s in found.items()
    }
    entry = {a: float(s.observables["car_t_total"][-1]) for a, s in found.items()}
    return {"growth": growth, "car_t": entry}
