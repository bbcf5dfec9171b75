"""Joining an answer changes nothing that a person, a rule or the mailbox said; what was opted out stays so."""

from dataclasses import replace

import pytest

from shared.domain.choices import CorrelationMethod, Direction, RegardingSource, SenderOrigin
from shared.domain.email import Address, OptOut
from shared.domain.folders import INBOX, SENT_ITEMS
from shared.domain.organisation import InternalMail, OrganisationSettings
from shared.domain.records import RecordRef
from tests.builders import MONDAY, a_message
from tests.unit.sync.aftermath import MINUTE
from tests.unit.sync.chains import FABRIKAM, a_scene, about, chain, email, index, let_time_pass, set_regarding, the_id

# ---- what a person, a rule or the mailbox said stays


def test_what_an_answer_is_about_already_and_who_owns_it_stays() -> None:
    scene, (original, answer) = a_scene(), chain(2)
    scene.anna.deliver(answer)
    scene.until_idle("anna")
    scene.ben.deliver(original)
    scene.until_idle("ben")
    set_regarding(scene, 0, FABRIKAM)
    set_regarding(scene, 1, RecordRef("lead", "carol"))
    owner = email(scene, 1).owner
    let_time_pass(scene, "anna")
    joined = email(scene, 1)
    assert (joined.conversation, joined.owner) == (the_id(0), owner)
    assert (joined.regarding, joined.regarding_set_by) == (RecordRef("lead", "carol"), RegardingSource.HAND)
    assert about(scene) == []


def test_an_email_of_which_a_person_says_that_it_is_about_nothing_is_about_nothing() -> None:
    scene, (original, answer) = a_scene(), chain(2)
    scene.anna.deliver(answer)
    scene.until_idle("anna")
    scene.ben.deliver(original)
    scene.until_idle("ben")
    set_regarding(scene, 0, FABRIKAM)
    set_regarding(scene, 1, None)
    let_time_pass(scene, "anna")
    assert (email(scene, 1).conversation, email(scene, 1).regarding) == (the_id(0), None)


def test_what_people_said_of_an_answer_later_is_not_what_further_answers_are_about() -> None:
    """They were stored before: as if they had come in order."""
    scene = a_scene(page_items=2)
    for message in chain(3)[1:]:
        scene.anna.deliver(message)
    scene.until_idle("anna")
    set_regarding(scene, 1, FABRIKAM)
    let_time_pass(scene, "anna")
    assert (email(scene, 2).correlated_to, email(scene, 2).regarding) == (the_id(1), None)


def test_an_answer_that_was_deleted_stays_deleted_and_those_to_it_find_what_is_left() -> None:
    scene, messages = a_scene(), chain(3)
    messages[2] = replace(messages[2], references=("0@fabrikam.example", "1@fabrikam.example"))
    for message in messages[1:]:
        scene.anna.deliver(message)
    scene.until_idle("anna")
    stored = scene.activity(the_id(1))
    scene.stores.activities.erase(replace(stored.record, deleted_on=MONDAY), stored.etag)
    scene.ben.deliver(messages[0])
    scene.until_idle("ben")
    let_time_pass(scene, "anna")
    assert email(scene, 1).deleted_on == MONDAY
    assert (email(scene, 2).correlated_to, email(scene, 2).conversation) == (the_id(0), the_id(0))


def test_an_answer_that_was_untracked_is_joined_without_being_listed_again() -> None:
    scene, (original, answer) = a_scene(), chain(2)
    ref = scene.anna.deliver(replace(answer, categories=("Tracked",)))
    scene.until_idle("anna")
    scene.anna.change(ref, categories=())
    scene.ben.deliver(original)
    scene.until_idle()
    let_time_pass(scene)
    assert email(scene, 1).conversation == the_id(0)
    assert scene.subjects("anna") == []


def test_an_answer_that_was_deleted_from_its_mailbox_is_joined_too() -> None:
    scene, (original, answer) = a_scene(), chain(2)
    ref = scene.anna.deliver(answer)
    scene.until_idle("anna")
    scene.anna.remove(ref)
    scene.ben.deliver(original)
    scene.until_idle()
    fetched = len(scene.anna.fetched)
    let_time_pass(scene)
    assert email(scene, 1).conversation == the_id(0)
    assert len(scene.anna.fetched) == fetched, "nothing is downloaded for it"


# ---- conversations that were opted out


