"""Settings, queues, forward mailboxes, tracking rules, alerts and the audit over HTTP; and merge patches of all of them."""

from typing import Any

import pytest

from shared.domain.choices import AlertLevel
from shared.domain.operations import Alert
from tests.functions.api.over_memory import FORWARD_MAILBOX, PROFILE, RULE, Api


class TestSettings:
    def test_what_is_left_out_of_a_put_has_its_default_and_of_a_patch_stays(self, api: Api) -> None:
        api.put("/settings", {"tracking_digits": 9, "exclude": ["newsletter.example"]})
        patched = api.patch("/settings", {"tracking_prefix": "CRM:"}).json()
        replaced = api.put("/settings", {"tracking_prefix": "CRM:"}).json()

        assert (patched["tracking_digits"], patched["exclude"]) == (9, ["newsletter.example"])
        assert (replaced["tracking_digits"], replaced["exclude"]) == (7, [])

    def test_null_returns_a_field_to_its_default(self, api: Api) -> None:
        defaults = api.get("/settings").json()
        api.put("/settings", {"tracking_digits": 9, "require_approval_for_users": False, "keep_runs": "P7D"})

        cleared = api.patch("/settings", {"tracking_digits": None, "require_approval_for_users": None, "keep_runs": None})

        assert cleared.json() == defaults

    @pytest.mark.parametrize(
        ("pointer", "wrong"),
        [
            ("#/tracking_digits", {"tracking_digits": 3}),
            ("#/keep_audit", {"keep_audit": "PT1H"}),
            ("#/exclude/1", {"exclude": ["a.example", "no address"]}),
            ("#/filter_ceiling", {"filter_ceiling": 9}),
            ("#/default_profile_id", {"default_profile_id": "nowhere"}),
            ("#/internal_mail", {"internal_mail": "sometimes"}),
            ("#/hidden_switch", {"hidden_switch": True}),
        ],
    )
    def test_a_wrong_setting_is_named(self, api: Api, pointer: str, wrong: Any) -> None:
        for answer in (api.put("/settings", wrong), api.patch("/settings", wrong)):
            assert answer.status_code == 422
            assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


class TestMergePatches:
    def test_nested_objects_are_merged(self, api: Api) -> None:
        api.has_profile()

        patched = api.patch("/profiles/contoso", {"credentials": {"username": "contoso\\other"}, "timeout": 60}).json()

        assert (patched["credentials"]["username"], patched["credentials"]["secret_is_set"]) == ("contoso\\other", True)
        assert (patched["timeout"], patched["authentication"]) == (60, "basic")

    def test_a_new_secret_is_set_by_a_patch_and_dated(self, api: Api) -> None:
        api.has_profile()
        before = api.get("/profiles/contoso").json()["credentials"]["secret_set_on"]

        after = api.patch("/profiles/contoso", {"credentials": {"secret": "another"}}).json()["credentials"]["secret_set_on"]

        assert before < after

    def test_a_field_without_default_cannot_be_null(self, api: Api) -> None:
        api.has_profile()
        api.has_user()
        for path, field in (("/profiles/contoso", "server_type"), ("/users/anna", "address")):
            answer = api.patch(path, {field: None})
            assert [error["pointer"] for error in answer.json()["errors"]] == [f"#/{field}"]

    def test_the_regarding_of_a_rule_is_merged_begun_and_removed(self, api: Api) -> None:
        path = api.has_rule()

        merged = api.patch(path, {"regarding": {"id": "northwind"}}).json()
        removed = api.patch(path, {"regarding": None}).json()
        incomplete = api.patch(path, {"regarding": {"id": "northwind"}})
        begun = api.patch(path, {"regarding": {"type": "lead", "id": "kim"}}).json()

        assert merged["regarding"] == {"type": "account", "id": "northwind"}
        assert removed["regarding"] is None
        assert [error["pointer"] for error in incomplete.json()["errors"]] == ["#/regarding/type"]
        assert begun["regarding"] == {"type": "lead", "id": "kim"}

    def test_a_patch_of_what_is_not_there_is_not_found(self, api: Api) -> None:
        mailbox_id = api.has_user()
        for path in ("/profiles/x", "/users/x", "/queues/x", "/mailboxes/x", f"/mailboxes/{mailbox_id}/rules/x"):
            assert api.patch(path, {}).status_code == 404, path


