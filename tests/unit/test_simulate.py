"""``simulate``: save times, what is kept, statuses, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.process import process
from tmepde.simulation import save_times


def grow(clock, state, tissue, rate):
    return {"u.source": rate * state["u"]}


def scenario(until=2.0, **interventions):
    model = tme.Model(
        tme.Grid.line(10.0, 5),
        {"u": tme.Species(1.0, 2.0), "w": tme.Species(0.5, kind="local"), "p": tme.Species(3.0, kind="compartment")},
        {"grow": process(grow, rate=0.3)},
    )
    return tme.Scenario(model, interventions, until=until)


@pytest.mark.parametrize(
    ("save", "wanted"),
    [
        (None, [0.0, 2.0]),
        (tme.every(0.5), [0.0, 0.5, 1.0, 1.5, 2.0]),
        (tme.every(0.75), [0.0, 0.75, 1.5, 2.0]),
        (tme.every(5.0), [0.0, 2.0]),
        (tme.every(0.1), np.linspace(0.0, 2.0, 21)),
        ([0.5, 2.0], [0.0, 0.5, 2.0]),
        ([0.0, 0.5], [0.0, 0.5, 2.0]),
        (np.array([1.0]), [0.0, 1.0, 2.0]),
    ],
)
def test_save_times(save, wanted):
    np.testing.assert_allclose(save_times(scenario(), save), wanted)


def test_save_times_that_are_differentiated_are_refused_in_words():
    with pytest.raises(ValueError, match="`save` must hold times that are known"):
        jax.grad(lambda t: tme.simulate(scenario(), save=[0.5, t]).fields["u"][-1].sum())(1.0)


def test_a_run_of_microseconds():
    """Steps may be shorter than the shortest that are usual: of 3.6e-5 s, when u falls to 1/e."""
    model = tme.Model(tme.Grid.point(), {"u": tme.Species(1.0)}, {"p": process(lambda *_: {"u.loss": 1e8})})
    found = tme.simulate(tme.Scenario(model, until=1e-8), stepper=tme.Rosenbrock2())
    assert found.ok and float(found.fields["u"][-1, 0]) == pytest.approx(np.exp(-1.0), rel=1e-3)


@pytest.mark.parametrize(
    ("save", "words"),
    [
        ([], "finite, increasing, positive"),
        ([0.0], "finite, increasing, positive"),
        ([1.0, 0.5], "finite, increasing, positive"),
        ([1.0, 1.0], "finite, increasing, positive"),
        ([-1.0, 1.0], "finite, increasing, positive"),
        ([float("nan")], "must be finite"),
        ([3.0], "must not reach beyond `until` = 2 h"),
        (np.array([[1.0, 2.0]]), "an array of shape"),
        ({"every": 0.0}, "`save` must be positive"),
        ({"every": -1.0}, "`save` must be positive"),
        ({"every": float("nan")}, "`save` must be finite"),
    ],
)
def test_bad_save_times_are_refused(save, words):
    with pytest.raises(ValueError, match=words):
        tme.simulate(scenario(), save=save)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "f16"}, "`precision` must be 'f32' or 'f64'"),
        ({"gradient": "sideways"}, "`gradient` must be"),
        ({"fields": ["v"]}, "no species 'v'"),
    ],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        tme.simulate(scenario(), **options)


def test_double_precision_needs_64_bit_mode():
    with jax.enable_x64(False), pytest.raises(ValueError, match="needs 64-bit mode"):
        tme.simulate(scenario(), precision="f64")


def test_all_problems_come_in_one_message():
    control = tme.StepControl(rtol=1e-9)
    with pytest.raises(ValueError, match=r"(?s)rtol.*gradient.*no species 'x'.*no species 'y'"):
        tme.simulate(scenario(), fields=["x", "y"], control=control, gradient="no")


@pytest.mark.parametrize("until", [0.0, -1.0, float("nan"), "2 h"])
def test_a_duration_must_be_positive_hours(until):
    with pytest.raises(ValueError, match="`until` must be (positive|finite|a number)"):
        tme.Scenario(scenario().model, until=until)


@pytest.fixture(scope="module")
def solution():
    return tme.simulate(scenario(), save=tme.every(0.5), precision="f64", control=tme.StepControl(rtol=1e-6))


def test_shapes_and_values(solution):
    assert solution.ok and solution.status == tme.Status.ok
    assert {n: f.shape for n, f in solution.fields.items()} == {"u": (5, 5), "w": (5, 5), "p": (5,)}
    np.testing.assert_allclose(solution.fields["u"][:, 0], np.exp(0.3 * solution.times), rtol=1e-5)
    np.testing.assert_array_equal(solution.fields["w"], 0.5)
    np.testing.assert_array_equal(solution.fields["p"], 3.0)
    assert set(solution.budgets) == {"u", "w", "p"}
    assert solution.wall_time >= 0.0 and solution.compile_time > 0.0
    assert solution.precision == "f64"
    assert "2 h" in repr(solution) and solution.message == "The run reached its end."


def test_precision_is_what_was_asked_for(solution):
    assert all(f.dtype == np.float64 for f in solution.fields.values())
    assert all(f.dtype == np.float32 for f in tme.simulate(scenario()).fields.values())


def test_only_the_named_fields_are_kept():
    solution = tme.simulate(scenario(), fields=["w"])
    assert set(solution.fields) == {"w"}
    assert set(solution.state) == {"u", "w", "p"}


def test_fixed_and_adaptive_steps_agree(solution):
    fixed = tme.simulate(scenario(), precision="f64", control=tme.StepControl(dt=1e-3))
    np.testing.assert_allclose(fixed.fields["u"][-1], solution.fields["u"][-1], rtol=1e-5)


def test_a_run_is_repeatable_to_the_bit(solution):
    again = tme.simulate(scenario(), save=tme.every(0.5), precision="f64", control=tme.StepControl(rtol=1e-6))
    np.testing.assert_array_equal(again.fields["u"], solution.fields["u"])


def test_progress_is_reported():
    seen = []
    tme.simulate(scenario(), save=tme.every(0.5), progress=lambda now, until: seen.append((now, until)))
    assert seen == [(0.5, 2.0), (1.0, 2.0), (1.5, 2.0), (2.0, 2.0)]


@pytest.mark.filterwarnings("ignore:The run ended:UserWarning")
def test_the_step_limit_is_named():
    control = tme.StepControl(dt=1e-3, max_steps=10)
    solution = tme.simulate(scenario(), save=[0.005, 2.0], control=control)
    assert solution.status == tme.Status.step_limit
    assert "max_steps" in solution.message
    np.testing.assert_allclose(solution.times, [0.0, 0.005])


def test_a_model_of_quasi_steady_fields_alone_runs():
    species = {"q": tme.Species(1.0, 1.0, {"x-": tme.Dirichlet(2.0)}, kind="quasi_steady")}
    solution = tme.simulate(tme.Scenario(tme.Model(tme.Grid.line(1.0, 4), species), until=1.0), precision="f64")
    assert solution.ok
    np.testing.assert_allclose(solution.fields["q"][-1], 2.0, rtol=1e-9)


@pytest.mark.slow
def test_a_field_woken_by_another_that_starts_at_zero():
    """Nothing is there at first: a source makes u, u makes w. Neither has a size to measure an error against."""

    def chain(clock, state, tissue):
        return {"u.source": 2.0, "w.source": 3.0 * state["u"]}

    for grid in (tme.Grid.line(1.0, 4), tme.Grid.square(1.0, 3)):
        species = {"u": tme.Species(0.0, 1.0), "w": tme.Species(0.0, 1.0)}
        solution = tme.simulate(tme.Scenario(tme.Model(grid, species, [process(chain)]), until=2.0), precision="f64")
        assert solution.ok
        np.testing.assert_allclose(solution.fields["u"][-1], 4.0, rtol=1e-4)
        np.testing.assert_allclose(solution.fields["w"][-1], 12.0, rtol=2e-3)


def test_status_codes_are_sentences():
    for status in tme.Status:
        assert str(status).endswith(".") and len(str(status)) > 20


def test_an_unknown_target_is_named_with_the_nearest_one():
    def typo(clock, state, tissue):
        return {"u.sourc": 1.0}

    model = tme.Model(tme.Grid.line(1.0, 2), {"u": tme.Species(1.0)}, {"typo": process(typo)})
    with pytest.raises(KeyError, match="source"):
        tme.simulate(tme.Scenario(model, until=1.0))


@pytest.mark.parametrize("kind", ["local", "compartment"])
@pytest.mark.parametrize("channel", ["diffusivity", "velocity", "flow"])
def test_what_stays_in_its_cell_cannot_be_moved(kind, channel):
    def moving(clock, state, tissue):
        return {f"u.{channel}": 1.0 if channel == "diffusivity" else (np.ones(3),)}

    model = tme.Model(tme.Grid.line(1.0, 2), {"u": tme.Species(1.0, kind=kind)}, {"moving": process(moving)})
    with pytest.raises(ValueError, match=rf"`u.{channel}` needs a species that moves, but the kind of 'u' is '{kind}'"):
        tme.simulate(tme.Scenario(model, until=1.0))
    with pytest.raises(ValueError, match=f"`u.diffusivity` needs a species that moves, but its kind is '{kind}'"):
        tme.Model(tme.Grid.line(1.0, 2), {"u": tme.Species(1.0, 5.0, kind=kind)})


@pytest.mark.parametrize("channel", ["velocity", "flow"])
def test_a_field_in_balance_cannot_drift_in_time_but_its_steady_state_can(channel):
    """0 = D q″ − v q′ − k q between q(0) = 1 and a closed end: simulate would leave v out, and says so."""
    d, v, k, cells, length = 100.0, 5.0, 0.05, 100, 100.0

    def carried(clock, state, tissue):
        return {f"q.{channel}": (jnp.full(cells + 1, v).at[-1].set(0.0),), "q.loss": k}

    species = {"q": tme.Species(0.0, d, {"x-": tme.Dirichlet(1.0)}, kind="quasi_steady"), "u": tme.Species(1.0, 1.0)}
    grid = tme.Grid.line(length, cells)
    model = tme.Model(grid, species, {"carried": process(carried)})
    with pytest.raises(ValueError, match=rf"`q.{channel}` needs a species that moves in time"):
        tme.simulate(tme.Scenario(model, until=1.0))
    r = v / (2 * d) + np.array([1.0, -1.0]) * np.sqrt((v / (2 * d)) ** 2 + k / d)
    weights = np.linalg.solve([[1.0, 1.0], (d * r - v) * np.exp(r * length)], [1.0, 0.0])
    exact = np.exp(np.outer(grid.centers(0), r)) @ weights
    found = tme.steady_state(model, precision="f64").fields["q"][-1]
    np.testing.assert_allclose(found, exact, atol=3e-3)  # limited slopes on cells of 1 µm; without v it is 0.9 off


def test_a_field_in_balance_has_nothing_to_kill():
    class Kill(tme.Intervention):
        """q ← q e^(−Λ)."""

        def effects(self, clock, state, tissue):
            return tme.Effects(hazard={"q": clock.step})

    species = {"q": tme.Species(1.0, 1.0, {"x-": tme.Dirichlet(1.0)}, kind="quasi_steady"), "u": tme.Species(1.0, 1.0)}
    model = tme.Model(tme.Grid.line(1.0, 2), species)
    with pytest.raises(ValueError, match="'q' is quasi-steady"):
        tme.simulate(tme.Scenario(model, {"kill": Kill()}, until=1.0))


def test_replace_keeps_shape_and_names_bad_paths():
    base = scenario()
    changed = base.replace("model.processes.grow.numbers.rate", 0.5)
    assert float(changed.at("model.processes.grow.numbers.rate")) == 0.5
    assert float(base.at("model.processes.grow.numbers.rate")) == 0.3
    with pytest.raises(KeyError, match="grow"):
        base.at("model.processes.grwo.numbers.rate")
