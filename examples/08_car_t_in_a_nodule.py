"""CAR-T cells gather around an immune-excluded nodule and do not enter. Which help lets them in?

The library's model of a solid tumour along the radius of a nodule of 300 µm in host tissue, with a capsule of collagen
and hyaluronan and blood levels as in patients with solid tumours. One infusion of 1e8 cells at day 1, alone or with an
enzyme that digests the hyaluronan, with vessels normalised by anti-VEGF, or with cells that make CCL19 and IL-7.

Numbers: not from the literature but from what must hold. Without cells the tumour only grows; unarmed cells do not cure
an excluded nodule and armed ones do better (the orderings of the reference model); every budget closes.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tmepde as tme
from tmepde.units import day, hour, um

ARMS = {
    "no therapy": [],
    "CAR-T": ["car_t"],
    "CAR-T + hyaluronidase": ["car_t", "hyaluronidase"],
    "CAR-T + anti-VEGF": ["car_t", "bevacizumab"],
    "armed CAR-T": ["armed"],
    "all": ["armed", "hyaluronidase", "bevacizumab"],
}

grid = tme.Grid.radial(800 * um, cells=100)
region = tme.Region.nodule(grid, radius=300 * um)
model = tme.library.solid_tumour(grid, region=region, stroma="excluded", blood="human_solid")
cells = tme.Bolus(at=1 * day, amount=1e8)
plan = {
    "car_t": tme.CellInfusion(dose=cells),
    "armed": tme.CellInfusion(dose=cells, armour=tme.Secretes(chemokine=1.0, growth_factor=10.0)),
    "hyaluronidase": tme.MatrixEnzyme(dose=tme.Course(start=0, every=3 * day, doses=5, amount=50, over=1 * hour)),
    "bevacizumab": tme.AntiVEGF(dose=tme.Infusion(at=0, amount=500, over=1 * hour)),
}
scenario = tme.Scenario(model, interventions=plan, until=28 * day)
runs = tme.run_arms(scenario, ARMS, save=tme.every(1 * day))  # one compilation for all arms


def burden(run):
    """Tumour cells at each save, 1 µm³ = 1e-9 mm³."""
    tumour = run.fields["tumour"] + run.fields["tumour_negative"]
    return np.array([1e-9 * grid.integrate(u) for u in tumour])


final = {arm: burden(run)[-1] for arm, run in runs.items()}
worst = max(float(budget["error"]) for run in runs.values() for budget in run.budgets.values())
checks = {
    "CAR-T / no therapy": (final["CAR-T"] / final["no therapy"], 0.9, 0.1),
    "armed / unarmed": (final["armed CAR-T"] / final["CAR-T"], 0.6, 0.35),
    "budget error": (worst, 0.0, 1e-4),
}
print(checks)

fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for arm, run in runs.items():
    left.plot(run.times / day, burden(run), label=arm)
    at_day_14 = run.fields["car_t"][14] + run.fields["car_t_exhausted"][14]
    right.plot(grid.centers(0) - 300, at_day_14, label=arm)
left.set(xlabel="time (days)", ylabel="tumour cells")
left.legend()
right.axvline(0, color="black", lw=0.8)
right.set(xlabel="distance to the tumour margin (µm)", ylabel="CAR-T cells at day 14 (cells/mm³)", xlim=(-300, 300))
Path("out").mkdir(exist_ok=True)
fig.savefig("out/08_car_t_in_a_nodule.png")
