"""What the server says of folders becomes the tree that rules are chosen from."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from shared.connectors.connect import Connect
from shared.connectors.exchange.folders import MOST_FOLDERS, PAGE_FOLDERS, FindFolder
from shared.connectors.exchange.session import Session
from shared.domain.folders import TreeFolder
from tests.contracts.exchange_mailboxes import KnownSecrets, a_mailbox, a_profile
from tests.unit.connectors.replies import assert_valid, folders


def a_folder(name: str, tag: str = "Folder", folder_class: str = "IPF.Note", parent: str = "inbox") -> str:
    return (
        f'<t:{tag}><t:FolderId Id="{name}"/><t:ParentFolderId Id="{parent}"/><t:FolderClass>{folder_class}</t:FolderClass>'
        f"<t:DisplayName>{name}</t:DisplayName></t:{tag}>"
    )


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], bytes]], FindFolder]]:
    connect = Connect(KnownSecrets(), allow_local_servers=False)

    def answering(reply: Callable[[], bytes]) -> FindFolder:
        def answer(_: Session, _body: bytes, _headers: Mapping[str, bytes]) -> bytes:
            return reply()

        monkeypatch.setattr(Session, "reply", answer)
        profile = a_profile("https://mail.contoso.example/EWS/Exchange.asmx")
        return FindFolder(connect._pools().session(profile, a_mailbox("anna@contoso.example")))

    yield answering
    connect.close()


def test_folders_that_hold_no_mail_of_their_own_are_left_out(find: Callable[[Callable[[], bytes]], FindFolder]) -> None:
    """A search folder cannot be synchronised."""
    found = [
        a_folder("projects"),
        a_folder("spring", parent="projects"),
        a_folder("unread", "SearchFolder"),
        a_folder("team", "CalendarFolder", "IPF.Appointment"),
        a_folder("noted", folder_class="IPF.NoteBook"),
    ]
    reply = folders(*found)
    assert_valid(reply)
    tree = find(lambda: reply).below_inbox()
    assert tree == [TreeFolder("projects", "projects", None), TreeFolder("spring", "spring", "projects")]


def test_a_server_that_never_comes_to_its_last_folder_is_left(find: Callable[[Callable[[], bytes]], FindFolder]) -> None:
    reply = folders(*(a_folder("projects") for _ in range(PAGE_FOLDERS)), last="false")
    asked = 0

    def more() -> bytes:
        nonlocal asked
        asked += 1
        assert asked <= MOST_FOLDERS / PAGE_FOLDERS
        return reply

    find(more).below_inbox()
    assert asked == MOST_FOLDERS / PAGE_FOLDERS
