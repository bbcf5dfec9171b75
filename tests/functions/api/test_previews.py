"""Dry runs over HTTP, and the folders that rules can be about."""

from datetime import timedelta
from typing import Any

import pytest

from functions.api.access import PRINCIPAL
from shared.domain.choices import Role
from shared.domain.errors import Throttled
from shared.domain.folders import Folder, TreeFolder
from shared.stores.memory import snapshot
from tests.builders import a_message
from tests.functions.api.found_mail import NOWHERE
from tests.functions.api.over_memory import Api, principal


@pytest.fixture
def mailbox_id(api: Api) -> str:
    return api.has_mailbox_being_read()


def previewed(api: Api, mailbox_id: str, last: int = 50, **changes: Any) -> Any:
    answer = api.post(f"/mailboxes/{mailbox_id}/preview", {"last": last, "changes": changes})
    assert answer.status_code == 200, answer.text
    return answer.json()


def tracked(told: Any) -> dict[str, tuple[bool, bool]]:
    """By subject: whether it is tracked now, and would be."""
    return {
        each["subject"]: (each["before"]["verdict"] == "promoted", each["after"]["verdict"] == "promoted")
        for each in told["messages"]
    }


# ---- dry runs


def test_a_wider_filter_shows_what_it_would_track_and_why(api: Api, mailbox_id: str) -> None:
    api.mail.deliver(a_message("Offer"))

    told = previewed(api, mailbox_id, filtering_method="all")

    assert (told["tracked_before"], told["tracked_after"], told["newly_tracked"], told["no_longer_tracked"]) == (0, 1, 1, 0)
    [message] = told["messages"]
    assert (message["sender"], message["folder"], message["differs"]) == ("carol@fabrikam.example", "Inbox", True)
    assert message["after"]["reason"] == "relevant"
    assert message["before"]["words"] != message["after"]["words"]
    assert message["before"]["votes"]


def test_settings_are_a_patch_of_the_present_ones(api: Api, mailbox_id: str) -> None:
    assert api.patch("/settings", {"exclude": ["spam.example"], "filter_ceiling": None}).status_code == 200
    assert api.patch("/users/anna", {"filtering_method": "all"}).status_code == 200
    api.mail.deliver(a_message("Offer"))
    api.mail.deliver(a_message("Spam", sender="a@spam.example"))

    assert tracked(previewed(api, mailbox_id, settings={"filter_ceiling": "none"})) == {
        "Offer": (True, False),
        "Spam": (False, False),
    }
    assert tracked(previewed(api, mailbox_id, settings={"exclude": None})) == {"Offer": (True, True), "Spam": (False, True)}


def test_rules_are_all_that_would_be_there(api: Api, mailbox_id: str) -> None:
    api.mail.folders_below = [TreeFolder("f1", "Contoso")]
    api.mail.deliver(a_message("Offer"), Folder("f1", "Contoso"))
    rule = {"folder_id": "f1", "folder_name": "Contoso"}

    assert tracked(previewed(api, mailbox_id, rules=[rule])) == {"Offer": (False, True)}
    assert api.put(f"/mailboxes/{mailbox_id}/rules/f1", {"folder_name": "Contoso"}).status_code == 201
    assert tracked(previewed(api, mailbox_id, rules=[])) == {"Offer": (True, False)}
    assert tracked(previewed(api, mailbox_id)) == {"Offer": (True, True)}


def test_only_the_last_messages_are_tried(api: Api, mailbox_id: str) -> None:
    for number in range(4):
        api.mail.deliver(a_message(f"Offer {number}", received=api.office.clock() + timedelta(minutes=number)))

    assert [each["subject"] for each in previewed(api, mailbox_id, last=2)["messages"]] == ["Offer 3", "Offer 2"]
    assert len(api.post(f"/mailboxes/{mailbox_id}/preview", {}).json()["messages"]) == 4


def test_a_dry_run_writes_nothing_and_is_for_administrators_alone(api: Api, mailbox_id: str) -> None:
    api.mail.folders_below = [TreeFolder("f1", "Contoso")]
    api.mail.deliver(a_message("Offer"))
    before = snapshot(api.office.stores)

    previewed(
        api, mailbox_id, filtering_method="all", settings={"exclude": []}, rules=[{"folder_id": "f1", "folder_name": "C"}]
    )
    platform = Api(api.office, platform_authentication=True, mail=api.mail)
    refused = platform.post(f"/mailboxes/{mailbox_id}/preview", {}, **{PRINCIPAL: principal(Role.READER.value)})

    assert (refused.status_code, refused.json()["detail"]) == (403, "the role Sync.Admin is missing")
    assert snapshot(api.office.stores) == before


