"""Answers find what they answer, in a page and over time; nothing continues what was opted out or deleted."""

import base64
from dataclasses import replace

import pytest

from shared.domain.choices import Direction, IncomingFilteringMethod, Reason
from shared.domain.email import OptOut
from shared.domain.ids import email_id
from shared.domain.records import AddressBookRecord
from tests.builders import MONDAY, a_message
from tests.unit.sync.aftermath import MINUTE, a_scene
from tests.unit.sync.scene import Scene


def test_answers_in_a_conversation_that_was_opted_out_are_left_and_so_are_answers_to_them() -> None:
    scene = a_scene(accepting=IncomingFilteringMethod.ALL)
    scene.anna.deliver(a_message("Offer"))
    scene.until_idle("anna")
    [offer] = scene.activity_ids()
    scene.stores.correlations.opt_out(OptOut(offer, "anna", MONDAY))
    scene.anna.deliver(a_message("Re: Offer", in_reply_to="offer@fabrikam.example", message_id="one@fabrikam.example"))
    scene.until_idle("anna")
    scene.anna.deliver(a_message("Re: Offer", in_reply_to="one@fabrikam.example", message_id="two@fabrikam.example"))
    scene.until_idle("anna")
    assert scene.subjects() == ["Offer"]
    assert sorted(row.reason for row in scene.ledger().values()) == [Reason.OPTED_OUT, Reason.OPTED_OUT, Reason.RELEVANT]


def test_an_answer_in_the_same_page_takes_conversation_and_regarding_from_its_original() -> None:
    scene = a_scene(accepting=IncomingFilteringMethod.ALL)
    scene.anna.deliver(a_message("Offer", received=MONDAY - 3 * MINUTE))
    answer = a_message("Re: Offer", in_reply_to="offer@fabrikam.example", message_id="one@fabrikam.example")
    scene.anna.deliver(replace(answer, received=MONDAY - 2 * MINUTE))
    again = a_message("Re: Re: Offer", references=("one@fabrikam.example",), message_id="two@fabrikam.example")
    scene.anna.deliver(replace(again, received=MONDAY - MINUTE))
    scene.run()
    offer, one, two = (
        scene.activity(email_id(f"{name}@fabrikam.example", Direction.INCOMING)).record for name in ("offer", "one", "two")
    )
    assert offer.conversation == one.conversation == two.conversation == offer.id
    assert (one.parent, two.parent) == (offer.id, one.id)


@pytest.mark.parametrize("filter_", [IncomingFilteringMethod.ALL, IncomingFilteringMethod.LEADS_CONTACTS_ACCOUNTS])
@pytest.mark.parametrize("number", range(6))
def test_of_mail_that_came_within_one_second_answers_find_what_they_answer(
    number: int, filter_: IncomingFilteringMethod
) -> None:
    """Whatever their keys are: hashes of their Message-IDs."""
    scene = a_scene(accepting=filter_)
    scene.stores.address_book.put(AddressBookRecord("contact", "carol", "Carol", ("carol@fabrikam.example",)))
    first, second, third = (f"{number}.{place}@fabrikam.example" for place in range(3))
    answer = a_message("Re: Offer", received=MONDAY, references=(first,), in_reply_to=first, message_id=second)
    again = a_message("Re: Re: Offer", received=MONDAY, references=(first, second), in_reply_to=second, message_id=third)
    for message in (again, answer, a_message("Offer", received=MONDAY, message_id=first)):
        scene.anna.deliver(message)
    scene.run()
    offer, one, two = (scene.activity(email_id(each, Direction.INCOMING)).record for each in (first, second, third))
    assert (one.parent, two.parent) == (offer.id, one.id)
    assert offer.conversation == one.conversation == two.conversation == offer.id


def test_what_a_person_tracks_of_a_conversation_that_was_opted_out_brings_no_further_answers_with_it() -> None:
    scene = a_scene(accepting=IncomingFilteringMethod.ALL)
    scene.anna.deliver(a_message("Offer"))
    scene.until_idle("anna")
    [offer] = scene.activity_ids()
    scene.stores.correlations.opt_out(OptOut(offer, "anna", MONDAY))
    answer = a_message("Re: Offer", in_reply_to="offer@fabrikam.example", message_id="one@fabrikam.example")
    scene.anna.deliver(replace(answer, received=MONDAY - 2 * MINUTE, categories=("Tracked",)))
    scene.anna.deliver(
        a_message("Re: Re", received=MONDAY, in_reply_to="one@fabrikam.example", message_id="two@fabrikam.example")
    )
    scene.until_idle("anna")
    scene.anna.deliver(a_message("Re: Re: Re", in_reply_to="one@fabrikam.example", message_id="three@fabrikam.example"))
    scene.until_idle("anna")
    assert scene.subjects() == ["Offer", "Re: Offer"]
    tracked = scene.activity(email_id("one@fabrikam.example", Direction.INCOMING)).record
    assert (tracked.conversation, tracked.correlated_to) == (offer, None)


def delete(scene: Scene, message_id: str) -> None:
    stored = scene.activity(email_id(message_id, Direction.INCOMING))
    scene.stores.activities.erase(replace(stored.record, deleted_on=MONDAY), stored.etag)


def test_nothing_continues_an_email_that_was_deleted_whatever_leads_to_it() -> None:
    scene = a_scene(accepting=IncomingFilteringMethod.ALL)
    base, answer = bytes(range(1, 23)), bytes(5)
    index = base64.b64encode(base + answer).decode()
    for number in range(3):
        received = MONDAY - (9 - number) * MINUTE
        scene.anna.deliver(a_message(f"Offer {number}", received=received, conversation_index=index))
    scene.until_idle("anna")
    delete(scene, "offer-2@fabrikam.example")
    scene.anna.deliver(a_message("Order", received=MONDAY, conversation_index=index))
    scene.until_idle("anna")
    order = scene.activity(email_id("order@fabrikam.example", Direction.INCOMING)).record
    assert order.correlated_to == email_id("offer-1@fabrikam.example", Direction.INCOMING)
    for name in ("offer-0", "offer-1", "order"):
        delete(scene, f"{name}@fabrikam.example")
    scene.anna.deliver(a_message("Invoice", received=MONDAY, conversation_index=index))
    scene.until_idle("anna")
    invoice = scene.activity(email_id("invoice@fabrikam.example", Direction.INCOMING)).record
    assert (invoice.correlated_to, invoice.conversation) == (None, invoice.id)
