"""Files that are compared with but not shipped: the folder that the environment variable ``TMEPDE_DATA`` names."""

from __future__ import annotations

import os
from pathlib import Path

from validation.row import DataNotGiven


def needed(*parts: str) -> Path:
    """The path of a file below ``TMEPDE_DATA``; where it is not there, the row says so."""
    root = os.environ.get("TMEPDE_DATA", "")
    path = Path(root, *parts)
    if not root or not path.exists():
        raise DataNotGiven(f"Set TMEPDE_DATA to a folder with {'/'.join(parts)}.")
    return path
