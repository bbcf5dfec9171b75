"""Which mail becomes an activity, and why. Pure: a message and facts come in, a judgement comes out.

Sections 2.2 and 2.14 of the model: every user and queue among the recipients votes by its own filter, and so does the owner of
the mailbox that received the message (that is how aliases, distribution lists and Bcc are recognised: no header ever adds a
voter). One vote is enough. Refuses to know where the facts come from. The order of the rules is the order of `judge`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.domain.choices import (
    CorrelationMethod,
    Direction,
    IncomingFilteringMethod,
    OwnerKind,
    Reason,
    SenderOrigin,
    Verdict,
)
from shared.domain.configuration import AddressMatch, Mailbox, Matches, OwnerRef
from shared.domain.email import Address, Envelope
from shared.domain.filtering import effective
from shared.domain.ids import OwnerId, normalised_address
from shared.domain.judgement import Correlation, Judgement, Vote
from shared.domain.organisation import InternalMail, OrganisationSettings
from shared.domain.records import FolderTrackingRule
from shared.sync.relevance import no_mail
from shared.sync.special import is_automatic_reply, is_delivery_report, loop_addresses

ACCEPTANCES = frozenset(
    {
        Reason.RELEVANT,
        Reason.RESPONSE,
        Reason.KNOWN_SENDER,
        Reason.KNOWN_RECORD,
        Reason.SENDER_CLAIMS_OWN_ADDRESS,
        Reason.DELIVERY_REPORT,
        Reason.FOLDER_RULE,
        Reason.CATEGORY,
        Reason.BY_HAND,
    }
)
"""Why `judge` promotes."""

REFUSALS = frozenset(
    {
        Reason.EXCLUDED,
        Reason.LOOP,
        Reason.OPTED_OUT,
        Reason.AUTOMATIC_REPLY,
        Reason.INTERNAL_SENDER,
        Reason.NO_RECIPIENT_MATCH,
        Reason.NO_CORRELATION_MATCH,
        Reason.NO_SENDER_MATCH,
        Reason.FILTER_NONE,
        Reason.PLAIN_FORWARD,
        Reason.UNKNOWN_FORWARDER,
        Reason.NOT_COLLECTED,
        Reason.MEETING_MESSAGE,
        Reason.NOT_A_MESSAGE,
    }
)
"""Why `judge` skips. All but the last two depend on configuration, or on what is stored by then."""

MOST_RECIPIENTS = 500
"""Recipient addresses of one message that count, in the order To, Cc, Bcc: each is looked up, and strangers may name thousands.
Exchange Online lets a message have as many, unless an administrator allows more. The others become parties of no record."""

KNOWN_TYPES = frozenset({"contact", "account", "lead"})
"""Records that LEADS_CONTACTS_ACCOUNTS accepts mail of."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a judgement needs to know beside the message."""

    mailbox: Mailbox
    """The one that received it."""
    direction: Direction
    """OUTGOING where it lies in Sent Items."""
    settings: OrganisationSettings
    matches: Matches
    """Of `addresses_judged`."""
    own_voice: AddressMatch | None
    """The owner of the mailbox, with its filter; of a forward mailbox who forwarded the message, where that counts."""
    refusal: Reason | None = None
    """Why a forward mailbox leaves it alone."""
    correlation: Correlation = field(default_factory=Correlation)
    rule: FolderTrackingRule | None = None
    """The active one of the folder that it lies in."""
    by_category: bool = False
    """A person gave it the tracking category."""
    by_hand: bool = False
    """A person asked for it."""


def judge(envelope: Envelope, facts: Facts) -> Judgement:
    """What becomes of a message. Exclusion is strict; then what people say stands before what filters say."""
    judgement = _judgement(envelope, facts)
    left_out = len(_distinct_recipients(envelope)) - len(_recipients(envelope, facts.mailbox))
    return replace(judgement, recipients_left_out=left_out) if left_out else judgement


