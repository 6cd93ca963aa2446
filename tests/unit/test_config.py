"""Configs: text ⇄ objects is a bijection, every default is written out, and the schema is the classes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import tmepde as tme
from tmepde import config
from tmepde.config import catalogue
from tmepde.config.build import intervention_of, table_of
from tmepde.config.config import validate
from tmepde.config.modules import intervention_section

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.toml"))

SMALL = """\
schema = 1
[grid]
kind = "radial"
radius = "500 um"
cells = 16
[run]
until = "6 hour"
save = { every = "3 hour" }
"""


def test_the_catalogue_is_current() -> None:
    written = catalogue.TARGET.read_text("utf-8")
    assert written == catalogue.text(), "Run `python -m tmepde.config.catalogue`."


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_config_is_good_and_round_trips(path: Path) -> None:
    loaded = config.load(path)
    resolved = loaded.toml()
    again = config.loads(resolved)
    assert again == loaded
    assert again.toml() == resolved
    assert loaded.warnings == ()


def test_every_default_is_written_out() -> None:
    resolved = config.loads(SMALL).toml()
    entry = catalogue.catalogue()["models"]["solid_tumour"]
    for name in entry["parameters"]:
        assert f"\n{name} = " in resolved
    for process in entry["processes"]:
        assert f"[model.processes.{process}]" in resolved


def test_presets_give_their_values_and_explicit_ones_win() -> None:
    loaded = config.loads(SMALL, {"model.stroma": "desmoplastic", "model.collagen_tumour": 0.1, "model.blood": "mouse"})
    assert loaded.model.hyaluronan_tumour == 0.18
    assert loaded.model.collagen_tumour == 0.1
    assert loaded.model.processes.blood_kinetics.peak == 2400.0


def test_presets_reach_processes_that_are_carried() -> None:
    """Of an optional process only where it is named; a number given explicitly wins; later presets win."""
    changes = {"model.tumour": "pdac", "model.scale": "mouse", "model.carrier": "plga"}
    loaded = config.loads(SMALL, {**changes, "model.processes.cytokine_release.volume": 0.5})
    processes = loaded.model.processes
    assert processes.growth.rate == 0.013 and processes.blood_kinetics.peak == 2400.0
    assert processes.cytokine_release.volume == 0.5 and processes.cytokine_release.tumour_volume == 200.0
    assert loaded.model.particle_diameter == 120.0 and processes.host_t_cells is None
    forced = config.loads(SMALL, {"model.blood": "forced"}).model.processes
    assert forced.forced_blood_kinetics.follow == 50.0 and not forced.blood_kinetics.enabled


@dataclasses.dataclass
class Case:
    kind: str
    table: dict[str, Any]


TABLES = [
    Case(
        "cell_infusion",
        {
            "dose": {"kind": "bolus", "at": ["1 day", "3 day"], "amount": "1e7 cells"},
            "route": "intratumoral",
            "site": ["10 um", "20 um"],
            "armour": {"chemokine": 2.0},
        },
    ),
    Case("anti_vegf", {"dose": {"kind": "infusion", "at": "1 day", "amount": "2300 nmol", "over": "90 min"}}),
    Case("matrix_enzyme", {"dose": {"kind": "course", "start": "1 day", "every": "2 day", "doses": 3, "amount": 5}}),
    Case(
        "oxygen_generator",
        {"dose": {"kind": "continuous", "rate": "2 nmol/h", "start": "0 h", "stop": "1 day"}, "oxygen_yield": "50 %"},
    ),
    Case("checkpoint_blockade", {"dose": {"kind": "bolus", "at": "0 h", "amount": 1400.0}, "strength": 0.3}),
    Case("radiotherapy", {"dose": {"kind": "course", "start": "0 h", "every": "1 day", "doses": 5, "amount": "2 Gy"}}),
]


def same(a: Any, b: Any) -> bool:
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return jax.tree.structure(a) == jax.tree.structure(b) and all(np.array_equal(x, y) for x, y in leaves)


@pytest.mark.parametrize("case", TABLES, ids=lambda c: c.kind)
def test_an_intervention_becomes_a_table_and_comes_back(case: Case) -> None:
    made = intervention_of(intervention_section({"kind": case.kind, **case.table}))
    table = table_of(made)
    again = intervention_of(intervention_section(table))
    assert same(made, again)
    assert table_of(again) == table


def test_python_and_config_make_the_same_intervention() -> None:
    written = intervention_section(
        {"kind": "cell_infusion", "dose": {"kind": "bolus", "at": "3 day", "amount": 1e6}, "armour": {"chemokine": 4.0}}
    )
    python = tme.CellInfusion(dose=tme.Bolus(at=72.0, amount=1e6), armour=tme.Secretes(chemokine=4.0))
    assert same(intervention_of(written), python)


@pytest.mark.slow
def test_a_built_config_runs() -> None:
    loaded = config.loads(SMALL, {"run.until": "1 hour", "run.save.every": "0.5 hour"})
    built = loaded.build()
    (solution,) = tme.run_arms(built.scenario, built.arms, save=built.save).values()
    assert solution.status.name == "ok"
    assert list(solution.times) == [0.0, 0.5, 1.0]


def test_processes_can_be_switched_off_and_species_changed() -> None:
    changes = {
        "model.processes.growth.enabled": False,
        "model.processes.killing.rate": "12 1/day",
        "model.species.oxygen.boundary": {"r+": {"kind": "dirichlet", "value": "38 mmHg"}},
        "model.species.car_t.initial": 100.0,
    }
    loaded = config.loads(SMALL, changes)
    model = loaded.build().scenario.model
    assert "growth" not in model.processes
    assert model.processes["killing"].rate == 0.5
    assert model.species["car_t"].initial == 100.0
    assert isinstance(model.species["oxygen"].boundary["r+"], tme.Dirichlet)
    assert config.loads(loaded.toml()) == loaded


def test_a_side_that_the_grid_does_not_have_is_refused_by_the_config() -> None:
    with pytest.raises(config.ConfigError, match="`model.species.oxygen.boundary.x` is no side of this grid.*r, r"):
        config.loads(SMALL, {"model.species.oxygen.boundary": {"x": {"kind": "dirichlet", "value": 38.0}}})


def test_a_refusal_of_the_objects_is_a_config_error() -> None:
    """What only the picture itself can tell is found when it is built."""
    tissue = {"kind": "colon_ihc", "pixel_size": "1 um", "cell_size": "4 um", "crop": [0, 5000, 0, 5000]}
    loaded = validate({"schema": 1, "tissue": tissue, "run": {"until": "1 day"}})
    with pytest.raises(config.ConfigError, match="`tissue` was refused: `crop` must lie inside the picture"):
        loaded.build()


COOLING = """
import tmepde as tme

