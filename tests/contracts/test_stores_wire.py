"""What the stores on Azure Storage do when the wire fails, or the process dies between two writes; and what a poll costs."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from shared.domain.configuration import WorkloadSchedule
from shared.domain.errors import Busy, Throttled, TransientError, Unreachable
from shared.domain.ledger import LedgerCommit, Mark
from shared.ports import Stores
from shared.stores.account import StorageConnection, account_of
from shared.stores.azure import azure_stores
from shared.stores.entities import watermark_blob
from shared.stores.failures import StorageRefused
from shared.stores.parallel import Parallel
from shared.stores.tables.fast import FastGateway
from shared.stores.tables.gateway import Entity, Gateway, Query
from shared.stores.tables.ledger import TableLedger
from shared.stores.tables.sdk import SdkGateway
from shared.stores.tables.table import Table
from shared.stores.tables.transport import Reply
from shared.stores.text_blobs import TextBlobs
from tests.contracts.conftest import SECRETS_KEY
from tests.contracts.gateways import WatchedGateway
from tests.contracts.records import INCOMING, NOW, a_mailbox, a_run, a_state, an_alert, an_email, an_item, an_owner
from tests.contracts.wires import Wire, answering, lost_after, lost_before, never_sent, over

# ---- the wire fails


@pytest.mark.parametrize("happened", [True, False])
def test_a_lost_reply_to_a_commit_is_told_and_settled_by_its_nonce(faulty: Stores, wire: Wire, *, happened: bool) -> None:
    before = faulty.ledger.head(a_mailbox().id, INCOMING, NOW)
    wire.fail("$batch", lost_after if happened else lost_before)
    with pytest.raises(TransientError):
        faulty.ledger.commit(a_mailbox().id, INCOMING, before.etag, LedgerCommit(a_state("ours"), items=(an_item(2),)))
    assert len(wire.sent) == 1
    found = faulty.ledger.head(a_mailbox().id, INCOMING, NOW)
    assert found.state == (a_state("ours") if happened else before.state)


def test_a_lost_reply_to_a_new_email_is_told_and_its_repetition_finds_it(faulty: Stores, wire: Wire) -> None:
    wire.fail("$batch", lost_after)
    with pytest.raises(TransientError):
        faulty.activities.create([an_email()])
    (found,) = faulty.activities.create([an_email()])
    assert (found.record, found.created) == (an_email().activity, False)


def test_what_is_the_same_when_done_twice_is_repeated(faulty: Stores, wire: Wire) -> None:
    wire.fail("Runs", lost_after, lost_before, lost_after)
    faulty.runs.put(a_run(2))
    wire.fail("Mailboxes", lost_after, answering(500, "InternalError"))
    assert faulty.mailboxes.get(a_mailbox().id) is not None
    assert len(faulty.runs.list(a_run().mailbox_id).items) == 2


def test_repetition_ends(faulty: Stores, wire: Wire) -> None:
    wire.fail("Runs", *[lost_before] * 20)
    with pytest.raises(Unreachable):
        faulty.runs.put(a_run(2))
    assert len(wire.sent) == 4
    assert sum(wire.slept) < 5


def test_what_was_never_sent_is_sent_again(faulty: Stores, wire: Wire) -> None:
    before = faulty.ledger.head(a_mailbox().id, INCOMING, NOW)
    wire.fail("$batch", never_sent, answering(503, "ServerBusy"), answering(429, Retry_After="1"))
    faulty.ledger.commit(a_mailbox().id, INCOMING, before.etag, LedgerCommit(a_state("ours"), items=(an_item(2),)))
    assert faulty.ledger.head(a_mailbox().id, INCOMING, NOW).state == a_state("ours")


def test_a_long_wait_is_left_to_the_caller(faulty: Stores, wire: Wire) -> None:
    wire.fail("Mailboxes", answering(503, "ServerBusy", Retry_After="42"))
    with pytest.raises(Throttled) as caught:
        faulty.mailboxes.get(a_mailbox().id)
    assert caught.value.retry_after == timedelta(seconds=42)
    assert wire.slept == []


@pytest.mark.parametrize("code", ["OperationTimedOut", "InternalError", ""])
def test_an_insert_that_may_have_happened_is_not_repeated(faulty: Stores, wire: Wire, code: str) -> None:
    wire.fail("$batch", answering(500, code))
    with pytest.raises(Busy):
        faulty.activities.create([an_email()])
    assert len(wire.sent) == 1


def test_a_reply_that_is_cut_short_is_no_answer(faulty: Stores, wire: Wire) -> None:
    def cut_short(real: Callable[[], Reply]) -> Reply:
        reply = real()
        return Reply(reply.status, reply.headers, reply.body[: len(reply.body) // 2])

    wire.fail("$batch", cut_short)
    with pytest.raises(Unreachable):
        faulty.activities.create([an_email()])
    wire.fail("Mailboxes", cut_short)
    with pytest.raises(Unreachable):
        faulty.mailboxes.get(a_mailbox().id)


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b'{"value":[1]}', b"\xff"])
def test_an_answer_of_another_protocol_is_no_answer(faulty: Stores, wire: Wire, body: bytes) -> None:
    wire.fail("Mailboxes", lambda _: Reply(200, {}, body))
    with pytest.raises(Unreachable):
        faulty.mailboxes.get(a_mailbox().id)


def test_a_refused_signature_says_what_to_check(faulty: Stores, wire: Wire) -> None:
    wire.fail("Mailboxes", answering(403, "AuthenticationFailed"))
    with pytest.raises(StorageRefused) as caught:
        faulty.mailboxes.get(a_mailbox().id)
    assert "key" in caught.value.remedy


def test_a_wrong_key_is_refused(connection: StorageConnection) -> None:
    wrong = StorageConnection((connection.connection_string or "").replace("AccountKey=Eby", "AccountKey=Abc"))
    with pytest.raises(StorageRefused):
        FastGateway(account_of(wrong), lambda _: None).get("Mailboxes", "p", "r")


@pytest.mark.parametrize("kind", ["fast", "sdk"])
def test_a_server_that_is_not_there_is_unreachable(kind: str) -> None:
    nowhere = account_of(StorageConnection("AccountName=a;AccountKey=aaaa;TableEndpoint=http://127.0.0.1:1/a"))
    gateway: Gateway = SdkGateway(nowhere) if kind == "sdk" else FastGateway(nowhere, lambda _: None, sleep=lambda _: None)
    with pytest.raises(Unreachable):
        gateway.get("Mailboxes", "p", "r")


class ShortPages(WatchedGateway):
    """A gateway of which every page holds one row, and what happens after each."""

    def __init__(self, inner: Gateway) -> None:
        super().__init__(inner)
        self.meanwhile: Callable[[], object] = lambda: None

    def page(
        self, table: str, query: Query, limit: int | None = None, after: tuple[str, str] | None = None
    ) -> tuple[Sequence[Entity], tuple[str, str] | None]:
        assert limit is None
        found = super().page(table, query, 1, after)
        self.meanwhile()
        return found


def test_a_head_that_takes_several_pages_has_the_marks_of_its_state(
    faulty: Stores, wire: Wire, connection: StorageConnection, prefix: str
) -> None:
    short = ShortPages(over(account_of(connection), wire))
    table = Table(short, f"{prefix}Ledger")
    reading = TableLedger(table, TextBlobs(faulty.blobs), Parallel())
    etag = faulty.ledger.head(a_mailbox().id, INCOMING, NOW).etag
    etag = faulty.ledger.commit(a_mailbox().id, INCOMING, etag, LedgerCommit(a_state("1"), marks=(Mark("inbox", "s", "old"),)))

    def overtaken() -> None:
        short.meanwhile = lambda: None
        faulty.ledger.commit(a_mailbox().id, INCOMING, etag, LedgerCommit(a_state("2"), marks=(Mark("inbox", "s", "new"),)))

    short.meanwhile = overtaken
    found = reading.head(a_mailbox().id, INCOMING, NOW)
    assert (found.state, found.marks) == (a_state("2"), (Mark("inbox", "s", "new"),))


def test_alerts_raised_by_two_at_once_keep_their_first_time(faulty: Stores, wire: Wire) -> None:
    def overtaken(real: Callable[[], Reply]) -> Reply:
        faulty.alerts.put(an_alert(raised_on=NOW - timedelta(hours=1)))
        return real()

    faulty.alerts.put(an_alert("mailbox:2"))
    wire.fail("POST", overtaken)
    faulty.alerts.put(an_alert(raised_on=NOW))
    (found,) = faulty.alerts.list("mailbox:1").items
    assert (found.first_raised_on, found.raised_on) == (NOW - timedelta(hours=1), NOW)


# ---- crashes between two partitions


def test_a_hint_without_its_record_is_not_believed(faulty: Stores, wire: Wire) -> None:
    wire.fail("POST", lost_before)
    with pytest.raises(TransientError):
        faulty.owners.create(an_owner())
    assert faulty.addresses.find([an_owner().address]) == {an_owner().address: []}
    faulty.owners.create(an_owner())
    assert len(faulty.addresses.find([an_owner().address])[an_owner().address]) == 1


def test_a_hint_that_could_not_be_removed_is_not_believed(faulty: Stores, wire: Wire) -> None:
    created = faulty.owners.create(an_owner(address="old@contoso.example"))
    wire.fail("DELETE", *[lost_before] * 4)
    faulty.owners.replace(an_owner(address="new@contoso.example"), created.etag)
    found = faulty.addresses.find(["old@contoso.example", "new@contoso.example"])
    assert [len(matches) for matches in found.values()] == [1, 0]


def test_an_owner_that_moved_back_meanwhile_keeps_its_hint(faulty: Stores, wire: Wire) -> None:
    """The first move removes its outdated hint late, when the second one has written it again."""
    here, there = an_owner(address="here@contoso.example"), an_owner(address="there@contoso.example")
    created = faulty.owners.create(here)

    def overtaken(real: Callable[[], Reply]) -> Reply:
        moved = faulty.owners.get(here.kind, here.id)
        assert moved is not None
        faulty.owners.replace(here, moved.etag)
        return real()

    wire.fail("DELETE", overtaken)
    faulty.owners.replace(there, created.etag)
    found = faulty.addresses.find([here.address, there.address])
    assert {address: len(matches) for address, matches in found.items()} == {here.address: 1, there.address: 0}


def test_a_large_watermark_is_removed_when_no_row_names_it(faulty: Stores, connection: StorageConnection, prefix: str) -> None:
    mailbox_id = a_mailbox().id
    first, second = (Mark("inbox", "source", letter * 40_000) for letter in "ab")
    names = [watermark_blob(mailbox_id, INCOMING, "inbox", mark.watermark or "") for mark in (first, second)]
    before = faulty.ledger.head(mailbox_id, INCOMING, NOW)
    faulty.ledger.commit(mailbox_id, INCOMING, before.etag, LedgerCommit(a_state("first"), marks=(first,)))
    other_process = azure_stores(connection, secrets_key=SECRETS_KEY, prefix=prefix)
    found = other_process.ledger.head(mailbox_id, INCOMING, NOW)
    other_process.ledger.commit(mailbox_id, INCOMING, found.etag, LedgerCommit(a_state("second"), marks=(second,)))
    with pytest.raises(KeyError):
        faulty.blobs.read(names[0])
    assert b"".join(faulty.blobs.read(names[1])) == b"b" * 40_000


def test_a_lost_reply_to_a_commit_keeps_the_large_watermark_that_counts(faulty: Stores, wire: Wire) -> None:
    mailbox_id = a_mailbox().id
    first, second = (Mark("inbox", "source", letter * 40_000) for letter in "ab")
    before = faulty.ledger.head(mailbox_id, INCOMING, NOW)
    etag = faulty.ledger.commit(mailbox_id, INCOMING, before.etag, LedgerCommit(a_state("first"), marks=(first,)))
    for fault, counts in ((lost_before, first), (lost_after, second)):
        wire.fail("$batch", fault)
        with pytest.raises(TransientError):
            faulty.ledger.commit(mailbox_id, INCOMING, etag, LedgerCommit(a_state("second"), marks=(second,)))
        assert faulty.ledger.head(mailbox_id, INCOMING, NOW).marks == (counts,)


# ---- what it costs


def test_an_idle_poll_costs_three_requests(faulty: Stores, wire: Wire) -> None:
    wire.fail("")
    found = faulty.mailboxes.get(a_mailbox().id)
    faulty.ledger.head(a_mailbox().id, INCOMING, NOW)
    assert found is not None
    faulty.mailboxes.reschedule(a_mailbox().id, INCOMING, WorkloadSchedule(due=NOW))
    assert len(wire.sent) == 3
