"""Single values of EWS replies: times, numbers, Message-IDs, addresses. What cannot be read is None, or nothing."""

from dataclasses import dataclass
from datetime import UTC, datetime

from lxml.etree import _Element

from shared.domain.choices import SenderOrigin
from shared.domain.email import Address

T = "{http://schemas.microsoft.com/exchange/services/2006/types}"


def time_of(text: str | None) -> datetime | None:
    """An xs:dateTime as aware UTC; one without a zone is UTC, since no time zone was asked for. None if it is no time."""
    try:
        moment = datetime.fromisoformat((text or "").strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def number_of(text: str | None) -> int:
    """A size in bytes; 0 if it is none."""
    try:
        return max(0, int(text or 0))
    except ValueError:
        return 0


def origin_of(text: str | None) -> SenderOrigin:
    if not text:
        return SenderOrigin.UNKNOWN
    return SenderOrigin.INTERNAL if text.strip().lower() == "internal" else SenderOrigin.EXTERNAL


@dataclass(frozen=True, slots=True)
class MailboxName:
    """t:Mailbox as the server gives it: `address` is an X.500 name where `is_smtp` is False."""

    name: str
    address: str
    is_smtp: bool

    def resolved(self, smtp_address: str | None) -> Address | None:
        """With the item's own SMTP address in place of an X.500 name. A mailbox without any address stands by its name."""
        address = self.address if self.is_smtp else smtp_address or self.address
        if address or self.name:
            return Address(address or self.name, self.name)
        return None


def mailbox_name(element: _Element) -> MailboxName:
    name = address = routing = ""
    for child in element:
        tag = child.tag
        if tag == _EMAIL_ADDRESS:
            address = (child.text or "").strip()
        elif tag == _NAME:
            name = (child.text or "").strip()
        elif tag == _ROUTING_TYPE:
            routing = (child.text or "").upper()
    return MailboxName(name, address, is_smtp=bool(address) and routing != "EX" and not address.startswith("/"))


_NAME = T + "Name"
_EMAIL_ADDRESS = T + "EmailAddress"
_ROUTING_TYPE = T + "RoutingType"
_MAILBOX = T + "Mailbox"


def recipients(element: _Element) -> tuple[Address, ...]:
    resolved = (mailbox_name(child).resolved(None) for child in element if child.tag == _MAILBOX)
    return tuple(address for address in resolved if address)
