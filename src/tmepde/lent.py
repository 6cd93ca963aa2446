"""Arrays of the host on the device and back: lent where nobody can change them, copied otherwise."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tmepde.layout import Layout, to_host
from tmepde.runner import copy_program

#: numbers of the largest array that is brought to the device along with others
_FEW = 4096


def lent(arrays: list[Any], layout: Layout | None, owner: Any) -> list[Any]:
    """The numbers of a run on the device. Large ones that :func:`cast` has made for this run alone (the scenario
    ``owner`` does not hold them), and nobody can change, are lent to a processor as they are; all others are copied."""
    if layout is not None:
        return layout.place(arrays)
    found = list(arrays)
    few = [i for i, x in enumerate(arrays) if isinstance(x, np.ndarray) and x.size <= _FEW]
    for i, x in zip(few, copy_program([arrays[i] for i in few]), strict=True):
        found[i] = x
    large = [i for i, x in enumerate(found) if not isinstance(x, jax.Array)]
    known = {id(x) for x in jax.tree.leaves(owner)} if large else set()
    for i in large:
        found[i] = _lend(found[i], id(found[i]) not in known)
    return found


def placed(tree: Any, layout: Layout | None) -> Any:
    """Arrays of the devices' own, in parts where there is a layout."""
    return jax.tree.map(jnp.array, tree) if layout is None else layout.place(tree)


def copied(values: Any) -> np.ndarray:
    """A host array of its own that nobody changes: on a processor a plain conversion shares the buffer."""
    found = np.array(to_host(values))
    found.setflags(write=False)
    return found


def _lend(values: np.ndarray, own: bool) -> Any:
    """On a processor the very memory of ``values`` where it is aligned and its ``own``, else a copy."""
    return jax.device_put(values, may_alias=True) if own else jnp.array(values)
