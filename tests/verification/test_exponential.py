"""The exponential stepper: exact where equations are linear, second order where they are not, and chosen by itself."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
from scipy.integrate import solve_ivp

import tmepde as tme


def linear(n: int, axes: int = 2, decay: float = 0.1):
    """Diffusion, decay and a local source in a closed box of 20 µm cells, and the exact semi-discrete solution."""
    length = 20.0 * n
    grid = tme.Grid.box((length,) * axes, (n,) * axes)
    places = grid.coordinates()
    start = 1.0 + np.exp(-sum((x - 0.4 * length) ** 2 for x in places) / (2 * (0.1 * length) ** 2))
    source = 1.0 * (sum((x - 0.5 * length) ** 2 for x in places) < (0.2 * length) ** 2)

    def react(clock, state, tissue, decay, source):
        return {"u.source": source, "u.loss": decay}

    model = tme.Model(
        grid,
        {"u": tme.Species(initial=start, diffusivity=1e5)},
        {"react": tme.process(react, decay=decay, source=source)},
    )
    wave = 1e5 * (2 - 2 * np.cos(np.pi * np.arange(n) / n)) / 400.0
    rate = decay + sum(wave.reshape([-1 if j == k else 1 for j in range(axes)]) for k in range(axes))

    def exact(t):
        modes = scipy.fft.dctn(start) * np.exp(-rate * t) - scipy.fft.dctn(source) * np.expm1(-rate * t) / rate
        return scipy.fft.idctn(modes)

    return tme.Scenario(model, until=1.0), exact


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("precision, bound", [("f64", 1e-12), ("f32", 2e-6)])
def test_linear_equations_are_exact_in_one_step_to_each_save(axes, precision, bound):
    """Against the discrete cosine transform; the stepper is found without being named."""
    scenario, exact = linear(16, axes)
    found = tme.simulate(scenario, save=[0.3, 1.0], precision=precision)
    assert found.statistics["steps"] == 2 and found.statistics["rejected"] == 0
    for time, field in zip((0.3, 1.0), found.fields["u"][1:], strict=True):
        assert np.linalg.norm(field - exact(time)) <= bound * np.linalg.norm(exact(time))


def fisher(stepper, dt=None, rtol=1e-3, boundary=None):
    """Fisher–KPP with saturable uptake of a second field and a compartment that feeds it."""
    grid = tme.Grid.line(100.0, 24)
    bump = np.exp(-(((grid.centers(0) - 30.0) / 10.0) ** 2))

    def react(clock, state, tissue):
        u, o = state["u"], state["o"]
        return {
            "u.source": 0.8 * u * o / (1 + o),
            "u.loss": 0.8 * u,
            "o.source": state["plasma"],
            "o.loss": 0.5 + u,
            "plasma.loss": 0.3,
        }

    species = {
        "u": tme.Species(initial=bump, diffusivity=20.0),
        "o": tme.Species(initial=1.0, diffusivity=200.0, boundary=boundary),
        "plasma": tme.Species(initial=2.0, kind="compartment"),
    }
    scenario = tme.Scenario(tme.Model(grid, species, {"react": tme.process(react)}), until=2.0)
    control = tme.StepControl(dt=dt, rtol=1e-10 if dt else rtol)
    return tme.simulate(scenario, precision="f64", stepper=stepper, control=control)


def reference(boundary: float | None = None):
    """The same equations by scipy's Radau at 1e-11."""
    n, h = 24, 100.0 / 24
    x = (np.arange(n) + 0.5) * h
    matrix = -2 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)
    matrix[0, 0] = matrix[-1, -1] = -1
    outer = matrix.copy()
    push = np.zeros(n)
    if boundary is not None:
        outer[0, 0] = outer[-1, -1] = -3
        push[[0, -1]] = 2 * boundary

    def slope(t, y):
        u, o, plasma = y[:n], y[n:-1], y[-1]
        du = 20.0 / h**2 * matrix @ u + 0.8 * u * o / (1 + o) - 0.8 * u * u
        do = 200.0 / h**2 * (outer @ o + push) + plasma - (0.5 + u) * o
        return np.concatenate([du, do, [-0.3 * plasma]])

    start = np.concatenate([np.exp(-(((x - 30.0) / 10.0) ** 2)), np.ones(n), [2.0]])
    return solve_ivp(slope, (0, 2.0), start, method="Radau", rtol=1e-11, atol=1e-13).y[:, -1]


def gap(solution, exact):
    y = np.concatenate([solution.fields["u"][-1], solution.fields["o"][-1], [solution.fields["plasma"][-1]]])
    return np.linalg.norm(y - exact) / np.linalg.norm(exact)


