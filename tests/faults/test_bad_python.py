"""Bad arguments from Python are refused with the name, what was given and what to write; odd but legal ones are taken.

Numbers in the ids are those of the project's catalogue of bad input (see ``test_bad_input_items.py``).
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pint
import pytest
import xarray as xr

import tmepde as tme
from tmepde import Bolus, Course, Dirichlet, Grid, Model, Region, Robin, Scenario, Species, StepControl, config
from tmepde.interventions.delivery import deposit
from tmepde.scenario import reservations

NAN, INF = float("nan"), float("inf")
LINE, SQUARE = Grid.line(100.0, 10), Grid.square(100.0, 8)


def one(grid: Grid = LINE, **keys: Any) -> Model:
    """A model of one species ``u``."""
    return Model(grid, {"u": Species(**keys)})


def scenario(until: Any = 3.0, therapies: Any = None, **keys: Any) -> Scenario:
    return Scenario(one(initial=1.0, diffusivity=1.0, **keys), therapies, until=until)


def tumour(**keys: Any) -> Any:
    return tme.library.solid_tumour(LINE, **keys)


def therapy(**keys: Any) -> Scenario:
    return scenario(therapies={"rt": tme.Radiotherapy(**{"dose": Bolus(1.0, 2.0), **keys})})


#: id: (call, words of the message)
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "17 text for a length": (lambda: Grid.line("100 um", 10), "`extent` must be a number, but the text '100 um'"),
    "17 text for cells": (lambda: Grid.line(100.0, "10"), "`cells` must be whole numbers"),
    "17 text for a parameter": (
        lambda: Scenario(tumour(processes={"killing": {"rate": "a"}})),
        "processes.killing.rate` must be a number",
    ),
    "17 text for a number of a function": (
        lambda: tme.process(lambda c, s, t, k: {}, k="0.1"),
        "`k` must be a number, but the text '0.1'",
    ),
    "17 text for a species": (lambda: one(initial="1e-3"), "`u.initial` must be a number, but the text '1e-3'"),
    "18 NaN extent": (lambda: Grid.line(np.float64(NAN), 10), "`extent` must be finite"),
    "18 NaN side": (lambda: Dirichlet(NAN), "`value` must be finite"),
    "18 NaN tissue": (lambda: Model(LINE, {"u": Species()}, tissue={"t": NAN}), "`tissue.t` must be finite"),
    "18 NaN strength": (lambda: therapy(strength=NAN), "`interventions.rt.strength` must be finite"),
    "18 NaN by replacement": (
        lambda: therapy().replace("interventions.rt.strength", NAN),
        "`interventions.rt.strength` must be finite",
    ),
    "74 strength above 1 by replacement": (
        lambda: therapy().replace("interventions.rt.strength", 2.0),
        "`interventions.rt.strength` must be at most 1",
    ),
    "19 infinite flux": (lambda: tme.PrescribedFlux(INF), "`flux` must be finite"),
    "19 infinite run": (lambda: scenario(INF), "`until` must be finite"),
    "20 negative diffusivity": (lambda: one(diffusivity=-1.0), "`u.diffusivity` must not be negative"),
    "20 negative diffusivity of the model": (
        lambda: tumour(oxygen_diffusivity=-1.0),
        "`model.oxygen_diffusivity` must be at least 0",
    ),
    "21 negative rate": (
        lambda: Scenario(tumour(processes={"growth": {"rate": -1.0}})),
        "processes.growth.rate` must be at least 0",
    ),
    "22 zero half-saturation": (
        lambda: Scenario(tumour(processes={"killing": {"half": 0.0}})),
        "processes.killing.half` must be at least",
    ),
    "24 bool extent": (lambda: Grid.line(True, 10), "`extent` must be a number, but True"),
    "24 bool diffusivity": (lambda: one(diffusivity=True), "`u.diffusivity` must be a number, but True"),
    "28 complex": (lambda: one(initial=1 + 2j), "`u.initial` must be real"),
    "28 complex array": (lambda: one(initial=np.ones(10, complex)), "`u.initial` must hold numbers"),
    "31 quantity of another dimension": (
        lambda: Grid.line(pint.UnitRegistry().Quantity(1, "s"), 10),
        "`extent` must be a number, but the quantity",
    ),
    "36 zero cells": (lambda: Grid.line(100.0, 0), "`cells` must be whole numbers of at least 1"),
    "36 negative cells": (lambda: Grid.radial(100.0, -3), "`cells` must be whole numbers of at least 1"),
    "37 float cells": (lambda: Grid.line(100.0, 12.5), "but 12.5 was given"),
    "39 no axes": (lambda: Grid.box((), ()), "1, 2 or 3 axes"),
    "39 four axes": (lambda: Grid.box((1.0,) * 4, (2,) * 4), "1, 2 or 3 axes"),
    "40 no length": (lambda: Grid.line(np.array(0.0), 10), "`extent` must be positive"),
    "40 negative widths": (lambda: Grid([np.array([1.0, -1.0])]), "`widths` must be positive"),
    "40 inner beyond radius": (lambda: Grid.radial(100.0, 10, inner=200.0), "`inner` must be less than `radius`"),
    "41 lengths and cells differ": (lambda: Grid.box((1.0, 2.0), (3,)), "must agree"),
    "42 too many cells": (lambda: Grid.square(1e6, 10**6), "GiB for every float32 field"),
    "43 mask of another shape": (
        lambda: Grid.square(1.0, 4, mask=np.ones((3, 3), bool)),
        "`mask` must have the grid's shape",
    ),
    "43 empty mask": (lambda: Grid.square(1.0, 4, mask=np.zeros((4, 4), bool)), "`mask` must contain tissue"),
    "43 mask of numbers": (lambda: Grid.square(1.0, 4, mask=np.ones((4, 4))), "`mask` must be boolean"),
    "44 vessels of another size": (
        lambda: Region(SQUARE, *[np.ones((8, 8))] * 2, np.ones((4, 4)), np.ones((8, 8)), np.ones((8, 8))),
        "`vessels` must have the grid's shape",
    ),
    "45 boundary is text": (lambda: one(boundary="dirichlet"), "`boundary` must be a condition"),
    "45 side is a number": (lambda: one(boundary={"x-": 3.0}), "must be a condition, but float"),
    "46 a side of a periodic axis": (
        lambda: one(Grid.line(1.0, 4, periodic=True), boundary={"x-": Dirichlet(1.0)}),
        "`u.boundary.x-` must be left out",
    ),
    "46 the centre": (lambda: one(Grid.radial(1.0, 10), boundary={"r-": Dirichlet(1.0)}), "which has no area"),
    "46 unknown side": (lambda: one(boundary={"y": tme.NoFlux()}), "no side 'y'"),
    "47 negative transfer": (lambda: Robin(-1.0, 1.0), "`transfer` must be at least 0"),
    "50 side of another length": (lambda: one(SQUARE, boundary={"x-": Dirichlet(np.ones(5))}), "8 values of the side"),
    "52 NaN initial": (lambda: one(initial=np.full(10, NAN)), "`u.initial` must be finite"),
    "52 NaN initial on the device": (lambda: one(initial=jnp.full(10, NAN)), "`u.initial` must be finite"),
    "53 negative initial": (lambda: one(initial=-1.0), "`u.initial` must not be negative"),
    "53 negative side": (lambda: one(boundary=Dirichlet(-1.0)), "`u.boundary.x-.value` must not be negative"),
    "54 transposed": (
        lambda: one(Grid.box((1.0, 2.0), (4, 8)), initial=np.ones((8, 4))),
        "shape (4, 8), but has shape (8, 4)",
    ),
    "55 structured": (lambda: one(initial=np.zeros(10, [("a", float)])), "`u.initial` must hold numbers"),
    "55 objects": (lambda: one(initial=np.array([1.0] * 10, object)), "Convert it with .astype(float)"),
    "55 dates": (lambda: one(initial=np.array(["2020"] * 10, "M8[Y]")), "`u.initial` must hold numbers"),
    "58 no duration": (lambda: scenario(0.0), "`until` must be positive"),
    "58 text duration": (lambda: scenario("1 day"), "`until` must be a number, but the text '1 day'"),
    "59 dt 0": (lambda: tme.simulate(scenario(), control=StepControl(dt=0.0)), "`dt` must be positive hours"),
    "59 dt NaN": (lambda: tme.simulate(scenario(), control=StepControl(dt=NAN)), "`dt` must be positive hours"),
    "59 first step": (lambda: tme.simulate(scenario(), control=StepControl(first=-1.0)), "`first` must be positive"),
    "59 longest below shortest": (
        lambda: tme.simulate(scenario(), control=StepControl(shortest=1.0, longest=0.1)),
        "`shortest` must be at most `longest`",
    ),
    "61 unsorted": (lambda: tme.simulate(scenario(), save=[2.0, 1.0]), "increasing"),
    "61 repeated": (lambda: tme.simulate(scenario(), save=[1.0, 1.0]), "increasing"),
    "61 outside": (lambda: tme.simulate(scenario(), save=[1.0, 50.0]), "beyond `until`"),
    "61 empty": (lambda: tme.simulate(scenario(), save=[]), "`save` must hold"),
    "61 text": (lambda: tme.simulate(scenario(), save="1 day"), "`save` must be every(hours)"),
    "61 text inside": (lambda: tme.simulate(scenario(), save=[1.0, "x"]), "`save[1]` must be a number"),
    "62 save every 0": (lambda: tme.every(0), "`every` must be positive"),
    "63 rtol 0": (lambda: tme.simulate(scenario(), control=StepControl(rtol=0.0)), "`rtol` must be at least 1e-06"),
    "63 rtol below float32": (lambda: tme.simulate(scenario(), control=StepControl(rtol=1e-9)), "precision='f64'"),
    "64 unknown solver": (lambda: tme.simulate(scenario(), solver="gmres"), "`solver` must be one of"),
    "64 stepper is text": (lambda: tme.simulate(scenario(), stepper="rk4"), "`stepper` must be a stepper"),
    "64 half a step limit": (
        lambda: tme.simulate(scenario(), control=StepControl(max_steps=1.5)),
        "`max_steps` must be a whole",
    ),
    "66 1e9 outputs": (lambda: tme.simulate(scenario(), save=tme.every(1e-9)), "at most 1000000 snapshots"),
    "67 unknown field": (lambda: tme.simulate(scenario(), fields=["v"]), "no species 'v'"),
    "67 field is text": (lambda: tme.simulate(scenario(), fields="u"), "Write ['u']"),
    "67 unknown carrier": (lambda: one(carrier="v"), "`u.carrier`: There is no species 'v'"),
    "68 species twice": (lambda: Model(LINE, [("u", Species()), ("u", Species())]), "'u' is there twice"),
    "71 end before start": (lambda: tme.Continuous(1.0, 5.0, 3.0), "`stop` must be later than `start`"),
    "71 dose before the start": (
        lambda: therapy(dose=Bolus(-5.0, 2.0)),
        "`interventions.rt.dose.at` must be at least 0 h",
    ),
    "71 half a dose": (lambda: Course(0.0, 1.0, 1.5, 1.0), "`doses` must be a whole number"),
    "72 nodule outside": (lambda: Region.nodule(SQUARE, 20.0, center=(500.0, 50.0)), "`center` must lie in the domain"),
    "73 negative dose": (lambda: Bolus(1.0, -1.0), "`amount` must be at least 0"),
    "73 dose is a number": (lambda: therapy(dose=3.0), "`interventions.rt.dose` must be a schedule"),
    "74 strength above 1": (lambda: therapy(strength=1.5), "`interventions.rt.strength` must be at most 1"),
    "74 share above 1": (lambda: tumour(antigen_negative=1.5), "`model.antigen_negative` must be at most 1"),
    "74 negative armour": (
        lambda: Scenario(
            tumour(),
            {"c": tme.CellInfusion(dose=Bolus(1.0, 1e8), armour=tme.interventions.Secretes(chemokine=-1.0))},
        ),
        "`interventions.c.armour.chemokine` must be at least 0",
    ),
    "78 plan is a list": (
        lambda: scenario(therapies=[tme.Radiotherapy(dose=Bolus(1.0, 2.0))]),
        "`interventions` must be a mapping",
    ),
    "78 therapy is a number": (lambda: scenario(therapies={"a": 3}), "`interventions.a` must be a tmepde.Intervention"),
    "106 traced cells": (lambda: jax.jit(lambda n: Grid.line(3.0, n).volumes())(3), "`cells` must be whole numbers"),
    "106 traced interval": (lambda: jax.jit(lambda d: tme.every(d)["every"])(1.0), "must be known"),
    "106 traced nodule": (
        lambda: jax.jit(lambda r: Region.nodule(LINE, r).tumour)(30.0),
        "`radius` of a nodule must be known",
    ),
    "107 dataset inside jit": (
        lambda: jax.jit(lambda d: tme.simulate(scenario().replace("model.species.u.initial", d)).to_xarray())(1.0),
        "outside of jax.jit",
    ),
    "107 status inside jit": (
        lambda: jax.jit(lambda d: tme.simulate(scenario().replace("model.species.u.initial", d)).ok)(1.0),
        "outside of jax.jit",
    ),
    "107 steady state inside jit": (
        lambda: jax.jit(lambda d: tme.steady_state(scenario().replace("model.species.u.initial", d)).fields)(1.0),
        "`steady_state` must be known",
    ),
    "109 float64 in 32-bit mode": (
        lambda: _in_32_bit(lambda: tme.simulate(scenario(), precision="f64")),
        "needs 64-bit mode",
    ),
    "a class is no therapy": (lambda: scenario(therapies={"a": tme.CellInfusion}), "but the class CellInfusion itself"),
    "observables in a list": (lambda: Scenario(one(), observables=[3]), "`observables` must be a mapping of names"),
    "an observable that is a number": (lambda: Scenario(one(), observables={"a": 3}), "must be a function of (clock,"),
    "an observable that is a field": (
        lambda: tme.simulate(Scenario(one(), until=1.0, observables={"a": lambda clock, state, tissue: state["u"]})),
        "`observables.a` must return one number, but returned an array of shape (10,)",
    ),
    "an observable that is nothing": (
        lambda: tme.simulate(Scenario(one(), until=1.0, observables={"a": lambda clock, state, tissue: None})),
        "`observables.a` must return one number, but returned None",
    ),
    "a table is no control": (
        lambda: tme.simulate(scenario(), control={"rtol": 1e-3}),
        "`control` must be a tmepde.StepControl",
    ),
    "arms in a list": (lambda: tme.run_arms(scenario(), ["a"]), "`arms` must be a mapping of names"),
    "a number among scenarios": (lambda: tme.simulate_batch([scenario(), 3]), "`scenarios[1]` must be a tmepde.Scen"),
    "bounds the wrong way round": (lambda: tme.param("1", doc="x", bounds=(2, 1)), "`bounds` must be (low, high)"),
    "a config in bytes": (lambda: config.loads(b"schema = 1"), "must be text, but bytes was given"),
    "an override that is a number": (lambda: config.loads("schema = 1", [3]), "must be texts KEY=VALUE, but 3"),
    "an override without a path": (lambda: config.loads("schema = 1", {"": 3}), "must have paths such as run.until"),
    "an override at a number": (lambda: config.loads("schema = 1", {3: 3}), "must have paths such as run.until"),
    "a model is no scenario": (lambda: tme.simulate(one()), "`scenario` must be a tmepde.Scenario, but Model"),
    "a number is no species": (lambda: Model(LINE, {"u": 3.0}), "`species.u` must be a tmepde.Species"),
    "a number is no process": (lambda: Model(LINE, {"u": Species()}, [3]), "must be a tmepde.Process"),
    "widths in a number": (lambda: Grid(5.0), "`widths` must be a list of cell widths"),
    "an extent alone": (lambda: Grid.box(100.0, [4]), "`extent` must be a list of lengths"),
    "cells alone": (lambda: Grid.box([100.0], 4), "`cells` must be a list of numbers"),
    "two cells for a body of revolution": (lambda: Grid.axisymmetric(1.0, 1.0, 4), "`cells` must be a list of two"),
    "lengths of a line": (lambda: Grid.line([1.0, 2.0], 4), "`extent` must be one number (in um), but an array"),
    "periodic in a word": (lambda: Grid.square(1.0, 4, periodic="no"), "`periodic` must be a list of True or False"),
    "more cells than a number": (lambda: Grid.line(1.0, 10**30), "`cells` must be whole numbers"),
    "a symmetry in a list": (lambda: Grid.radial(1.0, 4, ["sphere"]), "`symmetry` must be one of 'axisymmetric'"),
    "a time span": (
        lambda: tme.every(np.timedelta64(1, "h")),
        "but the time span 1 hours was given. Write it in hours",
    ),
    "masked values": (lambda: one(initial=np.ma.masked_less(np.arange(10.0), 3)), "3 entries are masked. Fill them"),
    "a table of initial values": (lambda: one(initial={"a": 1}), "`u.initial` must be a number, but dict was given"),
    "a unit that is a number": (lambda: Species(unit=3), "`unit` must be text, but 3 was given"),
    "signed in a word": (lambda: Species(signed="no"), "`signed` must be True or False, but 'no' was given"),
    "a process of nothing": (lambda: tme.process(None), "`function` must be a function of (clock, state, tissue, …)"),
    "a process with an object": (lambda: tme.process(abs, k=object()), "`k` must be a number, but object was given"),
    "tissue in a number": (lambda: Model(LINE, {"u": Species()}, tissue=3.0), "`tissue` must be a mapping of names"),
    "tissue in a word": (lambda: Model(LINE, {"u": Species()}, tissue={"v": "a"}), "`tissue.v` must be a number"),
    "a path that is a number": (lambda: scenario().at(3), "`path` must be text, but 3 was given"),
    "no number": (lambda: scenario().replace("until", None), "`until` must be a number, but None was given"),
    "an arm in a number": (lambda: tme.run_arms(scenario(), {"a": 3}), "`arms['a']` must be a list of names"),
    "an arm in a word": (lambda: scenario().only("car_t"), "`active` must be a list of names of interventions"),
    "fields in a number": (lambda: tme.simulate(scenario(), fields=3), "`fields` must be a list of species, but 3"),
    "fields once": (
        lambda: tme.simulate(scenario(), fields=(name for name in ["u"])),
        "`fields` must be a list of species, but generator was given",
    ),
    "precision in a list": (lambda: tme.simulate(scenario(), precision=["f32"]), "`precision` must be 'f32' or 'f64'"),
    "record in a word": (lambda: tme.simulate(scenario(), record="all"), "`record` must be a whole number of at least"),
    "progress in a word": (lambda: tme.simulate(scenario(), progress="no"), "`progress` must be True, False or a func"),
    "devices in a fraction": (lambda: tme.simulate(scenario(), devices=1.5), "`devices` must be a number, 'all' or a"),
    "rtol in a list": (
        lambda: tme.simulate(scenario(), control=tme.StepControl(rtol=[1e-3, 1e-4])),
        "`rtol` must be one number, but an array of shape (2,) was given",
    ),
    "a first step of none": (
        lambda: tme.simulate(scenario(), control=tme.StepControl(first=None)),
        "`first` must be a number, but None was given. Leave it out",
    ),
    "kinetics in a word": (lambda: tme.Rosenbrock2(kinetics="no"), "`kinetics` must be True or False, but 'no'"),
    "a batch of nothing": (lambda: tme.simulate_batch(None), "`scenarios` must be a list of scenarios, but None"),
    "a batch in half blocks": (lambda: tme.simulate_batch([scenario()], block=0.5), "`block` must be a whole number"),
    "values of words": (
        lambda: tme.simulate_batch(scenario(), {"until": ["a"]}),
        "`values['until']` must hold numbers",
    ),
    "a steady state of a word": (lambda: tme.steady_state("u"), "`scenario` must be a tmepde.Scenario or Model"),
    "a region on a number": (lambda: tme.Region.uniform(3), "`grid` must be a tmepde.Grid, but 3 was given"),
    "a centre in a number": (lambda: tme.Region.nodule(LINE, 3.0, 5.0), "`center` must be a list of places"),
    "a preset that is a number": (lambda: tme.library.solid_tumour(LINE, stroma=3), "`stroma` must be text, but 3"),
    "a site beyond the grid": (
        lambda: scenario(therapies={"a": injected(500.0)}),
        "`interventions.a.site` must lie on",
    ),
    "a site with two places": (lambda: scenario(therapies={"a": injected([5.0, 5.0])}), "must have 1 entries, one per"),
    "armour in a word": (
        lambda: scenario(therapies={"a": tme.CellInfusion(dose=tme.Bolus(0.0, 1.0), armour="IL-12")}),
        "`interventions.a.armour` must be a Secretes, but str was given. Write Secretes(…)",
    ),
}


def test_numbers_of_xarray_and_what_can_be_gone_through_once_are_taken() -> None:
    values = xr.DataArray(np.linspace(1.0, 2.0, 10), dims="x")
    model = one(initial=values, diffusivity=xr.DataArray(3.0))
    assert np.array_equal(model.species["u"].initial, values.values)
    run = tme.simulate(Scenario(model, until=xr.DataArray(1.0)), save=(t for t in (0.5, 1.0)))
    assert list(run.times) == [0.0, 0.5, 1.0]


def injected(site: Any) -> Any:
    return tme.CellInfusion(dose=Bolus(0.0, 1.0), route="intratumoral", site=site)


def _in_32_bit(call: Callable[[], Any]) -> Any:
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", False)
    try:
        return call()
    finally:
        jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    call, words = REFUSED[name]
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert words in str(caught.value)


def test_69_a_reaction_of_a_missing_species_names_it() -> None:
    model = Model(LINE, {"u": Species()}, {"p": tme.process(lambda c, s, t: {"w.source": 1.0})})
    with pytest.raises(KeyError, match="'w'"):
        tme.simulate(Scenario(model, until=1.0))


def test_all_parameters_out_of_bounds_are_listed_together() -> None:
    model = tumour(processes={"growth": {"rate": -1.0}, "killing": {"half": 0.0}})
    with pytest.raises(ValueError) as caught:
        Scenario(model, {"rt": tme.Radiotherapy(dose=Bolus(-1.0, 2.0), strength=1.5)}, until=1.0)
    for path in ("growth.rate", "killing.half", "interventions.rt.strength", "interventions.rt.dose.at"):
        assert path in str(caught.value)


def test_48_a_steady_state_without_any_sink_is_named() -> None:
    def source(clock: Any, state: Any, tissue: Any, rate: Any) -> dict[str, Any]:
        return {"u.source": rate * jnp.ones(10)}

    model = Model(LINE, {"u": Species(initial=1.0, diffusivity=1.0)}, {"p": tme.process(source, rate=1.0)})
    with pytest.warns(UserWarning, match="`u` still changes by .* needs a loss or an open side"):
        solution = tme.steady_state(model, limit=5)
    assert not solution.ok


def test_60_an_explicit_step_above_its_limit_ends_with_a_sentence() -> None:
    stiff = Scenario(one(initial=1.0, diffusivity=1e6), until=24.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solution = tme.simulate(stiff, stepper=tme.ExplicitEuler(), control=StepControl(dt=1.0))
    assert not solution.ok and "`dt` is too large" in solution.message


def test_65_steps_used_up_keep_what_was_reached() -> None:
    falling = Scenario(one(initial=np.arange(10.0), diffusivity=100.0), until=10.0)
    with pytest.warns(UserWarning, match="steps allowed between two saves"):
        solution = tme.simulate(falling, save=[0.01, 10.0], control=StepControl(max_steps=3, first=1e-2, longest=1e-2))
    assert solution.status.name == "step_limit" and np.all(np.isfinite(solution.fields["u"]))
    assert len(solution.times) >= 2  # the start and the first save were kept


ACCEPTED: dict[str, Callable[[], Any]] = {
    "43 mask as a list": lambda: Grid.square(1.0, 2, mask=[[True, True], [True, False]]),
    "55 float16": lambda: one(initial=np.ones(10, np.float16)),
    "55 integers": lambda: one(initial=np.arange(10)),
    "57 Fortran order": lambda: one(SQUARE, initial=np.asfortranarray(np.ones((8, 8)))),
    "57 not contiguous": lambda: one(SQUARE, initial=np.ones((16, 16))[::2, ::-2]),
    "75 no diffusion": lambda: one(diffusivity=0.0),
    "79 two therapies on one rate": lambda: scenario(
        therapies={n: tme.Radiotherapy(dose=Bolus(1.0, 2.0)) for n in ("a", "b")}
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    assert ACCEPTED[name]() is not None


def test_57_a_read_only_array_is_copied_not_changed() -> None:
    given = np.ones(10)
    given.setflags(write=False)
    assert one(initial=given).species["u"].initial.sum() == 10.0


def test_106_a_list_with_a_traced_time_is_taken() -> None:
    assert jax.grad(lambda t: Bolus(at=[1.0, t], amount=1.0).at.sum())(2.0) == 1.0


def test_108_parameters_are_frozen_after_the_build() -> None:
    given = np.ones(10)
    model = one(initial=given)
    given[:] = 7.0
    assert model.species["u"].initial[0] == 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.species["u"].initial = 3.0  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        model.species["u"].initial[...] = 3.0


@pytest.mark.slow
def test_110_python_numpy_jax_and_pint_numbers_give_equal_results() -> None:
    unit = pint.UnitRegistry()
    ways: dict[str, tuple[Any, Any, Any]] = {
        "python": (100.0, 3.0, 1.0),
        "int": (100, 3, 1),
        "numpy": (np.float64(100), np.float32(3), np.int64(1)),
        "0-d": (np.array(100.0), np.array(3.0), np.array(1.0)),
        "jax": (jnp.asarray(100.0), jnp.asarray(3.0), jnp.asarray(1.0)),
        "pint": (0.1 * unit.mm, 180.0 * unit.min, 24.0 * unit.hour / unit.day),
    }
    results = {}
    for name, (extent, until, height) in ways.items():
        edge = height.to("").magnitude if name == "pint" else height
        species = Species(initial=1.0, diffusivity=9.0, boundary={"x-": Dirichlet(edge)})
        model = Model(Grid.line(extent, 10), {"u": species}, {"p": tme.process(lambda c, s, t: {"u.loss": 0.1})})
        results[name] = tme.simulate(Scenario(model, until=until), precision="f64").fields["u"][-1]
    for name, values in results.items():
        np.testing.assert_allclose(values, results["python"], rtol=1e-12, err_msg=name)


def test_110_a_parameter_takes_a_quantity_in_its_unit() -> None:
    unit = pint.UnitRegistry()
    model = tumour(oxygen_diffusivity=1750 * unit.um**2 / unit.s)
    assert float(model.species["oxygen"].diffusivity) == pytest.approx(1750 * 3600)


def test_numbers_of_numpy_pass_in_overrides() -> None:
    """``np.int64(7)`` was "no whole number"."""
    text = (
        'schema = 1\n[grid]\nextent = ["1 mm"]\ncells = [8]\n[model]\nkind = "kuznetsov_1994"\n[run]\nuntil = "1 h"\n'
    )
    loaded = config.loads(text, {"grid.cells": [np.int64(7)], "run.rtol": np.float32(0.5**10)})
    assert loaded.grid.cells == (7,) and loaded.run.rtol == 0.5**10


def test_depots_of_more_cells_than_fit_are_told_of() -> None:
    """1e7 cells in a spot of 100 um were 6e8/mm^3, a hundred times what fits, without a word."""
    model = tme.library.solid_tumour(tme.Grid.cube(1000.0, 10))
    late = tme.Bolus(30.0, 1e7)
    plan = {
        "heap": tme.CellInfusion(dose=late, route="intratumoral"),
        "spread": tme.CellInfusion(dose=tme.Bolus(30.0, 1e6), route="intratumoral", width=600.0),
        "blood": tme.CellInfusion(dose=late),
    }
    scenario = tme.Scenario(model, plan, until=1.0)
    (told,) = reservations(scenario.only(["heap"]))
    assert "`interventions.heap.dose` puts" in told and "times what fits" in told and "`width`" in told
    shape = deposit(model.grid, None, 100.0, 1000.0)
    assert plan["heap"].densest(model.grid) == pytest.approx(1e7 * float(shape.max()), rel=1e-4)
    assert not [text for text in reservations(scenario.only(["spread", "blood"])) if "what fits" in text]


def test_light_of_more_than_full_power_is_told_of() -> None:
    """As in configs: 10 minutes of light in a bolus are ten times as strong, and nobody said so."""
    late = tme.Bolus(30.0, 1.0)
    light = tme.Photodynamic(dose=late, energy=tme.Bolus([1.0, 2.0], [1 / 60, 1 / 6]))
    pull = tme.MagneticGuidance(dose=tme.Infusion(1.0, 0.5, 1.0))
    model = tme.library.solid_tumour(tme.Grid.radial(400.0, 4))
    scenario = tme.Scenario(model, {"light": light, "pull": pull}, until=1.0)
    (told,) = reservations(scenario)
    assert "`interventions.light.energy` is 10 times full power" in told
    assert reservations(scenario.only(["pull"])) == []
