"""Quasi-steady fields reach their balance: zero where nobody makes them, negative where they are signed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme


def test_a_vanishing_field_and_a_signed_one_reach_their_balance():
    """0 = D p″ − k p between −3 and 2 is a sum of hyperbolic sines; a field without source is 0 whatever it was."""
    length, diffusivity, rate = 800.0, 100.0, 1e-4
    sides = {"x-": tme.Dirichlet(-3.0), "x+": tme.Dirichlet(2.0)}
    species = {
        "pressure": tme.Species(5.0, diffusivity, sides, kind="quasi_steady", signed=True),
        "gone": tme.Species(3.0, diffusivity, kind="quasi_steady", negligible=1e-3),
    }

    def kinetics(clock, state, tissue):
        return {"pressure.loss": rate, "gone.loss": 1.0}

    grid = tme.Grid.line(length, 80)
    model = tme.Model(grid, species, {"kinetics": tme.process(kinetics)})
    found = tme.simulate(tme.Scenario(model, until=1.0), stepper=tme.Rosenbrock2(), precision="f64")
    assert found.ok
    x, reach = np.asarray(grid.centers(0)), np.sqrt(diffusivity / rate)
    wanted = (2.0 * np.sinh(x / reach) - 3.0 * np.sinh((length - x) / reach)) / np.sinh(length / reach)
    assert found.fields["pressure"][-1] == pytest.approx(wanted, abs=1e-4)  # (w/reach)²/8, w = 10 µm
    assert np.max(found.fields["gone"]) < 1e-6  # a thousandth of what is negligible


@pytest.mark.parametrize("exchange", [1.0, 9.0, 1e4])
def test_quasi_steady_fields_that_act_on_each_other(exchange):
    """a ⇄ b with exchange e, supply p of a and clearance 1 of both: a = p (e + 1)/((e + 1)² − e²), and da/dp likewise.

    Both values and derivatives iterate over the links, whose error would fall by e/(e + 1) each time: what a and b have
    in common is solved for by itself where that is slow."""

    def kinetics(clock, state, tissue, supply, exchange):
        return {
            "a.source": supply + exchange * state["b"],
            "a.loss": exchange + 1.0,
            "b.source": exchange * state["a"],
            "b.loss": exchange + 1.0,
        }

    species = {n: tme.Species(1.0, 10.0, kind="quasi_steady") for n in "ab"} | {"c": tme.Species(1.0, kind="local")}
    model = tme.Model(tme.Grid.line(50.0, 6), species, {"k": tme.process(kinetics, supply=2.0, exchange=exchange)})
    scenario = tme.Scenario(model, until=1.0)

    def ends(supply):
        return tme.simulate(scenario.replace("model.processes.k.numbers.supply", supply)).fields["a"][-1]

    factor = (exchange + 1) / ((exchange + 1) ** 2 - exchange**2)
    np.testing.assert_allclose(ends(2.0), 2.0 * factor, rtol=1e-3)  # rtol of the run
    slope = jax.grad(lambda p: ends(p).mean())(jnp.asarray(2.0))
    np.testing.assert_allclose(slope, factor, rtol=1e-3)
