"""What one arm of the main job costs: compile time, wall time per simulated day, steps, rejections, solver iterations.

python benchmarks/main_job.py --json out/main_job.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import jax

import tmepde as tme
from tmepde import config
from tmepde.io.provenance import git_commit, version

CONFIG = Path(__file__).parent.parent / "configs" / "colon_ihc.toml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--days", type=float, default=14.0)
    options = parser.parse_args()
    built = config.load(CONFIG, {"run.until": f"{options.days} day"}).build()
    arms = {name: built.arms[name] for name in ("no therapy", "CAR-T", "all together")}
    found = tme.run_arms(built.scenario, arms, save=tme.every(24.0))
    rows = {
        name: {
            "wall_s": s.wall_time,
            "wall_s_per_day": s.wall_time / options.days,
            "compile_s": s.compile_time,
            **{k: int(v) for k, v in s.statistics.items()},
            "mass_balance_error": max(float(b["error"]) for b in s.budgets.values()),
        }
        for name, s in found.items()
    }
    cells = int(built.scenario.model.grid.widths[0].size * built.scenario.model.grid.widths[1].size)
    device = jax.devices()[0].device_kind
    result = {
        "name": "main_job",
        "device": device,
        "dtype": "f32",
        "cells": cells,
        "arms": rows,
        "jax": version("jax"),
        "commit": git_commit(),
    }
    text = json.dumps(result, indent=2, default=str)
    print(text)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
