"""The members of a batch, group by group: one program for those of one structure.

On a processor ``simulate_batch`` gives every member a thread and waits for nobody. On a GPU it maps all members of a
group into one program, which goes on until the slowest has reached each save: members are therefore computed in the
order of the table, arms and doses beside each other, whose numbers of steps are alike.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from tmepde.batch import simulate_batch
from tmepde.config.errors import ConfigError
from tmepde.steppers import StepControl
from tmepde.sweep.members import Members, groups
from tmepde.sweep.results import Rows


def compute(members: Members, part: range, config: Any, results: Rows, threads: int | None = None) -> None:
    """Fill ``results`` with every scenario of ``part``.

    Raises:
        MemoryError: if not even one member fits.
    """
    built: list[tuple[int, Any, Any]] = []
    for index in part:
        try:
            scenario, build = members.build(index)
        except (ConfigError, ValueError, KeyError) as error:
            results.failed(index, " ".join(str(error).split()))
            continue
        built.append((index, scenario, build))
    settings = [(b.rtol, b.max_steps) for _, _, b in built]
    for positions in groups([s for _, s, _ in built], settings):
        chosen = [built[i] for i in positions]
        _group([i for i, _, _ in chosen], [s for _, s, _ in chosen], chosen[0][2], config, results, threads)


def _group(
    indices: Sequence[int], scenarios: Sequence[Any], build: Any, config: Any, results: Rows, threads: int | None
) -> None:
    """One structure; in halves where memory does not suffice, one by one where a member cannot be run at all."""
    import jax

    options = {
        # mapped blocks agree to round-off only, and their size goes by the cores: a batch must give the bits of single
        # runs on every machine of a cluster
        "block": 1 if jax.default_backend() == "cpu" else None,
        "save": build.save,
        "fields": tuple(config.sweep.fields),
        "precision": build.precision,
        "control": StepControl(rtol=build.rtol, max_steps=build.max_steps),
        "threads": threads,
    }
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*did not reach their end.*")  # which the store says
            solutions = simulate_batch(list(scenarios), **options)
    except Exception as error:
        if _is_memory(error) and len(indices) == 1:
            raise MemoryError(f"Scenario {indices[0]} does not fit into memory. Use fewer cells.") from error
        if not _is_memory(error) and not isinstance(error, ValueError | KeyError | FloatingPointError):
            raise
        if len(indices) == 1:
            results.failed(indices[0], f"{type(error).__name__}: {' '.join(str(error).split())}")
            return
        half = -(-len(indices) // 2)
        for piece in (slice(None, half), slice(half, None)):
            _group(indices[piece], scenarios[piece], build, config, results, threads)
        return
    for index, solution in zip(indices, solutions, strict=True):
        results.put(index, solution, len(indices))


def _is_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
