"""What two who use the same blob or queue at once may meet, and what is not there although the service says conflict."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Barrier, Thread

import pytest

from shared.domain.errors import Busy
from shared.ports import Stores
from shared.stores.account import StorageConnection
from shared.stores.azure import azure_stores
from tests.contracts.conftest import SECRETS_KEY

LARGE = bytes(9 << 20)
"""Several blocks."""


class Service(BaseHTTPRequestHandler):
    """Answers everything with the same error."""

    status, code = 409, ""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        self.send_header("x-ms-error-code", self.code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_HEAD = do_PUT  # noqa: N815 (names of the standard library)

    def log_message(self, *_: object) -> None:
        """Quietly."""


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Stores]:
    """Stores of a service that answers with the status and the code given."""
    status, code = request.param
    monkeypatch.setattr(Service, "status", status)
    monkeypatch.setattr(Service, "code", code)
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}/a"
        parts = ("AccountName=a", "AccountKey=aaaa", *(f"{each}Endpoint={url}" for each in ("Blob", "Queue", "Table")))
        yield azure_stores(StorageConnection(";".join(parts)), secrets_key=SECRETS_KEY)
        server.shutdown()


@pytest.mark.parametrize("refusing", [(409, "ContainerBeingDeleted"), (409, ""), (404, "ContainerNotFound")], indirect=True)
def test_a_blob_that_could_not_be_put_is_not_taken_for_there(refusing: Stores) -> None:
    with pytest.raises(Busy):
        refusing.blobs.put("name", b"content")


@pytest.mark.parametrize("refusing", [(404, "QueueNotFound")], indirect=True)
def test_a_queue_that_cannot_be_created_yet_is_busy(refusing: Stores) -> None:
    with pytest.raises(Busy):
        refusing.queues.send("sync-incoming", "text")


def test_a_large_blob_that_several_put_at_once_is_there_for_all(on_azurite: Stores) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: on_azurite.blobs.put("name", BytesIO(LARGE)), range(4)))
    assert sum(map(len, on_azurite.blobs.read("name"))) == len(LARGE)


def test_of_several_who_write_a_blob_at_once_those_who_lose_are_told_to_try_again(on_azurite: Stores) -> None:
    together = Barrier(3, timeout=60)

    def chunks() -> Iterator[bytes]:
        yield LARGE
        together.wait()

    def write(_: int) -> int | Busy:
        try:
            return on_azurite.blobs.write("name", chunks())
        except Busy as busy:
            return busy

    with ThreadPoolExecutor(3) as threads:
        outcomes = list(threads.map(write, range(3)))
    assert len(LARGE) in outcomes
    assert sum(map(len, on_azurite.blobs.read("name"))) == len(LARGE)
