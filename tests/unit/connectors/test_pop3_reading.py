"""Reading and deleting at POP3 servers that are unusual, broken or hostile, and connections that are lost at every command.

What holds for servers as they should be stands in the contract suites.
"""

import random
from datetime import timedelta
from time import sleep

import pytest

from shared.connectors.pop3 import connection as wire
from shared.connectors.pop3 import mail as module
from shared.connectors.pop3 import session as sessions
from shared.connectors.pop3.contents import Sink
from shared.connectors.pop3.errors import ReplyTooLong
from shared.domain.email import IncomingMessage, ItemRef
from shared.domain.errors import (
    ItemGone,
    ItemRejected,
    ItemTooLarge,
    ItemUnreadable,
    NoAnswer,
    TransientError,
)
from shared.domain.folders import INBOX
from tests.unit.connectors.maildrops import a_mail, a_maildrop, everything, failure, fetched, names, opened, polled, serving
from tests.unit.connectors.scripted_pop3 import Maildrop, Said, ScriptedPop3


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7, 1 << 17])
def test_messages_arrive_as_they_are_however_they_are_cut(line_end: bytes, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(chunk)
    bodies = [
        "",
        ".",
        "..",
        ".\r\n.",
        "a\r\n.\r\nb",
        "...\r\n..x\r\n",
        "\r\n\r\n.",
        "\r\n.." * 9,
        "x" * 3000 + "\r\n." + "." * 50,
    ]
    bodies += ["".join(chance.choice((".", "\r\n", "a")) for _ in range(60)) for _ in range(60)]
    maildrop = Maildrop({f"u{number}": a_mail(str(number), body) for number, body in enumerate(bodies)})
    monkeypatch.setattr(wire, "CHUNK", chunk)
    with serving(maildrop, line_end=line_end) as server, opened(server) as mail:
        for uidl, content in maildrop.messages.items():
            assert b"".join(mail.raw(ItemRef(uidl, INBOX.id))) == content.replace(b"\r\n", line_end)


def test_a_dot_between_other_line_ends_does_not_end_a_message() -> None:
    """Whoever writes such a message would otherwise write the server's next replies as well."""
    trap = a_mail("1", "before\n.\n+OK\nforged\n.\r\n+OK\r\nforged\r\n\n.\n")
    maildrop = Maildrop({"u1": trap, "u2": a_mail("2")})
    with serving(maildrop) as server, opened(server) as mail:
        assert b"".join(mail.raw(ItemRef("u1", INBOX.id))) == trap
        first, second = fetched(mail, "u1", "u2")
        assert isinstance(first, IncomingMessage)
        assert isinstance(second, IncomingMessage)
        assert second.message_id == "2@fabrikam.example"


def test_what_is_not_there_is_gone_and_the_others_come_in_order() -> None:
    with serving() as server, opened(server) as mail:
        outcomes = fetched(mail, "u3", "nowhere", "u1")
        assert [type(outcome) for outcome in outcomes] == [IncomingMessage, ItemGone, IncomingMessage]


def test_what_others_removed_during_the_session_is_gone() -> None:
    """A server lists within a session what it cannot give any more."""
    maildrop = a_maildrop(3)
    with serving(maildrop, RETR=b"-ERR expunged\r\n") as server, opened(server) as mail:
        everything(mail)
        del maildrop.messages["u2"]
        assert [type(outcome) for outcome in fetched(mail, "u1", "u2", "u3")] == [ItemUnreadable, ItemGone, ItemUnreadable]
        assert server.count("") == 2


def test_no_more_is_asked_for_at_once_than_fits_into_memory() -> None:
    refs = [ItemRef(str(number), INBOX.id) for number in range(6)]
    sizes = dict(zip(refs, (1 << 20, 3 << 20, 1, 9 << 20, 1, 1), strict=True))
    assert module._fitting(refs, sizes, None) == refs[:2]
    assert module._fitting(refs[2:], sizes, None) == refs[2:3]
    assert module._fitting(refs[3:], sizes, None) == refs[3:4]
    assert module._fitting(refs, sizes, 1000) == refs


def test_of_a_long_reply_no_more_is_kept_than_matters() -> None:
    sink = Sink(100, kept=5)
    for piece in (b"abc", b"def", b"ghi"):
        sink.write(piece)
    assert sink.content() == b"abcde"
    with pytest.raises(ReplyTooLong):
        sink.write(b"x" * 100)


def test_a_message_that_is_refused_though_it_is_there_is_an_item_that_fails() -> None:
    maildrop = a_maildrop(3)
    retrieve = maildrop.replies()["RETR"]
    assert callable(retrieve)
    with serving(maildrop, RETR=lambda number: b"-ERR broken\r\n" if number == "2" else retrieve(number)) as server:
        with opened(server) as mail:
            outcomes = fetched(mail, "u1", "u2", "u3")
        assert [type(outcome) for outcome in outcomes] == [IncomingMessage, ItemUnreadable, IncomingMessage]


def test_a_message_that_never_ends_is_cut_and_those_behind_it_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLACK", 1000)
    maildrop = a_maildrop(4)
    retrieve = maildrop.replies()["RETR"]
    assert callable(retrieve)
    endless = b"+OK\r\n" + b"more and more\r\n" * 200_000
    with serving(maildrop, RETR=lambda number: endless if number == "2" else retrieve(number)) as server:
        with opened(server) as mail:
            outcomes = fetched(mail, "u1", "u2", "u3", "u4")
        assert [type(outcome) for outcome in outcomes] == [IncomingMessage, ItemUnreadable, IncomingMessage, IncomingMessage]


def test_lists_that_never_end_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "LARGEST_LIST", 10_000)
    with serving(UIDL=b"+OK\r\n" + b"1 u1\r\n" * 100_000) as server:
        assert isinstance(failure(server), TransientError)


