"""Bulk loads of the address book."""

import io
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from shared.administration.failures import RecordNotFound
from shared.administration.json_lines import LONGEST_LINE, Line, lines_of
from shared.administration.loading import LARGEST_FILE, LoadBudget, Loads
from shared.domain.audit import Caller, FieldChange
from shared.domain.errors import Busy, InvalidRecord, TransientError
from shared.domain.records import BulkLoad, LoadState, RejectedLine
from shared.messages import LoadRecords, Queue, parse
from shared.ports import Stores
from shared.stores.memory import memory_stores, snapshot
from tests.builders import SettableClock, queues_in_memory
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.in_memory_mail import ProcessDied

ANNA = Caller("anna@contoso.example")
SMALL = LoadBudget(part_records=3, records=6)


def contact(number: int, **changes: Any) -> dict[str, Any]:
    kim = {"type": "contact", "id": f"c{number}", "name": f"Kim {number}", "addresses": [f"kim{number}@fabrikam.example"]}
    return kim | changes


def a_file(*lines: object) -> bytes:
    return b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)


class Desk:
    """Somebody who loads files, and the queue function that does it."""

    def __init__(self, budget: LoadBudget = SMALL, world: FaultyWorld | None = None) -> None:
        self.clock = SettableClock()
        self.world = world or FaultyWorld()
        self.stores: Stores = memory_stores()
        self.loads = Loads(self.world.stores(self.stores), self.clock, budget)
        self.runs = 0

    def start(self, file: bytes) -> str:
        return self.loads.start(io.BytesIO(file), ANNA).record.id

    def load(self, *lines: object) -> BulkLoad:
        load_id = self.start(a_file(*lines))
        self.until_the_queue_is_empty()
        return self.record(load_id)

    def until_the_queue_is_empty(self) -> None:
        """As the host does it: a message that fails comes again, and one with a delay comes after it."""
        while waiting := queues_in_memory(self.stores).waiting(Queue.LOAD_RECORDS):
            self.clock.advance(min(message.delay for message in waiting))
            for text in queues_in_memory(self.stores).receive(Queue.LOAD_RECORDS):
                self._deliver(text)

    def _deliver(self, text: str) -> None:
        message = parse(text)
        assert isinstance(message, LoadRecords)
        self.runs += 1
        try:
            self.loads.run(message)
        except (ProcessDied, TransientError):
            self.world.revive()
            self.stores.queues.send(Queue.LOAD_RECORDS, text, timedelta(seconds=30))

    def record(self, load_id: str) -> BulkLoad:
        found = self.stores.bulk_loads.get(load_id)
        assert found is not None
        return found.record

    def rejected(self, load: BulkLoad) -> Sequence[RejectedLine]:
        return self.loads.rejected(load.id, limit=500).items

    def names(self, record_type: str = "contact") -> dict[str, str]:
        return {each.record.id: each.record.name for each in self.stores.address_book.list(record_type, limit=500).items}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_file_is_loaded_over_several_parts_and_messages(desk: Desk) -> None:
    load = desk.load(*[contact(number) for number in range(20)])

    assert (load.state, load.lines, load.loaded, load.rejected) == (LoadState.COMPLETED, 20, 20, 0)
    assert load.offset == load.size
    assert load.finished_on is not None
    assert len(desk.names()) == 20
    assert [match.id for match in desk.stores.addresses.find(["kim7@fabrikam.example"])["kim7@fabrikam.example"]] == ["c7"]
    assert desk.runs == 4 + 1, "20 records at 6 a message, and the message that would have repaired the upload"
    assert snapshot(desk.stores)["blobs"] == {}


def test_progress_shows_while_it_is_loaded(desk: Desk) -> None:
    load_id = desk.start(a_file(*[contact(number) for number in range(20)]))
    assert desk.record(load_id).state is LoadState.UPLOADED
    desk.loads.run(LoadRecords("1", load_id))
    load = desk.record(load_id)
    assert (load.state, load.lines, load.loaded) == (LoadState.RUNNING, 6, 6)
    assert 0 < load.offset < load.size


