"""Profiles, users and mailboxes over HTTP."""

import json
from datetime import timedelta

import pytest

from shared.domain.choices import Workload
from shared.domain.configuration import Breaker
from shared.domain.ids import ProfileId
from shared.stores.memory import snapshot
from tests.builders import MONDAY
from tests.functions.api.over_memory import PROFILE, Api
from tests.unit.administration.test_profiles import LOCATIONS_REFUSED


def test_a_profile_is_created_then_replaced_by_the_same_request(api: Api) -> None:
    created = api.put("/profiles/contoso", PROFILE)
    again = api.put("/profiles/contoso", PROFILE)

    assert (created.status_code, again.status_code) == (201, 200)
    assert created.headers["ETag"] == again.headers["ETag"]
    assert created.json() == again.json() == api.get("/profiles/contoso").json()
    assert created.json()["credentials"] == {
        "username": "contoso\\sync",
        "secret_is_set": True,
        "secret_set_on": created.json()["credentials"]["secret_set_on"],
        "tenant_id": None,
        "client_id": None,
        "authority": None,
        "certificate_is_set": False,
        "certificate_set_on": None,
    }


def test_a_secret_is_never_shown(api: Api) -> None:
    api.has_profile()
    mailbox_id = api.has_user()
    api.patch(f"/mailboxes/{mailbox_id}", {"credentials": {"username": "anna", "secret": "battery staple"}})

    shown = [api.get(path).text for path in ("/profiles", "/profiles/contoso", "/mailboxes", f"/mailboxes/{mailbox_id}")]

    assert not any(secret in text for text in shown for secret in ("correct horse", "battery staple"))
    assert api.get(f"/mailboxes/{mailbox_id}").json()["credentials"]["secret_is_set"] is True


def test_leaving_the_secret_out_keeps_it_and_null_removes_it(api: Api) -> None:
    api.has_profile()
    kept = api.put("/profiles/contoso", PROFILE | {"name": "Contoso", "credentials": {"username": "contoso\\sync"}})
    removed = api.put("/profiles/contoso", PROFILE | {"credentials": {"username": "contoso\\sync", "secret": None}})

    assert kept.json()["credentials"]["secret_is_set"] is True
    assert removed.status_code == 422
    assert removed.json()["errors"][0]["pointer"] == "#/credentials/secret"


def test_choices_are_read_by_name_and_by_the_models_integer_and_written_by_name(api: Api) -> None:
    by_integer = api.put("/profiles/contoso", PROFILE | {"server_type": 0, "authentication": 2, "credential_source": 1})

    assert by_integer.status_code == 201
    shown = by_integer.json()
    assert (shown["server_type"], shown["authentication"], shown["credential_source"]) == ("exchange_server", "ntlm", "profile")


def test_durations_are_seconds_or_iso_8601_and_instants_are_utc(api: Api) -> None:
    fields = {"min_polling_interval": "PT5M", "timeout": 30, "process_emails_received_after": "2026-06-01T02:00:00+02:00"}

    shown = api.put("/profiles/contoso", PROFILE | fields).json()

    assert (shown["min_polling_interval"], shown["timeout"]) == (300, 30)
    assert shown["process_emails_received_after"] == "2026-06-01T00:00:00Z"


WRONG: list[tuple[str, object]] = [
    ("#/server_type", {"server_type": "carrier_pigeon"}),
    ("#/server_type", {"server_type": 2}),
    ("#/server_type", {"server_type": True}),
    ("#/name", {"name": 5}),
    ("#/name", {"name": ""}),
    ("#/name", {"name": "a\u0000b"}),
    ("#/active", {"active": "yes"}),
    ("#/max_connections", {"max_connections": "10"}),
    ("#/max_connections", {"max_connections": 10.5}),
    ("#/max_connections", {"max_connections": 10**30}),
    ("#/min_polling_interval", {"min_polling_interval": "soon"}),
    ("#/min_polling_interval", {"min_polling_interval": 2 * 24 * 3600}),
    ("#/timeout", {"timeout": 1e300}),
    ("#/timeout", {"timeout": True}),
    ("#/process_emails_received_after", {"process_emails_received_after": "2026-06-01T00:00:00"}),
    ("#/process_emails_received_after", {"process_emails_received_after": "yesterday"}),
    ("#/process_emails_received_after", {"process_emails_received_after": 1780272000}),
    ("#/process_emails_received_after", {"process_emails_received_after": "1780272000"}),
    ("#/process_emails_received_after", {"process_emails_received_after": "0001-01-01T00:00:00+14:00"}),
    ("#/polling", {"polling": 5}),
    ("#/a~1b~0c", {"a/b~c": 5}),
    ("#/id", {"id": "other"}),
    ("#/credentials", {"credentials": "secret"}),
    ("#/credentials", {"credentials": None}),
    ("#/credentials/password", {"credentials": {"username": "a", "password": "b"}}),
    ("#/credentials/secret", {"credentials": {"username": "a", "secret": 5}}),
    ("#/credentials/secret", {"credentials": {"username": "a"}}),
    ("#/credentials/username", {"credentials": {"secret": "a"}}),
    ("#/authentication", {"authentication": "oauth"}),
]