class TestProfiles:
    def test_one_in_use_is_not_deleted_and_says_by_whom(self, api: Api) -> None:
        mailbox_id = api.has_mailbox_being_read()

        refused = api.delete("/profiles/contoso")

        assert refused.status_code == 409
        assert mailbox_id in refused.json()["detail"]

    def test_one_that_nothing_uses_is_deleted_and_again(self, api: Api) -> None:
        api.has_profile()

        assert [api.delete("/profiles/contoso").status_code for _ in range(2)] == [204, 204]
        assert api.get("/profiles/contoso").status_code == 404

    def test_testing_is_queued(self, api: Api) -> None:
        mailbox_id = api.has_mailbox_being_read()

        of_all = api.post("/profiles/contoso/test")
        of_one = api.post(f"/mailboxes/{mailbox_id}/test")

        assert (of_all.status_code, of_one.status_code) == (202, 202)
        assert api.get(of_one.json()["look_at"].removeprefix("/api")).status_code == 200
        assert api.get(of_all.json()["look_at"].removeprefix("/api")).status_code == 200
        assert api.post("/profiles/nowhere/test").status_code == 404


class TestOwners:
    def test_queues_go_by_the_same_routes_as_users_and_have_a_view(self, api: Api) -> None:
        api.has_queue()

        private = api.patch("/queues/sales", {"queue_view": "private"}).json()
        of_user = api.put("/users/anna", {"name": "Anna", "address": "anna@contoso.example", "queue_view": 1})

        assert private["queue_view"] == "private"
        assert api.get(f"/mailboxes/{private['mailbox_id']}").json()["owner"] == {"kind": "queue", "id": "sales"}
        assert of_user.json()["errors"][0]["pointer"] == "#/queue_view"
        assert api.get("/users").json()["items"] == []

    def test_deleting_one_deactivates_its_mailbox_and_keeps_it(self, api: Api) -> None:
        mailbox_id = api.has_mailbox_being_read()

        assert api.delete("/users/anna").status_code == 204

        assert api.get("/users/anna").status_code == 404
        assert api.get(f"/mailboxes/{mailbox_id}").json()["active"] is False


class TestMailboxes:
    def test_one_is_switched_off_and_on(self, api: Api) -> None:
        mailbox_id = api.has_mailbox_being_read()

        off = api.post(f"/mailboxes/{mailbox_id}/deactivate").json()
        on = api.post(f"/mailboxes/{mailbox_id}/activate").json()

        assert (off["active"], off["workloads"]["incoming"]["due"]) == (False, None)
        assert (on["active"], on["workloads"]["incoming"]["eligible"]) == (True, True)

    def test_one_is_read_again_from_a_date(self, api: Api) -> None:
        mailbox_id = api.has_mailbox_being_read()

        answer = api.post(f"/mailboxes/{mailbox_id}/reset", {"received_after": "2026-01-31T01:00:00+01:00"})

        assert answer.json()["process_email_received_after"] == "2026-01-31T00:00:00Z"
        assert api.post(f"/mailboxes/{mailbox_id}/reset", {}).json()["errors"][0]["pointer"] == "#/received_after"

    def test_an_address_changes_both_ways(self, api: Api) -> None:
        mailbox_id = api.has_mailbox_being_read()

        changed = api.patch(f"/mailboxes/{mailbox_id}", {"address": "anna.berg@contoso.example"}).json()

        assert changed["approval"] == "pending"
        assert api.get("/users/anna").json()["address"] == "anna.berg@contoso.example"

    def test_a_forward_mailbox_belongs_to_nobody_and_comes_and_goes_by_itself(self, api: Api) -> None:
        created = api.put("/mailboxes/collected", FORWARD_MAILBOX | {"process_and_delete": True})
        again = api.put("/mailboxes/collected", FORWARD_MAILBOX | {"process_and_delete": True})

        assert (created.status_code, again.status_code, created.json()["owner"]) == (201, 200, None)
        assert created.headers["ETag"] == again.headers["ETag"]
        assert (created.json()["outgoing_method"], created.json()["act_method"]) == ("none", "none")
        assert api.delete("/mailboxes/collected").status_code == 204
        assert api.get("/mailboxes/collected").status_code == 404

    def test_the_mailbox_of_an_owner_is_neither_put_nor_deleted(self, api: Api) -> None:
        mailbox_id = api.has_user()

        refused = [api.put(f"/mailboxes/{mailbox_id}", FORWARD_MAILBOX), api.delete(f"/mailboxes/{mailbox_id}")]

        assert [answer.status_code for answer in refused] == [422, 409]
        assert api.get(f"/mailboxes/{mailbox_id}").json()["owner"] == {"kind": "user", "id": "anna"}


