"""Contents of fields on the host, summed in float64 whatever the precision of the run."""

from __future__ import annotations

import numpy as np

#: cells of which a content is summed at a time: their float64 values stay in the nearest cache, and on one core
_PIECE = 8192


def content(volumes: np.ndarray, values: np.ndarray) -> np.float64:
    """Σ V·u in float64, in pieces: a float64 copy of a large field is new memory, which costs more than the sum. One
    volume of all cells is taken out of the sum."""
    if volumes.size == 1:
        return np.float64(volumes.reshape(())) * np.sum(values, dtype=np.float64)
    v, u = volumes.reshape(-1), values.reshape(-1)
    pieces = [
        np.dot(v[i : i + _PIECE].astype(np.float64), u[i : i + _PIECE].astype(np.float64))
        for i in range(0, u.size, _PIECE)
    ]
    return np.sum(pieces, dtype=np.float64)