def test_a_record_that_is_there_is_replaced_and_of_two_in_one_file_the_last_counts(desk: Desk) -> None:
    desk.load(contact(1, name="Before"))
    twice_in_a_part = [contact(1, name="First"), contact(1, name="Second")]
    desk.load(*twice_in_a_part, contact(2, name="Early"), contact(3), contact(4), contact(2, name="Late"))
    assert desk.names() == {"c1": "Second", "c2": "Late", "c3": "Kim 3", "c4": "Kim 4"}


def test_records_of_any_type_and_with_every_field(desk: Desk) -> None:
    load = desk.load(
        contact(1, type="cr_booking", owner_id="anna", do_not_email=True, active=False),
        contact(2, type="account", addresses=[]),
        {"type": "lead", "id": "3", "name": "Ümläut 😀"},
        contact(4, type="lead", owner_id=None, addresses=None),
    )
    assert load.loaded == 4
    booking = desk.stores.address_book.get("cr_booking", "c1")
    assert booking is not None
    assert (booking.record.owner_id, booking.record.do_not_email, booking.record.active) == ("anna", True, False)
    account = desk.stores.address_book.get("account", "c2")
    assert account is not None
    assert (account.record.do_not_email, account.record.active) == (False, True)
    assert desk.names("lead") == {"3": "Ümläut 😀", "c4": "Kim 4"}


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("", b"\xff\xfe{\x00}\x00\n"),
        ("", b'{"type":"contact","id":"1","name":"\xe9"}\n'),
        ("", b"not JSON\n"),
        ("", b'{"type":"contact"\n'),
        ("", b"[" * 10_000 + b"\n"),
        ("", b'{"a":' * 3_000 + b"\n"),
        ("", b"9" * 10_000 + b"\n"),
        ("", b"[1]\n"),
        ("", b"null\n"),
        ("", b"NaN\n"),
        ("", b"x" * (LONGEST_LINE + 1) + b"\n"),
        ("", b" " * (3 * 1024 * 1024) + b"\n"),
        ("type", contact(1, type=None)),
        ("type", contact(1, type=5)),
        ("type", contact(1, type="user")),
        ("type", contact(1, type="queue")),
        ("type", contact(1, type="Contact")),
        ("id", contact(1, id={"a": 1})),
        ("id", contact(1, id="a/b")),
        ("name", contact(1, name=["a"])),
        ("name", contact(1, name="\x00")),
        ("name", b'{"type":"contact","id":"1","name":"\\ud800"}\n'),
        ("addresses", contact(1, addresses="a@b.example")),
        ("addresses", contact(1, addresses={"a": 1})),
        ("addresses", contact(1, addresses=["a@b.example"] * 4)),
        ("addresses/1", contact(1, addresses=["a@b.example", 5])),
        ("addresses/0", contact(1, addresses=["nobody"])),
        ("owner_id", contact(1, owner_id=5)),
        ("do_not_email", contact(1, do_not_email=1)),
        ("active", contact(1, active="yes")),
        ("active", contact(1, active=None)),
        ("e-mail~1~0?", contact(1, **{"e-mail/~\n": "a@b.example"})),
        ("x" * 50, contact(1, **{"x" * 5000: 1})),
    ],
)
def test_a_line_that_is_no_record_is_left_out_and_listed(desk: Desk, field: str, line: object) -> None:
    load = desk.load(contact(1), line, contact(2))

    assert (load.state, load.lines, load.loaded, load.rejected) == (LoadState.COMPLETED, 3, 2, 1)
    assert list(desk.names()) == ["c1", "c2"]
    [rejected] = desk.rejected(load)
    assert (rejected.line, rejected.field) == (2, field)
    assert rejected.detail
    assert rejected.remedy
    assert "example" not in rejected.detail


@pytest.mark.parametrize(
    "file",
    [
        b"\xef\xbb\xbf" + a_file(contact(1), contact(2)),
        a_file(contact(1), b"\xef\xbb\xbf", contact(2)),
        a_file(contact(1), contact(2)).replace(b"\n", b"\r\n"),
        a_file(contact(1), contact(2)).rstrip(b"\n"),
        a_file(b"\n", contact(1), b"\r\n", b"  \n", contact(2), b"\n\n"),
        a_file(contact(1), contact(2), b"  "),
    ],
)
def test_marks_line_ends_and_blank_lines_of_any_kind(desk: Desk, file: bytes) -> None:
    load = desk.load(file)
    assert (load.loaded, load.rejected, load.offset) == (2, 0, len(file))


