"""The Exchange mailbox that email is sent through: `Drafting` over EWS.

Ten emails are two requests: one creates the drafts, with what is small of their attachments, and one sends them; larger
attachments follow one by one.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import batched

from shared.connectors.exchange.drafts import MOST_KEYS, Created, CreateItem, Draft, FindDraft, GetDraft, Parcel, SendItem
from shared.connectors.exchange.emails import each_answered, refused_alone
from shared.connectors.exchange.errors import RequestRefused
from shared.connectors.exchange.folders import GetFolder
from shared.connectors.exchange.refusals import StaleDraft, is_of_everybody, of_email
from shared.connectors.exchange.services import DeleteItem
from shared.connectors.exchange.session import Session
from shared.connectors.exchange.traces import traces
from shared.connectors.exchange.uploading import CreateAttachment, content_of
from shared.domain.email import ItemRef
from shared.domain.errors import (
    AccessDenied,
    AuthenticationFailed,
    CertificateRefused,
    ConnectionRefused,
    DelegateAccessMissing,
    DeliveryError,
    DeliveryPostponed,
    DeliveryUnknown,
    DraftGone,
    EmailTooLarge,
    FolderNotFound,
    ItemTooLarge,
    NameNotFound,
    NoMailServer,
    NotGiven,
    SyncError,
    TransientError,
)
from shared.domain.folders import DRAFTS
from shared.domain.outgoing import OutgoingAttachment, OutgoingMessage, Receipt, Trace

TOGETHER = 25
"""Drafts of one request: a server answers what takes long with a timeout, and leaves open what happened."""
LARGEST_REQUEST = 4 << 20
"""Characters of bodies and bytes of attachments in one request, unless one email alone has more."""
ALONG = 512 << 10
"""Bytes of the attachments of one email that go along with its draft."""
MOST_ALONG = 50

_BEFORE_THE_REQUEST = (AuthenticationFailed, CertificateRefused, ConnectionRefused, NameNotFound)
"""Errors after which a server has certainly done nothing of what it was to be asked."""
_ATTACHES_AT_ONCE = "Exchange2013"
"""The first version whose CreateItem takes attachments."""


class ExchangeOutgoing:
    """One mailbox. Not thread-safe."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def source(self) -> str:
        return self._session.source

    def check(self) -> None:
        with self._of_mailbox():
            if not GetFolder(self._session).takes_items(DRAFTS):
                raise FolderNotFound("GetFolder: nothing may be created among the drafts.")

    def prepare(self, messages: Sequence[OutgoingMessage]) -> Sequence[str | DeliveryError]:
        with self._of_mailbox():
            return [outcome for some in self._requests(messages) for outcome in self._prepared(some)]

    def submit(self, drafts: Sequence[str], *, save_copy: bool) -> Sequence[Receipt | DeliveryError]:
        """What fails for a reason that passes may have been sent all the same, if it took too long for one: it is looked at."""
        outcomes = self._sent([Draft.of(reference) for reference in drafts], save_copy=save_copy)
        doubtful = [place for place, outcome in enumerate(outcomes) if _is_doubtful(outcome)]
        present = dict(zip(doubtful, self.find([drafts[place] for place in doubtful]), strict=True))
        stale = [place for place in doubtful if isinstance(outcomes[place], StaleDraft)]
        waiting = {place: Draft.of(found) for place in stale if isinstance(found := present[place], str)}
        again = self._sent(list(waiting.values()), save_copy=save_copy)
        for place, outcome in zip(waiting, again, strict=True):
            outcomes[place] = outcome
        for place in doubtful:
            if not isinstance(present[place], str):
                outcomes[place] = DeliveryUnknown("The draft is not there any more, or the server does not tell.")
        return outcomes

    def _sent(self, drafts: Sequence[Draft], *, save_copy: bool) -> list[Receipt | DeliveryError]:
        away: list[SyncError] = []

        def send(some: Sequence[Draft]) -> Sequence[Receipt | SyncError]:
            """What was sent before the server was not reached any more has its answer."""
            if not away:
                try:
                    return SendItem(self._session).send(some, save_copy=save_copy)
                except _BEFORE_THE_REQUEST as error:
                    away.append(error)
            return [NotGiven(str(away[0])).because_of(away[0]) for _ in some]

        with self._of_mailbox():
            requests = batched(drafts, TOGETHER, strict=False)
            return [outcome for some in requests for outcome in each_answered(some, send, self.check)]

    def find(self, drafts: Sequence[str]) -> Sequence[str | DeliveryError | None]:
        """One that the server can never look at keeps its reference: sending it says what is wrong."""
        found: list[str | DeliveryError | None] = []
        for some in batched(drafts, TOGETHER, strict=False):
            ask = GetDraft(self._session).present
            answers = each_answered([Draft.of(reference) for reference in some], ask, self.check)
            found += map(_present, some, answers)
        return found

    def trace(self, keys: Collection[str], *, has_copies: bool) -> Mapping[str, Trace]:
        return traces(self._session, keys, everywhere=has_copies)

    def withdraw(self, keys: Collection[str]) -> None:
        """What the server does not delete stays: nobody knows it, so nobody sends it. A person can recover what is deleted: it
        may be he who wrote the last of it."""
        for some in batched(sorted(keys), MOST_KEYS, strict=False):
            asked: set[ItemRef] = set()
            while found := [ref for ref in self._carrying(some) if ref not in asked]:
                DeleteItem(self._session).delete(found, how="SoftDelete")
                asked.update(found)

    def _carrying(self, keys: Sequence[str]) -> Sequence[ItemRef]:
        with self._of_mailbox():
            return FindDraft(self._session).of(keys)

    @contextmanager
    def _of_mailbox(self) -> Iterator[None]:
        """Exchange hides folders from who may not see them."""
        try:
            yield
        except FolderNotFound as error:
            denied = AccessDenied if self._session.acts_as_mailbox else DelegateAccessMissing
            raise denied(str(error)) from error

    # ---- drafts

    def _requests(self, messages: Sequence[OutgoingMessage]) -> Iterator[Sequence[OutgoingMessage]]:
        """Those that one request creates."""
        group: list[OutgoingMessage] = []
        size = 0
        for message in messages:
            own = len(message.body_html or message.body_text) + sum(each.size for each in self._along(message))
            if group and (len(group) == TOGETHER or size + own > LARGEST_REQUEST):
                yield group
                group, size = [], 0
            group.append(message)
            size += own
        if group:
            yield group

    def _along(self, message: OutgoingMessage) -> Sequence[OutgoingAttachment]:
        """The first of the attachments: they keep their order."""
        if self._session.version.api_version < _ATTACHES_AT_ONCE:
            return ()
        count, size = 0, 0
        for attachment in message.attachments[:MOST_ALONG]:
            size += attachment.size
            if size > ALONG:
                break
            count += 1
        return message.attachments[:count]

    def _prepared(self, messages: Sequence[OutgoingMessage]) -> list[str | DeliveryError]:
        parcels = [self._parcel(message) for message in messages]
        whole = [parcel for parcel in parcels if isinstance(parcel, Parcel)]
        created = iter(each_answered(whole, CreateItem(self._session).drafts, self.check))
        return [self._completed(parcel, next(created)) if isinstance(parcel, Parcel) else parcel for parcel in parcels]

    def _parcel(self, message: OutgoingMessage) -> Parcel | DeliveryError:
        along = self._along(message)
        try:
            contents = tuple((each, b"".join(content_of(each))) for each in along)
        except DeliveryError as error:
            return error
        return Parcel(message, contents, message.attachments[len(along) :])

    def _completed(self, parcel: Parcel, created: Created | DeliveryError) -> str | DeliveryError:
        if isinstance(created, DeliveryError):
            return created
        if created.attachments != len(parcel.along):
            self._discard(created.draft)
            return self._created_bare(parcel.message)
        return self._with_attachments(created.draft, parcel.following)

    def _created_bare(self, message: OutgoingMessage) -> str | DeliveryError:
        """For a server that does not take attachments along, whatever its version says."""
        (created,) = each_answered([Parcel(message)], CreateItem(self._session).drafts, self.check)
        return created if isinstance(created, DeliveryError) else self._with_attachments(created.draft, message.attachments)

    def _with_attachments(self, draft: Draft, attachments: Sequence[OutgoingAttachment]) -> str | DeliveryError:
        try:
            for attachment in attachments:
                draft = self._attached(draft, attachment)
        except DeliveryError as error:
            self._discard(draft)
            return error
        return draft.reference

    def _attached(self, draft: Draft, attachment: OutgoingAttachment) -> Draft:
        """What fails while the server answers otherwise is this email's failure. Raises DeliveryError."""
        try:
            return CreateAttachment(self._session).attach(draft, attachment)
        except DeliveryError:
            raise
        except SyncError as error:
            if is_of_everybody(error):
                raise
            self.check()
            raise _of_attachment(error) from error

    def _discard(self, draft: Draft) -> None:
        DeleteItem(self._session).delete([ItemRef(draft.id, DRAFTS.id)])


def _present(reference: str, answer: Draft | DeliveryError | None) -> str | DeliveryError | None:
    match answer:
        case None | DraftGone():
            return None
        case Draft():
            return answer.reference
        case DeliveryPostponed():
            return answer
        case _:
            return reference


def _is_doubtful(outcome: Receipt | DeliveryError) -> bool:
    """Its draft has another version than was thought, or may be on its way."""
    cause = outcome.__cause__ if isinstance(outcome, DeliveryPostponed) else None
    return isinstance(outcome, StaleDraft) or (isinstance(cause, TransientError) and not is_of_everybody(cause))


def _of_attachment(error: SyncError) -> DeliveryError:
    if isinstance(error, RequestRefused | ItemTooLarge):
        return refused_alone(error)
    if isinstance(error, NoMailServer):
        # IIS tells what exceeds its limit that there is nothing here (HTTP 404.13).
        return EmailTooLarge("An attachment is larger than the server takes.").because_of(error)
    return of_email(error)
