"""``python -m tmepde.cli.worker STORE GRACE``: batches, numbered on standard input, for a process that watches."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Entry point; exits with the codes of :mod:`tmepde.cli.exits`."""
    from tmepde.cli.exits import guarded
    from tmepde.sweep.executors.watched import work

    batches = [int(word) for word in sys.stdin.read().split()]
    guarded(lambda: work(Path(sys.argv[1]), batches, float(sys.argv[2])))


if __name__ == "__main__":
    main()
