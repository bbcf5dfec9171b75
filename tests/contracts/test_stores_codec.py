"""Records survive their codecs, whatever is in them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.audit import AuditEntry
from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox, Owner, WorkloadSchedule
from shared.domain.email import (
    Annotation,
    CorrelationEntry,
    EmailActivity,
    EmailContent,
    OptOut,
    Sighting,
    TimelineEntry,
)
from shared.domain.errors import UnreadableRow
from shared.domain.folders import KnownTree
from shared.domain.ids import MailboxId
from shared.domain.judgement import Judgement
from shared.domain.ledger import LedgerItem, Mark, RunState, Todo
from shared.domain.operations import Alert, QuarantinedItem, Run
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import AddressBookRecord, BulkLoad, FolderTrackingRule, RejectedLine
from shared.stores.codec import Codec, codec_of
from shared.stores.entities import after, inverted_time, sortable_time
from shared.stores.limits import LISTED_UNITS, cut, units
from shared.stores.tables.gateway import Entity
from shared.stores.tables.table import columns_of, record_of
from tests.contracts.records import a_content

RECORDS: list[type[Any]] = [
    EmailServerProfile,
    Owner,
    Mailbox,
    WorkloadSchedule,
    EmailActivity,
    EmailContent,
    Sighting,
    TimelineEntry,
    Annotation,
    CorrelationEntry,
    OptOut,
    KnownTree,
    Judgement,
    LedgerItem,
    Todo,
    Mark,
    RunState,
    Alert,
    QuarantinedItem,
    Run,
    OrganisationSettings,
    AddressBookRecord,
    FolderTrackingRule,
    BulkLoad,
    RejectedLine,
    AuditEntry,
    Discovered,
]

st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))
st.register_type_strategy(str, st.text(st.characters(exclude_categories=["Cs"])))
st.register_type_strategy(timedelta, st.timedeltas(timedelta(days=-5), timedelta(days=5)))


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_record_survives_its_codec(kind: type[Any]) -> None:
    codec = codec_of(kind)

    @settings(max_examples=30, database=None, suppress_health_check=list(HealthCheck))
    @given(st.builds(kind))
    def survives(record: object) -> None:
        assert codec.from_plain(json.loads(json.dumps(codec.plain(record)))) == record
        assert codec.from_columns(codec.columns(record)) == record

    survives()


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_keys_of_times_sort_as_the_times_do(one: datetime, two: datetime) -> None:
    assert (sortable_time(one) < sortable_time(two)) == (one < two)
    assert (inverted_time(one) < inverted_time(two)) == (one > two)
    assert len(sortable_time(one)) == len(inverted_time(two)) == 18


@given(st.text(st.characters()), st.integers(0, 20))
def test_a_cut_text_fits_and_is_text(text: str, longest: int) -> None:
    found = cut(text * 3, longest)
    assert units(found) <= longest
    found.encode()
    assert text.encode("utf-16-le", "surrogatepass")[: 2 * longest] or found == ""


def test_a_text_that_fits_is_left_as_it_is() -> None:
    assert cut("😀" * 500, LISTED_UNITS) == "😀" * 500
    assert cut("😀" * 501, LISTED_UNITS) == "😀" * 500
    assert cut("x" + "😀" * 500, LISTED_UNITS) == "x" + "😀" * 499


def test_a_prefix_ends_before_the_next_one() -> None:
    assert "item:" < "item:\uffff" < after("item:") < "items"


@dataclass(frozen=True, slots=True)
class Before:
    name: str


@dataclass(frozen=True, slots=True)
class After:
    name: str
    count: int = 3
    tags: tuple[str, ...] = ()
    mailbox: MailboxId | None = None


@dataclass(frozen=True, slots=True)
class Naive:
    time: datetime


def test_a_row_written_before_a_field_existed_reads_its_default() -> None:
    row = Entity("p", "r", "e", columns_of(Before("old")))
    assert record_of(After, row) == After("old")


def test_an_email_that_was_stored_before_reply_to_was_read_has_none() -> None:
    columns = columns_of(a_content())
    row = Entity("p", "r", "e", {name: value for name, value in columns.items() if name != "reply_to"})
    assert (record_of(EmailContent, row), "reply_to" in columns) == (a_content(reply_to=()), True)


def test_a_composite_field_that_a_merge_emptied_reads_its_default() -> None:
    row = Entity("p", "r", "e", {**columns_of(After("new", tags=("a",))), "tags": ""})
    assert record_of(After, row) == After("new")


def test_a_row_with_a_field_that_is_not_known_any_more_is_read() -> None:
    row = Entity("p", "r", "e", columns_of(After("new")))
    assert record_of(Before, row) == Before("new")


@pytest.mark.parametrize(
    "columns", [{"v": 2, "name": "x"}, {"v": "x", "name": "x"}, {"v": 1}, {"v": 1, "name": "x", "count": "many"}]
)
def test_a_row_that_is_not_ours_is_refused_never_guessed_at(columns: dict[str, object]) -> None:
    with pytest.raises(UnreadableRow):
        record_of(After, Entity("p", "r", "e", columns))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        Codec(Naive).columns(Naive(datetime(2026, 1, 1)))  # noqa: DTZ001 - it is what must be refused
