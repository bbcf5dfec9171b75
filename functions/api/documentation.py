"""docs/configuration.md: every field of every configuration record, generated from the definitions.

`python -m functions.api.documentation` writes the page; `--check` fails where it is not current.
"""

# ruff: noqa: ANN401
# Defaults are whatever the records define.

import re
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum, IntEnum, StrEnum
from inspect import getdoc
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, NewType, get_args, get_origin

from functions.api.record_fields import as_json, record_fields
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, Owner, OwnerRef, SecretRef
from shared.domain.organisation import OrganisationSettings
from shared.domain.ranges import Characters, Durations, Entries, Numbers, Range
from shared.domain.records import AddressBookRecord, FolderTrackingRule, RecordRef

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


class Record(NamedTuple):
    definition: type
    title: str
    path: str
    table: str
    """Of the model."""


RECORDS = (
    Record(OrganisationSettings, "Organisation settings", "/api/settings", "organization"),
    Record(EmailServerProfile, "Email server profiles", "/api/profiles/{profile_id}", "emailserverprofile"),
    Record(Credentials, "Credentials of profiles and mailboxes", "", "emailserverprofile, mailbox"),
    Record(Owner, "Users and queues", "/api/users/{id}, /api/queues/{id}", "systemuser, usersettings, queue"),
    Record(Mailbox, "Mailboxes", "/api/mailboxes/{mailbox_id}", "mailbox"),
    Record(
        FolderTrackingRule,
        "Folder-level tracking rules",
        "/api/mailboxes/{mailbox_id}/rules/{folder_id}",
        "mailboxtrackingfolder",
    ),
    Record(AddressBookRecord, "Address book", "/api/records/{type}/{record_id}", "contact, account, lead and others"),
)

_INTRODUCTION = """\
# Configuration

Every field of every configuration record. This page is generated from the definitions in `shared/domain`
(`python -m functions.api.documentation`); the API accepts and shows exactly these fields.

- **Choices** are written by name and read by name or by the integer of the model.
- **Durations** are seconds; they may be given as ISO 8601 too (`PT5M`).
- **Times** are RFC 3339 with an offset, and shown in UTC.
- **Secrets** can be written and never read: the API shows whether one is set (`secret_is_set`) and when (`secret_set_on`).
- In a PATCH (JSON merge patch), null returns a field to its default.
"""
_COLUMNS = ("Field", "Type", "Default", "Range", "Dataverse", "Effect")


def page() -> str:
    return "\n".join([_INTRODUCTION, *(part for record in RECORDS for part in _section(record)), *_choices()]) + "\n"


def _section(record: Record) -> Iterator[str]:
    yield f"## {record.title}\n"
    where = f"`{record.path.replace(', ', '`, `')}`, table " if record.path else "Part of "
    yield f"{where}`{record.table}` of the model. {getdoc(record.definition)}\n"
    yield _row(_COLUMNS)
    yield _row("---" for _ in _COLUMNS)
    for each in record_fields(record.definition):
        names, effect = _names_and_effect(" ".join((each.text or "").split()))
        default = "required" if each.is_required else _value(each.default)
        yield _row((f"`{each.name}`", _type(each.kind), default, _range(each.limits), _code(names), as_json(effect)))
    yield ""


def _row(cells: Any) -> str:
    return f"| {' | '.join(cell.replace('|', '\\|').replace('\n', ' ') for cell in cells)} |"


_LEADING = re.compile(r"([a-z][a-z0-9]{3,}(?:, [a-z][a-z0-9]{3,})*)[;:,.]\s+")
"""A text begins with the model's names of its field, in lower case, where it has any."""
_BRACKETED = re.compile(r"\s*\(([a-z][a-z0-9]{7,}(?:, [a-z][a-z0-9]{7,})*)(?:\.\.\.)?\)")


def _names_and_effect(text: str) -> tuple[str, str]:
    """The model's names that a text gives, and the rest of it."""
    if found := _LEADING.match(text):
        rest = text[found.end() :]
        return found[1], rest[:1].upper() + rest[1:]
    if found := _BRACKETED.search(text):
        return found[1], text[: found.start()] + text[found.end() :]
    return "", text


def _code(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split(", ")) if names else ""


def _type(kind: Any) -> str:
    if isinstance(kind, NewType):
        return "text"
    arguments = [each for each in get_args(kind) if each not in (NoneType, ...)]
    if get_origin(kind) is tuple:
        return f"list of {_type(arguments[0])}"
    if arguments:
        return " or ".join(_type(each) for each in arguments) + (" or null" if NoneType in get_args(kind) else "")
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"[{_words(kind.__name__)}](#{_anchor(kind)})"
    return _PLAIN.get(kind, kind.__name__)


_PLAIN: Mapping[type, str] = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    SecretRef: "text, never shown",
    datetime: "time",
    timedelta: "duration",
    Credentials: "[credentials](#credentials-of-profiles-and-mailboxes)",
    OwnerRef: "kind and id",
    RecordRef: "type and id",
}


def _value(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case IntEnum():
            return f"`{value.name.lower()}`"
        case StrEnum():
            return f"`{value.value}`"
        case timedelta():
            return _duration(value)
        case tuple():
            return ", ".join(_value(each) for each in value) or "empty"
        case str():
            return f"`{value}`"
        case Credentials():
            return "empty"
        case _:
            return _size(value)


def _range(limits: Range | None) -> str:
    match limits:
        case Numbers(low, high):
            return f"{_size(low)} to {_size(high)}"
        case Durations(low, high):
            return f"{_duration(low)} to {_duration(high)}"
        case Characters(low, high):
            return f"{low} to {high} characters"
        case Entries(low, high):
            return f"{low} to {high} entries"
        case None:
            return ""


def _size(value: int) -> str:
    mebibytes, rest = divmod(value, 1024 * 1024)
    return f"{value} ({mebibytes} MiB)" if mebibytes and not rest else str(value)


def _duration(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds} ({seconds // size} {unit}{'' if seconds == size else 's'})"
    return str(seconds)


def _choices() -> Iterator[str]:
    """Every choice that a field has, with the integers of the model."""
    yield "## Choices\n"
    for choice in dict.fromkeys(found for record in RECORDS for found in _enums(record.definition)):
        yield f"### {_words(choice.__name__)}\n"
        yield f"{getdoc(choice)}\n"
        for member in choice:
            yield f"- `{member.name.lower()}`{f' {member.value}' if issubclass(choice, IntEnum) else ''}"
        yield ""


def _enums(record: type) -> Iterator[type[Enum]]:
    for each in record_fields(record):
        for kind in (each.kind, *get_args(each.kind)):
            if isinstance(kind, type) and issubclass(kind, Enum):
                yield kind


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _anchor(kind: type) -> str:
    return _words(kind.__name__).replace(" ", "-")


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        return 0 if PAGE.exists() and PAGE.read_text() == page() else 1
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
