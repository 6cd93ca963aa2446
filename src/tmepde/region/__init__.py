"""Where the tissue classes are: tumour nests, stroma, vessels, on a grid (:class:`Region`); from shapes or pictures."""

from tmepde.region.region import Region

__all__ = ["Region"]
