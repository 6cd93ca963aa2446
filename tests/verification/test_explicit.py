"""Explicit stepping: order, stability, positivity, budgets, derivatives; exact answers by matrix exponential."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
from ladder import fixed, matrix, orders

import tmepde as tme
from tmepde.model import System
from tmepde.operators.uniform import ghosted, uniform_laplacian
from tmepde.process import process
from tmepde.schedule import Clock
from tmepde.steppers import SemiDiscrete, explicit_rate
from tmepde.steppers.chebyshev import STAGES, coefficients, reach
from tmepde.steppers.explicit_terms import terms, weighted_sum

GRIDS = {
    "line": tme.Grid.line(1.0, 24),
    "unequal": tme.Grid([np.linspace(0.5, 1.5, 9) / 9.0, np.full(7, 0.1)]),
    "periodic": tme.Grid.box((1.0, 1.3), (10, 12), periodic=(True, False)),
    "sphere": tme.Grid.radial(1.0, 15),
    "cube": tme.Grid.box((1.0, 0.8, 1.2), (5, 6, 7), periodic=(False, True, False)),
    "masked": tme.Grid.square(1.0, 9, mask=np.hypot(*np.mgrid[-4:5, -4:5]) < 3.7),
}
MANY = ("unequal", "periodic", "cube")  # slow ones: the others need every term too
START = Clock(*(jnp.zeros(()),) * 3, jnp.ones(()))


def problem(model):
    return SemiDiscrete(System(model, {}))


def smooth(grid):
    points = grid.coordinates()
    return 1.5 + sum(np.cos(3.0 * x + i) for i, x in enumerate(points)) / len(points)


# -- the spatial terms ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("diffusivity", ["number", "array"])
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in MANY else n for n in GRIDS])
def test_the_terms_are_those_of_the_other_steppers(name, diffusivity):
    grid = GRIDS[name]
    d = 0.3 if diffusivity == "number" else 0.3 + 0.2 * smooth(grid)
    sides = tme.Robin(0.7, 2.0) if not any(grid.periodic) else None
    model = tme.Model(
        grid,
        {"u": tme.Species(smooth(grid), d, sides), "p": tme.Species(2.0, kind="compartment")},
        [fixed(u__source=1.3, u__loss=0.4, p__loss=0.2)],
    )
    one = problem(model)
    state = {n: one.inside(u) for n, u in one.system.initial_state(jnp.float64).items()}
    there = terms(one, START, state)
    here = one.evaluate(START, state)
    for species in state:
        wanted = np.asarray(here.tendency[species])
        assert np.asarray(there.tendency[species]) == pytest.approx(wanted, rel=1e-12, abs=1e-12 * np.abs(wanted).max())


def test_the_uniform_laplacian_is_exact_for_a_parabola_on_unequal_cells_of_one_width_per_axis():
    grid = tme.Grid.box((2.0, 3.0), (8, 9))
    y, x = grid.coordinates()
    found = np.asarray(uniform_laplacian(grid, ghosted(grid, jnp.asarray(x * x + 3 * y * y))))
    assert found[1:-1, 1:-1] == pytest.approx(8.0, rel=1e-12)


@pytest.mark.parametrize("name", [n for n in GRIDS if n != "masked"] + ["quarters"])
def test_the_fast_sum_is_the_integral(name):
    grid = tme.Grid([np.linspace(0.5, 1.5, 8), np.full(7, 0.1)]) if name == "quarters" else GRIDS[name]
    one = problem(tme.Model(grid, {"u": tme.Species(1.0, 0.3)}))
    values = jnp.asarray(smooth(grid))
    assert float(weighted_sum(one, values)) == pytest.approx(float(one.total(values)), rel=1e-13)


@pytest.mark.parametrize("name", GRIDS)
def test_the_rate_bounds_the_spectrum_and_is_not_far_above_it(name):
    """For pure diffusion ρ is Gershgorin's bound: above the spectral radius, and within a factor 2 of it."""
    grid = GRIDS[name]
    model = tme.Model(grid, {"u": tme.Species(1.0, 0.3)})
    one = problem(model)
    state = one.system.initial_state(jnp.float64)
    rate = float(explicit_rate(one, START, state))
    op = one.laplacian(("u",), one.system.coefficients(START, state), state)
    op = op.expanded() if hasattr(op, "expanded") else op
    volumes = np.asarray(grid.volumes()).ravel() / grid.solid_angle
    keep = volumes > 0
    full = matrix(op).toarray()[np.ix_(keep, keep)] / np.sqrt(volumes[keep])[:, None] / np.sqrt(volumes[keep])
    radius = np.linalg.eigvalsh(full).max()
    assert radius <= rate * (1 + 1e-12)
    assert rate < 2.0 * radius