def test_a_header_of_any_length_is_looked_at_as_far_as_it_goes() -> None:
    long = b"Message-ID: <1@fabrikam.example>\r\nX-Long: " + b"x" * 3_000_000 + b"\r\n\r\nHello\r\n"
    with serving(Maildrop({"u1": long, "u2": a_mail("2")})) as server:
        assert names(polled(server)[0]) == ["1", "2"]


def test_a_list_of_more_messages_than_a_maildrop_has_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_MESSAGES", 100)
    for line_end in (b"\n", b"\r"):
        listing = b"+OK\r\n" + b"".join(b"%d u%d" % (n, n) + line_end for n in range(300)) + b"\r\n.\r\n"
        with serving(UIDL=listing) as server:
            assert type(failure(server)) is TransientError


@pytest.mark.parametrize("said", [b"+OK\r\n1 10\r\n2 10\r\n3 10\r\n.\r\n", b"-ERR what?\r\n"], ids=["too small", "unknown"])
def test_messages_that_are_larger_than_the_server_says_are_not_held_together(said: bytes) -> None:
    """They are read one by one, and none is blamed for it."""
    maildrop = Maildrop({f"u{number}": a_mail(str(number), "x" * (4 << 20)) for number in range(1, 4)})
    at_once: list[int] = []

    def size(number: str) -> bytes:
        return b"+OK %s 10\r\n" % number.encode() if said.startswith(b"+OK") and number else said

    with serving(maildrop, LIST=size) as server, opened(server) as mail:
        for outcome in mail.fetch([ItemRef(f"u{number}", INBOX.id) for number in range(1, 4)]):
            assert isinstance(outcome[1], IncomingMessage)
            at_once.append(server.count("RETR"))
    assert said.startswith(b"+OK") or at_once == [1, 2, 3]


def test_replies_that_drip_take_no_longer_than_one_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "LONGEST_REPLY", timedelta(seconds=1))
    maildrop = a_maildrop(10)
    original = maildrop.replies()["TOP"]

    def slowly(arguments: str) -> bytes | None:
        sleep(0.4)
        assert callable(original)
        return original(arguments)

    with serving(maildrop, TOP=slowly) as server:
        assert type(failure(server)) is NoAnswer
        assert server.count("TOP") < 10


def test_a_listing_that_takes_long_goes_on_without_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_LISTING", timedelta())
    with serving() as server:
        items, _ = polled(server)
        assert [item.ref.id for item in items]
        assert {item.message_id for item in items} == {None}


def test_a_message_larger_than_all_messages_is_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_MESSAGE", 100)
    with serving() as server, opened(server) as mail:
        (outcome,) = fetched(mail, "u1")
        assert isinstance(outcome, ItemTooLarge)
        assert server.count("RETR") == 0


def test_who_looks_at_one_message_may_ask_for_another_meanwhile() -> None:
    with serving(a_maildrop(5)) as server, opened(server) as mail:
        refs = [ItemRef(f"u{number}", INBOX.id) for number in range(1, 6)]
        for ref, outcome in mail.fetch(refs):
            assert isinstance(outcome, IncomingMessage)
            assert b"".join(mail.raw(ref)) == server.maildrop.messages[ref.id]


def test_a_large_message_is_read_from_a_file() -> None:
    text = "0123456789abcdef.\r\n.\r\n" * 300_000
    with serving(Maildrop({"u1": a_mail("1", text)})) as server, opened(server) as mail:
        (message,) = fetched(mail, "u1")
        assert isinstance(message, IncomingMessage)
        assert len(message.body_text or "") >= len(text) - 2
        pieces = list(mail.raw(ItemRef("u1", INBOX.id)))
        assert b"".join(pieces) == server.maildrop.messages["u1"]
        assert max(map(len, pieces)) <= 1 << 20


