"""The Python files that a class of the user's own is made of: the file that is named and what it imports beside it.

Found by reading, not by running: ``import`` statements anywhere in a file, followed into files of the same folder (or
package). What is imported by a name that is computed, and data that a file reads, are not seen.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType


def of_file(path: Path) -> dict[str, Path]:
    """``path`` and the files of its folder that it imports, and those they import, by name from that folder."""
    return _followed(path.resolve(), path.resolve().parent, "")


def of_module(name: str) -> dict[str, Path]:
    """The same of an installed module, within its own package; empty for one without a Python file."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return {}
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return {}
    path = Path(spec.origin).resolve()
    above = len(name.split(".")) - (spec.submodule_search_locations is None)
    return _followed(path, path.parents[above], name.partition(".")[0])


def digests(files: dict[str, Path]) -> dict[str, str]:
    """SHA-256 of each file, by its name."""
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(files.items())}


def _followed(first: Path, root: Path, package: str) -> dict[str, Path]:
    """Files below ``root`` that can be reached from ``first``; of one ``package`` only, where one is given."""
    found: dict[str, Path] = {}
    waiting = [first]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(root).as_posix()
        if name not in found:
            found[name] = path
            waiting += [one for parts, base in _imports(path, root, package) for one in _files(base, parts)]
    return found


def _imports(path: Path, root: Path, package: str) -> Iterator[tuple[list[str], Path]]:
    """(dotted name in parts, folder that it starts from) of every import statement that may lead to a file here."""
    try:
        stat = path.stat()
    except OSError:
        return
    for name, level in _statements(path, stat.st_mtime_ns, stat.st_size):
        if level > len(path.relative_to(root).parts):
            continue  # leads out of the folder: Python refuses it too
        base, parts = path.parents[level - 1] if level else root, name.split(".")
        if not (package and base == root and parts[0] != package):
            yield parts, base


@functools.lru_cache(maxsize=1024)
def _statements(path: Path, time: int, size: int) -> tuple[tuple[str, int], ...]:
    """(dotted name, leading dots) of the imports of a file, read again where its ``time`` or ``size`` is another."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    found: list[tuple[str, int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = f"{node.module}." if node.module else ""
            found += [(f"{start}{alias.name}", node.level) for alias in node.names]
    return tuple(found)


def _files(base: Path, parts: list[str]) -> Iterator[Path]:
    """Files that importing ``a.b.c`` from ``base`` runs: of the packages on the way, and of the last module."""
    for k in range(1, len(parts) + 1):
        place = base.joinpath(*parts[:k])
        for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if file.is_file():
                yield file


#: the folder of the config whose Python file was run last: at the end of ``sys.path``, so that it shadows nothing
_beside: list[str] = []


@contextlib.contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """Modules of ``folder`` can be imported, from now on and until the next folder; those imported meanwhile are
    forgotten again, since another config may have one of the same name, and an edited one must be read anew."""
    for old in _beside:
        with contextlib.suppress(ValueError):
            sys.path.remove(old)
    sys.path.append(str(folder))
    _beside[:] = [str(folder)]
    importlib.invalidate_caches()
    before = set(sys.modules)
    try:
        yield
    finally:
        for name in set(sys.modules) - before:
            if _lies_in(sys.modules[name], folder):
                del sys.modules[name]


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and folder in Path(file).resolve().parents and "site-packages" not in Path(file).parts