RULE = {"folder_id": "f1", "folder_name": "Contoso"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"last": 0}, "#/last"),
        ({"last": 201}, "#/last"),
        ({"last": "5"}, "#/last"),
        ({"change": {}}, "#/change"),
        ({"changes": {"filtering_method": "everything"}}, "#/changes/filtering_method"),
        ({"changes": {"settings": {"exclude": ["spam.example", "no domain"]}}}, "#/changes/settings/exclude/1"),
        ({"changes": {"settings": {"tracking_digits": 100}}}, "#/changes/settings/tracking_digits"),
        ({"changes": {"settings": {"unknown": 1}}}, "#/changes/settings/unknown"),
        ({"changes": {"rules": [{"folder_id": "f1"}]}}, "#/changes/rules/0/folder_name"),
        ({"changes": {"rules": [RULE, RULE]}}, "#/changes/rules/1/folder_id"),
        ({"changes": {"rules": [RULE | {"regarding": {"type": "Account", "id": "a"}}]}}, "#/changes/rules/0/regarding/type"),
        ({"changes": {"rules": [RULE] * 26}}, "#/changes/rules"),
    ],
)
def test_a_change_that_would_be_refused_is_refused_where_it_stands(api: Api, mailbox_id: str, body: Any, pointer: str) -> None:
    answer = api.post(f"/mailboxes/{mailbox_id}/preview", body)

    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert error["remedy"]


def test_a_mailbox_of_nobody_has_no_filter_to_change(api: Api) -> None:
    api.has_forward_mailbox()
    answer = api.post("/mailboxes/collected/preview", {"changes": {"filtering_method": "all"}})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/changes/filtering_method")


def test_a_rule_is_tried_where_it_could_be_saved(api: Api, mailbox_id: str) -> None:
    """The same refusal as saving it would be; a rule that stands already, and the refusal to have one, are none."""
    queue = api.has_queue()
    for mailbox, rule in ((queue, RULE), (api.has_forward_mailbox(), RULE | {"for_queue": True})):
        saved = api.put(f"/mailboxes/{mailbox}/rules/f1", {name: rule[name] for name in rule if name != "folder_id"})
        tried = api.post(f"/mailboxes/{mailbox}/preview", {"changes": {"rules": [rule]}})
        assert (tried.status_code, tried.json()["code"]) == (saved.status_code, saved.json()["code"])
        assert tried.json()["detail"] == saved.json()["detail"]
        if saved.status_code == 422:
            assert saved.json()["errors"][0]["pointer"] == "#/for_queue"
            assert tried.json()["errors"][0]["pointer"] == "#/changes/rules/0/for_queue"
    assert api.post(f"/mailboxes/{mailbox_id}/preview", {"changes": {"rules": [RULE]}}).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "preview"), ("GET", "folders"), ("POST", "folders/refresh")])
def test_a_mailbox_that_cannot_be_opened_says_why(api: Api, mailbox_id: str, method: str, path: str) -> None:
    def ask(mailbox: str) -> tuple[int, str]:
        answer = api.client.request(method, f"/api/mailboxes/{mailbox}/{path}", json={} if method == "POST" else None)
        return answer.status_code, answer.json()["code"]

    assert ask(NOWHERE) == (404, "record_not_found")
    assert api.post(f"/mailboxes/{mailbox_id}/reject").status_code == 200
    assert ask(mailbox_id) == (409, "not_approved")
    assert api.post(f"/mailboxes/{mailbox_id}/deactivate").status_code == 200
    assert ask(mailbox_id) == (409, "disabled")


def test_a_mail_server_that_is_busy_is_asked_again_later(api: Api, mailbox_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Throttled("slow down", timedelta(seconds=7))

    monkeypatch.setattr(api.mail, "latest", fail)
    answer = api.post(f"/mailboxes/{mailbox_id}/preview", {})

    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "throttled", "7")


# ---- folders


def test_folders_are_shown_as_they_were_read_until_somebody_asks_anew(api: Api, mailbox_id: str) -> None:
    api.mail.folders_below = [TreeFolder("f1", "Contoso"), TreeFolder("f2", "Old", "f1")]
    first = api.get(f"/mailboxes/{mailbox_id}/folders").json()
    api.mail.folders_below = []

    assert first["items"] == [{"id": "f1", "name": "Contoso", "parent": None}, {"id": "f2", "name": "Old", "parent": "f1"}]
    assert api.get(f"/mailboxes/{mailbox_id}/folders").json() == first
    assert api.post(f"/mailboxes/{mailbox_id}/folders/refresh").json()["items"] == []
    assert api.get(f"/mailboxes/{mailbox_id}/folders").json()["items"] == []


def test_readers_see_folders_and_only_administrators_have_the_mail_server_asked_again(api: Api, mailbox_id: str) -> None:
    platform = Api(api.office, platform_authentication=True, mail=api.mail)
    reader = {PRINCIPAL: principal(Role.READER.value)}
    api.mail.folders_below = [TreeFolder("f1", "Contoso")]
    assert platform.get(f"/mailboxes/{mailbox_id}/folders", headers=reader).status_code == 200
    api.mail.folders_below = []

    platform.get(f"/mailboxes/{mailbox_id}/folders?anew=true", headers=reader)
    refused = platform.post(f"/mailboxes/{mailbox_id}/folders/refresh", **reader)

    assert (refused.status_code, refused.json()["detail"]) == (403, "the role Sync.Admin is missing")
    assert platform.get(f"/mailboxes/{mailbox_id}/folders", headers=reader).json()["items"][0]["id"] == "f1"
