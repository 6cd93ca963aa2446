"""Odd environments: each ends in one sentence and exit 2 or 5, or the run goes on with at most one warning.

Numbers in the names are those of the project's list of faults. What needs a whole run is marked slow: a run is a
process of its own, some seconds each.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tmepde.cli import exits
from tmepde.cli.streams import Forgiving

CONFIG = """\
schema = 1
name = "µ-größe"
[grid]
kind = "radial"
radius = "400 um"
cells = 8
[tissue]
kind = "nodule"
radius = "200 um"
[run]
until = "1 hour"
save = { every = "1 hour", fields = ["oxygen"] }
"""
ASCII = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "größe µ.toml").write_text(CONFIG, "utf-8")
    return tmp_path


def shell(text: str, folder: Path, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """A bash command in which ``tmepde`` stands for the command line; variables set to ``None`` are removed."""
    environment = {**os.environ, **environment}
    known = {k: v for k, v in environment.items() if v is not None}
    text = text.replace("tmepde ", f"{sys.executable} -m tmepde.cli ")
    return subprocess.run(
        ["bash", "-c", text], capture_output=True, text=True, errors="replace", cwd=folder, env=known, timeout=300
    )


def one_line(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


# -- quick: no run ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", ["--xla_no_such_flag=3", "hello"])
def test_28_junk_in_xla_flags_is_named_before_anything_starts(flags: str, folder: Path) -> None:
    one_line(
        shell("tmepde check *.toml", folder, XLA_FLAGS=flags), 2, "XLA_FLAGS must hold flags that XLA knows", flags
    )


@pytest.mark.parametrize("name, value", [("JAX_ENABLE_X64", "banana"), ("JAX_DEFAULT_MATMUL_PRECISION", "foo")])
def test_28_a_variable_that_jax_cannot_read_is_named(name: str, value: str, folder: Path) -> None:
    done = shell("tmepde run *.toml -o out.zarr", folder, **{name: value})
    one_line(done, 2, f"{name} must be something that JAX knows, but is {value!r}")
    assert not (folder / "out.zarr").exists()


def test_28_good_xla_flags_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    from tmepde.cli import environment

    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    assert environment.problem() is None
    monkeypatch.delenv("XLA_FLAGS")
    assert environment.problem() is None


def test_28_an_unknown_platform_is_named(folder: Path) -> None:
    done = shell("tmepde check *.toml", folder, JAX_PLATFORMS="foo")
    one_line(done, 2, "JAX_PLATFORMS='foo' cannot be used", "Unset JAX_PLATFORMS")


@pytest.mark.parametrize("place", [">&-", ">/dev/full", "2>&-", "<&- >&- 2>&-", "| true"])
def test_23_a_list_into_nothing_is_quiet(place: str, folder: Path) -> None:
    done = shell(f"tmepde list parameters {place}; exit ${{PIPESTATUS[0]}}", folder)
    assert done.returncode == 0 and done.stderr == ""


def test_23_a_refusal_is_refused_where_nobody_listens(folder: Path) -> None:
    done = shell("tmepde check none.toml >&- 2>&-", folder)
    assert done.returncode == 2 and done.stderr == ""


def test_a_library_that_cannot_be_loaded_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """As JAX's where memory is limited (`ulimit -v`): the command ended with a traceback."""
    assert exits._known(ImportError("libx.so: failed to map segment", name="_x", path="/opt/_x.so")) == 5
    assert "A library cannot be loaded: libx.so: failed to map segment. Free memory" in capsys.readouterr().err


def test_23_streams_drop_what_cannot_be_written() -> None:
    class Full:
        encoding = "utf-8"

        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    stream = Forgiving(Full())
    assert stream.write("abc") == 3 and stream.encoding == "utf-8"
    print("abc", file=stream, flush=True)


def test_23_what_a_signal_writes_into_a_write_is_dropped() -> None:
    """The buffer raises where the handler of a signal writes while it is at work; a run ended with a traceback."""

    class Busy:
        def write(self, text: str) -> int:
            raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

        def flush(self) -> None:
            raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    print("SIGTERM", file=Forgiving(Busy()), flush=True)


def test_a_plain_terminal_gets_escapes_and_no_traceback(folder: Path) -> None:
    done = shell("tmepde list parameters growth; tmepde check 'größe µ.toml' --set name=3", folder, **ASCII)
    assert done.returncode == 2 and "Traceback" not in done.stderr and done.stdout.isascii()


@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM"])
def test_94_no_colours_where_none_are_wanted(variable: str, folder: Path) -> None:
    done = shell("tmepde list interventions; tmepde --help", folder, **{variable: {"TERM": "dumb"}.get(variable, "1")})
    assert done.returncode == 0 and "\x1b[" not in done.stdout + done.stderr


def test_18_a_cache_that_cannot_be_used_is_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import jax

    from tmepde import _cache

    file = tmp_path / "file"
    file.write_text("x")
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        for place in (file, Path("/proc/none")):
            monkeypatch.setenv("TMEPDE_CACHE", str(place))
            with pytest.warns(UserWarning, match="Compiled programs are not kept: .* cannot be used") as told:
                said = _cache.keep_programs.__wrapped__()
            assert len(told) == 1 and said.startswith("off, ")
        assert file.read_text() == "x"
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_25_a_fork_after_the_start_of_jax_is_warned_of(folder: Path) -> None:
    code = (
        "import os, tmepde, jax; jax.numpy.zeros(3).block_until_ready(); pid = os.fork();"
        "os._exit(0) if pid == 0 else os.waitpid(pid, 0)"
    )
    done = shell(f'{sys.executable} -W always -c "{code}"', folder)
    assert done.returncode == 0 and "os.fork() is incompatible with multithreaded code" in done.stderr


