"""The administrator's command line as its own process, against the running host."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from local.demo.machine import Machine
from local.demo.organisation import SERVICE_ACCOUNT, SERVICE_PASSWORD, profile
from local.mailserver.remote import MailServerControl

ROOT = Path(__file__).parents[2]
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
ADDRESS = "anna@contoso.example"
NO_RUNS = {"AzureWebJobs.enumerate_mailboxes.Disabled": "true"}
"""A run between two commands would find the wrong password first, and stop what the second one tests."""


@pytest.mark.slow
def test_an_organisation_is_administered_from_the_command_line(tmp_path: Path) -> None:
    with Machine(tmp_path, NO_RUNS) as machine, MailServerControl(machine.control_url) as control:
        control.add_account(SERVICE_ACCOUNT, SERVICE_PASSWORD, impersonation=True)
        control.add_mailbox(ADDRESS)
        policy, records = _policy(tmp_path, machine.ews_url), _records(tmp_path)

        def admin(*arguments: str | Path, password: str = SERVICE_PASSWORD) -> tuple[int, str]:
            variables = {"SIDESYNC_URL": machine.base_url, "SIDESYNC_KEY": machine.key, "SERVICE_PASSWORD": password}
            command = [sys.executable, "-m", "admin", *map(str, arguments)]
            done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, timeout=120)  # noqa: S603
            return done.returncode, done.stdout

        assert admin("policy", "apply", policy)[0] == 0
        assert admin("policy", "diff", policy)[0] == 0
        assert "1 unchanged" in admin("policy", "apply", policy)[1]
        assert admin("approve", ADDRESS)[0] == 0
        code, told = admin("test", ADDRESS)
        assert (code, "success" in told) == (0, True), told

        assert "1 changed" in admin("policy", "apply", policy, password="wrong")[1]
        code, told = admin("test", ADDRESS, "--json")
        assert (code, json.loads(told)[0]["status"]) == (1, "failure")
        assert "password" in json.loads(told)[0]["remedy"]

        code, told = admin("load", records)
        assert (code, "300 loaded, 1 rejected" in told) == (1, True)
        rules = json.loads(admin("policy", "export", "--json")[1])["users"]["anna"]["mailbox"]["tracking_rules"]
        assert [rule["folder_id"] for rule in rules] == ["AAMk/b+c="]


def _policy(folder: Path, ews_url: str) -> Path:
    server = profile(ews_url, LONG_AGO)
    credentials = server["credentials"]
    assert isinstance(credentials, dict)
    credentials["secret"] = {"env": "SERVICE_PASSWORD"}
    rule = {"folder_id": "AAMk/b+c=", "folder_name": "Contoso"}
    anna = {"name": "Anna Berg", "address": ADDRESS, "mailbox": {"tracking_rules": [rule]}}
    path = folder / "policy.yaml"
    content = {"settings": {"default_profile_id": "contoso"}, "profiles": {"contoso": server}, "users": {"anna": anna}}
    path.write_text(yaml.safe_dump(content))
    return path


def _records(folder: Path) -> Path:
    contacts = (
        {"type": "contact", "id": f"c{number}", "name": "Kim", "addresses": [f"kim{number}@fabrikam.example"]}
        for number in range(300)
    )
    path = folder / "records.jsonl"
    path.write_text("".join(f"{json.dumps(contact)}\n" for contact in contacts) + "{\n")
    return path
