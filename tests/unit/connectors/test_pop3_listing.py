"""Listing maildrops of servers that are unusual, broken or hostile."""

import pytest

from shared.connectors.pop3.errors import UidlMissing
from shared.domain.email import Envelope, IncomingMessage
from shared.domain.errors import (
    TransientError,
    WatermarkExpired,
)
from shared.domain.folders import INBOX
from tests.unit.connectors.maildrops import a_mail, a_maildrop, everything, failure, fetched, names, opened, polled, serving
from tests.unit.connectors.scripted_pop3 import Maildrop


def test_an_idle_poll_lists_nothing() -> None:
    with serving() as server:
        _, watermark = polled(server)
        server.asked.clear()
        with opened(server) as mail:
            page = mail.changes(INBOX, watermark)
        assert (page.items, page.more, page.watermark) == ((), False, watermark)
        assert server.asked == ["", "USER anna", "PASS secret", "STAT", "UIDL 3", "QUIT"]


def test_an_empty_maildrop_that_stays_empty_is_not_listed_either() -> None:
    with serving(Maildrop()) as server:
        _, watermark = polled(server)
        server.asked.clear()
        polled(server, watermark)
        assert server.asked == ["", "USER anna", "PASS secret", "STAT", "QUIT"]


def test_the_newest_page_comes_first_and_new_mail_before_what_is_left() -> None:
    maildrop = a_maildrop(7)
    with serving(maildrop) as server:
        with opened(server) as mail:
            first = mail.changes(INBOX, None, limit=3)
        maildrop.messages["u8"] = a_mail("8")
        with opened(server) as mail:
            rest, watermark = everything(mail, first.watermark, limit=3)
        assert names(list(first.items)) == ["5", "6", "7"]
        assert names(rest) == ["3", "4", "8", "1", "2"] or names(rest)[:3] == ["3", "4", "8"]
        assert polled(server, watermark)[0] == []


def test_pages_of_one_session_list_the_maildrop_once() -> None:
    with serving(a_maildrop(60)) as server:
        with opened(server) as mail:
            assert len(everything(mail, limit=25)[0]) == 60
        assert (server.count("UIDL"), server.count("LIST"), server.count("TOP")) == (1, 1, 60)


def test_messages_whose_numbers_changed_are_told_by_their_ids() -> None:
    maildrop = a_maildrop(4)
    with serving(maildrop) as server:
        _, watermark = polled(server)
        del maildrop.messages["u1"]
        maildrop.messages["u5"] = a_mail("5")
        assert names(polled(server, watermark)[0]) == ["5"]
        with opened(server) as mail:
            (message,) = fetched(mail, "u3")
        assert isinstance(message, IncomingMessage)
        assert message.message_id == "3@fabrikam.example"


def test_a_message_that_comes_back_is_listed_again_once_it_was_forgotten() -> None:
    maildrop = a_maildrop(3)
    with serving(maildrop) as server:
        _, watermark = polled(server)
        gone = maildrop.messages.pop("u2")
        _, watermark = polled(server, watermark)
        maildrop.messages["u2"] = gone
        assert names(polled(server, watermark)[0]) == ["2"]


def test_who_asks_again_what_came_hears_of_it_without_opening_the_mailbox_anew() -> None:
    maildrop = a_maildrop(2)
    with serving(maildrop) as server, opened(server) as mail:
        _, watermark = everything(mail)
        assert everything(mail, watermark)[0] == []
        maildrop.messages["u3"] = a_mail("3")
        assert names(everything(mail, watermark)[0]) == ["3"]
        maildrop.messages["u4"] = a_mail("4")
        assert names(everything(mail)[0]) == ["1", "2", "3", "4"]


def test_after_an_answer_that_is_none_another_session_is_begun() -> None:
    with serving(STAT=b"what?\r\n+OK 0 0\r\n") as server, opened(server) as mail:
        with pytest.raises(TransientError):
            mail.changes(INBOX, None)
        server.script = {}
        assert names(everything(mail)[0]) == ["1", "2", "3"]
        assert server.count("") == 2


def test_a_list_that_is_cut_short_makes_nothing_new() -> None:
    """A server that tells three of ten messages one day has not lost the others."""
    with serving(a_maildrop(10)) as server:
        _, watermark = polled(server)
        server.script = {"UIDL": lambda number: b"-ERR\r\n" if number else b"+OK\r\n1 u1\r\n2 u2\r\n.\r\n"}
        items, watermark = polled(server, watermark)
        assert items == []
        server.script = {}
        assert polled(server, watermark)[0] == []


@pytest.mark.parametrize("count", [10, 40])
def test_a_maildrop_that_moved_to_another_server_is_listed_from_its_start(count: int) -> None:
    maildrop = a_maildrop(count)
    with serving(maildrop) as server:
        _, watermark = polled(server)
        maildrop.messages = {f"other-{uidl}": content for uidl, content in maildrop.messages.items()}
        with opened(server) as mail, pytest.raises(WatermarkExpired):
            mail.changes(INBOX, watermark)


