"""Schemas derived from the domain's dataclasses: one definition of each record, and this is how JSON sees it.

A choice is written by name, and read by name or by the model's integer. An instant is RFC 3339, in UTC when shown. A duration
is seconds; it may be given as ISO 8601 too. A secret is never shown, only whether one is set. Docstrings become descriptions.
"""

# ruff: noqa: ANN401
# Annotations that are put together at run time have no narrower type than Any.

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum
from functools import cache
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, NewType, Union, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    Strict,
    WithJsonSchema,
    create_model,
)
from pydantic import Field as SchemaField

from shared.domain.configuration import SecretRef

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def _instant(value: object) -> object:
    """Not every text: pydantic reads a number in quotes as seconds since 1970."""
    if not isinstance(value, str) or not _DATE.match(value):
        raise ValueError("write a date and time with an offset, such as 2026-01-31T00:00:00Z")
    return value


def _duration(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("write seconds as a number, or an ISO 8601 duration such as PT1M")  # noqa: TRY004 - pydantic reads it
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the date is out of range") from error


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_instant),
    AfterValidator(_in_utc),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T00:00:00Z"]}, mode="validation"),
]


class Shown(BaseModel):
    """A record as it is shown."""

    model_config = ConfigDict(from_attributes=True, frozen=True, ser_json_timedelta="float")


class Given(BaseModel):
    """Fields of a record as a client gives them; a field that the record does not have is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_timedelta="float")

    def given(self) -> dict[str, Any]:
        """What the client wrote, by field; what it left out is missing here."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def every(self) -> dict[str, Any]:
        """All fields, those left out with their defaults."""
        return {name: getattr(self, name) for name in type(self).model_fields}


def shows[M: Shown](record: type, *, without: Collection[str] = ()) -> Callable[[type[M]], type[M]]:
    """Class decorator: the schema shows the fields of `record` beside its own."""

    def derive(model: type[M]) -> type[M]:
        chosen = dict(_shown_field(each) for each in _record_fields(record) if each.name not in without)
        return _derived(model, chosen)

    return derive


def accepts[M: Given](
    record: type, *, only: Collection[str] | None = None, without: Collection[str] = (), partial: bool = False
) -> Callable[[type[M]], type[M]]:
    """Class decorator: the schema accepts fields of `record` beside its own; with `partial` each may be left out."""

    def derive(model: type[M]) -> type[M]:
        chosen = {
            each.name: _accepted_field(each, partial=partial)
            for each in _record_fields(record)
            if each.name not in without and (only is None or each.name in only)
        }
        return _derived(model, chosen)

    return derive


class _RecordField(NamedTuple):
    name: str
    kind: Any
    description: str | None
    field: Field[Any]


def _derived[M: BaseModel](model: type[M], chosen: Mapping[str, Any]) -> type[M]:
    """A subclass of `model` with the chosen fields; what `model` defines itself stays as it is."""
    added = {name: definition for name, definition in chosen.items() if name not in model.model_fields}
    return create_model(model.__name__, __base__=model, __module__=model.__module__, __doc__=model.__doc__, **added)


def _record_fields(record: type) -> Iterator[_RecordField]:
    hints = get_type_hints(record)
    descriptions = _attribute_docstrings(record)
    for field in fields(record):
        yield _RecordField(field.name, hints[field.name], descriptions.get(field.name), field)


def _shown_field(each: _RecordField) -> tuple[str, Any]:
    if each.kind in (SecretRef, SecretRef | None):
        is_set = Annotated[bool, BeforeValidator(lambda ref: ref is not None)]
        return f"{each.name}_is_set", (
            is_set,
            SchemaField(validation_alias=each.name, description="Whether a secret is stored."),
        )
    return each.name, (_shown(each.kind), SchemaField(description=_described(each)))


def _accepted_field(each: _RecordField, *, partial: bool) -> tuple[Any, Any]:
    default: Any = None if partial else _default(each.field)
    return _accepted(each.kind), SchemaField(default=default, description=_described(each))


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return ... if field.default_factory is MISSING else field.default_factory()


