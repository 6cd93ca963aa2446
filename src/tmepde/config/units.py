"""Text with units to plain floats, once, at the edge: ``parse("30 um^2/min", "um^2/h")`` is 1800.0.

The registry holds only the units of this field, so that a misspelt one is found and nothing means two things:
``M`` (molar or metre) is refused, ``cell`` is a dimension of its own, and ``kg`` is body weight, so that a dose in
mg/kg is not a pure number. pint is imported on first use.
"""

from __future__ import annotations

import functools
import math
import re
from typing import Any

from tmepde.config.errors import suggest

_DEFINITIONS = """
atto- = 1e-18 = a-
femto- = 1e-15 = f-
pico- = 1e-12 = p-
nano- = 1e-9 = n-
micro- = 1e-6 = u- = µ- = μ-
milli- = 1e-3 = m-
centi- = 1e-2 = c-
kilo- = 1e3 = k-
meter = [length] = m = metre
micron = 1e-6 * meter
second = [time] = s = sec
minute = 60 * second = min
hour = 60 * minute = h = hr
day = 24 * hour = d
week = 7 * day
year = 365.25 * day = yr
kelvin = [temperature] = K
degree_Celsius = kelvin; offset: 273.15 = degC = °C
gram = [mass] = g
kilogram_of_body_weight = [body_weight] = kg
mole = [amount] = mol
molecule = 1.6605390671738466e-24 * mole = molecule
liter = 1e-3 * meter ** 3 = L = l = litre
molar = mole / liter = molar
nM = 1e-9 * molar
uM = 1e-6 * molar = µM = μM
mM = 1e-3 * molar
pM = 1e-12 * molar
fM = 1e-15 * molar
cell = [cells] = cell
mmHg = [pressure] = mmHg = torr
pascal = 0.00750061683 * mmHg = Pa
gray = [absorbed_dose] = Gy
count = []
enzyme_unit = [enzyme_activity] = U
dalton = [molecular_weight] = Da
percent = 0.01 = percent
""".strip().splitlines()

#: what a reader may write, for suggestions
KNOWN = (
    "um micron nm mm cm m s min h hour day week year K degC g mg ug ng kg mol nmol molecule L mL uL nM uM mM pM "
    "cell cells mmHg kPa Pa Gy cGy U Da kDa percent"
).split()
_ALIKE = {
    "um^2/h": ("um^2/s", "um^2/min", "mm^2/day"),
    "um": ("um", "mm", "nm"),
    "h": ("min", "hour", "day"),
    "1/h": ("1/s", "1/min", "1/day"),
    "um/h": ("um/min", "mm/day"),
    "nM": ("nM", "uM", "nmol/L"),
    "cells/mm^3": ("cells/mm^3", "cells/um^3", "cells/mL"),
    "mmHg": ("mmHg", "kPa"),
    "Gy": ("Gy", "cGy"),
}
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
#: spaces that do not break a line, and the minus of typesetters, as they come with text that is copied from papers
_PRINTED = {0xA0: " ", 0x2009: " ", 0x202F: " ", 0x2212: "-"}
#: "10^8" and "5 x 10^6", as papers print them
_POWER = re.compile(r"([+-]?)(?:(\d+(?:\.\d*)?|\.\d+)\s*[*x×·]\s*)?10\^([+-]?\d{1,3})(?!\d)")
#: the exponent in "um2/s" and "cm2 s-1"
_EXPONENT = re.compile(r"(?<=[A-Za-zµμ])(-?\d)(?![\d.])")
#: an exponent of one digit, and no power of a power, which would take for ever to work out
_TAME = re.compile(r"\^\s*(?:-?\d(?:\.\d)?|\(\s*-?\d(?:\.\d)?\s*\))(?![\d.]|\s*(?:\^|\*\*))")
_SAFE = re.compile(r"[A-Za-zµμ°%0-9²³⁻¹\s^*/().·-]{1,80}")
#: float32 holds magnitudes between these
_SMALLEST, _LARGEST = 1.2e-38, 3.4e38