# -- the scheme -------------------------------------------------------------------------------------------------------


def chebyshev(stages, f, u, t, dt):
    """One step by the table, as the docstring of the module writes it."""
    rows = coefficients(stages)
    base = f(t, u)
    before, newest = 0.0 * u, dt * rows[0, 2] * base
    for mu, nu, tilde, gamma, c in rows[1:]:
        slope = f(t + c * dt, u + newest)
        before, newest = newest, mu * newest + nu * before + dt * (tilde * slope + gamma * base)
    return u + before, newest


@pytest.mark.parametrize("stages", STAGES)
def test_every_number_of_chebyshev_stages_is_of_second_order_with_an_estimate_of_third(stages):
    def f(t, u):
        return np.array([-u[0] * u[1] + np.cos(t), u[0] - u[1] ** 2])

    start = np.array([1.0, 0.5])
    exact = scipy.integrate.solve_ivp(f, (0, 0.8), start, method="DOP853", rtol=1e-13, atol=1e-14).y[:, -1]
    errors, estimates = [], []
    for count in (16, 32, 64):
        u, dt = start, 0.8 / count
        for i in range(count):
            u, estimate = chebyshev(stages, f, u, i * dt, dt)
        errors.append(np.abs(u - exact).max())
        estimates.append(np.abs(estimate).max())
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.1)
    assert orders(estimates)[-1] == pytest.approx(3.0, abs=0.15)


@pytest.mark.parametrize("stages", STAGES)
def test_chebyshev_stages_are_stable_as_far_as_they_say(stages):
    """|R(−z)| ≤ 1 for 0 ≤ z ≤ reach, reach ≥ 0.58 (s² − 1): nine tenths of the ⅔ (s² − 1) of the literature, less ε."""
    z = np.linspace(0.0, reach(stages), 4000)
    grown, _ = chebyshev(stages, lambda t, u: -z * u, np.ones_like(z), 0.0, 1.0)
    assert np.abs(grown).max() <= 1.0 + 1e-9
    assert reach(stages) >= 0.58 * (stages**2 - 1)


# -- the steppers -----------------------------------------------------------------------------------------------------


def heat(cells=32, **options):
    grid = tme.Grid.line(1.0, cells)
    u0 = np.where(np.abs(grid.centers(0) - 0.3) < 0.1, 2.0, 0.0)
    model = tme.Model(grid, {"u": tme.Species(u0, 0.4)}, [fixed(u__loss=1.5, u__source=0.7)])
    return tme.Scenario(model, until=0.05, **options)


def exact_heat(scenario):
    """e^{tA} by scipy, with A assembled face by face."""
    one = problem(scenario.model)
    state = one.system.initial_state(jnp.float64)
    op = one.laplacian(("u",), one.system.coefficients(START, state), state)
    op = op.expanded() if hasattr(op, "expanded") else op
    n = state["u"].size
    a = -matrix(op).toarray() * n - 1.5 * np.eye(n)
    rest = np.linalg.solve(a, -0.7 * np.ones(n))
    return rest + scipy.linalg.expm(0.05 * a) @ (np.asarray(state["u"]) - rest)


def test_euler_is_of_first_order():
    scenario = heat()
    errors = []
    for substep in (4e-4, 2e-4, 1e-4):
        control = tme.StepControl(dt=0.01)
        solution = tme.simulate(scenario, precision="f64", control=control, stepper=tme.ExplicitEuler(substep=substep))
        assert solution.ok and int(solution.statistics["solver_iterations"]) == round(0.05 / substep)
        errors.append(np.abs(solution.fields["u"][-1] - exact_heat(scenario)).max())
    assert orders(errors)[-1] == pytest.approx(1.0, abs=0.1)


def test_chebyshev_is_of_second_order():
    """Steps so short that all take the same two stages: the error constant depends on their number."""
    scenario = heat(cells=16)
    errors = []
    for dt in (2e-3, 1e-3, 5e-4):
        solution = tme.simulate(
            scenario, precision="f64", control=tme.StepControl(dt=dt), stepper=tme.RungeKuttaChebyshev()
        )
        assert solution.ok and int(solution.statistics["solver_iterations"]) == 2 * round(0.05 / dt)
        errors.append(np.abs(solution.fields["u"][-1] - exact_heat(scenario)).max())
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(("stepper", "power"), [(tme.ExplicitEuler(), 2), (tme.RungeKuttaChebyshev(), 3)])
def test_adaptive_errors_follow_the_tolerance(stepper, power):
    """A local error rtol ∝ Δt^p makes a global one ∝ rtol^((p−1)/p); the factor is below 1 on a damped problem."""
    scenario = heat()
    for rtol in (1e-2, 1e-3, 1e-4):
        solution = tme.simulate(
            scenario, precision="f64", control=tme.StepControl(rtol=rtol, first=1e-4), stepper=stepper
        )
        assert solution.ok
        assert np.abs(solution.fields["u"][-1] - exact_heat(scenario)).max() < rtol ** ((power - 1) / power)


