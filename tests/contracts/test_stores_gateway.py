"""The contract of the gateways to the Table service, and the limits that the emulator does not check."""

from datetime import UTC, datetime

import pytest

from shared.domain.errors import InvalidRecord
from shared.stores.account import StorageConnection, account_of
from shared.stores.tables.fast import FastGateway
from shared.stores.tables.gateway import (
    Entity,
    Gateway,
    Operation,
    Query,
    RowChanged,
    RowExists,
    RowMissing,
    Value,
    Verb,
    cut_transactions,
    operation,
    rows_of,
)
from shared.stores.tables.sdk import SdkGateway


@pytest.fixture(params=["fast", "sdk"])
def gateway(request: pytest.FixtureRequest, connection: StorageConnection) -> Gateway:
    account = account_of(connection)
    sdk = SdkGateway(account)
    return sdk if request.param == "sdk" else FastGateway(account, sdk.create_table)


def test_values_survive(gateway: Gateway, prefix: str) -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    columns: dict[str, Value] = {"text": "ü\x00\u2028", "number": -5, "large": 2**40, "yes": True, "time": time}
    etag = gateway.write(f"{prefix}T", operation(Verb.INSERT, "p", "r", columns))
    found = gateway.get(f"{prefix}T", "p", "r")
    assert found is not None
    assert found.etag == etag
    assert (found.columns["text"], found.columns["number"], found.columns["yes"]) == ("ü\x00\u2028", -5, True)
    assert int(str(found.columns["large"])) == 2**40
    assert datetime.fromisoformat(str(found.columns["time"])) == time


def test_every_refusal_of_a_row_has_its_name_and_its_place(gateway: Gateway, prefix: str) -> None:
    table = f"{prefix}T"
    first = gateway.write(table, operation(Verb.INSERT, "p", "r", {"a": 1}))
    gateway.write(table, operation(Verb.REPLACE, "p", "r", {"a": 2}, first))
    refusals: dict[type[RowExists | RowChanged | RowMissing], Operation] = {
        RowExists: operation(Verb.INSERT, "p", "r", {}),
        RowChanged: operation(Verb.MERGE, "p", "r", {"a": 3}, first),
        RowMissing: operation(Verb.DELETE, "p", "nothing"),
    }
    for error, refused in refusals.items():
        with pytest.raises(error):
            gateway.write(table, refused)
        with pytest.raises(error) as caught:
            gateway.transact(table, [operation(Verb.INSERT, "p", "other", {}), refused])
        assert isinstance(caught.value, error)
        assert caught.value.index == 1
    assert gateway.get(table, "p", "other") is None


def test_rows_come_in_pages_in_the_order_of_their_keys(gateway: Gateway, prefix: str) -> None:
    table = f"{prefix}T"
    for partition in "ba":
        gateway.transact(table, [operation(Verb.UPSERT, partition, f"{row:02}", {}) for row in range(5)])
    found, after = list[Entity](), None
    while True:
        page, after = gateway.page(table, Query(first_row="01", before_row="04"), 2, after)
        assert len(page) <= 2
        found += page
        if after is None:
            break
    assert [(each.partition, each.row) for each in found] == [(p, f"{r:02}") for p in "ab" for r in (1, 2, 3)]
    assert [each.row for each in gateway.page(table, rows_of("b", "03"))[0]] == ["03", "04"]


def test_user_text_in_a_filter_stays_text(gateway: Gateway, prefix: str) -> None:
    gateway.write(f"{prefix}T", operation(Verb.INSERT, "p", "r", {}))
    assert gateway.page(f"{prefix}T", rows_of("x' or PartitionKey ne '"))[0] == []


# ---- limits that Azurite does not check


@pytest.mark.parametrize("key", ["a/b", "a\\b", "a#b", "a?b", "a\tb", "a\x7fb", "a\x9fb", "x" * 513, "\ud800"])
def test_a_key_that_the_service_refuses_is_not_sent(key: str) -> None:
    with pytest.raises(InvalidRecord):
        operation(Verb.UPSERT, "p", key)
    with pytest.raises(InvalidRecord):
        operation(Verb.UPSERT, key, "r")


@pytest.mark.parametrize(
    "columns",
    [
        {f"c{number}": 1 for number in range(253)},
        {"a-b": 1},
        {"1a": 1},
        {"": 1},
        {"x" * 256: 1},
        {"text": "x" * 32_769},
        {"text": "😀" * 16_385},
        {f"c{number}": "x" * 32_000 for number in range(17)},
        {"number": 2**63},
        {"time": datetime(1600, 12, 31, tzinfo=UTC)},
    ],
    ids=lambda columns: next(iter(columns))[:10],
)
def test_a_row_that_the_service_refuses_is_not_sent(columns: dict[str, str | int]) -> None:
    with pytest.raises(InvalidRecord):
        operation(Verb.UPSERT, "p", "r", columns)


def test_a_row_as_large_as_the_service_takes_is_stored(gateway: Gateway, prefix: str) -> None:
    columns = {f"c{number}": "x" * 32_768 for number in range(15)} | {f"n{number}": number for number in range(237)}
    gateway.write(f"{prefix}T", operation(Verb.INSERT, "p", "r", columns))
    found = gateway.get(f"{prefix}T", "p", "r")
    assert found is not None
    assert columns.items() <= found.columns.items()


def test_transactions_are_cut_by_rows_and_by_bytes_and_keep_groups_together() -> None:
    small = [operation(Verb.UPSERT, "p", f"{row}", {}) for row in range(250)]
    assert [len(each) for each in cut_transactions([(each,) for each in small])] == [100, 100, 50]
    assert [len(each) for each in cut_transactions([small[row : row + 3] for row in range(0, 249, 3)])] == [99, 99, 51]
    large = [operation(Verb.UPSERT, "p", f"{row}", {"text": "日" * 30_000}) for row in range(100)]
    cut = cut_transactions([(each,) for each in large])
    assert sum(map(len, cut)) == 100
    assert max(sum(each.size for each in transaction) for transaction in cut) <= 3.5 * 1024 * 1024
    assert cut_transactions([]) == []
