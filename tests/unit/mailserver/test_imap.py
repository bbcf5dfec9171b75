"""Mail that is read and changed over IMAP, by imapclient and imaplib."""

import imaplib
import time
from datetime import UTC, date, datetime

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from local.mailserver import Habit, MailServer
from tests.unit.mailserver.conftest import ANNA
from tests.unit.mailserver.imap_clients import PASSWORD, Lines, selected, signed_in
from tests.unit.mailserver.messages import a_file, a_message, an_attached_message, with_attachments
from tests.unit.mailserver.soap import SoapClient, field_uri


def fetched(client: IMAPClient, uid: int, what: str) -> bytes:
    """The one thing that was asked for, whatever the reply calls it."""
    (content,) = (
        value for key, value in client.fetch([uid], [what])[uid].items() if key not in (b"SEQ", b"FLAGS") and key is not None
    )
    assert isinstance(content, bytes)
    return content


def stored(server: MailServer, item: str) -> bytes:
    return server.store.mailbox(ANNA).item(item).message.raw[:]


def test_a_message_arrives_byte_for_byte(server: MailServer) -> None:
    (item,) = server.deliver(a_message(text="..dots, Ümlaut\r\n.\r\n" + "x" * 3000), [ANNA])
    with selected(server) as client:
        assert fetched(client, 1, "BODY.PEEK[]") == stored(server, item)
        assert client.fetch([1], ["RFC822.SIZE"])[1][b"RFC822.SIZE"] == len(stored(server, item))


def test_lines_that_end_with_lf_alone_are_mended(server: MailServer) -> None:
    server.deliver(b"Subject: Offer\n\nGood morning", [ANNA], internal=None)
    with selected(server) as client:
        assert fetched(client, 1, "BODY.PEEK[]") == b"Subject: Offer\r\n\r\nGood morning"


def test_the_internal_date_is_the_time_that_ews_tells(server: MailServer, anna: SoapClient) -> None:
    (item,) = server.deliver(a_message(), [ANNA], datetime(2026, 11, 2, 9, 30, 7, 999_000, tzinfo=UTC))
    with selected(server) as client:
        client.normalise_times = False
        assert client.fetch([1], ["INTERNALDATE"])[1][b"INTERNALDATE"] == datetime(2026, 11, 2, 9, 30, 7, tzinfo=UTC)
    assert anna.get(item, properties=field_uri("item:DateTimeReceived")).text("t:DateTimeReceived") == "2026-11-02T09:30:07Z"


def test_parts_of_a_message_are_fetched_alone(server: MailServer) -> None:
    inner = a_message("Inner", text="inner text")
    raw = with_attachments(a_file("a.bin", b"content"), an_attached_message(inner), text="outer text")
    server.deliver(raw, [ANNA], internal=None)
    header, _, body = raw.partition(b"\r\n\r\n")
    with selected(server) as client:
        assert fetched(client, 1, "BODY.PEEK[HEADER]") == header + b"\r\n\r\n"
        assert fetched(client, 1, "BODY.PEEK[TEXT]") == body
        assert fetched(client, 1, "BODY.PEEK[HEADER.FIELDS (subject X-None)]") == b"Subject: Offer\r\n\r\n"
        assert b"Subject" not in fetched(client, 1, "BODY.PEEK[HEADER.FIELDS.NOT (Subject)]")
        assert fetched(client, 1, "BODY.PEEK[1]") == b"outer text"
        assert b'filename="a.bin"' in fetched(client, 1, "BODY.PEEK[2.MIME]")
        assert fetched(client, 1, "BODY.PEEK[3]") == inner
        assert fetched(client, 1, "BODY.PEEK[3.HEADER.FIELDS (Subject)]") == b"Subject: Inner\r\n\r\n"
        assert fetched(client, 1, "BODY.PEEK[3.1]") == b"inner text\r\n"
        assert fetched(client, 1, "BODY.PEEK[4]") == b""
        assert fetched(client, 1, "BODY.PEEK[]<3.7>") == raw[3:10]
        assert fetched(client, 1, f"BODY.PEEK[]<{len(raw) - 2}.100>") == raw[-2:]


