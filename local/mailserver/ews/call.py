"""One call: who asks for what, and what of the store they may see. Turns the ids of a request into items and folders."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lxml import etree

from local.mailserver.accounts import Account
from local.mailserver.backend import Backend
from local.mailserver.contents import Folder, Item
from local.mailserver.ews.envelope import NAMES, Envelope
from local.mailserver.ews.errors import ResponseError, SoapFault
from local.mailserver.faults import FaultKind, Faults
from local.mailserver.listener import Disconnect
from local.mailserver.model import Mailbox, MailStore, NoSuchFolder, NoSuchItem, NoSuchMailbox


@dataclass(slots=True)
class Call:
    """A request that is signed in. `codes` collects the outcome of each response message."""

    envelope: Envelope
    account: Account
    backend: Backend
    acting_as: Mailbox | None
    """The mailbox impersonated, else the account's own."""
    target: str | None
    """Address of the mailbox that the request is about."""
    forced_error: ResponseError | None = None
    """A fault that is on: every response message is this error."""
    codes: list[str] = field(default_factory=list)

    @property
    def store(self) -> MailStore:
        return self.backend.store

    @property
    def faults(self) -> Faults:
        return self.backend.faults

    @property
    def names(self) -> tuple[str, ...]:
        """Of whoever acts: what rights to send are granted to."""
        if self.envelope.impersonated is not None:
            return (self.acting_as.address,) if self.acting_as is not None else ()
        return tuple(name for name in (self.account.mailbox, self.account.username) if name)

    @property
    def operation(self) -> str:
        return self.envelope.operation

    @property
    def element(self) -> etree._Element:
        return self.envelope.element

    def find(self, path: str) -> etree._Element | None:
        return self.element.find(path, NAMES)

    def required(self, path: str) -> etree._Element:
        found = self.find(path)
        if found is None or not len(found):
            raise SoapFault("ErrorSchemaValidation", f"The element {path.partition(':')[2]} is missing or empty.")
        return found

    def open(self, mailbox: Mailbox) -> Mailbox:
        """The mailbox, if the caller may open it. Raises ResponseError."""
        if self.forced_error is not None:
            raise self.forced_error
        impersonating = self.envelope.impersonated is not None
        allowed = mailbox is self.acting_as if impersonating else self.account.can_open(mailbox.address)
        if not allowed:
            raise ResponseError("ErrorAccessDenied")
        if not mailbox.enabled:
            raise ResponseError("ErrorAccountDisabled")
        return mailbox

    def item(self, item_id: str) -> Item:
        """Raises ResponseError."""
        mailbox = self._mailbox_of(item_id)
        try:
            return mailbox.item(item_id)
        except NoSuchItem:
            raise ResponseError("ErrorItemNotFound") from None

    @contextmanager
    def held_item(self, item_id: str) -> Iterator[Item]:
        """An item that the request changes, and nobody else meanwhile. Raises ResponseError."""
        with self._mailbox_of(item_id).lock:
            item = self.item(item_id)
            self.break_writing(item.folder.mailbox, item_id, item.message.message_id)
            yield item

    def break_writing(self, mailbox: Mailbox, *names: str | None) -> None:
        """While such a fault is on for an item of one of these names. Raises ResponseError, Disconnect."""
        known = tuple(name for name in names if name)
        if self.faults.hit(FaultKind.BREAKS_OFF, mailbox.address, self.operation, known) is not None:
            raise Disconnect
        unwritable = self.faults.hit(FaultKind.UNWRITABLE_ITEM, mailbox.address, self.operation, known)
        if unwritable is not None:
            raise ResponseError(unwritable.code or "ErrorItemSave", unwritable.text)

    def readable_item(self, item_id: str) -> Item:
        """An item whose content is wanted. Raises ResponseError."""
        item = self.item(item_id)
        unreadable = self.faults.hit(FaultKind.UNREADABLE_ITEM, item.folder.mailbox.address, self.operation, item_id)
        if unreadable is not None:
            raise ResponseError(unreadable.code or "ErrorCorruptData")
        return item

    def folder(self, element: etree._Element) -> Folder:
        """The folder that a FolderId or DistinguishedFolderId element means. Raises ResponseError."""
        identity = element.get("Id", "")
        if etree.QName(element).localname == "FolderId":
            mailbox, name = self._mailbox_of(identity), identity
        else:
            mailbox, name = self._named_mailbox(element), identity
        if self.faults.hit(FaultKind.FOLDER_GONE, mailbox.address, self.operation) is not None:
            raise self._no_folder()
        try:
            return mailbox.folder(name)
        except NoSuchFolder:
            raise self._no_folder() from None

    def target_folder(self, element: etree._Element, missing: str = "ErrorToFolderNotFound") -> Folder:
        """A folder that something is put into; `missing` is the error where it is not there. Raises ResponseError."""
        try:
            return self.folder(element)
        except ResponseError as error:
            raise (ResponseError(missing) if error.code == "ErrorFolderNotFound" else error) from None

    def _no_folder(self) -> ResponseError:
        syncing = self.operation in ("SyncFolderItems", "SyncFolderHierarchy")
        return ResponseError("ErrorSyncFolderNotFound" if syncing else "ErrorFolderNotFound")

    def _mailbox_of(self, opaque_id: str) -> Mailbox:
        try:
            return self.open(self.store.mailbox_of_id(opaque_id))
        except ValueError:
            raise ResponseError("ErrorInvalidIdMalformed") from None
        except NoSuchMailbox:
            raise ResponseError("ErrorItemNotFound") from None

    def _named_mailbox(self, element: etree._Element) -> Mailbox:
        address = element.findtext("t:Mailbox/t:EmailAddress", None, NAMES)
        if address is None:
            if self.acting_as is None:
                raise ResponseError("ErrorNonExistentMailbox", "No mailbox with such guid.")
            return self.open(self.acting_as)
        try:
            return self.open(self.store.mailbox(address))
        except NoSuchMailbox:
            raise ResponseError("ErrorNonExistentMailbox") from None
