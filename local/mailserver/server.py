"""The mail server as a whole: the store, who may sign in, the faults, and the heads that serve it on free loopback ports."""

import tempfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

from local.mailserver import delivery, sending
from local.mailserver.accounts import Account, Accounts, described
from local.mailserver.autodiscover import AUTODISCOVER_PATH, AutodiscoverEndpoint, Whereabouts
from local.mailserver.backend import Backend
from local.mailserver.consent import PATHS as CONSENT_PATHS
from local.mailserver.consent import AuthorizeEndpoint
from local.mailserver.contents import MAIL
from local.mailserver.control import CONTROL_PATH, Control
from local.mailserver.ews.authentication import SCHEMES
from local.mailserver.ews.endpoint import EwsEndpoint
from local.mailserver.faults import Faults
from local.mailserver.grants import Grants
from local.mailserver.habits import Habit, Habits
from local.mailserver.heads import LineHeads
from local.mailserver.journal import Journal
from local.mailserver.message import Message, spooled
from local.mailserver.model import MailStore, NotFound
from local.mailserver.oauth import IDENTITY_PATH, MANAGED_IDENTITY, TokenEndpoint
from local.mailserver.rights import Right
from local.mailserver.tls import server_context
from local.mailserver.transport import Accepted, Transport
from local.mailserver.web import Reply, Request, WebServer

EWS_PATH = "/EWS/Exchange.asmx"


