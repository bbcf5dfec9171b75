"""Whatever happens to a folder between two pages: what is there is listed, and what is new is listed once."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.connectors.imap import listing
from shared.domain.email import ChangeKind, Envelope, Page
from shared.domain.errors import TransientError, WatermarkExpired
from shared.domain.folders import INBOX
from tests.unit.connectors.odd_imap_server import DECENT, NOON, OddServer, a_mailbox_on, serving


@pytest.fixture
def server() -> Iterator[OddServer]:
    with serving(OddServer()) as running:
        yield running


def a_page(server: OddServer, watermark: str | None, limit: int = 512) -> Page:
    with a_mailbox_on(server) as mail:
        return mail.changes(INBOX, watermark, limit)


def all_pages(server: OddServer, watermark: str | None = None, limit: int = 512) -> tuple[list[tuple[int, ChangeKind]], str]:
    """UIDs and kinds, and the last watermark."""
    told = []
    while True:
        page = a_page(server, watermark, limit)
        assert len(page.items) <= limit
        told += [(int(item.ref.id.partition(":")[2]), item.kind) for item in page.items]
        watermark = page.watermark
        if not page.more:
            return told, watermark


def created(told: list[tuple[int, ChangeKind]]) -> list[int]:
    return [uid for uid, kind in told if kind is ChangeKind.CREATED]


# ---- new and old mail

ACTIONS = st.one_of(
    st.tuples(st.just("deliver"), st.integers(1, 12), st.sampled_from([0, 0, 0, 5, 3000])),
    st.tuples(st.just("remove"), st.integers(0, 40), st.integers(1, 9)),
    st.tuples(st.just("read"), st.integers(0, 40), st.just(0)),
    st.tuples(st.just("page"), st.integers(1, 9), st.just(0)),
)


@settings(max_examples=60)
@given(st.lists(ACTIONS, max_size=14), st.integers(1, 7), st.sampled_from([DECENT, DECENT.replace(" CONDSTORE", "")]))
def test_every_message_that_stays_is_listed_exactly_once(
    actions: list[tuple[str, int, int]], limit: int, capabilities: str
) -> None:
    with serving(OddServer(capabilities)) as server:
        watermark: str | None = None
        told: list[int] = []
        for action, number, extra in actions:
            present = sorted(server.messages)
            if action == "deliver":
                for each in range(number):
                    server.deliver(f"{server.uid_next}", gap=0 if each else extra)
            elif action == "remove":
                for uid in present[number : number + extra]:
                    server.remove(uid)
            elif action == "read" and number < len(present):
                server.flag(present[number], "\\Seen")
            elif action == "page":
                page = a_page(server, watermark, number)
                assert len(page.items) <= number
                told += [int(item.ref.id.partition(":")[2]) for item in page.items if item.kind is ChangeKind.CREATED]
                watermark = page.watermark
        rest, watermark = all_pages(server, watermark, limit)
        told += created(rest)
        assert len(told) == len(set(told))
        assert set(told) >= set(server.messages)
        assert a_page(server, watermark) == Page((), watermark, more=False)


def test_new_mail_does_not_wait_for_a_long_list_of_old_mail(server: OddServer) -> None:
    for number in range(40):
        server.deliver(f"{number}")
    first = a_page(server, None, limit=10)
    new = server.deliver("new")
    assert next(item.ref.id for item in a_page(server, first.watermark, limit=10).items) == f"7:{new}"


def test_old_mail_that_goes_while_it_is_being_listed_brings_nothing_twice_and_hides_nothing(server: OddServer) -> None:
    """Sequence numbers of all that is left change."""
    for number in range(40):
        server.deliver(f"{number}")
    first = a_page(server, None, limit=10)
    for uid in range(3, 20):
        server.remove(uid)
    rest, _ = all_pages(server, first.watermark, limit=10)
    assert created(rest) == [*range(30, 19, -1), 2, 1]


def test_bursts_of_mail_faster_than_pages_are_listed_in_the_end(server: OddServer) -> None:
    """What is kept of them does not grow without bound."""
    watermark, told = None, []
    for burst in range(30):
        for number in range(9):
            server.deliver(f"{burst}.{number}")
        page = a_page(server, watermark, limit=2)
        watermark = page.watermark
        assert len(watermark) < 400
        told += [int(item.ref.id.partition(":")[2]) for item in page.items]
    rest, _ = all_pages(server, watermark, limit=50)
    assert sorted(told + created(rest)) == sorted(server.messages)


def test_a_page_of_a_mailbox_full_of_gaps_is_one_fetch(server: OddServer) -> None:
    for number in range(30):
        server.deliver(f"{number}", gap=100_000)
    watermark = a_page(server, None, limit=10).watermark
    server.said.clear()
    assert len(a_page(server, watermark, limit=10).items) == 10
    assert [line.split()[0] for line in server.said if line != b"LOGOUT"] == [b"AUTHENTICATE", b"EXAMINE", b"FETCH"]


def test_a_poll_that_finds_nothing_opens_the_folder_and_no_more(server: OddServer) -> None:
    server.deliver("old", "\\Seen")
    _, watermark = all_pages(server)
    server.said.clear()
    assert a_page(server, watermark) == Page((), watermark, more=False)
    assert [line.split()[0] for line in server.said if line != b"LOGOUT"] == [b"AUTHENTICATE", b"EXAMINE"]


def test_one_new_message_is_asked_for_alone(server: OddServer) -> None:
    for number in range(30):
        server.deliver(f"{number}")
    _, watermark = all_pages(server)
    server.deliver("new")
    server.said.clear()
    a_page(server, watermark)
    assert [line.split()[2] for line in server.said if b"FETCH" in line] == [b"31"]


def test_mail_that_came_and_went_costs_no_second_look_at_the_rest(server: OddServer) -> None:
    for number in range(30):
        server.deliver(f"{number}")
    _, watermark = all_pages(server)
    for number in range(20):
        server.remove(server.deliver(f"gone{number}"))
    kept = server.deliver("new")
    plain, given = server._row, []
    server._row = lambda *row: given.append(row[0]) or plain(*row)  # type: ignore[func-returns-value,method-assign]  # put in between
    assert created(all_pages(server, watermark)[0]) == given == [kept]


# ---- watermarks


def test_another_uidvalidity_is_another_folder(server: OddServer) -> None:
    server.deliver("old")
    _, watermark = all_pages(server)
    server.uid_validity += 1
    with pytest.raises(WatermarkExpired):
        a_page(server, watermark)


def test_a_folder_that_gives_uids_a_second_time_is_listed_again(server: OddServer) -> None:
    """As after a restore that kept UIDVALIDITY."""
    server.deliver("one")
    server.deliver("two")
    _, watermark = all_pages(server)
    server.remove(2)
    server.uid_next = 2
    with pytest.raises(WatermarkExpired):
        a_page(server, watermark)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '[1,"x",7]', '[2,"x",7,1,[],null,null,""]', "[" * 100_000])
def test_what_is_no_watermark_has_expired(server: OddServer, text: str) -> None:
    with pytest.raises(WatermarkExpired):
        a_page(server, text)


def test_a_folder_of_which_the_server_does_not_say_what_comes_next_is_read_all_the_same(server: OddServer) -> None:
    """UIDNEXT is newer than IMAP."""
    opened = b"* %d EXISTS\r\n* OK [UIDVALIDITY 7] ids\r\nTAG OK done\r\n"
    server.deliver("one", gap=5)
    server.reply = lambda line: opened % 1 if line.startswith(b"EXAMINE") else _row(6) if line == b"FETCH 1 (UID)" else None
    page = a_page(server, None)
    assert '"caadbcffec9038112a5642fc15e5aa67",7,7,' in page.watermark
    server.reply = lambda line: opened % 0 if line.startswith(b"EXAMINE") else None
    assert a_page(server, None).items == ()


def test_where_the_server_does_not_say_what_comes_next_the_newest_may_go(server: OddServer) -> None:
    """The highest UID that is there falls then, and no UID is given a second time."""
    server.tells_next = False
    for name in ("one", "two", "three"):
        server.deliver(name)
    told, watermark = all_pages(server)
    assert sorted(created(told)) == [1, 2, 3]
    server.remove(3)
    assert a_page(server, watermark).items == ()
    server.deliver("four")
    told, watermark = all_pages(server, watermark)
    assert created(told) == [4]
    server.messages.clear()
    assert a_page(server, watermark).items == ()


def _row(uid: int) -> bytes:
    return b"* 1 FETCH (UID %d)\r\nTAG OK done\r\n" % uid


# ---- flags


def test_a_keyword_that_comes_or_goes_is_a_change_and_reading_is_not(server: OddServer) -> None:
    tagged, other, read = (server.deliver(name) for name in ("tagged", "other", "read"))
    server.flag(other, "$label1")
    _, watermark = all_pages(server)
    server.flag(tagged, "Tracked")
    server.flag(other, "$label1", off=True)
    server.flag(read, "\\Seen")
    told, watermark = all_pages(server, watermark)
    assert sorted(told) == [(tagged, ChangeKind.UPDATED), (other, ChangeKind.UPDATED), (read, ChangeKind.READ_FLAG)]
    server.flag(tagged, "Tracked", off=True)
    page = a_page(server, watermark)
    assert [(item.kind, item.categories, item.message_id) for item in page.items] == [
        (ChangeKind.UPDATED, (), "tagged@fabrikam.example")
    ]


def test_categories_are_the_keywords_as_they_are_written(server: OddServer) -> None:
    server.deliver("one", "\\Seen", "\\Answered", "\\Flagged", "Tracked", "$label1")
    assert sorted(a_page(server, None).items[0].categories) == ["$label1", "Tracked"]


def test_a_draft_is_told_from_mail(server: OddServer) -> None:
    server.deliver("one", "\\Draft")
    assert a_page(server, None).items[0].is_draft


def test_what_is_marked_as_deleted_is_no_news_until_the_mark_is_taken_off(server: OddServer) -> None:
    uid = server.deliver("one", "\\Deleted")
    told, watermark = all_pages(server)
    assert told == []
    server.flag(uid, "\\Deleted", off=True)
    told, watermark = all_pages(server, watermark)
    assert told == [(uid, ChangeKind.UPDATED)]
    server.flag(uid, "\\Deleted")
    assert all_pages(server, watermark)[0] == []


def test_many_changes_of_flags_come_in_pages(server: OddServer) -> None:
    """Where all mail is marked as read at once, nothing that tells more is left out."""
    uids = [server.deliver(f"{number}", gap=number % 3) for number in range(3000)]
    _, watermark = all_pages(server)
    for uid in uids:
        server.flag(uid, "\\Seen")
    for uid in uids[::100]:
        server.flag(uid, "Tracked")
    told, watermark = all_pages(server, watermark, limit=20)
    assert [uid for uid, kind in told if kind is ChangeKind.UPDATED] == uids[::100]
    assert a_page(server, watermark).items == ()


def test_without_states_of_flags_nobody_asks_for_their_changes(server: OddServer) -> None:
    server.capabilities = DECENT.replace(" CONDSTORE", "")
    uid = server.deliver("one")
    _, watermark = all_pages(server)
    server.flag(uid, "Tracked")
    server.said.clear()
    assert a_page(server, watermark).items == ()
    assert not any(b"SEARCH" in line for line in server.said)


# ---- answers that are more, or less, than what was asked for


def test_what_a_server_says_unasked_of_an_older_message_passes_over_none(server: OddServer) -> None:
    for number in range(1, 21):
        server.deliver(f"{number}", gap=1)

    def tells_of_the_first(line: bytes) -> bytes | None:
        if not line.startswith(b"FETCH"):
            return None
        unasked = b"* 1 FETCH (UID 2 FLAGS (\\Seen))\r\n"
        return server._answer(line, sorted(server.messages)) + unasked + b"TAG OK done\r\n"

    server.reply = tells_of_the_first
    told, _ = all_pages(server, limit=4)
    assert sorted(created(told)) == sorted(server.messages)


@pytest.mark.parametrize(("gap", "limit"), [(0, 512), (1, 4), (0, 4)], ids=["by ids", "by numbers", "both"])
def test_a_message_that_an_answer_leaves_out_is_listed_all_the_same(server: OddServer, gap: int, limit: int) -> None:
    for number in range(1, 11):
        server.deliver(f"{number}", gap=gap)
    hidden = sorted(server.messages)[4]

    def leaves_one_out(line: bytes) -> bytes | None:
        if b"FETCH" not in line or b"HEADER" not in line:
            return None
        rows = server._answer(line, sorted(server.messages)).split(b"* ")
        return b"* ".join(row for row in rows if b"(UID %d " % hidden not in row) + b"TAG OK done\r\n"

    server.reply = leaves_one_out
    told, _ = all_pages(server, limit=limit)
    assert sorted(created(told)) == sorted(server.messages)


def test_flags_of_a_large_mailbox_that_change_at_once_are_asked_for_in_parts(server: OddServer) -> None:
    server.deliver("one")
    _, watermark = all_pages(server)
    server.uid_next = 300_001
    watermark = watermark.replace(",2,[]", ",300001,[]")
    server.state += 1
    parts: list[int] = []

    def all_have_changed(line: bytes) -> bytes | None:
        if line.startswith(b"UID SEARCH"):
            after = int(line.split()[3].partition(b":")[0])
            return b"* SEARCH " + b" ".join(b"%d" % uid for uid in range(after, 300_001)) + b"\r\nTAG OK done\r\n"
        if line.startswith(b"UID FETCH"):
            first, _, last = line.split()[2].partition(b":")
            parts.append(int(last) - int(first) + 1)
            return b"TAG OK done\r\n"
        return None

    server.reply = all_have_changed
    a_page(server, watermark)
    assert parts
    assert max(parts) <= 20_000


def test_a_page_of_slow_answers_ends_with_what_it_has(server: OddServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's lease would not outlast all the answers that one page may take."""
    monkeypatch.setattr(listing, "_LONGEST_PAGE", timedelta())
    for number in range(8):
        server.deliver(f"{number}", *(["\\Deleted"] if number % 2 else []), gap=9)
    page = a_page(server, None, limit=4)
    assert len(page.items) == 2
    assert page.more
    told, _ = all_pages(server, page.watermark, limit=4)
    assert len(told) == 2


