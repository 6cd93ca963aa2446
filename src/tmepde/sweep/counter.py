"""How many programs this process has compiled for its scenarios: one a structure, unless they were on the disk."""

from __future__ import annotations

import threading
from typing import Any

#: names of the programs of a save interval, by themselves and mapped
_PROGRAMS = ("march_program", "block_interval")
_COMPILED = "/jax/core/compile/backend_compile_duration"
_FOUND = "/jax/compilation_cache/cache_hits"


class Compilations:
    """Counts from when it is made.

    JAX says that a program was found on the disk before it says, in the same thread, that the request ended.

    Attributes:
        programs: compiled programs of save intervals.
        found: those that were read from the disk instead.
    """

    def __init__(self) -> None:
        import jax

        self.programs = self.found = 0
        self._here = threading.local()
        jax.monitoring.register_event_listener(self._event)
        jax.monitoring.register_event_duration_secs_listener(self._ended)

    def _event(self, event: str, **_: Any) -> None:
        if event == _FOUND:
            self._here.hit = True

    def _ended(self, event: str, duration_secs: float, **about: Any) -> None:
        if event != _COMPILED:
            return
        hit, self._here.hit = getattr(self._here, "hit", False), False
        if any(word in str(about.get("fun_name", "")) for word in _PROGRAMS):
            self.found += hit
            self.programs += not hit
