"""Every script of ``examples/`` runs, gives its known numbers, leaves its figure, and stays short."""

from __future__ import annotations

import runpy
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

matplotlib.use("Agg")

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("[0-9][0-9]_*.py"))
#: the engine's examples are short enough to read in one go; those on the tumour library may be twice as long
LONG = {"08_car_t_in_a_nodule.py": 80}
#: two of the engine's are quick; the README's program is the nodule in fewer cells
QUICK = {"02_schnakenberg.py", "03_fisher_kpp.py"}


CASES = [s if s.name in QUICK else pytest.param(s, marks=pytest.mark.slow) for s in SCRIPTS]


@pytest.mark.parametrize("script", CASES, ids=[s.stem for s in SCRIPTS])
def test_example_gives_its_known_numbers(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checks = runpy.run_path(str(script))["checks"]
    plt.close("all")
    assert checks, f"{script.name} must define `checks`"
    for name, (obtained, expected, tolerance) in checks.items():
        assert abs(float(obtained) - expected) <= tolerance, f"{name}: {obtained} is not {expected} ± {tolerance}"
    assert (tmp_path / "out" / f"{script.stem}.png").stat().st_size > 5_000


@pytest.mark.parametrize("script", SCRIPTS, ids=[s.stem for s in SCRIPTS])
def test_example_is_short_and_begins_with_a_question(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONG.get(script.name, 40)
    question, *_ = text.removeprefix('"""').split("\n\n")
    assert "?" in question and "Number" in text.split('"""')[1]


def test_examples_are_numbered_without_gaps() -> None:
    assert [int(s.name[:2]) for s in SCRIPTS] == list(range(1, len(SCRIPTS) + 1))
