"""Attachments of fetched messages: small ones are read together in a few calls, large ones stream when they are asked for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from shared.connectors.exchange.operation import NoContent
from shared.connectors.exchange.records import AttachmentEntry, Fetched
from shared.connectors.exchange.services import AttachedItem, GetAttachment
from shared.connectors.exchange.session import Session
from shared.domain.email import IncomingAttachment, IncomingMessage
from shared.domain.errors import ItemError, Throttled, TransientError

SMALL = 256 << 10
"""Bytes up to which an attachment is read together with others."""
TOGETHER = 4 << 20
"""Bytes of one call."""
MOST_TOGETHER = 50

_CONTENT_TYPES = {"CalendarItem": "text/calendar", "Contact": "text/vcard"}
_NOT_MESSAGES = frozenset({"CalendarItem", "Contact", "DistributionList", "Task"})

type Guard = Callable[[Callable[[], Iterator[bytes]]], Iterator[bytes]]
"""Runs a stream; tells an item that the server cannot give from a server that is down."""


def groups(entries: Sequence[AttachmentEntry]) -> Iterator[Sequence[AttachmentEntry]]:
    """Small attachments in groups that one call may ask for."""
    group: list[AttachmentEntry] = []
    size = 0
    for entry in entries:
        if group and (size + entry.size > TOGETHER or len(group) == MOST_TOGETHER):
            yield group
            group, size = [], 0
        group.append(entry)
        size += entry.size
    if group:
        yield group


class Attachments:
    """Reads what belongs to the messages of one batch."""

    def __init__(self, session: Session) -> None:
        self._service = GetAttachment(session)

    def complete(self, batch: Sequence[Fetched], guards: Callable[[Fetched], Guard]) -> Sequence[IncomingMessage]:
        """The messages with their attachments. Raises Throttled; other failures show when an attachment is read."""
        entries = [entry for each in batch for entry in each.attachments]
        files = self._files([entry for entry in entries if entry.tag == "FileAttachment" and entry.size <= SMALL])
        items = self._items([entry for entry in entries if entry.tag == "ItemAttachment"])
        return [
            replace(
                each.message,
                attachments=tuple(self._attachment(entry, files, items, guards(each)) for entry in each.attachments),
            )
            if each.attachments
            else each.message
            for each in batch
        ]

    def _files(self, small: Sequence[AttachmentEntry]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for group in groups(small):
            found |= _tolerant(partial(self._service.files, [entry.id for entry in group]))
        return found

    def _items(self, entries: Sequence[AttachmentEntry]) -> dict[str, AttachedItem]:
        found: dict[str, AttachedItem] = {}
        for group in groups([entry for entry in entries if entry.size <= SMALL]):
            found |= _tolerant(partial(self._service.items, [entry.id for entry in group], with_mime=True))
        for entry in entries:
            if entry.size > SMALL:
                found |= _tolerant(partial(self._service.items, [entry.id], with_mime=False))
        return found

    def _attachment(
        self, entry: AttachmentEntry, files: dict[str, bytes], items: dict[str, AttachedItem], guard: Guard
    ) -> IncomingAttachment:
        if entry.tag == "ReferenceAttachment":
            return _incoming(entry, "text/uri-list", partial(_once, entry.location.encode()))
        if entry.tag == "ItemAttachment":
            return self._attached_item(entry, items.get(entry.id), guard)
        known = files.get(entry.id)
        chunks = partial(guard, partial(self._stream, entry, of_item=False)) if known is None else partial(_once, known)
        return _incoming(entry, entry.content_type or "application/octet-stream", chunks)

    def _attached_item(self, entry: AttachmentEntry, known: AttachedItem | None, guard: Guard) -> IncomingAttachment:
        mime = known.mime if known else None
        chunks = partial(guard, partial(self._stream, entry, of_item=True)) if mime is None else partial(_once, mime)
        tag = known.item.tag if known else "Message"
        attachment = _incoming(entry, _CONTENT_TYPES.get(tag, "message/rfc822"), chunks)
        return replace(attachment, is_message=tag not in _NOT_MESSAGES, identity=known.item.identity if known else None)

    def _stream(self, entry: AttachmentEntry, *, of_item: bool) -> Iterator[bytes]:
        try:
            yield from self._service.content(entry.id, of_item=of_item)
        except NoContent:
            if of_item or entry.size:
                raise


def _tolerant[Found](read: Callable[[], dict[str, Found]]) -> dict[str, Found]:
    """What could be read. A failure that may be one attachment's shows again when that one is read alone."""
    try:
        return read()
    except Throttled:
        raise
    except (TransientError, ItemError):
        return {}


def _incoming(entry: AttachmentEntry, content_type: str, chunks: Callable[[], Iterator[bytes]]) -> IncomingAttachment:
    return IncomingAttachment(
        name=entry.name,
        content_type=content_type,
        size=entry.size,
        chunks=chunks,
        content_id=entry.content_id,
        is_inline=entry.is_inline,
    )


def _once(content: bytes) -> Iterator[bytes]:
    if content:
        yield content
