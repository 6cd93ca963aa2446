"""Therapies of the immunity group do what their literature says, and nothing where what they act on is absent."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.model import System
from tmepde.physiology import MILIEU
from tmepde.schedule import Clock
from tmepde.units import SECRETION, day

SITE: dict = dict(site=[400.0], width=150.0)
NOW, DAILY = tme.Bolus(1.0, 1.0), tme.Infusion(0.0, 1.0, 2 * day)


#: doses that act within two days; sizes are free choices
PLAN = {
    "thioguanine": tme.MdscDepletion(dose=tme.Bolus(1.0, 6000.0)),
    "csf1r": tme.Csf1rInhibitor(dose=tme.Bolus(1.0, 3000.0)),
    "anti_ccl2": tme.Ccl2Blockade(dose=tme.Bolus(1.0, 4700.0)),
    "receptor": tme.ChemokineReceptor(),
    "ccr2b": tme.Ccr2bReceptor(),
    "ccr5": tme.Ccr5Receptor(),
    "cxcr3": tme.Cxcr3Receptor(),
    "amd3100": tme.Cxcr4Antagonist(dose=tme.Infusion(0.0, 3e4, 2 * day)),
    "il12": tme.Il12CarT(),
    "il12_carried": tme.Il12Therapy(dose=tme.Bolus(1.0, 0.01)),
    "scfv": tme.PdL1ScfvCarT(),
    "clusters": tme.Pd1Nanocluster(dose=tme.Bolus(1.0, 1.0)),
    "tnf": tme.TnfCarT(),
    "sialidase": tme.Sialidase(),
    "cd28": tme.Cd28Costimulation(),
    "cd137": tme.Cd137Costimulation(),
    "sting": tme.StingAgonist(dose=tme.Infusion(0.0, 0.1, 2 * day), **SITE),
    "tlr": tme.TlrAgonist(dose=tme.Infusion(0.0, 0.1, 2 * day), **SITE),
    "virus": tme.OncolyticVirus(dose=tme.Bolus(1.0, 1e6), antigen="delivered", **SITE),
}


@pytest.fixture(scope="module", autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def model(float64):
    """A slab with a tumour of 440 µm and CAR-T cells at its margin."""
    grid = tme.Grid.line(800.0, 20)
    model = tme.library.solid_tumour(grid, radius=220.0, milieu=(*MILIEU["immunity"], "cxcl12_retention"))
    near = abs(model.tissue["region_margin_distance"])
    old = model.species["car_t"]
    start = 4e3 / (1.0 + (near / 80.0) ** 2)
    model.species["car_t"] = tme.Species(start, negligible=old.negligible, unit=old.unit, long_name=old.long_name)
    return model


CLOCK = Clock(1.0, 0.0, 0.0, 0.5)


def instant(model, on, **changes):
    """(coefficients, tissue, state) with the therapies ``on``, drugs at 3, cytokines at 1 nM, and ``changes``."""
    system = System(model, {name: PLAN[name] for name in on})
    state = system.initial_state(jnp.float64)
    raised = {n: 3.0 for n in system.brought} | dict.fromkeys(("ccl2", "ccl5", "cxcl10", "damp", "il12"), 1.0)
    gradient = jnp.linspace(1.0, 2.0, 20)  # so that there is something to follow
    wanted = {n: v for n, v in {**raised, "ifn_gamma": 0.1, **changes}.items() if n in state}
    for name, value in wanted.items():
        shape = gradient if name in ("ccl2", "ccl5", "cxcl10") else 1.0
        state[name] = jnp.broadcast_to(value * shape, state[name].shape)
    return system.coefficients(CLOCK, state), system.tissue(CLOCK, state)[0], state


def changed(model, on, **changes):
    """Targets of the model's own species that a therapy changes at this instant."""
    with_it, without = (instant(model, names, **changes)[0] for names in ([on], []))
    found = set()
    for channel in ("diffusivity", "velocity", "source", "loss"):
        a, b = getattr(with_it, channel), getattr(without, channel)
        for name in model.species:
            pairs = zip(jax.tree.leaves(a.get(name, 0.0)), jax.tree.leaves(b.get(name, 0.0)), strict=True)
            if any(not np.allclose(x, y, rtol=1e-12, atol=0) for x, y in pairs):
                found.add(f"{name}.{channel}")
    return found


