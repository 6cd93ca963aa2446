"""Quasi-steady fields reach their balance: zero where nobody makes them, negative where they are signed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

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


def test_a_field_that_begins_at_zero_is_balanced_before_anything_reads_it():
    """0 = 100 − (0.1 + q) q: from zero, the first iterate is 1000."""

    def kinetics(clock, state, tissue):
        return {"q.source": 100.0, "q.loss": 0.1 + state["q"], "x.source": state["q"]}

    species = {"q": tme.Species(diffusivity=1.0, kind="quasi_steady"), "x": tme.Species(kind="local")}
    model = tme.Model(tme.Grid.line(1.0, 4), species, {"kinetics": tme.process(kinetics)})
    found = tme.simulate(tme.Scenario(model, until=1.0), control=tme.StepControl(dt=0.1))
    assert found.fields["q"] == pytest.approx(9.9501249, rel=1e-5)
    assert found.fields["x"][-1] == pytest.approx(9.9501249, rel=1e-5)


@pytest.mark.parametrize("stepper", [None, tme.NewtonKrylov(), tme.ExplicitEuler(), tme.Rosenbrock3()])
def test_a_model_may_be_all_in_balance(stepper):
    """Also in single precision where 64-bit mode is on, as it is here."""
    species = {"q": tme.Species(1.0, 7.0, kind="quasi_steady")}
    process = tme.process(lambda clock, state, tissue: {"q.source": 1.0, "q.loss": 2.0})
    scenario = tme.Scenario(tme.Model(tme.Grid.line(40.0, 8), species, {"p": process}), until=1.0)
    found = tme.simulate(scenario, stepper=stepper)
    assert found.fields["q"].dtype == np.float32 and found.fields["q"][-1] == pytest.approx(0.5)


@pytest.mark.slow
@pytest.mark.parametrize("exchange", [pytest.param(1.0, marks=pytest.mark.slow), 1e4])
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


@pytest.mark.slow
def test_fast_exchange_in_groups_is_that_of_a_direct_solve():
    """a ⇄ b and c ⇄ d exchange a thousand times faster than they are lost, with other diffusivities each, and c takes
    part of b: two groups, one of which drives the other, against the sparse matrix of the same finite volumes."""
    cells, width = 40, 10.0
    grid = tme.Grid.line(cells * width, cells)
    supply, diffusivity = np.exp(-np.asarray(grid.centers(0)) / 80.0), {"a": 100.0, "b": 1e3, "c": 50.0, "d": 1e4}
    links = {("a", "b"): 300.0, ("b", "a"): 1000.0, ("c", "d"): 3000.0, ("d", "c"): 2000.0, ("b", "c"): 0.5}
    names = list(diffusivity)

    def kinetics(clock, state, tissue):
        out = {f"{n}.loss": 1.0 + sum(e for (i, _), e in links.items() if i == n) for n in names}
        gains = {n: sum(e * state[i] for (i, j), e in links.items() if j == n) for n in names}
        return out | {f"{n}.source": gains[n] + (supply if n == "a" else 0.0) for n in names} | {"slow.loss": 0.1}

    identity = np.eye(cells)
    spread = (2 * identity - np.eye(cells, k=1) - np.eye(cells, k=-1)) / width**2
    spread[0, 0] = spread[-1, -1] = 1 / width**2
    rows = {n: {m: np.zeros((cells, cells)) for m in names} for n in names}
    for n in names:
        rows[n][n] += diffusivity[n] * spread + identity
    for (i, j), e in links.items():
        rows[i][i] += e * identity
        rows[j][i] -= e * identity
    matrix = np.block([[rows[n][m] for m in names] for n in names])
    exact = np.linalg.solve(matrix, np.r_[supply, np.zeros(3 * cells)]).reshape(4, cells)

    species = {n: tme.Species(1.0, d, kind="quasi_steady") for n, d in diffusivity.items()}
    species["slow"] = tme.Species(1.0, kind="local")
    model = tme.Model(grid, species, {"kinetics": tme.process(kinetics)})
    found = tme.simulate(tme.Scenario(model, until=1.0), precision="f64")
    assert found.ok, found.message
    for name, wanted in zip(names, exact, strict=True):
        np.testing.assert_allclose(found.fields[name][-1], wanted, atol=1e-3 * wanted.max())  # rtol of the run


@pytest.mark.slow
@pytest.mark.parametrize("periodic", [False, True])
def test_a_closed_potential_without_loss_has_a_balance_where_its_sources_cancel(periodic):
    """0 = D φ″ + cos kx between closed sides, φ = cos(kx)/Dk², in float32, where sums cancel to round-off alone. On the
    mesh k² is (2 − 2 cos kh)/h². With a mean source there is no balance, and that is said."""
    d, length, cells = 100.0, 100.0, 16
    grid = tme.Grid.square(length, cells, periodic=periodic)
    k, h = (2.0 if periodic else 1.0) * np.pi / length, length / cells
    wave = np.cos(k * grid.coordinates()[1])

    def sources(clock, state, tissue, mean):
        return {
            "potential.source": wave * (1.0 + 0.1 * jnp.sin(clock.time)) + mean,
            "u.source": 0.0 * state["potential"],
        }

    species = {"potential": tme.Species(0.0, d, kind="quasi_steady", signed=True), "u": tme.Species(1.0, 1.0)}
    scenario = tme.Scenario(tme.Model(grid, species, {"p": tme.process(sources, mean=0.0)}), until=1.0)
    solution = tme.simulate(scenario)
    assert solution.ok, solution.message
    exact = wave * (1.0 + 0.1 * np.sin(1.0)) / (d * (2.0 - 2.0 * np.cos(k * h)) / h**2)
    np.testing.assert_allclose(solution.fields["potential"][-1], exact, atol=1e-3 * np.max(exact))
    with pytest.warns(UserWarning, match="no balance"):
        assert tme.simulate(scenario.replace("model.processes.p.numbers.mean", 0.1)).status == tme.Status.solver


def test_the_lethal_corner_of_a_krogh_cylinder():
    """Uptake that hardly falls before oxygen is gone (K a 1e-6th of what enters), where 0 = D ∇²c − V supplies cells
    out to r_a(z) < R alone: c = w + V/4D (r² − a²) − V/2D r_a² log(r/a) with c(r_a) = 0 (Krogh & Erlang 1919, without
    diffusion along the vessel). Corrections there took more iterations than were allowed."""
    inner, outer, length, diffusivity, most = 5.0, 30.0, 400.0, 7.2e6, 1.2e6
    grid = tme.Grid.axisymmetric(length, outer, (12, 40), inner=inner)
    z, r = (np.asarray(grid.centers(k)) for k in range(2))
    wall = 95.0 - 40.0 * z / length

    def profile(level, reach, at):
        return level + most / (4 * diffusivity) * (at**2 - inner**2 - 2 * reach**2 * np.log(at / inner))

    oxygen = tme.Species(50.0, diffusivity, {"r-": tme.Dirichlet(wall)}, kind="quasi_steady")
    uptake = tme.process(lambda clock, state, tissue: {"oxygen.loss": most / (state["oxygen"] + 1e-4)})
    run = tme.simulate(
        tme.Scenario(tme.Model(grid, {"oxygen": oxygen}, {"uptake": uptake}), until=1.0), precision="f64"
    )
    assert run.ok, run.message
    reach = [brentq(lambda a, w=w: profile(w, a, a), inner, outer) for w in wall]
    exact = np.stack([np.where(r < a, profile(w, a, r), 0.0) for w, a in zip(wall, reach, strict=True)])
    np.testing.assert_allclose(run.fields["oxygen"][-1][1:-1], exact[1:-1], atol=1e-2 * wall[0])


def test_what_is_made_faster_than_it_can_be_lost_is_told_so():
    """Saturable loss of at most 1/h in a closed box that makes 2/h: it has a loss, which is not the place to look."""
    laws = tme.process(lambda clock, state, tissue: {"q.source": 2.0, "q.loss": 1.0 / (state["q"] + 0.1)})
    model = tme.Model(tme.Grid.line(1.0, 4), {"q": tme.Species(1.0, 1.0, kind="quasi_steady")}, {"laws": laws})
    with pytest.warns(UserWarning, match="Compare its source with its largest loss"):
        run = tme.simulate(tme.Scenario(model, until=1.0), precision="f64")
    assert not run.ok and "Check that it has a loss" not in run.message


def test_two_substrates_that_are_consumed_together():
    """D a″ = k a b = D′ b″ between closed and open ends: what they have in common is no sum, and the correction that
    serves exchange led to infinity. D a − D′ b is constant, and the transported fields end in the same profile."""
    grid, rate, found = tme.Grid.line(1.0, 40), 60.0, {}
    laws = tme.process(lambda clock, state, tissue: {"a.loss": rate * state["b"], "b.loss": rate * state["a"]})
    for kind in ("quasi_steady", "transported"):
        species = {
            "a": tme.Species(1.0, 1.0, {"x+": tme.Dirichlet(1.0)}, kind=kind),
            "b": tme.Species(2.0, 0.4, {"x+": tme.Dirichlet(2.0)}, kind=kind),
        }
        found[kind] = tme.simulate(tme.Scenario(tme.Model(grid, species, {"laws": laws}), until=10.0), precision="f64")
    assert found["quasi_steady"].ok, found["quasi_steady"].message
    a, b = (found["quasi_steady"].fields[n][-1] for n in "ab")
    np.testing.assert_allclose(a - 0.4 * b, 0.2, atol=1e-3)
    np.testing.assert_allclose(a, found["transported"].fields["a"][-1], atol=2e-3)


def test_fast_diagonalisation_can_be_asked_for():
    """0 = D p″ − k p + k is p = 1 − cosh(x/ℓ)/cosh(L/ℓ), the same in every row; the start is in balance too."""
    reach, length = 20.0, 60.0

    def kinetics(clock, state, tissue):
        return {"p.source": 1.0, "p.loss": 1.0}

    sides = {"x+": tme.Dirichlet(0.0)}
    grid = tme.Grid.box((20.0, length), (4, 60))
    model = tme.Model(
        grid, {"p": tme.Species(0.0, reach**2, sides, kind="quasi_steady")}, {"kinetics": tme.process(kinetics)}
    )
    found = tme.simulate(tme.Scenario(model, until=1.0), solver="fast_diagonal")
    x = np.asarray(grid.coordinates()[1])
    wanted = 1.0 - np.cosh(x / reach) / np.cosh(length / reach)
    assert found.ok
    for field in found.fields["p"]:
        assert field == pytest.approx(wanted, abs=1e-3)