def _shown(kind: Any) -> Any:
    if isinstance(kind, NewType):
        return _shown(kind.__supertype__)
    if isinstance(kind, type) and is_dataclass(kind):
        return shown_model(kind)
    if isinstance(kind, type) and issubclass(kind, IntEnum):
        return _choice_shown(kind)
    return _rebuilt(kind, _shown)


def _accepted(kind: Any) -> Any:
    if isinstance(kind, NewType):
        return _accepted(kind.__supertype__)
    if isinstance(kind, type) and issubclass(kind, IntEnum):
        return _choice_accepted(kind)
    if kind is datetime:
        return Instant
    if kind is timedelta:
        return Annotated[timedelta, BeforeValidator(_duration), WithJsonSchema(_DURATION, mode="validation")]
    if kind in (bool, int):
        return Annotated[kind, Strict()]
    return _rebuilt(kind, _accepted)


def _rebuilt(kind: Any, change: Callable[[Any], Any]) -> Any:
    """The same generic type or union with its arguments changed."""
    origin, arguments = get_origin(kind), tuple(each if each in (NoneType, ...) else change(each) for each in get_args(kind))
    if origin is None:
        return kind
    return Union[arguments] if origin in (Union, UnionType) else origin[arguments]  # noqa: UP007 - built at run time


@cache
def shown_model(record: type) -> type[Shown]:
    """The schema that shows a dataclass, named like it."""
    doc = inspect.getdoc(record) or ""
    written = None if doc.startswith(f"{record.__name__}(") else doc  # the other kind is made by @dataclass
    model = create_model(record.__name__, __base__=Shown, __module__=__name__, __doc__=written)
    return shows(record)(model)


def _choice_shown(choice: type[IntEnum]) -> Any:
    return Annotated[
        choice,
        PlainSerializer(lambda value: value.name.lower(), return_type=str),
        WithJsonSchema({"type": "string", "enum": names_of(choice)}, mode="serialization"),
    ]


def _choice_accepted(choice: type[IntEnum]) -> Any:
    by_name = {"type": "string", "enum": names_of(choice)}
    by_integer = {"type": "integer", "enum": [member.value for member in choice]}
    return Annotated[
        choice,
        BeforeValidator(lambda value: _chosen(choice, value)),
        WithJsonSchema({"anyOf": [by_name, by_integer]}, mode="validation"),
    ]


def names_of(choice: type[Enum]) -> list[str]:
    return [member.name.lower() for member in choice]


def _chosen(choice: type[IntEnum], value: object) -> IntEnum:
    for member in choice:
        if value == member.name.lower() or (type(value) is int and value == member.value):
            return member
    raise ValueError(f"choose one of {', '.join(names_of(choice))}")


_DURATION = {"anyOf": [{"type": "number"}, {"type": "string", "format": "duration"}], "examples": [60, "PT1M"]}


def _described(each: _RecordField) -> str | None:
    choices = [kind for kind in (each.kind, *get_args(each.kind)) if isinstance(kind, type) and issubclass(kind, IntEnum)]
    integers = [f"Integers: {', '.join(f'{member.name.lower()} {member.value}' for member in choice)}." for choice in choices]
    seconds = ["In seconds."] if timedelta in (each.kind, *get_args(each.kind)) else []
    return " ".join(part for part in (each.description, *integers, *seconds) if part) or None


@cache
def _attribute_docstrings(record: type) -> Mapping[str, str]:
    """The texts that stand below the fields of a dataclass."""
    try:
        definition = ast.parse(textwrap.dedent(inspect.getsource(record))).body[0]
    except (OSError, TypeError):
        return {}  # a deployment without sources has schemas without descriptions
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    return {
        above.target.id: inspect.cleandoc(below.value.value)
        for above, below in pairwise(body)
        if isinstance(above, ast.AnnAssign)
        and isinstance(above.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }
