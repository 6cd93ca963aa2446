"""The scripts that users copy: sound shell here, submitted for real where SLURM answers."""

import re
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "cluster"
SCRIPTS = sorted(p for p in FOLDER.iterdir() if p.suffix in (".sbatch", ".sh"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_script_is_sound_shell(path):
    subprocess.run(["bash", "-n", path], check=True, timeout=10)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_directives_come_before_the_first_command(path):
    lines = path.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert not [line for line in lines[first:] if line.startswith("#SBATCH")]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_script_says_what_is_missing(path):
    said = subprocess.run(["bash", path], capture_output=True, text=True, timeout=10, check=False)
    assert said.returncode != 0
    assert re.search(r"must be given: \S+", said.stderr)


def test_every_script_is_explained():
    text = (FOLDER / "README.md").read_text()
    assert [p.name for p in SCRIPTS if f"`{p.name}`" not in text] == []
