"""Sections for processes, interventions and models, made from the catalogue (which is made from the classes)."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata, resources
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from tmepde._sources import of_file, of_module
from tmepde.config.dosing import dose
from tmepde.config.section import Quantity, Section, at, by_kind, section_class, shown, wrong


@functools.cache
def catalogue() -> dict[str, Any]:
    """Everything that has a name: models, processes, species, interventions and their parameters; starts no JAX."""
    return json.loads(resources.files("tmepde.config").joinpath("catalogue.json").read_text("utf-8"))


def section_of(name: str, entry: Mapping[str, Any], kind: str | None = None, **extra: Any) -> type[Section]:
    """The section class of one catalogue entry.

    Args:
        name: of the new class.
        entry: with "parameters", "schedules", "options" and "parts".
        kind: the value of the key ``kind``, if the section has one.
        extra: more pydantic fields.
    """
    fields: dict[str, Any] = {} if kind is None else {"kind": (Literal[kind], kind)}
    for key, one in entry.get("parameters", {}).items():
        fields[key] = (Annotated[Any, quantity(one)], ... if one.get("required") else _default(one["default"]))
    for key, one in entry.get("schedules", {}).items():
        fields[key] = (Annotated[Any, PlainValidator(dose(one["unit"]))], ... if one.get("required", True) else None)
    for key, one in entry.get("options", {}).items():
        fields[key] = (Annotated[Any, PlainValidator(functools.partial(_option, one))], one["default"])
    for key, one in entry.get("parts", {}).items():
        part = section_of(f"{name}_{key}", one)
        fields[key] = (part, ... if one["required"] else Field(default_factory=part))
    return section_class(name, {**fields, **extra})


def quantity(parameter: Mapping[str, Any]) -> Quantity:
    """A parameter of the catalogue as a field type; one without a default value may be a list (a place, say)."""
    low, high = parameter["bounds"]
    many = "may" if parameter["default"] is None else "no"
    return Quantity(parameter["unit"], low=low, high=high, doc=parameter["doc"], many=many)


def _default(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _option(option: Mapping[str, Any], value: Any) -> Any:
    """A value that is not a quantity: a choice, a switch or a word."""
    choices, default = option.get("choices"), option["default"]
    if choices and value not in choices:
        from tmepde.config.errors import suggest

        listed = ", ".join(repr(c) for c in choices)
        raise wrong(f"must be one of {listed}, but {shown(value)} was given. {suggest(str(value), map(str, choices))}")
    wanted = {"bool": (bool, "true or false"), "str": (str, "text in quotes"), "int": (int, "a whole number")}
    kind, words = wanted.get(option["type"], (object, ""))
    if value is default or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return value
    raise wrong(f"must be {words}, but {shown(value)} was given. Write {words}.")


@functools.cache
def intervention_kinds() -> dict[str, type[Section]]:
    """Section classes of the interventions that tmepde brings."""
    return {k: section_of(f"Intervention_{k}", e, kind=k) for k, e in catalogue()["interventions"].items()}


@functools.cache
def process_section(name: str) -> type[Section]:
    """The section of one process: its parameters, and ``enabled``."""
    return section_of(f"Process_{name}", catalogue()["processes"][name], enabled=(bool, True))


def intervention_section(table: Any, beside: str = ".", code: bool = False) -> Section:
    """Validate ``[interventions.NAME]``: a built-in kind, one from a package, or ``"file.py:Class"`` in ``beside``.

    The last runs the file, which needs ``code=True`` or :func:`code_allowed`.
    """
    kinds: dict[str, type[Section]] = dict(intervention_kinds())
    kind = table.get("kind") if isinstance(table, Mapping) else None
    if isinstance(kind, str) and kind not in kinds and is_foreign(kind):

        def find() -> Any:
            from tmepde.interventions import resolve

            return resolve(kind, beside)

        kinds[kind] = _foreign_section("Intervention_foreign", kind, find, code)
    return by_kind(kinds)(table)


def _foreign_section(name: str, kind: str, find: Callable[[], Any], code: bool) -> type[Section]:
    """The section of a class that is not in the catalogue: it must be imported to be known, which starts JAX."""
    if ":" in kind and not (code or code_allowed()):
        raise at(
            "kind",
            f"would run Python code, {shown(kind)}, which a config may not do by itself. If you trust that file, "
            "write `tmepde --allow-code COMMAND …`, or config.load(path, code=True).",
            kind,
        )
    from tmepde.config.catalogue import describe

    try:
        entry = describe(find())
        _free_names(kind, entry)
        return section_of(name, entry, kind=kind)
    except ValueError as error:
        raise at("kind", f"cannot be used: {error}", kind) from None


def _free_names(kind: str, entry: Mapping[str, Any]) -> None:
    """Refuse parameters that are called like something that every section of a config has."""
    for group in ("parameters", "schedules", "options", "parts"):
        for key in entry.get(group, {}):
            if key == "kind" or hasattr(Section, key):
                raise ValueError(f"{kind!r} has a parameter {key!r}, a word that configs use themselves. Rename it.")


def code_allowed() -> bool:
    """Whether configs may name Python files: the flag ``--allow-code``, which worker processes inherit."""
    return os.environ.get("TMEPDE_ALLOW_CODE", "") == "1"


def is_foreign(kind: str) -> bool:
    """Whether ``kind`` names a class outside of tmepde: of a file, or an entry point of an installed package."""
    return ":" in kind or kind in foreign_kinds()


def foreign_kinds() -> list[str]:
    """Names that installed packages offer as interventions."""
    return sorted({e.name for e in metadata.entry_points(group="tmepde.interventions")})


def files_of(kinds: Iterable[str], folder: Path) -> dict[str, Path]:
    """Every file of the user's own that ``kinds`` lead to (see :mod:`tmepde._sources`), by name."""
    files: dict[str, Path] = {}
    points = {e.name: e.value for e in metadata.entry_points(group="tmepde.interventions")} if _beyond(kinds) else {}
    for kind in sorted(kinds):
        where = points.get(kind, kind if ":" in kind else "").rpartition(":")[0]
        if where.endswith(".py"):
            beside = PurePath(where).parent
            files |= {(beside / name).as_posix(): path for name, path in of_file(folder / where).items()}
        elif where:
            files |= of_module(where)
    return files


