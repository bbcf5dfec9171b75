"""Connecting to and signing in at SMTP servers that are unusual, broken or hostile."""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from shared.connectors.gate import RefusedBefore
from shared.connectors.internet.connection import Security
from shared.connectors.internet.gates import Gates
from shared.connectors.internet.sign_in import Password, Token
from shared.connectors.smtp.errors import (
    NotWelcome,
    PasswordsNotTaken,
    SignInRequired,
    SubmissionOff,
    TlsRequired,
    TokensRefused,
)
from shared.domain.errors import (
    AuthenticationFailed,
    Busy,
    NoAnswer,
    NoMailServer,
    NoTls,
    SyncError,
    Throttled,
    Unreachable,
)
from tests.unit.connectors.outgoing_messages import a_message
from tests.unit.connectors.scripted import Tokens
from tests.unit.connectors.scripted_smtp import PLAIN, ScriptedSmtp
from tests.unit.connectors.submission import WHO, failure, opened, serving


def test_nothing_is_asked_before_something_is_sent() -> None:
    with serving() as server:
        with opened(server):
            pass
        assert server.asked == []


def test_checking_signs_in_and_sends_nothing() -> None:
    with serving() as server:
        with opened(server) as mail:
            mail.check()
        assert server.asked[1] == "EHLO contoso.example"
        assert server.asked[2] == f"AUTH PLAIN {base64.b64encode(b'\0anna\0secret').decode()}"
        assert server.asked[3:] == ["NOOP", "QUIT"]


def test_a_server_without_plain_is_signed_in_at_by_login() -> None:
    def auth(arguments: str) -> bytes:
        return b"334 VXNlcm5hbWU6\r\n" if arguments == "LOGIN" else b"504 5.5.4 no\r\n"

    said = {base64.b64encode(b"anna").decode(): b"334 UGFzc3dvcmQ6\r\n", base64.b64encode(b"secret").decode(): b"235 ok\r\n"}
    with serving(EHLO=PLAIN.replace(b"PLAIN ", b""), AUTH=auth) as server:
        server.script |= said
        with opened(server) as mail:
            mail.check()
        assert server.count("NOOP") == 1


def test_a_long_response_goes_by_itself() -> None:
    who = Password("anna", "ü" * 400, profile_wide=False)
    with serving(AUTH=lambda arguments: b"334 \r\n" if arguments == "PLAIN" else b"501 too long\r\n") as server:
        server.script[base64.b64encode(b"\0anna\0" + b"\xc3\xbc" * 400).decode()] = b"235 ok\r\n"
        with opened(server, who) as mail:
            mail.check()


def test_where_nobody_signs_in_no_password_is_asked_for() -> None:
    with serving() as server:
        with opened(server, None) as mail:
            mail.send(a_message())
        assert server.count("AUTH") == 0
        assert len(server.taken) == 1


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"535 5.7.8 Username and Password not accepted\r\n", AuthenticationFailed),
        (b"534-5.7.9 Application-specific password required\r\n534 5.7.9 more\r\n", AuthenticationFailed),
        (b"535 wrong\r\n", AuthenticationFailed),
        (b"432 4.7.12 a password transition is needed\r\n", AuthenticationFailed),
        (b"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.\r\n", SubmissionOff),
        (b"454 4.7.0 Temporary authentication failure\r\n", Busy),
        (b"454 4.7.0 Too many login attempts, please try again later.\r\n", Throttled),
        (b"421 4.3.2 The maximum number of concurrent connections has exceeded a limit\r\n", Throttled),
        (b"538 5.7.11 Encryption required for requested authentication mechanism\r\n", TlsRequired),
        (b"530 5.7.0 Must issue a STARTTLS command first\r\n", TlsRequired),
        (b"HTTP/1.1 400 Bad Request\r\n", NoMailServer),
    ],
)
def test_why_nobody_may_sign_in_says_what_to_do(reply: bytes, kind: type[SyncError]) -> None:
    with serving(AUTH=reply) as server:
        assert type(failure(server)) is kind
        assert server.count("MAIL") == 0


@pytest.mark.parametrize("offered", [b"250 mx.example\r\n", b"250-mx.example\r\n250 AUTH XOAUTH2\r\n"])
def test_no_password_is_given_to_a_server_that_takes_none(offered: bytes) -> None:
    with serving(EHLO=offered) as server:
        assert isinstance(failure(server), PasswordsNotTaken)
        assert server.count("AUTH") == 0


def test_a_refused_password_is_tried_once_and_not_by_the_next_run() -> None:
    gates = Gates()
    with serving(AUTH=b"535 5.7.8 wrong\r\n") as server:
        assert type(failure(server, gates=gates)) is AuthenticationFailed
        assert type(failure(server, gates=gates)) is RefusedBefore
        assert server.count("AUTH") == 1


@pytest.mark.parametrize("who", [Password("anna\r\nDATA", "x", False), Password("anna", "x\r\nDATA", False)])
def test_no_command_is_smuggled_in_by_a_name_or_password(who: Password) -> None:
    with serving() as server:
        with opened(server, who) as mail:
            mail.check()
        assert server.count("DATA") == 0


