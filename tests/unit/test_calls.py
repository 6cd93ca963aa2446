"""What a call of ``simulate`` remembers of those before it: programs and what they say, never a number."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde import run as runs
from tmepde._types import cast, parted, shapes
from tmepde.content import content
from tmepde.simulation import follow
from tmepde.steppers import SemiDiscrete
from tmepde.steppers.choice import choose_stepper
from tmepde.steppers.structure import structure

CELLS = (150, 150)  # enough for its arrays to be lent (64 KiB)


def rates(clock, state, tissue, made, k, fall):
    return {"u.source": made, "u.loss": 0.3 + k * state["u"] + fall * clock.local}


process = tme.process(rates, made=np.linspace(0.0, 1.0, 22_500).reshape(CELLS), k=0.0, fall=0.0)


def scenario(k=0.0, fall=0.0):
    species = {"u": tme.Species(np.linspace(1.0, 2.0, 22_500).reshape(CELLS), 1e-3)}
    made = tme.Scenario(tme.Model(tme.Grid.square(1500.0, 150), species, {"p": process}), until=1.0)
    return made.replace("model.processes.p.numbers.k", k).replace("model.processes.p.numbers.fall", fall)


def exact():
    """Without diffusion to speak of: u e^(−0.3) + s (1 − e^(−0.3))/0.3."""
    u, s = np.linspace(1.0, 2.0, 22_500).reshape(CELLS), np.linspace(0.0, 1.0, 22_500).reshape(CELLS)
    return u * np.exp(-0.3) + s * (1 - np.exp(-0.3)) / 0.3


@pytest.mark.slow
def test_numbers_that_change_in_place_count_in_the_next_call():
    """Arrays of a scenario are marked read-only; who takes the mark away is still given what is there."""
    one = scenario()
    np.testing.assert_allclose(tme.simulate(one).fields["u"][-1], exact(), rtol=1e-4)
    for array in (one.model.species["u"].initial, one.model.processes["p"].numbers["made"]):
        array.setflags(write=True)
        array *= 2.0
    np.testing.assert_allclose(tme.simulate(one).fields["u"][-1], 2.0 * exact(), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_a_run_that_goes_on_keeps_the_numbers_it_began_with(precision):
    """In float64 no cast has copied them: they are copied, not lent."""
    with jax.enable_x64(precision == "f64"):
        whole = tme.simulate(scenario(k=0.1), save=[0.5, 1.0], precision=precision).fields["u"]
        one = scenario(k=0.1)
        run = follow(one, save=[0.5, 1.0], precision=precision, snapshots=False)
        rows = iter(run)
        first = next(rows).fields["u"]
        for array in (one.model.species["u"].initial, one.model.processes["p"].numbers["made"]):
            array.setflags(write=True)
            array[:] = 7.0
        found = [first, *(row.fields["u"] for row in rows)]
    np.testing.assert_array_equal(np.stack(found), whole)


@pytest.mark.slow
def test_results_share_no_memory_with_what_was_lent():
    solution = tme.simulate(scenario())
    state = np.asarray(solution.state["u"])
    assert not np.shares_memory(state, solution.scenario.model.species["u"].initial)
    kept = solution.fields["u"].copy()
    tme.simulate(scenario(k=1.0))  # where memory that was given back would be used again
    np.testing.assert_array_equal(solution.fields["u"], kept)


@pytest.mark.slow
def test_the_scheme_follows_the_numbers_where_the_program_leaves_it_open():
    """One structure: linear with constant coefficients for k = 0 alone. A program that reads the time is none of that,
    whatever its numbers: they may be what they are at the times that are tried alone."""

    def still(clock, state, tissue, made, k):
        return {"u.source": made, "u.loss": 0.3 + k * state["u"]}

    def method(function, **numbers):
        model = tme.Model(tme.Grid.line(80.0, 8), {"u": tme.Species(1.0, 1.0)}, {"p": tme.process(function, **numbers)})
        return tme.simulate(tme.Scenario(model, until=1.0)).method.split(",")[0]

    found = [method(still, made=1.0, k=k) for k in (0.0, 1.0, 0.0)]
    assert found == ["exponential2", "rosenbrock2", "exponential2"]
    assert method(rates, made=1.0, k=0.0, fall=0.0) == "rosenbrock2"


def test_what_a_program_says_is_read_without_numbers():
    def linear(clock, state, tissue, s, loss):
        return {"u.source": s, "u.loss": loss}

    def verdict(function, **numbers):
        model = tme.Model(tme.Grid.line(80.0, 8), {"u": tme.Species(1.0, 1.0)}, {"p": tme.process(function, **numbers)})
        arrays, frame = parted(SemiDiscrete(cast(tme.Scenario(model, until=1.0), jnp.float32).system))
        return structure(frame, shapes(arrays), jnp.float32)

    assert verdict(linear, s=1.0, loss=0.3).constant is True
    assert verdict(linear, s=np.ones(8), loss=0.3).constant is True
    assert verdict(linear, s=1.0, loss=np.ones(8)).constant is None  # numbers tell whether it is even
    assert verdict(rates, made=1.0, k=0.0, fall=0.0).constant is None
    drifts = verdict(lambda clock, state, tissue: {"u.velocity": (jnp.ones(9),)})
    assert drifts.constant is False and drifts.drifting == {"u"}
    uneven = cast(tme.Scenario(tme.Model(tme.Grid.line(80.0, 8), {"u": tme.Species(1.0, 1.0)}), until=1.0), jnp.float32)
    assert (
        choose_stepper(SemiDiscrete(uneven.system), jnp.float32, 1.0, tme.StepControl()).stepper == tme.Exponential2()
    )


def test_a_second_call_asks_for_no_program(monkeypatch):
    """Neither of the same scenario nor with other numbers."""
    tme.simulate(scenario(k=0.5))
    monkeypatch.setattr(runs.Run, "program", lambda self: pytest.fail("a program was asked for"))
    assert tme.simulate(scenario(k=0.7)).ok


def test_a_total_is_right_to_float64_with_one_volume_and_with_many():
    values = np.random.default_rng(3).random(100_000).astype(np.float32)
    volumes = np.full(100_000, 7.25, np.float32)
    wanted = 7.25 * np.sum(values.astype(np.float64))
    assert abs(content(volumes, values) / wanted - 1.0) < 1e-13
    assert abs(content(volumes[:1], values) / wanted - 1.0) < 1e-13


def test_a_system_is_made_once_and_anew_where_a_therapy_was_exchanged_in_place():
    grid = tme.Grid.line(80.0, 8)
    one = tme.Scenario(
        tme.library.solid_tumour(grid, radius=30.0), {"a": tme.CellInfusion(dose=tme.Bolus(1.0, 1e6))}, 2.0
    )
    first = one.system
    assert one.system is first
    other = tme.CellInfusion(dose=tme.Bolus(1.0, 2e6))
    one.interventions["a"] = other
    assert one.system.interventions["a"] is other
    assert one.replace("interventions.a.dose.amount", 3e6).system.interventions["a"].dose.amount == 3e6
