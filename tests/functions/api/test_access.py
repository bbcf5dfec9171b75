"""Who may do what: the function key alone, and callers that the platform names."""

import base64
import json
import re

import pytest

from functions.api.access import OPEN, PRINCIPAL
from shared.domain.choices import OwnerKind
from shared.domain.ids import OwnerId, mailbox_id_of
from shared.stores.memory import snapshot
from tests.functions.api.every_change import routes
from tests.functions.api.over_memory import PROFILE, Api, principal

READER, ADMIN = "Sync.Reader", "Sync.Admin"


@pytest.fixture
def platform() -> Api:
    """The API where the platform authenticates its callers."""
    return Api(platform_authentication=True)


def test_without_platform_authentication_whoever_holds_the_key_is_an_administrator(api: Api) -> None:
    assert api.put("/profiles/contoso", PROFILE).status_code == 201
    assert [entry["caller"] for entry in api.get("/audit").json()["items"]] == ["function key"]


def test_without_platform_authentication_the_header_is_a_strangers_word(api: Api) -> None:
    answer = api.put("/profiles/contoso", PROFILE, **{PRINCIPAL: principal(READER, name="mallory@contoso.example")})

    assert answer.status_code == 201
    assert "mallory" not in api.get("/audit").text


def test_an_administrator_changes_and_is_named_in_the_audit(platform: Api) -> None:
    caller = {PRINCIPAL: principal(ADMIN)}

    answer = platform.put("/profiles/contoso", PROFILE, **caller)

    assert answer.status_code == 201
    (entry,) = platform.get("/audit", headers=caller).json()["items"]
    assert (entry["caller"], entry["record"]) == ("kim@contoso.example", "profile:contoso")


def test_an_application_is_named_by_its_id(platform: Api) -> None:
    claims = [{"typ": "azp", "val": "00001111-aaaa"}, {"typ": "roles", "val": ADMIN}]

    platform.put("/profiles/contoso", PROFILE, **{PRINCIPAL: principal(claims=claims)})

    assert platform.get("/audit", headers={PRINCIPAL: principal(ADMIN)}).json()["items"][0]["caller"] == "00001111-aaaa"


def test_a_reader_reads_and_does_not_change(platform: Api) -> None:
    caller = {PRINCIPAL: principal(READER)}

    refused = platform.put("/profiles/contoso", PROFILE, **caller)

    assert platform.get("/profiles", headers=caller).status_code == 200
    assert (refused.status_code, refused.headers["Content-Type"]) == (403, "application/problem+json")
    assert refused.json()["detail"] == "the role Sync.Admin is missing"


def test_mail_that_nobody_decided_to_track_is_for_administrators(platform: Api) -> None:
    """A quarantined message was perhaps never judged: it may be private."""
    raw = f"/mailboxes/{'0' * 8}-0000-0000-0000-{'0' * 12}/quarantine/{'0' * 32}:{'0' * 32}/raw"
    for path in (raw, f"{raw}/", raw.replace("raw", "%72aw")):
        assert platform.get(path, headers={PRINCIPAL: principal(READER)}, follow_redirects=False).status_code == 403
    assert platform.get(raw, headers={PRINCIPAL: principal(ADMIN)}).status_code == 404


def test_a_caller_without_a_role_does_not_even_read(platform: Api) -> None:
    answer = platform.get("/profiles", headers={PRINCIPAL: principal("Sales.Admin")})

    assert (answer.status_code, answer.json()["detail"]) == (403, "the role Sync.Reader is missing")


NAMES = {"mailbox_id": mailbox_id_of(OwnerKind.USER, OwnerId("anna")), "type": "contact", "number": "0", "name": "page.js"}
"""What stands in paths; for every other name, `anna`."""


def _is_open(path: str) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in ("/health", "/docs", "/consent"))


