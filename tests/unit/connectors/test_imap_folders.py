"""Which folders an IMAP mailbox has, whatever its server calls them, and which one an id means."""

from collections.abc import Iterator

import pytest

from shared.domain.errors import FolderNotFound
from shared.domain.folders import SENT_ITEMS, Folder
from tests.unit.connectors.odd_imap_server import DECENT, OddServer, a_mailbox_on, serving

type Tree = dict[str, str | None]


@pytest.fixture
def server() -> Iterator[OddServer]:
    with serving(OddServer()) as running:
        yield running


def tree(server: OddServer) -> Tree:
    """The name of the folder above by the name of each folder."""
    with a_mailbox_on(server) as mail:
        folders = mail.tree()
    names = {folder.id: folder.name for folder in folders}
    assert len(names) == len(folders)
    return {folder.name: None if folder.parent is None else names[folder.parent] for folder in folders}


def opened(server: OddServer) -> list[bytes]:
    return [line.partition(b" ")[2].removesuffix(b" (CONDSTORE)") for line in server.said if line.startswith(b"EXAMINE")]


def test_folders_of_mail_are_the_tree_and_those_for_special_uses_are_not(server: OddServer) -> None:
    server.folders = [
        r'(\HasChildren) "/" INBOX', r'(\HasNoChildren) "/" INBOX/Projects', r'(\HasNoChildren) "/" "INBOX/Projects/North"',
        r'(\HasNoChildren) "/" Archive', r'(\HasNoChildren \Sent) "/" Gesendet', r'(\HasNoChildren) "/" Gesendet/2025',
        r'(\HasNoChildren \Drafts) "/" "Entw&APw-rfe"', r'(\Junk) "/" Spam', r'(\Trash) "/" Papierkorb',
        r'(\HasNoChildren) "/" Papierkorb/Alt', r'(\All) "/" "Alle Nachrichten"', r'(\Flagged) "/" Markiert',
        r'(\Noselect \HasChildren) "/" Lists', r'(\HasNoChildren) "/" Lists/dev', r'(\NonExistent) "/" Gone',
    ]  # fmt: skip
    server.capabilities = f"{DECENT} SPECIAL-USE"
    assert tree(server) == {"Projects": None, "North": "Projects", "Archive": None, "dev": None}


@pytest.mark.parametrize("prefix", ["", "INBOX."])
def test_where_the_server_does_not_say_what_folders_are_for_their_usual_names_do(server: OddServer, prefix: str) -> None:
    names = ["Sent Items", "Drafts", "Junk", "Deleted Items", "Offers"]
    server.folders = [r'(\HasChildren) "." INBOX', *(f'() "." "{prefix}{name}"' for name in names), '() "." "Offers.Old.Sent"']
    assert set(tree(server)) == {"Offers", "Sent"}


def test_a_folder_that_only_sounds_like_one_for_a_special_use_is_mail(server: OddServer) -> None:
    server.folders = ['() "/" INBOX', r'(\Sent) "/" Versandt', '() "/" Sent', r'(\Trash) "/" Bin', '() "/" Deleted']
    assert tree(server) == {"Sent": None, "Deleted": None}


@pytest.mark.parametrize(
    ("listed", "name"),
    [
        (b'() "/" "Gr&APwA3w-e aus &Z3FOrA-"', "Grüße aus 東京"),
        (b'() "/" "Sales &- Marketing"', "Sales & Marketing"),
        (b'() "/" "say \\"hello\\" \\\\ now"', 'say "hello" \\ now'),
        (b"() NIL Flat/name", "Flat/name"),
        (b'() "/" 2026', "2026"),
        (b'() "/" "2026"', "2026"),
        (b'() "/" [Gmail]x', "[Gmail]x"),
        (b'() "/" {5}\r\na b"c', 'a b"c'),
        (b'() "/" "Broken &AAA"', "Broken &AAA"),
        (b'() "/" "Gr\xc3\xbc\xc3\x9fe"', "Grüße"),
        (b'() "/" "Gr\xfc\xdfe"', "Gr\ufffd\ufffde"),
    ],
)
def test_a_name_however_it_is_written_leads_to_its_folder(server: OddServer, listed: bytes, name: str) -> None:
    wire = b'* LIST () "/" INBOX\r\n* LIST ' + listed + b"\r\nTAG OK done\r\n"
    server.reply = lambda line: wire if line.startswith(b"LIST") else None
    with a_mailbox_on(server) as mail:
        (folder,) = mail.tree()
        assert folder.name == name
        mail.changes(Folder(folder.id, folder.name), None)
    (asked,) = opened(server)
    raw = listed.rpartition(b"\r\n")[2] if b"{" in listed else listed.partition(b" ")[2].partition(b" ")[2]
    unquoted = raw[1:-1] if raw.startswith(b'"') else raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    assert asked == b'"' + unquoted + b'"'


def test_a_line_of_the_list_that_is_broken_costs_no_other(server: OddServer) -> None:
    server.folders = ['() "/" INBOX', "(", '() "/"', "", '() "/" Good', '("', r'(\X) "/" Fine ("CHILDINFO" ("SUBSCRIBED"))']
    assert tree(server) == {"Good": None, "Fine": None}