@functools.cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry(_DEFINITIONS, cache_folder=None, autoconvert_offset_to_baseunit=False)


@functools.cache
def _unit(text: str) -> Any:
    """The pint unit of ``text``; raises ValueError with the remedy."""
    import pint

    cleaned = _EXPONENT.sub(r"^\1", text.replace("%", "percent").replace("·", "*").replace("**", "^").strip())
    if not _SAFE.fullmatch(text) or cleaned.count("^") != len(_TAME.findall(cleaned)):
        raise ValueError(f'has the unit "{text}", which cannot be read. Write units such as "um^2/min".')
    if re.search(r"(?<![A-Za-zµμ°])M(?![A-Za-z])", cleaned):
        raise ValueError('has the unit "M", which may be molar or metre. Write "mol/L" (or mM, uM, nM) or "m".')
    try:
        return _registry().parse_units(cleaned)
    except pint.UndefinedUnitError as error:
        names = error.unit_names if isinstance(error.unit_names, str) else error.unit_names[0]
        raise ValueError(f"has the unknown unit {names!r}. {suggest(names, KNOWN, limit=99)}") from None
    except Exception:
        # pint raises many kinds for malformed text; all mean the same to the reader
        raise ValueError(f'has the unit "{text}", which cannot be read. Write units such as "um^2/min".') from None


@functools.cache
def factor(given: str, internal: str) -> float | None:
    """1 ``given`` in ``internal`` units, or ``None`` where the dimensions differ."""
    if given == internal:
        return 1.0
    source, target = _unit(given), _registry().dimensionless if internal == "1" else _unit(internal)
    if source.dimensionality != target.dimensionality and internal != "1" and "cell" not in internal:
        # "molecules/cell/s" may be written for 1/s, and "mm^3/cell/h" for mm^3/h
        source = _unit(re.sub(r"(?<![A-Za-z])(cell|molecule)s?(?![A-Za-z])", "count", given))
    if source.dimensionality != target.dimensionality:
        return None
    return float(_registry().Quantity(1.0, source).to(target).magnitude)


def examples(internal: str, number: str = "") -> str:
    """Texts that would do for ``internal``, for messages."""
    if internal == "1":
        return number or "a number"  # any one may be out of bounds
    return " or ".join(f'"{number or 1} {unit}"' for unit in _ALIKE.get(internal, (internal,)))


def parse(value: Any, internal: str, bare: bool = True) -> float:
    """A number in ``internal`` units from ``"30 um^2/min"``, ``"1e6"`` or a plain number.

    Args:
        value: text with a unit, or a number (then already in ``internal``).
        internal: the unit in which the number is stored, ``"1"`` for pure numbers.
        bare: whether a plain number is accepted for a quantity that has a unit.

    Raises:
        ValueError: with the end of a sentence that begins with the path: "must …. <What to do>."
    """
    wanted = "a number" if internal == "1" else f"a quantity in {internal}"
    if isinstance(value, bool):
        raise ValueError(f"must be {wanted}, but {str(value).lower()} was given. Write a number without quotes.")
    if isinstance(value, int | float):
        number = _finite(math.inf if isinstance(value, int) and abs(value) > 10**300 else float(value), value)
        if internal != "1" and not bare:
            raise ValueError(f"must have a unit, but {value!r} was given. Write {examples(internal, f'{value:g}')}.")
        return number
    if not isinstance(value, str):
        raise ValueError(f"must be {wanted}, but a {_kind(value)} was given. Write {examples(internal)}.")
    return _finite(_from_text(value.translate(_PRINTED).strip(), internal, wanted), value)


def _e_notation(text: str) -> str:
    """``"5 x 10^6 cells"`` as ``"5e6 cells"``."""
    return _POWER.sub(lambda found: f"{found[1]}{found[2] or 1}e{found[3]}", text, count=1) if "10^" in text else text