@pytest.mark.parametrize(
    ("therapy", "absent", "what"),
    [
        ("receptor", {"chemokine": 0.0}, "its ligand"),
        ("ccr2b", {"ccl2": 0.0}, "its ligand"),
        ("ccr5", {"ccl5": 0.0}, "its ligand"),
        ("cxcr3", {"cxcl10": 0.0}, "its ligand"),
        ("amd3100", {"cxcl12": 0.0}, "CXCL12"),
        ("il12", {"car_t": 0.0}, "CAR-T cells"),
        ("il12_carried", {"car_t": 0.0}, "carriers"),
        ("scfv", {"pd_l1_scfv": 0.0, "car_t": 0.0}, "CAR-T cells"),
        ("clusters", {"pd1_cluster_antibody": 0.0, "car_t": 0.0}, "carriers"),
        ("tnf", {"ifn_gamma": 0.0}, "engaged cells"),
        ("sialidase", {"car_t": 0.0, "tumour_infected": 1e3}, "CAR-T cells"),
    ],
)
def test_without_its_substrate_it_does_nothing(model, therapy, absent, what):
    assert changed(model, therapy), "it must do something first"
    assert not changed(model, therapy, **absent), what


def test_sting_and_tlr_agonists_need_dying_cells(model):
    for therapy in ("sting", "tlr"):
        primed = instant(model, [therapy])[0].source["endogenous_t_plasma"]
        assert float(primed) > 0
        assert float(instant(model, [therapy], damp=0.0)[0].source["endogenous_t_plasma"]) == 0
        assert float(instant(model, [], damp=5.0)[0].source["endogenous_t_plasma"]) == 0


def test_endogenous_t_cells_kill_both_antigen_classes_alike(model):
    """What they add to the loss of C₊ and of C₋ is the same, and needs no CAR antigen."""
    with_them, without = (instant(model, [], endogenous_t=n)[0].loss for n in (1e3, 0.0))
    added = [np.asarray(with_them[n] - without[n]) for n in ("tumour", "tumour_negative")]
    np.testing.assert_allclose(added[0], added[1], rtol=1e-9)
    assert np.all(added[0] > 0)


def test_thioguanine_frees_killers_only_where_mdsc_are(model):
    """It kills MDSC, and MDSC weaken killing; with none there the tumour's death rate is what it was."""
    assert changed(model, "thioguanine") == {"mdsc.loss", "mdsc.source"}
    many, none = (instant(model, [], mdsc=n)[0].loss["tumour"] for n in (5e3, 0.0))
    assert np.all(np.asarray(many) <= np.asarray(none)) and np.any(np.asarray(many) < np.asarray(none))
    treated = instant(model, ["thioguanine"], mdsc=0.0)[0].loss["tumour"]
    np.testing.assert_array_equal(treated, none)


def test_suppressor_cells_come_only_where_ccl2_is(model):
    for name in ("mdsc", "regulatory_t"):
        assert np.all(np.asarray(instant(model, [])[0].source[name]) > 0)
        assert np.all(np.asarray(instant(model, [], ccl2=0.0)[0].source[name]) == 0)


def test_regulatory_cells_eat_il2_and_growth_factor(model):
    many, none = (instant(model, [], regulatory_t=n)[0].loss for n in (4e3, 0.0))
    uptake = float(model.processes["regulatory_cells"].uptake) * 4e3
    for name in ("il2", "growth_factor"):
        np.testing.assert_allclose(many[name] - none[name], uptake, rtol=1e-9)