@pytest.mark.parametrize(
    ("stepper", "rtols"),
    [(tme.RungeKuttaChebyshev(), (1e-3, 1e-4, 1e-5)), (tme.ExplicitEuler(), (1e-2, 1e-3, 1e-4))],
    ids=["chebyshev", "euler"],
)
def test_errors_fall_in_proportion_to_the_tolerance(stepper, rtols):
    """As those of the implicit schemes: prey and predators, which damp no error."""

    def kinetics(clock, state, tissue):
        return {"u.source": state["u"], "u.loss": state["v"], "v.source": state["u"] * state["v"], "v.loss": 1.0}

    species = {"u": tme.Species(1.5), "v": tme.Species(1.0)}
    scenario = tme.Scenario(tme.Model(tme.Grid.line(1.0, 2), species, {"k": tme.process(kinetics)}), until=5.0)
    exact = scipy.integrate.solve_ivp(
        lambda t, y: [y[0] * (1 - y[1]), y[1] * (y[0] - 1)], (0, 5), [1.5, 1.0], rtol=1e-10, atol=1e-12
    )
    errors = []
    for rtol in rtols:
        control = tme.StepControl(rtol=rtol)
        found = tme.simulate(scenario, precision="f64", control=control, stepper=stepper)
        errors.append(max(abs(found.fields[n][-1, 0] - e) for n, e in zip("uv", exact.y[:, -1], strict=True)))
    assert errors[0] > 7 * errors[1] > 49 * errors[2]


def test_long_fixed_steps_are_divided_and_stay_stable():
    """Δt = 0.05 h is 41 times Euler's limit of 2/ρ = 1.2e-3 h: one step, divided."""
    solution = tme.simulate(
        heat(), precision="f64", control=tme.StepControl(dt=0.05), stepper=tme.ExplicitEuler(safety=1.0)
    )
    assert solution.ok and int(solution.statistics["steps"]) == 1
    rate = 2 * (2 * 0.4 * 32**2 + 1.5)  # substeps beyond the 256 that are allowed by default would be refused
    assert int(solution.statistics["solver_iterations"]) == np.ceil(0.05 * rate / 2)
    assert np.abs(solution.fields["u"][-1] - exact_heat(heat())).max() < 0.03  # first order, from a jump


@pytest.mark.parametrize("stepper", [tme.ExplicitEuler(most=8), tme.RungeKuttaChebyshev(most=3)], ids=["euler", "rkc"])
def test_a_fixed_step_beyond_the_limit_is_refused(stepper):
    with pytest.warns(UserWarning, match="run ended between"):
        solution = tme.simulate(heat(), precision="f64", control=tme.StepControl(dt=0.05), stepper=stepper)
    assert not solution.ok and int(solution.statistics["steps"]) == 0
    free = tme.simulate(heat(), precision="f64", control=tme.StepControl(first=1e-4), stepper=stepper)
    assert free.ok and int(free.statistics["rejected"]) <= 2


def test_a_limit_that_shrinks_within_a_step_is_noticed():
    """λ = 10 w and w = 1e4 t: at the start of the step there is no limit at all, at its end it is 2e-5 h."""

    def burst(clock, state, tissue):
        return {"w.source": 1e4, "u.loss": 10.0 * state["w"], "u.source": 1.0}

    species = {"u": tme.Species(1.0, kind="local"), "w": tme.Species(0.0, kind="local")}
    scenario = tme.Scenario(tme.Model(tme.Grid.point(), species, [process(burst)]), until=1.0)
    with pytest.warns(UserWarning, match="run ended between"):
        refused = tme.simulate(
            scenario, precision="f64", control=tme.StepControl(dt=1.0), stepper=tme.ExplicitEuler(substep=0.1)
        )
    assert not refused.ok
    taken = tme.simulate(
        scenario, precision="f64", control=tme.StepControl(rtol=1e-2), stepper=tme.ExplicitEuler(most=4096)
    )
    assert taken.ok and taken.fields["u"][-1][0] == pytest.approx(1e-5, rel=0.02)


