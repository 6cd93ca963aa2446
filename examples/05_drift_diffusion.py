"""Where do wanderers in a frozen landscape end up?

    ∂u/∂t = ∇·(D ∇u − v u) ,     v = −D ∇φ ,     φ(x) = x⁴/2 − 2 x² − 0.3 x on [−2, 2], closed

Numbers: at rest no flux is left, so u ∝ exp(∫v/D dx) = exp(−φ), Boltzmann's law, and the left valley keeps the share
∫_{x<0} exp(−φ) dx / ∫ exp(−φ) dx = 0.3254 (quadrature) of what was all put there.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tmepde as tme


def landscape(x):
    return x**4 / 2 - 2 * x**2 - 0.3 * x


def drift(clock, state, tissue, diffusivity):
    return {"u.velocity": (-diffusivity * tme.operators.gradient(tissue.grid, landscape(tissue.grid.centers(0)))[0],)}


grid = tme.Grid.line(4.0, cells=100, origin=(-2.0,))
x = grid.centers(0)
species = {"u": tme.Species(initial=4.0 * (x < -1), diffusivity=0.5)}
model = tme.Model(grid, species, {"drift": tme.process(drift, diffusivity=0.5)})
solution = tme.simulate(tme.Scenario(model, until=200.0), save=[0.3, 3, 20, 200])
last, boltzmann = solution.fields["u"][-1], np.exp(-landscape(x)) / np.exp(-landscape(x)).mean()
checks = {"share on the left": (last[x < 0].sum() / last.sum(), 0.3254, 0.002)}
checks["worst error"] = (np.abs(last - boltzmann).max() / boltzmann.max(), 0.0, 0.01)
print(checks)
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(x, solution.fields["u"].T, label=[f"t = {t:g}" for t in solution.times])
ax.plot(x, boltzmann, "k--", label="exp(−φ)")
ax.set(xlabel="x", ylabel="u")
ax.legend()
Path("out").mkdir(exist_ok=True)
fig.savefig("out/05_drift_diffusion.png")
