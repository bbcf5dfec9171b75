"""The API against its own description: requests of every kind that the description allows or forbids, made up by schemathesis.

Nothing fails in the server, every answer has a status, a form and headers that are described, and what breaks the description
is refused. The same requests in every run.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import AuthContext, Case, HookContext
from schemathesis.config import SchemathesisConfig
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.administration.rules import ID_PATTERN
from tests.functions.api.over_memory import FORWARD_MAILBOX, PROFILE, RULE, Api


def _api() -> Api:
    """With records to read and change."""
    api = Api()
    mailbox_id = api.has_mailbox_being_read()
    api.has_queue()
    assert api.put(f"/mailboxes/{mailbox_id}/rules/folder", RULE).status_code == 201
    assert api.put("/mailboxes/collected", FORWARD_MAILBOX).status_code == 201
    assert api.put("/records/contact/kim", {"name": "Kim", "addresses": ["kim@fabrikam.example"]}).status_code == 201
    assert api.put("/profiles/unused", PROFILE).status_code == 201
    return api


API = _api()
KNOWN = {
    "profile_id": ["contoso", "unused"],
    "owner_id": ["anna", "sales"],
    "mailbox_id": [API.get("/users/anna").json()["mailbox_id"], "collected"],
    "folder_id": ["folder"],
    "type": ["contact"],
    "record_id": ["kim"],
    "address": ["kim@fabrikam.example"],
}

KEY = "the key of the function app"


class Host:
    """Stands before the app as the Functions host does: without the key it answers, and says nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and Headers(scope=scope).get("x-functions-key") != KEY and scope["path"] != DESCRIPTION:
            await Response(status_code=401)(scope, receive, send)
        else:
            await API.app(scope, receive, send)


DESCRIPTION = "/api/openapi.json"

schemathesis.serializer.alias("application/x-ndjson", "text/plain")

CONFIG = SchemathesisConfig.from_path(Path(__file__).parents[3] / "schemathesis.toml")

schema = schemathesis.openapi.from_asgi(DESCRIPTION, Host(), config=CONFIG)


@schema.auth()
class FunctionKey:
    """Gives every request the key, except where a check takes it away."""

    def get(self, case: Case, context: AuthContext) -> str:  # noqa: ARG002 - the form that schemathesis asks for
        return KEY

    def set(self, case: Case, data: str, context: AuthContext) -> None:  # noqa: ARG002
        case.headers = {**(case.headers or {}), "x-functions-key": data}


@schema.hook
def map_path_parameters(_: HookContext, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Half of the ids that are made up become ones of records that exist."""
    for name, value in (path_parameters or {}).items():
        length = len(str(value))
        if name in KNOWN and length % 2 and re.fullmatch(ID_PATTERN, str(value)):
            path_parameters[name] = KNOWN[name][length // 2 % len(KNOWN[name])]
    return path_parameters


@pytest.mark.filterwarnings("ignore")  # of the libraries that schemathesis stands on
@schema.parametrize()
@settings(
    max_examples=4,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_api_does_as_its_description_says(case: Case) -> None:
    case.call_and_validate()
