"""The pieces that sections of a config are made of: frozen pydantic models whose problems are sentences with remedies.

A ``Section`` reports unknown keys (with the nearest known one) together with everything else that is wrong in it, and
a ``Quantity`` parses text with units. Validators may call ``Section.model_validate`` on a part of their input: pydantic
keeps the path of the inner problems.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    create_model,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from tmepde.config.errors import Problem, suggest
from tmepde.config.units import parse, text

_OURS = "tmepde"
_NOUNS = {
    "int": "a whole number without quotes",
    "float": "a number",
    "bool": "true or false",
    "string": "text in quotes",
    "list": "a list in [ ]",
    "tuple": "a list in [ ]",
    "dict": "a table",
    "model": "a table",
}


def wrong(message: str) -> PydanticCustomError:
    """A problem whose message is the end of a sentence that begins with the path."""
    return PydanticCustomError(_OURS, "{message}", {"message": message})


def shown(value: Any) -> str:
    """A value as its author wrote it, shortened."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    out = f'"{value}"' if isinstance(value, str) and value.isprintable() else repr(value)
    return out if len(out) <= 60 else f"{out[:57]}…"


def _message(error: Any) -> str:
    """The sentence for one pydantic error."""
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind == _OURS:
        return error["msg"]
    if kind == "missing":
        return "must be given, but is missing. Add it."
    if kind == "literal_error":
        return (
            f"must be one of {context['expected']}, but {shown(given)} was given. {_near(context['expected'], given)}"
        )
    if kind == "value_error":
        return str(context["error"])
    if kind in ("too_short", "too_long"):
        bound, count = ("least", context["min_length"]) if kind == "too_short" else ("most", context["max_length"])
        entries = "1 entry" if count == 1 else f"{count} entries"
        return f"must have at {bound} {entries}, but {shown(given)} was given. Write as many."
    noun = _NOUNS.get(kind.split("_")[0])
    if noun and kind.endswith(("_type", "_parsing", "_from_float")):
        return f"must be {noun}, but {shown(given)} was given. Write {noun}."
    said = error["msg"].replace("Input should be", "must be")
    return f"{said}, but {shown(given)} was given. Change it."


def _near(expected: str, given: Any) -> str:
    words = [w.strip(" '") for w in expected.replace(" or ", ",").split(",")]
    return suggest(str(given), words)


def details(error: ValidationError) -> list[InitErrorDetails]:
    """The errors of ``error`` with their messages rewritten as ours, to be raised again."""
    return [
        InitErrorDetails(type=wrong(_message(one)), loc=one["loc"], input=one["input"])
        for one in error.errors(include_url=False)
    ]