def test_folded_header_fields_stay_as_they_are(server: MailServer) -> None:
    server.deliver(a_message(headers="References: <a@x>\r\n <b@x>\r\nTo: second@x.example\r\n"), [ANNA])
    with selected(server) as client:
        assert fetched(client, 1, "BODY.PEEK[HEADER.FIELDS (REFERENCES)]") == b"References: <a@x>\r\n <b@x>\r\n\r\n"
        assert fetched(client, 1, "BODY.PEEK[HEADER.FIELDS (TO)]").count(b"To:") == 2


def test_reading_without_peeking_marks_as_read(server: MailServer) -> None:
    (item,) = server.deliver(a_message(), [ANNA])
    with selected(server, readonly=True) as client:
        client.fetch([1], ["BODY[]"])
    assert not server.store.mailbox(ANNA).item(item).is_read
    with selected(server) as client:
        client.fetch([1], ["BODY.PEEK[]", "BODY.PEEK[HEADER]"])
        assert client.get_flags([1])[1] == ()
        assert client.fetch([1], ["BODY[]"])[1][b"FLAGS"] == (b"\\Seen",)
    assert server.store.mailbox(ANNA).item(item).is_read


def test_the_envelope_is_the_header_in_a_structure(server: MailServer) -> None:
    server.deliver(
        a_message("=?utf-8?q?=C3=9Cber?=", sender='"A \\"B\\" C" <c@x.example>', headers="Cc: D <d@y>, e@z\r\n"), [ANNA]
    )
    with selected(server) as client:
        envelope = client.fetch([1], ["ENVELOPE"])[1][b"ENVELOPE"]
    assert (envelope.subject, envelope.message_id) == (b"=?utf-8?q?=C3=9Cber?=", b"<offer-1@supplier.example>")
    assert (envelope.from_[0].name, envelope.from_[0].mailbox, envelope.from_[0].host) == (b'A "B" C', b"c", b"x.example")
    assert envelope.sender == envelope.reply_to == envelope.from_
    assert [address.mailbox for address in envelope.cc] == [b"d", b"e"]


def test_the_structure_is_the_tree_of_the_parts(server: MailServer) -> None:
    inner = with_attachments(a_file("b.bin", b"inner"), boundary="inner")
    server.deliver(with_attachments(a_file("ä.bin", b"content"), an_attached_message(inner)), [ANNA], internal=None)
    with selected(server) as client:
        structure = client.fetch([1], ["BODYSTRUCTURE"])[1][b"BODYSTRUCTURE"]
        parts, subtype = structure[0], structure[1]
        assert subtype == b"mixed"
        assert parts[0] == (b"text", b"plain", (b"charset", b"utf-8"), None, None, b"7bit", 12, 0)
        assert parts[1][:3] == (b"application", b"octet-stream", (b"name", "ä.bin".encode()))
        assert (parts[2][:2], parts[2][7][1], parts[2][8][-1]) == ((b"message", b"rfc822"), b"Offer", b"mixed")
        assert parts[2][8][1][6] == len(fetched(client, 1, "BODY.PEEK[3.2]"))


def test_uids_ascend_and_are_never_given_again(server: MailServer) -> None:
    for _ in range(3):
        server.deliver(a_message(), [ANNA])
    with selected(server) as client:
        assert client.search() == [1, 2, 3]
        client.add_flags([3], [b"\\Deleted"])
        client.uid_expunge([3])
        server.deliver(a_message(), [ANNA])
        client.noop()
        assert client.search() == [1, 2, 4]
        assert client.folder_status("INBOX", ["UIDNEXT"]) == {b"UIDNEXT": 5}