def _judgement(envelope: Envelope, facts: Facts) -> Judgement:
    if _is_excluded(envelope, facts):
        return _skipped(Reason.EXCLUDED, facts)
    judgement = _by_itself(envelope, facts)
    if facts.by_hand:
        return _regardless(judgement, Reason.BY_HAND)
    if facts.by_category:
        return _regardless(judgement, Reason.CATEGORY)
    if facts.rule is not None:
        return replace(_regardless(judgement, Reason.FOLDER_RULE), rule=facts.rule.folder_id)
    return judgement


def addresses_judged(envelope: Envelope, mailbox: Mailbox) -> frozenset[str]:
    """The normalised addresses whose records a judgement and a resolution ask for."""
    sender = _addresses((envelope.sender,) if envelope.sender else ())
    return frozenset({*sender, *_recipients(envelope, mailbox), *loop_addresses(envelope)})


def is_own_sender(envelope: Envelope, matches: Matches, mailbox: Mailbox) -> bool:
    """The sender has an address of the organisation, or says so."""
    if envelope.sender is None:
        return False
    return _is_own(normalised_address(envelope.sender.address), matches, mailbox)


def claims_own_address(envelope: Envelope, facts: Facts) -> bool:
    """The sender of a received message uses an address of ours, and the server does not vouch for it."""
    is_vouched_for = facts.direction is Direction.OUTGOING or envelope.sender_origin is SenderOrigin.INTERNAL
    return not is_vouched_for and is_own_sender(envelope, facts.matches, facts.mailbox)


def is_internal(envelope: Envelope, facts: Facts) -> bool:
    """Whether it is mail between own users: of a received one the server vouches for the sender, and of a sent one a recipient
    is one of us."""
    if facts.direction is Direction.OUTGOING:
        return any(_is_own(address, facts.matches, facts.mailbox) for address in _recipients(envelope, facts.mailbox))
    is_vouched_for = envelope.sender_origin is SenderOrigin.INTERNAL
    return is_vouched_for and is_own_sender(envelope, facts.matches, facts.mailbox)


def direction_stored(envelope: Envelope, facts: Facts) -> Direction:
    """The direction that the activity has and its id is derived from. Internal mail that is to be one activity is outgoing
    from either copy, so that whichever is read first is the one."""
    is_one = facts.settings.internal_mail is InternalMail.ONE_ACTIVITY and is_internal(envelope, facts)
    return Direction.OUTGOING if is_one else facts.direction


def awaits_original(envelope: Envelope, judgement: Judgement) -> bool:
    """Whether it was skipped only because what it answers is not known yet: the original may arrive later."""
    if judgement.verdict is not Verdict.SKIPPED or not (envelope.in_reply_to or envelope.references):
        return False
    correlation = judgement.correlation
    was_sought = any(each.method is CorrelationMethod.IN_REPLY_TO for each in correlation.tried)
    would_count = any(not vote.accepts and vote.method is not IncomingFilteringMethod.NONE for vote in judgement.votes)
    return was_sought and correlation.method is CorrelationMethod.NONE and would_count


# ---- the rules in their order


def _by_itself(envelope: Envelope, facts: Facts) -> Judgement:
    """What becomes of it where nobody asked for it."""
    if reason := _reason_to_skip(envelope, facts):
        return _skipped(reason, facts)
    judgement = _by_vote(envelope, facts)
    if is_delivery_report(envelope) and facts.correlation.is_match:
        return replace(judgement, verdict=Verdict.PROMOTED, reason=Reason.DELIVERY_REPORT)
    if judgement.verdict is Verdict.PROMOTED and claims_own_address(envelope, facts):
        return replace(judgement, reason=Reason.SENDER_CLAIMS_OWN_ADDRESS)
    return judgement


