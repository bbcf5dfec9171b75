"""Folders over IMAP: names, what they are for, and how they change."""

import pytest
from imapclient.exceptions import IMAPClientError

from local.mailserver import Habit, MailServer
from tests.unit.mailserver.conftest import ANNA
from tests.unit.mailserver.imap_clients import Lines, signed_in
from tests.unit.mailserver.messages import a_message

WELL_KNOWN = ["INBOX", "Drafts", "Sent Items", "Deleted Items", "Junk Email", "Archive"]


def names(folders: list[tuple[tuple[bytes, ...], bytes, str]]) -> list[str]:
    return [name for _, _, name in folders]


def test_the_tree_has_the_inbox_and_beside_it_the_others(server: MailServer) -> None:
    project = server.add_folder(ANNA, "Project", "inbox")
    server.add_folder(ANNA, "Über & unter", project)
    server.add_folder(ANNA, "Beside")
    server.add_folder(ANNA, "Appointments", kind="IPF.Appointment")
    with signed_in(server) as client:
        assert sorted(names(client.list_folders())) == sorted(
            [*WELL_KNOWN, "INBOX/Project", "INBOX/Project/Über & unter", "Beside"]
        )
        assert names(client.list_folders("", "INBOX/%")) == ["INBOX/Project"]
        assert names(client.list_folders("INBOX/", "*")) == ["INBOX/Project", "INBOX/Project/Über & unter"]
        assert names(client.list_folders("", "inbox")) == ["INBOX"]
        assert set(names(client.list_folders("", "%"))) == {*WELL_KNOWN, "Beside"}


def test_folders_tell_what_they_are_for_and_whether_they_have_others_below(server: MailServer) -> None:
    server.add_folder(ANNA, "Project", "inbox")
    with signed_in(server) as client:
        found = {name: flags for flags, _, name in client.list_folders()}
        assert found["INBOX"] == (b"\\Subscribed", b"\\HasChildren")
        assert found["Sent Items"] == (b"\\Subscribed", b"\\HasNoChildren", b"\\Sent")
        assert client.find_special_folder(b"\\Trash") == "Deleted Items"
    with Lines(server) as lines:
        assert len(lines.ask('LIST (SPECIAL-USE) "" "*"')) == 6
        assert len(lines.ask('LIST "" ("INBOX" "Arch%") RETURN (SPECIAL-USE)')) == 3
        assert (
            lines.ask('LIST "" "INBOX" RETURN (SPECIAL-USE STATUS (MESSAGES UNSEEN))')[1]
            == '* STATUS "INBOX" (MESSAGES 0 UNSEEN 0)'
        )
        assert lines.ask('LIST "" ""')[0] == '* LIST (\\Noselect) "/" ""'
        assert lines.ask('LSUB "" "INBOX"')[0].startswith("* LSUB")
    server.set_habits([Habit.IMAP_WITHOUT_SPECIAL_USE])
    with Lines(server) as lines:
        assert "\\Sent" not in "".join(lines.ask('LIST "" "*"'))
        assert lines.ask('LIST (SPECIAL-USE) "" "*"')[-1].startswith("BAD")


def test_names_beyond_ascii_are_in_modified_utf_7(server: MailServer) -> None:
    with Lines(server) as lines:
        assert lines.ask('CREATE "INBOX/&ANw-ber &- &ZeVnLIqe-"')[-1].startswith("OK")
        assert lines.ask('LIST "" "INBOX/*"')[0].endswith('"INBOX/&ANw-ber &- &ZeVnLIqe-"')
        server.add_folder(ANNA, "～")
        assert lines.ask('LIST "" "&,14-"')[0].endswith('"&,14-"')
        assert lines.ask('CREATE "&a-"')[-1].startswith("BAD")
    assert server.store.mailbox(ANNA).folder("Über & 日本語").parent is server.store.mailbox(ANNA).folder("inbox")


def test_folders_are_created_with_those_above(server: MailServer) -> None:
    with signed_in(server) as client:
        client.create_folder("INBOX/One/Two")
        client.create_folder("Three/")
        assert {"INBOX/One", "INBOX/One/Two", "Three"} <= set(names(client.list_folders()))
        with pytest.raises(IMAPClientError, match="ALREADYEXISTS"):
            client.create_folder("inbox/ONE/two")