# ---- messages that make a server fail


@pytest.mark.parametrize("failure", [b"TAG NO [SERVERBUG] sorry\r\n", b"", b"* 1 FETCH (UID\r\nTAG OK done\r\n"])
def test_a_message_over_whose_headers_the_server_fails_costs_no_other(server: OddServer, failure: bytes) -> None:
    """It refuses, it dies, or it talks nonsense."""
    for number in range(20):
        server.deliver(f"{number}")

    def fails_over_seven(line: bytes) -> bytes | None:
        asks_for_headers = b"HEADER" in line
        words = line.split()
        if not asks_for_headers or b"FETCH" not in words:
            return None
        if words[0] == b"FETCH":
            return failure
        runs = [run.partition(b":") for run in words[2].split(b",")]
        return failure if any(int(first) <= 7 <= int(last or first) for first, _, last in runs) else None

    server.reply = fails_over_seven
    items = a_page(server, None).items
    assert [item.ref.id for item in items] == [f"7:{uid}" for uid in range(20, 0, -1)]
    assert [item.message_id for item in items if item.ref.id == "7:7"] == [None]
    assert sum(item.message_id is not None for item in items) == 19
    assert {item.received for item in items} == {NOON}


def test_a_server_that_fails_over_all_headers_is_the_servers_failure(server: OddServer) -> None:
    for number in range(200):
        server.deliver(f"{number}")
    server.reply = lambda line: b"" if b"HEADER" in line else None
    with pytest.raises(TransientError):
        a_page(server, None)
    assert server.connections < 40


def test_headers_longer_than_usual_are_complete(server: OddServer) -> None:
    header = b"To: " + b", ".join(b"person%d@contoso.example" % n for n in range(1500)) + b"\r\nMessage-ID: <last@x>\r\n\r\n"
    server.deliver("one", raw=header)
    with a_mailbox_on(server) as mail:
        (item,) = mail.changes(INBOX, None).items
        ((_, envelope),) = mail.envelopes([item.ref])
    assert item.message_id == "last@x"
    assert isinstance(envelope, Envelope)
    assert len(envelope.to) == 1500
