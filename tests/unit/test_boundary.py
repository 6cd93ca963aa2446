"""Boundary conditions: how they are written, and that values may follow time and state."""

from __future__ import annotations

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.boundary import BoundaryCondition, sides
from tmepde.operators.diffusion import boundary_terms
from tmepde.process import process


def test_none_is_closed_everywhere():
    for pair in sides(None, ("y", "x")):
        assert all(isinstance(one, tme.NoFlux) for one in pair)


def test_one_condition_is_for_all_sides_and_a_side_beats_an_axis():
    wall = tme.Dirichlet(1.0)
    assert all(one is wall for pair in sides(wall, ("y", "x")) for one in pair)
    (y, x) = sides({"x": tme.Robin(1.0, 2.0), "x+": wall}, ("y", "x"))
    assert isinstance(x[0], tme.Robin) and x[1] is wall
    assert all(isinstance(one, tme.NoFlux) for one in y)


def test_terms_are_transfer_outside_flux():
    assert tme.NoFlux().terms(None, {}) == (0.0, 0.0, 0.0)
    assert tme.Dirichlet(3.0).terms(None, {})[0] is None
    assert [float(v) for v in tme.Robin(2.0, 3.0).terms(None, {})] == [2.0, 3.0, 0.0]
    assert float(tme.PrescribedFlux(-1.0).terms(None, {})[2]) == -1.0
    with pytest.raises(TypeError, match="abstract"):
        BoundaryCondition().terms(None, {})


def test_a_misspelt_side_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="no side 'z-'.*x-"):
        sides({"z-": tme.NoFlux()}, ("y", "x"))
    with pytest.raises(TypeError, match="must be a condition or a mapping"):
        sides(3.0, ("x",))
    with pytest.raises(ValueError, match="no side 'x'.*r"):
        tme.Model(tme.Grid.radial(1.0, 4), {"u": tme.Species(boundary={"x": tme.NoFlux()})})


def test_a_robin_side_with_a_wide_open_barrier_is_a_dirichlet_side():
    grid = tme.Grid.line(1.0, 8)
    ends = []
    for condition in (tme.Dirichlet(2.0), tme.Robin(1e12, 2.0), tme.Robin(0.0, 2.0), tme.NoFlux()):
        model = tme.Model(grid, {"u": tme.Species(1.0, 0.3, {"x-": condition})})
        ends.append(tme.simulate(tme.Scenario(model, until=0.5), precision="f64").fields["u"][-1])
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-9)
    np.testing.assert_allclose(ends[2], ends[3], rtol=1e-12)


def day_and_night(clock, state):
    return 1.0 + jnp.cos(2 * np.pi * clock.time / 24.0)


def test_a_side_follows_time():
    """A thin, well-mixed slab behind a leaky barrier: u′ = (κ/L)(U(t) − u), in closed form."""
    rate, omega = 0.5, 2 * np.pi / 24.0
    grid = tme.Grid.line(1.0, 2)
    model = tme.Model(grid, {"u": tme.Species(1.0, 1e6, {"x-": tme.Robin(rate, day_and_night)})})
    solution = tme.simulate(
        tme.Scenario(model, until=30.0), save=tme.every(6.0), precision="f64", control=tme.StepControl(rtol=1e-6)
    )
    t = solution.times
    forced = rate * (rate * np.cos(omega * t) + omega * np.sin(omega * t)) / (rate**2 + omega**2)
    wanted = 1.0 + forced - rate**2 / (rate**2 + omega**2) * np.exp(-rate * t)
    np.testing.assert_allclose(solution.fields["u"].mean(axis=1), wanted, rtol=1e-4)


def cleared(clock, state, tissue):
    return {"p.loss": 0.4}


def level(clock, state):
    return state["p"]


