"""Attachments on their way to a draft, of any size: the request is made while it is sent, so that memory stays bounded."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic

from lxml import etree

from shared.connectors.exchange.drafts import Draft, as_many, file_attachment
from shared.connectors.exchange.records import M
from shared.connectors.exchange.refusals import DeliveryOperation
from shared.connectors.exchange.session import LONGEST_STREAM
from shared.connectors.exchange.values import T
from shared.domain.errors import AttachmentLost, Unreachable
from shared.domain.outgoing import OutgoingAttachment

_HERE = "content-of-the-attachment"
"""Stands in the envelope where the content goes. It is the last such text of it: nothing but closing tags follows."""
_STEP = 48 << 10
"""Bytes encoded at once: a multiple of three, so that base64 needs no filling before the end."""


class CreateAttachment(DeliveryOperation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/createattachment-operation"""

    SERVICE_NAME = "CreateAttachment"

    def attach(self, draft: Draft, attachment: OutgoingAttachment) -> Draft:
        """The draft as it is then. Raises DeliveryError about this email."""
        attachments = etree.Element(f"{M}Attachments")
        attachments.append(file_attachment(attachment, _HERE))
        payload = self.payload(draft.element(f"{M}ParentItemId"), attachments)
        (message,) = as_many(self.ask(payload, partial(Upload, attachment, self.protocol.keep)), [attachment])
        with self.errors():
            if refusal := self.refusal(message):
                raise refusal
        created = message.find(f"{M}Attachments/*/{T}AttachmentId")
        # Without the new version the server says that ours is stale when it is to send the draft, and is asked for it then.
        return Draft(draft.id, created.get("RootItemChangeKey", "") if created is not None else "")


class Upload:
    """`pool.Streamed`: the envelope, with the content of the attachment in its place."""

    def __init__(self, attachment: OutgoingAttachment, keep: Callable[[], None], envelope: bytes) -> None:
        """`keep` is called while it goes on."""
        self._attachment = attachment
        self._keep = keep
        self._head, _, self._tail = envelope.rpartition(_HERE.encode())

    def __len__(self) -> int:
        return len(self._head) + 4 * -(-self._attachment.size // 3) + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        """Raises AttachmentLost, and what reading the content raises; Unreachable when it takes too long."""
        deadline = monotonic() + LONGEST_STREAM.total_seconds()
        yield self._head
        for encoded in _encoded(content_of(self._attachment)):
            yield encoded
            self._keep()
            if monotonic() > deadline:
                raise Unreachable("The upload took longer than the time allowed for it.")
        yield self._tail


def content_of(attachment: OutgoingAttachment) -> Iterator[bytes]:
    """As many bytes as were announced. Raises AttachmentLost, TransientError."""
    missing = attachment.size
    try:
        for chunk in attachment.chunks():
            missing -= len(chunk)
            if missing < 0:
                break
            yield chunk
    except KeyError as error:
        raise AttachmentLost("The content of an attachment is not in the store any more.") from error
    if missing:
        raise AttachmentLost("The content of an attachment is not what it was when it was added.")


def _encoded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        for start in range(0, len(chunk), _STEP):
            joined = rest + chunk[start : start + _STEP]
            whole = len(joined) - len(joined) % 3
            rest = joined[whole:]
            if whole:
                yield b64encode(joined[:whole])
    if rest:
        yield b64encode(rest)
