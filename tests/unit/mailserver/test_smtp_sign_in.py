"""Signing in to the SMTP head: TLS, the mechanisms, and whom the server lets send as whom."""

import smtplib
from collections.abc import Callable, Iterator

import pytest

from local.mailserver import Habit, MailServer
from tests.unit.mailserver.conftest import ANNA, BEN, trusting
from tests.unit.mailserver.messages import a_message

TEAM = "team@contoso.example"
CUSTOMER = "carla@supplier.example"


@pytest.fixture
def secured() -> Iterator[MailServer]:
    with MailServer(tls=True) as server:
        server.add_mailbox(ANNA, "Anna Adler", password="pw")
        server.add_mailbox(BEN, "Ben Bauer")
        server.add_mailbox(TEAM, "Team")
        yield server


def plain(server: MailServer) -> smtplib.SMTP:
    client = smtplib.SMTP("localhost", server.smtp_port, timeout=20)
    client.ehlo()
    return client


def test_starttls_protects_and_what_was_said_before_is_forgotten(secured: MailServer) -> None:
    secured.set_habits([Habit.CLEARTEXT_REFUSED])
    with plain(secured) as client:
        assert not client.has_extn("auth")
        assert client.docmd("AUTH", "PLAIN AGFubmEAcHc=")[0] == 530
        client.starttls(context=trusting(secured))
        assert client.docmd("MAIL", f"FROM:<{ANNA}>")[0] == 503, "hello has to be said again"
        client.ehlo()
        assert not client.has_extn("starttls")
        client.login(ANNA, "pw")
        assert client.sendmail(ANNA, [BEN], a_message()) == {}


def test_tls_from_the_first_byte(secured: MailServer) -> None:
    with smtplib.SMTP_SSL("localhost", secured.smtps_port, context=trusting(secured), timeout=20) as client:
        client.login(ANNA, "pw")
        assert client.sendmail(ANNA, [BEN], a_message()) == {}
    assert secured.addresses()["smtps_port"] == secured.smtps_port


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("at_once", [True, False])
def test_passwords_prove(server: MailServer, mechanism: str, at_once: bool) -> None:
    with plain(server) as client:
        client.user, client.password = ANNA, "wrong"
        prove = client.auth_plain if mechanism == "PLAIN" else client.auth_login
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.auth(mechanism, prove, initial_response_ok=at_once)
        assert (refused.value.smtp_code, refused.value.smtp_error[:5]) == (535, b"5.7.3")
        client.password = "anna's password"
        assert client.auth(mechanism, prove, initial_response_ok=at_once)[0] == 235
        client.sendmail(ANNA, [BEN], a_message())
    assert [each.username for each in server.accepted()] == [ANNA]


def test_a_token_proves_and_one_that_does_not_is_explained(server: MailServer) -> None:
    server.add_application("app", "secret", impersonation=[ANNA])
    account = server.accounts.application("app")
    assert account is not None
    good, _ = server.accounts.issue_token(account)
    with plain(server) as client:
        said = []

        def prove(token: str, user: str = ANNA) -> Callable[..., str]:
            def answer(challenge: bytes | None = None) -> str:
                said.append(challenge)
                return f"user={user}\x01auth=Bearer {token}\x01\x01" if challenge is None else ""

            return answer

        for token, user in (("wrong", ANNA), (good, BEN)):
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.auth("XOAUTH2", prove(token, user))
        assert any(challenge and b'"status": "401"' in challenge for challenge in said)
        assert client.auth("XOAUTH2", prove(good))[0] == 235


def test_who_signed_in_reaches_everybody_and_strangers_do_not(server: MailServer) -> None:
    with plain(server) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail(CUSTOMER, [CUSTOMER], a_message())
        assert refused.value.recipients[CUSTOMER][1].startswith(b"5.7.54")
        client.login(ANNA, "anna's password")
        assert client.sendmail(ANNA, [CUSTOMER], a_message()) == {}
    (accepted,) = server.accepted()
    assert accepted.recipients == (CUSTOMER,)


def test_strangers_are_kept_out_where_the_server_is_so(server: MailServer) -> None:
    server.set_habits([Habit.SMTP_AUTH_REQUIRED])
    with plain(server) as client, pytest.raises(smtplib.SMTPSenderRefused) as refused:
        client.sendmail(CUSTOMER, [ANNA], a_message())
    assert (refused.value.smtp_code, refused.value.smtp_error[:6]) == (530, b"5.7.57")


def test_who_signed_in_sends_as_himself_and_as_who_granted_it(server: MailServer) -> None:
    server.add_mailbox(TEAM, "Team")
    server.set_habits([Habit.SMTP_SENDERS_CHECKED])

    def sent(sender: str, *, envelope: str = ANNA, writer: str = "") -> tuple[int, bytes]:
        headers = f"Sender: {writer}\r\n" if writer else ""
        try:
            client.sendmail(envelope, [BEN], a_message(sender=sender, headers=headers))
        except smtplib.SMTPSenderRefused as refused:
            return refused.smtp_code, refused.smtp_error.split()[0]
        except smtplib.SMTPDataError as refused:
            words = refused.smtp_error
            return refused.smtp_code, (words if isinstance(words, bytes) else words.encode()).split()[0]
        return 250, b""

    with plain(server) as client:
        client.login(ANNA, "anna's password")
        assert sent(ANNA) == (250, b"")
        assert sent(TEAM, envelope=TEAM) == (550, b"5.7.60")
        assert sent(TEAM) == (554, b"5.2.252")
        server.grant_sending(TEAM, ANNA, "send_on_behalf")
        assert sent(TEAM) == (554, b"5.2.252")
        assert sent(TEAM, writer=ANNA) == (250, b"")
        server.grant_sending(TEAM, ANNA)
        assert sent(TEAM, envelope=TEAM) == (250, b"")
        server.revoke_sending(TEAM, ANNA)
        assert sent(TEAM) == (554, b"5.2.252")
