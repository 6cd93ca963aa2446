"""Closed solutions and handbook numbers, through the quasi-steady path and through ``simulate``."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ladder import fixed
from scipy.integrate import solve_bvp
from scipy.special import erfc, i0, i1

import tmepde as tme
from tmepde.model import System
from tmepde.process import process
from tmepde.schedule import Clock
from tmepde.steppers import SemiDiscrete, relax_quasi_steady
from tmepde.units import day, hour, mm, second, um


@functools.partial(jax.jit, static_argnums=1)
def _relaxed(model, dtype):
    system = System(model, {})
    zero = jnp.zeros((), dtype)
    clock = Clock(zero, zero, zero, zero + 1.0)
    return relax_quasi_steady(SemiDiscrete(system), clock, system.initial_state(dtype), 1e-11)


def relaxed(model):
    state, converged, _ = _relaxed(model, jnp.float64)
    assert bool(converged)
    return {n: np.asarray(u) for n, u in state.items()}


def uptake(clock, state, tissue, rate, half):
    """Michaelis–Menten: λ = rate/(half + q)."""
    return {"q.loss": rate / (half + state["q"])}


# -- two layers, Thiele, decay length ---------------------------------------------------------------------------------


def test_two_layer_slab_is_exact():
    """u = U at one side, a flux g in at the other, D jumping on a face: piecewise linear, and the scheme is exact."""
    n, d1, d2, flux = 20, 1.0, 50.0, 3.0
    grid = tme.Grid.line(1.0, n)
    x = grid.centers(0)
    sides = {"x-": tme.Dirichlet(2.0), "x+": tme.PrescribedFlux(flux)}
    species = {"q": tme.Species(1.0, np.where(x < 0.5, d1, d2), sides, kind="quasi_steady")}
    found = relaxed(tme.Model(grid, species))["q"]
    wanted = np.where(x < 0.5, 2.0 + flux * x / d1, 2.0 + flux * 0.5 / d1 + flux * (x - 0.5) / d2)
    np.testing.assert_allclose(found, wanted, rtol=1e-11)
    d = np.where(x < 0.5, d1, d2)
    h = 1.0 / n
    through = (found[1:] - found[:-1]) / (0.5 * h / d[1:] + 0.5 * h / d[:-1])
    np.testing.assert_allclose(through, flux, rtol=1e-10)


@pytest.mark.parametrize(("symmetry", "phi"), [(s, p) for s in ("slab", "cylinder", "sphere") for p in (1.0, 5.0)])
def test_thiele_effectiveness_factor(symmetry, phi):
    """Mean over the body of c/c₀ at first-order uptake, φ = R√(k/D): tanh φ/φ, 2I₁/(φI₀), 3(φ coth φ − 1)/φ²."""
    radius, d = 100.0, 1000.0
    grid = tme.Grid.radial(radius, 100, symmetry)
    species = {"q": tme.Species(1.0, d, {grid.axes[0] + "+": tme.Dirichlet(1.0)}, kind="quasi_steady")}
    found = relaxed(tme.Model(grid, species, {"k": fixed(q__loss=phi**2 * d / radius**2)}))["q"]
    wanted = {
        "slab": np.tanh(phi) / phi,
        "cylinder": 2.0 * i1(phi) / (phi * i0(phi)),
        "sphere": 3.0 * (phi / np.tanh(phi) - 1.0) / phi**2,
    }[symmetry]
    assert float(grid.mean(found)) == pytest.approx(wanted, rel=5e-3)


def test_ifn_gamma_falls_with_its_length():
    """V6: plane source, D 12.6 µm²/s and k 0.0103 1/s give λ = √(D/k) = 35 µm; the slope of ln c within 0.5 %."""
    d, k = 12.6 * um**2 / second, 0.0103 / second
    length = np.sqrt(d / k)
    assert length == pytest.approx(35.0, rel=2e-3)
    grid = tme.Grid.line(700.0, 350)
    species = {"q": tme.Species(1.0, d, {"x-": tme.PrescribedFlux(1.0)}, kind="quasi_steady")}
    found = relaxed(tme.Model(grid, species, {"k": fixed(q__loss=k)}))["q"]
    x = grid.centers(0)
    inside = x < 300.0
    slope = np.polyfit(x[inside], np.log(found[inside]), 1)[0]
    assert -1.0 / slope == pytest.approx(length, rel=5e-3)
    np.testing.assert_allclose(found[inside], np.exp(-x[inside] / length) / np.sqrt(d * k), rtol=5e-3)


def test_point_source_falls_as_screened_coulomb():
    """e^(−r/λ)/r outside a small sphere that secretes (V6)."""
    d, k, inner = 100.0, 0.04, 5.0
    grid = tme.Grid.radial(505.0, 500, "sphere", inner)
    species = {"q": tme.Species(0.1, d, {"r-": tme.PrescribedFlux(1.0)}, kind="quasi_steady")}
    found = relaxed(tme.Model(grid, species, {"k": fixed(q__loss=k)}))["q"]
    length, r = np.sqrt(d / k), grid.centers(0)
    scale = inner**2 / (d * (1.0 + inner / length))
    wanted = scale * np.exp(-(r - inner) / length) / r
    near = r < 250.0
    np.testing.assert_allclose(found[near], wanted[near], rtol=5e-3)


# -- oxygen -----------------------------------------------------------------------------------------------------------


def test_michaelis_menten_sphere_against_collocation():
    """Uptake V q/(K + q) in a sphere, necrotic in the middle, against scipy's collocation at 1e-10."""
    radius, d, rate, half, edge = 300.0, 2000.0, 1.0, 1.5, 30.0

    def equations(r, y):
        return np.vstack([y[1], rate / d * y[0] / (half + y[0])])

    def conditions(a, b):
        return np.array([a[1], b[0] - edge])

    r = np.linspace(0.0, radius, 400)
    guess = np.vstack([edge * (r / radius) ** 2, 2 * edge * r / radius**2])
    exact = solve_bvp(equations, conditions, r, guess, S=np.diag([0.0, -2.0]), tol=1e-10, max_nodes=200_000)
    assert exact.success
    errors = []
    for n in (50, 100, 200):
        grid = tme.Grid.radial(radius, n)
        species = {"q": tme.Species(edge, d, {"r+": tme.Dirichlet(edge)}, kind="quasi_steady")}
        found = relaxed(tme.Model(grid, species, {"uptake": process(uptake, rate=rate, half=half)}))["q"]
        errors.append(np.max(np.abs(found - exact.sol(grid.centers(0))[0])))
        assert np.min(found) >= 0.0
    assert errors[-1] < 1e-3 * edge
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2.0, abs=0.1), errors


