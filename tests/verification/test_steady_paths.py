"""Where ``steady_state`` goes: to the attractor of the start, keeping what is conserved, and with true words."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.process import process
from tmepde.steady import continuation

POINT = tme.Grid.point()


def local(law, **initial):
    species = {n: tme.Species(u, kind="local") for n, u in initial.items()}
    return tme.Model(POINT, species, {"law": law})


def allee(clock, state, tissue):
    """u' = u (1 − u) (u − ¼): 0 and 1 attract, ¼ repels."""
    u = state["u"]
    return {"u.source": 1.25 * u * u, "u.loss": 0.25 + u * u}


def brusselator(clock, state, tissue, b):
    """a' = 1 + a² b − (B + 1) a , b' = B a − a² b: the balance (1, B) is a focus, and repels from B = 2 on."""
    u = state["a"]
    return {"a.source": 1.0 + u**2 * state["b"], "a.loss": b + 1.0, "b.source": b * u, "b.loss": u**2}


def logistic(clock, state, tissue):
    return {"u.source": state["u"], "u.loss": state["u"]}


def carried(clock, state, tissue, v):
    return {"u.velocity": (v,)}


def box(cells, radius=10.0):
    """A closed sphere in which a drift of 1.3 µm/h goes outwards, D = 2 µm²/h: u ∝ exp(0.65 r)."""
    v = np.zeros(cells + 1)
    v[1:-1] = 1.3
    grid = tme.Grid.radial(radius, cells)
    return grid, tme.Model(grid, {"u": tme.Species(1.0, 2.0, drift="scharfetter_gummel")}, {"p": process(carried, v=v)})


def test_single_precision_keeps_the_total_of_a_closed_box():
    """In float32 it became 0.25 of what it was in a sphere, 1.5 in a ring and 2e-11 on a stretched line."""
    grid, model = box(64)
    with jax.enable_x64(False):
        found = tme.steady_state(model)
        assert found.ok and found.fields["u"].dtype == np.float32
        assert jnp.sin(found.state["u"]).dtype == np.float32  # of use where 64-bit mode is off
        assert tme.simulate(tme.Scenario(model, until=0.1)).ok
    u = np.asarray(found.fields["u"][-1], np.float64)
    assert float(grid.integrate(u) / grid.integrate(np.ones(64))) == pytest.approx(1.0, abs=1e-6)
    shape = np.exp(0.65 * np.asarray(grid.centers(0)))
    np.testing.assert_allclose(u / u[0], shape / shape[0], rtol=1e-5)


@pytest.mark.slow
def test_what_is_conserved_is_kept_to_round_off():
    """Exchange at 1e6/h between two fields lost 3.5e-7 of their sum in float64, a closed box with taxis 1.3e-5."""

    def exchange(clock, state, tissue, k):
        a, b = state["a"], state["b"]
        return {"a.source": k * b, "a.loss": 2.0 * k, "b.source": 2.0 * k * a, "b.loss": k}

    grid = tme.Grid.line(10.0, 40)
    x = np.asarray(grid.centers(0))
    species = {"a": tme.Species(1.0 + np.cos(x), 1.0), "b": tme.Species(0.2, 0.01)}
    found = tme.steady_state(tme.Model(grid, species, {"p": process(exchange, k=1e6)}), precision="f64")
    total = float(np.mean(1.2 + np.cos(x)))
    a, b = (found.fields[n][-1] for n in "ab")
    assert found.ok and float(np.mean(a + b)) == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(a, total / 3.0, rtol=1e-7)

    def drawn(clock, state, tissue):
        velocity = tme.operators.taxis_velocity(tissue.grid, state["c"], 1.5)
        return {"u.velocity": velocity, "c.source": state["u"], "c.loss": 1.0}

    species = {"u": tme.Species(1.0 + 0.3 * np.cos(np.pi * x / 10.0), 1.0), "c": tme.Species(1.0, 1.0)}
    found = tme.steady_state(tme.Model(grid, species, {"p": process(drawn)}), precision="f64")
    assert found.ok and float(np.mean(found.fields["u"][-1])) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(("start", "end"), [(0.24, 0.0), (0.2501, 1.0), (0.26, 1.0), (0.5, 1.0)])
def test_the_attractor_of_the_start_is_found(start, end):
    """From 0.2501 it was ¼, which repels, and from 0.26 nothing was left."""
    found = tme.steady_state(local(process(allee), u=start), precision="f64")
    assert found.ok and float(found.fields["u"][-1][0]) == pytest.approx(end, abs=1e-9)


def test_growth_from_next_to_nothing_arrives():
    """From 1e-6 it was 3e-4 after 200 steps. The unit is of no account: 1e-30 is a value like any other."""
    found = tme.steady_state(local(process(logistic), u=1e-6))
    assert found.ok and float(found.fields["u"][-1][0]) == pytest.approx(1.0, rel=1e-6)

    def small(clock, state, tissue):
        return {"u.source": state["u"], "u.loss": state["u"] / 1e-30}

    found = tme.steady_state(local(process(small), u=1e-31))
    assert found.ok and float(found.fields["u"][-1][0]) == pytest.approx(1e-30, rel=1e-6)


