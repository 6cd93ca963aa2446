"""The project's catalogue of 110 bad inputs, item by item: where each is tested, or why it is not.

Tests carry the number of their item at the start of their id or after ``test_``. Configs are TOML, so items of YAML are
read as their counterpart: a tag is text, an alias or an ``include`` is an unknown key.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

#: items that are tested here, in words
TESTED = {
    1: "missing file", 2: "a directory", 3: "no permission", 4: "empty", 5: "binary, UTF-16, latin-1",
    6: "BOM and CRLF accepted", 7: "syntax, with line and column", 8: "duplicate key", 9: "unknown key, nearest name",
    10: "a tag or code in a value", 12: "200 levels", 13: "huge file", 14: "top level is a list", 15: "schema version",
    16: "include", 17: "number as text", 18: "NaN", 19: "infinity", 20: "negative diffusivity", 21: "negative rate",
    22: "zero half-saturation", 23: "Hill exponent", 24: "bool for number", 25: "overflow", 26: "float32 range",
    27: "thousands separator", 28: "complex", 29: "missing unit", 30: "unknown unit", 31: "wrong dimension",
    32: "ambiguous M", 33: "legal but absurd", 34: "offset temperature", 35: "mmHg and uM", 36: "no cells",
    37: "float cells", 38: "one cell on an axis", 39: "0 or 4 axes", 40: "no length", 41: "counts differ",
    42: "too many cells", 43: "masks", 44: "map of another size", 45: "unknown condition", 46: "periodic and a side",
    47: "negative transfer", 48: "singular steady state", 49: "side of an unknown species", 50: "side of wrong length",
    51: "missing picture", 52: "NaN initial", 53: "negative initial", 54: "transposed initial", 55: "odd dtypes",
    57: "odd memory order accepted", 58: "no duration", 59: "steps", 60: "explicit step above its limit",
    61: "output times", 62: "save every 0", 63: "tolerances", 64: "unknown solver", 65: "steps used up",
    66: "too many outputs", 67: "unknown species", 68: "species twice", 69: "reaction of a missing species",
    70: "unknown or circular therapy", 71: "end before start", 72: "outside the domain", 73: "negative dose",
    74: "fraction outside [0, 1]", 75: "no diffusion accepted", 76: "a therapy twice in an arm", 77: "after the end",
    78: "the same name twice", 79: "two therapies on one rate accepted", 80: "unknown command or flag",
    81: "malformed override", 84: "output exists", 85: "output that cannot be", 89: "no such device",
    92: "seed", 93: "broken pipe", 94: "no terminal", 95: "odd paths accepted", 101: "truncated store",
    102: "links and escaping keys", 103: "store of other software", 104: "failed checksum",
    105: "dimensions in another order", 106: "tracer on the host", 107: "inside a transformation",
    108: "frozen parameters", 109: "64-bit mode", 110: "all kinds of numbers are equal",
}  # fmt: skip
#: items with no counterpart, and why
ABSENT = {
    11: "TOML has no aliases",
    56: "no array file is read: initial values of configs are numbers, pictures go through Pillow (see test_security)",
    90: "devices are chosen by kind; there is no device number to give",
    96: "there is no calibration and no table of observations yet", 97: "as 96", 98: "as 96", 99: "as 96", 100: "as 96",
}  # fmt: skip
#: items tested with the commands they belong to: sweeps, and stores that a run goes on in
ELSEWHERE = {82: "sweep", 83: "sweep", 86: "resume", 87: "resume", 88: "resume", 91: "sweep workers"}


def numbers() -> set[int]:
    """Item numbers at the start of test ids and of names of test functions in this folder."""
    found: set[int] = set()
    for path in HERE.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                found |= {int(n) for n in re.findall(r"^test_(\d\d+)_", node.name)}
            elif isinstance(node, ast.Dict) and path.name != Path(__file__).name:
                keys = [k.value for k in node.keys if isinstance(k, ast.Constant) and isinstance(k.value, str)]
                found |= {int(k.split()[0]) for k in keys if re.match(r"\d\d+ \w", k)}
    return found


def test_every_item_has_its_place() -> None:
    assert sorted([*TESTED, *ABSENT, *ELSEWHERE]) == list(range(1, 111))


def test_every_tested_item_has_a_test() -> None:
    assert sorted(set(TESTED) - numbers()) == []


def test_every_refusal_of_a_config_comes_within_two_seconds_without_jax_and_writes_nothing(tmp_path: Path) -> None:
    """All values and files of ``test_bad_input`` in one process, in an empty folder."""
    script = f"""
import sys, tempfile, time
sys.path.insert(0, {str(HERE)!r})
import test_bad_input as items
from tmepde import config
config.loads(items.BASE)  # what is imported once is not asked for here
slowest = count = 0
for overrides, path, words in items.VALUES.values():
    began = time.perf_counter()
    try:
        config.loads(items.BASE, {{k.replace("__", "."): v for k, v in overrides.items()}})
    except config.ConfigError as error:
        count += words in str(error)
    slowest = max(slowest, time.perf_counter() - began)
for content, words in items.FILES.values():
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(content)
        file.flush()
        try:
            config.load(file.name)
        except config.ConfigError as error:
            count += words in str(error)
print(count == len(items.VALUES) + len(items.FILES), slowest < 2.0, "jax" in sys.modules, "xarray" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.stdout.split() == ["True", "True", "False", "False"], done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_23_no_parameter_is_an_exponent_without_bounds() -> None:
    """The rate laws have fixed exponents; one that became a parameter must be bounded, above 0."""
    from tmepde.config.modules import catalogue

    for group in ("processes", "interventions"):
        for name, entry in catalogue()[group].items():
            for key, one in entry["parameters"].items():
                if re.search("exponent|hill|steepness", key):
                    low, high = one["bounds"]
                    assert low is not None and low > 0 and high is not None, f"{name}.{key}"


def test_22_every_half_saturation_is_above_zero() -> None:
    from tmepde.config.modules import catalogue

    for group in ("processes", "interventions"):
        for name, entry in catalogue()[group].items():
            for key, one in entry["parameters"].items():
                if key.endswith("half"):
                    assert one["bounds"][0] > 0, f"{name}.{key}"


def test_105_a_store_is_read_by_names_whatever_the_order_of_dimensions() -> None:
    import numpy as np
    import xarray as xr

    from tmepde.io.export.choice import chosen, images, space

    data = xr.Dataset(
        {"u": (("x", "time", "y"), np.zeros((2, 3, 4)))},
        coords={"time": [0.0, 1.0, 2.0], "y_bounds": (("y", "bound"), np.zeros((4, 2)))},
    )
    assert space(chosen(data, (), (), [1.0])) == ("y", "x") and images(data) == ["u"]
