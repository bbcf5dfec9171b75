"""Emails that are written here, over HTTP: drafts, answers, attachments in parts, sending, and what a mailbox has written."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from functions.api.guard import LONGEST_BODY, LONGEST_DRAFT
from functions.api.schemas import examples
from shared.administration.outgoing.uploads import PART_BYTES
from shared.domain.choices import EmailStatus
from shared.domain.delivery import Attempt, AttemptOutcome
from shared.domain.email import Address
from shared.domain.ids import ActivityId, MailboxId
from shared.domain.steps import Step
from shared.messages import Queue
from tests.builders import MONDAY
from tests.functions.api.found_mail import ACTIVITY, NOWHERE, has_email
from tests.functions.api.over_memory import Api
from tests.unit.administration.emails import an_email

KIM = {"address": "kim@fabrikam.example"}
DORA = {"kind": "user", "id": "dora"}
TERMS = {"name": "terms.txt", "content_type": "text/plain", "size": 5}


@pytest.fixture
def mailbox_id(api: Api) -> str:
    return api.has_mailbox_that_sends()


@pytest.fixture
def draft(api: Api, mailbox_id: str) -> str:  # noqa: ARG001 - Dora can send
    """Path of a draft."""
    return api.has_draft()


def outgoing(api: Api, mailbox_id: str, **query: str) -> list[str]:
    answer = api.get(f"/mailboxes/{mailbox_id}/outgoing", params=query)
    assert answer.status_code == 200, answer.text
    return [f"/activities/{each['id']}" for each in answer.json()["items"]]


def pointers(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    assert all(each["remedy"] for each in answer.json()["errors"])
    return [each["pointer"] for each in answer.json()["errors"]]


# ---- drafts


def test_a_draft_is_created_shown_and_listed(api: Api, mailbox_id: str) -> None:
    given = {"sender": DORA, "to": [KIM], "cc": [{"type": "queue", "id": "sales"}], "subject": "Offer", "priority": "high"}
    api.has_queue()
    answer = api.post("/activities", given | {"read_receipt": True, "body_html": "<p onclick='x'>Hello</p>"})
    shown = answer.json()

    assert answer.status_code == 201
    assert (shown["direction"], shown["status"], shown["state"], shown["priority"]) == ("outgoing", "draft", "open", "high")
    assert shown["message_id"].endswith("@contoso.example")
    assert [(each["type"], each["address"], each["record_id"]) for each in shown["parties"]] == [
        ("sender", "dora@contoso.example", "dora"),
        ("to", "kim@fabrikam.example", None),
        ("cc", "sales@contoso.example", "sales"),
    ]
    assert (shown["delivery"]["mailbox"], shown["delivery"]["read_receipt"]) == (mailbox_id, True)
    assert "submission" not in shown["delivery"]
    assert shown["body_html"] == "<p>Hello</p>"
    path = f"/activities/{shown['id']}"
    assert answer.headers["ETag"] == api.get(path).headers["ETag"]
    assert outgoing(api, mailbox_id) == outgoing(api, mailbox_id, status="draft") == [path]


def test_the_same_key_again_is_answered_with_the_same_draft(api: Api, mailbox_id: str) -> None:
    given = {"sender": DORA, "to": [KIM], "key": "offer-1"}
    first, again = api.post("/activities", given), api.post("/activities", given)

    assert (first.status_code, again.status_code) == (201, 200)
    assert (again.json(), again.headers["ETag"]) == (first.json(), first.headers["ETag"])
    assert len(outgoing(api, mailbox_id)) == 1


def test_a_patch_is_merged_and_null_returns_to_the_default(api: Api, draft: str) -> None:
    about = {"type": "account", "id": "fabrikam"}
    first = api.patch(draft, {"cc": [KIM], "subject": "Late", "regarding": about, "send_after": "2026-12-01T08:00:00Z"}).json()
    second = api.patch(draft, {"cc": None, "regarding": None, "send_after": None, "priority": "low"}).json()

    assert (first["subject"], first["regarding"], len(first["parties"])) == ("Late", about, 3)
    assert first["delivery"]["send_after"] == "2026-12-01T08:00:00Z"
    assert (second["subject"], second["regarding"], len(second["parties"])) == ("Late", None, 2)
    assert (second["delivery"]["send_after"], second["priority"]) == (None, "low")


def test_an_email_that_was_read_is_neither_edited_nor_sent(api: Api, mailbox_id: str) -> None:
    has_email(api, mailbox_id)
    path = f"/activities/{ACTIVITY}"
    for answer in (
        api.patch(path, {"subject": "Other"}),
        api.post(f"{path}/send"),
        api.post(f"{path}/cancel"),
        api.get(f"{path}/attempts"),
        api.post(f"{path}/attachments", TERMS),
        api.delete(f"{path}/attachments/0"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "not_possible_now"), answer.text


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"sender": None}, "#/sender"),
        ({"sender": {"kind": "team", "id": "dora"}}, "#/sender/kind"),
        ({"sender": {"kind": "user", "id": "nobody"}}, "#/sender"),
        ({"to": [{"address": ""}]}, "#/to/0/address"),
        ({"to": [{}]}, "#/to/0/address"),
        ({"to": [KIM, {"type": "contact", "id": "nobody"}]}, "#/to/1/id"),
        ({"cc": [{"type": "Contact!", "id": "kim"}]}, "#/cc/0/type"),
        ({"cc": "kim@fabrikam.example"}, "#/cc"),
        ({"subject": "x" * 801}, "#/subject"),
        ({"body_html": "x" * 2_000_001}, "#/body_html"),
        ({"priority": "urgent"}, "#/priority"),
        ({"send_after": "tomorrow"}, "#/send_after"),
        ({"send_after": "2500-01-01T00:00:00Z"}, "#/send_after"),
        ({"key": "a\r\nb"}, "#/key"),
        ({"answers": {"activity_id": NOWHERE, "kind": "reply"}}, "#/answers/activity_id"),
        ({"answers": {"activity_id": NOWHERE, "kind": "answer"}}, "#/answers/kind"),
        ({"message_id": "mine@contoso.example"}, "#/message_id"),
    ],
)
def test_what_is_no_draft_is_refused_by_its_field(api: Api, mailbox_id: str, given: dict[str, Any], pointer: str) -> None:
    answer = api.post("/activities", {"sender": DORA, "to": [KIM]} | given)

    assert pointers(answer) == [pointer]
    assert outgoing(api, mailbox_id) == []


@pytest.mark.parametrize("value", ["kim@fabrikam.example", {"address": "kim@fabrikam.example"}])
def test_what_is_no_list_is_answered_with_how_to_write_one(api: Api, mailbox_id: str, value: Any) -> None:  # noqa: ARG001 - Dora
    (error,) = api.post("/activities", {"sender": DORA, "to": value}).json()["errors"]

    assert (error["pointer"], error["remedy"]) == ("#/to", "Write a list in square brackets.")


@pytest.mark.parametrize(
    ("given", "pointer"),
    [({"sender": "dora"}, "#/sender"), ({"to": ["kim@fabrikam.example"]}, "#/to/0"), ({"regarding": "acme"}, "#/regarding")],
)
def test_a_field_that_is_no_object_is_answered_with_how_to_write_one(
    api: Api,
    mailbox_id: str,  # noqa: ARG001 - Dora
    given: dict[str, Any],
    pointer: str,
) -> None:
    (error,) = api.post("/activities", {"sender": DORA, "to": [KIM]} | given).json()["errors"]

    assert (error["pointer"], error["remedy"]) == (pointer, "Write its fields in braces, each with its name.")


def test_an_email_may_be_longer_than_a_configuration_record_and_not_without_end(api: Api, draft: str) -> None:
    assert api.patch(draft, {"body_text": "x" * LONGEST_BODY * 2}).status_code == 200
    assert api.patch(draft, {"body_text": "x" * LONGEST_DRAFT}).status_code == 413


def test_an_answer_takes_over_recipients_subject_and_conversation(api: Api, mailbox_id: str) -> None:
    has_email(api, mailbox_id)
    answer = api.post("/activities", {"sender": DORA, "answers": {"activity_id": ACTIVITY, "kind": "reply"}})
    shown, original = answer.json(), api.get(f"/activities/{ACTIVITY}").json()

    assert answer.status_code == 201
    assert shown["subject"] == f"Re: {original['subject']}"
    assert shown["in_reply_to"] == original["message_id"]
    assert (shown["conversation"], shown["parent"]) == (original["conversation"] or ACTIVITY, ACTIVITY)


def test_an_answer_goes_where_the_email_is_shown_to_want_it(api: Api, mailbox_id: str) -> None:
    has_email(api, mailbox_id, reply_to=(Address("list@fabrikam.example", "List"),))
    answer = api.post("/activities", {"sender": DORA, "answers": {"activity_id": ACTIVITY, "kind": "reply"}}).json()

    assert api.get(f"/activities/{ACTIVITY}").json()["reply_to"] == [{"address": "list@fabrikam.example", "name": "List"}]
    assert [each["address"] for each in answer["parties"] if each["type"] == "to"] == ["list@fabrikam.example"]
    assert answer["reply_to"] == []


def test_the_examples_of_the_description_are_accepted(api: Api) -> None:
    mailbox_id = api.has_mailbox_that_sends("anna")
    api.has_queue()
    assert api.put("/records/contact/kim", {"name": "Kim", "addresses": ["kim@fabrikam.com"]}).status_code == 201
    answered = str(examples.DRAFT[1]["answers"]["activity_id"])  # type: ignore[index,call-overload]  # JSON
    api.office.stores.activities.create([an_email(ActivityId(answered), MailboxId(mailbox_id))])
    for example in examples.DRAFT:
        created = api.post("/activities", example)
        assert created.status_code == 201, created.text
    draft = f"/activities/{created.json()['id']}"
    for example in examples.DRAFT_PATCH:
        assert api.patch(draft, example).status_code == 200
    for example in examples.ATTACHMENT:
        assert api.post(f"{draft}/attachments", example).status_code == 201


# ---- attachments


def test_a_file_is_uploaded_in_parts(api: Api, draft: str) -> None:
    content = b"x" * PART_BYTES + b"end"
    given = {"name": "offer.pdf", "content_type": "application/pdf", "size": len(content), "key": "offer"}
    begun = api.post(f"{draft}/attachments", given)
    upload = begun.json()
    path = f"{draft}/uploads/{upload['upload']}"

    assert (begun.status_code, api.post(f"{draft}/attachments", given).status_code) == (201, 200)
    assert (upload["part_size"], upload["parts"], upload["is_complete"]) == (PART_BYTES, 2, False)
    assert api.post(f"{path}/complete").json()["detail"] == "part 0 is missing"
    assert api.put_octets(f"{path}/parts/1", b"end").status_code == 200
    assert api.put_octets(f"{path}/parts/0", content[:PART_BYTES]).status_code == 200
    complete = api.client.post(f"/api{path}/complete", params={"sha256": hashlib.sha256(content).hexdigest()})
    assert (complete.status_code, complete.json()["is_complete"]) == (200, True)
    assert complete.json()["sha256"] == hashlib.sha256(content).hexdigest()

    [attachment] = api.get(draft).json()["attachments"]
    assert (attachment["name"], attachment["size"], attachment["upload"]) == ("offer.pdf", len(content), None)
    assert api.client.get(attachment["url"]).content == content


def test_a_part_is_bounded_and_declared(api: Api, draft: str) -> None:
    begun = api.post(f"{draft}/attachments", TERMS | {"size": PART_BYTES * 2}).json()
    part = f"{draft}/uploads/{begun['upload']}/parts/0"

    assert api.put_octets(part, b"x" * (PART_BYTES + 1)).status_code == 413
    assert api.put_octets(part, b"x", **{"Content-Type": "text/plain"}).status_code == 415
    assert api.put_octets(part, b"x", **{"Content-Encoding": "gzip"}).status_code == 415
    assert pointers(api.put_octets(part, b"x")) == ["#"], "of RFC 6901 the whole document, where #/ is a member without a name"
    assert pointers(api.put_octets(part.replace("parts/0", "parts/2"), b"x")) == ["path/number"]
    assert api.put_octets(f"{draft}/uploads/{'0' * 32}/parts/0", b"x").status_code == 404


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"name": "a\r\nBcc: eve@evil.example"}, "#/name"),
        ({"name": "a/b.txt"}, "#/name"),
        ({"content_type": "text/plain; charset=utf-8"}, "#/content_type"),
        ({"content_id": "a>\r\nX-Evil: 1"}, "#/content_id"),
        ({"size": 100 * 1024 * 1024 + 1}, "#/size"),
        ({"size": -1}, "#/size"),
        ({"size": "5"}, "#/size"),
        ({"key": "a b"}, "#/key"),
        ({"blob": "emails/other"}, "#/blob"),
    ],
)
def test_what_is_no_attachment_is_refused_by_its_field(api: Api, draft: str, given: dict[str, Any], pointer: str) -> None:
    assert pointers(api.post(f"{draft}/attachments", TERMS | given)) == [pointer]
    assert api.get(draft).json()["attachments"] == []


def test_a_media_type_with_parameters_is_answered_with_how_to_write_one(api: Api, draft: str) -> None:
    (error,) = api.post(f"{draft}/attachments", TERMS | {"content_type": "text/csv; charset=utf-8"}).json()["errors"]

    assert error["remedy"] == "Write one such as application/pdf, without parameters."


def test_an_attachment_is_removed(api: Api, draft: str) -> None:
    api.has_upload(draft, key="a")
    seen = api.get(draft).headers["ETag"]
    answer = api.delete(f"{draft}/attachments/0", **{"If-Match": seen})
    again = api.delete(f"{draft}/attachments/0", **{"If-Match": seen})

    assert (answer.status_code, answer.json()["attachments"], again.status_code) == (200, [], 412)
    assert api.delete(f"{draft}/attachments/0").status_code == 404


# ---- sending


def test_an_email_is_sent_and_taken_back(api: Api, mailbox_id: str, draft: str) -> None:
    sent = api.post(f"{draft}/send")

    assert (sent.status_code, sent.json()["status"]) == (202, "pending_send")
    assert api.post(f"{draft}/send").json() == sent.json()
    assert outgoing(api, mailbox_id, status="pending_send") == [draft]
    assert len(api.office.sent(Queue.SYNC_OUTGOING)) == 1
    for answer in (api.patch(draft, {"subject": "Late"}), api.delete(draft), api.post(f"{draft}/complete")):
        assert answer.status_code == 409

    canceled = api.post(f"{draft}/cancel")
    assert (canceled.status_code, canceled.json()["status"], canceled.json()["state"]) == (200, "canceled", "canceled")
    assert outgoing(api, mailbox_id, status="canceled") == [draft]
    assert api.delete(draft).status_code == 204
    assert outgoing(api, mailbox_id) == []


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"to": []}, "#/to"),
        ({"to": [{"address": "kim"}]}, "#/to/0/address"),
        ({"bcc": [KIM, {"address": "a@b.example\nBcc: eve@evil.example"}]}, "#/bcc/1/address"),
        ({"to": [KIM | {"name": "Kim\r\nBcc: eve@evil.example"}]}, "#/to/0/name"),
        ({"subject": "Offer\nBcc: eve@evil.example"}, "#/subject"),
        ({"submitter": "nobody"}, "#/submitter"),
    ],
)
def test_what_keeps_an_email_from_being_sent_names_the_field_and_the_draft_stays(
    api: Api, mailbox_id: str, given: dict[str, Any], pointer: str
) -> None:
    draft = api.has_draft(**given)
    before = api.get(draft)

    assert pointers(api.post(f"{draft}/send")) == [pointer]
    assert (api.get(draft).json(), api.get(draft).headers["ETag"]) == (before.json(), before.headers["ETag"])
    assert outgoing(api, mailbox_id, status="pending_send") == []


def test_an_attachment_on_the_way_and_one_that_is_blocked_keep_it_from_being_sent(api: Api, draft: str) -> None:
    api.has_upload(draft)
    assert pointers(api.post(f"{draft}/send")) == ["#/attachments/0"]

    api.delete(f"{draft}/attachments/0")
    assert api.post(f"{api.has_upload(draft, name='setup.exe')}/complete").status_code == 200
    api.patch("/settings", {"blocked_attachments": ["exe"]})
    assert pointers(api.post(f"{draft}/send")) == ["#/attachments/0"]
    assert pointers(api.post(f"{draft}/attachments", TERMS | {"name": "other.exe"})) == ["#/name"]


def test_a_mailbox_that_does_not_send_is_told_with_what_to_change(api: Api, mailbox_id: str, draft: str) -> None:
    api.patch(f"/mailboxes/{mailbox_id}", {"outgoing_method": "none"})
    answer = api.post(f"{draft}/send")

    assert pointers(answer) == ["#/sender"]
    assert "outgoing_method" in answer.json()["remedy"]


def test_what_failed_says_why_and_shows_its_attempts(api: Api, mailbox_id: str, draft: str) -> None:
    stored = api.office.stores.activities.get(ActivityId(draft.rpartition("/")[2]))
    assert stored is not None
    assert stored.record.delivery is not None
    delivery = replace(stored.record.delivery, attempts=1, error="delivery_refused", status_code="5.1.1", detail="no")
    attempt = Attempt(stored.record.id, 1, "a1", MONDAY, AttemptOutcome.REFUSED, MONDAY, "delivery_refused", "5.1.1", "no")
    failed = replace(stored.record, status=EmailStatus.FAILED, delivery=delivery)
    api.office.stores.activities.advance([Step(failed, stored.etag, attempts=(attempt,))])

    [listed] = api.get(f"/mailboxes/{mailbox_id}/outgoing", params={"status": "failed"}).json()["items"]
    assert (listed["status"], listed["delivery"]["error"], listed["delivery"]["status_code"]) == (
        "failed",
        "delivery_refused",
        "5.1.1",
    )
    [shown] = api.get(f"{draft}/attempts").json()
    assert (shown["number"], shown["outcome"], shown["detail"]) == (1, "refused", "no")
    assert api.post(f"{draft}/send").json()["delivery"]["error"] is None


def test_a_status_that_there_is_not_is_refused(api: Api, mailbox_id: str) -> None:
    assert pointers(api.get(f"/mailboxes/{mailbox_id}/outgoing", params={"status": "received"})) == ["query/status"]
    assert api.get("/mailboxes/nowhere/outgoing").status_code == 404
