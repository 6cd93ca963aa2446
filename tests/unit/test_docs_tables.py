"""The generated pages of the documentation are those of today's catalogue."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tmepde.config.modules import catalogue
from tmepde.interventions.reviews import STRATEGIES

DOCS = Path(__file__).parents[2] / "docs"


def _tables():
    spec = importlib.util.spec_from_file_location("tables", DOCS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["parameters.md", "mechanisms.md"])
def test_the_page_is_up_to_date(page):
    assert (DOCS / page).read_text("utf-8") == _tables().PAGES[page](), "run python docs/tables.py"


def test_every_strategy_of_the_reviews_has_a_therapy():
    covered = {int(n) for e in catalogue()["interventions"].values() for n in e["strategies"]}
    assert covered == set(STRATEGIES) == set(range(1, 48))
