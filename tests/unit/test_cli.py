"""The command line: quick to start, honest exit codes, results that open with xarray alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

from tmepde.cli.check import check
from tmepde.config import ConfigError

SMALL = """\
schema = 1
name = "small"
[grid]
kind = "radial"
radius = "400 um"
cells = 16
[interventions.car_t]
kind = "cell_infusion"
dose = { kind = "bolus", at = "1 hour", amount = "1e8 cells" }
[arms]
"none" = []
"CAR-T" = ["car_t"]
[run]
until = "4 hour"
save = { every = "2 hour", fields = ["car_t", "oxygen"] }
"""


def tmepde(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tmepde.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config and the store of its run."""
    path = tmp_path_factory.mktemp("cli")
    (path / "small.toml").write_text(SMALL)
    done = tmepde("run", path / "small.toml", "-o", path / "small.zarr")
    assert done.returncode == 0, done.stderr
    assert "small.zarr written" in done.stdout
    return path


def test_a_damaged_store_ends_every_command_with_5_until_it_is_repaired(folder: Path, tmp_path: Path) -> None:
    """All but `verify` had said 2, and --resume of a finished store that there was nothing to do."""
    store = tmp_path / "small.zarr"
    shutil.copytree(folder / "small.zarr", store)
    chunk = next((store / "car_t").glob("c.*"))
    chunk.write_bytes(chunk.read_bytes()[:-1])
    commands = (
        ("verify", store),
        ("report", store),
        ("export", store, "--to", "netcdf", "-o", tmp_path / "small.nc"),
        ("run", folder / "small.toml", "-o", store, "--resume"),
    )
    for command in commands:
        done = tmepde(*command)
        assert done.returncode == 5 and f"`tmepde repair {store}`" in done.stderr, (command, done)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.zarr"]
    assert tmepde("repair", store).returncode == 0
    done = tmepde(*commands[-1])
    assert done.returncode == 0 and "there is nothing to resume" in done.stdout


def test_a_strategy_is_found_by_a_word_of_it() -> None:
    done = tmepde("list", "interventions", "bevacizumab", "--json")
    assert [row["name"] for row in json.loads(done.stdout)] == ["anti_vegf"]
    assert tmepde("list", "interventions", "no such strategy").returncode == 2


