"""A package registers a therapy through the entry point; tmepde lists, checks and runs it by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import xarray as xr

PACKAGE = Path(__file__).parents[2] / "examples" / "outside_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the package is installed: its module and its metadata, as pip would write them."""
    site = tmp_path_factory.mktemp("site")
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    (site / "fever.py").write_text((PACKAGE / "src" / "fever.py").read_text())
    info = site / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["tmepde.interventions"]
    lines = ["[tmepde.interventions]", *(f"{name} = {where}" for name, where in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}


def tmepde(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tmepde.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


def test_the_class_is_short() -> None:
    body = (PACKAGE / "src" / "fever.py").read_text().split("class FeverRangeHeat")[1].strip().splitlines()
    assert len(body) <= 20


def test_it_is_listed_with_its_parameters(installed: dict[str, str]) -> None:
    (found,) = json.loads(tmepde(installed, "list", "interventions", "fever_range_heat", "--json").stdout)
    assert found["parameters"]["adhesion"]["default"] == 1.0
    assert "fever_range_heat" not in tmepde(dict(os.environ), "list", "interventions").stdout


@pytest.mark.slow
def test_it_runs_from_a_config_and_does_what_it_says(installed: dict[str, str], tmp_path: Path) -> None:
    assert tmepde(installed, "check", PACKAGE / "fever.toml").returncode == 0
    out = tmp_path / "fever.zarr"
    short = ("--set", 'run.until="2 day"', "--set", "grid.cells=16")
    done = tmepde(installed, "run", PACKAGE / "fever.toml", "-o", out, *short)
    assert done.returncode == 0, done.stderr
    cells = xr.open_zarr(out, consolidated=False)["car_t_total"]
    alone, heated = (float(cells.sel(scenario=name).isel(time=-1)) for name in ("CAR-T", "CAR-T + heat"))
    assert heated > 1.1 * alone
    without = tmepde(dict(os.environ), "check", PACKAGE / "fever.toml")
    assert without.returncode == 2 and "fever_range_heat" in without.stderr
