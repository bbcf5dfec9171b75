"""The real function app under the local host, over stores in memory and real queues: what the triggers do with a message."""

from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import httpx
import pytest
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from local.host import FunctionsHost
from local.host.storage import create_queue
from shared import bootstrap
from shared.domain.choices import Workload
from shared.domain.ids import MailboxId
from shared.messages import EnumerateShards, Queue, SyncMailbox
from shared.settings import read_settings
from shared.stores.memory import memory_stores
from tests.functions.apps import eventually

ROOT = Path(__file__).parents[2]
QUEUES = [*Queue, *(queue.poison for queue in Queue)]


@pytest.fixture(scope="module")
def queues(azurite: Azurite) -> Iterator[QueueServiceClient]:
    """The queues of the app, empty."""
    with QueueServiceClient.from_connection_string(azurite.connection_string) as service:
        for name in QUEUES:
            create_queue(service.get_queue_client(name))
            service.get_queue_client(name).clear_messages()
        yield service


@pytest.fixture(scope="module")
def sidesync(azurite: Azurite) -> Iterator[bootstrap.Sidesync]:
    settings = read_settings({"AzureWebJobsStorage": azurite.connection_string, "SIDESYNC_SECRETS_KEY": "A" * 43 + "="})
    stores = memory_stores()

    def no_mail_server(*_: object, **__: object) -> NoReturn:
        raise AssertionError("no mailbox is opened here")

    instance = bootstrap.compose(settings, stores, no_mail_server, no_mail_server, lambda: datetime.now(UTC))
    bootstrap.use(instance)
    yield instance
    bootstrap.use(None)


@pytest.fixture(scope="module")
def host(azurite: Azurite, sidesync: bootstrap.Sidesync, queues: QueueServiceClient) -> Iterator[FunctionsHost]:  # noqa: ARG001 - they stand before it starts
    environment = {
        "AzureWebJobsStorage": azurite.connection_string,
        "AzureWebJobs.enumerate_mailboxes.Disabled": "true",
        "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:00",
        "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:00.2",
    }
    with FunctionsHost(ROOT, environment, port=0) as running:
        yield running


def send(queues: QueueServiceClient, queue: Queue, content: str | bytes) -> None:
    body = content.encode() if isinstance(content, str) else content
    queues.get_queue_client(queue).send_message(b64encode(body).decode())


def count(queues: QueueServiceClient, name: str) -> int:
    return queues.get_queue_client(name).get_queue_properties().approximate_message_count or 0


@pytest.mark.parametrize("queue", list(Queue))
@pytest.mark.parametrize(
    "content",
    [b"no JSON", b"\xff\xfe", b'{"v":99}', b'{"v":1,"kind":"sync_mailbox","id":"1"}'],
    ids=["no JSON", "no text", "another version", "incomplete"],
)
def test_a_malformed_message_ends_in_the_poison_queue_with_an_alert_and_the_host_goes_on(
    host: FunctionsHost, sidesync: bootstrap.Sidesync, queues: QueueServiceClient, queue: Queue, content: bytes
) -> None:
    sent = datetime.now(UTC)
    send(queues, queue, content)
    eventually(lambda: [alert for alert in sidesync.stores.alerts.list(f"queue:{queue}").items if alert.raised_on >= sent])
    eventually(lambda: count(queues, queue) == count(queues, queue.poison) == 0)
    assert {alert.code for alert in sidesync.stores.alerts.list(f"queue:{queue}").items} == {"malformed_message"}
    assert httpx.get(f"{host.base_url}/admin/host/ping", timeout=60).status_code == 200


@pytest.mark.usefixtures("host")
def test_a_message_of_ours_in_the_wrong_queue_is_malformed_there(
    queues: QueueServiceClient, caplog: pytest.LogCaptureFixture
) -> None:
    send(queues, Queue.SYNC_INCOMING, EnumerateShards("1", 0, 3).to_json())
    eventually(lambda: "queue_message_poisoned" in caplog.messages)
    assert "EnumerateShards does not belong" in str([vars(record).get("error") for record in caplog.records])


