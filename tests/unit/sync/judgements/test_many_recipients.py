"""A message to thousands: only so many recipients count and are looked up, in the order To, Cc, Bcc; the rest are parties."""

from dataclasses import replace
from typing import Any

from shared.domain.choices import Direction, IncomingFilteringMethod, OwnerKind, ParticipationType, Reason, Verdict
from shared.domain.configuration import AddressMatch, Mailbox, Matches
from shared.domain.email import Address, Envelope
from shared.domain.judgement import Judgement
from shared.domain.organisation import InternalMail, OrganisationSettings
from shared.sync.acceptance import MOST_RECIPIENTS, Facts, addresses_judged, judge
from shared.sync.resolution import resolve
from tests.builders import a_mailbox, a_message

SUPPORT = AddressMatch(OwnerKind.QUEUE, "support", "Support", filtering_method=IncomingFilteringMethod.ALL)
STRANGERS = [f"person-{number}@fabrikam.example" for number in range(5_000)]
ANNA = a_mailbox("anna")
BY_NAME = {"support@contoso.example": [SUPPORT]}


def judged(envelope: Envelope, matches: Matches, mailbox: Mailbox = ANNA, **changes: Any) -> Judgement:
    """By what is looked up, as a run does."""
    found = {address: matches.get(address, ()) for address in addresses_judged(envelope, mailbox)}
    facts = Facts(mailbox, Direction.INCOMING, OrganisationSettings(), found, None)
    return judge(envelope, replace(facts, **changes))


def test_the_first_recipients_are_looked_up_and_the_sender_and_the_mailbox_always() -> None:
    message = a_message(to=STRANGERS[:400], cc=STRANGERS[400:4_000], bcc=[*STRANGERS[4_000:], "Anna@Contoso.example"])
    expected = {*STRANGERS[:MOST_RECIPIENTS], "anna@contoso.example", "carol@fabrikam.example"}
    assert addresses_judged(message, ANNA) == expected


def test_an_address_that_stands_there_again_takes_no_place() -> None:
    message = a_message(to=["Person@fabrikam.example", *["person@fabrikam.example "] * 600, STRANGERS[1]])
    assert STRANGERS[1] in addresses_judged(message, ANNA)
    assert judged(message, {}).recipients_left_out == 0


def test_a_queue_votes_where_it_is_among_the_first_and_the_judgement_says_how_many_were_not_looked_up() -> None:
    early = judged(a_message(to=["support@contoso.example"], cc=STRANGERS), BY_NAME)
    assert (early.verdict, early.queues, early.recipients_left_out) == (Verdict.PROMOTED, ("support",), 4_501)
    late = judged(a_message(to=STRANGERS, cc=["support@contoso.example"]), BY_NAME)
    assert (late.verdict, late.reason) == (Verdict.SKIPPED, Reason.NO_RECIPIENT_MATCH)
    assert late.recipients_left_out == 4_501


def test_sent_mail_is_judged_by_the_recipients_that_were_looked_up() -> None:
    """To six hundred of us it does not go outside, though nobody looked up the last hundred."""
    own = {
        f"user-{number}@contoso.example": [AddressMatch(OwnerKind.USER, f"user-{number}", "", filtering_method=None)]
        for number in range(600)
    }
    settings = OrganisationSettings(internal_mail=InternalMail.SKIP)
    message = a_message(sender="anna@contoso.example", to=list(own))
    assert judged(message, own, direction=Direction.OUTGOING, settings=settings).reason is Reason.INTERNAL_SENDER


def test_all_recipients_are_parties_and_those_not_looked_up_of_no_record() -> None:
    message = a_message(to=STRANGERS, cc=["support@contoso.example"])
    found = {address: BY_NAME.get(address, ()) for address in addresses_judged(message, ANNA)}
    parties = resolve(message, Direction.INCOMING, found, ANNA, OrganisationSettings()).parties
    assert len(parties) == 5_002
    assert parties[-1].address == "support@contoso.example"
    assert parties[-1].record_id is None


def test_an_address_that_one_header_names_again_and_again_is_a_party_once() -> None:
    people = [AddressMatch("contact", f"person-{number}", "") for number in range(50)]
    names = tuple(Address("info@fabrikam.example", f"Name {number}") for number in range(5_000))
    message = replace(a_message(cc=["info@fabrikam.example"]), to=(*names, Address("", "Friends"), Address("", "Others")))
    parties = resolve(message, Direction.INCOMING, {"info@fabrikam.example": people}, ANNA, OrganisationSettings()).parties
    by_role = [(each.type, each.name) for each in parties]
    assert by_role.count((ParticipationType.TO, "Name 0")) == 50
    assert by_role.count((ParticipationType.TO, "Friends")) == by_role.count((ParticipationType.TO, "Others")) == 1
    assert len([role for role, _ in by_role if role is ParticipationType.CC]) == 50
    assert len(parties) == 1 + 50 + 2 + 50
