"""Policies: exported, compared, applied over the real API."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.admin.command_line import Deployment

type Written = Callable[..., Path]
"""A policy as a file."""

POLICY: dict[str, Any] = {
    "settings": {
        "default_profile_id": "contoso",
        "exclude": ["spam.example"],
        "keep_runs": "P14D",
        "filter_ceiling": None,
        "token_in_subject": True,
        "do_not_email": "leave_out",
    },
    "profiles": {
        "contoso": {
            "name": "Contoso Exchange",
            "server_type": 0,
            "incoming_location": "https://mail.contoso.example/EWS/Exchange.asmx",
            "authentication": "basic",
            "credential_source": "profile",
            "credentials": {"username": "contoso\\sync", "secret": {"env": "CONTOSO_PASSWORD"}},
            "timeout": "PT1M",
            "emails_per_minute": 30,
            "save_sent_items": False,
            "process_emails_received_after": "2026-01-31T02:00:00+02:00",
        }
    },
    "users": {
        "anna": {
            "name": "Anna Berg",
            "address": "anna@contoso.example",
            "send_as_allowed": True,
            "mailbox": {
                "outgoing_method": "server_side",
                "process_email_received_after": "2026-02-01T00:00:00Z",
                "tracking_rules": [
                    {"folder_id": "AAMk/1+=", "folder_name": "Contoso", "regarding": {"type": "account", "id": "a1"}}
                ],
            },
        },
    },
    "queues": {"support": {"name": "Support", "address": "support@contoso.example", "filtering_method": "all"}},
    "forward_mailboxes": {
        "11111111-2222-4333-8444-555555555555": {
            "name": "Central",
            "address": "central@contoso.example",
            "profile_id": "contoso",
        }
    },
}
SECRET = {"CONTOSO_PASSWORD": "correct horse"}


@pytest.fixture
def write(tmp_path: Path) -> Written:
    def written(content: Any = POLICY) -> Path:
        path = tmp_path / "policy.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return path

    return written


@pytest.fixture
def changed(write: Written) -> Written:
    """The policy with another value at one place."""

    def written(value: Any, *place: str) -> Path:
        content = json.loads(json.dumps(POLICY))
        inner = content
        for name in place[:-1]:
            inner = inner[name]
        inner[place[-1]] = value
        return write(content)

    return written


def test_a_policy_creates_everything_in_an_order_that_works(deployment: Deployment, write: Written) -> None:
    result = deployment.admin("policy", "apply", write(), **SECRET)

    assert result.exit_code == 0, result.output
    assert deployment.shown("/settings")["default_profile_id"] == "contoso"
    assert deployment.shown("/profiles/contoso")["credentials"]["secret_is_set"] is True
    assert deployment.shown("/profiles/contoso")["timeout"] == 60
    mailbox_id = deployment.shown("/users/anna")["mailbox_id"]
    assert deployment.shown(f"/mailboxes/{mailbox_id}")["process_email_received_after"] == "2026-02-01T00:00:00Z"
    [rule] = deployment.shown(f"/mailboxes/{mailbox_id}/rules")["items"]
    assert (rule["folder_id"], rule["regarding"]) == ("AAMk/1+=", {"type": "account", "id": "a1"})
    assert deployment.shown("/queues/support")["filtering_method"] == "all"
    assert deployment.shown("/mailboxes/11111111-2222-4333-8444-555555555555")["owner"] is None


def test_the_plan_is_printed_before_anything_is_written(deployment: Deployment, write: Written) -> None:
    result = deployment.admin("policy", "apply", write(), **SECRET)

    plan, sum_ = result.stdout.index("tracking rule AAMk/1+= of mailbox of user anna"), result.stdout.index("created")
    assert "from the variable CONTOSO_PASSWORD" in result.stdout
    assert plan < sum_


def test_applying_twice_changes_nothing(deployment: Deployment, write: Written) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    paths = ["/settings", "/profiles/contoso", "/users/anna", "/queues/support"]
    etags, audit = [deployment.etag(path) for path in paths], deployment.shown("/audit?limit=500")

    again = deployment.admin("policy", "apply", write(), **SECRET)

    assert again.exit_code == 0, again.output
    assert [deployment.etag(path) for path in paths] == etags
    assert deployment.shown("/audit?limit=500") == audit
    assert "1 unchanged" in again.stdout


def test_only_secrets_are_sent_the_second_time_for_the_server_to_compare(deployment: Deployment, write: Written) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    deployment.writes()
    deployment.admin("policy", "apply", write(), **SECRET)

    assert deployment.writes() == ["PATCH /api/profiles/contoso"]


def test_a_rotated_secret_is_written(deployment: Deployment, write: Written) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    before = deployment.etag("/profiles/contoso")
    result = deployment.admin("policy", "apply", write(), CONTOSO_PASSWORD="battery staple")

    assert "1 changed" in result.stdout
    assert deployment.etag("/profiles/contoso") != before


def test_what_was_exported_differs_in_nothing(deployment: Deployment, write: Written, tmp_path: Path) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    exported = tmp_path / "exported.yaml"
    assert deployment.admin("policy", "export", exported).exit_code == 0
    result = deployment.admin("policy", "diff", exported, "--prune")

    assert result.exit_code == 0, result.output
    assert "Nothing to do" in result.stdout
    content = yaml.safe_load(exported.read_text())
    assert content["users"]["anna"]["mailbox"]["tracking_rules"][0]["folder_name"] == "Contoso"
    assert "address" not in content["users"]["anna"]["mailbox"]


def test_secrets_are_never_exported(deployment: Deployment, write: Written) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    exported = deployment.admin("policy", "export").stdout

    assert "correct horse" not in exported
    assert "secret" not in yaml.safe_load(exported)["profiles"]["contoso"]["credentials"]
    assert deployment.json("policy", "export") == yaml.safe_load(exported)


def test_an_exported_policy_rebuilds_another_deployment(deployment: Deployment, write: Written) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    content = deployment.json("policy", "export")
    content["profiles"]["contoso"]["credentials"]["secret"] = {"env": "CONTOSO_PASSWORD"}
    other = Deployment()

    assert other.admin("policy", "apply", write(content), **SECRET).exit_code == 0
    assert other.admin("policy", "diff", write(content)).exit_code == 0


def test_differences_are_shown_field_by_field_and_end_with_4(deployment: Deployment, write: Written, changed: Written) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    result = deployment.admin("policy", "diff", changed(30, "profiles", "contoso", "timeout"), "--json")

    assert result.exit_code == 4
    [difference] = json.loads(result.stdout)
    assert difference == {
        "action": "change",
        "record": "profile contoso",
        "differences": [{"field": "timeout", "old": 60.0, "new": 30.0}],
    }
    assert "timeout" in deployment.admin("policy", "diff", changed(30, "profiles", "contoso", "timeout")).stdout


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("exchange_server", ("profiles", "contoso", "server_type")),
        ("PT60S", ("profiles", "contoso", "timeout")),
        (60, ("profiles", "contoso", "timeout")),
        ("2026-01-31T00:00:00Z", ("profiles", "contoso", "process_emails_received_after")),
        (None, ("profiles", "contoso", "incoming_port")),
        (None, ("profiles", "contoso", "max_connections")),
        (1209600, ("settings", "keep_runs")),
    ],
)
def test_the_same_value_in_another_spelling_is_no_difference(
    deployment: Deployment, write: Written, changed: Written, value: Any, place: tuple[str, ...]
) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)

    assert deployment.admin("policy", "diff", changed(value, *place)).exit_code == 0


def test_what_the_file_leaves_out_is_left_alone(deployment: Deployment, write: Written) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    result = deployment.admin("policy", "apply", write({"users": {"anna": {"name": "Anna Lund"}}}))

    assert result.exit_code == 0, result.output
    shown = deployment.shown("/users/anna")
    assert (shown["name"], shown["address"]) == ("Anna Lund", "anna@contoso.example")
    assert deployment.shown("/queues/support")["name"] == "Support"


def test_a_refused_record_stops_only_what_stands_on_it(deployment: Deployment, changed: Written) -> None:
    result = deployment.admin("policy", "apply", changed("no address", "users", "anna", "address"), **SECRET)

    assert result.exit_code == 1
    assert "user anna: refused" in result.stderr
    assert "#/address" in result.stderr
    assert "mailbox of user anna: left out" in result.stderr
    assert deployment.shown("/queues/support")["name"] == "Support"
    assert deployment.client.get("/api/users/anna").status_code == 404


def test_the_refusals_are_told_to_scripts(deployment: Deployment, changed: Written) -> None:
    result = deployment.admin("policy", "apply", changed("no address", "users", "anna", "address"), "--json", **SECRET)

    told = {each["record"]: each for each in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert told["user anna"]["error"]["errors"][0]["pointer"] == "#/address"
    assert told["queue support"]["result"] == "created"


def test_a_forward_mailbox_keeps_what_the_file_leaves_out(deployment: Deployment, write: Written) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    id_ = next(iter(POLICY["forward_mailboxes"]))
    result = deployment.admin("policy", "apply", write({"forward_mailboxes": {id_: {"process_and_delete": True}}}))

    assert result.exit_code == 0, result.output
    shown = deployment.shown(f"/mailboxes/{id_}")
    assert (shown["process_and_delete"], shown["name"], shown["profile_id"]) == (True, "Central", "contoso")


def test_an_address_that_changes_takes_its_mailbox_along_and_stays(
    deployment: Deployment, write: Written, changed: Written
) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    policy = changed("anna.lund@contoso.example", "users", "anna", "address")
    first, second = (deployment.admin("policy", "apply", policy, **SECRET) for _ in range(2))

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "1 changed" in first.stdout
    assert "changed" not in second.stdout.replace("unchanged", "")
    mailbox_id = deployment.shown("/users/anna")["mailbox_id"]
    assert deployment.shown(f"/mailboxes/{mailbox_id}")["address"] == "anna.lund@contoso.example"


def test_a_new_secret_alone_keeps_the_user_name_of_a_forward_mailbox(deployment: Deployment, write: Written) -> None:
    id_ = next(iter(POLICY["forward_mailboxes"]))
    credentials = {"username": "central", "secret": {"env": "CENTRAL"}}
    whole = POLICY["forward_mailboxes"][id_] | {"credentials": credentials, "profile_id": None}
    first = deployment.admin("policy", "apply", write({"forward_mailboxes": {id_: whole}}), CENTRAL="correct horse")
    only_secret = {"forward_mailboxes": {id_: {"credentials": {"secret": {"env": "CENTRAL"}}}}}
    second = deployment.admin("policy", "apply", write(only_secret), CENTRAL="battery staple")
    third = deployment.admin("policy", "apply", write(only_secret), CENTRAL="battery staple")

    assert (first.exit_code, second.exit_code, third.exit_code) == (0, 0, 0), first.output
    assert "1 changed" in second.stdout
    assert "1 unchanged" in third.stdout
    shown = deployment.shown(f"/mailboxes/{id_}")["credentials"]
    assert (shown["username"], shown["secret_is_set"]) == ("central", True)


# ---- what is deleted


WITHOUT_QUEUE: dict[str, Any] = {"queues": {}}


def test_nothing_is_deleted_unless_asked_for(deployment: Deployment, write: Written) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    result = deployment.admin("policy", "apply", write(WITHOUT_QUEUE))

    assert result.exit_code == 0
    assert "left alone: queue support" in result.stderr
    assert deployment.shown("/queues/support")["name"] == "Support"


@pytest.mark.parametrize(("answer", "code", "status"), [("n\n", 1, 200), ("", 1, 200), ("y\n", 0, 404)])
def test_pruning_asks_first(deployment: Deployment, write: Written, answer: str, code: int, status: int) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    result = deployment.admin("policy", "apply", write(WITHOUT_QUEUE), "--prune", answer=answer)

    assert result.exit_code == code, result.output
    assert deployment.client.get("/api/queues/support").status_code == status


def test_pruning_with_yes_deletes_only_from_lists_that_the_file_has(deployment: Deployment, write: Written) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    anna: dict[str, Any] = {"users": {"anna": {"mailbox": {"tracking_rules": []}}}}
    result = deployment.admin("policy", "apply", write(WITHOUT_QUEUE | anna), "--prune", "--yes")

    assert result.exit_code == 0, result.output
    mailbox_id = deployment.shown("/users/anna")["mailbox_id"]
    assert deployment.client.get("/api/queues/support").status_code == 404
    assert deployment.shown(f"/mailboxes/{mailbox_id}/rules")["items"] == []
    assert deployment.shown("/profiles/contoso")["name"] == "Contoso Exchange"


def test_a_profile_in_use_is_not_pruned_and_the_rest_is(deployment: Deployment, write: Written) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    result = deployment.admin("policy", "apply", write({"queues": {}, "profiles": {}}), "--prune", "--yes")

    assert result.exit_code == 1
    assert "profile contoso: refused" in result.stderr
    assert deployment.client.get("/api/queues/support").status_code == 404


def test_a_script_has_to_say_yes(deployment: Deployment, write: Written) -> None:
    deployment.admin("policy", "apply", write(), **SECRET)
    result = deployment.admin("policy", "apply", write(WITHOUT_QUEUE), "--prune", "--json")

    assert result.exit_code == 2
    assert "--yes" in result.stderr


# ---- files that are not right: nothing is written


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("settings: [", "is no YAML"),
        ("- a", "the file is no mapping"),
        ({"user": {}}, "there is no such section"),
        ({"users": []}, "users is no mapping"),
        ({"users": {"anna": {"adress": "a@b.example"}}}, "user anna/adress: there is no such field"),
        ({"users": {"anna": {"mailbox": {"address": "a@b.example"}}}}, "has the address of its owner"),
        ({"users": {"anna": {"mailbox": {"tracking_rules": [{"folder_name": "x"}]}}}}, "names no folder"),
        ({"users": {"anna": {"mailbox": {"tracking_rules": {}}}}}, "is no list"),
        ({"profiles": {"p": {"credentials": {"secret": "correct horse"}}}}, "is no reference to a secret"),
        ({"profiles": {"p": {"credentials": {"secret": {"env": "NOT_THERE"}}}}}, "NOT_THERE is not set"),
        ({"profiles": {"p": {"credentials": {"secret": {"file": "not there"}}}}}, "cannot be read"),
        ("users:\n  no: {name: Norbert Olsen}\n", "Put the name in quotes"),
        ("users:\n  anna: {name: A}\n  anna: {name: B}\n", "stands there twice"),
    ],
)
def test_a_file_that_is_not_right_changes_nothing(deployment: Deployment, write: Written, content: Any, told: str) -> None:
    result = deployment.admin("policy", "apply", write(content))

    assert result.exit_code == 2, result.output
    assert told in result.stderr.replace("\n", " ")
    assert "correct horse" not in result.output
    assert deployment.writes() == []


def test_a_missing_file_is_wrong_usage(deployment: Deployment, tmp_path: Path) -> None:
    assert deployment.admin("policy", "diff", tmp_path / "none.yaml").exit_code == 2


def test_a_secret_comes_from_a_file_beside_the_policy(deployment: Deployment, changed: Written, tmp_path: Path) -> None:
    (tmp_path / "password.txt").write_text("correct horse\n")
    policy = changed({"username": "contoso\\sync", "secret": {"file": "password.txt"}}, "profiles", "contoso", "credentials")
    result = deployment.admin("policy", "apply", policy)

    assert result.exit_code == 0, result.output
    assert "nothing" not in deployment.admin("policy", "apply", policy, CONTOSO_PASSWORD="").stderr
    assert deployment.admin("policy", "apply", policy).stdout.count("unchanged") == 1
