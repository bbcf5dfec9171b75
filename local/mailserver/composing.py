"""Puts a MIME message together from fields, a body and attachments, as Exchange does with what clients describe to it.

Knows no item and no protocol. Follows RFC 5322, 2045 to 2047 and 2183; addresses beyond ASCII are written as UTF-8 (RFC 6532).
"""

import base64
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.header import Header
from email.utils import quote

from local.mailserver import mime
from local.mailserver.bodies import text_of
from local.mailserver.message import Address, fields_named
from local.mailserver.mime import Buffer

_LINE = 78
"""Characters of a line of header fields (RFC 5322 section 2.1.1)."""
_CONTENT_FIELDS = fields_named(r"Content-[^:\n]*|MIME-Version")


@dataclass(frozen=True, slots=True)
class File:
    """A file to be attached."""

    name: str
    content: bytes
    content_type: str = "application/octet-stream"
    content_id: str = ""
    content_location: str = ""
    is_inline: bool = False


def header_field(name: str, text: str) -> bytes:
    """One field of unstructured text: in encoded words where it is more than ASCII. Line breaks in the text are spaces."""
    charset = "us-ascii" if text.isascii() else "utf-8"
    value = Header(mime.unfolded(text), charset, header_name=name, maxlinelen=_LINE).encode(linesep="\r\n")
    return f"{name}: {value}\r\n".encode()


def identifier_field(name: str, text: str) -> bytes:
    """One field of identifiers, each whole on its line."""
    return f"{name}: {'\r\n '.join(text.split())}\r\n".encode()


def address_field(name: str, addresses: Iterable[Address]) -> bytes:
    """One field of addresses, each on a line of its own."""
    return f"{name}: {',\r\n '.join(map(_address, addresses))}\r\n".encode()


def _address(address: Address) -> str:
    if not address.name:
        return f"<{mime.unfolded(address.address)}>"
    name = mime.unfolded(address.name)
    shown = f'"{quote(name)}"' if name.isascii() else Header(name, "utf-8").encode(linesep="\r\n")
    return f"{shown} <{mime.unfolded(address.address)}>"


def composed(fields: Sequence[bytes], text: str, *, is_html: bool, files: Iterable[bytes] = ()) -> bytes:
    """A message of these fields; `files` are entities. HTML gets a text beside it for programs that show none."""
    plain = _text_entity("plain", text_of(text) if is_html else text)
    entity = multipart("alternative", [plain, _text_entity("html", text)]) if is_html else plain
    message = b"".join(fields) + b"MIME-Version: 1.0\r\n" + entity
    attached = list(files)
    return with_entities(message, attached) if attached else message


def multipart(kind: str, entities: Iterable[bytes]) -> bytes:
    boundary = f"_000_{uuid.uuid4().hex}_".encode()
    parts = b"".join(b"--%b\r\n%b\r\n" % (boundary, entity) for entity in entities)
    return b'Content-Type: multipart/%b; boundary="%b"\r\n\r\n%b--%b--\r\n' % (kind.encode(), boundary, parts, boundary)


def with_entities(raw: Buffer, added: Iterable[bytes]) -> bytes:
    """The message with further attachments behind those that it has."""
    root = mime.parse(raw)
    block = raw[root.start : root.body].rstrip() + b"\r\n"
    if root.content_type == "multipart/mixed":
        entities = [raw[part.start : part.end] for part in root.parts]
    else:
        entities = [b"".join(_own_fields(block)) + b"\r\n" + raw[root.body : root.end]]
    head = _CONTENT_FIELDS.sub(b"", block).lstrip()
    return head + b"MIME-Version: 1.0\r\n" + multipart("mixed", [*entities, *added])


def _own_fields(block: bytes) -> Iterator[bytes]:
    """The fields of a message that say how its content is to be read."""
    for match in _CONTENT_FIELDS.finditer(block):
        if not match.group().lower().startswith(b"mime-version"):
            yield match.group()


def file_entity(file: File) -> bytes:
    disposition = "inline" if file.is_inline else "attachment"
    lines = [
        f"Content-Type: {mime.unfolded(file.content_type)};\r\n {_parameter('name', file.name)}",
        f"Content-Disposition: {disposition};\r\n {_parameter('filename', file.name)}",
        "Content-Transfer-Encoding: base64",
    ]
    if file.content_id:
        lines.append(f"Content-ID: <{mime.unfolded(file.content_id).strip('<>')}>")
    if file.content_location:
        lines.append(f"Content-Location: {mime.unfolded(file.content_location)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + _base64(file.content)


def message_entity(raw: bytes) -> bytes:
    """An attached message."""
    return b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n" + raw


def _parameter(name: str, value: str) -> str:
    """RFC 2045, and in encoded words where it is more than ASCII, as Exchange writes it."""
    value = mime.unfolded(value)
    shown = quote(value) if value.isascii() else Header(value, "utf-8").encode(linesep="\r\n")
    return f'{name}="{shown}"'


def _text_entity(kind: str, text: str) -> bytes:
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + _base64(text.encode("utf-8", "replace"))


def _base64(content: bytes) -> bytes:
    """In lines of 76 characters."""
    encoded = base64.b64encode(content)
    return b"".join(encoded[at : at + 76] + b"\r\n" for at in range(0, len(encoded), 76))
