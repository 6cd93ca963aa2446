"""The members of a batch: one scenario with a few numbers drawn for each."""

from __future__ import annotations

import numpy as np

import tmepde as tme
from tmepde.bench.gradient import parameters


def drawn(base: tme.Scenario, members: int) -> tuple[dict[str, np.ndarray], list[tme.Scenario]]:
    """Numbers that differ from member to member, by path, and the members."""
    paths = parameters(base)[:3]
    factors = np.random.default_rng(1).uniform(0.5, 2.0, (members, len(paths)))
    values = {p: np.stack([f * np.asarray(base.at(p)) for f in factors[:, i]]) for i, p in enumerate(paths)}

    def member(i: int) -> tme.Scenario:
        one = base
        for path, column in values.items():
            one = one.replace(path, column[i])
        return one

    return values, [member(i) for i in range(members)]
