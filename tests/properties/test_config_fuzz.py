"""Whatever is written into a config, it is either good or refused in sentences that name the path."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tmepde.config import ConfigError
from tmepde.config.config import Config, validate

CONFIGS = [tomllib.loads(p.read_text("utf-8")) for p in sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))]

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


def places(table: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every path of a nested table."""
    found = []
    for key, value in table.items():
        found.append((*above, key))
        if isinstance(value, dict):
            found += places(value, (*above, key))
    return found


def mutated(data: st.DataObject) -> dict[str, Any]:
    """A good config with one to three places removed, renamed or replaced."""
    raw = copy.deepcopy(data.draw(st.sampled_from(CONFIGS)))
    for _ in range(data.draw(st.integers(1, 3))):
        here = places(raw)
        if not here:
            break
        *above, key = data.draw(st.sampled_from(here))
        table = raw
        for step in above:
            table = table[step]
        action = data.draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if action == "remove":
            del table[key]
        elif action == "replace":
            table[key] = data.draw(values)
        else:
            table[data.draw(st.text(max_size=6))] = data.draw(values)
    return raw


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_mutated_config_is_good_or_refused_in_sentences(data: st.DataObject) -> None:
    raw = mutated(data)
    try:
        config = validate(raw)
    except ConfigError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.path or problem.message
            assert problem.message.rstrip().endswith((".", "?", ")"))
            assert len(problem.message) < 2000
    else:
        assert isinstance(config, Config)
        assert validate(tomllib.loads(config.toml())) == config
