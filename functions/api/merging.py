"""What a client gave becomes a record: whole (PUT), or merged onto the present one (PATCH).

A patch is a JSON merge patch (RFC 7396) of the record: what is left out stays, null returns a field to its default, a nested
object is merged, anything else replaces. Secrets are no part of a record; they are handed on beside it.
"""

# ruff: noqa: ANN401
# What a field holds is known to the record's own definition only.

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, get_args

from pydantic import SecretStr

from functions.api.derived import Given
from functions.api.record_fields import RecordField, record_fields
from shared.domain.errors import InvalidRecord


def made[R](record: type[R], given: Given, **beside: object) -> R:
    """The record with what was given and the defaults of the rest; `beside` are the fields that do not come from the client."""
    values = {each.name: _made(each, getattr(given, each.name)) for each in _of(record, given) if not each.is_secret}
    return record(**(values | beside))


def merged[R](present: R, given: Given, path: str = "") -> R:
    """The present record with the patch merged into it. Raises InvalidRecord for a null where the field has no default."""
    changes = {
        each.name: _merged(getattr(present, each.name), each, getattr(given, each.name), path)
        for each in _of(type(present), given)
        if each.name in given.model_fields_set and not each.is_secret
    }
    return replace(present, **changes)  # type: ignore[type-var]  # every record is a dataclass


def secrets_in(record: type, given: Given) -> Mapping[str, str | None]:
    """The secrets that were given, by pointer; None removes one, and one that is left out is missing here."""
    return dict(_secrets(record, type(given), given, ""))


def _secrets(record: type, model: type[Given], given: Given | None, path: str) -> Iterator[tuple[str, str | None]]:
    """`given` None: the whole object that would hold them is null."""
    for each in record_fields(record):
        if each.name not in (model.model_fields if given is None else given.model_fields_set):
            continue
        value = None if given is None else getattr(given, each.name)
        if each.is_secret:
            yield f"{path}{each.name}", value.get_secret_value() if isinstance(value, SecretStr) else None
        elif each.nested is not None and (inner := _model_of(model, each.name)) is not None:
            yield from _secrets(each.nested, inner, value, f"{path}{each.name}/")


def _model_of(model: type[Given], name: str) -> type[Given] | None:
    """The schema of a nested object."""
    annotation = model.model_fields[name].annotation
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Given)), None)


def _of(record: type, given: Given) -> Iterator[RecordField]:
    return (each for each in record_fields(record) if each.name in type(given).model_fields)


def _made(each: RecordField, value: Any) -> Any:
    if each.nested is None or value is None:
        return value
    if isinstance(value, Given):
        return made(each.nested, value)
    return tuple(made(each.nested, entry) for entry in value)


def _merged(present: Any, each: RecordField, value: Any, path: str) -> Any:
    pointer = f"{path}{each.name}"
    if isinstance(value, Given) and each.nested is not None:
        return _begun(each.nested, value, pointer) if present is None else merged(present, value, f"{pointer}/")
    if value is not None:
        return _made(each, value)
    if each.is_required:
        raise InvalidRecord(pointer, f"{each.name} cannot be without a value", "Give it one, or leave it out.")
    return each.default


def _begun[R](record: type[R], given: Given, path: str) -> R:
    """A nested record where there was none. Raises InvalidRecord where a field that it must have is missing."""
    values = {each.name: getattr(given, each.name) for each in _of(record, given)}
    for each in _of(record, given):
        if each.is_required and values[each.name] is None:
            raise InvalidRecord(f"{path}/{each.name}", f"{each.name} is missing", "Add it.")
    return record(**{name: value for name, value in values.items() if value is not None})
