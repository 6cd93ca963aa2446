"""How much of a drug given into the blood reaches the depth of a tissue?

    dC/dt = dose(t)/V − (k₁₀ + k₁₂) C + k₂₁ P ,   dP/dt = k₁₂ C − k₂₁ P   (blood, periphery)     dX/dt = u   (exposure)
    ∂u/∂t = D ∇²u − k u ,   u = C(t) at the vessel wall, no flux at the depth L = 200 µm
Numbers: C is biexponential (eigenvectors of the first two equations); ∫u dt obeys the steady equation, so that at last
X(L) = dose/(V k₁₀) / cosh(L √(k/D)) = 100/cosh 2 = 26.58.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tmepde as tme
from tmepde.units import second, um


def kinetics(clock, state, tissue, dose, k10, k12, k21, decay):
    blood = {"blood.source": clock.rate(dose) / 5.0 + k21 * state["periphery"], "blood.loss": k10 + k12}
    tissue = {"drug.loss": decay, "exposure.source": state["drug"]}
    return {**blood, **tissue, "periphery.source": k12 * state["blood"], "periphery.loss": k21}


wall = {"x-": tme.Dirichlet(lambda clock, state: state["blood"])}
kinds = dict(blood="compartment", periphery="compartment", exposure="local")
species = {name: tme.Species(kind=kind) for name, kind in kinds.items()}
species["drug"] = tme.Species(diffusivity=10 * um**2 / second, boundary=wall)
process = tme.process(kinetics, dose=tme.Bolus(at=0, amount=100), k10=0.2, k12=0.5, k21=0.3, decay=1e-3 / second)
model = tme.Model(tme.Grid.line(200 * um, cells=100), species, [process])
solution = tme.simulate(tme.Scenario(model, until=144.0), save=tme.every(1.0))
t, blood, x = solution.times[1:], solution.fields["blood"][1:], solution.fields["exposure"][:, -1]
rates, modes = np.linalg.eig([[-0.7, 0.3], [0.5, -0.3]])
exact = 20 * modes[0] * np.linalg.solve(modes, [1, 0]) @ np.exp(np.outer(rates, t - 0.5 / 60))  # a bolus takes 1 min
checks = {"C at 6 h": (blood[5], exact[5], 0.005), "X at depth": (x[-1], 26.58, 0.03)}
print(checks)
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.semilogy(t, blood, t, solution.fields["drug"][1:, ::33], t, exact, "k--")
ax.set(xlabel="time (h)", ylabel="concentration", title="blood, and tissue at 4 depths")
Path("out").mkdir(exist_ok=True)
fig.savefig("out/07_blood_to_tissue.png")