@pytest.mark.slow
@pytest.mark.parametrize("side", [None, 1.5], ids=["closed", "fixed side"])
def test_nonlinear_equations_are_solved_to_second_order(side):
    boundary = None if side is None else tme.Dirichlet(side)
    exact = reference(side)
    errors = [gap(fisher(tme.Exponential2(), dt, boundary=boundary), exact) for dt in (0.2, 0.1, 0.05, 0.025)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(np.abs(orders[1:] - 2.0) < 0.1), (errors, orders)


@pytest.mark.slow
def test_the_error_follows_the_tolerance():
    exact = reference()
    errors = [gap(fisher(tme.Exponential2(), rtol=rtol), exact) for rtol in (1e-3, 1e-4, 1e-5, 1e-6)]
    assert errors[0] < 1e-2 and all(b < a / 3 for a, b in zip(errors[:-1], errors[1:], strict=True)), errors


@pytest.mark.parametrize("side", [None, 1.5], ids=["closed", "fixed side"])
def test_budgets_close(side):
    """Produced − lost + inflow is the change of the total, by the scheme's own terms: round-off of float64."""
    solution = fisher(tme.Exponential2(), boundary=None if side is None else tme.Dirichlet(side))
    for name, budget in solution.budgets.items():
        assert abs(float(budget["error"])) < 1e-11, (name, budget)


PULSED = {"x": tme.Dirichlet(lambda clock, state: jnp.sin(2 * jnp.pi * clock.time) ** 2)}


def pulse(clock, state, tissue):
    """A source that is zero at the start and at every whole hour."""
    return {"u.source": jnp.sin(2 * jnp.pi * clock.time) ** 2}


@pytest.mark.slow
def balanced(boundary, precision, stepper=None, save=None, rtol=1e-3):
    """A source, a loss, a compartment that is supplied and decays, and a local species."""
    grid = tme.Grid.line(10.0, 20)
    species = {
        "u": tme.Species(1.0 + 0.5 * np.sin(grid.centers(0)), 3.0, boundary),
        "p": tme.Species(2.0, kind="compartment"),
        "b": tme.Species(0.2, kind="local"),
    }
    rates = {"u.source": 0.3, "u.loss": 0.4, "p.loss": 0.2, "p.source": 0.1, "b.source": 0.5, "b.loss": 3.0}
    model = tme.Model(grid, species, {"react": tme.process(lambda clock, state, tissue: rates)})
    options = {"precision": precision, "stepper": stepper, "save": save, "control": tme.StepControl(rtol=rtol)}
    return tme.simulate(tme.Scenario(model, until=50.0), **options)


SIDES = {
    "closed": {},
    "flux": {"x-": tme.PrescribedFlux(0.2)},
    "open": {"x-": tme.Dirichlet(1.0), "x+": tme.Robin(0.3, 2.0)},
}


@pytest.mark.parametrize("side", ["open", *(pytest.param(s, marks=pytest.mark.slow) for s in ("closed", "flux"))])
@pytest.mark.parametrize("save", [None, pytest.param([1.0, 2.0, 50.0], marks=pytest.mark.slow)])
def test_flows_are_integrals_over_the_run_whatever_the_saves(side, save):
    """One step of 50 h counted of a source what of it was left at its end (127 of 600 in a box at rest, with an error
    of 0). Closed boxes against the analytic integral, open ones against another stepper at 1e-6 of tolerance."""
    found = balanced(SIDES[side], "f64", save=save)
    assert found.method.startswith("exponential2") and found.statistics["steps"] <= 5
    fine = balanced(SIDES[side], "f64", tme.Rosenbrock2(), rtol=1e-6)
    for name, budget in found.budgets.items():
        assert budget["error"] < 1e-12, name
        for flow in ("produced", "lost", "inflow"):
            assert budget[flow] == pytest.approx(fine.budgets[name][flow], rel=2e-4, abs=1e-9), (name, flow)
    single = balanced(SIDES[side], "f32", save=save)
    for name, budget in single.budgets.items():
        assert budget["lost"] == pytest.approx(found.budgets[name]["lost"], rel=3e-5), name
    if side == "closed":
        start, settled = found.budgets["u"]["initial"], 10.0 * 0.3 / 0.4
        lost = 0.4 * (settled * 50.0 + (start - settled) * (1.0 - np.exp(-0.4 * 50.0)) / 0.4)
        assert found.budgets["u"]["produced"] == pytest.approx(150.0, rel=1e-12)
        assert found.budgets["u"]["lost"] == pytest.approx(lost, rel=1e-10)


@pytest.mark.slow
def test_the_choice_is_made_by_the_equations():
    """Nonlinear rates, a field of diffusivities, a mask, or drift: Rosenbrock; nothing of the sort: exponential."""
    scenario, _ = linear(8)
    model = scenario.model
    masked = tme.Grid.box((160.0, 160.0), (8, 8), mask=np.eye(8) < 1)
    varied = tme.Species(initial=1.0, diffusivity=np.full((8, 8), 1e5))
    driven = tme.Species(initial=1.0, diffusivity=1e5, boundary=PULSED)
    others = {
        "mask": tme.Model(masked, model.species, model.processes),
        "diffusivity": tme.Model(model.grid, {"u": varied}, model.processes),
        "side": tme.Model(model.grid, {"u": driven}, model.processes),
        "pulse": tme.Model(model.grid, model.species, {"pulse": tme.process(pulse)}),
        "rate": tme.Model(model.grid, model.species, {"square": tme.process(lambda c, s, t: {"u.loss": s["u"]})}),
    }
    assert tme.simulate(scenario).statistics["steps"] == 1
    for name, other in others.items():
        assert tme.simulate(tme.Scenario(other, until=1.0)).statistics["steps"] > 1, name


@pytest.mark.parametrize("kind", ["transported", "local"])
@pytest.mark.parametrize("pulse", [(15.0, 22.0), (1.0, 3.0), (11.6, 11.9)])
def test_a_pulse_in_time_is_met(kind, pulse):
    """1 between two times of 24 h: what lasts longer than a two-hundredth of a run is seen, and then resolved. Steps of
    the whole run passed 7 h of it by."""
    on, off = pulse
    species = tme.Species(1.0, 10.0 if kind == "transported" else 0.0, kind=kind)
    react = tme.process(
        lambda clock, state, tissue: {"u.source": jnp.where((clock.time > on) & (clock.time < off), 1.0, 0.0)}
    )
    found = tme.simulate(tme.Scenario(tme.Model(tme.Grid.line(100.0, 8), {"u": species}, {"react": react}), until=24.0))
    assert np.allclose(found.fields["u"][-1], 1.0 + off - on, atol=0.03)


def test_a_field_of_diffusivities_is_refused():
    grid = tme.Grid.line(10.0, 8)
    model = tme.Model(grid, {"u": tme.Species(initial=1.0, diffusivity=np.linspace(1.0, 2.0, 8))})
    with pytest.raises(ValueError, match="one diffusivity per field"):
        tme.simulate(tme.Scenario(model, until=1.0), stepper=tme.Exponential2())


@pytest.mark.slow
def test_gradients_are_those_of_differences():
    """Through φ functions of D and the decay rate; central differences at 1e-4: 1e-7."""
    scenario, _ = linear(8)

    def total(path):
        def value(x):
            changed = scenario.replace(path, x)
            u = tme.simulate(changed, save=[1.0], precision="f64", stepper=tme.Exponential2()).fields["u"][-1]
            return jnp.sum(u * jnp.arange(64.0).reshape(8, 8) ** 2)

        return value

    for path in ("model.species.u.diffusivity", "model.processes.react.numbers.decay"):
        x = float(scenario.at(path))
        step = 1e-4 * x
        difference = (total(path)(x + step) - total(path)(x - step)) / (2 * step)
        assert abs(float(jax.grad(total(path))(x)) / float(difference) - 1.0) < 1e-6, path


@pytest.mark.parametrize("boundary", [pytest.param(None, marks=pytest.mark.slow), {"x": tme.Dirichlet(0.7)}])
def test_fields_taken_one_by_one_give_what_they_give_together(monkeypatch, boundary):
    """Large fields are transformed one by one; small ones here, to have both. With an open side bases differ by field,
    and sums run in another order: the last digits of float64 may differ, in 20 steps, and those of a transform are
    digits of the largest value, wherever it is."""
    together = fisher(tme.Exponential2(), dt=0.1, boundary=boundary)
    monkeypatch.setattr("tmepde.steppers.exponential.LARGE", 1)
    jax.clear_caches()
    alone = fisher(tme.Exponential2(), dt=0.1, boundary=boundary)
    jax.clear_caches()
    for name in ("u", "o", "plasma"):
        largest = np.max(np.abs(together.fields[name]))
        np.testing.assert_allclose(alone.fields[name], together.fields[name], rtol=1e-11, atol=20 * 2.3e-16 * largest)
        for label, amount in together.budgets[name].items():
            assert alone.budgets[name][label] == pytest.approx(amount, rel=1e-10, abs=1e-11)
