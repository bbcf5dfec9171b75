"""The POP3 head of the mail server: signing in, commands and their faults, TLS."""

import base64
import hashlib
import poplib
import socket
import time

import pytest

from local.mailserver import FaultKind, Habit, MailServer
from tests.unit.mailserver.conftest import ANNA, BEN, trusting
from tests.unit.mailserver.messages import a_message
from tests.unit.mailserver.pop3_clients import PASSWORD, connected, refusal, retrieved, signed_in, uidls


def test_a_wrong_password_an_unknown_name_and_a_disabled_account_are_refused(server: MailServer) -> None:
    server.set_account_enabled(BEN, False)
    for username, password in ((ANNA, "wrong"), ("nobody@contoso.example", "any"), (BEN, "ben's password")):
        with connected(server) as client:
            client.user(username)
            assert refusal(client.pass_, password).startswith("-ERR [AUTH]")


def test_a_disabled_mailbox_is_no_question_of_the_password(server: MailServer) -> None:
    server.set_mailbox_enabled(ANNA, False)
    with connected(server) as client:
        client.user(ANNA)
        assert refusal(client.pass_, PASSWORD).startswith("-ERR [SYS/PERM]")


def test_apop_proves_the_password_without_sending_it(server: MailServer) -> None:
    with connected(server) as client:
        assert refusal(client.apop, ANNA, "wrong").startswith("-ERR [AUTH]")
        client.apop(ANNA, PASSWORD)
        assert client.stat() == (0, 0)
    server.set_habits([Habit.POP3_WITHOUT_APOP])
    with connected(server) as client:
        assert "<" not in client.getwelcome().decode()
        assert say(client, f"APOP {ANNA} {'0' * 32}").startswith("-ERR")


def plain(username: str, password: str, wanted: str = "") -> str:
    return base64.b64encode(f"{wanted}\0{username}\0{password}".encode()).decode()


def xoauth2(username: str, token: str) -> str:
    return base64.b64encode(f"user={username}\x01auth=Bearer {token}\x01\x01".encode()).decode()


def put(client: poplib.POP3, line: str) -> None:
    client.sock.sendall(f"{line}\r\n".encode())


def line_of(client: poplib.POP3) -> bytes:
    """The next one that the server says, without its end; empty where it has hung up."""
    return client.file.readline().rstrip(b"\r\n")


def say(client: poplib.POP3, line: str) -> str:
    put(client, line)
    return line_of(client).decode()


@pytest.fixture
def token(server: MailServer) -> str:
    server.add_application("app-1", "secret", impersonation=[ANNA])
    account = server.accounts.application("app-1")
    assert account is not None
    return server.accounts.issue_token(account)[0]


def test_passwords_and_tokens_are_taken_at_once_and_in_two_steps(server: MailServer, token: str) -> None:
    for mechanism, response in (("PLAIN", plain(ANNA, PASSWORD)), ("XOAUTH2", xoauth2(ANNA, token))):
        with connected(server) as client:
            assert say(client, f"AUTH {mechanism} {response}").startswith("+OK")
            assert client.stat() == (0, 0)
            client.quit()
        with connected(server) as client:
            put(client, f"auth {mechanism.lower()}")
            assert line_of(client) == b"+ "
            assert say(client, response).startswith("+OK")
            client.quit()


def test_a_bad_token_is_challenged_with_its_error_before_it_is_refused(server: MailServer, token: str) -> None:
    for username, sent in ((ANNA, "invented"), (BEN, token)):
        with connected(server) as client:
            put(client, f"AUTH XOAUTH2 {xoauth2(username, sent)}")
            challenge = line_of(client)
            assert b'"status": "401"' in base64.b64decode(challenge.removeprefix(b"+ "))
            assert say(client, "").startswith("-ERR [AUTH]")


def test_sasl_that_is_none_is_refused(server: MailServer) -> None:
    with connected(server) as client:
        assert say(client, "AUTH GSSAPI").startswith("-ERR")
        assert say(client, "AUTH PLAIN !!!").startswith("-ERR")
        put(client, "AUTH PLAIN")
        line_of(client)
        assert say(client, "*").startswith("-ERR")
        assert say(client, f"AUTH PLAIN {plain(ANNA, 'wrong')}").startswith("-ERR [AUTH]")
        assert say(client, f"AUTH PLAIN {plain(ANNA, PASSWORD, wanted=BEN)}").startswith("-ERR [AUTH]")


def test_commands_have_their_state(server: MailServer) -> None:
    with connected(server) as client:
        for line in ("STAT", "RETR 1", "PASS early", "NONSENSE", "STLS"):
            assert say(client, line).startswith("-ERR")
        client.user(ANNA)
        client.pass_(PASSWORD)
        for line in (
            "USER again",
            f"AUTH PLAIN {plain(ANNA, PASSWORD)}",
            "RETR 1",
            "RETR",
            "TOP 1",
            "DELE x",
            "LIST 0",
            "LIST x",
            "UIDL 1 2",
            "TOP 1 x",
        ):
            assert say(client, line).startswith("-ERR")


