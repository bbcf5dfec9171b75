"""The IMAP mailbox that mail is read from: `IncomingEmail`, with its folders (`FolderTree`)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from shared.connectors.imap.columns import Columns
from shared.connectors.imap.discarding import Discarding
from shared.connectors.imap.folders import Folders
from shared.connectors.imap.listing import Listing
from shared.connectors.imap.places import Remembered
from shared.connectors.imap.reading import Reading
from shared.connectors.imap.session import Session
from shared.connectors.internet.connection import server_of
from shared.connectors.internet.gates import Gates
from shared.connectors.internet.sign_in import Identities, sign_in_for
from shared.domain.configuration import EmailServerProfile, Mailbox
from shared.domain.email import Envelope, IncomingMessage, ItemRef, Page
from shared.domain.errors import ItemError
from shared.domain.folders import INBOX, Folder, TreeFolder
from shared.ports import PAGE_ITEMS, Secrets

TLS_PORT, PORT = 993, 143


class ImapMail:
    """One mailbox, on one connection that is opened when something is asked first. For one thread at a time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._folders = Folders(session)
        columns, remembered = Columns(session, self._folders), Remembered()
        self._listing = Listing(session, self._folders, columns, remembered)
        self._reading = Reading(session, self._folders, columns, remembered)
        self._discarding = Discarding(session, self._folders)

    @property
    def source(self) -> str:
        """Whoever changes the port, or when the connection turns to TLS, still reads the same mailbox."""
        return f"imap://{self._session.server.host}#{self._session.username.lower()}"

    def folders(self) -> Sequence[Folder]:
        return (INBOX,)

    def tree(self) -> Sequence[TreeFolder]:
        return self._folders.tree()

    def changes(self, folder: Folder, watermark: str | None, limit: int = PAGE_ITEMS) -> Page:
        return self._listing.page(folder, watermark, limit)

    def latest(self, folder: Folder, count: int) -> Sequence[ItemRef]:
        return self._listing.latest(folder, count)

    def envelopes(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, Envelope | ItemError]]:
        return self._reading.envelopes(refs)

    def fetch(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, IncomingMessage | ItemError]]:
        return self._reading.messages(refs)

    def raw(self, ref: ItemRef) -> Iterator[bytes]:
        return self._reading.raw(ref)

    def discard(self, refs: Sequence[ItemRef]) -> Mapping[ItemRef, ItemError]:
        return self._discarding.discard(refs)


@contextmanager
def open_imap(
    profile: EmailServerProfile,
    mailbox: Mailbox,
    secrets: Secrets,
    gates: Gates | None = None,
    identities: Identities | None = None,
    *,
    allow_local_servers: bool,
) -> Iterator[ImapMail]:
    """The mailbox; connected when something is asked first. `gates` stop passwords that were refused before,
    `identities` keep tokens. Raises LocationRefused, AuthenticationFailed, TransientError."""
    server = server_of(profile, tls_port=TLS_PORT, port=PORT, allow_local_servers=allow_local_servers)
    sign_in = sign_in_for(profile, mailbox, secrets, identities, allow_local_servers=allow_local_servers)
    session = Session(server, sign_in, profile.timeout, gates or Gates(), allow_local_servers=allow_local_servers)
    try:
        yield ImapMail(session)
    finally:
        session.close()
