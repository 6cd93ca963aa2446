"""Time-dependent manufactured solutions through ``simulate``: second order in space for every boundary kind.

u(x, t) = X(x)·(1 + ½ sin t): boundary values, baths and fluxes are functions of time. The steps are so small that the
error in time is two orders below that in space.
"""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from ladder import CLOSED, GENERAL, SMOOTH, SMOOTH_WAVE, WAVE, Exact, l2, orders

import tmepde as tme
from tmepde.process import process


def factor(time):
    return 1.0 + 0.5 * jnp.sin(3.0 * time)


def rate(time):
    return 1.5 * jnp.cos(3.0 * time)


def forced(clock, state, tissue, **numbers):
    """s = X·T′ + (λX − (DX′)′)·T."""
    terms = {}
    for key, value in numbers.items():
        name, _, part = key.rpartition("__")
        if part == "loss":
            terms[f"{name}.loss"] = value
        else:
            weight = rate(clock.time) if part == "value" else factor(clock.time)
            terms[f"{name}.source"] = terms.get(f"{name}.source", 0.0) + weight * value
    return terms


def moving(kind, value, inward, transfer=1.7):
    """The condition of ``kind`` that X·T meets, as a function of time."""
    if kind == "dirichlet":
        return tme.Dirichlet(lambda clock, state: value * factor(clock.time))
    if kind == "robin":
        return tme.Robin(transfer, lambda clock, state: (value + inward / transfer) * factor(clock.time))
    if kind == "flux":
        return tme.PrescribedFlux(lambda clock, state: inward * factor(clock.time))
    return tme.NoFlux()


def run(grid, species, numbers, until=0.5, dt=2e-3):
    model = tme.Model(grid, species, {"forced": process(forced, **numbers)})
    control = tme.StepControl(dt=dt, rtol=1e-8, max_steps=100_000)  # rtol: linear solves
    return tme.simulate(tme.Scenario(model, until=until), precision="f64", control=control)


def case(name, exact, x, sides, numbers, species):
    species[name] = tme.Species(exact.u.value(x), exact.diffusivity.value(x), sides, signed=True)
    numbers |= {
        f"{name}__value": exact.u.value(x),
        f"{name}__source": exact.source(x),
        f"{name}__loss": exact.loss,
    }


@functools.cache
def line_errors():
    kinds = {"dirichlet": GENERAL, "robin": GENERAL, "flux": GENERAL, "no_flux": CLOSED}
    cases = {k: (k, Exact(u, SMOOTH)) for k, u in kinds.items()}
    errors = {k: [] for k in cases}
    for n in (10, 20, 40):
        grid = tme.Grid.line(1.0, n)
        x = grid.centers(0)
        species, numbers = {}, {}
        for name, (kind, e) in cases.items():
            sides = {
                "x-": moving(kind, e.u.value(0.0), -e.flux(0.0)),
                "x+": moving(kind, e.u.value(1.0), e.flux(1.0)),
            }
            case(name, e, x, sides, numbers, species)
        solution = run(grid, species, numbers)
        assert solution.ok
        for name, (_, e) in cases.items():
            errors[name].append(l2(grid, solution.fields[name][-1] - e.u.value(x) * float(factor(0.5))))
    return errors


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dirichlet", "robin", "flux", "no_flux"])
def test_order_two_with_time_dependent_sides(kind):
    errors = line_errors()[kind]
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.1), (orders(errors), errors)


@pytest.mark.slow
def test_order_two_on_a_periodic_line_in_time():
    errors = []
    e = Exact(WAVE, SMOOTH_WAVE)
    for n in (16, 32, 64):
        grid = tme.Grid.line(1.0, n, periodic=True)
        x = grid.centers(0)
        species, numbers = {}, {}
        case("u", e, x, None, numbers, species)
        solution = run(grid, species, numbers, dt=5e-3)
        errors.append(l2(grid, solution.fields["u"][-1] - e.u.value(x) * float(factor(0.5))))
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.1), (orders(errors), errors)


@pytest.mark.slow
def test_order_two_on_a_square_with_time_dependent_sides():
    """Through multigrid: Dirichlet in x, flux in y, both moving."""
    ex, ey = Exact(GENERAL, SMOOTH), Exact(GENERAL, SMOOTH)
    errors = []
    for n in (8, 16, 32):
        grid = tme.Grid.square(1.0, n)
        y, x = grid.centers(0), grid.centers(1)
        ux, uy = ex.u.value(x)[None, :], ey.u.value(y)[:, None]
        a, b = ex.diffusivity.value(x)[None, :], ey.diffusivity.value(y)[:, None]
        value = ux * uy
        source = 3.0 * value - ex.divergence(x)[None, :] * b * uy - ey.divergence(y)[:, None] * a * ux
        sides = {
            "x-": moving("dirichlet", ex.u.value(0.0) * ey.u.value(y), None),
            "x+": moving("dirichlet", ex.u.value(1.0) * ey.u.value(y), None),
            "y-": moving("flux", None, -ey.flux(0.0) * ex.u.value(x) * ex.diffusivity.value(x)),
            "y+": moving("flux", None, ey.flux(1.0) * ex.u.value(x) * ex.diffusivity.value(x)),
        }
        species = {"u": tme.Species(value, a * b, sides, signed=True)}
        solution = run(grid, species, {"u__value": value, "u__source": source, "u__loss": 3.0}, until=0.2, dt=4e-3)
        errors.append(l2(grid, solution.fields["u"][-1] - value * float(factor(0.2))))
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.1), (orders(errors), errors)


def test_the_initial_value_is_kept():
    grid = tme.Grid.line(1.0, 8)
    species = {"u": tme.Species(np.linspace(1.0, 2.0, 8), 1.0)}
    solution = tme.simulate(tme.Scenario(tme.Model(grid, species), until=1.0), precision="f64")
    np.testing.assert_array_equal(solution.fields["u"][0], np.linspace(1.0, 2.0, 8))
