"""The validation table itself: all rows are there, verdicts follow from numbers, nothing that is unknown passes."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from validation.page import page
from validation.row import FAIL, NO_DATA, PASS, PENDING, Check, DataNotGiven, Row, not_yet, quoted, worst
from validation.suite import ORDERED


def test_every_row_is_declared_with_its_source():
    assert [r.id for r in ORDERED] == [f"V{i}" for i in range(1, 26)]
    assert all(r.title and r.source for r in ORDERED)


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (Check("", 10.0, 10.1, 0.01), PASS),
        (Check("", 10.0, 10.2, 0.01), FAIL),
        (Check("", -10.0, -10.2, 0.01), FAIL),
        (Check("", 10.0, 10.2, 0.3, rule="absolute"), PASS),
        (Check("", 10.0, 10.4, 0.3, rule="absolute"), FAIL),
        (Check("", (1.0, 2.0), 2.1, rule="between"), FAIL),
        (Check("", 1.0, 0.5, rule="at most"), PASS),
        (Check("", True, False, rule="holds"), FAIL),
        (Check("", 1.0, math.nan, rule="at most"), FAIL),
        (Check("", 1.0, None), PENDING),
    ],
)
def test_a_verdict_follows_from_the_numbers(check, verdict):
    assert check.verdict == verdict


def test_the_last_digit_of_a_quoted_number_is_left_open():
    assert quoted("0.0316") == (0.0316, pytest.approx(0.00005 / 0.0316))
    assert quoted("8.186e6") == (8.186e6, pytest.approx(500.0 / 8.186e6))
    assert quoted("11412") == (11412.0, pytest.approx(0.5 / 11412))


def _result(function):
    return Row("V1", "title", "source", function).run()


def test_a_row_is_as_good_as_its_worst_check():
    assert worst([PASS, PASS]) == PASS and worst([PASS, NO_DATA]) == NO_DATA and worst([]) == PENDING
    assert _result(lambda: [Check("a", 1.0, 1.0), *not_yet("b")])["verdict"] == PENDING
    assert _result(lambda: [Check("a", 1.0, 2.0), *not_yet("b")])["verdict"] == FAIL


def test_missing_data_and_errors_are_told():
    def without():
        yield Check("a", 1.0, 1.0)
        raise DataNotGiven("Set TMEPDE_DATA.")

    found = _result(without)
    assert (found["verdict"], found["note"], len(found["checks"])) == (NO_DATA, "Set TMEPDE_DATA.", 1)
    broken = _result(lambda: [Check("a", 1.0, 1.0 / 0.0)])
    assert broken["verdict"] == FAIL and "ZeroDivisionError" in broken["note"]


def test_the_page_shows_what_fails_and_why():
    rows = [_result(lambda: [Check("a|b", 1.0, 2.0, 0.1, "mmHg", cause="it cannot")])]
    text = page(rows)
    assert "1 fail" in text and "| a\\|b | 1 mmHg | 2 | ± 10 % | fail |" in text and "Cause: it cannot." in text
