"""Drift: order with every side and diffusivity, equilibria that stand still, crowds that do not overfill."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from ladder import CLOSED, GENERAL, Curve, l2, meet, orders

import tmepde as tme
from tmepde.model import System
from tmepde.operators import advective_tendency, bounded_speed, gradient, taxis_velocity, volume_filling
from tmepde.operators.advection import _limited, downstream_weight, limited_slopes
from tmepde.process import process
from tmepde.schedule import Clock
from tmepde.steppers import SemiDiscrete

# -- steady manufactured solutions u = f(y), y = ∫dx/D, so that D u′ = f′(y) is smooth where D jumps ------------------

#: D and y(x)
SPREAD = {
    "constant": (lambda x: 0.7 + 0.0 * x, lambda x: x / 0.7),
    "smooth": (lambda x: 1.0 / (1.0 + 0.5 * np.cos(2.0 * x)), lambda x: x + 0.25 * np.sin(2.0 * x)),
    "jump": (lambda x: np.where(x < 0.5, 1.0, 3.0), lambda x: np.where(x < 0.5, x, 0.5 + (x - 0.5) / 3.0)),
}
#: v and v′: through open sides, and one that vanishes at the sides
THROUGH = Curve(lambda x: 1.5 + np.sin(2.0 * x), lambda x: 2.0 * np.cos(2.0 * x), None)
WITHIN = Curve(lambda x: 2.0 * np.sin(np.pi * x), lambda x: 2.0 * np.pi * np.cos(np.pi * x), None)
KINDS = {
    "no_flux": (CLOSED, WITHIN),
    "dirichlet": (GENERAL, THROUGH),
    "robin": (GENERAL, WITHIN),
    "flux": (GENERAL, WITHIN),
}
LOSS = 3.0


def manufactured(kind, spread, x):
    """u, D, source, face speeds' curve, and the conditions on both sides."""
    profile, speed = KINDS[kind]
    diffusivity, stretched = SPREAD[spread]
    whole = float(stretched(np.asarray(1.0)))
    f = Curve(
        lambda y: profile.value(y / whole),
        lambda y: profile.first(y / whole) / whole,
        lambda y: profile.second(y / whole) / whole**2,
    )
    y, d = stretched(x), diffusivity(x)
    u, flux = f.value(y), f.first(y)
    divergence = speed.first(x) * u + speed.value(x) * flux / d - f.second(y) / d
    sides = {"x-": meet(kind, float(f.value(0.0)), -float(f.first(0.0)))}
    sides["x+"] = meet(kind, float(f.value(whole)), float(f.first(whole)))
    return u, d, LOSS * u + divergence, speed, sides


def against_a_wall(x):
    """v = aD and u = e^{ax} g(x): the flux −D e^{ax} g′ vanishes at the closed sides though v does not."""
    a, d = 1.5, 0.7
    u = np.exp(a * x) * CLOSED.value(x)
    divergence = -d * np.exp(a * x) * (a * CLOSED.first(x) + CLOSED.second(x))
    return u, d + 0.0 * x, LOSS * u + divergence, Curve(lambda x: a * d + 0.0 * x, None, None), None


def cases():
    return [(k, s) for k in KINDS for s in SPREAD] + [("wall", "constant")]


def terms(clock, state, tissue, **numbers):
    return {k.replace("__", "."): (v,) if k.endswith("velocity") else v for k, v in numbers.items()}


@jax.jit
def _defect(model, guess):
    """F and ∂F/∂u, species by species: they do not see each other, so one perturbed cell serves all."""
    problem = SemiDiscrete(System(model))
    zero = jnp.zeros(())
    clock = Clock(zero, zero, zero, zero + 1.0)
    order = sorted(model.species)

    def tendency(stack):
        found = problem.evaluate(clock, dict(zip(order, stack, strict=True))).tendency
        return jnp.stack([found[n] for n in order])

    def column(e):
        return jax.jvp(tendency, (guess,), (jnp.broadcast_to(e, guess.shape),))[1]

    return tendency(guess), jnp.moveaxis(jax.vmap(column)(jnp.eye(guess.shape[1])), 0, 2)


