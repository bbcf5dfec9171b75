"""Messages come in bounded slices whatever a server says of their size, and each that fails costs no other."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from shared.connectors.imap.columns import WITH_HEADERS
from shared.connectors.imap.reading import FOLLOWING_SLICE, SLICE
from shared.connectors.mime import read_envelope
from shared.domain.email import IncomingMessage, ItemRef
from shared.domain.errors import AccessDenied, ItemError, ItemGone, ItemUnreadable, TransientError, WatermarkExpired
from shared.domain.folders import INBOX
from tests.unit.connectors.odd_imap_server import OddServer, a_mailbox_on, serving

HEADER = b"From: bert@fabrikam.example\r\nMessage-ID: <large@fabrikam.example>\r\nContent-Type: application/zip\r\n\r\n"


@pytest.fixture
def server() -> Iterator[OddServer]:
    with serving(OddServer()) as running:
        yield running


def a_large_message(size: int) -> bytes:
    return HEADER + bytes(range(33, 127)) * (size // 94)


def outcomes(server: OddServer, *uids: int) -> list[object]:
    with a_mailbox_on(server) as mail:
        return [outcome for _, outcome in mail.fetch([ItemRef(f"7:{uid}", INBOX.id) for uid in uids])]


# ---- slices


@pytest.mark.parametrize("size", [SLICE - 1, SLICE, SLICE + 1, SLICE + FOLLOWING_SLICE, 5 * SLICE + 17])
def test_a_large_message_arrives_byte_for_byte_in_slices(server: OddServer, size: int) -> None:
    raw = a_large_message(size).ljust(size, b"=")
    uid = server.deliver("large", raw=raw)
    (message,) = outcomes(server, uid)
    assert isinstance(message, IncomingMessage)
    (attachment,) = message.attachments
    assert b"".join(attachment.chunks()) == b"".join(attachment.chunks()) == raw[len(HEADER) :]
    with a_mailbox_on(server) as mail:
        chunks = list(mail.raw(message.ref))
    assert b"".join(chunks) == raw
    assert max(map(len, chunks)) <= 1 << 20
    asked = [int(line.rpartition(b">")[0].rpartition(b".")[2]) for line in server.said if b"BODY.PEEK[]" in line]
    assert max(asked) <= 4 << 20


@pytest.mark.parametrize("claimed", [1, 10 << 30], ids=["less", "much more"])
def test_the_size_that_a_server_says_is_not_believed(server: OddServer, claimed: int) -> None:
    raw = a_large_message(3 * SLICE)
    uid = server.deliver("large", raw=raw)
    plain = server._row
    size = b"RFC822.SIZE %d" % len(raw)
    server._row = lambda *row: plain(*row).replace(size, b"RFC822.SIZE %d" % claimed)  # type: ignore[method-assign]  # put in between
    (message,) = outcomes(server, uid)
    assert isinstance(message, IncomingMessage)
    assert sum(map(len, message.attachments[0].chunks())) == len(raw) - len(HEADER)


@pytest.mark.parametrize("says_where", [False, True])
def test_a_server_that_does_not_know_parts_gives_messages_whole(server: OddServer, *, says_where: bool) -> None:
    small, large = server.deliver("small"), server.deliver("large", raw=a_large_message(2 * SLICE))
    plain = server._row
    name = b"BODY[]<0>" if says_where else b"BODY[]"

    def row(uid: int, asked: bytes, number: int) -> bytes:
        raw = server.messages[uid].raw
        whole = b"* %d FETCH (UID %d %s {%d}\r\n%s)\r\n" % (number, uid, name, len(raw), raw)
        return whole if b"BODY" in asked else plain(uid, asked, number)

    server._row = row  # type: ignore[method-assign]  # put in between
    first, second = outcomes(server, small, large)
    assert isinstance(first, IncomingMessage)
    assert isinstance(second, IncomingMessage)
    assert second.size == len(server.messages[large].raw)


def test_a_part_from_elsewhere_is_not_taken_for_the_one_that_was_asked_for(server: OddServer) -> None:
    uid = server.deliver("large", raw=a_large_message(2 * SLICE))
    plain = server._row
    server._row = lambda *row: plain(*row).replace(b"]<%d>" % SLICE, b"]<0>")  # type: ignore[method-assign]  # put in between
    assert isinstance(outcomes(server, uid)[0], ItemUnreadable)


def test_small_messages_are_asked_for_together(server: OddServer) -> None:
    uids = [server.deliver(f"{number}") for number in range(50)]
    with a_mailbox_on(server) as mail:
        refs = [item.ref for item in mail.changes(INBOX, None).items]
        server.said.clear()
        assert all(isinstance(outcome, IncomingMessage) for _, outcome in mail.fetch(refs))
    assert [line.split()[:3] for line in server.said if b"FETCH" in line] == [[b"UID", b"FETCH", b"1:%d" % uids[-1]]]


def test_envelopes_of_what_was_listed_are_not_asked_for_again_unless_something_happened(server: OddServer) -> None:
    for number in range(5):
        server.deliver(f"{number}")
    with a_mailbox_on(server) as mail:
        refs = [item.ref for item in mail.changes(INBOX, None).items]
        server.said.clear()
        assert [envelope.message_id for _, envelope in mail.envelopes(refs[:2])] == [  # type: ignore[union-attr]  # no errors
            "4@fabrikam.example",
            "3@fabrikam.example",
        ]
        assert not any(b"FETCH" in line for line in server.said)
        server.remove(3)
        assert [type(outcome).__name__ for _, outcome in mail.envelopes(refs[2:])] == ["ItemGone", "Envelope", "Envelope"]


def test_an_envelope_by_imap_is_what_the_whole_header_says() -> None:
    """Every header that is read of a message is one of those that are asked for."""
    asked = WITH_HEADERS.partition(b"(UID")[2].partition(b"FIELDS (")[2].partition(b")")[0].split()
    header = b"".join(b"%s: <x@y> (%d)\r\n" % (name.title(), number) for number, name in enumerate([*asked, b"X-OTHER"]))
    kept = b"".join(line for line in header.splitlines(keepends=True) if not line.startswith(b"X-Other"))
    ref = ItemRef("7:1", INBOX.id)
    assert read_envelope(header, ref) == read_envelope(kept, ref)
    assert {b"FROM", b"SUBJECT", b"MESSAGE-ID", b"AUTO-SUBMITTED"} <= set(asked)
    assert all(first < second for first, second in pairwise(asked))


# ---- what goes wrong with one


def poisoned(server: OddServer, uid: int, answer: bytes) -> None:
    """The server answers so whenever this message's body is asked for."""

    def reply(line: bytes) -> bytes | None:
        words = line.split()
        if b"BODY.PEEK[]" not in line:
            return None
        runs = [run.partition(b":") for run in words[2].split(b",")]
        return answer if any(int(first) <= uid <= int(last or first) for first, _, last in runs) else None

    server.reply = reply


