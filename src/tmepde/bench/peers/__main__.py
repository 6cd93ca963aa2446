"""The process of one peer: ``python -m tmepde.bench.peers WORKLOAD PEER CELLS FOLDER JOB``."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np

from tmepde.bench.peers import PEERS, Job


def main() -> None:
    """Run the peer and leave ``result.json`` and, where it reached the end, ``fields.npy`` in the folder."""
    workload, name, cells, folder, job = sys.argv[1:]
    module, _, function = PEERS[workload][name].partition(":")
    try:
        program = getattr(importlib.import_module(f"tmepde.bench.peers.{module}"), function)
        result = program(int(cells), Job(**json.loads(job)))
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed; pip install 'tmepde[bench]' brings it")
    if result.fields is not None:
        np.save(Path(folder) / "fields.npy", result.fields)
    told = {"wall_s": result.wall_s, "compile_s": result.compile_s, "note": result.note}
    (Path(folder) / "result.json").write_text(json.dumps(told), "utf-8")


if __name__ == "__main__":
    main()
