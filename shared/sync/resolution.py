"""Whom the addresses of a message stand for, and who owns its activity: sections 2.5 and 2.6 of the model. Pure.

The sender becomes exactly one party; every recipient becomes all that have the address, as far as it was looked up. What is
resolved here is a proposal: where the email is stored already, the stored parties and owner stay.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.domain.choices import Direction, OwnerKind, ParticipationType
from shared.domain.configuration import AddressMatch, Mailbox, Matches, OwnerRef
from shared.domain.email import Address, Envelope, Party
from shared.domain.ids import OwnerId, contact_id_of, normalised_address
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import AddressBookRecord, match_of
from shared.sync.special import is_automatic, is_delivery_report

TOO_MANY = 100
"""An address that so many records have stands for none of them."""

CONTACT = "contact"

_FIRST_TYPES = (OwnerKind.USER.value, CONTACT, "account", "lead")
"""The model's order of types; all others follow by name, and queues last."""

_NAME_LENGTH = 160
_ADDRESS = re.compile(r"[^\s@<>\"(),;:\\\[\]]{1,64}@(?:[a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{0,62}\Z")
"""An address that a contact may have: no address literals, no quoted local parts."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Who takes part in an email, and whose it is."""

    parties: tuple[Party, ...]
    owner: OwnerRef | None
    sender_is_ambiguous: bool = False
    """Several active records have the sender's address."""


def resolve(
    envelope: Envelope,
    direction: Direction,
    matches: Matches,
    mailbox: Mailbox,
    settings: OrganisationSettings,
    correlated_owner: OwnerRef | None = None,
) -> Resolution:
    """The parties and the owner of the activity that a message becomes. `direction` is that of the activity;
    `correlated_owner` owns the email that it continues."""
    sender = _matches_of(envelope.sender, matches)
    resolved = _sender(sender, mailbox, settings)
    recipients = (
        (ParticipationType.TO, envelope.to),
        (ParticipationType.CC, envelope.cc),
        (ParticipationType.BCC, envelope.bcc),
    )
    parties = [_party(ParticipationType.SENDER, envelope.sender, resolved)] if envelope.sender else []
    for role, addresses in recipients:
        for address in _distinct(addresses):
            parties += _recipient(role, address, _matches_of(address, matches), settings)
    return Resolution(
        parties=tuple(parties),
        owner=_owner(envelope, direction, matches, mailbox, correlated_owner, resolved),
        sender_is_ambiguous=len(_active(sender)) > 1,
    )


# ---- parties


def _sender(found: Sequence[AddressMatch], mailbox: Mailbox, settings: OrganisationSettings) -> AddressMatch | None:
    """One match whatever its state; of several the active one that the mailbox's owner owns, else the first by the order."""
    if len(found) >= TOO_MANY or (settings.unresolve_ambiguous_senders and len(_active(found)) > 1):
        return None

    def order(match: AddressMatch) -> tuple[bool, bool, int, str, str]:
        return (not match.active, not _is_owned_by(match, mailbox.owner), *_preference(match))

    return min(found, key=order, default=None)


def _recipient(
    role: ParticipationType, address: Address, found: Sequence[AddressMatch], settings: OrganisationSettings
) -> list[Party]:
    """Every active match is a party; inactive ones only where nothing is active."""
    chosen = sorted(_active(found) or found, key=_preference)
    is_left_open = len(chosen) >= TOO_MANY or (settings.unresolve_ambiguous_recipients and len(chosen) > 1)
    if not chosen or is_left_open:
        return [_party(role, address, None)]
    return [_party(role, address, match) for match in chosen]


def _distinct(addresses: Sequence[Address]) -> Iterable[Address]:
    """Each once: named a thousand times in one header, an address is no thousand parties."""
    found: dict[str, Address] = {}
    for each in addresses:
        found.setdefault(normalised_address(each.address) or each.name, each)
    return found.values()


def _party(role: ParticipationType, address: Address, match: AddressMatch | None) -> Party:
    if match is None:
        return Party(role, address.address, address.name)
    return Party(role, address.address, address.name, match.kind, match.id)


def _matches_of(address: Address | None, matches: Matches) -> Sequence[AddressMatch]:
    return matches.get(normalised_address(address.address), ()) if address is not None else ()


def _active(found: Sequence[AddressMatch]) -> list[AddressMatch]:
    return [match for match in found if match.active]


def _preference(match: AddressMatch) -> tuple[int, str, str]:
    """The model's order of types; beyond it any fixed one, so that every process resolves alike."""
    if match.kind in _FIRST_TYPES:
        return (_FIRST_TYPES.index(match.kind), match.kind, match.id)
    is_queue = match.kind == OwnerKind.QUEUE
    return (len(_FIRST_TYPES) + is_queue, match.kind, match.id)


def _is_owned_by(match: AddressMatch, owner: OwnerRef | None) -> bool:
    return owner is not None and owner.kind is OwnerKind.USER and match.owner_id == owner.id


# ---- the owner of the activity


def _owner(
    envelope: Envelope,
    direction: Direction,
    matches: Matches,
    mailbox: Mailbox,
    correlated_owner: OwnerRef | None,
    sender: AddressMatch | None,
) -> OwnerRef | None:
    """Of what we send, the sender; else by the first of To, Cc and Bcc that holds a user or queue; else the mailbox's."""
    if direction is Direction.OUTGOING:
        return next(iter(_owners((envelope.sender,) if envelope.sender else (), matches)), mailbox.owner)
    for addresses in (envelope.to, envelope.cc, envelope.bcc):
        if candidates := _owners(addresses, matches):
            return _preferred(candidates, correlated_owner, sender)
    return mailbox.owner


def _preferred(candidates: Sequence[OwnerRef], correlated_owner: OwnerRef | None, sender: AddressMatch | None) -> OwnerRef:
    """The owner of the email that it continues, else the owner of the sender's record, else the first."""
    keeper = OwnerRef(OwnerKind.USER, OwnerId(sender.owner_id)) if sender is not None and sender.owner_id else None
    preferred = (each for wanted in (correlated_owner, keeper) for each in candidates if each == wanted)
    return next(preferred, candidates[0])


def _owners(addresses: Sequence[Address], matches: Matches) -> list[OwnerRef]:
    """The active users and queues that have one of these addresses, in their order."""
    return [
        OwnerRef(OwnerKind(match.kind), OwnerId(match.id))
        for address in addresses
        for match in sorted(_matches_of(address, matches), key=_preference)
        if match.is_own and match.active
    ]


# ---- contacts that are created


def contact_to_create(envelope: Envelope, matches: Matches, mailbox: Mailbox) -> AddressBookRecord | None:
    """The contact that the sender of promoted mail becomes where contacts are created by themselves; None where somebody has
    the address already, it is ours or no address, or a program wrote."""
    if envelope.sender is None or is_automatic(envelope) or is_delivery_report(envelope):
        return None
    address = normalised_address(envelope.sender.address)
    is_ours = address == normalised_address(mailbox.address)
    if is_ours or matches.get(address) or not _ADDRESS.match(address):
        return None
    return AddressBookRecord(
        type=CONTACT,
        id=contact_id_of(address),
        name=(envelope.sender.name.strip() or address)[:_NAME_LENGTH],
        addresses=(address,),
        owner_id=mailbox.owner.id if mailbox.owner is not None and mailbox.owner.kind is OwnerKind.USER else None,
    )


def with_contact(matches: Matches, contact: AddressBookRecord) -> Matches:
    """What has which address once `contact` is there."""
    return {**matches, **dict.fromkeys(contact.addresses, (match_of(contact),))}