class TestRules:
    def test_one_is_put_listed_and_deleted(self, api: Api) -> None:
        path = api.has_rule()

        read = api.get(path).json()
        listed = api.get(path.rpartition("/")[0]).json()["items"]
        deleted = api.delete(path)

        assert listed == [read]
        assert (listed[0]["folder_id"], listed[0]["include_subfolders"]) == ("AAMkAD-folder", False)
        assert (deleted.status_code, api.get(path).status_code) == (204, 404)

    @pytest.mark.parametrize("folder_id", ["AAMkAGI2/x+y==", "a b", "ä", "..", "x" * 1024])
    def test_a_folder_is_named_as_the_server_names_it(self, api: Api, folder_id: str) -> None:
        rules = f"/mailboxes/{api.has_user()}/rules"
        encoded = "".join(f"%{byte:02X}" for byte in folder_id.encode())

        answer = api.put(f"{rules}/{encoded}", RULE)

        assert (answer.status_code, answer.json()["folder_id"]) == (201, folder_id)
        assert api.get(f"{rules}/{encoded}").json() == answer.json()

    def test_one_more_than_a_mailbox_may_have_is_refused(self, api: Api) -> None:
        rules = f"/mailboxes/{api.has_user()}/rules"

        answers = [api.put(f"{rules}/folder-{number}", RULE).status_code for number in range(26)]

        assert answers[:25] == [201] * 25
        assert answers[25] == 409


class TestOperations:
    def test_an_alert_is_acknowledged_by_whoever_asks(self, api: Api) -> None:
        alert = Alert("profile:contoso", "unreachable", AlertLevel.ERROR, "cause", "remedy", api.office.clock())
        api.office.stores.alerts.put(alert)
        (listed,) = api.get("/alerts").json()["items"]

        acknowledged = api.post(f"/alerts/{listed['id']}/acknowledge")

        assert acknowledged.json()["acknowledged_by"] == "function key"
        assert api.get("/alerts", params={"about": "profile:contoso"}).json()["items"] == [acknowledged.json()]
        assert api.post(f"/alerts/{'0' * 32}/acknowledge").status_code == 404

    def test_the_audit_tells_old_and_new_and_never_a_secret(self, api: Api) -> None:
        api.has_profile()
        api.patch("/profiles/contoso", {"timeout": 60, "credentials": {"secret": "battery staple"}})

        listed = api.get("/audit", params={"record": "profile:contoso"})

        changed = next(entry for entry in listed.json()["items"] if entry["action"] == "changed")
        assert {"field": "timeout", "old": "100.0", "new": "60.0"} in changed["changes"]
        assert "correct horse" not in listed.text
        assert "battery staple" not in listed.text

    def test_the_audit_is_listed_part_by_part_and_cannot_be_changed(self, api: Api) -> None:
        api.put("/profiles/one", PROFILE)
        api.put("/profiles/two", PROFILE)

        first = api.get("/audit", params={"limit": 1}).json()
        second = api.get("/audit", params={"limit": 1, "continuation": first["continuation"]}).json()

        assert {first["items"][0]["record"], second["items"][0]["record"]} == {"profile:one", "profile:two"}
        assert api.delete("/audit").status_code == 405


def test_every_method_of_a_path_is_named_where_another_is_refused(api: Api) -> None:
    assert api.post("/profiles/contoso").headers["Allow"] == "DELETE, GET, PATCH, PUT"
