"""Standard streams that cannot stop a run: closed, full, at the end of a broken pipe, or in another encoding."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any


class Forgiving:
    """A text stream whose writes never fail: what cannot be written is dropped, and the program goes on. So is what a
    handler of a signal writes while it interrupts a write (a RuntimeError of the buffer, which is at work)."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError, RuntimeError):
            return int(self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError, RuntimeError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def settle() -> None:
    """Make the standard streams safe, once at the start of a command.

    A closed descriptor 0, 1 or 2 is opened to nothing, or else the next file that is opened would get its number and
    the messages of libraries. Characters that a terminal's encoding lacks are written as escapes.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, Forgiving):
            continue
        with suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, Forgiving(stream))


def drain() -> None:
    """Write out what is left; where that is impossible, to nothing, so that the interpreter ends in silence."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            continue
        try:
            getattr(stream, "_stream", stream).flush()
        except (OSError, ValueError):
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
