"""What holds of every judgement, whatever the message, the people and the settings are."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

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
from shared.domain.email import Address, Envelope, IncomingMessage
from shared.domain.filtering import WIDEST_FIRST
from shared.domain.ids import ActivityId, OwnerId, mailbox_id_of
from shared.domain.judgement import Correlation, CorrelationTry, Judgement, TryOutcome
from shared.domain.organisation import InternalMail, OrganisationSettings
from shared.sync.acceptance import ACCEPTANCES, REFUSALS, Facts, judge
from shared.sync.correlation import METHODS, Clue, Found, FoundEmail, address_hashes, correlate, open_clues
from shared.sync.resolution import resolve
from tests.builders import MONDAY, a_mailbox, a_message
from tests.unit.sync.judgements.office import thread_index

PLACES = [f"place-{number}@contoso.example" for number in range(5)]
OUTSIDE = [f"other-{number}@fabrikam.example" for number in range(4)]
EVERYBODY = PLACES + OUTSIDE

FILTERS = st.sampled_from(IncomingFilteringMethod)
LISTS = st.lists(st.sampled_from(EVERYBODY), max_size=5)

CORRELATIONS = st.sampled_from(
    [
        Correlation(),
        Correlation(CorrelationMethod.IN_REPLY_TO, ActivityId("offer"), ActivityId("offer")),
        Correlation(
            CorrelationMethod.SKIPPED,
            tried=(CorrelationTry(CorrelationMethod.IN_REPLY_TO, TryOutcome.FORWARD, ActivityId("offer")),),
        ),
        Correlation(CorrelationMethod.SKIPPED, conversation=ActivityId("secret"), opted_out=True),
    ]
)


@st.composite
def _matches(draw: st.DrawFn) -> Matches:
    """Users and queues at our places, at most two at one; records of all kinds outside."""
    kinds = st.sampled_from(["user", "queue"])
    own = {
        address: [
            AddressMatch(draw(kinds), f"{address}/{number}", "", draw(st.booleans()), draw(FILTERS))
            for number in range(draw(st.integers(0, 2)))
        ]
        for address in PLACES
    }
    types = st.sampled_from(["contact", "account", "lead", "supplier"])
    records = {
        address: [
            AddressMatch(draw(types), f"{address}/{number}", "", draw(st.booleans()))
            for number in range(draw(st.integers(0, 2)))
        ]
        for address in OUTSIDE
    }
    return {**own, **records}


@st.composite
def _judged(draw: st.DrawFn, *, sent: bool | None = None) -> tuple[Envelope, Facts]:
    """A message and facts, as its mailbox's own owner sees them."""
    matches = draw(_matches())
    owners = [match for address in PLACES for match in matches[address] if match.active]
    owner = draw(st.sampled_from([*owners, None]))
    message = a_message(
        sender=draw(st.sampled_from([*EVERYBODY, None])),
        to=draw(LISTS),
        cc=draw(LISTS),
        bcc=tuple(Address(each) for each in draw(LISTS)),
        sender_origin=draw(st.sampled_from(SenderOrigin)),
        headers=draw(st.sampled_from([{}, {"auto-submitted": "auto-replied"}, {"x-loop": PLACES[0]}])),
    )
    facts = Facts(
        mailbox=_mailbox_of(owner),
        direction=draw(st.sampled_from(Direction)) if sent is None else Direction.OUTGOING if sent else Direction.INCOMING,
        settings=OrganisationSettings(
            filter_ceiling=draw(st.none() | FILTERS),
            exclude=tuple(draw(st.lists(st.sampled_from([*EVERYBODY, "fabrikam.example"]), max_size=1))),
            internal_mail=draw(st.sampled_from(InternalMail)),
            track_automatic_replies=draw(st.booleans()),
        ),
        matches=matches,
        own_voice=owner,
        correlation=draw(CORRELATIONS),
        by_hand=draw(st.booleans()) and draw(st.booleans()),
    )
    return message, facts


def _mailbox_of(owner: AddressMatch | None) -> Mailbox:
    """The mailbox of a user or queue; else one that belongs to nobody."""
    if owner is None:
        return a_mailbox(address="collection@contoso.example", owner=None)
    reference = OwnerRef(OwnerKind(owner.kind), OwnerId(owner.id))
    return a_mailbox(id=mailbox_id_of(reference.kind, reference.id), address=owner.id.partition("/")[0], owner=reference)


def _shuffled[T](draw: st.DrawFn, values: Sequence[T]) -> tuple[T, ...]:
    return tuple(draw(st.permutations(list(values))))


