"""What executors hand back, and how they fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from tmepde.config.slurm import Executor

#: executors by the name that the command line takes
NAMES: tuple[str, ...] = get_args(Executor)


@dataclass
class Result:
    """Batches that are stored, those that could not be run, with the reason, and the exit code of a stop by signal.

    Attributes:
        compiled: programs of scenarios that were compiled, where that is known (``inline``): those that were on the
            disk, or that another process had just compiled, are not counted.
    """

    done: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    stopped: int = 0
    compiled: int | None = None


class Environment(RuntimeError):
    """The machine, not the sweep: no SLURM, no workers, a full disk. What is stored stays; the rest is pending."""


class Busy(RuntimeError):
    """Somebody else is at work on this store."""


class TooManyTasks(ValueError):
    """The array would have more tasks than the cluster takes."""


class BadPath(ValueError):
    """A path that cannot be handed on."""
