"""Irregular tissue: nothing crosses the edge of the mask, and a masked box is the smaller box."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import tmepde as tme
from tmepde.operators import gradient
from tmepde.process import process

N = 10


def attracted(clock, state, tissue, chi):
    terms = {
        "u.velocity": tuple(chi * g for g in gradient(tissue.grid, state["c"])),
        "u.source": 0.1 * state["u"],
        "c.source": 1.0 + state["u"],
        "c.loss": 0.5 + 0.0 * state["c"],
    }
    return terms | ({"q.source": 1.0, "q.loss": 0.2 + state["u"]} if "q" in state else {})


def scenario(grid, u, c, steady):
    species = {"u": tme.Species(u, 20.0), "c": tme.Species(c, 80.0)}
    if steady:
        species["q"] = tme.Species(1.0, 50.0, kind="quasi_steady")
    model = tme.Model(grid, species, {"p": process(attracted, chi=4.0)})
    return tme.Scenario(model, until=1.0)


@functools.cache
def nested(steady):
    """A 6 × 7 box alone, and cut out of a 10 × 10 one; the same cells."""
    rng = np.random.default_rng(0)
    u, c = rng.uniform(0.5, 1.5, (2, 6, 7))
    control = tme.StepControl(dt=0.1, rtol=1e-12)
    small = tme.simulate(scenario(tme.Grid.box((60.0, 70.0), (6, 7)), u, c, steady), precision="f64", control=control)
    mask = np.zeros((N, N), bool)
    mask[2:8, 3:10] = True
    big_u, big_c = np.full((2, N, N), 7.0)  # what stands outside must not matter
    big_u[mask], big_c[mask] = u.ravel(), c.ravel()
    grid = tme.Grid.square(10.0 * N, N, mask=mask)
    big = tme.simulate(scenario(grid, big_u, big_c, steady), precision="f64", control=control)
    assert small.ok and big.ok
    return small, big, mask


FIELDS = [
    pytest.param("u", False, marks=pytest.mark.slow),
    ("c", False),
    pytest.param("q", True, marks=pytest.mark.slow),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steady"), FIELDS)
def test_a_masked_box_is_the_smaller_box(name, steady):
    """Linear solves to round-off; different multigrid hierarchies, hence 1e-10 and not bits."""
    small, big, mask = nested(steady)
    np.testing.assert_allclose(big.fields[name][-1][mask], small.fields[name][-1].ravel(), rtol=1e-10)


@pytest.mark.parametrize(("name", "steady"), FIELDS)
def test_nothing_leaks_over_the_edge_of_the_mask(name, steady):
    _, big, mask = nested(steady)
    assert np.all(big.fields[name][:, ~mask] == 0.0)


def test_the_content_of_the_mask_is_that_of_the_box():
    small, big, _ = nested(False)
    for name in ("u", "c"):
        a, b = small.budgets[name], big.budgets[name]
        assert float(a["initial"]) == pytest.approx(float(b["initial"]), rel=1e-14)
        assert float(b["error"]) < 1e-12


def test_a_disc_with_closed_edge_relaxes_to_its_mean():
    """No flux over a staircase edge: the steady state of pure diffusion is exactly uniform and keeps the content."""
    n = 16
    x = (np.arange(n) + 0.5) / n - 0.5
    mask = x[:, None] ** 2 + x[None, :] ** 2 < 0.2
    u = np.where(mask, 1.0 + x[None, :], 0.0)
    grid = tme.Grid.square(1.0, n, mask=mask)
    scenario = tme.Scenario(tme.Model(grid, {"u": tme.Species(u, 1.0)}), until=20.0)
    found = tme.simulate(scenario, precision="f64", control=tme.StepControl(rtol=1e-6)).fields["u"][-1]
    np.testing.assert_allclose(found[mask], u[mask].mean(), rtol=1e-6)
    assert found[mask].sum() == pytest.approx(u[mask].sum(), rel=1e-12)
