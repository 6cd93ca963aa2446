"""Step control, and single steps of the schemes."""

from __future__ import annotations

import collections
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.integrate import advance, first_progress
from tmepde.model import System
from tmepde.operators import gradient
from tmepde.process import process
from tmepde.schedule import Clock
from tmepde.steppers import BackwardEuler, NewtonKrylov, Rosenbrock2, Rosenbrock3, SemiDiscrete, StepControl, account
from tmepde.steppers.blocks import SMALL, together
from tmepde.steppers.cellwise import growth
from tmepde.steppers.krylov import gmres
from tmepde.steppers.newton_krylov import SCHEMES
from tmepde.steppers.tableau import EULER, ROS34PW2, ros2


def model():
    return tme.Model(tme.Grid.line(1.0, 4), {"u": tme.Species(1.0, 1.0)})


@pytest.mark.parametrize(
    ("control", "precision", "words"),
    [
        (StepControl(rtol=1e-7), "f32", "at least 1e-06 in f32.*precision='f64'"),
        (StepControl(rtol=0.0), "f64", "`rtol` must be at least"),
        (StepControl(rtol=float("nan")), "f64", "`rtol` must be at least"),
        (StepControl(dt=0.0), "f32", "`dt` must be positive"),
        (StepControl(dt=-1.0), "f64", "`dt` must be positive"),
        (StepControl(dt=float("nan")), "f64", "`dt` must be positive"),
        (StepControl(max_steps=0), "f64", "`max_steps` must be a whole number of at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(control, precision, words):
    with pytest.raises(ValueError, match=words):
        tme.simulate(tme.Scenario(model(), until=1.0), precision=precision, control=control)


def test_the_smallest_tolerance_of_single_precision_works():
    assert tme.simulate(tme.Scenario(model(), until=1.0), control=StepControl(rtol=1e-6)).ok


def test_the_controller_is_bounded():
    control = StepControl(longest=3.0)

    def following(dt, error, accepted=True):
        return float(control.following(jnp.asarray(dt), jnp.asarray(error), jnp.asarray(accepted)))

    assert following(1.0, 1.0) == pytest.approx(0.9)
    assert following(1.0, 0.0) == 3.0
    assert following(0.1, 1e-12) == pytest.approx(0.4)
    assert following(1.0, 1e9, False) == pytest.approx(0.02)
    assert following(1.0, np.inf, False) == pytest.approx(0.2)
    assert following(1.0, np.nan, False) == pytest.approx(0.2)
    assert following(1.0, 1e-6, False) == pytest.approx(0.9)


def test_the_controller_knows_the_power_of_the_error_estimate():
    control = StepControl()
    dt, error, yes = jnp.asarray(1.0), jnp.asarray(1 / 64.0), jnp.asarray(True)
    for stepper, power in ((Rosenbrock2(), 2), (Rosenbrock3(), 3), (NewtonKrylov(), 3)):
        assert stepper.power == power
        assert float(control.following(dt, error, yes, power)) == pytest.approx(min(4.0, 0.9 * 64 ** (1 / power)))


def two_cells(cells, dynamic=()):
    """A problem of ``cells`` cells in which every second one has three times the volume."""
    volumes = jnp.tile(jnp.asarray([1.0, 3.0]), cells // 2)
    return SimpleNamespace(
        volumes=lambda dtype: volumes.astype(dtype),
        total=lambda x: x if jnp.ndim(x) == 0 else jnp.sum(volumes * x),
        hold=lambda name, u: u,
        system=SimpleNamespace(species=collections.defaultdict(lambda: SimpleNamespace(signed=False, held=None))),
        dynamic=dynamic,
    )


@pytest.mark.parametrize("cells", [2, 2 * SMALL], ids=["one product", "one by one"])
def test_the_error_weighs_by_volume_and_hides_nothing(cells):
    problem = two_cells(cells)

    def judged(delta, scale):
        delta, scale = (jnp.asarray(x) for x in (delta, scale))
        delta, scale = (jnp.tile(x, cells // 2) if jnp.ndim(x) else x for x in (delta, scale))
        calm = {"u": jnp.zeros_like(delta), "calm": jnp.zeros(cells), "level": jnp.asarray(0.0)}
        scales = {"u": scale, "calm": jnp.ones(cells), "level": jnp.asarray(1.0)}
        return float(account.weighted_error(problem, calm, {**calm, "u": delta}, scales, jnp.float32))

    assert judged([2.0, 0.0], [1.0, 1.0]) == pytest.approx((2.0**4 / 4) ** 0.25)  # in a quarter of the volume
    assert 1e3 < judged([1e30, 0.0], [1.0, 1.0]) < np.inf
    assert judged(3.0, 2.0) == pytest.approx(1.5)
    assert judged([0.0, 0.0], [0.0, 0.0]) == 0.0
    for bad in ((np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0)):
        assert not np.isfinite(judged([bad[0], 1.0], [bad[1], 1.0]))
        assert not np.isfinite(judged(bad[0], bad[1]))


@pytest.mark.parametrize("cells", [4, 2 * SMALL], ids=["together", "one by one"])
def test_undershoots_are_removed_without_changing_totals_or_other_fields(cells):
    problem = two_cells(cells, ("below", "above", "level"))
    below = jnp.ones(cells).at[1].set(-0.5)
    state = {"below": below, "above": jnp.linspace(0.0, 1.0, cells), "level": jnp.asarray(2.0)}
    out, budget = account.positive(problem, state, jnp.zeros((3, len(account.BUDGET))))
    assert float(jnp.min(out["below"])) == 0.0
    assert float(problem.total(out["below"])) == pytest.approx(float(problem.total(below)), rel=1e-6)
    assert np.array_equal(out["above"], state["above"]) and float(out["level"]) == 2.0
    assert float(budget[0][account.BUDGET.index("clipped")]) == pytest.approx(1.5)
    assert not np.any(budget[1:])


@pytest.mark.parametrize("cells", [4, 2 * SMALL], ids=["together", "one by one"])
def test_a_table_of_contributions_has_a_row_for_each_species_in_its_order(cells):
    """Fields between compartments, some with coupling terms, increments or drift, some without."""
    names = ("level", "u", "pool", "v")
    problem = two_cells(cells, names)
    full = {n: jnp.ones(cells if n in "uv" else ()) for n in names}
    size = {n: 2.0 * cells if n in "uv" else 1.0 for n in names}

    def of(values):
        return {n: x * full[n] for n, x in values.items()}

    rates = SimpleNamespace(
        source=of({"level": 1.0, "u": 2.0, "pool": 3.0, "v": 4.0}),
        loss=of({"level": 0.1, "u": 0.2, "pool": 0.3, "v": 0.4}),
        side_source=of({"v": 7.0}),
        side_loss=of({"v": 0.5}),
    )
    stage = SimpleNamespace(rates=rates, tendency=full, drift=of({"u": 5.0}))
    found = account.contribution(problem, stage, of(dict.fromkeys(names, 10.0)), of({"u": 1.0}), of({"v": 6.0}), stage)
    wanted = [[1.0, 1.0, 0.0], [2.0, 2.2, 5.0], [3.0, 3.0, 0.0], [10.0, 4.0, 2.0]]
    np.testing.assert_allclose(
        found, [np.multiply(row, size[n]) for n, row in zip(names, wanted, strict=True)], rtol=1e-6
    )


def test_fields_worked_on_together_come_back_by_name_and_shape():
    state = {"b": jnp.arange(6.0).reshape(2, 3), "level": jnp.asarray(2.0), "a": jnp.ones((2, 3))}
    out = together(lambda x, y: x + 10.0 * y, state, {n: u + 1.0 for n, u in state.items()})
    assert list(out) == list(state)
    for name, u in state.items():
        np.testing.assert_array_equal(out[name], u + 10.0 * (u + 1.0))


def decay(clock, state, tissue):
    return {"u.loss": 3.0}


def one_step(stepper, dt):
    problem = SemiDiscrete(
        System(tme.Model(tme.Grid.point(), {"u": tme.Species(2.0, kind="local")}, [process(decay)]), {})
    )
    zero = jnp.asarray(0.0)
    state = problem.system.initial_state(jnp.float64)
    return stepper.step(problem, StepControl(), Clock(zero, zero, zero, jnp.asarray(dt)), state)


def test_the_stability_function_of_the_rosenbrock_scheme():
    """R(z) = (1 + (1 − 2γ) z)/(1 − γz)² for the exact diagonal Jacobian, γ = 1 − 1/√2."""
    gamma = 1.0 - np.sqrt(0.5)
    for dt in (0.01, 0.5, 2.0):
        z = -3.0 * dt
        wanted = (1 + (1 - 2 * gamma) * z) / (1 - gamma * z) ** 2
        result = one_step(Rosenbrock2(), dt)
        if wanted >= 0:
            assert float(result.state["u"][0]) == pytest.approx(2.0 * wanted, rel=1e-12)
        else:
            assert float(result.state["u"][0]) == 0.0  # the undershoot is removed and counts as error
            assert float(result.error) > 1.0


def test_backward_euler_is_one_over_one_plus_z():
    assert float(one_step(BackwardEuler(), 0.5).state["u"][0]) == pytest.approx(2.0 / 2.5, rel=1e-14)


def test_the_error_estimate_is_of_second_order():
    small, half = (float(one_step(Rosenbrock2(), dt).error) for dt in (1e-3, 5e-4))
    assert small / half == pytest.approx(4.0, rel=0.02)


def test_steps_end_on_the_interval_and_leave_no_crumb():
    """A fixed step of 0.3 in an interval of 1: 0.3, 0.3, 0.3, 0.1."""
    problem = SemiDiscrete(System(model(), {}))
    control = StepControl(dt=0.3)
    state = problem.system.initial_state(jnp.float64)
    progress = first_progress(problem, control, jnp.float64)
    zero, one = jnp.asarray(0.0), jnp.asarray(1.0)
    _, progress, log = advance(problem, Rosenbrock2(), control, state, progress, zero, one, record=8)
    np.testing.assert_allclose(log.length[:4], [0.3, 0.3, 0.3, 0.1], rtol=1e-12)
    assert int(log.count) == int(progress.steps) == 4


def test_the_step_size_survives_a_save_time():
    """Twenty saves cost hardly more steps than one: a shortened step does not become the next proposal."""
    scenario = tme.Scenario(
        tme.Model(tme.Grid.point(), {"u": tme.Species(2.0, kind="local")}, [process(decay)]), until=2.0
    )
    control = StepControl(rtol=1e-5)
    few = tme.simulate(scenario, precision="f64", control=control)
    many = tme.simulate(scenario, save=tme.every(0.5), precision="f64", control=control)
    assert many.statistics["steps"] <= few.statistics["steps"] + 2 * 4


@pytest.mark.parametrize("gamma", [-1.0, 0.0, float("nan"), float("inf"), "1.71"])
def test_a_scheme_needs_a_positive_gamma(gamma):
    with pytest.raises(ValueError, match="`gamma` must be a positive number, but"):
        Rosenbrock2(gamma=gamma)


@pytest.mark.parametrize(
    ("tableau", "order"),
    [(ros2(1.0 - 0.5**0.5), 2), (ros2(1.71), 2), (EULER, 1), (ROS34PW2, 3)],
    ids=["ros2", "ros2 1.71", "euler", "ros34pw2"],
)
def test_the_order_conditions_hold_for_any_matrix(tableau, order):
    """All conditions of Hairer & Wanner II, IV.7 with A free, and one order lower for the embedded result; no more."""
    assert max(abs(x) for x in tableau.defects(order).values()) < 1e-14
    assert max(abs(x) for x in tableau.defects(min(order + 1, 3)).values()) > 1e-3 or order == 3
    if order > 1:
        assert max(abs(x) for x in tableau.defects(order - 1, embedded=True).values()) < 1e-14
    assert max(abs(x) for x in tableau.defects(tableau.power, embedded=True).values()) > 1e-3


@pytest.mark.parametrize("tableau", [ros2(1.0 - 0.5**0.5), ROS34PW2, EULER], ids=["ros2", "ros34pw2", "euler"])
def test_the_schemes_are_l_stable(tableau):
    """|R(iy)| ≤ 1 on the imaginary axis (with a pole-free left half-plane: A-stable) and R(−∞) = 0."""
    assert max(abs(tableau.stability(1j * y)) for y in np.geomspace(1e-3, 1e3, 200)) <= 1.0 + 1e-12
    assert abs(tableau.stability(-1e9)) < 1e-7


def test_the_third_order_scheme_is_stiffly_accurate():
    """The last row of α + Γ is b: a stiff component ends on its balance."""
    last = ROS34PW2.full(ROS34PW2.alpha)[-1] + ROS34PW2.full(ROS34PW2.coupling)[-1]
    last[-1] += ROS34PW2.gamma
    np.testing.assert_allclose(last, ROS34PW2.weights, atol=1e-15)


@pytest.mark.parametrize("order", [2, 3])
def test_the_implicit_schemes_meet_their_order_conditions(order):
    """Butcher's conditions for b and b̂: the error estimate is of third order in both."""
    scheme = SCHEMES[order]
    a = np.zeros((scheme.stages + 1,) * 2)
    for i, row in enumerate(scheme.before, start=1):
        a[i, : len(row)] = row
        a[i, i] = scheme.diagonal
    b, c = np.asarray(scheme.weights), a.sum(axis=1)
    embedded = b - np.asarray(scheme.errors)
    np.testing.assert_allclose(c[1:], scheme.times, rtol=1e-15)
    for weights, reached in ((b, order), (embedded, 5 - order)):
        assert weights.sum() == pytest.approx(1.0, abs=1e-14)
        assert weights @ c == pytest.approx(0.5, abs=1e-14)
        third = [weights @ c**2 - 1 / 3, weights @ a @ c - 1 / 6]
        assert (max(map(abs, third)) < 1e-14) == (reached == 3)
    np.testing.assert_allclose(a[-1], b)  # stiffly accurate


@pytest.mark.parametrize("order", [2, 3])
def test_the_stability_function_of_newton_krylov(order):
    """R(z) = 1 + z bᵀ(I − zA)⁻¹1 for a linear problem, whatever GMRES does."""
    scheme = SCHEMES[order]
    a = np.zeros((scheme.stages + 1,) * 2)
    for i, row in enumerate(scheme.before, start=1):
        a[i, : len(row)] = row
        a[i, i] = scheme.diagonal
    z = -3.0 * 0.5
    wanted = 1 + z * np.asarray(scheme.weights) @ np.linalg.solve(np.eye(len(a)) - z * a, np.ones(len(a)))
    assert float(one_step(NewtonKrylov(order), 0.5).state["u"][0]) == pytest.approx(2.0 * wanted, rel=1e-12)


@pytest.mark.parametrize("order", [1, 4, "2"])
def test_an_order_that_does_not_exist_is_refused(order):
    with pytest.raises(ValueError, match="`order` must be 2 or 3"):
        NewtonKrylov(order)


@pytest.mark.parametrize("restart", [8, 40])
def test_gmres_solves_what_numpy_solves(restart):
    """A nonsymmetric matrix of condition 10; each restart goes on where the last one ended."""
    random = np.random.default_rng(1)
    m = 2.0 * np.eye(40) + random.normal(size=(40, 40)) / 10.0
    b = random.normal(size=40)
    found = gmres(lambda v: (jnp.asarray(m) @ v, 1), jnp.asarray(b), 1e-10, 400, restart=restart)
    np.testing.assert_allclose(found.value, np.linalg.solve(m, b), atol=1e-9)
    assert float(found.residual) == pytest.approx(np.linalg.norm(b - m @ found.value), rel=1e-2, abs=1e-14)
    assert int(found.count) == int(found.cost)
    few = gmres(lambda v: (jnp.asarray(m) @ v, 1), jnp.asarray(b), 1e-10, 3, restart=restart)
    assert int(few.count) == 3 and float(few.residual) > 1e-10
    np.testing.assert_array_equal(gmres(lambda v: (v, 1), jnp.zeros(4), 0.0, 9).value, 0.0)


def everything(clock, state, tissue):
    u, c, o, m, p = (state[n] for n in "ucomp")
    return {
        "u.source": u * o / (0.3 + o),
        "u.loss": 0.2 + 0.1 * u,
        "u.velocity": tuple(0.3 * g for g in gradient(tissue.grid, c)),
        "c.source": u + 0.1 * p,
        "c.loss": 1.0,
        "o.loss": 3.0 * u / (0.3 + o),
        "m.source": 0.1 * u,
        "m.loss": 0.5,
        "p.source": 0.2,
        "p.loss": 1.0,
    }


def small(grid):
    x = grid.coordinates()[-1]
    species = {
        "u": tme.Species(1.0 + 0.5 * np.cos(3.0 * x), 0.1),
        "c": tme.Species(0.4, 0.4),
        "o": tme.Species(1.0, 1.0, {"x+": tme.Dirichlet(1.0)}, kind="quasi_steady"),
        "m": tme.Species(0.3, kind="local"),
        "p": tme.Species(1.0, kind="compartment"),
    }
    return tme.Scenario(tme.Model(grid, species, {"everything": process(everything)}), until=1.0)


HOLED = np.ones((6, 7), bool)
HOLED[2:4, 3] = False


@pytest.mark.parametrize(
    "stepper",
    [Rosenbrock3(), NewtonKrylov()],
    ids=["rosenbrock 3", "newton"],
)
@pytest.mark.slow
@pytest.mark.parametrize(
    "grid",
    [
        tme.Grid.box((1.0, 1.2), (6, 7), mask=HOLED),
        tme.Grid.box((1.0, 1.0, 1.0), (4, 3, 4)),
    ],
    ids=["mask", "box"],
)
def test_all_kinds_of_species_on_all_grids_in_float32(stepper, grid):
    """Against Rosenbrock2 in float64 at a hundredth of the tolerance; budgets to float32 round-off; inert outside."""
    control, fine = tme.StepControl(rtol=1e-3), tme.StepControl(rtol=1e-5)
    found = tme.simulate(small(grid), control=control, stepper=stepper)
    wanted = tme.simulate(small(grid), precision="f64", control=fine)
    assert found.ok, found.message
    for name in "ucomp":
        a, b = found.fields[name][-1], wanted.fields[name][-1]
        assert a.dtype == np.float32 and np.all(np.isfinite(a))
        assert np.sqrt(np.mean((a - b) ** 2)) < 5e-3 * np.sqrt(np.mean(b**2)), name
        if grid.mask is not None and np.ndim(a):
            np.testing.assert_array_equal(a[~np.asarray(grid.mask)], 0.0)
    for budget in found.budgets.values():
        assert float(budget["error"]) < 1e-5


@pytest.mark.slow
def test_uptake_is_no_source_where_a_stage_undershoots():
    """A spike in a sea of saturable uptake: the second stage is evaluated below zero; the step must not enlarge it."""
    grid = tme.Grid.square(320.0, cells=16)
    uptake = tme.process(lambda clock, state, tissue: {"u.loss": 20.0 / (2.5 + state["u"])})
    start = jnp.full((16, 16), 20.0, jnp.float64).at[8, 8].add(1000.0)
    model = tme.Model(grid, {"u": tme.Species(initial=np.asarray(start), diffusivity=1000.0)}, {"uptake": uptake})
    problem = SemiDiscrete(tme.Scenario(model, until=1.0).system)
    zero = jnp.zeros(())
    result = Rosenbrock2().step(problem, StepControl(), Clock(zero, zero, zero, jnp.asarray(2.4)), {"u": start})
    assert float(jnp.sum(result.state["u"])) < float(jnp.sum(start))  # nothing produces u
    assert float(jnp.max(result.state["u"])) < 1020.0


def test_growth_is_the_largest_real_part_whatever_the_units():
    """Random, with fast decays beside slow growth, one molecule that makes two, and units 1e6 apart; then what grows
    too fast to be told."""
    random = np.random.default_rng(3)
    one = random.normal(size=(4, 4)) - 2.0 * np.eye(4)
    fast = np.array([[-1e3, 1.0, 0.0, 0.0], [1e3, -1.0, 0.0, 0.0], [0.0, 0.0, 0.1, 0.0], [0.0, 0.0, 0.0, -5.0]])
    binding = np.array([[-0.4, 0.0, 2.0, 0.0], [-0.3, -0.1, 2.0, 0.0], [0.3, 0.1, -2.0, 0.0], [0.0, 0.0, 0.0, -1.0]])
    units = np.diag([1.0, 1e6, 1.0, 1e-6])
    every = np.stack([one, fast, binding, units @ one @ np.linalg.inv(units)])
    found = growth(jnp.moveaxis(jnp.asarray(every), 0, -1), 0.5)
    wanted = 0.5 * np.max(np.linalg.eigvals(every).real, axis=-1)
    assert found == pytest.approx(wanted, abs=0.03)
    assert not growth(jnp.full((1, 1, 1), 1e12), 0.5)[0] <= 1.0
