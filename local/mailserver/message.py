"""A message as a server sees it: its bytes, and the view of an item that is made of them once, whoever asks.

Copies of a message in many mailboxes share one object, since nothing here ever changes. Knows MIME through `mime`; knows no
mailbox and no protocol. Lenient as a server must be: no message is refused.
"""

import mmap
import re
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message as HeaderFields
from email.utils import getaddresses, parsedate_to_datetime
from functools import cached_property

from local.mailserver import mime
from local.mailserver.bodies import Attachment, Bodies, bodies_of
from local.mailserver.mime import Buffer, Part

SPOOLED_FROM = 1024 * 1024
"""Larger messages live in an unnamed temporary file that is mapped, not in memory; bytes."""

_NO_FIELD = re.compile(rb"\A(?:>?From [^\n]*\n)?(?:[ \t]+\r?\n)*[ \t]*")
"""What stands before the first header field of broken mail and would change the meaning of a field put before it."""
_SMIME = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_MEETING_CLASSES = {
    "REQUEST": "IPM.Schedule.Meeting.Request",
    "CANCEL": "IPM.Schedule.Meeting.Canceled",
    "COUNTER": "IPM.Schedule.Meeting.Resp.Tent",
}
_MEETING_REPLIES = {
    "ACCEPTED": "IPM.Schedule.Meeting.Resp.Pos",
    "DECLINED": "IPM.Schedule.Meeting.Resp.Neg",
    "TENTATIVE": "IPM.Schedule.Meeting.Resp.Tent",
}
_REPORT_ACTIONS = {"failed": "REPORT.IPM.Note.NDR", "delayed": "REPORT.IPM.Note.Delayed"}


@dataclass(frozen=True, slots=True)
class Address:
    """An address as written; either half may be empty, not both."""

    name: str
    address: str


def spooled(raw: bytes) -> Buffer:
    """The bytes, or a map of them when they are many."""
    if len(raw) < SPOOLED_FROM:
        return raw
    with tempfile.TemporaryFile() as file:
        file.write(raw)
        file.flush()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@dataclass(eq=False)
