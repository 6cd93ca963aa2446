"""How much of a drug that is given into the blood reaches the depth of a tissue?

    dC/dt = dose(t)/V − (k₁₀ + k₁₂) C + k₂₁ P ,     dP/dt = k₁₂ C − k₂₁ P          (blood, periphery; µM)
    ∂u/∂t = D ∇²u − k u ,     u = C(t) at the vessel wall, no flux at depth L ;     dX/dt = u          (tissue, exposure)

Numbers: after a bolus C(t) = (A e^(−αt) + B e^(−βt)) · dose/V with α + β = k₁₀ + k₁₂ + k₂₁, αβ = k₁₀ k₂₁,
A = (α − k₂₁)/(α − β), B = 1 − A. The exposure obeys the steady equation, so X(L)/∫C dt = 1/cosh(L √(k/D)) = 0.2658
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tmepde as tme
from tmepde.units import second, um


def pharmacokinetics(clock, state, tissue, dose, volume, k10, k12, k21, decay):
    blood, periphery = state["blood"], state["periphery"]
    return {
        "blood.source": clock.rate(dose) / volume + k21 * periphery,
        "blood.loss": k10 + k12,
        "periphery.source": k12 * blood,
        "periphery.loss": k21,
        "drug.loss": decay,
        "exposure.source": state["drug"],
    }