@pytest.mark.parametrize(
    "answer", [b"TAG NO [SERVERBUG] sorry\r\n", b"TAG BAD sorry\r\n", b"* 3 FETCH (UID 3\r\nTAG OK done\r\n"]
)
def test_a_message_that_the_server_cannot_give_costs_no_other(server: OddServer, answer: bytes) -> None:
    uids = [server.deliver(f"{number}") for number in range(9)]
    poisoned(server, 3, answer)
    got = outcomes(server, *uids)
    assert [uid for uid, outcome in zip(uids, got, strict=True) if isinstance(outcome, ItemUnreadable)] == [3]
    assert sum(isinstance(outcome, IncomingMessage) for outcome in got) == 8


@pytest.mark.parametrize("answer", [b"TAG NO [UNAVAILABLE] later\r\n", b"TAG NO [THROTTLED] slow down\r\n", b""])
def test_a_server_that_cannot_now_is_the_servers_failure(server: OddServer, answer: bytes) -> None:
    uids = [server.deliver(f"{number}") for number in range(3)]
    poisoned(server, 2, answer)
    with pytest.raises(TransientError):
        outcomes(server, *uids)


def test_what_is_gone_is_told_in_its_place_and_folders_that_are_gone_too(server: OddServer) -> None:
    uids = [server.deliver(f"{number}") for number in range(3)]
    server.remove(2)
    assert [type(outcome).__name__ for outcome in outcomes(server, *uids)] == ["IncomingMessage", "ItemGone", "IncomingMessage"]
    server.reply = lambda line: b"TAG NO [NONEXISTENT] none\r\n" if b"Projects" in line else None
    elsewhere = ItemRef("7:1", "name:Projects")
    with a_mailbox_on(server) as mail:
        assert [type(each).__name__ for _, each in mail.fetch([elsewhere, ItemRef("7:1", INBOX.id)])] == [
            "ItemGone",
            "IncomingMessage",
        ]
        with pytest.raises(ItemGone):
            list(mail.raw(elsewhere))


