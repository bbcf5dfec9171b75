"""What is written here goes out through Exim, which delivers for Dovecot to serve; what comes back is understood: answers, and
delivery reports of a real server. Sidesync as a whole, over stores in memory.
"""

import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from shared.administration import Administration, Rules
from shared.connectors.connect import Connect
from shared.domain.audit import Caller
from shared.domain.choices import CorrelationMethod, EmailDeliveryMethod, EmailStatus, ServerType, Workload
from shared.domain.configuration import Credentials, Mailbox, SecretRef
from shared.domain.drafts import Draft, Recipient
from shared.domain.email import EmailActivity, ListOf
from shared.domain.ids import ActivityId
from shared.domain.operations import RunOutcome
from shared.messages import SyncMailbox
from shared.ports import Stores
from shared.stores.memory import memory_stores
from shared.sync.incoming import IncomingSync
from shared.sync.outgoing import OutgoingSync
from tests.builders import a_mailbox, a_profile, with_organisation
from tests.contracts.exchange_mailboxes import KnownSecrets
from tests.contracts.smtp_mailboxes import read
from tests.dovecot import PASSWORD as DOVECOT_PASSWORD
from tests.dovecot import Dovecot, DovecotMailbox
from tests.exim import GONE, PASSWORD, Exim

ADMIN = Caller("ada@contoso.example")


@pytest.fixture(scope="module")
def exim(dovecot: Dovecot) -> Iterator[Exim]:
    """One that delivers into the mailboxes that Dovecot serves."""
    Exim.needed()
    with Exim(dovecot.mail) as running:
        yield running


@dataclass
class Office:
    """Anna's mailbox, on both servers, and everything that Sidesync knows of it."""

    exim: Exim
    dovecot: Dovecot
    stores: Stores
    mailbox: Mailbox
    box: DovecotMailbox

    @property
    def administration(self) -> Administration:
        return Administration(self.stores, utc_now, Rules(allow_local_servers=True))

    def sends(self, *to: str, **given: Any) -> ActivityId:
        """Anna writes an email, and the run that follows sends it."""
        assert self.mailbox.owner is not None
        fields = {"subject": "Offer", "body_html": "<p>Our offer</p>"} | given
        draft = Draft(sender=self.mailbox.owner, to=tuple(Recipient(each) for each in to), **fields)
        email = self.administration.outgoing.drafts.create(draft, ADMIN).stored.record.id
        self.administration.outgoing.sending.send(email, ADMIN)
        assert self.run(Workload.OUTGOING) is RunOutcome.COMPLETED
        return email

    def run(self, workload: Workload) -> RunOutcome:
        connect = Connect(KnownSecrets(), allow_local_servers=True)
        message = SyncMailbox(uuid4().hex, self.mailbox.id, workload)
        try:
            if workload is Workload.OUTGOING:
                return OutgoingSync(self.stores, connect.outgoing, utc_now).run(message)
            return IncomingSync(self.stores, connect, utc_now).run(message)
        finally:
            connect.close()

    def email(self, activity_id: ActivityId) -> EmailActivity:
        return self.administration.emails.get(activity_id).record

    def told_of(self, activity_id: ActivityId) -> list[tuple[str, str]]:
        """What reports said: about whom, and what."""
        notes = self.stores.activities.annotations(activity_id)
        return [(recipient.address, recipient.action) for note in notes for recipient in note.recipients]

    def received(self) -> list[EmailActivity]:
        """Newest first."""
        rows = self.stores.timeline.list(ListOf.MAILBOX, self.mailbox.id).items
        emails = [self.email(row.activity_id) for row in rows]
        return [each for each in emails if each.delivery is None]


def utc_now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def office(dovecot: Dovecot, exim: Exim) -> Office:
    box = dovecot.add_mailbox(f"anna-{uuid4().hex[:8]}@contoso.example")
    profile = a_profile(
        server_type=ServerType.IMAP_SMTP,
        incoming_location=dovecot.host,
        incoming_port=dovecot.imap_port,
        incoming_use_tls=False,
        credentials=Credentials(username=box.username, secret=secret_of(DOVECOT_PASSWORD)),
        use_same_settings_for_outgoing=False,
        outgoing_location=exim.host,
        outgoing_port=exim.port,
        outgoing_use_tls=False,
    )
    mailbox = a_mailbox("anna", address=box.username, outgoing_method=EmailDeliveryMethod.SERVER_SIDE)
    return Office(exim, dovecot, with_organisation(memory_stores(), mailbox, profile=profile), mailbox, box)


def secret_of(password: str) -> SecretRef:
    return SecretRef(password, "1")


def test_a_bounce_that_comes_later_annotates_what_was_sent(office: Office) -> None:
    bert = office.exim.add_mailbox()
    sent = office.sends(bert.username, GONE)
    assert office.email(sent).status is EmailStatus.SENT
    assert len(bert.arrived(1)) == len(office.box.arrived(1)) == 1
    office.run(Workload.INCOMING)
    assert office.told_of(sent) == [(GONE, "failed")]
    (bounce,) = office.received()
    assert bounce.correlated_to == sent


def test_a_report_of_success_annotates_what_was_sent(office: Office) -> None:
    bert = office.exim.add_mailbox()
    sent = office.sends(bert.username, delivery_receipt=True)
    office.box.arrived(1)
    office.run(Workload.INCOMING)
    assert office.told_of(sent) == [(bert.username, "delivered")]


def test_who_is_refused_at_once_is_noted_and_the_others_get_it(office: Office) -> None:
    bert = office.exim.add_mailbox()
    sent = office.sends(bert.username, "nobody@contoso.example")
    delivery = office.email(sent).delivery
    assert delivery is not None
    assert (office.email(sent).status, delivery.refused) == (EmailStatus.SENT, 1)
    (attempt,) = office.stores.activities.attempts(sent)
    assert [(each.address, each.status_code) for each in attempt.refused] == [("nobody@contoso.example", "5.1.1")]
    assert len(bert.arrived(1)) == 1


def test_an_answer_comes_back_to_what_it_answers(office: Office) -> None:
    bert = office.exim.add_mailbox()
    sent = office.sends(bert.username)
    original = read(bert.arrived(1)[0])
    with smtplib.SMTP(office.exim.host, office.exim.port) as smtp:
        smtp.login(bert.username, PASSWORD)
        answer = (
            f"From: <{bert.username}>\r\nTo: <{office.mailbox.address}>\r\nSubject: AW: something else\r\n"
            f"Message-ID: <{uuid4()}@contoso.example>\r\nIn-Reply-To: <{original.message_id}>\r\n\r\nYes\r\n"
        )
        smtp.sendmail(bert.username, [office.mailbox.address], answer)
    office.box.arrived(1)
    office.run(Workload.INCOMING)
    (received,) = office.received()
    assert (received.parent, received.correlation_method) == (sent, CorrelationMethod.IN_REPLY_TO)
