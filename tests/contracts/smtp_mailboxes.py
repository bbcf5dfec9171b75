"""Mailboxes that email is sent from and arrives in by SMTP, for tests: on the local mail server, and on Exim. Says the same of
both."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from local.mailserver import MailServer
from local.mailserver.faults import FaultKind
from shared.connectors.mime import read_message
from shared.domain.email import Address, IncomingMessage, ItemRef
from shared.domain.outgoing import OutgoingAttachment, OutgoingMessage
from tests import exim
from tests.contracts.exchange_mailboxes import PASSWORD, a_new_mailbox
from tests.contracts.internet_mailboxes import Ports
from tests.exim import Exim
from tests.maildir import Maildir

TEN = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)

_numbers = count(1)


class Arriving(Protocol):
    """A mailbox, from the server's side."""

    @property
    def address(self) -> str:
        """What its owner signs in with, too."""
        ...

    def messages(self) -> list[bytes]:
        """All that is there, with what transport wrote on top."""
        ...

    def arrived(self, count: int) -> list[bytes]:
        """`messages`, as soon as there are so many."""
        ...


class SmtpPlace(Protocol):
    """A mail server that takes email from who signed in; each of its mailboxes has the same password."""

    @property
    def password(self) -> str: ...

    @property
    def largest(self) -> int:
        """Bytes of a message."""
        ...

    @property
    def smtp(self) -> Ports: ...

    @property
    def certificate_file(self) -> Path: ...

    def new_mailbox(self, address: str = "") -> Arriving: ...

    def token(self, address: str) -> str:
        """A bearer token that opens the mailbox."""
        ...

    def postponing(self, status_code: str) -> str:
        """A recipient who is not accepted for now, with this status: 4.7.1 or 4.2.2."""
        ...

    def unwanted(self, status_code: str) -> str:
        """The subject of a message that is refused, with this status, when all of it is there: 5.7.1 or 4.3.0."""
        ...


@dataclass(frozen=True, slots=True)
class ServedByExim:
    maildir: Maildir

    @property
    def address(self) -> str:
        return self.maildir.username

    def messages(self) -> list[bytes]:
        return self.maildir.messages()

    def arrived(self, count: int) -> list[bytes]:
        return self.maildir.arrived(count)


@dataclass(frozen=True, slots=True)
class EximPlace:
    server: Exim
    password: str = exim.PASSWORD
    largest: int = exim.LARGEST_MESSAGE

    @property
    def smtp(self) -> Ports:
        return Ports(self.server.port, self.server.tls_port)

    @property
    def certificate_file(self) -> Path:
        return self.server.certificate_file

    def new_mailbox(self, address: str = "") -> ServedByExim:
        return ServedByExim(self.server.add_mailbox(address))

    def token(self, address: str) -> str:  # noqa: ARG002  # one for everybody
        return self.server.token

    def postponing(self, status_code: str) -> str:
        return {"4.7.1": exim.GREYLISTED, "4.2.2": exim.FULL}[status_code]

    def unwanted(self, status_code: str) -> str:
        return {"5.7.1": exim.REFUSED_SUBJECT, "4.3.0": exim.POSTPONED_SUBJECT}[status_code]


@dataclass(frozen=True, slots=True)
class ServedLocally:
    server: MailServer
    address: str

    def messages(self) -> list[bytes]:
        items = self.server.store.mailbox(self.address).folder("inbox").items.values()
        return [bytes(item.message.raw[item.message.start : item.message.end]) for item in items]

    def arrived(self, count: int) -> list[bytes]:
        """The server delivers before it answers."""
        found = self.messages()
        assert len(found) >= count, f"{len(found)} of {count} messages arrived"
        return found


@dataclass(frozen=True, slots=True)
class LocalSmtpPlace:
    server: MailServer
    password: str = PASSWORD
    largest: int = 30 << 20

    @property
    def smtp(self) -> Ports:
        return Ports(self.server.smtp_port, self.server.smtps_port)

    @property
    def certificate_file(self) -> Path:
        assert self.server.certificate_file is not None
        return self.server.certificate_file

    def new_mailbox(self, address: str = "") -> ServedLocally:
        if not address:
            address = a_new_mailbox(self.server).address
            self.server.add_account(address, PASSWORD, mailbox=address)
        else:
            self.server.add_mailbox(address, password=PASSWORD)
        return ServedLocally(self.server, address)

    def token(self, address: str) -> str:
        account = self.server.accounts.find(address)
        assert account is not None
        return self.server.accounts.issue_token(account)[0]

    def postponing(self, status_code: str) -> str:
        recipient = self.new_mailbox().address
        code = {"4.7.1": "451 4.7.1", "4.2.2": "452 4.2.2"}[status_code]
        self.server.faults.add(FaultKind.ERROR, recipient, operation="RCPT", code=code, text="Not now")
        return recipient

    def unwanted(self, status_code: str) -> str:
        code = {"5.7.1": "550 5.7.1", "4.3.0": "451 4.3.0"}[status_code]
        self.server.faults.add(FaultKind.ERROR, operation="Message", count=1, code=code, text="Not wanted")
        return "Any"


@dataclass(frozen=True, slots=True)
class Content:
    """Of an attachment: so many bytes, read anew each time they are asked for."""

    size: int
    pattern: bytes = bytes(range(256))

    def chunks(self) -> Iterator[bytes]:
        block = self.pattern * (65_536 // len(self.pattern))
        remaining = self.size
        while remaining > 0:
            yield block[:remaining]
            remaining -= len(block)

    def digest(self) -> str:
        found = hashlib.sha256()
        for chunk in self.chunks():
            found.update(chunk)
        return found.hexdigest()


def an_attachment(
    name: str = "terms.pdf",
    content_type: str = "application/pdf",
    content: Content | bytes = b"%PDF",
    *,
    content_id: str | None = None,
) -> OutgoingAttachment:
    """With a content id it is a picture of the body."""
    held = Content(len(content), content) if isinstance(content, bytes) else content
    chunks = (lambda: iter([content])) if isinstance(content, bytes) else held.chunks
    return OutgoingAttachment(name, content_type, held.size, chunks, content_id, is_inline=content_id is not None)


def an_outgoing(sender: Arriving, /, *to: Arriving | str, **changes: Any) -> OutgoingMessage:
    """To these, with an HTML body and its text; `changes` are fields of the message."""
    number = next(_numbers)
    message = OutgoingMessage(
        key=f"email-{number}",
        message_id=f"email-{number}.{id(sender):x}@contoso.example",
        date=TEN,
        from_=Address(sender.address, "Anna Example"),
        to=tuple(Address(each if isinstance(each, str) else each.address) for each in to),
        subject="Offer",
        body_html="<p>Hello <b>Bert</b></p>",
        body_text="Hello Bert",
    )
    return replace(message, **changes)


def read(raw: bytes) -> IncomingMessage:
    """As a connector reads what arrived."""
    return read_message(raw, ItemRef("1", "inbox"))


def digest(message: IncomingMessage, name: str) -> str:
    """Of the attachment of that name."""
    (attachment,) = (each for each in message.attachments if each.name == name)
    found = hashlib.sha256()
    for chunk in attachment.chunks():
        found.update(chunk)
    return found.hexdigest()


@dataclass(slots=True)
class Failing:
    """Content of an attachment that is read as far as half, and then fails."""

    error: Exception
    read: int = field(default=0)

    def chunks(self) -> Iterator[bytes]:
        self.read += 1
        yield b"half"
        raise self.error
