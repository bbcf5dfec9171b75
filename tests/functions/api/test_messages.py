"""What is wanted of messages and of quarantined items over HTTP: audited, queued, and done by others."""

from typing import Any

import pytest

from shared.messages import ChangeItems, ItemTask, Queue, parse
from tests.functions.api.found_mail import NOWHERE, has_email, has_quarantined_item
from tests.functions.api.over_memory import Api
from tests.unit.administration.emails import MESSAGE_ID

NO_ITEM = f"{'0' * 32}:{'0' * 32}"


@pytest.fixture
def mailbox_id(api: Api) -> str:
    made = api.has_mailbox_being_read()
    has_email(api, made)
    return made


def asked(api: Api) -> ChangeItems:
    """The one request that waits in the queue."""
    [text] = api.office.sent(Queue.CHANGE_ITEMS)
    message = parse(text)
    assert isinstance(message, ChangeItems)
    return message


# ---- messages


def test_a_message_is_tracked_with_what_it_is_about(api: Api, mailbox_id: str) -> None:
    regarding = {"type": "account", "id": "contoso"}
    answer = api.post(f"/mailboxes/{mailbox_id}/track", {"message_id": f" <{MESSAGE_ID}> ", "regarding": regarding})

    assert (answer.status_code, answer.json()["queued"]) == (202, True)
    message = asked(api)
    assert (message.task, message.regarding_type, message.regarding_id) == (ItemTask.TRACK, "account", "contoso")
    assert api.client.get(answer.json()["look_at"]).status_code == 200


def test_messages_are_left_alone_and_judged_again(api: Api, mailbox_id: str) -> None:
    assert api.post(f"/mailboxes/{mailbox_id}/untrack", {"message_id": MESSAGE_ID}).status_code == 202
    assert asked(api).task is ItemTask.UNTRACK

    other = Api()
    mailbox_id = other.has_mailbox_being_read()
    assert other.post(f"/mailboxes/{mailbox_id}/judge", {"since": "2026-11-01T01:00:00+01:00"}).status_code == 202
    assert (asked(other).task, asked(other).since) == (ItemTask.JUDGE, "2026-11-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("track", {}, "#/message_id"),
        ("track", {"message_id": ""}, "#/message_id"),
        ("track", {"message_id": MESSAGE_ID, "regarding": {"type": "account"}}, "#/regarding/id"),
        ("track", {"message_id": MESSAGE_ID, "regarding": "account:contoso"}, "#/regarding"),
        ("untrack", {"message_id": MESSAGE_ID, "regarding": None}, "#/regarding"),
        ("judge", {"since": "2026-11-01"}, "#/since"),
        ("judge", {"since": "2027-01-01T00:00:00Z"}, "#/since"),
        ("judge", {"days": 7}, "#/since"),
    ],
)
def test_a_request_that_is_not_valid_says_where_and_what_to_do(
    api: Api, mailbox_id: str, path: str, body: Any, pointer: str
) -> None:
    answer = api.post(f"/mailboxes/{mailbox_id}/{path}", body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert answer.json()["errors"][0]["remedy"]
    assert api.office.sent(Queue.CHANGE_ITEMS) == []


def test_a_message_that_the_mailbox_never_saw_cannot_be_asked_for(api: Api, mailbox_id: str) -> None:
    for path in ("track", "untrack"):
        unknown = api.post(f"/mailboxes/{mailbox_id}/{path}", {"message_id": "unknown@fabrikam.example"})
        nowhere = api.post(f"/mailboxes/{NOWHERE}/{path}", {"message_id": MESSAGE_ID})
        assert (unknown.status_code, nowhere.status_code) == (404, 404)
    assert api.post(f"/mailboxes/{NOWHERE}/judge", {"since": "2026-11-01T00:00:00Z"}).status_code == 404


# ---- quarantine


def test_a_quarantined_item_is_read_by_the_id_in_the_list(api: Api, mailbox_id: str) -> None:
    has_quarantined_item(api, mailbox_id)
    [listed] = api.get(f"/mailboxes/{mailbox_id}/quarantine").json()["items"]

    assert api.get(f"/mailboxes/{mailbox_id}/quarantine/{listed['id']}").json() == listed
    assert api.get(f"/mailboxes/{mailbox_id}/quarantine/{NO_ITEM}").status_code == 404


def test_the_raw_form_is_a_download_that_no_browser_shows(api: Api, mailbox_id: str) -> None:
    item = has_quarantined_item(api, mailbox_id, raw=b"From: carol\r\n\r\n<script>")

    raw = api.get(f"/mailboxes/{mailbox_id}/quarantine/{item.id}/raw")

    assert raw.content == b"From: carol\r\n\r\n<script>"
    assert raw.headers["Content-Type"] == "message/rfc822"
    assert raw.headers["Content-Disposition"].startswith("attachment;")
    assert raw.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert raw.headers["X-Content-Type-Options"] == "nosniff"


def test_a_raw_form_that_was_not_kept_or_is_gone_is_not_found(api: Api, mailbox_id: str) -> None:
    unread = has_quarantined_item(api, mailbox_id, "a@b", raw=None)
    gone = has_quarantined_item(api, mailbox_id, "c@d")
    api.office.stores.blobs.delete(gone.raw_blob or "")

    for item in (unread, gone):
        answer = api.get(f"/mailboxes/{mailbox_id}/quarantine/{item.id}/raw")
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_one_item_is_tried_again_and_not_another_copy_of_it(api: Api, mailbox_id: str) -> None:
    item = has_quarantined_item(api, mailbox_id)

    assert api.post(f"/mailboxes/{mailbox_id}/quarantine/{item.id}/replay").status_code == 202
    assert (asked(api).task, asked(api).identity, asked(api).server) == (ItemTask.REPLAY, item.key.identity, item.key.server)


def test_all_items_are_tried_again(api: Api, mailbox_id: str) -> None:
    assert api.post(f"/mailboxes/{mailbox_id}/replay").status_code == 202
    assert (asked(api).task, asked(api).identity) == (ItemTask.REPLAY, None)


def test_an_item_is_given_up_with_a_reason_and_not_another_copy_of_it(api: Api, mailbox_id: str) -> None:
    item = has_quarantined_item(api, mailbox_id)

    assert api.post(f"/mailboxes/{mailbox_id}/quarantine/{item.id}/discard", {"reason": " Advertising. "}).status_code == 202
    message = asked(api)
    assert (message.task, message.note, message.server) == (ItemTask.GIVE_UP, "Advertising.", item.key.server)


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "   "}, {"reason": "x" * 501}, {"reason": None}])
def test_nothing_is_given_up_without_a_reason(api: Api, mailbox_id: str, body: Any) -> None:
    item = has_quarantined_item(api, mailbox_id)
    answer = api.post(f"/mailboxes/{mailbox_id}/quarantine/{item.id}/discard", body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/reason")
    assert api.office.sent(Queue.CHANGE_ITEMS) == []


@pytest.mark.parametrize("item_id", ["x", "0" * 32, f"{'0' * 32}:{'G' * 32}"])
def test_an_id_of_another_form_never_reaches_the_store(api: Api, mailbox_id: str, item_id: str) -> None:
    answer = api.get(f"/mailboxes/{mailbox_id}/quarantine/{item_id}")

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "path/item_id")
