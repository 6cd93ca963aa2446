"""What is legal but hardly meant: one sentence each, with the range in which such a value usually lies.

The ranges are wide on purpose (assumed): a warning means "a unit is probably wrong", not "unusual biology".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tmepde.config.modules import catalogue

#: a parameter further from its default than this factor is probably in another unit (um^2/s for cm^2/s is 1e8)
FAR = 1e5
#: plausible single doses by unit (assumed): CAR-T infusions are 1e6 to 1e10 cells, clinical fractions 0.1 to 30 Gy
DOSES = {"cells": (1.0, 1e13), "Gy": (1e-3, 200.0)}
#: plausible diffusivities in um^2/h (assumed): 1e-3 is 2 um a month, heat has 5e8
DIFFUSIVITIES = (1e-3, 1e10)
#: litres that no volume of distribution in a mouse reaches (one of 40 g)
MOUSE = 0.1
#: cells along the smallest semi-axis of a cut body, below which its volume is off by 2 % (a disc) to 6 % (a ball)
FEW = 3.0
#: plausible widths of a cell of the grid in um, and lengths of a run in h (assumed): 1 h is a test, 20 years a life
WIDTHS, DURATION = (0.05, 5e3), 20 * 365 * 24.0


def warnings_of(config: Any) -> list[str]:
    """Sentences for values of a checked config far from where they usually lie."""
    found = _widths(config.grid) + _cut(config.grid) + _nodule(config) + _sobol(config.sweep) + _far_parameters(config)
    if config.run.until > DURATION:
        found.append(f"`run.until` is {config.run.until:g} h. Plausible: up to {DURATION:g} h (20 years).")
    for name, section in config.interventions.items():
        found += _doses(name, section) + _powers(name, section)
    return found + _volumes(config)


def _outside(path: str, value: float, unit: str, low: float, high: float) -> list[str]:
    if low <= value <= high:
        return []
    return [f"`{path}` is {value:g} {unit}. Plausible: {low:g} to {high:g} {unit}. Check its unit."]


def _widths(grid: Any) -> list[str]:
    if grid is None:
        return []
    if grid.kind == "radial":
        return _outside("grid.cells", (grid.radius - grid.inner) / grid.cells, "um per cell", *WIDTHS)
    found = []
    for axis, (end, cells) in enumerate(zip(grid.extent, grid.cells, strict=True)):
        extent = end - (grid.inner if grid.axes[axis] == "r" else 0.0)
        found += _outside(f"grid.cells[{axis}]", extent / cells, "um per cell", *WIDTHS)
    return found


def _cut(grid: Any) -> list[str]:
    """A body of few cells. Its edge is a polygon between nodes: a level set that is linear between nodes h apart lies
    h²/12 times its second derivatives too high on average, which takes (d − 1)/12 Σ (h/a)² of an ellipsoid with the
    semi-axes a. An interval is exact; on rings, errors of place outweigh that."""
    cut = getattr(grid, "cut", None)
    if cut is None or len(grid.axes) == 1 or max(cut.steps(grid)) <= (1 + 1e-9) / FEW:
        return []
    steps = cut.steps(grid)
    step, radius, axis = max(zip(steps, cut.radii(grid), grid.axes, strict=True))
    lost = ""
    if grid.kind == "box" and cut.within(grid):
        share = (len(steps) - 1) / 12 * sum(s**2 for s in steps)
        lost = f": about {100 * share:.2g} % of the body are lost"
    return [
        f"`grid.cut` has a radius of {radius:g} um along {axis}, which is {1 / step:.2g} cells{lost}. "
        f"Use finer cells, at least {FEW:g} along each radius."
    ]


def _sobol(sweep: Any) -> list[str]:
    if sweep is None or sweep.sobol is None:
        return []
    samples = sweep.sobol.samples
    below = 1 << (samples.bit_length() - 1)
    if samples == below:
        return []
    return [
        f"`sweep.sobol.samples` should be a power of 2, but is {samples}: the points are then less even. "
        f"Write {below} or {2 * below}."
    ]


def _nodule(config: Any) -> list[str]:
    grid, tissue = config.grid, config.tissue
    if (
        grid is None
        or tissue is None
        or grid.kind != "box"
        or tissue.kind != "nodule"
        or tissue.radius <= 0.5 * max(grid.extent)
    ):
        return []
    return [
        f"`tissue.radius` is {tissue.radius:g} um and reaches beyond the grid ({max(grid.extent):g} um). "
        f"Plausible: up to {0.5 * min(grid.extent):g} um."
    ]


def _far_parameters(config: Any) -> list[str]:
    known, kind = catalogue(), config.model.kind
    of_library = known["models"].get(kind)
    found = _far("model", config.model, of_library or known["published"].get(kind, {"parameters": {}}))
    for name in type(config.model.processes).model_fields if of_library else ():
        section = getattr(config.model.processes, name)
        if section is not None:
            found += _far(f"model.processes.{name}", section, known["processes"][name])
    changes = config.model.species if of_library else None
    for name in sorted(changes.model_fields_set) if changes is not None else ():
        diffusivity = getattr(getattr(changes, name), "diffusivity", None)
        if diffusivity:
            found += _outside(f"model.species.{name}.diffusivity", diffusivity, "um^2/h", *DIFFUSIVITIES)
    for name, section in config.interventions.items():
        found += _far(f"interventions.{name}", section, known["interventions"].get(section.kind, {"parameters": {}}))
    return found


def _far(path: str, section: Any, entry: Mapping[str, Any]) -> list[str]:
    found = []
    for key, one in entry["parameters"].items():
        value, usual = getattr(section, key, None), one["default"]
        if isinstance(value, float) and usual and value and not usual / FAR <= value <= usual * FAR:
            unit = "" if one["unit"] == "1" else f" {one['unit']}"
            found.append(
                f"`{path}.{key}` is {value:g}{unit}. Plausible: {usual / FAR:g} to {usual * FAR:g}{unit} "
                f"(usual: {usual:g}). Check its unit."
            )
    return found


def _doses(name: str, section: Any) -> list[str]:
    found = []
    for key, one in catalogue()["interventions"].get(section.kind, {}).get("schedules", {}).items():
        amounts: Any = getattr(getattr(section, key), "amount", None)
        if one["unit"] not in DOSES or amounts is None:
            continue
        given = amounts if isinstance(amounts, tuple) else (amounts,)
        odd = [a for a in given if a and not DOSES[one["unit"]][0] <= a <= DOSES[one["unit"]][1]]
        if odd:
            found += _outside(f"interventions.{name}.{key}.amount", odd[0], one["unit"], *DOSES[one["unit"]])
    return found


def _powers(name: str, section: Any) -> list[str]:
    """Light, sound and magnets: their doses are hours of full power, so that more hours than time is more power."""
    found = []
    for key, one in catalogue()["interventions"].get(section.kind, {}).get("schedules", {}).items():
        power = getattr(section, key).power() if one["unit"] == "h" and getattr(section, key) is not None else 0.0
        if power > 1 + 1e-9:
            found.append(
                f"`interventions.{name}.{key}` is {power:.3g} times full power: its amount is hours of full power, "
                'given in a shorter time. Write an infusion, such as amount = "10 min" over "10 min".'
            )
    return found


def _volumes(config: Any) -> list[str]:
    """Volumes of a human, which therapies have by default, in a mouse: a dose is diluted a thousandfold too much."""
    if "mouse" not in (getattr(config.model, "scale", None), getattr(config.model, "blood", None)):
        return []
    found = []
    for name, section in config.interventions.items():
        known = catalogue()["interventions"].get(section.kind, {"parameters": {}})["parameters"]
        volumes = [k for k, one in known.items() if one["unit"] == "L"]
        if volumes and getattr(section, "route", "intravenous") == "intravenous":
            found += [
                f"`interventions.{name}.{key}` is {getattr(section, key):g} L in a mouse. "
                "Plausible: 1 mL of plasma, 2 mL of blood, 20 mL for a small molecule."
                for key in volumes
                if getattr(section, key) > MOUSE
            ]
    return found
