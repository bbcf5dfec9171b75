"""What holds for every endpoint: problems, limits, the description, and that nothing unforeseen is shown."""

import json
import logging
from typing import Any

import pytest

from functions.api.guard import LONGEST_BODY
from shared.domain.errors import Busy, SyncError
from tests.functions.api.over_memory import PROFILE, Api

METHODS = ("get", "put", "patch", "post", "delete")


def test_an_unknown_path_and_a_wrong_method_are_problems(api: Api) -> None:
    unknown, wrong = api.get("/nothing"), api.post("/profiles/contoso")

    assert (unknown.status_code, wrong.status_code) == (404, 405)
    assert unknown.headers["Content-Type"] == wrong.headers["Content-Type"] == "application/problem+json"
    assert set(wrong.headers["Allow"].split(", ")) >= {"GET"}


@pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe", b"[" * 100_000, b"nul", b'{"name": ' + b"9" * 5000 + b"}"])
def test_a_body_that_is_no_json_is_refused(api: Api, body: bytes) -> None:
    answer = api.client.put("/api/profiles/contoso", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in (400, 422)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Send a JSON object" in answer.json()["remedy"]
    assert {error["pointer"] for error in answer.json()["errors"]} <= {"#"}


@pytest.mark.parametrize("body", ["[]", '"text"', "5", "null", "[[]]"])
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
    for path in ("/users", "/mailboxes", "/alerts", f"/mailboxes/{mailbox_id}/activities", f"/mailboxes/{mailbox_id}/runs"):
        for continuation in ("nonsense", "%00", "W10=", "WyJhIiwgMV0=", "é"):
            answer = api.get(path, params={"continuation": continuation})
            assert answer.status_code in (200, 422), (path, continuation, answer.text)
            if answer.status_code == 422:
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
            "get /api/profiles",
            "get /api/profiles/{profile_id}",
            "put /api/profiles/{profile_id}",
            "get /api/users",
            "get /api/users/{user_id}",
            "put /api/users/{user_id}",
            "get /api/mailboxes",
            "get /api/mailboxes/{mailbox_id}",
            "patch /api/mailboxes/{mailbox_id}",
            "post /api/mailboxes/{mailbox_id}/approve",
            "post /api/mailboxes/{mailbox_id}/reject",
            "post /api/mailboxes/{mailbox_id}/sync",
            "get /api/mailboxes/{mailbox_id}/activities",
            "get /api/mailboxes/{mailbox_id}/runs",
            "get /api/mailboxes/{mailbox_id}/quarantine",
            "get /api/mailboxes/{mailbox_id}/explain",
            "get /api/activities/{activity_id}",
            "get /api/activities/{activity_id}/body",
            "get /api/activities/{activity_id}/attachments/{number}",
            "get /api/alerts",
            "get /api/health",
        }

    def test_every_operation_has_a_summary_an_id_and_its_problems(self, described: dict[str, Any]) -> None:
        operations = [item[method] for item in described["paths"].values() for method in METHODS if method in item]

        assert len({operation["operationId"] for operation in operations}) == len(operations)
        for operation in operations:
            assert operation["summary"]
            assert "401" in operation["responses"]
            errors = {
                status: answer for status, answer in operation["responses"].items() if status >= "400" and status != "401"
            }
            assert operation["tags"] == ["service"] or {"404", "422", "503"} <= errors.keys()
            for answer in errors.values():
                assert answer["content"].keys() == {"application/problem+json"}
                assert answer["content"]["application/problem+json"]["schema"]["$ref"] == "#/components/schemas/Problem"

    def test_every_reference_leads_somewhere(self, described: dict[str, Any]) -> None:
        schemas = described["components"]["schemas"]

        references = set(_references(described))

        assert references == {f"#/components/schemas/{name}" for name in schemas}

    def test_the_models_integers_stand_beside_the_names(self, described: dict[str, Any]) -> None:
        fields = described["components"]["schemas"]["ProfileGiven"]["properties"]

        assert "exchange_server 0, pop3_smtp 1, exchange_online 3, imap_smtp 4" in fields["server_type"]["description"]
        assert "minpollingintervalinminutes" in fields["min_polling_interval"]["description"]

    def test_examples_are_accepted(self, api: Api, described: dict[str, Any]) -> None:
        schemas = described["components"]["schemas"]
        for number, example in enumerate(schemas["ProfileGiven"]["examples"]):
            assert api.put(f"/profiles/example-{number}", example).status_code == 201
        (user,) = schemas["UserGiven"]["examples"]
        assert api.put("/users/example", user).status_code == 201

    def test_what_is_shown_has_the_form_that_is_described(self, api: Api, described: dict[str, Any]) -> None:
        mailbox_id = api.has_mailbox_being_read()
        for path, name in (
            ("/profiles/contoso", "ProfileShown"),
            ("/users/anna", "UserShown"),
            (f"/mailboxes/{mailbox_id}", "MailboxShown"),
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


def _references(node: Any) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
