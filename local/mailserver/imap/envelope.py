"""ENVELOPE: the header of a message in a structure (RFC 3501 section 7.4.2). Encoded words stay as they are."""

from email.errors import MessageError
from email.utils import getaddresses

from local.mailserver import mime
from local.mailserver.message import Message


def envelope(message: Message) -> bytes:
    fields = [_text(message, "Date"), _text(message, "Subject")]
    author = _addresses(message, "From")
    fields += [author, *(_addresses(message, name, author) for name in ("Sender", "Reply-To"))]
    fields += [_addresses(message, name) for name in ("To", "Cc", "Bcc")]
    fields += [_text(message, name) for name in ("In-Reply-To", "Message-ID")]
    return b"(" + b" ".join(fields) + b")"


def _text(message: Message, name: str) -> bytes:
    value = message.fields.get(name)
    return b"NIL" if value is None else written(mime.unfolded(str(value)))


def _addresses(message: Message, name: str, default: bytes = b"NIL") -> bytes:
    values = [mime.unfolded(str(value)) for value in message.fields.get_all(name, [])]
    try:
        pairs = getaddresses(values, strict=False)
    except (MessageError, ValueError, IndexError, TypeError):
        pairs = []
    shown = [_address(display, address) for display, address in pairs if display or address]
    return b"(" + b"".join(shown) + b")" if shown else default


def _address(display: str, address: str) -> bytes:
    local, _, host = address.rpartition("@")
    return b"(%b NIL %b %b)" % (written(display) if display else b"NIL", written(local or host), written(host if local else ""))


def written(text: str) -> bytes:
    """Quoted where it can be, else a literal."""
    content = text.encode("utf-8", "surrogateescape")
    if content.isascii() and not any(forbidden in content for forbidden in (b'"', b"\\", b"\r", b"\n", b"\0")):
        return b'"' + content + b'"'
    return b"{%d}\r\n" % len(content) + content
