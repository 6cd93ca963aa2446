"""Made-up solutions with the shapes of real ones, for tests of datasets, stores and reports: no solver is run."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from scipy import ndimage

from tmepde.grid import Grid
from tmepde.interventions.base import Effects, Intervention
from tmepde.model import Model
from tmepde.parameter import param
from tmepde.process import Process
from tmepde.region import Region
from tmepde.species import Species


class Growth(Process):
    """s = r·C·(1 − φ/φ_max)."""

    rate: object = param("1/h", doc="tumour proliferation rate", default=0.012, ref="handbook §2.9", status="assumed")
    packing: object = param("1", doc="largest packing fraction", default=0.8, bounds=(0, 1), status="assumed")


class Oxygen(Process):
    """λ = V/(K + O)."""

    uptake: object = param("mmHg/h", doc="largest uptake", default=54000.0, ref="Grimes 2014", status="from memory")
    half: object = param("mmHg", doc="half-uptake pressure", default=1.0, ref="Casciari 1992", status="seen")


class Infusion(Intervention):
    """Made-up cell infusion."""

    amount: object = param("cells/uL", doc="peak blood level", default=36.0, ref="Stein 2019", status="seen")

    def effects(self, clock, state, tissue):
        return Effects()


SPECIES = {
    "tumour": ("transported", "cells/mm3", "Antigen-positive tumour cells"),
    "tumour_negative": ("transported", "cells/mm3", "Antigen-negative tumour cells"),
    "car_t": ("transported", "cells/mm3", "CAR-T cells, effector"),
    "car_t_exhausted": ("transported", "cells/mm3", "CAR-T cells, exhausted"),
    "oxygen": ("quasi_steady", "mmHg", "Oxygen partial pressure"),
    "chemokine": ("transported", "nM", "Chemokine (CXCL10, CCL19)"),
    "ifn_gamma": ("quasi_steady", "nM", "Interferon-γ"),
    "collagen": ("local", "1", "Collagen volume fraction"),
    "car_t_plasma": ("compartment", "cells/uL", "CAR-T cells in blood"),
}
ARMS = {
    "no therapy": (0.0, 0.0, 0.0),
    "CAR-T": (1.0, 0.3, 0.0),
    "CAR-T + hyaluronidase": (1.0, 0.8, 0.35),
    "all together": (4.0, 1.4, 0.6),
}


def solution(
    region: Region, strength: float, depth: float, digest: float, times=None, dtype=np.float32, until=14 * 24.0
):
    """One made-up arm: more ``strength`` is more CAR-T, more ``depth`` lets them further in."""
    grid = region.grid
    times = np.linspace(0, until, 8) if times is None else np.asarray(times, float)
    d, smooth = region.margin_distance, lambda f: ndimage.gaussian_filter(f, 1.5, mode="nearest")
    fields = {name: [] for name in SPECIES}
    for t in times / 24.0:
        presence = strength * np.exp(-((t - 9) ** 2) / 30) * (t > 0)
        car_t = 2500 * presence * np.exp(-np.maximum(-d, 0) / (15 + 60 * depth)) * np.exp(-np.maximum(d, 0) / 80)
        killed = np.exp(-0.12 * t * car_t / 2500 * (1 + digest))
        tumour = 2.2e5 * smooth(region.tumour * region.nuclei) * np.exp(0.03 * t) * killed
        oxygen = 2 + 48 / (1 + np.exp(-(d + 20) / 25)) + 4 * (1 - killed)
        fields["tumour"].append(tumour)
        fields["tumour_negative"].append(1.1e4 * region.tumour * np.exp(0.05 * t))
        fields["car_t"].append(car_t * (1 - 0.04 * t))
        fields["car_t_exhausted"].append(car_t * 0.04 * t)
        fields["oxygen"].append(oxygen)
        fields["chemokine"].append(0.3 * region.tumour + 0.8 * car_t / 2500)
        fields["ifn_gamma"].append(0.05 * car_t / 2500 * region.tumour)
        fields["collagen"].append((0.12 * region.stroma + 0.05) * (1 - digest * min(t / 3, 1)))
        fields["car_t_plasma"].append(36 * presence)
    fields = {k: np.stack([np.asarray(v, dtype) for v in values]) for k, values in fields.items()}
    volumes = np.asarray(grid.volumes())
    burden = (fields["tumour"] * volumes).reshape(len(times), -1).sum(1)
    species = {k: Species(kind=kind, unit=unit, long_name=name) for k, (kind, unit, name) in SPECIES.items()}
    therapies = {"car_t": Infusion(strength=min(strength, 1.0))}
    scenario = SimpleNamespace(
        model=Model(grid, species, {"growth": Growth(), "oxygen_uptake": Oxygen()}),
        interventions=therapies,
        observables={"burden": SimpleNamespace(unit="cells", long_name="Tumour cells")},
    )
    budget = dict(
        initial=burden[0], final=burden[-1], produced=0.4 * burden[0], lost=0.1, inflow=0.0, killed=0.0, clipped=0.0
    )
    return SimpleNamespace(
        times=times,
        fields=fields,
        observables={"burden": burden},
        statistics={"steps": 812, "rejected": 31, "solver_iterations": 5120},
        budgets={"tumour": budget | {"error": 3.1e-6}, "car_t": budget | {"error": -2e-5}},
        status=SimpleNamespace(name="DONE", ok=True, message="The end time was reached."),
        wall_time=41.2,
        compile_time=18.5,
        scenario=scenario,
    )


def arms(region: Region, **options):
    return {name: solution(region, *settings, **options) for name, settings in ARMS.items()}


def disc(cells: int = 24) -> Region:
    return Region.nodule(Grid.square(480.0, cells), radius=150.0)


def ball(cells: int = 12) -> Region:
    return Region.nodule(Grid.cube(480.0, cells), radius=150.0)


def shell(cells: int = 40) -> Region:
    return Region.nodule(Grid.radial(800.0, cells), radius=350.0)


CONFIG = 'schema = 1\nname = "made up"\n\n[run]\nuntil = "14 day"\n'
