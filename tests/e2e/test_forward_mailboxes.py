"""A forward mailbox on every kind of server: what is attached becomes the activity, and the forward is deleted."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from local.mailserver import MailServer
from shared.connectors.connect import Connect
from shared.domain.choices import Direction, EmailDeliveryMethod, Workload
from shared.domain.configuration import Credentials, EmailServerProfile, SecretRef, WorkloadSchedule
from shared.domain.ids import MailboxId, email_id
from shared.domain.operations import RunOutcome
from shared.stores.memory import memory_stores
from shared.sync.incoming import IncomingSync
from tests.builders import MONDAY, a_mailbox, a_sync_of, with_organisation
from tests.contracts.exchange_mailboxes import PASSWORD, SERVICE, KnownSecrets
from tests.e2e.test_same_mail import profiles

COLLECTION = "collection@contoso.example"
LARGE = 6 << 20
"""Bytes; what is held in memory of an attached message is less."""


def an_original(size: int = 0) -> bytes:
    padding = b"".join(b"%060d\r\n" % number for number in range(size // 62))
    return (
        b"Received: from client.example by mail.contoso.example; Mon, 23 Nov 2026 07:00:00 +0000\r\n"
        b"From: Carol <carol@fabrikam.example>\r\nTo: anna@contoso.example\r\nSubject: Offer\r\n"
        b"Date: Mon, 23 Nov 2026 06:59:00 +0000\r\nMessage-ID: <offer@fabrikam.example>\r\n\r\nOur offer.\r\n" + padding
    )


def a_forward(original: bytes) -> bytes:
    """As a rule of Anna's server writes it."""
    return (
        b"Received: from client.example by mail.contoso.example; Mon, 23 Nov 2026 07:00:01 +0000\r\n"
        b"From: anna@contoso.example\r\nTo: collection@contoso.example\r\nSubject: FW: Offer\r\n"
        b"Date: Mon, 23 Nov 2026 07:00:00 +0000\r\nMessage-ID: <forward@contoso.example>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=parts\r\n\r\n--parts\r\nContent-Type: text/plain\r\n\r\n\r\n"
        b"--parts\r\nContent-Type: message/rfc822\r\n\r\n" + original + b"\r\n--parts--\r\n"
    )


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        server.add_account(SERVICE, PASSWORD, impersonation=True)
        server.add_mailbox(COLLECTION)
        server.add_account(COLLECTION, PASSWORD, mailbox=COLLECTION)
        yield server


def forward_profiles(server: MailServer) -> Mapping[str, EmailServerProfile]:
    own = Credentials(username=COLLECTION, secret=SecretRef(PASSWORD, "1"))
    found = profiles(server)
    return {name: profile if name == "exchange" else replace(profile, credentials=own) for name, profile in found.items()}


@pytest.mark.parametrize("source", ["exchange", "pop3", "imap"])
@pytest.mark.parametrize("size", [0, LARGE])
def test_what_is_attached_becomes_the_activity_of_whom_it_was_for(server: MailServer, source: str, size: int) -> None:
    server.deliver(a_forward(an_original(size)), [COLLECTION], MONDAY - timedelta(hours=1), internal=None)
    anna = a_mailbox("anna", incoming_method=EmailDeliveryMethod.FORWARD_MAILBOX)
    stores = with_organisation(memory_stores(), anna, profile=forward_profiles(server)[source])
    collection = a_mailbox("collection", id=MailboxId("collection"), owner=None, process_and_delete=True, address=COLLECTION)
    stores.mailboxes.create(collection, {Workload.INCOMING: WorkloadSchedule(due=MONDAY)})
    connect = Connect(KnownSecrets(), allow_local_servers=True)
    outcome = IncomingSync(stores, connect, lambda: MONDAY).run(a_sync_of(collection))
    connect.close()
    assert outcome is RunOutcome.COMPLETED
    activity_id = email_id("offer@fabrikam.example", Direction.INCOMING)
    stored, content = stores.activities.get(activity_id), stores.activities.content(activity_id)
    assert stored is not None
    assert content is not None
    assert (stored.record.subject, stored.record.sender, stored.record.owner) == ("Offer", "carol@fabrikam.example", anna.owner)
    assert content.body_text.startswith("Our offer.")
    assert len(content.body_text) >= size * 9 // 10
    assert server.items(COLLECTION) == []