def spheroid(radius, half):
    """V1/V2: D 2e-9 m²/s, aΩ 22.10 mmHg/s, p₀ 100 mmHg."""
    grid = tme.Grid.radial(radius, round(radius / 2.0))
    species = {"q": tme.Species(100.0, 2000.0 / second, {"r+": tme.Dirichlet(100.0)}, kind="quasi_steady")}
    rate = process(uptake, rate=22.10 / second, half=half)
    return grid, relaxed(tme.Model(grid, species, {"uptake": rate}))["q"]


def test_spheroid_without_core():
    """V1: r₀ = 200 µm, p(0) = 26.33 mmHg for zero-order uptake; at K = 0.01 mmHg within 1 %."""
    grid, p = spheroid(200.0, 0.01)
    centre = p[0] - (p[1] - p[0]) / 8.0  # parabola through the first two cells
    assert centre == pytest.approx(26.33, rel=0.01)


@pytest.mark.parametrize(("radius", "core"), [(300.0, 129.2), (500.0, 349.5), (1000.0, 858.7)])
def test_spheroid_anoxic_radius(radius, core):
    """V1: radius of the anoxic core, where zero-order uptake has used all oxygen.

    Near the core p grows as (r − r_n)²: r_n is where √p, followed inwards from 2–20 mmHg, reaches zero.
    """
    grid, p = spheroid(radius, 0.01)
    r = grid.centers(0)
    rim = (p > 2.0) & (p < 20.0)
    line = np.polyfit(np.sqrt(p[rim]), r[rim], 2)
    assert line[-1] == pytest.approx(core, rel=0.01)


