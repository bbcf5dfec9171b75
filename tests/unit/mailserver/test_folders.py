"""Folders over HTTP and from outside: made, renamed, moved, deleted, found page by page, and followed."""

import contextlib
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from local.mailserver import FaultKind, MailServer
from local.mailserver.model import DistinguishedFolder, FolderExists, FolderLoop, Mailbox, NoSuchFolder
from tests.unit.mailserver.conftest import ANNA
from tests.unit.mailserver.messages import a_message
from tests.unit.mailserver.soap import (
    INBOX,
    NAMES,
    Answer,
    SoapClient,
    by_id,
    create_folder,
    delete_folder,
    find_folders,
    indexed_view,
    move_folder,
    named,
    rename_folder,
    sync_folders,
    well_known,
)


def folder_id(answer: Answer) -> str:
    assert answer.codes == ["NoError"]
    (found,) = answer.ids("t:FolderId")
    return found


def folder_key(anna: SoapClient, folder: str) -> str:
    shape = "<m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>"
    answer = anna.ask(f"<m:GetFolder>{shape}<m:FolderIds>{by_id(folder)}</m:FolderIds></m:GetFolder>")
    element = answer.xml.find(".//t:FolderId", NAMES)
    assert element is not None
    return element.get("ChangeKey", "")


def names(answer: Answer) -> list[str]:
    return answer.texts("t:DisplayName")


def test_folders_nest_below_the_inbox(anna: SoapClient) -> None:
    customers = folder_id(anna.ask(create_folder("Customers")))
    contoso = folder_id(anna.ask(create_folder("Contoso", by_id(customers))))
    assert names(anna.ask(find_folders())) == ["Customers"]
    deep = anna.ask(find_folders(deep=True, base="AllProperties"))
    assert (names(deep), deep.ids("t:FolderId")) == (["Customers", "Contoso"], [customers, contoso])
    assert deep.ids("t:ParentFolderId")[1] == customers


def test_siblings_have_different_names_whatever_the_case(server: MailServer, anna: SoapClient) -> None:
    customers = folder_id(anna.ask(create_folder("Customers")))
    assert anna.ask(create_folder("CUSTOMERS")).codes == ["ErrorFolderExists"]
    assert anna.ask(create_folder("Customers", by_id(customers))).codes == ["NoError"]
    assert anna.ask(create_folder(" ")).codes == ["ErrorFolderSave"]
    with pytest.raises(FolderExists):
        server.add_folder(ANNA, "customers", "inbox")


def test_a_folder_cannot_be_made_nowhere(server: MailServer, anna: SoapClient) -> None:
    gone = server.add_folder(ANNA, "Gone")
    server.remove_folder(ANNA, gone)
    assert anna.ask(create_folder("Below", by_id(gone))).codes == ["ErrorParentFolderNotFound"]


def test_a_folder_that_is_renamed_keeps_its_id_and_its_mail(server: MailServer, anna: SoapClient) -> None:
    folder = server.add_folder(ANNA, "Customers", "inbox")
    server.deliver(a_message(), [ANNA], folder=folder)
    before = anna.sync(folder=by_id(folder))
    key = folder_key(anna, folder)
    assert folder_id(anna.ask(rename_folder(folder, key, "Kunden"))) == folder
    assert folder_key(anna, folder) != key
    assert names(anna.ask(find_folders())) == ["Kunden"]
    assert anna.sync(before.sync_state, folder=by_id(folder)).changes() == []


def test_renaming_needs_a_change_key_and_a_free_name(server: MailServer, anna: SoapClient) -> None:
    folder = server.add_folder(ANNA, "Customers", "inbox")
    server.add_folder(ANNA, "Partners", "inbox")
    key = folder_key(anna, folder)
    assert anna.ask(rename_folder(folder, None, "X")).codes == ["ErrorChangeKeyRequiredForWriteOperations"]
    assert anna.ask(rename_folder(folder, "bm8=", "X")).codes == ["ErrorInvalidChangeKey"]
    assert anna.ask(rename_folder(folder, key, "partners")).codes == ["ErrorFolderExists"]
    assert anna.ask(rename_folder(folder, key, "customers")).codes == ["NoError"]
    inbox = server.store.mailbox(ANNA).folder("inbox").id
    assert anna.ask(rename_folder(inbox, folder_key(anna, inbox), "Mine")).codes == ["ErrorFolderSavePropertyError"]


def test_a_localized_mailbox_has_its_folders_under_other_names(server: MailServer, anna: SoapClient) -> None:
    server.rename_folder(ANNA, "inbox", "Posteingang")
    server.deliver(a_message(), [ANNA])
    assert "Posteingang" in names(anna.ask(find_folders(well_known("msgfolderroot"))))
    assert len(anna.sync().changes()) == 1