@pytest.mark.parametrize("file", [b"", b"\n", b"\xef\xbb\xbf", b"\n" * 1000])
def test_a_file_without_records_is_loaded_at_once(desk: Desk, file: bytes) -> None:
    load = desk.load(file)
    assert (load.state, load.loaded, load.rejected) == (LoadState.COMPLETED, 0, 0)


def test_lines_keep_their_numbers_and_bytes_however_the_file_is_cut() -> None:
    text = b"\xef\xbb\xbfone\r\n\ntwo\n" + b"x" * (LONGEST_LINE + 5) + b"\nthree\n" + b"y" * (2 * LONGEST_LINE)
    whole = list(lines_of([text], 0))
    assert [line.text for line in whole] == [b"one", b"", b"two", None, b"three", None]
    for size in (1, 2, 3, 7, 1000, LONGEST_LINE, LONGEST_LINE + 1):
        chunks = [text[start : start + size] for start in range(0, len(text), size)]
        assert list(lines_of(chunks, 0)) == whole
    for number, line in enumerate(whole):
        assert list(lines_of([text[line.end :]], line.end)) == whole[number + 1 :]


def test_a_huge_line_is_not_held_in_memory() -> None:
    def endless() -> Any:
        for _ in range(200):
            yield b"x" * 1024 * 1024

    assert list(lines_of(endless(), 0)) == [Line(None, 200 * 1024 * 1024)]


def test_more_rejected_lines_than_one_commit_takes_are_all_listed() -> None:
    desk = Desk(LoadBudget(part_records=300))
    load = desk.load(*[contact(number) if number % 2 else b"bad\n" for number in range(1000)])
    assert (load.loaded, load.rejected) == (500, 500)
    assert [each.line for each in desk.rejected(load)] == list(range(1, 1001, 2))


def test_rejected_lines_beyond_what_is_kept_are_counted() -> None:
    desk = Desk(LoadBudget(part_records=2, rejected_kept=5))
    load = desk.load(*[line for number in range(8) for line in (contact(number), b"bad\n")])
    assert (load.loaded, load.rejected) == (8, 8)
    assert [each.line for each in desk.rejected(load)] == [2, 4, 6, 8, 10]


def test_a_message_ends_when_its_time_is_spent_and_the_next_goes_on(desk: Desk) -> None:
    desk.world.watch = lambda name: desk.clock.advance(timedelta(minutes=1)) if name == "address_book.put_many" else None
    load_id = desk.start(a_file(*[contact(number) for number in range(20)]))
    desk.until_the_queue_is_empty()
    assert desk.record(load_id).loaded == 20


def test_one_audit_entry_tells_who_loaded(desk: Desk) -> None:
    load = desk.load(*[contact(number) for number in range(20)])
    [entry] = desk.stores.audit.list(f"load:{load.id}").items
    assert (entry.caller, desk.stores.audit.list().items) == (ANNA.name, [entry])
    assert entry.changes == (FieldChange("size", "null", str(load.size)),)


