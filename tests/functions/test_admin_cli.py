"""The administrator's command line over the real API: what each command does, shows and ends with."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from admin.commands import app
from shared.domain import words
from shared.domain.choices import AlertLevel, Workload
from shared.domain.eligibility import Ineligible
from shared.domain.email import ItemRef
from shared.domain.errors import AuthenticationFailed, MailboxNotFound
from shared.domain.ids import MailboxId, RunId
from shared.domain.ledger import ItemKey
from shared.domain.operations import Alert, QuarantinedItem, Run, RunOutcome
from tests.builders import MONDAY
from tests.unit.admin.command_line import Deployment

GUIDE = Path(__file__).parents[2] / "docs" / "administration.md"
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def deployment() -> Deployment:
    made = Deployment()
    made.has_profile()
    return made


def raises(deployment: Deployment, error: Exception) -> None:
    """What the mail server does from now on."""

    def answer() -> None:
        raise error

    deployment.answer = answer


# ---- test & enable


def test_a_test_waits_for_the_outcome_and_ends_with_0_when_it_works(deployment: Deployment) -> None:
    deployment.has_user()
    result = deployment.admin("test", "anna@contoso.example")

    assert result.exit_code == 0, result.output
    assert "success" in result.stdout
    assert deployment.waited > 0


def test_a_failed_test_says_what_to_change_and_ends_with_1(deployment: Deployment) -> None:
    deployment.has_user()
    raises(deployment, MailboxNotFound("no mailbox has that address"))
    result = deployment.admin("test", "anna@contoso.example", "--json")

    [outcome] = json.loads(result.stdout)
    assert result.exit_code == 1
    assert outcome["status"] == "failure"
    assert "no mailbox has that address" in outcome["cause"]
    assert outcome["remedy"] == MailboxNotFound.remedy


def test_what_fails_for_sending_is_told_apart_from_what_fails_for_reading(deployment: Deployment) -> None:
    mailbox_id = deployment.has_user()
    sends = deployment.client.patch(f"/api/mailboxes/{mailbox_id}", json={"outgoing_method": "server_side"})
    assert sends.is_success

    def outcomes() -> dict[str, tuple[str, str]]:
        told = json.loads(deployment.admin("test", "anna@contoso.example", "--json").stdout)
        return {each["workload"]: (each["status"], each["cause"]) for each in told}

    def refuses() -> None:
        raise MailboxNotFound("said to who sends")

    deployment.answer_sending = refuses
    only_sending = outcomes()
    raises(deployment, MailboxNotFound("said to who reads"))
    both = outcomes()

    assert {workload: status for workload, (status, _) in only_sending.items()} == {
        "incoming": "success",
        "outgoing": "failure",
    }
    assert {status for status, _ in both.values()} == {"failure"}
    assert "said to who reads" in both["incoming"][1]
    assert both["outgoing"][1].startswith("Outgoing: ")
    assert "said to who sends" in both["outgoing"][1]


@pytest.mark.parametrize("error", [MailboxNotFound("gone"), AuthenticationFailed("HTTP 401", profile_wide=True)])
def test_the_same_failure_again_is_an_outcome_of_its_own(deployment: Deployment, error: Exception) -> None:
    deployment.has_user()
    raises(deployment, error)
    first, second = (deployment.admin("test", "anna@contoso.example", "--json") for _ in range(2))

    assert (first.exit_code, second.exit_code) == (1, 1)
    for result in (first, second):
        [outcome] = json.loads(result.stdout)
        assert outcome["status"] == "failure"
        assert outcome["remedy"]


def test_a_refused_credential_of_the_profile_is_named(deployment: Deployment) -> None:
    deployment.has_user()
    raises(deployment, AuthenticationFailed("HTTP 401", profile_wide=True))
    result = deployment.admin("test", "anna@contoso.example", "--json")

    assert json.loads(result.stdout)[0]["remedy"] == AuthenticationFailed.remedy


def test_a_credential_that_is_refused_for_sending_is_told_apart_from_that_for_reading(deployment: Deployment) -> None:
    outgoing = {"username": "relay", "secret": "battery staple"}
    own = {"use_same_settings_for_outgoing": False, "outgoing_location": "https://relay.contoso.example/EWS/Exchange.asmx"}
    relay = own | {"outgoing_credential_source": "profile", "outgoing_credentials": outgoing}
    assert deployment.client.patch("/api/profiles/contoso", json=relay).is_success
    for name in ("anna", "ben"):
        mailbox_id = deployment.has_user(name)
        assert deployment.client.patch(f"/api/mailboxes/{mailbox_id}", json={"outgoing_method": "server_side"}).is_success
    raises(deployment, AuthenticationFailed("said to who reads", profile_wide=True))

    def refuses() -> None:
        raise AuthenticationFailed("said to who sends", profile_wide=True)

    deployment.answer_sending = refuses
    first = {each["workload"]: each for each in json.loads(deployment.admin("test", "anna@contoso.example", "--json").stdout)}
    second = json.loads(deployment.admin("test", "ben@contoso.example", "--json").stdout)

    assert "said to who reads" in first["incoming"]["cause"]
    assert first["incoming"]["remedy"] == AuthenticationFailed.remedy
    assert "said to who sends" in first["outgoing"]["cause"]
    assert "outgoing_credentials" in first["outgoing"]["remedy"]
    assert {each["cause"] for each in second} == {words.INELIGIBLE[Ineligible.PROFILE_BREAKER_OPEN]}
    assert {alert["about"] for alert in deployment.json("alerts")} == {"profile:contoso"}


def test_an_unapproved_mailbox_fails_with_the_reason(deployment: Deployment) -> None:
    deployment.has_user(approved=False)
    first, second = (deployment.admin("test", "anna@contoso.example", "--json") for _ in range(2))

    assert (first.exit_code, second.exit_code) == (1, 1)
    assert json.loads(second.stdout)[0]["remedy"] == "Approve the mailbox."


def test_all_mailboxes_of_a_profile_are_tested(deployment: Deployment) -> None:
    deployment.has_user("anna")
    deployment.has_user("ben")
    deployment.has_user("cleo", approved=False)
    result = deployment.admin("test", "--profile", "contoso", "--json")

    statuses = {each["address"]: each["status"] for each in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert statuses == {
        "anna@contoso.example": "success",
        "ben@contoso.example": "success",
        "cleo@contoso.example": "failure",
    }


def test_waiting_ends_when_nothing_comes(deployment: Deployment) -> None:
    deployment.has_user()
    deployment.works = False
    result = deployment.admin("test", "anna@contoso.example", "--timeout", "5")

    assert result.exit_code == 1
    assert "no outcome yet" in result.stdout
    assert deployment.waited <= 6


def test_a_profile_without_mailboxes_has_nothing_to_wait_for(deployment: Deployment) -> None:
    assert deployment.admin("test", "--profile", "contoso").exit_code == 0
    assert deployment.admin("test", "--profile", "unknown").exit_code == 1


@pytest.mark.parametrize("arguments", [("test",), ("test", "anna@contoso.example", "--profile", "contoso")])
def test_a_test_needs_one_target(deployment: Deployment, arguments: tuple[str, ...]) -> None:
    assert deployment.admin(*arguments).exit_code == 2


# ---- what is done to mailboxes


def test_mailboxes_are_switched_off_and_on(deployment: Deployment) -> None:
    mailbox_id = deployment.has_user()

    assert deployment.admin("deactivate", mailbox_id).exit_code == 0
    assert deployment.shown(f"/mailboxes/{mailbox_id}")["active"] is False
    assert deployment.admin("activate", mailbox_id).exit_code == 0
    assert deployment.shown(f"/mailboxes/{mailbox_id}")["active"] is True


def test_sync_makes_a_mailbox_due_now(deployment: Deployment) -> None:
    mailbox_id = deployment.has_user()
    deployment.clock.advance(timedelta(minutes=5))
    result = deployment.admin("sync", mailbox_id)

    assert (result.exit_code, result.stdout) == (0, f"{mailbox_id}: due now\n")
    assert deployment.shown(f"/mailboxes/{mailbox_id}")["workloads"]["incoming"]["due"] == "2026-11-23T08:05:01Z"


@pytest.mark.parametrize(
    ("day", "moment"), [("2026-01-31", "2026-01-31T00:00:00Z"), ("2026-01-31T12:30:00Z", "2026-01-31T12:30:00Z")]
)
def test_a_mailbox_is_read_again_from_a_date_on(deployment: Deployment, day: str, moment: str) -> None:
    mailbox_id = deployment.has_user()
    result = deployment.admin("reset", mailbox_id, "--received-after", day)

    assert result.exit_code == 0, result.output
    assert deployment.shown(f"/mailboxes/{mailbox_id}")["process_email_received_after"] == moment


def test_a_mailbox_that_is_refused_does_not_stop_the_others(deployment: Deployment) -> None:
    mailbox_id = deployment.has_user(approved=False)
    ben = deployment.has_user("ben")
    result = deployment.admin("sync", mailbox_id, "nobody@contoso.example", NOBODY, ben)

    assert result.exit_code == 1
    assert result.stdout == f"{ben}: due now\n"
    assert "there is no mailbox nobody@contoso.example" in result.stderr
    assert f"there is no mailbox {NOBODY}" in result.stderr
    assert "approve" in result.stderr.lower()


def test_scripts_read_what_was_done_to_each(deployment: Deployment) -> None:
    mailbox_id = deployment.has_user()
    result = deployment.admin("approve", mailbox_id, NOBODY, "--json")

    assert result.exit_code == 1
    assert [(each["mailbox"], each["done"]) for each in json.loads(result.stdout)] == [(mailbox_id, True), (NOBODY, False)]


# ---- what is shown


def test_mailboxes_are_listed_with_status_due_and_last_error(deployment: Deployment) -> None:
    deployment.has_user()
    deployment.has_user("ben", approved=False)
    raises(deployment, MailboxNotFound("gone"))
    deployment.admin("test", "anna@contoso.example")
    table = deployment.admin("mailboxes").stdout

    assert "anna@contoso.example" in table
    assert "failure" in table
    assert "mailbox_not_found" in table
    assert "2026-11-23" in table
    assert [each["address"] for each in deployment.json("mailboxes")] != []


def test_an_empty_list_says_so(deployment: Deployment) -> None:
    assert deployment.admin("mailboxes").stdout == "There are no mailboxes.\n"


def test_runs_are_listed_newest_first(deployment: Deployment) -> None:
    mailbox_id = MailboxId(deployment.has_user())
    for number in range(3):
        started = MONDAY + timedelta(hours=number)
        run = Run(RunId(f"r{number}"), mailbox_id, Workload.INCOMING, started, timedelta(seconds=2.5), RunOutcome.COMPLETED, 7)
        deployment.stores.runs.put(run)
    result = deployment.admin("runs", mailbox_id, "--limit", "2")

    assert "2026-11-23 10:00:00" in result.stdout
    assert "2026-11-23 08:00:00" not in result.stdout
    assert "2.5" in result.stdout
    assert [each["id"] for each in deployment.json("runs", "anna@contoso.example")] == ["r2", "r1", "r0"]


def test_what_strangers_wrote_cannot_steer_the_terminal(deployment: Deployment) -> None:
    mailbox_id = MailboxId(deployment.has_user())
    item = QuarantinedItem(
        mailbox_id=mailbox_id,
        key=ItemKey("1" * 32, "2" * 32),
        ref=ItemRef("i1", "inbox"),
        message_id="\x1b[2J[red]@example",
        quarantined_on=MONDAY,
        received=MONDAY,
        error="item_unreadable",
        detail="it has [bold]no[/bold] body",
        attempts=5,
        version="0.1.0",
        raw_blob=None,
    )
    deployment.stores.quarantine.put(item)
    result = deployment.admin("quarantine", "list", mailbox_id)

    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "[red]@example" in result.stdout
    assert "[bold]no[/bold]" in result.stdout
    assert deployment.json("quarantine", "list", mailbox_id)[0]["message_id"] == "\x1b[2J[red]@example"


def test_a_message_without_a_trace_is_explained(deployment: Deployment) -> None:
    mailbox_id = deployment.has_user()
    result = deployment.admin("explain", mailbox_id, "<unknown@example.com>")

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) > 1
    assert deployment.json("explain", mailbox_id, "<unknown@example.com>")["items"] == []


def test_alerts_are_listed_and_acknowledged(deployment: Deployment) -> None:
    alert = Alert("queue:load-records", "poison", AlertLevel.ERROR, "It failed.", "Look at the log.", MONDAY)
    deployment.stores.alerts.put(alert)

    assert "Look at the log." in deployment.admin("alerts").stdout
    assert deployment.json("alerts", "--about", "queue:load-records", "--open")[0]["id"] == alert.id
    assert "acknowledged by function key" in deployment.admin("alerts", "acknowledge", alert.id).stdout
    assert deployment.json("alerts", "--open") == []
    assert deployment.json("alerts")[0]["acknowledged_by"] == "function key"
    assert deployment.admin("alerts", "acknowledge", "0" * len(alert.id)).exit_code == 1


def test_the_audit_shows_who_changed_what(deployment: Deployment) -> None:
    deployment.has_user()
    table = deployment.admin("audit", "--record", "profile:contoso").stdout

    assert "function key" in table
    assert "Contoso Exchange" in table
    assert "correct horse" not in table
    assert {each["record"] for each in deployment.json("audit", "--limit", "500")} > {"profile:contoso", "user:anna"}


# ---- the address book


@contextmanager
def lines(folder: Path, *records: Any) -> Iterator[Path]:
    path = folder / "records.jsonl"
    path.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in records))
    yield path


def a_contact(number: int, **changes: Any) -> dict[str, Any]:
    return {"type": "contact", "id": f"c{number}", "name": "Kim", "addresses": [f"kim{number}@fabrikam.example"]} | changes


def test_a_file_is_loaded_to_the_end(deployment: Deployment, tmp_path: Path) -> None:
    with lines(tmp_path, *(a_contact(number) for number in range(200))) as path:
        result = deployment.admin("load", path)

    assert result.exit_code == 0, result.output
    assert "completed: 200 lines, 200 loaded, 0 rejected" in result.stdout
    assert deployment.shown("/records/contact/c199")["addresses"] == ["kim199@fabrikam.example"]


def test_rejected_lines_are_printed_and_end_with_1(deployment: Deployment, tmp_path: Path) -> None:
    with lines(tmp_path, a_contact(1), "{", a_contact(2, addresses=["nowhere"])) as path:
        result = deployment.admin("load", path)
        told = json.loads(deployment.admin("load", path, "--json").stdout)

    assert result.exit_code == 1
    assert "1 loaded, 2 rejected" in result.stdout
    assert "addresses" in result.stdout
    assert [each["line"] for each in told["rejected_lines"]] == [2, 3]


def test_a_file_that_is_not_there_is_wrong_usage(deployment: Deployment, tmp_path: Path) -> None:
    assert deployment.admin("load", tmp_path / "none.jsonl").exit_code == 2


# ---- connections


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        ("", 2, "no server is named"),
        ("sidesync.contoso.example", 2, "no location"),
        ("http://sidesync.contoso.example", 2, "does not use TLS"),
        ("http://127.0.0.1:1", 3, "does not answer"),
    ],
)
def test_a_server_that_cannot_be_asked(url: str, code: int, told: str) -> None:
    result = CliRunner().invoke(app, ["--url", url, "--key", "k", "mailboxes"], env={"SIDESYNC_URL": "", "SIDESYNC_KEY": ""})

    assert result.exit_code == code
    assert told in result.stderr


def test_the_option_wins_over_the_variable() -> None:
    result = CliRunner().invoke(app, ["--url", "http://a.example", "mailboxes"], env={"SIDESYNC_URL": "https://b.example"})

    assert result.exit_code == 2
    assert "http://a.example" in result.stderr


def test_the_key_is_not_shown_in_help() -> None:
    result = CliRunner().invoke(app, ["--help"], env={"SIDESYNC_KEY": "correct horse"})

    assert result.exit_code == 0
    assert "SIDESYNC_KEY" in result.stdout
    assert "correct horse" not in result.stdout
