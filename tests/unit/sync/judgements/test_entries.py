"""By what stored emails are found again, how clues are read, and what is judged once more."""

import base64
from typing import Any

import pytest

from shared.domain.choices import CorrelationMethod, Direction, OwnerKind, Verdict
from shared.domain.configuration import AddressMatch, OwnerRef
from shared.domain.email import CorrelationEntry, CorrelationKind
from shared.domain.ids import ActivityId, OwnerId, email_id, short_hash
from shared.domain.judgement import Correlation, CorrelationTry, TryOutcome
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import AddressBookRecord
from shared.sync.acceptance import addresses_judged, awaits_original
from shared.sync.correlation import (
    METHODS,
    address_hashes,
    entries_of,
    index_base,
    open_clues,
    opted_out_entry,
    subject_words,
)
from shared.sync.resolution import TOO_MANY, contact_to_create, resolve, with_contact
from tests.builders import a_mailbox, a_message
from tests.unit.sync.judgements.office import a_case, an_office, thread_index

SETTINGS = OrganisationSettings()
ALL_METHODS = OrganisationSettings(correlation_methods=METHODS)


def entries(
    name: str, settings: OrganisationSettings = ALL_METHODS, **changes: object
) -> dict[CorrelationKind, CorrelationEntry]:
    email = an_office({"emails": {name: changes}}).emails[name]
    return {entry.kind: entry for entry in entries_of(email.activity, email.content, settings)}


# ---- what stored emails leave behind


def test_what_we_sent_is_found_by_its_index_its_token_and_its_words() -> None:
    found = entries("offer")
    assert set(found) == {CorrelationKind.CONVERSATION, CorrelationKind.TOKEN, CorrelationKind.WORDS}
    assert {entry.activity_id for entry in found.values()} == {email_id("offer@mail.example", Direction.OUTGOING)}
    assert found[CorrelationKind.TOKEN].addresses == address_hashes(["carol@fabrikam.example", "anna@contoso.example"])
    assert found[CorrelationKind.CONVERSATION].addresses == ()


def test_what_continues_another_names_the_conversation_of_that_one() -> None:
    assert {entry.conversation for entry in entries("thanks").values()} == {email_id("offer@mail.example", Direction.OUTGOING)}


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        (CorrelationMethod.CONVERSATION_INDEX, CorrelationKind.CONVERSATION),
        (CorrelationMethod.TRACKING_TOKEN, CorrelationKind.TOKEN),
        (CorrelationMethod.SMART_MATCHING, CorrelationKind.WORDS),
    ],
)
def test_only_methods_that_are_on_leave_something_behind(method: CorrelationMethod, kind: CorrelationKind) -> None:
    assert set(entries("offer", OrganisationSettings(correlation_methods=(method,)))) == {kind}
    assert entries("offer", OrganisationSettings(correlation_methods=(CorrelationMethod.IN_REPLY_TO,))) == {}


def test_a_token_leads_to_no_mail_that_began_with_a_borrowed_one() -> None:
    assert CorrelationKind.TOKEN not in entries("question", subject="SYNC:0001234")
    assert CorrelationKind.TOKEN in entries("thanks")


def test_a_message_of_an_opted_out_conversation_leaves_what_leads_there() -> None:
    outcome = a_case({"case": "", "message": {"from": "leo", "answers": "secret"}, "expected": {}})
    secret = email_id("secret@mail.example", Direction.OUTGOING)
    message = a_message(message_id="new")
    entry = opted_out_entry(message, outcome.judgement.correlation)
    assert entry == CorrelationEntry(
        CorrelationKind.MESSAGE, short_hash("new"), secret, secret, message.received, is_fragment=True
    )
    clue = open_clues(a_message(in_reply_to="new"), {}, SETTINGS)[0]
    assert (clue.kind, clue.key) == (entry.kind, entry.key)


def test_it_names_the_email_that_the_message_would_have_continued() -> None:
    emails = {"whisper": {"from": "anna", "to": ["leo"], "subject": "", "sent": True, "continues": "secret", "opted_out": True}}
    outcome = a_case({"case": "", "emails": emails, "message": {"from": "leo", "answers": "whisper"}, "expected": {}})
    entry = opted_out_entry(a_message(message_id="new"), outcome.judgement.correlation)
    assert entry is not None
    assert entry.activity_id == email_id("whisper@mail.example", Direction.OUTGOING)
    assert entry.conversation == email_id("secret@mail.example", Direction.OUTGOING)


