"""Which wavelength does a Turing instability choose?

    ∂u/∂t = ∇²u + 0.1 − u + u²v          ∂v/∂t = d ∇²v + 0.9 − u²v          d = 20

A bump in one cell disturbs the balance u = 1, v = 0.9 with every wave number k; each then grows as exp(σ(k) t).
Numbers: σ is the larger eigenvalue of [[0.8 − k², 1], [−1.8, −1 − d k²]] (Murray, Mathematical Biology II, ch. 2), at
most 0.2632 for waves of length 12.91.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tmepde as tme


def kinetics(clock, state, tissue):
    u, v = state["u"], state["v"]
    return {"u.source": 0.1 + u**2 * v, "u.loss": 1.0, "v.source": 0.9, "v.loss": u**2}


grid, modes = tme.Grid.line(200.0, cells=512), np.arange(18, 50)  # no flux at the ends: mirror images
u = tme.Species(initial=1 + 0.02 * np.eye(512)[0], diffusivity=1.0)
model = tme.Model(grid, {"u": u, "v": tme.Species(initial=0.9, diffusivity=20.0)}, [tme.process(kinetics)])
solution = tme.simulate(tme.Scenario(model, until=100.0), save=[8, 20, 100], control=tme.StepControl(rtol=1e-5))
before, after = (np.abs(np.fft.rfft(np.r_[field, field[::-1]] - 1))[modes] for field in solution.fields["u"][1:3])
k, measured = 2 * np.pi * modes / 400.0, np.log(after / before) / 12.0
sigma = np.linalg.eigvals([[[0.8 - q**2, 1.0], [-1.8, -1.0 - 20.0 * q**2]] for q in k]).real.max(axis=1)
curvature, slope, _ = np.polyfit(k[10:17], measured[10:17], 2)  # a parabola through the top
checks = {"growth": (measured.max(), 0.2632, 0.004), "wavelength": (-4 * np.pi * curvature / slope, 12.91, 0.2)}
print(checks)

fig, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5), layout="constrained")
left.plot(k, sigma, k, measured, "o")
left.set(xlabel="wave number k", ylabel="growth rate σ", title="linear theory (line) and measured (dots)")
right.plot(grid.centers(0), solution.fields["u"][-1])
right.set(xlabel="x", ylabel="u", title="t = 100")
Path("out").mkdir(exist_ok=True)
fig.savefig("out/02_schnakenberg.png")
