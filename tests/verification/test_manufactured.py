"""Everything at once: two fields with diffusion, chemotaxis of one up the gradient of the other, growth and uptake.

u = 2 + cos πx · T(t) climbs c = 2 + ½ cos πx · S(t) with v = χ ∂c/∂x and is lost at a rate βc; c is taken up by u with
Michaelis–Menten kinetics. Both are monotone between their closed sides, so the limiter acts in the two edge cells only,
where the slope it drops is O(h). The end time is one at which no error passes through zero.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from ladder import l2, orders

import tmepde as tme
from tmepde.operators import gradient
from tmepde.process import process

D, E, CHI, BETA, UPTAKE, HALF = 0.3, 0.8, 0.6, 0.4, 1.5, 0.7


def shapes(xs):
    """cos πx (· cos πy …) and its Laplacian factor."""
    shape = 1.0
    for x in xs:
        shape = shape * jnp.cos(np.pi * x)
    return shape, -len(xs) * np.pi**2 * shape


def squared_gradient(xs):
    total = 0.0
    for k in range(len(xs)):
        part = 1.0
        for j, x in enumerate(xs):
            part = part * (-np.pi * jnp.sin(np.pi * x) if j == k else jnp.cos(np.pi * x))
        total = total + part**2
    return total


def amplitudes(t):
    return 1.0 + 0.4 * jnp.sin(2 * t), 0.8 * jnp.cos(2 * t), 0.5 * jnp.exp(-t), -0.5 * jnp.exp(-t)


def exact(xs, t):
    shape, _ = shapes(xs)
    a, _, b, _ = amplitudes(t)
    return 2.0 + a * shape, 2.0 + b * shape


def couplings(clock, state, tissue):
    xs = tissue.grid.coordinates()
    shape, bent = shapes(xs)
    a, da, b, db = amplitudes(clock.time)
    u, c = 2.0 + a * shape, 2.0 + b * shape
    taxis = CHI * (a * b * squared_gradient(xs) + u * b * bent)  # ∇·(u χ∇c)
    force_u = da * shape - D * a * bent + taxis + BETA * c * u
    force_c = db * shape - E * b * bent + UPTAKE * u * c / (HALF + c)
    return {
        "u.source": force_u,
        "u.loss": BETA * state["c"],
        "u.velocity": tuple(CHI * g for g in gradient(tissue.grid, state["c"])),
        "c.source": force_c,
        "c.loss": UPTAKE * state["u"] / (HALF + state["c"]),
    }


def end_errors(grid, until, dt):
    u, c = (np.asarray(f) for f in exact(grid.coordinates(), 0.0))
    species = {"u": tme.Species(u, D), "c": tme.Species(c, E)}
    model = tme.Model(grid, species, {"couplings": process(couplings)})
    control = tme.StepControl(dt=dt, rtol=1e-8, max_steps=100_000)  # rtol: linear solves
    solution = tme.simulate(tme.Scenario(model, until=until), precision="f64", control=control)
    assert solution.ok
    wanted = exact(grid.coordinates(), until)
    return [l2(grid, solution.fields[n][-1] - f) for n, f in zip(("u", "c"), wanted, strict=True)]


def check(ladder):
    for name, errors in zip(("u", "c"), np.transpose(ladder), strict=True):
        assert orders(errors)[-1] == pytest.approx(2.0, abs=0.1), (name, orders(errors), errors)


def test_order_two_in_one_dimension():
    check([end_errors(tme.Grid.line(1.0, n), 1.0, 1e-3) for n in (32, 64, 128)])


@pytest.mark.slow
def test_order_two_in_two_dimensions():
    check([end_errors(tme.Grid.square(1.0, n), 1.0, 4e-3) for n in (12, 24, 48)])
