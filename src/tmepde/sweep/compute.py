"""The members of a batch, group by group: one program for those of one structure.

On a processor every member is a call of one program in a thread of its own and waits for nobody. On a GPU all members
of a group are mapped into one program, which goes on until the slowest has reached each save: members are computed in
the order of the table, arms and neighbouring values beside each other, whose numbers of steps are alike. What is mapped
and how wide follows from the table alone, so that all batches of a structure are one program, and a batch gives the
same bits whoever computes it.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tmepde._cache import compiled_once
from tmepde.batch import simulate_batch
from tmepde.config.errors import ConfigError
from tmepde.config.trial import told_of, went_through
from tmepde.layout import platform
from tmepde.simulation import suitable
from tmepde.steppers import StepControl
from tmepde.steppers.control import shortened
from tmepde.sweep.members import Members, groups, structure
from tmepde.sweep.results import Rows
from tmepde.sweep.width import threads

#: errors that are a member's own
_MEMBERS = (ValueError, KeyError, FloatingPointError)
#: structures that this process has programs for
_met: set[str] = set()


@dataclass(frozen=True)
class How:
    """How members are computed: ``block`` of them mapped into one program, ``threads`` programs at a time."""

    block: int
    threads: int | None = None


@dataclass(frozen=True)
class _Member:
    index: int
    scenario: Any
    build: Any
    stepper: Any
    longest: float | None


def how(mapped: int, threads: int | None = None) -> How:
    """The way that suits the device, where a GPU takes ``mapped`` members at a time."""
    return How(1, threads) if platform() == "cpu" else How(mapped, threads)


def compute(members: Members, part: range, config: Any, results: Rows, way: How) -> None:
    """Fill ``results`` with every scenario of ``part``.

    Raises:
        MemoryError: if not even one member fits.
    """
    built: list[_Member] = []
    files = tuple(config.code_files.values())
    for index in part:
        try:
            scenario, build = members.build(index)
            choice = suitable(scenario, StepControl(rtol=build.rtol), build.precision)
        except Exception as error:
            if not isinstance(error, _MEMBERS) and not _is_of_code(error, files):
                raise
            own = files and not isinstance(error, ConfigError)
            results.failed(index, told_of(error, files) if own else " ".join(str(error).split()))
            continue
        built.append(_Member(index, scenario, build, *choice))
    settings = [(m.build.rtol, m.build.max_steps, m.stepper, m.longest) for m in built]
    for positions in groups([m.scenario for m in built], settings):
        _group([built[i] for i in positions], members, config, results, way)


def _group(chosen: list[_Member], members: Members, config: Any, results: Rows, way: How) -> None:
    """One structure; in halves where memory does not suffice, one by one where a member cannot be run at all."""
    first, count = chosen[0], len(chosen)
    control = StepControl(rtol=first.build.rtol, max_steps=first.build.max_steps)
    filled = [m.scenario for m in chosen] + [chosen[-1].scenario] * (way.block - count)
    alike = structure(first.scenario)
    beside = [s for s in members.beside(first.index) if structure(s) == alike] if way.block > 1 else []
    try:
        with warnings.catch_warnings(), _compiling(members, first, way) as compiled:
            warnings.filterwarnings("ignore", message=".*did not reach their end.*")  # which the store says
            solutions = simulate_batch(
                filled,
                save=first.build.save,
                fields=tuple(config.sweep.fields),
                precision=first.build.precision,
                control=shortened(control, first.longest, np.float64),
                stepper=first.stepper,
                block=way.block,
                threads=way.threads or threads(first.scenario, first.build.precision),
                beside=beside,
                progress=lambda done, total: compiled(),
            )
    except Exception as error:
        if _is_memory(error) and count == 1:
            raise MemoryError(f"Scenario {first.index} does not fit into memory. Use fewer cells.") from error
        files = tuple(config.code_files.values())
        if not _is_memory(error) and not isinstance(error, _MEMBERS) and not _is_of_code(error, files):
            raise
        if count == 1:
            told = told_of(error, files) if files else f"{type(error).__name__}: {' '.join(str(error).split())}"
            results.failed(first.index, told)
            return
        half = -(-count // 2)
        block = -(-min(way.block, count) // 2) if _is_memory(error) else min(half, way.block)
        fewer = How(block, 1 if _is_memory(error) and way.block == 1 else way.threads)
        for piece in (chosen[:half], chosen[half:]):
            _group(piece, members, config, results, fewer)
        return
    for member, solution in zip(chosen, solutions, strict=False):  # without those it was filled up with
        results.put(member.index, solution, min(way.block, count))


def _compiling(members: Members, first: _Member, way: How) -> Any:
    """Alone with the compilation of a structure that this process has not met."""
    key = f"{members.key(first.index)} {way.block} {first.build.precision} {first.build.rtol} {first.build.max_steps}"
    if key in _met:
        return contextlib.nullcontext(lambda: None)
    _met.add(key)
    return compiled_once(key)


def _is_of_code(error: Exception, files: Collection[Path]) -> bool:
    """Whether code that a config names (``files``) may have raised it, rather than the machine. What the disk refuses
    is of the code that asked for it."""
    if not files or isinstance(error, MemoryError) or type(error).__name__ in ("XlaRuntimeError", "JaxRuntimeError"):
        return False
    return not isinstance(error, OSError) or bool(went_through(error, files))


def _is_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
