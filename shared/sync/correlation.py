"""Which email a message continues. Pure: what its clues lead to is looked up beforehand, here it is weighed.

A message carries clues, in this order: In-Reply-To, References, a tracking token in its subject, the conversation index, the
words of its subject. The first one that leads to an email decides. Looking up costs a read each, so it goes step by step: ask
for `open_clues`, look them up (for a whole batch at once), and again, until none is open; then `correlate`.

    found: dict[Clue, Sequence[FoundEmail]] = {}
    while asked := {clue for envelope in batch for clue in open_clues(envelope, found, settings)}:
        found |= look_up(asked)

A conversation that was opted out is never continued, whichever clue leads into it, and no further clue leads around it.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from shared.domain.choices import CorrelationMethod, Direction
from shared.domain.email import (
    CorrelationEntry,
    CorrelationKind,
    EmailActivity,
    EmailContent,
    Envelope,
    IncomingMessage,
)
from shared.domain.ids import ActivityId, email_id, normalised_address, short_hash
from shared.domain.judgement import Correlation, CorrelationTry, TryOutcome
from shared.domain.organisation import OrganisationSettings
from shared.domain.subjects import has_prefix, is_forward, without_prefixes
from shared.domain.tracking_tokens import tokens_in

METHODS = (
    CorrelationMethod.IN_REPLY_TO,
    CorrelationMethod.TRACKING_TOKEN,
    CorrelationMethod.CONVERSATION_INDEX,
    CorrelationMethod.SMART_MATCHING,
)
"""In the order in which they are tried. IN_REPLY_TO covers References."""

CLOCKS_APART = timedelta(minutes=5)
"""What is sent from here has the time of our clock, answers that of their server's, perhaps in whole seconds: by so much an
answer may seem to come before what it answers."""
SHARED_ADDRESSES = 2
"""hashminaddresscount: addresses that two emails with the same words must have in common."""
SMART_MATCHING_REACHES = timedelta(days=90)

_REFERENCES = 10
"""References that are followed: the newest, and the very first, which most conversations with us began with."""
_WORDS = 20
"""hashmaxcount: words of a subject that count."""
_ADDRESSES = 200
"""Addresses of one email that are kept to find it by."""
_INDEX_BASE = 22
"""Bytes of the conversation index that all of a conversation share: time and GUID ([MS-OXOMSG] 2.2.1.3)."""
_GUID = slice(6, 22)


@dataclass(frozen=True, slots=True)
class Clue:
    """What a message carries that may lead to the email it continues."""

    method: CorrelationMethod
    kind: CorrelationKind
    key: str
    """Of `Correlations`."""
    emails: tuple[ActivityId, ...] = ()
    """Emails that it leads to by their id, before those that stand in `Correlations`."""


@dataclass(frozen=True, slots=True)
class FoundEmail:
    """An email that a clue led to."""

    activity_id: ActivityId
    conversation: ActivityId
    """Its own id where nothing else is stored."""
    time: datetime
    """When it was received; of a sent one, when it was sent."""
    opted_out: bool = False
    """Its conversation is not tracked any more."""
    addresses: frozenset[str] = frozenset()
    """Hashes of the addresses that take part in it (`CorrelationEntry.addresses`); needed of what tokens and words find."""
    variant_of: ActivityId | None = None
    is_deleted: bool = False
    """Only its tombstone is left: nothing continues it, but its conversation stays opted out."""


type Found = Mapping[Clue, Sequence[FoundEmail]]
"""What clues lead to: emails by their id first, then the entries of `Correlations`, newest first. Empty where there is none."""


# ---- what a message carries


def open_clues(envelope: Envelope, found: Found, settings: OrganisationSettings) -> tuple[Clue, ...]:
    """The clues to look up next: those of the first step that `found` does not answer, unless an earlier step decides."""
    for clues in _steps(envelope, settings):
        if missing := tuple(clue for clue in clues if clue not in found):
            return missing
        outcome, _ = _weighed(envelope, clues, found, settings)
        if outcome in _DECIDED:
            return ()
    return ()


def index_base(conversation_index: str | None) -> str | None:
    """What all messages of an Outlook conversation have in common, in hexadecimal; None where there is no such thing."""
    base = _decoded_index(conversation_index)[:_INDEX_BASE]
    return base.hex() if len(base) == _INDEX_BASE and any(base[_GUID]) else None


def _decoded_index(conversation_index: str | None) -> bytes:
    """Empty where it is none."""
    try:
        return base64.b64decode("".join((conversation_index or "").split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _index_answered(envelope: Envelope) -> str | None:
    """The base by which an answer is looked up. Whoever begins a conversation has nothing but the base in its index (each
    answer adds five bytes, [MS-OXOMSG] 2.2.1.3) and shows no other sign of an answer: that costs no look-up."""
    is_longer = len(_decoded_index(envelope.conversation_index)) > _INDEX_BASE
    says_so = envelope.in_reply_to is not None or bool(envelope.references) or has_prefix(envelope.subject)
    return index_base(envelope.conversation_index) if is_longer or says_so else None


def subject_words(subject: str, settings: OrganisationSettings) -> tuple[str, ...]:
    """The distinct words of a subject without prefixes and tokens, in order of the alphabet, at most 20."""
    bare = without_prefixes(subject).casefold()
    for token in tokens_in(subject, settings):
        bare = bare.replace(token, " ")
    return tuple(sorted(set(re.findall(r"\w+", bare)))[:_WORDS])


def address_hashes(addresses: Iterable[str]) -> tuple[str, ...]:
    """Hashes of the normalised addresses, sorted; of very many the first 200 of the list."""
    distinct = dict.fromkeys(normalised_address(address) for address in addresses if address.strip())
    return tuple(sorted(short_hash(address) for address in list(distinct)[:_ADDRESSES]))


def _steps(envelope: Envelope, settings: OrganisationSettings) -> Iterable[tuple[Clue, ...]]:
    """The clues of the methods that are on, in the order in which they are looked up."""
    for method in METHODS:
        if method in settings.correlation_methods:
            yield from _steps_of(method, envelope, settings)


def _steps_of(method: CorrelationMethod, envelope: Envelope, settings: OrganisationSettings) -> Sequence[tuple[Clue, ...]]:
    match method:
        case CorrelationMethod.IN_REPLY_TO:
            steps = [_answered(envelope), _references(envelope)]
        case CorrelationMethod.TRACKING_TOKEN:
            steps = [tuple(_token_clue(token) for token in tokens_in(envelope.subject, settings))]
        case CorrelationMethod.CONVERSATION_INDEX:
            base = _index_answered(envelope)
            steps = [(_index_clue(base),) if base else ()]
        case _:
            words = subject_words(envelope.subject, settings)
            steps = [(_words_clue(words),) if words else ()]
    return [clues for clues in steps if clues]


def _answered(envelope: Envelope) -> tuple[Clue, ...]:
    return tuple(_message_clue(message_id) for message_id in _ids_answered(envelope))


def _ids_answered(envelope: Envelope) -> tuple[str, ...]:
    """The email that a message answers; of a delivery report, the one that it speaks of."""
    report = envelope.report if isinstance(envelope, IncomingMessage) else None
    named = (report.original_message_id if report else None, envelope.in_reply_to)
    return tuple(dict.fromkeys(each for each in named if each))


def _references(envelope: Envelope) -> tuple[Clue, ...]:
    """The newest first. Strangers write thousands: clues are made of those only that are followed."""
    answered = _ids_answered(envelope)
    others = [each for each in dict.fromkeys(reversed(envelope.references)) if each and each not in answered]
    followed = others if len(others) <= _REFERENCES else [*others[: _REFERENCES - 1], others[-1]]
    return tuple(_message_clue(each) for each in followed)


@lru_cache(maxsize=4096)
def _message_clue(message_id: str) -> Clue:
    """Derived again and again while a batch is looked up step by step, and each time by several hashes."""
    emails = (email_id(message_id, Direction.OUTGOING), email_id(message_id, Direction.INCOMING))
    return Clue(CorrelationMethod.IN_REPLY_TO, CorrelationKind.MESSAGE, short_hash(message_id), emails)


def _token_clue(token: str) -> Clue:
    return Clue(CorrelationMethod.TRACKING_TOKEN, CorrelationKind.TOKEN, short_hash(token))


def _index_clue(base: str) -> Clue:
    return Clue(CorrelationMethod.CONVERSATION_INDEX, CorrelationKind.CONVERSATION, base)


def _words_clue(words: Sequence[str]) -> Clue:
    return Clue(CorrelationMethod.SMART_MATCHING, CorrelationKind.WORDS, short_hash(" ".join(words)))


# ---- what it leads to


_DECIDED = (TryOutcome.MATCHED, TryOutcome.OPTED_OUT, TryOutcome.FORWARD)
"""Outcomes after which nothing else is tried."""

type _Weighed = tuple[TryOutcome, FoundEmail | None]


def correlate(envelope: Envelope, found: Found, settings: OrganisationSettings) -> Correlation:
    """The email that a message continues, by what its clues lead to; a clue that was not looked up leads nowhere."""
    tried: list[CorrelationTry] = []
    for method in METHODS:
        if method not in settings.correlation_methods:
            continue
        clues = [clue for step in _steps_of(method, envelope, settings) for clue in step]
        outcome, email = _weighed(envelope, clues, found, settings) if clues else (TryOutcome.ABSENT, None)
        tried.append(CorrelationTry(method, outcome, email.activity_id if email else None))
        if email is not None and outcome in _DECIDED:
            return _decided(method, outcome, email, tuple(tried))
    return Correlation(tried=tuple(tried))


def _decided(
    method: CorrelationMethod, outcome: TryOutcome, email: FoundEmail, tried: tuple[CorrelationTry, ...]
) -> Correlation:
    if outcome is TryOutcome.MATCHED:
        return Correlation(method, email.activity_id, email.conversation, tried=tried)
    is_opted_out = outcome is TryOutcome.OPTED_OUT
    conversation = email.conversation if is_opted_out else None
    return Correlation(CorrelationMethod.SKIPPED, None, conversation, opted_out=is_opted_out, tried=tried)


def _weighed(envelope: Envelope, clues: Sequence[Clue], found: Found, settings: OrganisationSettings) -> _Weighed:
    """What comes of the clues of one method: the first that leads somewhere decides."""
    strangers: list[FoundEmail] = []
    for clue in clues:
        emails = [email for email in found.get(clue, ()) if not _is_itself(envelope, email)]
        counting = [email for email in emails if _counts(envelope, clue, email)]
        if outcome := _outcome(envelope, counting, settings):
            return outcome
        if clue.kind is CorrelationKind.TOKEN:
            strangers += emails
    return (TryOutcome.STRANGER, strangers[0]) if strangers else (TryOutcome.NOT_FOUND, None)


def _outcome(envelope: Envelope, emails: Sequence[FoundEmail], settings: OrganisationSettings) -> _Weighed | None:
    """Of several emails that one clue leads to, one of a conversation that was opted out stands before the others."""
    if opted_out := next((email for email in emails if email.opted_out), None):
        return TryOutcome.OPTED_OUT, opted_out
    email = next((email for email in emails if not email.is_deleted), None)
    if email is None:
        return None
    if not settings.correlate_forwards and is_forward(envelope.subject):
        return TryOutcome.FORWARD, email
    return TryOutcome.MATCHED, email


def _is_itself(envelope: Envelope, email: FoundEmail) -> bool:
    """The message may be stored already, from another mailbox or before a crash; it does not continue itself."""
    if envelope.message_id is None:
        return email.time == envelope.received
    own = _message_clue(envelope.message_id).emails
    return email.activity_id in own or email.variant_of in own


def _counts(envelope: Envelope, clue: Clue, email: FoundEmail) -> bool:
    """Whether the email that a clue leads to is one that this message may continue.

    A token stands in every subject for all to copy, so its sender must take part in the email that it leads to. Words prove
    even less: two addresses must be the same, and the email be no older than 90 days.
    """
    if clue.kind is CorrelationKind.TOKEN:
        return envelope.sender is not None and not email.addresses.isdisjoint(address_hashes([envelope.sender.address]))
    if clue.kind is CorrelationKind.WORDS:
        age = envelope.received - email.time
        shared = email.addresses & set(address_hashes(_addresses_of(envelope)))
        return timedelta() <= age <= SMART_MATCHING_REACHES and len(shared) >= SHARED_ADDRESSES
    return True


def _addresses_of(envelope: Envelope) -> list[str]:
    sender = (envelope.sender,) if envelope.sender else ()
    return [each.address for each in (*sender, *envelope.to, *envelope.cc, *envelope.bcc)]


# ---- by what it will be found itself


def entries_of(email: EmailActivity, content: EmailContent, settings: OrganisationSettings) -> tuple[CorrelationEntry, ...]:
    """By what later messages find a stored email, for the methods that are on.

    A token leads to what we sent and to what continues it, not to the mail of whoever borrows one.
    """
    is_ours = email.direction is Direction.OUTGOING or email.correlated_to is not None
    base = index_base(content.conversation_index)
    words = subject_words(content.subject, settings)
    clues = [
        *([_index_clue(base)] if base else []),
        *([_token_clue(token) for token in tokens_in(content.subject, settings)] if is_ours else []),
        *([_words_clue(words)] if words else []),
    ]
    hashes = address_hashes(party.address for party in content.parties)
    time = email.received if email.delivery is None else email.received - CLOCKS_APART
    return tuple(
        CorrelationEntry(
            kind=clue.kind,
            key=clue.key,
            activity_id=email.id,
            conversation=email.conversation or email.id,
            time=time,
            addresses=() if clue.kind is CorrelationKind.CONVERSATION else hashes,
            is_fragment=email.is_fragment,
        )
        for clue in clues
        if clue.method in settings.correlation_methods
    )


def opted_out_entry(envelope: Envelope, correlation: Correlation) -> CorrelationEntry | None:
    """What is left of a message that was skipped because its conversation is opted out: answers to it lead there too.

    It names the email that the message would have continued, so that it leads to one that exists. Its conversation is followed
    in any case: it may be a fragment, and be tracked again and joined to another.
    """
    if not correlation.opted_out or correlation.conversation is None or envelope.message_id is None:
        return None
    continued = correlation.tried[-1].activity_id or correlation.conversation
    key = short_hash(envelope.message_id)
    return CorrelationEntry(
        CorrelationKind.MESSAGE, key, continued, correlation.conversation, envelope.received, is_fragment=True
    )
