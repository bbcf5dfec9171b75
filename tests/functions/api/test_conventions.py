"""What holds for every endpoint: problems, limits, the description, and that nothing unforeseen is shown."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from functions.api.guard import LONGEST_BODY
from shared.domain.errors import Busy, SyncError
from tests.functions.api.over_memory import PROFILE, RULE, Api

METHODS = ("get", "put", "patch", "post", "delete")


def test_an_unknown_path_and_a_wrong_method_are_problems(api: Api) -> None:
    unknown, wrong = api.get("/nothing"), api.post("/profiles/contoso")

    assert (unknown.status_code, wrong.status_code) == (404, 405)
    assert unknown.headers["Content-Type"] == wrong.headers["Content-Type"] == "application/problem+json"
    assert set(wrong.headers["Allow"].split(", ")) >= {"GET"}


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000, b"nul", b'{"name": ' + b"9" * 5000 + b"}"])
def test_a_body_that_is_no_json_is_refused(api: Api, body: bytes) -> None:
    answer = api.client.put("/api/profiles/contoso", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["detail"]) == ("malformed_json", "the body is not JSON")
    assert "Send a JSON object" in answer.json()["remedy"]
    assert {error["pointer"] for error in answer.json()["errors"]} <= {"#"}


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "", "json"])
def test_a_body_that_is_not_declared_as_json_is_refused_and_says_as_what_to_send_it(api: Api, media_type: str) -> None:
    answer = api.client.put("/api/profiles/contoso", content=json.dumps(PROFILE), headers={"Content-Type": media_type})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "application/json" in answer.json()["remedy"]
    assert api.get("/profiles/contoso").status_code == 404


def test_a_condition_or_a_subject_of_another_form_is_told_the_form(api: Api) -> None:
    condition = api.put("/profiles/contoso", PROFILE, **{"If-None-Match": '"a tag"'}).json()["errors"]
    subject = api.get("/alerts", params={"about": "contoso"}).json()["errors"]

    assert [(error["pointer"], error["remedy"]) for error in condition] == [
        ("header/if-none-match", "Write *, or leave it out.")
    ]
    assert [error["pointer"] for error in subject] == ["query/about"]
    assert subject[0]["remedy"].startswith("Write mailbox:, profile:")


@pytest.mark.parametrize("body", ["", "[]", '"text"', "5", "null", "[[]]"])
def test_a_body_that_is_no_object_is_refused(api: Api, body: str) -> None:
    answer = api.client.put("/api/profiles/contoso", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#"


def test_head_is_get_for_whoever_wants_no_body(api: Api) -> None:
    api.has_profile()

    assert api.client.head("/api/profiles/contoso").headers["ETag"] == api.get("/profiles/contoso").headers["ETag"]
    assert api.client.head("/api/profiles/nowhere").status_code == 404


def test_a_body_that_is_too_long_is_refused(api: Api) -> None:
    answer = api.put("/profiles/contoso", PROFILE | {"name": "x" * LONGEST_BODY})

    assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")
    assert api.get("/profiles/contoso").status_code == 404


def test_a_continuation_that_is_none_is_refused(api: Api) -> None:
    mailbox_id = api.has_user()
    findings = [f"/mailboxes/{mailbox_id}/{name}" for name in ("activities", "runs", "quarantine", "outgoing")]
    for path in ("/users", "/queues", "/mailboxes", "/records/contact", "/loads", "/alerts", "/audit", *findings):
        for continuation in ("nonsense", "%00", "W10=", "WyJhIiwgMV0=", "é"):
            answer = api.get(path, params={"continuation": continuation})
            assert answer.status_code == 422, (path, continuation, answer.text)
            assert answer.json()["errors"][0]["pointer"] == "query/continuation"


@pytest.mark.parametrize("limit", ["0", "501", "-1", "x", "1e3"])
def test_a_limit_out_of_range_is_refused(api: Api, limit: str) -> None:
    answer = api.get("/users", params={"limit": limit})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "query/limit"


def test_a_busy_store_is_503_with_a_time_to_try_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    _fail(api, monkeypatch, Busy("the store is busy"))

    answer = api.get("/profiles")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["code"] == "busy"


@pytest.mark.parametrize("error", [SyncError("unknown"), ZeroDivisionError("a secret detail")])
def test_what_nobody_foresaw_is_logged_and_shown_without_details(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    _fail(api, monkeypatch, error)

    with caplog.at_level(logging.ERROR, "sidesync.api"):
        answer = api.get("/profiles")

    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "a secret detail" not in answer.text
    assert [record.message for record in caplog.records] == ["api_failed"]


def test_answers_are_kept_by_nobody(api: Api) -> None:
    for answer in (api.get("/profiles"), api.get("/nothing"), api.get("/openapi.json")):
        assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


def test_health_asks_no_store(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    _fail(api, monkeypatch, Busy("the store is busy"))

    assert api.get("/health").json() == {"status": "ok"}


def _fail(api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(api.office.stores.profiles, "list", fail)


class TestDescription:
    @pytest.fixture
    def described(self, api: Api) -> dict[str, Any]:
        description: dict[str, Any] = api.get("/openapi.json").json()
        return description

    def test_it_lists_every_endpoint(self, described: dict[str, Any]) -> None:
        listed = {f"{method} {path}" for path, item in described["paths"].items() for method in METHODS if method in item}

        assert listed == {
            "get /api/settings",
            "put /api/settings",
            "patch /api/settings",
            "get /api/profiles",
            "get /api/profiles/{profile_id}",
            "put /api/profiles/{profile_id}",
            "patch /api/profiles/{profile_id}",
            "delete /api/profiles/{profile_id}",
            "post /api/profiles/{profile_id}/test",
            "get /api/users",
            "get /api/users/{owner_id}",
            "put /api/users/{owner_id}",
            "patch /api/users/{owner_id}",
            "delete /api/users/{owner_id}",
            "get /api/queues",
            "get /api/queues/{owner_id}",
            "put /api/queues/{owner_id}",
            "patch /api/queues/{owner_id}",
            "delete /api/queues/{owner_id}",
            "get /api/mailboxes",
            "get /api/mailboxes/{mailbox_id}",
            "patch /api/mailboxes/{mailbox_id}",
            "put /api/mailboxes/{mailbox_id}",
            "delete /api/mailboxes/{mailbox_id}",
            "post /api/mailboxes/{mailbox_id}/approve",
            "post /api/mailboxes/{mailbox_id}/reject",
            "post /api/mailboxes/{mailbox_id}/activate",
            "post /api/mailboxes/{mailbox_id}/deactivate",
            "post /api/mailboxes/{mailbox_id}/sync",
            "post /api/mailboxes/{mailbox_id}/test",
            "post /api/mailboxes/{mailbox_id}/reset",
            "get /api/mailboxes/{mailbox_id}/consent",
            "post /api/mailboxes/{mailbox_id}/consent",
            "delete /api/mailboxes/{mailbox_id}/consent",
            "get /api/mailboxes/{mailbox_id}/activities",
            "get /api/mailboxes/{mailbox_id}/runs",
            "get /api/mailboxes/{mailbox_id}/quarantine",
            "get /api/mailboxes/{mailbox_id}/explain",
            "get /api/mailboxes/{mailbox_id}/folders",
            "post /api/mailboxes/{mailbox_id}/folders/refresh",
            "post /api/mailboxes/{mailbox_id}/preview",
            "post /api/mailboxes/{mailbox_id}/track",
            "post /api/mailboxes/{mailbox_id}/untrack",
            "post /api/mailboxes/{mailbox_id}/judge",
            "post /api/mailboxes/{mailbox_id}/replay",
            "get /api/mailboxes/{mailbox_id}/quarantine/{item_id}",
            "get /api/mailboxes/{mailbox_id}/quarantine/{item_id}/raw",
            "post /api/mailboxes/{mailbox_id}/quarantine/{item_id}/replay",
            "post /api/mailboxes/{mailbox_id}/quarantine/{item_id}/discard",
            "get /api/mailboxes/{mailbox_id}/rules",
            "get /api/mailboxes/{mailbox_id}/rules/{folder_id}",
            "put /api/mailboxes/{mailbox_id}/rules/{folder_id}",
            "patch /api/mailboxes/{mailbox_id}/rules/{folder_id}",
            "delete /api/mailboxes/{mailbox_id}/rules/{folder_id}",
            "get /api/records/{type}",
            "get /api/records/{type}/{record_id}",
            "put /api/records/{type}/{record_id}",
            "patch /api/records/{type}/{record_id}",
            "delete /api/records/{type}/{record_id}",
            "get /api/addresses/{address}",
            "post /api/loads",
            "get /api/loads",
            "get /api/loads/{load_id}",
            "get /api/loads/{load_id}/rejected",
            "get /api/activities",
            "post /api/activities",
            "patch /api/activities/{activity_id}",
            "post /api/activities/{activity_id}/send",
            "post /api/activities/{activity_id}/cancel",
            "get /api/activities/{activity_id}/attempts",
            "post /api/activities/{activity_id}/attachments",
            "put /api/activities/{activity_id}/uploads/{upload}/parts/{number}",
            "post /api/activities/{activity_id}/uploads/{upload}/complete",
            "delete /api/activities/{activity_id}/attachments/{number}",
            "get /api/mailboxes/{mailbox_id}/outgoing",
            "get /api/activities/{activity_id}",
            "delete /api/activities/{activity_id}",
            "put /api/activities/{activity_id}/regarding",
            "delete /api/activities/{activity_id}/regarding",
            "put /api/activities/{activity_id}/owner",
            "post /api/activities/{activity_id}/complete",
            "post /api/activities/{activity_id}/opt-out",
            "delete /api/activities/{activity_id}/opt-out",
            "get /api/activities/{activity_id}/body",
            "get /api/activities/{activity_id}/attachments/{number}",
            "get /api/alerts",
            "post /api/alerts/{alert_id}/acknowledge",
            "get /api/audit",
            "get /api/health",
        }

    def test_every_operation_has_a_summary_an_id_and_its_problems(self, described: dict[str, Any]) -> None:
        operations = [item[method] for item in described["paths"].values() for method in METHODS if method in item]

        assert len({operation["operationId"] for operation in operations}) == len(operations)
        for operation in operations:
            assert operation["summary"]
            errors = {status: answer for status, answer in operation["responses"].items() if status >= "402"}
            assert "401" in operation["responses"]  # mostly the host's, which has no body
            assert operation["tags"] == ["service"] or {"403", "503"} <= errors.keys()
            assert "parameters" not in operation or {"404", "422"} <= errors.keys()
            for answer in errors.values():
                assert answer["content"].keys() == {"application/problem+json"}
                content = answer["content"]["application/problem+json"]
                assert content["schema"]["$ref"] == "#/components/schemas/Problem"
                assert content["example"]["remedy"]

    def test_every_body_has_examples(self, described: dict[str, Any]) -> None:
        operations = [item[method] for item in described["paths"].values() for method in METHODS if method in item]
        for content in (operation["requestBody"]["content"] for operation in operations if "requestBody" in operation):
            (media,) = content.values()
            name = media["schema"].get("$ref", "").rpartition("/")[2]
            assert "example" in media or described["components"]["schemas"][name]["examples"]

    def test_every_reference_leads_somewhere(self, described: dict[str, Any]) -> None:
        schemas = described["components"]["schemas"]

        references = set(_references(described))

        assert references == {f"#/components/schemas/{name}" for name in schemas}

    def test_it_speaks_of_values_as_json_writes_them_and_of_nothing_inside(self, described: dict[str, Any]) -> None:
        told = re.compile(r"\b(?:None|True|False)\b|\bshared\.")

        assert [text for text in _descriptions(described) if told.search(text)] == []

    def test_the_models_integers_stand_beside_the_names(self, described: dict[str, Any]) -> None:
        fields = described["components"]["schemas"]["ProfileGiven"]["properties"]

        assert "exchange_server 0, pop3_smtp 1, exchange_online 3, imap_smtp 4" in fields["server_type"]["description"]
        assert "minpollingintervalinminutes" in fields["min_polling_interval"]["description"]

    def test_examples_are_accepted(self, api: Api, described: dict[str, Any]) -> None:
        schemas = described["components"]["schemas"]
        mailbox_id = api.has_user()
        api.put("/profiles/contoso-exchange", schemas["ProfileGiven"]["examples"][0])
        for name, path in (
            ("ProfileGiven", "/profiles/example-{}"),
            ("OwnerGiven", "/queues/example-{}"),
            ("ForwardMailboxGiven", "/mailboxes/example-{}"),
            ("RuleGiven", f"/mailboxes/{mailbox_id}/rules/example-{{}}"),
            ("RecordGiven", "/records/contact/example-{}"),
            ("SettingsGiven", "/settings"),
        ):
            for number, example in enumerate(schemas[name]["examples"]):
                assert api.put(path.format(number), example).status_code in (200, 201), (name, example)
        for name, path in (
            ("ProfilePatch", "/profiles/example-0"),
            ("OwnerPatch", "/users/anna"),
            ("MailboxPatch", f"/mailboxes/{mailbox_id}"),
            ("RulePatch", f"/mailboxes/{mailbox_id}/rules/example-0"),
            ("RecordPatch", "/records/contact/example-0"),
            ("SettingsPatch", "/settings"),
        ):
            for example in schemas[name]["examples"]:
                assert api.patch(path, example).status_code == 200, (name, example)
        (reset,) = schemas["ResetGiven"]["examples"]
        assert api.post(f"/mailboxes/{mailbox_id}/reset", reset).status_code == 200

    def test_what_is_shown_has_the_form_that_is_described(self, api: Api, described: dict[str, Any]) -> None:
        mailbox_id = api.has_mailbox_being_read()
        api.has_queue()
        assert api.put(f"/mailboxes/{mailbox_id}/rules/folder", RULE).status_code == 201
        for path, name in (
            ("/settings", "SettingsShown"),
            ("/profiles/contoso", "ProfileShown"),
            ("/users/anna", "OwnerShown"),
            ("/queues/sales", "OwnerShown"),
            (f"/mailboxes/{mailbox_id}", "MailboxShown"),
            (f"/mailboxes/{mailbox_id}/rules/folder", "RuleShown"),
        ):
            assert api.get(path).json().keys() == described["components"]["schemas"][name]["properties"].keys()

    def test_it_says_in_which_media_types_mail_is_served(self, described: dict[str, Any]) -> None:
        answers = {path: item["get"]["responses"]["200"] for path, item in described["paths"].items() if "get" in item}

        assert answers["/api/activities/{activity_id}/body"]["content"].keys() == {"text/html", "text/plain"}
        assert answers["/api/activities/{activity_id}/attachments/{number}"]["content"].keys() == {"*/*"}

    def test_it_names_the_function_key(self, described: dict[str, Any]) -> None:
        assert described["components"]["securitySchemes"]["function_key"]["name"] == "x-functions-key"
        assert described["openapi"].startswith("3.1")
        assert json.dumps(described)


def _descriptions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (text for name, text in node.items() if name == "description" and isinstance(text, str))
        for value in node.values():
            yield from _descriptions(value)
    elif isinstance(node, list):
        for value in node:
            yield from _descriptions(value)


def _references(node: Any) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
