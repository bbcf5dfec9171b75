"""What every configuration record obeys: identifiers, texts, addresses, dates, ranges. Knows no record and no store.

Each rule returns the value as it is stored or raises InvalidRecord, which names the field and the remedy.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.errors import InvalidRecord
from shared.domain.ranges import ADDRESS, NAME

LONGEST_ID = 64
LONGEST_SECRET = 8_000
"""The key of a service account is a file of 2,400 characters."""
LONGEST_CERTIFICATE = 20_000
"""A private key and a chain of certificates; Key Vault holds 25 KB."""

ID_PATTERN = rf"^[A-Za-z0-9](?:[A-Za-z0-9._-]{{0,{LONGEST_ID - 2}}}[A-Za-z0-9])?$"
"""Identifiers that clients choose: harmless in URLs, storage keys and logs."""
ID_REMEDY = f"Use 1 to {LONGEST_ID} letters, digits, dots, hyphens and underscores, first and last a letter or a digit."

_ID = re.compile(ID_PATTERN.removesuffix("$") + r"\Z")
_LOCAL_PART = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z", re.IGNORECASE)
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z", re.IGNORECASE)
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the deployment allows."""

    allow_local_servers: bool = False
    """Mail servers on this machine and without TLS: for the local set-up only."""


def identifier(field: str, value: str) -> str:
    if not _ID.match(value):
        raise InvalidRecord(field, f"{field} is not an identifier", ID_REMEDY)
    return value


def text(field: str, value: str, longest: int = NAME.high) -> str:
    """One line of visible text, without surrounding space."""
    trimmed = value.strip()
    if not 0 < len(trimmed) <= longest or not trimmed.isprintable():
        raise InvalidRecord(field, f"{field} is not a line of text", f"Write 1 to {longest} visible characters on one line.")
    return trimmed


def email_address(field: str, value: str) -> str:
    """An address as RFC 5321 has it, without quoted local parts and address literals, which no mailbox in use has."""
    trimmed = value.strip()
    local, at, domain = trimmed.rpartition("@")
    well_formed = at and len(local) <= 64 and _LOCAL_PART.match(local) and is_host_name(domain) and "." in domain
    if not well_formed or len(trimmed) > ADDRESS.high:
        raise InvalidRecord(
            field,
            f"{field} is not an email address",
            f"Write one address such as anna@contoso.com, at most {ADDRESS.high} characters, without a display name.",
        )
    return trimmed


def is_host_name(value: str) -> bool:
    """A DNS name. One whose last label is a number would be read as an IP address by some resolvers, so it is none."""
    labels = value.removesuffix(".").split(".")
    return len(value) <= 253 and all(_LABEL.match(label) for label in labels) and not labels[-1].isdecimal()


def start_date(field: str, value: datetime | None) -> datetime | None:
    return None if value is None else instant(field, value)


def instant(field: str, value: datetime) -> datetime:
    """Aware, in UTC, and of this age: a date that storage can hold."""
    if value.utcoffset() is None:
        raise InvalidRecord(field, f"{field} has no time zone", "Write it with an offset, such as 2026-01-31T00:00:00Z.")
    if not _EARLIEST <= value < _LATEST:
        raise InvalidRecord(field, f"{field} is out of range", f"Write a date from {_EARLIEST.year} to {_LATEST.year - 1}.")
    return value.astimezone(UTC)


def duration(field: str, value: timedelta, low: timedelta, high: timedelta) -> timedelta:
    if not low <= value <= high:
        raise InvalidRecord(
            field,
            f"{field} is out of range",
            f"Write {low.total_seconds():g} to {high.total_seconds():g} seconds, as a number or as an ISO 8601 duration.",
        )
    return value


def number(field: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise InvalidRecord(field, f"{field} is out of range", f"Write a whole number from {low} to {high}.")
    return value
