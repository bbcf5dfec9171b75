"""Schemas derived from the domain's dataclasses: one definition of each record, and this is how JSON sees it.

A choice is written by name, and read by name or by the model's integer. An instant is RFC 3339, in UTC when shown. A duration
is seconds; it may be given as ISO 8601 too. A secret is never shown, only whether one is set and when. Docstrings become
descriptions, ranges become limits.
"""

# ruff: noqa: ANN401
# Annotations that are put together at run time have no narrower type than Any.

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, NewType, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SecretStr,
    Strict,
    ValidationInfo,
    WithJsonSchema,
    create_model,
)
from pydantic import Field as SchemaField

from functions.api.record_fields import RecordField, record_fields
from shared.domain.configuration import SecretRef
from shared.domain.ranges import Characters, Durations, Entries, Numbers, Range

type SecretSetOn = Callable[[SecretRef], datetime | None]
"""When a secret was set: what `shows` asks for each that a record names."""

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


def shows[M: Shown](record: type, *, without: Collection[str] = ()) -> Callable[[type[M]], type[M]]:
    """Class decorator: the schema shows the fields of `record` beside its own."""

    def derive(model: type[M]) -> type[M]:
        fields = (each for each in record_fields(record) if each.name not in without)
        chosen = dict(definition for each in fields for definition in _shown_field(each))
        return _derived(model, chosen)

    return derive


def accepts[M: Given](
    record: type, *, only: Collection[str] | None = None, without: Collection[str] = (), partial: bool = False
) -> Callable[[type[M]], type[M]]:
    """Class decorator: the schema accepts fields of `record` beside its own; with `partial` each may be left out or null."""

    def derive(model: type[M]) -> type[M]:
        chosen = {
            each.name: _accepted_field(each, partial=partial)
            for each in record_fields(record)
            if each.name not in without and (only is None or each.name in only)
        }
        return _derived(model, chosen)

    return derive


def _derived[M: BaseModel](model: type[M], chosen: Mapping[str, Any]) -> type[M]:
    """A subclass of `model` with the chosen fields; what `model` defines itself stays as it is."""
    added = {name: definition for name, definition in chosen.items() if name not in model.model_fields}
    return create_model(model.__name__, __base__=model, __module__=model.__module__, __doc__=model.__doc__, **added)


def _shown_field(each: RecordField) -> Iterator[tuple[str, Any]]:
    if not each.is_secret:
        yield each.name, (_shown(each.kind), SchemaField(description=each.description))
        return
    is_set = Annotated[bool, BeforeValidator(lambda ref: ref is not None)]
    set_on = Annotated[datetime | None, BeforeValidator(_set_on)]
    yield f"{each.name}_is_set", (is_set, SchemaField(validation_alias=each.name, description="Whether one is stored."))
    yield f"{each.name}_set_on", (set_on, SchemaField(validation_alias=each.name, description="When it was set."))


def _set_on(ref: SecretRef | None, info: ValidationInfo) -> datetime | None:
    ask: SecretSetOn | None = (info.context or {}).get("set_on")
    return None if ref is None or ask is None else ask(ref)


def _accepted_field(each: RecordField, *, partial: bool) -> tuple[Any, Any]:
    if each.is_secret:
        return SecretStr | None, SchemaField(default=None, description=_WRITE_ONLY, json_schema_extra={"writeOnly": True})
    limits = _limits(each.limits)
    default = None if partial else ... if each.is_required else each.default
    kind = _accepted(each.kind)
    if each.nested:
        kind = _accepted_model(each.nested, partial=partial)
        default = default if each.is_required else default and kind()
    nullable = partial or each.is_optional
    return kind | None if nullable else kind, SchemaField(
        default=default, description=each.description, json_schema_extra=limits
    )


_WRITE_ONLY = "Never shown. Null removes the stored one, leaving it out keeps it."


def _limits(limits: Range | None) -> dict[str, Any] | None:
    """Keywords of JSON Schema; each looks only at values of its own type, so that null and other spellings stay."""
    match limits:
        case None:
            return None
        case Numbers(low, high):
            return {"minimum": low, "maximum": high}
        case Durations(low, high):
            return {"minimum": low.total_seconds(), "maximum": high.total_seconds()}
        case Characters(low, high):
            return {"minLength": low, "maxLength": high}
        case Entries(low, high):
            return {"minItems": low, "maxItems": high}


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


@cache
def _accepted_model(record: type, *, partial: bool) -> type[Given]:
    """The schema that accepts a dataclass inside another one."""
    name = f"{record.__name__}{'Patch' if partial else 'Given'}"
    model = create_model(name, __base__=Given, __module__=__name__, __doc__=inspect.getdoc(record))
    return accepts(record, partial=partial)(model)


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
