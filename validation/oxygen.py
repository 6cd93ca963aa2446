"""Rows about oxygen: V1, V2, V5 (V11 and V12 are in ``vessels``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.integrate import solve_bvp

import tmepde as tme
from tmepde.units import second
from validation.row import Check, row
from validation.solve import settled

#: D (µm²/s), uptake (mmHg/s) and outside pO₂ (mmHg) of Grimes' spheroids
_D, _UPTAKE, _OUTSIDE = 2000.0, 22.10, 100.0
#: Michaelis constant in mmHg that stands for order zero: its tail is √(K D/aΩ) = 0.3 µm
_NEARLY_ZERO = 1e-3


def uptake(clock: Any, state: Any, tissue: Any, rate: Any, half: Any) -> dict[str, Any]:
    """λ = rate/(half + q)."""
    return {"q.loss": rate / (half + state["q"])}


def consumed(grid: tme.Grid, d: float, rate: float, half: float, boundary: Any, start: float) -> Any:
    """0 = D∇²q − rate q/(half + q)."""
    species = {"q": tme.Species(start, d, boundary, kind="quasi_steady")}
    return settled(tme.Model(grid, species, {"uptake": tme.process(uptake, rate=rate, half=half)}))["q"]


def limit(rate: float = _UPTAKE) -> float:
    """√(6Dp₀/aΩ): the largest radius in µm without anoxia."""
    return float(np.sqrt(6.0 * _D * _OUTSIDE / rate))


def uptake_for(radius: float) -> float:
    """aΩ in mmHg/s with which anoxia begins at ``radius`` µm."""
    return 6.0 * _D * _OUTSIDE / radius**2


def spheroid(radius: float, half: float, step: float = 2.0, rate: float = _UPTAKE) -> tuple[np.ndarray, np.ndarray]:
    """Radii (µm) and pO₂ (mmHg) of a spheroid in medium."""
    grid = tme.Grid.radial(radius, round(radius / step))
    p = consumed(grid, _D / second, rate / second, half, {"r+": tme.Dirichlet(_OUTSIDE)}, _OUTSIDE)
    return np.asarray(grid.centers(0)), p


def reach(r: np.ndarray, p: np.ndarray, low: float, high: float) -> float:
    """Where oxygen ends: √p vanishes linearly there; its course from ``high`` to ``low`` mmHg is followed to zero."""
    rim = (p > low) & (p < high)
    return float(np.polyfit(np.sqrt(p[rim]), r[rim], 3)[-1])


@row(
    "V1",
    "Oxygen in a spheroid, uptake of order zero (K = 1e-3 mmHg), dr = 2 µm",
    "Grimes et al. 2014 J. R. Soc. Interface",
)
def spheroids() -> Iterator[Check]:
    yield Check("largest radius without anoxia, √(6Dp₀/aΩ)", 233.0, limit(), 0.01, "µm")
    for radius, core in ((250, 56.8), (300, 129.2), (400, 243.5), (500, 349.5), (700, 555.1), (1000, 858.7)):
        r, p = spheroid(float(radius), _NEARLY_ZERO)
        yield Check(f"anoxic radius at r₀ = {radius} µm", core, reach(r, p, 0.2, 10.0), 0.01, "µm")
        if radius == 500:
            for at, wanted in ((480, 77.01), (450, 47.47), (430, 31.31), (400, 12.89)):
                yield Check(f"p({at} µm) at r₀ = 500 µm", wanted, float(np.interp(at, r, p)), 0.01, "mmHg")
    r, p = spheroid(200.0, _NEARLY_ZERO)
    yield Check("p(0) at r₀ = 200 µm", 26.33, p[0] - (p[1] - p[0]) / 8.0, 0.01, "mmHg")
    r, p = spheroid(500.0, _NEARLY_ZERO, step=10.0)
    yield Check("anoxic radius at r₀ = 500 µm, dr = 10 µm", 349.5, reach(r, p, 0.2, 30.0), 0.02, "µm")


@row("V2", "The same with Michaelis–Menten uptake, K = 1 mmHg: 3-D, 1-D and collocation", "handbook V2; mathematics")
def michaelis_menten() -> Iterator[Check]:
    """The 3-D problem is a cube cut out of the spheroid, with the pO₂ of the spheroid on its outer faces."""
    radius = 300.0
    exact = _collocation(radius, 1.0)
    errors = []
    for step in (6.0, 3.0, 1.5):
        r, p = spheroid(radius, 1.0, step)
        errors.append(np.sqrt(np.mean((p - exact(r)) ** 2)))
    yield Check("1-D: order of the error in dr", 2.0, np.log2(errors[1] / errors[2]), 0.1, "", "absolute")
    cube = [_cube_error(n, exact) for n in (8, 16, 32)]
    yield Check("3-D: order of the error in dx", 2.0, np.log2(cube[1] / cube[2]), 0.2, "", "absolute")
    yield Check("3-D: error at dx = 5 µm over p₀", 0.01, cube[2] / _OUTSIDE, rule="at most")
    # towards order zero: the rim of the anoxic core is that of V1, and 10 mmHg is where V1 has it
    zero = _zero_order_radius(radius, 10.0)
    gaps = []
    for half in (1.0, 0.1, 0.01):
        r, p = spheroid(radius, half)
        gaps.append(abs(float(np.interp(10.0, p, r)) - zero))
    yield Check("radius of 10 mmHg nears order zero as K falls", True, gaps[0] > gaps[1] > gaps[2], rule="holds")
    yield Check("its distance at K = 0.01 mmHg over dr", 1.0, gaps[2] / 2.0, rule="at most")


def _collocation(radius: float, half: float) -> Any:
    """scipy's collocation at 1e-8, started from the discrete solution."""

    def equations(r: Any, y: Any) -> Any:
        return np.vstack([y[1], _UPTAKE / _D * y[0] / (half + y[0])])

    def conditions(a: Any, b: Any) -> Any:
        return np.array([a[1], b[0] - _OUTSIDE])

    centres, p = spheroid(radius, half, 1.0)
    r = np.concatenate([[0.0], centres, [radius]])
    p = np.concatenate([p[:1], p, [_OUTSIDE]])
    guess = np.vstack([p, np.gradient(p, r)])
    found = solve_bvp(equations, conditions, r, guess, S=np.diag([0.0, -2.0]), tol=1e-8, max_nodes=200_000)
    if not found.success:
        raise RuntimeError(found.message)
    return lambda x: found.sol(x)[0]


