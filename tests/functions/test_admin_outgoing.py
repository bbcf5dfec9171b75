"""Emails that are written here on the administrator's command line, over the real API."""

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.choices import EmailStatus
from shared.domain.delivery import Attempt, AttemptOutcome, RefusedRecipient
from shared.domain.ids import ActivityId
from shared.domain.listings import sent_entry
from shared.domain.steps import Step
from tests.builders import MONDAY
from tests.unit.admin.command_line import Deployment

ANNA = "anna@contoso.example"


@pytest.fixture
def deployment() -> Deployment:
    made = Deployment()
    made.has_profile()
    made.mailbox_id = made.has_user()
    change = {"outgoing_method": "server_side"}
    assert made.client.patch(f"/api/mailboxes/{made.mailbox_id}", json=change).is_success
    return made


def has_draft(deployment: Deployment, **given: object) -> ActivityId:
    body = {"sender": {"kind": "user", "id": "anna"}, "to": [{"address": "kim@fabrikam.example"}], "subject": "Offer"}
    answer = deployment.client.post("/api/activities", json=body | given)
    assert answer.status_code == 201, answer.text
    return ActivityId(answer.json()["id"])


def has_failed(deployment: Deployment, email: ActivityId) -> None:
    """As a run leaves it."""
    stored = deployment.stores.activities.get(email)
    assert stored is not None
    assert stored.record.delivery is not None
    delivery = replace(stored.record.delivery, attempts=1, error="recipients_refused", status_code="5.1.1")
    failed = replace(stored.record, status=EmailStatus.FAILED, delivery=delivery)
    refused = (RefusedRecipient("kim@fabrikam.example", "5.1.1", "550 5.1.1 no such user"),)
    attempt = Attempt(
        email, 1, "a1", MONDAY, AttemptOutcome.REFUSED, MONDAY, "recipients_refused", "5.1.1", "nobody\x1b[31m", refused
    )
    deployment.stores.activities.advance([Step(failed, stored.etag, attempts=(attempt,))])


def was_sent(deployment: Deployment, email: ActivityId, **known: Any) -> None:
    stored = deployment.stores.activities.get(email)
    assert stored is not None
    assert stored.record.delivery is not None
    sent = replace(stored.record, status=EmailStatus.SENT, delivery=replace(stored.record.delivery, sent_on=MONDAY, **known))
    deployment.stores.activities.advance([Step(sent, stored.etag)])
    deployment.stores.timeline.put([sent_entry(sent)])


def rows(table: str) -> list[str]:
    return [line for line in table.splitlines() if line.startswith("│")]


def status(deployment: Deployment, email: ActivityId) -> str:
    return str(deployment.shown(f"/activities/{email}")["status"])


def test_emails_are_sent_and_taken_back_and_listed_by_status(deployment: Deployment) -> None:
    email, other = has_draft(deployment), has_draft(deployment, subject="Another")

    sent = deployment.admin("outgoing", "send", email)
    assert (sent.exit_code, sent.stdout) == (0, f"{email}: waits to be sent\n")
    assert [each["id"] for each in deployment.json("outgoing", "list", ANNA, "--status", "pending_send")] == [email]
    assert {each["id"] for each in deployment.json("outgoing", "list", ANNA)} == {email, other}

    canceled = deployment.admin("outgoing", "cancel", email)
    assert (canceled.exit_code, status(deployment, email)) == (0, "canceled")


def test_what_cannot_be_sent_says_which_field_and_does_not_stop_the_others(deployment: Deployment) -> None:
    nobody, email = has_draft(deployment, to=[]), has_draft(deployment)
    result = deployment.admin("outgoing", "send", nobody, email)

    assert (result.exit_code, result.stdout) == (1, f"{email}: waits to be sent\n")
    assert "error: #/to: there is no recipient" in result.stderr
    assert status(deployment, nobody) == "draft"


def test_what_failed_says_why_and_how_it_was_tried(deployment: Deployment) -> None:
    email = has_draft(deployment)
    assert "It was not tried yet." in deployment.admin("outgoing", "attempts", email).stdout
    has_failed(deployment, email)

    listed = deployment.admin("outgoing", "list", ANNA, "--status", "failed").stdout
    assert "failed" in listed
    assert "5.1.1" in listed
    told = deployment.admin("outgoing", "attempts", email).stdout
    assert "refused" in told
    assert "kim@fabrikam.example" in told
    assert "\x1b" not in told
    [attempt] = deployment.json("outgoing", "attempts", email)
    assert (attempt["number"], attempt["outcome"]) == (1, "refused")


def test_the_list_says_of_what_was_sent_whom_it_did_not_reach_and_who_may_have_it_twice(deployment: Deployment) -> None:
    was_sent(deployment, has_draft(deployment), refused=2)
    was_sent(deployment, has_draft(deployment), may_be_twice=True)
    was_sent(deployment, has_draft(deployment))

    told = [line.split("│")[-3].strip() for line in rows(deployment.admin("outgoing", "list", ANNA, "--status", "sent").stdout)]
    assert sorted(told) == ["", "2 refused", "may be twice"]


def test_an_attempt_says_in_the_servers_words_why_it_refused_a_recipient(deployment: Deployment) -> None:
    email = has_draft(deployment)
    has_failed(deployment, email)

    assert "kim@fabrikam.example: 550 5.1.1 no such user" in deployment.admin("outgoing", "attempts", email).stdout


@pytest.mark.parametrize("subject", ["An offer of many words " * 30, "x" * 800, "日本" * 300])
def test_a_long_subject_does_not_fill_the_list(deployment: Deployment, subject: str) -> None:
    has_draft(deployment, subject=subject)

    told = rows(deployment.admin("outgoing", "list", ANNA).stdout)
    assert len(told) <= 2
    assert subject[:6] in told[0]
    assert "…" in told[-1]


def test_what_does_not_wait_is_not_taken_back(deployment: Deployment) -> None:
    result = deployment.admin("outgoing", "cancel", has_draft(deployment))

    assert result.exit_code == 1
    assert "does not wait to be sent" in result.stderr
