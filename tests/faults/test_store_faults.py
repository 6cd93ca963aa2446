"""Stores under faults: killed writers, damaged files, full disks, readers while writing, more output than memory."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import grown
import numpy as np
import pytest
import xarray as xr

from tmepde.io import StoreError, checkpoint, chunks, open_store, repair, root, stream, verify, write_store
from tmepde.io.durable import WriteError
from tmepde.io.layout import layout
from tmepde.io.lock import Lock
from tmepde.io.root import MARK
from tmepde.io.stream import StoreWriter

PROGRAM = Path(grown.__file__)


def committed(path):
    return root.read(path)["attributes"][MARK]["rows"]


def program(path, kill=None):
    command = [sys.executable, str(PROGRAM), str(path), *([str(kill)] if kill else [])]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run.zarr"
    grown.write(path)
    return path


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A run under way: the first arm at its end, the second after eleven of twelve rows."""
    path = tmp_path_factory.mktemp("half") / "run.zarr"
    grown.write(path, until=11)
    return path


def test_a_finished_store_is_as_written_and_plain_xarray_opens_it(whole):
    with open_store(whole) as there:
        grown.check_prefix(there, [grown.ROWS] * 2)
        assert list(there["status"].values) == ["ok", "ok"] and MARK not in there.attrs
        assert list(there["wall_time"].values) == [1.5, 2.5] and list(there["message"].values) == ["The end."] * 2
    for consolidated in (True, False):
        grown.check_prefix(xr.open_zarr(whole, consolidated=consolidated), [grown.ROWS] * 2)
    assert verify(whole).good and not (whole / ".checkpoints").exists()


def test_a_run_under_way_shows_its_committed_rows_only(half):
    with open_store(half) as there:
        grown.check_prefix(there, [grown.ROWS, 11])
        assert list(there.attrs["committed_rows"]) == [grown.ROWS, 11]
        assert list(there["status"].values) == ["ok", "running"]
    grown.check_prefix(xr.open_zarr(half), [grown.ROWS, 11])
    assert grown.checkpoint_rows(half) == [10, 11]


@pytest.mark.parametrize("command", ["report", "export"])
def test_a_store_without_rows_says_how_to_go_on(command, tmp_path):
    """What a disk that was full at once leaves; it ended in a traceback."""
    from tmepde.cli.export import export
    from tmepde.cli.report import report

    path, out = tmp_path / "run.zarr", tmp_path / "out.html"
    grown.create(path)
    with pytest.raises(StoreError, match=r"0 are committed. Go on with `tmepde run CONFIG -o .* --resume`"):
        report(path, out) if command == "report" else export(path, "netcdf", out, times=["last"])
    assert not out.exists()


def test_rows_that_were_written_but_not_committed_are_not_read(half, tmp_path):
    path = tmp_path / "run.zarr"
    shutil.copytree(half, path)
    document = json.loads((path / root.NAME).read_bytes())
    document["attributes"][MARK]["rows"][1] = 3  # as if the last two commits had lacked their root
    (path / root.NAME).write_bytes(root.sealed(document))
    with open_store(path) as there:
        grown.check_prefix(there, [grown.ROWS, 3])


