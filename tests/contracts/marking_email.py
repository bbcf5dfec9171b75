"""The contract of what a mailbox can do beside being read: envelopes and the latest items (every connector), its folders
(`ports.FolderTree`), and marks (`ports.Marking`). A connector's test module subclasses what it offers.
"""

from collections.abc import Sequence
from datetime import timedelta
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Protocol

import pytest

from shared.domain.email import Envelope, ItemRef
from shared.domain.errors import FolderNotFound, ItemError, ItemGone
from shared.domain.folders import INBOX, SENT_ITEMS, Folder, TreeFolder
from shared.ports import FolderTree, IncomingEmail, Marking
from tests.contracts.incoming_email import NOON, MailServed, Served, a_message, everything, fetched
from tests.unit.connectors.test_reports import BERT, a_report


class ServedWithFolders(Served, Protocol):
    """The server's side of a mailbox with folders and categories. Messages go by their Message-ID."""

    def categorize(self, message_id: str, *names: str) -> None: ...

    def categories(self, message_id: str) -> set[str]: ...

    def add_folder(self, name: str, below: str | None = None) -> str: ...

    def move_to(self, message_id: str, folder: str) -> None: ...

    def store_sent(self, raw: bytes) -> None: ...


def envelopes(incoming: IncomingEmail, refs: Sequence[ItemRef]) -> list[Envelope]:
    outcomes = [outcome for _, outcome in incoming.envelopes(refs)]
    assert all(isinstance(outcome, Envelope) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Envelope)]


def listed_in(incoming: IncomingEmail, folder: Folder) -> dict[str | None, ItemRef]:
    return {item.message_id: item.ref for item in incoming.changes(folder, None).items}


class EnvelopeContract:
    """Needs a server that does as it is told."""

    def test_an_envelope_says_of_a_message_what_the_message_says(self, incoming: IncomingEmail, served: MailServed) -> None:
        served.deliver(
            bytes(
                a_message(
                    "two@fabrikam.example",
                    Cc="Carl <carl@contoso.example>",
                    In_Reply_To="<one@contoso.example>",
                    References="<zero@contoso.example> <one@contoso.example>",
                    Thread_Index="AQHbPKJ0Yv9q0Xr5REmM3sQk1Wn4Lg==",
                    Auto_Submitted="auto-replied",
                    X_Loop="support@contoso.example",
                    X_Other="not asked for",
                )
            )
        )
        (message,) = fetched(incoming)
        (envelope,) = envelopes(incoming, [message.ref])
        assert envelope == Envelope(**{name: getattr(message, name) for name in Envelope.__dataclass_fields__})
        assert [each.address for each in (*envelope.to, *envelope.cc)] == ["anna@contoso.example", "carl@contoso.example"]
        assert (envelope.in_reply_to, envelope.references[0]) == ("one@contoso.example", "zero@contoso.example")
        assert envelope.headers["auto-submitted"] == "auto-replied"
        assert envelope.headers["x-loop"] == "support@contoso.example"
        assert "x-other" not in envelope.headers

    def test_envelopes_of_many_items_come_in_order_and_each_with_its_own_error(
        self, incoming: IncomingEmail, served: MailServed
    ) -> None:
        names = [f"{number}@fabrikam.example" for number in range(130)]
        for name in names:
            served.deliver(bytes(a_message(name)))
        refs = {item.message_id: item.ref for item in everything(incoming)[0]}
        served.remove(names[64])
        outcomes = list(incoming.envelopes([refs[name] for name in names]))
        assert [ref for ref, _ in outcomes] == [refs[name] for name in names]
        assert [isinstance(outcome, ItemGone) for _, outcome in outcomes].index(True) == 64
        assert sum(isinstance(outcome, ItemError) for _, outcome in outcomes) == 1

    def test_the_latest_items_are_those_received_last(self, incoming: IncomingEmail, served: MailServed) -> None:
        for number in (2, 0, 3, 1):
            served.deliver(bytes(a_message(f"{number}@fabrikam.example")), NOON + timedelta(minutes=number))
        latest = envelopes(incoming, incoming.latest(INBOX, 3))
        assert [envelope.message_id for envelope in latest] == [f"{number}@fabrikam.example" for number in (3, 2, 1)]

    def test_a_delivery_report_says_which_email_it_speaks_of(self, incoming: IncomingEmail, served: MailServed) -> None:
        raw = a_report(BERT).replace(
            b"Content-Type", b"From: postmaster@fabrikam.example\r\nMessage-ID: <dsn@x>\r\nContent-Type", 1
        )
        served.deliver(raw)
        served.deliver(bytes(a_message()))
        reports = {message.message_id: message.report for message in fetched(incoming)}
        assert reports["one@fabrikam.example"] is None
        report = reports["dsn@x"]
        assert report is not None
        assert report.original_message_id == "sent@contoso.example"
        assert [(each.address, each.status) for each in report.recipients] == [("bert@fabrikam.example", "5.1.1")]

    def test_a_report_about_a_report_is_read_as_what_it_is(self, incoming: IncomingEmail, served: MailServed) -> None:
        """Cut short on its way, it is still mail."""
        report = MIMEMultipart("report")
        report.set_param("report-type", "delivery-status")
        report["Message-ID"] = "<odd@x>"
        report.attach(MIMEText("no status at all"))
        report.attach(MIMEMessage(a_message("inner@fabrikam.example")))
        served.deliver(bytes(report))
        (message,) = fetched(incoming)
        assert message.report is not None
        assert message.report.original_message_id == "inner@fabrikam.example"


