"""The POP3 head of the mail server: messages and maildrops."""

from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime

from local.mailserver import MailServer
from tests.unit.mailserver.conftest import ANNA, BEN
from tests.unit.mailserver.messages import a_message
from tests.unit.mailserver.pop3_clients import PASSWORD, connected, refusal, retrieved, signed_in, uidls
from tests.unit.mailserver.soap import SoapClient, field_uri


def test_a_message_arrives_byte_for_byte(server: MailServer) -> None:
    lines = "..two dots\r\n.\r\nÜmlaut, " + "x" * 1500
    server.deliver(a_message(text=lines), [ANNA])
    (item,) = server.items(ANNA)
    stored = server.store.mailbox(ANNA).item(item).message.raw
    with signed_in(server) as client:
        assert client.stat() == (1, len(stored))
        assert client.list()[1] == [f"1 {len(stored)}".encode()]
        assert retrieved(client, 1) == stored
        assert client.quit().startswith(b"+OK")


def test_lines_that_end_with_lf_alone_and_a_missing_last_line_end_are_mended(server: MailServer) -> None:
    server.deliver(b"Subject: Offer\n\nGood morning\nGood bye", [ANNA], internal=None)
    with signed_in(server) as client:
        assert client.stat() == (1, len(b"Subject: Offer\r\n\r\nGood morning\r\nGood bye"))
        assert retrieved(client, 1) == b"Subject: Offer\r\n\r\nGood morning\r\nGood bye\r\n"


def test_a_message_may_begin_with_a_dot(server: MailServer) -> None:
    server.deliver(b".odd: field\r\n\r\n.", [ANNA], internal=None)
    with signed_in(server) as client:
        assert retrieved(client, 1) == b".odd: field\r\n\r\n.\r\n"


def test_an_empty_message_is_a_message(server: MailServer) -> None:
    server.deliver(b"", [ANNA], internal=None)
    with signed_in(server) as client:
        assert (client.stat(), retrieved(client, 1)) == ((1, 0), b"")


def test_the_topmost_received_tells_the_time_that_ews_tells(server: MailServer, anna: SoapClient) -> None:
    received = datetime(2026, 11, 2, 9, 30, 7, 999_000, tzinfo=UTC)
    (item,) = server.deliver(
        a_message(headers="Received: from elsewhere; Sun, 01 Nov 2026 00:00:00 +0000\r\n"), [ANNA], received
    )
    with signed_in(server) as client:
        top = BytesHeaderParser().parsebytes(b"\r\n".join(client.top(1, 0)[1]))
    assert parsedate_to_datetime(top["Received"].rpartition(";")[2]) == received.replace(microsecond=0)
    assert anna.get(item, properties=field_uri("item:DateTimeReceived")).text("t:DateTimeReceived") == "2026-11-02T09:30:07Z"


def test_top_gives_the_header_and_so_many_lines(server: MailServer) -> None:
    server.deliver(a_message(text="one\r\n.two\r\nthree"), [ANNA])
    with signed_in(server) as client:
        assert client.top(1, 0)[1][-2:] == [b"Message-ID: <offer-1@supplier.example>", b""]
        assert client.top(1, 2)[1][-3:] == [b"", b"one", b".two"]
        assert client.top(1, 99)[1][-1] == b"three"


def test_uidls_stay_and_differ(server: MailServer) -> None:
    for _ in range(3):
        server.deliver(a_message(), [ANNA])
    with signed_in(server) as client:
        first = uidls(client)
        client.dele(1)
        client.quit()
    server.deliver(a_message(), [ANNA])
    with signed_in(server) as client:
        second = uidls(client)
        assert client.uidl(2) == f"+OK 2 {first[3]}".encode()
    assert [second[1], second[2]] == [first[2], first[3]]
    assert len({*first.values(), *second.values()}) == 4
    assert all(len(uidl) <= 70 for uidl in first.values())


def test_a_restored_maildrop_has_other_uidls(server: MailServer) -> None:
    for _ in range(2):
        server.deliver(a_message(), [ANNA])
    with signed_in(server) as client:
        before = uidls(client)
        client.quit()
    server.renumber_folder(ANNA)
    with signed_in(server) as client:
        assert len({*before.values(), *uidls(client).values()}) == 4


def test_nothing_is_deleted_before_the_client_quits(server: MailServer) -> None:
    kept, deleted = (server.deliver(a_message(), [ANNA])[0] for _ in range(2))
    with signed_in(server) as client:
        client.dele(2)
        assert client.stat()[0] == 1
        assert "deleted" in refusal(client.retr, 2)
    assert server.items(ANNA) == [deleted, kept]
    with signed_in(server) as client:
        client.dele(1)
        client.rset()
        client.dele(2)
        assert server.items(ANNA) == [deleted, kept]
        client.quit()
    assert server.items(ANNA) == [kept]


def test_what_somebody_else_deleted_meanwhile_is_gone_all_the_same(server: MailServer) -> None:
    (item,) = server.deliver(a_message(), [ANNA])
    with signed_in(server) as client:
        client.dele(1)
        server.remove(ANNA, item)
        assert client.quit().startswith(b"+OK")


def test_only_one_session_has_the_maildrop(server: MailServer) -> None:
    with signed_in(server) as first:
        with connected(server) as second:
            second.user(ANNA)
            assert refusal(second.pass_, PASSWORD).startswith("-ERR [IN-USE]")
            with signed_in(server, BEN, "ben's password"):
                pass
        first.quit()
        with signed_in(server) as third:
            assert third.stat() == (0, 0)


def test_a_client_that_is_gone_without_a_word_leaves_the_maildrop_free(server: MailServer) -> None:
    (item,) = server.deliver(a_message(), [ANNA])
    with signed_in(server) as client:
        client.dele(1)
    with signed_in(server) as client:
        assert client.stat()[0] == 1
    assert server.items(ANNA) == [item]


def test_mail_that_comes_during_a_session_waits_for_the_next(server: MailServer) -> None:
    with signed_in(server) as client:
        server.deliver(a_message(), [ANNA])
        assert client.stat()[0] == 0
        client.quit()
    with signed_in(server) as client:
        assert client.stat()[0] == 1


def test_only_the_inbox_is_the_maildrop(server: MailServer) -> None:
    server.deliver(a_message(), [ANNA], folder="archive")
    with signed_in(server) as client:
        assert client.stat() == (0, 0)