@st.composite
def _reordered(draw: st.DrawFn) -> tuple[Envelope, Facts, Envelope, Facts]:
    message, facts = draw(_judged())
    other = replace(message, to=_shuffled(draw, message.to), cc=_shuffled(draw, message.cc), bcc=_shuffled(draw, message.bcc))
    matches = {address: _shuffled(draw, found) for address, found in facts.matches.items()}
    return message, facts, other, replace(facts, matches=matches)


@given(_reordered())
def test_a_judgement_does_not_depend_on_the_order_of_recipients_nor_of_what_they_match(
    both: tuple[Envelope, Facts, Envelope, Facts],
) -> None:
    message, facts, reordered, reordered_facts = both
    assert judge(message, facts) == judge(reordered, reordered_facts)


def _accepted(judgement: Judgement) -> object:
    """What the activity that is stored says; why a mailbox refuses is told to its own people."""
    is_promoted = judgement.verdict is Verdict.PROMOTED
    return judgement.verdict, judgement.reason if is_promoted else None, judgement.accepted_by, judgement.queues


@given(_judged(sent=False))
def test_acceptance_does_not_depend_on_which_recipients_mailbox_brings_the_message_first(case: tuple[Envelope, Facts]) -> None:
    message, facts = case
    recipients = {each.address for each in (*message.to, *message.cc, *message.bcc)}
    present = [match for address in recipients & set(PLACES) for match in facts.matches[address] if match.active]
    judgements = [judge(message, replace(facts, mailbox=_mailbox_of(match), own_voice=match)) for match in present]
    assert all(_accepted(each) == _accepted(judgements[0]) for each in judgements)
    assert all(set(each.votes) == set(judgements[0].votes) for each in judgements)


@given(_judged(), FILTERS, FILTERS)
def test_a_narrower_ceiling_never_accepts_more(
    case: tuple[Envelope, Facts], one: IncomingFilteringMethod, other: IncomingFilteringMethod
) -> None:
    message, facts = case
    wide, narrow = sorted((one, other), key=WIDEST_FIRST.index)

    def under(ceiling: IncomingFilteringMethod | None) -> Judgement:
        return judge(message, replace(facts, settings=replace(facts.settings, filter_ceiling=ceiling)))

    for wider, narrower in ((wide, narrow), (None, wide)):
        if under(narrower).verdict is Verdict.PROMOTED:
            assert under(wider).verdict is Verdict.PROMOTED
        assert set(under(narrower).queues) <= set(under(wider).queues)


@given(_judged())
def test_nobody_but_a_recipient_or_the_mailboxs_own_owner_ever_votes(case: tuple[Envelope, Facts]) -> None:
    message, facts = case
    recipients = {each.address for each in (*message.to, *message.cc, *message.bcc)}
    allowed = {match.id for address in recipients for match in facts.matches[address] if match.active and match.is_own}
    if facts.own_voice is not None:
        allowed.add(facts.own_voice.id)
    assert {vote.owner.id for vote in judge(message, facts).votes} <= allowed


@given(_judged())
def test_every_judgement_gives_a_reason_that_goes_with_its_verdict(case: tuple[Envelope, Facts]) -> None:
    judgement = judge(*case)
    reasons = ACCEPTANCES if judgement.verdict is Verdict.PROMOTED else REFUSALS
    assert judgement.reason in reasons
    assert (judgement.accepted_by is not None) <= any(vote.accepts for vote in judgement.votes)


@given(_judged())
def test_nothing_that_is_excluded_or_opted_out_is_tracked_unless_somebody_asks(case: tuple[Envelope, Facts]) -> None:
    message, facts = case
    judgement = judge(message, facts)
    if facts.correlation.opted_out and not facts.by_hand:
        assert judgement.verdict is Verdict.SKIPPED
    if facts.direction is Direction.INCOMING and message.sender and message.sender.address in facts.settings.exclude:
        assert judgement.reason is Reason.EXCLUDED


@given(_judged())
def test_every_address_of_a_message_takes_part_and_the_sender_once(case: tuple[Envelope, Facts]) -> None:
    message, facts = case
    parties = resolve(message, facts.direction, facts.matches, facts.mailbox, facts.settings).parties
    named = [message.sender] if message.sender else []
    assert {party.address for party in parties} == {each.address for each in (*named, *message.to, *message.cc, *message.bcc)}
    assert sum(party.type.name == "SENDER" for party in parties) == len(named)


# ---- correlation


