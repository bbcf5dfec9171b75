"""What is sent by SMTP through Exim, a real server, fulfils the contract; and what Exim reports later is understood."""

from pathlib import Path

import pytest

from shared.connectors.connect import Connect
from shared.domain.configuration import EmailServerProfile
from shared.domain.email import DeliveryReport
from shared.domain.errors import DeliveryPostponed, SendAsDenied, TransientError
from shared.ports import Drafting, Sending
from tests.contracts.exchange_mailboxes import KnownSecrets, a_mailbox, failure
from tests.contracts.outgoing_email import SendingContract
from tests.contracts.over_smtp import OverSmtp, without
from tests.contracts.smtp_failures import SendingFailures
from tests.contracts.smtp_mailboxes import Arriving, EximPlace, ServedByExim, SmtpPlace, an_outgoing, read
from tests.exim import GONE, Exim
from tests.maildir import Maildir
from tests.tap import Tap


class OverExim(OverSmtp):
    @pytest.fixture
    def place(self, exim: Exim) -> SmtpPlace:
        return EximPlace(exim)


class TestSendingOverExim(OverExim, SendingContract, SendingFailures):
    pass


class TestWhatEximAnswers(OverExim):
    @pytest.mark.parametrize("wanting", [b"354", b"250 OK id", b"220 "])
    def test_a_server_that_says_good_bye_is_tried_again_later(
        self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap, wanting: bytes
    ) -> None:
        """421 may stand for any answer (RFC 5321 section 3.8)."""
        without_pipelining = without(b"PIPELINING")
        good_bye = b"421 4.3.2 Shutting down\r\n"
        tap.alter = lambda heard: good_bye if heard.startswith(wanting) else without_pipelining(heard)
        with pytest.raises((TransientError, DeliveryPostponed)):
            sending.send(an_outgoing(anna, bert))
        tap.reset()
        sending.send(an_outgoing(anna, bert, subject="Again"))
        taken = 2 if wanting.startswith(b"250") else 1  # a server that takes it and says the opposite
        assert "Again" in {read(raw).subject for raw in bert.arrived(taken)}

    def test_who_may_not_send_as_somebody_is_told_so(
        self, connect: Connect, profile: EmailServerProfile, bert: Arriving
    ) -> None:
        nobody = ServedByExim(Maildir("nobody@contoso.example", Path("nowhere"), lambda _: None))
        error = failure(lambda: self.send(connect, profile, nobody, an_outgoing(nobody, bert)))
        assert isinstance(error, SendAsDenied)
        assert error.status_code == "5.7.60"

    def test_a_bounce_that_comes_later_says_which_email_and_who(self, sending: Sending, anna: Arriving, bert: Arriving) -> None:
        message = an_outgoing(anna, bert, GONE)
        assert sending.send(message).refused == ()
        assert len(bert.arrived(1)) == 1
        report = the_report(anna)
        assert report.original_message_id == message.message_id
        assert [(each.address, each.action, each.status) for each in report.recipients] == [(GONE, "failed", "5.0.0")]

    def test_success_is_reported_where_that_was_asked_for(self, sending: Sending, anna: Arriving, bert: Arriving) -> None:
        message = an_outgoing(anna, bert, delivery_receipt=True)
        sending.send(message)
        report = the_report(anna)
        assert report.original_message_id == message.message_id
        assert [(each.address, each.action) for each in report.recipients] == [(bert.address, "delivered")]

    def test_after_so_many_emails_it_goes_on_with_another_connection(self) -> None:
        Exim.needed()
        with Exim(per_connection=2) as server:
            place = EximPlace(server)
            anna, bert = place.new_mailbox(), place.new_mailbox()
            connect = Connect(KnownSecrets(), allow_local_servers=True)
            with connect.outgoing(self.profile_of(place, anna), a_mailbox(anna.address)) as sending:
                assert not isinstance(sending, Drafting)
                for _ in range(5):
                    message = an_outgoing(anna, bert)
                    try:
                        sending.send(message)
                    except TransientError:
                        sending.send(message)
                assert len(bert.arrived(5)) == 5


def the_report(mailbox: Arriving) -> DeliveryReport:
    (raw,) = mailbox.arrived(1)
    report = read(raw).report
    assert report is not None
    return report
