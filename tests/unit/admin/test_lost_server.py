"""A command that loses the server on the way: what was done, what was not, and that the same again completes it."""

import json
from pathlib import Path

import pytest
import yaml

from tests.unit.admin.command_line import Deployment

USERS = {name: {"name": name.title(), "address": f"{name}@contoso.example"} for name in ("anna", "ben", "cleo", "dora")}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump({"users": USERS}))
    return path


def test_it_says_of_every_record_whether_it_was_written_and_ends_with_3(deployment: Deployment, policy: Path) -> None:
    deployment.lost_after = 2
    result = deployment.admin("policy", "apply", policy, "--json")

    assert result.exit_code == 3
    assert {each["record"]: each["result"] for each in json.loads(result.stdout)} == {
        "user anna": "created",
        "user ben": "created",
        "user cleo": "unknown",
        "user dora": "not tried",
    }
    assert "does not answer" in result.stderr


def test_people_read_it_too(deployment: Deployment, policy: Path) -> None:
    deployment.lost_after = 1
    result = deployment.admin("policy", "apply", policy)

    assert result.exit_code == 3
    assert "1 created, 1 unknown, 2 not tried" in result.stdout
    assert "user ben: unknown" in result.stderr
    assert "Not tried: user cleo, user dora." in result.stderr


def test_nothing_more_is_sent_once_the_server_is_lost(deployment: Deployment, policy: Path) -> None:
    deployment.lost_after = 1
    deployment.admin("policy", "apply", policy)

    assert deployment.writes() == ["PUT /api/users/anna", "PUT /api/users/ben"]


def test_the_same_file_again_completes_it(deployment: Deployment, policy: Path) -> None:
    deployment.lost_after = 2
    deployment.admin("policy", "apply", policy)
    deployment.lost_after = None
    again = deployment.admin("policy", "apply", policy)

    assert (again.exit_code, "2 created" in again.stdout) == (0, True)
    assert deployment.admin("policy", "diff", policy).exit_code == 0


def test_what_was_done_to_mailboxes_before_is_told_too(deployment: Deployment) -> None:
    deployment.has_profile()
    mailboxes = [deployment.has_user(name) for name in ("anna", "ben", "cleo")]
    deployment.writes()
    deployment.lost_after = 1
    result = deployment.admin("reject", *mailboxes, "--json")

    told = json.loads(result.stdout)
    assert result.exit_code == 3
    assert [each["done"] for each in told] == [True, False, False]
    assert "does not answer" in told[1]["error"]
    assert told[2]["error"] == "not tried"
    assert len(deployment.writes()) == 2
