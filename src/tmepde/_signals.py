"""The signals that ask a program to stop, and leave it time for it."""

from __future__ import annotations

import signal


def stops() -> tuple[signal.Signals, ...]:
    """Those of a keyboard, of a scheduler, of a shutdown, and of a terminal that is closed; the last not where it is
    ignored, since that is how ``nohup`` asks a program to go on."""
    asked = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        asked.append(signal.SIGHUP)
    return tuple(asked)


def exit_code(number: int) -> int:
    """The exit code of what a signal stopped: 75 where a scheduler asked for it (USR1), else 128 + n."""
    return 75 if number == getattr(signal, "SIGUSR1", None) else 128 + number