def test_a_folder_that_moves_keeps_its_id_its_mail_and_what_is_below(server: MailServer, anna: SoapClient) -> None:
    first, second = server.add_folder(ANNA, "First", "inbox"), server.add_folder(ANNA, "Second", "inbox")
    below = server.add_folder(ANNA, "Below", first)
    (item,) = server.deliver(a_message(), [ANNA], folder=below)
    assert folder_id(anna.ask(move_folder(by_id(first), by_id(second)))) == first
    assert names(anna.ask(find_folders(deep=True))) == ["Second", "First", "Below"]
    assert anna.get(item).codes == ["NoError"]


@pytest.mark.parametrize(
    ("folder", "to", "code"),
    [
        ("inbox", "deleteditems", "ErrorMoveDistinguishedFolder"),
        ("Outer", "Outer", "ErrorMoveCopyFailed"),
        ("Outer", "Inner", "ErrorMoveCopyFailed"),
        ("Inner", "inbox", "ErrorFolderExists"),
        ("Outer", "Gone", "ErrorToFolderNotFound"),
        ("Gone", "inbox", "ErrorFolderNotFound"),
    ],
)
def test_moves_that_make_no_sense_are_refused(server: MailServer, anna: SoapClient, folder: str, to: str, code: str) -> None:
    outer = server.add_folder(ANNA, "Outer")
    ids = {"Outer": outer, "Inner": server.add_folder(ANNA, "Inner", outer), "Gone": server.add_folder(ANNA, "Gone")}
    server.add_folder(ANNA, "Inner", "inbox")
    server.remove_folder(ANNA, ids["Gone"])
    folder_element, target = ((by_id(ids[each]) if each in ids else well_known(each)) for each in (folder, to))
    assert anna.ask(move_folder(folder_element, target)).codes == [code]


def test_a_folder_deleted_by_a_mail_client_is_among_the_deleted_items(server: MailServer, anna: SoapClient) -> None:
    first, second = server.add_folder(ANNA, "Project", "inbox"), server.add_folder(ANNA, "Project", "drafts")
    (item,) = server.deliver(a_message(), [ANNA], folder=first)
    for folder in (first, second):
        assert anna.ask(delete_folder(by_id(folder), "MoveToDeletedItems")).codes == ["NoError"]
    assert names(anna.ask(find_folders(well_known("deleteditems")))) == ["Project", "Project1"]
    assert anna.get(item).codes == ["NoError"]
    assert anna.ask(delete_folder(by_id(first), "MoveToDeletedItems")).codes == ["NoError"]
    assert anna.get(item).codes == ["ErrorItemNotFound"]


def test_a_folder_deleted_for_good_is_gone_with_what_is_in_it(server: MailServer, anna: SoapClient) -> None:
    folder = server.add_folder(ANNA, "Project", "inbox")
    below = server.add_folder(ANNA, "Below", folder)
    (item,) = server.deliver(a_message(), [ANNA], folder=below)
    state = anna.sync(folder=by_id(below)).sync_state
    assert anna.ask(delete_folder(by_id(folder))).codes == ["NoError"]
    assert anna.get(item).codes == ["ErrorItemNotFound"]
    assert anna.sync(state, folder=by_id(below)).codes == ["ErrorSyncFolderNotFound"]
    assert anna.ask(delete_folder(by_id(folder))).codes == ["ErrorFolderNotFound"]
    assert anna.ask(delete_folder(INBOX)).codes == ["ErrorDeleteDistinguishedFolder"]


def test_folders_are_found_page_by_page(server: MailServer, anna: SoapClient) -> None:
    for number in range(5):
        server.add_folder(ANNA, f"F{number}", "inbox")
    pages = [anna.ask(find_folders(view=indexed_view(2, offset, of="Folder"))) for offset in (0, 2, 4, 6)]
    assert [names(page) for page in pages] == [["F0", "F1"], ["F2", "F3"], ["F4"], []]
    roots = [page.xml.find(".//m:RootFolder", NAMES) for page in pages]
    assert [root.get("IncludesLastItemInRange") for root in roots if root is not None] == ["false", "false", "true", "true"]
    last = anna.ask(find_folders(view=indexed_view(2, 0, "End", of="Folder")))
    assert names(last) == ["F3", "F4"]
    assert anna.ask(find_folders(view=indexed_view(2, -1, of="Folder"))).codes == ["ErrorInvalidIndexedPagingParameters"]
    assert anna.ask(find_folders(view=indexed_view(0, of="Folder"))).codes == ["ErrorInvalidPagingMaxRows"]


def test_a_folder_is_found_by_its_name(server: MailServer, anna: SoapClient) -> None:
    folder = server.add_folder(ANNA, "Undeliverable")
    server.add_folder(ANNA, "Other")
    top = well_known("msgfolderroot")
    assert anna.ask(find_folders(top, restriction=named("undeliverable"))).ids("t:FolderId") == [folder]
    assert anna.ask(find_folders(top, restriction=named("Nothing"))).codes == ["NoError"]


