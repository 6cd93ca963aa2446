"""Ready-made models. ``MODELS`` names them as configurations do; ``BUILDERS`` are the classes with their numbers.

``PUBLISHED`` names the models of the literature, which :func:`published` builds.
"""

from tmepde.library.carriers import CARRIERS
from tmepde.library.presets import BLOOD, PRESETS, SCALE, STROMA, VOLUMES
from tmepde.library.published import PUBLISHED, published
from tmepde.library.solid_tumour import SolidTumour, default_processes, milieu_of, solid_tumour
from tmepde.library.tumours import TUMOURS

MODELS = {"solid_tumour": solid_tumour}
BUILDERS = {"solid_tumour": SolidTumour}

__all__ = [
    "BLOOD",
    "BUILDERS",
    "CARRIERS",
    "MODELS",
    "PRESETS",
    "PUBLISHED",
    "SCALE",
    "STROMA",
    "TUMOURS",
    "VOLUMES",
    "SolidTumour",
    "default_processes",
    "milieu_of",
    "published",
    "solid_tumour",
]