def test_euler_stays_positive_at_its_limit():
    """A spike with zeros around it, safety 1: nothing is clipped, in both precisions."""
    for precision in ("f32", "f64"):
        solution = tme.simulate(
            heat(), precision=precision, control=tme.StepControl(dt=0.01), stepper=tme.ExplicitEuler(safety=1.0)
        )
        assert solution.ok and solution.fields["u"].min() >= 0.0
        assert float(solution.budgets["u"]["clipped"]) == 0.0


def gray_scott(cells=24, periodic=True, until=40.0, mask=None):
    def kinetics(clock, state, tissue, feed, kill):
        u, v = state["U"], state["V"]
        return {"U.source": feed, "U.loss": feed + v**2, "V.source": u * v**2, "V.loss": feed + kill}

    grid = tme.Grid.square(float(cells), cells, periodic=periodic, mask=mask)
    y, x = grid.coordinates()
    spot = np.exp(-(((x - cells / 2) / 3) ** 2) - ((y - cells / 2.2) / 3) ** 2)
    species = {"U": tme.Species(1 - 0.6 * spot, 0.2), "V": tme.Species(0.5 * spot, 0.1, negligible=1e-6)}
    model = tme.Model(grid, species, {"k": process(kinetics, feed=0.0367, kill=0.0649)})
    return tme.Scenario(model, until=until)


@pytest.mark.slow
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize(
    "stepper",
    [tme.ExplicitEuler(), tme.RungeKuttaChebyshev()],
    ids=["euler", "chebyshev"],
)
def test_budgets_close_and_patterns_agree_with_the_implicit_scheme(stepper, masked):
    mask = np.hypot(*np.mgrid[-11.5:12, -11.5:12]) < 11 if masked else None
    scenario = gray_scott(mask=mask, periodic=not masked)
    control = tme.StepControl(rtol=1e-4)
    one = tme.simulate(scenario, precision="f64", control=control, stepper=stepper)
    two = tme.simulate(scenario, precision="f64", control=control, stepper=tme.Rosenbrock2())
    for name in ("U", "V"):
        assert np.abs(one.fields[name][-1] - two.fields[name][-1]).max() < 0.01
        assert float(one.budgets[name]["error"]) < 1e-12 and float(one.budgets[name]["clipped"]) == 0.0


