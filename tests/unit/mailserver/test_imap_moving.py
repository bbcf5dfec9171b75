"""Messages that are moved, copied and deleted over IMAP."""

import imaplib

import pytest
from imapclient.exceptions import IMAPClientError

from local.mailserver import MailServer
from tests.unit.mailserver.conftest import ANNA
from tests.unit.mailserver.imap_clients import Lines, selected
from tests.unit.mailserver.messages import a_message


def test_messages_are_moved_and_copied_with_all_that_they_have(server: MailServer) -> None:
    for subject in ("One", "Two"):
        server.deliver(a_message(subject), [ANNA])
    with selected(server) as client:
        client.add_flags([1], [b"\\Seen", "Tracked"])
        client.copy([1], "Archive")
        client.move([1, 2], "Archive")
        assert client.search() == []
        client.select_folder("Archive")
        assert client.get_flags([1, 2, 3]) == {1: (b"\\Seen", b"Tracked"), 2: (b"\\Seen", b"Tracked"), 3: ()}
    assert server.items(ANNA) == []


def test_a_move_tells_the_new_uids(server: MailServer) -> None:
    for _ in range(2):
        server.deliver(a_message(), [ANNA])
    with Lines(server) as lines:
        lines.ask("SELECT INBOX")
        validity = lines.ask("STATUS Archive (UIDVALIDITY)")[0].rpartition(" ")[2].rstrip(")")
        moved = lines.ask("UID MOVE 1:2 Archive")
        assert moved == [f"* OK [COPYUID {validity} 1:2 1:2] Moved.", "* 2 EXPUNGE", "* 1 EXPUNGE", "OK MOVE completed."]
        assert lines.ask("UID COPY 1 Nowhere")[-1].startswith("NO [TRYCREATE]")
        assert lines.ask("UID COPY 1 Archive")[-1] == "OK COPY completed."


def test_only_what_is_named_and_deleted_is_expunged(server: MailServer) -> None:
    items = [server.deliver(a_message(), [ANNA])[0] for _ in range(3)]
    with selected(server) as client:
        client.add_flags([1, 2], [b"\\Deleted"])
        client.uid_expunge([2, 3])
        assert client.search() == [1, 3]
        client.expunge()
    assert server.items(ANNA) == [items[2]]


def test_closing_expunges_and_unselecting_does_not(server: MailServer) -> None:
    server.deliver(a_message(), [ANNA])
    with selected(server) as client:
        client.add_flags([1], [b"\\Deleted"])
        client.unselect_folder()
        assert len(server.items(ANNA)) == 1
        client.select_folder("INBOX", readonly=True)
        client.close_folder()
        assert len(server.items(ANNA)) == 1
        client.select_folder("INBOX")
        client.close_folder()
        assert server.items(ANNA) == []


def test_a_folder_that_is_selected_to_read_cannot_be_changed(server: MailServer) -> None:
    server.deliver(a_message(), [ANNA])
    with selected(server, readonly=True) as client:
        for change in (lambda: client.add_flags([1], ["x"]), lambda: client.move([1], "Archive"), client.expunge):
            with pytest.raises((IMAPClientError, imaplib.IMAP4.readonly)):
                change()