@contextmanager
def serving_tokens(accepted: str) -> Iterator[ScriptedSmtp]:
    good = base64.b64encode(f"user=anna\x01auth=Bearer {accepted}\x01\x01".encode()).decode()

    def auth(arguments: str) -> bytes:
        return b"235 2.7.0 welcome\r\n" if arguments == f"XOAUTH2 {good}" else b"334 eyJzdGF0dXMiOiI0MDAifQ==\r\n"

    with serving(EHLO=PLAIN.replace(b"PLAIN LOGIN", b"XOAUTH2"), AUTH=auth) as server:
        server.script[""] = b"535 5.7.8 refused\r\n"
        yield server


def test_a_token_that_is_refused_is_replaced_once() -> None:
    with serving_tokens("token2") as server:
        with opened(server, Token("anna", Tokens(), profile_wide=True)) as mail:
            mail.send(a_message())
        assert server.count("AUTH") == 2
        assert len(server.taken) == 1


def test_a_second_token_that_is_refused_is_the_end_of_it() -> None:
    with serving_tokens("token3") as server:
        error = failure(server, who=Token("anna", Tokens(), profile_wide=True))
        assert type(error) is AuthenticationFailed
        assert error.profile_wide
        assert "token" not in str(error)
        assert server.count("AUTH") == 2
        assert server.count("") == 2, "an empty line to hear each refusal"


@pytest.mark.parametrize(
    "script", [{"EHLO": PLAIN}, {"AUTH": b"504 5.5.4 unknown mechanism\r\n", "EHLO": b"250-x\r\n250 AUTH XOAUTH2\r\n"}]
)
def test_a_server_that_takes_no_tokens_is_told_as_that(script: dict[str, bytes]) -> None:
    with serving(**script) as server:
        assert type(failure(server, who=Token("anna", Tokens(), profile_wide=True))) is TokensRefused
        assert server.count("AUTH") <= 1


STARTTLS = PLAIN.replace(b"250 SIZE", b"250-STARTTLS\r\n250 SIZE")


@pytest.mark.parametrize(
    ("offered", "reply"),
    [
        (PLAIN, b"220 go on\r\n"),
        (STARTTLS, b"454 4.7.0 not now\r\n"),
        (STARTTLS, b"220 go on\r\n250 you are signed in\r\n"),
        (STARTTLS, b"what?\r\n"),
    ],
)
def test_nobody_signs_in_where_the_connection_does_not_turn_to_tls(offered: bytes, reply: bytes) -> None:
    with serving(EHLO=offered, STARTTLS=reply) as server:
        assert type(failure(server, security=Security.UPGRADE)) is NoTls
        assert server.count("AUTH") == server.count("MAIL") == 0


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        (b"+OK ready\r\n", NoMailServer),
        (b"x" * 20_000, NoMailServer),
        (b"220-more\r\n" * 1000, NoMailServer),
        (b"\r\n", NoMailServer),
        (b"421 4.3.2 Service not available\r\n", Throttled),
        (b"421 try later\r\n", Busy),
        (b"554 5.7.1 your address is on a list\r\n", NotWelcome),
        (lambda _: None, Unreachable),
    ],
)
def test_a_greeting_that_is_none(greeting: bytes, kind: type[SyncError]) -> None:
    with serving(greeting=greeting) as server:
        assert type(failure(server)) is kind


def test_an_old_server_is_greeted_as_it_knows_it() -> None:
    with serving(EHLO=b"502 what?\r\n", HELO=b"250 mx.example\r\n") as server:
        with opened(server, None) as mail:
            mail.send(a_message())
        assert server.taken[0].mail == "FROM:<anna@contoso.example>"


def test_a_server_that_wants_to_know_who_sends_says_so() -> None:
    with serving(MAIL=b"530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM\r\n") as server:
        assert type(failure(server, who=None)) is SignInRequired


def test_a_server_that_says_nothing_more_has_no_answer() -> None:
    with serving(AUTH=b"") as server:
        assert isinstance(failure(server, timeout=timedelta(seconds=0.3)), NoAnswer)


def test_a_reply_that_drips_is_not_waited_for() -> None:
    with serving(AUTH=b"235-more\r\n") as server:
        assert isinstance(failure(server, timeout=timedelta(seconds=0.3)), NoAnswer)


def test_signing_in_has_a_time_all_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(_: str) -> bytes:
        time.sleep(0.3)
        return b"334 dXNlcg==\r\n"

    def greet_slowly(_: str) -> bytes:
        time.sleep(0.3)
        return b"220 ready\r\n"

    monkeypatch.setattr("shared.connectors.smtp.session._LONGEST_SIGN_IN", timedelta(seconds=0.5))
    with serving(EHLO=b"250-x\r\n250 AUTH LOGIN\r\n", AUTH=slowly) as server:
        server.script["greeting"] = greet_slowly
        assert isinstance(failure(server), NoAnswer)


def test_who_signs_in_stands_in_no_error() -> None:
    with serving(AUTH=b"535 5.7.8 anna with secret is refused\r\n") as server:
        error = failure(server, who=WHO)
        assert "anna" not in str(error)
        assert "secret" not in str(error)