def test_folders_say_what_is_kept_in_them(server: MailServer, anna: SoapClient) -> None:
    server.add_folder(ANNA, "Meetings", "inbox", "IPF.Appointment")
    anna.ask(create_folder("Mail"))
    found = anna.ask(find_folders(base="AllProperties"))
    assert found.texts("t:FolderClass") == ["IPF.Appointment", "IPF.Note"]
    assert found.texts("t:CalendarFolder/t:DisplayName") == ["Meetings"]


def test_shapes_show_no_more_than_asked_for(anna: SoapClient) -> None:
    anna.ask(create_folder("Mail"))
    assert names(anna.ask(find_folders(base="IdOnly"))) == []
    default = anna.ask(find_folders(base="Default"))
    assert (names(default), default.texts("t:FolderClass")) == (["Mail"], [])


def test_faults_strike_folder_operations_too(server: MailServer, anna: SoapClient) -> None:
    server.faults.add(FaultKind.SERVER_BUSY, ANNA, operation="CreateFolder", seconds=2, count=1)
    assert anna.ask(create_folder("Mail")).fault_code == "ErrorServerBusy"
    server.faults.add(FaultKind.FOLDER_GONE, ANNA, operation="FindFolder", count=1)
    assert anna.ask(find_folders()).codes == ["ErrorFolderNotFound"]
    assert names(anna.ask(find_folders())) == []
    assert [asked.code for asked in server.requests.of("CreateFolder", ANNA)] == ["ErrorServerBusy"]


def test_the_tree_below_the_inbox_is_followed_on_its_own(server: MailServer, anna: SoapClient) -> None:
    def news(state: str) -> tuple[list[str], list[str], list[str], str]:
        answer = anna.ask(sync_folders(state, INBOX))
        created, updated = (answer.texts(f"t:{kind}/t:Folder/t:DisplayName") for kind in ("Create", "Update"))
        return created, updated, answer.ids("t:Delete/t:FolderId"), answer.sync_state

    elsewhere = server.add_folder(ANNA, "Elsewhere")
    below = server.add_folder(ANNA, "Below", elsewhere)
    *_, state = news("")
    server.move_folder(ANNA, elsewhere, "inbox")
    created, updated, deleted, state = news(state)
    assert (created, updated, deleted) == (["Elsewhere", "Below"], [], [])
    server.rename_folder(ANNA, below, "Renamed")
    created, updated, deleted, state = news(state)
    assert (created, updated, deleted) == ([], ["Renamed"], [])
    server.remove_folder(ANNA, elsewhere, to_deleted_items=True)
    created, updated, deleted, state = news(state)
    assert (created, updated, set(deleted)) == ([], [], {elsewhere, below})
    server.remove_folder(ANNA, elsewhere)
    assert news(state)[:3] == ([], [], [])


class FollowedTree(RuleBasedStateMachine):
    """Folders come, go, move and are renamed anywhere while somebody follows those below the Inbox."""

    NAMES: ClassVar = st.sampled_from(["a", "b", "c"])

    def __init__(self) -> None:
        super().__init__()
        self.mailbox = Mailbox("anna@contoso.example", "Anna", iter(range(1, 10_000)))
        self.inbox = self.mailbox.folder("inbox")
        self.known: dict[str, tuple[str, str]] = {}
        self.position = -1

    def _some(self, number: int, own: bool) -> str:
        kept = [folder for folder in self.mailbox.folders.values() if (folder.well_known is None) or not own]
        return kept[number % len(kept)].id

    def _try(self, change: str, *arguments: str) -> None:
        with contextlib.suppress(FolderExists, FolderLoop, DistinguishedFolder, NoSuchFolder):
            getattr(self.mailbox, change)(*arguments)

    @rule(name=NAMES, number=st.integers(0, 50))
    def made(self, name: str, number: int) -> None:
        self._try("add_folder", name, self._some(number, own=False))

    @precondition(lambda self: any(folder.well_known is None for folder in self.mailbox.folders.values()))
    @rule(
        change=st.sampled_from(["move_folder", "rename_folder", "remove_folder", "discard_folder"]),
        name=NAMES,
        number=st.integers(0, 50),
        goal=st.integers(0, 50),
    )
    def changed(self, change: str, name: str, number: int, goal: int) -> None:
        more = {"move_folder": [self._some(goal, own=False)], "rename_folder": [name]}.get(change, [])
        self._try(change, self._some(number, own=True), *more)

    @rule()
    def what_is_told_leads_to_what_is_there(self) -> None:
        before = self.inbox.folders_below_at(self.position)
        assert before == set(self.known)
        present = {folder.id: folder for folder in self.mailbox.descendants(self.inbox)}
        self.known = {folder: what for folder, what in self.known.items() if folder in present}
        for folder in present.values():
            if folder.id not in before or folder.changed > self.position:
                self.known[folder.id] = folder.name, folder.parent.id if folder.parent else ""
        self.position = self.mailbox.clock
        assert self.known == {each.id: (each.name, each.parent.id if each.parent else "") for each in present.values()}


TestFollowedTree = FollowedTree.TestCase
TestFollowedTree.settings = settings(max_examples=60, stateful_step_count=30)
