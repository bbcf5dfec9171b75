"""A forward that brings several messages: each is an email of its own, and all of them are one item."""

from datetime import timedelta

from shared.administration.explanation import Explanations
from shared.domain.choices import Direction, Reason
from shared.domain.ids import MailboxId, email_id
from shared.messages import ChangeItems, ItemTask
from shared.sync.item_changes import ItemChanges
from tests.builders import a_message
from tests.unit.sync.forwards import a_forward, a_scene
from tests.unit.sync.scene import Scene


def a_forward_of_two(scene: Scene) -> None:
    """Of two messages, the second of which answers one that is not stored yet."""
    answer = a_message("Re: Question", message_id="<answer@fabrikam.example>", in_reply_to="question@fabrikam.example")
    scene.ben.deliver(a_forward(a_message("Offer"), answer, subject="FW: both"))
    scene.until_idle("ben")


def test_each_of_several_originals_joins_the_conversation_that_it_answers_once_that_is_stored() -> None:
    scene = a_scene()
    a_forward_of_two(scene)
    scene.ben.deliver(a_forward(a_message("Question", message_id="<question@fabrikam.example>")))
    scene.until_idle("ben")
    scene.clock.advance(timedelta(minutes=20))
    scene.until_idle("ben")
    question, answer = (
        scene.activity(email_id(f"{name}@fabrikam.example", Direction.INCOMING)).record for name in ("question", "answer")
    )
    assert (answer.conversation, answer.correlated_to, answer.is_fragment) == (question.id, question.id, False)


def test_untracking_a_forward_takes_all_that_it_brought_off_the_list() -> None:
    scene = a_scene()
    a_forward_of_two(scene)
    (row,) = scene.ledger("ben").values()
    request = ChangeItems("request", MailboxId("collection"), ItemTask.UNTRACK, row.key.identity)
    ItemChanges(scene.stores, scene.clock).run(request)
    assert scene.subjects("ben") == []
    for activity_id in row.activity_ids:
        assert scene.activity(activity_id).record.deleted_on is None
        assert scene.stores.activities.sightings(activity_id) == []


def test_a_forward_is_explained_with_all_that_it_brought_and_so_is_each_of_them() -> None:
    scene = a_scene()
    a_forward_of_two(scene)
    (row,) = scene.ledger("ben").values()
    explanations = Explanations(scene.stores, scene.clock)
    told = explanations.of_message(MailboxId("collection"), "fw:-both@fabrikam.example")
    assert [activity.id for activity in told.activities] == list(row.activity_ids)
    assert "2 messages that it forwarded are activities" in told.items[0].story[1]
    for activity_id in row.activity_ids:
        (item,) = explanations.of_activity(MailboxId("collection"), activity_id).items
        assert item.reason is Reason.RELEVANT
    (item,) = explanations.of_message(MailboxId("collection"), "answer@fabrikam.example").items
    assert item.activity_id == row.activity_id
    assert explanations.of_message(MailboxId("collection"), "nothing@fabrikam.example").items == ()
