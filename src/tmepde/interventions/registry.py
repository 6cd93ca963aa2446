"""Finding an intervention class by the name a configuration gives it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tmepde._sources import digests, importing_from, of_file
from tmepde.coefficients import unknown
from tmepde.interventions.base import Intervention

#: entry-point group through which packages offer interventions
GROUP = "tmepde.interventions"
#: files that were run, with what they then held: the same text gives the same classes, and with them the same programs
_run: dict[Path, tuple[dict[str, str], Any]] = {}


def names(builtin: Mapping[str, Any]) -> list[str]:
    """Every name that can be resolved without a file: built-in and from installed packages."""
    return sorted({*builtin, *(point.name for point in importlib.metadata.entry_points(group=GROUP))})


def resolve_from(builtin: Mapping[str, Any], kind: str, beside: str) -> Any:
    """The class ``kind`` stands for; see :func:`tmepde.interventions.resolve`."""
    if kind in builtin:
        return builtin[kind]
    for point in importlib.metadata.entry_points(group=GROUP):
        if point.name == kind:
            return _checked(point.load(), kind)
    if ":" in kind:
        return _checked(load(kind, beside, Intervention), kind)
    raise ValueError(unknown("intervention kind", kind, names(builtin)))


def _checked(found: Any, kind: str) -> Any:
    if not (isinstance(found, type) and issubclass(found, Intervention)):
        raise ValueError(f"{kind!r} must be a subclass of tmepde.Intervention, but it is {found!r}.")
    return found


def load(kind: str, beside: str, base: type) -> Any:
    """What ``"file.py:Class"`` (a file in ``beside``) or ``"package.module:Class"`` names; runs that code.

    Args:
        base: of the classes that are named where there is no such class.

    Raises:
        ValueError: if the file or the name does not exist, or the file cannot be run, with its line.
    """
    where, _, name = kind.rpartition(":")
    module = _from_file(where, beside) if where.endswith(".py") else _from_module(where)
    if not hasattr(module, name):
        own = [n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, base) and v is not base]
        raise ValueError(unknown(f"class in {where!r}", name, own))
    return getattr(module, name)


def _from_file(where: str, beside: str) -> Any:
    path = (Path(beside) / where).resolve()
    if not path.is_file():
        raise ValueError(f'There is no file {where!r} beside the configuration. Write `kind = "file.py:Class"`.')
    content = digests(of_file(path))
    if path in _run and _run[path][0] == content:
        return _run[path][1]
    spec = importlib.util.spec_from_file_location(f"_tmepde_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        with importing_from(path.parent):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the author's code raises
        raise ValueError(f"The file {where!r} must run, but{_line(error, path)} {_said(error)}. Correct it.") from error
    _run[path] = content, module
    return module


def _line(error: BaseException, path: Path) -> str:
    """``" in line N:"``, the last line of ``path`` that the error went through."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f" in line {error.lineno}:"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f" in line {lines[-1]}:" if lines else ""


def _said(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{type(error).__name__}: {text}".rstrip(".: ")


def _from_module(where: str) -> Any:
    try:
        return importlib.import_module(where)
    except (ImportError, TypeError, ValueError) as error:
        raise ValueError(
            f"There is no module {where!r} ({error}). Install it, or name a file as `file.py:Class`."
        ) from None
    except (Exception, SystemExit) as error:  # whatever the author's code raises
        raise ValueError(f"The module {where!r} must run, but {_said(error)}. Correct it.") from error
