"""Priors and draws: inside bounds, reproducible, every range visited, no recompilation."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import tmepde as tme


@pytest.fixture(scope="module")
def scenario():
    model = tme.library.solid_tumour(tme.Grid.radial(400.0, 8))
    plan = {"car_t": tme.CellInfusion(dose=tme.Bolus(1.0, 1e8), armour=tme.Secretes(chemokine=2.0))}
    return tme.Scenario(model, plan, until=2.0)


def test_every_range_holds_its_value_and_stays_inside_the_bounds(scenario):
    found = tme.priors(scenario)
    assert len(found) > 80
    assert "interventions.car_t.armour.chemokine" in found  # parts are reached
    assert "interventions.car_t.strength" not in found and "model.processes.bystander_killing.rate" not in found
    for path, prior in found.items():
        low, high = prior.parameter.bounds
        assert low is None or prior.low >= low, path
        assert high is None or prior.high <= high, path
        assert prior.low <= float(scenario.at(path)) * (1 + 1e-12) and prior.high >= float(scenario.at(path)) * (
            1 - 1e-12
        )


def test_status_sets_the_width(scenario):
    found = tme.priors(scenario)
    seen, assumed = (found[f"model.processes.killing.{name}"] for name in ("tgf_beta_half", "half"))
    assert (seen.parameter.status, assumed.parameter.status) == ("seen", "assumed")
    assert seen.high / seen.low == pytest.approx(1.5**2)
    assert assumed.high / assumed.low == pytest.approx(9.0)


def test_draws_are_a_latin_hypercube_that_a_seed_repeats(scenario):
    chosen = {p: tme.priors(scenario)[p] for p in ("model.processes.killing.rate", "model.processes.growth.rate")}
    draws = tme.sample(chosen, 16, seed=3)
    for path, values in draws.items():
        share = np.log(values / chosen[path].low) / np.log(chosen[path].high / chosen[path].low)
        assert sorted(np.floor(share * 16).astype(int)) == list(range(16)), path
        np.testing.assert_array_equal(values, tme.sample(chosen, 16, seed=3)[path])
    assert np.any(tme.sample(chosen, 16, seed=4)[path] != values)


def test_a_draw_is_of_the_same_structure(scenario):
    draws = tme.sample(tme.priors(scenario), 2)
    variant = tme.drawn(scenario, draws, 1)
    assert jax.tree.structure(variant) == jax.tree.structure(scenario)
    assert float(variant.at("model.processes.killing.rate")) == pytest.approx(draws["model.processes.killing.rate"][1])
    assert not variant.system.problems()


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"model.processes.killing.rat": (1.0, 2.0)}, "Did you mean 'model.processes.killing.rate'"),
        ({"model.processes.killing.rate": (2.0, 1.0)}, "must increase"),
        ({"model.processes.killing.rate": (1.0, 50.0)}, "must be at most 5"),
    ],
)
def test_a_wrong_range_is_refused(scenario, ranges, message):
    with pytest.raises(ValueError, match=message):
        tme.priors(scenario, ranges)


def test_a_range_of_your_own_wins(scenario):
    found = tme.priors(scenario, {"model.processes.bystander_killing.rate": (0.0, 0.05)})
    assert found["model.processes.bystander_killing.rate"].quantile(0.5) == pytest.approx(0.025)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: tme.priors(s.model), "`scenario` must be a tmepde.Scenario, but Model was given"),
        (lambda s: tme.priors(s, {"model.processes.killing.rate": 3.0}), "must be two numbers, but 3.0"),
        (lambda s: tme.priors(s, ["a"]), r"must hold \(low, high\) by path"),
        (lambda s: tme.sample({"a": (1.0, 2.0)}, 3), "`a` must be a Prior, but tuple"),
        (lambda s: tme.sample(tme.priors(s), 2.5), "`count` must be a whole number, but 2.5"),
        (lambda s: tme.drawn(s.model, {}, 0), "must be a tmepde.Scenario"),
        (lambda s: tme.drawn(s, tme.sample(tme.priors(s), 2), 2), "below the 2 draws, but 2 was given"),
        (lambda s: tme.drawn(s, tme.sample(tme.priors(s), 2), "1"), "below the 2 draws, but '1' was given"),
        (lambda s: tme.drawn(s, {"model.processes.killing.rate": 0.2}, 0), "must be a list of numbers"),
        (lambda s: tme.drawn(s, tme.priors(s), 0), "must be a list of numbers"),
    ],
)
def test_what_is_no_scenario_prior_or_draw_is_refused(scenario, call, message):
    with pytest.raises(ValueError, match=message):
        call(scenario)


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="at least 1 draw"):
        tme.sample({}, 4)