def test_costimulation_shifts_division_exhaustion_and_memory(model):
    """28z divides 1.3-fold and tires 1.5-fold; BBz tires 0.7-fold and rests twice as often (handbook 1e)."""
    plain = instant(model, [])[1]
    for therapy, factors in (("cd28", (1.3, 1.5, 1.0)), ("cd137", (1.0, 0.7, 2.0))):
        seen = instant(model, [therapy])[1]
        for name, factor in zip(("car_t_division", "car_t_exhaustion", "memory_formation"), factors, strict=True):
            np.testing.assert_allclose(seen[name], factor * np.asarray(plain[name]), rtol=1e-12)


def test_memory_forms_without_antigen_and_answers_to_it(model):
    """Effectors that rest become memory one for one; contact wakes them; where contact is full nothing rests."""
    found, tissue, state = instant(model, [], car_t_memory=100.0)
    rest = model.processes["memory_cells"].formation * (1.0 - tissue["antigen_contact"]) * state["car_t"]
    np.testing.assert_allclose(found.source["car_t_memory"], rest, rtol=1e-12)
    assert np.argmax(rest / state["car_t"]) in (0, 19)  # away from the tumour
    full = instant(model, [], tumour=1e15)[0].source["car_t_memory"]
    assert np.max(np.asarray(full)) < 1e-9 * np.max(np.asarray(rest))


def test_debris_is_the_sum_of_deaths_and_sets_damp_free(model):
    """dN_d = Σ λ C over every way to die, radiation included, and n molecules of DAMP for each."""
    rays = {"rays": tme.Radiotherapy(dose=tme.Infusion(1.0, 2.0, 0.5))}
    system = System(model, rays)
    state = system.initial_state(jnp.float64)
    found, hazard = system.coefficients(CLOCK, state), system.hazards(CLOCK, state)
    dying = {n: -np.expm1(-np.asarray(hazard[n])) / CLOCK.step for n in ("tumour", "tumour_negative")}
    lost = sum((found.loss[n] + dying[n]) * state[n] for n in dying)
    lost = lost - float(model.processes["antigen_loss"].rate) * state["tumour"]  # no death
    np.testing.assert_allclose(found.source["dead_cells"], lost, rtol=1e-9)
    content = float(model.processes["debris"].content)
    np.testing.assert_allclose(found.source["damp"], SECRETION / 3600 * content * lost / 0.2, rtol=1e-9)


def test_delivered_antigen_does_not_kill_without_car_t_cells(model):
    """Infected cells die of the virus alone; with CAR-T cells those that show the antigen die faster."""
    infected = dict(tumour_infected=5e4, virus=1e5)
    plain = instant(model, [], car_t=0.0, **infected)[0]
    shown = instant(model, ["virus"], car_t=0.0, **infected)[0]
    for name in ("tumour", "tumour_negative", "tumour_infected"):
        np.testing.assert_array_equal(shown.loss[name], plain.loss[name])
    hidden, seen = (instant(model, on, **infected)[0].loss["tumour_infected"] for on in ([], ["virus"]))
    assert np.all(np.asarray(seen) > np.asarray(hidden))


def test_infection_only_moves_cells_from_class_to_class(model):
    """What leaves C₊ and C₋ for the virus arrives in I, and what recovers comes back: no cell is made or lost."""
    numbers = {"oxygen": 1e9, "car_t": 0.0, "endogenous_t": 0.0}  # no necrosis, no killers
    virus, none = (instant(model, [], tumour_infected=1e4, virus=v, **numbers) for v in (1e5, 0.0))
    (found, _, state), (before, *_) = virus, none
    classes = ("tumour", "tumour_negative", "tumour_infected")
    change = sum(found.source[n] - before.source[n] - (found.loss[n] - before.loss[n]) * state[n] for n in classes)
    flow = np.asarray(found.source["tumour_infected"])
    np.testing.assert_allclose(change / flow.max(), 0.0, atol=1e-9)
    assert np.max(flow) > 0


