"""The contract of what a ledger keeps about judging: judgements, and the todos that judging leaves."""

from dataclasses import replace

import pytest

from shared.domain.choices import IncomingFilteringMethod, OwnerKind, Reason, Verdict
from shared.domain.configuration import OwnerRef
from shared.domain.ids import MailboxId, OwnerId
from shared.domain.judgement import Judgement, Vote
from shared.domain.ledger import LedgerCommit, Todo, TodoKind
from shared.domain.records import RecordRef
from shared.ports import LEDGER_COMMIT_ROWS, TODOS_AT_ONCE, Stores
from shared.stores.limits import FEW
from tests.contracts.records import INCOMING, MINUTE, NOW, a_judgement, a_state, a_todo, a_vote, an_id, an_item

ANNA = MailboxId(an_id("anna"))
LONG_ID = "日" * 200


def commit(stores: Stores, etag: str | None, **parts: object) -> str:
    parts = {"state": a_state(), **parts}
    return stores.ledger.commit(ANNA, INCOMING, etag, LedgerCommit(**parts))  # type: ignore[arg-type]  # the caller names fields


def kept(stores: Stores, judgement: Judgement) -> Judgement:
    commit(stores, None, items=(an_item(judgement=judgement),))
    found = stores.ledger.get(ANNA, INCOMING, an_item().key)
    assert found is not None
    assert found.judgement is not None
    return found.judgement


def due(stores: Stores) -> tuple[Todo, ...]:
    return stores.ledger.head(ANNA, INCOMING, NOW).todos


def a_crowd(size: int, reason: Reason = Reason.NO_CORRELATION_MATCH) -> list[Vote]:
    return [a_vote(f"voter {number}", reason) for number in range(size)]


def test_a_judgement_is_read_back_whole(stores: Stores) -> None:
    judgement = a_judgement(a_vote("anna"), a_vote("bert", Reason.RESPONSE), a_vote("carl", Reason.FILTER_NONE))
    item = an_item(judgement=judgement, category="Tracked")
    commit(stores, None, items=(item,), todos=(Todo(TodoKind.JUDGE, NOW, item),))
    assert stores.ledger.get(ANNA, INCOMING, item.key) == item
    assert list(stores.ledger.items(ANNA, INCOMING)) == [item]
    assert due(stores) == (Todo(TodoKind.JUDGE, NOW, item),)


def test_few_votes_are_kept_however_long_the_ids_are(stores: Stores) -> None:
    owners = [OwnerRef(OwnerKind.QUEUE, OwnerId(LONG_ID[:-2] + f"{number:02}")) for number in range(FEW)]
    votes = tuple(Vote(owner, IncomingFilteringMethod.ALL, True, Reason.RELEVANT) for owner in owners)
    judgement = Judgement(Verdict.PROMOTED, Reason.RELEVANT, votes, rule="r" * 200)
    assert kept(stores, judgement) == judgement


def test_of_a_thousand_votes_the_one_that_accepted_is_kept(stores: Stores) -> None:
    decisive = a_vote("chosen", Reason.RESPONSE)
    votes = (*a_crowd(500), decisive, *a_crowd(500))
    judgement = a_judgement(*votes, verdict=Verdict.PROMOTED, reason=Reason.RESPONSE, accepted_by=decisive.owner)
    found = kept(stores, judgement)
    assert decisive in found.votes
    assert 20 < len(found.votes) < 100
    assert len(found.votes) + found.votes_left_out == len(votes)
    assert replace(found, votes=(), votes_left_out=0) == replace(judgement, votes=())


def test_of_a_thousand_votes_one_with_the_reason_of_the_refusal_is_kept(stores: Stores) -> None:
    own = a_vote("own", Reason.NO_SENDER_MATCH)
    found = kept(stores, a_judgement(*a_crowd(1_000, Reason.FILTER_NONE), own, reason=Reason.NO_SENDER_MATCH))
    assert own in found.votes


def test_a_judgement_that_is_written_again_says_the_same(stores: Stores) -> None:
    once = kept(stores, a_judgement(*a_crowd(1_000)))
    etag = stores.ledger.head(ANNA, INCOMING, NOW).etag
    commit(stores, etag, items=(an_item(judgement=once),))
    found = stores.ledger.get(ANNA, INCOMING, an_item().key)
    assert found is not None
    assert found.judgement == once


@pytest.mark.parametrize("kind", ["items", "todos"])
def test_hostile_judgements_do_not_stop_the_commit_of_their_page(stores: Stores, kind: str) -> None:
    owners = [OwnerRef(OwnerKind.QUEUE, OwnerId(f"{number:04}" + "日" * 196)) for number in range(300)]
    votes = tuple(Vote(owner, IncomingFilteringMethod.ALL, True, Reason.RELEVANT) for owner in owners)
    tried = a_judgement().correlation.tried * 500
    hostile = Judgement(
        Verdict.PROMOTED,
        Reason.RELEVANT,
        votes,
        replace(a_judgement().correlation, tried=tried),
        owners[7],
        tuple(owner.id for owner in owners),
        rule="\x01" * 40_000,
    )
    texts = "\x01" * 100_000
    items = tuple(an_item(number, judgement=hostile, detail=texts, message_id=texts) for number in range(LEDGER_COMMIT_ROWS))
    todos = tuple(Todo(TodoKind.JUDGE, NOW, item) for item in items)
    commit(stores, None, **{kind: items if kind == "items" else todos})
    found = stores.ledger.items(ANNA, INCOMING) if kind == "items" else (todo.item for todo in due(stores))
    judgements = [item.judgement for item in found]
    assert len(judgements) == LEDGER_COMMIT_ROWS
    assert all(each is not None and votes[7] in each.votes for each in judgements)


def test_an_item_may_have_several_things_to_do_at_one_time(stores: Stores) -> None:
    todos = tuple(a_todo(kind=kind) for kind in (TodoKind.STAMP, TodoKind.DISCARD, TodoKind.MOVE, TodoKind.JOIN))
    etag = commit(stores, None, todos=todos)
    assert sorted(todo.kind for todo in due(stores)) == sorted(todo.kind for todo in todos)
    commit(stores, etag, done=(todos[0],))
    assert sorted(todo.kind for todo in due(stores)) == sorted(todo.kind for todo in todos[1:])


def test_a_todo_says_what_the_email_shall_be_about(stores: Stores) -> None:
    todo = replace(a_todo(kind=TodoKind.TRACK), regarding=RecordRef("account", an_id("fabrikam")))
    commit(stores, None, todos=(todo,))
    assert due(stores) == (todo,)


def test_a_run_takes_up_the_earliest_of_more_todos_than_it_can_do(stores: Stores) -> None:
    count = 2 * TODOS_AT_ONCE + 50
    todos = [a_todo(number, NOW - number * MINUTE) for number in range(count)]
    etag = None
    for start in range(0, count, LEDGER_COMMIT_ROWS):
        etag = commit(stores, etag, todos=tuple(todos[start : start + LEDGER_COMMIT_ROWS]))
    head = stores.ledger.head(ANNA, INCOMING, NOW)
    assert head.etag == etag
    assert head.todos == tuple(todos[: -TODOS_AT_ONCE - 1 : -1])
    etag = commit(stores, etag, done=head.todos[:LEDGER_COMMIT_ROWS])
    assert due(stores)[0] == todos[-LEDGER_COMMIT_ROWS - 1]
