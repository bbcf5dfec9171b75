from hypothesis import given
from hypothesis import strategies as st

from shared.connectors.exchange.batches import LARGEST, LARGEST_BYTES, SMALLEST, START, BatchSize, next_batch
from shared.domain.email import ItemRef


def refs(count: int) -> list[ItemRef]:
    return [ItemRef(f"i{number}", "inbox") for number in range(count)]


def test_full_and_fast_batches_grow_to_a_hundred() -> None:
    batch = BatchSize()
    sizes = [batch.size]
    for _ in range(4):
        batch.answered(0.2, batch.size)
        sizes.append(batch.size)
    assert sizes == [START, 50, LARGEST, LARGEST, LARGEST]


def test_a_short_batch_proves_nothing() -> None:
    batch = BatchSize()
    batch.answered(0.2, 3)
    assert batch.size == START


def test_slow_and_throttled_batches_shrink_to_ten() -> None:
    batch = BatchSize(LARGEST)
    batch.answered(30, LARGEST)
    assert batch.size == 50
    for _ in range(5):
        batch.shrink()
    assert batch.size == SMALLEST


def test_an_isolated_item_goes_alone_and_the_rest_grows_again() -> None:
    batch = BatchSize()
    batch.isolate()
    assert batch.size == 1
    batch.answered(0.1, 1)
    assert batch.size == 2


def test_an_item_of_unknown_size_goes_alone() -> None:
    items = refs(3)
    assert next_batch(items, {}, 25) == items[:1]
    assert next_batch(items, {"i0": 10, "i1": 10}, 25) == items[:2]


@given(st.lists(st.integers(0, 2 * LARGEST_BYTES), min_size=1, max_size=40), st.integers(1, 100))
def test_a_batch_is_never_empty_and_never_too_large(sizes: list[int], most: int) -> None:
    items = refs(len(sizes))
    by_id = {item.id: size for item, size in zip(items, sizes, strict=True)}
    batch = next_batch(items, by_id, most)
    assert list(batch) == items[: len(batch)]
    assert 1 <= len(batch) <= most
    assert len(batch) == 1 or sum(by_id[item.id] for item in batch) <= LARGEST_BYTES
