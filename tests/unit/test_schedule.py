"""Schedules: amounts over intervals."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.schedule import Clock, schedules


def clock(base, start, step):
    return Clock(*(jnp.asarray(float(v)) for v in (base, start, start, step)))


def test_an_infusion_is_spread_evenly():
    one = tme.Infusion(2.0, 6.0, 3.0)
    assert [float(one.cumulative(t)) for t in (0.0, 2.0, 3.0, 5.0, 9.0)] == pytest.approx([0.0, 0.0, 2.0, 6.0, 6.0])
    assert float(one.total()) == 6.0


def test_the_step_gets_the_difference_of_cumulative_amounts():
    one = tme.Infusion([1.0, 4.0], [3.0, 5.0], [1.0, 0.5])
    np.testing.assert_allclose(clock(0.0, 0.5, 1.0).doses(one), [1.5, 0.0])
    np.testing.assert_allclose(clock(4.0, 0.0, 1.0).doses(one), [0.0, 5.0])
    np.testing.assert_allclose(clock(0.0, 0.0, 10.0).fractions(one), [1.0, 1.0])
    assert float(clock(0.0, 0.0, 10.0).rate(one)) == pytest.approx(0.8)
    assert float(clock(0.5, 0.5, 0.1).time) == 1.0


def test_whatever_the_steps_the_sum_is_the_dose():
    one = tme.Schedule([0.3, 5.0, 5.0], [1.0, 2.0, 3.0], [1e-6, 2.0, 0.25])
    edges = np.concatenate([[0.0], np.sort(np.random.default_rng(0).uniform(0.0, 10.0, 50)), [10.0]])
    total = sum(np.asarray(clock(0.0, a, b - a).doses(one)) for a, b in zip(edges, edges[1:], strict=False))
    np.testing.assert_allclose(total, [1.0, 2.0, 3.0], rtol=1e-10)


def test_knots_are_starts_and_ends():
    one = tme.Infusion([1.0, 4.0], 1.0, 0.5)
    np.testing.assert_allclose(one.knots(1.0), [0.0, 3.0, 0.5, 3.5])


def test_courses_and_continuous_infusions():
    course = tme.Course(start=24.0, every=48.0, doses=3, amount=2.0)
    np.testing.assert_allclose(course.at, [24.0, 72.0, 120.0])
    assert float(course.total()) == 6.0
    drip = tme.Continuous(rate=2.0, start=1.0, stop=4.0)
    assert (float(drip.total()), float(drip.over[0])) == (6.0, 3.0)
    assert float(tme.Bolus(1.0, 2.0).over[0]) == pytest.approx(1 / 60)


def test_the_dose_time_has_a_derivative():
    def delivered(at):
        return clock(0.0, 0.0, 2.0).doses(tme.Infusion(at, 6.0, 3.0))[0]

    assert float(jax.grad(delivered)(1.0)) == pytest.approx(-2.0)


def test_schedules_are_found_inside_a_tree():
    one, two = tme.Bolus(1.0, 1.0), tme.Bolus(2.0, 1.0)
    assert schedules({"a": one, "b": [two, 3.0]}) == [one, two]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1.0, 2.0], [1.0, 2.0, 3.0], 1.0), "one value or 3 per quantity"),
        ((1.0, -1.0, 1.0), "must be at least 0"),
        ((1.0, 1.0, 0.0), "must be positive"),
        ((float("inf"), 1.0, 1.0), "must be finite"),
        ((1.0, float("nan"), 1.0), "must be finite"),
        (([[1.0]], 1.0, 1.0), "one value or"),
    ],
)
def test_bad_schedules_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        tme.Schedule(*arguments)