@functools.cache
def errors(scheme):
    found = {case: [] for case in cases()}
    for n in (20, 40, 80):
        grid = tme.Grid.line(1.0, n)
        x, faces = grid.centers(0), grid.faces(0)
        species, numbers, exact = {}, {}, []
        for case in cases():
            name = "_".join(case)
            u, d, source, speed, sides = against_a_wall(x) if case[0] == "wall" else manufactured(*case, x)
            species[name] = tme.Species(1.0, d, sides, drift=scheme, signed=True)
            numbers |= {f"{name}__source": source, f"{name}__loss": LOSS, f"{name}__velocity": speed.value(faces)}
            exact.append((name, u))
        model = tme.Model(grid, species, {"p": process(terms, **numbers)})
        wanted = np.stack([u for _, u in sorted(exact, key=lambda p: p[0])])
        guess = wanted
        for _ in range(8):
            defect, slope = _defect(model, jnp.asarray(guess))
            guess = guess - np.linalg.solve(np.asarray(slope), np.asarray(defect)[..., None])[..., 0]
        for case in cases():
            i = sorted(species).index("_".join(case))
            found[case].append(l2(grid, guess[i] - wanted[i]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(), ids="-".join)
@pytest.mark.parametrize("scheme", ["muscl", "scharfetter_gummel"])
def test_diffusion_and_drift_together_are_of_order_two(scheme, case):
    """The last of three rungs; limited slopes at an extremum of u or at a kink cost MUSCL a little."""
    found = errors(scheme)[case]
    assert orders(found)[-1] == pytest.approx(2.0, abs=0.25 if scheme == "muscl" else 0.1), (found, orders(found))


# -- Scharfetter–Gummel ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "tolerance"), [("f64", 1e-10), ("f32", 1e-5)])
def test_an_equilibrium_over_nine_decades_stands_still(precision, tolerance):
    """u = e^{φ/D} with φ/D from 0 to 20 in 64 cells (P = 0.3): a thousand hours move it by round-off alone."""
    n, d = 64, 7.0
    grid = tme.Grid.line(100.0, n)
    u = np.exp(20.0 * grid.centers(0) / 100.0)
    numbers = {"u__velocity": np.full(n + 1, 0.2 * d)}
    model = tme.Model(grid, {"u": tme.Species(u, d, drift="scharfetter_gummel")}, {"p": process(terms, **numbers)})
    found = tme.simulate(tme.Scenario(model, until=1000.0), precision=precision)
    assert found.ok and float(found.budgets["u"]["clipped"]) == 0.0
    np.testing.assert_allclose(found.fields["u"][-1], u, rtol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 2e-6)])
def test_the_weight_of_the_downstream_cell(dtype, tolerance):
    """Against 1/P − 1/(e^P − 1) in extended precision; the derivative is finite everywhere."""
    p = np.array([-5e3, -60.0, -3.0, -0.6, -0.4, -1e-3, 1e-3, 0.4, 0.6, 3.0, 60.0, 5e3], np.longdouble)
    wanted = 1.0 / p - 1.0 / np.expm1(np.minimum(p, 1e4))
    np.testing.assert_allclose(downstream_weight(jnp.asarray(p.astype(dtype))), wanted.astype(float), atol=tolerance)
    assert float(downstream_weight(jnp.asarray(0.0))) == 0.5
    slopes = jax.vmap(jax.grad(downstream_weight))(jnp.asarray([-1e5, -1.0, 0.0, 0.5, 1e5]))
    assert bool(jnp.isfinite(slopes).all()) and float(slopes[2]) == pytest.approx(-1.0 / 12.0)


def test_scharfetter_gummel_without_diffusivity_is_upwind():

    grid, u = tme.Grid.line(4.0, 4), jnp.asarray([1.0, 2.0, 4.0, 8.0])
    found = advective_tendency(grid, u, (jnp.full(5, 1.0),), diffusivity=jnp.zeros(4), scheme="scharfetter_gummel")
    np.testing.assert_allclose(found, [-1.0, -1.0, -2.0, 4.0], rtol=1e-3)  # weight 1/P = 1e-4 at the steepest P kept
    with pytest.raises(ValueError, match="diffusivity"):
        advective_tendency(grid, u, (jnp.ones(5),), scheme="scharfetter_gummel")


# -- velocities in one line --------------------------------------------------------------------------------------------


def crowd(clock, state, tissue, chi):
    velocity = taxis_velocity(tissue.grid, state["c"], chi, density=state["u"], full=1.0)
    return {"u.velocity": velocity, "c.source": 4.0 * state["u"], "c.loss": 1.0}


@pytest.mark.parametrize("drift", ["muscl", pytest.param("scharfetter_gummel", marks=pytest.mark.slow)])
def test_keller_segel_with_volume_filling_neither_blows_up_nor_overfills(drift):
    """Far above the threshold of aggregation; a step may exceed 1 by its tolerance (rtol = 1e-3), not more."""
    n = 16
    grid = tme.Grid.square(16.0, n)
    start = 0.4 + 0.1 * np.random.default_rng(0).uniform(-1, 1, (n, n))
    species = {"u": tme.Species(start, 0.3, drift=drift), "c": tme.Species(1.6, 2.0)}
    model = tme.Model(grid, species, {"p": process(crowd, chi=4.0)})
    found = tme.simulate(tme.Scenario(model, until=12.0), precision="f64")
    u = found.fields["u"][-1]
    assert found.ok
    assert u.max() > 0.85 and u.min() < 0.1  # it did aggregate
    assert u.max() < 1.0 + 2e-3 and u.min() >= 0.0
    assert float(found.budgets["u"]["error"]) < 1e-13
    assert u.mean() == pytest.approx(start.mean(), rel=1e-12)


