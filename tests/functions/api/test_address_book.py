"""The address book and its bulk loads over HTTP."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from functions.api.guard import LONGEST_BODY
from shared.messages import LoadRecords, Queue, parse
from tests.builders import queues_in_memory
from tests.functions.api.over_memory import Api

KIM = {"name": "Kim Abercrombie", "addresses": ["Kim@fabrikam.example", "k@home.example"], "owner_id": "anna"}
JSON_LINES = {"Content-Type": "application/x-ndjson"}


def upload(api: Api, content: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    return api.client.post("/api/loads", content=content, headers=JSON_LINES | headers)


def a_line(number: int, **changes: Any) -> bytes:
    return json.dumps({"type": "contact", "id": f"c{number}", "name": f"Kim {number}"} | changes).encode() + b"\n"


def run_queue(api: Api) -> None:
    for text in queues_in_memory(api.office.stores).receive(Queue.LOAD_RECORDS):
        message = parse(text)
        assert isinstance(message, LoadRecords)
        api.office.administration.loads.run(message)


def test_a_record_is_created_then_replaced_by_the_same_request(api: Api) -> None:
    created = api.put("/records/contact/kim", KIM)
    again = api.put("/records/contact/kim", KIM)

    assert (created.status_code, again.status_code) == (201, 200)
    assert created.headers["ETag"] == again.headers["ETag"]
    assert created.json() == again.json() == api.get("/records/contact/kim").json()
    assert created.json() == KIM | {"type": "contact", "id": "kim", "do_not_email": False, "active": True}


def test_a_record_is_patched_and_null_returns_to_the_default(api: Api) -> None:
    api.put("/records/contact/kim", KIM)

    assert api.patch("/records/contact/kim", {"active": False}).json()["active"] is False
    patched = api.patch("/records/contact/kim", {"addresses": None, "owner_id": None, "active": None}).json()

    assert (patched["name"], patched["addresses"], patched["owner_id"], patched["active"]) == (KIM["name"], [], None, True)
    refused = api.patch("/records/contact/kim", {"name": None})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "#/name")


def test_a_lost_update_is_refused(api: Api) -> None:
    seen = api.put("/records/contact/kim", KIM).headers["ETag"]
    api.patch("/records/contact/kim", {"name": "Kim"})

    late = [
        api.put("/records/contact/kim", KIM, **{"If-Match": seen}),
        api.patch("/records/contact/kim", {"name": "Late"}, **{"If-Match": seen}),
        api.client.delete("/api/records/contact/kim", headers={"If-Match": seen}),
        api.put("/records/contact/kim", KIM, **{"If-None-Match": "*"}),
        api.put("/records/contact/new", KIM, **{"If-Match": "*"}),
    ]
    assert [answer.status_code for answer in late] == [412] * len(late)
    assert api.get("/records/contact/kim").json()["name"] == "Kim"


def test_a_deleted_record_is_gone_and_its_addresses_with_it(api: Api) -> None:
    api.put("/records/contact/kim", KIM)
    assert api.client.delete("/api/records/contact/kim").status_code == 204
    assert api.get("/records/contact/kim").status_code == 404
    assert api.get("/addresses/k@home.example").json()["records"] == []


def test_an_address_tells_which_records_have_it(api: Api) -> None:
    api.has_user("anna")
    api.put("/records/contact/kim", KIM)
    api.put("/records/lead/7", {"name": "A lead", "addresses": ["k@HOME.example", "a/b@home.example"], "active": False})

    shown = api.get("/addresses/K@home.example").json()

    assert shown["address"] == "k@home.example"
    assert [(each["kind"], each["id"], each["active"]) for each in shown["records"]] == [
        ("contact", "kim", True),
        ("lead", "7", False),
    ]
    assert [each["kind"] for each in api.get("/addresses/anna@contoso.example").json()["records"]] == ["user"]
    assert [each["id"] for each in api.get("/addresses/a%2Fb@home.example").json()["records"]] == ["7"]


def test_records_are_listed_by_type_part_by_part(api: Api) -> None:
    for number in range(3):
        api.put(f"/records/cr_booking/{number}", {"name": f"Booking {number}"})
    api.put("/records/contact/kim", KIM)

    first = api.get("/records/cr_booking?limit=2").json()
    rest = api.get("/records/cr_booking", params={"limit": 2, "continuation": first["continuation"]}).json()

    assert sorted(each["id"] for each in first["items"] + rest["items"]) == ["0", "1", "2"]
    assert rest["continuation"] is None
    assert api.get("/records/nothing").json()["items"] == []


@pytest.mark.parametrize(
    ("pointer", "path", "body"),
    [
        ("path/type", "/records/user/kim", KIM),
        ("path/type", "/records/queue/kim", KIM),
        ("path/type", "/records/Contact/kim", KIM),
        ("path/record_id", "/records/contact/a%20b", KIM),
        ("#/name", "/records/contact/kim", {}),
        ("#/name", "/records/contact/kim", KIM | {"name": "a" * 161}),
        (
            "#/addresses",
            "/records/contact/kim",
            KIM | {"addresses": ["a@b.example", "b@b.example", "c@b.example", "d@b.example"]},
        ),
        ("#/addresses/1", "/records/contact/kim", KIM | {"addresses": ["a@b.example", "nobody"]}),
        ("#/addresses/0", "/records/contact/kim", KIM | {"addresses": [5]}),
        ("#/owner_id", "/records/contact/kim", KIM | {"owner_id": "a/b"}),
        ("#/e-mail", "/records/contact/kim", KIM | {"e-mail": "a@b.example"}),
        ("#/type", "/records/contact/kim", KIM | {"type": "lead"}),
    ],
)
def test_what_breaks_a_rule_is_refused_by_field(api: Api, pointer: str, path: str, body: Any) -> None:
    refused = api.put(path, body)
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


@pytest.mark.parametrize("address", ["nobody", "a@b", "Kim <kim@b.example>", "a@b.example/"])
def test_what_is_no_address_is_not_looked_up(api: Api, address: str) -> None:
    assert api.get(f"/addresses/{address}").json()["errors"][0]["pointer"] == "path/address"


# ---- bulk loads


def test_a_file_is_taken_in_loaded_and_its_rejected_lines_are_shown(api: Api) -> None:
    answer = upload(api, a_line(1) + b"bad\n" + a_line(2, addresses=["nobody"]) + a_line(3, addresses=["c3@b.example"]))

    assert answer.status_code == 202
    url = answer.headers["Location"].removeprefix("/api")
    assert answer.json()["url"] == answer.headers["Location"]
    assert answer.json()["state"] == "uploaded"
    run_queue(api)

    load = api.get(url).json()
    assert (load["state"], load["lines"], load["loaded"], load["rejected"]) == ("completed", 4, 2, 2)
    assert load["offset"] == load["size"]
    assert not {"held_until", "attempts"} & load.keys()
    rejected = api.client.get(load["rejected_url"]).json()["items"]
    assert [(each["line"], each["field"]) for each in rejected] == [(2, ""), (3, "addresses/0")]
    assert all(each["detail"] and each["remedy"] for each in rejected)
    assert [each["id"] for each in api.get("/addresses/c3@b.example").json()["records"]] == ["c3"]
    assert [each["id"] for each in api.get("/loads").json()["items"]] == [load["id"]]


def test_a_file_that_comes_in_pieces_may_be_longer_than_a_record(api: Api) -> None:
    lines = [a_line(number, name="x" * 150) for number in range(LONGEST_BODY // 100)]
    url = upload(api, iter(lines)).json()["url"]
    run_queue(api)
    load = api.client.get(url).json()
    assert (load["state"], load["loaded"]) == ("completed", len(lines))
    assert load["size"] > LONGEST_BODY


def test_rejected_lines_are_listed_part_by_part(api: Api) -> None:
    url = upload(api, b"bad\n" * 250).json()["rejected_url"]
    run_queue(api)
    lines, continuation = [], None
    while True:
        part = api.client.get(url, params={"limit": 100} | ({"continuation": continuation} if continuation else {})).json()
        lines += [each["line"] for each in part["items"]]
        continuation = part["continuation"]
        if continuation is None:
            break
    assert lines == list(range(1, 251))


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "application/json"}, {"Content-Type": ""}, {**JSON_LINES, "Content-Encoding": "gzip"}]
)
def test_what_is_not_declared_as_json_lines_is_refused(api: Api, headers: dict[str, str]) -> None:
    answer = api.client.post("/api/loads", content=a_line(1), headers=headers)
    assert answer.status_code == 415
    assert answer.json()["remedy"]
    assert api.get("/loads").json()["items"] == []


def test_a_file_that_is_too_long_is_refused_and_leaves_nothing(api: Api) -> None:
    mebibyte = b"x" * 1024 * 1024
    answer = upload(api, (mebibyte for _ in range(101)))
    assert answer.status_code == 413
    assert api.get("/loads").json()["items"] == []


def test_a_load_that_is_not_there_is_not_found(api: Api) -> None:
    unknown = "/loads/00000000-0000-4000-8000-000000000000"
    assert [api.get(path).status_code for path in (unknown, f"{unknown}/rejected", "/loads/1")] == [404, 404, 422]


def test_the_description_says_how_a_file_looks(api: Api) -> None:
    operation = api.get("/openapi.json").json()["paths"]["/api/loads"]["post"]
    assert list(operation["requestBody"]["content"]) == ["application/x-ndjson"]
    assert {"202", "413", "415", "503"} <= operation["responses"].keys()
