"""Members of a batch in processes of one share of the cores each, as ``tmepde sweep`` runs them: steady throughput.

    python -m tmepde.bench.pinned CORES N DAYS QUICK MEMBERS FIRST STEP

says that it is ready once it has a compiled program, computes its members when it is told to, and says that it has.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import IO, Any


def seconds(n: int, days: float, quick: bool, members: int, shares: Sequence[tuple[int, ...]]) -> float:
    """Seconds that ``members`` take, dealt out to as many processes as there are ``shares`` of the cores; start and
    compilation are over when the clock begins."""
    with contextlib.ExitStack() as stack:
        found = []
        for first, share in enumerate(shares):
            words = (",".join(map(str, share)), n, days, int(quick), members, first, len(shares))
            command = [sys.executable, "-m", __name__, *map(str, words)]
            one = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(one)
            stack.callback(one.kill)
            found.append(one)
        for one in found:
            _expect(one.stdout, "ready")
        began = time.perf_counter()
        for one in found:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        for one in found:
            _expect(one.stdout, "done")
        return time.perf_counter() - began


def _expect(lines: IO[str] | None, word: str) -> None:
    assert lines is not None
    if (said := lines.readline().strip()) != word:
        raise RuntimeError(f"A process of the benchmark should say {word!r}, but said {said!r}. See its errors above.")


def main(words: Sequence[str]) -> None:
    """What one of the processes does."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in words[0].split(",")})  # before JAX counts them
    n, days, quick = int(words[1]), float(words[2]), bool(int(words[3]))
    members, first, step = map(int, words[4:7])
    import tmepde as tme
    from tmepde.bench.gradient import scenario, small
    from tmepde.bench.members import drawn

    scenarios: list[Any] = drawn((small if quick else scenario)(n, days), members)[1][first::step]
    tme.simulate_batch(scenarios[:1], block=1)
    print("ready", flush=True)
    sys.stdin.readline()
    for one in tme.simulate_batch(scenarios, block=1):
        assert one.state
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
