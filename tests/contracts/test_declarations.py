"""What every therapy declares: parameters with unit, meaning, bounds and source; plain fields; targets that exist."""

from __future__ import annotations

import dataclasses
import typing

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde import interventions
from tmepde.config.build import intervention_of, table_of
from tmepde.config.modules import intervention_section
from tmepde.model import System
from tmepde.parameter import STATUSES, parameters


def test_every_kind_has_a_case(cases):
    assert {kind for kind, _ in cases.values()} == set(interventions.REGISTRY)


def test_every_parameter_is_documented(kind):
    cls = interventions.REGISTRY[kind]
    assert cls.__doc__ and any(sign in cls.__doc__.splitlines()[0] for sign in "=←")
    for name, p in parameters(cls).items():
        assert p.unit and p.doc and not p.doc.endswith("."), name
        assert p.status in STATUSES and (p.ref or p.status == "assumed" or name == "strength"), f"{name} has no source"
        if name == "site":
            continue  # absent: the centre; any place is allowed
        assert p.default is not None and p.problem(p.default) is None, name
        assert None not in p.bounds, f"{name} has no bounds"


def test_every_field_is_plain(kind):
    """A number, a schedule with a unit, a choice among words, or a module of numbers: what a configuration can say."""
    for field in dataclasses.fields(interventions.REGISTRY[kind]):
        told = field.metadata
        if "parameter" in told or "choice" in told:
            continue
        if "schedule" in told:
            assert told["schedule"]["unit"] and told["schedule"]["doc"]
            continue
        part = typing.get_type_hints(interventions.REGISTRY[kind])[field.name]
        assert parameters(part), field.name


def test_rebuilt_from_its_fields_it_is_the_same(case, cases):
    one = cases[case][1]
    assert _same(one, intervention_of(intervention_section(table_of(one)))), "through the table of a config"
    fields = {f.name: getattr(one, f.name) for f in dataclasses.fields(one)}
    again = type(one)(**{k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in fields.items()})
    assert bool(eqx.tree_equal(one, again))


def _same(a, b):
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return jax.tree.structure(a) == jax.tree.structure(b) and all(np.array_equal(x, y) for x, y in leaves)


def test_targets_exist(case, cases, full, clock):
    system = System(full, {case: cases[case][1]})
    jax.eval_shape(
        lambda: (
            system.coefficients(clock, system.initial_state(jnp.float64)),
            system.hazards(clock, system.initial_state(jnp.float64)),
        )
    )


class Misspelt(tme.Intervention):
    """x = 1: states an effect on something that may not exist."""

    channel: str = eqx.field(static=True, default="scale")
    target: str = eqx.field(static=True, default="perfusion")

    def effects(self, clock, state, tissue):
        return tme.Effects(**{self.channel: {self.target: 2.0}})


@pytest.mark.parametrize(
    ("channel", "target", "hint"),
    [
        ("scale", "perfussion", "Did you mean 'perfusion'"),
        ("add", "perfussion", "Did you mean 'perfusion'"),
        ("scale", "oxigen.source", "Did you mean 'oxygen.source'|Did you mean 'oxygen'"),
        ("add", "oxigen.source", "Did you mean 'oxygen'"),
        ("add", "oxygen.sources", "Did you mean 'source'"),
        ("hazard", "tumor", "Did you mean 'tumour'"),
    ],
)
def test_a_misspelt_target_is_an_error_with_a_hint(channel, target, hint, model, clock):
    system = System(model, {"x": Misspelt(channel, target)})
    state = system.initial_state(jnp.float64)
    with pytest.raises(KeyError, match=hint):
        system.coefficients(clock, state)
        system.hazards(clock, state)


def test_a_wrong_choice_is_an_error():
    with pytest.raises(ValueError, match="`route` must be one of 'intravenous', 'intratumoral'"):
        tme.CellInfusion(dose=tme.Bolus(0.0, 1.0), route="oral")


def test_parameters_out_of_bounds_are_named(case, cases, full):
    one = eqx.tree_at(lambda x: x.strength, cases[case][1], np.asarray(2.0))
    (problem,) = System(full, {"mine": one}).problems()
    assert problem.startswith("`interventions.mine.strength` must be at most 1")


def test_resolve_finds_names_files_and_modules(tmp_path):
    assert interventions.resolve("anti_vegf") is tme.AntiVEGF
    assert interventions.resolve("tmepde.interventions.cells:CellInfusion") is tme.CellInfusion
    (tmp_path / "mylab.py").write_text(
        "import tmepde as tme\nnumber = 3\nclass Cooling(tme.Intervention):\n"
        "    def effects(self, clock, state, tissue):\n        return tme.Effects()\n"
    )
    assert interventions.resolve("mylab.py:Cooling", str(tmp_path)).__name__ == "Cooling"
    for kind, message in (
        ("anti_vgef", "Did you mean 'anti_vegf'"),
        ("mylab.py:Coolin", "Did you mean 'Cooling'"),
        ("mylab.py:number", "must be a subclass"),
        ("other.py:Cooling", "no file"),
        ("no_such_module_of_mine:X", "no module"),
    ):
        with pytest.raises(ValueError, match=message):
            interventions.resolve(kind, str(tmp_path))


def test_what_a_therapy_needs_is_named_when_it_is_missing(case, cases, model):
    one = cases[case][1]
    if not one.requires:
        assert System(model, {"mine": one}).species
        return
    with pytest.raises(ValueError, match=f"'mine' acts on what the model does not carry.*{one.requires[0]}"):
        System(model, {"mine": one})


def test_two_therapies_may_share_a_drug_without_clearing_it_twice(model, clock):
    one, two = (tme.AntiVEGF(dose=tme.Bolus(0.0, 1.0)) for _ in range(2))
    system = System(model, {"a": one, "b": two})
    loss = system.coefficients(clock, system.initial_state(jnp.float64)).loss["bevacizumab_plasma"]
    assert float(loss) == pytest.approx(float(one.elimination))