def test_a_range_with_a_star_names_the_newest_at_least(server: MailServer) -> None:
    for _ in range(3):
        server.deliver(a_message(), [ANNA])
    with selected(server) as client:
        for sequence, found in (("2:*", [2, 3]), ("9:*", [3]), ("*", [3]), ("1,3:2,77", [1, 2, 3]), ("9:12", [])):
            assert client.search(["UID", sequence]) == found


def test_searching_finds_by_everything_that_clients_ask_for(server: MailServer) -> None:
    server.deliver(a_message("Older", message_id="<1@x>"), [ANNA], datetime(2026, 11, 1, 23, 59, tzinfo=UTC))
    server.deliver(
        a_message("Newer =?utf-8?q?=C3=9C?=", message_id="<2@x>", text="z" * 999), [ANNA], datetime(2026, 11, 2, tzinfo=UTC)
    )
    with selected(server) as client:
        client.add_flags([1], [b"\\Deleted", b"\\Flagged"])
        client.add_flags([2], [b"\\Seen", "Tracked"])
        cases: list[tuple[list[object], list[int]]] = [
            (["ALL"], [1, 2]),
            (["SINCE", date(2026, 11, 2)], [2]),
            (["BEFORE", date(2026, 11, 2)], [1]),
            (["ON", date(2026, 11, 2)], [2]),
            (["SENTSINCE", date(2026, 11, 3)], []),
            (["DELETED"], [1]),
            (["UNDELETED", "SEEN"], [2]),
            (["UNSEEN", "FLAGGED"], [1]),
            (["KEYWORD", "tracked"], [2]),
            (["UNKEYWORD", "Tracked"], [1]),
            (["HEADER", "Message-ID", "<2@x>"], [2]),
            (["HEADER", "X-None", ""], []),
            (["SUBJECT", "older"], [1]),
            (["FROM", "carla"], [1, 2]),
            (["LARGER", 1000], [2]),
            (["NOT", ["SEEN"]], [1]),
            (["OR", ["SEEN"], ["DELETED"]], [1, 2]),
            (["TEXT", "zzz"], [2]),
            (["2"], [2]),
        ]
        for criteria, found in cases:
            assert client.search(criteria) == found, criteria
        assert client.search(["SUBJECT", "Ü"], charset="UTF-8") == [2]


def test_flags_and_categories_are_one_store(server: MailServer) -> None:
    (item,) = server.deliver(a_message(), [ANNA])
    server.categorize(ANNA, item, add=["Tracked", "Two words"])
    with selected(server) as client:
        assert client.get_flags([1])[1] == (b"Tracked",)
        client.add_flags([1], [b"\\Seen", "NonJunk", "tracked"])
        assert server.categories(ANNA, item) == ["Tracked", "Two words", "NonJunk"]
        client.remove_flags([1], ["TRACKED"])
        assert server.categories(ANNA, item) == ["Two words", "NonJunk"]
        client.set_flags([1], [b"\\Answered"])
        assert client.get_flags([1])[1] == (b"\\Answered",)
    assert server.categories(ANNA, item) == ["Two words"]
    assert not server.store.mailbox(ANNA).item(item).is_read


def test_ews_sees_what_a_flag_changes(server: MailServer, anna: SoapClient) -> None:
    server.deliver(a_message(), [ANNA])
    state = anna.sync().text("m:SyncState")
    assert state is not None
    with selected(server) as client:
        client.add_flags([1], ["Tracked"])
    assert [kind for kind, _ in anna.sync(state).changes()] == ["Update"]


def test_a_flag_that_is_there_already_changes_nothing(server: MailServer) -> None:
    server.deliver(a_message(), [ANNA])
    with selected(server) as client:
        client.add_flags([1], [b"\\Seen", "Tracked"])
        before = client.folder_status("INBOX", ["HIGHESTMODSEQ"])
        client.add_flags([1], [b"\\Seen", "Tracked"])
        assert client.folder_status("INBOX", ["HIGHESTMODSEQ"]) == before


