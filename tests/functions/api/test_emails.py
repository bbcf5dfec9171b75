"""What people do to stored emails over HTTP, and the lists in which emails stand."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.choices import RegardingSource
from shared.domain.email import Annotation, ListOf, RecipientReport, TimelineEntry
from shared.domain.ids import ActivityId, MailboxId, short_hash
from shared.domain.records import RecordRef
from tests.builders import MONDAY
from tests.functions.api.found_mail import ACTIVITY, NOWHERE, has_email
from tests.functions.api.over_memory import RULE, Api
from tests.unit.administration.emails import an_email

EMAIL = f"/activities/{ACTIVITY}"
CONTOSO = {"type": "account", "id": "contoso"}
FABRIKAM = RecordRef("account", "fabrikam")


@pytest.fixture
def mailbox_id(api: Api) -> str:
    made = api.has_mailbox_being_read()
    has_email(api, made)
    return made


def lists(api: Api, list_of: ListOf, whose: str, count: int = 5) -> list[str]:
    """The list has that many emails; returns their ids, newest first."""
    ids = [ActivityId(f"00000000-0000-4000-8000-00000000000{number}") for number in range(count)]
    for number, each in enumerate(ids):
        time = MONDAY + timedelta(minutes=number)
        email = an_email(each, MailboxId("collected"))
        about = replace(email.activity, received=time, regarding=FABRIKAM)
        api.office.stores.activities.create([replace(email, activity=about)])
        api.office.stores.timeline.put([TimelineEntry(list_of, whose, each, time, f"Offer {number}", "carol@fabrikam.example")])
    return list(reversed(ids))


# ---- lists


@pytest.mark.parametrize(
    ("list_of", "whose", "query"),
    [
        (ListOf.QUEUE, "sales", {"queue": "sales"}),
        (ListOf.PARTY, "contact:kim", {"party": "contact:kim"}),
        (ListOf.REGARDING, "account:fabrikam", {"regarding": "account:fabrikam"}),
    ],
)
def test_emails_are_listed_newest_first_part_by_part(api: Api, list_of: ListOf, whose: str, query: dict[str, str]) -> None:
    api.has_queue()
    ids = lists(api, list_of, whose)

    first = api.get("/activities", params=query | {"limit": 3}).json()
    rest = api.get("/activities", params=query | {"limit": 3, "continuation": first["continuation"]}).json()

    assert [each["activity_id"] for each in [*first["items"], *rest["items"]]] == ids
    assert (len(first["items"]), rest["continuation"]) == (3, None)


@pytest.mark.parametrize("query", ["", "?queue=sales&party=contact:kim", "?party=contact:kim&regarding=account:contoso"])
def test_a_query_that_names_no_list_or_two_is_refused(api: Api, query: str) -> None:
    answer = api.get(f"/activities{query}")

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "query/queue")
    assert answer.json()["remedy"] == "Give one of queue, party and regarding."


@pytest.mark.parametrize(
    ("query", "pointer", "remedy"),
    [
        ("regarding=contoso", "query/regarding", "Write the type of a record, a colon, and its id, such as account:contoso."),
        ("regarding=Account:contoso", "query/regarding", "Write the type of a record, a colon, and its id"),
        ("party=kim", "query/party", "Write the type of a record, a colon, and its id"),
        ("queue=", "query/queue", "Use 1 to 64 letters, digits"),
        ("party=contact:kim&continuation=nonsense", "query/continuation", ""),
    ],
)
def test_a_query_of_another_form_is_told_the_form(api: Api, query: str, pointer: str, remedy: str) -> None:
    answer = api.get(f"/activities?{query}")

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert answer.json()["errors"][0]["remedy"].startswith(remedy)


def test_there_is_no_list_of_a_queue_that_there_is_not(api: Api) -> None:
    assert api.get("/activities?queue=nobody").status_code == 404
    assert api.get("/activities?party=contact:nobody").json() == {"items": [], "continuation": None}


# ---- changes


@pytest.mark.usefixtures("mailbox_id")
def test_what_an_email_is_about_is_set_and_taken_away(api: Api) -> None:
    seen = api.get(EMAIL).headers["ETag"]

    put = api.put(f"{EMAIL}/regarding", CONTOSO, **{"If-Match": seen})
    assert (put.json()["regarding"], put.json()["regarding_set_by"]) == (CONTOSO, RegardingSource.HAND.value)
    assert put.headers["ETag"] == api.get(EMAIL).headers["ETag"] != seen
    assert [each["activity_id"] for each in api.get("/activities?regarding=account:contoso").json()["items"]] == [ACTIVITY]

    cleared = api.delete(f"{EMAIL}/regarding")
    assert (cleared.status_code, cleared.json()["regarding"]) == (200, None)
    assert api.get("/activities?regarding=account:contoso").json()["items"] == []


def test_what_a_rule_says_is_not_changed_by_hand(api: Api, mailbox_id: str) -> None:
    assert api.put(f"/mailboxes/{mailbox_id}/rules/folder", RULE).status_code == 201
    stored = api.office.stores.activities.get(ACTIVITY)
    assert stored is not None
    by_rule = replace(stored.record, regarding_rule=f"{mailbox_id}:{short_hash('folder')}")
    api.office.stores.activities.replace(by_rule, stored.etag)

    answer = api.put(f"{EMAIL}/regarding", CONTOSO)

    assert (answer.status_code, answer.json()["code"]) == (409, "not_possible_now")
    assert "Fabrikam" in answer.json()["detail"]
    assert "Change the rule" in answer.json()["remedy"]


@pytest.mark.usefixtures("mailbox_id")
def test_an_email_goes_to_a_queue_and_is_completed(api: Api) -> None:
    api.has_queue()

    given = api.put(f"{EMAIL}/owner", {"kind": "queue", "id": "sales"})
    completed = api.post(f"{EMAIL}/complete")

    assert given.json()["owner"] == {"kind": "queue", "id": "sales"}
    assert (completed.json()["state"], completed.json()["status"]) == ("completed", "completed")


@pytest.mark.usefixtures("mailbox_id")
@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("regarding", {}, "#/type"),
        ("regarding", {"type": "Account", "id": "contoso"}, "#/type"),
        ("regarding", {"type": "account", "id": "a/b"}, "#/id"),
        ("regarding", CONTOSO | {"name": "Contoso"}, "#/name"),
        ("regarding", [], "#"),
        ("owner", {"kind": "team", "id": "sales"}, "#/kind"),
        ("owner", {"kind": "user", "id": "nobody"}, "#/id"),
        ("owner", {"kind": "user", "id": ""}, "#/id"),
    ],
)
def test_a_change_that_is_not_valid_says_where_and_what_to_do(api: Api, path: str, body: Any, pointer: str) -> None:
    answer = api.put(f"{EMAIL}/{path}", body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert answer.json()["errors"][0]["remedy"]


def test_a_deleted_email_is_gone_from_every_list_and_stays_gone(api: Api, mailbox_id: str) -> None:
    assert api.put(f"{EMAIL}/regarding", CONTOSO).status_code == 200

    assert [api.delete(EMAIL).status_code for _ in range(2)] == [204, 204]

    assert api.get(EMAIL).status_code == api.get(f"{EMAIL}/body").status_code == 404
    assert api.put(f"{EMAIL}/regarding", CONTOSO).status_code == api.post(f"{EMAIL}/complete").status_code == 404
    assert api.get(f"/mailboxes/{mailbox_id}/activities").json()["items"] == []
    assert api.get("/activities?regarding=account:contoso").json()["items"] == []


def test_a_conversation_is_opted_out_once_and_in_again(api: Api, mailbox_id: str) -> None:
    first = api.post(f"{EMAIL}/opt-out").json()
    api.office.clock.advance(timedelta(hours=1))

    assert api.post(f"{EMAIL}/opt-out").json() == first
    assert (first["conversation"], first["by"]) == (ACTIVITY, "function key")
    told = api.get(f"/mailboxes/{mailbox_id}/explain?activity_id={ACTIVITY}").json()["activities"][0]
    assert told["opted_out_on"] == first["opted_out_on"]
    assert [api.delete(f"{EMAIL}/opt-out").status_code for _ in range(2)] == [204, 204]


def test_nothing_is_done_to_an_email_that_is_not_there(api: Api) -> None:
    api.has_user()
    path = f"/activities/{NOWHERE}"
    answers = [
        api.put(f"{path}/regarding", CONTOSO),
        api.delete(f"{path}/regarding"),
        api.put(f"{path}/owner", {"kind": "user", "id": "anna"}),
        api.post(f"{path}/complete"),
        api.post(f"{path}/opt-out"),
        api.delete(f"{path}/opt-out"),
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "record_not_found")}


@pytest.mark.usefixtures("mailbox_id")
def test_what_delivery_reports_said_later_stands_beside_the_email(api: Api) -> None:
    recipient = RecipientReport("carol@fabrikam.example", "failed", "5.1.1", "no such user")
    api.office.stores.activities.annotate([Annotation(ACTIVITY, ActivityId(NOWHERE), MONDAY, (recipient,))])

    [annotation] = api.get(EMAIL).json()["annotations"]

    assert (annotation["report"], annotation["recipients"][0]["status"]) == (NOWHERE, "5.1.1")
