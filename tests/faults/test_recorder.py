"""Runs into stores and on from where they stopped, in one process with a model of one species."""

from __future__ import annotations

import numpy as np
import pytest
from small import go, made

import tmepde as tme
from tmepde.io import open_store, root, verify
from tmepde.io.root import MARK
from tmepde.runner import march_program


@pytest.fixture(scope="module")
def build():
    return made()


def after(count):
    asked = []
    return lambda: asked.append(1) or len(asked) > count


def equal(one, other):
    with open_store(one) as a, open_store(other) as b:
        for name in a.data_vars:
            if name not in ("wall_time", "compile_time"):
                same = a[name].values.tobytes() == b[name].values.tobytes()
                assert same, name


@pytest.fixture(scope="module")
def whole(build, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run.zarr"
    assert [o.status.name for o in go(build, path).values()] == ["ok", "ok"]
    return path


def test_a_stored_run_equals_the_one_in_memory(build, whole):
    kept = tme.simulate(build.scenario, save=build.save)
    with open_store(whole) as there:
        assert np.array_equal(there["time"].values, kept.times)
        assert np.asarray(kept.fields["n"]).tobytes() == there["n"].values[0].tobytes()
        assert int(there["n_steps"][0]) == int(kept.statistics["steps"])
        assert there.attrs["config"] == 'name = "made up"\n'


@pytest.mark.parametrize("count", [0, 3, 17])
def test_a_stopped_run_goes_on_to_the_same_bits(build, whole, tmp_path, count):
    path = tmp_path / "run.zarr"
    outcomes = go(build, path, after(count))
    assert list(outcomes.values())[-1].status.name == "stopped"
    mark = root.read(path)["attributes"][MARK]
    assert not mark["finished"] and "stopped" in mark["states"] and verify(path).good
    go(build, path, document=root.read(path))
    equal(path, whole)
    assert "resumed after rows" in root.read(path)["attributes"]["history"]


def test_what_a_run_left_that_was_killed_while_it_made_its_store_is_removed(build, tmp_path):
    left = tmp_path / ".run.zarr.partial-0123abcd"
    (left / "time").mkdir(parents=True)
    go(build, tmp_path / "run.zarr", after(0))
    assert [p.name for p in tmp_path.iterdir()] == ["run.zarr"]


def test_a_damaged_checkpoint_falls_back_and_says_so(build, whole, tmp_path, capsys):
    path = tmp_path / "run.zarr"
    go(build, path, after(17))
    mark = root.read(path)["attributes"][MARK]
    files = [path / one["file"] for one in mark["checkpoints"] if one["arm"] == 1]
    content = bytearray(files[-1].read_bytes())
    content[len(content) // 2] ^= 1
    files[-1].write_bytes(content)
    assert not verify(path).good
    go(build, path, document=root.read(path))
    told = capsys.readouterr().err
    assert "does not match its checksum" in told
    equal(path, whole)


def test_without_any_checkpoint_the_scenario_begins_again_and_says_so(build, whole, tmp_path, capsys):
    path = tmp_path / "run.zarr"
    go(build, path, after(17))
    for file in (path / ".checkpoints").iterdir():
        file.unlink()
    go(build, path, document=root.read(path))
    assert "begins again from its start" in capsys.readouterr().err
    equal(path, whole)


def test_a_run_that_goes_on_is_the_same_program(build, whole, tmp_path, monkeypatch):
    """Nothing is compiled for a resume: the text of both programs is one."""
    texts = []

    class Seen:
        lower = march_program.lower

        def __call__(self, arrays, *arguments):
            if not texts or arrays is not texts[-1][0]:  # a run lends its arrays to all its calls
                texts.append((arrays, march_program.lower(arrays, *arguments).as_text()))
            return march_program(arrays, *arguments)

    monkeypatch.setattr("tmepde.run.march_program", Seen())
    path = tmp_path / "run.zarr"
    go(build, path, after(3))
    go(build, path, document=root.read(path))
    assert len(texts) == 3 and len({text for _, text in texts}) == 1  # arm a, arm a again, arm b
