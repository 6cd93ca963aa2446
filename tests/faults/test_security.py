"""Nothing from a config, a store or a picture runs code, leaves its folder, fills the memory or speaks HTML."""

from __future__ import annotations

import ast
import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tmepde import config
from tmepde.grid import Grid
from tmepde.io import StoreError, open_store, verify

SOURCE = Path(__file__).parents[2] / "src" / "tmepde"
FORBIDDEN_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "code", "pty"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
#: where Python named by the user is run, behind --allow-code or an installed entry point
RUNS_PYTHON = {"interventions/registry.py"}


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def unsafe(tree: ast.AST) -> list[str]:
    """Forbidden imports and calls of a module."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            name = _name(node.func)
            keywords = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
            if name in FORBIDDEN_CALLS or name.endswith(".exec_module"):
                found.append(name)
            if name in ("np.load", "numpy.load") and keywords.get("allow_pickle") is not False:
                found.append(f"{name} without allow_pickle=False")
            if name.startswith("subprocess.") and keywords.get("shell"):
                found.append(f"{name} with a shell")
    return found


def test_no_module_runs_text_or_pickles() -> None:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        bad = unsafe(ast.parse(path.read_text("utf-8")))
        where = path.relative_to(SOURCE).as_posix()
        if bad and not (where in RUNS_PYTHON and set(bad) == {"spec.loader.exec_module"}):
            found[where] = bad
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')",
        "import pickle",
        "from dill import x",
        "np.load(f)",
        "subprocess.run(x, shell=True)",
        "os.system('x')",
    ],
)
def test_the_search_finds_what_it_looks_for(text: str) -> None:
    assert unsafe(ast.parse(text))


# -- configs ----------------------------------------------------------------------------------------------------------

BASE = """\
schema = 1
[grid]
kind = "radial"
radius = "500 um"
cells = 16
[tissue]
kind = "nodule"
radius = "200 um"
[run]
until = "1 day"
"""
EVIL = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"


@pytest.mark.parametrize("kind", ["evil.py:Therapy", "os:system", "evil:Therapy", "../{folder}/evil.py:Therapy"])
def test_a_config_alone_runs_no_python(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMEPDE_ALLOW_CODE", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil.py").write_text(EVIL)
    text = BASE + f'[interventions.a]\nkind = "{kind.format(folder=tmp_path.name)}"\n'
    with pytest.raises(config.ConfigError, match=r"interventions.a.kind` would run Python code.*--allow-code"):
        config.loads(text, folder=str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_python_runs_where_it_was_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(EVIL)
    text = BASE + '[interventions.a]\nkind = "mine.py:Therapy"\n'
    with pytest.raises(config.ConfigError, match="cannot be used"):  # it ran, and holds no such class
        config.loads(text, folder=str(tmp_path), code=True)
    assert (tmp_path / "ran").exists()
    (tmp_path / "ran").unlink()
    (tmp_path / "mine.py").write_text(EVIL + "# edited: what is unchanged is run once in a process\n")
    monkeypatch.setenv("TMEPDE_ALLOW_CODE", "1")
    with pytest.raises(config.ConfigError, match="cannot be used"):
        config.loads(text, folder=str(tmp_path))
    assert (tmp_path / "ran").exists()


def test_what_a_config_says_cannot_steer_a_terminal() -> None:
    text = BASE.replace("[run]", '[interventions."\\u001b[2J"]\nkind = "\\u001b]0;x\\u0007"\n[run]')
    with pytest.raises(config.ConfigError) as caught:
        config.loads(text, {"grid.\x1b[31m": 1})
    assert "\x1b" not in str(caught.value) and "\x07" not in str(caught.value)


# -- pictures ---------------------------------------------------------------------------------------------------------


def _png(path: Path, width: int, height: int) -> Path:
    """A PNG that declares a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("size", [(30_000, 20_000), (15_000, 14_000)])
def test_a_picture_that_declares_too_many_pixels_is_not_unpacked(size: tuple[int, int], tmp_path: Path) -> None:
    from tmepde.region.stains import read

    with pytest.raises(ValueError, match="at most 1.75e.08 pixels.*Crop or bin it"):
        read(_png(tmp_path / "bomb.png", *size))


def test_a_picture_of_another_folder_is_the_users_business(tmp_path: Path) -> None:
    """Absolute paths and ``..`` in a config are legal: it is the user who names the file, and only pixels are read."""
    (tmp_path / "deep").mkdir()
    _png(tmp_path / "a.png", 100, 100)
    text = (
        BASE.split("[grid]")[0]
        + '[tissue]\nkind = "image"\nimage = "{}"\npixel_size = "1 um"\ncell_size = "4 um"\n[run]\nuntil = "1 day"\n'
    )
    for path in ("../a.png", str(tmp_path / "a.png")):
        assert config.loads(text.format(path), folder=str(tmp_path / "deep")).tissue.image == path
    with pytest.raises(config.ConfigError, match=r"`tissue.image` must be a picture file"):
        config.loads(text.format("no.png"), folder=str(tmp_path))


