"""What is asked of a measurement, and what comes out of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Options:
    """How large and how long.

    Args:
        quick: small sizes, to see that everything runs; its figures mean nothing.
        peers: also run other programs on the same problem, where they are installed.
        full: peers run to the end instead of being extrapolated; large grids as well.
        cells: cells along each axis; ``None`` for the workload's own.
        days: simulated days of the reference model, the gradient and the batch; ``None`` for the workload's own.
        repeats: timings of which the best counts; of what is short, as many as fit a second.
        device: "cpu" lets the workloads for graphics processors run on a processor.
        keep: is given what there is of a record after each part of a long workload.
    """

    quick: bool = False
    peers: bool = False
    full: bool = False
    cells: int | None = None
    days: float | None = None
    repeats: int = 3
    device: str | None = None
    keep: Callable[[Record], None] | None = None

    def check(self) -> None:
        """Raise for sizes that cannot be run."""
        if self.cells is not None and not 8 <= self.cells <= 4096:
            raise ValueError(f"`cells` must lie between 8 and 4096 along an axis, but {self.cells} was given.")
        if self.days is not None and not 0 < self.days <= 365:
            raise ValueError(f"`days` must be positive and at most 365, but {self.days:g} was given.")
        if self.repeats < 1:
            raise ValueError(f"`repeats` must be at least 1, but {self.repeats} was given.")

    def size(self, usual: int, quick: int) -> int:
        """Cells along an axis."""
        return self.cells or (quick if self.quick else usual)

    def length(self, usual: float, quick: float) -> float:
        """Simulated days."""
        return self.days or (quick if self.quick else usual)


@dataclasses.dataclass
class Record:
    """One measurement.

    Attributes:
        wall_s: seconds of the headline run, as a user waits for it, compilation apart.
        error: of the headline run, by the norm that ``what`` names; ``None`` where there is nothing to compare with.
        updates_per_s: cell updates per second of explicit steps or kernels; ``None`` where steps are not explicit.
        peers: by name ``{wall_s, error, ratio, note}``; ``ratio`` = their seconds / ours, above 1 we are faster.
        rows: further measurements of the same workload, one mapping each.
        notes: sentences that belong to the figures.
    """

    name: str
    what: str
    dtype: str
    cells: int
    wall_s: float | None
    compile_s: float | None = None
    error: float | None = None
    updates_per_s: float | None = None
    peers: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    quick: bool = False
    surroundings: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def ratio_to_best_peer(self) -> float | None:
        """Seconds of the fastest peer, whatever its error, over ours."""
        ratios = [p["ratio"] for p in self.peers.values() if p.get("ratio") is not None]
        return min(ratios) if ratios else None

    def compared(self, peers: dict[str, dict[str, Any]]) -> Record:
        """The same with ``peers`` beside it."""
        for one in peers.values():
            theirs = one.get("wall_s")
            one["ratio"] = theirs / self.wall_s if theirs is not None and self.wall_s else None
        self.peers = peers
        return self

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        out = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "surroundings"}
        out["ratio_to_best_peer"] = self.ratio_to_best_peer
        return {**out, **self.surroundings}
