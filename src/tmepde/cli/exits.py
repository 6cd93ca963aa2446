"""Exit codes, and which failure means which."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tmepde.cli import environment, interrupts, streams

OK = 0
SOME_FAILED = 1
BAD_INPUT = 2
LIMIT_REACHED = 3
DIVERGED = 4
ENVIRONMENT = 5
LOCKED = 6
PREEMPTED = 75
HUNG_UP = 129
INTERRUPTED = 130
TERMINATED = 143
#: by the names of the exceptions: to import them takes time
_STORES = {"LockedError": LOCKED, "DamagedError": ENVIRONMENT, "StoreError": BAD_INPUT}
_INTERRUPTED = "Interrupted. What was committed is kept."


class Stop(Exception):
    """End the command with ``code``, after ``message`` on stderr."""

    def __init__(self, code: int, message: str = ""):
        self.code = code
        super().__init__(message)


def guarded(command: Callable[[], Any]) -> NoReturn:
    """Run the command line; what users can cause ends in a sentence and a code, never in a traceback."""
    interrupts.listen()
    streams.settle()
    warnings.showwarning = _warn
    try:
        code = _ready() or command() or OK
    except SystemExit as stop:  # of the parser
        code = stop.code if isinstance(stop.code, int) else OK
        if code == INTERRUPTED and interrupts.heard():  # the parser ends with it in silence
            _say(_INTERRUPTED, code)
    except Stop as stop:
        code = _say(str(stop), stop.code)
    except KeyboardInterrupt:
        code = _say(_INTERRUPTED, INTERRUPTED)
    except BrokenPipeError:  # of a pipe that is not one of the standard streams
        code = OK
    except (MemoryError, OSError) as error:
        code = _say(_of_the_machine(error), ENVIRONMENT)
    except Exception as error:
        code = _known(error)
        if code is None:
            raise
    streams.drain()
    sys.exit(code)


def _of_the_machine(error: MemoryError | OSError) -> str:
    """A sentence with the file that could not be used, where the system names one."""
    if type(error).__str__ not in (OSError.__str__, MemoryError.__str__):  # one of ours, which says what to do
        return str(error)
    if not isinstance(error, OSError) or error.errno is None:
        return f"{type(error).__name__}: {error}"
    told = os.strerror(error.errno).lower()
    if error.filename is None:
        return f"The system refused to read or write: {told}. Check the permissions and the room on the disk."
    return f"{error.filename} cannot be used: {told}. Check the path, the permissions and the room on the disk."


def _ready() -> int:
    """0, or the code of an environment in which nothing can be computed; help and lists need none."""
    if not set(sys.argv[1:2]) & {"check", "run", "sweep", "bench", "sensitivity", "calibrate", "optimize"}:
        return OK
    found = environment.problem()
    return _say(found, BAD_INPUT) if found else OK


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """Warnings as one line each, without the place in the source."""
    _say(f"warning: {' '.join(str(message).split())}", OK)


def _known(error: Exception) -> int | None:
    """The exit code of an exception that is the user's or the machine's, else ``None``."""
    from tmepde.config.errors import ConfigError

    if isinstance(error, Warning):
        return _say(f"A warning, which Python was told to take for an error: {error}", BAD_INPUT)
    if isinstance(error, ConfigError):
        return _say(str(error), BAD_INPUT)
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("tmepde"):
        return _say(f"This needs the package {error.name!r}. Install it with: pip install 'tmepde[all]'", ENVIRONMENT)
    if isinstance(error, ImportError) and Path(error.path or "").suffix in (".so", ".pyd", ".dylib"):
        remedy = "Free memory, raise the limit (ulimit -v), or install the package again."
        return _say(f"A library cannot be loaded: {error}. {remedy}", ENVIRONMENT)
    if isinstance(error, ImportError) and error.name is None:  # ours: the sentence names the package and the remedy
        return _say(str(error), ENVIRONMENT)
    if isinstance(error, ValueError) and (told := environment.refused(error)):
        return _say(told, BAD_INPUT)
    name = type(error).__name__
    if name in _STORES:
        return _say(str(error), _STORES[name])
    if isinstance(error, RuntimeError) and "nable to initialize backend" in str(error):
        chosen = os.environ.get("JAX_PLATFORMS", "")
        first = " ".join(str(error).splitlines()[0].split())
        return _say(
            f"JAX_PLATFORMS={chosen!r} cannot be used: {first} Unset JAX_PLATFORMS, or set it to cpu.", BAD_INPUT
        )
    if name in ("XlaRuntimeError", "JaxRuntimeError") and "RESOURCE_EXHAUSTED" in str(error):
        return _say(
            f"The device ran out of memory. Use fewer cells or arms. ({str(error).splitlines()[0]})", ENVIRONMENT
        )
    return None


def _say(message: str, code: int) -> int:
    if message:
        print(message, file=sys.stderr)
    return code
