"""Steady manufactured solutions: second order in space for every boundary kind, geometry and diffusivity.

The engine's discrete operator and boundary terms are solved with a direct sparse solver, all cases of a geometry
together, so that a rung of the ladder compiles once and no iteration error enters. Ladders, not single grids: a
Dirichlet value put on the cell centre passes a test at 250 cells.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
from ladder import (
    CLOSED,
    EVEN,
    GENERAL,
    METRIC,
    ONE,
    SMOOTH,
    SMOOTH_EVEN,
    SMOOTH_WAVE,
    WAVE,
    Exact,
    balance,
    fixed,
    l2,
    meet,
    orders,
)

import tmepde as tme

SPREAD = {"constant": ONE, "smooth": SMOOTH}
KINDS = {
    "no_flux": ("no_flux", "no_flux", CLOSED),
    "dirichlet": ("dirichlet", "dirichlet", GENERAL),
    "robin": ("robin", "robin", GENERAL),
    "flux": ("flux", "flux", GENERAL),
    "dirichlet_flux": ("dirichlet", "flux", GENERAL),
    "no_flux_robin": ("no_flux", "robin", EVEN),
}


def check(errors, tolerance=0.1):
    found = orders(errors)
    assert found[-1] == pytest.approx(2.0, abs=tolerance), f"orders {found}, errors {errors}"


def climb(grids, cases, metric=0):
    """Errors per case over ``grids``; ``cases``: name → (sides → (kind, position, low), exact)."""
    errors = {name: [] for name in cases}
    for grid in grids:
        x = grid.centers(0)
        species, terms = {}, {}
        for name, (sides, exact) in cases.items():
            boundary = {side: exact.condition(*where) for side, where in sides.items()}
            species[name] = tme.Species(0.0, exact.diffusivity.value(x), boundary)
            terms |= {f"{name}__source": exact.source(x, metric), f"{name}__loss": exact.loss}
        found = balance(tme.Model(grid, species, {"fixed": fixed(**terms)}))
        for name, (_, exact) in cases.items():
            errors[name].append(l2(grid, found[name] - exact.u.value(x)))
    return errors


def line_cases():
    return {
        f"{k}-{d}": ({"x-": (a, 0.0, True), "x+": (b, 1.0, False)}, Exact(u, SPREAD[d]))
        for k, (a, b, u) in KINDS.items()
        for d in SPREAD
    }


@functools.cache
def line_errors():
    return climb([tme.Grid.line(1.0, n) for n in (16, 32, 64)], line_cases())


@pytest.mark.parametrize("spread", SPREAD)
@pytest.mark.parametrize("kind", KINDS)
def test_order_two_on_a_line(kind, spread):
    check(line_errors()[f"{kind}-{spread}"])


@functools.cache
def stretched_errors():
    grids = []
    for n in (16, 32, 64, 128):
        s = np.linspace(0.0, 1.0, n + 1)
        grids.append(tme.Grid((np.diff(s + 0.08 * np.sin(2 * np.pi * s)),)))
    return climb(grids, line_cases())


@pytest.mark.parametrize("kind", KINDS)
def test_order_two_on_smoothly_stretched_cells(kind):
    check(stretched_errors()[f"{kind}-smooth"])


@functools.cache
def periodic_errors():
    cases = {"constant": ({}, Exact(WAVE, ONE)), "smooth": ({}, Exact(WAVE, SMOOTH_WAVE))}
    return climb([tme.Grid.line(1.0, n, periodic=True) for n in (16, 32, 64)], cases)


@pytest.mark.parametrize("spread", SPREAD)
def test_order_two_on_a_periodic_line(spread):
    check(periodic_errors()[spread])


@functools.cache
def radial_errors(symmetry, inner):
    cases = {}
    for kind in ("dirichlet", "robin", "flux"):
        for name, spread in {"constant": ONE, "smooth": SMOOTH if inner else SMOOTH_EVEN}.items():
            sides = {"r+": (kind, 1.0, False)} | ({"r-": (kind, inner, True)} if inner else {})
            cases[f"{kind}-{name}"] = (sides, Exact(EVEN, spread))
    return climb([tme.Grid.radial(1.0, n, symmetry, inner) for n in (16, 32, 64)], cases, METRIC[symmetry])


@pytest.mark.parametrize("spread", SPREAD)
@pytest.mark.parametrize("kind", ["dirichlet", "robin", "flux"])
@pytest.mark.parametrize("inner", [0.0, 0.4])
@pytest.mark.parametrize("symmetry", ["cylinder", "sphere"])
def test_order_two_on_radial_grids(symmetry, inner, kind, spread):
    check(radial_errors(symmetry, inner)[f"{kind}-{spread}"])


# -- two dimensions: u = X(x)·Y(y), D = a(x)·b(y) ---------------------------------------------------------------------

SQUARE = {
    "no_flux": (("no_flux", CLOSED), ("no_flux", CLOSED)),
    "dirichlet": (("dirichlet", GENERAL), ("dirichlet", EVEN)),
    "robin": (("robin", GENERAL), ("robin", EVEN)),
    "flux": (("flux", GENERAL), ("flux", EVEN)),
    "mixed": (("dirichlet", GENERAL), ("no_flux", CLOSED)),
}


def product(along_x, along_y, x, y):
    """u, D and s on the plane from the two factors."""
    ux, uy = along_x.u.value(x)[None, :], along_y.u.value(y)[:, None]
    a, b = along_x.diffusivity.value(x)[None, :], along_y.diffusivity.value(y)[:, None]
    diffusion = along_x.divergence(x)[None, :] * b * uy + along_y.divergence(y)[:, None] * a * ux
    return ux * uy, a * b, along_x.loss * ux * uy - diffusion


def side(kind, across, along, at, low, line):
    """The condition on the side at ``at``, which varies along the other axis."""
    factor = along.u.value(line)
    inward = float(across.flux(at)) * (-1.0 if low else 1.0) * factor * along.diffusivity.value(line)
    return meet(kind, float(across.u.value(at)) * factor, inward)


@functools.cache
def square_errors():
    cases = {
        f"{k}-{d}": (kx, Exact(ux, SPREAD[d]), ky, Exact(uy, SPREAD[d]))
        for k, ((kx, ux), (ky, uy)) in SQUARE.items()
        for d in SPREAD
    }
    errors = {k: [] for k in cases}
    for n in (12, 24, 48):
        grid = tme.Grid.box((1.0, 1.0), (n, n))
        y, x = grid.centers(0), grid.centers(1)
        species, terms, exact = {}, {}, {}
        for name, (kx, ex, ky, ey) in cases.items():
            exact[name], d, s = product(ex, ey, x, y)
            sides = {f"x{c}": side(kx, ex, ey, a, c == "-", y) for c, a in (("-", 0.0), ("+", 1.0))}
            sides |= {f"y{c}": side(ky, ey, ex, a, c == "-", x) for c, a in (("-", 0.0), ("+", 1.0))}
            species[name] = tme.Species(0.0, d, sides)
            terms |= {f"{name}__source": s, f"{name}__loss": ex.loss}
        found = balance(tme.Model(grid, species, {"fixed": fixed(**terms)}))
        for name in cases:
            errors[name].append(l2(grid, found[name] - exact[name]))
    return errors


@pytest.mark.parametrize("spread", SPREAD)
@pytest.mark.parametrize("kind", SQUARE)
def test_order_two_on_a_square(kind, spread):
    check(square_errors()[f"{kind}-{spread}"])


@functools.cache
def torus_errors():
    cases = {"constant": Exact(WAVE, ONE), "smooth": Exact(WAVE, SMOOTH_WAVE)}
    errors = {k: [] for k in cases}
    for n in (16, 32, 64):
        grid = tme.Grid.square(1.0, n, periodic=True)
        y, x = grid.centers(0), grid.centers(1)
        species, terms, wanted = {}, {}, {}
        for k, e in cases.items():
            wanted[k], d, s = product(e, e, x, y)
            species[k] = tme.Species(0.0, d)
            terms |= {f"{k}__source": s, f"{k}__loss": e.loss}
        found = balance(tme.Model(grid, species, {"fixed": fixed(**terms)}))
        for k in cases:
            errors[k].append(l2(grid, found[k] - wanted[k]))
    return errors


@pytest.mark.parametrize("spread", SPREAD)
def test_order_two_on_a_torus(spread):
    check(torus_errors()[spread])


def test_order_two_in_a_cube():
    """Dirichlet in x, Robin in y, no flux in z, smooth D in x."""
    ex, ey, ez = Exact(GENERAL, SMOOTH), Exact(EVEN, ONE), Exact(CLOSED, ONE)
    errors = []
    for n in (6, 12, 24):
        grid = tme.Grid.cube(1.0, n)
        z, y, x = (grid.centers(k) for k in range(3))
        fx, fy, fz = ex.u.value(x)[None, None], ey.u.value(y)[None, :, None], ez.u.value(z)[:, None, None]
        d = ex.diffusivity.value(x)[None, None] + 0.0 * fy * fz
        bent = ex.divergence(x)[None, None] * fy * fz + d * fx * (
            ey.divergence(y)[None, :, None] * fz + ez.divergence(z)[:, None, None] * fy
        )
        sides = {}
        for sign, at, low in (("-", 0.0, True), ("+", 1.0, False)):
            sides["x" + sign] = tme.Dirichlet(float(ex.u.value(at)) * (fy * fz)[:, :, 0])
            inward = ey.flux(at) * (-1.0 if low else 1.0) * ex.diffusivity.value(x)[None] * (fx * fz)[:, 0]
            sides["y" + sign] = meet("robin", float(ey.u.value(at)) * (fx * fz)[:, 0], inward)
        terms = fixed(u__source=3.0 * fx * fy * fz - bent, u__loss=3.0)
        found = balance(tme.Model(grid, {"u": tme.Species(0.0, d, sides)}, {"fixed": terms}))
        errors.append(l2(grid, found["u"] - fx * fy * fz))
    check(errors)