def test_a_renamed_folder_stays_what_it_is(server: MailServer) -> None:
    server.set_habits([Habit.IMAP_WITH_OBJECTID])
    with signed_in(server) as client:
        client.create_folder("INBOX/One/Two")
        client.append("INBOX/One", a_message())
        status = ["UIDVALIDITY", "MESSAGES", "MAILBOXID"]
        before = client.folder_status("INBOX/One", status)
        client.rename_folder("INBOX/One", "INBOX/Other")
        client.rename_folder("INBOX/Other", "Somewhere/Else")
        assert client.folder_status("Somewhere/Else", status) == before
        assert client.folder_exists("Somewhere/Else/Two")
        assert not client.folder_exists("INBOX/One")
        client.rename_folder("Somewhere/Else", "Somewhere/ELSE")
        assert client.folder_status("Somewhere/ELSE", status) == before


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("INBOX", "Elsewhere", "CANNOT"),
        ("Drafts", "Elsewhere", "CANNOT"),
        ("One", "Two", "ALREADYEXISTS"),
        ("One", "One/Below", "CANNOT"),
        ("One", "Appointments", "ALREADYEXISTS"),
        ("INBOX/Deep", "Appointments", "ALREADYEXISTS"),
        ("Nowhere", "Elsewhere", "NONEXISTENT"),
    ],
)
def test_what_cannot_be_renamed_stays_as_it_was(server: MailServer, old: str, new: str, code: str) -> None:
    for name, above in (("One", "msgfolderroot"), ("Two", "msgfolderroot"), ("Deep", "inbox")):
        server.add_folder(ANNA, name, above)
    server.add_folder(ANNA, "Appointments", kind="IPF.Appointment")
    with signed_in(server) as client:
        before = client.list_folders()
        with pytest.raises(IMAPClientError, match=code):
            client.rename_folder(old, new)
        assert client.list_folders() == before


def test_folders_are_deleted_with_what_is_in_them_but_not_those_with_others_below(server: MailServer) -> None:
    with signed_in(server) as client:
        client.create_folder("One/Two")
        first = client.folder_status("One/Two", ["UIDVALIDITY"])
        with pytest.raises(IMAPClientError, match="HASCHILDREN"):
            client.delete_folder("One")
        with pytest.raises(IMAPClientError, match="CANNOT"):
            client.delete_folder("Sent Items")
        client.delete_folder("One/Two")
        client.create_folder("One/Two")
        assert client.folder_status("One/Two", ["UIDVALIDITY"])[b"UIDVALIDITY"] > first[b"UIDVALIDITY"]


def test_a_folder_that_somebody_deletes_while_it_is_selected_is_gone(server: MailServer) -> None:
    folder = server.add_folder(ANNA, "One")
    with signed_in(server) as client:
        client.select_folder("One")
        server.remove_folder(ANNA, folder)
        with pytest.raises(IMAPClientError, match="no longer"):
            client.search()
        with pytest.raises(IMAPClientError, match="does not exist"):
            client.select_folder("One")


def test_the_status_of_a_folder_is_told_without_selecting_it(server: MailServer) -> None:
    server.deliver(a_message(), [ANNA])
    server.mark_read(ANNA, server.deliver(a_message(), [ANNA])[0])
    with signed_in(server) as client:
        status = client.folder_status("INBOX", ["MESSAGES", "UNSEEN", "UIDNEXT", "RECENT", "SIZE"])
    total = sum(len(item.message.raw) for item in server.store.mailbox(ANNA).folder("inbox").items.values())
    assert status == {b"MESSAGES": 2, b"UNSEEN": 1, b"UIDNEXT": 3, b"RECENT": 0, b"SIZE": total}


def test_a_server_without_an_extension_neither_offers_nor_serves_it(server: MailServer) -> None:
    server.deliver(a_message(), [ANNA])
    server.set_habits([Habit.IMAP_WITHOUT_CONDSTORE, Habit.IMAP_WITHOUT_MOVE, Habit.IMAP_WITHOUT_UIDPLUS])
    with Lines(server) as lines:
        offered = lines.ask("CAPABILITY")[0].split()
        assert not {"CONDSTORE", "MOVE", "UIDPLUS", "OBJECTID"} & set(offered)
        assert any("NOMODSEQ" in line for line in lines.ask("SELECT INBOX"))
        for command in (
            "UID MOVE 1 Archive",
            "UID EXPUNGE 1",
            "STATUS INBOX (HIGHESTMODSEQ)",
            "STATUS INBOX (MAILBOXID)",
            "FETCH 1 MODSEQ",
            "UID FETCH 1 FLAGS (CHANGEDSINCE 1)",
            "UID SEARCH MODSEQ 1",
        ):
            assert lines.ask(command)[-1].startswith("BAD"), command
        assert lines.ask("UID COPY 1 Archive")[-1] == "OK COPY completed."
        assert lines.ask("APPEND INBOX {1+}\r\nx")[-1] == "OK APPEND completed."


def test_the_namespace_is_one(server: MailServer) -> None:
    with signed_in(server) as client:
        assert client.namespace().personal == (("", "/"),)
