"""Stores of sweeps that somebody else has been at; rows are made up, nothing is computed."""

import shutil

import numpy as np
import pytest

from tmepde import config as configs
from tmepde.cli import integrity
from tmepde.cli.exits import ENVIRONMENT, Stop
from tmepde.cli.report import report
from tmepde.io import chunks
from tmepde.io.root import StoreError
from tmepde.sweep import create, store
from tmepde.sweep.damage import look
from tmepde.sweep.store import Array


@pytest.fixture
def out(tmp_path):
    """Four scenarios in batches of two, which are done."""
    arrays = {
        "time": Array(("time",), (3,), np.float64, {"coordinate": True}, [0.0, 1.0, 2.0], scenario=False),
        "scenario": Array((), (), np.int64, {"coordinate": True}, range(4)),
        "status": Array((), (), np.int8, {}),
        "message": Array((), (), str, {}),
        "n_steps": Array((), (), np.int32, {}),
        "burden": Array(("time",), (3,), np.float64, {}),
    }
    path = tmp_path / "made_up.zarr"
    store.create(path, 4, 2, arrays, {})
    rows = {"message": ["ok", "ok"], "n_steps": [7, 8], "burden": np.ones((2, 3)), "status": [store.OK] * 2}
    for start in (0, 2):
        store.write(path, start, start + 2, rows)
    assert look(path).good
    return path


def test_a_foreign_folder_is_no_damage(out, capsys):
    for name in ("lost+found", "@eaDir"):
        (out / name).mkdir()
    assert look(out).good
    integrity.repair(out)
    assert "nothing to repair" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["zarr.json", "status/.zarr.json", "burden/zarr.json", "burden/c.1.0", "status/c.1"])
def test_an_empty_folder_in_the_place_of_a_file_gives_way_to_it(out, file, capsys):
    (out / file).unlink()
    (out / file).mkdir()
    integrity.repair(out)
    assert f"an empty folder in the place of {file} is removed" in capsys.readouterr().out
    assert look(out).good and store.pending(out) == ([1] if "c.1" in file else [])


@pytest.mark.parametrize(("given", "taken"), [("n_steps/c.0", "burden/c.0.0"), ("n_steps/c.0", "message/c.0")])
def test_a_chunk_of_another_array_is_damage(out, given, taken, tmp_path, capsys):
    """Its checksum is good; a report of it ended with a traceback."""
    shutil.copy(out / given, out / taken)
    assert look(out).batches == {0: f"{taken}: is a chunk of another array"}
    with pytest.raises(Stop, match="is a chunk of another array") as stop:
        report(out, tmp_path / "page.html")
    assert stop.value.code == ENVIRONMENT
    integrity.repair(out)
    assert store.pending(out) == [0]
    assert f"`tmepde sweep CONFIG -o {out} --resume`" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content"),
    [("zarr.json", None), ("zarr.json", b"{"), ("zarr.json", b'{"attributes": {}}'), (store.COPY, b"{")],
)
def test_of_the_root_and_its_copy_one_mends_the_other(out, name, content, tmp_path):
    kept = (out / name).read_bytes()
    (out / name).unlink()
    if content is not None:
        (out / name).write_bytes(content)
    for command in (lambda: integrity.verify(out, False), lambda: report(out, tmp_path / "page.html")):
        with pytest.raises(Stop, match="`tmepde repair") as stop:
            command()
        assert stop.value.code == ENVIRONMENT
    integrity.repair(out)
    assert (out / name).read_bytes() == kept
    assert look(out).good


def test_what_is_changed_in_the_root_is_changed_in_its_copy(out):
    store.amend(out, title="another")
    assert (out / store.COPY).read_bytes() == (out / "zarr.json").read_bytes()


def test_a_lost_root_is_not_taken_for_that_of_a_scenario(out):
    """As of stores that have no copy."""
    (out / store.COPY).unlink()
    (out / "zarr.json").write_bytes(b"{")
    with pytest.raises(StoreError, match="Write it again with the command that made it"):
        integrity.verify(out, False)


def test_a_repair_that_leaves_nothing_pending_says_nothing_of_running(out, capsys):
    (out / "burden" / "zarr.json").unlink()
    integrity.repair(out)
    said = capsys.readouterr().out
    assert "written again from its copy" in said and "--resume" not in said


def test_a_status_of_another_array_is_damage(out):
    shutil.copy(out / "n_steps" / "c.0", out / "status" / "c.0")
    assert list(look(out).batches) == [0]


@pytest.mark.parametrize("count", [0, 1, 30, 32, 300, 9000, 70_000])
def test_the_size_of_a_chunk_is_read_without_unpacking_it(count):
    assert chunks.size(chunks.encode(np.arange(count, dtype=float))) == 8 * count
    assert chunks.size(chunks.encode(np.random.default_rng(0).random(count))) == 8 * count
    assert chunks.size(chunks.sealed(bytes(count))) == -1


SWEEP = """
schema = 1
name = "made of"
[grid]
kind = "radial"
radius = "400 um"
cells = 8
[model]
kind = "solid_tumour"
[arms]
"none: ünlike any" = []
[run]
until = "2 hour"
save = { every = "1 hour" }
[sweep]
batch = 2
fields = ["oxygen"]
[sweep.grid]
"model.processes.killing.rate" = ["0.1 1/h", "0.2 1/h", "0.3 1/h"]
"""


def test_lost_coordinates_are_made_again_from_the_config_of_the_store(tmp_path, capsys):
    out = tmp_path / "made_of.zarr"
    create(configs.loads(SWEEP), out)
    chunks_of = ["time", "scenario", "arm", "r", "model.processes.killing.rate"]
    kept = {name: (out / name / "c.0").read_bytes() for name in chunks_of}
    for name in chunks_of:
        (out / name / "c.0").unlink()
    shutil.copy(out / "status" / "zarr.json", out / "time" / "c.0")  # no chunk at all
    shutil.rmtree(out / "arm")
    assert len(look(out).documents | look(out).fixed) >= 1
    integrity.repair(out)
    assert "arm/c.0 is made again from the config of the store: missing" in capsys.readouterr().out
    assert look(out).good and {name: (out / name / "c.0").read_bytes() for name in chunks_of} == kept


def test_coordinates_that_the_config_does_not_make_are_not_made_up(out):
    (out / "scenario" / "c.0").unlink()
    store.amend(out, config=SWEEP, config_folder="", sweep_table_hash="of an earlier version")
    with pytest.raises(Stop, match=r"c.0: missing.*cannot be repaired.*other scenarios than") as stop:
        integrity.repair(out)
    assert stop.value.code == ENVIRONMENT and not (out / "scenario" / "c.0").exists()


def test_what_a_killed_sweep_left_of_its_store_goes_with_the_next(tmp_path):
    left = tmp_path / ".a.zarr.partial-0123abcd"
    (left / "status").mkdir(parents=True)
    arrays = {"status": Array((), (), np.int8, {}), "message": Array((), (), str, {})}
    store.create(tmp_path / "a.zarr", 2, 1, arrays, {})
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]