@pytest.mark.parametrize(("pointer", "wrong"), WRONG)
def test_what_is_wrong_is_named_with_its_remedy_and_nothing_is_stored(api: Api, pointer: str, wrong: dict[str, object]) -> None:
    empty = snapshot(api.office.stores)

    answer = api.put("/profiles/contoso", PROFILE | wrong)

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert error["detail"]
    assert error["remedy"].endswith(".")
    assert snapshot(api.office.stores) == empty


@pytest.mark.parametrize("location", LOCATIONS_REFUSED)
def test_a_location_that_is_no_safe_url_is_refused(api: Api, location: str) -> None:
    answer = api.put("/profiles/contoso", PROFILE | {"incoming_location": location})

    if location.endswith("\n"):  # surrounding white space is no part of the location
        assert answer.json()["incoming_location"] == location.strip()
    else:
        assert [error["pointer"] for error in answer.json()["errors"]] == ["#/incoming_location"]


def test_every_field_that_is_wrong_is_named_at_once(api: Api) -> None:
    answer = api.put("/profiles/contoso", {"server_type": "x", "timeout": "x", "polling": 1})

    assert {error["pointer"] for error in answer.json()["errors"]} == {
        "#/name",
        "#/server_type",
        "#/incoming_location",
        "#/authentication",
        "#/credential_source",
        "#/timeout",
        "#/polling",
    }


def test_a_problem_never_repeats_what_was_sent(api: Api) -> None:
    body = {"server_type": "my secret", "credentials": {"secret": ["my secret"]}, "name": "my secret"}

    assert "my secret" not in api.put("/profiles/contoso", body).text


@pytest.mark.parametrize("strange", ["%20", "a%2Fb", "..%2Fx", "a%00", "%0A", "a%23b", "x" * 65, "-x", "%C3%A4", "a'b"])
@pytest.mark.parametrize(("resource", "body"), [("profiles", PROFILE), ("users", {"name": "A", "address": "a@b.example"})])
def test_a_strange_id_is_refused_and_nothing_is_stored(api: Api, resource: str, body: object, strange: str) -> None:
    empty = snapshot(api.office.stores)

    answer = api.put(f"/{resource}/{strange}", body)

    assert answer.status_code in (404, 422)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert snapshot(api.office.stores) == empty


def test_an_id_that_cannot_be_one_is_told_what_an_id_is(api: Api) -> None:
    (error,) = api.put("/users/.anna", {"name": "A", "address": "a@b.example"}).json()["errors"]

    assert error["pointer"] == "path/owner_id"
    assert "1 to 64 letters, digits" in error["remedy"]


def test_creating_a_user_creates_its_mailbox(api: Api) -> None:
    answer = api.put("/users/anna", {"name": "Anna Berg", "address": "anna@contoso.example"})

    user = answer.json()
    mailbox = api.get(f"/mailboxes/{user['mailbox_id']}").json()
    assert answer.status_code == 201
    assert user == api.get("/users/anna").json()
    assert mailbox["owner"] == {"kind": "user", "id": "anna"}
    assert (mailbox["address"], mailbox["approval"]) == ("anna@contoso.example", "pending")


def test_an_address_that_is_taken_is_refused_naming_who_has_it(api: Api) -> None:
    api.has_user("anna")

    answer = api.put("/users/bruno", {"name": "Bruno", "address": "anna@contoso.example"})

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, "#/address")
    assert "user anna" in error["detail"]
    assert api.get("/users/bruno").status_code == 404


def test_a_mailbox_is_configured_approved_and_due(api: Api) -> None:
    mailbox_id = api.has_user()
    api.has_profile()

    patched = api.patch(f"/mailboxes/{mailbox_id}", {"profile_id": "contoso"}).json()
    approved = api.post(f"/mailboxes/{mailbox_id}/approve").json()

    assert patched["workloads"]["incoming"]["ineligible_reason"] == "not_approved"
    assert patched["workloads"]["incoming"]["ineligible_remedy"] == "Approve the mailbox."
    assert "no connectors for appointments" in patched["workloads"]["outgoing"]["ineligible_remedy"]
    assert patched["workloads"]["incoming"]["due"] is None
    assert approved["approval"] == "approved"
    assert approved["workloads"]["incoming"]["eligible"] is True
    assert approved["workloads"]["incoming"]["due"] == approved["enabled_on"] == "2026-11-23T08:00:00Z"


def test_a_mailbox_is_rejected_and_deactivated(api: Api) -> None:
    mailbox_id = api.has_mailbox_being_read()

    rejected = api.post(f"/mailboxes/{mailbox_id}/reject").json()
    inactive = api.patch(f"/mailboxes/{mailbox_id}", {"active": False}).json()

    assert rejected["approval"] == "rejected"
    assert inactive["workloads"]["incoming"]["ineligible_reason"] == "mailbox_inactive"


