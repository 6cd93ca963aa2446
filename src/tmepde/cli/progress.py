"""How far a run is: a bar in a terminal, a line now and then otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(arms: int, quiet: bool) -> Iterator[Callable[[float, float], None] | None]:
    """A bar in a terminal, a line every ten seconds otherwise; time within an arm starts again with each arm."""
    if quiet:
        yield None
        return
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task(f"arm 1 of {arms}", total=float(arms))
            yield _follow(
                arms, lambda arm, share, _: bar.update(task, completed=arm + share, description=_arm(arm, arms))
            )
        return
    last = [time.monotonic()]

    def line(arm: int, share: float, left: str) -> None:
        if time.monotonic() - last[0] >= 10.0:
            last[0] = time.monotonic()
            told = f", {left} left" if left else ""
            print(f"{_arm(arm, arms)}: {share:.0%}{told}", file=sys.stderr, flush=True)

    yield _follow(arms, line)


def _arm(arm: int, arms: int) -> str:
    return f"arm {min(arm + 1, arms)} of {arms}"


def _follow(arms: int, tell: Callable[[int, float, str], None]) -> Callable[[float, float], None]:
    """A callback ``(time, until)`` that counts the arms: time going back means that the next one began.

    What is left goes by the pace since the first call: before it programs are compiled, which happens once.
    """
    state = {"arm": 0, "time": 0.0}
    first: list[float] = []

    def callback(now: float, until: float) -> None:
        now, until = float(now), float(until)
        if now < state["time"]:
            state["arm"] += 1
        state["time"] = now
        share = now / until if until > 0 else 1.0
        done = (state["arm"] + share) / arms
        first.extend(() if first else (time.monotonic(), done))
        tell(int(state["arm"]), share, _left(time.monotonic() - first[0], done - first[1], 1.0 - done))

    return callback


def _left(took: float, for_share: float, rest: float) -> str:
    """The time for the ``rest`` if ``for_share`` took so many seconds; nothing where that is not known yet."""
    if for_share <= 0:
        return ""
    left = took / for_share * rest
    return f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s"