def _cube_error(cells: int, exact: Any) -> float:
    """Root mean square error in an octant cube of 160 µm inside the spheroid of 300 µm (corner at 277 µm)."""
    side = 160.0
    grid = tme.Grid.cube(side, cells)
    y, x = np.meshgrid(grid.centers(1), grid.centers(2), indexing="ij")
    face = exact(np.sqrt(side**2 + y**2 + x**2))
    sides = {f"{a}+": tme.Dirichlet(face) for a in grid.axes}
    p = consumed(grid, _D / second, _UPTAKE / second, 1.0, sides, _OUTSIDE)
    r = np.sqrt(sum(c**2 for c in grid.coordinates()))
    return float(np.sqrt(np.mean((p - exact(r)) ** 2)))


def _zero_order_radius(radius: float, level: float) -> float:
    """Where the order-zero profile p₀ − (aΩ/6D)(R² − r² + 2rₙ³(1/R − 1/r)) has ``level`` mmHg."""
    core = max(z.real for z in np.roots([2.0 / radius, -3.0, 0.0, radius**2 - limit() ** 2]) if 0 < z.real < radius)
    r = np.linspace(core, radius, 200_001)
    p = _OUTSIDE - _UPTAKE / (6 * _D) * (radius**2 - r**2 + 2 * core**3 * (1 / radius - 1 / r))
    return float(np.interp(level, p, r))


@row("V5", "Krogh cylinder and slab, demand of order zero", "Secomb et al. 1993; Dα 4.2e-10 cm³O₂/cm/s/mmHg")
def krogh() -> Iterator[Check]:
    """Capillary of 4 µm at 40 mmHg; K = 1e-3 mmHg stands for order zero."""
    table = {5e-4: (56.0, 82.0), 2.5e-4: (74.4, 115.9), 1.22e-4: (100.5, 166.0), 6.1e-5: (135.1, 234.7)}
    for demand, (lethal, slab) in table.items():
        ratio = demand / (4.2e-10 * 1e8)  # mmHg/µm²
        for symmetry, inner, wanted in (("cylinder", 4.0, lethal), ("slab", 0.0, slab)):
            grid = tme.Grid.radial(1.3 * wanted, 600, symmetry, inner)
            p = consumed(grid, 1.0, ratio, 1e-3, {f"{grid.axes[0]}-": tme.Dirichlet(40.0)}, 1.0)
            found = reach(np.asarray(grid.centers(0)), p, 0.2, 5.0)
            yield Check(f"reach in a {symmetry} at {demand:g}/s", wanted, found, 0.01, "µm")
