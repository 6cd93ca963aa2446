"""``ConfigError``: every problem of a config at once, each with its dotted path and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong: ``path`` is dotted (empty for the file as a whole), ``message`` a sentence with the remedy."""

    path: str
    message: str

    def __str__(self) -> str:
        text = f"`{self.path}` {self.message}" if self.path else self.message
        # what a file says must not steer a terminal
        return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


class ConfigError(ValueError):
    """A config that cannot be used. ``problems`` holds all of them, ``source`` the file they are in."""

    def __init__(self, problems: Iterable[Problem], source: str = ""):
        self.problems = tuple(problems)
        self.source = source
        count = len(self.problems)
        head = f"{source or 'The config'} has {count} problem{'' if count == 1 else 's'}:"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in self.problems)]))


def suggest(word: str, known: Iterable[str], limit: int = 12) -> str:
    """ " Did you mean 'x'?" where something is near, else the list of what there is."""
    names = sorted(set(known))
    lowered = {name.lower(): name for name in names}
    near = difflib.get_close_matches(str(word).lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {lowered[near[0]]!r}?"
    if not names:
        return "Nothing can be written here."
    more = f", … ({len(names)} in all)" if len(names) > limit else ""
    return f"Known: {', '.join(names[:limit])}{more}."