def test_a_server_may_keep_no_keywords(server: MailServer) -> None:
    server.deliver(a_message(), [ANNA])
    server.set_habits([Habit.IMAP_WITHOUT_KEYWORDS])
    with signed_in(server) as client:
        assert b"\\*" not in client.select_folder("INBOX")[b"PERMANENTFLAGS"]
        with pytest.raises(IMAPClientError):
            client.add_flags([1], ["Tracked"])
        assert client.add_flags([1], [b"\\Seen"])[1] == (b"\\Seen",)


def test_changes_since_a_position_are_told(server: MailServer) -> None:
    for _ in range(3):
        server.deliver(a_message(), [ANNA])
    with selected(server) as client:
        position = client.folder_status("INBOX", ["HIGHESTMODSEQ"])[b"HIGHESTMODSEQ"]
        server.mark_read(ANNA, server.items(ANNA)[1])
        found = client.fetch([1, 2, 3], ["FLAGS"], [f"CHANGEDSINCE {position}"])
        assert list(found) == [2]
        assert found[2][b"MODSEQ"][0] > position
        assert client.search(["MODSEQ", position + 1]) == [2]
        client.add_flags([2], ["Tracked"])
        assert client.folder_status("INBOX", ["HIGHESTMODSEQ"])[b"HIGHESTMODSEQ"] > found[2][b"MODSEQ"][0]


def test_a_store_that_comes_too_late_is_told_so(server: MailServer) -> None:
    for _ in range(2):
        server.deliver(a_message(), [ANNA])
    with Lines(server) as lines:
        selected_ = lines.ask("SELECT INBOX (CONDSTORE)")
        position = next(line for line in selected_ if "HIGHESTMODSEQ" in line).split("HIGHESTMODSEQ ")[1].split("]")[0]
        server.mark_read(ANNA, server.items(ANNA)[0])
        answer = lines.ask(f"UID STORE 1:2 (UNCHANGEDSINCE {position}) +FLAGS.SILENT (\\Deleted)")
        assert answer[-1].startswith("OK [MODIFIED 2]")
        assert answer[0].startswith("* 1 FETCH (UID 1 MODSEQ (")


def test_what_others_do_is_told_and_numbers_hold_until_then(server: MailServer) -> None:
    first, second, _third = (server.deliver(a_message(), [ANNA])[0] for _ in range(3))
    with Lines(server) as lines:
        lines.ask("SELECT INBOX")
        server.remove(ANNA, first)
        server.mark_read(ANNA, second)
        server.deliver(a_message(), [ANNA])
        assert lines.ask("FETCH 1:3 (UID)") == [
            "* 2 FETCH (UID 2)",
            "* 3 FETCH (UID 3)",
            "* 2 FETCH (UID 2 FLAGS (\\Seen))",
            "* 4 EXISTS",
            "OK FETCH completed.",
        ]
        assert lines.ask("NOOP") == ["* 1 EXPUNGE", "OK NOOP completed."]
        assert lines.ask("NOOP") == ["OK NOOP completed."]
        assert lines.ask("FETCH 1:* (UID)")[:-1] == ["* 1 FETCH (UID 2)", "* 2 FETCH (UID 3)", "* 3 FETCH (UID 4)"]


def test_a_folder_that_is_renumbered_has_other_uids_under_another_validity(server: MailServer) -> None:
    for text in ("older", "newer"):
        server.deliver(a_message(text=text), [ANNA])
    with selected(server) as client:
        before = client.folder_status("INBOX", ["UIDVALIDITY", "UIDNEXT"])
        server.renumber_folder(ANNA)
        with pytest.raises(IMAPClientError, match="no longer"):
            client.fetch([1], ["FLAGS"])
        after = client.select_folder("INBOX")
        assert after[b"UIDVALIDITY"] > before[b"UIDVALIDITY"]
        assert fetched(client, 1, "BODY.PEEK[TEXT]") == b"newer\r\n"
        archive = client.folder_status("Archive", ["UIDVALIDITY"])[b"UIDVALIDITY"]
        server.renumber_folder(ANNA)
        assert client.folder_status("Archive", ["UIDVALIDITY"])[b"UIDVALIDITY"] == archive