class Message:
    """One message. Everything but the bytes is derived on first use."""

    raw: Buffer
    start: int = 0
    end: int = -1
    renderings: dict[str, bytes] = field(default_factory=dict)
    """What protocol heads made of this message, each under keys of its own. The content never changes: neither do these."""

    def __post_init__(self) -> None:
        if self.end < 0:
            self.end = len(self.raw)

    @property
    def size(self) -> int:
        return self.end - self.start

    @cached_property
    def root(self) -> Part:
        return mime.parse(self.raw, self.start, self.end)

    @cached_property
    def fields(self) -> HeaderFields:
        """Of the message itself: whoever wants no more need not have all of it taken apart."""
        known: Part | None = self.__dict__.get("root")
        return (known or mime.parse(self.raw, self.start, self.end, depth=mime.MAX_DEPTH)).fields

    @cached_property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """All header fields in order, unfolded and decoded."""
        return tuple((name, mime.unfolded(mime.decoded_words(mime.readable(value)))) for name, value in self.fields.raw_items())

    @property
    def header_block(self) -> str:
        return mime.readable(self.raw[self.root.start : self.root.body].decode("ascii", "surrogateescape"))

    def header(self, name: str) -> str | None:
        return mime.field_text(self.fields, name)

    @cached_property
    def _once(self) -> dict[str, str]:
        return {name.lower(): value for name, value in reversed(self.headers)}

    def header_once(self, name: str) -> str | None:
        """The first field of that name; cheap when asked again."""
        return self._once.get(name.lower())

    @property
    def subject(self) -> str:
        return self.header("Subject") or ""

    @property
    def message_id(self) -> str | None:
        return self.header("Message-ID") or None

    @property
    def in_reply_to(self) -> str | None:
        return self.header("In-Reply-To") or None

    @property
    def references(self) -> str | None:
        return self.header("References") or None

    @cached_property
    def sender(self) -> Address | None:
        """Who sent it: Sender, else From."""
        return next(iter(self.addresses("Sender") or self.addresses("From")), None)

    @cached_property
    def author(self) -> Address | None:
        """On whose behalf: From, else Sender."""
        return next(iter(self.addresses("From") or self.addresses("Sender")), None)

    def addresses(self, name: str) -> list[Address]:
        """The addresses of all fields of that name; what is no address counts as a name."""
        raw = [mime.readable(str(value)) for value in self.fields.get_all(name, [])]
        try:
            pairs = getaddresses(raw, strict=False)
        except (ValueError, IndexError, TypeError):
            pairs = [("", mime.unfolded(value)) for value in raw]
        found = [Address(mime.unfolded(mime.decoded_words(display)), address.strip()) for display, address in pairs]
        return [address for address in found if address.name or address.address]

    @cached_property
    def sent(self) -> datetime | None:
        value = self.header("Date")
        if not value:
            return None
        try:
            parsed = parsedate_to_datetime(value)
            return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None

    @property
    def importance(self) -> str:
        """Low, Normal or High."""
        said = (self.header("Importance") or self.header("X-MSMail-Priority") or "").lower()
        if said in ("low", "high"):
            return said.capitalize()
        return {"1": "High", "2": "High", "4": "Low", "5": "Low"}.get((self.header("X-Priority") or "")[:1], "Normal")

    @property
    def sensitivity(self) -> str:
        said = (self.header("Sensitivity") or "").lower()
        return {"personal": "Personal", "private": "Private", "company-confidential": "Confidential"}.get(said, "Normal")

    @property
    def conversation_topic(self) -> str:
        return self.header("Thread-Topic") or re.sub(r"^((re|fw|fwd|aw|wg)\s*:\s*)+", "", self.subject, flags=re.IGNORECASE)

    @cached_property
    def bodies(self) -> Bodies:
        return bodies_of(self.root)

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        return self.bodies.attachments

    @cached_property
    def item_class(self) -> str:
        """The MAPI message class that Exchange gives such a message on arrival ([MS-OXCMAIL], [MS-OXOSMIME])."""
        kind = self.root.content_type
        if kind == "multipart/report":
            return self._report_class()
        if kind in _SMIME or (kind == "application/octet-stream" and (self.root.filename or "").lower().endswith(".p7m")):
            return "IPM.Note.SMIME"
        if kind == "multipart/signed":
            return "IPM.Note.SMIME.MultipartSigned"
        if self.bodies.calendar is not None:
            return _meeting_class(self.bodies.calendar)
        return "IPM.Note"

    def _report_class(self) -> str:
        report = (self.root.parameter("report-type") or "").lower()
        if report == "disposition-notification":
            return "REPORT.IPM.Note.IPNRN"
        status = next((part for part in self.root.parts if part.content_type == "message/delivery-status"), None)
        if status is None:
            return "IPM.Note"
        action = re.search(rb"^Action:[ \t]*([A-Za-z]+)", status.content(), re.MULTILINE | re.IGNORECASE)
        return _REPORT_ACTIONS.get(action.group(1).decode().lower() if action else "failed", "REPORT.IPM.Note.DR")


def _meeting_class(calendar: Part) -> str:
    text = calendar.text()
    stated = re.search(r"^METHOD:(\w+)", text, re.MULTILINE | re.IGNORECASE)
    method = (calendar.parameter("method") or (stated.group(1) if stated else "")).upper()
    if method == "REPLY":
        answer = re.search(r"PARTSTAT=(\w+)", text, re.IGNORECASE)
        return _MEETING_REPLIES.get(answer.group(1).upper() if answer else "", "IPM.Schedule.Meeting.Resp.Tent")
    return _MEETING_CLASSES.get(method, "IPM.Note")


def fields_named(names: str) -> re.Pattern[bytes]:
    """Header fields, with the lines that continue them, whose name is as this regular expression says; case does not matter."""
    field = rb"^(?:%b):[^\n]*(?:\n|\Z)(?:[ \t][^\n]*(?:\n|\Z))*" % names.encode()
    return re.compile(field, re.IGNORECASE | re.MULTILINE)


def with_headers(raw: bytes, added: list[tuple[str, str]], removed: re.Pattern[bytes] | None = None) -> bytes:
    """The message with fields put in front, as transport does, and those whose name matches taken out."""
    end = mime.parse(raw, depth=mime.MAX_DEPTH).body
    block = _NO_FIELD.sub(b"", raw[:end], count=1)
    if removed is not None:
        block = removed.sub(b"", block)
    stamped = b"".join(f"{name}: {value}\r\n".encode() for name, value in added)
    separator = b"" if block else b"\r\n"
    return stamped + block + separator + raw[end:]
