"""The command line over the real API: what it does to messages, emails and quarantined items, and its dry runs."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from shared.domain.choices import Reason, Verdict, Workload
from shared.domain.email import ListOf, TimelineEntry
from shared.domain.folders import Folder, TreeFolder
from shared.domain.ids import MailboxId
from shared.domain.ledger import TodoKind
from shared.domain.operations import QuarantinedItem
from shared.domain.records import RecordRef
from tests.builders import MONDAY, a_message
from tests.functions.api.found_mail import ACTIVITY, JUDGED, NOWHERE, stores_have_email, stores_have_quarantined_item
from tests.unit.admin.command_line import Deployment
from tests.unit.administration.emails import MESSAGE_ID

ANNA = "anna@contoso.example"
ITEM_OF_NOBODY = f"{'0' * 32}:{'0' * 32}"


@pytest.fixture
def deployment() -> Deployment:
    made = Deployment()
    made.has_profile()
    made.mailbox_id = made.has_user()
    return made


def has_email(deployment: Deployment) -> str:
    """The path of an email that came through Anna's mailbox."""
    stores_have_email(deployment.stores, deployment.mailbox_id)
    return f"/activities/{ACTIVITY}"


def has_quarantined_item(deployment: Deployment, raw: bytes | None = b"as received\r\n") -> QuarantinedItem:
    return stores_have_quarantined_item(deployment.stores, deployment.mailbox_id, raw=raw)


# ---- messages


def test_a_message_is_tracked_by_the_next_run(deployment: Deployment) -> None:
    has_email(deployment)
    result = deployment.admin("track", ANNA, f"<{MESSAGE_ID}>", "--regarding", "account:contoso")
    deployment.work()

    assert (result.exit_code, result.stdout) == (0, f"<{MESSAGE_ID}>: is being tracked\n")
    [todo] = deployment.stores.ledger.head(MailboxId(deployment.mailbox_id), Workload.INCOMING, deployment.clock()).todos
    assert (todo.kind, todo.regarding) == (TodoKind.TRACK, RecordRef("account", "contoso"))


def test_a_message_that_nobody_saw_is_refused_and_does_not_stop_the_others(deployment: Deployment) -> None:
    has_email(deployment)
    result = deployment.admin("untrack", ANNA, "unknown@example.com", MESSAGE_ID)
    deployment.work()

    assert (result.exit_code, result.stdout) == (1, f"{MESSAGE_ID}: is being left alone\n")
    assert "no message with this Message-ID was seen" in result.stderr
    [item] = deployment.json("explain", ANNA, MESSAGE_ID)["items"]
    assert (item["verdict"], item["reason"]) == (Verdict.SKIPPED.value, Reason.UNTRACKED.value)


