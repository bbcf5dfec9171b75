"""Mail servers: what a mailbox offers for reading and for sending, how it is probed, and who lets us in."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from shared.domain.configuration import (
    Discovered,
    EmailServerProfile,
    Mailbox,
)
from shared.domain.consents import ConsentRequest, ConsentTerms
from shared.domain.email import (
    Envelope,
    IncomingMessage,
    ItemRef,
    Page,
)
from shared.domain.errors import DeliveryError, ItemError
from shared.domain.folders import Folder, TreeFolder
from shared.domain.outgoing import OutgoingMessage, Receipt, Trace

PAGE_ITEMS = 512
"""Items of a page at most; Exchange allows no more."""


class IncomingEmail(Protocol):
    """A mailbox that mail is read from."""

    @property
    def source(self) -> str:
        """Identifies endpoint and mailbox; a watermark is only good for the source it came from."""
        ...

    def folders(self) -> Sequence[Folder]:
        """The folders that are always watched. Asks the server nothing that it answered before."""
        ...

    def changes(self, folder: Folder, watermark: str | None, limit: int = PAGE_ITEMS) -> Page:
        """Changes after `watermark`, all there is if None. Raises WatermarkExpired, FolderNotFound, MailboxError."""
        ...

    def envelopes(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, Envelope | ItemError]]:
        """As `fetch`, without bodies and attachments: cheap, for mail that may not be wanted."""
        ...

    def latest(self, folder: Folder, count: int) -> Sequence[ItemRef]:
        """The `count` items received last, newest first; for looking, not for synchronizing. Raises FolderNotFound."""
        ...

    def fetch(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, IncomingMessage | ItemError]]:
        """The messages, in the order of `refs`, each or the error it has. ItemGone where it is not there any more."""
        ...

    def raw(self, ref: ItemRef) -> Iterator[bytes]:
        """The MIME form, streamed. Raises ItemError."""
        ...

    def discard(self, refs: Sequence[ItemRef]) -> Mapping[ItemRef, ItemError]:
        """Deletes the items for good: final when it returns. Those that the server refuses to delete, with its reason; one that
        is gone already counts as deleted."""
        ...


@runtime_checkable
class FolderTree(Protocol):
    """A mailbox whose folders below the Inbox can be watched."""

    def tree(self) -> Sequence[TreeFolder]:
        """All folders of mail below the Inbox, in any order."""
        ...


@runtime_checkable
class Marking(Protocol):
    """A mailbox whose items can be marked and moved. All calls are idempotent; an item that is gone raises ItemGone."""

    def categorize(self, ref: ItemRef, add: Collection[str], remove: Collection[str]) -> None:
        """Categories of the item; those not named stay."""
        ...

    def move(self, ref: ItemRef, folder_name: str, message_id: str | None) -> ItemRef:
        """Moves the item to the folder of that name beside the Inbox, which is created where it does not exist; returns
        where the item is now. One that is there already stays, also where nobody was told its new reference: it is known by
        its (normalised) Message-ID then, if no other item there has the same."""
        ...


class OpenMailbox(Protocol):
    """Chooses the connector for a mailbox and opens it. Raises MailboxError, TransientError."""

    def __call__(
        self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None = None
    ) -> AbstractContextManager[IncomingEmail]:
        """`discovered` says where it is, for a profile that uses autodiscover."""
        ...


class Sending(Protocol):
    """A mailbox whose server takes an email in one go and cannot be asked later whether it did (SMTP)."""

    def check(self) -> None:
        """Signs in as for sending, and sends nothing. Raises MailboxError, TransientError."""
        ...

    def send(self, message: OutgoingMessage) -> Receipt:
        """Raises DeliveryError about this email, DeliveryUnknown among them; MailboxError and TransientError about the mailbox
        or the server, with the certainty that this email was not accepted."""
        ...


@runtime_checkable
class Drafting(Protocol):
    """A mailbox whose server keeps drafts, so that it can be told whether one was sent (Exchange). A draft is complete before
    anybody knows its reference; only what is known is ever sent, so one that nobody knows was not."""

    @property
    def source(self) -> str:
        """Identifies endpoint and mailbox; a reference is only good for the source it came from."""
        ...

    def check(self) -> None:
        """Opens the folder of drafts as the identity that sends; makes and sends nothing there. Raises MailboxError,
        TransientError."""
        ...

    def prepare(self, messages: Sequence[OutgoingMessage]) -> Sequence[str | DeliveryError]:
        """For each, in order, the reference of a complete draft that carries its key, or the error that it has. Raises
        MailboxError, TransientError: what was begun then is there as unfinished drafts."""
        ...

    def submit(self, drafts: Sequence[str], *, save_copy: bool) -> Sequence[Receipt | DeliveryError]:
        """Sends drafts that `prepare` made; for each, in order, what the server answers. DraftGone where it is not there, and
        this call did not send it; NotGiven where the server was not reached. Raises MailboxError, TransientError: which of them
        were sent then says `find`."""
        ...

    def find(self, drafts: Sequence[str]) -> Sequence[str | DeliveryError | None]:
        """The present reference of each draft, None where it is not there any more, the error where the server does not tell
        now. Raises MailboxError, TransientError."""
        ...

    def trace(self, keys: Collection[str], *, has_copies: bool) -> Mapping[str, Trace]:
        """Where drafts went that are not there any more, by the keys that they carry. For recovery: it searches folders.
        `has_copies`: what is sent leaves a copy, so that one of which there is none is searched for everywhere. Raises
        MailboxError, TransientError."""
        ...

    def withdraw(self, keys: Collection[str]) -> None:
        """Removes drafts that carry one of these keys, unless somebody has worked on them since. Idempotent."""
        ...


type OutgoingEmail = Sending | Drafting
"""A mailbox that email is sent through."""


class OpenOutgoing(Protocol):
    """Chooses the connector for what a mailbox sends and opens it. Raises MailboxError, TransientError."""

    def __call__(
        self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None = None
    ) -> AbstractContextManager[OutgoingEmail]: ...


class Probe(Protocol):
    """Tries for real, as the identity that will act, whether a workload of a mailbox works."""

    def __call__(self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None) -> None:
        """Returns when it works. Raises SyncError whose remedy names what to change first."""
        ...


class Discover(Protocol):
    """Finds out where a mailbox is (Exchange autodiscover)."""

    def __call__(self, profile: EmailServerProfile, mailbox: Mailbox, now: datetime) -> Discovered:
        """Raises MailboxError, TransientError."""
        ...


@dataclass(frozen=True, slots=True)
class Granted:
    """What an issuer of tokens gave for a consent."""

    refresh_token: str
    expires_in: timedelta | None = None
    """Until the consent ends, used or not; None where the issuer names no time."""


class ConsentIssuer(Protocol):
    """Where owners of mailboxes consent (RFC 6749 section 4.1, RFC 7636)."""

    def address(self, terms: ConsentTerms, *, login_hint: str, redirect_uri: str, state: str, challenge: str) -> str:
        """URL of the page on which the owner consents. Asks nobody. Raises MailboxError where the terms name no issuer."""
        ...

    def redeem(self, profile: EmailServerProfile, request: ConsentRequest, code: str, verifier: str) -> Granted:
        """What the code gives, which is good once. Raises MailboxError, TransientError."""
        ...

    def revoke(self, terms: ConsentTerms, refresh_token: str) -> bool:
        """Ends the consent at the issuer; False where the issuer has no way for it. Raises MailboxError, TransientError."""
        ...


class ConnectionShares(Protocol):
    """Divides the connections that an authenticated identity may open among all worker processes that use it."""

    def claim(
        self, identity: str, worker: str, wanted: int, limit: int, now: datetime, until: datetime, in_use: int = 0
    ) -> int:
        """How many connections `worker` may open until `until`: never more over all workers than `limit`; replaces what it
        claimed before, but takes none of those away that are `in_use`. 0 where others have them all."""
        ...
