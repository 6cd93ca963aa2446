"""Every strategy of the two reviews is found by a word of it among the therapies."""

from __future__ import annotations

import pytest

from tmepde.interventions import REGISTRY
from tmepde.interventions.reviews import STRATEGIES


def test_every_strategy_has_a_therapy_or_is_of_all() -> None:
    """Hypoxia, antigen loss, blood exposure and combinations are covered by several; none is left without."""
    covered = {number for cls in REGISTRY.values() for number in cls.reviews}
    assert set(STRATEGIES) - covered <= {47}


@pytest.mark.parametrize("word", ["IL-3", "G-CSF", "CD25", "pyruvate", "carbodiimide", "imaging labels", "19F"])
def test_what_is_a_name_or_a_tool_of_others_is_found_there(word: str) -> None:
    found = [name for name, cls in REGISTRY.items() if any(word in STRATEGIES[number] for number in cls.reviews)]
    assert found
