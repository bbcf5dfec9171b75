"""Turns a record into plain values and back, by its dataclass: each record is defined once, in the domain.

`plain` gives what JSON can hold; `columns` gives one column per field, with composite fields as JSON text. None is absence.
A column that is missing reads as the field's default, so rows written before a field existed stay readable. So does an empty
text where a composite field stands: a merge cannot remove a column. It knows nothing of keys, tables or limits.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from datetime import datetime, timedelta
from enum import Enum
from types import NoneType, UnionType
from typing import Any, NewType, TypeAliasType, Union, get_args, get_origin, get_type_hints

type Plain = bool | int | str | list[Plain] | dict[str, Plain] | None
type Column = str | int | bool

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Form:
    """How values of one type are written and read. `composite`: a column of it is JSON text."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]
    composite: bool = False


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    form: _Form
    default: Callable[[], Any] | None


class Codec[T]:
    """The codec of one dataclass."""

    def __init__(self, record: type[T]) -> None:
        self._record = record
        hints = get_type_hints(record)
        self._fields = [
            _Field(each.name, _form(hints[each.name]), _default(each, hints[each.name]))
            for each in fields(record)  # type: ignore[arg-type]  # T has no bound for "a dataclass"
        ]

    def plain(self, record: T) -> dict[str, Plain]:
        """What JSON can hold, None left out."""
        values = ((each, getattr(record, each.name)) for each in self._fields)
        return {each.name: each.form.encode(value) for each, value in values if value is not None}

    def from_plain(self, plain: Mapping[str, Any]) -> T:
        """Raises ValueError or KeyError where it is not such a record."""
        return self._record(**{each.name: _decoded(each, plain, each.form.decode) for each in self._fields})

    def columns(self, record: T) -> dict[str, Column]:
        """One column per field, None left out."""
        found: dict[str, Column] = {}
        for each in self._fields:
            value = getattr(record, each.name)
            if value is not None:
                encoded = each.form.encode(value)
                found[each.name] = to_json(encoded) if each.form.composite else encoded
        return found

    def from_columns(self, row: Mapping[str, Any]) -> T:
        """Columns that are not fields are ignored. Raises ValueError or KeyError where it is not such a record."""
        return self._record(**{each.name: _decoded(each, row, _column_decoder(each.form)) for each in self._fields})


def codec_of[T](record: type[T]) -> Codec[T]:
    """The codec of a dataclass, built once."""
    if (known := _codecs.get(record)) is None:
        known = _codecs[record] = Codec(record)
    return known


_codecs: dict[type, Codec[Any]] = {}


def to_json(plain: Plain) -> str:
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False)


def _decoded(field: _Field, values: Mapping[str, Any], decode: Callable[[Any], Any]) -> object:
    value = values.get(field.name)
    if value is not None and not (value == "" and field.form.composite):
        return decode(value)
    if field.default is None:
        raise KeyError(field.name)
    return field.default()


def _column_decoder(form: _Form) -> Callable[[Any], Any]:
    if not form.composite:
        return form.decode
    return lambda text: form.decode(json.loads(text))


def _default(field: Field[Any], hint: object) -> Callable[[], Any] | None:
    if field.default is not MISSING:
        value = field.default
        return lambda: value
    if field.default_factory is not MISSING:
        factory: Callable[[], Any] = field.default_factory
        return factory
    return (lambda: None) if _is_optional(hint) else None


def _is_optional(hint: object) -> bool:
    return get_origin(hint) in (UnionType, Union) and NoneType in get_args(hint)


def _form(hint: object) -> _Form:
    if isinstance(hint, TypeAliasType):
        return _form(hint.__value__)
    if isinstance(hint, NewType):
        return _form(hint.__supertype__)
    if _is_optional(hint):
        (inner,) = (each for each in get_args(hint) if each is not NoneType)
        return _form(inner)
    if origin := get_origin(hint):
        return _collection(origin, get_args(hint))
    if isinstance(hint, type):
        return _single(hint)
    raise TypeError(f"no codec for {hint}")


def _collection(origin: type, arguments: tuple[Any, ...]) -> _Form:
    if origin is tuple and arguments[1:] == (...,):
        item = _form(arguments[0])
        return _Form(lambda value: [item.encode(each) for each in value], lambda read: tuple(map(item.decode, read)), True)
    if issubclass(origin, Mapping):
        key, item = _form(arguments[0]), _form(arguments[1])
        return _Form(
            lambda value: {key.encode(name): item.encode(each) for name, each in value.items()},
            lambda read: {key.decode(name): item.decode(each) for name, each in read.items()},
            True,
        )
    raise TypeError(f"no codec for {origin}")


def _single(hint: type[Any]) -> _Form:
    if issubclass(hint, Enum):
        return _Form(lambda value: value.value, hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    nested = codec_of(hint)
    return _Form(nested.plain, nested.from_plain, True)


def _instant(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError("a time without a zone cannot be stored")
    return value.isoformat()


_SCALARS: dict[type, _Form] = {
    str: _Form(str, str),
    bool: _Form(bool, bool),
    int: _Form(int, int),
    datetime: _Form(_instant, datetime.fromisoformat),
    timedelta: _Form(lambda value: value // _MICROSECOND, lambda read: int(read) * _MICROSECOND),
}
