"""The office of the tables: turns what a table says in words into records, and asks the real rules.

What a clue leads to is looked up in the emails of the office, by their ids and by the entries that they leave behind.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from shared.domain.choices import (
    ActivityState,
    CorrelationMethod,
    Direction,
    EmailDeliveryMethod,
    EmailStatus,
    IncomingFilteringMethod,
    OwnerKind,
    ParticipationType,
    Priority,
    SenderOrigin,
)
from shared.domain.configuration import AddressMatch, Mailbox, Matches, OwnerRef
from shared.domain.email import (
    Address,
    DeliveryReport,
    EmailActivity,
    EmailContent,
    IncomingMessage,
    ItemRef,
    Party,
)
from shared.domain.ids import ActivityId, MailboxId, OwnerId, email_id, mailbox_id_of, normalised_address
from shared.domain.judgement import Correlation, Judgement
from shared.domain.organisation import InternalMail, OrganisationSettings
from shared.domain.records import FolderTrackingRule, RecordRef
from shared.stores.memory import memory_stores
from shared.sync.acceptance import Facts, addresses_judged, direction_stored, judge
from shared.sync.correlation import Clue, FoundEmail, correlate, entries_of, open_clues
from shared.sync.forwarding import Receiver, Receivers, addresses_asked
from shared.sync.inline import InlineExecutor
from shared.sync.resolution import Resolution, contact_to_create, resolve, with_contact
from tests.builders import MONDAY, a_mailbox

TABLES = Path(__file__).parent
OFFICE: dict[str, Any] = yaml.safe_load((TABLES / "office.yaml").read_text("utf-8"))

_CHOICES: dict[str, type[Enum]] = {"filter_ceiling": IncomingFilteringMethod, "internal_mail": InternalMail}


@dataclass(frozen=True)
class Person:
    name: str
    address: str
    kind: str | None = None
    filter: str = "responses"
    active: bool = True
    owner: str | None = None
    collected: bool = False

    @property
    def is_own(self) -> bool:
        return self.kind in tuple(OwnerKind)

    @property
    def match(self) -> AddressMatch:
        assert self.kind is not None
        method = IncomingFilteringMethod[self.filter.upper()] if self.is_own else None
        return AddressMatch(self.kind, self.name, self.name.title(), self.active, method, self.owner)

    @property
    def reference(self) -> OwnerRef:
        assert self.kind is not None
        return OwnerRef(OwnerKind(self.kind), OwnerId(self.name))


@dataclass(frozen=True)
class StoredEmail:
    """An email of the office as the store would have it."""

    activity: EmailActivity
    content: EmailContent
    opted_out: bool

    def found(self, addresses: frozenset[str]) -> FoundEmail:
        return FoundEmail(
            self.activity.id,
            self.activity.conversation or self.activity.id,
            self.activity.received,
            opted_out=self.opted_out,
            addresses=addresses,
            is_deleted=self.activity.deleted_on is not None,
        )


@dataclass(frozen=True)
class Office:
    settings: OrganisationSettings = field(default_factory=OrganisationSettings)
    people: Mapping[str, Person] = field(default_factory=dict)
    emails: Mapping[str, StoredEmail] = field(default_factory=dict)

    def address(self, name: str) -> str:
        return name if "@" in name else self.people[name].address

    def addresses(self, names: str | Sequence[str]) -> tuple[Address, ...]:
        return tuple(Address(self.address(name)) for name in ([names] if isinstance(names, str) else names))

    def matches(self, addresses: frozenset[str]) -> Matches:
        holders = [person for person in self.people.values() if person.kind is not None]
        return {
            address: [person.match for person in holders if normalised_address(person.address) == address]
            for address in addresses
        }

    def name_of(self, activity_id: ActivityId | None) -> str | None:
        return next((name for name, email in self.emails.items() if email.activity.id == activity_id), None)

    def look_up(self, clue: Clue) -> list[FoundEmail]:
        by_id = {email.activity.id: email for email in self.emails.values()}
        named = [by_id[each].found(frozenset()) for each in clue.emails if each in by_id]
        entries = [(entry, email) for email in self.emails.values() for entry in entries_of(*_both(email), self.settings)]
        indexed = [
            email.found(frozenset(entry.addresses))
            for entry, email in entries
            if (entry.kind, entry.key) == (clue.kind, clue.key)
        ]
        return named + sorted(indexed, key=lambda found: found.time, reverse=True)

    def correlate(self, message: IncomingMessage) -> Correlation:
        found: dict[Clue, Sequence[FoundEmail]] = {}
        while clues := open_clues(message, found, self.settings):
            found |= {clue: self.look_up(clue) for clue in clues}
        return correlate(message, found, self.settings)


@dataclass(frozen=True)
class Outcome:
    judgement: Judgement
    resolution: Resolution
    contact: str | None
    direction: Direction


def an_office(case: Mapping[str, Any]) -> Office:
    """The office as the case wants it: its `settings`, `filters`, `people` and `emails` over those of office.yaml."""
    people = {
        name: {**OFFICE["people"].get(name, {}), **case.get("people", {}).get(name, {})} for name in _names("people", case)
    }
    for name, method in case.get("filters", {}).items():
        people[name]["filter"] = method
    office = Office(_settings(case.get("settings", {})), {name: Person(name, **fields) for name, fields in people.items()})
    emails: dict[str, StoredEmail] = {}
    for name in _names("emails", case):
        fields = {**OFFICE["emails"].get(name, {}), **case.get("emails", {}).get(name, {})}
        emails[name] = _email(office, name, emails, **fields)
    return replace(office, emails=emails)


def a_case(case: Mapping[str, Any]) -> Outcome:
    """What becomes of the message of a case."""
    unknown = set(case) - {
        *("case", "people", "filters", "emails", "settings", "mailbox", "message", "sent_items"),
        *("folder_rule", "category", "by_hand", "expected"),
    }
    assert not unknown, f"a case has no {unknown}"
    office = an_office(case)
    sent = case.get("sent_items", False)
    message = _message(office, **{"from": "carol", "to": "anna", **case.get("message", {})})
    mailbox = _mailbox(office, case.get("mailbox", "anna"))
    matches = office.matches(addresses_judged(message, mailbox) | addresses_asked(message))
    receiver = _receiver(office, mailbox, message, matches)
    facts = Facts(
        mailbox=receiver.mailbox,
        direction=Direction.OUTGOING if sent else Direction.INCOMING,
        settings=office.settings,
        matches=matches,
        own_voice=receiver.voice,
        refusal=receiver.refusal,
        correlation=office.correlate(message),
        rule=FolderTrackingRule(mailbox.id, "projects", "Projects", RecordRef("account", "fabrikam"))
        if case.get("folder_rule")
        else None,
        by_category=case.get("category", False),
        by_hand=case.get("by_hand", False),
    )
    return _outcome(office, message, facts)


def _receiver(office: Office, mailbox: Mailbox, message: IncomingMessage, matches: Matches) -> Receiver:
    mailboxes = memory_stores().mailboxes
    for person in office.people.values():
        if person.is_own:
            method = EmailDeliveryMethod.FORWARD_MAILBOX if person.collected else EmailDeliveryMethod.SERVER_SIDE
            mailboxes.create(replace(_mailbox(office, person.name), incoming_method=method), {})
    voice = office.people[mailbox.owner.id].match if mailbox.owner is not None else None
    receivers = Receivers(mailboxes, mailbox, voice, InlineExecutor())
    receivers.look_up([message], matches)
    return receivers.of(message, matches)


def _outcome(office: Office, message: IncomingMessage, facts: Facts) -> Outcome:
    judgement = judge(message, facts)
    contact = contact_to_create(message, facts.matches, facts.mailbox) if office.settings.create_contacts else None
    direction = direction_stored(message, facts)
    continued = office.emails.get(office.name_of(judgement.correlation.activity_id) or "")
    resolution = resolve(
        message,
        direction,
        with_contact(facts.matches, contact) if contact else facts.matches,
        facts.mailbox,
        office.settings,
        continued.activity.owner if continued else None,
    )
    return Outcome(judgement, resolution, contact.addresses[0] if contact else None, direction)


def _names(what: str, case: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys([*OFFICE[what], *case.get(what, {})]))


def _both(email: StoredEmail) -> tuple[EmailActivity, EmailContent]:
    return email.activity, email.content


def _settings(wanted: Mapping[str, Any]) -> OrganisationSettings:
    values: dict[str, Any] = {}
    for name, value in wanted.items():
        if name == "correlation_methods":
            values[name] = tuple(CorrelationMethod[each.upper()] for each in value)
        elif name in _CHOICES:
            values[name] = _CHOICES[name][value.upper()]
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return OrganisationSettings(**values)


def _mailbox(office: Office, name: str) -> Mailbox:
    if name == "nobody":
        return a_mailbox(id=MailboxId("collection"), address="collection@contoso.example", owner=None)
    owner = office.people[name]
    reference = owner.reference
    return a_mailbox(id=mailbox_id_of(reference.kind, reference.id), address=owner.address, owner=reference)


def message_id(name: str) -> str:
    return f"{name}@mail.example"


def thread_index(thread: str | None, depth: int = 0) -> str | None:
    """A conversation index as Outlook makes it: a time and a GUID, and five bytes for each answer."""
    if thread is None:
        return None
    digest = hashlib.sha256(thread.encode()).digest()
    return base64.b64encode(b"\x01" + digest[:21] + b"12345" * depth).decode()


def _email(
    office: Office,
    name: str,
    known: Mapping[str, StoredEmail],
    *,
    to: list[str],
    subject: str,
    thread: str | None = None,
    sent: bool = False,
    continues: str | None = None,
    owner: str | None = None,
    opted_out: bool = False,
    deleted: bool = False,
    days_ago: int = 7,
    **sender: str,
) -> StoredEmail:
    direction = Direction.OUTGOING if sent else Direction.INCOMING
    activity_id = email_id(message_id(name), direction)
    continued = known[continues].activity if continues else None
    time = MONDAY - timedelta(days=days_ago)
    activity = EmailActivity(
        id=activity_id,
        fingerprint="",
        content_id=activity_id,
        direction=direction,
        state=ActivityState.COMPLETED,
        status=EmailStatus.SENT if sent else EmailStatus.RECEIVED,
        subject=subject,
        sender=office.address(sender["from"]),
        received=time,
        created_on=time,
        owner=office.people[owner].reference if owner else None,
        receiving_mailbox=MailboxId("anna"),
        conversation=continued.conversation if continued else activity_id,
        correlated_to=continued.id if continued else None,
        deleted_on=time if deleted else None,
    )
    parties = [Party(ParticipationType.SENDER, office.address(sender["from"]))]
    parties += [Party(ParticipationType.TO, office.address(each)) for each in to]
    content = EmailContent(
        subject=subject,
        message_id=message_id(name),
        in_reply_to=None,
        references=(),
        parties=tuple(parties),
        sent=time,
        received=time,
        priority=Priority.NORMAL,
        body_html=None,
        body_text="",
        attachments=(),
        conversation_index=thread_index(thread),
    )
    return StoredEmail(activity, content, opted_out)


def _message(
    office: Office,
    *,
    to: str | Sequence[str] = (),
    cc: str | Sequence[str] = (),
    bcc: str | Sequence[str] = (),
    subject: str = "Hello",
    id: str | None = "new",
    answers: str | None = None,
    refers_to: Sequence[str] = (),
    thread: str | None = None,
    origin: str = "unknown",
    item_class: str = "IPM.Note",
    headers: Mapping[str, str] | None = None,
    reports_on: str | None = None,
    name: str = "",
    forwarded_by: str | None = None,
    **sender: str | None,
) -> IncomingMessage:
    author = sender.pop("from")
    assert not sender, f"a message has no {set(sender)}"
    return IncomingMessage(
        ref=ItemRef("item", "inbox"),
        received=MONDAY,
        subject=subject,
        message_id=message_id(id) if id else None,
        in_reply_to=message_id(answers) if answers else None,
        references=tuple(message_id(each) for each in refers_to),
        sender=Address(office.address(author), name) if author else None,
        to=office.addresses(to),
        cc=office.addresses(cc),
        bcc=office.addresses(bcc),
        sent=MONDAY,
        conversation_index=thread_index(thread, depth=1),
        sender_origin=SenderOrigin(origin),
        item_class=item_class,
        headers=headers or {},
        report=DeliveryReport(message_id(reports_on)) if reports_on else None,
        forwarded_by=None if forwarded_by is None else Address(office.address(forwarded_by) if forwarded_by else ""),
    )