def _beyond(kinds: Iterable[str]) -> bool:
    """Whether some of ``kinds`` are no names of tmepde itself."""
    known = catalogue()
    return any(
        k not in known["interventions"] and k not in known["models"] and k not in known["published"] for k in kinds
    )


_DIFFUSIVITY = Quantity("um^2/h", low=0.0, doc="base diffusivity")
_TRANSFER = Quantity("um/h", low=0.0, doc="exchange across the side")


@functools.cache
def _boundary_kinds(unit: str) -> dict[str, type[Section]]:
    value = Annotated[Any, Quantity(unit, low=0.0)]
    flux = Annotated[Any, Quantity("um/h" if unit == "1" else f"{unit} um/h")]
    keys: dict[str, dict[str, Any]] = {
        "no_flux": {},
        "dirichlet": {"value": (value, ...)},
        "robin": {"transfer": (Annotated[Any, _TRANSFER], ...), "outside": (value, ...)},
        "prescribed_flux": {"flux": (flux, ...)},
    }
    return {k: section_class(f"Boundary_{k}", {"kind": (Literal[k], k), **f}) for k, f in keys.items()}


SIDES = tuple(axis + sign for axis in "zyxr" for sign in ("", "-", "+"))


def _boundary(unit: str, value: Any) -> Any:
    """One condition for all sides, or a table of sides."""
    one = by_kind(_boundary_kinds(unit))
    if not isinstance(value, Mapping) or "kind" in value:
        return one(value)
    return section_class("Sides", {s: (Annotated[Any, PlainValidator(one)], None) for s in SIDES}).model_validate(value)


@functools.cache
def model_kinds() -> dict[str, type[Section]]:
    """Section classes of the models of the library, with all their processes, and changes to their species."""
    out: dict[str, type[Section]] = {}
    for kind, entry in catalogue()["models"].items():
        made = {name: process_section(name) for name in entry["processes"]}
        fields: dict[str, Any] = {n: (p, Field(default_factory=p)) for n, p in made.items()}
        fields |= {n: (process_section(n) | None, None) for n in entry["optional"]}
        processes = section_class(f"Processes_{kind}", fields)
        changes = {name: (_species_section(name, one) | None, None) for name, one in entry["species"].items()}
        species = section_class(f"Species_{kind}", changes)
        parts = {"processes": (processes, Field(default_factory=processes)), "species": (species | None, None)}
        out[kind] = section_of(f"Model_{kind}", entry, kind=kind, **parts)
    return out


