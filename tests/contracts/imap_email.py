"""The contract of IMAP: what holds of folders and UIDs beside what holds of all mail over the internet."""

import pytest

from shared.connectors.imap.mail import open_imap
from shared.domain.choices import ServerType
from shared.domain.configuration import EmailServerProfile, Mailbox
from shared.domain.errors import FolderNotFound, WatermarkExpired
from shared.domain.folders import INBOX, Folder, TreeFolder
from shared.ports import FolderTree, IncomingEmail
from tests.contracts.exchange_mailboxes import KnownSecrets
from tests.contracts.incoming_email import a_message, everything, fetched
from tests.contracts.internet_email import InternetMailContract, Opening
from tests.contracts.internet_failures import InternetFailures
from tests.contracts.internet_mailboxes import InternetMailServed, Place, Ports


class OverImap:
    module = "shared.connectors.imap.mail"
    server_type = ServerType.IMAP_SMTP

    def ports_of(self, place: Place) -> Ports:
        return place.imap

    def opened(self, profile: EmailServerProfile, mailbox: Mailbox, *, allow_local_servers: bool = True) -> Opening:
        return open_imap(profile, mailbox, KnownSecrets(), allow_local_servers=allow_local_servers)


NAMES = ["Projects", "Grüße aus 東京", "Sales & Marketing", 'say "hello"', "back\\slash", "percent % star *", " two  spaces"]


class ImapContract(OverImap, InternetMailContract):
    def test_reading_marks_nothing_as_read(self, incoming: IncomingEmail, served: InternetMailServed) -> None:
        """POP3 leaves that to its server."""
        served.deliver(bytes(a_message()))
        ((item,), _) = everything(incoming)
        assert len(fetched(incoming, [item.ref])) == 1
        assert b"".join(incoming.raw(item.ref))
        assert served.read_messages() == 0

    def test_what_somebody_else_marked_as_deleted_stays(self, incoming: IncomingEmail, served: InternetMailServed) -> None:
        for name in ("ours@fabrikam.example", "theirs@fabrikam.example", "other@fabrikam.example"):
            served.deliver(bytes(a_message(name)))
        refs = {item.message_id: item.ref for item in everything(incoming)[0]}
        served.mark_deleted("theirs@fabrikam.example")
        assert incoming.discard([refs["ours@fabrikam.example"]]) == {}
        assert served.count() == 2

    # ---- watermarks

    def test_other_uids_are_another_beginning_with_the_same_messages(
        self, profile: EmailServerProfile, served: InternetMailServed
    ) -> None:
        for name in ("a@fabrikam.example", "b@fabrikam.example"):
            served.deliver(bytes(a_message(name)))
        before, watermark = self.in_one_session(profile, served, everything)
        served.forget_identities()
        with pytest.raises(WatermarkExpired):
            self.in_one_session(profile, served, lambda mail: mail.changes(INBOX, watermark))
        after, _ = self.in_one_session(profile, served, everything)
        assert {item.message_id for item in after} == {item.message_id for item in before}
        assert not {item.ref for item in after} & {item.ref for item in before}

    # ---- folders

    def test_the_tree_has_every_folder_below_the_inbox(self, incoming: IncomingEmail, served: InternetMailServed) -> None:
        own = self.own_folders(incoming)
        projects = served.add_folder("Projects")
        served.add_folder("North", projects)
        tree = {folder.name: folder for folder in self.own_folders(incoming) - own}
        assert set(tree) == {"Projects", "North"}
        assert (tree["Projects"].parent, tree["North"].parent) == (None, tree["Projects"].id)

    @pytest.mark.parametrize("name", NAMES)
    def test_folders_have_names_in_every_alphabet(self, incoming: IncomingEmail, served: InternetMailServed, name: str) -> None:
        own = self.own_folders(incoming)
        created = served.add_folder(name)
        served.deliver(bytes(a_message()))
        served.move_to("one@fabrikam.example", created)
        (folder,) = self.own_folders(incoming) - own
        assert folder.name == name
        page = incoming.changes(Folder(folder.id, folder.name), None)
        assert [item.ref.folder for item in page.items] == [folder.id]
        assert [message.message_id for message in fetched(incoming, [page.items[0].ref])] == ["one@fabrikam.example"]
        assert incoming.changes(INBOX, None).items == ()

    def test_each_folder_has_a_watermark_of_its_own(self, incoming: IncomingEmail, served: InternetMailServed) -> None:
        folder, _ = self.with_one_message(incoming, served)
        watermark = incoming.changes(folder, None).watermark
        served.deliver(bytes(a_message("two@fabrikam.example")))
        assert incoming.changes(folder, watermark).items == ()
        assert [item.message_id for item in everything(incoming)[0]] == ["two@fabrikam.example"]

    def test_a_folder_that_was_removed_is_not_found(self, incoming: IncomingEmail, served: InternetMailServed) -> None:
        folder, created = self.with_one_message(incoming, served)
        watermark = incoming.changes(folder, None).watermark
        served.remove_folder(created)
        for since in (None, watermark):
            with pytest.raises(FolderNotFound):
                incoming.changes(folder, since)

    def test_a_folder_that_was_renamed_is_found_by_its_id_or_not_at_all(
        self, incoming: IncomingEmail, served: InternetMailServed
    ) -> None:
        own = {each.name for each in self.own_folders(incoming)}
        folder, created = self.with_one_message(incoming, served)
        served.rename_folder(created, "Former")
        (renamed,) = (each for each in self.own_folders(incoming) if each.name not in own)
        assert renamed.name == "Former"
        assert len(incoming.changes(Folder(renamed.id, renamed.name), None).items) == 1
        if renamed.id != folder.id:
            with pytest.raises(FolderNotFound):
                incoming.changes(folder, None)

    def with_one_message(self, incoming: IncomingEmail, served: InternetMailServed) -> tuple[Folder, str]:
        """A folder as the connector knows it, and as the server does."""
        own = self.own_folders(incoming)
        created = served.add_folder("Projects")
        served.deliver(bytes(a_message()))
        served.move_to("one@fabrikam.example", created)
        (found,) = self.own_folders(incoming) - own
        return Folder(found.id, found.name), created

    def own_folders(self, incoming: IncomingEmail) -> set[TreeFolder]:
        assert isinstance(incoming, FolderTree)
        return set(incoming.tree())


class ImapFailures(OverImap, InternetFailures):
    sign_ins = (b" LOGIN ", b" AUTHENTICATE ")
    upgrade = b"STARTTLS"
    idle_round_trips = 4

    def refusal(self, line: bytes) -> bytes:
        return line.split()[0] + b" NO not now\r\n"
