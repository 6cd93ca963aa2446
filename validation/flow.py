"""Rows about interstitial flow: V3, V4."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

import tmepde as tme
from tmepde.boundary import sides
from tmepde.operators import darcy_velocity
from tmepde.schedule import Clock
from tmepde.units import cm, second
from validation.row import Check, row
from validation.solve import settled

_SOURCE = "Baxter & Jain 1989 Microvasc. Res. 37:77"


def _velocity(model: Any, p: np.ndarray, conductivity: Any, boundary: Any = None) -> np.ndarray:
    """v = −K∇p at the faces, µm/s."""
    around = sides(boundary, model.grid.axes)
    (v,) = darcy_velocity(model.grid, jnp.asarray(p), conductivity, around, Clock(0.0, 0.0, 0.0, 1.0), {})
    return np.asarray(v) * second


@row("V3", "Pressure of an isolated tumour", _SOURCE)
def isolated() -> Iterator[Check]:
    wanted = {
        1.0: {"alpha": 36.82, 0.0: 11.50, 0.9: 11.18, "speed": 0.170},
        0.1: {"alpha": 3.682, 0.0: 9.367, 0.5: 7.941, 0.9: 2.664, "speed": 0.1276},
    }
    for radius, expected in wanted.items():
        grid = tme.Grid.radial(radius * cm, 2000)
        preset = tme.library.PUBLISHED["baxter_jain_isolated"](radius=radius * cm)
        model = preset.build(grid)
        p = settled(model)["interstitial_pressure"]
        r = np.asarray(grid.centers(0)) / (radius * cm)
        for key, value in expected.items():
            if key == "alpha":
                yield Check(f"R = {radius:g} cm: α = R√(L/K)", value, preset.alpha(), 5e-3)
            elif key == "speed":
                speed = _velocity(model, p, preset.conductivity, tme.Dirichlet(0.0))[-1]
                yield Check(f"R = {radius:g} cm: speed at the rim", value, speed, 5e-3, "µm/s")
            else:
                yield Check(f"R = {radius:g} cm: p({key:g} R)", value, float(np.interp(key, r, p)), 5e-3, "mmHg")
    yield from _in_a_box(0.1 * cm, wanted[0.1])


def _in_a_box(radius: float, expected: dict[Any, float]) -> Iterator[Check]:
    """An octant of the ball, R = 0.1 cm, on a Cartesian grid: cells beyond R are held at p = 0 (a staircase)."""
    cells = 48
    width = radius * (1.0 + 2.0 / cells)
    grid = tme.Grid.cube(width, cells)
    flow = tme.physiology.InterstitialFlow()
    distance = np.sqrt(sum(c**2 for c in grid.coordinates()))
    pressure = tme.Species(0.0, 0.0, kind="quasi_steady", signed=True, held=distance > radius)
    p = settled(tme.Model(grid, {"interstitial_pressure": pressure}, {"flow": flow}))["interstitial_pressure"]
    for key in (0.0, 0.5, 0.9):
        shell = np.abs(distance / radius - key) < max(0.02, 0.9 * width / cells / radius)
        # p is read off by a quadratic through the cells around that radius
        fit = np.polyfit(distance[shell] / radius - key, p[shell], 2)[-1] if key else p[0, 0, 0]
        yield Check(f"3-D, dx = R/{cells * radius / width:.0f}: p({key:g} R)", expected[key], float(fit), 0.02, "mmHg")


@row("V4", "Pressure of a tumour embedded in normal tissue, R = 1 cm", _SOURCE)
def embedded() -> Iterator[Check]:
    for conductivity, at_rim, speed in ((8.53e-9, 9.38, 0.0314), (8.53e-8, 6.71, 0.0708)):
        k = conductivity * cm**2 / second
        grid = tme.Grid.radial(1.6 * cm, 3200)
        model = tme.library.published("baxter_jain_embedded", grid, host_conductivity=k)
        p = settled(model)["interstitial_pressure"]
        relative = np.asarray(model.tissue["relative_conductivity"])
        flow = model.processes["flow"]
        edge = 2000  # the face at R
        v = _velocity(model, p, jnp.asarray(flow.conductivity * relative))[edge]
        inside, outside = relative[edge - 1], relative[edge]
        rim = (p[edge - 1] * inside + p[edge] * outside) / (inside + outside)
        label = f"K_n = {conductivity:g} cm²/mmHg/s"
        yield Check(f"{label}: p(R)", at_rim, float(rim), 0.01, "mmHg")
        yield Check(f"{label}: speed at R", speed, float(v), 0.01, "µm/s")
        if conductivity < 1e-8:
            yield Check(f"{label}: pressure far away", 1.035, float(p[-1]), 0.01, "mmHg")