def carried(model: Section, interventions: Mapping[str, Any]) -> set[str]:
    """The optional processes that a model carries: of its milieu, given by name, or needed by an intervention."""
    entry = catalogue()["models"][model.kind]  # type: ignore[attr-defined]
    waiting = [n for n in entry["optional"] if getattr(model.processes, n) is not None]  # type: ignore[attr-defined]
    waiting += entry["options"]["milieu"]["groups"][model.milieu]  # type: ignore[attr-defined]
    for section in interventions.values():
        waiting += catalogue()["interventions"].get(getattr(section, "kind", ""), {}).get("requires", ())
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in entry["optional"] and name not in found:
            found.add(name)
            waiting += entry["optional"][name]
    return found


@functools.cache
def published_kinds() -> dict[str, type[Section]]:
    """Section classes of the models of the literature: their numbers alone."""
    return {k: section_of(f"Model_{k}", e, kind=k) for k, e in catalogue()["published"].items()}


def model_section(table: Any, beside: str = ".", code: bool = False) -> Section:
    """Validate ``[model]``, whose presets first put in their values where none are given.

    It is a model of the library, one of the literature, or ``"file.py:Class"`` in ``beside``, which runs the file (see
    :func:`intervention_section`).
    """
    kind = table.get("kind", "solid_tumour") if isinstance(table, Mapping) else None
    kinds = {**model_kinds(), **published_kinds()}
    if isinstance(kind, str) and kind in catalogue()["models"]:
        table = _with_presets(dict(table), catalogue()["models"][kind])
    elif isinstance(kind, str) and ":" in kind:

        def find() -> Any:
            from tmepde.library.own import builder

            return builder(kind, beside)

        kinds[kind] = _foreign_section("Model_foreign", kind, find, code)
    return by_kind(kinds, default="solid_tumour")(table)


def of_library(model: Any) -> bool:
    """Whether a section of ``[model]`` is of a model with tissue, processes and presets, which a config can change."""
    return model.kind in catalogue()["models"]


def _with_presets(table: dict[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """The table with the values of its presets where it gives none; the later of two presets wins.

    An optional process takes them only where it is named; where a milieu or a therapy carries it, the model itself
    does as much.
    """
    numbers: dict[str, Any] = {}
    below: dict[str, dict[str, Any]] = {}
    for name, option in entry["options"].items():
        chosen = table.get(name, option["default"])
        values = dict(option.get("sets", {}).get(chosen, {})) if isinstance(chosen, str) else {}
        for process, change in values.pop("processes", {}).items():
            below[process] = {**below.get(process, {}), **change}
        numbers |= values
    processes = table.get("processes", {})
    if isinstance(processes, Mapping):
        wanted = {n for n, v in below.items() if n in entry["processes"] or n in processes or v.get("enabled")}
        filled = {n: _filled(processes.get(n, {}), below[n]) for n in sorted(wanted)}
        table = {**table, "processes": {**processes, **filled}} if filled else table
    return {**numbers, **table}


def _filled(change: Any, values: Mapping[str, Any]) -> Any:
    """``change`` of a process on top of the ``values`` of presets; what is no table is left for the checks."""
    return {**values, **change} if isinstance(change, Mapping) else change


def _species_section(name: str, one: Mapping[str, Any]) -> type[Section]:
    unit = one["unit"]
    fields: dict[str, Any] = {"initial": (Annotated[Any, Quantity(unit, low=0.0, doc="initial value")], None)}
    if one["kind"] in ("transported", "quasi_steady"):
        fields["diffusivity"] = (Annotated[Any, _DIFFUSIVITY], None)
        fields["boundary"] = (Annotated[Any, PlainValidator(functools.partial(_boundary, unit))], None)
    return section_class(f"Species_{name}", fields)
