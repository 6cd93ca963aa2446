"""Row about the numerics as such: V24."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

import tmepde as tme
from tmepde.units import day
from validation.row import Check, not_yet, row
from validation.solve import ran, settled

_LAG = (
    "IFN-γ lives 434 s in stroma, where few cells consume it, against 90 s in packed tumour, and six hours after the "
    "infusion what makes it grows by 0.28 per hour: it lags by 434 s × 0.28/h = 3 % there, by 0.5 % inside the nests"
)


def _treated(grid: tme.Grid, until: float) -> tme.Scenario:
    """A nodule under cells, enzyme and radiation."""
    model = tme.library.solid_tumour(grid, radius=300.0, blood="mouse")
    plan = {
        "car_t": tme.CellInfusion(dose=tme.Bolus(0.5 * day, 5e9)),
        "enzyme": tme.MatrixEnzyme(dose=tme.Infusion(1.0 * day, 1000.0, 2.0)),
        "rays": tme.Radiotherapy(dose=tme.Infusion(2.0 * day, 2.0, 0.1)),
    }
    return tme.Scenario(model, plan, until=until)


@row("V24", "Conservation, positivity, order, quasi-steady fields, devices", "finite-volume method; handbook 3")
def numerics() -> Iterator[Check]:
    scenario = _treated(tme.Grid.square(1000.0, 24), 4 * day)
    found = ran(scenario, 4 * day)
    worst = max(float(np.max(b["error"])) for b in found.budgets.values())
    # round-off: 24² cells × the steps of the run
    allowed = 576 * int(found.statistics["steps"]) * np.finfo(float).eps
    yield Check("worst relative error of a budget, 2-D, treated", allowed, worst, rule="at most")
    lowest = min(float(np.min(f)) for f in found.fields.values())
    yield Check("lowest value of any field", (0.0, 1e300), lowest, rule="between")
    clipped = max(float(b["clipped"] / (b["initial"] + b["produced"] + 1e-30)) for b in found.budgets.values())
    eps = float(np.finfo(float).eps)
    yield Check("amount clipped to stay positive, relative", eps, clipped, rule="at most")
    errors = [_manufactured(n) for n in (16, 32, 64)]
    yield Check("manufactured solution in 2-D: order in dx", 2.0, np.log2(errors[1] / errors[2]), 0.1, "", "absolute")
    yield from _quasi_steady()
    yield from _devices(scenario)


def _source(clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
    return {"q.source": tissue["made"], "q.loss": 10.0 + state["q"]}


def _manufactured(n: int) -> float:
    """−∇·(D∇q) + (10 + q) q = s with q = 2 + 0.3 cos πx cos πy and D = 1 + ½ sin(x + y): root mean square error."""
    grid = tme.Grid.square(1.0, n)
    y, x = grid.coordinates()
    cx, cy, sx, sy = np.cos(np.pi * x), np.cos(np.pi * y), np.sin(np.pi * x), np.sin(np.pi * y)
    q, d, slope = 2.0 + 0.3 * cx * cy, 1.0 + 0.5 * np.sin(x + y), 0.5 * np.cos(x + y)
    divergence = 0.3 * (-2.0 * np.pi**2 * d * cx * cy - np.pi * slope * (sx * cy + cx * sy))
    made = (10.0 + q) * q - divergence
    species = {"q": tme.Species(2.0, d, kind="quasi_steady")}
    model = tme.Model(grid, species, {"made": tme.process(_source)}, {"made": np.maximum(made, 0.0)})
    if np.any(made < 0):
        raise ValueError("The manufactured source must not be negative.")
    return float(np.sqrt(np.mean((settled(model)["q"] - q) ** 2)))


def _quasi_steady() -> Iterator[Check]:
    """Oxygen and IFN-γ as balances against the same with ∂u/∂t, six hours after cells came."""
    grid = tme.Grid.radial(800.0, 80)
    scenario = _treated(grid, 2.5 * day)
    times = [0.75 * day, 2.5 * day]
    balanced = ran(scenario, times[-1], times, rtol=1e-4).fields
    model = scenario.model
    dynamic = {
        name: dataclasses.replace(s, kind="transported") if s.kind == "quasi_steady" else s
        for name, s in model.species.items()
    }
    full = tme.Model(grid, dynamic, model.processes, model.tissue)
    moving = ran(tme.Scenario(full, scenario.interventions, until=times[-1]), times[-1], times, rtol=1e-4).fields
    deep = np.asarray(model.tissue["region_margin_distance"]) < -60.0
    for place, weight in (("60 µm inside the nest", deep), ("all tissue", np.ones(grid.shape))):
        volumes = np.asarray(grid.volumes()) * weight
        for name in ("oxygen", "ifn_gamma"):
            a, b = balanced[name][1], moving[name][1]
            difference = np.sqrt(np.sum(volumes * (a - b) ** 2) / np.sum(volumes * b**2))
            label = f"{name}, {place}: quasi-steady against dynamic, 6 h after the cells"
            lag = _LAG if (name, place) == ("ifn_gamma", "all tissue") else ""
            yield Check(label, 0.01, difference, rule="at most", cause=lag)


def _devices(scenario: tme.Scenario) -> Iterator[Check]:
    """GPU and CPU in float64, where there is a GPU."""
    if not any(d.platform == "gpu" for d in jax.devices()):
        yield from not_yet("largest relative difference of GPU and CPU (no GPU here)")
        return
    states = {}
    for platform in ("cpu", "gpu"):
        with jax.default_device(jax.devices(platform)[0]):
            states[platform] = ran(scenario, 4 * day).fields["tumour"][-1]
    gap = float(np.max(np.abs(states["gpu"] - states["cpu"])) / np.max(states["cpu"]))
    yield Check("largest relative difference of GPU and CPU", 1e-3, gap, rule="at most")  # the tolerance of the steps
