"""What an email needs before it is sent. Every check names the field and the remedy; the first one that fails is told.

The order: who sends, for whom, through which mailbox; the recipients one by one; the subject; the attachments; the whole.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from types import ModuleType

from shared.administration.outgoing.recipients import ROLES
from shared.administration.standing import remedy
from shared.domain import words
from shared.domain.choices import OwnerKind, ParticipationType, Workload
from shared.domain.configuration import Owner, OwnerRef, StoredMailbox
from shared.domain.drafts import Draft
from shared.domain.eligibility import Ineligible, own_ineligibility, profile_ineligibility
from shared.domain.email import Attachment, EmailContent, Party
from shared.domain.errors import InvalidRecord
from shared.domain.ids import OwnerId, mailbox_id_of
from shared.domain.organisation import DoNotEmail, OrganisationSettings, is_blocked
from shared.ports import Stores

_BREAKERS = (Ineligible.PROFILE_BREAKER_OPEN, Ineligible.BREAKER_OPEN)
"""What passes by itself: the email waits for it in the outbox."""
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
        is_delegated = settings.delegate_sending and submitter is not None and submitter.id != sender.id
        through, field = (submitter, "submitter") if is_delegated and submitter is not None else (sender, "sender")
        mailbox = self._mailbox(field, through, now)
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
        stored = self._stores.mailboxes.get(mailbox_id_of(owner.kind, owner.id))
        if stored is None:
            raise InvalidRecord(field, f"the {owner.kind.value} {owner.id} has no mailbox", "Save the owner once more.")
        reason = own_ineligibility(stored.record, Workload.OUTGOING)
        if reason is None and stored.record.profile_id is not None:
            profile = self._stores.profiles.get(stored.record.profile_id)
            reason = profile_ineligibility(profile, Workload.OUTGOING, now)
        if reason is not None and reason not in _BREAKERS:
            raise InvalidRecord(field, f"{field} cannot send: {words.INELIGIBLE[reason]}", remedy(reason))
        return stored

    # ---- to whom

    def _recipients(self, parties: Sequence[Party], settings: OrganisationSettings) -> list[Party]:
        checked: list[Party] = []
        for field, role in ROLES.items():
            of_role = [party for party in parties if party.type is role]
            checked += [self._recipient(f"{field}/{place}", each, settings) for place, each in enumerate(of_role)]
        if not any(not each.is_left_out for each in checked):
            problem = "there is no recipient" if not checked else "none of the recipients may be written to"
            raise InvalidRecord("to", problem, "Name somebody who is to get the email in to, cc or bcc.")
        return checked

    def _recipient(self, field: str, party: Party, settings: OrganisationSettings) -> Party:
        check_address(f"{field}/address", party.address)
        if party.name:
            check_line(f"{field}/name", party.name)
        is_known, is_not_to_be_written_to = self._record(party)
        if not is_known and not settings.allow_unresolved_recipients:
            raise InvalidRecord(
                field,
                f"the recipient {field} is no user, queue or record of the address book",
                "Add the record first, or allow unresolved recipients in the settings.",
            )
        if is_not_to_be_written_to and settings.do_not_email is DoNotEmail.REFUSE:
            raise InvalidRecord(
                field,
                f"{party.record_kind} {party.record_id} is not to be written to",
                "Remove the recipient, or change do_not_email of the record or of the settings.",
            )
        return replace(party, is_left_out=is_not_to_be_written_to)

    def _record(self, party: Party) -> tuple[bool, bool]:
        """Whether the record of the party is there, and whether it is not to be written to."""
        if party.record_kind is None or party.record_id is None:
            return False, False
        if party.record_kind in tuple(OwnerKind):
            owner = self._stores.owners.get(OwnerKind(party.record_kind), OwnerId(party.record_id))
            return owner is not None, False
        stored = self._stores.address_book.get(party.record_kind, party.record_id)
        return stored is not None, stored is not None and stored.record.do_not_email


# ---- what it says


def check_line(field: str, text: str) -> None:
    """A header is one line: nothing in it may end the line or hide what follows. Raises InvalidRecord."""
    if any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in text):
        raise InvalidRecord(field, f"{field} has line breaks or control characters", "Write one line of visible text.")


def check_address(field: str, address: str) -> None:
    """One address as RFC 5321 and RFC 6531 have it. Raises InvalidRecord."""
    validator = _email_validator()
    try:
        validator.validate_email(address, check_deliverability=False, allow_smtputf8=True)
    except validator.EmailNotValidError as error:
        raise InvalidRecord(
            field, f"{field} is not an email address", "Write one address such as anna@contoso.com, without a display name."
        ) from error


@cache
def _email_validator() -> ModuleType:
    """Imported on use: it is not needed to configure anything."""
    import email_validator

    for domain in _ALLOWED_DOMAINS:
        if domain in email_validator.SPECIAL_USE_DOMAIN_NAMES:
            email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(domain)
    return email_validator


def check_attachments(content: EmailContent, settings: OrganisationSettings) -> None:
    for place, attachment in enumerate(content.attachments):
        field = f"attachments/{place}"
        check_line(f"{field}/name", attachment.name)
        check_line(f"{field}/content_id", attachment.content_id or "")
        check_attachment(field, attachment, settings)
        if attachment.upload is not None:
            raise InvalidRecord(field, f"{field} was not uploaded completely", "Upload all of its parts, or remove it.")
    if encoded_size(content) > settings.largest_message:
        raise InvalidRecord(
            "attachments",
            "the email is larger than the organisation allows",
            f"Remove attachments; encoded, all together may have {settings.largest_message} bytes.",
        )


def check_attachment(field: str, attachment: Attachment, settings: OrganisationSettings) -> None:
    """Raises InvalidRecord where the settings do not let it be sent."""
    if is_blocked(attachment.name, settings):
        raise InvalidRecord(field, f"{field} has a blocked extension", "Remove it, or send it as another type of file.")
    if attachment.size > settings.largest_attachment:
        raise InvalidRecord(
            field, f"{field} is too large", f"Remove it; an attachment may have {settings.largest_attachment} bytes."
        )


def encoded_size(content: EmailContent) -> int:
    """Bytes of the message at least: base64 makes four of three, in lines of 76 characters (RFC 2045 section 6.8)."""
    bodies = len((content.body_html or "").encode("utf-8", "replace")) + len(content.body_text.encode("utf-8", "replace"))
    attached = sum(attachment.size for attachment in content.attachments)
    return bodies + -(-attached * 4 * 78 // (3 * 76))