@st.composite
def _found_email(draw: st.DrawFn) -> FoundEmail:
    conversation = draw(st.sampled_from(["spring", "summer", "winter"]))
    return FoundEmail(
        ActivityId(f"{conversation}-{draw(st.integers(0, 3))}"),
        ActivityId(conversation),
        MONDAY - timedelta(days=draw(st.integers(-1, 100))),
        opted_out=conversation == "winter",
        addresses=frozenset(address_hashes(draw(LISTS))),
        is_deleted=draw(st.booleans()) and draw(st.booleans()),
    )


@st.composite
def _correlated(draw: st.DrawFn) -> tuple[IncomingMessage, dict[Clue, Sequence[FoundEmail]], OrganisationSettings]:
    """A message with clues of all kinds, and what each of them leads to."""
    settings = OrganisationSettings(
        correlation_methods=tuple(draw(st.lists(st.sampled_from(METHODS), unique=True))),
        correlate_forwards=draw(st.booleans()),
    )
    message = a_message(
        subject=draw(st.sampled_from(["Offer", "AW: Offer SYNC:0001234", "FW: Offer", "SYNC:1 SYNC:2", ""])),
        message_id="new",
        sender=draw(st.sampled_from([*EVERYBODY, None])),
        to=draw(LISTS),
        received=MONDAY,
        in_reply_to=draw(st.none() | st.sampled_from(["one", "two"])),
        references=tuple(draw(st.lists(st.sampled_from(["one", "two", "three", "four"]), max_size=4))),
        conversation_index=draw(st.sampled_from([None, thread_index("spring", 1), "not base64"])),
    )
    found: dict[Clue, Sequence[FoundEmail]] = {}
    for clue in _all_clues(message, settings):
        found[clue] = draw(st.lists(_found_email(), max_size=3))
    return message, found, settings


def _all_clues(message: IncomingMessage, settings: OrganisationSettings) -> list[Clue]:
    """Where nothing leads anywhere, everything is asked for."""
    nothing: dict[Clue, Sequence[FoundEmail]] = {}
    while clues := open_clues(message, nothing, settings):
        nothing |= dict.fromkeys(clues, ())
    return list(nothing)


@given(_correlated())
def test_correlation_never_leads_into_an_opted_out_conversation(
    case: tuple[IncomingMessage, Found, OrganisationSettings],
) -> None:
    message, found, settings = case
    correlation = correlate(message, found, settings)
    if correlation.is_match:
        assert correlation.conversation != "winter"
        assert not correlation.opted_out
        assert correlation.method in settings.correlation_methods
    if correlation.opted_out:
        assert correlation.method is CorrelationMethod.SKIPPED
        assert correlation.conversation == "winter"


@given(_correlated(), st.data())
def test_no_clue_leads_around_an_opted_out_conversation(
    case: tuple[IncomingMessage, Found, OrganisationSettings], data: st.DataObject
) -> None:
    """Whatever else the clue that led into it leads to, and whatever stands behind it."""
    message, found, settings = case
    clues = list(found)
    place = data.draw(st.integers(0, max(0, len(clues) - 1)))
    message = replace(message, sender=Address(OUTSIDE[0]), to=(Address(PLACES[0]),))
    secret = FoundEmail(
        ActivityId("winter-9"),
        ActivityId("winter"),
        MONDAY - timedelta(days=1),
        opted_out=True,
        addresses=frozenset(address_hashes(EVERYBODY)),
    )
    led = {clue: () if position < place else found[clue] for position, clue in enumerate(clues)}
    led |= {clue: (*found[clue], secret) for clue in clues[place : place + 1]}
    assert correlate(message, led, settings).opted_out == bool(clues)


@given(_correlated())
def test_looking_up_step_by_step_finds_what_looking_up_everything_finds(
    case: tuple[IncomingMessage, Found, OrganisationSettings],
) -> None:
    message, found, settings = case
    known: dict[Clue, Sequence[FoundEmail]] = {}
    while clues := open_clues(message, known, settings):
        assert not set(clues) & set(known)
        known |= {clue: found[clue] for clue in clues}
    assert correlate(message, known, settings) == correlate(message, found, settings)


@given(_correlated())
def test_what_was_tried_are_the_methods_that_are_on_in_their_order(
    case: tuple[IncomingMessage, Found, OrganisationSettings],
) -> None:
    message, found, settings = case
    tried = [each.method for each in correlate(message, found, settings).tried]
    assert tried == [method for method in METHODS if method in settings.correlation_methods][: len(tried)]
