"""Cells that are held at a value: exact, second order beside them, and accounted for as inflow."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ladder import balance, fixed, orders

import tmepde as tme
from tmepde.process import process


def loss_and_source(clock, state, tissue):
    return {"u.loss": 0.05, "u.source": 0.02}


def plates(n, left=3.0, right=1.0, **options):
    """Held below 20 and above 80 µm; between them D u″ = λu − s."""
    grid = tme.Grid.line(100.0, n)
    x = grid.centers(0)
    held = (x < 20) | (x > 80)
    start = jnp.where(jnp.asarray(x < 50), left, right) * held
    species = tme.Species(start, 50.0, held=held, **options)
    return grid, held, tme.Model(grid, {"u": species}, {"p": process(loss_and_source)})


def sinh_profile(x, left=3.0, right=1.0):
    k, rest = np.sqrt(0.05 / 50.0), 0.02 / 0.05
    inner = (left - rest) * np.sinh(k * (80.0 - x)) + (right - rest) * np.sinh(k * (x - 20.0))
    return rest + inner / np.sinh(60.0 * k)


def test_between_two_plates_with_order_two():
    errors = []
    for n in (25, 50, 100):
        grid, held, model = plates(n)
        errors.append(np.abs(balance(model)["u"] - sinh_profile(grid.centers(0)))[~held].max())
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.1)


@pytest.mark.slow
def test_the_values_are_kept_to_the_bit_and_the_rest_comes_to_its_balance():
    _, held, model = plates(50)
    found = tme.simulate(tme.Scenario(model, until=400.0), precision="f64")
    assert found.ok
    u = found.fields["u"]
    np.testing.assert_array_equal(u[:, held], np.broadcast_to(np.asarray(model.species["u"].initial)[held], (2, 20)))
    np.testing.assert_allclose(u[-1][~held], balance(model)["u"][~held], rtol=1e-3)  # rtol of the steps
    assert float(found.budgets["u"]["error"]) < 1e-13


def test_inflow_is_what_the_free_cells_gained_and_lost():
    grid, held, model = plates(50)
    found = tme.simulate(tme.Scenario(model, until=10.0), precision="f64")
    budget = {k: float(v) for k, v in found.budgets["u"].items()}
    assert budget["inflow"] == pytest.approx(budget["final"] - budget["initial"] - budget["produced"] + budget["lost"])
    assert budget["produced"] == pytest.approx(0.02 * 60.0 * 10.0, rel=1e-12)  # none in held cells
    assert budget["inflow"] > 0


@pytest.mark.slow
def test_krogh_cylinder():
    """A vessel of 5 µm held at U; u = U + s/(4D) (R_c² − r² + 2R² ln(r/R_c)) (with the sign of a source)."""
    errors = []
    for n in (20, 40, 80):
        grid = tme.Grid.radial(40.0, n, "cylinder")
        r = grid.centers(0)
        vessel = r < 5.0 + 1e-9
        model = tme.Model(
            grid, {"u": tme.Species(np.where(vessel, 40.0, 0.0), 7.0, held=vessel)}, {"p": fixed(u__source=0.02)}
        )
        control = tme.StepControl(rtol=1e-7)
        found = tme.simulate(tme.Scenario(model, until=5000.0), precision="f64", control=control).fields["u"][-1]
        exact = 40.0 + 0.02 / 28.0 * (25.0 - r**2 + 2 * 1600.0 * np.log(np.maximum(r, 5.0) / 5.0))
        errors.append(np.sqrt(np.mean((found - exact)[~vessel] ** 2)))
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.15)


def uptake(clock, state, tissue):
    return {"u.loss": 60.0 / (state["u"] + 2.0)}


@pytest.mark.slow
def test_vessels_in_a_plane_with_a_mask_transported_and_quasi_steady():
    """The steady field of a quasi-steady species is the long-time field of a transported one."""
    n, fields = 16, {}
    mask = np.ones((n, n), bool)
    mask[:3, :5] = False
    grid = tme.Grid.square(100.0, n, mask=mask)
    y, x = grid.coordinates()
    vessel = (np.hypot(y - 50, x - 40) < 10) & mask
    for kind in ("transported", "quasi_steady"):
        species = tme.Species(np.where(vessel, 40.0, 5.0), 500.0, held=vessel, kind=kind)
        model = tme.Model(grid, {"u": species}, {"p": process(uptake)})
        found = tme.simulate(tme.Scenario(model, until=10.0), precision="f32")
        assert found.ok
        fields[kind] = found.fields["u"][-1]
        np.testing.assert_array_equal(fields[kind][vessel], 40.0)
        assert fields[kind][mask].min() >= 0.0
    np.testing.assert_allclose(fields["transported"], fields["quasi_steady"], atol=0.05)  # rtol 1e-3 of 40


@pytest.mark.slow
def test_the_gradient_with_respect_to_the_held_value():
    """∂/∂U of the mean between plates is that of the profile: sinh terms alone."""

    def total(left):
        grid, held, model = plates(50, left=left)
        control = tme.StepControl(dt=20.0)
        found = tme.simulate(tme.Scenario(model, until=400.0), [400.0], precision="f64", control=control)
        return jnp.sum(jnp.where(jnp.asarray(held), 0.0, found.fields["u"][-1]))

    x = tme.Grid.line(100.0, 50).centers(0)
    free = (x > 20) & (x < 80)
    exact = np.sum((sinh_profile(x, left=4.0) - sinh_profile(x, left=3.0))[free])
    assert float(jax.grad(total)(3.0)) == pytest.approx(exact, rel=1e-3)  # 50 cells: 4e-4


def test_drift_carries_the_held_value():
    """Pure drift away from held cells fills the tissue with their value."""
    grid = tme.Grid.line(20.0, 20)
    held = grid.centers(0) < 3.0
    open_end = {"x+": tme.Dirichlet(0.0)}
    model = tme.Model(
        grid,
        {"u": tme.Species(np.where(held, 2.0, 0.0), 0.0, open_end, held=held)},
        {"p": process(lambda clock, state, tissue: {"u.velocity": (jnp.ones(21),)})},
    )
    found = tme.simulate(tme.Scenario(model, until=60.0), precision="f64")
    np.testing.assert_allclose(found.fields["u"][-1], 2.0, rtol=1e-3)
    assert float(found.budgets["u"]["error"]) < 1e-12


def test_held_cells_with_a_tensor_are_those_of_a_direct_solve():
    """Steady balance by a sparse solver: links act on free cells; without loss all come to the held value."""
    grid = tme.Grid.square(8.0, 8)
    held = np.zeros((8, 8), bool)
    held[3:5, 2:6] = True
    species = tme.Species(np.where(held, 3.0, 0.0), ((2.0, 0.8), (0.8, 1.0)), held=held)
    found = balance(tme.Model(grid, {"u": species}, {"p": fixed(u__loss=0.0)}))["u"]
    np.testing.assert_allclose(found[~held], 3.0, rtol=1e-10)


FOUR = tme.Grid.line(1.0, 4)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: tme.Species(1.0, 1.0, held=np.ones(3, bool), kind="local"), "needs a species that diffuses"),
        (
            lambda: tme.Model(tme.Grid.line(1.0, 4), {"u": tme.Species(1.0, 1.0, held=np.ones(3, bool))}),
            "boolean array",
        ),
        (lambda: tme.Model(tme.Grid.line(1.0, 4), {"u": tme.Species(1.0, 1.0, held=np.ones(4))}), "boolean array"),
        (lambda: tme.Species(1.0, 1.0, mean="geometric"), "`mean` must be one of"),
        (lambda: tme.Species(1.0, 1.0, drift="upwind"), "`drift` must be one of"),
    ],
)
def test_bad_declarations_are_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()
