"""From a file to a :class:`~tmepde.config.config.Config`: everything that can be wrong with a file, said plainly."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tmepde.config.assign import assign
from tmepde.config.errors import ConfigError, Problem

#: bytes of the largest config, and the deepest nesting
LARGEST, DEEPEST = 2**20, 50


def load(path: str | Path, overrides: Mapping[str, Any] | Iterable[str] = (), *, code: bool = False) -> Any:
    """Read, check and return a config; starts no JAX and writes nothing.

    Args:
        path: a TOML file in UTF-8 (a byte-order mark and CRLF are accepted).
        overrides: ``{"run.until": "5 day"}``, or texts ``"run.until=5 day"`` as on the command line.
        code: whether the config may name Python files and modules (``kind = "mine.py:Therapy"``), which are then run.

    Raises:
        ConfigError: with all problems found.
    """
    source = str(path)
    return loads(_text(Path(path), source), overrides, source, str(Path(path).parent), code=code)


def loads(
    text: str,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    source: str = "",
    folder: str = ".",
    *,
    code: bool = False,
) -> Any:
    """The same for TOML text; ``folder`` is where files that it names are looked up."""
    if not isinstance(text, str):
        raise _fail(source, f"The config must be text, but {type(text).__name__} was given. Decode it.")
    raw = _tables(text, source)
    problems = []
    pairs = overrides.items() if isinstance(overrides, Mapping) else [_split(one) for one in overrides]
    for key, value in ((key, _plain(value)) for key, value in pairs):
        problem = value if isinstance(value, Problem) else assign(raw, key, value)
        if problem:
            problems.append(problem)
    if problems:
        raise ConfigError(problems, source)
    from tmepde.config.config import validate

    return validate(raw, source, folder, code)


def _fail(source: str, message: str) -> ConfigError:
    return ConfigError([Problem("", message)], source)


def _text(path: Path, source: str) -> str:
    try:
        if path.is_dir():
            raise _fail(source, "The config must be a file, but this is a directory. Give the .toml file inside it.")
        size = path.stat().st_size
        if size > LARGEST:
            raise _fail(source, f"The config must be at most 1 MiB, but has {size / 2**20:.3g}. Give a config file.")
        with path.open("rb") as file:  # a device has no size, and maybe no end
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise _fail(source, "The config must be at most 1 MiB, but this does not end there. Give a config file.")
    except FileNotFoundError:
        raise _fail(source, f"The config must exist, but there is no file here.{_neighbours(path)}") from None
    except PermissionError:
        raise _fail(source, "The config must be readable, but permission was denied. Check its mode.") from None
    except OSError as error:
        raise _fail(source, f"The config must be readable, but: {error.strerror}. Check the path.") from None
    if not data.strip():
        raise _fail(source, "The config must not be empty. `tmepde new` writes one to start from.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "bytes that are not text"
        where = f"(first at byte {error.start})"
        raise _fail(source, f"The config must be UTF-8 text, but contains {found} {where}. Save it as UTF-8.") from None
    if "\x00" in text:
        raise _fail(source, "The config must be UTF-8 text, but contains zero bytes. Save it as UTF-8.")
    return text.replace("\r\n", "\n")


def _neighbours(path: Path) -> str:
    import difflib

    try:
        names = [p.name for p in path.parent.iterdir() if p.suffix == ".toml"]
    except OSError:
        return f" The folder {path.parent} does not exist either." if not path.parent.exists() else ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean {near[0]!r}?" if near else " Check the path."


def _tables(text: str, source: str) -> dict[str, Any]:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = re.search(r"\(at line (\d+), column (\d+)\)|\(at end of document\)", message)
        line = int(place.group(1)) if place and place.group(1) else text.count("\n") + 1
        column = f":{place.group(2)}" if place and place.group(2) else ""
        reason = re.sub(r"\s*\(at .*\)$", "", message)
        if "Cannot overwrite" in reason or "Cannot declare" in reason:
            reason += " (this key or table is given twice)"
        shown = text.splitlines()[line - 1].strip()[:80] if line <= len(text.splitlines()) else ""
        raise _fail(source, f"Line {line}{column} is not TOML: {reason}. It reads: {shown!r}. Correct it.") from None
    except (RecursionError, ValueError) as error:
        raise _fail(source, f"The config cannot be read: {type(error).__name__}: {error}. Simplify it.") from None
    if _depth(raw) > DEEPEST:
        raise _fail(source, f"The config must be nested at most {DEEPEST} deep, but goes deeper. Flatten it.")
    return raw


def _depth(raw: Any) -> int:
    """Nesting depth, without recursion."""
    deepest, todo = 0, [(raw, 1)]
    while todo:
        value, depth = todo.pop()
        deepest = max(deepest, depth)
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        todo += [(v, depth + 1) for v in inner if isinstance(v, dict | list)]
    return deepest


_KEY = re.compile(r'(?:[A-Za-z0-9_-]+|"[^"]+")(?:\.(?:[A-Za-z0-9_+-]+|"[^"]+"))*')


def _plain(value: Any) -> Any:
    """Numbers of numpy as those of Python, in lists too; anything else as it is."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def _split(text: str) -> tuple[str, Any]:
    """``a.b=VALUE``: the value is TOML, or text where it is not (shells eat the quotes of "5 um")."""
    if not isinstance(text, str):
        return "", Problem("overrides", f"must be texts KEY=VALUE, but {text!r} was given. Or give a mapping.")
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not value or not _KEY.fullmatch(key):
        return key, Problem("--set", f'must be KEY=VALUE, but {text!r} was given. Write --set run.until="5 day".')
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return key, value
