"""Raw messages for the tests of MIME: the headers that every message has, and what a test is about."""

from collections.abc import Mapping
from datetime import UTC, datetime

from shared.connectors.mime import read_message
from shared.domain.email import IncomingAttachment, IncomingMessage, ItemRef

REF = ItemRef(id="17", folder="inbox")
RECEIVED = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
_HEADERS = {
    "From": "Bert Baker <bert@fabrikam.example>",
    "To": "anna@contoso.example",
    "Subject": "Offer",
    "Date": "Sun, 22 Nov 2026 09:59:00 +0000",
    "Message-ID": "<offer@fabrikam.example>",
}


def raw(body: str | bytes = "", *, without: tuple[str, ...] = (), **headers: str | bytes) -> bytes:
    """A message with CRLF. Headers are named as keywords (`content_type`); text is written as UTF-8."""
    return raw_of(headers, body, without)


def raw_of(headers: Mapping[str, str | bytes], body: str | bytes = "", without: tuple[str, ...] = ()) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {
        name: value
        for name, value in _HEADERS.items()
        if name not in without and name.lower() not in {each.lower() for each in named}
    }
    lines = [name.encode() + b": " + _bytes(value) for name, value in (kept | named).items()]
    return b"\r\n".join(lines) + b"\r\n\r\n" + _bytes(body)


def _bytes(value: str | bytes) -> bytes:
    return value.encode().replace(b"\n", b"\r\n") if isinstance(value, str) else value


def multipart(*parts: str, kind: str = "mixed", **headers: str | bytes) -> bytes:
    body = "".join(f"--=b\n{part}\n" for part in parts) + "--=b--\n"
    return raw_of({"Content-Type": f'multipart/{kind}; boundary="=b"', **headers}, body)


def read(message: bytes) -> IncomingMessage:
    return read_message(message, REF, received=RECEIVED)


def content(attachment: IncomingAttachment) -> bytes:
    return b"".join(attachment.chunks())
