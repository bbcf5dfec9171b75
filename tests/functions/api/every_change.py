"""One request of each kind that changes something, each about a record that is there; and the routes of the API that do so."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi.routing import iter_route_contexts  # noqa: TID251 - the table of routes is FastAPI's

from shared.domain.choices import AlertLevel
from shared.domain.operations import Alert
from tests.functions.api.found_mail import ACTIVITY, has_email, has_quarantined_item
from tests.functions.api.over_memory import FORWARD_MAILBOX, PROFILE, RULE, Api
from tests.unit.administration.emails import MESSAGE_ID

JSON_LINES = b"application/x-ndjson"
OCTETS = b"application/octet-stream"
LOOKS = {("POST", "/mailboxes/{mailbox_id}/preview"), ("POST", "/mailboxes/{mailbox_id}/folders/refresh")}
"""Routes that change no record, though their method says so: they ask the mail server, which administrators alone may."""


@dataclass(frozen=True)
class Change:
    method: str
    route: str
    """Path of the route, without the prefix."""
    path: str
    body: Any = None
    record: str = ""
    """Path of the record that it changes, the one whose ETag is its condition; empty of what has none."""
    audited: str = ""
    """How the audit names the record; what it begins with."""

    @property
    def operation(self) -> tuple[str, str]:
        return self.method, self.route

    def ask(self, api: Api, **headers: str | bytes) -> httpx.Response:
        given = {name.encode(): value.encode() if isinstance(value, str) else value for name, value in headers.items()}
        if isinstance(self.body, bytes):
            kind = {b"Content-Type": OCTETS if "/parts/" in self.path else JSON_LINES}
            return api.client.request(self.method, f"/api{self.path}", content=self.body, headers={**kind, **given})
        return api.client.request(self.method, f"/api{self.path}", json=self.body, headers=given)


def routes(api: Api) -> set[tuple[str, str]]:
    """Method and path of every route, those included that the description leaves out."""
    contexts = list(iter_route_contexts(api.app.routes))
    return {(method, str(each.path).removeprefix("/api")) for each in contexts for method in each.methods or ()}


def every_change_of(api: Api) -> Sequence[Change]:
    """In an order in which each finds what it stands on. The API has what they change by then."""
    mailbox_id = api.has_mailbox_being_read()
    api.has_queue()
    api.has_forward_mailbox()
    rule = f"/mailboxes/{mailbox_id}/rules/folder"
    assert api.put(rule, RULE).status_code == 201
    assert api.put("/records/contact/kim", {"name": "Kim"}).status_code == 201
    assert api.put("/profiles/unused", PROFILE).status_code == 201
    alert = Alert("profile:contoso", "unreachable", AlertLevel.ERROR, "cause", "remedy", api.office.clock())
    api.office.stores.alerts.put(alert)
    has_email(api, mailbox_id)
    api.has_user("bruno")
    api.office.has_schedule(due=None)
    start, late, later = {"process_email_received_after": "2026-01-31T00:00:00Z"}, {"name": "Late"}, {"name": "Later"}
    collected, users_rule = "/mailboxes/collected", "/mailboxes/{mailbox_id}/rules/{folder_id:path}"
    return [
        Change("PUT", "/settings", "/settings", {"tracking_digits": 8}, "/settings", "settings"),
        Change("PATCH", "/settings", "/settings", {"tracking_digits": 9}, "/settings", "settings"),
        *_of_record("/profiles/{profile_id}", "/profiles/unused", "profile:unused", PROFILE | late, later),
        *_of_record(users_rule, rule, f"rule:{mailbox_id}:folder", {"folder_name": "Late"}, {"folder_name": "Later"}),
        *_actions_on(mailbox_id),
        *_of_record("/mailboxes/{mailbox_id}", collected, "mailbox:collected", FORWARD_MAILBOX | late, start),
        *_of_record("/users/{owner_id}", "/users/anna", "user:anna", _owner("anna"), later),
        *_of_record("/queues/{owner_id}", "/queues/sales", "queue:sales", _owner("sales"), later),
        *_of_record("/records/{type}/{record_id}", "/records/contact/kim", "record:contact:kim", late, later),
        *_consent_of(api.has_mailbox_to_consent_to()),
        *_messages_of(mailbox_id, has_quarantined_item(api, mailbox_id).id),
        *_of_email(),
        *_of_draft(api),
        Change("POST", "/profiles/{profile_id}/test", "/profiles/contoso/test", audited="profile:contoso"),
        Change("POST", "/loads", "/loads", b'{"type": "contact", "id": "c1", "name": "Kim"}\n', audited="load:"),
        Change("POST", "/alerts/{alert_id}/acknowledge", f"/alerts/{alert.id}/acknowledge", audited=f"alert:{alert.about}:"),
    ]


def _owner(name: str) -> Any:
    return {"name": "Late", "address": f"{name}@contoso.example"}


def _of_record(route: str, path: str, audited: str, whole: Any, part: Any) -> Sequence[Change]:
    bodies = {"PUT": whole, "PATCH": part, "DELETE": None}
    return [Change(method, route, path, body, path, audited) for method, body in bodies.items()]


def _actions_on(mailbox_id: str) -> Sequence[Change]:
    route, path, audited = "/mailboxes/{mailbox_id}", f"/mailboxes/{mailbox_id}", f"mailbox:{mailbox_id}"
    reset = Change("POST", f"{route}/reset", f"{path}/reset", {"received_after": "2026-02-01T00:00:00Z"}, path, audited)
    queued = [Change("POST", f"{route}/{name}", f"{path}/{name}", audited=audited) for name in ("sync", "test")]
    switches = ("reject", "approve", "deactivate", "activate")
    return [*queued, reset, *(Change("POST", f"{route}/{name}", f"{path}/{name}", None, path, audited) for name in switches)]


def _consent_of(mailbox_id: str) -> Sequence[Change]:
    route, path, audited = "/mailboxes/{mailbox_id}/consent", f"/mailboxes/{mailbox_id}/consent", f"mailbox:{mailbox_id}"
    return [Change(method, route, path, audited=audited) for method in ("POST", "DELETE")]


def _messages_of(mailbox_id: str, item_id: str) -> Sequence[Change]:
    """What is wanted of messages; all of it is queued."""
    route, path, audited = "/mailboxes/{mailbox_id}", f"/mailboxes/{mailbox_id}", f"mailbox:{mailbox_id}"
    item, kept = f"{route}/quarantine/{{item_id}}", f"{path}/quarantine/{item_id}"
    message = {"message_id": MESSAGE_ID}
    return [
        Change("POST", f"{route}/track", f"{path}/track", message | {"regarding": _ACCOUNT}, audited=audited),
        Change("POST", f"{route}/untrack", f"{path}/untrack", message, audited=audited),
        Change("POST", f"{route}/judge", f"{path}/judge", {"since": "2026-11-01T00:00:00Z"}, audited=audited),
        Change("POST", f"{route}/replay", f"{path}/replay", audited=audited),
        Change("POST", f"{item}/replay", f"{kept}/replay", audited=audited),
        Change("POST", f"{item}/discard", f"{kept}/discard", {"reason": "advertising"}, audited=audited),
    ]


_ACCOUNT = {"type": "account", "id": "fabrikam"}


def _of_email() -> Sequence[Change]:
    route, path, audited = "/activities/{activity_id}", f"/activities/{ACTIVITY}", f"activity:{ACTIVITY}"
    regarding, owner = f"{route}/regarding", f"{route}/owner"
    conversation = f"conversation:{ACTIVITY}"
    return [
        Change("PUT", regarding, f"{path}/regarding", _ACCOUNT, path, audited),
        Change("DELETE", regarding, f"{path}/regarding", None, path, audited),
        Change("PUT", owner, f"{path}/owner", {"kind": "user", "id": "bruno"}, path, audited),
        Change("POST", f"{route}/complete", f"{path}/complete", None, path, audited),
        Change("POST", f"{route}/opt-out", f"{path}/opt-out", audited=conversation),
        Change("DELETE", f"{route}/opt-out", f"{path}/opt-out", audited=conversation),
        Change("DELETE", route, path, None, path, audited),
    ]


def _of_draft(api: Api) -> Sequence[Change]:
    """An email that is written, given an attachment, and sent; an attachment that is begun is removed before."""
    api.has_mailbox_that_sends()
    path = api.has_draft()
    upload = api.has_upload(path)
    route, audited = "/activities/{activity_id}", path.removeprefix("/activities/")
    whole = {"sender": {"kind": "user", "id": "dora"}, "to": [{"address": "kim@fabrikam.example"}]}
    file = {"name": "logo.png", "content_type": "image/png", "size": 1}
    uploaded = f"{route}/uploads/{{upload}}"
    return [
        Change("POST", "/activities", "/activities", whole, audited="activity:"),
        *(
            Change(method, each, place, body, path, f"activity:{audited}")
            for method, each, place, body in (
                ("PATCH", route, path, {"subject": "Later"}),
                ("POST", f"{route}/attachments", f"{path}/attachments", file),
                ("PUT", f"{uploaded}/parts/{{number}}", f"{upload}/parts/0", b"words"),
                ("POST", f"{uploaded}/complete", f"{upload}/complete", None),
                ("DELETE", f"{route}/attachments/{{number}}", f"{path}/attachments/1", None),
                ("POST", f"{route}/send", f"{path}/send", None),
                ("POST", f"{route}/cancel", f"{path}/cancel", None),
            )
        ),
    ]