def test_bounded_speed_is_never_exceeded_and_slow_speeds_stay():
    grid = tme.Grid.square(4.0, 4)
    signal = jnp.asarray(np.random.default_rng(0).uniform(0, 1e4, (4, 4)))
    fast = taxis_velocity(grid, signal, 1.0, largest=3.0)
    assert 2.5 < max(float(jnp.abs(v).max()) for v in fast) <= 3.0
    slow = taxis_velocity(grid, 1e-9 * signal, 1.0)
    for a, b in zip(bounded_speed(grid, slow, 3.0), slow, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)
    slope = jax.grad(lambda c: sum(v.sum() for v in taxis_velocity(grid, c, 1.0, largest=3.0)))(jnp.ones((4, 4)))
    assert bool(jnp.isfinite(slope).all())


def test_volume_filling_looks_at_the_room_on_the_receiving_side_and_needs_both_arguments():
    """Room 1, ½ and 0 in the cells: at both faces that of the middle cell, carried there by its slope."""
    grid = tme.Grid.line(3.0, 3)
    (found,) = volume_filling(grid, (jnp.asarray([9.0, 1.0, -1.0, 9.0]),), jnp.asarray([0.0, 5.0, 20.0]), 10.0)
    np.testing.assert_allclose(found, [0.0, 0.75, -0.25, 0.0])
    with pytest.raises(ValueError, match="given together"):
        taxis_velocity(grid, jnp.ones(3), density=jnp.ones(3))


@pytest.mark.slow
def test_a_crowd_at_a_wall_is_met_with_order_two_and_never_overfilled():
    """D u′ = v u (1 − u): u = 1/(1 + e^(−v(x − x₀)/D)), here as cell means; with the room of the cell ahead as it is
    the order was one, and the error on 80 cells 1.3e-2."""
    length, d, v, mean = 80.0, 20.0, 3.0, 0.7
    a = v / d
    middle = scipy.optimize.brentq(
        lambda x0: np.log1p(np.exp(a * (length - x0))) - np.log1p(np.exp(-a * x0)) - a * length * mean, 0.0, length
    )
    errors = []
    for n in (20, 40, 80):
        grid = tme.Grid.line(length, n)
        potential = jnp.asarray(grid.centers(0))

        def pushed(clock, state, tissue, potential=potential):
            return {"u.velocity": taxis_velocity(tissue.grid, potential, v, density=state["u"], full=1.0)}

        model = tme.Model(grid, {"u": tme.Species(mean, d)}, {"p": process(pushed)})
        found = tme.simulate(tme.Scenario(model, until=400.0), precision="f64").fields["u"][-1]
        whole = np.log1p(np.exp(a * (grid.faces(0) - middle))) / a
        errors.append(l2(grid, found - np.diff(whole) / grid.widths[0]))
        assert found.max() < 1.0 and found.mean() == pytest.approx(mean, rel=1e-12)
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.2) and errors[-1] < 1e-3, errors


@pytest.mark.parametrize("kind", ["velocity", "flow"])
def test_on_uneven_cells_a_slope_does_not_reach_beyond_the_neighbour(kind):
    """A wide cell beside narrow ones: what its slope adds at a face was up to twice what the neighbour differs by, the
    value there negative, and 2 % of the content had to be clipped."""
    widths = np.where(np.arange(30) % 3 == 0, 4.0, 0.5)
    grid = tme.Grid([widths])
    x = grid.centers(0)
    species = {"u": tme.Species(np.where(x > 25.0, np.minimum(10.0, 1.0 + (x - 25.0) ** 2), 0.0))}
    model = tme.Model(grid, species, {"p": process(lambda *_: {f"u.{kind}": (jnp.full(31, -1.0),)})})
    slopes = gradient(grid, jnp.asarray(species["u"].initial))[0]
    reach = limited_slopes(grid, 0, jnp.asarray(species["u"].initial), slopes) * grid.half_widths(0)
    jumps = np.abs(np.diff(species["u"].initial))
    assert np.all(np.abs(reach[1:-1]) <= np.minimum(jumps[1:], jumps[:-1]) * (1 + 1e-12))
    found = tme.simulate(tme.Scenario(model, until=20.0), precision="f64")
    assert found.ok and found.fields["u"].min() >= 0.0
    assert float(found.budgets["u"]["clipped"]) < 1e-3 * float(found.budgets["u"]["initial"])