def _from_text(text: str, internal: str, wanted: str) -> float:
    if len(text) > 120 or not text.isprintable():
        given = repr(text[:60]) + ("…" if len(text) > 60 else "")
        raise ValueError(f"must be {wanted}, but {given} was given. Write {examples(internal)}.")
    text = _e_notation(text)
    match = _NUMBER.match(text)
    if text.lower().lstrip("+-").split(" ")[0] in ("nan", "inf", "infinity"):
        raise ValueError(f'must be finite, but "{text}" was given. Write a number.')
    if not match or not text:
        raise ValueError(f'must be {wanted}, but "{text}" was given. Write {examples(internal)}.')
    number, unit = float(match.group()), text[match.end() :].strip()
    unit = f"1{unit}" if unit.startswith("/") else unit
    if unit.startswith(","):
        decimal = f' for thousands or "{text.replace(",", ".", 1)}" for a decimal' if text.count(",") == 1 else ""
        raise ValueError(
            f'must be {wanted}, but "{text}" was given. Write it without a comma: "{text.replace(",", "")}"{decimal}.'
        )
    if re.fullmatch(r"[+-].*[ij]|[ij]", unit):
        raise ValueError(f'must be real, but the complex number "{text}" was given. Write a real number.')
    if not unit:
        if internal != "1":
            raise ValueError(f'must have a unit, but "{text}" was given. Write {examples(internal, match.group())}.')
        return number
    if unit.replace(" ", "") in ("degC", "°C") and internal == "K":
        return number + 273.15
    if re.search(r"degC|°C", unit):
        raise ValueError(f'must not use the offset unit degC here, but "{text}" was given. Write K for differences.')
    scale = factor(unit, internal)
    if scale is None:
        raise ValueError(
            f'must be {wanted}, but "{text}" has the dimension {_unit(unit).dimensionality}. '
            f"{_remedy(match.group(), unit, internal)}"
        )
    # 15 digits are exact in float64 and drop the rounding of the conversion: 1.75e-5 cm^2/s is 6.3e6 um^2/h
    return number if scale == 1.0 else float(f"{number * scale:.15g}")


def _remedy(number: str, unit: str, internal: str) -> str:
    """What to write for a quantity of another dimension: masses and half-lives are no amounts and rates yet."""
    given, wanted = (dict(_unit(u).dimensionality) if u != "1" else {} for u in (unit, internal))
    if "[mass]" in given and "[amount]" in wanted:
        weight = " and multiply by the body weight" if "[body_weight]" in given else ""
        return f"Divide by the molar mass{weight} (1 mg of 150 kDa is 6.67 nmol). Write {examples(internal)}."
    if given == {"[time]": 1} and wanted == {"[time]": -1} and float(number) > 0:
        return (
            f'A half-life is a rate of ln 2 over it. Write "{math.log(2.0) / float(number):.4g} 1/{unit}" if it is one.'
        )
    return f"Write {examples(internal, number)}."


def _finite(number: float, given: Any) -> float:
    if not math.isfinite(number):
        given = repr(given) if len(repr(given)) < 40 else f"{repr(given)[:30]}…"
        raise ValueError(f"must be finite, but {given} was given. Write a number below {_LARGEST:g}.")
    if abs(number) > _LARGEST or 0 < abs(number) < _SMALLEST:
        raise ValueError(
            f"must fit float32 ({_SMALLEST:g} to {_LARGEST:g} in size), but {given!r} was given. "
            "Write 0 or check the unit."
        )
    return number


def _kind(value: Any) -> str:
    return {dict: "table", list: "list", type(None): "missing value"}.get(type(value), type(value).__name__)


def text(value: float, unit: str) -> str | float:
    """The inverse of :func:`parse`, exact: ``"1800 um^2/h"``; a pure number stays a number."""
    return float(value) if unit == "1" else f"{repr(float(value)).removesuffix('.0')} {unit}"


def split(value: Any) -> tuple[float, str] | None:
    """Number and unit of a value as a config writes it (``""`` without a unit); ``None`` if it is no number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value, ""
    text = _e_notation(value.translate(_PRINTED).strip()) if isinstance(value, str) else ""
    match = _NUMBER.match(text)
    if not match:
        return None
    return float(match.group()), text[match.end() :].strip()
