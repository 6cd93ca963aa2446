"""What executors hand back, and how they fail."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Result:
    """Batches that are stored, and those that could not be run, with the reason."""

    done: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)


class Environment(RuntimeError):
    """The machine, not the sweep: no SLURM, no workers, a full disk. What is stored stays; the rest is pending."""


class Busy(RuntimeError):
    """Somebody else is at work on this store."""
