"""Signing in to POP3 servers that are unusual, broken or hostile."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from shared.connectors.gate import RefusedBefore
from shared.connectors.internet.connection import Security
from shared.connectors.internet.gates import Gates
from shared.connectors.internet.sign_in import Password, Token
from shared.connectors.pop3.errors import DigestRefused, PopNotAllowed, TokensRefused
from shared.domain.choices import AuthenticationProtocol
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
from shared.domain.folders import INBOX
from tests.unit.connectors.maildrops import (
    ANNA,
    everything,
    failure,
    names,
    opened,
    polled,
    serving,
)
from tests.unit.connectors.scripted import Tokens
from tests.unit.connectors.scripted_pop3 import ScriptedPop3


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"-ERR wrong\r\n", AuthenticationFailed),
        (b"-ERR [AUTH] wrong\r\n", AuthenticationFailed),
        (b"-ERR [IN-USE] another session\r\n", Busy),
        (b"-ERR unable to lock maildrop\r\n", Busy),
        (b"-ERR [SYS/TEMP] later\r\n", Busy),
        (b"-ERR internal server error\r\n", Busy),
        (b"-ERR [SYS/PERM] POP is off for this account\r\n", PopNotAllowed),
        (b"-ERR [LOGIN-DELAY] wait\r\n", Throttled),
        (b"-ERR [auth] wrong, the maildrop is not in use\r\n", AuthenticationFailed),
        (b"* OK this is IMAP\r\n", NoMailServer),
    ],
)
def test_why_nobody_may_sign_in_says_what_to_do(reply: bytes, kind: type[SyncError]) -> None:
    with serving(PASS=reply) as server:
        assert type(failure(server)) is kind


def test_a_refused_password_is_tried_once_and_not_by_the_next_run() -> None:
    gates = Gates()
    with serving(PASS=b"-ERR wrong\r\n") as server:
        assert type(failure(server, gates=gates)) is AuthenticationFailed
        assert type(failure(server, gates=gates)) is RefusedBefore
        assert server.count("PASS") == 1


def test_a_maildrop_in_use_says_nothing_about_the_password() -> None:
    gates = Gates()
    with serving(PASS=b"-ERR [IN-USE] wait\r\n") as server:
        failure(server, gates=gates)
        assert type(failure(server, gates=gates)) is Busy


def test_whoever_comes_after_an_accepted_password_does_not_wait_for_others() -> None:
    gates = Gates()
    with serving() as server:
        with opened(server, gates=gates) as mail:
            assert mail.changes(INBOX, None).items
            at = mail._session.server
        with gates.at(at, ANNA).attempt(0.1), opened(server, gates=gates) as mail:
            assert mail.changes(INBOX, None).items


@pytest.mark.parametrize("who", [Password("anna\r\nDELE 1", "x", False), Password("anna", "x\nDELE 1", False)])
def test_no_command_is_smuggled_in_by_a_name_or_password(who: Password) -> None:
    with serving() as server:
        assert isinstance(failure(server, who=who), AuthenticationFailed)
        assert server.count("DELE") == 0


TIMESTAMPED = b"+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n"


def test_a_password_goes_as_a_digest_over_a_connection_in_the_clear() -> None:
    with serving(greeting=TIMESTAMPED, APOP=b"+OK\r\n") as server:
        with opened(server, Password("mrose", "tanstaaf", False), protocol=AuthenticationProtocol.AUTO_DETECT) as mail:
            everything(mail)
        assert server.asked[1] == "APOP mrose c4c9334bac560ecc979e58001b3e22fb"  # the example of RFC 1939
        assert server.count("PASS") == 0


def test_a_digest_that_is_refused_is_not_followed_by_the_password() -> None:
    with serving(greeting=TIMESTAMPED, APOP=b"-ERR no\r\n") as server:
        assert type(failure(server, protocol=AuthenticationProtocol.AUTO_DETECT)) is DigestRefused
        assert server.count("PASS") == server.count("USER") == 0


def test_basic_means_the_password_itself_even_where_a_digest_is_offered() -> None:
    with serving(greeting=TIMESTAMPED) as server:
        polled(server)
        assert server.asked[1:3] == ["USER anna", "PASS secret"]


@contextmanager
def serving_tokens(accepted: str) -> Iterator[ScriptedPop3]:
    with serving(AUTH=b"+ \r\n") as server:
        replies = {
            base64.b64encode(f"user=anna\x01auth=Bearer {token}\x01\x01".encode()).decode(): (
                b"+OK\r\n" if token == accepted else b"+ eyJzdGF0dXMiOiI0MDAifQ==\r\n"
            )
            for token in ("token1", "token2", "token3")
        }
        server.script = {**server.script, **replies}
        yield server


def test_a_token_that_is_refused_is_replaced_once() -> None:
    with serving_tokens("token2") as server:
        with opened(server, Token("anna", Tokens(), profile_wide=True)) as mail:
            assert names(everything(mail)[0]) == ["1", "2", "3"]
        assert server.count("AUTH") == 2


def test_a_second_token_that_is_refused_is_the_end_of_it() -> None:
    with serving_tokens("token3") as server:
        error = failure(server, who=Token("anna", Tokens(), profile_wide=True))
        assert isinstance(error, AuthenticationFailed)
        assert error.profile_wide
        assert "token" not in str(error).replace("the token", "")
        assert server.count("AUTH") == 2
        assert server.count("") == 4, "two connections, and an empty line to hear each refusal"


def test_a_server_that_takes_no_tokens_is_told_as_that() -> None:
    with serving(AUTH=b"-ERR unknown mechanism\r\n") as server:
        assert isinstance(failure(server, who=Token("anna", Tokens(), profile_wide=True)), TokensRefused)
        assert server.count("AUTH") == 1


@pytest.mark.parametrize("reply", [b"-ERR no\r\n", b"+OK\r\n+OK anna is signed in\r\n", b"what?\r\n"])
def test_nobody_signs_in_where_the_connection_does_not_turn_to_tls(reply: bytes) -> None:
    with serving(STLS=reply) as server:
        assert isinstance(failure(server, security=Security.UPGRADE), NoTls)
        assert server.count("USER") == server.count("PASS") == 0


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        (b"220 smtp\r\n", NoMailServer),
        (b"-ERR [SYS/TEMP] full\r\n", Busy),
        (b"x" * 20_000, NoMailServer),
        (b"\n", NoMailServer),
    ],
)
def test_a_greeting_that_is_none(greeting: bytes, kind: type[SyncError]) -> None:
    with serving(greeting=greeting) as server:
        assert type(failure(server)) is kind


def test_a_server_that_hangs_up_at_once_cannot_be_reached() -> None:
    with serving(greeting=lambda _: None) as server:
        assert isinstance(failure(server), Unreachable)


def test_a_server_that_says_nothing_more_has_no_answer() -> None:
    with serving(STAT=b"") as server:
        assert isinstance(failure(server, timeout=timedelta(seconds=0.3)), NoAnswer)