def test_a_file_that_is_too_large_is_refused_before_anything_is_written(desk: Desk) -> None:
    class Large(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            return LARGEST_FILE + 1 if whence == io.SEEK_END else offset

    with pytest.raises(InvalidRecord):
        desk.loads.start(Large(), ANNA)
    assert desk.world.calls == []


def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    for ask in (desk.loads.get, desk.loads.rejected):
        with pytest.raises(RecordNotFound):
            ask("nothing")
    desk.loads.run(LoadRecords("1", "nothing"))


def test_the_newest_load_is_listed_first(desk: Desk) -> None:
    first = desk.load(contact(1))
    desk.clock.advance(timedelta(minutes=1))
    second = desk.load(contact(2))
    assert [stored.record.id for stored in desk.loads.list().items] == [second.id, first.id]


# ---- crash and repetition


def test_a_load_survives_that_the_store_fails_however_often_its_message_comes(desk: Desk) -> None:
    failures = iter(range(20))

    def fail(name: str) -> None:
        if name == "bulk_loads.get" and next(failures, None) is not None:
            raise Busy("the store is down")

    desk.world.watch = fail
    load_id = desk.start(FILE)
    desk.until_the_queue_is_empty()
    assert desk.record(load_id).state is LoadState.COMPLETED


FILE = a_file(
    *[contact(number, name="Early") for number in range(4)],
    b"bad\n",
    *[contact(number) for number in range(3, 9)],
    b"worse\n",
    contact(1, name="Late"),
)


def outcome_of(desk: Desk) -> dict[str, Any]:
    """Everything but the names and times of loads, the audit of several starts, and what a worker that died announced."""
    content: dict[str, Any] = snapshot(desk.stores)
    loads = [each for each in content["bulk_loads"].values() if each["record"]["state"] != LoadState.FAILED]
    for load in loads:
        for name in ("id", "created_on", "finished_on", "attempts"):
            load["record"].pop(name, None)
    return {"records": content["address_book"], "loads": loads, "blobs": content["blobs"], "queues": content["queues"]}


def a_disturbed_load(at: int, fault: Fault | None) -> Desk:
    """A caller who gets no answer sends the file again."""
    desk = Desk(world=FaultyWorld(at, fault))
    try:
        desk.start(FILE)
    except (ProcessDied, TransientError):
        desk.world.revive()
        desk.until_the_queue_is_empty()
        if not outcome_of(desk)["loads"]:
            desk.start(FILE)
    desk.until_the_queue_is_empty()
    return desk


UNDISTURBED = a_disturbed_load(0, None)
EXPECTED = outcome_of(UNDISTURBED)


def test_the_undisturbed_load_has_everything_in_it() -> None:
    [load] = EXPECTED["loads"]
    assert (load["record"]["lines"], load["record"]["loaded"], load["record"]["rejected"]) == (13, 11, 2)
    assert UNDISTURBED.names()["c1"] == "Late"
    assert EXPECTED["blobs"] == EXPECTED["queues"] == {}


@pytest.mark.parametrize("fault", list(Fault))
def test_failing_at_any_call_changes_nothing_in_the_end(fault: Fault) -> None:
    for at in range(1, len(UNDISTURBED.world.calls) + 1):
        desk = a_disturbed_load(at, fault)
        assert outcome_of(desk) == EXPECTED, f"{fault} at call {at}, {desk.world.calls[at - 1]}"


def test_messages_that_come_twice_do_no_harm(desk: Desk) -> None:
    load_id = desk.start(FILE)
    for text in [*queues_in_memory(desk.stores).receive(Queue.LOAD_RECORDS)] * 3:
        desk.stores.queues.send(Queue.LOAD_RECORDS, text)
    desk.until_the_queue_is_empty()
    assert desk.record(load_id).state is LoadState.COMPLETED
    assert outcome_of(desk) == EXPECTED


def test_a_slow_worker_does_not_overwrite_what_came_after_it(desk: Desk) -> None:
    """It holds a part while another worker takes over, finishes the file, and a record is changed by hand."""
    load_id = desk.start(
        a_file(contact(1, name="Early"), *[contact(number) for number in range(2, 5)], contact(1, name="Late"))
    )

    def sleep_once(name: str) -> None:
        if name == "blobs.read.next":
            desk.world.watch = None
            desk.clock.advance(timedelta(minutes=6))
            desk.until_the_queue_is_empty()
            assert desk.names()["c1"] == "Late"

    desk.world.watch = sleep_once
    desk.loads.run(LoadRecords("1", load_id))
    desk.until_the_queue_is_empty()
    assert desk.names()["c1"] == "Late"
    assert desk.record(load_id).loaded == 5


def test_a_load_that_gets_nowhere_is_given_up_with_an_alert_and_can_be_repeated(desk: Desk) -> None:
    def fail(name: str) -> None:
        if name == "address_book.put_many":
            raise Busy("the store is down")

    desk.world.watch = fail
    load_id = desk.start(FILE)
    desk.until_the_queue_is_empty()

    load = desk.record(load_id)
    assert load.state is LoadState.FAILED
    assert load.error
    [alert] = desk.stores.alerts.list().items
    assert (alert.about, alert.code) == (f"load:{load_id}", "load_failed")
    assert snapshot(desk.stores)["blobs"] == {}

    desk.world.watch = None
    assert desk.record(desk.start(FILE)).state is LoadState.UPLOADED
    desk.until_the_queue_is_empty()
    assert outcome_of(desk) == EXPECTED