class Section(BaseModel):
    """A table of the config: unknown keys are problems, numbers do not pass as text, nothing changes afterwards."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", protected_namespaces=())

    @model_validator(mode="wrap")
    @classmethod
    def _everything_at_once(cls, data: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        if isinstance(data, cls):
            return data
        if not isinstance(data, Mapping):
            raise wrong(f"must be a table, but {shown(data)} was given. Write key = value pairs below its [header].")
        found: list[InitErrorDetails] = []
        for key in data:
            if key not in cls.model_fields:
                message = f"is not a known key. {suggest(str(key), cls.model_fields)}"
                found.append(InitErrorDetails(type=wrong(message), loc=(str(key),), input=data[key]))
        value = None
        try:
            value = handler({k: v for k, v in data.items() if k in cls.model_fields})
        except ValidationError as error:
            found += details(error)
        if found:
            raise ValidationError.from_exception_data(cls.__name__, found)
        return value

    def table(self) -> dict[str, Any]:
        """The section as plain TOML values, every default written out, quantities as text with their unit."""
        out: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value is None:
                continue
            quantity = next((m for m in field.metadata if isinstance(m, Quantity)), None)
            out[name] = quantity.written(value) if quantity else _plain(value)
        return out


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return value.table()
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


@dataclass(frozen=True)
class Quantity:
    """A number with a unit inside ``Annotated[float, Quantity("um")]``.

    Args:
        unit: the unit in which it is kept.
        low, high: inclusive bounds, ``None`` open; ``above`` is an exclusive lower bound.
        bare: whether a number without a unit is accepted (it is then in ``unit``).
        many: "no" (one number), "may" (one number or a list), "must" (a list).
        doc: its meaning, quoted where a bound is broken.
    """

    unit: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    bare: bool = True
    many: str = "no"
    doc: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_plain_validator_function(self.read)

    def read(self, value: Any) -> Any:
        """Parse and check; raises with a message that pydantic places at the right path."""
        try:
            if isinstance(value, list | tuple) and self.many != "no":
                if not value:
                    raise ValueError("must not be an empty list. Write at least one value.")
                return tuple(self._one(v, f"[{i}]") for i, v in enumerate(value))
            one = self._one(value, "")
        except ValueError as error:
            raise wrong(str(error)) from None
        if self.many == "must":
            raise wrong(
                f"must be a list in [ ], but {shown(value)} was given. Write [{shown(value)}], or more entries."
            )
        return one

    def _one(self, value: Any, index: str) -> float:
        at = f"(entry {index}) " if index else ""
        try:
            number = parse(value, self.unit, self.bare)
        except ValueError as error:
            raise ValueError(f"{at}{error}") from None
        unit = "" if self.unit == "1" else f" {self.unit}"
        meaning = f" Meaning: {self.doc}." if self.doc else ""
        for broken, words in (
            (self.low is not None and number < self.low, f"at least {self.low}{unit}"),
            (self.high is not None and number > self.high, f"at most {self.high}{unit}"),
            (self.above is not None and number <= self.above, f"more than {self.above}{unit}"),
        ):
            if broken:
                inside = f"{self._inside():g}" if self.unit == "1" else f'"{self._inside():g}{unit}"'
                raise ValueError(
                    f"{at}must be {words}, but {shown(value)} was given. Write for instance {inside}.{meaning}"
                )
        return number

    def _inside(self) -> float:
        """Some number within the bounds, for messages."""
        low = self.low if self.low is not None else self.above
        if low is None:
            return self.high if self.high is not None else 1.0
        return 0.5 * (low + self.high) if self.high is not None else low + 1.0

    def written(self, value: Any) -> Any:
        return [text(v, self.unit) for v in value] if isinstance(value, tuple) else text(value, self.unit)


def section_class(name: str, fields: Mapping[str, Any], base: type[Section] = Section) -> type[Section]:
    """A section class from pydantic field definitions ``{key: (type, default)}``."""
    return create_model(name, __base__=base, **fields)


def by_kind(kinds: Mapping[str, type[Section]], default: str | None = None) -> Callable[[Any], Any]:
    """A validator that picks the section class by the ``kind`` of a table."""

    def pick(value: Any) -> Any:
        if isinstance(value, Section):
            return value
        if not isinstance(value, Mapping):
            raise wrong(f"must be a table with a `kind`, but {shown(value)} was given. {suggest('', kinds)}")
        kind = value.get("kind", default)
        if kind is None:
            raise at("kind", f"must be given, but is missing. {suggest('', kinds)}", value)
        if not isinstance(kind, str) or kind not in kinds:
            raise at("kind", f"must be a known kind, but {shown(kind)} was given. {suggest(str(kind), kinds)}", kind)
        return kinds[kind].model_validate({"kind": kind, **value})

    return pick


def at(key: str, message: str, given: Any = None) -> ValidationError:
    """A problem at ``key`` of the value that is being validated."""
    return ValidationError.from_exception_data(key, [InitErrorDetails(type=wrong(message), loc=(key,), input=given)])


def dotted(parts: Any) -> str:
    """``("arms", "CAR-T + MnO2", 0)`` as ``arms."CAR-T + MnO2"[0]``, the way TOML writes it."""
    out = ""
    for part in parts:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            bare = part.replace("_", "").replace("-", "").isalnum() and part.isascii()
            part = part if len(part) <= 80 else f"{part[:77]}…"
            out += ("." if out else "") + (part if bare else f'"{part}"' if part.isprintable() else repr(part))
    return out


def problems_of(error: ValidationError, *prefix: str) -> list[Problem]:
    """The problems of a pydantic error, with dotted paths below ``prefix``."""
    return [Problem(dotted((*prefix, *one["loc"])), _message(one)) for one in error.errors(include_url=False)]