class MailServer:
    """A context manager: serves while it is open.

    `schemes` are the ways of signing in that are offered: "ntlm", "basic", "bearer".
    """

    def __init__(
        self,
        *,
        ews_port: int = 0,
        smtp_port: int = 0,
        pop3_port: int = 0,
        imap_port: int = 0,
        schemes: Iterable[str] = SCHEMES,
        compress: bool = False,
        tls: bool = False,
    ) -> None:
        self.store = MailStore()
        self.accounts = Accounts()
        self.faults = Faults()
        self.requests = Journal()
        self.habits = Habits()
        self.grants = Grants(self.habits)
        self._transport = Transport(self.store, self.faults)
        backend = Backend(self.store, self.accounts, self.faults, self.requests, self.habits, self._transport)
        self._backend = backend
        self._ews = EwsEndpoint(backend, tuple(schemes), compress=compress)
        self._autodiscover = AutodiscoverEndpoint(self.store, self.accounts, self.faults, self.requests, tuple(schemes))
        self._tokens = TokenEndpoint(self.accounts, self.grants, self.faults, self.requests)
        self._authorize = AuthorizeEndpoint(self.accounts, self.grants)
        self._control = Control(self)
        self._web = WebServer(self._route, ews_port)
        self._lines = LineHeads(backend, pop3_port=pop3_port, imap_port=imap_port, smtp_port=smtp_port, tls=tls)
        self._directory = tempfile.TemporaryDirectory(prefix="sidesync-mailserver-") if tls else None
        self._secure: WebServer | None = None
        self.certificate_file: Path | None = None
        """Of the certificate that a client of `https_url` has to trust."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        context = None
        if self._directory is not None:
            context, self.certificate_file = server_context(Path(self._directory.name))
            self._secure = WebServer(self._route_securely, tls=context)
            self._secure.start()
        self._web.start()
        self._lines.start(context)

    def stop(self) -> None:
        self._ews.stop()
        self._lines.stop()
        self._web.stop()
        if self._secure is not None:
            self._secure.stop()
        if self._directory is not None:
            self._directory.cleanup()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._web.port}"

    @property
    def ews_url(self) -> str:
        return self.base_url + EWS_PATH

    @property
    def https_url(self) -> str:
        """The same server behind TLS. Raises RuntimeError unless it was asked for and is started."""
        if self._secure is None:
            raise RuntimeError("the server was not started with tls=True")
        return f"https://localhost:{self._secure.port}"

    @property
    def smtp_port(self) -> int:
        """Without TLS at first; with STARTTLS where the server was started with a certificate."""
        return self._lines.port("smtp")

    @property
    def smtps_port(self) -> int:
        """With TLS from the first byte. Raises RuntimeError unless it was asked for."""
        return self._lines.port("smtps")

    @property
    def pop3_port(self) -> int:
        """Without TLS at first; with STLS where the server was started with a certificate."""
        return self._lines.port("pop3")

    @property
    def pop3s_port(self) -> int:
        """With TLS from the first byte. Raises RuntimeError unless it was asked for."""
        return self._lines.port("pop3s")

    @property
    def imap_port(self) -> int:
        """Without TLS at first; with STARTTLS where the server was started with a certificate."""
        return self._lines.port("imap")

    @property
    def imaps_port(self) -> int:
        """With TLS from the first byte. Raises RuntimeError unless it was asked for."""
        return self._lines.port("imaps")

    @property
    def control_url(self) -> str:
        return self.base_url + CONTROL_PATH

    @property
    def identity_endpoint(self) -> str:
        """What IDENTITY_ENDPOINT names on App Service."""
        return self.base_url + IDENTITY_PATH

    @property
    def identity_header(self) -> str:
        """What IDENTITY_HEADER holds on App Service."""
        return self._tokens.identity_header

    def token_url(self, tenant: str) -> str:
        return f"{self.base_url}/{tenant}/oauth2/v2.0/token"

    def addresses(self) -> dict[str, str | int]:
        """Where everything is, for a process that started this one."""
        found: dict[str, str | int] = {
            "ews_url": self.ews_url,
            "control_url": self.control_url,
            "ews_port": self._web.port,
            **self._lines.ports(),
            "identity_endpoint": self.identity_endpoint,
            "identity_header": self.identity_header,
        }
        if self._secure is not None:
            found |= {"https_url": self.https_url, "certificate_file": str(self.certificate_file)}
        return found

    def add_mailbox(self, address: str, name: str = "", *, password: str | None = None, aliases: Sequence[str] = ()) -> None:
        """A mailbox, and, with a password, the account of its owner, whose name is the address."""
        self.store.add_mailbox(address, name, tuple(aliases))
        if password is not None:
            self.add_account(address, password, mailbox=address)

    def set_habits(self, habits: Sequence[Habit | str] = ()) -> None:
        """The server is so from now on, and not otherwise."""
        self.habits.set(habits)

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
        self.accounts.add(described(username, password, impersonation, full_access, mailbox, enabled, is_application=False))

    def set_account_enabled(self, username: str, enabled: bool) -> None:
        self._account(username).enabled = enabled

    def set_password(self, username: str, password: str) -> None:
        """Of an account, or the secret of an application."""
        self._account(username).password = password

    def _account(self, username: str) -> Account:
        account = self.accounts.find(username)
        if account is None:
            raise NotFound(username)
        return account

    def add_managed_identity(self, *, impersonation: bool | Sequence[str] = True, full_access: Sequence[str] = ()) -> None:
        """The managed identity gets tokens from now on."""
        self.add_application(MANAGED_IDENTITY, "", impersonation=impersonation, full_access=full_access)

    def revoke_tokens(self) -> None:
        """Every token issued so far is refused from now on."""
        self.accounts.revoke_tokens()

    def revoke_consents(self, username: str | None = None, *, expired: bool = False) -> None:
        """Every refresh token of a user, or of everybody, is refused from now on: revoked, or out of date."""
        self.grants.revoke(username, expired=expired)

    def set_token_lifetime(self, seconds: float) -> None:
        """Of access tokens issued from now on."""
        self.accounts.token_lifetime = seconds

    def add_application(
        self,
        client_id: str,
        secret: str = "",
        *,
        certificate: str | None = None,
        impersonation: bool | Sequence[str] = True,
        full_access: Sequence[str] = (),
        redirect_uris: Sequence[str] = (),
    ) -> None:
        """An application that gets tokens for its client secret, or for what the key of its certificate (PEM) signed.

        `redirect_uris`: where it may have users sent who consented. Without secret and certificate it is a public client.
        """
        account = described(client_id, secret, impersonation, full_access, None, True, is_application=True)
        account.certificate, account.redirect_uris = certificate, frozenset(redirect_uris)
        self.accounts.add(account)

    def deliver(
        self,
        raw: bytes,
        to: Sequence[str],
        received: datetime | None = None,
        *,
        internal: bool | None = False,
        folder: str = "inbox",
        item_class: str = "",
    ) -> list[str]:
        """Mail arrives: the id of each copy. `internal`: the sender was signed in; None: put there without any stamp.

        `item_class`: what the organisation's own servers tell each other beside the message; automatic replies have one.
        """
        items = delivery.deliver(self.store, raw, to, received, internal=internal, folder=folder, item_class=item_class)
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

    def send(self, raw: bytes, mailbox: str, time: datetime | None = None, *, answers: str | None = None) -> str:
        """Somebody writes mail in his mail client: the id of his copy in Sent Items.

        `raw` needs no more than recipients, subject and text; Bcc is for his copy only. `answers` is an item of his mailbox.
        """
        return sending.send(self.store, self._transport, raw, mailbox, time, answers=answers).id

    def grant_sending(self, mailbox: str, to: str, right: Right | str = Right.SEND_AS) -> None:
        """Somebody, by the address of his mailbox or the name of his account, may send in the name of a mailbox from now on."""
        self._backend.rights.grant(mailbox, to, right)

    def revoke_sending(self, mailbox: str, to: str) -> None:
        self._backend.rights.revoke(mailbox, to)

    def set_limits(self, largest_message: int | None = None, most_recipients: int | None = None) -> None:
        """Bytes, and recipients of one message, by every protocol; None: as the server is by itself."""
        self._backend.limits.set(largest_message, most_recipients)

    def accepted(self, message_id: str | None = None) -> list[Accepted]:
        """Every message that was sent through this server, by whatever protocol, oldest first; or the copies of one."""
        return self._transport.accepted(message_id)

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

    def categorize(self, mailbox: str, item_id: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> list[str]:
        """Somebody gives an item categories, or takes some away: those that it has then. Names ignore case."""
        found = self.store.mailbox(mailbox)
        with found.lock:
            gone = {name.lower() for name in remove}
            kept = [name for name in (*found.item(item_id).categories, *add) if name.lower() not in gone]
            return list(found.categorize(item_id, kept).categories)

    def categories(self, mailbox: str, item_id: str) -> list[str]:
        return list(self.store.mailbox(mailbox).item(item_id).categories)

    def add_folder(self, mailbox: str, name: str, parent: str = "msgfolderroot", kind: str = MAIL) -> str:
        """The id of the new folder; `kind` is its folder class. Raises FolderRefused, as the others do."""
        return self.store.mailbox(mailbox).add_folder(name, parent, kind).id

    def rename_folder(self, mailbox: str, folder: str, name: str) -> None:
        self.store.mailbox(mailbox).rename_folder(folder, name)

    def renumber_folder(self, mailbox: str, folder: str = "inbox") -> None:
        """As after a restore: the folder's UIDVALIDITY changes, and every uid (IMAP) and UIDL (POP3) with it."""
        self.store.mailbox(mailbox).renumber_folder(folder)

    def move_folder(self, mailbox: str, folder: str, parent: str) -> None:
        """With all that is in it; ids stay."""
        self.store.mailbox(mailbox).move_folder(folder, parent)

    def remove_folder(self, mailbox: str, folder: str, *, to_deleted_items: bool = False) -> None:
        """For good, or as mail clients do it: into the deleted items, from where it can be moved back."""
        found = self.store.mailbox(mailbox)
        (found.discard_folder if to_deleted_items else found.remove_folder)(folder)

    def invalidate_sync_states(self, mailbox: str) -> None:
        """As after a restore or a move of the mailbox: every sync state that a client holds is refused from now on."""
        for folder in self.store.mailbox(mailbox).folders.values():
            folder.forget_history()

    def items(self, mailbox: str, folder: str = "inbox") -> list[str]:
        """Ids of the items of a folder, newest first."""
        found = self.store.mailbox(mailbox)
        with found.lock:
            return [item.id for item in found.folder(folder).newest_first()]

    @property
    def whereabouts(self) -> Whereabouts:
        """What autodiscover answers."""
        return self._autodiscover.whereabouts

    def reset(self) -> None:
        """Empties everything: mailboxes, accounts, faults, requests, habits; autodiscover names this server again."""
        self._autodiscover.whereabouts = Whereabouts()
        self.store.clear()
        self.accounts.clear()
        self.grants.clear()
        self.faults.clear()
        self.requests.clear()
        self.habits.set()
        self._backend.rights.clear()
        self._backend.limits.set()
        self._backend.greylist.clear()
        self._transport.clear()

    def _route(self, request: Request) -> Reply:
        return self._reply(request, self.base_url)

    def _route_securely(self, request: Request) -> Reply:
        return self._reply(request, self.https_url)

    def _reply(self, request: Request, base_url: str) -> Reply:
        path = request.path.partition("?")[0]
        if path.lower() == EWS_PATH.lower():
            return self._ews.handle(request) if request.method == "POST" else Reply(405, headers=[("Allow", "POST")])
        if path.lower() == AUTODISCOVER_PATH:
            return self._autodiscover.handle(request, base_url + EWS_PATH)
        if path.startswith(CONTROL_PATH + "/"):
            return self._control.handle(request)
        if path.endswith(CONSENT_PATHS):
            return self._authorize.handle(request)
        if self._tokens.serves(path):
            return self._tokens.handle(request, base_url)
        return Reply(404)
