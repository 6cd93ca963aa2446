"""The same physics along x and along y, mirrored, in fewer dimensions, in a batch, in single precision."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.operators import gradient
from tmepde.process import process

N, M = 8, 4


def mixed(clock, state, tissue, chi, rate):
    return {
        "u.velocity": tuple(chi * g for g in gradient(tissue.grid, state["c"])),
        "u.source": rate * state["u"] * state["q"],
        "u.loss": 0.3 * state["u"],
        "c.source": state["u"],
        "c.loss": 2.0 + 0.0 * state["c"],
        "q.loss": 4.0 * state["u"] / (0.3 + state["q"]),
    }


def scenario(grid, axis, u, d, flip=False):
    low, high = (f"{axis}+", f"{axis}-") if flip else (f"{axis}-", f"{axis}+")
    species = {
        "u": tme.Species(u, d, {low: tme.Robin(0.2, 2.0)}),
        "c": tme.Species(0.1, 0.6, {high: tme.Dirichlet(0.5)}),
        "q": tme.Species(1.0, 2.0, {low: tme.Dirichlet(1.0)}, kind="quasi_steady"),
    }
    model = tme.Model(grid, species, {"p": process(mixed, chi=0.4, rate=0.5)})
    return tme.Scenario(model, until=1.0)


CONTROL = tme.StepControl(dt=0.1, rtol=1e-12)


def end(scenario, precision="f64", control=CONTROL):
    solution = tme.simulate(scenario, precision=precision, control=control)
    assert solution.ok
    return {n: np.asarray(f[-1]) for n, f in solution.fields.items()}


LINE = np.linspace(1.0, 2.0, N) ** 2
SPREAD = 0.1 + 0.05 * np.sin(np.arange(N))
#: a varying profile across, so that no direction is trivial
ACROSS = 1.0 + 0.3 * np.cos(np.arange(M))


@functools.cache
def along(axis):
    if axis == "line":
        return end(scenario(tme.Grid.line(1.2, N), "x", LINE, SPREAD))
    if axis == "x":
        return end(scenario(tme.Grid.box((0.6, 1.2), (M, N)), "x", np.outer(ACROSS, LINE), np.outer(ACROSS, SPREAD)))
    return end(scenario(tme.Grid.box((1.2, 0.6), (N, M)), "y", np.outer(LINE, ACROSS), np.outer(SPREAD, ACROSS)))


@pytest.mark.slow
def test_x_and_y_are_the_same():
    for name, u in along("x").items():
        np.testing.assert_allclose(u, along("y")[name].T, rtol=1e-10)


@pytest.mark.slow
def test_reflection():
    mirrored = end(scenario(tme.Grid.line(1.2, N), "x", LINE[::-1].copy(), SPREAD[::-1].copy(), flip=True))
    for name, u in along("line").items():
        np.testing.assert_allclose(mirrored[name][::-1], u, rtol=1e-11)


@pytest.mark.slow
def test_a_plane_that_is_uniform_across_is_a_line():
    """Direct elimination in one dimension against multigrid-preconditioned conjugate gradients in two."""
    box = tme.Grid.box((0.6, 1.2), (M, N))
    plane = end(scenario(box, "x", np.broadcast_to(LINE, (M, N)).copy(), np.broadcast_to(SPREAD, (M, N)).copy()))
    for name, u in along("line").items():
        np.testing.assert_allclose(plane[name], np.broadcast_to(u, (M, N)), rtol=1e-10)


def test_a_translated_periodic_problem_is_translated():
    x = np.arange(N)
    u = 1.0 + 0.5 * np.sin(2 * np.pi * x / N) + 0.2 * np.cos(4 * np.pi * x / N)

    def run(shift):
        grid = tme.Grid.line(1.2, N, periodic=True)
        species = {"u": tme.Species(np.roll(u, shift), np.roll(SPREAD, shift)), "c": tme.Species(0.1, 0.6)}

        model = tme.Model(grid, species, {"p": process(taxis, chi=0.4)})
        return end(tme.Scenario(model, until=1.0))

    for name, moved in run(5).items():
        np.testing.assert_allclose(np.roll(run(0)[name], 5), moved, rtol=1e-10)


def taxis(clock, state, tissue, chi):
    return {
        "u.velocity": tuple(chi * g for g in gradient(tissue.grid, state["c"])),
        "c.source": state["u"],
        "c.loss": 2.0 + 0.0 * state["c"],
    }


@pytest.mark.slow
def test_a_quarter_turn():
    """Drift, open sides and varying diffusivity in a square, turned: (y, x) → (x, −y)."""
    rng = np.random.default_rng(4)
    u, d = 1.0 + rng.uniform(size=(N, N)), 0.1 + 0.05 * rng.uniform(size=(N, N))
    straight = end(scenario(tme.Grid.square(1.2, N), "x", u, d))
    turned = end(scenario(tme.Grid.square(1.2, N), "y", np.rot90(u, -1).copy(), np.rot90(d, -1).copy()))
    for name, one in straight.items():
        np.testing.assert_allclose(turned[name], np.rot90(one, -1), rtol=1e-9)


def test_units_of_amount_and_time_do_not_matter():
    """u in thousandths and hours as minutes: the same numbers, rescaled (linear decay, source, diffusion, transfer)."""

    def linear(clock, state, tissue, source, loss):
        return {"u.source": source, "u.loss": loss}

    def run(amount, time):
        side = {"x-": tme.Robin(0.3 / time, 2.0 * amount)}
        species = {"u": tme.Species(LINE * amount, SPREAD / time, side)}
        numbers = {"source": 0.7 * amount / time, "loss": 0.4 / time}
        model = tme.Model(tme.Grid.line(1.2, N), species, {"p": process(linear, **numbers)})
        control = tme.StepControl(dt=0.1 * time, rtol=1e-12)
        return end(tme.Scenario(model, until=1.0 * time), control=control)["u"]

    np.testing.assert_allclose(run(1e3, 1.0) / 1e3, run(1.0, 1.0), rtol=1e-11)
    np.testing.assert_allclose(run(1.0, 60.0), run(1.0, 1.0), rtol=1e-11)


class Push(tme.Intervention):
    """s += rate, D × factor, u killed by Λ: all three channels."""

    rate: object = tme.param("1/h", doc="source", default=0.1)

    def effects(self, clock, state, tissue):
        return tme.Effects(
            add={"u.source": self.rate * state["c"]}, scale={"u.diffusivity": 1.7}, hazard={"u": 0.3 * clock.step}
        )


@pytest.mark.slow
def test_the_order_of_species_processes_and_therapies_is_irrelevant_to_the_bit():
    one = scenario(tme.Grid.line(1.2, N), "x", LINE, SPREAD).model
    more = {"q": process(extra, rate=0.03)}
    therapies = {"b": Push(rate=0.2), "a": Push(rate=0.7), "c": Push(rate=0.05)}

    def run(turn):
        species = dict(list(one.species.items())[::turn])
        processes = dict(list({**one.processes, **more}.items())[::turn])
        model = tme.Model(one.grid, species, processes)
        return end(tme.Scenario(model, dict(list(therapies.items())[::turn]), until=1.0))

    there, back = run(1), run(-1)
    for name in there:
        np.testing.assert_array_equal(there[name], back[name])


def extra(clock, state, tissue, rate):
    return {"u.source": rate * state["c"], "c.loss": rate}


@pytest.mark.slow
def test_units_of_length_do_not_matter():
    """Lengths × 1000, D × 1e6, transfer and χ accordingly: the same numbers."""
    scale = 1e3
    base = scenario(tme.Grid.line(1.2, N), "x", LINE, SPREAD)
    species = {
        "u": tme.Species(LINE, SPREAD * scale**2, {"x-": tme.Robin(0.2 * scale, 2.0)}),
        "c": tme.Species(0.1, 0.6 * scale**2, {"x+": tme.Dirichlet(0.5)}),
        "q": tme.Species(1.0, 2.0 * scale**2, {"x-": tme.Dirichlet(1.0)}, kind="quasi_steady"),
    }
    grid = tme.Grid.line(1.2 * scale, N)
    model = tme.Model(grid, species, {"p": process(mixed, chi=0.4 * scale**2, rate=0.5)})
    large = end(tme.Scenario(model, until=base.until.item()))
    for name, u in along("line").items():
        np.testing.assert_allclose(large[name], u, rtol=1e-10)


@pytest.mark.slow
def test_single_precision_is_close_to_double():
    """Fixed steps: what differs is rounding, about 1e-6 after ten steps."""
    control = tme.StepControl(dt=0.1, rtol=1e-6)
    single = end(scenario(tme.Grid.line(1.2, N), "x", LINE, SPREAD), "f32", control)
    for name, u in along("line").items():
        assert single[name].dtype == np.float32
        np.testing.assert_allclose(single[name], u, rtol=2e-5)


@pytest.mark.slow
def test_a_batch_is_its_members():
    """vmap over parameters: every member takes its own adaptive steps and ends where it ends alone."""
    base = scenario(tme.Grid.line(1.2, N), "x", LINE, SPREAD)
    rates = [0.1, 2.0]

    def final(rate):
        one = base.replace("model.processes.p.numbers.rate", rate)
        return tme.simulate(one, precision="f64").fields["u"][-1]

    together = jax.vmap(final)(jnp.asarray(rates))
    for rate, u in zip(rates, together, strict=True):
        np.testing.assert_allclose(u, final(rate), rtol=1e-12)


@pytest.mark.slow
def test_a_small_sphere_in_a_cube_is_the_radial_sphere():
    """First-order uptake from a uniform start in a ball of 100 µm, closed by a mask: compared inside 80 µm within 2 %.

    A spherical source in the middle spreads and decays; by the end little has met the edge.
    """
    k, d, until = 0.5, 400.0, 1.0
    radial = tme.Grid.radial(100.0, 50)
    r = radial.centers(0)

    def blob(r):
        return np.exp(-((r / 25.0) ** 2))

    def decay(clock, state, tissue):
        return {"u.loss": k}

    ball = tme.Model(radial, {"u": tme.Species(blob(r), d)}, {"k": process(decay)})
    line = tme.simulate(tme.Scenario(ball, until=until), precision="f64").fields["u"][-1]
    n = 24
    x = (np.arange(n) + 0.5) / n * 200.0 - 100.0
    distance = np.sqrt(x[:, None, None] ** 2 + x[None, :, None] ** 2 + x[None, None, :] ** 2)
    cube = tme.Grid(tuple(np.full(n, 200.0 / n) for _ in range(3)), mask=distance < 100.0)
    model = tme.Model(cube, {"u": tme.Species(blob(distance), d)}, {"k": process(decay)})
    found = tme.simulate(tme.Scenario(model, until=until), precision="f64").fields["u"][-1]
    inner = distance < 80.0
    wanted = np.interp(distance[inner], r, line)
    np.testing.assert_allclose(found[inner], wanted, atol=0.02 * line.max())
