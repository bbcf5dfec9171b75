"""What an answer takes over from the email that it answers: subject, recipients, threading headers. Pure.

Implements RFC 5322 section 3.6.2 (Reply-To), section 3.6.4 (In-Reply-To, References), section 3.6.5 (one "Re: "), and the
conversation index of [MS-OXOMSG] 2.2.1.3.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from shared.domain.choices import Direction, ParticipationType
from shared.domain.drafts import AnswerKind
from shared.domain.email import Address, EmailActivity, EmailContent
from shared.domain.ids import ActivityId, normalised_address
from shared.domain.ranges import RECIPIENT_ADDRESS, RECIPIENT_NAME
from shared.domain.subjects import has_prefix, is_forward

_REPLY_TO = 50
"""Addresses of Reply-To at most: a stranger chooses to how many an answer goes."""
_REFERENCES = 50
"""Message-IDs of References at most: the first one, which the conversation began with, and the latest."""
_MESSAGE_ID = re.compile(r"[!-;=?-~]{1,500}\Z")
"""Visible characters without angle brackets: what others wrote goes into a header only in this form."""

_HEADER = 22
"""Bytes of a conversation index before its answers."""
_ANSWER = 5
"""Bytes that each answer adds."""
_MOST_ANSWERS = 200
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
"""Where Windows file times begin."""


# ---- subject


def subject_of(kind: AnswerKind, subject: str) -> str:
    """With a prefix that says so, once."""
    if kind is AnswerKind.FORWARD:
        return subject if is_forward(subject) else f"Fw: {subject}".rstrip()
    return subject if has_prefix(subject) and not is_forward(subject) else f"Re: {subject}".rstrip()


# ---- recipients


def reply_to_of(sender: Address | None, given: Sequence[Address]) -> tuple[Address, ...]:
    """What is kept of Reply-To: each address once, none that is too long to be one. None at all where it names the sender
    alone: many programs say so, and servers leave it out."""
    named = (Address(each.address, each.name[: RECIPIENT_NAME.high]) for each in given)
    kept = _distinct((each for each in named if len(each.address) <= RECIPIENT_ADDRESS.high), ())[:_REPLY_TO]
    says_more = _distinct(kept, () if sender is None else {normalised_address(sender.address)})
    return kept if says_more else ()


def recipients_of(
    kind: AnswerKind, email: EmailActivity, content: EmailContent, own: Collection[str]
) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
    """To and Cc of the answer; `own` are the normalised addresses of who answers, who does not write to himself. Reply-To
    stands for the sender; where it leads back to who answers alone, it does not. What was sent from here goes on to its
    recipients, unless who answers is one of them."""
    if kind is AnswerKind.FORWARD:
        return (), ()
    senders, to, cc = (
        _having(content, role) for role in (ParticipationType.SENDER, ParticipationType.TO, ParticipationType.CC)
    )
    is_ours = email.direction is Direction.OUTGOING and not _got_of_another(content, own)
    senders = _distinct(content.reply_to, own) or senders
    if kind is AnswerKind.REPLY:
        return _distinct(to if is_ours else senders, ()), ()
    everybody = to if is_ours else (*senders, *to)
    first = _distinct(everybody, own) or _distinct(everybody, ())
    return first, _distinct(cc, {*own, *(normalised_address(each.address) for each in first)})


def _got_of_another(content: EmailContent, own: Collection[str]) -> bool:
    """Mail between colleagues is one activity: for who got it, it came in."""
    roles = {party.type for party in content.parties if normalised_address(party.address) in own}
    return bool(roles) and ParticipationType.SENDER not in roles


def _having(content: EmailContent, role: ParticipationType) -> tuple[Address, ...]:
    return tuple(Address(party.address, party.name) for party in content.parties if party.type is role and party.address)


def _distinct(addresses: Iterable[Address], without: Collection[str]) -> tuple[Address, ...]:
    """Each once: several records with one address are several parties."""
    found: dict[str, Address] = {}
    for each in addresses:
        found.setdefault(normalised_address(each.address), each)
    return tuple(each for address, each in found.items() if address not in without)


# ---- threading headers


def known_as(email: EmailActivity, content: EmailContent) -> str | None:
    """The Message-ID by which others know the email; None where it has none that may stand in a header."""
    rewritten = email.delivery.server_message_id if email.delivery else None
    return next(iter(_legal([rewritten or content.message_id or ""])), None)


def references_of(email: EmailActivity, content: EmailContent) -> tuple[str, ...]:
    """References of an answer: those of the original, or its In-Reply-To where it has none, and its own Message-ID."""
    message_id = known_as(email, content)
    before = content.references or ((content.in_reply_to,) if content.in_reply_to else ())
    found = [*(each for each in _legal(before) if each != message_id), *([message_id] if message_id else [])]
    return tuple(found) if len(found) <= _REFERENCES else (found[0], *found[1 - _REFERENCES :])


def _legal(message_ids: Iterable[str]) -> list[str]:
    return [each for each in dict.fromkeys(message_ids) if _MESSAGE_ID.match(each)]


# ---- conversation index


def new_index(conversation: ActivityId, now: datetime) -> str:
    """The index of an email that begins a conversation: the same identity for the same conversation."""
    identity = hashlib.sha256(conversation.encode()).digest()[:16]
    return base64.b64encode(_file_time(now).to_bytes(8)[:6] + identity).decode()


def continued_index(index: str | None, email: ActivityId, now: datetime) -> str | None:
    """The index of an answer to an email with this one; None where it is none, or no room is left."""
    try:
        before = base64.b64decode("".join((index or "").split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    answers, rest = divmod(len(before) - _HEADER, _ANSWER)
    if rest or not 0 <= answers < _MOST_ANSWERS:
        return None
    began = int.from_bytes(before[:6] + b"\0\0")
    return base64.b64encode(before + _answer_block(max(0, _file_time(now) - began), email)).decode()


def _answer_block(passed: int, email: ActivityId) -> bytes:
    """The time since the conversation began: 31 bits, of a unit that one bit tells, and a byte that tells answers apart."""
    is_long = bool(passed >> 49)  # 1.7 years
    time = (passed >> (23 if is_long else 18)) & 0x7FFF_FFFF
    return (time | is_long << 31).to_bytes(4) + hashlib.sha256(email.encode()).digest()[:1]


def _file_time(time: datetime) -> int:
    """Intervals of 100 nanoseconds."""
    return (time - _EPOCH) // timedelta(microseconds=1) * 10
