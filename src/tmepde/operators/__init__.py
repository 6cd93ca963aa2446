"""Conservative finite-volume operators: one code for one, two and three dimensions and for radial grids."""

from tmepde.operators.advection import advective_tendency, courant_rate, downwind
from tmepde.operators.diffusion import boundary_terms, conductances
from tmepde.operators.faces import (
    cell_gradient,
    face_mean,
    face_norm,
    gradient,
    gradient_norm,
    metric_volumes,
    open_faces,
)

__all__ = [
    "advective_tendency",
    "boundary_terms",
    "cell_gradient",
    "conductances",
    "courant_rate",
    "downwind",
    "face_mean",
    "face_norm",
    "gradient",
    "gradient_norm",
    "metric_volumes",
    "open_faces",
]
