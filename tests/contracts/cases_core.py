"""Cases of the therapies on the core model.

``CASES``: label → (registry key, therapy). ``ENTRIES``: label → (species that a dose enters, its amount per unit of
dose; ``None`` for a depot in the tissue, whose amount is measured).
"""

from __future__ import annotations

import tmepde as tme

CASES = {
    "anti_vegf": ("anti_vegf", tme.AntiVEGF(dose=tme.Infusion([1.3, 5.0], [2300.0, 1500.0], 1.5))),
    "matrix_enzyme": ("matrix_enzyme", tme.MatrixEnzyme(dose=tme.Infusion(0.7, 900.0, 1.5))),
    "matrix_enzyme_local": (
        "matrix_enzyme",
        tme.MatrixEnzyme(dose=tme.Infusion(0.7, 3e-5, 1.5), route="intratumoral", site=[420.0], width=150.0),
    ),
    "cell_infusion": (
        "cell_infusion",
        tme.CellInfusion(dose=tme.Infusion(0.3, 1e11, 1.0), armour=tme.Secretes(chemokine=3.0, growth_factor=10.0)),
    ),
    "cell_infusion_local": (
        "cell_infusion",
        tme.CellInfusion(
            dose=tme.Infusion(0.3, 1e6, 1.0), route="intratumoral", site=[380.0], armour=tme.Secretes(chemokine=3.0)
        ),
    ),
    "oxygen_generator": ("oxygen_generator", tme.OxygenGenerator(dose=tme.Infusion(0.2, 300.0, 0.8))),
    "oxygen_generator_local": (
        "oxygen_generator",
        tme.OxygenGenerator(dose=tme.Infusion(0.2, 3e-5, 0.8), route="intratumoral", site=[420.0]),
    ),
    "checkpoint_blockade": ("checkpoint_blockade", tme.CheckpointBlockade(dose=tme.Infusion(0.9, 1400.0, 0.7))),
    "radiotherapy": ("radiotherapy", tme.Radiotherapy(dose=tme.Infusion([1.1, 4.3], [2.0, 3.0], 0.4))),
}
ENTRIES = {
    "anti_vegf": ("bevacizumab_plasma", 1 / 3.0),
    "matrix_enzyme": ("hyaluronidase_plasma", 1 / 3.0),
    "matrix_enzyme_local": ("hyaluronidase", None),
    "cell_infusion": ("car_t_plasma", 4.6e-4 / 5e6),
    "cell_infusion_local": ("car_t", None),
    "oxygen_generator": ("nanoparticle_plasma", 1 / 3.0),
    "oxygen_generator_local": ("nanoparticle", None),
    "checkpoint_blockade": ("pd1_antibody_plasma", 1 / 3.0),
}
