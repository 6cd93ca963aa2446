"""Whatever is written into a config, it is either good or refused in sentences that name the path.

Three sources of configs: the shipped ones with places removed, renamed, replaced, doubled or moved; the same as text
with characters and lines damaged; and configs drawn from the catalogue with values inside and outside their bounds.
"""

from __future__ import annotations

import copy
import random
import string
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from tmepde.config import ConfigError, loads
from tmepde.config.config import Config, validate
from tmepde.config.modules import catalogue

FILES = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))
TEXTS = [p.read_text("utf-8") for p in FILES]
CONFIGS = [tomllib.loads(text) for text in TEXTS]
#: seconds in which a config must be checked (a bar of the project; a check takes milliseconds)
PATIENCE = 5.0

words = st.sampled_from(["kind", "dose", "um", "nan", "1e6", "5 mm/s", "-3 day", "1,000", "", "car_t", "µ", "∞", "a.b"])
scalars = st.one_of(
    words,
    st.text(max_size=8),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=True, allow_infinity=True),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(words, st.text(max_size=5)), inner, max_size=4)
    ),
    max_leaves=6,
)


def places(table: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path of nested tables and lists."""
    found = []
    inner = table.items() if isinstance(table, dict) else enumerate(table)
    for key, value in inner:
        found.append((*above, key))
        if isinstance(value, dict | list):
            found += places(value, (*above, key))
    return found


def hold(raw: Any, path: tuple[Any, ...]) -> Any:
    """The table or list in which the last step of ``path`` is looked up."""
    for step in path[:-1]:
        raw = raw[step]
    return raw


def mutated(data: st.DataObject) -> dict[str, Any]:
    """A good config with one to three places removed, renamed or replaced."""
    raw = copy.deepcopy(data.draw(st.sampled_from(CONFIGS)))
    for _ in range(data.draw(st.integers(1, 3))):
        here = places(raw)
        if not here:
            break
        path = data.draw(st.sampled_from(here))
        table, key = hold(raw, path), path[-1]
        action = data.draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if action == "remove":
            del table[key]
        elif action == "replace" or isinstance(table, list):
            table[key] = data.draw(values)
        else:
            table[data.draw(st.text(max_size=6))] = data.draw(values)
    return raw


# -- seeded and fast: what the thousands are made of -------------------------------------------------------------------

_NUMBERS = [0, -1, 1, 12.5, 1e-50, 1e39, 1e400, float("nan"), float("-inf"), 10**30, True, False, -0.0, 7, 1e-3]
_TEXTS = [
    "", " ", "1,000", "nan", "5", "5 um", "5 mm/s", "-3 day", "1e3 um^2/s", "5 parsec", "3 M", "37 degC", "1+2j",
    "∞ um", "1e400 1/h", "no", "<script>alert(1)</script>", "../../etc/passwd", "\x00", "a" * 5000, "${HOME}",
    "__import__('os')",
    "5 um um um", "1 um^99", "5 (um", "1e5 cells/mm^3", "½ um", "١ um", "5 µm", "5 μm", "0x10 um", "5_000 um",
    "car_t", "oxygen", "kind", "file.py:Class", "os:system", "5 um; rm -rf", "1 um/0 h",
]  # fmt: skip
_KEYS = ["kind", "dose", "diffusivty", "a.b", "", "é", "schema", "run", "x" * 300, "[", '"', "\n", "enabled"]


def odd(random_: random.Random, depth: int = 0) -> Any:
    """A value that hardly fits anywhere."""
    pick = random_.random()
    if pick < 0.35:
        return random_.choice(_NUMBERS)
    if pick < 0.75 or depth > 3:
        return random_.choice(_TEXTS)
    if pick < 0.85:
        return [odd(random_, depth + 1) for _ in range(random_.randrange(4))]
    if pick < 0.95:
        return {random_.choice(_KEYS): odd(random_, depth + 1) for _ in range(random_.randrange(4))}
    return "".join(random_.choice(string.printable) for _ in range(random_.randrange(12)))


def damaged(random_: random.Random) -> dict[str, Any]:
    """A shipped config with one to three places changed."""
    raw = copy.deepcopy(random_.choice(CONFIGS))
    for _ in range(random_.randint(1, 3)):
        here = places(raw)
        if not here:
            break
        path = random_.choice(here)
        table, key = hold(raw, path), path[-1]
        action = random_.choice(["replace", "replace", "remove", "add", "rename", "move", "double"])
        if action == "replace":
            table[key] = odd(random_)
        elif action == "remove":
            del table[key]
        elif action == "move":
            table[key] = copy.deepcopy(hold(raw, other := random_.choice(here))[other[-1]])
        elif isinstance(table, list):
            table.insert(0, copy.deepcopy(table[key]) if action == "double" else odd(random_))
        elif action == "add":
            table[random_.choice(_KEYS)] = odd(random_)
        elif action == "double":
            table[f"{key}_2"] = copy.deepcopy(table[key])
        else:
            letters = list(str(key))
            letters.insert(random_.randrange(len(letters) + 1), random_.choice("aeiou._ "))
            table["".join(letters)] = table.pop(key)
    return raw


def torn(random_: random.Random) -> str:
    """The text of a shipped config with characters or lines damaged."""
    text = random_.choice(TEXTS)
    for _ in range(random_.randint(1, 4)):
        lines, i = text.split("\n"), random_.randrange(max(1, len(text)))
        action = random_.randrange(6)
        if action == 0:
            text = text[:i] + random_.choice(string.printable + "µ\ufeff\x00") + text[i + 1 :]
        elif action == 1:
            text = text[:i]
        elif action == 2:
            lines.insert(random_.randrange(len(lines)), random_.choice(lines))
            text = "\n".join(lines)
        elif action == 3:
            del lines[random_.randrange(len(lines))]
            text = "\n".join(lines)
        elif action == 4:
            text = text[:i] + text[i + random_.randrange(1, 20) :]
        else:
            random_.shuffle(lines)
            text = "\n".join(lines)
    return text


def amount(random_: random.Random, one: dict[str, Any]) -> Any:
    """A value for a parameter: mostly within its bounds, with or without its unit."""
    low, high = one["bounds"]
    low = 0.0 if low is None else low
    high = max(low, 1.0) * 10 if high is None else high
    value = random_.choice([low, high, random_.uniform(low, high), random_.uniform(low, high), high * 2 + 1, low - 1])
    return value if random_.random() < 0.3 or one["unit"] == "1" else f"{value!r} {one['unit']}"


def invented(random_: random.Random) -> dict[str, Any]:
    """A small one-dimensional config drawn from the catalogue."""
    known = catalogue()
    kinds, processes = known["interventions"], known["models"]["solid_tumour"]["processes"]
    therapies: dict[str, Any] = {}
    for number in range(random_.randrange(4)):
        kind = random_.choice(sorted(kinds))
        table: dict[str, Any] = {"kind": kind}
        for key, one in kinds[kind].get("schedules", {}).items():
            given = random_.choice(["1", "wrong"]) if random_.random() < 0.1 else one["unit"]
            given = "" if given == "1" else f" {given}"
            table[key] = {"kind": "bolus", "at": f"{random_.uniform(-1, 9):.3g} day", "amount": f"5{given}"}
        for key, one in kinds[kind]["parameters"].items():
            if random_.random() < 0.2:
                table[key] = amount(random_, one)
        therapies[f"therapy_{number}"] = table
    model: dict[str, Any] = {"kind": "solid_tumour", "processes": {}}
    for name in random_.sample(sorted(processes), 3):
        model["processes"][name] = {
            key: amount(random_, one)
            for key, one in known["processes"][name]["parameters"].items()
            if random_.random() < 0.2
        }
    radius = random_.choice([100.0, 400.0, 800.0])
    return {
        "schema": 1,
        "name": random_.choice(["a", "µ", "<b>", "a/b", " "]),
        "grid": {"kind": "radial", "radius": f"{radius} um", "cells": random_.choice([8, 16, 16, 1, 0, -4])},
        "tissue": {"kind": "nodule", "radius": f"{random_.uniform(0.1, 1.2) * radius:.4g} um"},
        "model": model,
        "interventions": therapies,
        "run": {"until": random_.choice(["1 hour", "2 hour", "0 h", "1 day"]), "save": {"every": "1 hour"}},
    }


def check_problems(error: ConfigError) -> None:
    """Every message is a sentence with a remedy, of readable length, and names the field (or the line)."""
    assert error.problems
    for problem in error.problems:
        assert problem.path or problem.message.startswith(("Line ", "The config ")), problem
        assert problem.message.rstrip().endswith((".", "?", ")")), problem
        assert len(problem.message) < 2000 and len(problem.path) < 2000, problem
        assert "Traceback" not in problem.message and "pydantic" not in problem.message, problem


def verdict(raw: dict[str, Any] | str, folder: Path) -> Config | None:
    """The config, or ``None`` where it was refused as it should be."""
    began = time.perf_counter()
    try:
        config = loads(raw, folder=str(folder)) if isinstance(raw, str) else validate(raw, folder=str(folder))
        _ = config.warnings
    except ConfigError as error:
        check_problems(error)
        return None
    finally:
        assert time.perf_counter() - began < PATIENCE
    again = validate(tomllib.loads(config.toml()), folder=str(folder))
    assert again == config
    return config


def campaign(count: int, folder: Path) -> list[Config]:
    """``count`` configs, a third of each kind, seeded by their number; the accepted ones."""
    accepted = []
    for seed in range(count):
        random_ = random.Random(seed)
        raw = (damaged, torn, invented)[seed % 3](random_)
        try:
            config = verdict(raw, folder)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}\n{raw!r}") from error
        if config is not None:
            accepted.append(config)
    assert list(folder.iterdir()) == []
    return accepted


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_mutated_config_is_good_or_refused_in_sentences(data: st.DataObject) -> None:
    verdict(mutated(data), Path("."))


def test_five_hundred_damaged_configs_are_good_or_refused_in_sentences(tmp_path: Path) -> None:
    accepted = campaign(500, tmp_path)
    assert 20 < len(accepted) < 450  # both verdicts were exercised


@pytest.mark.slow
def test_ten_thousand_damaged_configs_are_good_or_refused_in_sentences(tmp_path: Path) -> None:
    accepted = campaign(10_000, tmp_path)
    assert 400 < len(accepted) < 9_000


# -- through the command line, and to the end --------------------------------------------------------------------------


def command(arguments: list[str], capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Exit code and standard error of ``tmepde``, in this process."""
    from tmepde.cli import main

    patch.setattr(sys, "argv", ["tmepde", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0), capture.readouterr().err


def through_the_command_line(count: int, folder: Path, capture: Any, patch: pytest.MonkeyPatch) -> int:
    """Refused configs as files: exit 2 with the same message for `check` and `run`, and no file made or changed."""
    patch.chdir(folder)
    refused = 0
    for seed in range(count):
        random_ = random.Random(10**6 + seed)
        raw = (damaged, torn, invented)[seed % 3](random_)
        try:
            text = raw if isinstance(raw, str) else tomli_w.dumps(raw)
            data = text.encode()
        except (ValueError, OverflowError, TypeError):
            continue  # a table that no file can hold
        path = folder / "c.toml"
        path.write_bytes(data)
        try:
            loads(text, folder=str(folder))
        except ConfigError as error:
            refused += 1
            for arguments in (["check", "c.toml"], ["run", "c.toml", "-o", "out.zarr"]):
                code, said = command(arguments, capture, patch)
                assert code == 2, (seed, said)
                assert "Traceback" not in said and said.startswith("c.toml has ")
                assert said.count("\n") >= len(error.problems)
                assert [p.name for p in folder.iterdir()] == ["c.toml"] and path.read_bytes() == data
    return refused


def test_refused_configs_exit_2_and_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert through_the_command_line(15, tmp_path, capsys, monkeypatch) >= 10


@pytest.mark.slow
def test_hundreds_of_refused_configs_exit_2_and_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert through_the_command_line(600, tmp_path, capsys, monkeypatch) > 400


def good_ones(count: int) -> list[tuple[int, Config]]:
    """The first ``count`` invented configs that are good, with their seeds."""
    found: list[tuple[int, Config]] = []
    seed = 0
    while len(found) < count:
        try:
            found.append((seed, validate(invented(random.Random(2 * 10**6 + seed)))))
        except ConfigError:
            pass
        seed += 1
    return found


@pytest.mark.slow
def test_what_is_accepted_runs_to_a_named_status() -> None:
    """Built, run for one save, and ended with a status; a build may still refuse, with the path, what needs arrays."""
    import warnings

    from tmepde import run_arms
    from tmepde._results import Status

    built = 0
    for seed, config in good_ones(12):
        try:
            build = config.build()
        except ConfigError as error:
            check_problems(error)
            continue
        built += 1
        if built > 5:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solutions = run_arms(build.scenario, build.arms, save=[float(build.scenario.until)], precision="f32")
        for solution in solutions.values():
            assert solution.status in Status and solution.message.endswith("."), seed
    assert built >= 6
