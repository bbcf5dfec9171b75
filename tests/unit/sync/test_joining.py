"""Answers that were stored before what they answer are joined to its conversation, in whichever order they came."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.choices import CorrelationMethod, RegardingSource
from shared.domain.email import ListOf, OptOut
from shared.domain.ledger import TodoKind
from tests.builders import MONDAY, a_message, a_queue
from tests.unit.sync.aftermath import MINUTE
from tests.unit.sync.chains import FABRIKAM, a_scene, about, chain, email, index, let_time_pass, set_regarding, the_id


def test_a_conversation_that_is_read_newest_first_is_one_in_the_end() -> None:
    scene = a_scene()
    for message in chain(3):
        scene.anna.deliver(message)
    scene.until_idle("anna")
    assert {email(scene, place).conversation for place in range(3)} == {the_id(place) for place in range(3)}
    set_regarding(scene, 0, FABRIKAM)
    let_time_pass(scene, "anna")
    for place in (1, 2):
        joined = email(scene, place)
        assert (joined.conversation, joined.is_fragment) == (the_id(0), False)
        assert joined.correlated_to == joined.parent == the_id(place - 1)
        assert joined.correlation_method is CorrelationMethod.IN_REPLY_TO
        assert (joined.regarding, joined.regarding_set_by) == (FABRIKAM, RegardingSource.CORRELATION)
    assert about(scene) == ["Offer 1", "Offer 2"]
    assert scene.head().todos == ()


@settings(max_examples=80)
@given(
    order=st.permutations(range(4)),
    boxes=st.lists(st.sampled_from([("anna",), ("ben",), ("anna", "ben")]), min_size=4, max_size=4),
    first=st.sampled_from(["anna", "ben"]),
    page_items=st.integers(1, 4),
    pauses=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_in_whichever_order_they_are_stored_all_are_in_one_conversation(
    order: Sequence[int], boxes: list[tuple[str, ...]], first: str, page_items: int, pauses: list[bool]
) -> None:
    """And whoever answers any of them then is in it too."""
    scene, messages = a_scene(page_items), chain(4)
    names = [first, "ben" if first == "anna" else "anna"]
    for place in order:
        for name in boxes[place]:
            getattr(scene, name).deliver(messages[place])
        if pauses[place]:
            scene.until_idle(*names)
            scene.clock.advance(3 * MINUTE)
    scene.until_idle(*names)
    let_time_pass(scene, *names)
    assert {email(scene, place).conversation for place in range(4)} == {the_id(0)}
    assert [email(scene, place).correlated_to for place in range(4)] == [None, the_id(0), the_id(1), the_id(2)]
    assert not any(email(scene, place).is_fragment for place in range(4))
    assert scene.head("anna").todos == scene.head("ben").todos == ()


def test_what_belongs_to_an_answer_follows_it_where_that_is_joined_later_than_anybody_waits() -> None:
    """Its own todos are done by then; who answers it is in the right conversation all the same."""
    scene, (original, answer, further) = a_scene(), chain(3)
    scene.anna.deliver(answer)
    scene.until_idle("anna")
    scene.ben.deliver(replace(further, conversation_index=index(0)))
    scene.until_idle("ben")
    let_time_pass(scene, "ben", "anna")
    scene.ben.deliver(original)
    scene.ben.deliver(answer)
    scene.until_idle("ben")
    let_time_pass(scene, "anna", "ben")
    assert email(scene, 1).conversation == the_id(0)
    assert email(scene, 2).conversation == the_id(1), "nobody asked again"
    scene.stores.correlations.opt_out(OptOut(the_id(0), "anna", MONDAY))
    scene.ben.deliver(a_message("Later", message_id="later@fabrikam.example", in_reply_to="2@fabrikam.example"))
    scene.ben.deliver(a_message("By index", message_id="index@fabrikam.example", conversation_index=index(1)))
    scene.until_idle("ben")
    assert scene.subjects("ben") == ["Offer 0", "Offer 1", "Offer 2"], "their conversation is that of the original"


def test_of_several_references_the_nearest_that_is_stored_is_continued() -> None:
    scene = a_scene()
    names = tuple(f"{place}@fabrikam.example" for place in range(3))
    answer = a_message("Re: Offer", message_id="answer@fabrikam.example", references=names)
    scene.anna.deliver(answer)
    scene.until_idle("anna")
    for message in chain(2):
        scene.anna.deliver(message)
    scene.until_idle("anna")
    let_time_pass(scene, "anna")
    joined = email(scene, "answer")
    assert (joined.correlated_to, joined.conversation) == (the_id(1), the_id(0))


def test_two_emails_that_answer_each_other_are_one_conversation_and_nobody_waits_for_its_beginning() -> None:
    for first, second in permutations(("anna", "ben")):
        scene = a_scene()
        ring = [
            a_message(
                f"Ring {place}", message_id=f"{place}@fabrikam.example", in_reply_to=f"{(place + 1) % 3}@fabrikam.example"
            )
            for place in range(3)
        ]
        getattr(scene, first).deliver(ring[0])
        getattr(scene, second).deliver(ring[1])
        getattr(scene, second).deliver(ring[2])
        scene.until_idle(first, second)
        let_time_pass(scene, second, first)
        scene.anna.deliver(a_message("Re: Ring", message_id="re@fabrikam.example", in_reply_to="1@fabrikam.example"))
        scene.until_idle("anna")
        assert email(scene, "re").conversation == email(scene, 1).conversation
        assert len({email(scene, place).conversation for place in range(3)}) == 1


def test_fragments_that_name_each_other_lead_to_one_end() -> None:
    """Two mailboxes may have joined each to the other at the same time."""
    scene, (one, two) = a_scene(), chain(3)[1:]
    for message in (one, two):
        scene.anna.deliver(message)
    scene.until_idle("anna")
    for place, other in ((1, 2), (2, 1)):
        stored = scene.activity(the_id(place))
        ringed = replace(stored.record, conversation=the_id(other), correlated_to=the_id(other), is_fragment=True)
        scene.stores.activities.replace(ringed, stored.etag)
    let_time_pass(scene, "anna")
    for place in (1, 2):
        scene.anna.deliver(
            a_message(f"Re: {place}", message_id=f"re-{place}@fabrikam.example", in_reply_to=f"{place}@fabrikam.example")
        )
    scene.until_idle("anna")
    assert email(scene, "re-1").conversation == email(scene, "re-2").conversation in (the_id(1), the_id(2))


# ---- when


def test_while_older_mail_is_still_read_nothing_is_looked_for_and_that_counts_as_no_attempt() -> None:
    scene = a_scene()
    scene.budget = replace(scene.budget, pages=1)
    for place, message in enumerate(chain(9)):
        scene.anna.deliver(message if place in (0, 8) else replace(message, in_reply_to=None))
    scene.anna.change(scene.anna.deliver(replace(chain(2)[1], message_id="last@fabrikam.example")), size=1)
    scene.run()
    for _ in range(6):
        scene.clock.advance(60 * MINUTE)
        scene.world.calls.clear()
        scene.run()
        assert "activities.contents" not in scene.world.calls, "nothing is looked for"
    assert email(scene, "last").is_fragment
    scene.until_idle("anna")
    let_time_pass(scene, "anna")
    assert email(scene, "last").conversation == the_id(0)


def test_who_continues_an_answer_whose_original_nobody_waits_for_any_more_leaves_nothing_to_do() -> None:
    """A mailbox that was enabled today has many conversations that began before."""
    scene, (_, answer, further) = a_scene(), chain(3)
    scene.anna.deliver(answer)
    scene.until_idle("anna")
    let_time_pass(scene, "anna")
    scene.anna.deliver(further)
    scene.until_idle("anna")
    scene.clock.advance(timedelta(days=9))
    assert scene.head().todos == ()
    assert (email(scene, 2).conversation, email(scene, 2).is_fragment) == (the_id(1), True)


def test_an_answer_in_a_mailbox_that_caught_up_does_not_wait_for_one_that_has_not() -> None:
    """What leads up to it is joined with it, whichever mailbox that came through."""
    scene, (original, answer, further) = a_scene(), chain(3)
    scene.budget = replace(scene.budget, pages=1)
    for place in range(9):
        scene.anna.deliver(a_message(f"Older {place}"))
    scene.anna.deliver(original)
    scene.anna.deliver(answer)
    for _ in range(2):
        scene.run("anna")
    set_regarding(scene, 0, FABRIKAM)
    scene.ben.deliver(further)
    scene.until_idle("ben")
    scene.clock.advance(16 * MINUTE)
    scene.until_idle("ben")
    assert {email(scene, place).conversation for place in range(3)} == {the_id(0)}
    assert about(scene) == ["Offer 1", "Offer 2"]


def test_an_answer_is_looked_for_twice_and_then_left() -> None:
    scene = a_scene()
    scene.anna.deliver(chain(2)[1])
    scene.until_idle("anna")
    for wait in (15 * MINUTE, 120 * MINUTE):
        assert scene.head().todos == ()
        scene.clock.advance(wait)
        assert [todo.kind for todo in scene.head().todos] == [TodoKind.JOIN]
        scene.until_idle("anna")
    scene.clock.advance(timedelta(days=9))
    assert scene.head().todos == ()


@pytest.mark.parametrize("subject", ["FW: Offer", "Fwd: Offer"])
def test_a_forward_answers_nothing(subject: str) -> None:
    scene = a_scene()
    scene.anna.deliver(a_message(subject, references=("offer@elsewhere.example",)))
    scene.until_idle("anna")
    scene.clock.advance(timedelta(days=9))
    assert scene.head().todos == ()
    assert not scene.activity(scene.activity_ids()[0]).record.is_fragment


def test_mail_that_answers_nothing_or_what_is_known_leaves_nothing_to_do_and_costs_nothing_more() -> None:
    scene, (original, answer, further) = a_scene(), chain(3)
    for message in (original, answer, further):
        scene.anna.deliver(message)
        scene.world.calls.clear()
        scene.until_idle("anna")
        assert scene.world.calls.count("activities.find") <= 1
    scene.clock.advance(timedelta(days=9))
    assert scene.head().todos == ()
    assert not any(email(scene, place).is_fragment for place in range(3))


def test_the_row_of_a_joined_answer_says_what_was_found_afterwards() -> None:
    scene, (original, answer) = a_scene(), chain(2)
    scene.anna.deliver(answer)
    scene.until_idle("anna")
    scene.ben.deliver(original)
    scene.until_idle("ben")
    let_time_pass(scene, "anna")
    [row] = scene.ledger().values()
    assert row.judgement is not None
    found = row.judgement.correlation
    assert (found.afterwards, found.activity_id, found.conversation) == (True, the_id(0), the_id(0))


def test_a_queue_keeps_an_answer_that_is_joined() -> None:
    scene, (original, answer) = a_scene(), chain(2)
    scene.stores.owners.create(a_queue("support"))
    scene.anna.deliver(replace(answer, to=(replace(answer.to[0], address="support@contoso.example"),)))
    scene.until_idle("anna")
    before = email(scene, 1).owner
    scene.anna.deliver(original)
    scene.until_idle("anna")
    let_time_pass(scene, "anna")
    assert (email(scene, 1).conversation, email(scene, 1).owner) == (the_id(0), before)
    assert [entry.subject for entry in scene.stores.timeline.list(ListOf.QUEUE, "queue-support").items] == ["Offer 1"]