def test_ids_of_a_folder_that_was_made_anew_are_gone(server: OddServer) -> None:
    """The same UID is another message there."""
    uid = server.deliver("one")
    server.uid_validity = 8
    assert isinstance(outcomes(server, uid)[0], ItemGone)


def test_a_folder_that_is_made_anew_while_it_is_read_gives_no_message_of_the_other(server: OddServer) -> None:
    uids = [server.deliver(f"{number}") for number in range(3)]
    with a_mailbox_on(server) as mail:
        reading = mail.fetch([ItemRef(f"7:{uid}", INBOX.id) for uid in uids])
        server.reply = lambda line: _made_anew(server) if line.startswith(b"UID FETCH") else None
        with pytest.raises(TransientError):
            next(reading)
        server.reply = lambda _: None
        assert [type(each).__name__ for _, each in mail.fetch([ItemRef("7:1", INBOX.id)])] == ["ItemGone"]
        with pytest.raises(WatermarkExpired):
            mail.changes(INBOX, '[1,"caadbcffec9038112a5642fc15e5aa67",7,4,[],4,null,""]')


def test_a_message_of_a_folder_that_was_made_anew_is_not_the_rest_of_another(server: OddServer) -> None:
    uid = server.deliver("large", raw=a_large_message(12 * SLICE))
    with a_mailbox_on(server) as mail:
        chunks = mail.raw(ItemRef(f"7:{uid}", INBOX.id))
        next(chunks)
        server.uid_validity = 8
        mail.latest(INBOX, 1)
        with pytest.raises(ItemGone):
            list(chunks)


def _made_anew(server: OddServer) -> bytes:
    server.uid_validity = 8
    return b""


@pytest.mark.parametrize(
    "id_", ["", "7", "7:", ":1", "7:0", "7:-1", "7:1,2", "7:*", "7:99999999999", "x:1", "7:1 BODY[]", "７:1"]
)
def test_what_is_no_id_says_no_command(server: OddServer, id_: str) -> None:
    uid = server.deliver("one")
    with a_mailbox_on(server) as mail:
        got = [outcome for _, outcome in mail.fetch([ItemRef(id_, INBOX.id), ItemRef(f"7:{uid}", INBOX.id)])]
        assert isinstance(got[0], ItemError)
        assert isinstance(got[1], IncomingMessage)
        assert mail.discard([ItemRef(id_, INBOX.id)]) == {}
    assert not any(id_.encode() in line for line in server.said if id_ not in ("", "7", ":1", "7:"))


# ---- what is not told


def test_a_message_that_an_answer_leaves_out_is_not_gone(server: OddServer) -> None:
    for name in ("one", "two", "three"):
        server.deliver(name)

    def leaves_two_out(line: bytes) -> bytes | None:
        if b"FETCH" not in line:
            return None
        rows = server._answer(line, sorted(server.messages)).split(b"* ")
        return b"* ".join(row for row in rows if b"(UID 2 " not in row) + b"TAG OK done\r\n"

    server.reply = leaves_two_out
    server.remove(3)
    kinds = [type(outcome) for outcome in outcomes(server, 1, 2, 3)]
    assert kinds == [IncomingMessage, ItemUnreadable, ItemGone]


def test_messages_of_a_folder_that_may_not_be_opened_any_more_cost_no_others(server: OddServer) -> None:
    server.deliver("one")
    server.reply = lambda line: b"TAG NO [NOPERM] not yours\r\n" if line.startswith(b'EXAMINE "Theirs"') else None
    refs = [ItemRef("7:1", "name:Theirs"), ItemRef("7:1", INBOX.id)]
    with a_mailbox_on(server) as mail:
        for read in (mail.fetch, mail.envelopes):
            (_, theirs), (_, ours) = read(refs)
            assert type(theirs) is ItemUnreadable
            assert not isinstance(ours, ItemError)


def test_an_inbox_that_may_not_be_opened_any_more_is_the_mailboxs_failure(server: OddServer) -> None:
    server.reply = lambda line: b"TAG NO [NOPERM] not yours\r\n" if line.startswith(b"EXAMINE") else None
    with pytest.raises(AccessDenied):
        outcomes(server, 1)
