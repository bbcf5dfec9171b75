"""Mailboxes behind POP3 and IMAP for tests: on the local mail server, and on Dovecot. Says the same of both."""

import imaplib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from local.mailserver import MailServer
from tests.contracts.exchange_mailboxes import PASSWORD, ServedByExchange, a_new_mailbox
from tests.contracts.incoming_email import NOON, MailServed
from tests.dovecot import PASSWORD as DOVECOT_PASSWORD
from tests.dovecot import Dovecot, DovecotMailbox


class InternetMailServed(MailServed, Protocol):
    """One mailbox, from the server's side."""

    @property
    def address(self) -> str:
        """What its owner signs in with, too."""
        ...

    def read_messages(self) -> int:
        """How many of its Inbox are marked as read."""
        ...

    def count(self) -> int:
        """Messages in its Inbox now."""
        ...

    def forget_identities(self) -> None:
        """As after a restore: the same messages, each with another UID and UIDL."""
        ...

    def mark_deleted(self, message_id: str) -> None:
        """As mail clients do it that remove messages later (IMAP)."""
        ...

    def add_folder(self, name: str, below: str | None = None) -> str:
        """What the other calls know the new folder by; without `below` it is below the Inbox."""
        ...

    def rename_folder(self, folder: str, name: str) -> None: ...

    def remove_folder(self, folder: str) -> None: ...

    def move_to(self, message_id: str, folder: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Of one protocol: what begins in the clear, and what begins with TLS."""

    plain: int
    tls: int


class Place(Protocol):
    """A mail server that tests run on; each of its mailboxes has the same password."""

    @property
    def password(self) -> str: ...

    @property
    def pop3(self) -> Ports: ...

    @property
    def imap(self) -> Ports: ...

    @property
    def certificate_file(self) -> Path: ...

    def new_mailbox(self) -> InternetMailServed: ...

    def token(self, address: str) -> str:
        """A bearer token that opens the mailbox."""
        ...


@dataclass(frozen=True, slots=True)
class ServedLocally(ServedByExchange):
    def read_messages(self) -> int:
        return sum(item.is_read for item in self.server.store.mailbox(self.address).folder("inbox").items.values())

    def count(self) -> int:
        return len(self.server.items(self.address))

    def forget_identities(self) -> None:
        self.server.renumber_folder(self.address)
        self.server.store.mailbox(self.address).guid = uuid4().hex

    def mark_deleted(self, message_id: str) -> None:
        self.server.store.mailbox(self.address).flag(self.item(message_id), {"\\Deleted"}, is_draft=False)

    def rename_folder(self, folder: str, name: str) -> None:
        self.server.rename_folder(self.address, folder, name)

    def remove_folder(self, folder: str) -> None:
        self.server.remove_folder(self.address, folder)


@dataclass(frozen=True, slots=True)
class LocalPlace:
    server: MailServer
    password: str = PASSWORD

    @property
    def pop3(self) -> Ports:
        return Ports(self.server.pop3_port, self.server.pop3s_port)

    @property
    def imap(self) -> Ports:
        return Ports(self.server.imap_port, self.server.imaps_port)

    @property
    def certificate_file(self) -> Path:
        assert self.server.certificate_file is not None
        return self.server.certificate_file

    def new_mailbox(self) -> ServedLocally:
        address = a_new_mailbox(self.server).address
        self.server.add_account(address, PASSWORD, mailbox=address)
        return ServedLocally(self.server, address)

    def token(self, address: str) -> str:
        account = self.server.accounts.find(address)
        assert account is not None
        return self.server.accounts.issue_token(account)[0]


@dataclass(frozen=True, slots=True)
class ServedByDovecot:
    """Whatever happens to messages and folders behind the connector's back happens by IMAP, as a mail client does it."""

    maildir: DovecotMailbox

    @property
    def address(self) -> str:
        return self.maildir.username

    def deliver(self, raw: bytes, received: datetime = NOON, *, internal: bool | None = False) -> None:
        self.maildir.deliver(raw, received, stamped=internal is not None)

    def remove(self, message_id: str) -> None:
        def delete(imap: imaplib.IMAP4) -> None:
            imap.uid("STORE", _uid(imap, message_id), "+FLAGS", "(\\Deleted)")
            imap.expunge()

        self._act(delete)

    def read_messages(self) -> int:
        return sum("S" in flags for flags in self.maildir.flags())

    def count(self) -> int:
        return len(self.maildir.messages())

    def forget_identities(self) -> None:
        self.maildir.forget_identities()

    def mark_deleted(self, message_id: str) -> None:
        self._act(lambda imap: _done(imap.uid("STORE", _uid(imap, message_id), "+FLAGS", "(\\Deleted)")))

    def add_folder(self, name: str, below: str | None = None) -> str:
        full = f"{below or 'INBOX'}/{name}"
        self._act(lambda imap: _done(imap.create(_quoted(full))))
        return full

    def rename_folder(self, folder: str, name: str) -> None:
        new = f"{folder.rpartition('/')[0]}/{name}"
        self._act(lambda imap: _done(imap.rename(_quoted(folder), _quoted(new))))

    def remove_folder(self, folder: str) -> None:
        self._act(lambda imap: _done(imap.delete(_quoted(folder))))

    def move_to(self, message_id: str, folder: str) -> None:
        self._act(lambda imap: _done(imap.uid("MOVE", _uid(imap, message_id), _quoted(folder))))

    def _act(self, action: Callable[[imaplib.IMAP4], None]) -> None:
        server = self.maildir.server
        with imaplib.IMAP4(server.host, server.imap_port) as imap:
            imap.login(self.address, DOVECOT_PASSWORD)
            imap.select()
            action(imap)


@dataclass(frozen=True, slots=True)
class DovecotPlace:
    server: Dovecot
    password: str = DOVECOT_PASSWORD

    @property
    def pop3(self) -> Ports:
        return Ports(self.server.pop3_port, self.server.pop3s_port)

    @property
    def imap(self) -> Ports:
        return Ports(self.server.imap_port, self.server.imaps_port)

    @property
    def certificate_file(self) -> Path:
        return self.server.certificate_file

    def new_mailbox(self) -> ServedByDovecot:
        return ServedByDovecot(self.server.add_mailbox())

    def token(self, address: str) -> str:
        return self.server.token(address)


def _uid(imap: imaplib.IMAP4, message_id: str) -> str:
    _, (found, *_) = imap.uid("SEARCH", "HEADER", "Message-ID", f'"<{message_id}>"')
    (uid,) = found.split()
    return str(uid, "ascii")


def _done(answer: tuple[str, list[bytes]]) -> None:
    assert answer[0] == "OK", answer


def _quoted(name: str) -> str:
    return '"' + _utf7(name).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _utf7(name: str) -> str:
    """Names of folders on the wire (RFC 3501 section 5.1.3)."""
    written, other = "", ""
    for letter in f"{name}\0":
        if " " <= letter <= "~" or letter == "\0":
            if other:
                written += "&" + other.encode("utf-7").decode()[1:].rstrip("-").replace("/", ",") + "-"
                other = ""
            written += "&-" if letter == "&" else letter.rstrip("\0")
        else:
            other += letter
    return written