class FolderTreeContract:
    def test_the_tree_has_every_folder_below_the_inbox_with_its_parent(
        self, incoming: IncomingEmail, served: ServedWithFolders
    ) -> None:
        assert isinstance(incoming, FolderTree)
        assert list(incoming.tree()) == []
        projects = served.add_folder("Projects")
        north = served.add_folder("North", projects)
        served.add_folder("Beside", "msgfolderroot")
        assert set(incoming.tree()) == {TreeFolder(projects, "Projects"), TreeFolder(north, "North", projects)}

    def test_a_large_tree_is_complete(self, incoming: IncomingEmail, served: ServedWithFolders) -> None:
        assert isinstance(incoming, FolderTree)
        wanted = {served.add_folder(f"Folder {number}") for number in range(620)}
        assert {folder.id for folder in incoming.tree()} == wanted

    def test_a_folder_below_the_inbox_is_read_like_the_inbox(self, incoming: IncomingEmail, served: ServedWithFolders) -> None:
        folder = Folder(served.add_folder("Projects"), "Projects")
        served.deliver(bytes(a_message()))
        assert listed_in(incoming, folder) == {}
        served.move_to("one@fabrikam.example", folder.id)
        (ref,) = listed_in(incoming, folder).values()
        assert ref.folder == folder.id
        assert listed_in(incoming, INBOX) == {}
        assert [message.message_id for message in fetched(incoming, [ref])] == ["one@fabrikam.example"]

    def test_a_folder_that_is_not_there_cannot_be_listed(self, incoming: IncomingEmail) -> None:
        with pytest.raises(FolderNotFound):
            incoming.changes(Folder("AAMkNothing=", "Gone"), None)
        with pytest.raises(FolderNotFound):
            incoming.latest(Folder("AAMkNothing=", "Gone"), 10)

    def test_sent_items_are_read_with_all_their_recipients(self, incoming: IncomingEmail, served: ServedWithFolders) -> None:
        sent = a_message(
            "sent@contoso.example", From="anna@contoso.example", To="bert@fabrikam.example", Bcc="dora@fabrikam.example"
        )
        served.store_sent(bytes(sent))
        (ref,) = listed_in(incoming, SENT_ITEMS).values()
        (envelope,) = envelopes(incoming, [ref])
        assert [each.address for each in (*envelope.to, *envelope.bcc)] == ["bert@fabrikam.example", "dora@fabrikam.example"]


