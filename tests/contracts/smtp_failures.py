"""What can go wrong when email is sent by SMTP, and what that means to the run: for every server."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from shared.connectors.connect import Connect
from shared.connectors.destinations import LocationRefused
from shared.connectors.internet.sign_in import Token
from shared.domain.configuration import EmailServerProfile
from shared.domain.errors import (
    AttachmentLost,
    AuthenticationFailed,
    CertificateRefused,
    ConnectionRefused,
    DeliveryPostponed,
    DeliveryRefused,
    DeliveryUnknown,
    EmailTooLarge,
    NoAnswer,
    NoMailServer,
    NoTls,
    RecipientsRefused,
    TransientError,
)
from shared.domain.outgoing import OutgoingAttachment
from shared.ports import Sending
from tests.contracts.exchange_mailboxes import KnownSecrets, failure
from tests.contracts.internet_failures import KnownTokens
from tests.contracts.over_smtp import OverSmtp, given_to, without
from tests.contracts.smtp_mailboxes import Arriving, Content, Failing, SmtpPlace, an_attachment, an_outgoing, read
from tests.tap import Tap, tap_on


class SendingFailures(OverSmtp):
    # ---- what the server says of one email

    @pytest.mark.parametrize("status_code", ["4.7.1", "4.2.2"])
    def test_who_is_not_taken_for_now_waits_and_the_others_get_it(
        self, sending: Sending, place: SmtpPlace, anna: Arriving, bert: Arriving, status_code: str
    ) -> None:
        waits = place.postponing(status_code)
        receipt = sending.send(an_outgoing(anna, bert, waits))
        assert receipt.waiting == (1,)
        assert [(each.address, each.status_code) for each in receipt.refused] == [(waits, status_code)]
        assert len(bert.arrived(1)) == 1

    @pytest.mark.parametrize("status_code", ["4.7.1", "4.2.2"])
    def test_where_nobody_is_taken_for_now_the_email_waits_and_the_next_one_does_not(
        self, sending: Sending, place: SmtpPlace, anna: Arriving, bert: Arriving, tap: Tap, status_code: str
    ) -> None:
        with pytest.raises(DeliveryPostponed) as postponed:
            sending.send(an_outgoing(anna, place.postponing(status_code)))
        assert not isinstance(postponed.value, DeliveryUnknown)
        assert postponed.value.status_code == status_code
        sending.send(an_outgoing(anna, bert))
        assert len(bert.arrived(1)) == len(given_to(tap)) == 1

    def test_one_who_waits_and_one_who_is_refused(self, sending: Sending, place: SmtpPlace, anna: Arriving) -> None:
        waits = place.postponing("4.7.1")
        with pytest.raises(DeliveryPostponed) as postponed:
            sending.send(an_outgoing(anna, "nobody@contoso.example", waits))
        assert [each.address for each in postponed.value.refused] == ["nobody@contoso.example", waits]

    @pytest.mark.parametrize(("status_code", "kind"), [("5.7.1", DeliveryRefused), ("4.3.0", DeliveryPostponed)])
    def test_a_message_that_is_refused_when_all_of_it_is_there(
        self,
        sending: Sending,
        place: SmtpPlace,
        anna: Arriving,
        bert: Arriving,
        status_code: str,
        kind: type[DeliveryRefused | DeliveryPostponed],
    ) -> None:
        with pytest.raises(kind) as refused:
            sending.send(an_outgoing(anna, bert, subject=place.unwanted(status_code)))
        assert not isinstance(refused.value, RecipientsRefused | DeliveryUnknown)
        assert refused.value.status_code == status_code
        assert str(refused.value)
        sending.send(an_outgoing(anna, bert, subject="Wanted"))
        assert [read(raw).subject for raw in bert.arrived(1)] == ["Wanted"]

    def test_what_is_larger_than_the_server_takes_is_not_given_to_it(
        self, sending: Sending, place: SmtpPlace, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        too_large = an_attachment("large.bin", "application/octet-stream", Content(place.largest))
        with pytest.raises(EmailTooLarge):
            sending.send(an_outgoing(anna, bert, attachments=(too_large,)))
        sending.send(an_outgoing(anna, bert, subject="Small"))
        assert [read(raw).subject for raw in bert.arrived(1)] == ["Small"]
        assert len(given_to(tap)) == 1

    def test_an_attachment_that_is_lost_fails_its_email_alone(
        self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        with pytest.raises(AttachmentLost):
            sending.send(an_outgoing(anna, bert, attachments=(lost(KeyError("gone")),)))
        sending.send(an_outgoing(anna, bert))
        assert len(bert.arrived(1)) == len(given_to(tap)) == 1

    def test_an_attachment_that_cannot_be_read_now_is_no_matter_of_the_email(
        self, sending: Sending, anna: Arriving, bert: Arriving
    ) -> None:
        with pytest.raises(TransientError, match="storage"):
            sending.send(an_outgoing(anna, bert, attachments=(lost(TransientError("storage is busy")),)))
        sending.send(an_outgoing(anna, bert))
        assert len(bert.arrived(1)) == 1

    # ---- connections that break

    def test_a_connection_that_broke_meanwhile_is_opened_anew(
        self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        sending.send(an_outgoing(anna, bert))
        tap.break_all()
        try:
            sending.send(an_outgoing(anna, bert))
        except TransientError:
            sending.send(an_outgoing(anna, bert))
        assert len(bert.arrived(2)) == 2
        assert tap.connections == 2

    @pytest.mark.parametrize("command", [b"EHLO", b"AUTH", b"MAIL", b"RCPT", b"DATA"])
    def test_a_connection_that_breaks_before_the_message_is_given_leaves_no_doubt(
        self, connect: Connect, profile: EmailServerProfile, anna: Arriving, bert: Arriving, tap: Tap, command: bytes
    ) -> None:
        tap.alter = without(b"PIPELINING")
        tap.break_before(command)
        error = failure(lambda: self.send(connect, profile, anna, an_outgoing(anna, bert)))
        assert isinstance(error, TransientError | DeliveryPostponed)
        assert not isinstance(error, DeliveryUnknown)
        tap.reset()
        self.send(connect, profile, anna, an_outgoing(anna, bert))
        assert len(bert.arrived(1)) == 1

    def test_a_connection_that_breaks_before_the_answer_leaves_doubt(
        self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        tap.alter = cut_in_the_answer(tap)
        message = an_outgoing(anna, bert)
        with pytest.raises(DeliveryUnknown):
            sending.send(message)
        tap.reset()
        sending.send(message)
        assert [read(raw).message_id for raw in bert.arrived(2)] == [message.message_id] * 2

    def test_a_server_that_falls_silent_is_not_waited_for_longer_than_allowed(
        self, connect: Connect, place: SmtpPlace, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        tap.stall()
        profile = self.profile_of(place, anna, outgoing_port=tap.port, timeout=timedelta(seconds=1))
        assert isinstance(failure(lambda: self.send(connect, profile, anna, an_outgoing(anna, bert))), NoAnswer)

    # ---- signing in

    def test_a_wrong_password_is_tried_once(
        self, connect: Connect, place: SmtpPlace, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        profile = self.profile_of(place, anna, outgoing_port=tap.port, secret="wrong")
        error = failure(lambda: self.send(connect, profile, anna, an_outgoing(anna, bert)))
        assert isinstance(error, AuthenticationFailed)
        assert error.profile_wide
        assert sum(line.upper().startswith(b"AUTH") for line in tap.said) == 1
        assert b"MAIL" not in b"".join(tap.said).upper()

    def test_a_token_signs_in(
        self,
        connect: Connect,
        place: SmtpPlace,
        profile: EmailServerProfile,
        anna: Arriving,
        bert: Arriving,
        tap: Tap,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        tokens = self.signing_in_with(anna, [place.token(anna.address)], monkeypatch)
        self.send(connect, profile, anna, an_outgoing(anna, bert))
        assert len(bert.arrived(1)) == 1
        assert tokens.forgotten == 0
        assert any(line.upper().startswith(b"AUTH XOAUTH2") for line in tap.said)

    def test_a_token_that_is_refused_is_replaced_once(
        self,
        connect: Connect,
        place: SmtpPlace,
        profile: EmailServerProfile,
        anna: Arriving,
        bert: Arriving,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        tokens = self.signing_in_with(anna, ["withdrawn", place.token(anna.address)], monkeypatch)
        self.send(connect, profile, anna, an_outgoing(anna, bert))
        assert len(bert.arrived(1)) == 1
        assert tokens.forgotten == 1

    def test_tokens_that_are_all_refused_are_not_tried_for_ever(
        self, connect: Connect, profile: EmailServerProfile, anna: Arriving, bert: Arriving, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tokens = self.signing_in_with(anna, [f"withdrawn-{number}" for number in range(9)], monkeypatch)
        error = failure(lambda: self.send(connect, profile, anna, an_outgoing(anna, bert)))
        assert isinstance(error, AuthenticationFailed)
        assert len(tokens.tokens) >= 7

    def signing_in_with(self, sender: Arriving, tokens: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> KnownTokens:
        """The owner of the mailbox signs in with these, one after the other as they are forgotten."""
        known = KnownTokens(list(tokens))
        sign_in = Token(sender.address, known, profile_wide=True)
        monkeypatch.setattr("shared.connectors.smtp.mail.sign_in_to_send", lambda *_, **__: sign_in)
        return known

    # ---- TLS, and where the server is

    @pytest.fixture(params=["from the start", "on request"])
    def over_tls(self, request: pytest.FixtureRequest, place: SmtpPlace, anna: Arriving) -> EmailServerProfile:
        on_request = request.param == "on request"
        port = place.smtp.plain if on_request else place.smtp.tls
        return self.profile_of(place, anna, outgoing_use_tls=True, outgoing_starttls=on_request, outgoing_port=port)

    @pytest.mark.parametrize("begins", ["from the start", "on request"])
    @pytest.mark.usefixtures("trusting")
    def test_email_goes_over_tls(self, connect: Connect, place: SmtpPlace, anna: Arriving, bert: Arriving, begins: str) -> None:
        on_request = begins == "on request"
        port = place.smtp.plain if on_request else place.smtp.tls
        with tap_on("127.0.0.1", port) as tap:
            profile = self.profile_of(place, anna, outgoing_use_tls=True, outgoing_starttls=on_request, outgoing_port=tap.port)
            self.send(connect, profile, anna, an_outgoing(anna, bert, body_html=None, body_text="Hello"))
            assert len(bert.arrived(1)) == 1
            assert (b"STARTTLS" in tap.said) is on_request
            assert b"MAIL FROM" not in b"".join(tap.said).upper()

    def test_a_certificate_that_nobody_vouches_for_is_refused(
        self, connect: Connect, over_tls: EmailServerProfile, anna: Arriving, bert: Arriving
    ) -> None:
        error = failure(lambda: self.send(connect, over_tls, anna, an_outgoing(anna, bert)))
        assert isinstance(error, CertificateRefused)

    @pytest.mark.usefixtures("trusting")
    def test_without_starttls_nothing_is_said_in_the_clear(
        self, connect: Connect, place: SmtpPlace, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        tap.alter = without(b"STARTTLS")
        profile = self.profile_of(place, anna, outgoing_use_tls=True, outgoing_starttls=True, outgoing_port=tap.port)
        assert isinstance(failure(lambda: self.send(connect, profile, anna, an_outgoing(anna, bert))), NoTls)
        assert b"AUTH" not in b"".join(tap.said).upper()

    @pytest.mark.usefixtures("trusting")
    def test_what_a_server_says_ahead_of_tls_does_not_count(
        self, connect: Connect, place: SmtpPlace, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        """Somebody in between adds answers to that of STARTTLS (https://nostarttls.secvuln.info/)."""
        tap.alter = lambda heard: heard + b"250 AUTH PLAIN\r\n" if b"STARTTLS" in tap.said[-1:] else heard
        profile = self.profile_of(place, anna, outgoing_use_tls=True, outgoing_starttls=True, outgoing_port=tap.port)
        with pytest.raises(TransientError):
            self.send(connect, profile, anna, an_outgoing(anna, bert))
        assert bert.messages() == []

    def test_a_port_without_tls(self, connect: Connect, place: SmtpPlace, anna: Arriving, bert: Arriving) -> None:
        profile = self.profile_of(place, anna, outgoing_use_tls=True, outgoing_port=place.smtp.plain)
        assert isinstance(failure(lambda: self.send(connect, profile, anna, an_outgoing(anna, bert))), NoTls)

    def test_a_port_where_nobody_listens(
        self, connect: Connect, place: SmtpPlace, anna: Arriving, bert: Arriving, closed_port: int
    ) -> None:
        profile = self.profile_of(place, anna, outgoing_port=closed_port)
        assert isinstance(failure(lambda: self.send(connect, profile, anna, an_outgoing(anna, bert))), ConnectionRefused)

    def test_something_else_listens_there(
        self, connect: Connect, place: SmtpPlace, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        tap.alter = lambda _: b"SSH-2.0-OpenSSH_9.2\r\n"
        profile = self.profile_of(place, anna, outgoing_port=tap.port)
        assert isinstance(failure(lambda: self.send(connect, profile, anna, an_outgoing(anna, bert))), NoMailServer)

    def test_this_machine_is_no_destination_unless_that_is_allowed(
        self, place: SmtpPlace, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        connect = Connect(KnownSecrets(), allow_local_servers=False)
        profile = self.profile_of(place, anna, outgoing_use_tls=True, outgoing_port=tap.port)
        assert isinstance(failure(lambda: self.send(connect, profile, anna, an_outgoing(anna, bert))), LocationRefused)
        assert tap.connections == 0


def lost(error: Exception) -> OutgoingAttachment:
    return OutgoingAttachment("terms.pdf", "application/pdf", 9, Failing(error).chunks)


def cut_in_the_answer(tap: Tap) -> Callable[[bytes], bytes]:
    """All of the message is given; of the answer to it one byte is heard."""

    def altered(heard: bytes) -> bytes:
        if b"354 " in heard:  # with its space: a Message-ID may have the digits
            tap.cut_after(len(heard) + 1)
        return heard

    return altered
