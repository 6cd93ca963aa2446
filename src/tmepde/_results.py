"""How a run ended: members are sentences that name the cause and the remedy. Inside ``jit`` they are small integers."""

from __future__ import annotations

import enum


class Status(enum.IntEnum):
    """Result codes of a run; ``str(status)`` is a sentence."""

    ok = 0
    step_limit = 1
    step_too_small = 2
    not_finite = 3
    solver = 4
    stopped = 5
    unstable = 6

    @property
    def message(self) -> str:
        return _SENTENCES[self]

    def __str__(self) -> str:
        return self.message


_SENTENCES = {
    Status.ok: "The run reached its end.",
    Status.step_limit: (
        "The number of steps allowed between two saves was used up. Raise `max_steps`, save more often or loosen "
        "`rtol`."
    ),
    Status.step_too_small: (
        "The error could not be brought below the tolerance with the shortest step allowed. Loosen `rtol`, refine "
        "the grid, or look for a blow-up (chemotaxis without volume filling, production without loss)."
    ),
    Status.not_finite: (
        "A field became infinite or NaN. With a fixed step choose a smaller `dt` or adaptive steps; otherwise look for "
        "a division by zero in a rate law."
    ),
    Status.solver: (
        "A linear or quasi-steady solve did not converge with the shortest step allowed. Check that every quasi-steady "
        "field has a loss or an open side; an explicit stepper needs a smaller `dt`."
    ),
    Status.unstable: (
        "The fixed step is too large for the drift, which is explicit (Courant number above 1). Choose a smaller `dt`, "
        "leave it out for adaptive steps, or take NewtonKrylov()."
    ),
    Status.stopped: "The run was stopped before its end. Go on from its last snapshot.",
}