def test_a_compartment_drives_a_side():
    """Bateman: p′ = −kp drives u′ = κ(p − u) in a thin slab."""
    k, rate = 0.4, 1.1
    species = {
        "u": tme.Species(0.0, 1e6, {"x-": tme.Robin(rate, level)}),
        "p": tme.Species(10.0, kind="compartment"),
    }
    model = tme.Model(tme.Grid.line(1.0, 2), species, {"cleared": process(cleared)})
    solution = tme.simulate(
        tme.Scenario(model, until=6.0), save=tme.every(1.0), precision="f64", control=tme.StepControl(rtol=1e-6)
    )
    t = solution.times
    wanted = 10.0 * rate / (rate - k) * (np.exp(-k * t) - np.exp(-rate * t))
    np.testing.assert_allclose(solution.fields["u"].mean(axis=1), wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(solution.fields["p"], 10.0 * np.exp(-k * t), rtol=1e-5)


def test_a_value_may_vary_along_a_side():
    grid = tme.Grid.box((1.0, 1.0), (5, 4))
    wall = np.linspace(1.0, 2.0, 5)
    model = tme.Model(grid, {"u": tme.Species(1.0, 1.0, {"x-": tme.Dirichlet(wall), "x+": tme.Dirichlet(wall)})})
    u = tme.simulate(tme.Scenario(model, until=0.5), precision="f64").fields["u"][-1]
    np.testing.assert_allclose(u, u[:, ::-1], rtol=1e-6)
    assert np.all(np.diff(u[:, 0]) > 0)


class Ramp(eqx.Module):
    """level (1 + t)."""

    level: jax.Array

    def __call__(self, clock, state):
        return self.level * (1.0 + clock.time)


def test_the_number_of_a_moving_side_is_differentiated_where_it_is_given_and_refused_where_a_function_holds_it():
    """From zero the solution is in proportion to the level, so that its derivative is itself by the level."""

    def ending(value):
        model = tme.Model(tme.Grid.line(10.0, 4), {"u": tme.Species(0.0, 5.0, {"x-": tme.Dirichlet(value)})})
        return jnp.sum(tme.simulate(tme.Scenario(model, until=1.0)).fields["u"][-1])

    value, slope = jax.value_and_grad(lambda level: ending(Ramp(level)))(jnp.asarray(2.0))
    np.testing.assert_allclose(slope, value / 2.0, rtol=1e-4)
    with pytest.raises(ValueError, match=r"`u.boundary.*must not hold a number that is being differentiated.*`level`"):
        jax.grad(lambda level: ending(lambda clock, state: level * (1.0 + clock.time)))(jnp.asarray(2.0))

    def decayed(rate):
        process = tme.process(lambda clock, state, tissue: {"u.loss": rate})
        model = tme.Model(tme.Grid.point(), {"u": tme.Species(1.0)}, {"decay": process})
        return tme.simulate(tme.Scenario(model, until=1.0)).fields["u"][-1, 0]

    with pytest.raises(ValueError, match=r"`model.processes.decay` must not hold .*process\(function, rate=…\)"):
        jax.grad(decayed)(jnp.asarray(2.0))


@pytest.mark.parametrize("side", ["x-", "x+", "y-", "y+"])
@pytest.mark.parametrize("singleton", [False, True])
def test_every_number_of_a_side_may_be_an_array_over_it(side, singleton):
    """Each array as long as the side, with or without an axis of one cell across it; a transfer was refused along x."""
    grid = tme.Grid.box((30.0, 20.0), (3, 2))
    count = 3 if side[0] == "x" else 2  # cells along the side
    shape = ((count, 1) if side[0] == "x" else (1, count)) if singleton else (count,)
    values = np.linspace(1.0, 2.0, count).reshape(shape)
    for condition in (
        tme.Robin(values, 3.0),
        tme.Robin(1.0, values),
        tme.Dirichlet(values),
        tme.PrescribedFlux(values),
    ):
        spread = jnp.full(grid.shape, 2.0)
        source, loss = map(np.asarray, boundary_terms(grid, sides({side: condition}, grid.axes), spread, None, {}))
        where = dict(indices=0 if side[1] == "-" else -1, axis=1 if side[0] == "x" else 0)
        assert np.all(np.diff(np.take(source, **where)) > 0) and np.all(np.diff(np.take(loss, **where)) >= 0)
        assert np.count_nonzero(source) == count


def test_a_derivative_by_what_a_partial_holds_is_refused_by_name():
    def law(clock, state, tissue, rate):
        return {"u.loss": rate}

    def left(rate):
        model = tme.Model(
            tme.Grid.line(4.0, 4), {"u": tme.Species(1.0)}, {"decay": tme.process(functools.partial(law, rate=rate))}
        )
        return tme.simulate(tme.Scenario(model, until=1.0)).fields["u"][-1].sum()

    with pytest.raises(ValueError, match=r"`model.processes.decay` must not hold .*`rate`"):
        jax.grad(left)(0.1)