def test_other_messages_leave_nothing_that_leads_to_an_opted_out_conversation() -> None:
    assert opted_out_entry(a_message(), Correlation()) is None
    opted_out = Correlation(CorrelationMethod.SKIPPED, conversation=ActivityId("secret"), opted_out=True)
    assert opted_out_entry(a_message(message_id=None), opted_out) is None


# ---- how clues are read


def test_the_index_base_is_the_same_in_every_answer() -> None:
    assert index_base(thread_index("spring")) == index_base(thread_index("spring", 5)) != index_base(thread_index("summer"))


@pytest.mark.parametrize(
    "value",
    [None, "", "no base64!", base64.b64encode(b"\x01" * 21).decode(), base64.b64encode(b"\x01" * 6 + bytes(20)).decode()],
)
def test_what_is_no_conversation_index_has_no_base(value: str | None) -> None:
    assert index_base(value) is None


def test_an_index_that_was_folded_is_read() -> None:
    index = thread_index("spring") or ""
    assert index_base(f" {index[:10]}\r\n\t{index[10:]}") == index_base(index)


def test_words_are_those_that_the_conversation_began_with() -> None:
    assert subject_words("RE: WG: Late pumps, LATE! SYNC:0001234", SETTINGS) == ("late", "pumps")
    assert len(subject_words(" ".join(f"w{number}" for number in range(50)), SETTINGS)) == 20


def test_addresses_are_kept_as_hashes_and_not_without_end() -> None:
    assert address_hashes([" Carol@X.example", "carol@x.example", " "]) == (short_hash("carol@x.example"),)
    assert len(address_hashes(f"a{number}@x.example" for number in range(1000))) == 200


# ---- what is looked up


def test_of_a_thousand_references_only_those_that_are_followed_cost_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    derived: set[str] = set()

    def noted(message_id: str, direction: Direction) -> ActivityId:
        derived.add(message_id)
        return email_id(message_id, direction)

    monkeypatch.setattr("shared.sync.correlation.email_id", noted)
    references = tuple(f"{number}@hostile.example" for number in range(1000))
    open_clues(a_message(references=references), {}, SETTINGS)
    assert derived == {references[0], *references[-9:]}


def test_lookups_go_step_by_step_and_end_where_something_is_found() -> None:
    office = an_office({})
    message = a_message("SYNC:0001234", in_reply_to="unknown", references=("a", "b"), conversation_index=thread_index("spring"))
    first = open_clues(message, {}, SETTINGS)
    assert [clue.key for clue in first] == [short_hash("unknown")]
    assert first[0].emails == (email_id("unknown", Direction.OUTGOING), email_id("unknown", Direction.INCOMING))
    known = dict.fromkeys(first, ())
    second = open_clues(message, known, SETTINGS)
    assert [clue.key for clue in second] == [short_hash("b"), short_hash("a")]
    third = open_clues(message, {**known, **dict.fromkeys(second, ())}, SETTINGS)
    assert [clue.kind for clue in third] == [CorrelationKind.TOKEN]
    found = {**known, **dict.fromkeys(second, ()), third[0]: office.look_up(third[0])}
    assert open_clues(message, found, SETTINGS) == ()


def test_a_message_without_clues_asks_for_nothing() -> None:
    assert open_clues(a_message(), {}, SETTINGS) == ()


def test_of_all_addresses_of_a_message_the_records_are_asked_for() -> None:
    message = a_message(sender="A@x.example", to=["b@x.example"], cc=[" C@x.example "], headers={"x-loop": "d@x.example"})
    assert addresses_judged(message, a_mailbox()) == {"a@x.example", "b@x.example", "c@x.example", "d@x.example"}


# ---- what is judged again


def judged_again(**case: Any) -> bool:
    outcome = a_case({"case": "", "expected": {}, **case})
    message: dict[str, Any] = case["message"]
    answers = [f"{each}@mail.example" for each in [message.get("answers")] if each]
    references = tuple(f"{each}@mail.example" for each in message.get("refers_to", ()))
    envelope = a_message(in_reply_to=answers[0] if answers else None, references=references)
    return awaits_original(envelope, outcome.judgement)


def test_an_answer_whose_original_is_unknown_is_judged_again() -> None:
    assert judged_again(message={"answers": "unknown"})
    assert judged_again(message={"refers_to": ["unknown"]})
    assert judged_again(message={"from": "stranger", "answers": "unknown"}, filters={"anna": "leads_contacts_accounts"})


