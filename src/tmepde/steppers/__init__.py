"""Time integration of the waist: all fields together, adaptive, landing exactly on knots and save times."""

from tmepde.steppers.account import Stepper
from tmepde.steppers.chebyshev import RungeKuttaChebyshev
from tmepde.steppers.control import StepControl
from tmepde.steppers.explicit import ExplicitEuler
from tmepde.steppers.explicit_terms import explicit_rate
from tmepde.steppers.exponential import Exponential2
from tmepde.steppers.newton_krylov import NewtonKrylov
from tmepde.steppers.quasi_steady import relax_quasi_steady
from tmepde.steppers.rosenbrock import BackwardEuler, Rosenbrock2, Rosenbrock3
from tmepde.steppers.semidiscrete import SemiDiscrete

__all__ = [
    "BackwardEuler",
    "ExplicitEuler",
    "Exponential2",
    "NewtonKrylov",
    "Rosenbrock2",
    "Rosenbrock3",
    "RungeKuttaChebyshev",
    "SemiDiscrete",
    "StepControl",
    "Stepper",
    "explicit_rate",
    "relax_quasi_steady",
]