def test_mailboxes_are_judged_again_for_days(deployment: Deployment) -> None:
    ben = deployment.has_user("ben")
    deployment.requests.clear()
    result = deployment.admin("judge", ANNA, ben, NOWHERE, "--days", "7")

    assert result.exit_code == 1
    since = (MONDAY + timedelta(seconds=1) - timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert result.stdout == "".join(f"{name}: being judged again from {since} on\n" for name in (ANNA, ben))
    assert "there is no mailbox" in result.stderr


def test_scripts_read_which_messages_were_asked_for(deployment: Deployment) -> None:
    has_email(deployment)
    result = deployment.admin("track", ANNA, MESSAGE_ID, "unknown@example.com", "--json")

    assert result.exit_code == 1
    assert [(each["message"], each["done"]) for each in json.loads(result.stdout)] == [
        (MESSAGE_ID, True),
        ("unknown@example.com", False),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("track", ANNA, MESSAGE_ID, "--regarding", "contoso"),
        ("judge", ANNA),
        ("judge", ANNA, "--days", "0"),
        ("emails", "list"),
        ("emails", "list", "--queue", "sales", "--party", "contact:kim"),
        ("emails", "regarding", ACTIVITY),
        ("emails", "regarding", ACTIVITY, "--to", "account:contoso", "--clear"),
        ("emails", "reassign", ACTIVITY, "--to", "team:contoso"),
        ("emails", "delete", ACTIVITY, "--json"),
        ("quarantine", "replay", ANNA),
        ("quarantine", "replay", ANNA, ITEM_OF_NOBODY, "--all"),
        ("quarantine", "discard", ANNA, ITEM_OF_NOBODY),
        ("preview", ANNA, "--last", "201"),
        ("preview", ANNA, "--setting", "track_sent_items"),
        ("preview", ANNA, "--unexclude", "newsletter.example"),
        ("preview", ANNA, "--rule", "no such folder"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage_and_nothing_is_changed(deployment: Deployment, arguments: tuple[str, ...]) -> None:
    deployment.writes()
    assert deployment.admin(*arguments).exit_code == 2
    assert deployment.writes() == []


def test_explain_tells_who_voted_how_and_what_was_tried(deployment: Deployment) -> None:
    stores_have_email(deployment.stores, deployment.mailbox_id, JUDGED)
    [item] = deployment.json("explain", ANNA, MESSAGE_ID)["items"]
    told = deployment.admin("explain", ANNA, MESSAGE_ID).stdout

    assert [sentence for sentence in (*item["votes"], *item["correlation"]) if f"  - {sentence}" not in told] == []
    assert told.count(item["words"]) == 2, "once as the summary, once with time and folder"


# ---- emails


@pytest.mark.parametrize(
    ("option", "row"),
    [
        (("--mailbox", ANNA), None),
        (("--queue", "sales"), (ListOf.QUEUE, "sales")),
        (("--party", "contact:kim"), (ListOf.PARTY, "contact:kim")),
    ],
)
def test_emails_are_listed(deployment: Deployment, option: tuple[str, str], row: tuple[ListOf, str] | None) -> None:
    has_email(deployment)
    deployment.put("/queues/sales", {"name": "Sales", "address": "sales@contoso.example"})
    if row is not None:
        deployment.stores.timeline.put([TimelineEntry(*row, ACTIVITY, MONDAY, "Offer", "carol@fabrikam.example")])

    assert ACTIVITY in deployment.admin("emails", "list", *option).stdout
    assert [each["activity_id"] for each in deployment.json("emails", "list", *option, "--limit", "1")] == [ACTIVITY]


def test_an_empty_list_of_emails_says_so(deployment: Deployment) -> None:
    assert deployment.admin("emails", "list", "--party", "contact:kim").stdout == "There are no emails.\n"
    assert deployment.admin("emails", "list", "--queue", "nobody").exit_code == 1


def test_what_an_email_is_about_is_set_and_cleared(deployment: Deployment) -> None:
    path = has_email(deployment)
    assert deployment.admin("emails", "regarding", ACTIVITY, "--to", "account:contoso").exit_code == 0
    assert deployment.shown(path)["regarding"] == {"type": "account", "id": "contoso"}
    assert [each["activity_id"] for each in deployment.json("emails", "list", "--regarding", "account:contoso")] == [ACTIVITY]

    assert deployment.admin("emails", "regarding", ACTIVITY, "--clear").stdout == f"{ACTIVITY}: about nothing\n"
    assert deployment.shown(path)["regarding"] is None


def test_emails_are_reassigned_and_completed(deployment: Deployment) -> None:
    path = has_email(deployment)
    deployment.put("/queues/sales", {"name": "Sales", "address": "sales@contoso.example"})

    assert deployment.admin("emails", "reassign", ACTIVITY, "--to", "queue:sales").exit_code == 0
    assert deployment.shown(path)["owner"] == {"kind": "queue", "id": "sales"}
    assert deployment.admin("emails", "reassign", ACTIVITY, "--to", "user:nobody").exit_code == 1
    assert deployment.admin("emails", "complete", ACTIVITY, NOWHERE).exit_code == 1
    assert deployment.shown(path)["status"] == "completed"


def test_an_email_is_deleted_only_when_somebody_says_so(deployment: Deployment) -> None:
    path = has_email(deployment)

    assert deployment.admin("emails", "delete", ACTIVITY, answer="n\n").exit_code == 1
    assert deployment.shown(path)["id"] == ACTIVITY
    assert deployment.admin("emails", "delete", ACTIVITY, answer="y\n").exit_code == 0
    assert deployment.shown(path)["code"] == "record_not_found"
    assert deployment.admin("emails", "delete", ACTIVITY, "--yes").exit_code == 0


def test_a_conversation_is_opted_out_and_in_again(deployment: Deployment) -> None:
    has_email(deployment)

    assert deployment.admin("emails", "opt-out", ACTIVITY).exit_code == 0
    assert "its conversation is not tracked" in deployment.admin("explain", ANNA, MESSAGE_ID).stdout
    assert deployment.admin("emails", "opt-in", ACTIVITY).exit_code == 0
    assert "its conversation is not tracked" not in deployment.admin("explain", ANNA, MESSAGE_ID).stdout


# ---- quarantine


def test_a_quarantined_item_is_shown_with_what_failed(deployment: Deployment) -> None:
    item = has_quarantined_item(deployment)

    assert item.id in deployment.admin("quarantine", "list", ANNA).stdout
    assert "it has no body" in deployment.admin("quarantine", "show", ANNA, item.id).stdout
    assert deployment.json("quarantine", "show", ANNA, item.id)["version"] == "0.1.0"
    assert deployment.admin("quarantine", "show", ANNA, ITEM_OF_NOBODY).exit_code == 1


def test_the_raw_form_is_written_as_it_was_received(deployment: Deployment, tmp_path: Path) -> None:
    item = has_quarantined_item(deployment)
    file = tmp_path / "message.eml"

    assert deployment.admin("quarantine", "raw", ANNA, item.id).stdout_bytes == b"as received\r\n"
    assert deployment.admin("quarantine", "raw", ANNA, item.id, file).exit_code == 0
    assert file.read_bytes() == b"as received\r\n"
    assert deployment.admin("quarantine", "raw", ANNA, item.id, file).exit_code == 2


def test_a_raw_form_that_was_not_kept_leaves_no_file(deployment: Deployment, tmp_path: Path) -> None:
    item = has_quarantined_item(deployment, raw=None)
    result = deployment.admin("quarantine", "raw", ANNA, item.id, tmp_path / "message.eml")

    assert result.exit_code == 1
    assert "could not be read" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_quarantined_items_are_tried_again_one_or_all(deployment: Deployment) -> None:
    item = has_quarantined_item(deployment)
    deployment.writes()

    assert deployment.admin("quarantine", "replay", ANNA, item.id).exit_code == 0
    assert deployment.admin("quarantine", "replay", ANNA, "--all").stdout == "all: is being tried again\n"
    mailbox = f"/api/mailboxes/{deployment.mailbox_id}"
    assert deployment.writes() == [f"POST {mailbox}/quarantine/{item.id}/replay", f"POST {mailbox}/replay"]


def test_a_quarantined_item_is_given_up_with_a_reason(deployment: Deployment) -> None:
    item = has_quarantined_item(deployment)

    assert deployment.admin("quarantine", "discard", ANNA, item.id, "--reason", "Advertising.").exit_code == 0
    assert deployment.admin("quarantine", "discard", ANNA, item.id, "--reason", "  ").exit_code == 1


# ---- dry runs


def test_a_preview_shows_what_would_change_and_ends_with_4(deployment: Deployment) -> None:
    deployment.mail.deliver(a_message("Offer"))
    same = deployment.admin("preview", ANNA, "--exclude", "nobody.example")
    other = deployment.admin("preview", ANNA, "--filter", "all")

    assert (same.exit_code, "Nothing would change." in same.stdout) == (0, True), same.output
    assert (other.exit_code, "Offer" in other.stdout) == (4, True), other.output
    assert "1 messages: 0 are tracked, 1 would be; 1 newly, 0 no longer." in other.stdout


def test_a_preview_tries_settings_and_the_exclude_list_beside_what_is_on_it(deployment: Deployment) -> None:
    deployment.put("/users/anna", {"name": "Anna", "address": ANNA, "filtering_method": "all"})
    assert deployment.client.patch("/api/settings", json={"exclude": ["spam.example"]}).is_success
    deployment.mail.deliver(a_message("Offer"))
    deployment.mail.deliver(a_message("Spam", sender="a@spam.example"))

    def told(*arguments: str) -> list[bool]:
        found = json.loads(deployment.admin("preview", ANNA, *arguments, "--json").stdout)
        return [each["after"]["verdict"] == "promoted" for each in sorted(found["messages"], key=lambda each: each["subject"])]

    assert told() == [True, False]
    assert told("--exclude", "fabrikam.example") == [False, False]
    assert told("--unexclude", "SPAM.example") == [True, True]
    assert told("--setting", "exclude=[]") == [True, True]


def test_a_preview_tries_rules_by_the_names_of_folders(deployment: Deployment) -> None:
    deployment.mail.folders_below = [TreeFolder("f1", "Contoso"), TreeFolder("f2", "Old", "f1")]
    deployment.mail.deliver(a_message("Offer"), Folder("f1", "Contoso"))
    deployment.mail.deliver(a_message("Older"), Folder("f2", "Old"))

    def told(*arguments: str) -> tuple[int, int]:
        found = json.loads(deployment.admin("preview", ANNA, *arguments, "--json").stdout)
        return found["tracked_before"], found["tracked_after"]

    assert told("--rule", "contoso") == (0, 1)
    assert told("--rule", "f1", "--with-subfolders") == (0, 2)
    deployment.put(f"/mailboxes/{deployment.mailbox_id}/rules/f1", {"folder_name": "Contoso"})
    assert told("--without-rule", "Contoso") == (1, 0)


def test_a_preview_of_a_queue_tries_rules_that_are_meant_for_it(deployment: Deployment) -> None:
    deployment.mail.folders_below = [TreeFolder("f1", "Contoso")]
    queue = deployment.put("/queues/support", {"name": "Support", "address": "support@contoso.example"})["mailbox_id"]
    assert deployment.client.patch(f"/api/mailboxes/{queue}", json={"profile_id": "contoso"}).is_success
    assert deployment.client.post(f"/api/mailboxes/{queue}/approve").is_success
    rule = ("preview", queue, "--rule", "f1")
    without, meant = deployment.admin(*rule), deployment.admin(*rule, "--for-queue")

    assert (without.exit_code, "for_queue" in without.stderr) == (1, True)
    assert meant.exit_code == 0, meant.stderr


def test_a_preview_writes_nothing_and_is_refused_with_the_reason(deployment: Deployment) -> None:
    ben = deployment.has_user("ben", approved=False)
    result = deployment.admin("preview", ben)
    wrong = deployment.admin("preview", ANNA, "--filter", "everything")

    assert (result.exit_code, wrong.exit_code) == (1, 1)
    assert "Approve the email address" in result.stderr
    assert "#/changes/filtering_method" in wrong.stderr


def test_folders_are_listed_by_their_path_with_their_rules(deployment: Deployment) -> None:
    deployment.mail.folders_below = [TreeFolder("f2", "Old", "f1"), TreeFolder("f1", "Contoso")]
    rule = {"folder_name": "Contoso", "regarding": {"type": "account", "id": "a-1"}}
    deployment.put(f"/mailboxes/{deployment.mailbox_id}/rules/f1", rule)
    table = deployment.admin("folders", ANNA).stdout

    assert table.index("Contoso") < table.index("Contoso/Old")
    assert "account:a-1" in table
    deployment.mail.folders_below = []
    assert len(deployment.json("folders", ANNA)) == 2
    assert deployment.json("folders", ANNA, "--anew") == []
