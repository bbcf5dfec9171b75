"""What is sent by SMTP through the local mail server fulfils the contract; and what it answers when it is told to."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from local.mailserver import MailServer
from local.mailserver.faults import FaultKind
from local.mailserver.habits import Habit
from shared.connectors.connect import Connect
from shared.domain.email import Address
from shared.domain.errors import (
    DeliveryPostponed,
    DeliveryUnknown,
    SendAsDenied,
    SyncError,
    TransientError,
)
from shared.ports import Sending
from tests.contracts.exchange_mailboxes import failure
from tests.contracts.outgoing_email import SendingContract
from tests.contracts.over_smtp import OverSmtp
from tests.contracts.smtp_failures import SendingFailures
from tests.contracts.smtp_mailboxes import Arriving, Content, LocalSmtpPlace, SmtpPlace, an_attachment, an_outgoing, read


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with MailServer(tls=True) as running:
        yield running


class OnTheLocalServer(OverSmtp):
    @pytest.fixture
    def place(self, server: MailServer) -> Iterator[SmtpPlace]:
        server.reset()
        place = LocalSmtpPlace(server)
        server.set_limits(largest_message=place.largest)
        yield place
        server.reset()


class TestSendingOverTheLocalServer(OnTheLocalServer, SendingContract, SendingFailures):
    pass


class TestWhatTheLocalServerAnswers(OnTheLocalServer):
    def test_greylisted_at_first_and_taken_the_next_time(
        self, server: MailServer, sending: Sending, anna: Arriving, bert: Arriving
    ) -> None:
        server.set_habits([Habit.SMTP_GREYLISTS])
        message = an_outgoing(anna, bert)
        with pytest.raises(DeliveryPostponed) as postponed:
            sending.send(message)
        assert postponed.value.status_code == "4.7.1"
        assert sending.send(message).refused == ()
        assert len(bert.arrived(1)) == 1

    def test_more_recipients_than_the_server_takes_at_once_get_it_in_turns(
        self, server: MailServer, place: SmtpPlace, sending: Sending, anna: Arriving
    ) -> None:
        server.set_limits(largest_message=place.largest, most_recipients=3)
        everybody = [place.new_mailbox() for _ in range(8)]
        receipt = sending.send(an_outgoing(anna, *everybody))
        assert (receipt.waiting, receipt.refused) == ((), ())
        assert [len(each.messages()) for each in everybody] == [1] * 8
        assert len({read(each.messages()[0]).message_id for each in everybody}) == 1

    @pytest.mark.parametrize("kind", [FaultKind.UNAVAILABLE, FaultKind.TOO_MANY_REQUESTS])
    @pytest.mark.parametrize("operation", ["Connect", "AUTH", "MAIL", "RCPT", "DATA", "Message"])
    def test_a_server_that_hangs_up_with_421_is_tried_again(
        self, server: MailServer, sending: Sending, anna: Arriving, bert: Arriving, operation: str, kind: FaultKind
    ) -> None:
        server.faults.add(kind, operation=operation, count=1)
        error = failure(lambda: sending.send(an_outgoing(anna, bert)))
        assert isinstance(error, TransientError | DeliveryPostponed)
        assert not isinstance(error, DeliveryUnknown)
        assert server.accepted() == []
        sending.send(an_outgoing(anna, bert))
        assert len(bert.arrived(1)) == 1

    @pytest.mark.parametrize("operation", ["Connect", "EHLO", "AUTH", "MAIL", "RCPT", "DATA"])
    def test_a_connection_that_breaks_before_the_message_leaves_no_doubt(
        self, server: MailServer, sending: Sending, anna: Arriving, bert: Arriving, operation: str
    ) -> None:
        server.faults.add(FaultKind.CONNECTION_RESET, operation=operation, count=1)
        error = failure(lambda: sending.send(an_outgoing(anna, bert)))
        assert isinstance(error, TransientError | DeliveryPostponed)
        assert not isinstance(error, DeliveryUnknown)
        sending.send(an_outgoing(anna, bert))
        assert len(server.accepted()) == 1

    def test_a_connection_that_breaks_in_the_middle_of_a_message_leaves_no_doubt(
        self, server: MailServer, sending: Sending, anna: Arriving, bert: Arriving
    ) -> None:
        server.faults.add(FaultKind.CONNECTION_RESET, operation="Transfer", count=1)
        large = an_attachment("large.bin", "application/octet-stream", Content(20 << 20))
        error = failure(lambda: sending.send(an_outgoing(anna, bert, attachments=(large,))))
        assert isinstance(error, TransientError | DeliveryPostponed)
        assert not isinstance(error, DeliveryUnknown)
        assert server.accepted() == []

    @pytest.mark.parametrize("kind", [FaultKind.REPLY_LOST, FaultKind.CONNECTION_RESET, FaultKind.NONSENSE_REPLY])
    def test_an_answer_that_is_lost_leaves_doubt_and_the_copies_have_one_id(
        self, server: MailServer, sending: Sending, anna: Arriving, bert: Arriving, kind: FaultKind
    ) -> None:
        server.faults.add(kind, operation="Message", count=1)
        message = an_outgoing(anna, bert)
        with pytest.raises(DeliveryUnknown):
            sending.send(message)
        sending.send(message)
        copies = 1 if kind is FaultKind.CONNECTION_RESET else 2
        assert [read(raw).message_id for raw in bert.arrived(copies)] == [message.message_id] * copies

    def test_an_answer_to_a_message_is_waited_for_longer_than_others(
        self, server: MailServer, connect: Connect, place: SmtpPlace, anna: Arriving, bert: Arriving
    ) -> None:
        """RFC 5321 section 4.5.3.2.6: who gives up early sends it twice."""
        server.faults.add(FaultKind.SLOW_REPLY, operation="Message", seconds=2.5, count=1)
        profile = self.profile_of(place, anna, timeout=timedelta(seconds=2))
        self.send(connect, profile, anna, an_outgoing(anna, bert))
        assert len(bert.arrived(1)) == 1

    def test_an_answer_to_a_message_that_does_not_come_leaves_doubt(
        self, server: MailServer, sending: Sending, anna: Arriving, bert: Arriving, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.connectors.smtp.mail.LONGEST_SENDING", timedelta(seconds=1))
        server.faults.add(FaultKind.SLOW_REPLY, operation="Message", seconds=3, count=1)
        with pytest.raises(DeliveryUnknown):
            sending.send(an_outgoing(anna, bert))

    def test_a_server_that_hangs_up_after_each_message_is_met_anew(
        self, server: MailServer, sending: Sending, anna: Arriving, bert: Arriving
    ) -> None:
        server.faults.add(FaultKind.HANG_UP, operation="Message")
        sent = 0
        for _ in range(6):
            try:
                sending.send(an_outgoing(anna, bert))
            except SyncError as error:
                assert isinstance(error, TransientError | DeliveryPostponed), error  # noqa: PT017  # some may find out late
            else:
                sent += 1
        assert sent == len(bert.messages()) >= 3

    @pytest.mark.parametrize("in_the_message_alone", [False, True])
    def test_who_may_not_send_as_somebody_is_told_so(
        self, server: MailServer, place: SmtpPlace, sending: Sending, anna: Arriving, bert: Arriving, in_the_message_alone: bool
    ) -> None:
        server.set_habits([Habit.SMTP_SENDERS_CHECKED])
        carla = place.new_mailbox()
        sender = Address(anna.address) if in_the_message_alone else None
        with pytest.raises(SendAsDenied) as denied:
            sending.send(an_outgoing(anna, bert, from_=Address(carla.address), sender=sender))
        assert denied.value.status_code in ("5.7.60", "5.2.252")
        server.grant_sending(carla.address, anna.address)
        sending.send(an_outgoing(anna, bert, from_=Address(carla.address), sender=sender))
        assert len(bert.arrived(1)) == 1

    def test_the_server_names_the_message_it_took(
        self, server: MailServer, sending: Sending, anna: Arriving, bert: Arriving
    ) -> None:
        receipt = sending.send(an_outgoing(anna, bert))
        (accepted,) = server.accepted()
        assert accepted.queue_id in receipt.server_id + receipt.detail
