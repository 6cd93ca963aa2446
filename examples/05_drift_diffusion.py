"""Where do wanderers in a frozen landscape end up?

    ∂u/∂t = ∇·(D ∇u − v u) ,     v = −D ∇φ ,     φ(x) = x⁴/2 − 2 x² − 0.3 x on [−2, 2], closed

Numbers: at rest no flux is left, so u ∝ exp(∫v/D dx) = exp(−φ), Boltzmann's law, and the left valley keeps the share
∫_{x<0} exp(−φ) dx / ∫ exp(−φ) dx = 0.2532 of what was all put there (quadrature).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tmepde as tme


def landscape(x):
    return x**4 / 2 - 2 * x**2 - 0.3 * x


def drift(clock, state, tissue, diffusivity):
    (x,) = tissue.grid.coordinates()
    (slope,) = tme.operators.gradient(tissue.grid, landscape(x))
    return {"u.velocity": (-diffusivity * slope,)}


grid = tme.Grid.line(4.0, cells=100, origin=(-2.0,))
x, diffusivity = grid.centers(0), 0.5
species = {"u": tme.Species(initial=4.0 * (x < -1), diffusivity=diffusivity)}
model = tme.Model(grid, species, {"drift": tme.process(drift, diffusivity=diffusivity)})
solution = tme.simulate(tme.Scenario(model, until=120.0), save=[0.3, 3, 12, 120])
last = solution.fields["u"][-1]
boltzmann = 4.0 * np.exp(-landscape(x)) / np.mean(4.0 * np.exp(-landscape(x)))
worst = np.abs(last / last.mean() - boltzmann).max() / boltzmann.max()
checks = {"share on the left": (last[x < 0].sum() / last.sum(), 0.2532, 0.001), "against Boltzmann": (worst, 0.0, 0.005)}
print(checks, solution, solution.wall_time, solution.compile_time)
fine=np.linspace(-2,2,60001); w=np.exp(-landscape(fine)); print("theory", w[fine<0].sum()/w.sum())
print([f[x<0].sum()/f.sum() for f in solution.fields["u"]])

fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(x, solution.fields["u"].T, label=[f"t = {t:g}" for t in solution.times])
ax.plot(x, last.mean()*boltzmann, "k--", label="exp(−φ)")
ax.set(xlabel="x", ylabel="u")
ax.legend()
Path("out").mkdir(exist_ok=True)
fig.savefig("out/05_drift_diffusion.png")