@pytest.mark.parametrize(("count", "hour"), [(9, 12), (40, 13)], ids=["a few", "many that came later"])
def test_a_maildrop_that_was_emptied_and_filled_again_is_not_taken_for_another(count: int, hour: int) -> None:
    maildrop = a_maildrop(count)
    with serving(maildrop) as server:
        _, watermark = polled(server)
        maildrop.messages = {f"new-{number}": a_mail(f"new{number}", hour=hour) for number in range(count)}
        assert len(polled(server, watermark)[0]) == count


@pytest.mark.parametrize("watermark", ["", "x", "pop3-1:::::", "pop3-1:x:1:2:z:QUJD", "pop3-0::::", "pop3-1::a:b:c:", "\ud800"])
def test_a_watermark_of_nobody_has_expired(watermark: str) -> None:
    with serving() as server, opened(server) as mail, pytest.raises(WatermarkExpired):
        mail.changes(INBOX, watermark)


def test_a_watermark_of_ten_thousand_messages_has_no_more_than_eleven_bytes_for_each() -> None:
    """And is read to its end in 20 pages of one session, that lists it once."""
    lines = b"".join(b"%d %032x\r\n" % (number, number) for number in range(1, 10_001))
    refused = b"-ERR what?\r\n"
    with serving(
        STAT=b"+OK 10000 100\r\n", UIDL=b"+OK\r\n" + lines + b".\r\n", LIST=refused, TOP=refused, CAPA=refused
    ) as server:
        with opened(server) as mail:
            items, watermark = everything(mail)
        assert len({item.ref for item in items}) == 10_000
        assert len(watermark) < 10_000 * 10.7 + 100
        assert server.count("UIDL") == 1


def test_without_uidl_a_maildrop_cannot_be_read() -> None:
    with serving(UIDL=b"-ERR what?\r\n", CAPA=b"-ERR what?\r\n") as server:
        assert "IMAP" in failure(server).remedy
        assert isinstance(failure(server), UidlMissing)


def test_a_server_that_has_uidl_and_refuses_it_for_now_is_tried_again() -> None:
    with serving(UIDL=b"-ERR not now\r\n") as server:
        assert isinstance(failure(server), TransientError)


def test_without_top_what_list_says_is_all_that_is_listed() -> None:
    with serving(TOP=b"-ERR what?\r\n", CAPA=b"-ERR what?\r\n") as server:
        with opened(server) as mail:
            items, _ = everything(mail)
            (outcome,) = [outcome for _, outcome in mail.envelopes([items[0].ref])]
        assert [(item.message_id, item.size) for item in items] == [(None, len(a_mail("1")))] * 3
        assert isinstance(outcome, Envelope)
        assert outcome.message_id == "1@fabrikam.example"
        assert server.count("TOP") == 1


def test_one_message_whose_header_is_refused_is_listed_all_the_same() -> None:
    maildrop = a_maildrop(3)
    top = maildrop.replies()["TOP"]
    assert callable(top)
    with serving(maildrop, TOP=lambda said: b"-ERR\r\n" if said.startswith("2 ") else top(said)) as server:
        items, _ = polled(server)
        assert names(items) == ["1", "?", "3"]


def test_a_server_that_offers_nothing_is_asked_one_thing_at_a_time() -> None:
    maildrop = a_maildrop(5)
    with serving(maildrop, CAPA=b"-ERR what?\r\n") as server:
        with opened(server) as mail:
            items, _ = everything(mail)
            outcomes = fetched(mail, *(item.ref.id for item in items))
        assert names(items) == ["1", "2", "3", "4", "5"]
        assert all(isinstance(outcome, IncomingMessage) for outcome in outcomes)


def test_lists_in_any_order_with_lines_of_nonsense_are_understood() -> None:
    uidl = b"+OK\r\n3 u3\r\nnonsense\r\n\r\n2\r\n1 u1 and more\r\n-5 u5\r\n99999999999999999999 u9\r\n2 u2\r\n.\r\n"
    listing = b"+OK\r\n2 x\r\n1 10\r\n3\r\n.\r\n"
    with serving(UIDL=uidl, LIST=lambda number: b"-ERR\r\n" if number else listing) as server:
        items, _ = polled(server)
        assert [item.ref.id for item in items] == ["u1", "u2", "u3"]


def test_an_id_beyond_all_measure_is_known_by_its_hash() -> None:
    uidl = b"+OK\r\n1 " + b"x" * 100_000 + b"\r\n.\r\n"
    with serving(a_maildrop(1), UIDL=lambda number: b"-ERR\r\n" if number else uidl) as server:
        items, watermark = polled(server)
        assert len(items[0].ref.id) < 100
        assert polled(server, watermark)[0] == []