def test_newton_alone_finds_what_repels_and_says_so():
    with pytest.warns(UserWarning, match="unstable: small deviations grow at 0.188 per hour"):
        found = tme.steady_state(local(process(allee), u=0.26), first=1e9)
    assert found.ok and float(found.fields["u"][-1][0]) == pytest.approx(0.25, rel=1e-6)
    assert "unstable" in found.message


def test_a_focus_that_repels_is_named():
    """B = 2.5: the eigenvalues are ¼ ± 0.968i per hour."""
    with pytest.warns(UserWarning, match=r"grow at 0.25 per hour, oscillating with a period of 6.49 h"):
        found = tme.steady_state(local(process(brusselator, b=2.5), a=1.2, b=2.5))
    assert found.ok and "unstable" in found.message


def test_a_limit_cycle_is_no_steady_state():
    """b = 8e9 with rates of 8e8 was called one."""
    with pytest.warns(UserWarning, match="No steady state was found: .* oscillates"):
        found = tme.steady_state(local(process(brusselator, b=4.0), a=1.2, b=2.5), limit=180)
    assert not found.ok and float(found.fields["b"][-1][0]) < 100.0


def test_an_oscillation_without_damping_is_named():
    """Lotka and Volterra's cycles about (1, 1), 2π h long."""

    def preyed(clock, state, tissue):
        a, b = state["a"], state["b"]
        return {"a.source": a, "a.loss": b, "b.source": a * b, "b.loss": 1.0}

    with pytest.warns(UserWarning, match="neither grow nor die away, but oscillate with a period of 6.28 h"):
        tme.steady_state(local(process(preyed), a=1.2, b=0.5))


@pytest.mark.slow
def test_a_mode_that_grows_is_found_among_many_unknowns():
    """More than are looked at one by one: the start lies in ¼ itself, and the mode grows at 3/16 per hour."""
    grid = tme.Grid.line(50.0, 500)
    model = tme.Model(grid, {"u": tme.Species(0.25, 1.0)}, {"law": process(allee)})
    with pytest.warns(UserWarning, match="unstable: small deviations grow at 0.18"):
        tme.steady_state(model)
    bump = 0.25 + 0.002 * (1.0 + np.cos(np.pi * np.asarray(grid.centers(0)) / 50.0))
    found = tme.steady_state(model := tme.Model(grid, {"u": tme.Species(bump, 1.0)}, model.processes))
    assert found.ok and not found.sentence
    np.testing.assert_allclose(found.fields["u"][-1], 1.0, rtol=1e-6)


def test_a_step_that_leads_to_nothing_finite_is_taken_back():
    """u' = −ln u from 10: Newton's first step goes to −13, where there is no logarithm."""

    def law(clock, state, tissue):
        return {"u.source": -jnp.log(state["u"])}

    model = tme.Model(POINT, {"u": tme.Species(10.0, kind="local", signed=True)}, {"law": process(law)})
    found = tme.steady_state(model, first=1e9)
    assert found.ok and float(found.fields["u"][-1][0]) == pytest.approx(1.0, rel=1e-6)
    assert int(found.statistics["rejected"]) > 0


@pytest.mark.slow
def test_what_is_not_solved_is_not_accepted(monkeypatch):
    monkeypatch.setattr(continuation, "_PRODUCTS", 1)
    with pytest.warns(UserWarning, match="No steady state was found: `u`"):
        assert not tme.steady_state(box(48, 7.0)[1], limit=40).ok


def test_rates_that_are_not_finite_are_named():
    def law(clock, state, tissue):
        return {"u.source": 1.0 / (state["u"] - state["u"]), "u.loss": 1.0}

    with pytest.warns(UserWarning, match="after .* steps `u` becomes infinite or NaN"):
        found = tme.steady_state(local(process(law), u=1.0))
    assert not found.ok and float(found.fields["u"][-1][0]) == 1.0


@pytest.mark.slow
def test_what_cannot_settle_is_told_why():
    """The remedy was a loss or an open side, also for what has a loss or no source at all."""

    def growing(clock, state, tissue):
        return {"u.source": 2.0 * state["u"], "u.loss": 1.0}

    with pytest.warns(UserWarning, match="grows for ever, faster than it is lost"):
        tme.steady_state(local(process(growing), u=1.0))
    with pytest.warns(UserWarning, match="Nothing makes or removes it"):
        tme.steady_state(box(24)[1], limit=4)
    with pytest.warns(UserWarning, match="Raise `limit`"):
        tme.steady_state(local(process(logistic), u=1e-6), limit=4)


def test_a_budget_without_a_run_is_unknown():
    """Sums of zeros gave an error of 0.2 to 0.5 to states that are right."""
    found = tme.steady_state(local(process(logistic), u=0.5)).budgets["u"]
    assert float(found["initial"]) == 0.5 and float(found["final"]) == pytest.approx(1.0)
    assert all(np.isnan(found[n]) for n in ("produced", "lost", "inflow", "killed", "clipped", "error"))