def kills(path, count, seed):
    """Kill a run at random file operations, a few times in a row, look at what is left, and let it end."""
    calls = int(program(path.with_name("count.zarr"), 10**9).stdout)
    random = np.random.default_rng(seed)
    done = 0
    while done < count:
        shutil.rmtree(path, ignore_errors=True)
        before = [0, 0]
        for _ in range(4):
            code = program(path, int(random.integers(1, max(2, calls // 3)))).returncode
            if code == 0:
                break
            assert code == -9
            done += 1
            if path.exists():
                rows = committed(path)
                with open_store(path) as there:
                    grown.check_prefix(there, rows)
                assert verify(path).good
                assert plain(path, rows) <= 1  # each row of a made-up run is a commit
                assert all(a >= b for a, b in zip(rows, before, strict=True))
                before = rows
        assert program(path).returncode == 0
        with open_store(path) as there:
            grown.check_prefix(there, [grown.ROWS] * 2)
    assert not [p for p in path.rglob(".tmp-*")]
    return done


@pytest.mark.slow
def test_a_writer_killed_inside_its_writes_loses_no_committed_row(tmp_path):
    assert kills(tmp_path / "run.zarr", 8, 1) >= 8


@pytest.mark.slow
def test_a_writer_killed_two_hundred_times_loses_no_committed_row(tmp_path):
    assert kills(tmp_path / "run.zarr", 200, 2) >= 200


def damage(path, random):
    """Flip a bit, cut short or delete one file; what was done, in words."""
    files = sorted(p for p in path.rglob("*") if p.is_file())
    file = files[random.integers(len(files))]
    content = bytearray(file.read_bytes())
    kind = random.choice(["flip", "cut", "delete"])
    if kind == "flip" and content:
        content[random.integers(len(content))] ^= 1 << random.integers(8)
        file.write_bytes(bytes(content))
    elif kind == "cut" and content:
        file.write_bytes(bytes(content[: random.integers(len(content))]))
    else:
        file.unlink()
    return file, f"{kind} {file.relative_to(path)}"


def silent(path, reference, count, seed):
    """Damage ``count`` times; how often that was found, where a wrong value was read, and how often the damage was to
    what is read: chunks of committed rows and the root (not metadata for others, checkpoints, and parity)."""
    random = np.random.default_rng(seed)
    found, wrong, met = 0, [], 0
    read = {path / key for _, key in root.implied(root.read(path))} | {path / root.NAME}
    backup = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    for _ in range(count):
        file, what = damage(path, random)
        met += file in read
        try:
            with open_store(path) as there:
                if not there.load().identical(reference):
                    wrong.append(what)
        except Exception:
            found += 1
        file.write_bytes(backup[file])
    return found, wrong, met


@pytest.mark.parametrize("which", [pytest.param("whole", marks=pytest.mark.slow), "half"])
def test_damage_is_never_read_as_data(which, request, tmp_path):
    path = tmp_path / "run.zarr"
    shutil.copytree(request.getfixturevalue(which), path)
    with open_store(path) as there:
        reference = there.load()
    found, wrong, met = silent(path, reference, 150, 3)
    assert not wrong and found >= met > 50


@pytest.mark.slow
def test_ten_thousand_damages_are_never_read_as_data(half, tmp_path):
    path = tmp_path / "run.zarr"
    shutil.copytree(half, path)
    with open_store(path) as there:
        reference = there.load()
    found, wrong, met = silent(path, reference, 10_000, 4)
    assert not wrong and found >= met > 4000


@pytest.mark.parametrize("where, rows, told", [("1.1", 11, "are committed from their checkpoints"), ("1.0", 0, None)])
def test_repair_keeps_what_is_good_and_the_run_goes_on(half, tmp_path, where, rows, told):
    """Of two chunks of one place: the last row of eleven is in its checkpoint too; the first ten take all along."""
    path = tmp_path / "run.zarr"
    shutil.copytree(half, path)
    for name in ("oxygen", "tumour"):
        chunk = path / name / f"c.{where}.0.0"
        chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(StoreError, match="repair"):
        open_store(path).load()
    assert list(verify(path).damaged) == [f"{name}/c.{where}.0.0" for name in ("oxygen", "tumour")]
    said = " ".join(repair(path))
    assert f"rows {10 * int(where[-1])} to 10 are cut off" in said and (told or "") in said
    assert verify(path).good and committed(path) == [grown.ROWS, rows]
    with open_store(path) as there:
        grown.check_prefix(there, [grown.ROWS, rows])
    assert repair(path) == []
    grown.write(path)
    with open_store(path) as there:
        grown.check_prefix(there, [grown.ROWS] * 2)
    assert repair(path) == []


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """A run whose fields are cut in space too, as large ones are."""
    path = tmp_path_factory.mktemp("split") / "run.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "LARGEST", 4096)
        grown.write(path)
    assert (path / "oxygen" / "c.0.0.1.0").is_file()
    return path


@pytest.mark.parametrize("which", ["half", "whole", "split"])
def test_any_one_chunk_is_restored_bit_by_bit(which, request, tmp_path):
    """Coordinates, mask, how a scenario ended, rows, and the files that restore them."""
    path = tmp_path / "run.zarr"
    shutil.copytree(request.getfixturevalue(which), path)
    random, done = np.random.default_rng(6), 0
    for file in sorted(p for p in path.rglob("*") if p.is_file() and (p.name[0] == "c" or p.parent.name == ".parity")):
        before = file.read_bytes()
        if random.random() < 0.3:
            file.unlink()
        else:
            file.write_bytes(before[:-3] if random.random() < 0.5 else bytes(len(before)))
        assert len(verify(path).damaged) == 1, file
        assert len(said := repair(path)) == 1 and file.name in said[0]
        assert file.read_bytes() == before and verify(path).good
        done += 1
    assert done > 25 and committed(path)[0] == grown.ROWS


def test_a_sound_chunk_in_the_place_of_another_is_found_and_put_right(whole, tmp_path):
    """Its own checksum says nothing of where it belongs: one field in the place of another, one day of another."""
    path = tmp_path / "run.zarr"
    shutil.copytree(whole, path)
    places = sorted((path / "oxygen").glob("c.*"))
    before = places[0].read_bytes()
    other = next(p for p in [*places[1:], *sorted((path / "tumour").glob("c.*"))] if p.read_bytes() != before)
    places[0].write_bytes(other.read_bytes())
    assert list(verify(path).damaged) == [str(places[0].relative_to(path))]
    assert len(repair(path)) == 1 and places[0].read_bytes() == before and verify(path).good


@pytest.mark.parametrize("which", ["half", "whole", "saved"])
def test_a_lost_and_a_changed_document_are_found_and_written_again(which, half, whole, tmp_path):
    """Readers without consolidated metadata go by them; `verify` did not look, `repair` brought chunks back alone."""
    path = tmp_path / "run.zarr"
    if which == "saved":
        with open_store(whole) as there:
            write_store(there.load(), path)
    else:
        shutil.copytree({"half": half, "whole": whole}[which], path)
    before = {name: (path / name / root.NAME).read_bytes() for name in ("oxygen", "burden", "mask")}
    assert verify(path).good
    (path / "oxygen" / root.NAME).unlink()
    (path / "burden" / root.NAME).write_text("xx")
    (path / "mask" / root.NAME).write_bytes(before["mask"].replace(b"int8", b"int16"))
    assert not verify(path).good
    told = verify(path).documents
    assert told.pop("burden/zarr.json").startswith("not readable")
    assert told == {"oxygen/zarr.json": "missing", "mask/zarr.json": "changed"}
    assert len(said := repair(path)) == 3 and all("written again from its copy" in one for one in said)
    assert verify(path).good and repair(path) == []
    if which != "half":
        assert all(json.loads((path / n / root.NAME).read_bytes()) == json.loads(text) for n, text in before.items())
        grown.check_prefix(xr.open_zarr(path, consolidated=False), [grown.ROWS] * 2)


@pytest.mark.filterwarnings("ignore:Object at .checkpoints")
def test_a_run_killed_at_its_very_end_leaves_documents_that_fit(whole, tmp_path, monkeypatch):
    """The root had said "finished" before they were written."""
    path = tmp_path / "run.zarr"

    def killed(writer, mark, history=""):
        if mark["finished"]:
            raise RuntimeError("killed")
        return kept(writer, mark, history)

    kept = StoreWriter.write_root
    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "write_root", killed)
        with pytest.raises(RuntimeError, match="killed"):
            grown.write(path)
    assert verify(path).good and not verify(path).finished
    grown.check_prefix(xr.open_zarr(path, consolidated=False), [grown.ROWS] * 2)


def test_a_document_outside_of_the_store_is_not_written(whole, tmp_path):
    path = tmp_path / "run.zarr"
    shutil.copytree(whole, path)
    document = root.read(path)
    metas = document["consolidated_metadata"]["metadata"]
    metas["../secret"] = {**metas["mask"], "shape": [0, 0]}
    (path / root.NAME).write_bytes(root.sealed(document))
    for command in (verify, repair):
        with pytest.raises(StoreError, match="outside the store"):
            command(path)
    assert not (tmp_path / "secret").exists()


@pytest.mark.parametrize("folder", ["time/.parity", "oxygen"])
def test_a_lost_folder_is_made_again(whole, tmp_path, folder):
    """All that restores chunks; all chunks of one field, each of which is of another group."""
    path = tmp_path / "run.zarr"
    shutil.copytree(whole, path)
    shutil.rmtree(path / folder)
    lost = len(verify(path).damaged) + len(verify(path).documents)
    assert lost >= 4 and len(repair(path)) == lost and verify(path).good
    with open_store(path) as there:
        grown.check_prefix(there, [grown.ROWS] * 2)


@pytest.mark.parametrize(
    "file", ["zarr.json", "time/.zarr.json", "oxygen/zarr.json", "status/c.1", "time/.parity/fixed", ".checkpoints/1"]
)
def test_an_empty_folder_in_the_place_of_a_file_gives_way_to_it(half, tmp_path, file):
    """A repair could not write there, and said to look after the permissions."""
    path = tmp_path / "run.zarr"
    shutil.copytree(half, path)
    place = path / file
    if file == ".checkpoints/1":
        place = sorted((path / ".checkpoints").iterdir())[-1]
    place.unlink()
    place.mkdir()
    told = repair(path)
    assert told[0] == f"an empty folder in the place of {place.relative_to(path)} is removed"
    assert verify(path).good
    with open_store(path) as there:
        grown.check_prefix(there, committed(path))


def test_a_folder_that_holds_something_is_left_alone_by_a_repair(half, tmp_path):
    path = tmp_path / "run.zarr"
    shutil.copytree(half, path)
    (path / "status/c.1").unlink()
    (path / "status/c.1").mkdir()
    (path / "status/c.1/notes.txt").write_text("mine")
    with pytest.raises(WriteError, match="a folder is in its place. Move it away"):
        repair(path)
    assert (path / "status/c.1/notes.txt").read_text() == "mine"


def test_a_chunk_of_another_array_is_found_while_a_run_goes_on(half, tmp_path):
    """Its checksum is good: nothing was told, and to open the store raised an error of numpy."""
    path = tmp_path / "run.zarr"
    shutil.copytree(half, path)
    kept = (path / "message/c.0").read_bytes()
    shutil.copy(path / "time/c.0", path / "message/c.0")
    assert verify(path).damaged == {"message/c.0": "is a chunk of another array"}
    with pytest.raises(StoreError, match="is one of another array. Run `tmepde repair"):
        open_store(path).load()
    repair(path)
    assert verify(path).good and (path / "message/c.0").read_bytes() == kept


def test_what_is_no_file_of_parity_is_found_in_its_place(whole, tmp_path):
    path = tmp_path / "run.zarr"
    shutil.copytree(whole, path)
    shutil.copy(path / "message/c.0", path / "time/.parity/fixed")
    assert verify(path).damaged == {"time/.parity/fixed": "is none of its kind"}
    repair(path)
    assert verify(path).good


def test_a_checkpoint_that_a_run_drops_while_it_is_looked_at_is_no_damage(half, tmp_path, monkeypatch):
    """A store that was being written was told to be damaged now and then."""
    from tmepde.io import integrity

    path = tmp_path / "run.zarr"
    shutil.copytree(half, path)
    document = root.read(path)
    *others, last = document["attributes"][MARK]["checkpoints"]
    (path / last["file"]).unlink()
    assert not verify(path).good
    later = {**document["attributes"][MARK], "checkpoints": others}
    seen = [document, {**document, "attributes": {**document["attributes"], MARK: later}}]
    monkeypatch.setattr(integrity.root, "read", lambda target, *_: seen.pop(0))
    assert verify(path).good


def test_two_lost_chunks_of_what_never_changes_are_said(whole, tmp_path):
    path = tmp_path / "run.zarr"
    shutil.copytree(whole, path)
    for name in ("mask/c.0.0", "time/c.0"):
        (path / name).unlink()
    with pytest.raises(StoreError, match="mask/c.0.0, time/c.0 belong to no single row"):
        repair(path)


@pytest.mark.parametrize("how", ["flipped", "deleted", "empty"])
@pytest.mark.parametrize("which", ["half", "whole", "from memory"])
def test_a_damaged_root_is_repaired_from_its_copy(which, how, request, tmp_path):
    """Of a run under way the copy is one commit older: the row after it is computed again."""
    path = tmp_path / "run.zarr"
    if which == "from memory":
        with open_store(request.getfixturevalue("whole")) as there:
            write_store(there.load(), path)
    else:
        shutil.copytree(request.getfixturevalue(which), path)
    with open_store(path) as there:
        reference = there.load()
    file = path / root.NAME
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    {"flipped": lambda: file.write_bytes(content), "deleted": file.unlink, "empty": lambda: file.write_bytes(b"")}[
        how
    ]()
    for read in (open_store, verify):
        with pytest.raises(StoreError, match="damaged: .* Run `tmepde repair"):
            read(path)
    assert "replaced by its copy" in repair(path)[0]
    assert verify(path).good
    if which == "half":
        assert committed(path) == [grown.ROWS, 11]  # the one that the copy lacks had its checkpoint
        grown.write(path)
    with open_store(path) as there:
        if which == "half":
            grown.check_prefix(there, [grown.ROWS] * 2)
        else:
            assert there.load().identical(reference)


def test_a_root_whose_copy_is_damaged_too_is_said_to_be_lost(half, tmp_path):
    path = tmp_path / "run.zarr"
    shutil.copytree(half, path)
    for name in (root.NAME, root.COPY):
        (path / name).write_bytes(b"{")
    with pytest.raises(StoreError, match="Its copy is damaged too"):
        repair(path)


def test_rows_that_waited_for_their_commit_are_there_after_a_resume_and_after_a_repair(half, tmp_path):
    """A run killed between a row and its commit; the file of the row after it is half written."""
    rows = {"resume": [], "repair": []}
    for how in rows:
        path = tmp_path / f"{how}.zarr"
        shutil.copytree(half, path)
        document = json.loads((path / root.NAME).read_bytes())
        mark = document["attributes"][MARK]
        mark["rows"][1], mark["checkpoints"] = 10, [one for one in mark["checkpoints"] if one["rows"] <= 10]
        (path / root.NAME).write_bytes(root.sealed(document))
        torn = path / checkpoint.row_file(1, 12)
        torn.write_bytes((path / checkpoint.row_file(1, 11)).read_bytes()[:-1])
        assert verify(path).good and verify(path).waiting == {"b": 1}
        with open_store(path) as there:
            grown.check_prefix(there, [grown.ROWS, 10])
        if how == "repair":
            assert "b: rows 10 to 10 are committed from their checkpoints" in repair(path)
        else:
            grown.write(path, until=11)
        assert committed(path) == [grown.ROWS, 11] and not torn.exists() and not verify(path).waiting
        with open_store(path) as there:
            grown.check_prefix(there, [grown.ROWS, 11])
        grown.write(path)
        with open_store(path) as there:
            grown.check_prefix(there, [grown.ROWS] * 2)


def test_checkpoints_of_older_stores_are_read(tmp_path):
    """The first version was an npz behind its SHA-256; the second had its values in the order of a table."""
    arrays = {"signature": np.frombuffer(b"{}", np.uint8), "state/n": np.arange(6.0, dtype=np.float32).reshape(2, 3)}
    body = io.BytesIO()
    np.savez(body, **arrays)
    table = json.dumps([(name, v.dtype.str, v.shape) for name, v in arrays.items()]).encode()
    values = b"".join(v.tobytes() for v in arrays.values())
    second = len(table).to_bytes(8, "little") + table + values
    file = tmp_path / "0000-000001-00000001.ckpt"
    now = b"".join(checkpoint.packed(arrays))
    for version, content in ((1, body.getvalue()), (2, second), (3, None)):
        if content is not None:
            digest = hashlib.sha256(content).hexdigest().encode()
            content = b"tmepde checkpoint %d\n%s\n%s" % (version, digest, content)
        file.write_bytes(content or now)
        found = checkpoint.snapshot(file)
        assert found.keys() == arrays.keys()
        for name, values in arrays.items():
            assert found[name].dtype == values.dtype and np.array_equal(found[name], values)
    with pytest.raises(TypeError, match="must hold numbers"):
        checkpoint.packed({"a": np.asarray([{}])})


def test_an_array_of_row_and_state_is_written_once(tmp_path):
    values, other = np.arange(1000.0), np.ones(3)
    file = tmp_path / "0000-000001.row"
    file.write_bytes(
        b"".join(checkpoint.packed({"state/a": values, "b": other, "row/a": values, "row/b": values[::2]}))
    )
    assert file.stat().st_size < 8 * 1500 + 400
    found = checkpoint.unpacked(file)
    assert all(np.array_equal(found[name], values) for name in ("state/a", "row/a"))
    assert np.array_equal(found["b"], other) and np.array_equal(found["row/b"], values[::2])


def test_rows_outside_of_the_tissue_are_not_data_however_they_were_committed(tmp_path):
    """Rows are handed over whole; those committed at once, and those that waited when a run died, are NaN there."""
    path, mask = tmp_path / "run.zarr", np.ones((grown.CELLS, grown.CELLS), np.int8)
    mask[:7, 3:] = 0
    template = grown.template()
    template["mask"] = (("y", "x"), mask)
    with Lock(path) as lock:
        writer = StoreWriter.create(path, layout(template, grown.times()), lock)
        for index in range(2):
            writer.put(0, index, grown.row(0, index), {"rows": np.asarray(index + 1)})
            writer.flush()
        row = grown.row(0, 2)
        writer.abort()
        arrays = {checkpoint.ROW + name: values for name, values in row.items()}
        (path / checkpoint.row_file(0, 3)).write_bytes(b"".join(checkpoint.packed(arrays)))  # the run died behind it
    assert verify(path).waiting == {"a": 1} and repair(path)
    with open_store(path) as there:
        for index in range(3):
            for name, values in grown.row(0, index).items():
                wanted = np.where(mask, values, np.nan) if values.ndim else values
                assert np.array_equal(there[name][0, index].values, wanted, equal_nan=True), (name, index)


def test_whole_chunks_are_committed_first(tmp_path, monkeypatch):
    """Ten rows of the largest array make a chunk: rows 10 and 11 wait, so that their chunk is not written twice."""
    monkeypatch.setattr(stream, "SHARE", 10.0)
    path, commits = tmp_path / "run.zarr", []
    real = StoreWriter._commit_rows
    monkeypatch.setattr(StoreWriter, "_commit_rows", lambda s, a, rows: (commits.append(len(rows)), real(s, a, rows)))
    with Lock(path) as lock:
        writer = StoreWriter.create(path, layout(grown.template(), grown.times()), lock)
        writer._next = time.monotonic() + 1.0
        for index in range(grown.ROWS):
            writer.put(0, index, grown.row(0, index), {"rows": np.asarray(index + 1)})
        while committed(path)[0] < grown.ROWS:
            time.sleep(0.02)
        writer.close(False)
    assert commits == [10, 2]
    with open_store(path) as there:
        grown.check_prefix(there, [grown.ROWS, 0])


def plain(path, rows):
    """What ``xarray.open_zarr`` shows: every committed value; of what is not committed NaN or the very value that a
    resume commits, of at most one commit's rows. How many of those there are."""
    with xr.open_zarr(path) as there:
        longest, early = there.sizes["time"], set()
        assert longest == max(rows)
        for arm, count in enumerate(rows):
            for name in grown.FIELDS:
                values = there[name][arm].values
                for index in range(longest):
                    same = np.array_equal(values[index], grown.row(arm, index)[name])
                    assert same or (index >= count and np.isnan(values[index]).all()), (name, arm, index)
                    if same and index >= count:
                        early.add((arm, index))
    return len(early)


def full_disk_at(monkeypatch, count):
    """From the ``count``-th write, flush or rename on the disk is full; the calls made."""
    calls = []

    def wrapped(real):
        def act(*arguments, **options):
            calls.append(1)
            if len(calls) >= count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **options)

        return act

    for name in ("write", "fsync", "replace"):
        monkeypatch.setattr(os, name, wrapped(getattr(os, name)))
    return calls


@pytest.mark.slow
def test_a_disk_that_is_full_from_any_write_on_keeps_the_last_commit(half, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        path = tmp_path / "count.zarr"
        shutil.copytree(half, path)
        calls = full_disk_at(patch, 10**9)
        grown.write(path)
        total = len(calls)
    assert total > 20
    for count in range(1, total + 1):
        path = tmp_path / "run.zarr"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(half, path)
        with monkeypatch.context() as patch:
            full_disk_at(patch, count)
            with pytest.raises(WriteError, match=r"bytes needed, [\d,]+ bytes free"):
                grown.write(path)
        rows = committed(path)
        with open_store(path) as there:
            grown.check_prefix(there, rows)
        assert verify(path).good and not verify(path).leftovers
    grown.write(path)
    with open_store(path) as there:
        grown.check_prefix(there, [grown.ROWS] * 2)


@pytest.mark.slow
def test_readers_while_writing_see_committed_rows_only(tmp_path):
    path = tmp_path / "run.zarr"
    grown.write(path, until=0)
    shutil.rmtree(path)
    ended = threading.Event()

    def work():
        for k in range(10):
            here = path if k == 0 else tmp_path / f"run{k}.zarr"
            grown.write(here)
            paths.append(here)
        ended.set()

    paths = []
    threading.Thread(target=work, daemon=True).start()
    reads = 0
    while reads < 1000:
        here = tmp_path / f"run{len(paths)}.zarr" if paths else path
        if ended.is_set():
            here = paths[-1]
        if not here.exists():
            continue
        with open_store(here) as there:
            rows = list(there.attrs["committed_rows"])
            name = list(grown.FIELDS)[reads % 4]
            for arm, count in enumerate(rows):
                values = there[name][arm].values
                assert all(np.array_equal(values[i], grown.row(arm, i)[name]) for i in range(count)), rows
                assert np.isnan(values[count:]).all(), rows
        reads += 1
    assert len(paths) >= 1


LARGE = """
import resource, sys
from pathlib import Path
import numpy as np
import grown
from tmepde.io.layout import layout
from tmepde.io.lock import Lock
from tmepde.io.stream import StoreWriter
rows, cells = int(sys.argv[2]), 512
grown.CELLS = cells
base = {"oxygen": (cells, cells)}
random = np.random.default_rng(0)
with Lock(sys.argv[1]) as lock:
    writer = StoreWriter.create(Path(sys.argv[1]), layout(grown.template(base), np.arange(float(rows))), lock)
    block = (random.random((cells, cells), np.float32))
    writer.put(0, 0, {"oxygen": block}, None)
    writer.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for k in range(1, rows):
        writer.put(0, k, {"oxygen": block + np.float32(k)}, None)
    writer.close(True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def growth(folder, rows):
    """Peak memory in bytes that ``rows`` rows of 1 MiB cost more than the first."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROGRAM.parent), *sys.path])}
    command = [sys.executable, "-c", LARGE, str(folder / "run.zarr"), str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024


def test_memory_does_not_grow_with_the_output(tmp_path):
    assert growth(tmp_path, 200) < 40 * 2**20


@pytest.mark.slow
def test_output_of_fifty_times_the_memory_is_written(tmp_path):
    rows = 2000
    assert rows * 2**20 > 50 * growth(tmp_path, rows)


def test_the_store_of_a_sweep_is_said_to_be_one(tmp_path):
    (tmp_path / root.NAME).write_text(json.dumps({"attributes": {"tmepde_version": "0", "tmepde_kind": "sweep"}}))
    for look in (verify, repair):
        with pytest.raises(StoreError, match="store of a sweep"):
            look(tmp_path)


def test_no_warning_is_needed_to_read(whole):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_store(whole).load()
