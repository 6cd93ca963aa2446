"""Problems with known solutions that a stranger would try first, through the public names and with default settings."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.special import erfc

import tmepde as tme


def run(model, until, save=None, rtol=1e-4):
    scenario = model if isinstance(model, tme.Scenario) else tme.Scenario(model, until=until)
    solution = tme.simulate(scenario, save=save, precision="f64", control=tme.StepControl(rtol=rtol))
    assert solution.ok, solution.message
    return {n: np.asarray(u) for n, u in solution.fields.items()}


def local(value, **keys):
    return tme.Species(value, kind="local", **keys)


# -- sides ------------------------------------------------------------------------------------------------------------


def test_one_cell_empties_through_its_side():
    """The way from the centre to the face is w/2, so that the rate is 2 D/w²: exact, there is one mode."""
    model = tme.Model(tme.Grid.line(10.0, 1), {"u": tme.Species(1.0, 5.0, {"x-": tme.Dirichlet(0.0)})})
    assert run(model, 2.0)["u"][-1, 0] == pytest.approx(np.exp(-2 * 5.0 / 100 * 2.0), rel=1e-12)


def test_flux_and_barrier_into_a_half_space_on_a_stretched_axis():
    """Carslaw & Jaeger 1959, §2.9 and §2.7. Cells grow from 1 to 40 µm; the width near the front, 8 µm, against its
    length 2√(Dt) = 89 µm gives (8/89)²/12 = 7e-4."""
    d, flux, transfer, time = 1000.0, 50.0, 30.0, 2.0
    grid = tme.Grid([np.geomspace(1.0, 40.0, 120)])
    x, spread, h = grid.centers(0), np.sqrt(d * time), transfer / d
    species = {
        "given": tme.Species(0.0, d, {"x-": tme.PrescribedFlux(flux)}),
        "film": tme.Species(0.0, d, {"x-": tme.Robin(transfer, 2.0)}),
    }
    found, z = run(tme.Model(grid, species), time), x / (2 * spread)
    given = flux * (2 * np.sqrt(time / (np.pi * d)) * np.exp(-(z**2)) - x / d * erfc(z))
    reached = h * x + h * h * d * time < 100  # beyond, the product is 0 times infinity
    film = 2 * (
        erfc(z) - np.where(reached, np.exp(np.minimum(h * x + h * h * d * time, 100)) * erfc(z + h * spread), 0)
    )
    np.testing.assert_allclose(found["given"][-1], given, atol=7e-4 * given.max())
    np.testing.assert_allclose(found["film"][-1], film, atol=7e-4 * film.max())


def test_ogata_and_banks():
    """A column flushed at v from a fixed value (Ogata & Banks 1961). Limited slopes smear as (w/√(Dt))², 7e-3/6."""
    d, v, time = 50.0, 40.0, 3.0
    grid = tme.Grid.line(400.0, 400)
    x, width = grid.centers(0), 2 * np.sqrt(d * time)

    def carried(clock, state, tissue):
        return {"u.velocity": (jnp.full(401, v),)}

    species = {"u": tme.Species(0.0, d, {"x-": tme.Dirichlet(1.0), "x+": tme.Dirichlet(0.0)})}
    found = run(tme.Model(grid, species, {"carried": tme.process(carried)}), time)["u"][-1]
    behind = np.exp(np.minimum(v * x / d, 300.0)) * erfc((x + v * time) / width)
    exact = 0.5 * (erfc((x - v * time) / width) + behind)
    np.testing.assert_allclose(found, exact, atol=2e-3)


def test_two_layers_fill_through_one_side():
    """D falls 100-fold at x = 60; Talbot inversion of the Laplace transform, exact to 1e-9. In the slow layer the front
    is √(D t) = 14 cells long, hence (1/14)²/12 = 4e-4 of the jump, twice for the harmonic mean."""
    (fast, slow), edge, length, time = (1000.0, 10.0), 60.0, 100.0, 20.0

    def transform(x, p):
        a, b = np.sqrt(p / fast), np.sqrt(p / slow)
        rows = [
            [1, 1, 0],
            [np.exp(a * edge), np.exp(-a * edge), -np.sinh(b * (length - edge))],
            [
                fast * a * np.exp(a * edge),
                -fast * a * np.exp(-a * edge),
                slow * b * np.cosh(b * (length - edge)),
            ],
        ]
        left, right, outer = np.linalg.solve(np.array(rows), np.array([1 / p, 0, 0]))
        inside = left * np.exp(a * x) + right * np.exp(-a * x)
        return inside if x < edge else outer * np.sinh(b * (length - x))

    def talbot(x, count=32):
        angle = (2 * np.arange(count) + 1) * np.pi / count - np.pi
        s = count / time * (0.5017 * angle / np.tan(0.6407 * angle) - 0.6122 + 0.2645j * angle)
        slope = 0.5017 / np.tan(0.6407 * angle) - 0.5017 * 0.6407 * angle / np.sin(0.6407 * angle) ** 2 + 0.2645j
        values = np.array([transform(x, p) for p in s])
        return float(np.real(np.sum(np.exp(s * time) * values * count / time * slope) / (1j * count)))

    grid = tme.Grid.line(length, 100)
    x = grid.centers(0)
    sides = {"x-": tme.Dirichlet(1.0), "x+": tme.Dirichlet(0.0)}
    found = run(tme.Model(grid, {"u": tme.Species(0.0, np.where(x < edge, fast, slow), sides)}), time)["u"][-1]
    some = [5, 30, 58, 61, 70, 80]
    np.testing.assert_allclose(found[some], [talbot(x[i]) for i in some], atol=8e-4)


@pytest.mark.slow
def test_krogh_and_erlang_around_an_axis():
    """p = p_c + M (r² − r_c²)/4D − (M R²/2D) ln(r/r_c) (Krogh 1919); cells of 0.5 µm, an eighth of the capillary:
    (1/8)²/12 of the fall near it, and the rate law 0.001/p off zero order."""
    d, demand, inner, outer, pressure = 7e6, 1e5, 4.0, 40.0, 40.0
    grid = tme.Grid.axisymmetric(100.0, outer, (4, 72), inner=inner)
    _, r = grid.coordinates()

    def uptake(clock, state, tissue):
        return {"oxygen.loss": demand / (state["oxygen"] + 1e-3)}

    oxygen = tme.Species(pressure, d, {"r-": tme.Dirichlet(pressure)}, kind="quasi_steady")
    found = run(tme.Model(grid, {"oxygen": oxygen}, {"uptake": tme.process(uptake)}), 1.0)["oxygen"][-1]
    fall = demand * outer**2 / (2 * d) * np.log(r / inner)
    exact = pressure + demand / (4 * d) * (r**2 - inner**2) - fall
    np.testing.assert_allclose(found, exact, atol=1.3e-3 * fall.max())


# -- waves ------------------------------------------------------------------------------------------------------------


def test_bistable_front():
    """∂u/∂t = D u″ + k u (1 − u)(u − a): u = 1/(1 + e^(wz)), w = √(k/2D), c = √(Dk/2)(1 − 2a) (McKean 1970). The
    front is 1/w = 13 cells long; its speed errs by (w h)²/12·c, over 95 µm half a front length × 5e-4 × 7."""
    d, k, a = 40.0, 0.5, 0.25
    w = np.sqrt(k / (2 * d))

    def kinetics(clock, state, tissue):
        return {"u.source": k * (1 + a) * state["u"] ** 2, "u.loss": k * (a + state["u"] ** 2)}

    grid = tme.Grid.line(400.0, 400)
    place = grid.centers(0) - 150

    def profile(time):
        return 1 / (1 + np.exp(w * (place - np.sqrt(d * k / 2) * (1 - 2 * a) * time)))

    model = tme.Model(grid, {"u": tme.Species(profile(0.0), d)}, {"k": tme.process(kinetics)})
    np.testing.assert_allclose(run(model, 60.0)["u"][-1], profile(60.0), atol=4e-3)


def test_the_sharp_wave_of_degenerate_diffusion():
    """∂u/∂t = (u u′)′ + u (1 − u): u = (1 − e^(z/√2))₊ at speed 1/√2, zero ahead of its front (Aronson 1980). The front
    is known to a cell, 0.2 × the slope 1/√2 there; the content to a quarter of a cell (of order 2 in the cells: 0.046
    and 0.012 at 200 and 400 of them, however short the steps)."""
    grid = tme.Grid.line(40.0, 200)
    x = grid.centers(0)

    def profile(place):
        return np.maximum(1 - np.exp((place - 10) / 2**0.5), 0)

    def kinetics(clock, state, tissue):
        return {"u.diffusivity": state["u"], "u.source": state["u"], "u.loss": state["u"]}

    model = tme.Model(grid, {"u": tme.Species(profile(x), mean="arithmetic")}, {"k": tme.process(kinetics)})
    found, exact = run(model, 20.0, rtol=1e-3)["u"][-1], profile(x - 20 / 2**0.5)
    np.testing.assert_allclose(found, exact, atol=0.2 / 2**0.5)
    assert abs((found - exact).sum() * 0.2) < 0.2 / 4


def test_growth_of_a_turing_mode():
    """Schnakenberg kinetics about their steady state: mode 7 grows at the eigenvalue of J − k² D."""
    a, b, fast, length, mode, size, time = 0.1, 0.9, 20.0, 50.0, 7, 1e-4, 5.0
    u, v, k = a + b, b / (a + b) ** 2, mode * np.pi / length
    jacobian = np.array([[-1 + 2 * u * v, u * u], [-2 * u * v, -u * u]]) - np.diag([1.0, fast]) * k * k
    values, vectors = np.linalg.eig(jacobian)
    rate, shape = values.real.max(), vectors[:, values.real.argmax()].real
    grid = tme.Grid.line(length, 125)
    cosine = np.cos(k * grid.centers(0))

    def kinetics(clock, state, tissue):
        made = state["u"] ** 2 * state["v"]
        return {"u.source": a + made, "u.loss": 1.0, "v.source": b, "v.loss": state["u"] ** 2}

    start = {"u": u + size * cosine, "v": v + size * shape[1] / shape[0] * cosine}
    species = {"u": tme.Species(start["u"], 1.0), "v": tme.Species(start["v"], fast)}
    found = run(tme.Model(grid, species, {"k": tme.process(kinetics)}), time, rtol=1e-6)["u"][-1]
    grown = 2 * np.mean((found - u) * cosine)
    # the mode is 1e-4 of u: a step errs by rtol = 1e-2 of it at most, k² by (k h)²/12 = 3e-3
    assert np.log(grown / size) / time == pytest.approx(rate, rel=2e-2)


# -- kinetics without a choice of stepper -----------------------------------------------------------------------------


def test_a_stiff_pool_follows_what_drives_it():
    """da/dt = λ (g(t) − a), λ = 1e6/h (Prothero & Robinson 1974), and db/dt = a; no choice of stepper."""

    def kinetics(clock, state, tissue):
        return {"a.source": 1e6 * (jnp.cos(clock.time) + 2.0), "a.loss": 1e6, "b.source": state["a"]}

    model = tme.Model(tme.Grid.point(), {"a": local(1.0), "b": local(0.0)}, {"k": tme.process(kinetics)})
    found = run(model, 10.0, rtol=1e-3)
    assert found["a"][-1, 0] == pytest.approx(2 + np.cos(10.0), rel=1e-3)
    assert found["b"][-1, 0] == pytest.approx(20 + np.sin(10.0), rel=1e-3)


def test_a_stiff_exchange_of_pools_leaves_the_slow_loss():
    """a ⇄ b at 3e6 and 1e6/h: a quarter is a, of which 0.1/h is lost."""

    def kinetics(clock, state, tissue):
        exchange = {"a.source": 1e6 * state["b"], "b.source": 3e6 * state["a"]}
        return {**exchange, "a.loss": 3e6 + 0.1, "b.loss": 1e6}

    model = tme.Model(tme.Grid.point(), {"a": local(1.0), "b": local(0.0)}, {"k": tme.process(kinetics)})
    found = run(model, 10.0, rtol=1e-3)
    assert found["a"][-1, 0] + found["b"][-1, 0] == pytest.approx(np.exp(-0.25), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("bound", ["local", "transported"])
def test_fast_binding_spreads_at_the_shared_diffusivity(bound):
    """Three in four are bound, exchange 4000/h: the sum spreads at a quarter of D. Against the exponential of the
    matrix of the same finite volumes, after four hours; the error of NewtonKrylov at this rtol is 5e-4 of the start."""
    cells, width, d, e, time = 40, 5.0, 400.0, 1e3, 4.0
    spread = d / width**2 * (np.eye(cells, k=1) + np.eye(cells, k=-1) - 2 * np.eye(cells))
    spread[0, 0] = spread[-1, -1] = -d / width**2
    start = np.exp(-(((np.arange(cells) + 0.5) * width - 100.0) ** 2) / 400.0)
    identity = np.eye(cells)
    matrix = np.block([[spread - 3 * e * identity, e * identity], [3 * e * identity, -e * identity]])
    exact = (expm(matrix * time) @ np.r_[start, 3 * start])[:cells]

    def binding(clock, state, tissue):
        return {
            "free.loss": 3 * e,
            "free.source": e * state["bound"],
            "bound.loss": e,
            "bound.source": 3 * e * state["free"],
        }

    species = {"free": tme.Species(start, d), "bound": tme.Species(3 * start, kind=bound)}
    model = tme.Model(tme.Grid.line(cells * width, cells), species, {"binding": tme.process(binding)})
    np.testing.assert_allclose(run(model, time, rtol=1e-3)["free"][-1], exact, atol=1e-3)


def test_a_fast_turnover_leaves_the_slow_loss():
    """Made of itself 1e4 times an hour and lost a little faster: the difference, 0.1/h, is all that is seen."""

    def turnover(clock, state, tissue):
        return {"u.source": 1e4 * state["u"], "u.loss": 1e4 + 0.1}

    model = tme.Model(tme.Grid.line(10.0, 5), {"u": tme.Species(1.0, 1.0)}, {"turnover": tme.process(turnover)})
    np.testing.assert_allclose(run(model, 10.0, rtol=1e-3)["u"][-1], np.exp(-1.0), rtol=5e-3)


def test_a_law_without_a_derivative_at_zero():
    """du/dt = √u − u from 0 beside v: there is no slope at 0, and nothing happens there."""

    def kinetics(clock, state, tissue):
        return {"u.source": jnp.sqrt(state["u"]), "u.loss": 1.0, "v.loss": 1.0}

    model = tme.Model(tme.Grid.line(2.0, 2), {"u": local([0.0, 0.25]), "v": local(1.0)}, {"k": tme.process(kinetics)})
    found = run(model, 2.0)
    assert found["u"][-1, 0] == 0.0
    exact = (1 - 0.5 * np.exp(-1.0)) ** 2  # √u relaxes to 1 at half the rate
    assert found["u"][-1, 1] == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("stepper", [None, tme.Rosenbrock3(), tme.NewtonKrylov()], ids=["default", "third", "newton"])
def test_a_run_of_a_second(stepper):
    """du/dt = k (1 + u)² from 0 until kt = ½: u = 1/(1 − kt) − 1. What an hour would bring is no measure."""

    def kinetics(clock, state, tissue, k):
        return {"u.source": k * (1 + state["u"]) ** 2}

    model = tme.Model(tme.Grid.line(10.0, 2), {"u": tme.Species(0.0, 1.0)}, {"k": tme.process(kinetics, k=2e3)})
    scenario = tme.Scenario(model, until=0.5 / 2e3)
    for found in (
        tme.simulate(scenario, precision="f64", stepper=stepper),
        *tme.simulate_batch([scenario], precision="f64", stepper=stepper),
    ):
        assert found.ok and found.fields["u"][-1, 0] == pytest.approx(1.0, abs=5e-3)


@pytest.mark.parametrize("until", [3.0 / 3600, 0.05])
def test_what_is_lost_in_pairs_rises_from_nothing(until):
    """du/dt = k (1 − u²) from 0: u = tanh(kt). At 0 nothing is lost, and the lifetime seems endless."""

    def pairs(clock, state, tissue):
        return {"u.source": 3600.0, "u.loss": 3600.0 * state["u"]}

    model = tme.Model(tme.Grid.line(10.0, 2), {"u": tme.Species(0.0, 1.0)}, {"pairs": tme.process(pairs)})
    found = run(model, until, [0.25 * until, until], rtol=1e-3)["u"][1:, 0]
    np.testing.assert_allclose(found, np.tanh(3600.0 * until * np.array([0.25, 1.0])), rtol=5e-3)


@pytest.mark.slow
def test_what_is_lost_in_pairs_for_long_asks_for_newton():
    """The slope of a loss ku² is 2ku, of which A holds ku: thousands of steps at rest. The remedy is told."""

    def pairs(clock, state, tissue):
        return {"u.source": 100.0, "u.loss": 100.0 * state["u"]}

    model = tme.Model(tme.Grid.line(10.0, 2), {"u": tme.Species(0.0, 1.0)}, {"pairs": tme.process(pairs)})
    scenario, few = tme.Scenario(model, until=24.0), tme.StepControl(max_steps=50)
    with pytest.warns(UserWarning, match="its loss rate grows with itself, take `stepper=tme.NewtonKrylov"):
        assert not tme.simulate(scenario, control=few).ok
    found = tme.simulate(scenario, control=few, stepper=tme.NewtonKrylov())
    assert found.ok and found.fields["u"][-1] == pytest.approx(1.0, rel=1e-5)


def test_a_nodule_in_a_large_grid_grows_as_in_a_small_one():
    """du/dt = ru(1 − u) in a thousandth of the cells. Its root mean square over the grid would let it err by 2 %."""

    def growth(clock, state, tissue):
        return {"u.source": 0.05 * state["u"], "u.loss": 0.05 * state["u"]}

    model = tme.Model(tme.Grid.line(1e4, 1000), {"u": local(np.eye(1000)[500] * 0.01)}, {"growth": tme.process(growth)})
    times = np.array([50.0, 100.0])
    found = run(model, 100.0, times, rtol=1e-3)["u"][1:, 500]
    np.testing.assert_allclose(found, 1 / (1 + 99 * np.exp(-0.05 * times)), rtol=8e-3)


class Drug(tme.Intervention):
    """dc₁/dt = dose/V + k₂₁ c₂ − (k₁₀ + k₁₂) c₁, dc₂/dt = k₁₂ c₁ − k₂₁ c₂."""

    dose: tme.Schedule

    def species(self, grid):
        return {n: tme.Species(kind="compartment") for n in ("c1", "c2")}

    def kinetics(self, clock, state, tissue):
        return {"c1.loss": 1.1, "c1.source": 0.2 * state["c2"], "c2.source": 0.8 * state["c1"], "c2.loss": 0.2}

    def effects(self, clock, state, tissue):
        return tme.Effects(add={"c1.source": clock.rate(self.dose) / 3.0})


def test_two_compartments_under_a_course_and_an_infusion():
    """Closed form by matrix exponentials; two therapies of one kind add up."""
    matrix, times = np.array([[-1.1, 0.2], [0.8, -0.2]]), [0.5, 1.0, 5.0, 10.0, 24.0, 48.0]
    plan = {
        "course": Drug(dose=tme.Course(start=0.0, every=8.0, doses=4, amount=50.0, over=0.5)),
        "infusion": Drug(dose=tme.Infusion(at=0.5, amount=300.0, over=1.5)),
    }
    given = [(8.0 * i, 50.0, 0.5) for i in range(4)] + [(0.5, 300.0, 1.5)]

    def level(time):
        total = np.zeros(2)
        for at, amount, over in given:
            if time > at:
                during = min(time - at, over)
                rate = np.array([amount / over / 3.0, 0.0])
                end = np.linalg.solve(matrix, (expm(matrix * during) - np.eye(2)) @ rate)
                total += expm(matrix * (time - at - during)) @ end
        return total

    model = tme.Model(tme.Grid.point(), {"tumour": local(0.0)})
    found = run(tme.Scenario(model, interventions=plan, until=48.0), 48.0, times)
    exact = np.array([level(t) for t in times])
    np.testing.assert_allclose(found["c1"][1:], exact[:, 0], rtol=1e-3)
    np.testing.assert_allclose(found["c2"][1:], exact[:, 1], rtol=1e-3)


def test_the_model_of_kuznetsov_with_other_numbers():
    day = 24.0
    made = tme.library.published(
        "kuznetsov_1994", growth=0.25 / day, kill=2e-7 / day, influx=2e4 / day, tumour_start=3e6, effector_start=1e5
    )

    def slope(_, y):
        effectors, tumour = y
        recruited = 0.1245 * effectors * tumour / (2.019e7 + tumour)
        lost = 3.422e-10 * effectors * tumour + 0.0412 * effectors
        return [2e4 + recruited - lost, 0.25 * tumour * (1 - 2e-9 * tumour) - 2e-7 * effectors * tumour]

    exact = solve_ivp(slope, (0, 60), [1e5, 3e6], method="LSODA", rtol=1e-10, atol=1e-3).y[:, -1]
    found = run(made, 60 * day)
    np.testing.assert_allclose([found["effector"][-1, 0], found["tumour"][-1, 0]], exact, rtol=1e-3)
