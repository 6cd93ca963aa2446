"""Text with units becomes the number that it says, exactly once and back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmepde.config.modules import catalogue
from tmepde.config.units import factor, parse, text


@pytest.mark.parametrize(
    ("given_text", "unit", "value"),
    [
        ("30 um^2/min", "um^2/h", 1800.0),
        ("30 µm²/min", "um^2/h", 1800.0),
        ("1.75e-5 cm^2/s", "um^2/h", 6.3e6),
        ("1e6", "1", 1e6),
        ("25 %", "1", 0.25),
        ("5 mg/kg", "mg/kg", 5.0),
        ("1 day", "h", 24.0),
        ("2 weeks", "h", 336.0),
        ("5 microns", "um", 5.0),
        ("2 years", "h", 17532.0),
        ("200 cGy", "Gy", 2.0),
        ("4 1/day", "1/h", 1 / 6),
        ("4 /day", "1/h", 1 / 6),
        ("1e-4 cells/um^3", "cells/mm^3", 1e5),
        ("200 cells/uL", "cells/mm^3", 200.0),
        ("1 nmol/L", "nM", 1.0),
        ("1 uM", "nM", 1e3),
        ("1 kPa", "mmHg", 7.50061683),
        ("37 degC", "K", 310.15),
        ("10 molecules/cell/s", "1/s", 10.0),
        ("57 amol/cell/s", "amol/s", 57.0),
        ("0.1 1/(nM h)", "1/(nM h)", 0.1),
        ("  7   um ", "um", 7.0),
        ("-3 um/h", "um/h", -3.0),
        # other programs (pint, UDUNITS) and papers write these
        ("30 um**2/min", "um^2/h", 1800.0),
        ("30 um2/min", "um^2/h", 1800.0),
        ("1.75e-5 cm2 s-1", "um^2/h", 6.3e6),
        ("3 cells/mm3", "cells/mm^3", 3.0),
        ("10^8 cells", "cells", 1e8),
        ("-2.5 x 10^-3 um/h", "um/h", -2.5e-3),
        ("5×10^6 cells", "cells", 5e6),
        ("800\u00a0um", "um", 800.0),
        ("\u22122\u202fum/h", "um/h", -2.0),
    ],
)
def test_text_with_a_unit_is_converted(given_text: str, unit: str, value: float) -> None:
    assert parse(given_text, unit) == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize(
    ("given_text", "unit", "advice"),
    [
        ("5 mg/kg", "nmol", "Divide by the molar mass and multiply by the body weight"),
        ("1 ng/mL", "nM", "Divide by the molar mass"),
        ("4.3 day", "1/h", 'Write "0.1612 1/day" if it is one'),
        ("0 day", "1/h", 'Write "0 1/s"'),
        ("3 um", "nmol", 'Write "3 nmol"'),
    ],
)
def test_a_mass_or_half_life_is_not_told_to_be_written_as_an_amount_or_rate(
    given_text: str, unit: str, advice: str
) -> None:
    """Who wrote ``"5 mg/kg"`` was told to write ``"5 nmol"``, a four-hundredth of it; for 4.3 days 4.3 per second."""
    with pytest.raises(ValueError, match="has the dimension") as refused:
        parse(given_text, unit)
    assert advice in str(refused.value)


def test_a_bare_number_is_in_the_internal_unit() -> None:
    assert parse(5, "um") == parse(5.0, "um") == parse("5 um", "um") == 5.0


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 10**400, -(10**400)], ids=["nan", "inf", "big", "-big"])
def test_numbers_without_an_end_are_not_told_to_have_a_unit(number: float) -> None:
    """``nan`` was to be written as ``"nan hour"``, and a whole number of 400 digits ended in an OverflowError."""
    for bare in (True, False):
        with pytest.raises(ValueError, match="must be finite, but"):
            parse(number, "h", bare)


@pytest.mark.parametrize(
    "bad",
    [
        "5 __import__('os')",
        "5 um^99",
        "5 um**2",
        "5 (",
        "um",
        "",
        "5 um 3",
        "5; um",
        "0x10 um",
        "1 um**22",
        "4 um**2**3**4**5",
        "1 um^(2)^3",
    ],
)
def test_malformed_text_is_refused_with_a_sentence(bad: str) -> None:
    with pytest.raises(ValueError, match="Write|Did you mean|Known"):
        parse(bad, "um")


def test_what_to_write_for_a_pure_number_is_no_number_that_may_be_out_of_bounds() -> None:
    with pytest.raises(ValueError, match=r"Write a number\.$"):
        parse("small", "1")


def test_body_weight_is_not_a_mass_of_drug() -> None:
    assert factor("mg/kg", "1") is None
    assert factor("cells/mm^3", "1/mm^3") == 1.0  # cells are counts where a parameter does not name them


def every_unit() -> list[str]:
    found: set[str] = {"h", "um"}

    def walk(entry: dict) -> None:
        for group in ("parameters", "schedules", "species"):
            found.update(one["unit"] for one in entry.get(group, {}).values())
        for part in entry.get("parts", {}).values():
            walk(part)

    for group in catalogue().values():
        for entry in group.values():
            walk(entry)
    return sorted(found)


@pytest.mark.parametrize("unit", every_unit())
def test_every_unit_of_the_catalogue_can_be_written(unit: str) -> None:
    assert parse(text(2.5, unit), unit) == 2.5


@given(st.floats(min_value=1e-37, max_value=1e37), st.sampled_from(["um", "1", "cells/mm^3", "um^2/h"]))
def test_writing_and_reading_a_number_is_exact(value: float, unit: str) -> None:
    assert parse(text(value, unit), unit) == value


@given(st.text(max_size=40))
def test_no_text_does_anything_but_parse_or_be_refused(given_text: str) -> None:
    try:
        assert math.isfinite(parse(given_text, "um"))
    except ValueError as error:
        assert str(error)
