"""In which order batches are begun: the first of each structure before all others.

So the programs of all structures are compiled at once where several processes run, and what is wrong with a structure
is seen at the beginning. Rows of one structure are neighbours in the store, which says where each begins.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from tmepde.sweep import store


def structures_first(path: Path, batches: Sequence[int]) -> list[int]:
    """``batches``, which are in ascending order, with the first of each structure in front.

    A batch that begins within the structure before is taken for one only where there is no other.
    """
    head, count = store.head(path), store.scenarios(path)
    batch, starts = int(head["batch"]), [int(i) for i in head.get("structure_starts") or (0,)]
    front: list[int] = []
    for start, stop in zip(starts, [*starts[1:], count], strict=True):
        held = [bisect_left(batches, -(-start // batch)), bisect_left(batches, start // batch)]
        found = [batches[k] for k in held if k < len(batches) and batches[k] * batch < stop]
        if found and found[0] not in front:
            front.append(found[0])
    taken = set(front)
    return [*front, *(b for b in batches if b not in taken)]


def structures_left(path: Path, batches: Sequence[int]) -> int:
    """Structures that ``batches`` hold rows of, at most."""
    head, count = store.head(path), store.scenarios(path)
    batch, starts = int(head["batch"]), [int(i) for i in head.get("structure_starts") or (0,)]
    found = 0
    for start, stop in zip(starts, [*starts[1:], count], strict=True):
        k = bisect_left(batches, start // batch)
        found += k < len(batches) and batches[k] * batch < stop
    return found
