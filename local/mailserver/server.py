"""The mail server as a whole: the store, who may sign in, the faults, and the heads that serve it on free loopback ports."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Self

from local.mailserver import delivery
from local.mailserver.accounts import Account, Accounts
from local.mailserver.ews.authentication import SCHEMES
from local.mailserver.ews.endpoint import EwsEndpoint
from local.mailserver.faults import Faults
from local.mailserver.journal import Journal
from local.mailserver.message import Message, spooled
from local.mailserver.model import MailStore
from local.mailserver.web import Reply, Request, WebServer

EWS_PATH = "/EWS/Exchange.asmx"


class MailServer:
    """A context manager: serves while it is open.

    `schemes` are the ways of signing in that are offered: "ntlm", "basic", "bearer".
    """

    def __init__(self, *, ews_port: int = 0, schemes: Iterable[str] = SCHEMES, compress: bool = False) -> None:
        self.store = MailStore()
        self.accounts = Accounts()
        self.faults = Faults()
        self.requests = Journal()
        self._ews = EwsEndpoint(self.store, self.accounts, self.faults, self.requests, tuple(schemes), compress=compress)
        self._web = WebServer(self._route, ews_port)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._web.start()

    def stop(self) -> None:
        self._ews.stop()
        self._web.stop()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._web.port}"

    @property
    def ews_url(self) -> str:
        return self.base_url + EWS_PATH

    def add_mailbox(self, address: str, name: str = "", *, password: str | None = None, aliases: Sequence[str] = ()) -> None:
        """A mailbox, and, with a password, the account of its owner, whose name is the address."""
        self.store.add_mailbox(address, name, tuple(aliases))
        if password is not None:
            self.add_account(address, password, mailbox=address)

    def set_mailbox_enabled(self, address: str, enabled: bool) -> None:
        self.store.mailbox(address).enabled = enabled

    def add_account(
        self,
        username: str,
        password: str,
        *,
        impersonation: bool | Sequence[str] = False,
        full_access: Sequence[str] = (),
        mailbox: str | None = None,
        enabled: bool = True,
    ) -> None:
        """An account with a password. `impersonation`: of all or of these; `full_access`: as a delegate, "*" is all."""
        self.accounts.add(_account(username, password, impersonation, full_access, mailbox, enabled, is_application=False))

    def add_application(
        self, client_id: str, secret: str, *, impersonation: bool | Sequence[str] = True, full_access: Sequence[str] = ()
    ) -> None:
        """An application that gets tokens for its client secret."""
        self.accounts.add(_account(client_id, secret, impersonation, full_access, None, True, is_application=True))

    def deliver(
        self,
        raw: bytes,
        to: Sequence[str],
        received: datetime | None = None,
        *,
        internal: bool | None = False,
        folder: str = "inbox",
    ) -> list[str]:
        """Mail arrives: the id of each copy. `internal`: the sender was signed in; None: put there without any stamp."""
        items = delivery.deliver(self.store, raw, to, received, internal=internal, folder=folder)
        return [item.id for item in items]

    def put(
        self,
        raw: bytes,
        mailbox: str,
        folder: str,
        received: datetime | None = None,
        *,
        draft: bool = False,
        from_me: bool = False,
        read: bool = True,
    ) -> str:
        """What a mail client stores by itself: a draft, or its copy of what it sent. It never went through transport."""
        message = Message(spooled(raw))
        item = self.store.mailbox(mailbox).add_item(
            message, folder, received, is_read=read, is_draft=draft, is_from_me=from_me, through_transport=False
        )
        return item.id

    def move(self, mailbox: str, item_id: str, folder: str) -> str:
        """The new id."""
        return self.store.mailbox(mailbox).move(item_id, folder).id

    def remove(self, mailbox: str, item_id: str) -> None:
        self.store.mailbox(mailbox).remove(item_id)

    def mark_read(self, mailbox: str, item_id: str, read: bool = True) -> None:
        self.store.mailbox(mailbox).mark_read(item_id, read)

    def touch(self, mailbox: str, item_id: str) -> None:
        """Somebody changes something about an item: its change key changes."""
        self.store.mailbox(mailbox).touch(item_id)

    def add_folder(self, mailbox: str, name: str, parent: str = "msgfolderroot") -> str:
        """The id of the new folder."""
        return self.store.mailbox(mailbox).add_folder(name, parent).id

    def remove_folder(self, mailbox: str, folder: str) -> None:
        self.store.mailbox(mailbox).remove_folder(folder)

    def invalidate_sync_states(self, mailbox: str) -> None:
        """As after a restore or a move of the mailbox: every sync state that a client holds is refused from now on."""
        for folder in self.store.mailbox(mailbox).folders.values():
            folder.forget_history()

    def items(self, mailbox: str, folder: str = "inbox") -> list[str]:
        """Ids of the items of a folder, newest first."""
        found = self.store.mailbox(mailbox)
        with found.lock:
            target = found.folder(folder)
            return [item.id for item in target.newest_first(None, len(target.items))]

    def reset(self) -> None:
        """Empties everything: mailboxes, accounts, faults, requests."""
        self.store.clear()
        self.accounts.clear()
        self.faults.clear()
        self.requests.clear()

    def _route(self, request: Request) -> Reply:
        path = request.path.partition("?")[0]
        if path.lower() == EWS_PATH.lower():
            return self._ews.handle(request) if request.method == "POST" else Reply(405, headers=[("Allow", "POST")])
        return Reply(404)


def _account(
    username: str,
    secret: str,
    impersonation: bool | Sequence[str],
    full_access: Sequence[str],
    mailbox: str | None,
    enabled: bool,
    *,
    is_application: bool,
) -> Account:
    some = frozenset() if isinstance(impersonation, bool) else frozenset(address.lower() for address in impersonation)
    return Account(
        username=username,
        password=secret,
        mailbox=mailbox,
        may_impersonate=bool(impersonation),
        impersonates=some,
        full_access=frozenset(address.lower() for address in full_access),
        enabled=enabled,
        is_application=is_application,
    )
