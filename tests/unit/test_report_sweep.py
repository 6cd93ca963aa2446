"""Analysis of a sweep from its store: effects, interactions, Bliss and Loewe by hand; the page and the command."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

from tmepde.report import write_report
from tmepde.report.sweep_measures import best, main_effects, outcomes, pairs, synergies
from tmepde.report.sweep_page import render_sweep
from tmepde.report.synergy import bliss_excess, dose_for, effect, loewe_index, surface


def sweep(columns, outcome, status=None, arms=None, config="", units=None):
    """A store of a sweep in memory: outcome y over three times, from 2 to 2y."""
    count = len(outcome)
    time = np.array([0.0, 24.0, 48.0])
    values = 2.0 * np.stack([np.ones(count), np.sqrt(np.abs(outcome)), outcome], axis=1)
    coords = {"time": ("time", time, {"units": "h"}), "scenario": np.arange(count)}
    coords |= {n: ("scenario", np.asarray(v), {"units": (units or {}).get(n, "1")}) for n, v in columns.items()}
    coords["arm"] = ("scenario", np.asarray(arms if arms is not None else ["all"] * count, dtype=object))
    data = {
        "tumour_burden": (("scenario", "time"), values, {"units": "1"}),
        "status": ("scenario", np.ones(count, np.int8) if status is None else np.asarray(status, np.int8)),
    }
    return xr.Dataset(data, coords, {"tmepde_kind": "sweep", "title": "a sweep", "config": config})


def crossed(first, second):
    a, b = np.meshgrid(first, second, indexing="ij")
    return a.ravel(), b.ravel()


# -- Bliss and Loewe ---------------------------------------------------------------------------------------------------


def test_bliss_by_hand():
    """60 % and 50 % leave 40 % of 50 %: 80 % together, so that 90 % is an excess of 10 %."""
    assert bliss_excess(0.6, 0.5, 0.9) == pytest.approx(0.1)
    assert bliss_excess(0.6, 0.5, 0.8) == pytest.approx(0.0, abs=1e-15)
    assert bliss_excess(0.6, 0.0, 0.6) == 0.0
    assert effect(25.0, 100.0) == 0.75 and math.isnan(effect(1.0, 0.0))


def test_the_dose_for_an_effect():
    doses, effects = [0.0, 1.0, 2.0, 4.0], [0.0, 0.2, 0.4, 0.5]
    assert dose_for(0.3, doses, effects) == pytest.approx(1.5)
    assert dose_for(0.45, doses, effects) == pytest.approx(3.0)
    assert math.isnan(dose_for(0.6, doses, effects))
    assert dose_for(0.3, doses, [0.0, 0.0, 5e-4, 0.0]) == math.inf
    assert dose_for(-0.1, [0.0, 1.0], [0.0, -0.2]) == pytest.approx(0.5)  # harm has a dose too
    with pytest.raises(ValueError, match="increase"):
        dose_for(0.1, [0.0, 0.0], [0.0, 1.0])


def test_loewe_by_hand():
    """Alone 2 of a or 4 of b do 40 %; 1 and 1 together do it: ½ + ¼."""
    a, b = ([0.0, 1.0, 2.0], [0.0, 0.25, 0.4]), ([0.0, 2.0, 4.0], [0.0, 0.1, 0.4])
    assert loewe_index(1.0, 1.0, 0.4, a, b) == pytest.approx(0.75)
    assert loewe_index(1.0, 3.0, 0.4, a, ([0.0, 4.0], [0.0, 0.0])) == pytest.approx(0.5)  # b does nothing alone
    assert math.isnan(loewe_index(1.0, 1.0, 0.5, a, b))  # beyond both


@pytest.mark.parametrize("curve", [lambda d: 0.2 * d, lambda d: d**2 / (4.0 + d**2), lambda d: 1.0 - np.exp(-0.3 * d)])
def test_a_sham_combination_has_the_index_one(curve):
    """An agent with itself: the effect of (a, b) is that of a + b."""
    doses = np.arange(5.0)
    a, b = np.meshgrid(doses, doses, indexing="ij")
    _, excess, index = surface((doses, doses), 3.0 * (1.0 - curve(a + b)))
    known = np.isfinite(index)
    assert known[1:, 1:].sum() == 6 and np.all((a + b)[known] <= 4.0)  # beyond 4 no dose alone does as much
    np.testing.assert_allclose(index[known], 1.0, rtol=1e-12)
    assert np.all(np.isnan(excess[0])) and np.all(np.isfinite(excess[1:, 1:]))


def test_independent_action_has_no_bliss_excess():
    doses = np.array([0.0, 1.0, 3.0])
    a, b = np.meshgrid(doses, doses, indexing="ij")
    _, excess, _ = surface((doses, doses), 7.0 * np.exp(-0.4 * a) / (1.0 + b))
    np.testing.assert_allclose(excess[1:, 1:], 0.0, atol=1e-15)
    with pytest.raises(ValueError, match="begin with 0"):
        surface((doses[1:], doses), np.ones((2, 3)))


# -- effects and interactions ------------------------------------------------------------------------------------------


def test_main_effects_and_interaction_by_hand():
    """y = 3 + a + 2b + ab with a, b = ±½ crossed: 1, 4 and ¼ of a sum of squares of 5¼."""
    a, b = crossed([-0.5, 0.5], [-0.5, 0.5])
    found = outcomes(sweep({"a": a, "b": b, "same": 0.0 * a}, 3.0 + a + 2.0 * b + a * b))
    effects = main_effects(found)
    assert [e.factor.name for e in effects] == ["b", "a"]  # what does not vary is left out
    np.testing.assert_allclose([e.share for e in effects], [4.0 / 5.25, 1.0 / 5.25])
    np.testing.assert_allclose(effects[0].mean, [2.0, 4.0])
    np.testing.assert_allclose(effects[0].error, [0.25, 0.75])  # half the difference of two
    (pair,) = pairs(found)
    assert pair.interaction == pytest.approx(0.25 / 5.25)
    np.testing.assert_allclose(pair.mean, [[1.75, 3.25], [2.25, 4.75]])
    assert best(found, 2) == [0, 2]


def test_what_did_not_end_counts_for_nothing():
    a = np.array([0.0, 0.0, 1.0, 1.0])
    found = outcomes(sweep({"a": a}, np.array([1.0, 0.01, 2.0, 3.0]), status=[1, 3, 1, 0]))
    assert np.isnan(found.values).tolist() == [False, True, False, True]
    np.testing.assert_allclose(main_effects(found)[0].mean, [1.0, 2.0])
    assert best(found) == [0, 2]


def test_drawn_numbers_are_binned_and_give_no_synergy():
    x = np.random.default_rng(0).uniform(0.0, 1.0, 300)
    found = outcomes(sweep({"x": x}, 1.0 + x))
    (one,) = main_effects(found)
    assert one.factor.binned and len(one.mean) == 6 and np.all(one.count == 50)
    assert one.share == pytest.approx(1.0 - 1.0 / 36.0, abs=0.01)  # what is left varies within a sixth
    assert np.all(np.diff(one.mean) > 0) and synergies(found) == []


def test_synergy_of_doses_in_every_setting_of_the_rest():
    first, second = crossed([0.0, 1.0, 2.0], [0.0, 1.0, 2.0])
    left = np.concatenate([np.exp(-first - 0.5 * second), np.exp(-first - 0.5 * second - 0.3 * first * second)])
    columns = {"a": np.tile(first, 2), "b": np.tile(second, 2), "site": np.repeat([1.0, 2.0], 9)}
    plain, together = synergies(outcomes(sweep(columns, left)))
    assert (plain.context, together.context) == ("site = 1.0", "site = 2.0")
    np.testing.assert_allclose(plain.excess[1:, 1:], 0.0, atol=1e-15)
    assert np.all(together.excess[1:, 1:] > 0.01)
    half = sweep(columns, left, status=[1] * 17 + [0])  # the last is pending: its setting cannot be judged
    assert [s.context for s in synergies(outcomes(half))] == ["site = 1.0"]


ARMS = '[arms]\nnone = []\nx = ["x"]\ny = ["y"]\nboth = ["x", "y"]\n'


def test_synergy_of_interventions_that_arms_hold():
    found = outcomes(sweep({}, np.array([1.0, 0.4, 0.5, 0.1]), arms=["none", "x", "y", "both"], config=ARMS))
    (one,) = synergies(found)
    assert (one.first, one.second) == ("x", "y")
    assert one.excess[1, 1] == pytest.approx(0.9 - 0.8)
    assert np.isnan(one.index).all()


def test_times_and_numbers_of_one_intervention_are_no_pair_of_agents():
    (one,) = {(s.first, s.second) for s in synergies(outcomes(typical()))}
    assert one == ("interventions.car_t.dose.amount", "interventions.pd1.dose.amount")


def test_the_outcome_is_over_its_start_unless_that_is_zero():
    data = sweep({"a": [0.0, 1.0]}, np.array([0.5, 0.25]))
    assert outcomes(data).values.tolist() == [0.5, 0.25] and outcomes(data).relative
    data["il6"] = ("scenario", "time"), np.array([[0.0, 1.0, 3.0], [0.0, 5.0, np.nan]]), {"units": "pg/mL"}
    other = outcomes(data, "il6")
    assert other.values.tolist() == [3.0, 5.0] and other.unit == "pg/mL" and not other.relative
    with pytest.raises(ValueError, match="tumour_burden"):
        outcomes(data, "nothing")


# -- page and command --------------------------------------------------------------------------------------------------


def typical():
    """Dose × start of one agent and dose of another; 3 × 3 × 3 scenarios of which one failed and one is pending."""
    one, start, other = (
        x.ravel() for x in np.meshgrid([0.0, 1e8, 3e8], [0.0, 3.0, 7.0], [0.0, 1.0, 2.0], indexing="ij")
    )
    left = np.exp(-one / 1e8 * (1.0 + other) / (1.0 + 0.2 * start) - 0.3 * other)
    columns = {
        "interventions.car_t.dose.amount": one,
        "interventions.car_t.dose.at": start,
        "interventions.pd1.dose.amount": other,
    }
    units = {"interventions.car_t.dose.amount": "cells", "interventions.car_t.dose.at": "day"}
    status = np.ones(27)
    status[[13, 26]] = [2, 0]
    return sweep(columns, left, status=status, units=units)


def test_the_page_says_what_is_best_and_what_interacts():
    page = render_sweep(typical())
    assert page.count("<img ") >= 3
    assert "25 ok" in page and "1 failed" in page and "1 pending" in page
    for text in ("Main effects", "Best scenarios", "Synergy", "Loewe", "Bliss", "car_t · at (day)", "of the variance"):
        assert text in page, text
    assert page == render_sweep(typical())  # no clock and no chance in it


def test_a_sweep_of_nothing_yet_is_a_page_too():
    data = sweep({"a": [0.0, 1.0]}, np.array([0.5, 0.25]), status=[0, 0])
    data["tumour_burden"][:] = np.nan
    assert "No scenario has reached its end yet" in render_sweep(data)


def test_the_command_opens_a_sweep_store(tmp_path):
    """Through a zarr store on disk, as ``tmepde report`` is called; nothing is run."""
    from typer.testing import CliRunner

    from tmepde.cli.app import app

    store, out = tmp_path / "sweep.zarr", tmp_path / "sweep.html"
    data = typical()
    data["arm"] = data["arm"].astype(str)
    data.to_zarr(store, zarr_format=3)
    found = CliRunner().invoke(app, ["report", str(store), "-o", str(out)])
    assert found.exit_code == 0, found.output
    assert "Best scenarios" in out.read_text(encoding="utf-8")
    write_report(store, out)  # again, over an earlier report
