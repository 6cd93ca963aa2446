"""Bad input is refused before JAX starts, with the path, what was given and what to write; nothing is written.

Numbers in the ids are those of the project's catalogue of bad input.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tmepde import config

BASE = """\
schema = 1
name = "base"
[grid]
extent = ["1 mm", "1 mm"]
cells = [32, 32]
[tissue]
kind = "nodule"
radius = "0.3 mm"
[model]
kind = "solid_tumour"
[interventions.car_t]
kind = "cell_infusion"
dose = { kind = "bolus", at = "1 day", amount = 1e8 }
[interventions.rt]
kind = "radiotherapy"
dose = { kind = "course", start = "2 day", every = "1 day", doses = 5, amount = "2 Gy" }
[arms]
"CAR-T" = ["car_t"]
"both" = ["car_t", "rt"]
[run]
until = "14 day"
save = { every = "12 hour", fields = ["car_t", "oxygen"] }
"""


def refusal(text: str, **overrides: object) -> str:
    """The message with which ``text`` is refused."""
    with pytest.raises(config.ConfigError) as caught:
        config.loads(text, {k.replace("__", "."): v for k, v in overrides.items()}, "bad.toml")
    return str(caught.value)


def test_the_base_is_good() -> None:
    assert config.loads(BASE).warnings == ()


# -- the file ---------------------------------------------------------------------------------------------------------

FILES = {
    "04 empty": (b"", "must not be empty"),
    "04 blank": (b"  \n\n", "must not be empty"),
    "05 utf-16": (BASE.encode("utf-16"), "UTF-16"),
    "05 latin-1": (BASE.replace("base", "Tumöre").encode("latin-1"), "UTF-8"),
    "05 binary": (b"\x00\x01\x02schema = 1", "zero bytes"),
    "07 syntax": (b"schema = 1\nname == 3\n", "Line 2:7"),
    "07 open list": (b"schema = 1\ncells = [1, 2\n", "is not TOML"),
    "08 duplicate key": (b"schema = 1\nschema = 1\n", "given twice"),
    "08 duplicate table": (b"schema = 1\n[run]\n[run]\n", "given twice"),
    "12 deep nesting": (b"schema = 1\na = " + b"[" * 200 + b"]" * 200, "nested at most 50"),
    "12 deeper nesting": (b"schema = 1\na = " + b"[" * 100_000, "cannot be read"),
    "13 huge": (b"# " + b"x" * (2**20), "at most 1 MiB"),
    "14 not a table": (b'["a", "b"]\n', "is not TOML"),
    "15 no version": (b'name = "x"\n', "`schema` must be given"),
    "15 newer version": (b"schema = 7\n", "newer tmepde"),
    "15 text version": (b'schema = "1"\n', "Write schema = 1"),
}


@pytest.mark.parametrize("name", FILES)
def test_bad_file(name: str, tmp_path: Path) -> None:
    content, words = FILES[name]
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(config.ConfigError, match="bad.toml has 1 problem") as caught:
        config.load(path)
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def test_01_missing_file_suggests_a_neighbour(tmp_path: Path) -> None:
    (tmp_path / "nodule.toml").write_text(BASE)
    with pytest.raises(config.ConfigError, match="Did you mean 'nodule.toml'"):
        config.load(tmp_path / "nodul.toml")


def test_02_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match="is a directory"):
        config.load(tmp_path)


def test_03_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(BASE)

    def denied(self: Path, mode: str) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # a superuser may read any file
    with pytest.raises(config.ConfigError, match="permission was denied"):
        config.load(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices")
def test_13_a_config_without_end_is_not_read_on_and_on() -> None:
    with pytest.raises(config.ConfigError, match="at most 1 MiB, but this does not end there"):
        config.load("/dev/zero")


def test_06_byte_order_mark_and_crlf_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())
    assert config.load(path) == config.loads(BASE)


def test_95_unicode_and_spaces_in_paths_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "çonfig mit Leerzeichen µm.toml"
    path.write_text(BASE, "utf-8")
    assert config.load(path).name == "base"


# -- keys, numbers, units, grid, boundaries, time, model, interventions ------------------------------------------------

#: id: (overrides, path in the message, words in the message)
VALUES: dict[str, tuple[dict[str, object], str, str]] = {
    "09 unknown section": ({"gird": {}}, "gird", "Did you mean 'grid'?"),
    "09 near miss": ({"model__processes__motility__diffusivty": 1.0}, "diffusivty", "Did you mean 'diffusivity'?"),
    "09 unknown process": (
        {"model__processes__kiling__rate": 1.0},
        "model.processes.kiling",
        "Did you mean 'killing'?",
    ),
    "09 unknown kind": (
        {"interventions__rt__kind": "radio_therapy"},
        "interventions.rt.kind",
        "Did you mean 'radiotherapy'?",
    ),
    "09 unknown model": ({"model__kind": "solid_tumor"}, "model.kind", "Did you mean 'solid_tumour'?"),
    "17 number as text": ({"grid__cells": ["32", 32]}, "grid.cells[0]", "a whole number without quotes"),
    "18 nan": ({"model__processes__killing__rate": float("nan")}, "model.processes.killing.rate", "must be finite"),
    "18 nan text": ({"run__until": "nan day"}, "run.until", "must be finite"),
    "19 inf": (
        {"interventions__car_t__dose__amount": float("inf")},
        "interventions.car_t.dose.amount",
        "must be finite",
    ),
    "20 negative diffusivity": ({"model__oxygen_diffusivity": "-3 um^2/s"}, "model.oxygen_diffusivity", "at least 0"),
    "21 negative rate": ({"model__processes__growth__rate": -0.1}, "model.processes.growth.rate", "at least 0"),
    "22 zero half-saturation": ({"model__processes__killing__half": 0}, "model.processes.killing.half", "at least 1"),
    "24 bool": ({"model__processes__growth__rate": True}, "model.processes.growth.rate", "but true was given"),
    "25 overflow": ({"model__processes__growth__rate": "1e400 1/h"}, "model.processes.growth.rate", "must be finite"),
    "26 underflow": ({"model__processes__growth__rate": 1e-50}, "model.processes.growth.rate", "float32"),
    "26 beyond float32": ({"interventions__car_t__dose__amount": 1e39}, "interventions.car_t.dose.amount", "float32"),
    "27 thousands": ({"model__antigen_negative": "1,000"}, "model.antigen_negative", "without a comma"),
    "28 complex": ({"model__antigen_negative": "1+2j"}, "model.antigen_negative", "must be real"),
    "29 no unit": ({"run__until": 14}, "run.until", '"14 day"'),
    "29 no unit in text": ({"tissue__radius": "300"}, "tissue.radius", '"300 um"'),
    "30 unknown unit": ({"run__until": "14 dayz"}, "run.until", "Did you mean 'day'?"),
    "31 wrong dimension": ({"model__tumour_motility": "3 mm/s"}, "model.tumour_motility", "um^2/s"),
    "32 ambiguous M": ({"model__processes__killing__tgf_beta_half": "1 M"}, "killing.tgf_beta_half", "molar or metre"),
    "34 offset unit": ({"run__until": "37 degC"}, "run.until", "degC"),
    "35 oxygen in uM": ({"model__processes__growth__oxygen_half": "5 uM"}, "growth.oxygen_half", "5 mmHg"),
    "36 zero cells": ({"grid__cells": [0, 32]}, "grid.cells[0]", "greater than or equal to 1"),
    "36 negative cells": ({"grid__cells": [32, -3]}, "grid.cells[1]", "greater than or equal to 1"),
    "37 float cells": ({"grid__cells": [12.5, 32]}, "grid.cells[0]", "whole number"),
    "38 one cell on an axis": ({"grid__cells": [1, 32]}, "grid.cells", "Leave that axis out"),
    "39 no axes": ({"grid__extent": [], "grid__cells": []}, "grid.extent", "empty"),
    "39 four axes": ({"grid__extent": ["1 mm"] * 4, "grid__cells": [8] * 4}, "grid.extent", "1, 2 or 3"),
    "40 no length": ({"grid__extent": ["0 mm", "1 mm"]}, "grid.extent", "more than 0"),
    "41 lengths and cells differ": ({"grid__cells": [32]}, "grid.cells", "must have 2 entries"),
    "42 too many cells": ({"grid__cells": [1000000, 1000000]}, "grid.cells", "GiB"),
    "45 unknown boundary": (
        {"model__species__oxygen__boundary": {"kind": "dirichlett"}},
        "model.species.oxygen.boundary.kind",
        "Did you mean 'dirichlet'?",
    ),
    "46 unknown side": (
        {"model__species__oxygen__boundary": {"left": {"kind": "no_flux"}}},
        "model.species.oxygen.boundary.left",
        "not a known key",
    ),
    "47 negative transfer": (
        {"model__species__oxygen__boundary": {"kind": "robin", "transfer": "-1 um/h", "outside": "40 mmHg"}},
        "model.species.oxygen.boundary.transfer",
        "at least 0",
    ),
    "49 boundary of an unknown species": (
        {"model__species__oxigen__boundary": {"kind": "no_flux"}},
        "model.species.oxigen",
        "Did you mean 'oxygen'?",
    ),
    "53 negative initial value": ({"model__species__car_t__initial": -1}, "model.species.car_t.initial", "at least 0"),
    "58 no duration": ({"run__until": "0 day"}, "run.until", "more than 0"),
    "58 negative duration": ({"run__until": "-1 day"}, "run.until", "more than 0"),
    "61 unsorted times": ({"run__save": {"times": ["2 day", "1 day"]}}, "run.save.times", "must increase"),
    "61 repeated times": ({"run__save": {"times": ["1 day", "24 hour"]}}, "run.save.times", "must increase"),
    "61 times outside": ({"run__save": {"times": ["1 day", "20 day"]}}, "run.save", "up to until"),
    "61 no times": ({"run__save": {"times": []}}, "run.save.times", "empty"),
    "62 save every 0": ({"run__save__every": "0 hour"}, "run.save.every", "more than 0"),
    "63 zero tolerance": ({"run__rtol": 0}, "run.rtol", "more than 0"),
    "63 below float32": ({"run__rtol": 1e-9}, "run.rtol", 'precision = "f64"'),
    "64 unknown precision": ({"run__precision": "f23"}, "run.precision", "Did you mean"),
    "64 unknown solver": ({"run__solver": "rk4"}, "run.solver", "not a known key"),
    "66 too many outputs": ({"run__save__every": "1e-6 hour"}, "run.save", "at most 100000 snapshots"),
    "67 unknown species": ({"run__save__fields": ["oxigen"]}, "run.save.fields", "Did you mean 'oxygen'?"),
    "70 unknown intervention in an arm": ({"arms": {"a": ["cart"]}}, "arms.a", "Did you mean 'car_t'?"),
    "71 end before start": (
        {"interventions__car_t__dose": {"kind": "continuous", "rate": 1.0, "start": "3 day", "stop": "2 day"}},
        "interventions.car_t.dose",
        "stop after it starts",
    ),
    "71 dose in the past": ({"interventions__car_t__dose__at": "-1 day"}, "interventions.car_t.dose.at", "at least 0"),
    "71 unequal lists": (
        {"interventions__car_t__dose__at": ["1 day", "2 day"], "interventions__car_t__dose__amount": [1e6, 1e6, 1e6]},
        "interventions.car_t.dose",
        "equally long",
    ),
    "72 nodule outside": ({"tissue__center": ["0.5 mm", "3 mm"]}, "tissue.center", "inside the grid"),
    "73 negative dose": ({"interventions__car_t__dose__amount": -1e6}, "interventions.car_t.dose.amount", "at least 0"),
    "73 dose in the wrong unit": ({"interventions__rt__dose__amount": "2 mg"}, "interventions.rt.dose.amount", "2 Gy"),
    "74 fraction above 1": ({"interventions__rt__strength": 1.5}, "interventions.rt.strength", "at most 1"),
    "74 share above 1": ({"model__antigen_negative": "150 %"}, "model.antigen_negative", "at most 1"),
    "78 intervention twice in an arm": ({"arms": {"a": ["car_t", "car_t"]}}, "arms.a", "once"),
    "79 grid given twice": (
        {"tissue": {"kind": "colon_ihc", "pixel_size": "0.9 um", "cell_size": "3.6 um"}},
        "grid",
        "brings its own",
    ),
    "10 a tag is text": ({"model__kind": "!!python/object:os.system"}, "model.kind", "--allow-code"),
    "10 code in a kind": ({"interventions__rt__kind": "os:system"}, "interventions.rt.kind", "--allow-code"),
    "16 include": ({"include": "../../etc/passwd"}, "include", "not a known section"),
    "43 crop out of order": (
        {"tissue": {"kind": "colon_ihc", "pixel_size": "1 um", "cell_size": "4 um", "crop": [10, 5, 0, 100]}},
        "tissue.crop",
        "row0 < row1",
    ),
    "46 a side of a periodic axis": (
        {
            "grid__periodic": [True, False],
            "model__species__oxygen__boundary": {"y-": {"kind": "dirichlet", "value": "40 mmHg"}},
        },
        "model.species.oxygen.boundary.y-",
        "grid is periodic along y",
    ),
    "46 a side that the grid lacks": (
        {"model__species__oxygen__boundary": {"z-": {"kind": "no_flux"}}},
        "model.species.oxygen.boundary.z-",
        "no side of this grid",
    ),
    "46 the centre": (
        {
            "grid": {"kind": "radial", "radius": "800 um", "cells": 8},
            "model__species__oxygen__boundary": {"r-": {"kind": "dirichlet", "value": "40 mmHg"}},
        },
        "model.species.oxygen.boundary.r-",
        "no area",
    ),
    "51 picture missing": (
        {"tissue": {"kind": "image", "image": "none.png", "pixel_size": "1 um", "cell_size": "4 um"}},
        "tissue.image",
        "must be a picture file",
    ),
    "51 picture is a folder": (
        {"tissue": {"kind": "image", "image": ".", "pixel_size": "1 um", "cell_size": "4 um"}},
        "tissue.image",
        "must be a picture file",
    ),
    "59 fixed steps": ({"run__dt": "1 hour"}, "run.dt", "not a known key"),
    "64 too many steps": ({"run__max_steps": 10**12}, "run.max_steps", "less than or equal to 1000000000"),
    "67 species of a process not carried": (
        {"model__species__lactate__initial": "1 mM"},
        "model.species.lactate",
        "does not carry",
    ),
    "72 depot outside": (
        {"interventions__car_t__site": ["3 mm", "0 mm"]},
        "interventions.car_t.site",
        "inside the grid",
    ),
    "depot outside of a radial grid": (
        {
            "grid": {"kind": "radial", "radius": "800 um", "cells": 8},
            "interventions__car_t__site": ["3 mm"],
        },
        "interventions.car_t.site",
        "inside the grid",
    ),
    "depot outside of a radial grid, as one number": (
        {
            "grid": {"kind": "radial", "radius": "800 um", "cells": 8},
            "interventions__car_t__site": "3 mm",
        },
        "interventions.car_t.site",
        "inside the grid",
    ),
    "depot with one place in a plane": (
        {"interventions__car_t__site": "10 um"},
        "interventions.car_t.site",
        "must have 2 entries",
    ),
    "depot with two places on a radial grid": (
        {
            "grid": {"kind": "radial", "radius": "800 um", "cells": 8},
            "interventions__car_t__site": ["100 um", "0 um"],
        },
        "interventions.car_t.site",
        "must have 1 entries",
    ),
    "72 nodule smaller than a cell": ({"tissue__radius": "0.001 um"}, "tissue.radius", "large enough"),
    "76 therapy twice in an arm": ({"arms": {"a": ["rt", "rt"]}}, "arms.a", "once"),
    "78 arm without a name": ({"arms": {" ": ["rt"]}}, 'arms." "', "must not be blank"),
    "78 name with control characters": ({"name": "a\x07b"}, "name", "control characters"),
    "92 seed": ({"run__seed": -1}, "run.seed", "not a known key"),
    "cells finer than pixels": (
        {"tissue": {"kind": "colon_ihc", "pixel_size": "4 um", "cell_size": "2 um"}},
        "tissue.cell_size",
        "at least pixel_size",
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_bad_value(name: str) -> None:
    overrides, path, words = VALUES[name]
    message = refusal(BASE, **overrides)
    assert f"{path}`" in message
    assert words in message


def test_all_problems_of_a_config_are_listed_together() -> None:
    chosen = [
        "09 near miss",
        "18 nan",
        "36 zero cells",
        "49 boundary of an unknown species",
        "64 unknown precision",
        "74 fraction above 1",
    ]
    overrides: dict[str, object] = {}
    for name in chosen:
        overrides |= VALUES[name][0]
    message = refusal(BASE, **overrides)
    assert f"bad.toml has {len(chosen)} problems" in message
    for name in chosen:
        assert VALUES[name][1] in message


def test_77_a_dose_after_the_end_is_a_warning() -> None:
    told = config.loads(BASE, {"interventions.car_t.dose.at": "20 day"}).warnings
    assert len(told) == 1 and "interventions.car_t.dose" in told[0] and "after the run stops" in told[0]


def test_77_a_course_that_begins_after_the_end_says_when_it_begins() -> None:
    """It said when it ends: a course from day 20 on, with its last dose on day 24, "begins at 576 h"."""
    course = {"kind": "course", "start": "20 day", "every": "2 day", "doses": 3, "amount": 1e8}
    (told,) = config.loads(BASE, {"interventions.car_t.dose": course}).warnings
    assert "begins at 480 h" in told and "Nothing of it is given" in told


#: id: (overrides, path, plausible range) of what is legal but hardly meant
ABSURD: dict[str, tuple[dict[str, object], str, str]] = {
    "33 um^2/s for cm^2/s": (
        {"model__oxygen_diffusivity": "1.75e-5 um^2/s"},
        "model.oxygen_diffusivity",
        "usual: 6.3e+06",
    ),
    "33 metres": (
        {"grid__extent": ["1 m", "1 m"], "tissue__radius": "300 mm"},
        "grid.cells[0]",
        "0.05 to 5000 um per cell",
    ),
    "33 square metres": (
        {"model__species__oxygen__diffusivity": "2 m^2/h"},
        "model.species.oxygen.diffusivity",
        "0.001 to 1e+10 um^2/h",
    ),
    "33 too many cells infused": ({"interventions__car_t__dose__amount": 1e20}, "dose.amount", "1 to 1e+13 cells"),
    "33 centuries": ({"run__until": "1e5 week", "run__save__every": "1e4 week"}, "run.until", "20 years"),
    "33 nodule beyond the grid": ({"tissue__radius": "3 mm"}, "tissue.radius", "up to 500 um"),
    "77 an infusion that goes on": (
        {"interventions__car_t__dose": {"kind": "infusion", "at": "1 day", "amount": 1e8, "over": "99 day"}},
        "interventions.car_t.dose",
        "Only the part before is given",
    ),
    "light of a quick injection": (
        {
            "interventions__light": {
                "kind": "photothermal",
                "dose": {"kind": "bolus", "at": "1 h", "amount": "3 nmol"},
                "light": {"kind": "bolus", "at": ["1 h", "2 h"], "amount": "10 min"},
            }
        },
        "interventions.light.light",
        "10 times full power",
    ),
}


def test_therapies_with_the_volumes_of_a_human_in_a_mouse_are_a_warning() -> None:
    """5 L of blood for 1e6 cells: 2500 times as dilute as in the mouse, and nobody said so."""
    mouse = {"model.scale": "mouse"}
    told = config.loads(BASE, mouse).warnings
    assert any("interventions.car_t.blood_volume` is 5 L in a mouse" in one for one in told), told
    assert not any("in a mouse" in one for one in config.loads(BASE).warnings)
    right = {**mouse, "interventions.car_t.blood_volume": "2 mL"}
    assert not any("car_t.blood_volume" in one for one in config.loads(BASE, right).warnings)
    local = {**mouse, "interventions.car_t.route": "intratumoral"}
    assert not any("car_t.blood_volume" in one for one in config.loads(BASE, local).warnings)


def test_light_of_full_power_is_no_warning() -> None:
    light = {"kind": "course", "start": "1 h", "every": "1 h", "doses": 3, "amount": "10 min", "over": "10 min"}
    dose = {"kind": "bolus", "at": "1 h", "amount": "3 nmol"}
    given = {"interventions.light": {"kind": "photothermal", "dose": dose, "light": light}}
    assert not any("full power" in told for told in config.loads(BASE, given).warnings)


@pytest.mark.parametrize("name", ABSURD)
def test_what_is_legal_but_absurd_is_a_warning(name: str) -> None:
    overrides, path, words = ABSURD[name]
    told = config.loads(BASE, {k.replace("__", "."): v for k, v in overrides.items()}).warnings
    assert any(path in one and words in one for one in told), told


@pytest.mark.parametrize("text", ["run.until", "run.until=", "=5", "a b=3", "run..until=3"])
def test_81_malformed_override(text: str) -> None:
    with pytest.raises(config.ConfigError, match="must be KEY=VALUE"):
        config.loads(BASE, [text])


def test_81_override_of_an_unknown_path() -> None:
    with pytest.raises(config.ConfigError, match=r"`run.untl` is not a known key. Did you mean 'until'\?"):
        config.loads(BASE, ["run.untl=5 day"])


def test_81_override_below_a_value() -> None:
    with pytest.raises(config.ConfigError, match="cannot be set, because `run.until`"):
        config.loads(BASE, ["run.until.x=3"])


# -- the command line -------------------------------------------------------------------------------------------------


def tmepde(*arguments: object, code: str = "") -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own; ``code`` runs after it."""
    script = f"import sys; sys.argv[1:] = {[str(a) for a in arguments]!r}\nfrom tmepde.cli import main\n"
    script += f"try:\n main()\nexcept SystemExit as stop:\n {code or 'pass'}\n raise"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.toml"
    path.write_text(BASE)
    return path


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_bad_config_exits_2_without_starting_jax(command: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(BASE.replace("1e8", '"1,000"'))
    out = ["-o", tmp_path / "out.zarr"] if command == "run" else []
    done = tmepde(command, path, *out, code="print('jax' in sys.modules, 'xarray' in sys.modules)")
    assert done.returncode == 2
    assert done.stdout.split() == ["False", "False"]
    assert "`interventions.car_t.dose.amount`" in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "arguments", [["chek"], ["run", "--fast"], ["run"], ["list", "spcies"], ["run", "x", "--device", "tpu"]]
)
def test_80_unknown_commands_and_flags_exit_2(arguments: list[str]) -> None:
    done = tmepde(*arguments)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_84_an_existing_store_is_not_replaced(good: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    out.mkdir()
    (out / "zarr.json").write_text("{}")
    done = tmepde("run", good, "-o", out, code="print('jax' in sys.modules)")
    assert done.returncode == 2 and "--overwrite" in done.stderr and done.stdout.strip() == "False"
    assert (out / "zarr.json").read_text() == "{}"


@pytest.mark.parametrize("flag", [[], ["--overwrite"]])
def test_84_a_folder_that_is_no_store_is_never_replaced(flag: list[str], good: Path, tmp_path: Path) -> None:
    out = tmp_path / "photos"
    out.mkdir()
    (out / "holiday.jpg").write_text("x")
    done = tmepde("run", good, "-o", out, *flag)
    assert done.returncode == 2 and "not a store" in done.stderr
    assert (out / "holiday.jpg").exists()


@pytest.mark.parametrize("below", ["", "inside.zarr"])
def test_85_output_that_is_or_lies_in_a_file(below: str, good: Path, tmp_path: Path) -> None:
    done = tmepde("run", good, "-o", good / below if below else good)
    assert done.returncode == 2 and "file" in done.stderr
    assert good.read_text() == BASE


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_85_a_store_is_not_written_into_a_store(command: str, good: Path, tmp_path: Path) -> None:
    """It would go when the outer one is replaced. A link is followed: what it leads to may lie in a store too."""
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{}")
    (tmp_path / "link.zarr").symlink_to(tmp_path / "a.zarr" / "b.zarr")
    good.write_text(good.read_text() + '[sweep.grid]\n"run.max_steps" = [10, 20]\n')
    for out in (tmp_path / "a.zarr" / "deep" / "b.zarr", tmp_path / "link.zarr"):
        done = tmepde(command, good, "-o", out)
        assert done.returncode == 2 and "which is a store. Choose another place" in done.stderr
    assert [p.name for p in (tmp_path / "a.zarr").iterdir()] == ["zarr.json"]


def test_85_a_link_stands_for_what_it_leads_to(tmp_path: Path) -> None:
    from tmepde.cli.target import target

    (tmp_path / "link.zarr").symlink_to(tmp_path / "there.zarr")
    assert target(tmp_path / "link.zarr") == tmp_path / "there.zarr"  # which is not there yet
    assert target(tmp_path / "plain.zarr") == tmp_path / "plain.zarr"


def test_89_a_device_that_is_not_there_exits_5(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    done = tmepde("run", good, "-o", tmp_path / "out.zarr", "--device", "gpu")
    assert done.returncode == 5 and "There is no gpu here" in done.stderr
    assert not (tmp_path / "out.zarr").exists()


def test_93_a_broken_pipe_is_quiet() -> None:
    script = f"{sys.executable} -m tmepde.cli list parameters | head -1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
