"""Who dies, breathes and takes up room: every population that is of a kind, wherever it comes from."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.model import System
from tmepde.physiology.populations import (
    ANTIGEN_CLASSES,
    ANY_T_CELL,
    ANY_T_CELL_BLOOD,
    CAR_T,
    CAR_T_BLOOD,
    LIVING,
    WAITING,
)
from tmepde.schedule import Clock

CLOCK = Clock(*(jnp.asarray(v) for v in (0.0, 0.0, 0.0, 1.0)))
LATER = tme.Bolus(1e3, 1.0)
PLAN = {
    "rays": tme.Radiotherapy(dose=tme.Bolus(0.0, 2.0)),
    "light": tme.Photodynamic(energy=tme.Infusion(0.0, 1.0, 1.0), dose=LATER),
    "sound": tme.Sonodynamic(energy=tme.Infusion(0.0, 1.0, 1.0), dose=LATER),
    "nab": tme.NabPaclitaxel(dose=LATER),
    "carrier": tme.DrugCarrier(dose=LATER, drug="cytotoxic"),
    "disruption": tme.VascularDisruption(dose=LATER),
    "virus": tme.OncolyticVirus(dose=LATER, antigen="delivered"),
    "switch": tme.SuicideSwitch(dose=LATER),
    "steroid": tme.Corticosteroid(dose=LATER),
    "programming": tme.InSituProgramming(dose=LATER),
    "sting": tme.StingAgonist(dose=LATER),
    "antibody": tme.TargetedCarrier(ligand="antibody"),
    "tnf": tme.TnfCarT(),
}
#: therapies that bring populations of their own; they give none here
BRINGING = {
    "fap": tme.FapCarT(dose=LATER),
    "scaffold": tme.CellScaffold(dose=LATER),
    "film": tme.ThinFilm(dose=LATER),
    "cavity": tme.RegionalInfusion(dose=LATER),
    "needles": tme.MicroneedleArray(dose=LATER),
}
#: what a therapy, or the model itself, needs to kill
ACTS: dict = {
    "rays": {},
    "light": {"nanoparticle": 1.0},
    "sound": {"nanoparticle": 1.0},
    "nab": {"nab_paclitaxel": 1e5, "nab_paclitaxel_plasma": 1e5},
    "carrier": {"payload": 1e5},
    "disruption": {"vessel_collapse": 1.0, "oxygen": 0.0},
    "heat": {"temperature": 10.0},
    "anoxia": {"oxygen": 0.0},
}
#: tumour cells die of all of these
TO_TUMOUR = tuple(ACTS)
ACTS |= {
    "switch": {"dimeriser_plasma": 1e5},
    "steroid": {"dexamethasone_plasma": 1e5},
    "programming": {"programmed": 1.0},
}


@pytest.fixture(scope="module", autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def model(float64):
    return tme.library.solid_tumour(tme.Grid.radial(800.0, 4), radius=400.0, stroma="inflamed", milieu="full")


class Instant:
    """Coefficients, tissue and log-kill at one instant: 1e3 of every population, and ``levels``."""

    def __init__(self, model, on=(), **levels):
        system = System(model, BRINGING | {name: PLAN[name] for name in on if name in PLAN})
        self.state = system.initial_state(jnp.float64)
        cells = {n: 1e3 for n, s in system.species.items() if s.unit in ("cells", "cells/mm^3", "cells/uL")}
        for name, value in {**cells, "oxygen": 20.0, "dead_cells": 0.0, **levels}.items():
            if name in self.state:
                self.state[name] = jnp.full_like(self.state[name], value)
        self.found = system.coefficients(CLOCK, self.state)
        self.quantities = system.tissue(CLOCK, self.state)[0]
        self.hazards = system.hazards(CLOCK, self.state)

    def loss(self, name):
        """λ and log-kill of the step of an hour, in the centre."""
        both = np.asarray(self.found.loss.get(name, 0.0)) + np.asarray(self.hazards.get(name, 0.0))
        return float(np.ravel(both)[0])


def extra(model, cause, *names):
    """What ``cause`` adds to the death of each population."""
    calm = dict(car_t=0.0, endogenous_t=0.0)  # killers need oxygen
    with_it, without = Instant(model, [cause], **calm, **ACTS[cause]), Instant(model, **calm)
    return [with_it.loss(name) - without.loss(name) for name in names]


@pytest.mark.parametrize("cause", TO_TUMOUR)
def test_infected_cells_die_of_what_kills_their_neighbours(model, cause):
    neighbour, infected = extra(model, cause, "tumour_negative", "tumour_infected")
    assert neighbour > 1e-3
    np.testing.assert_allclose(infected, neighbour, rtol=1e-9)


@pytest.mark.parametrize(
    ("cause", "group", "spared"),
    [
        ("heat", LIVING, ()),
        ("light", LIVING, ()),
        ("sound", LIVING, ()),
        ("rays", ANY_T_CELL, ("mdsc", "fibroblast", *CAR_T_BLOOD)),
        ("nab", ANY_T_CELL, ("mdsc", "macrophage")),
        ("nab", ANY_T_CELL_BLOOD, ()),
        ("carrier", ANY_T_CELL, ("mdsc", "fibroblast")),
        (
            "switch",
            (*CAR_T, "fap_car_t", *CAR_T_BLOOD, "fap_car_t_plasma", *WAITING),
            ("endogenous_t", "host_t_plasma"),
        ),
        ("steroid", (*CAR_T, "fap_car_t", "endogenous_t"), ("regulatory_t", *CAR_T_BLOOD)),
        ("programming", (*CAR_T, *CAR_T_BLOOD), ("fap_car_t", "endogenous_t")),
    ],
)
def test_what_is_aimed_at_a_kind_of_cell_meets_all_of_it_alike(model, cause, group, spared):
    first, *others = extra(model, cause, *group)
    assert first > 1e-3
    np.testing.assert_allclose(others, first, rtol=1e-6)
    np.testing.assert_allclose(extra(model, cause, *spared), 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("therapy", "rate"),
    [("sting", lambda found: found.source["cxcl10"]), ("antibody", lambda found: found.loss["nanoparticle"])],
)
def test_infected_cells_answer_agonists_and_bind_antibodies_as_their_neighbours(model, therapy, rate):
    """Neither counted them: a tumour in which a virus had settled made less CXCL10 and held fewer particles."""
    level = {"tumour_negative": 0.0, "sting_agonist": 1e3, "car_t": 0.0}
    sound = Instant(model, [therapy], tumour=1e5, tumour_infected=0.0, **level)
    infected = Instant(model, [therapy], tumour=1e4, tumour_infected=9e4, **level)
    np.testing.assert_allclose(rate(infected.found), rate(sound.found), rtol=1e-3)


@pytest.mark.parametrize("kind", ["car_t_memory", "endogenous_t", "regulatory_t"])
def test_every_t_cell_breathes_feeds_and_takes_up_room(model, kind):
    none = dict.fromkeys((*CAR_T, "endogenous_t", "regulatory_t"), 0.0)
    empty, known, one = (Instant(model, **{**none, **more}) for more in ({}, {"car_t_exhausted": 1e4}, {kind: 1e4}))
    for field in ("oxygen", "glucose", "ifn_gamma"):
        assert known.loss(field) > empty.loss(field)
        assert one.loss(field) == pytest.approx(known.loss(field), rel=1e-9)
    np.testing.assert_allclose(one.quantities["crowding"], known.quantities["crowding"], rtol=1e-12)


def test_infected_cells_live_as_tumour_cells_but_do_not_divide(model):
    """A cell that changes class changes no field but those of the classes, and what the virus kills leaves."""
    there = dict(tumour=0.0, tumour_negative=1e5, tumour_infected=0.0, virus=0.0, car_t=0.0, endogenous_t=0.0)
    well = Instant(model, **there)
    ill = Instant(model, **{**there, "tumour_negative": 0.0, "tumour_infected": 1e5})
    none = Instant(model, **{**there, "tumour_negative": 0.0})
    moved = {"virus", "dead_cells", "damp", *ANTIGEN_CLASSES, "tumour_infected"}
    felt = 0
    for channel in ("source", "loss"):
        a, b, c = (getattr(one.found, channel) for one in (ill, well, none))
        for name in set(a) - moved:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-9, err_msg=f"{name}.{channel}")
            felt += not np.allclose(b[name], c[name], rtol=1e-9)
    assert felt > 10, "fields that tumour cells make or take up"
    np.testing.assert_allclose(ill.quantities["crowding"], well.quantities["crowding"], rtol=1e-12)
    assert float(well.found.source["tumour_negative"][0]) > 0
    recovered = float(model.processes["viral_infection"].recovery) * 1e5
    np.testing.assert_allclose(ill.found.source["tumour_negative"], recovered, rtol=1e-9)


def test_car_t_cells_find_infected_cells_by_their_antigen(model):
    """The share of the neighbours without a delivered antigen, all of them with it."""
    found = {}
    for label, on, classes in (
        ("positive", [], (1e5, 0.0)),
        ("negative", [], (0.0, 1e5)),
        ("delivered", ["virus"], (0.0, 1e5)),
    ):
        cells = dict(zip(ANTIGEN_CLASSES, classes, strict=True), tumour_infected=1e4)
        on_target, off_target = (Instant(model, on, car_t=n, **cells) for n in (1e3, 0.0))
        contact = float(on_target.quantities["antigen_contact"][0])
        found[label] = on_target.loss("tumour_infected") - off_target.loss("tumour_infected"), contact
    half = float(model.processes["antigen_contact"].half)
    assert found["negative"] == pytest.approx((0.0, 0.0), abs=1e-12)
    assert found["positive"][0] > 1e-4 and found["delivered"][0] > 1e-4
    assert found["positive"][1] == pytest.approx(1.1e5 / (1.1e5 + half), rel=1e-4)
    assert found["delivered"][1] == pytest.approx(1e4 / (1e4 + half), rel=1e-9)


@pytest.mark.parametrize("cause", ["interferon", "tnf"])
def test_bystanders_with_a_virus_in_them_die_in_the_share_without_antigen(model, cause):
    """IFN-γ and TNF had spared them. λ_I = (1 − p) λ_C₋, p = C₊/(C₊ + C₋)."""
    there = dict(tumour=3e4, tumour_negative=1e4, tumour_infected=1e4, car_t=0.0, endogenous_t=0.0, ifn_gamma=0.1)
    options: dict = dict(radius=400.0, milieu=["viral_infection", "fibroblasts"])
    bare, killing = (
        tme.library.solid_tumour(tme.Grid.radial(800.0, 4), processes={"bystander_killing": {"rate": k}}, **options)
        for k in (0.0, 0.05)
    )
    with_it = Instant(bare, ["tnf"], **there) if cause == "tnf" else Instant(killing, **there)
    without = Instant(bare, **there)
    negative, infected = (with_it.loss(n) - without.loss(n) for n in ("tumour_negative", "tumour_infected"))
    assert negative == pytest.approx(0.05 * 0.1 / 0.15, rel=1e-6)
    assert infected == pytest.approx(0.25 * negative, rel=1e-4)


def test_killed_infected_cells_count_as_kills(model):
    cells = dict(tumour=0.0, tumour_negative=1e5, tumour_infected=1e4)
    killed = [Instant(model, on, **cells).found.source["killed_cells"] for on in ([], ["virus"])]
    assert float(killed[0]) == 0.0 and float(killed[1]) > 0.0
