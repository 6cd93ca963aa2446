"""Finding an intervention class by the name a configuration gives it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tmepde.coefficients import unknown
from tmepde.interventions.base import Intervention

#: entry-point group through which packages offer interventions
GROUP = "tmepde.interventions"


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
        where, _, name = kind.rpartition(":")
        module = _from_file(where, beside) if where.endswith(".py") else _from_module(where)
        if not hasattr(module, name):
            known = [n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, Intervention)]
            raise ValueError(unknown(f"class in {where!r}", name, known))
        return _checked(getattr(module, name), kind)
    raise ValueError(unknown("intervention kind", kind, names(builtin)))


def _checked(found: Any, kind: str) -> Any:
    if not (isinstance(found, type) and issubclass(found, Intervention)):
        raise ValueError(f"{kind!r} must be a subclass of tmepde.Intervention, but it is {found!r}.")
    return found


def _from_file(where: str, beside: str) -> Any:
    path = (Path(beside) / where).resolve()
    if not path.is_file():
        raise ValueError(f'There is no file {where!r} beside the configuration. Write `kind = "file.py:Class"`.')
    spec = importlib.util.spec_from_file_location(f"_tmepde_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _from_module(where: str) -> Any:
    try:
        return importlib.import_module(where)
    except ImportError as error:
        raise ValueError(
            f"There is no module {where!r} ({error}). Install it, or name a file as `file.py:Class`."
        ) from None