# -- stores -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Path:
    import xarray as xr

    from tmepde.io import write_store

    data = xr.Dataset({"oxygen": (("time", "x"), np.ones((2, 8), np.float32))}, coords={"time": [0.0, 1.0]})
    data.attrs["tmepde_version"] = "0"
    return write_store(data, tmp_path / "a.zarr")


def refused(store: Path) -> str:
    with pytest.raises(StoreError) as caught:
        open_store(store)
    return str(caught.value)


def test_102_an_array_that_is_a_link_is_refused(store: Path, tmp_path: Path) -> None:
    (store / "oxygen").rename(tmp_path / "elsewhere")
    (store / "oxygen").symlink_to(tmp_path / "elsewhere")
    assert "`oxygen` is a link to" in refused(store)


def test_102_a_chunk_that_is_a_link_is_refused(store: Path) -> None:
    chunk = next(p for p in (store / "oxygen").rglob("*") if p.is_file() and p.name != "zarr.json")
    chunk.unlink()
    chunk.symlink_to("/etc/passwd")
    assert "is a link to /etc/passwd" in refused(store)
    with pytest.raises(StoreError, match="is a link to /etc/passwd"):  # it was found good
        verify(store)


def test_102_what_is_no_store_is_not_looked_through(tmp_path: Path) -> None:
    """`tmepde report /tmp` complained of the sockets there."""
    os.mkfifo(tmp_path / "pipe")
    assert "is not a zarr store" in refused(tmp_path)


def test_102_a_pipe_in_a_store_is_refused_and_not_waited_for(store: Path) -> None:
    os.mkfifo(store / "oxygen" / "pipe")
    assert "neither a file nor a folder" in refused(store)


@pytest.mark.parametrize("key", ["../../secret", "/etc", "a/../../b", "..\\b", "C:/x"])
def test_102_keys_that_leave_the_store_are_refused(store: Path, key: str) -> None:
    root = store / "zarr.json"
    document = json.loads(root.read_text())
    document["consolidated_metadata"] = {
        "kind": "inline",
        "must_understand": False,
        "metadata": {key: {"node_type": "array"}},
    }
    root.write_text(json.dumps(document))
    assert "outside the store" in refused(store)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": [10**15, 10**6]}, "declares the shape"),
        ({"shape": [10**12]}, "declares the shape"),
        ({"shape": [-1, 8]}, "no numbers of cells"),
        ({"shape": "many"}, "no numbers of cells"),
        ({"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [10**6, 10**6]}}}, "declares the chunks"),
    ],
)
def test_giant_shapes_are_refused_before_anything_is_allocated(store: Path, change: dict[str, Any], words: str) -> None:
    path = store / "oxygen" / "zarr.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert words in refused(store)


def test_101_a_store_cut_short_is_refused(store: Path) -> None:
    chunk = next(p for p in (store / "oxygen").rglob("*") if p.is_file() and p.name != "zarr.json")
    chunk.write_bytes(chunk.read_bytes()[:-1])
    assert "oxygen" in refused(store)


def test_103_a_store_of_other_software_is_named(tmp_path: Path) -> None:
    import xarray as xr

    xr.Dataset({"a": ("x", np.ones(3))}).to_zarr(tmp_path / "b.zarr", zarr_format=3, consolidated=False)
    assert "was not written by tmepde" in refused(tmp_path / "b.zarr")


def test_104_a_changed_chunk_is_an_error_when_read(store: Path) -> None:
    from tmepde.io import open_store

    chunk = next(p for p in (store / "oxygen").rglob("*") if p.is_file() and p.name != "zarr.json")
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(bytes(data))
    with pytest.raises(Exception, match=r"(?i)checksum|crc|oxygen"):
        open_store(store)["oxygen"].load()


# -- the report -------------------------------------------------------------------------------------------------------


def test_names_from_a_store_are_text_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "unit"))
    import synthetic

    from tmepde.io import combine_arms
    from tmepde.region import Region
    from tmepde.report.page import render

    evil = '<script>alert("x")</script>'
    region = Region.nodule(Grid.square(480.0, 12), radius=150.0)
    arms = {
        evil: synthetic.solution(region, 1.0, 0.3, 0.0),
        r"$\frac{a}" + "&'<img src=x onerror=y>": synthetic.solution(region, 0.0, 0.0, 0.0),
    }
    data = combine_arms(arms, region=region, config_text=f"# {evil}", name=evil)
    data["message"] = data["message"].copy(data=np.array([evil, '" onmouseover="x']))
    data["status"] = data["status"].copy(data=np.array([evil, "diverged"]))
    for name in data.data_vars:
        data[name].attrs["long_name"] = f"{name} {evil}"
    data["oxygen"].attrs["units"] = evil
    for key in ("device", "git_commit", "platform", "tmepde_version", "config_hash", "created"):
        data.attrs[key] = evil
    rows = json.loads(data.attrs["parameters"])
    for row in rows if isinstance(rows, list) else []:
        row.update({"doc": evil, "ref": evil})
    data.attrs["parameters"] = json.dumps(rows)
    page = render(data)
    for bad in ("<script", "<img src=x", 'onmouseover="x'):
        assert bad not in page
    assert "&lt;script&gt;" in page
