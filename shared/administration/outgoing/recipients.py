"""Who the recipients of an email are: records by type and id, addresses by whose they are.

An address stands for a record where exactly one active record has it; else the party is unresolved.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.domain.choices import ParticipationType
from shared.domain.configuration import AddressMatch, Matches, Owner
from shared.domain.drafts import Draft, Recipient
from shared.domain.email import Party
from shared.domain.errors import InvalidRecord
from shared.domain.ids import normalised_address
from shared.domain.ranges import RECIPIENT_ADDRESS, RECIPIENT_NAME, RECIPIENTS
from shared.domain.records import AddressBookRecord, RecordRef, addresses_of
from shared.ports import Stores

ROLES: Mapping[str, ParticipationType] = {
    "to": ParticipationType.TO,
    "cc": ParticipationType.CC,
    "bcc": ParticipationType.BCC,
}
"""By the field of a draft."""

type Records = Mapping[RecordRef, Owner | AddressBookRecord]


class Recipients:
    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def parties(self, draft: Draft, known: Mapping[ParticipationType, Sequence[Party]]) -> tuple[Party, ...]:
        """The recipients as parties, in order; those of a role that did not change stay as `known`. Raises InvalidRecord."""
        changed: dict[str, tuple[Recipient, ...]] = {
            field: getattr(draft, field) for field, role in ROLES.items() if getattr(draft, field) != given(known.get(role, ()))
        }
        if sum(len(getattr(draft, field)) for field in ROLES) > RECIPIENTS.high:
            raise InvalidRecord(
                "to", "the email has too many recipients", f"Name {RECIPIENTS.high} at most; write several emails to more."
            )
        asked = {
            normalised_address(each.address)
            for recipients in changed.values()
            for each in recipients
            if each.address and each.type is None
        }
        matches = self._stores.addresses.find(sorted(asked)) if asked else {}
        records = self._stores.addresses.records(
            {
                RecordRef(each.type, each.id)
                for recipients in changed.values()
                for each in recipients
                if each.type is not None and each.id is not None
            }
        )
        found: list[Party] = []
        for field, role in ROLES.items():
            if field not in changed:
                found += known.get(role, ())
                continue
            of_role = enumerate(changed[field])
            found += [_party(f"{field}/{place}", role, each, matches, records) for place, each in of_role]
        return tuple(found)


def resolved(party: Party, matches: Matches) -> Party:
    """As the record that its address stands for, where it stands for none yet."""
    match = _only(matches.get(normalised_address(party.address), ()))
    if party.record_id is not None or match is None:
        return party
    return replace(party, name=party.name or match.name, record_kind=match.kind, record_id=match.id)


def given(parties: Sequence[Party]) -> tuple[Recipient, ...]:
    """Parties as a draft names them."""
    return tuple(
        Recipient(each.address, each.name, each.record_kind, each.record_id)
        if each.is_named
        else Recipient(each.address, each.name)
        for each in parties
    )


def by_role(parties: Sequence[Party]) -> Mapping[ParticipationType, Sequence[Party]]:
    return {role: [each for each in parties if each.type is role] for role in ROLES.values()}


def _party(field: str, role: ParticipationType, recipient: Recipient, matches: Matches, records: Records) -> Party:
    _check_lengths(field, recipient)
    if (recipient.type is None) != (recipient.id is None):
        missing = "type" if recipient.type is None else "id"
        raise InvalidRecord(f"{field}/{missing}", f"{missing} is missing", "Give type and id, or an address alone.")
    if recipient.type is not None and recipient.id is not None:
        return _of_record(field, role, recipient, RecordRef(recipient.type, recipient.id), records)
    if not recipient.address:
        raise InvalidRecord(
            f"{field}/address", "the recipient has neither an address nor a record", "Give an address, or type and id."
        )
    return resolved(Party(role, recipient.address.strip(), recipient.name), matches)


def _of_record(field: str, role: ParticipationType, recipient: Recipient, ref: RecordRef, records: Records) -> Party:
    record = records.get(ref)
    if record is None:
        raise InvalidRecord(f"{field}/id", f"there is no {ref.type} {ref.id}", "Name a record that exists.")
    wanted = None if recipient.address is None else normalised_address(recipient.address)
    address = next((each for each in addresses_of(record) if wanted in (None, normalised_address(each))), None)
    if address is None:
        raise InvalidRecord(
            f"{field}/address",
            f"{ref.type} {ref.id} has no such address" if wanted else f"{ref.type} {ref.id} has no address",
            "Give one of its own addresses, or leave type and id out.",
        )
    return Party(role, address, recipient.name or record.name, ref.type, ref.id, is_named=True)


def _only(found: Sequence[AddressMatch]) -> AddressMatch | None:
    active = [match for match in found if match.active]
    return active[0] if len(active) == 1 else None


def _check_lengths(field: str, recipient: Recipient) -> None:
    for name, value, longest in (
        ("address", recipient.address or "", RECIPIENT_ADDRESS.high),
        ("name", recipient.name, RECIPIENT_NAME.high),
    ):
        if len(value) > longest:
            raise InvalidRecord(f"{field}/{name}", f"{name} is too long", f"Write {longest} characters at most.")
