"""What Outlook packed into winmail.dat, as body and attachments of the message that carries it."""

from collections.abc import Iterator
from functools import partial

from shared.connectors.mime.structure import Part
from shared.connectors.mime.tnef import LARGEST, Broken, Enclosed, Unpacked, unpacked
from shared.connectors.mime.transfer import CHUNK
from shared.domain.email import IncomingAttachment

_TNEF = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})


def is_tnef(part: Part) -> bool:
    """By type, or by the name that Outlook gives it where a server lost the type."""
    return part.content_type in _TNEF or part.filename.lower() == "winmail.dat"


def unpacked_part(part: Part) -> Unpacked | None:
    """None where it cannot be unpacked, and stays the attachment that it is."""
    if part.end - part.body > 2 * LARGEST:
        return None
    try:
        return unpacked(part.content())
    except Broken:
        return None


def enclosed_attachment(enclosed: Enclosed, number: int) -> IncomingAttachment:
    """An attached message is TNEF again, without a MIME form: it is kept as that."""
    content_type = "application/ms-tnef" if enclosed.is_message else enclosed.content_type or "application/octet-stream"
    return IncomingAttachment(
        name=enclosed.name or f"ATT{number:05}.dat",
        content_type=content_type,
        size=len(enclosed.content),
        chunks=partial(_pieces, enclosed.content),
        content_id=enclosed.content_id,
        is_inline=enclosed.content_id is not None,
    )


def _pieces(content: bytes | memoryview) -> Iterator[bytes]:
    for position in range(0, len(content), CHUNK):
        yield bytes(content[position : position + CHUNK])
