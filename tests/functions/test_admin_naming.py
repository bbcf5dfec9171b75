"""How mailboxes and other records are named on the command line."""

import pytest

from tests.unit.admin.command_line import Deployment


@pytest.fixture
def deployment() -> Deployment:
    made = Deployment()
    made.has_profile()
    return made


def test_a_mailbox_is_named_by_address_or_id(deployment: Deployment) -> None:
    mailbox_id = deployment.has_user(approved=False)

    assert deployment.admin("approve", "Anna@Contoso.example").exit_code == 0
    assert deployment.shown(f"/mailboxes/{mailbox_id}")["approval"] == "approved"
    assert deployment.admin("reject", mailbox_id).exit_code == 0
    assert deployment.shown(f"/mailboxes/{mailbox_id}")["approval"] == "rejected"


def test_a_forward_mailbox_is_named_by_the_id_that_was_chosen_for_it(deployment: Deployment) -> None:
    deployment.put("/mailboxes/collected", {"name": "Collected", "address": "collected@contoso.example"})

    assert deployment.admin("approve", "collected").exit_code == 0
    assert deployment.shown("/mailboxes/collected")["approval"] == "approved"
    assert deployment.json("runs", "collected") == deployment.json("quarantine", "list", "collected") == []


def test_an_address_names_the_mailbox_that_is_in_use_and_not_the_one_that_somebody_left(deployment: Deployment) -> None:
    left = deployment.has_user("anna")
    assert deployment.client.delete("/api/users/anna").is_success
    address = {"address": "anna@contoso.example"}
    present = deployment.put("/users/anna-lund", {"name": "Anna Lund"} | address)["mailbox_id"]
    deployment.put("/mailboxes/collected", {"name": "Collected", "address": "ben@contoso.example"})
    deployment.put("/mailboxes/collected-too", {"name": "Collected", "address": "ben@contoso.example"})

    assert deployment.admin("reject", "anna@contoso.example").exit_code == 0
    refused = deployment.admin("reject", "ben@contoso.example")

    assert (deployment.shown(f"/mailboxes/{left}")["approval"], deployment.shown(f"/mailboxes/{present}")["approval"]) == (
        "approved",
        "rejected",
    )
    assert refused.exit_code == 1
    assert "collected, collected-too" in refused.stderr


@pytest.mark.parametrize("typed", ["../mailboxes", "..", "a/b", "x?y=1", "x#y"])
def test_what_is_typed_never_leads_to_another_route(deployment: Deployment, typed: str) -> None:
    deployment.writes()
    commands = [("approve", typed), ("alerts", "acknowledge", typed), ("test", "--profile", typed)]
    results = [deployment.admin(*command) for command in commands]

    assert [result.exit_code for result in results] == [1, 1, 1]
    asked = [request.url.raw_path.decode() for request in deployment.requests if request.method == "POST"]
    ends = ("/approve", "/acknowledge", "/test")
    assert [path.count("/") for path in asked] == [4] * len(ends)
    assert all(path.endswith(end) for path, end in zip(asked, ends, strict=True))
