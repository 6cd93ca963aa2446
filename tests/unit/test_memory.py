"""What `tmepde check` says about memory, against the compiler's own figures."""

from __future__ import annotations

import json

import pytest

import tmepde as tme
from tmepde.cli import memory
from tmepde.process import process


def kinetics(clock, state, tissue):
    others = {n: state[n] for n in ("a", "b", "q")}
    return {f"{n}.source": 1.0 + 0.1 * sum(others.values()) for n in others} | {f"{n}.loss": 2.0 for n in others}


def scenario(grid):
    uneven = 1.0 + 0.1 * grid.coordinates()[-1] / grid.coordinates()[-1].max()
    species = {
        "a": tme.Species(1.0, uneven),
        "b": tme.Species(1.0, uneven),
        "q": tme.Species(1.0, uneven, kind="quasi_steady"),
    }
    return tme.Scenario(tme.Model(grid, species, [process(kinetics)]), until=1.0)


CASES = [
    ("square 64, f32", tme.Grid.square(100.0, 64), "f32"),
    ("square 64, f64", tme.Grid.square(100.0, 64), "f64"),
    ("cube 16, f32", tme.Grid.cube(100.0, 16), "f32"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("grid", "precision"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_the_estimate_is_within_thirty_per_cent_of_the_compilers(grid, precision):
    one = scenario(grid)
    estimated = memory.estimate(one.system.species, grid.shape, precision)
    assert estimated == pytest.approx(memory.compiled(one, precision), rel=0.3)


@pytest.mark.slow
def test_the_estimate_holds_for_the_tumour_model():
    grid = tme.Grid.square(1000.0, 64)
    model = tme.library.solid_tumour(grid, radius=300.0)
    one = tme.Scenario(model, {"car_t": tme.CellInfusion(dose=tme.Bolus(at=2.0, amount=1e8))}, until=4.0)
    estimated = memory.estimate(one.system.species, grid.shape, "f32")
    assert estimated == pytest.approx(memory.compiled(one, "f32"), rel=0.3)


def test_a_machine_that_is_too_small_is_named(tmp_path, monkeypatch, capsys):
    from tmepde.cli.check import check
    from tmepde.cli.new import new

    new("radial_1d", tmp_path / "study")
    path = tmp_path / "study" / "radial_1d.toml"
    capsys.readouterr()
    check(path, [], True)
    assert not [w for w in json.loads(capsys.readouterr().out)["warnings"] if "GiB" in w]
    monkeypatch.setattr(memory, "installed", lambda: 1024.0)
    check(path, [], True)
    (warning,) = [w for w in json.loads(capsys.readouterr().out)["warnings"] if "GiB" in w]
    assert "Take fewer cells" in warning


@pytest.mark.slow
def test_check_compiles_when_asked(tmp_path, capsys):
    """The small radial case: a few MiB at most, and not the estimate's number."""
    from tmepde.cli.check import check
    from tmepde.cli.new import new

    new("radial_1d", tmp_path / "study")
    capsys.readouterr()
    found = []
    for compile_ in (True, False):
        check(tmp_path / "study" / "radial_1d.toml", [], True, compile_)
        found.append(json.loads(capsys.readouterr().out)["memory_gib"])
    assert found[0] != found[1] and 0 < found[0] < 0.01
