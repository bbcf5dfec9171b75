"""The contract of correlations: what emails are found by, the latest first, and conversations that were opted out."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.domain.email import CorrelationEntry, CorrelationKind, OptOut
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ActivityId
from shared.ports import Stores
from shared.stores.account import StorageConnection, account_of
from shared.stores.azure import fast_gateway
from shared.stores.limits import CORRELATED_ADDRESSES
from shared.stores.tables.gateway import Query, pages
from tests.contracts.gateways import WatchedGateway
from tests.contracts.records import MINUTE, NOW, a_correlation, an_id

CONVERSATION = CorrelationKind.CONVERSATION
OPT_OUT = OptOut(ActivityId(an_id("conversation")), "anna@contoso.example", NOW)


def found(stores: Stores, key: str = "base64==", kind: CorrelationKind = CONVERSATION) -> list[CorrelationEntry]:
    return list(stores.correlations.find(kind, [key])[key])


def test_what_was_never_written_is_not_found(stores: Stores) -> None:
    assert stores.correlations.find(CONVERSATION, ["a", "b", "a"]) == {"a": [], "b": []}
    assert stores.correlations.find(CONVERSATION, []) == {}
    assert stores.correlations.opted_out([OPT_OUT.conversation]) == {}
    assert stores.correlations.opted_out([]) == {}


def test_the_latest_emails_of_a_key_come_first(stores: Stores) -> None:
    entries = [a_correlation(number, age=number * MINUTE) for number in range(120)]
    stores.correlations.put(entries[::-1])
    assert found(stores) == entries[:50]
    assert stores.correlations.find(CONVERSATION, ["base64=="], limit=3) == {"base64==": entries[:3]}
    assert stores.correlations.find(CONVERSATION, ["base64=="], limit=500) == {"base64==": entries}


def test_kinds_and_keys_are_kept_apart(stores: Stores) -> None:
    odd = "it's/an#odd?\\Key@ü.example\ud800" + "x" * 5_000
    entries = [
        a_correlation(),
        a_correlation(key="BASE64==", is_fragment=True),
        a_correlation(key=odd, kind=CorrelationKind.MESSAGE),
    ]
    stores.correlations.put(entries)
    assert stores.correlations.find(CONVERSATION, ["base64==", "BASE64==", odd]) == {
        "base64==": [entries[0]],
        "BASE64==": [entries[1]],
        odd: [],
    }
    assert found(stores, odd, CorrelationKind.MESSAGE) == [entries[2]]


def test_writing_an_entry_again_changes_nothing(stores: Stores) -> None:
    stores.correlations.put([a_correlation(), a_correlation("other", age=MINUTE)])
    stores.correlations.put([a_correlation(), a_correlation(), a_correlation(addresses=("the", "last", "counts"))])
    stores.correlations.put([])
    assert found(stores) == [a_correlation(addresses=("the", "last", "counts")), a_correlation("other", age=MINUTE)]


def test_many_entries_are_written_and_removed_at_once(stores: Stores) -> None:
    entries = [a_correlation(number, key=f"key {number % 7}", kind=CorrelationKind.WORDS) for number in range(250)]
    stores.correlations.put(entries)
    stores.correlations.remove(entries[::2])
    stores.correlations.remove(entries[:20])
    keys = [f"key {number}" for number in range(7)]
    left = stores.correlations.find(CorrelationKind.WORDS, keys, limit=100)
    assert {each.activity_id for of_key in left.values() for each in of_key} == {each.activity_id for each in entries[21::2]}


def test_removing_what_is_not_there_changes_nothing(stores: Stores) -> None:
    stores.correlations.put([a_correlation()])
    stores.correlations.remove([a_correlation("other"), a_correlation(key="other"), a_correlation(age=MINUTE)])
    assert found(stores) == [a_correlation()]
    stores.correlations.remove([a_correlation(), a_correlation()])
    stores.correlations.remove([])
    assert found(stores) == []


def test_of_thousands_who_take_part_as_many_are_kept_as_fit(stores: Stores) -> None:
    addresses = tuple(f"{number:032x}" for number in range(5_000))
    stores.correlations.put([a_correlation(addresses=addresses)])
    assert found(stores) == [a_correlation(addresses=addresses[:CORRELATED_ADDRESSES])]


def test_an_id_that_cannot_be_a_key_is_refused(stores: Stores) -> None:
    with pytest.raises(InvalidRecord) as caught:
        stores.correlations.put([a_correlation(activity_id=ActivityId("a/b"))])
    assert caught.value.field == "activity_id"
    with pytest.raises(InvalidRecord):
        stores.correlations.opt_out(replace(OPT_OUT, conversation=ActivityId("a/b")))


@pytest.mark.parametrize("limit", [0, -1])
def test_a_search_for_nothing_is_refused(stores: Stores, limit: int) -> None:
    with pytest.raises(InvalidRecord) as caught:
        stores.correlations.find(CONVERSATION, ["a"], limit=limit)
    assert caught.value.field == "limit"


def test_the_first_opt_out_of_a_conversation_stays(stores: Stores) -> None:
    stores.correlations.opt_out(OPT_OUT)
    stores.correlations.opt_out(replace(OPT_OUT, by="bert", opted_out_on=NOW + MINUTE))
    other = ActivityId(an_id("other"))
    assert stores.correlations.opted_out([OPT_OUT.conversation, other]) == {OPT_OUT.conversation: OPT_OUT}
    assert stores.correlations.opted_out([other, ActivityId("no/key")]) == {}


def test_a_conversation_can_be_opted_in_and_out_again(stores: Stores) -> None:
    stores.correlations.opt_out(OPT_OUT)
    for _ in range(2):
        stores.correlations.opt_in(OPT_OUT.conversation)
    assert stores.correlations.opted_out([OPT_OUT.conversation]) == {}
    again = replace(OPT_OUT, by="x" * 5_000)
    stores.correlations.opt_out(again)
    assert stores.correlations.opted_out([OPT_OUT.conversation]) == {OPT_OUT.conversation: replace(again, by="x" * 1_000)}


@pytest.mark.parametrize("count", [5, 1_005])
def test_those_that_were_opted_out_are_told_of_many(on_azurite: Stores, count: int) -> None:
    """Few opt-outs are read at once, more than one answer holds are asked for one by one."""
    stores = on_azurite
    ids = [ActivityId(an_id(number)) for number in range(count)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(stores.correlations.opt_out, [replace(OPT_OUT, conversation=each) for each in ids]))
    asked = [*ids[:3], *ids[-3:], *(ActivityId(an_id(f"other {number}")) for number in range(20))]
    assert set(stores.correlations.opted_out(asked)) == {*ids[:3], *ids[-3:]}


def test_many_conversations_cost_one_request_where_few_were_opted_out(on_watched: Stores, watched: WatchedGateway) -> None:
    on_watched.correlations.opt_out(OPT_OUT)
    on_watched.correlations.put([a_correlation(number, key=str(number)) for number in range(20)])
    before = watched.requests
    many = [ActivityId(an_id(number)) for number in range(200)]
    assert on_watched.correlations.opted_out([*many, OPT_OUT.conversation]) == {OPT_OUT.conversation: OPT_OUT}
    assert watched.requests - before == 1


def test_a_message_id_stands_in_no_row(on_azurite: Stores, connection: StorageConnection, prefix: str) -> None:
    on_azurite.correlations.put([a_correlation(key="secret@fabrikam.example", kind=CorrelationKind.MESSAGE)])
    rows = [row for page in pages(fast_gateway(account_of(connection)), f"{prefix}Correlations", Query()) for row in page]
    assert len(rows) == 1
    assert "secret" not in str(rows)
