"""Models of the literature as presets: equations and numbers of their papers, on any grid that suits them.

model = tme.library.published("kuznetsov_1994", growth=0.2 / day)
model = tme.library.published("swanson_glioma", tme.Grid.square(100 * mm, cells=200), white=map)
"""

from __future__ import annotations

import dataclasses
from typing import Any

from tmepde.coefficients import unknown
from tmepde.grid import Grid
from tmepde.library.published.anderson_chaplain_1998 import AndersonChaplain1998
from tmepde.library.published.base import PublishedModel
from tmepde.library.published.baxter_jain import BaxterJainEmbedded, BaxterJainIsolated
from tmepde.library.published.carrgo import Carrgo
from tmepde.library.published.kuznetsov_1994 import Kuznetsov1994
from tmepde.library.published.matzavinos_2004 import Matzavinos2004
from tmepde.library.published.physicell_immune import PhysiCellImmune
from tmepde.library.published.stein_2019 import Stein2019
from tmepde.library.published.swanson_glioma import SwansonGlioma
from tmepde.model import Model

#: name → class; ``PUBLISHED[name](**numbers).build(grid)`` is the model, ``parameters(PUBLISHED[name])`` its numbers
PUBLISHED: dict[str, type[PublishedModel]] = {
    cls.name: cls
    for cls in (
        AndersonChaplain1998,
        BaxterJainEmbedded,
        BaxterJainIsolated,
        Carrgo,
        Kuznetsov1994,
        Matzavinos2004,
        PhysiCellImmune,
        Stein2019,
        SwansonGlioma,
    )
}


def published(name: str, grid: Grid | None = None, **numbers: Any) -> Model:
    """A model of the literature.

    Args:
        name: a key of ``PUBLISHED``.
        grid: where; ``None``: a single well-mixed cell, for the models without space.
        numbers: published numbers to change, by parameter name, in the units of the parameter.

    Raises:
        ValueError: for an unknown name or number, with the nearest valid one.
    """
    if name not in PUBLISHED:
        raise ValueError(unknown("published model", name, PUBLISHED))
    cls = PUBLISHED[name]
    known = [f.name for f in dataclasses.fields(cls)]
    for key in numbers:
        if key not in known:
            raise ValueError(unknown(f"parameter of {name!r}", key, known))
    return cls(**numbers).build(Grid.point() if grid is None else grid)


__all__ = ["PUBLISHED", "PublishedModel", "published"]
