"""``simulate_batch``: what comes out is what single runs give, in the order given, and no member harms another."""

import functools
import warnings

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde._types import cast, cast_each

RATE, DOSE = "model.processes.growth.numbers.rate", "model.processes.growth.numbers.dose.amount"


def logistic(clock, state, tissue, rate, capacity, dose):
    n = state["n"]
    return {"n.source": rate * n + clock.rate(dose), "n.loss": rate * n / capacity}


def scenario(shape=(12, 10)):
    grid = tme.Grid(widths=[np.full(m, 10.0) for m in shape])
    start = 1.0 + 0.5 * np.cos(np.linspace(0, 3, int(np.prod(shape)))).reshape(shape)
    species = {"n": tme.Species(initial=start, diffusivity=20.0 * (1.0 + start))}
    dose = tme.Infusion(at=3.0, amount=0.5, over=1.0)
    model = tme.Model(grid, species, {"growth": tme.process(logistic, rate=0.1, capacity=3.0, dose=dose)})
    return tme.Scenario(model, until=12.0)


RATES = np.asarray([0.3, 0.05, 0.1, 0.2, 0.15])


@pytest.fixture(scope="module")
def singles():
    base = scenario()
    return [tme.simulate(base.replace(RATE, r), save=tme.every(6.0)) for r in RATES]


@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_of_one_are_bitwise_single_runs_in_the_order_given(singles, threads):
    runs = tme.simulate_batch(scenario(), {RATE: RATES}, save=tme.every(6.0), block=1, threads=threads)
    assert len(runs) == len(RATES)
    for run, single, rate in zip(runs, singles, RATES, strict=True):
        assert float(run.scenario.at(RATE)) == rate
        np.testing.assert_array_equal(run.fields["n"], single.fields["n"])
        assert int(run.statistics["steps"]) == int(single.statistics["steps"])


@pytest.mark.slow
@pytest.mark.parametrize("block", [2, 5, None])
def test_mapped_blocks_equal_single_runs_to_the_tolerance(singles, block):
    """Five members in blocks of two leave one over. Steps may differ by round-off in the error, so results agree to the
    tolerance of a step (1e-3), not to the last bit."""
    runs = tme.simulate_batch(scenario(), {RATE: RATES}, save=tme.every(6.0), block=block)
    for run, single in zip(runs, singles, strict=True):
        np.testing.assert_allclose(run.fields["n"], single.fields["n"], rtol=1e-3)
        np.testing.assert_array_equal(run.times, single.times)
        assert float(run.budgets["n"]["error"]) < 1e-4
        assert run.method == single.method and run.ok


@pytest.mark.slow
def test_a_sequence_of_scenarios_is_a_batch_and_several_paths_vary_together():
    base = scenario()
    members = [base.replace(RATE, r).replace(DOSE, d) for r, d in zip(RATES[:3], (0.5, 1.0, 2.0), strict=True)]
    by_list = tme.simulate_batch(members, block=2)
    by_path = tme.simulate_batch(base, {RATE: RATES[:3], DOSE: np.asarray([0.5, 1.0, 2.0])}, block=2)
    for a, b in zip(by_list, by_path, strict=True):
        np.testing.assert_array_equal(a.fields["n"], b.fields["n"])
    means = [float(np.mean(run.fields["n"][-1])) for run in by_list]
    assert means[2] > means[1] + 0.2  # twice the dose and the rate


@pytest.mark.parametrize("block", [1, 3])
def test_a_failed_member_keeps_its_status_and_the_others_go_on(singles, block):
    rates = np.asarray([0.3, np.nan, 0.1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        runs = tme.simulate_batch(scenario(), {RATE: rates}, save=tme.every(6.0), block=block)
    assert [r.ok for r in runs] == [True, False, True]
    assert runs[1].status == tme.Status.not_finite and len(runs[1].times) == 1
    np.testing.assert_allclose(runs[2].fields["n"], singles[2].fields["n"], rtol=1e-3)
    messages = [str(w.message) for w in caught if "members did not reach" in str(w.message)]
    assert len(messages) == 1 and messages[0].startswith("1 of 3") and " 1 (" in messages[0]


@pytest.mark.slow
def test_progress_counts_members():
    seen = []
    tme.simulate_batch(scenario(), {RATE: RATES[:3]}, block=2, threads=1, progress=lambda d, n: seen.append((d, n)))
    assert seen == [(2, 3), (3, 3)]


def test_a_batch_that_cannot_work_is_refused_by_name():
    base = scenario()
    with pytest.raises(ValueError, match="`scenarios` must hold at least one"):
        tme.simulate_batch([])
    with pytest.raises(ValueError, match="one value per member"):
        tme.simulate_batch(base, {RATE: [0.1, 0.2], DOSE: [1.0]})
    with pytest.raises(ValueError, match="one value per member"):
        tme.simulate_batch(base)
    with pytest.raises(ValueError, match="`values` must vary a single scenario"):
        tme.simulate_batch([base], {RATE: [0.1]})
    with pytest.raises(ValueError, match="member 1 differs from member 0"):
        tme.simulate_batch([base, scenario(shape=(8, 8))])
    with pytest.raises(ValueError, match="must end at the same time, but member 1"):
        tme.simulate_batch([base, base.replace("until", 6.0)])
    with pytest.raises(ValueError, match="`block` must be a whole number of at least 1"):
        tme.simulate_batch(base, {RATE: [0.1]}, block=0)


def test_members_cast_together_are_as_cast_alone_and_share_what_they_have_in_common():
    base = scenario()
    other = tme.Scenario(base.model, until=6.0)
    paths = {RATE: 0.3, DOSE: 0.7, "model.species.n.initial": np.full((12, 10), 2.0)}
    members = [base, *(base.replace(path, value) for path, value in paths.items()), other]
    for one, alone in zip(cast_each(members, jnp.float32), (cast(m, jnp.float32) for m in members), strict=True):
        assert eqx.tree_equal(one, alone, typematch=True)
    first, second = cast_each(members[:2], jnp.float32)
    assert second.model.species["n"].diffusivity is first.model.species["n"].diffusivity


def test_values_may_be_fields():
    """An initial field per member: the first axis runs over the members."""
    base = scenario()
    starts = np.stack([np.full((12, 10), 0.5), np.full((12, 10), 2.0)])
    runs = tme.simulate_batch(base, {"model.species.n.initial": starts}, block=2)
    assert jnp.mean(runs[0].fields["n"][0]) == pytest.approx(0.5)
    assert jnp.mean(runs[1].fields["n"][0]) == pytest.approx(2.0)


def grown(clock, state, tissue, rate, power):
    return {"u.source": rate * state["u"] ** power}


def test_members_whose_functions_are_equal_partials_are_one_program():
    """Another value in the partial is another program, and so is 1 where 1.0 was."""

    def member(rate, power):
        law = tme.process(functools.partial(grown, power=power), rate=rate)
        model = tme.Model(tme.Grid.line(10.0, 4), {"u": tme.Species(1.0, diffusivity=1.0)}, {"law": law})
        return tme.Scenario(model, until=1.0)

    runs = tme.simulate_batch([member(0.1, 2.0), member(0.5, 2.0)])
    exact = [1 / (1 - 0.1), 1 / (1 - 0.5)]
    np.testing.assert_allclose([run.fields["u"][-1, 0] for run in runs], exact, rtol=1e-2)
    for other in (3.0, 2):
        with pytest.raises(ValueError, match="or a function"):
            tme.simulate_batch([member(0.1, 2.0), member(0.5, other)])
