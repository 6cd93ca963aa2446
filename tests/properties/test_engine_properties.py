"""Properties that hold for whatever grid, mask, coefficients and steps hypothesis finds."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import tmepde as tme
from tmepde.elliptic import EllipticOperator
from tmepde.operators import advective_tendency, conductances, gradient, metric_volumes
from tmepde.schedule import Clock

SEEDS = st.integers(0, 2**31 - 1)
FEW = settings(max_examples=25, deadline=None)
#: few shapes, so that little is compiled; everything else is drawn
SHAPES = st.sampled_from([(7,), (4, 5), (3, 2, 4)])


def draw_grid(shape, seed, periodic):
    rng = np.random.default_rng(seed)
    widths = tuple(rng.uniform(0.2, 3.0, n) for n in shape)
    mask = rng.uniform(size=shape) > 0.25
    mask.flat[0] = True
    flags = tuple(bool(rng.integers(2)) for _ in shape) if periodic else False
    return tme.Grid(widths, mask=mask, periodic=flags), rng


@FEW
@given(SHAPES, SEEDS, st.booleans())
def test_diffusion_conserves_and_is_symmetric(shape, seed, periodic):
    grid, rng = draw_grid(shape, seed, periodic)
    d = jnp.asarray(10.0 ** rng.uniform(-3, 3, shape) * grid.mask)
    op = EllipticOperator(jnp.zeros(shape)[None], tuple(f[None] for f in conductances(grid, d)), grid.periodic)
    u, w = (jnp.asarray(rng.normal(size=(1, *shape))) for _ in range(2))
    size = float(jnp.abs(op(u)).sum()) + 1e-30
    assert abs(float(op(u).sum())) < 1e-12 * size
    assert abs(float(jnp.sum(w * op(u)) - jnp.sum(u * op(w)))) < 1e-10 * (1.0 + float(jnp.abs(w * op(u)).sum()))
    assert float(jnp.sum(u * op(u))) >= 0.0
    assert np.all(np.asarray(op(u)[0])[~grid.mask] == 0.0)


@FEW
@given(SHAPES, SEEDS, st.booleans())
def test_drift_conserves_and_stays_inside_the_mask(shape, seed, periodic):
    grid, rng = draw_grid(shape, seed, periodic)
    u = jnp.asarray(rng.uniform(size=shape) * grid.mask)
    velocity = gradient(grid, jnp.asarray(rng.normal(size=shape)))
    change = advective_tendency(grid, u, velocity)
    flow = np.asarray(metric_volumes(grid) * change)
    assert abs(flow.sum()) < 1e-12 * (np.abs(flow).sum() + 1e-30)
    assert np.all(flow[~grid.mask] == 0.0)


@FEW
@given(SEEDS)
def test_drift_below_its_limit_makes_no_negative_value(seed):
    """Equal cells, any face velocities, half the Courant number that empties a cell."""
    rng = np.random.default_rng(seed)
    grid = tme.Grid.line(7.0, 7)
    u = jnp.asarray(rng.uniform(size=7) * (rng.uniform(size=7) > 0.4))
    v = rng.normal(size=8)
    v[[0, -1]] = 0.0
    outflow = np.maximum(v[1:], 0.0) + np.maximum(-v[:-1], 0.0)
    dt = 0.5 / max(outflow.max(), 1e-12)
    assert float((u + dt * advective_tendency(grid, u, (jnp.asarray(v),))).min()) >= -1e-14


@FEW
@given(SEEDS, st.integers(1, 40), st.floats(1e-6, 30.0))
def test_a_course_is_delivered_over_any_partition(seed, parts, over):
    rng = np.random.default_rng(seed)
    schedule = tme.Schedule(rng.uniform(0.0, 20.0, 3), rng.uniform(0.0, 5.0, 3), np.full(3, over))
    edges = np.concatenate([[0.0], np.sort(rng.uniform(0.0, 60.0, parts)), [60.0]])
    got = np.zeros(3)
    for a, b in zip(edges, edges[1:], strict=False):
        got += np.asarray(Clock(0.0, a, a, b - a).doses(schedule))
    np.testing.assert_allclose(got, schedule.amount, rtol=1e-8, atol=1e-12)


MODEL = tme.Model(
    tme.Grid.line(6.0, 6), {"u": tme.Species(np.zeros(6), np.ones(6)), "w": tme.Species(np.zeros(6), kind="local")}
)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.floats(1e-3, 5.0))
def test_a_closed_run_keeps_content_bounds_and_sign(seed, dt):
    """The maximum principle of pure diffusion holds for backward Euler at any step."""
    from tmepde.steppers import BackwardEuler

    rng = np.random.default_rng(seed)
    u = rng.uniform(size=6) * (rng.uniform(size=6) > 0.5)
    scenario = tme.Scenario(MODEL, until=5.0)
    scenario = scenario.replace("model.species.u.initial", u)
    scenario = scenario.replace("model.species.u.diffusivity", 10.0 ** rng.uniform(-2, 2, 6))
    control = tme.StepControl(dt=dt)
    found = tme.simulate(scenario, precision="f64", control=control, stepper=BackwardEuler()).fields["u"][-1]
    assert abs(found.sum() - u.sum()) <= 1e-12 * (u.sum() + 1e-30)
    assert u.min() - 1e-12 <= found.min() and found.max() <= u.max() + 1e-12