@pytest.fixture(scope="module")
def lasting_platform() -> Api:
    """One for many tests, none of which may change it."""
    platform = Api(platform_authentication=True)
    user = {"name": "Anna", "address": "anna@contoso.example"}
    assert platform.put("/users/anna", user, **{PRINCIPAL: principal(ADMIN)}).status_code == 201
    return platform


def test_only_health_the_page_and_the_way_back_of_who_consented_are_open() -> None:
    assert OPEN == ("/api/health", "/api/docs", "/api/consent")


@pytest.mark.parametrize(("method", "path"), sorted(each for each in routes(Api()) if not _is_open(each[1])))
def test_no_route_lets_a_stranger_in_or_a_reader_change_anything(lasting_platform: Api, method: str, path: str) -> None:
    platform = lasting_platform
    before = snapshot(platform.office.stores)
    url = "/api" + re.sub(r"{(\w+)(?::path)?}", lambda found: NAMES.get(found[1], "anna"), path)

    def ask(**headers: str) -> tuple[int, str]:
        answer = platform.client.request(method, url, headers=headers, content=b"{}")
        return answer.status_code, "" if method == "HEAD" else answer.json().get("code", "")

    as_reader, as_stranger, as_nobody = ask(**{PRINCIPAL: principal(READER)}), ask(**{PRINCIPAL: principal()}), ask()

    assert (as_stranger[0], as_nobody[0]) == (403, 401)
    if method in ("GET", "HEAD") and not path.endswith("/raw"):
        assert as_reader[0] in (200, 404, 409, 422)
    else:
        assert as_reader == (403, "" if method == "HEAD" else "forbidden")
    assert snapshot(platform.office.stores) == before


NO_PRINCIPAL: list[object] = [
    None,
    [],
    5,
    "text",
    {},
    {"claims": 5},
    {"auth_typ": "aad"},
    {"auth_typ": "aad", "claims": {"typ": "x"}},
]
MALFORMED = [
    "",
    "nonsense",
    "%%%",
    base64.b64encode(b"\xff\xfe").decode(),
    base64.b64encode(b"[" * 50_000).decode(),
    *(base64.b64encode(json.dumps(content).encode()).decode() for content in NO_PRINCIPAL),
    principal(ADMIN, auth_typ="google"),
    principal(ADMIN, claims=[{"typ": "roles", "val": ADMIN}]),
    principal(ADMIN, claims=[{"typ": "roles", "val": ADMIN}, {"typ": "oid", "val": 5}, None, "x"]),
    principal(ADMIN, name="  "),
]


@pytest.mark.parametrize("header", MALFORMED)
def test_a_malformed_principal_is_a_problem(platform: Api, header: str) -> None:
    answer = platform.get("/profiles", headers={PRINCIPAL: header})

    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")
    assert answer.json()["code"] == "unauthenticated"


def test_unhashable_and_strange_claims_give_no_role(platform: Api) -> None:
    claims = [{"typ": ["roles"], "val": [ADMIN]}, {"typ": "roles", "val": {"a": 1}}, {"typ": "oid", "val": "o"}, 5]

    answer = platform.get("/profiles", headers={PRINCIPAL: principal(claims=claims)})

    assert answer.status_code == 403


def test_a_name_cannot_end_a_line_of_the_audit(platform: Api) -> None:
    caller = {PRINCIPAL: principal(ADMIN, name="kim\r\nadmin" + "x" * 500)}
    platform.put("/profiles/contoso", PROFILE, **caller)

    name = platform.get("/audit", headers=caller).json()["items"][0]["caller"]

    assert name.startswith("kim__admin")
    assert len(name) == 200


def test_refusals_come_before_the_body_is_read(platform: Api) -> None:
    answer = platform.client.put("/api/profiles/contoso", content=b"{", headers={PRINCIPAL: principal(READER)})

    assert answer.status_code == 403


def test_health_and_the_page_are_open(platform: Api) -> None:
    assert platform.get("/health").status_code == platform.get("/docs").status_code == 200
    assert platform.get("/openapi.json").status_code == 401