class MarkingContract:
    def test_categories_that_people_gave_are_listed(self, incoming: IncomingEmail, served: ServedWithFolders) -> None:
        served.deliver(bytes(a_message()))
        _, watermark = everything(incoming)
        served.categorize("one@fabrikam.example", "Tracked", "Blue & Green")
        ((item,), _) = everything(incoming, watermark)
        assert set(item.categories) == {"Tracked", "Blue & Green"}
        (message,) = fetched(incoming, [item.ref])
        assert set(message.categories) == {"Tracked", "Blue & Green"}

    def test_categories_are_added_and_removed_and_others_stay(self, incoming: IncomingEmail, served: ServedWithFolders) -> None:
        assert isinstance(incoming, Marking)
        served.deliver(bytes(a_message()))
        served.categorize("one@fabrikam.example", "Blue")
        ((item,), watermark) = everything(incoming)
        for _ in range(2):
            incoming.categorize(item.ref, ["Tracked"], [])
            assert served.categories("one@fabrikam.example") == {"Blue", "Tracked"}
        assert [change.ref for change in everything(incoming, watermark)[0]] == [item.ref]
        incoming.categorize(item.ref, [], ["tracked", "Undeliverable"])
        assert served.categories("one@fabrikam.example") == {"Blue"}
        incoming.categorize(item.ref, [], ["Blue"])
        assert served.categories("one@fabrikam.example") == set()

    def test_an_item_is_moved_to_a_folder_that_is_made_for_it(self, incoming: IncomingEmail, served: ServedWithFolders) -> None:
        assert isinstance(incoming, Marking)
        for name in ("one@fabrikam.example", "two@fabrikam.example"):
            served.deliver(bytes(a_message(name)))
        refs = {item.message_id: item.ref for item in everything(incoming)[0]}
        moved = [incoming.move(ref, "Undeliverable", name) for name, ref in refs.items()]
        assert len({ref.folder for ref in moved}) == 1
        assert everything(incoming)[0] == []
        assert {message.message_id for message in fetched(incoming, moved)} == set(refs)
        assert incoming.move(moved[0], "Undeliverable", None) == moved[0]

    def test_an_item_that_was_moved_by_nobody_who_remembers_is_found_by_its_message_id(
        self, incoming: IncomingEmail, served: ServedWithFolders
    ) -> None:
        assert isinstance(incoming, Marking)
        for name in ("one@fabrikam.example", "two@fabrikam.example", "ONE@fabrikam.example"):
            served.deliver(bytes(a_message(name)))
        refs = {item.message_id: item.ref for item in everything(incoming)[0]}
        moved = {
            name: incoming.move(ref, "Undeliverable", name) for name, ref in refs.items() if name != "ONE@fabrikam.example"
        }
        one = "one@fabrikam.example"
        assert incoming.move(refs[one], "Undeliverable", one) == moved[one]
        with pytest.raises(ItemGone):
            incoming.move(refs[one], "Undeliverable", None)
        with pytest.raises(ItemGone):
            incoming.move(refs[one], "Undeliverable", "three@fabrikam.example")
        incoming.move(refs["ONE@fabrikam.example"], "Undeliverable", None)
        with pytest.raises(ItemGone):  # which of the two it was, nobody can tell
            incoming.move(refs[one], "Undeliverable", one)

    def test_marking_what_is_gone_says_so(self, incoming: IncomingEmail, served: ServedWithFolders) -> None:
        assert isinstance(incoming, Marking)
        served.deliver(bytes(a_message()))
        ((item,), _) = everything(incoming)
        served.remove("one@fabrikam.example")
        with pytest.raises(ItemGone):
            incoming.categorize(item.ref, ["Tracked"], [])
        with pytest.raises(ItemGone):
            incoming.move(item.ref, "Undeliverable", "one@fabrikam.example")