def test_interferon_guards_against_infection(model):
    rates = [np.max(instant(model, [], virus=1e5, ifn_gamma=i)[0].source["tumour_infected"]) for i in (0.0, 0.05, 5.0)]
    np.testing.assert_allclose(rates[1] / rates[0], 0.5, rtol=1e-9)
    assert rates[2] < 0.02 * rates[0]


def test_clusters_let_go_in_acid(model):
    neutral = instant(model, ["clusters"])[0].source["pd1_cluster_antibody"]
    model.tissue["acidity"] = np.asarray(0.6)
    try:
        acid = instant(model, ["clusters"])[0].source["pd1_cluster_antibody"]
    finally:
        model.tissue["acidity"] = np.asarray(0.0)
    clusters = PLAN["clusters"]
    gain = (clusters.leak + 0.5 * clusters.release) / clusters.leak
    np.testing.assert_allclose(acid, gain * np.asarray(neutral), rtol=1e-9)


def test_receptors_bring_cells_and_send_them_up_the_gradient(model):
    """CCL2, CCL5 and CXCL10 rise to the right here, the chemokine towards the tumour; entry rises with the ligand."""
    for therapy in ("ccr2b", "ccr5", "cxcr3", "receptor"):
        (found, *_), (plain, *_) = (instant(model, on, car_t_plasma=10.0) for on in ([therapy], []))
        faster = np.asarray(found.velocity["car_t"][0] - plain.velocity["car_t"][0])
        assert np.all(faster[1:-1] > 0) if therapy != "receptor" else (faster[3] > 0 > faster[-4])
        assert np.all(np.asarray(found.source["car_t"] > plain.source["car_t"]))


def test_a_tlr_agonist_turns_macrophages_and_a_sialidase_sharpens_killing(model):
    """f_M1 + 10 e/(e + K); the share of killing that CAR-T cells do is 1.35-fold."""
    (found, *_), (plain, *_) = (instant(model, on) for on in (["tlr"], []))
    extra = 0.045 / 24 * 10.0 * 3.0 / (3.0 + 100.0) * 8e3 * model.tissue["region_tumour"]
    np.testing.assert_allclose(found.source["macrophage_m1"] - plain.source["macrophage_m1"], extra, rtol=1e-9)
    arms = ((["sialidase"], 1e3), ([], 1e3), ([], 0.0))
    sharp, plain, none = (instant(model, on, car_t=n)[0].loss["tumour"] for on, n in arms)
    np.testing.assert_allclose(sharp - none, 1.35 * (plain - none), rtol=1e-9)


def test_carried_il12_is_set_free_once_and_where_the_cells_are(model):
    """What the payload loses, the tissue gains, but for the share of one cell; most of it where antigen is."""
    found, tissue, state = instant(model, ["il12_carried"], il12=0.0)
    freed = np.asarray(found.source["il12"] - instant(model, [], il12=0.0)[0].source["il12"])
    gained = float(model.grid.integrate(freed * 0.2)) * 1e-9 * 1000.0**2 * 1e-6  # nmol/h
    np.testing.assert_allclose(gained, found.loss["il12_payload"] * state["il12_payload"], rtol=1e-9)
    assert np.corrcoef(freed, np.asarray(state["car_t"] * tissue["antigen_contact"]))[0, 1] > 0.9


#: followed for two days
def test_car_t_cells_kill_better_among_il12(model):
    """More PD-L1 by more IFN-γ must not make armed cells the worse killers (Koneru 2015, Yeku 2017)."""
    kills = [np.asarray(instant(model, [], il12=level)[0].loss["tumour"]) for level in (0.0, 0.05, 1e3)]
    base = np.asarray(instant(model, [], il12=0.0, car_t=0.0)[0].loss["tumour"])
    gain = float(model.processes["il12_kinetics"].cytolysis_gain)
    np.testing.assert_allclose(kills[1] - base, (1 + gain / 2) * (kills[0] - base), rtol=1e-6, atol=1e-12)
    assert np.all(kills[2] > kills[1])
    adaptive = [(1 + (p / 6.0) ** 2) for p in (6.0 * 0.2 / 0.25, 6.0)]  # engaged PD-1 at 0.2 nM and in plenty of IFN-γ
    assert (1 + gain) * adaptive[0] / adaptive[1] > 1.2