def _reason_to_skip(envelope: Envelope, facts: Facts) -> Reason | None:
    if facts.refusal is not None:
        return facts.refusal
    if reason := no_mail(envelope.item_class):  # not every server tells what an item is before it is read
        return reason
    if any(_is_own(address, facts.matches, facts.mailbox) for address in loop_addresses(envelope)):
        return Reason.LOOP
    if facts.correlation.opted_out:
        return Reason.OPTED_OUT
    if is_automatic_reply(envelope) and not facts.settings.track_automatic_replies:
        return Reason.AUTOMATIC_REPLY
    return None


def _regardless(judgement: Judgement, reason: Reason) -> Judgement:
    """Promoted because people say so: nobody accepted it, but the queues that would have still get it."""
    return replace(judgement, verdict=Verdict.PROMOTED, reason=reason, accepted_by=None)


def _skipped(reason: Reason, facts: Facts) -> Judgement:
    return Judgement(Verdict.SKIPPED, reason, correlation=facts.correlation)


# ---- exclusion


def _is_excluded(envelope: Envelope, facts: Facts) -> bool:
    """Of received mail the sender is on the list; of sent mail all recipients are, those outside where there are any."""
    listed = frozenset(facts.settings.exclude)
    if facts.direction is Direction.INCOMING:
        return envelope.sender is not None and _is_listed(normalised_address(envelope.sender.address), listed)
    recipients = _recipients(envelope, facts.mailbox)
    counted = _outside(envelope, facts) or recipients
    return bool(counted) and all(_is_listed(address, listed) for address in counted)


def _is_listed(address: str, listed: frozenset[str]) -> bool:
    """As itself, or by its domain or one above it."""
    if not listed:
        return False
    labels = address.rpartition("@")[2].rstrip(".").split(".")
    domains = {".".join(labels[place:]) for place in range(len(labels))}
    return address in listed or not listed.isdisjoint(domains)


# ---- votes


def _by_vote(envelope: Envelope, facts: Facts) -> Judgement:
    votes = tuple(_vote(voter, envelope, facts) for voter in _voters(envelope, facts))
    accepting = [vote for vote in votes if vote.accepts]
    queues = tuple(sorted(OwnerId(vote.owner.id) for vote in accepting if vote.owner.kind is OwnerKind.QUEUE))
    if accepting:
        first = accepting[0]
        promoted = Judgement(Verdict.PROMOTED, first.reason, votes, correlation=facts.correlation)
        return replace(promoted, accepted_by=first.owner, queues=queues)
    return Judgement(Verdict.SKIPPED, _refusal(votes, envelope, facts), votes, correlation=facts.correlation)


def _refusal(votes: Sequence[Vote], envelope: Envelope, facts: Facts) -> Reason:
    """That of the mailbox's own owner, which is what its people ask about; else that of the first voter."""
    if _is_left_in_mailboxes(envelope, facts):
        return Reason.INTERNAL_SENDER
    own = [vote for vote in votes if vote.owner == facts.mailbox.owner]
    return next((vote.reason for vote in (*own, *votes)), Reason.NO_RECIPIENT_MATCH)


def _voters(envelope: Envelope, facts: Facts) -> list[AddressMatch]:
    """The recipients that are users or queues, then the owner of the mailbox if it is none of them."""
    own = [facts.own_voice] if facts.own_voice is not None and facts.own_voice.active else []
    if facts.direction is Direction.OUTGOING:
        return [] if _is_left_in_mailboxes(envelope, facts) else own
    addresses = _recipients(envelope, facts.mailbox)
    found = {_key(match): match for address in addresses for match in facts.matches.get(address, ()) if match.is_own}
    recipients = [found[key] for key in sorted(found) if found[key].active]
    voters = [*recipients, *(voter for voter in own if _key(voter) not in found)]
    if _is_left_in_mailboxes(envelope, facts):
        return [voter for voter in voters if voter.kind == OwnerKind.QUEUE]
    return voters


def _is_left_in_mailboxes(envelope: Envelope, facts: Facts) -> bool:
    """Mail between own users is skipped, where the organisation says so; sent mail that also goes outside is none."""
    if facts.settings.internal_mail is not InternalMail.SKIP or not is_internal(envelope, facts):
        return False
    return facts.direction is Direction.INCOMING or not _outside(envelope, facts)


