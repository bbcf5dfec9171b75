"""What can be set on each record and what a value means, from the server's own OpenAPI description.

The command line holds no list of fields: what the server learns to configure, a policy can hold at once. Values are compared in
one form: a choice by its name, a duration in seconds, an instant in UTC, null as the default.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cache, cached_property
from typing import Self

from admin.connection import Api, Fields, Json
from admin.failures import WrongUsage
from admin.policy.kinds import Kind

_DURATION = re.compile(
    r"P(?:(?P<days>[\d.]+)D)?(?:T(?:(?P<hours>[\d.]+)H)?(?:(?P<minutes>[\d.]+)M)?(?:(?P<seconds>[\d.]+)S)?)?\Z"
)
_SECONDS = {"days": 86_400.0, "hours": 3_600.0, "minutes": 60.0, "seconds": 1.0}


class Field:
    """One field of a request: what its schema says, references resolved."""

    def __init__(self, schema: Fields, schemas: Mapping[str, Fields]) -> None:
        self._schemas = schemas
        self._alternatives = list(self._resolved(schema))
        self.default = next((each["default"] for each in [schema, *self._alternatives] if "default" in each), None)

    @property
    def is_secret(self) -> bool:
        return any(each.get("writeOnly") for each in self._alternatives)

    @cached_property
    def fields(self) -> Mapping[str, "Field"]:
        """Of an object; empty of anything else."""
        found: Fields = next((each["properties"] for each in self._alternatives if "properties" in each), {})
        return {name: Field(schema, self._schemas) for name, schema in found.items()}

    def canonical(self, value: Json) -> Json:
        """The value in the form in which values are compared; one that the server would refuse stays as it is."""
        if value is None:
            return self.canonical(self.default) if self.default is not None else None
        if isinstance(value, dict):
            known = self.fields
            return {name: known[name].canonical(each) if name in known else each for name, each in value.items()}
        if isinstance(value, list | tuple):
            items: Fields = next((each["items"] for each in self._alternatives if "items" in each), {})
            return [Field(items, self._schemas).canonical(each) for each in value]
        return self._scalar(value)

    def _scalar(self, value: Json) -> Json:
        formats = {each.get("format") for each in self._alternatives}
        if type(value) is int and value in (choices := self._choices()):
            return choices[value]
        if "duration" in formats:
            return _seconds(value)
        if "date-time" in formats:
            return _in_utc(value)
        return value

    def _choices(self) -> Mapping[int, str]:
        """The model's integers of a choice: its alternatives list names and integers in the same order."""
        lists = {each.get("type"): each["enum"] for each in self._alternatives if "enum" in each}
        return dict(zip(lists.get("integer", ()), lists.get("string", ()), strict=False))

    def _resolved(self, schema: Fields) -> Iterator[Fields]:
        if "$ref" in schema:
            yield from self._resolved(self._schemas[schema["$ref"].rpartition("/")[2]])
        for group in ("anyOf", "allOf", "oneOf"):
            for each in schema.get(group, ()):
                yield from self._resolved(each)
        yield schema


class Description:
    def __init__(self, openapi: Fields) -> None:
        self._paths = {re.sub(r"\{[^}]*\}", "{}", path): operations for path, operations in openapi["paths"].items()}
        self._schemas = openapi.get("components", {}).get("schemas", {})
        self.record = cache(self._record)

    @classmethod
    def of(cls, api: Api) -> Self:
        return cls(api.get("/api/openapi.json"))

    def _record(self, kind: Kind) -> Field:
        """Everything that can be set on a record. Raises WrongUsage where this server has no such records."""
        operation = self._paths.get(kind.template, {}).get("put" if kind.is_created else "patch", {})
        for content in operation.get("requestBody", {}).get("content", {}).values():
            return Field(content["schema"], self._schemas)
        raise WrongUsage(f"this server has no {kind.section}", f"Remove {kind.section} from the file, or update the server.")


def _seconds(value: Json) -> Json:
    if type(value) in (int, float):
        return float(value)
    match = _DURATION.match(value) if isinstance(value, str) and value != "P" else None
    if match is None:
        return value
    try:
        return sum(float(amount) * _SECONDS[unit] for unit, amount in match.groupdict().items() if amount)
    except ValueError:
        return value


def _in_utc(value: Json) -> Json:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(moment, datetime) and moment.tzinfo is not None:
            return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return value
    return value


def plain_json(value: Json) -> Json:
    """What YAML read as a date, as the text that it was."""
    match value:
        case dict():
            return {name: plain_json(each) for name, each in value.items()}
        case list():
            return [plain_json(each) for each in value]
        case datetime() | date():
            return value.isoformat().replace("+00:00", "Z")
        case _:
            return value
