"""Conditions of changes, and what holds for every route that changes something: callers, audit, repetition."""

from datetime import timedelta

import pytest

from functions.api.access import PRINCIPAL
from shared.domain.choices import Role
from shared.stores.memory import snapshot
from tests.functions.api.every_change import LOOKS, every_change_of, routes
from tests.functions.api.over_memory import FORWARD_MAILBOX, PROFILE, RULE, Api, principal

READING = ("GET", "HEAD", "OPTIONS")


def test_an_edit_of_the_state_that_was_seen_is_made(api: Api) -> None:
    mailbox_id = api.has_user()
    seen = api.get(f"/mailboxes/{mailbox_id}").headers["ETag"]

    answer = api.patch(f"/mailboxes/{mailbox_id}", {"active": False}, **{"If-Match": seen})

    assert answer.status_code == 200
    assert answer.headers["ETag"] != seen
    assert answer.headers["ETag"] == api.get(f"/mailboxes/{mailbox_id}").headers["ETag"]


def test_every_route_that_changes_something_is_among_the_changes(api: Api) -> None:
    """The tests below go through `every_change_of`: a new route cannot be forgotten."""
    changing = {each for each in routes(api) if each[0] not in READING} - LOOKS

    assert {change.operation for change in every_change_of(api)} == changing


def test_every_change_is_in_the_audit_by_the_name_of_its_caller() -> None:
    api = Api()
    changes = every_change_of(api)
    platform = Api(api.office, platform_authentication=True)
    for change in changes:
        platform.office.clock.advance(timedelta(seconds=1))

        answer = change.ask(platform, **{PRINCIPAL: principal(Role.ADMIN.value, name=f"{change.method} {change.path}")})

        assert answer.is_success, (change, answer.text)
        named = [entry for entry in platform.office.audited() if entry.caller == f"{change.method} {change.path}"]
        assert any(entry.record.startswith(change.audited) for entry in named), change


def test_a_reader_makes_none_of_the_changes() -> None:
    api = Api()
    changes = every_change_of(api)
    platform, before = Api(api.office, platform_authentication=True), snapshot(api.office.stores)

    for change in changes:
        answer = change.ask(platform, **{PRINCIPAL: principal(Role.READER.value)})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), change

    assert snapshot(api.office.stores) == before


def test_the_same_put_or_patch_again_changes_nothing(api: Api) -> None:
    for change in every_change_of(api):
        first = change.ask(api)
        if change.method in ("PUT", "PATCH"):
            before = snapshot(api.office.stores)
            again = change.ask(api)
            assert (again.status_code, again.headers["ETag"]) == (200, first.headers["ETag"]), change
            assert again.json() == first.json(), change
            assert snapshot(api.office.stores) == before, change


@pytest.mark.parametrize("tag", ['"anything"', "nonsense", '"%%%"', '"äö"'])
def test_a_change_of_another_state_is_refused(api: Api, tag: str) -> None:
    changes = [change for change in every_change_of(api) if change.record]
    before = snapshot(api.office.stores)

    for change in changes:
        answer = change.ask(api, **{"If-Match": tag.encode("latin-1")})
        assert (answer.status_code, answer.json()["code"]) == (412, "changed"), change

    assert snapshot(api.office.stores) == before


def test_every_record_has_a_tag_with_which_it_is_changed(api: Api) -> None:
    for change in every_change_of(api):
        seen = {"If-Match": api.get(change.record).headers["ETag"]} if change.record else {}

        answer = change.ask(api, **seen)

        assert answer.is_success, (change, answer.text)
        if change.record:
            shown = api.get(change.record)
            gone = answer.status_code == 204
            assert shown.status_code == 404 if gone else shown.headers["ETag"] == answer.headers["ETag"], change


def test_what_must_not_exist_yet_is_created_once(api: Api) -> None:
    mailbox_id = api.has_user()
    for path, body in (
        ("/profiles/contoso", PROFILE),
        ("/users/bruno", {"name": "Bruno", "address": "bruno@contoso.example"}),
        ("/queues/sales", {"name": "Sales", "address": "sales@contoso.example"}),
        ("/mailboxes/collected", FORWARD_MAILBOX),
        (f"/mailboxes/{mailbox_id}/rules/folder", RULE),
        ("/records/contact/kim", {"name": "Kim"}),
    ):
        created = api.put(path, body, **{"If-None-Match": "*"})
        again = api.put(path, body, **{"If-None-Match": "*"})

        assert (created.status_code, again.status_code) == (201, 412), path


def test_the_two_conditions_contradict_each_other(api: Api) -> None:
    answer = api.put("/profiles/contoso", PROFILE, **{"If-None-Match": "*", "If-Match": "*"})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "header/If-None-Match")


def test_settings_that_were_never_written_have_a_tag_too(api: Api) -> None:
    seen = api.get("/settings").headers["ETag"]
    first = api.patch("/settings", {"tracking_digits": 8}, **{"If-Match": seen})
    second = api.patch("/settings", {"tracking_digits": 9}, **{"If-Match": seen})

    assert (first.status_code, second.status_code) == (200, 412)


def test_a_lost_update_is_noticed(api: Api) -> None:
    api.has_user()
    seen = api.get("/users/anna").headers["ETag"]
    api.put("/users/anna", {"name": "First", "address": "anna@contoso.example"}, **{"If-Match": seen})

    second = api.put("/users/anna", {"name": "Second", "address": "anna@contoso.example"}, **{"If-Match": seen})

    assert second.status_code == 412
    assert api.get("/users/anna").json()["name"] == "First"


def test_any_state_means_that_the_record_must_exist(api: Api) -> None:
    new = api.put("/profiles/contoso", PROFILE, **{"If-Match": "*"})
    api.has_profile()
    known = api.put("/profiles/contoso", PROFILE | {"name": "Contoso"}, **{"If-Match": "*"})

    assert (new.status_code, known.status_code) == (412, 200)