def _vote(voter: AddressMatch, envelope: Envelope, facts: Facts) -> Vote:
    chosen = IncomingFilteringMethod.RESPONSES if voter.filtering_method is None else voter.filtering_method
    method = effective(chosen, facts.settings.filter_ceiling)
    accepted = _acceptance(method, envelope, facts)
    owner = OwnerRef(OwnerKind(voter.kind), OwnerId(voter.id))
    return Vote(owner, method, accepts=accepted is not None, reason=accepted or _REFUSED_BY[method])


_REFUSED_BY = {
    IncomingFilteringMethod.ALL: Reason.NO_RECIPIENT_MATCH,
    IncomingFilteringMethod.RESPONSES: Reason.NO_CORRELATION_MATCH,
    IncomingFilteringMethod.LEADS_CONTACTS_ACCOUNTS: Reason.NO_SENDER_MATCH,
    IncomingFilteringMethod.EMAIL_ENABLED_RECORDS: Reason.NO_SENDER_MATCH,
    IncomingFilteringMethod.NONE: Reason.FILTER_NONE,
}


def _acceptance(method: IncomingFilteringMethod, envelope: Envelope, facts: Facts) -> Reason | None:
    """Why a filter accepts the message; None if it does not. A wider filter accepts all that a narrower one accepts, so
    filters of known records accept responses too: otherwise lowering the ceiling could let more in."""
    if method is IncomingFilteringMethod.ALL:
        return Reason.RELEVANT
    if method is IncomingFilteringMethod.NONE:
        return None
    known = _known(envelope, facts) if method is not IncomingFilteringMethod.RESPONSES else []
    if any(match.kind in KNOWN_TYPES for match in known):
        return Reason.KNOWN_SENDER
    if known and method is IncomingFilteringMethod.EMAIL_ENABLED_RECORDS:
        return Reason.KNOWN_RECORD
    return Reason.RESPONSE if facts.correlation.is_match else None


def _known(envelope: Envelope, facts: Facts) -> list[AddressMatch]:
    """The active records that the sender is, or of a sent message a recipient outside. A user or queue counts only where the
    server vouches for the sender."""
    if facts.direction is Direction.OUTGOING:
        addresses = _outside(envelope, facts)
    else:
        addresses = _addresses((envelope.sender,) if envelope.sender else ())
    is_internal_mail = facts.direction is Direction.INCOMING and is_internal(envelope, facts)
    found = [match for address in addresses for match in facts.matches.get(address, ()) if match.active]
    return [match for match in found if not match.is_own or is_internal_mail]


# ---- who is who


def _recipients(envelope: Envelope, mailbox: Mailbox) -> list[str]:
    """The addresses of those that count. That of the mailbox itself does wherever it stands."""
    distinct = _distinct_recipients(envelope)
    own = normalised_address(mailbox.address)
    return [*distinct[:MOST_RECIPIENTS], *(own for each in distinct[MOST_RECIPIENTS:] if each == own)]


def _distinct_recipients(envelope: Envelope) -> list[str]:
    return list(dict.fromkeys(_addresses((*envelope.to, *envelope.cc, *envelope.bcc))))


def _addresses(named: Sequence[Address]) -> list[str]:
    return [normalised_address(each.address) for each in named if each.address.strip()]


def _outside(envelope: Envelope, facts: Facts) -> list[str]:
    """The recipients who are none of us."""
    return [each for each in _recipients(envelope, facts.mailbox) if not _is_own(each, facts.matches, facts.mailbox)]


def _is_own(address: str, matches: Matches, mailbox: Mailbox) -> bool:
    return address == normalised_address(mailbox.address) or any(match.is_own for match in matches.get(address, ()))


def _key(match: AddressMatch) -> tuple[str, str]:
    return match.kind, match.id