def test_an_answer_to_what_was_opted_out_stays_stored_and_further_answers_are_left() -> None:
    scene, (original, answer, further) = a_scene(), chain(3)
    scene.anna.deliver(answer)
    scene.until_idle("anna")
    scene.ben.deliver(original)
    scene.until_idle("ben")
    set_regarding(scene, 0, FABRIKAM)
    scene.stores.correlations.opt_out(OptOut(the_id(0), "anna", MONDAY))
    let_time_pass(scene, "anna")
    joined = email(scene, 1)
    assert (joined.conversation, joined.correlated_to, joined.regarding) == (the_id(0), None, None)
    assert joined.correlation_method is CorrelationMethod.SKIPPED
    scene.anna.deliver(further)
    scene.until_idle("anna")
    assert scene.subjects("anna") == ["Offer 1"]
    assert scene.head().todos == ()


def test_an_answer_whose_own_conversation_was_opted_out_stays_apart() -> None:
    """Whoever said so meant it and what answers it, not what came before."""
    scene, (original, answer, further) = a_scene(), chain(3)
    scene.anna.deliver(answer)
    scene.until_idle("anna")
    scene.stores.correlations.opt_out(OptOut(the_id(1), "anna", MONDAY))
    scene.anna.deliver(original)
    scene.until_idle("anna")
    let_time_pass(scene, "anna")
    assert (email(scene, 1).conversation, email(scene, 1).correlated_to) == (the_id(1), None)
    scene.anna.deliver(further)
    scene.anna.deliver(a_message("Re: Offer 0", message_id="other@fabrikam.example", in_reply_to="0@fabrikam.example"))
    scene.until_idle("anna")
    assert scene.subjects("anna") == ["Offer 0", "Offer 1", "Re: Offer 0"]


# ---- what else leads to it


def test_what_a_joined_answer_is_found_by_leads_to_the_conversation_that_it_joined() -> None:
    scene, (original, answer) = a_scene(), chain(2)
    scene.anna.deliver(replace(answer, conversation_index=index(0)))
    scene.until_idle("anna")
    scene.ben.deliver(original)
    scene.until_idle("ben")
    let_time_pass(scene, "anna")
    further = a_message("Re: Offer", message_id="further@fabrikam.example", conversation_index=index(1))
    scene.anna.deliver(replace(further, received=MONDAY + 60 * MINUTE))
    scene.until_idle("anna")
    found = email(scene, "further")
    assert (found.correlation_method, found.correlated_to) == (CorrelationMethod.CONVERSATION_INDEX, the_id(1))
    assert (found.conversation, found.is_fragment) == (the_id(0), False)


def test_a_sent_answer_is_joined_to_what_it_answers_though_that_is_read_from_another_folder() -> None:
    scene, (original, answer) = a_scene(settings=OrganisationSettings(track_sent_items=True)), chain(2)
    sent = replace(answer, sender=replace(original.to[0]), to=(original.sender,) if original.sender else ())
    scene.anna.deliver(sent, SENT_ITEMS)
    scene.until_idle("anna")
    scene.anna.deliver(original, INBOX)
    scene.until_idle("anna")
    let_time_pass(scene, "anna")
    joined = email(scene, 1, Direction.OUTGOING)
    assert (joined.conversation, joined.correlated_to) == (the_id(0), the_id(0))


@pytest.mark.parametrize("is_newest_first", [True, False])
def test_of_internal_mail_with_two_activities_answers_continue_what_they_would_in_order(is_newest_first: bool) -> None:
    scene = a_scene(settings=OrganisationSettings(internal_mail=InternalMail.TWO_ACTIVITIES, track_sent_items=True))
    from_anna, from_ben = (
        replace(message, sender=Address(f"{sender}@contoso.example"), to=(Address(f"{to}@contoso.example"),))
        for message, sender, to in zip(chain(2), ("anna", "ben"), ("ben", "anna"), strict=True)
    )
    sent = (scene.anna, scene.ben, from_anna), (scene.ben, scene.anna, from_ben)
    for sender, recipient, message in reversed(sent) if is_newest_first else sent:
        internal = replace(message, sender_origin=SenderOrigin.INTERNAL)
        sender.deliver(internal, SENT_ITEMS)
        recipient.deliver(internal)
        scene.until_idle()
    let_time_pass(scene)
    original = the_id(0, Direction.OUTGOING)
    for direction in Direction:
        answer = email(scene, 1, direction)
        assert (answer.correlated_to, answer.conversation, answer.is_fragment) == (original, original, False)
