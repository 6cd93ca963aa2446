"""Rows about transport: V6, V7, V8, V13, V16."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import tmepde as tme
from tmepde.physiology import REGISTRY
from tmepde.physiology.pores import (
    convective_hindrance,
    diffusive_hindrance,
    free_diffusivity,
    hydraulic_conductivity,
    wall_permeability,
)
from tmepde.physiology.rates import inhibition
from tmepde.physiology.vessels import PORE_AREA, WALL
from tmepde.units import day, mm, second
from validation.row import Check, quoted, row
from validation.solve import ran, settled


def _decay(clock: Any, state: Any, tissue: Any, k: Any) -> dict[str, Any]:
    return {"q.loss": k}


def _gradient(grid: tme.Grid, d: float, k: float, side: str) -> np.ndarray:
    species = {"q": tme.Species(0.1, d, {side: tme.PrescribedFlux(1.0)}, kind="quasi_steady")}
    return settled(tme.Model(grid, species, {"decay": tme.process(_decay, k=k)}))["q"]


@row(
    "V6",
    "Exponential gradients of a secreted signal; reach of IFN-γ",
    "30–40 µm, IFN-γ in melanoma; D 12.6 µm²/s, k 0.0103/s",
)
def gradients() -> Iterator[Check]:
    d, k = 12.6 / second, 0.0103 / second
    exact = np.sqrt(d / k)
    grid = tme.Grid.line(20 * exact, 400)
    q, x = _gradient(grid, d, k, "x-"), np.asarray(grid.centers(0))
    inside = x < 8 * exact
    length = -1.0 / np.polyfit(x[inside], np.log(q[inside]), 1)[0]
    yield Check("plane source: √(D/k)", exact, length, 5e-3, "µm")
    yield Check("plane source: quoted length", 35.0, length, 5e-3, "µm")
    yield Check("plane source: in the band of biology", (30.0, 40.0), length, rule="between")
    error = np.max(np.abs(q[inside] / (np.exp(-x[inside] / exact) / np.sqrt(d * k)) - 1.0))
    yield Check("plane source: worst relative error of the profile", 5e-3, error, rule="at most")
    inner = 5.0
    grid = tme.Grid.radial(inner + 14 * exact, 1000, "sphere", inner)
    q, r = _gradient(grid, d, k, "r-"), np.asarray(grid.centers(0))
    wanted = inner**2 / (d * (1.0 + inner / exact)) * np.exp(-(r - inner) / exact) / r
    near = r < 8 * exact
    worst = np.max(np.abs(q[near] / wanted[near] - 1.0))
    yield Check("point source: worst relative error of e^(−r/λ)/r", 5e-3, worst, rule="at most")


@row("V7", "Hindrance in pores", "Dechadilok & Deen 2006 Ind. Eng. Chem. Res. 45:6953")
def hindrance() -> Iterator[Check]:
    table = {0.1: (0.5918, 0.9388), 0.3: (0.2033, 0.6450), 0.5: (0.04745, 0.3364), 0.7: (0.0049, 0.1151)}
    table |= {0.9: (3e-5, 0.0112), 1.0: (0.0, 0.0), 1.5: (0.0, 0.0)}
    for ratio, (diffusive, convective) in table.items():
        yield Check(f"H({ratio:g})", diffusive, float(diffusive_hindrance(ratio)), 1e-4, "", "absolute")
        yield Check(f"W({ratio:g})", convective, float(convective_hindrance(ratio)), 1e-4, "", "absolute")
    for nm, wanted in ((12, 54.9), (40, 16.5), (100, 6.58), (125, 5.27)):
        # three digits are quoted
        yield Check(f"D₀ of {nm} nm", wanted, float(free_diffusivity(nm)) / 3600.0, 5e-3, "µm²/s")


@row(
    "V8",
    "Vessel normalisation selects small particles: pores 200 → 100 nm",
    "Chauhan et al. 2012 Nat. Nanotechnol. (direction)",
)
def normalisation() -> Iterator[Check]:
    surface, leak_half = 0.02, float(REGISTRY["perfusion"]().leak_half)  # 200/cm; 2e-5 per mmHg and s

    def perfused(pore: float) -> float:
        return float(inhibition(hydraulic_conductivity(pore, PORE_AREA, WALL) * surface, leak_half))

    def exchange(diameter: float, pore: float) -> float:
        return perfused(pore) * float(wall_permeability(diameter, pore, PORE_AREA, WALL)) * surface

    yield Check("perfused fraction before", 0.265, perfused(200.0), 0.02)
    yield Check("perfused fraction after", 0.590, perfused(100.0), 0.02)
    change = {d: exchange(d, 100.0) / exchange(d, 200.0) for d in (12.0, 60.0, 125.0)}
    yield Check("exchange of 12 nm, after over before", 1.67, change[12.0], 0.02)
    yield Check("exchange of 60 nm", 0.19, change[60.0], 0.02 + quoted("0.19")[1])
    yield Check("exchange of 125 nm", 0.0, change[125.0], 1e-12, "", "absolute")
    yield Check("12 nm gains and 125 nm loses", True, change[12.0] > 1 > change[125.0], rule="holds")


@row("V13", "Binding-site barrier: a front that fills B ≫ c₀", "x_f = √(2 D φ_i c₀ t/B_max); handbook 2.7")
def binding_front() -> Iterator[Check]:
    """The shipped ``nanoparticle_binding``, whose levels are per interstitial volume: capacity B_max/φ_i."""
    interstitium, per_tissue, c0, d, on = 0.2, 40.0, 2.0, 1000.0, 10.0
    capacity = per_tissue / interstitium
    binding = REGISTRY["nanoparticle_binding"](
        association=on, capacity=capacity, dissociation=0.0, internalisation=0.0, clearance=0.0
    )
    grid = tme.Grid.line(240.0, 240)
    species = {
        "nanoparticle": tme.Species(0.0, d, {"x-": tme.Dirichlet(c0)}, negligible=1e-6),
        "nanoparticle_bound": tme.Species(0.0, kind="local", negligible=1e-4),
    }
    times = [100.0, 400.0]
    found = ran(tme.Model(grid, species, {"binding": binding}), times[-1], times)
    bound = found.fields["nanoparticle_bound"][1:]
    front = [float(np.interp(-0.5 * capacity, -b, grid.centers(0))) for b in bound]
    exact = [float(np.sqrt(2 * d * interstitium * c0 * t / per_tissue)) for t in times]
    fast = 1e3 * d / (on * capacity * exact[0] ** 2)
    yield Check("1e3 over the Damköhler number k_on B x_f²/D", 1.0, fast, rule="at most")
    for t, x, wanted in zip(times, front, exact, strict=True):
        yield Check(f"front at {t:g} h", wanted, x, 0.03, "µm")
    yield Check("front at four times the time over front", 2.0, front[1] / front[0], 0.03)


@row("V16", "Speed of a Fisher–KPP wave", "Fisher 1937; Bramson 1983; Swanson et al. 2000")
def fisher() -> Iterator[Check]:
    """2√(D r), approached as x(t) = 2√(D r) t − 3/2 √(D/r) ln t: measured between r t = 60 and 120."""
    glioma, cells = (0.13 * mm**2 / day, 0.012 / day), (0.36, np.log(2) / 48.0)
    cases = {"glioma": (*glioma, 28.8 * mm / (365 * day), mm / (365 * day), "mm/yr")}
    cases["cells"] = (*cells, 0.144, 1.0, "µm/h")
    for label, (d, rate, speed, unit, name) in cases.items():
        width = np.sqrt(d / rate)
        grid = tme.Grid.line(270 * width, 1350)
        numbers = {"grey_diffusivity": d, "growth": rate, "radius": 4 * width}
        model = tme.library.published("swanson_glioma", grid, **numbers)
        times = [60 / rate, 120 / rate]
        found = ran(model, times[-1], times, rtol=1e-4, longest=1e6, first=1e-3 / rate)
        x = np.asarray(grid.centers(0))
        front = [float(np.interp(-0.5, -u, x)) for u in found.fields["glioma"][1:]]
        measured = (front[1] - front[0]) / (times[1] - times[0]) / unit
        delay = 1.5 * width * np.log(2.0) / (times[1] - times[0]) / unit
        yield Check(f"{label}: 2√(D r)", speed / unit, 2 * np.sqrt(d * rate) / unit, 5e-3, name)
        yield Check(f"{label}: speed of the front, asymptotic", speed / unit, measured, 0.02, name)
        yield Check(f"{label}: with Bramson's delay", speed / unit - delay, measured, 0.01, name)