def test_folders_of_other_people_are_theirs(server: OddServer) -> None:
    server.capabilities = f"{DECENT} NAMESPACE"
    server.folders = ['() "/" INBOX', '() "/" Own', '() "/" "user/bert/INBOX"', '() "/" "shared/All hands"']
    said = b'* NAMESPACE (("" "/")) (("user/" "/")) (("shared/" "/" "X-PARAM" ("x")))\r\nTAG OK done\r\n'
    server.reply = lambda line: said if line == b"NAMESPACE" else None
    assert tree(server) == {"Own": None}


def test_a_server_that_invents_folders_without_end_is_believed_so_far(server: OddServer) -> None:
    wire = b"".join(b'* LIST () "/" f%d\r\n' % number for number in range(21_000)) + b"TAG OK done\r\n"
    server.reply = lambda line: wire if line.startswith(b"LIST") else None
    assert len(tree(server)) == 20_000


# ---- sent items


@pytest.mark.parametrize(
    ("folders", "name"),
    [
        ([r'(\HasNoChildren \Sent) "/" "[Gmail]/Gesendet"', '() "/" Sent'], b'"[Gmail]/Gesendet"'),
        (['() "/" "Sent Messages"'], b'"Sent Messages"'),
        (['() "." "INBOX.Sent"'], b'"INBOX.Sent"'),
    ],
)
def test_sent_items_are_what_the_server_says_or_what_they_are_called(
    server: OddServer, folders: list[str], name: bytes
) -> None:
    server.folders += folders
    server.deliver("sent")
    with a_mailbox_on(server) as mail:
        (item,) = mail.changes(SENT_ITEMS, None).items
        assert item.is_own_copy
        assert item.ref.folder == SENT_ITEMS.id
        assert [type(each).__name__ for _, each in mail.fetch([item.ref])] == ["IncomingMessage"]
    assert set(opened(server)) == {name}


def test_a_mailbox_without_sent_items_has_no_such_folder(server: OddServer) -> None:
    with a_mailbox_on(server) as mail, pytest.raises(FolderNotFound):
        mail.changes(SENT_ITEMS, None)


# ---- ids


@pytest.fixture
def with_ids(server: OddServer) -> OddServer:
    """Its folders keep their ids when they are renamed."""
    server.capabilities = f"{DECENT} OBJECTID LIST-STATUS"
    name_it(server, b"Projects")
    return server


def name_it(server: OddServer, name: bytes, mailbox_id: bytes = b"F9") -> None:
    """The one folder beside the Inbox has this name from now on."""
    status = b'* STATUS INBOX (MAILBOXID (F1))\r\n* STATUS "%s" (MAILBOXID (%s))\r\n' % (name, mailbox_id)
    listed = b'* LIST () "/" INBOX\r\n* LIST () "/" "%s"\r\n%sTAG OK done\r\n' % (name, status)

    def reply(line: bytes) -> bytes | None:
        if line.startswith(b"LIST"):
            return listed
        if not line.startswith(b"EXAMINE"):
            return None
        if b'"%s"' % name not in line:
            return b"TAG NO [NONEXISTENT] none\r\n"
        return server._opened(0) + b"* OK [MAILBOXID (%s)] id\r\nTAG OK done\r\n" % mailbox_id

    server.reply = reply


def test_a_folder_with_an_id_is_the_same_under_another_name(with_ids: OddServer) -> None:
    with a_mailbox_on(with_ids) as mail:
        (folder,) = mail.tree()
        watermark = mail.changes(Folder(folder.id, folder.name), None).watermark
        name_it(with_ids, b"Former")
        assert mail.changes(Folder(folder.id, folder.name), watermark).watermark == watermark
        assert [each.id for each in mail.tree()] == [folder.id]
    with a_mailbox_on(with_ids) as mail:
        assert mail.changes(Folder(folder.id, folder.name), watermark).watermark == watermark


def test_another_folder_that_got_the_name_is_not_taken_for_it(with_ids: OddServer) -> None:
    with a_mailbox_on(with_ids) as mail:
        (folder,) = mail.tree()
        name_it(with_ids, b"Projects", b"F10")
        with pytest.raises(FolderNotFound):
            mail.changes(Folder(folder.id, folder.name), None)


def test_looking_up_an_id_is_one_question(with_ids: OddServer) -> None:
    with a_mailbox_on(with_ids) as mail:
        (folder,) = mail.tree()
    with_ids.said.clear()
    with a_mailbox_on(with_ids) as mail:
        for _ in range(3):
            mail.changes(Folder(folder.id, folder.name), None)
    assert sum(line.startswith(b"LIST") for line in with_ids.said) == 1


@pytest.mark.parametrize("folder_id", ["nonsense", "id:F404", "name:Nowhere", "name:a\r\nA1 DELETE INBOX", "name:東京"])
def test_an_id_of_no_folder_is_not_found_and_says_no_other_command(server: OddServer, folder_id: str) -> None:
    server.reply = lambda line: b"TAG NO none\r\n" if line.startswith(b"EXAMINE") else None
    with a_mailbox_on(server) as mail, pytest.raises(FolderNotFound):
        mail.changes(Folder(folder_id, "x"), None)
    assert not any(line.startswith(b"DELETE") or b"A1" in line for line in server.said)