def test_il12_passes_the_wall_until_levels_agree(model):
    """Net exchange is 0 at equal levels and in proportion to their difference otherwise, whoever made the IL-12."""

    def net(tissue_level, plasma_level):
        found = instant(model, [], il12=tissue_level, il12_plasma=plasma_level, macrophage_m1=0.0)[0]
        decay = float(model.processes["il12_kinetics"].decay)
        return np.asarray(found.source["il12"] - (found.loss["il12"] - decay) * tissue_level)

    np.testing.assert_allclose(net(1.0, 1.0), 0.0, atol=1e-12)
    assert np.all(net(0.0, 1.0) > 0)
    np.testing.assert_allclose(net(1.0, 0.0), -net(0.0, 1.0), rtol=1e-9)


RUN = ("thioguanine", "csf1r", "anti_ccl2", "ccr2b", "amd3100", "il12", "scfv", "tnf", "cd137", "sting", "virus")


@pytest.fixture(scope="module")
def after(model):
    """Fields after two days by the therapy that was on: one program for all."""
    plan = {name: PLAN[name] for name in RUN}
    scenario = tme.Scenario(model.without("il1_kinetics", "il6_kinetics", "ccl5_kinetics"), plan, until=2 * day)
    arms = {"none": []} | {name: [name] for name in RUN}
    found = tme.run_arms(scenario, arms, save=[2 * day], precision="f64")
    return {name: {n: np.asarray(f[-1]) for n, f in solution.fields.items()} for name, solution in found.items()}


def inside(model, fields, name):
    return float(np.sum(fields[name] * model.tissue["region_tumour"]))


@pytest.mark.parametrize(
    ("therapy", "species", "below", "above"),
    [
        ("thioguanine", "mdsc", 0.95, 0.0),
        ("csf1r", "macrophage", 0.95, 0.0),
        ("csf1r", "macrophage_m1", np.inf, 1.05),
        ("anti_ccl2", "ccl2", 0.8, 0.0),
        ("anti_ccl2", "mdsc", 0.999, 0.0),
        ("ccr2b", "car_t", np.inf, 1.05),
        ("il12", "ifn_gamma", np.inf, 1.2),
        ("il12", "macrophage_m1", np.inf, 1.02),
        ("scfv", "tumour", 0.9999, 0.0),
        ("tnf", "tumour_negative", 0.99, 0.0),
        ("cd137", "car_t_exhausted", 0.95, 0.0),
        ("cd137", "car_t_memory", np.inf, 1.5),
        ("sting", "cxcl10", np.inf, 1.5),
        ("sting", "endogenous_t", np.inf, 100.0),
        ("virus", "tumour", 0.9, 0.0),
    ],
)
@pytest.mark.slow
def test_direction_within_two_days(model, after, therapy, species, below, above):
    """Ratio of what is in the nests with the therapy and without; bounds far from 1 only where the effect is large."""
    ratio = inside(model, after[therapy], species) / max(inside(model, after["none"], species), 1e-9)
    assert above < ratio < below, ratio


@pytest.mark.slow
def test_a_cxcr4_antagonist_lets_cells_into_the_core(after):
    """CXCL12 of fibroblasts slowed them at the margin; the middle of the tumour fills (1.2-fold within one day)."""
    core = slice(8, 12)
    assert np.sum(after["amd3100"]["car_t"][core]) > 1.1 * np.sum(after["none"]["car_t"][core])
    assert np.max(after["amd3100"]["car_t"]) < np.max(after["none"]["car_t"])


@pytest.mark.slow
def test_nothing_is_negative_after_two_days(after):
    assert min(float(np.min(f)) for fields in after.values() for f in fields.values()) >= 0.0
