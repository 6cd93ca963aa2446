"""Models that build themselves: those of the literature by name, and classes in a file beside the config.

Such a class is a process with a method ``build(grid) -> Model``. Where it takes a ``region`` as well, it is given the
tissue classes of the config's ``[tissue]``.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from tmepde._types import is_traced
from tmepde.interventions.registry import load
from tmepde.library.published import PUBLISHED
from tmepde.model import Model
from tmepde.process import Process


def builder(kind: str, beside: str = ".") -> type[Process]:
    """The class that ``kind`` stands for: ``"kuznetsov_1994"``, ``"file.py:Class"`` or ``"module:Class"``.

    Raises:
        ValueError: if there is none, or it cannot build a model.
    """
    if kind in PUBLISHED:
        return PUBLISHED[kind]
    found = load(kind, beside, Process)
    if not (isinstance(found, type) and issubclass(found, Process) and callable(getattr(found, "build", None))):
        raise ValueError(
            f"{kind!r} must be a subclass of tmepde.Process with a method `build(grid)` that returns a tmepde.Model, "
            f"but it is {found!r}."
        )
    return found


def takes_region(process: Any) -> bool:
    """Whether the model is built from tissue classes, not from the grid alone."""
    return "region" in inspect.signature(process.build).parameters


def built(process: Any, grid: Any, region: Any = None) -> Model:
    """The model of a process on ``grid``.

    Raises:
        ValueError: if it returns something else, or a model on another grid.
    """
    model = process.build(grid, region=region) if takes_region(process) else process.build(grid)
    if not isinstance(model, Model):
        given = type(model).__name__
        raise ValueError(
            f"`{type(process).__name__}.build` must return a tmepde.Model, but {given} came. Return Model(…)."
        )
    if model.grid.shape != grid.shape or not _alike(model.grid.widths, grid.widths):
        raise ValueError(
            f"`{type(process).__name__}.build` must return a model on the grid that it is given, {grid.shape} cells, "
            f"but its own has {model.grid.shape}, or cells of another size. Write [grid] as the model needs it."
        )
    return model


def _alike(ours: Any, theirs: Any) -> bool:
    """Whether cells have equal widths, axis by axis; those that are traced are taken as equal."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if not (is_traced(a) or is_traced(b))]
    return all(np.allclose(a, b, rtol=1e-6, atol=0.0) for a, b in pairs)
