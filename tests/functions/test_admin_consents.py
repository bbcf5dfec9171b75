"""Consents of mailbox owners on the administrator's command line, over the real API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import typer

from admin.commands import app
from admin.failures import ExitCode
from tests.unit.admin.command_line import Deployment

GUIDE = Path(__file__).parents[2] / "docs" / "administration.md"
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def deployment() -> Deployment:
    made = Deployment()
    made.has_profile()
    return made


def has_mailbox_to_consent_to(deployment: Deployment) -> str:
    profile = {
        "name": "Gmail",
        "server_type": "imap_smtp",
        "incoming_location": "imap.gmail.com",
        "authentication": "oauth",
        "oauth_provider": "google",
        "credential_source": "mailbox",
        "credentials": {"client_id": "app", "secret": "the client secret"},
    }
    deployment.put("/profiles/gmail", profile)
    mailbox_id = deployment.has_user()
    assert deployment.client.patch(f"/api/mailboxes/{mailbox_id}", json={"profile_id": "gmail"}).is_success
    return mailbox_id


def test_the_link_for_the_owner_stands_alone_on_standard_output(deployment: Deployment) -> None:
    has_mailbox_to_consent_to(deployment)
    result = deployment.admin("consent", "ask", "anna@contoso.example")

    assert result.exit_code == 0, result.output
    (link,) = result.stdout.splitlines()
    assert link.startswith("https://accounts.google.com/o/oauth2/v2/auth?client_id=app&")
    assert "https://sidesync.contoso.example/api/consent" in result.stderr
    assert deployment.json("consent", "ask", "anna@contoso.example")["authorization_url"] != link


def test_what_stands_of_a_consent_is_shown_and_it_is_withdrawn(deployment: Deployment) -> None:
    has_mailbox_to_consent_to(deployment)

    assert deployment.json("consent", "show", "anna@contoso.example")["status"] == "missing"
    assert "missing" in deployment.admin("consent", "show", "anna@contoso.example").stdout
    assert deployment.admin("consent", "withdraw", "anna@contoso.example").exit_code == 0


def test_a_mailbox_that_needs_no_consent_is_refused_with_what_to_change(deployment: Deployment) -> None:
    deployment.has_user()
    result = deployment.admin("consent", "ask", "anna@contoso.example")

    assert result.exit_code == 1
    assert "oauth_provider" in result.stderr


def test_every_command_and_option_is_documented() -> None:
    guide = GUIDE.read_text()
    missing = [told for told in _told() if f"`{told}" not in guide]

    assert missing == []


def test_every_exit_code_is_documented() -> None:
    guide = GUIDE.read_text()

    assert [code for code in ExitCode if f"| {code.value} |" not in guide] == []


def _told() -> Iterator[str]:
    """Commands by their whole name, and their options."""
    root = cast(Any, typer.main.get_command(app))
    waiting = [("", root)]
    while waiting:
        name, command = waiting.pop()
        if name and not (getattr(command, "commands", None) and command.no_args_is_help):
            yield name
        yield from (
            option
            for parameter in command.params
            for option in parameter.opts
            if option.startswith("--") and option not in ("--help", "--json")
        )
        for each, inner in getattr(command, "commands", {}).items():
            waiting.append((f"{name} {each}".strip(), inner))