@pytest.mark.parametrize(("side", "end"), [("far", -1), pytest.param("near", 0, marks=pytest.mark.slow)])
def test_a_strong_magnet_on_fine_cells_moves_particles_and_loses_none(side, end):
    """3 mm/h on cells of 5 µm: steps stay within the Courant limit, particles pile up at the wall.

    At rest v c = D ∂c/∂x; even first-order upwind leaves only 1/(1 + v w/D) of the last cell in the one before it, so
    that the last cell holds all but that share while the field is on (and as the run ends with it, at the end).
    Fixed steps beyond the limit are refused, not torn apart.
    """
    with jax.enable_x64(True):
        grid = tme.Grid.line(500.0, 100)
        x = np.asarray(grid.centers(0))
        start = 10.0 * np.exp(-(((x - 250.0) / 40.0) ** 2))
        model = tme.Model(grid, {"nanoparticle": tme.Species(start, 1800.0, unit="nM", negligible=1e-3)}, {})
        magnet = tme.MagneticGuidance(dose=tme.Infusion(0.5, 0.5, 0.5), speed=3000.0, side=side)
        scenario = tme.Scenario(model, {"magnet": magnet}, until=1.0)
        found = tme.simulate(scenario, save=[1.0], precision="f64")
        field = np.asarray(found.fields["nanoparticle"][-1])
        steps = int(found.statistics["steps"])
        # 0.5 h of |v|/(w + 2D/|v|) = 3000/6.2 per hour at 0.5 of it a step, knots and start aside
        assert steps >= 0.5 * 3000.0 / 6.2 / 0.5
        assert np.sum(field) == pytest.approx(np.sum(start), rel=steps * np.finfo(float).eps)
        assert np.min(field) >= 0.0
        assert field[end] > (1.0 - 1.0 / (1.0 + 3000.0 * 5.0 / 1800.0)) * np.sum(field)
        with pytest.warns(UserWarning, match="too large for the drift"):
            tme.simulate(scenario, save=[1.0], precision="f64", control=tme.StepControl(dt=0.1))


@pytest.mark.parametrize("slope", [1.0, 1e-18, 1e-20, 1e-30])
def test_the_limiter_has_its_derivative_in_single_precision(slope):
    """4b²/(a + b)² · a/b: a factor that does not depend on the unit; JAX's own was −∞ below 1e-19."""
    change = jax.grad(_limited)(jnp.float32(slope), jnp.float32(2.0 * slope))
    assert float(change) == pytest.approx(8.0 / 9.0, rel=1e-5)


@pytest.mark.parametrize("start", ["empty", pytest.param("gaussian", marks=pytest.mark.slow)])
def test_what_is_carried_into_empty_tissue_in_single_precision(start):
    """u = (1 − e^{v(x − L)/D})/(1 − e^{−vL/D}) between 1 and 0; it ended with NaN in the first step."""
    grid = tme.Grid.line(40.0, 40)
    x = np.asarray(grid.centers(0))
    begin = 0.0 if start == "empty" else np.exp(-(((x - 10.0) / 2.0) ** 2))
    species = {"u": tme.Species(begin, 2.0, {"x-": tme.Dirichlet(1.0), "x+": tme.Dirichlet(0.0)})}
    carry = process(lambda clock, state, tissue, v: {"u.flow": (v * jnp.ones(41),)}, v=1.0)
    scenario = tme.Scenario(tme.Model(grid, species, {"carry": carry}), until=300.0)
    solution = tme.simulate(scenario, precision="f32")
    assert solution.ok
    exact = (1.0 - np.exp((x - 40.0) / 2.0)) / (1.0 - np.exp(-20.0))
    np.testing.assert_allclose(solution.fields["u"][-1], exact, atol=0.02)  # the layer at the outlet is two cells thick


@pytest.mark.slow
def test_the_gradient_with_respect_to_a_drift_into_empty_tissue_is_finite():
    grid = tme.Grid.line(40.0, 40)
    species = {"u": tme.Species(0.0, 2.0, {"x-": tme.Dirichlet(1.0), "x+": tme.Dirichlet(0.0)})}
    climb = process(lambda clock, state, tissue, v: {"u.velocity": (v * jnp.ones(41),)}, v=1.0)
    scenario = tme.Scenario(tme.Model(grid, species, {"climb": climb}), until=2.0)

    def content(v):
        return tme.simulate(scenario.replace("model.processes.climb.numbers.v", v)).fields["u"][-1].sum()

    difference = (float(content(1.02)) - float(content(0.98))) / 0.04
    assert float(jax.grad(content)(jnp.asarray(1.0))) == pytest.approx(difference, rel=2e-3)
