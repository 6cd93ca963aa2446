"""Conservative finite-volume operators: one code for one, two and three dimensions and for radial grids."""

from tmepde.operators.advection import advective_tendency, courant_rate
from tmepde.operators.anisotropy import fibres, is_tensor, tensor
from tmepde.operators.assembly import field_flow, held_terms, stack_flows
from tmepde.operators.diffusion import boundary_terms, conductances, face_areas
from tmepde.operators.faces import (
    cell_gradient,
    face_mean,
    face_norm,
    gradient,
    gradient_norm,
    metric_volumes,
    open_faces,
    open_parts,
)
from tmepde.operators.velocity import bounded_speed, darcy_velocity, downwind, taxis_velocity, volume_filling

__all__ = [
    "advective_tendency",
    "boundary_terms",
    "bounded_speed",
    "cell_gradient",
    "conductances",
    "courant_rate",
    "darcy_velocity",
    "downwind",
    "face_areas",
    "face_mean",
    "face_norm",
    "fibres",
    "field_flow",
    "gradient",
    "gradient_norm",
    "held_terms",
    "is_tensor",
    "metric_volumes",
    "open_faces",
    "open_parts",
    "stack_flows",
    "taxis_velocity",
    "tensor",
    "volume_filling",
]
