"""``Config``: a whole config file, checked. Nothing here starts JAX; :meth:`Config.build` does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, PrivateAttr, ValidationError

from tmepde.config.errors import ConfigError, Problem, suggest
from tmepde.config.modules import carried, catalogue, intervention_section, model_section
from tmepde.config.schema import GRIDS, PICTURES, TISSUES, Run
from tmepde.config.section import Section, by_kind, dotted, problems_of, shown
from tmepde.config.sweep import Sweep
from tmepde.config.sweep import problems as sweep_problems

SCHEMA = 1
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class Config(Section):
    """A config with every quantity in internal units. The keys are the keys of the file."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    name: str = "unnamed"
    description: str = ""
    grid: Annotated[Any, PlainValidator(by_kind(GRIDS, default="box"))] = None
    tissue: Annotated[Any, PlainValidator(by_kind(TISSUES))] = None
    model: Any = None
    interventions: dict[str, Any] = Field(default_factory=dict)
    arms: dict[str, Any] = Field(default_factory=dict)
    run: Run
    sweep: Any = None
    _folder: str = PrivateAttr(default=".")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.table() == other.table()

    def __hash__(self) -> int:
        return hash(self.toml())

    @property
    def folder(self) -> str:
        """Where the file lies; files that it names are looked up from there."""
        return self._folder

    def table(self) -> dict[str, Any]:
        """The resolved config as plain tables."""
        out = {"schema": SCHEMA, **super().table()}
        del out["schema_"]
        return out | {"arms": {name: list(members) for name, members in self.all_arms.items()}}

    def toml(self) -> str:
        """The resolved config as TOML text: every default written out; loading it gives an equal config."""
        import tomli_w

        return tomli_w.dumps(self.table())

    def build(self) -> Any:
        """The Python objects of this config (imports JAX): a :class:`~tmepde.config.build.Build`."""
        from tmepde.config.build import build

        return build(self)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is legal but surprising."""
        return tuple(_warnings(self))

    @property
    def all_arms(self) -> dict[str, tuple[str, ...]]:
        """The arms; without any in the file, one with every intervention."""
        return {k: tuple(v) for k, v in self.arms.items()} or {self.name: tuple(self.interventions)}


_SECTIONS = tuple("schema" if name == "schema_" else name for name in Config.model_fields)


def validate(raw: Mapping[str, Any], source: str = "", folder: str = ".") -> Config:
    """A :class:`Config` from plain tables; all problems at once.

    Args:
        raw: what a TOML reader returns.
        source: named in messages.
        folder: where files that the config names are looked up.

    Raises:
        ConfigError: with every problem found.
    """
    version = _version_problem(raw)
    if version:
        raise ConfigError([version], source)
    problems = [
        Problem(dotted((key,)), f"is not a known section or key. {suggest(key, _SECTIONS)}")
        for key in raw
        if key not in _SECTIONS
    ]
    parts: dict[str, Any] = {"schema_": SCHEMA}
    for key, read in _READERS.items():
        if key in raw or key in ("model", "run"):
            value, found = read(raw.get(key, {}), key, folder)
            problems += found
            if not found:
                parts[key] = value
    problems += _cross(raw, parts)
    if parts.get("sweep") is not None and not problems:
        arms = parts.get("arms") or {parts.get("name", "unnamed"): ()}
        problems += sweep_problems(raw, parts["sweep"], arms, lambda tables: validate(tables, folder=folder))
    if problems:
        raise ConfigError(problems, source)
    if "tissue" not in parts:
        parts["tissue"] = _default_tissue(parts["grid"])
    config = Config.model_construct(_fields_set=set(parts), **parts)
    config._folder = folder
    return config


def _version_problem(raw: Mapping[str, Any]) -> Problem | None:
    if "schema" not in raw:
        return Problem("schema", f"must be given, but is missing. Write schema = {SCHEMA} on the first line.")
    given = raw["schema"]
    if isinstance(given, int) and not isinstance(given, bool) and given == SCHEMA:
        return None
    newer = isinstance(given, int) and given > SCHEMA
    remedy = "Install a newer tmepde, or rewrite the file." if newer else f"Write schema = {SCHEMA}."
    return Problem("schema", f"must be {SCHEMA}, but {shown(given)} was given. {remedy}")


def _default_tissue(grid: Any) -> Any:
    """A round nodule of 0.4 of the smallest extent."""
    smallest = grid.radius if grid.kind == "radial" else min(grid.extent)
    return TISSUES["nodule"].model_validate({"radius": f"{0.4 * smallest!r} um"})


Read = tuple[Any, list[Problem]]


def _with(validator: Any, value: Any, *path: str) -> Read:
    try:
        return validator(value), []
    except ValidationError as error:
        return None, problems_of(error, *path)
    except ValueError as error:  # a pydantic custom error raised outside of a model
        return None, [Problem(dotted(path), str(error))]


def _text(value: Any, key: str, folder: str) -> Read:
    if isinstance(value, str):
        return value, []
    return None, [Problem(key, f"must be text in quotes, but {shown(value)} was given. Write quotes around it.")]


def _interventions(value: Any, key: str, folder: str) -> Read:
    if not isinstance(value, Mapping):
        return None, [Problem(key, f"must be a table, but {shown(value)} was given. Write [interventions.NAME].")]
    made, problems = {}, []
    for name, table in value.items():
        if not _NAME.fullmatch(name):
            message = "must be a name of letters, digits, _ and -. Rename it."
            problems.append(Problem(dotted((key, name)), message))
        made[name], found = _with(lambda t: intervention_section(t, folder), table, key, name)
        problems += found
    return made, problems


def _arms(value: Any, key: str, folder: str) -> Read:
    if not isinstance(value, Mapping) or not value:
        return None, [Problem(key, f'must name an arm, but {shown(value)} was given. Write "CAR-T" = ["car_t"].')]
    problems = []
    for name, members in value.items():
        path = dotted((key, name))
        if not isinstance(members, list) or not all(isinstance(m, str) for m in members):
            message = f'must be a list of intervention names, but {shown(members)} was given. Write ["NAME", …].'
            problems.append(Problem(path, message))
        elif len(set(members)) < len(members):
            problems.append(Problem(path, "must name each intervention once. Drop the repeated one."))
    return {k: tuple(v) if isinstance(v, list) else () for k, v in value.items()}, problems


_READERS: dict[str, Any] = {
    "name": _text,
    "description": _text,
    "grid": lambda v, k, _: _with(by_kind(GRIDS, default="box"), v, k),
    "tissue": lambda v, k, _: _with(by_kind(TISSUES), v, k),
    "model": lambda v, k, _: _with(model_section, v, k),
    "interventions": _interventions,
    "arms": _arms,
    "run": lambda v, k, _: _with(Run.model_validate, v, k),
    "sweep": lambda v, k, _: _with(Sweep.model_validate, v, k),
}


def species_of(parts: Mapping[str, Any]) -> set[str]:
    """Names of the species of a model and of the interventions chosen, as far as the catalogue knows them."""
    model = parts.get("model")
    names: set[str] = set()
    if model is not None:
        entry = catalogue()["models"][model.kind]
        absent = set(entry["optional"]) - carried(model, parts.get("interventions") or {})
        kept = {s for n, own in entry["brought"].items() if n not in absent for s in own}
        names = set(entry["species"]) - {s for n in absent for s in entry["brought"][n]} | kept
    for section in (parts.get("interventions") or {}).values():
        names |= set(catalogue()["interventions"].get(getattr(section, "kind", ""), {}).get("species", ()))
    return names


def _cross(raw: Mapping[str, Any], parts: Mapping[str, Any]) -> list[Problem]:
    """Problems that show only when two sections are read together."""
    problems = []
    names = raw.get("interventions") if isinstance(raw.get("interventions"), Mapping) else {}
    for arm, members in parts.get("arms", {}).items():
        for member in members:
            if member not in (names or {}):
                message = f"names {member!r}, which is not in [interventions]. {suggest(member, names or {})}"
                problems.append(Problem(dotted(("arms", arm)), message))
    tissue, grid = parts.get("tissue"), parts.get("grid")
    if tissue is not None and tissue.kind in PICTURES and "grid" in raw:
        problems.append(Problem("grid", f"must be left out: the tissue {tissue.kind!r} brings its own. Drop it."))
    if "grid" not in raw and "tissue" not in raw:
        problems.append(Problem("grid", "must be given, but is missing. Add [grid], or a [tissue] from a picture."))
    elif "grid" not in raw and tissue is not None and tissue.kind not in PICTURES:
        problems.append(Problem("grid", f"must be given for the tissue {tissue.kind!r}, but is missing. Add [grid]."))
    if grid is not None and tissue is not None and tissue.kind == "nodule":
        problems += _nodule(grid, tissue)
    save = parts["run"].save if "run" in parts else None
    if save is not None and save.fields is not None and "model" in parts:
        known = species_of(parts)
        kinds = [getattr(s, "kind", "") for s in (parts.get("interventions") or {}).values()]
        outside = any(kind not in catalogue()["interventions"] for kind in kinds)
        for field in save.fields:
            if field not in known and not outside:
                message = f"names {field!r}, which is not a species of this model. {suggest(field, known)}"
                problems.append(Problem("run.save.fields", message))
    return problems


def _nodule(grid: Any, tissue: Any) -> list[Problem]:
    if grid.kind == "radial":
        if tissue.center is not None:
            return [
                Problem("tissue.center", "has no meaning on a radial grid, whose nodule sits at r = 0. Leave it out.")
            ]
        if tissue.radius > grid.radius:
            message = f"must be at most the grid's {grid.radius:g} um, but {tissue.radius:g} um was given. Enlarge it."
            return [Problem("tissue.radius", message)]
        return []
    if tissue.center is None:
        return []
    if len(tissue.center) != len(grid.extent):
        message = f"must have {len(grid.extent)} entries like the grid, but {len(tissue.center)} were given. Write all."
        return [Problem("tissue.center", message)]
    outside = [c for c, e in zip(tissue.center, grid.extent, strict=True) if not 0 <= c <= e]
    if outside:
        return [Problem("tissue.center", f"must lie inside the grid, but {outside[0]:g} um does not. Move it inside.")]
    return []


def _warnings(config: Config) -> list[str]:
    found = []
    until = config.run.until
    for name, section in config.interventions.items():
        for key in type(section).model_fields:
            dose = getattr(section, key)
            if hasattr(dose, "ends") and dose.ends() >= until:
                when = "begins" if dose.begins() >= until else "ends"
                found.append(
                    f"`interventions.{name}.{key}` {when} at {dose.ends():g} h, after the run stops at {until:g} h. "
                    "Doses after that are not given."
                )
    used = {member for members in config.arms.values() for member in members}
    if config.arms:
        found += [f"`interventions.{n}` is in no arm and has no effect." for n in config.interventions if n not in used]
    return found
