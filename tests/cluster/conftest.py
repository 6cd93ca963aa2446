"""A tiny sweep, and a SLURM where there is one (`make test-slurm` sets one up). Tests import ``tiny_sweep``."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny_sweep import CONFIG  # noqa: E402


def pytest_collection_modifyitems(items):
    wanted = [item for item in items if item.get_closest_marker("slurm")]
    if wanted and (reason := _no_slurm()):
        for item in wanted:
            item.add_marker(pytest.mark.skip(reason=reason))


def _no_slurm():
    """Why SLURM cannot be tested here, or nothing."""
    remedy = "`make test-slurm` sets one up"
    if not shutil.which("sinfo"):
        return f"there is no SLURM here: {remedy}"
    try:
        said = subprocess.run(["sinfo", "--noheader"], capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return f"sinfo does not answer: {remedy}"
    return "" if said.returncode == 0 and said.stdout.strip() else f"sinfo does not answer: {remedy}"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The config of the tiny sweep, in a folder of its own."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """The environment of commands whose compiled programs are kept together."""
    chosen = os.environ.get("TMEPDE_CACHE") or str(tmp_path_factory.mktemp("programs"))
    return {**os.environ, "TMEPDE_CACHE": chosen, "JAX_PLATFORMS": "cpu"}


@pytest.fixture(scope="session")
def tmepde(programs):
    """Run a command: ``tmepde("sweep", …, code=0)`` gives what it printed."""

    def run(*words, code=0, timeout=300):
        said = subprocess.run(
            [sys.executable, "-m", "tmepde.cli", *map(str, words)],
            capture_output=True,
            text=True,
            env=programs,
            timeout=timeout,
            check=False,
        )
        assert said.returncode == code, f"{words} ended with {said.returncode}:\n{said.stdout}\n{said.stderr}"
        return said.stdout + said.stderr

    return run


@pytest.fixture(scope="session")
def inline(tiny, tmepde):
    """The store of the tiny sweep as one process makes it."""
    store = tiny.with_name("inline.zarr")
    tmepde("sweep", tiny, "-o", store)
    return store