def test_spheroid_profile():
    """V1: p at 480, 450, 430 and 400 µm of a spheroid of 500 µm."""
    grid, p = spheroid(500.0, 0.01)
    found = np.interp([480.0, 450.0, 430.0, 400.0], grid.centers(0), p)
    np.testing.assert_allclose(found, [77.01, 47.47, 31.31, 12.89], rtol=0.01)


@pytest.mark.parametrize(
    ("demand", "lethal", "slab"),
    [(5e-4, 56.0, 82.0), (2.5e-4, 74.4, 115.9), (1.22e-4, 100.5, 166.0), (6.1e-5, 135.1, 234.7)],
)
def test_krogh_lethal_radius_and_slab_penetration(demand, lethal, slab):
    """V5: Dα 4.2e-10 cm³O₂/cm/s/mmHg, capillary 4 µm at 40 mmHg, zero-order demand in cm³O₂/cm³/s.

    Around a capillary (and into a slab) oxygen reaches as far as the distance at which the demand is just met. With
    Dα in µm²·(demand unit)/s/mmHg, p falls by demand per Dα: the demand acts as M₀/(Dα) mmHg/µm² at D = 1. The reach is
    where the solution with Michaelis–Menten K = 0.01 mmHg in a wide domain comes to an end: there √p → 0 linearly.
    """
    ratio = demand / (4.2e-10 * 1e8)  # mmHg/µm²
    for symmetry, inner, wanted in (("cylinder", 4.0, lethal), ("slab", 0.0, slab)):
        grid = tme.Grid.radial(1.3 * wanted, 600, symmetry, inner)
        side = grid.axes[0] + "-"
        species = {"q": tme.Species(1.0, 1.0, {side: tme.Dirichlet(40.0)}, kind="quasi_steady")}
        p = relaxed(tme.Model(grid, species, {"m": process(uptake, rate=ratio, half=1e-3)}))["q"]
        r = grid.centers(0)
        rim = (p > 0.2) & (p < 5.0)
        assert np.polyfit(np.sqrt(p[rim]), r[rim], 2)[-1] == pytest.approx(wanted, rel=0.01)


# -- transient --------------------------------------------------------------------------------------------------------


def run(model, until, rtol=1e-5):
    solution = tme.simulate(tme.Scenario(model, until=until), precision="f64", control=tme.StepControl(rtol=rtol))
    assert solution.ok
    return solution


def test_half_space_fills_as_erfc():
    """c/c₀ = erfc(x/2√(Dt)) within 0.5 % of c₀."""
    d, t = 100.0, 4.0
    grid = tme.Grid.line(400.0, 400)
    model = tme.Model(grid, {"u": tme.Species(0.0, d, {"x-": tme.Dirichlet(1.0)})})
    found = run(model, t).fields["u"][-1]
    np.testing.assert_allclose(found, erfc(grid.centers(0) / np.sqrt(4 * d * t)), atol=1e-3)


