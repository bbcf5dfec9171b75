"""What an email needs before it is sent. Every check names the field and the remedy; the first one that fails is told.

The order: who sends, for whom, through which mailbox; the recipients one by one; the subject; the attachments; the whole.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from types import ModuleType

from shared.administration.outgoing.recipients import ROLES, Records, resolved
from shared.administration.standing import remedy
from shared.domain import words
from shared.domain.choices import OwnerKind, ParticipationType, Workload
from shared.domain.configuration import Matches, Owner, OwnerRef, StoredMailbox
from shared.domain.drafts import Draft
from shared.domain.eligibility import own_ineligibility, profile_ineligibility
from shared.domain.email import Attachment, EmailContent, Party
from shared.domain.errors import InvalidRecord
from shared.domain.ids import OwnerId, mailbox_id_of, normalised_address
from shared.domain.organisation import DoNotEmail, OrganisationSettings, is_blocked
from shared.domain.records import AddressBookRecord, RecordRef, addresses_of
from shared.ports import Stores

LONGEST_CONTENT_ID = 200
_CONTENT_ID = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~@-]+\Z")
_ALLOWED_DOMAINS = ("local", "test")
"""Domains that email-validator refuses as special, and that organisations and tests use inside."""


@dataclass(frozen=True, slots=True)
class Ready:
    """An email that may be sent: who sends it through which mailbox, and its parties with those left out marked."""

    sender: Owner
    mailbox: StoredMailbox
    parties: tuple[Party, ...]


class Checks:
    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def ready(self, draft: Draft, content: EmailContent, settings: OrganisationSettings, now: datetime) -> Ready:
        """Raises InvalidRecord."""
        sender = self._owner("sender", draft.sender)
        submitter = self._submitter(draft, sender)
        if submitter is None or submitter == sender or not settings.delegate_sending:
            mailbox = self._mailbox("sender", sender, now)
        else:
            mailbox = self._mailbox("submitter", submitter, now)
        recipients = self._recipients(content.parties, settings)
        check_line("subject", content.subject)
        check_attachments(content, settings)
        senders = (Party(ParticipationType.SENDER, sender.address, sender.name, sender.kind.value, sender.id),)
        return Ready(sender, mailbox, (*senders, *recipients))

    # ---- who sends

    def _owner(self, field: str, ref: OwnerRef) -> Owner:
        stored = self._stores.owners.get(ref.kind, ref.id)
        if stored is None:
            raise InvalidRecord(field, f"there is no {ref.kind.value} {ref.id}", "Name a user or queue that exists.")
        if not stored.record.active:
            raise InvalidRecord(field, f"the {ref.kind.value} {ref.id} is inactive", f"Activate the {ref.kind.value} first.")
        return stored.record

    def _submitter(self, draft: Draft, sender: Owner) -> Owner | None:
        if draft.submitter is None:
            return None
        submitter = self._owner("submitter", OwnerRef(OwnerKind.USER, OwnerId(draft.submitter)))
        is_other = sender.kind is OwnerKind.USER and submitter.id != sender.id
        if is_other and not sender.send_as_allowed:
            raise InvalidRecord(
                "submitter",
                f"others may not write emails as the user {sender.id}",
                f"Set send_as_allowed of the user {sender.id}, or choose another sender.",
            )
        return submitter

    def _mailbox(self, field: str, owner: Owner, now: datetime) -> StoredMailbox:
        """Where a breaker is open, the email waits for its end in the outbox."""
        stored = self._stores.mailboxes.get(mailbox_id_of(owner.kind, owner.id))
        if stored is None:
            raise InvalidRecord(field, f"the {owner.kind.value} {owner.id} has no mailbox", "Save the owner once more.")
        reason = own_ineligibility(stored.record, Workload.OUTGOING)
        if reason is None and stored.record.profile_id is not None:
            profile = self._stores.profiles.get(stored.record.profile_id)
            reason = profile_ineligibility(profile, Workload.OUTGOING, now, probing=True)
        if reason is not None:
            raise InvalidRecord(field, f"{field} cannot send: {words.INELIGIBLE[reason]}", remedy(reason))
        return stored

    # ---- to whom

    def _recipients(self, parties: Sequence[Party], settings: OrganisationSettings) -> list[Party]:
        recipients = [each for each in parties if each.type in ROLES.values()]
        records = self._stores.addresses.records({ref for each in recipients if (ref := _ref(each)) is not None})
        asked = {normalised_address(each.address) for each in recipients if not (each.is_named and _ref(each) in records)}
        matches = self._stores.addresses.find(sorted(asked)) if asked else {}
        checked: list[Party] = []
        for field, role in ROLES.items():
            of_role = enumerate(party for party in recipients if party.type is role)
            checked += [_checked_recipient(f"{field}/{place}", each, matches, records, settings) for place, each in of_role]
        if not any(not each.is_left_out for each in checked):
            problem = "there is no recipient" if not checked else "none of the recipients may be written to"
            raise InvalidRecord("to", problem, "Name somebody who is to get the email in to, cc or bcc.")
        return checked


def _checked_recipient(field: str, given: Party, matches: Matches, records: Records, settings: OrganisationSettings) -> Party:
    check_address(f"{field}/address", given.address)
    if given.name:
        check_line(f"{field}/name", given.name)
    party, found = given, _its_record(field, given, records)
    if not (given.is_named and found):
        party = resolved(replace(given, record_kind=None, record_id=None, is_named=False), matches)
        found = _having(party, matches)
    if not found and not settings.allow_unresolved_recipients:
        raise InvalidRecord(
            field,
            f"the recipient {field} is no user, queue or record of the address book",
            "Add the record first, or allow unresolved recipients in the settings.",
        )
    unwanted = next((ref for ref, do_not_email in found.items() if do_not_email), None)
    if unwanted is not None and settings.do_not_email is DoNotEmail.REFUSE:
        raise InvalidRecord(
            field,
            f"{unwanted.type} {unwanted.id} is not to be written to",
            "Remove the recipient, name another record that has the address, or change do_not_email of the record or of the"
            " settings.",
        )
    return replace(party, is_left_out=unwanted is not None)


type _DoNotEmail = Mapping[RecordRef, bool]
"""Whether they are not to be written to, of the records that a recipient stands for."""


def _its_record(field: str, party: Party, records: Records) -> _DoNotEmail:
    """The record that was given, or found when the draft was written, where it is there. Raises InvalidRecord."""
    ref = _ref(party)
    record = None if ref is None else records.get(ref)
    if ref is None or record is None:
        return {}
    if normalised_address(party.address) not in {normalised_address(each) for each in addresses_of(record)}:
        raise InvalidRecord(
            f"{field}/address",
            f"{ref.type} {ref.id} does not have this address any more",
            "Name the recipient again, by type and id alone for the address of now.",
        )
    return {ref: isinstance(record, AddressBookRecord) and record.do_not_email}


def _having(party: Party, matches: Matches) -> _DoNotEmail:
    """The record that the address stands for; where it stands for no single one, all that have it."""
    having = {RecordRef(each.kind, each.id): each.do_not_email for each in matches.get(normalised_address(party.address), ())}
    ref = _ref(party)
    return having if ref is None else {ref: having[ref]}


def _ref(party: Party) -> RecordRef | None:
    if party.record_kind is None or party.record_id is None:
        return None
    return RecordRef(party.record_kind, party.record_id)


# ---- what it says


def check_line(field: str, text: str) -> None:
    """A header is one line: nothing in it may end the line or hide what follows. Raises InvalidRecord."""
    if any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in text):
        raise InvalidRecord(field, f"{field} has line breaks or control characters", "Write one line of visible text.")


def check_address(field: str, address: str) -> None:
    """Raises InvalidRecord."""
    if not is_address(address):
        raise InvalidRecord(
            field, f"{field} is not an email address", "Write one address such as anna@contoso.com, without a display name."
        )


def is_address(text: str) -> bool:
    """Whether it is one address as RFC 5321 and RFC 6531 have it."""
    validator = _email_validator()
    try:
        validator.validate_email(text, check_deliverability=False, allow_smtputf8=True)
    except validator.EmailNotValidError:
        return False
    return True


@cache
def _email_validator() -> ModuleType:
    """Imported on use: it is not needed to configure anything."""
    import email_validator

    for domain in _ALLOWED_DOMAINS:
        if domain in email_validator.SPECIAL_USE_DOMAIN_NAMES:
            email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(domain)
    return email_validator


def is_content_id(text: str) -> bool:
    """Whether it can stand in a header, between angle brackets."""
    return len(text) <= LONGEST_CONTENT_ID and _CONTENT_ID.match(text) is not None


def check_attachments(content: EmailContent, settings: OrganisationSettings) -> None:
    for place, attachment in enumerate(content.attachments):
        field = f"attachments/{place}"
        check_attachment(field, field, attachment, settings)
        if attachment.upload is not None:
            raise InvalidRecord(field, f"{field} was not uploaded completely", "Upload all of its parts, or remove it.")
    if encoded_size(content) > settings.largest_message:
        raise InvalidRecord(
            "attachments",
            "the email is larger than the organisation allows",
            f"Remove attachments; encoded, all together may have {settings.largest_message} bytes.",
        )


def check_attachment(field: str, size_field: str, attachment: Attachment, settings: OrganisationSettings) -> None:
    """Raises InvalidRecord where the settings do not let it be sent."""
    if is_blocked(attachment.name, settings):
        raise InvalidRecord(field, f"{field} has a blocked extension", "Remove it, or send it as another type of file.")
    if attachment.size > settings.largest_attachment:
        most = settings.largest_attachment
        raise InvalidRecord(size_field, "the attachment is too large", f"Remove it; an attachment may have {most} bytes.")


def encoded_size(content: EmailContent) -> int:
    """Bytes of the message at least: base64 makes four of three, in lines of 76 characters (RFC 2045 section 6.8)."""
    bodies = len((content.body_html or "").encode("utf-8", "replace")) + len(content.body_text.encode("utf-8", "replace"))
    attached = sum(attachment.size for attachment in content.attachments)
    return bodies + -(-attached * 4 * 78 // (3 * 76))