SPOT = np.hypot(*np.mgrid[-3.5:4, -3.5:4]) < 2
OPERATORS = {
    "held cells": dict(initial=np.where(SPOT, 2.0, 0.5), diffusivity=1.0, held=SPOT),
    "tensor": dict(initial=1.0 + np.mgrid[:8, :8][1] / 8, diffusivity=((1.0, 0.3), (0.3, 0.5))),
    "uneven D, open sides": dict(
        initial=1.0,
        diffusivity=1.0 + np.mgrid[:8, :8][0] / 8,
        boundary={"x-": tme.Dirichlet(3.0), "y": tme.Robin(2.0, 0.5)},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", OPERATORS)
def test_every_operator_works_explicitly(case):
    """Against the implicit scheme, which is tested against exact solutions; both errors are rtol^⅔ or less."""
    grid = tme.Grid.square(8.0, 8)
    model = tme.Model(grid, {"u": tme.Species(**OPERATORS[case])}, [fixed(u__source=0.1, u__loss=0.3)])
    scenario = tme.Scenario(model, until=0.5)
    steppers = (tme.RungeKuttaChebyshev(), tme.Rosenbrock2())
    one, two = (
        tme.simulate(scenario, precision="f64", control=tme.StepControl(rtol=1e-5), stepper=s) for s in steppers
    )
    assert np.abs(one.fields["u"][-1] - two.fields["u"][-1]).max() < 2 * 1e-5 ** (2 / 3)
    assert float(one.budgets["u"]["error"]) < 1e-12


# -- derivatives ------------------------------------------------------------------------------------------------------


CHEBYSHEV = pytest.param(tme.RungeKuttaChebyshev(most=10), marks=pytest.mark.slow)


@pytest.mark.slow
@pytest.mark.parametrize("stepper", [tme.ExplicitEuler(most=16), CHEBYSHEV], ids=["euler", "chebyshev"])
def test_derivatives_agree_with_differences_in_both_modes(stepper):
    """Fixed steps, so that nothing but rounding separates the two: central differences of 1e-4 relative are good to
    1e-8 of truncation and 1e-11 of rounding."""
    scenario = gray_scott(cells=8, until=12.0)
    control = tme.StepControl(dt=3.0)

    def score(feed, gradient):
        changed = scenario.replace("model.processes.k.numbers.feed", feed)
        out = tme.simulate(changed, [12.0], precision="f64", control=control, stepper=stepper, gradient=gradient)
        return jnp.sum(out.fields["V"][-1] ** 2)

    feed, step = jnp.asarray(0.0367), 0.0367e-4
    reverse = float(jax.grad(lambda f: score(f, "reverse"))(feed))
    forward = float(jax.jvp(lambda f: score(f, "forward"), (feed,), (jnp.ones(()),))[1])
    difference = float((score(feed + step, "reverse") - score(feed - step, "reverse")) / (2 * step))
    assert reverse == pytest.approx(difference, rel=1e-6)
    assert forward == pytest.approx(reverse, rel=1e-10)


@pytest.mark.slow
def test_a_batch_runs_each_member_as_if_alone():
    scenario, control = gray_scott(cells=8, until=6.0), tme.StepControl(dt=3.0)

    def run(feed):
        changed = scenario.replace("model.processes.k.numbers.feed", feed)
        return tme.simulate(changed, [6.0], precision="f64", control=control, stepper=tme.ExplicitEuler()).fields["V"][
            -1
        ]

    feeds = jnp.asarray([0.02, 0.05, 0.9])
    together = jax.vmap(run)(feeds)
    for feed, field in zip(feeds, together, strict=True):
        assert np.asarray(field) == pytest.approx(np.asarray(jax.jit(run)(feed)), rel=1e-12)


# -- what else a step owes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stepper", "rtol"), [(tme.ExplicitEuler(), 1e-5), (tme.RungeKuttaChebyshev(), 1e-6)], ids=["euler", "chebyshev"]
)
def test_quasi_steady_fields_stay_in_balance(stepper, rtol):
    """q obeys 0 = 1 − (1 + u) q in a closed box while u decays: q = 1/(1 + u), and u = 2 e^{−t/2} whatever q does."""

    def rates(clock, state, tissue):
        return {"q.source": 1.0, "q.loss": 1.0 + state["u"], "u.loss": 0.5}

    species = {"u": tme.Species(2.0, 1e-3), "q": tme.Species(0.3, 1.0, kind="quasi_steady")}
    scenario = tme.Scenario(tme.Model(tme.Grid.line(1.0, 8), species, [process(rates)]), until=1.0)
    out = tme.simulate(scenario, precision="f64", control=tme.StepControl(rtol=rtol), stepper=stepper)
    assert out.ok
    u, q = (np.asarray(out.fields[n][-1]) for n in ("u", "q"))
    assert q == pytest.approx(1.0 / (1.0 + u), rel=1e-6)
    assert u == pytest.approx(2.0 * np.exp(-0.5), rel=10 * rtol)


def test_drift_is_counted_in_the_limit():
    """Pure advection at 1 µm/h over cells of 0.1 µm: ρ = 2·2·1/0.1 = 40, so that |v|Δt/w ≤ ½."""

    def wind(clock, state, tissue):
        return {"u.velocity": (jnp.ones(41),)}

    grid = tme.Grid.line(4.0, 40, periodic=True)
    u0 = np.exp(-(((grid.centers(0) - 1.0) / 0.3) ** 2))
    model = tme.Model(grid, {"u": tme.Species(u0, 0.0)}, [process(wind)])
    one = problem(model)
    assert float(explicit_rate(one, START, one.system.initial_state(jnp.float64))) == pytest.approx(40.0)
    out = tme.simulate(
        tme.Scenario(model, until=1.0), precision="f64", control=tme.StepControl(dt=0.5), stepper=tme.ExplicitEuler()
    )
    assert out.ok and out.fields["u"][-1].min() >= 0.0
    assert abs(grid.centers(0)[np.argmax(out.fields["u"][-1])] - 2.0) <= 0.1


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_bad_substeps_are_refused(value):
    with pytest.raises(ValueError, match="`substep` must be positive"):
        tme.ExplicitEuler(substep=value)


@pytest.mark.parametrize("value", [1, 101, True, 2.5])
def test_bad_stage_limits_are_refused(value):
    with pytest.raises(ValueError, match="`most` must be from 2 to 100"):
        tme.RungeKuttaChebyshev(most=value)


def test_a_run_without_budgets_says_so():
    out = tme.simulate(
        gray_scott(cells=8, until=4.0), control=tme.StepControl(dt=2.0), stepper=tme.ExplicitEuler(budget=False)
    )
    assert out.ok and np.isnan(out.budgets["U"]["produced"])