def test_a_message_is_appended_with_flags_and_time(server: MailServer) -> None:
    raw = a_message(text="mine")
    with signed_in(server) as client:
        answer = client.append("Drafts", raw, [b"\\Seen", b"\\Draft", "Tracked"], datetime(2026, 11, 1, 8, tzinfo=UTC))
        assert b"[APPENDUID" in answer
        client.select_folder("Drafts")
        assert fetched(client, 1, "BODY.PEEK[]") == raw
        assert client.get_flags([1])[1] == (b"\\Seen", b"\\Draft", b"Tracked")
        assert client.search(["ON", date(2026, 11, 1)]) == [1]
    (item,) = server.items(ANNA, "drafts")
    assert server.store.mailbox(ANNA).item(item).is_draft


def test_literals_are_taken_with_and_without_waiting(server: MailServer) -> None:
    with Lines(server) as lines:
        assert lines.ask(b'LIST "" {5+}\r\nINBOX')[-1].startswith("OK")
        lines.send(b't LIST "" {5}')
        assert lines.line().startswith("+ ")
        lines.send(b"INBOX")
        assert lines.answer()[0].endswith('"/" "INBOX"')


def test_literals_of_strangers_are_small(server: MailServer) -> None:
    with Lines(server, sign_in=False) as lines:
        lines.send(b"t LOGIN {99999999+}")
        assert lines.line() == ""


@pytest.mark.parametrize(
    "command",
    [
        "FETCH 1 (NONSENSE)",
        "FETCH 0 x",
        "FETCH 1 BODY.PEEK[NONSENSE]",
        "FETCH 1 BODY.PEEK[]<0.0>",
        "FETCH x FLAGS",
        "UID STORE 1 FLAGS (\\Recent)",
        "UID SEARCH NONSENSE 1",
        "UID SEARCH " + "(" * 400 + "ALL" + ")" * 400,
        "UID NOOP",
        "NOOP trailing",
        "NONSENSE",
        "",
        'SELECT "',
        "STATUS INBOX (NONSENSE)",
        'SEARCH SINCE "yesterday"',
        'APPEND INBOX "99-Foo-2026 00:00:00 +0000" {1+}\r\nx',
    ],
)
def test_nonsense_is_refused_and_the_connection_goes_on(server: MailServer, command: str) -> None:
    server.deliver(a_message(), [ANNA])
    with Lines(server) as lines:
        lines.ask("SELECT INBOX")
        assert lines.ask(command)[-1].startswith("BAD")
        assert lines.ask("NOOP")[-1].startswith("OK")


def test_imaplib_is_served_as_well(server: MailServer) -> None:
    (item,) = server.deliver(a_message(), [ANNA])
    with imaplib.IMAP4("127.0.0.1", server.imap_port, timeout=20) as client:
        client.login(ANNA, PASSWORD)
        assert client.select("INBOX") == ("OK", [b"1"])
        _, data = client.uid("FETCH", "1:*", "(UID BODY.PEEK[])")
        assert isinstance(data[0], tuple)
        assert data[0][1] == stored(server, item)
        assert client.uid("STORE", "1", "+FLAGS", "(\\Deleted)")[0] == "OK"
        assert client.expunge() == ("OK", [b"1"])
        assert client.status("INBOX", "(MESSAGES)")[1] == [b'"INBOX" (MESSAGES 0)']


def test_a_large_folder_is_listed_quickly(server: MailServer) -> None:
    raw = a_message()
    for _ in range(5_000):
        server.deliver(raw, [ANNA])
    with selected(server) as client:
        began = time.process_time()
        assert len(client.search(["UID", "1:*"])) == 5_000
        assert len(client.fetch(range(1, 5_001), ["FLAGS", "RFC822.SIZE", "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"])) == 5_000
        assert time.process_time() - began < 10