def test_a_merge_patch_leaves_out_what_stays_and_clears_with_null(api: Api) -> None:
    mailbox_id = api.has_mailbox_being_read()
    path = f"/mailboxes/{mailbox_id}"
    api.patch(path, {"process_email_received_after": "2026-01-31T00:00:00Z", "credentials": {"username": "a", "secret": "b"}})

    renamed = api.patch(path, {"credentials": {"username": "anna"}}).json()
    cleared = api.patch(path, {"process_email_received_after": None, "credentials": None}).json()

    assert (renamed["credentials"]["username"], renamed["credentials"]["secret_is_set"]) == ("anna", True)
    assert renamed["process_email_received_after"] == "2026-01-31T00:00:00Z"
    assert renamed["profile_id"] == "contoso"
    assert (cleared["credentials"]["username"], cleared["credentials"]["secret_is_set"]) == (None, False)
    assert cleared["process_email_received_after"] is None


def test_a_merge_patch_may_say_that_it_is_one(api: Api) -> None:
    mailbox_id = api.has_user()

    answer = api.client.patch(
        f"/api/mailboxes/{mailbox_id}",
        content=json.dumps({"active": False}),
        headers={"Content-Type": "application/merge-patch+json"},
    )

    assert answer.json()["active"] is False


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [
        ("#/profile_id", {"profile_id": "nowhere"}),
        ("#/profile_id", {"profile_id": 5}),
        ("#/active", {"active": "no"}),
        ("#/incoming_method", {"incoming_method": 7}),
        ("#/process_and_delete", {"process_and_delete": True}),
        ("#/approval", {"approval": "approved"}),
        ("#/address", {"address": "nobody"}),
        ("#/address", {"address": None}),
        ("#/enabled_on", {"enabled_on": "2026-01-31T00:00:00Z"}),
        ("#/credentials/tenant_id", {"credentials": {"tenant_id": "x"}}),
    ],
)
def test_a_wrong_patch_is_refused_and_changes_nothing(api: Api, pointer: str, wrong: object) -> None:
    mailbox_id = api.has_mailbox_being_read()
    before = snapshot(api.office.stores)

    answer = api.patch(f"/mailboxes/{mailbox_id}", wrong)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert snapshot(api.office.stores) == before


def test_sync_makes_a_mailbox_due_or_says_why_not(api: Api) -> None:
    mailbox_id = api.has_mailbox_being_read()
    api.office.has_schedule(due=None)

    queued = api.post(f"/mailboxes/{mailbox_id}/sync")
    shown = api.get(f"/mailboxes/{mailbox_id}").json()
    api.patch(f"/mailboxes/{mailbox_id}", {"active": False})
    refused = api.post(f"/mailboxes/{mailbox_id}/sync")

    assert (queued.status_code, queued.json()["look_at"]) == (202, f"/api/mailboxes/{mailbox_id}/runs")
    assert shown["workloads"]["incoming"]["due"] == "2026-11-23T08:00:00Z"
    assert refused.status_code == 409
    assert (refused.json()["code"], refused.json()["detail"]) == ("not_possible_now", "The mailbox is inactive.")


@pytest.mark.parametrize(("workload", "field"), [("incoming", "breaker"), ("outgoing", "outgoing_breaker")])
def test_a_refused_credential_is_shown_at_the_profile_and_at_what_it_stops(api: Api, workload: str, field: str) -> None:
    mailbox_id = api.has_mailbox_that_sends()
    elsewhere = {
        "use_same_settings_for_outgoing": False,
        "outgoing_location": "https://relay.contoso.example/EWS/Exchange.asmx",
    }
    relay = {"outgoing_credential_source": "profile", "outgoing_credentials": {"username": "relay", "secret": "staple"}}
    assert api.patch("/profiles/contoso", elsewhere | relay).status_code == 200
    failing = Breaker("authentication_failed", MONDAY, MONDAY + timedelta(hours=1))
    api.office.stores.profiles.set_breaker(ProfileId("contoso"), Workload(workload), failing, replacing=None)

    profile = api.get("/profiles/contoso").json()
    workloads = api.get(f"/mailboxes/{mailbox_id}").json()["workloads"]
    other = "breaker" if field == "outgoing_breaker" else "outgoing_breaker"

    assert (profile[field]["code"], profile[field]["probe_after"]) == ("authentication_failed", "2026-11-23T09:00:00Z")
    assert profile[other] is None
    stopped = [name for name, each in workloads.items() if each["ineligible_reason"] == "profile_breaker_open"]
    assert stopped == [workload]
    assert "credentials of the profile" in workloads[workload]["ineligible_remedy"]


def test_records_are_listed_part_by_part(api: Api) -> None:
    api.has_profile()
    for name in ("anna", "bruno", "carla"):
        api.has_user(name)

    for resource in ("users", "mailboxes"):
        first = api.get(f"/{resource}", params={"limit": 2}).json()
        second = api.get(f"/{resource}", params={"limit": 2, "continuation": first["continuation"]}).json()
        assert {item["name"] for item in first["items"] + second["items"]} == {"Anna", "Bruno", "Carla"}
        assert (len(first["items"]), second["continuation"]) == (2, None)
    assert [item["id"] for item in api.get("/profiles").json()["items"]] == ["contoso"]