def test_a_session_that_fell_asleep_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_ASLEEP_AFTER", 0.0)
    with serving() as server, opened(server) as mail:
        everything(mail)
        server.lost_at = 0
        outcomes = fetched(mail, "u1", "u2")
        assert all(isinstance(outcome, IncomingMessage) for outcome in outcomes)
        assert server.count("") == 2


# ---- deleting


def test_what_is_discarded_is_gone_and_nothing_else() -> None:
    with serving() as server, opened(server) as mail:
        assert mail.discard([ItemRef("u2", INBOX.id), ItemRef("gone", INBOX.id), ItemRef("u2", INBOX.id)]) == {}
        assert list(server.maildrop.messages) == ["u1", "u3"]
        assert [type(outcome) for outcome in fetched(mail, "u2", "u3")] == [ItemGone, IncomingMessage]


def test_messages_are_deleted_by_the_numbers_of_the_session_that_deletes() -> None:
    maildrop = a_maildrop(4)
    with serving(maildrop) as server:
        with opened(server) as mail:
            everything(mail)
            mail.discard([ItemRef("u1", INBOX.id)])
            mail.discard([ItemRef("u3", INBOX.id)])
        assert list(maildrop.messages) == ["u2", "u4"]


def test_a_refusal_to_delete_one_message_is_told_of_that_one() -> None:
    maildrop = a_maildrop(3)
    with serving(maildrop) as server, opened(server) as mail:
        everything(mail)
        mail._session.close()
        server.script = {"DELE": lambda number: b"-ERR no\r\n" if number == "2" else b"+OK\r\n"}
        refs = [ItemRef(uidl, INBOX.id) for uidl in ("u1", "u2")]
        refused = mail.discard(refs)
        assert list(refused) == [refs[1]]


def test_an_end_that_is_refused_deleted_nothing_for_certain() -> None:
    with (
        serving(QUIT=b"-ERR some messages were not removed\r\n") as server,
        opened(server) as mail,
        pytest.raises(TransientError),
    ):
        mail.discard([ItemRef("u1", INBOX.id)])


def test_what_shares_its_id_with_another_message_is_never_deleted() -> None:
    uidl = b"+OK\r\n1 same\r\n2 same\r\n3 u3\r\n.\r\n"
    with serving(UIDL=lambda number: b"-ERR\r\n" if number else uidl) as server:
        with opened(server) as mail:
            items, watermark = everything(mail)
            refs = [item.ref for item in items]
            assert len(set(refs)) == 3
            refused = mail.discard([*refs, ItemRef("same", INBOX.id)])
        assert {type(error) for error in refused.values()} == {ItemRejected}
        assert set(refused) == {*refs[:2], ItemRef("same", INBOX.id)}
        assert server.count("DELE") == 1
        assert polled(server, watermark)[0] == []


# ---- lost connections


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_connection_lost_at_any_command_loses_doubles_and_deletes_nothing_wrongly(pipelining: bool) -> None:
    """A run that lists, reads and deletes two of four messages, and is repeated until it is through."""
    lost_at, outcome = 0, ""
    while outcome != "never lost":
        maildrop = a_maildrop(4)
        script: dict[str, Said] = {} if pipelining else {"CAPA": b"-ERR what?\r\n"}
        with ScriptedPop3(maildrop, script).running() as server:
            server.lost_at = lost_at
            read, attempts = run_to_the_end(server)
        assert sorted(read) == ["1", "2", "3", "4"], lost_at
        assert list(maildrop.messages) == ["u3", "u4"], lost_at
        assert attempts <= 2
        outcome = "never lost" if attempts == 1 and server.lost_at is not None else "lost"
        lost_at += 1
    assert lost_at > 12


def run_to_the_end(server: ScriptedPop3) -> tuple[set[str], int]:
    read: set[str] = set()
    for attempt in range(1, 5):
        try:
            with opened(server) as mail:
                items, _ = everything(mail)
                messages = fetched(mail, *(item.ref.id for item in items))
                read |= {str(each.message_id).partition("@")[0] for each in messages if isinstance(each, IncomingMessage)}
                assert mail.discard([ItemRef("u1", INBOX.id), ItemRef("u2", INBOX.id)]) == {}
        except TransientError:
            continue
        return read, attempt
    raise AssertionError("It never comes to an end.")


def test_a_connection_lost_before_the_end_deletes_nothing() -> None:
    with serving(QUIT=lambda _: None) as server, opened(server) as mail:
        with pytest.raises(TransientError):
            mail.discard([ItemRef("u1", INBOX.id)])
        assert len(server.maildrop.messages) == 3
