"""The checks on what Sidesync refuses and survives: wrong keys, invalid configuration, broken queue messages."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from local.demo.api import Api
from local.demo.check import Checks, Finding, none_of
from local.demo.organisation import PROFILE, SERVICE_PASSWORD
from shared.messages import Queue, SyncMailbox

_PATIENCE = 60.0
_MALFORMED = "this is no message of ours"
_UNKNOWN = "00000000-0000-4000-8000-000000000000"


def check_misuse(checks: Checks, api: Api, connection_string: str, host_log: Path) -> None:
    checks.make("a wrong key is refused with 401", lambda: _wrong_key(api))
    checks.make("invalid configuration is refused with 422, naming the field, and nothing is stored", lambda: _invalid(api))
    checks.make("a password that was set is never shown", lambda: _secret(api))
    checks.make("a malformed queue message ends in the poison queue, with an alert", lambda: _malformed(api, connection_string))
    checks.make(
        "a queue message for an unknown mailbox is dropped and logged", lambda: _unknown(api, connection_string, host_log)
    )


def _wrong_key(api: Api) -> Finding:
    paths = ("/profiles", "/mailboxes", f"/profiles/{PROFILE}", "/openapi.json")
    statuses = {path: api.answer("GET", path, headers={"x-functions-key": "not the key"}).status_code for path in paths}
    return set(statuses.values()) == {401}, ", ".join(f"{path} {status}" for path, status in statuses.items())


_INVALID: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "a polling interval of two days": ("min_polling_interval", {"min_polling_interval": 2 * 24 * 3600}),
    "a location that is no URL": ("incoming_location", {"incoming_location": "mail server"}),
    "a server type that does not exist": ("server_type", {"server_type": "carrier_pigeon"}),
    "a field that does not exist": ("polling", {"polling": 5}),
}


def _invalid(api: Api) -> Finding:
    good: dict[str, object] = {
        "name": "Refused",
        "server_type": "exchange_server",
        "incoming_location": "http://127.0.0.1/EWS/Exchange.asmx",
        "authentication": "basic",
        "credential_source": "profile",
        "credentials": {"username": "nobody", "secret": "nothing"},
    }
    problems = []
    for what, (field, wrong) in _INVALID.items():
        answer = api.answer("PUT", "/profiles/refused", good | dict(wrong))
        if answer.status_code != 422 or field not in answer.text:
            problems.append(f"{what}: {answer.status_code} {answer.text[:120]}")
        elif not answer.headers["content-type"].startswith("application/problem+json"):
            problems.append(f"{what}: answered as {answer.headers['content-type']}")
    if api.answer("GET", "/profiles/refused").status_code != 404:
        problems.append("the profile was stored")
    return none_of(problems, f"{', '.join(_INVALID)}: refused, field and remedy named")


def _secret(api: Api) -> Finding:
    shown = json.dumps([api.get(f"/profiles/{PROFILE}"), list(api.everything("/profiles"))])
    return SERVICE_PASSWORD not in shown, f"{len(shown)} characters of profiles shown, no password among them"


def _malformed(api: Api, connection_string: str) -> Finding:
    queue = Queue.SYNC_INCOMING
    _send(connection_string, queue, _MALFORMED)
    about = f"queue:{queue.value}"
    found = _wait_for(lambda: next(iter(api.everything("/alerts", about=about)), None))
    return found is not None, f"{found['code']}: {found['cause']} {found['remedy']}" if found else f"no alert about {about}"


def _unknown(api: Api, connection_string: str, host_log: Path) -> Finding:
    message = SyncMailbox(id="demo-unknown", mailbox_id=_UNKNOWN, workload="incoming")  # type: ignore[arg-type]  # as a stranger would
    _send(connection_string, Queue.SYNC_INCOMING, message.to_json())
    logged = _wait_for(lambda: _UNKNOWN in host_log.read_text("utf-8", "replace") or None)
    waiting = _wait_for(lambda: _is_empty(connection_string, Queue.SYNC_INCOMING) or None)
    alive = api.answer("GET", "/profiles").status_code == 200
    event = "logged" if logged else "not logged"
    return bool(
        logged and waiting and alive
    ), f"{event}, queue {'empty' if waiting else 'not empty'}, host {'well' if alive else 'ill'}"


def _send(connection_string: str, queue: Queue, text: str) -> None:
    with _queue(connection_string, queue) as client:
        client.send_message(text)


def _is_empty(connection_string: str, queue: Queue) -> bool:
    with _queue(connection_string, queue) as client:
        return client.get_queue_properties().approximate_message_count == 0


def _queue(connection_string: str, queue: Queue) -> QueueClient:
    return QueueClient.from_connection_string(connection_string, queue.value, message_encode_policy=TextBase64EncodePolicy())


def _wait_for[T](look: Callable[[], T | None]) -> T | None:
    deadline = time.monotonic() + _PATIENCE
    while (found := look()) is None and time.monotonic() < deadline:
        time.sleep(0.3)
    return found
