"""Consents over HTTP: a link for the owner, a page to come back to that needs no key, and what stands."""

from urllib.parse import parse_qs, urlsplit

import pytest

from functions.api.access import PRINCIPAL
from functions.api.application import create_consent_page
from shared.stores.memory import snapshot
from tests.functions.api.over_memory import AccessSettings, Api, client_of, principal


def asked(api: Api, mailbox_id: str) -> dict[str, str]:
    """The query of the link."""
    answer = api.post(f"/mailboxes/{mailbox_id}/consent")
    assert answer.status_code == 200, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.json()["authorization_url"]).query).items()}


@pytest.fixture
def mailbox_id(api: Api) -> str:
    return api.has_mailbox_to_consent_to(consented=False)


def test_the_link_leads_to_the_provider_and_says_what_is_wanted(api: Api, mailbox_id: str) -> None:
    answer = api.post(f"/mailboxes/{mailbox_id}/consent").json()
    url = urlsplit(answer["authorization_url"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://login.microsoftonline.com/common/oauth2/v2.0/authorize"
    query = parse_qs(url.query)
    assert query["scope"] == [
        "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access"
    ]
    assert query["redirect_uri"] == [answer["redirect_uri"]] == ["https://sidesync.contoso.example/api/consent"]
    assert (query["login_hint"], query["code_challenge_method"]) == (["carla@contoso.example"], ["S256"])
    assert len(query["state"][0]) == len(query["code_challenge"][0]) == 43, "256 bits each"


def test_no_two_links_have_anything_secret_in_common(api: Api, mailbox_id: str) -> None:
    first, second = asked(api, mailbox_id), asked(api, mailbox_id)
    assert {first["state"], first["code_challenge"]}.isdisjoint({second["state"], second["code_challenge"]})


def test_what_is_stored_of_a_link_is_not_what_the_browser_carries(api: Api, mailbox_id: str) -> None:
    query = asked(api, mailbox_id)
    kept = repr(vars(api.office.stores.consents))
    assert query["state"] not in kept
    assert query["code_challenge"] not in kept


def test_without_a_setting_the_owner_comes_back_to_the_address_that_was_called() -> None:
    class Unset(Api):
        @property
        def settings(self) -> AccessSettings:
            return AccessSettings(public_url=None)

    api = Unset()
    mailbox_id = api.has_mailbox_to_consent_to(consented=False)
    by_name = client_of(api.app, "https://app.example").post(f"/api/mailboxes/{mailbox_id}/consent")
    assert by_name.json()["redirect_uri"] == "https://app.example/api/consent"
    in_the_clear = client_of(api.app, "http://app.example").post(f"/api/mailboxes/{mailbox_id}/consent")
    assert (in_the_clear.status_code, in_the_clear.json()["code"]) == (409, "not_possible_now")
    assert "SIDESYNC_PUBLIC_URL" in in_the_clear.json()["remedy"]


def test_a_mailbox_that_signs_in_by_other_means_needs_no_consent(api: Api) -> None:
    mailbox_id = api.has_mailbox_being_read()
    assert api.get(f"/mailboxes/{mailbox_id}/consent").json()["status"] == "not_needed"
    assert api.post(f"/mailboxes/{mailbox_id}/consent").status_code == 409


def test_it_is_shown_who_asked_for_the_consent_that_stands_and_until_when(api: Api, mailbox_id: str) -> None:
    assert api.get(f"/mailboxes/{mailbox_id}/consent").json()["status"] == "missing"
    other = api.has_mailbox_to_consent_to("dora")
    shown = api.get(f"/mailboxes/{other}/consent")
    assert (shown.json()["status"], shown.json()["granted_by"]) == ("granted", "ada")
    assert shown.json()["ends_on"] == "2027-02-21T08:00:00Z"
    assert "refresh" not in shown.text
    assert "secret" not in shown.text


def test_a_withdrawn_consent_is_missing(api: Api) -> None:
    mailbox_id = api.has_mailbox_to_consent_to()
    for _ in range(2):
        assert api.delete(f"/mailboxes/{mailbox_id}/consent").status_code == 204
        assert api.get(f"/mailboxes/{mailbox_id}/consent").json()["status"] == "missing"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_of_an_unknown_mailbox_nothing_is_said(api: Api, method: str) -> None:
    assert api.client.request(method, "/api/mailboxes/nobody/consent").status_code == 404


# ---- the way back

STRANGE = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"state": "guessed", "code": "guessed"},
        {"state": STRANGE, "code": STRANGE, "error": STRANGE, "error_description": STRANGE},
        {"code": "alone"},
        {"error": "access_denied"},
        {"state": "x" * 20_000},
    ],
)
def test_a_stranger_learns_and_changes_nothing(api: Api, mailbox_id: str, query: dict[str, str]) -> None:
    asked(api, mailbox_id)
    before = snapshot(api.office.stores)
    answer = api.get("/consent", params=query)
    assert answer.status_code == 400
    assert answer.text == api.get("/consent").text
    assert snapshot(api.office.stores) == before


def test_the_page_runs_nothing_is_kept_by_nobody_and_tells_nobody_where_it_was(api: Api) -> None:
    headers = api.get("/consent").headers
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_who_declines_is_told_so_once(api: Api, mailbox_id: str) -> None:
    state = asked(api, mailbox_id)["state"]
    answers = [api.get("/consent", params={"state": state, "error": "access_denied"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 400]
    assert "did not consent" in answers[0].text


def test_the_owner_needs_no_key_and_finds_nothing_else_behind_the_open_door(api: Api, mailbox_id: str) -> None:
    state = asked(api, mailbox_id)["state"]
    door = client_of(create_consent_page(api))
    assert door.get("/api/consent", params={"state": state, "error": "access_denied"}).status_code == 200
    assert [door.get(path).status_code for path in ("/api/profiles", "/api/docs", "/api/openapi.json")] == [404] * 3
    assert door.post("/api/consent").status_code == 405


def test_administrators_ask_and_readers_only_look(mailbox_id: str, api: Api) -> None:
    platform = Api(api.office, platform_authentication=True)
    reader = {PRINCIPAL: principal("Sync.Reader")}
    path = f"/api/mailboxes/{mailbox_id}/consent"
    assert platform.client.get(path, headers=reader).status_code == 200
    assert platform.client.post(path, headers=reader).status_code == 403
    assert platform.client.get("/api/consent").status_code == 400, "the owner is nobody the platform knows"