def test_capabilities_tell_what_is_served(server: MailServer) -> None:
    with connected(server) as client:
        assert client.capa() == {
            "TOP": [],
            "UIDL": [],
            "RESP-CODES": [],
            "AUTH-RESP-CODE": [],
            "PIPELINING": [],
            "USER": [],
            "SASL": ["PLAIN", "XOAUTH2"],
        }


@pytest.mark.parametrize("habit", [Habit.POP3_WITHOUT_UIDL, Habit.POP3_WITHOUT_TOP, Habit.POP3_WITHOUT_PIPELINING])
def test_a_server_without_an_extension_neither_offers_nor_serves_it(server: MailServer, habit: Habit) -> None:
    server.deliver(a_message(), [ANNA])
    server.set_habits([habit])
    name = habit.rpartition("_")[2].upper()
    with signed_in(server) as client:
        assert name not in client.capa()
        if habit is Habit.POP3_WITHOUT_PIPELINING:
            client.sock.sendall(b"NOOP\r\nSTAT\r\n")
            assert line_of(client).startswith(b"-ERR")
        else:
            assert say(client, f"{name} 1 0").startswith("-ERR")


def test_a_server_may_have_no_capabilities_at_all(server: MailServer) -> None:
    server.set_habits([Habit.POP3_WITHOUT_CAPA])
    with connected(server) as client:
        assert refusal(client.capa).startswith("-ERR")


def test_pipelined_commands_are_answered_in_their_order(server: MailServer) -> None:
    server.deliver(a_message(), [ANNA])
    with signed_in(server) as client:
        client.sock.sendall(b"STAT\r\nLIST 1\r\nUIDL 1\r\nNOOP\r\n")
        answers = [line_of(client) for _ in range(4)]
    assert [len(answer.split()) for answer in answers] == [3, 3, 3, 1]


def test_uidls_may_repeat(server: MailServer) -> None:
    for identity in ("<1@x.example>", "<1@x.example>", "<2@x.example>", None):
        server.deliver(a_message(message_id=identity), [ANNA])
    server.set_habits([Habit.POP3_REPEATED_UIDLS])
    with signed_in(server) as client:
        found = uidls(client)
    assert found[1] == found[2]
    assert len(set(found.values())) == 3


def test_numbers_and_lists_may_run_the_other_way(server: MailServer) -> None:
    for text in ("older", "newer"):
        server.deliver(a_message(text=text), [ANNA])
    with signed_in(server) as client:
        usual = uidls(client)
        client.quit()
    server.set_habits([Habit.POP3_NEWEST_FIRST])
    with signed_in(server) as client:
        assert uidls(client) == {1: usual[2], 2: usual[1]}
        assert retrieved(client, 1).endswith(b"newer\r\n")
        client.quit()
    server.set_habits([Habit.POP3_LISTS_BACKWARDS])
    with signed_in(server) as client:
        assert list(uidls(client).items()) == [(2, usual[2]), (1, usual[1])]
        assert [line.split()[0] for line in client.list()[1]] == [b"2", b"1"]


@pytest.mark.parametrize("kind", [FaultKind.SERVER_BUSY, FaultKind.TOO_MANY_REQUESTS, FaultKind.UNAVAILABLE])
def test_a_server_that_is_busy_says_so_and_recovers(server: MailServer, kind: FaultKind) -> None:
    server.deliver(a_message(), [ANNA])
    server.faults.add(kind, ANNA, operation="RETR", count=1)
    with signed_in(server) as client:
        assert refusal(client.retr, 1).startswith("-ERR [SYS/TEMP]")
        if kind is FaultKind.UNAVAILABLE:
            assert client.file.read() == b""
            return
        assert retrieved(client, 1)


def test_a_server_may_be_unavailable_at_the_door(server: MailServer) -> None:
    server.faults.add(FaultKind.UNAVAILABLE, operation="Connect", count=1)
    with socket.create_connection(("127.0.0.1", server.pop3_port), timeout=20) as plain, plain.makefile("rb") as reader:
        assert reader.read().startswith(b"-ERR [SYS/TEMP]")
    with connected(server) as client:
        assert client.getwelcome().startswith(b"+OK")


def test_credentials_may_be_refused_for_a_while(server: MailServer) -> None:
    server.faults.add(FaultKind.UNAUTHORIZED, ANNA, count=1)
    with connected(server) as client:
        client.user(ANNA)
        assert refusal(client.pass_, PASSWORD).startswith("-ERR [AUTH]")
        client.user(ANNA)
        assert client.pass_(PASSWORD).startswith(b"+OK")


def test_a_connection_breaks_before_or_after_the_deletion_and_the_maildrop_is_free(server: MailServer) -> None:
    for kind, left in ((FaultKind.CONNECTION_RESET, 1), (FaultKind.REPLY_LOST, 0)):
        (item,) = server.deliver(a_message(), [ANNA])
        server.faults.add(kind, ANNA, operation="QUIT", count=1)
        with signed_in(server) as client:
            client.dele(1)
            with pytest.raises(ConnectionResetError):
                client.quit()
        assert server.items(ANNA) == [item] * left
        with signed_in(server) as client:
            if left:
                client.dele(1)
            client.quit()
        assert [asked.status for asked in server.requests.of("QUIT", ANNA)][-2:] == [0, 1]


