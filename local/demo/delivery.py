"""Delivers mail to the local mail server: over SMTP as the world does, or put into a mailbox with a date of its own."""

import smtplib
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from local.mailserver import FaultKind
from local.mailserver.remote import MailServerControl
from local.samples import Placed, Sample
from local.samples.people import PEOPLE

USER_PASSWORD = "sample password of a user"


class Post:
    """Use as a context manager: it keeps an SMTP connection for strangers and one for each signed-in sender."""

    def __init__(self, control: MailServerControl, smtp_port: int) -> None:
        self._control = control
        self._smtp_port = smtp_port
        self._connections: dict[str, smtplib.SMTP] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for connection in self._connections.values():
            connection.close()

    def deliver(self, sample: Sample) -> None:
        if sample.placed is not None:
            draft, from_me = sample.placed is Placed.DRAFT, sample.placed is Placed.OWN_COPY
            self._control.put(sample.raw, sample.to[0], "inbox", draft=draft, from_me=from_me)
            return
        if sample.received is not None:
            ids = self._control.deliver(sample.raw, sample.to, sample.received, internal=sample.internal)
            if sample.unreadable:
                self._control.faults.add(FaultKind.UNREADABLE_ITEM, sample.to[0], item=ids[0], code="ErrorItemCorrupt")
            return
        signed_in_as = sample.sender if sample.internal else ""
        self._connection(signed_in_as).sendmail(sample.sender, list(sample.to), sample.raw)

    def _connection(self, username: str) -> smtplib.SMTP:
        if username not in self._connections:
            connection = smtplib.SMTP("127.0.0.1", self._smtp_port, timeout=60)
            connection.ehlo()
            if username:
                connection.login(username, USER_PASSWORD)
            self._connections[username] = connection
        return self._connections[username]


def open_mailboxes(control: MailServerControl) -> None:
    """Everybody of the organisation has a mailbox and a password, whatever Sidesync thinks of them."""
    for person in PEOPLE:
        control.add_mailbox(person.address, person.name, password=USER_PASSWORD)


def deliver_all(post: Post, samples: Sequence[Sample], progress: Callable[[], None]) -> Mapping[str, int]:
    """Delivers the samples in order; returns how many messages each address got."""
    counts: dict[str, int] = {person.address: 0 for person in PEOPLE}
    for sample in samples:
        post.deliver(sample)
        for address in sample.to:
            counts[address] += 1
        progress()
    return counts
