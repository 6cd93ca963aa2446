"""A run of one species into a store, as the command line does it, with little to trace and to compile."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CONFIG = SimpleNamespace(toml=lambda: 'name = "made up"\n', name="made up", code={}, pictures={})


def logistic(clock, state, tissue, rate, capacity):
    n = state["n"]
    return {"n.source": rate * n, "n.loss": rate * n / capacity}


def made(every: float = 4.0) -> Any:
    """What ``config.build()`` gives: two arms on a line, a row each ``every`` h."""
    import tmepde as tme

    grid = tme.Grid.line(1000.0, cells=50)
    species = {"n": tme.Species(initial=1.0 * (grid.centers(0) < 100), diffusivity=200.0)}
    model = tme.Model(grid, species, {"growth": tme.process(logistic, rate=0.05, capacity=1.0)})
    scenario = tme.Scenario(model, until=48.0)
    common = {"fields": None, "region": None, "precision": "f32", "rtol": 1e-3, "max_steps": 10_000}
    return SimpleNamespace(scenario=scenario, arms={"a": (), "b": ()}, save=tme.every(every), **common)


def go(build, path, stop=lambda: False, document=None):
    from tmepde.cli.record import Recorder
    from tmepde.io.lock import Lock

    with Lock(path) as lock:
        return Recorder(CONFIG, build, path, lock, document, False, stop, None).run()


def main() -> None:
    """``small.py STORE``: begin or go on, with a row each two hours."""
    from tmepde._cache import keep_programs
    from tmepde.io import root

    keep_programs()
    path = Path(sys.argv[1])
    go(made(2.0), path, document=root.read(path) if path.exists() else None)


if __name__ == "__main__":
    main()
