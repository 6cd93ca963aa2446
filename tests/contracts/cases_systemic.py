"""One small case of every therapy of the systemic group, and where its dose goes."""

from __future__ import annotations

import tmepde as tme

_DOSE = tme.Infusion(0.7, 900.0, 1.5)
_CELLS = tme.Infusion(0.3, 1e6, 1.0)

#: label → (registry key, therapy); doses are short, begin off the step grid and act within hours
CASES = {
    "anakinra": ("anakinra", tme.Anakinra(dose=_DOSE)),
    "cell_scaffold": ("cell_scaffold", tme.CellScaffold(dose=_CELLS, site=[380.0])),
    "corticosteroid": ("corticosteroid", tme.Corticosteroid(dose=_DOSE)),
    "cytokine_backpack": ("cytokine_backpack", tme.CytokineBackpack(dose=_DOSE, engraftment=0.1)),
    "cytokine_scavenger": ("cytokine_scavenger", tme.CytokineScavenger(dose=_DOSE)),
    **{
        f"drug_carrier_{drug}": (
            "drug_carrier",
            tme.DrugCarrier(dose=_DOSE, drug=drug, glutathione=0.05, peroxide=0.02, heat=0.02, enzyme=0.02),
        )
        for drug in ("adenosine", "checkpoint", "cytotoxic", "ido", "tgf_beta")
    },
    "free_cytokine": ("free_cytokine", tme.FreeCytokine(dose=_DOSE)),
    "glycoengineering": ("glycoengineering", tme.Glycoengineering(dose=_DOSE)),
    "in_situ_programming": ("in_situ_programming", tme.InSituProgramming(dose=_DOSE)),
    "in_situ_programming_dna": ("in_situ_programming", tme.InSituProgramming(dose=_DOSE, vector="dna")),
    "microneedle_array": ("microneedle_array", tme.MicroneedleArray(dose=_CELLS, needles=4.0)),
    "regional_infusion": ("regional_infusion", tme.RegionalInfusion(dose=_CELLS)),
    "suicide_switch": ("suicide_switch", tme.SuicideSwitch(dose=_DOSE)),
    **{
        f"targeted_carrier_{ligand}": ("targeted_carrier", tme.TargetedCarrier(ligand=ligand))
        for ligand in ("antibody", "folate", "ganglioside", "hyaluronic_acid")
    },
    "thin_film": ("thin_film", tme.ThinFilm(dose=_CELLS, site=[600.0], reach=200.0)),
    "tocilizumab": ("tocilizumab", tme.Tocilizumab(dose=_DOSE)),
}

_PLASMA = 1 / 3.0
#: where a dose enters and how much of the species a unit of it makes; no species: there is no dose
ENTRIES = {
    "anakinra": ("anakinra_plasma", 1 / 10.0),
    "cell_scaffold": ("scaffold_cells", 1.0),
    "corticosteroid": ("dexamethasone_plasma", 1 / 50.0),
    "cytokine_backpack": ("car_t_cargo_plasma", 0.1 / 5.0),
    "cytokine_scavenger": ("scavenger_plasma", _PLASMA),
    **{f"drug_carrier_{n}": ("nanoparticle_plasma", _PLASMA) for n in ("adenosine", "checkpoint", "cytotoxic", "ido")},
    "drug_carrier_tgf_beta": ("nanoparticle_plasma", _PLASMA),
    "free_cytokine": ("growth_factor_plasma", _PLASMA),
    "glycoengineering": ("mannaz_plasma", _PLASMA),
    "in_situ_programming": ("vector_plasma", _PLASMA),
    "in_situ_programming_dna": ("vector_plasma", _PLASMA),
    "microneedle_array": ("needle_cells", 1.0),
    "regional_infusion": ("cavity_cells", 1.0),
    "suicide_switch": ("dimeriser_plasma", 1 / 30.0),
    **{f"targeted_carrier_{n}": (None, None) for n in ("antibody", "folate", "ganglioside", "hyaluronic_acid")},
    "thin_film": ("film_cells", 1.0),
    "tocilizumab": ("tocilizumab_plasma", 1 / 5.0),
}
