"""Time integration of the waist: all fields together, adaptive, landing exactly on knots and save times."""

from tmepde.steppers.control import StepControl
from tmepde.steppers.quasi_steady import relax_quasi_steady
from tmepde.steppers.rosenbrock import BackwardEuler, Rosenbrock2, Stepper
from tmepde.steppers.semidiscrete import SemiDiscrete

__all__ = ["BackwardEuler", "Rosenbrock2", "SemiDiscrete", "StepControl", "Stepper", "relax_quasi_steady"]