# -- slow: whole runs -------------------------------------------------------------------------------------------------

RUN = "tmepde run *.toml -o out.zarr -q"
GOES_ON: dict[str, tuple[str, dict[str, str | None], int]] = {
    # name: (command, environment, warnings)
    "18 no home": (RUN, {"HOME": None, "TMEPDE_CACHE": None, "XDG_CACHE_HOME": None}, 0),
    "18 read-only home": (RUN, {"HOME": "/proc/1/none", "TMEPDE_CACHE": None, "XDG_CACHE_HOME": None}, 1),
    "18 the cache is a file": (RUN, {"TMEPDE_CACHE": "FOLDER/größe µ.toml"}, 1),
    "18 no temporary folder": (RUN, {"TMPDIR": "/proc/none"}, 0),
    "23 no standard output": (f"{RUN} >&-", {}, 0),
    "23 no standard error": (f"{RUN} 2>&-", {}, 0),
    "23 nothing open": (f"{RUN} <&- >&- 2>&-", {}, 0),
    "23 standard output full": (f"{RUN} >/dev/full 2>/dev/full", {}, 0),
    "24 64 open files": (f"ulimit -n 64; {RUN}", {}, 0),
    "28 no visible device": (RUN, {"CUDA_VISIBLE_DEVICES": ""}, 0),
    "93 broken pipe": (f"{RUN} | true; exit ${{PIPESTATUS[0]}}", {}, 0),
    "95 an ASCII locale": (RUN, dict(ASCII), 0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", GOES_ON)
def test_a_run_goes_on(name: str, folder: Path, pytestconfig: pytest.Config) -> None:
    command, environment, warnings = GOES_ON[name]
    environment = {k: v and v.replace("FOLDER", str(folder)) for k, v in environment.items()}
    kept = {"TMEPDE_CACHE": str(pytestconfig.cache.mkdir("programs"))}  # so that one of them compiles for all
    done = shell(command, folder, **{**kept, **environment})
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning:") == warnings == len(done.stderr.strip().splitlines())
    from tmepde.io import open_store

    assert float(open_store(folder / "out.zarr")["oxygen"].isel(time=-1).min()) > 0


@pytest.mark.slow
def test_18_a_damaged_cache_is_compiled_around_with_one_warning(folder: Path) -> None:
    place = folder / "cache"
    assert shell(RUN, folder, TMEPDE_CACHE=str(place)).returncode == 0
    kept = [p for p in place.rglob("*-cache") if p.is_file()]
    assert kept
    for how in (lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"garbage" * 100, lambda b: bytes(len(b))):
        contents = {p: p.read_bytes() for p in kept}
        for path, content in contents.items():
            path.write_bytes(how(content))
        done = shell(f"{RUN} --overwrite", folder, TMEPDE_CACHE=str(place))
        assert done.returncode == 0 and "Traceback" not in done.stderr
        assert 1 <= len(done.stderr.strip().splitlines()) <= len(kept)
        for path, content in contents.items():
            path.write_bytes(content)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no terminals that hang up")
def test_a_terminal_that_is_closed_stops_a_run_and_nohup_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps under way are committed; ignored, as nohup does it, the signal stays ignored."""
    from tmepde.cli.stopping import Stopping

    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with Stopping() as stop:
            assert not stop()
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop() and (stop.reason, stop.code) == ("SIGHUP", 129)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with Stopping() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_interrupt_that_a_library_swallows_is_heeded_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from tmepde.cli import interrupts
    from tmepde.cli.stopping import Stopping

    monkeypatch.setattr(interrupts, "_heard", [])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        interrupts.listen()
        with pytest.raises(KeyboardInterrupt):  # where a callback of a library would have dropped it
            os.kill(os.getpid(), signal.SIGINT)
            signal.pthread_sigmask(signal.SIG_BLOCK, ())
        with pytest.raises(KeyboardInterrupt), Stopping():
            pytest.fail("the run began")
    finally:
        signal.signal(signal.SIGINT, before)


EARLY = """
import os, signal, sys
class Importing:
    def find_spec(self, name, *_):
        if name == "tmepde.cli.app":
            os.kill(os.getpid(), signal.{name})
sys.meta_path.insert(0, Importing())
from tmepde.cli import main
main()
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGUSR1", 75)])
def test_a_signal_is_heard_from_the_beginning(name: str, code: int) -> None:
    """The first ended with a traceback, the second with 138, which is no code of a command."""
    done = subprocess.run([sys.executable, "-c", EARLY.format(name=name)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (code, "")


def test_what_the_machine_refuses_is_told_with_the_file(folder: Path) -> None:
    one_line(shell("tmepde new radial_1d /proc/x", folder), 5, "/proc/x cannot be used: no such file", "Check the path")
    one_line(shell("tmepde sweep batch nope 0", folder), 2, "There is no store at nope")
    one_line(shell("tmepde bench w1 --quick --out /proc/x", folder), 2, "/proc/x cannot be written")
    (folder / "own.txt").write_text("mine")
    done = shell("tmepde --allow-code", folder)
    assert done.returncode == 2 and "Usage" in done.stdout