class Cooling(tme.Intervention):
    \"\"\"D_oxygen is scaled by f.\"\"\"
    factor: float = tme.param("1", doc="slowing of diffusion", default=0.9, bounds=(0, 1))

    def effects(self, clock, state, tissue):
        return tme.Effects(scale={"oxygen.diffusivity": self.factor})
"""


def test_an_intervention_of_a_file_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(COOLING)
    path = tmp_path / "c.toml"
    path.write_text(SMALL + '[interventions.cool]\nkind = "mine.py:Cooling"\nfactor = "80 %"\n')
    made = config.load(path, code=True).build().scenario.interventions["cool"]
    assert type(made).__name__ == "Cooling" and made.factor == 0.8
    path.write_text(SMALL + '[interventions.cool]\nkind = "mine.py:Coolin"\n')
    with pytest.raises(config.ConfigError, match=r"interventions.cool.kind` cannot be used.*Cooling"):
        config.load(path, code=True)
    path.write_text(SMALL + '[interventions.cool]\nkind = "mine.py:Cooling"\nfactor = 3\n')
    with pytest.raises(config.ConfigError, match=r"interventions.cool.factor` must be at most 1"):
        config.load(path, code=True)


def test_every_public_name_exists() -> None:
    for name in tme.__all__:
        assert getattr(tme, name) is not None
    assert callable(tme.process) and callable(tme.simulate)  # functions, not the modules of the same name
    with pytest.raises(AttributeError, match="Did you mean 'Grid'"):
        tme.Gird  # noqa: B018 - the access is the test


def test_a_model_carries_what_its_interventions_need() -> None:
    """An optional process is there when an intervention requires it, by its group, or by name."""
    dose = '{ kind = "bolus", at = "0 h", amount = "1 nmol" }'
    text = SMALL + f'\n[interventions.blocker]\nkind = "adenosine_blockade"\ndose = {dose}\n'
    built = config.loads(text, {"run.save.fields": ["adenosine"]}).build()
    assert "adenosine_kinetics" in built.scenario.model.processes
    assert "adenosine" in built.scenario.model.species and "virus" not in built.scenario.model.species
    assert "adenosine" not in config.loads(SMALL).build().scenario.model.species
    grouped = config.loads(SMALL, {"model.milieu": "immunity"}).build().scenario.model
    assert {"endogenous_immunity", "debris"} <= set(grouped.processes)
    named = config.loads(SMALL, {"model.processes.debris.clearance": "0.2 1/day"}).build().scenario.model
    assert float(named.processes["debris"].clearance) == pytest.approx(0.2 / 24)
    with pytest.raises(config.ConfigError, match="'adenosine', which is not a species of this model"):
        config.loads(SMALL, {"run.save.fields": ["adenosine"]})


def test_a_resolved_config_with_optional_processes_builds_the_same_model() -> None:
    loaded = config.loads(SMALL, {"model.milieu": "immunity", "model.processes.debris.clearance": "0.2 1/day"})
    again = config.loads(loaded.toml())
    assert again == loaded
    assert set(again.build().scenario.model.species) == set(loaded.build().scenario.model.species)
