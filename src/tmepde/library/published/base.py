"""What the models of the literature share: a process that carries the published numbers and builds its own model."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from tmepde.grid import Grid
from tmepde.model import Model
from tmepde.parameter import param
from tmepde.process import Process
from tmepde.units import day


class PublishedModel(Process):
    """One model of the literature. Its docstring opens with the equations, its fields are the published numbers.

    ``name`` is what :func:`tmepde.library.published` and the paths of a scenario call it. Numbers that shape the start
    or the sides (``…_start``, ``radius``, …) are read when the model is built; rates and diffusivities may be replaced
    later.
    """

    name: ClassVar[str] = ""

    @abstractmethod
    def build(self, grid: Grid) -> Model:
        """The model on ``grid``, with its published start."""


def per_day(doc: str, value: float, ref: str, status: str = "seen", upper: float = 100.0) -> Any:
    """A rate given per day in the paper, stored per hour."""
    return param("1/h", doc=f"{doc} ({value:g}/day)", default=value / day, bounds=(0, upper), ref=ref, status=status)


def ball(grid: Grid, radius: Any, centre: Any = None) -> Any:
    """1 in cells whose centre is nearer to ``centre`` than ``radius``, 0 elsewhere.

    ``centre`` is in array order; default the middle of the grid, r = 0 on a radius.
    """
    if centre is None:
        faces = [np.asarray(grid.faces(k)) for k in range(grid.ndim)]
        centre = [0.0 if a == "r" else 0.5 * (f[0] + f[-1]) for a, f in zip(grid.axes, faces, strict=True)]
    squared = sum((np.asarray(x) - c) ** 2 for x, c in zip(grid.coordinates(), centre, strict=True))
    return np.where(squared < float(radius) ** 2, 1.0, 0.0)
