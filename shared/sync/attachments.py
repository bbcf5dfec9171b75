"""Reads the attachments of a message once: hashes them while they stream into temporary files. Memory stays bounded."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from shared.domain.email import IncomingAttachment
from shared.sync.promotion import HashedAttachment

IN_MEMORY = 256 * 1024
"""Bytes of an attachment that are held in memory; what is larger goes to a temporary file."""


@dataclass(frozen=True, slots=True)
class SpooledAttachment:
    hashed: HashedAttachment
    file: BinaryIO
    """At its start; closed by whoever holds the message."""


def spool(attachments: tuple[IncomingAttachment, ...], files: ExitStack) -> tuple[SpooledAttachment, ...]:
    """Reads every attachment; `files` closes what was opened. Raises SyncError, as the server's reply demands."""
    return tuple(_spool(attachment, files) for attachment in attachments)


def _spool(attachment: IncomingAttachment, files: ExitStack) -> SpooledAttachment:
    file = files.enter_context(_temporary_file())
    digest = hashlib.sha256()
    for chunk in attachment.chunks():
        digest.update(chunk)
        file.write(chunk)
    size = file.tell()
    file.seek(0)
    hashed = HashedAttachment(
        name=attachment.name,
        content_type=attachment.content_type,
        size=size,
        sha256=digest.hexdigest(),
        content_id=attachment.content_id,
        is_inline=attachment.is_inline,
        identity=attachment.identity,
    )
    return SpooledAttachment(hashed, file)


@contextmanager
def _temporary_file() -> Iterator[BinaryIO]:
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        yield file  # type: ignore[misc] # SpooledTemporaryFile has every method of BinaryIO but is not declared as one