def test_help_starts_without_what_is_slow_to_import() -> None:
    done = tmepde("--help")
    assert done.returncode == 0 and "report" in done.stdout
    script = (
        "import tmepde.cli.app, tmepde, sys; print([m for m in ('jax', 'xarray', 'numpy', 'pint') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_package_is_the_command() -> None:
    words = [sys.executable, "-m", "tmepde", "--version"]
    assert subprocess.run(words, capture_output=True, text=True).stdout == tmepde("--version").stdout != ""


@pytest.mark.parametrize("command", ["new", "list", "check", "run", "report", "doctor", "bench"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = tmepde(command, "--help")
    assert done.returncode == 0 and f"tmepde {command}" in done.stdout and "Example" in done.stdout


def test_a_run_leaves_a_dataset_that_xarray_opens(folder: Path) -> None:
    dataset = xr.open_zarr(folder / "small.zarr", consolidated=False)
    assert dict(dataset["car_t"].sizes) == {"scenario": 2, "time": 3, "r": 16}
    assert list(dataset["scenario"].values) == ["none", "CAR-T"]
    assert list(dataset["status"].values) == ["ok", "ok"]
    assert "tumour" not in dataset and "tumour_burden" in dataset
    assert (dataset["car_t_plasma"] if "car_t_plasma" in dataset else dataset["car_t_blood"]).units == "cells/uL"
    assert 'name = "small"' in dataset.attrs["config"]


def test_budgets_of_every_species_close(folder: Path) -> None:
    errors = xr.open_zarr(folder / "small.zarr", consolidated=False)["mass_balance_error"]
    assert errors.sizes["species"] > 15
    assert float(abs(errors).max()) < 2e-6


def test_overwriting_must_be_asked_for(folder: Path) -> None:
    assert tmepde("run", folder / "small.toml", "-o", folder / "small.zarr").returncode == 2


@pytest.mark.slow
def test_the_resolved_config_of_a_result_runs_again(folder: Path, tmp_path: Path) -> None:
    dataset = xr.open_zarr(folder / "small.zarr", consolidated=False)
    (tmp_path / "again.toml").write_text(dataset.attrs["config"])
    done = tmepde("run", tmp_path / "again.toml", "-o", tmp_path / "again.zarr", "--quiet")
    assert done.returncode == 0, done.stderr
    again = xr.open_zarr(tmp_path / "again.zarr", consolidated=False)
    assert again["car_t"].equals(dataset["car_t"])
    assert again.attrs["config_hash"] == dataset.attrs["config_hash"]


@pytest.mark.slow
def test_a_step_limit_exits_3_and_keeps_what_was_reached(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    done = tmepde("run", folder / "small.toml", "-o", out, "--set", "run.max_steps=3")
    assert done.returncode == 3 and "max_steps" in done.stderr and "Traceback" not in done.stderr
    assert set(xr.open_zarr(out, consolidated=False)["status"].values) == {"step_limit"}


@pytest.mark.slow
def test_double_precision(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    done = tmepde("run", folder / "small.toml", "-o", out, "--precision", "f64", "--device", "cpu", "-q")
    assert done.returncode == 0, done.stderr
    assert xr.open_zarr(out, consolidated=False)["oxygen"].dtype == "float64"


def test_check_says_what_a_config_means(folder: Path) -> None:
    done = tmepde("check", folder / "small.toml", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["runs"] == 2 and found["compilations"] == 1
    assert found["sides"] == {"r-": "centre", "r+": "no flux for all"}
    assert 30 < found["lengths"]["oxygen"]["length"] < 300
    told = tmepde("check", folder / "small.toml").stdout
    assert "is good: small" in told and "length scales" in told


def test_report_writes_one_page(folder: Path, tmp_path: Path) -> None:
    done = tmepde("report", folder / "small.zarr", "-o", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert "</html>" in (tmp_path / "page.html").read_text("utf-8")
    missing = tmepde("report", tmp_path / "none.zarr")
    assert missing.returncode == 2 and "no store" in missing.stderr
    other = tmepde("report", folder, "-o", tmp_path / "page2.html")
    assert other.returncode == 2 and "Traceback" not in other.stderr


@pytest.mark.parametrize("what", ["models", "species", "processes", "interventions", "parameters"])
def test_lists_are_json_on_request(what: str) -> None:
    rows = json.loads(tmepde("list", what, "--json").stdout)
    assert rows and all("name" in row for row in rows)


def test_one_entry_is_shown_in_full() -> None:
    told = tmepde("list", "processes", "killing").stdout
    assert "saturates" in told and "cells/mm^3" in told and "Halle 2016" in told
    assert tmepde("list", "processes", "kiling").returncode == 2


def test_new_writes_a_config_that_is_good(tmp_path: Path) -> None:
    done = tmepde("new", "radial_1d", tmp_path / "study")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "study" / "radial_1d.toml").exists()
    assert tmepde("new", "radial_1d", tmp_path / "study").returncode == 2
    unknown = tmepde("new", "radial1d", tmp_path)
    assert unknown.returncode == 2 and "Did you mean 'radial_1d'" in unknown.stderr


def test_doctor_finds_the_processor() -> None:
    found = json.loads(tmepde("doctor", "--json").stdout)
    assert "cpu" in found["devices"] and found["store"] == "write and read back ok"


def test_check_of_a_sweep_says_how_many_scenarios_it_has_and_in_which_arms(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(SMALL + '[sweep]\narms = ["CAR-T"]\n[sweep.grid]\n"model.adhesion_tumour" = [0.1, 0.2, 0.3]\n')
    done = tmepde("check", path)
    assert "runs          2 (none, CAR-T)" in done.stdout
    assert "sweep         3 scenarios (CAR-T)" in done.stdout
    with pytest.raises(ConfigError, match="'model.deth', which has no prior"):
        check(path, ["sweep.priors.samples=4", 'sweep.priors.paths=["model.deth"]'], True)
