"""An email on its way out, as a connector is given it, and what the server answers. Times are aware UTC, sizes are bytes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from shared.domain.alerts import UNEXPECTED
from shared.domain.choices import Priority
from shared.domain.delivery import RefusedRecipient
from shared.domain.email import Address
from shared.domain.errors import DeliveryUnknown
from shared.domain.ids import normalised_address

UNSURE = frozenset({DeliveryUnknown.code, UNEXPECTED})
"""Codes of attempts that may have succeeded for all that anybody knows: who cannot ask the server says so at the next."""


@dataclass(frozen=True, slots=True)
class OutgoingAttachment:
    name: str
    content_type: str
    size: int
    chunks: Callable[[], Iterator[bytes]]
    """Streams the content; may be called again. Raises TransientError, KeyError."""
    content_id: str | None = None
    """Without angle brackets."""
    is_inline: bool = False


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """Everything that is decided about an email before it is sent: the same input gives the same message."""

    key: str
    """Our own id of it: an Exchange draft carries it, so that it is found again."""
    message_id: str
    """Normalised, like `in_reply_to` and `references`."""
    date: datetime
    from_: Address
    sender: Address | None = None
    """Who writes for `from_` (Sender of RFC 5322), where that is somebody else."""
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    subject: str = ""
    body_html: str | None = None
    body_text: str = ""
    """With `body_html` the alternative for programs that show no HTML."""
    attachments: tuple[OutgoingAttachment, ...] = ()
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    """Oldest first."""
    conversation_index: str | None = None
    """Base64, as PR_CONVERSATION_INDEX; of an answer it continues that of the original."""
    priority: Priority = Priority.NORMAL
    read_receipt: bool = False
    delivery_receipt: bool = False
    save_copy: bool = True
    """A copy goes to Sent Items, where the server keeps such a folder itself."""
    waiting: tuple[int, ...] = ()
    """`Delivery.waiting`: it goes to these alone. The message names everybody all the same."""

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom it goes to now: each address once, in order."""
        everybody = self.everybody
        return tuple(everybody[place] for place in self.waiting if place < len(everybody)) if self.waiting else everybody

    @property
    def everybody(self) -> tuple[str, ...]:
        """Whom it goes to all in all: each address once, in order."""
        first: dict[str, str] = {}
        for each in (*self.to, *self.cc, *self.bcc):
            first.setdefault(normalised_address(each.address), each.address)
        return tuple(first.values())


@dataclass(frozen=True, slots=True)
class Receipt:
    """The server has accepted the email, for at least one recipient."""

    server_id: str = ""
    """What the server calls it since: a queue id, an item; empty where it does not say."""
    detail: str = ""
    """The server's words."""
    refused: tuple[RefusedRecipient, ...] = ()
    """Those whom it does not take for now are among them."""
    waiting: tuple[int, ...] = ()
    """Places in `OutgoingMessage.everybody` of those whom it does not take for now (4xx): the email is sent, and goes to them
    alone later, after `retry_after` where the server said so."""
    retry_after: timedelta | None = None
    may_be_twice: bool = False
    """Some of those who wait may have it already."""
    message_id: str | None = None
    """Normalised Message-ID by which others will know it, where it is another one than ours."""


class Trace(Enum):
    """What a mailbox tells of a draft that is not where it was."""

    SENT = auto()
    """It is on its way, or there is a copy of it as sent."""
    TAKEN = auto()
    """It is a draft still, elsewhere: somebody deleted or moved it."""
    NOTHING = auto()
    """It was sent, unless somebody deleted it for good."""
