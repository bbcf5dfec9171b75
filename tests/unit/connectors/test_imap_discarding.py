"""Deleting removes what was asked for and nothing else, whatever the server can and whoever else marks messages."""

from collections.abc import Iterator

import pytest

from shared.domain.email import ItemRef
from shared.domain.errors import ItemRejected, TransientError
from shared.domain.folders import INBOX
from tests.unit.connectors.odd_imap_server import DECENT, OddServer, a_mailbox_on, serving

WITHOUT_UIDPLUS = DECENT.replace(" UIDPLUS", "")


@pytest.fixture
def server() -> Iterator[OddServer]:
    with serving(OddServer()) as running:
        for name in ("one", "two", "three", "four"):
            running.deliver(name)
        yield running


def discard(server: OddServer, *uids: int) -> dict[int, str]:
    """The reasons by UID of what was kept."""
    with a_mailbox_on(server) as mail:
        kept = mail.discard([ItemRef(f"7:{uid}", INBOX.id) for uid in uids])
    assert all(isinstance(error, ItemRejected) for error in kept.values())
    return {int(ref.id.partition(":")[2]): str(error) for ref, error in kept.items()}


@pytest.mark.parametrize("capabilities", [DECENT, WITHOUT_UIDPLUS])
def test_what_is_deleted_is_gone_and_the_others_are_not(server: OddServer, capabilities: str) -> None:
    server.capabilities = capabilities
    assert discard(server, 2, 4) == {}
    assert sorted(server.messages) == [1, 3]
    assert discard(server, 2, 4) == {}
    assert sorted(server.messages) == [1, 3]


def test_what_others_marked_stays(server: OddServer) -> None:
    server.flag(1, "\\Deleted")
    assert discard(server, 2) == {}
    assert sorted(server.messages) == [1, 3, 4]


def test_where_all_that_is_marked_would_go_nothing_goes(server: OddServer) -> None:
    server.capabilities = WITHOUT_UIDPLUS
    server.flag(1, "\\Deleted")
    assert list(discard(server, 2)) == [2]
    assert sorted(server.messages) == [1, 2, 3, 4]
    assert "\\Deleted" in server.messages[2].flags
    server.remove(1)
    assert discard(server, 2) == {}
    assert sorted(server.messages) == [3, 4]


def test_gmail_moves_to_the_trash_what_would_only_be_archived(server: OddServer) -> None:
    server.capabilities = f"{DECENT} MOVE X-GM-EXT-1 SPECIAL-USE"
    server.folders = ['(\\HasNoChildren) "/" "INBOX"', '(\\HasNoChildren \\Trash) "/" "[Gmail]/Papierkorb"']
    assert discard(server, 2, 3) == {}
    assert sorted(server.messages) == [1, 4]
    assert b'UID MOVE 2:3 "[Gmail]/Papierkorb"' in server.said
    assert not any(b"EXPUNGE" in line or b"STORE" in line for line in server.said)


def test_gmail_without_a_trash_to_be_seen_keeps_what_it_has(server: OddServer) -> None:
    server.capabilities = f"{DECENT} MOVE X-GM-EXT-1 SPECIAL-USE"
    assert list(discard(server, 2)) == [2]
    assert sorted(server.messages) == [1, 2, 3, 4]
    assert not server.messages[2].flags


@pytest.mark.parametrize("refused", [b"UID STORE", b"UID EXPUNGE"])
@pytest.mark.parametrize("answer", [b"TAG NO no\r\n", b"TAG NO [NOPERM] no\r\n", b"TAG BAD no\r\n"])
def test_what_the_server_refuses_is_told_of_each(server: OddServer, refused: bytes, answer: bytes) -> None:
    """Whoever may only read the mailbox may go on reading it."""
    server.reply = lambda line: answer if line.startswith(refused) else None
    assert list(discard(server, 2, 3)) == [2, 3]
    assert sorted(server.messages) == [1, 2, 3, 4]


def test_a_server_that_says_it_did_and_did_not_is_found_out(server: OddServer) -> None:
    server.reply = lambda line: b"TAG OK done\r\n" if line.startswith(b"UID EXPUNGE") else None
    assert list(discard(server, 2)) == [2]


def test_a_folder_that_may_only_be_read_keeps_what_it_has(server: OddServer) -> None:
    opened = b"* 4 EXISTS\r\n* OK [UIDVALIDITY 7] ids\r\n* OK [UIDNEXT 5] next\r\nTAG OK [READ-ONLY] selected\r\n"
    server.reply = lambda line: opened if line.startswith(b"SELECT") else None
    assert list(discard(server, 2)) == [2]
    assert not any(b"STORE" in line for line in server.said)


def test_ids_of_a_folder_that_was_made_anew_delete_nothing(server: OddServer) -> None:
    server.uid_validity = 8
    assert discard(server, 2) == {}
    assert sorted(server.messages) == [1, 2, 3, 4]


@pytest.mark.parametrize("command", [b"SELECT", b"UID STORE", b"UID EXPUNGE", b"UID SEARCH"])
@pytest.mark.parametrize("is_done", [False, True], ids=["before it is done", "after it was done"])
def test_a_connection_lost_at_any_command_leaves_what_repeating_brings_to_the_same_end(
    server: OddServer, command: bytes, is_done: bool
) -> None:
    def hang_up(line: bytes) -> bytes | None:
        if not line.startswith(command):
            return None
        if is_done:
            server._answer(line, sorted(server.messages))
        return b""

    server.reply = hang_up
    with a_mailbox_on(server) as mail, pytest.raises(TransientError):
        mail.discard([ItemRef("7:2", INBOX.id)])
    server.reply = lambda _: None
    assert discard(server, 2) == {}
    assert sorted(server.messages) == [1, 3, 4]


def test_afterwards_reading_opens_the_folder_for_reading(server: OddServer) -> None:
    with a_mailbox_on(server) as mail:
        mail.discard([ItemRef("7:2", INBOX.id)])
        server.said.clear()
        assert len(list(mail.fetch([ItemRef("7:1", INBOX.id)]))) == 1
    assert server.said[0].startswith(b"EXAMINE")