def test_what_more_mail_would_not_change_is_not_judged_again() -> None:
    assert not judged_again(message={})
    assert not judged_again(message={"answers": "offer"})
    assert not judged_again(message={"answers": "offer", "subject": "FW: Offer"})
    assert not judged_again(message={"from": "leo", "answers": "secret"})
    assert not judged_again(message={"answers": "unknown"}, filters={"anna": "none"})
    assert not judged_again(message={"answers": "unknown"}, settings={"exclude": ["fabrikam.example"]})
    assert not judged_again(message={"answers": "unknown"}, settings={"correlation_methods": ["tracking_token"]})
    assert not judged_again(message={"answers": "unknown", "headers": {"x-autoreply": "yes"}})
    assert not judged_again(message={"answers": "unknown", "from": "ben", "origin": "internal"})


def test_an_answer_to_a_queue_among_colleagues_is_judged_again() -> None:
    message = {"answers": "unknown", "from": "ben", "to": "support", "origin": "internal"}
    assert judged_again(message=message, mailbox="support")


def test_what_is_found_by_another_clue_awaits_nothing() -> None:
    outcome = a_case({"case": "", "expected": {}, "message": {"answers": "unknown", "thread": "spring"}})
    assert outcome.judgement.verdict is Verdict.PROMOTED
    assert outcome.judgement.correlation.tried[0] == CorrelationTry(CorrelationMethod.IN_REPLY_TO, TryOutcome.NOT_FOUND)


# ---- resolution, where a table would be long


def test_an_address_that_a_hundred_records_have_stands_for_none() -> None:
    def crowd(size: int) -> list[AddressMatch]:
        return [AddressMatch("contact", f"c{number:03}", "") for number in range(size)]

    message = a_message(sender="crowd@x.example", to=["crowd@x.example"])
    for size, expected in ((TOO_MANY - 1, "c000"), (TOO_MANY, None)):
        found = {"crowd@x.example": crowd(size)}
        resolution = resolve(message, Direction.INCOMING, found, a_mailbox(), SETTINGS)
        assert [party.record_id for party in resolution.parties][:2] == [expected, expected]
        assert len(resolution.parties) == (1 + size if expected else 2)
        assert resolution.sender_is_ambiguous


def test_a_new_contact_is_the_same_whoever_creates_it_and_is_the_sender_at_once() -> None:
    first = contact_to_create(a_message(sender="New@x.example"), {}, a_mailbox())
    second = contact_to_create(a_message(sender="new@x.example"), {}, a_mailbox())
    assert first is not None
    assert first == second
    assert first == AddressBookRecord("contact", first.id, "new@x.example", ("new@x.example",), "user-anna")
    message = a_message(sender="New@x.example")
    resolution = resolve(message, Direction.INCOMING, with_contact({}, first), a_mailbox(), SETTINGS)
    assert (resolution.parties[0].record_kind, resolution.parties[0].record_id) == ("contact", first.id)


def test_a_new_contact_belongs_to_the_user_whose_mailbox_it_wrote_to_but_to_no_queue() -> None:
    queue = OwnerRef(OwnerKind.QUEUE, OwnerId("support"))
    for owner, expected in ((a_mailbox().owner, "user-anna"), (queue, None), (None, None)):
        contact = contact_to_create(a_message(), {}, a_mailbox(owner=owner, address="x@contoso.example"))
        assert contact is not None
        assert contact.owner_id == expected


@pytest.mark.parametrize(
    ("longer", "message", "is_looked_up"),
    [
        (0, {}, False),
        (5, {}, True),
        (0, {"subject": "AW: Offer"}, True),
        (0, {"references": ("one",)}, True),
        (0, {"in_reply_to": "one"}, True),
    ],
)
def test_what_begins_a_conversation_is_looked_up_by_no_index(longer: int, message: dict[str, Any], is_looked_up: bool) -> None:
    """Its index is the base alone, and nothing else about it says that it answers."""
    index = base64.b64encode(bytes(range(1, 23)) + bytes(longer)).decode()
    only_index = OrganisationSettings(correlation_methods=(CorrelationMethod.CONVERSATION_INDEX,))
    clues = open_clues(a_message(conversation_index=index, **message), {}, only_index)
    assert [clue.kind for clue in clues] == ([CorrelationKind.CONVERSATION] if is_looked_up else [])
