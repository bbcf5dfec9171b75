"""The running host against its description: what schemathesis makes up, sent over HTTP to functions on Azurite."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis import HookContext

from local.demo.api import Api
from local.demo.machine import Machine
from shared.domain.choices import OwnerKind
from shared.domain.ids import OwnerId, mailbox_id_of
from tests.functions.api.made_up_requests import (
    CONFIG,
    DESCRIPTION,
    MadeUp,
    known,
    prepare,
    records_beside,
    requests_per_operation,
)
from tests.functions.api.over_memory import PROFILE
from tests.functions.api.over_memory import Api as ApiOverMemory

pytestmark = pytest.mark.slow

QUIET = {f"AzureWebJobs.{name}.Disabled": "true" for name in ("enumerate_mailboxes", "probe_mailbox", "visit_mailboxes")}
"""What would look for the mail servers that the requests name."""
MAILBOX = mailbox_id_of(OwnerKind.USER, OwnerId("anna"))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("logs"), QUIET) as running, Api(running.base_url, running.key) as api:
        api.put("/profiles/contoso", PROFILE)
        assert api.put("/users/anna", {"name": "Anna", "address": "anna@contoso.example"})["mailbox_id"] == MAILBOX
        for path, body in records_beside(MAILBOX).items():
            api.put(path, body)
        RUNNING.append(running)
        yield running


KEY = "the key of the host"
RUNNING: list[Machine] = []
DESCRIBED = ApiOverMemory().app.openapi()
schema = schemathesis.openapi.from_dict(DESCRIBED, config=CONFIG)
prepare(schema, KEY, known(MAILBOX))


@schemathesis.hook
def before_call(_: HookContext, case: MadeUp, kwargs: dict[str, Any]) -> None:  # noqa: ARG001 - the form that schemathesis asks for
    """Requests are made up before the host is there, and has a key."""
    if case.headers.get("x-functions-key") == KEY:
        case.headers["x-functions-key"] = RUNNING[-1].key


def test_the_running_host_serves_the_description_with_which_it_is_compared(machine: Machine) -> None:
    answer = httpx.get(f"{machine.base_url}{DESCRIPTION}", headers={"x-functions-key": machine.key}, timeout=60)

    assert answer.json() == DESCRIBED


@pytest.mark.filterwarnings("ignore")  # of the libraries that schemathesis stands on
@schema.parametrize()
@requests_per_operation(1)
def test_the_running_host_does_as_its_description_says(case: MadeUp, machine: Machine) -> None:
    case.call_and_validate(base_url=machine.base_url)
