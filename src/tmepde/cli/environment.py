"""Environment variables that would stop the compiler in the middle of a run are looked at before it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

#: seconds for a question that takes a tenth of one
PATIENCE = 60.0
_QUESTION = "from jaxlib import xla_client; xla_client.CompileOptions()"


#: what JAX says when it meets a variable of its own that it cannot read
_REFUSED = re.compile(r"for environment '(?P<variable>JAX_\w+)'|for JAX flag (?P<flag>\w+)")


def refused(error: ValueError) -> str | None:
    """A sentence, if this is JAX that cannot read one of its variables."""
    found = _REFUSED.search(str(error))
    if found is None:
        return None
    name = found["variable"] or found["flag"].upper()
    given = os.environ.get(name)
    if given is None:
        return None
    return f"{name} must be something that JAX knows, but is {given!r}. Correct it or unset {name}."


def problem() -> str | None:
    """A sentence about ``XLA_FLAGS`` that XLA does not understand, else ``None``.

    XLA ends the process where it stands on an unknown flag, so another process is asked first, and only where the
    variable is set. An unknown ``JAX_PLATFORMS`` raises an error of its own (see :mod:`tmepde.cli.exits`).
    """
    given = os.environ.get("XLA_FLAGS", "")
    if not given.strip():
        return None
    try:
        asked = subprocess.run([sys.executable, "-c", _QUESTION], capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.SubprocessError):
        return None
    if asked.returncode == 0:
        return None
    reasons = [line.partition("] ")[2] for line in asked.stderr.splitlines() if "parse_flags" in line]
    reason = f" ({reasons[0].strip()})" if reasons else ""
    return f"XLA_FLAGS must hold flags that XLA knows, but is {given!r}{reason}. Correct it or unset XLA_FLAGS."
