"""The contract of activities."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import ParticipationType
from shared.domain.email import NewEmail, Party
from shared.domain.errors import ItemRejected
from shared.domain.ids import ActivityId
from shared.ports import Stores
from tests.contracts.records import NOW, a_content, a_sighting, an_activity, an_email, an_id


def names(stores: Stores, emails: list[NewEmail]) -> Iterator[tuple[str, bool]]:
    return ((each.record.subject, each.created) for each in stores.activities.create(emails))


def test_an_email_reads_as_it_was_written(stores: Stores) -> None:
    (created,) = stores.activities.create([an_email()])
    assert created.record == an_activity()
    assert created.created
    assert stores.activities.get(an_activity().id) == replace(created, created=False)
    assert stores.activities.content(an_activity().id) == a_content()
    assert stores.activities.sightings(an_activity().id) == [a_sighting()]


def test_what_was_never_written_is_not_there(stores: Stores) -> None:
    nobody = ActivityId(an_id("nobody"))
    assert stores.activities.get(nobody) is None
    assert stores.activities.content(nobody) is None
    assert stores.activities.sightings(nobody) == []
    assert stores.activities.create([]) == []


def test_the_stored_row_is_the_decision(stores: Stores) -> None:
    stores.activities.create([an_email()])
    other = NewEmail(an_activity(subject="changed"), a_content(body_text="changed"), a_sighting(mailbox="bert"))
    (found,) = stores.activities.create([other])
    assert (found.record, found.created) == (an_activity(), False)
    assert stores.activities.content(an_activity().id) == a_content()
    assert stores.activities.sightings(an_activity().id) == [a_sighting()]


def test_answers_stand_in_the_order_of_the_emails(stores: Stores) -> None:
    emails = [an_email(number) for number in range(60)]
    assert list(names(stores, emails)) == [(f"Subject of {number}", True) for number in range(60)]


def test_the_first_of_an_id_that_stands_twice_counts(stores: Stores) -> None:
    second = NewEmail(an_activity(subject="second"), a_content(body_text="second"), a_sighting(item_id="second"))
    answers = stores.activities.create([an_email(), an_email("other"), second])
    assert [(each.record.subject, each.created) for each in answers] == [
        ("Subject of email", True),
        ("Subject of other", True),
        ("Subject of email", False),
    ]
    assert stores.activities.sightings(an_activity().id) == [a_sighting()]


def test_what_exists_in_the_middle_of_a_page_does_not_stop_the_rest(stores: Stores) -> None:
    stores.activities.create([an_email(number) for number in range(0, 200, 7)])
    created = [each.created for each in stores.activities.create([an_email(number) for number in range(200)])]
    assert created == [number % 7 != 0 for number in range(200)]
    assert all(stores.activities.content(ActivityId(an_id(number))) is not None for number in range(0, 200, 11))


def test_two_that_create_the_same_page_agree(stores: Stores) -> None:
    emails = [an_email(number) for number in range(40)]
    with ThreadPoolExecutor(2) as threads:
        one, two = threads.map(lambda mailbox: stores.activities.create([_from(each, mailbox) for each in emails]), "ab")
    assert [each.record for each in one] == [each.record for each in two]
    assert [a.created != b.created for a, b in zip(one, two, strict=True)] == [True] * 40


def test_pages_larger_than_a_transaction_are_stored(stores: Stores) -> None:
    """One partition would get more than four mebibytes at once if they were not cut."""
    emails = [an_email(number, body_html="<p>" + "x" * 29_000, body_text="y" * 29_000) for number in range(300)]
    assert all(each.created for each in stores.activities.create(emails))
    assert stores.activities.content(ActivityId(an_id(299))) == emails[299].content


@pytest.mark.parametrize("length", [29_999, 30_000, 30_001, 2_000_000])
def test_bodies_have_any_length(stores: Stores, length: int) -> None:
    email = an_email(body_html="ü" * length, body_text="日" * length)
    stores.activities.create([email])
    assert stores.activities.content(an_activity().id) == email.content


def test_a_body_of_astral_characters_is_measured_as_the_service_does(stores: Stores) -> None:
    email = an_email(body_text="😀" * 20_000)
    stores.activities.create([email])
    assert stores.activities.content(an_activity().id) == email.content


def test_thousands_of_recipients_are_stored(stores: Stores) -> None:
    parties = tuple(Party(ParticipationType.TO, f"person{number}@contoso.example", "A Name") for number in range(3_000))
    email = an_email(parties=parties, references=tuple(f"{number}@contoso.example" for number in range(3_000)))
    stores.activities.create([email])
    assert stores.activities.content(an_activity().id) == email.content


@pytest.mark.parametrize(
    "text",
    [
        "\x00\x01\x1f\x7f",
        "\r\n--batch_sidesync\r\n--changeset_sidesync--\r\n",
        "a\u2028b\u2029c\u0085d",
        "日本 ü 😀",
        '"\\</',
        "",
    ],
)
def test_every_character_survives(stores: Stores, text: str) -> None:
    email = an_email(subject=text, body_text=text, body_html=text, message_id=text, references=(text,))
    stores.activities.create([email, an_email("other")])
    assert stores.activities.content(an_activity().id) == email.content


def test_half_a_character_is_replaced(stores: Stores) -> None:
    (created,) = stores.activities.create(
        [NewEmail(an_activity(subject="a\ud800b"), a_content(body_text="\udfff" + "x" * 40_000), a_sighting(item_id="\ud83d"))]
    )
    assert created.record.subject == "a\ufffdb"
    content = stores.activities.content(an_activity().id)
    assert content is not None
    assert content.body_text == "\ufffd" + "x" * 40_000
    assert [each.item_id for each in stores.activities.sightings(an_activity().id)] == ["\ufffd"]


def test_a_subject_without_end_is_whole_in_the_content_only(stores: Stores) -> None:
    subject = "ü" * 100_000
    (created,) = stores.activities.create([NewEmail(an_activity(subject=subject), a_content(subject=subject), a_sighting())])
    assert created.record.subject == "ü" * 30_000
    assert stores.activities.get(an_activity().id) == replace(created, created=False)
    content = stores.activities.content(an_activity().id)
    assert content is not None
    assert content.subject == subject


def test_an_id_that_cannot_be_a_key_rejects_the_item(stores: Stores) -> None:
    with pytest.raises(ItemRejected):
        stores.activities.create([NewEmail(an_activity(id=ActivityId("a/b")), a_content(), a_sighting())])


def test_times_before_the_service_can_count_are_stored(stores: Stores) -> None:
    early = NOW - timedelta(days=365 * 2020)
    (created,) = stores.activities.create([NewEmail(an_activity(received=early), a_content(sent=early), a_sighting())])
    assert created.record.received == early
    content = stores.activities.content(an_activity().id)
    assert content is not None
    assert content.sent == early


def test_a_mailbox_sees_an_email_once(stores: Stores) -> None:
    stores.activities.create([an_email()])
    seen = [
        a_sighting(mailbox="bert", item_id="first"),
        a_sighting(mailbox="carl"),
        a_sighting(mailbox="anna", item_id="again"),
    ]
    stores.activities.sight(seen)
    stores.activities.sight([replace(each, item_id="later") for each in seen])
    stores.activities.sight([])
    found = {each.mailbox_id: each.item_id for each in stores.activities.sightings(an_activity().id)}
    assert found == {an_id("anna"): "AAMk=", an_id("bert"): "first", an_id("carl"): "AAMk="}


def test_many_sightings_are_stored_at_once(stores: Stores) -> None:
    stores.activities.create([an_email(number) for number in range(150)])
    stores.activities.sight([a_sighting(number, "bert") for number in range(0, 150, 2)])
    stores.activities.sight([a_sighting(number, "bert") for number in range(150)])
    assert all(len(stores.activities.sightings(ActivityId(an_id(number)))) == 2 for number in range(0, 150, 10))


def test_a_sighting_that_came_first_does_not_stop_its_email(stores: Stores) -> None:
    stores.activities.sight([a_sighting()])
    assert [each.created for each in stores.activities.create([an_email()])] == [True]


def test_variants_are_marked_where_the_row_exists(stores: Stores) -> None:
    (created,) = stores.activities.create([an_email()])
    stores.activities.mark_variants([an_activity().id, ActivityId(an_id("nobody"))])
    stores.activities.mark_variants([an_activity().id])
    found = stores.activities.get(an_activity().id)
    assert found is not None
    assert found.record == replace(created.record, has_variants=True)
    assert found.etag != created.etag
    assert stores.activities.get(ActivityId(an_id("nobody"))) is None


def _from(email: NewEmail, mailbox: str) -> NewEmail:
    return replace(email, activity=replace(email.activity, sender=f"{mailbox}@contoso.example"))
