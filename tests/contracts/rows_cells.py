"""Direction and null of doses of cells and of what is built into them; see ``test_substrates.py``."""

from __future__ import annotations

import tmepde as tme

_BLOOD = ("car_t_plasma", "car_t_plasma_memory", "systemic_antigen")
_OWN = ("car_t", "car_t_exhausted", "car_t_memory", *_BLOOD)
#: all tumour cells antigen-negative; T cells that neither breathe nor take room touch them in no other way
_NO_ANTIGEN = {
    "tumour": 0.0,
    "systemic_antigen": 0.0,
    "oxygen_uptake.lymphocyte": 0.0,
    "crowding.lymphocyte_volume": 0.0,
}
#: costimulation is nothing without signal 1; cells that neither tire nor rest of themselves show that
_NO_SIGNAL = {**_NO_ANTIGEN, "exhaustion.basal": 0.0, "memory_cells.formation": 0.0}
_NO_VESSELS = {"vessel_surface": 0.0, "vessel_base": 0.0}
_NO_CAR_T = {"car_t": 0.0, "car_t_exhausted": 0.0, "car_t_plasma": 0.0}


def _once(amount: float) -> tme.Infusion:
    return tme.Infusion(0.5, amount, 1.0)


def _together(fields, model):
    """CAR-T cells of any kind."""
    return float(sum(fields[name].sum() for name in ("car_t", "car_t_exhausted", "car_t_memory")))


PLAN = {
    "cd137_costimulation": tme.Cd137Costimulation(),
    "cd28_costimulation": tme.Cd28Costimulation(),
    "cell_infusion": tme.CellInfusion(dose=_once(1e11)),
    "cell_infusion_local": tme.CellInfusion(dose=_once(1e6), route="intratumoral", site=[380.0]),
    "cell_scaffold": tme.CellScaffold(dose=_once(1e6), site=[380.0]),
    "icos_costimulation": tme.IcosCostimulation(),
    "il21_car_t": tme.Il21CarT(),
    "in_situ_programming": tme.InSituProgramming(dose=_once(900.0)),
    "in_situ_programming_dna": tme.InSituProgramming(dose=_once(900.0), vector="dna"),
    "microneedle_array": tme.MicroneedleArray(dose=_once(1e6), needles=4.0),
    "regional_infusion": tme.RegionalInfusion(dose=_once(1e6)),
    "sialidase": tme.Sialidase(),
    "suicide_switch": tme.SuicideSwitch(dose=_once(2e4)),
    "thin_film": tme.ThinFilm(dose=_once(1e6), site=[600.0], reach=200.0),
    "tnf_car_t": tme.TnfCarT(),
}
START = {"car_t_plasma": 30.0}
OPTIONS: dict = {}

_ARRIVAL: dict = {"moves": "tumour", "sign": -1, "without": _NO_ANTIGEN, "given": _OWN}
_PROGRAMMING: dict = {
    "moves": "car_t_plasma",
    "sign": 1,
    "without": {"host_t_plasma": 0.0, "host_t_cells.level": 0.0},
}
ROWS = {
    "cd137_costimulation": {"moves": "car_t_exhausted", "sign": -1, "without": _NO_SIGNAL},
    "cd28_costimulation": {"moves": _together, "sign": 1, "without": _NO_SIGNAL},
    "cell_infusion": {"moves": "car_t", "sign": 1, "without": _NO_VESSELS, "given": _BLOOD},
    "cell_infusion_local": _ARRIVAL,
    "cell_scaffold": _ARRIVAL,
    "icos_costimulation": {"moves": "car_t_exhausted", "sign": -1, "without": _NO_SIGNAL},
    "il21_car_t": {"moves": "car_t_memory", "sign": 1, "without": _NO_SIGNAL},
    "in_situ_programming": _PROGRAMMING,
    "in_situ_programming_dna": _PROGRAMMING,
    "microneedle_array": _ARRIVAL,
    "regional_infusion": _ARRIVAL,
    "sialidase": {"moves": "tumour", "sign": -1, "without": _NO_ANTIGEN},
    # the dimeriser finds no caspase in host T cells or tumour cells
    "suicide_switch": {"moves": "car_t", "sign": -1, "without": _NO_CAR_T},
    "thin_film": _ARRIVAL,
    "tnf_car_t": {"moves": "tumour_negative", "sign": -1, "without": _NO_ANTIGEN},
}