@pytest.mark.parametrize("queue", [Queue.SYNC_INCOMING, Queue.SYNC_BACKFILL])
@pytest.mark.usefixtures("host")
def test_a_message_for_an_unknown_mailbox_is_dropped_with_a_log_event(
    queues: QueueServiceClient, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    message = SyncMailbox("m1", MailboxId("00000000-0000-5000-8000-000000000000"), Workload.INCOMING)
    send(queues, queue, message.to_json())
    eventually(lambda: "unknown_mailbox" in caplog.messages)
    eventually(lambda: count(queues, queue) == 0)
    assert "queue_message_poisoned" not in caplog.messages


@pytest.mark.usefixtures("host")
def test_shards_are_enumerated_by_their_queue(queues: QueueServiceClient) -> None:
    send(queues, Queue.ENUMERATE_SHARDS, EnumerateShards("1", 0, 255).to_json())
    eventually(lambda: count(queues, Queue.ENUMERATE_SHARDS) == 0)
    assert count(queues, Queue.ENUMERATE_SHARDS.poison) == 0


def test_the_timer_function_enumerates(host: FunctionsHost) -> None:
    assert host.trigger("enumerate_mailboxes").result(30).error is None


def test_the_api_is_closed_without_the_key(host: FunctionsHost) -> None:
    assert httpx.get(f"{host.base_url}/api/openapi.json", timeout=60).status_code == 401
    assert httpx.get(f"{host.base_url}/api/profiles", headers={"x-functions-key": "wrong"}, timeout=60).status_code == 401


def test_a_path_is_not_cut_at_its_semicolon(host: FunctionsHost) -> None:
    reply = httpx.put(
        f"{host.base_url}/api/users/anna;b",
        json={"name": "Anna", "address": "anna@contoso.example"},
        headers={"x-functions-key": host.key},
        timeout=60,
    )
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["pointer"] == "path/owner_id"


def test_the_openapi_document_stands_under_api_and_so_do_the_paths_in_it(host: FunctionsHost) -> None:
    reply = httpx.get(f"{host.base_url}/api/openapi.json", headers={"x-functions-key": host.key}, timeout=60)
    assert reply.status_code == 200
    paths = reply.json()["paths"]
    servers = [server["url"].rstrip("/") for server in reply.json().get("servers", [{"url": ""}])]
    listing = next(path for path, operations in paths.items() if path.endswith("/profiles") and "get" in operations)
    found = httpx.get(f"{host.base_url}{servers[0]}{listing}", headers={"x-functions-key": host.key}, timeout=60)
    assert found.status_code == 200
    assert f"{servers[0]}{listing}" == "/api/profiles"


def test_the_page_that_owners_of_mailboxes_come_back_to_is_open(host: FunctionsHost) -> None:
    for query in ("", "?state=guessed&code=guessed"):
        answer = httpx.get(f"{host.base_url}/api/consent{query}", timeout=60)
        assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert httpx.get(f"{host.base_url}/api/consent/settings", timeout=60).status_code in (401, 404)


def test_the_page_of_the_api_is_open_and_all_else_asks_for_the_key(host: FunctionsHost) -> None:
    for part in ("docs", "docs/page.css", "docs/page.js"):
        answer = httpx.get(f"{host.base_url}/api/{part}", timeout=60)
        assert (answer.status_code, "default-src 'none'" in answer.headers["Content-Security-Policy"]) == (200, True)

    for path in ("openapi.json", "settings", "health", "docs/other/settings", "Docs/../settings"):
        assert httpx.get(f"{host.base_url}/api/{path}", timeout=60).status_code in (401, 404)
    assert httpx.get(f"{host.base_url}/api/openapi.json", headers={"x-functions-key": host.key}, timeout=60).status_code == 200
