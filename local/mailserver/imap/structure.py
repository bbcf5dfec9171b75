"""BODYSTRUCTURE: the tree of the parts of a message, without the extension data (RFC 3501 section 7.4.2)."""

from local.mailserver import mime
from local.mailserver.imap.envelope import envelope, written
from local.mailserver.message import Message
from local.mailserver.mime import Part
from local.mailserver.octets import octets


def structure(message: Message) -> bytes:
    return _of(mime.parse(octets(message)))


def _of(part: Part) -> bytes:
    kind, _, subtype = part.content_type.partition("/")
    if kind == "multipart" and part.parts:
        return b"(" + b"".join(map(_of, part.parts)) + b" " + written(subtype) + b")"
    fields = [written(kind), written(subtype), _parameters(part)]
    fields += [_field(part, name) for name in ("Content-ID", "Content-Description")]
    fields += [written(part.encoding or "7bit"), b"%d" % (part.end - part.body)]
    if kind == "message" and part.parts:
        inner = part.parts[0]
        fields += [envelope(Message(inner.buffer, inner.start, inner.end)), _of(inner)]
    if kind == "text" or (kind == "message" and part.parts):
        fields.append(b"%d" % part.buffer[part.body : part.end].count(b"\n"))
    return b"(" + b" ".join(fields) + b")"


def _field(part: Part, name: str) -> bytes:
    value = mime.field_text(part.fields, name)
    return b"NIL" if value is None else written(value)


def _parameters(part: Part) -> bytes:
    names = [str(name) for name, _ in (part.fields.get_params() or [])[1:]]
    values = [(name, part.parameter(name)) for name in dict.fromkeys(names)]
    found = [written(text) for name, value in values if value is not None for text in (name, value)]
    return b"(" + b" ".join(found) + b")" if found else b"NIL"
