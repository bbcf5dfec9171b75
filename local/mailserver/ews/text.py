"""Text and values as XML. Replies are put together from bytes, because an XML library would cost more than the store."""

import re
from datetime import UTC, datetime

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot carry, not even escaped."""


def escaped(text: str) -> bytes:
    """Content of an element. CR is written as a reference, as Exchange does: a parser would turn it into LF."""
    if _FORBIDDEN.search(text):
        text = _FORBIDDEN.sub("", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;").encode()


def attribute(text: str) -> bytes:
    """Content of an attribute in double quotes."""
    return escaped(text).replace(b'"', b"&quot;").replace(b"\n", b"&#xA;").replace(b"\t", b"&#x9;")


def element(name: str, text: str) -> bytes:
    """An element of the types namespace; nothing where there is no text that XML could carry."""
    content = escaped(text)
    return b"<t:%b>%b</t:%b>" % (name.encode(), content, name.encode()) if content else b""


def flag(name: str, value: bool) -> bytes:
    return f"<t:{name}>{'true' if value else 'false'}</t:{name}>".encode()


def instant(time: datetime) -> str:
    """xs:dateTime in UTC, whole seconds, as Exchange writes it."""
    return (
        f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        if time.year >= 1000
        else f"{time.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"
    )


def moment(name: str, time: datetime | None) -> bytes:
    return f"<t:{name}>{instant(time)}</t:{name}>".encode() if time is not None else b""