def test_gaussian_spreads_and_decays():
    """M e^(−kt) exp(−x²/(2σ²))/√(2πσ²), σ² = σ₀² + 2Dt."""
    d, k, t, start = 30.0, 0.2, 3.0, 100.0
    grid = tme.Grid(((np.full(240, 1.0)),), origin=(-120.0,))
    x = grid.centers(0)

    def gauss(variance):
        return np.exp(-(x**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)

    model = tme.Model(grid, {"u": tme.Species(gauss(start), d)}, {"decay": fixed(u__loss=k)})
    found = run(model, t).fields["u"][-1]
    wanted = np.exp(-k * t) * gauss(start + 2 * d * t)
    np.testing.assert_allclose(found, wanted, atol=1e-3 * wanted.max())


def test_robin_side_fills_a_thin_slab_exponentially():
    """Biot number 1e-3: u = U(1 − exp(−κt/L)) to first order in Bi."""
    length, d, transfer, t = 10.0, 1000.0, 0.1, 70.0
    grid = tme.Grid.line(length, 10)
    model = tme.Model(grid, {"u": tme.Species(0.0, d, {"x-": tme.Robin(transfer, 2.0)})})
    found = float(run(model, t).fields["u"][-1].mean())
    bi = transfer * length / d
    assert found == pytest.approx(2.0 * (1 - np.exp(-transfer / length * t / (1 + bi / 3))), rel=1e-4)


def grows(clock, state, tissue, rate):
    return {"u.source": rate * state["u"], "u.loss": rate * state["u"]}


@pytest.mark.parametrize(
    ("d", "rate", "speed"),
    [(0.13 * mm**2 / day, 0.012 / day, 28.8 * mm / (365 * day)), (0.36 / hour, np.log(2) / (48 * hour), 0.144)],
    ids=["glioma", "cells"],
)
def test_fisher_wave_speed(d, rate, speed):
    """V16: 2√(Dr) with Bramson's delay, dx/dt = 2√(Dr)(1 − 3/(4rt)), within 2 % between rt = 20 and 30."""
    assert 2 * np.sqrt(d * rate) == pytest.approx(speed, rel=5e-3)
    width = np.sqrt(d / rate)
    grid = tme.Grid.line(80 * width, 640)
    x = grid.centers(0)
    model = tme.Model(
        grid, {"u": tme.Species(np.where(x < 4 * width, 1.0, 0.0), d)}, {"growth": process(grows, rate=rate)}
    )
    times = np.array([20.0, 30.0]) / rate
    scenario = tme.Scenario(model, until=float(times[-1]))
    control = tme.StepControl(rtol=1e-4, longest=1e6, first=1e-3 / rate)
    solution = tme.simulate(scenario, save=list(times), precision="f64", control=control)
    front = [np.interp(-0.5, -u, x) for u in solution.fields["u"][1:]]
    delay = 0.75 * np.log(1.5) / 10.0  # ∫3/(4rt) d(rt) over the span
    assert (front[1] - front[0]) / (times[1] - times[0]) == pytest.approx(speed * (1 - delay), rel=0.02)


def test_chemotactic_equilibrium_is_a_boltzmann_profile():
    """Zero flux: D u′ = v u with v = χ c′, hence u ∝ exp(χc/D), to the order of the scheme (1 % at 100 cells)."""
    grid = tme.Grid.line(1.0, 100)
    x = grid.centers(0)
    d, drift = 0.1, 0.3
    faces = np.full(101, drift)
    model = tme.Model(grid, {"u": tme.Species(1.0, d)}, {"v": process(_carried, v=faces)})
    found = run(model, 10.0, rtol=1e-6).fields["u"][-1]
    wanted = np.exp(drift * x / d)
    np.testing.assert_allclose(found, wanted / wanted.mean(), rtol=0.01)


def _carried(clock, state, tissue, v):
    return {"u.velocity": (v,)}


def test_saturating_front_grows_as_the_root_of_time():
    """V13-like: a fast, deep binding capacity B ≫ c₀ is filled by a front x_f = √(2Dc₀t/B)."""
    d, c0, capacity, on = 1000.0, 1.0, 20.0, 10.0
    grid = tme.Grid.line(300.0, 150)

    def binding(clock, state, tissue):
        free = jnp.maximum(capacity - state["b"], 0.0)
        return {"u.loss": on * free, "b.source": on * capacity * state["u"], "b.loss": on * state["u"]}

    species = {"u": tme.Species(0.0, d, {"x-": tme.Dirichlet(c0)}), "b": tme.Species(0.0, kind="local")}
    model = tme.Model(grid, species, {"binding": process(binding)})
    scenario = tme.Scenario(model, until=400.0)
    control = tme.StepControl(rtol=1e-3)
    solution = tme.simulate(scenario, save=[100.0, 400.0], precision="f64", control=control)
    assert solution.ok
    depth = solution.fields["b"][1:].sum(axis=1) * 2.0 / capacity
    wanted = np.sqrt(2 * d * c0 * np.array([100.0, 400.0]) / capacity)
    np.testing.assert_allclose(depth, wanted, rtol=0.03)
    assert depth[1] / depth[0] == pytest.approx(2.0, rel=0.02)
