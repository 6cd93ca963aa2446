"""Ctrl-C from the start of a command until somebody who writes listens to it himself (:mod:`tmepde.cli.stopping`).

Python raises ``KeyboardInterrupt`` wherever it stands, in a callback of a library too, which may swallow it
(one that came while JAX was imported did nothing at all). So it is remembered, and asked for before a run begins.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_heard: list[int] = []


def listen() -> None:
    """Remember an interrupt, besides raising it; not where the process was told to ignore it (``command &``)."""
    own = threading.current_thread() is threading.main_thread()
    if own and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _hear)


def heed() -> None:
    """Raise what was heard and lost.

    Raises:
        KeyboardInterrupt: if there was one.
    """
    if _heard:
        raise KeyboardInterrupt


def heard() -> bool:
    """Whether there was one."""
    return bool(_heard)


def _hear(number: int, _: FrameType | None) -> None:
    _heard.append(number)
    raise KeyboardInterrupt
