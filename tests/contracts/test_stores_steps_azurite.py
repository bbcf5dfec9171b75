"""Steps of emails on Azure Storage: lost replies, large texts in blobs that come and go, and what a step costs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from shared.domain.choices import EmailStatus
from shared.domain.delivery import AttemptOutcome
from shared.domain.email import NewEmail, StoredActivity
from shared.domain.errors import Changed, Throttled, Unreachable
from shared.domain.ids import ActivityId, email_folder
from shared.domain.steps import Step, StoredEmail
from shared.ports import Blobs, Stores
from shared.stores.account import StorageConnection, account_of
from shared.stores.azure import fast_gateway
from shared.stores.entities import activity_partition, content_row
from shared.stores.parallel import Parallel
from shared.stores.tables.activities import TableActivities
from shared.stores.tables.gateway import Query, pages
from shared.stores.tables.table import Table
from shared.stores.text_blobs import TextBlobs
from tests.contracts.gateways import Asked, WatchedGateway, quietly
from tests.contracts.records import NOW, a_content, a_letter, an_attempt, an_id, an_outgoing
from tests.contracts.wires import Fault, Wire, answering, lost_after, lost_before

LETTER = an_outgoing().id
LARGE = "x" * 40_000
OTHER = "ö" * 40_000
SENDING = an_outgoing(status=EmailStatus.SENDING, attempt="a1", attempted_on=NOW, attempts=1)
CANCELED = an_outgoing(status=EmailStatus.CANCELED, due=None)


def created(stores: Stores, *emails: NewEmail) -> Sequence[str]:
    return [each.etag for each in stores.activities.create(emails or [a_letter()])]


def taken(stores: Stores, *steps: Step) -> Sequence[StoredActivity]:
    found = stores.activities.advance(steps)
    assert not any(isinstance(each, Changed) for each in found)
    return [each for each in found if isinstance(each, StoredActivity)]


def letter(stores: Stores) -> StoredEmail:
    return stores.activities.whole([LETTER])[LETTER]


class Container:
    """The blobs that are there."""

    def __init__(self, connection: StorageConnection, prefix: str) -> None:
        self._client = ContainerClient.from_connection_string(connection.connection_string or "", f"{prefix}sidesync")

    def names(self) -> list[str]:
        return list(self._client.list_blob_names(name_starts_with=email_folder(LETTER)))

    def texts(self) -> list[str]:
        return [self._client.download_blob(name).readall().decode() for name in self.names()]


@pytest.fixture
def container(connection: StorageConnection, prefix: str) -> Container:
    return Container(connection, prefix)


# ---- replies that are lost


@pytest.mark.parametrize("fault", [lost_after, lost_before, answering(500, "OperationTimedOut")])
def test_a_step_whose_reply_was_lost_is_taken_all_the_same(faulty: Stores, wire: Wire, fault: Fault) -> None:
    (etag,) = created(faulty)
    wire.fail("$batch", fault)
    (stored,) = taken(faulty, Step(SENDING, etag, a_content(subject="Sent"), (an_attempt(),)))
    assert letter(faulty) == StoredEmail(stored, a_content(subject="Sent"))
    assert list(faulty.activities.attempts(LETTER)) == [an_attempt()]
    (last,) = taken(faulty, Step(CANCELED, stored.etag))
    assert letter(faulty).activity == last


def test_steps_that_share_a_transaction_whose_reply_was_lost_are_taken(faulty: Stores, wire: Wire) -> None:
    names = in_one_partition(3)
    etags = created(faulty, *map(a_letter, names))
    wire.fail("$batch", lost_after)
    steps = [Step(an_outgoing(name, EmailStatus.SENDING), etag) for name, etag in zip(names, etags, strict=True)]
    stored = taken(faulty, *steps)
    for step, each in zip(steps, stored, strict=True):
        assert faulty.activities.get(step.activity.id) == each


def test_who_comes_between_a_lost_step_and_its_repetition_is_not_overwritten(faulty: Stores, wire: Wire) -> None:
    (etag,) = created(faulty)

    def overtaken(_: object) -> object:
        faulty.activities.replace(CANCELED, etag)
        return lost_before(_)  # type: ignore[arg-type]  # it asks for nothing

    wire.fail("PUT", overtaken)  # type: ignore[arg-type]  # it answers nothing
    (refused,) = faulty.activities.advance([Step(SENDING, etag)])
    assert isinstance(refused, Changed)
    assert letter(faulty).activity.record == CANCELED


def test_who_wrote_the_same_is_not_taken_for_oneself(faulty: Stores) -> None:
    """Two runs that do the same: only one of them goes on."""
    (etag,) = created(faulty)
    taken(faulty, Step(SENDING, etag))
    (refused,) = faulty.activities.advance([Step(SENDING, etag)])
    assert isinstance(refused, Changed)


def test_a_store_that_stays_silent_is_not_asked_for_ever(faulty: Stores, wire: Wire) -> None:
    etags = created(faulty, *map(a_letter, in_one_partition(5)))
    wire.fail("$batch", *[lost_before] * 50)
    with pytest.raises(Unreachable):
        faulty.activities.advance([Step(an_outgoing(n), e) for n, e in zip(in_one_partition(5), etags, strict=True)])
    assert len(wire.sent) == 2


def test_a_store_that_asks_to_wait_is_not_asked_again(faulty: Stores, wire: Wire) -> None:
    (etag,) = created(faulty)
    wire.fail("PUT", answering(503, "ServerBusy", Retry_After="42"))
    with pytest.raises(Throttled) as caught:
        faulty.activities.advance([Step(SENDING, etag)])
    assert caught.value.retry_after == timedelta(seconds=42)
    assert len(wire.sent) == 1


# ---- large texts


def test_a_text_that_is_replaced_leaves_no_blob(on_azurite: Stores, container: Container) -> None:
    (etag,) = created(on_azurite, a_letter(body_html=LARGE))
    for text in (OTHER, LARGE, OTHER * 2, "small", LARGE):
        (stored,) = taken(on_azurite, Step(SENDING, etag, a_content(body_html=text)))
        etag = stored.etag
        assert letter(on_azurite).content.body_html == text
        assert container.texts() == ([] if text == "small" else [text])


def test_a_text_that_stays_is_not_written_again(on_azurite: Stores, container: Container) -> None:
    (etag,) = created(on_azurite, a_letter(body_html=LARGE, body_text=OTHER))
    before = container.names()
    taken(on_azurite, Step(SENDING, etag, a_content(subject="Sent", body_html=LARGE, body_text="small")))
    assert container.texts() == [LARGE]
    assert set(container.names()) < set(before)
    assert letter(on_azurite).content == a_content(subject="Sent", body_html=LARGE, body_text="small")


def test_a_step_that_is_refused_leaves_no_blob_and_takes_none(on_azurite: Stores, container: Container) -> None:
    (etag,) = created(on_azurite, a_letter(body_html=LARGE))
    taken(on_azurite, Step(SENDING, etag))
    for text in (OTHER, LARGE, "small"):
        (refused,) = on_azurite.activities.advance([Step(CANCELED, etag, a_content(body_html=text))])
        assert isinstance(refused, Changed)
        assert container.texts() == [LARGE]


def test_two_who_write_the_same_text_at_once_do_not_remove_each_others(
    on_watched: Stores, watched: WatchedGateway, container: Container
) -> None:
    (etag,) = created(on_watched, a_letter(body_html=LARGE))

    def overtaken(asked: Asked) -> None:
        if getattr(asked, "etag", None) == etag:
            watched.before = quietly
            taken(on_watched, Step(SENDING, etag, a_content(body_html=OTHER)))

    watched.before = overtaken
    (refused,) = on_watched.activities.advance([Step(CANCELED, etag, a_content(body_html=OTHER))])
    assert isinstance(refused, Changed)
    assert letter(on_watched).content.body_html == OTHER
    assert container.texts() == [OTHER]


@dataclass
class Overtaken:
    """Blobs before whose reading something happens."""

    blobs: Blobs
    meanwhile: Callable[[], None]

    def __getattr__(self, name: str) -> Any:
        """All else is as the port has it."""
        return getattr(self.blobs, name)

    def read(self, name: str, offset: int = 0) -> Iterator[bytes]:
        self.meanwhile()
        return self.blobs.read(name, offset)


def test_an_email_whose_text_is_replaced_while_it_is_read_is_read_again(
    on_azurite: Stores, connection: StorageConnection, prefix: str
) -> None:
    stores = on_azurite
    (etag,) = created(stores, a_letter(body_html=LARGE))
    texts = [OTHER, LARGE, OTHER]

    def overtaken() -> None:
        nonlocal etag
        if texts:
            (stored,) = taken(stores, Step(SENDING, etag, a_content(body_html=texts.pop())))
            etag = stored.etag

    table = Table(fast_gateway(account_of(connection)), f"{prefix}Activities")
    reading = TableActivities(table, TextBlobs(Overtaken(stores.blobs, overtaken)), Parallel())
    assert reading.whole([LETTER])[LETTER].content.body_html == OTHER
    texts = [OTHER, LARGE]
    content = reading.content(LETTER)
    assert content is not None
    assert content.body_html == OTHER


def test_an_email_whose_text_is_lost_is_not_shown_without_it(on_azurite: Stores) -> None:
    created(on_azurite, a_letter(body_html=LARGE))
    on_azurite.blobs.delete_folder(email_folder(LETTER))
    with pytest.raises(KeyError):
        on_azurite.activities.whole([LETTER])
    with pytest.raises(KeyError):
        on_azurite.activities.content(LETTER)


# ---- what it costs


def test_emails_are_read_several_at_once_and_advance_several_at_once(on_watched: Stores, watched: WatchedGateway) -> None:
    names = list(range(12))
    etags = created(on_watched, *map(a_letter, names))
    assert len({activity_partition(ActivityId(an_id(name))) for name in names}) >= 6
    together = Barrier(3)
    watched.before = lambda _: together.wait(timeout=60)
    assert len(on_watched.activities.whole([ActivityId(an_id(name)) for name in names])) == 12
    together = Barrier(2)
    steps = [Step(an_outgoing(name, EmailStatus.SENDING), etag) for name, etag in zip(names, etags, strict=True)]
    by_partition = {activity_partition(step.activity.id): step for step in steps}
    assert len(taken(on_watched, *list(by_partition.values())[:6])) == 6


def test_an_email_is_read_in_one_request_and_advanced_in_one(on_watched: Stores, watched: WatchedGateway) -> None:
    (etag,) = created(on_watched)
    before = watched.requests
    found = letter(on_watched)
    assert watched.requests - before == 1
    ended = an_attempt(1, outcome=AttemptOutcome.ACCEPTED)
    (stored,) = taken(on_watched, Step(SENDING, etag, attempts=(an_attempt(),)))
    taken(on_watched, Step(replace(found.activity.record), stored.etag, attempts=(ended,)))
    assert watched.requests - before == 3


def test_what_an_email_has_beside_its_content_is_not_read_with_it(
    on_watched: Stores, watched: WatchedGateway, prefix: str
) -> None:
    (etag,) = created(on_watched)
    taken(on_watched, Step(SENDING, etag, attempts=tuple(map(an_attempt, range(1, 20)))))
    asked: list[Asked] = []
    watched.before = asked.append
    letter(on_watched)
    watched.before = quietly
    (query,) = asked
    assert isinstance(query, Query)
    rows = [row for page in pages(watched, f"{prefix}Activities", query) for row in page]
    assert [each.row for each in rows] == [LETTER, content_row(LETTER)]


def test_emails_of_one_partition_advance_together(on_watched: Stores, watched: WatchedGateway) -> None:
    names = in_one_partition(5)
    etags = created(on_watched, *map(a_letter, names))
    before = watched.requests
    taken(
        on_watched,
        *(
            Step(an_outgoing(name, EmailStatus.SENDING), etag, attempts=(an_attempt(1, name),))
            for name, etag in zip(names, etags, strict=True)
        ),
    )
    assert watched.requests - before == 1


def in_one_partition(count: int) -> list[int]:
    names = [name for name in range(20 * count) if activity_partition(ActivityId(an_id(name))) == "7"]
    assert len(names) >= count
    return names[:count]
