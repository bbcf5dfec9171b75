"""Forward mailboxes: server rules send users' and queues' mail there as attachments. Section 2.13 of the model.

Here the originals are taken out of what arrived, and it is said for whom they were: an original is judged as if the mailbox of
that user or queue had received it. Refuses to know who accepts it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from shared.domain.choices import Approval, EmailDeliveryMethod, OwnerKind, Reason
from shared.domain.configuration import AddressMatch, Mailbox, Matches, OwnerRef
from shared.domain.email import Address, Envelope, IncomingMessage
from shared.domain.errors import ItemError, ItemTooLarge, ItemUnreadable, SyncError
from shared.domain.ids import OwnerId, mailbox_id_of, normalised_address
from shared.domain.organisation import OrganisationSettings
from shared.ports import Mailboxes
from shared.sync.special import is_delivery_report

MOST_ORIGINALS = 100
"""Messages of one forward. A server rule attaches one, a person a handful; a stranger may write thousands."""
MOST_ATTACHMENTS = 1000
"""Of all originals of one forward: they are open files while it is judged."""


def is_forward(mailbox: Mailbox) -> bool:
    """Whether it collects what server rules forward, and belongs to nobody."""
    return mailbox.owner is None


def reads_sent_items(mailbox: Mailbox, settings: OrganisationSettings) -> bool:
    """Nobody's mail is what a forward mailbox sends: there is nothing in it to judge."""
    return settings.track_sent_items and not is_forward(mailbox)


def originals(message: IncomingMessage) -> Iterator[IncomingMessage | ItemError]:
    """The messages that were forwarded as attachments of `message`, or why one cannot be read; itself where it forwards none.
    What a delivery report returns was not forwarded. Raises TransientError."""
    readers = [] if is_delivery_report(message) else [each.message for each in message.attachments if each.message is not None]
    attachments = 0
    for read in readers[:MOST_ORIGINALS]:
        original = _read(read)
        if isinstance(original, ItemError):
            yield original
            continue
        attachments += len(original.attachments)
        if attachments > MOST_ATTACHMENTS:
            yield ItemTooLarge(f"The forwarded messages have more than {MOST_ATTACHMENTS} attachments.")
            return
        yield _from(message, original)
    if len(readers) > MOST_ORIGINALS:
        yield ItemTooLarge(f"More than {MOST_ORIGINALS} messages are forwarded in one.")
    if not readers:
        yield message


def _read(read: Callable[[], IncomingMessage]) -> IncomingMessage | ItemError:
    try:
        return read()
    except ItemError as error:
        return error
    except (SyncError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 # computed from this message alone, so whatever breaks is this message
        return ItemUnreadable(f"{type(error).__name__} while a forwarded message was read.").because_of(error)


def _from(forward: IncomingMessage, original: IncomingMessage) -> IncomingMessage:
    """With place, size and categories of the item that it came in, which is what the ledger knows."""
    forwarder = forward.sender or Address("")
    return replace(original, ref=forward.ref, size=forward.size, categories=forward.categories, forwarded_by=forwarder)


@dataclass(frozen=True, slots=True)
class Receiver:
    """For whom a message was."""

    mailbox: Mailbox
    """The one that received it; a forward mailbox with the owner that the message was for."""
    voice: AddressMatch | None
    """Who votes because the message reached it, whatever the headers say: the owner of the mailbox, else who forwarded it."""
    refusal: Reason | None = None
    """Why a forward mailbox leaves it alone."""


class Receivers:
    """For whom the messages of one mailbox are."""

    def __init__(self, mailboxes: Mailboxes, mailbox: Mailbox, voice: AddressMatch | None, executor: Executor) -> None:
        """`voice`: the owner of the mailbox with its filter; None of a forward mailbox."""
        self._mailboxes = mailboxes
        self._mailbox = mailbox
        self._executor = executor
        self._own = Receiver(mailbox, voice)
        self._collected: dict[OwnerRef, bool] = {}
        """Of users and queues: whether their mail is read through a forward mailbox."""

    @property
    def voice(self) -> AddressMatch | None:
        """The owner of the mailbox."""
        return self._own.voice

    @property
    def unwraps(self) -> bool:
        """The mailbox is a forward mailbox: what it receives are forwards, not the messages themselves."""
        return is_forward(self._mailbox)

    def look_up(self, envelopes: Sequence[Envelope], matches: Matches) -> None:
        """Finds out whose mail is read through a forward mailbox. Raises TransientError."""
        forwarded = [each for each in envelopes if each.forwarded_by is not None]
        owners = {_ref(match) for each in forwarded for match in (*_forwarders(each, matches), *_recipients(each, matches))}
        unknown = sorted(owners - self._collected.keys(), key=lambda owner: (owner.kind, owner.id))
        self._collected |= dict(zip(unknown, self._executor.map(self._is_collected, unknown), strict=True))

    def of(self, envelope: Envelope, matches: Matches) -> Receiver:
        """After `look_up`. It was for the first recipient whose mail is read through a forward mailbox, else for who forwarded
        it (to whom it came by an alias, a distribution list, or Bcc). Only our own people forward: what a stranger attaches
        proves nothing."""
        if not self.unwraps:
            return self._own
        if envelope.forwarded_by is None:
            return Receiver(self._mailbox, None, Reason.PLAIN_FORWARD)
        forwarders = _forwarders(envelope, matches)
        if not forwarders:
            return Receiver(self._mailbox, None, Reason.UNKNOWN_FORWARDER)
        voice = next(iter(self._those_collected(forwarders)), None)
        for owner in (*self._those_collected(_recipients(envelope, matches)), *([voice] if voice else ())):
            return Receiver(replace(self._mailbox, owner=_ref(owner)), voice)
        return Receiver(self._mailbox, None, Reason.NOT_COLLECTED)

    def _those_collected(self, owners: Collection[AddressMatch]) -> list[AddressMatch]:
        return [each for each in owners if self._collected[_ref(each)]]

    def _is_collected(self, owner: OwnerRef) -> bool:
        stored = self._mailboxes.get(mailbox_id_of(owner.kind, owner.id))
        if stored is None or not stored.record.active or stored.record.approval is not Approval.APPROVED:
            return False
        return stored.record.incoming_method is EmailDeliveryMethod.FORWARD_MAILBOX


def addresses_asked(envelope: Envelope) -> frozenset[str]:
    """The normalised addresses that tell for whom it was, beside those that any judgement asks for."""
    forwarder = normalised_address(envelope.forwarded_by.address) if envelope.forwarded_by is not None else ""
    return frozenset({forwarder} - {""})


def _forwarders(envelope: Envelope, matches: Matches) -> list[AddressMatch]:
    return _owners(addresses_asked(envelope), matches)


def _recipients(envelope: Envelope, matches: Matches) -> list[AddressMatch]:
    named = (*envelope.to, *envelope.cc, *envelope.bcc)
    return _owners(dict.fromkeys(normalised_address(each.address) for each in named), matches)


def _owners(addresses: Collection[str], matches: Matches) -> list[AddressMatch]:
    """The active users and queues that have one of these addresses, in their order."""
    return [match for address in addresses for match in matches.get(address, ()) if match.is_own and match.active]


def _ref(owner: AddressMatch) -> OwnerRef:
    return OwnerRef(OwnerKind(owner.kind), OwnerId(owner.id))