def test_replies_are_cut_garbled_and_late(server: MailServer) -> None:
    server.deliver(a_message(), [ANNA])
    server.faults.add(FaultKind.NONSENSE_REPLY, operation="STAT", count=1)
    server.faults.add(FaultKind.SLOW_REPLY, operation="NOOP", seconds=0.3)
    server.faults.add(FaultKind.TRUNCATED_REPLY, operation="RETR", after=1)
    with signed_in(server) as client:
        assert refusal(client.stat).startswith("HTTP/1.0")
        assert client.stat()[0] == 1
        began = time.monotonic()
        client.noop()
        assert time.monotonic() - began >= 0.3
        assert retrieved(client, 1)
        with pytest.raises(poplib.error_proto, match="EOF"):
            client.retr(1)


def test_one_message_cannot_be_read_another_not_deleted(server: MailServer) -> None:
    unreadable, stays = (server.deliver(a_message(), [ANNA])[0] for _ in range(2))
    server.faults.add(FaultKind.UNREADABLE_ITEM, item=unreadable)
    number = server.faults.add(FaultKind.UNWRITABLE_ITEM, item=stays, operation="DELE")
    with signed_in(server) as client:
        assert refusal(client.retr, 1).startswith("-ERR")
        assert refusal(client.top, 1, 1).startswith("-ERR")
        assert client.top(1, 0)[1]
        assert refusal(client.dele, 2).startswith("-ERR")
        assert retrieved(client, 2)
        client.quit()
    server.faults.clear(number)
    server.faults.add(FaultKind.UNWRITABLE_ITEM, item=stays, operation="QUIT")
    with signed_in(server) as client:
        client.dele(1)
        client.dele(2)
        assert refusal(client.quit).startswith("-ERR [SYS/PERM]")
    assert server.items(ANNA) == [stays]


def test_what_was_asked_is_in_the_journal(server: MailServer) -> None:
    with signed_in(server) as client:
        refusal(client.retr, 1)
        client.quit()
    asked = [(entry.operation, entry.mailbox, entry.status, entry.code) for entry in server.requests.of(head="pop3")]
    assert asked == [
        ("Connect", None, 1, "OK"),
        ("USER", None, 1, "OK"),
        ("PASS", ANNA, 1, "OK"),
        ("RETR", ANNA, -1, "ERR"),
        ("QUIT", ANNA, 1, "OK"),
    ]


def test_tls_from_the_first_byte(protected: MailServer) -> None:
    client = poplib.POP3_SSL("localhost", protected.pop3s_port, context=trusting(protected), timeout=20)
    client.user(ANNA)
    client.pass_(PASSWORD)
    assert client.stat() == (0, 0)
    assert "STLS" not in client.capa()
    client.quit()


def test_tls_on_request_and_nobody_signs_in_before_where_the_server_wants_it(protected: MailServer) -> None:
    protected.set_habits([Habit.CLEARTEXT_REFUSED])
    client = poplib.POP3("localhost", protected.pop3_port, timeout=20)
    assert "STLS" in client.capa()
    assert "USER" not in client.capa()
    assert refusal(client.user, ANNA).startswith("-ERR [AUTH]")
    assert say(client, f"AUTH PLAIN {plain(ANNA, PASSWORD)}").startswith("-ERR [AUTH]")
    client.stls(context=trusting(protected))
    assert {"USER", "SASL"} <= set(client.capa())
    client.user(ANNA)
    client.pass_(PASSWORD)
    client.quit()


def test_what_was_sent_before_the_handshake_is_not_believed(protected: MailServer) -> None:
    client = poplib.POP3("localhost", protected.pop3_port, timeout=20)
    client.sock.sendall(b"STLS\r\nUSER somebody\r\n")
    assert line_of(client).startswith(b"+OK")
    client.sock = trusting(protected).wrap_socket(client.sock, server_hostname="localhost")
    client.file = client.sock.makefile("rb")
    assert say(client, "PASS any").startswith("-ERR USER")
    client.close()


def test_a_large_maildrop_is_listed_quickly(server: MailServer) -> None:
    raw = a_message()
    for _ in range(5_000):
        server.deliver(raw, [ANNA])
    began = time.process_time()
    with signed_in(server) as client:
        assert client.stat()[0] == len(uidls(client)) == 5_000
    assert time.process_time() - began < 5


def test_the_proof_of_apop_is_of_this_greeting(server: MailServer) -> None:
    digest = hashlib.md5(PASSWORD.encode(), usedforsecurity=False).hexdigest()
    with connected(server) as client:
        assert say(client, f"APOP {ANNA} {digest}").startswith("-ERR [AUTH]")
