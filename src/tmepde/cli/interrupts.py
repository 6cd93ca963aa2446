"""Ctrl-C, and SIGUSR1 of a scheduler, from the start of a command until somebody who writes listens to them himself
(:mod:`tmepde.cli.stopping`).

Python raises ``KeyboardInterrupt`` wherever it stands, in a callback of a library too, which may swallow it
(one that came while JAX was imported did nothing at all). So it is remembered, and asked for before a run begins.
SIGUSR1 ends the process, as it does without a handler, but with 75: the job goes back into the queue.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

from tmepde._signals import exit_code

_heard: list[int] = []


def listen() -> None:
    """Remember an interrupt, besides raising it; not where the process was told to ignore it (``command &``)."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _hear)
    if hasattr(signal, "SIGUSR1") and signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
        signal.signal(signal.SIGUSR1, _leave)


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


def _leave(number: int, _: FrameType | None) -> None:
    os._exit(exit_code(number))


def _hear(number: int, _: FrameType | None) -> None:
    _heard.append(number)
    raise KeyboardInterrupt
