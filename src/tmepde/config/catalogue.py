"""Writes ``catalogue.json``: everything that has a name, with units, meanings, bounds and sources, from the classes.

The command line and the config checks read that file, so that they start no JAX. After a change of a parameter run
``python -m tmepde.config.catalogue``; a test fails while the file is out of date.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import typing
from pathlib import Path
from typing import Any

from tmepde import library
from tmepde.grid import Grid
from tmepde.interventions import REGISTRY as INTERVENTIONS
from tmepde.interventions.reviews import STRATEGIES
from tmepde.library import milieu_of
from tmepde.parameter import parameters
from tmepde.physiology import MILIEU, OPTIONAL
from tmepde.physiology import REGISTRY as PROCESSES
from tmepde.schedule import Schedule

TARGET = Path(__file__).with_name("catalogue.json")


def describe(cls: Any) -> dict[str, Any]:
    """One class: its documentation and every key that a config may give it."""
    entry: dict[str, Any] = {"class": f"{cls.__module__}:{cls.__qualname__}", **_documentation(cls)}
    entry["parameters"] = {name: _parameter(cls, one) for name, one in parameters(cls).items()}
    hints = _hints(cls)
    for field in dataclasses.fields(cls):
        if field.init and field.name not in entry["parameters"]:
            _field(entry, field, hints.get(field.name))
    return entry


def _documentation(cls: Any) -> dict[str, str]:
    """First paragraph (the equation, where there is one) and the rest of the docstring."""
    first, _, rest = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")
    return {"doc": " ".join(first.split()), "notes": rest.strip()}


def _parameter(cls: Any, one: Any) -> dict[str, Any]:
    field = next(f for f in dataclasses.fields(cls) if f.name == one.name)
    entry = {"unit": one.unit, "doc": one.doc, "default": one.default, "bounds": list(one.bounds)}
    entry |= {"ref": one.ref, "status": one.status}
    return entry | ({"required": True} if field.default is dataclasses.MISSING else {})


def _hints(cls: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except (NameError, TypeError):
        return {}


def _field(entry: dict[str, Any], field: Any, hint: Any) -> None:
    """A field that is not a parameter: a schedule, a nested module, or a choice."""
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    inner = [hint, *typing.get_args(hint)]
    schedule, choice = field.metadata.get("schedule"), field.metadata.get("choice")
    part = next((t for t in inner if dataclasses.is_dataclass(t) and t is not Schedule), None)
    if schedule or Schedule in inner:
        told = schedule or {"unit": "1", "doc": "doses"}
        entry.setdefault("schedules", {})[field.name] = {**told, "required": required}
    elif part is not None:
        entry.setdefault("parts", {})[field.name] = {**describe(part), "required": required}
    elif isinstance(field.default, str | bool | int):
        option: dict[str, Any] = {"type": type(field.default).__name__, "default": field.default}
        if choice:
            option |= {"doc": choice["doc"], "choices": list(choice["options"])}
        entry.setdefault("options", {})[field.name] = {"doc": "", **option}


def _intervention(cls: Any) -> dict[str, Any]:
    """An intervention with the species it brings."""
    entry = describe(cls)
    doses = {name: Schedule(0.0, 0.0, 1.0) for name, one in entry.get("schedules", {}).items() if one["required"]}
    return {
        **entry,
        "requires": list(cls.requires),
        "strategies": {str(number): STRATEGIES[number] for number in cls.reviews},
        "species": _species(cls(**doses).species(Grid.point())),
    }


def _species(species: Any) -> dict[str, Any]:
    return {n: {"kind": s.kind, "unit": s.unit, "long_name": s.long_name} for n, s in species.items()}


def _model(kind: str) -> dict[str, Any]:
    """A model with its species, processes and presets."""
    builder = library.MODELS[kind]
    built = builder(Grid.line(1000.0, 8), milieu="full")
    options = {}
    for name, sets in _presets().items():
        default = inspect.signature(builder).parameters[name].default
        option = {
            "type": "str",
            "default": default,
            "choices": list(sets),
            "doc": "preset; values given explicitly win",
        }
        options[name] = {**option, "sets": sets}
    options["milieu"]["groups"] = {n: list(milieu_of(n)) for n in options["milieu"]["choices"]}
    entry = {**describe(library.BUILDERS[kind]), **_documentation(builder)}
    core = sorted(n for n in built.processes if n not in OPTIONAL)
    optional = {n: list(OPTIONAL[n].requires) for n in sorted(OPTIONAL)}
    return {
        **entry,
        "options": options,
        "species": _species(built.species),
        "processes": core,
        "optional": optional,
        "brought": {n: sorted(built.processes[n].brings(built.base)) for n in sorted(OPTIONAL)},
    }


def _presets() -> dict[str, Any]:
    """Presets by option, weakest first: values of the model, and below ``processes`` those of its processes."""
    return {**library.PRESETS, "milieu": {name: {} for name in ("core", "full", *MILIEU)}}


def catalogue() -> dict[str, Any]:
    """The whole catalogue, from the registries."""
    return {
        "models": {kind: _model(kind) for kind in sorted(library.MODELS)},
        "published": {name: describe(cls) for name, cls in sorted(library.PUBLISHED.items())},
        "processes": {name: describe(cls) for name, cls in sorted({**PROCESSES, **OPTIONAL}.items())},
        "interventions": {kind: _intervention(cls) for kind, cls in sorted(INTERVENTIONS.items())},
    }


def text() -> str:
    """The file's content."""
    return json.dumps(catalogue(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), "utf-8")
