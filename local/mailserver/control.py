"""The control API over HTTP: the methods of `MailServer` that tests and the demo call, for a server in a process of its own.

POST /control/<method>?arguments=<JSON object>, with the raw message as the body where the method takes one.
The answer is {"result": ...}, or {"error", "detail"} with 404 for what does not exist and 400 for what makes no sense.
`remote.MailServerControl` is its client.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from local.mailserver.faults import Faults
from local.mailserver.journal import Journal
from local.mailserver.model import NotFound
from local.mailserver.transport import Accepted
from local.mailserver.web import Reply, Request

CONTROL_PATH = "/control"

METHODS = (
    "add_mailbox",
    "set_mailbox_enabled",
    "set_habits",
    "add_account",
    "set_account_enabled",
    "set_password",
    "add_application",
    "add_managed_identity",
    "revoke_tokens",
    "revoke_consents",
    "set_token_lifetime",
    "grant_sending",
    "revoke_sending",
    "set_limits",
    "deliver",
    "put",
    "send",
    "move",
    "remove",
    "mark_read",
    "touch",
    "categorize",
    "categories",
    "add_folder",
    "rename_folder",
    "renumber_folder",
    "move_folder",
    "remove_folder",
    "invalidate_sync_states",
    "items",
    "reset",
)
"""Methods of the server that are served."""

RAW = ("deliver", "put", "send")
"""Those that take a raw message as their first argument."""

_TIMES = ("received", "time")
"""Arguments that are times."""


class Controlled(Protocol):
    """What is controlled: a server with the methods of `METHODS`, and these."""

    @property
    def faults(self) -> Faults: ...

    def accepted(self, message_id: str | None = None) -> list[Accepted]: ...

    @property
    def requests(self) -> Journal: ...


class Control:
    def __init__(self, server: Controlled) -> None:
        self._server = server
        self._methods: Mapping[str, Callable[..., Any]] = {
            **{name: getattr(server, name) for name in METHODS},
            "faults.add": server.faults.add,
            "faults.clear": server.faults.clear,
            "accepted": self._accepted,
            "requests.of": self._requests,
            "requests.clear": server.requests.clear,
        }

    def handle(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        name = parts.path.removeprefix(CONTROL_PATH).strip("/")
        method = self._methods.get(name)
        if method is None or request.method != "POST":
            return _json(
                404,
                {"error": "NoSuchMethod", "detail": f"{request.method} {name}; served are POST of {', '.join(self._methods)}"},
            )
        try:
            arguments = _arguments(parse_qs(parts.query).get("arguments", ["{}"])[0])
            result = method(request.body, **arguments) if name in RAW else method(**arguments)
        except NotFound as missing:
            return _json(404, {"error": type(missing).__name__, "detail": str(missing)})
        except (ValueError, TypeError, AttributeError) as error:
            return _json(400, {"error": type(error).__name__, "detail": str(error)})
        return _json(200, {"result": result})

    def _accepted(self, message_id: str | None = None) -> list[dict[str, Any]]:
        """The octets are in base64."""
        found = self._server.accepted(message_id)
        return [each.fields() | {"octets": base64.b64encode(each.octets[:]).decode()} for each in found]

    def _requests(self, **wanted: str | None) -> list[dict[str, Any]]:
        return [asdict(asked) for asked in self._server.requests.of(**wanted)]


def _arguments(text: str) -> dict[str, Any]:
    arguments = json.loads(text)
    if not isinstance(arguments, dict):
        raise TypeError("arguments are a JSON object")
    return {name: datetime.fromisoformat(value) if name in _TIMES and value else value for name, value in arguments.items()}


def _json(status: int, content: dict[str, Any]) -> Reply:
    return Reply(status, [json.dumps(content).encode()], "application/json")
