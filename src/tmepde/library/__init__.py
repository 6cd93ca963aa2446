"""Ready-made models. ``MODELS`` names them as configurations do; ``BUILDERS`` are the classes with their numbers.

``PUBLISHED`` names the models of the literature, which :func:`published` builds.
"""

from tmepde.library.presets import BLOOD, STROMA
from tmepde.library.published import PUBLISHED, published
from tmepde.library.solid_tumour import SolidTumour, default_processes, milieu_of, solid_tumour

MODELS = {"solid_tumour": solid_tumour}
BUILDERS = {"solid_tumour": SolidTumour}

__all__ = [
    "BLOOD",
    "BUILDERS",
    "MODELS",
    "PUBLISHED",
    "STROMA",
    "SolidTumour",
    "default_processes",
    "milieu_of",
    "published",
    "solid_tumour",
]
