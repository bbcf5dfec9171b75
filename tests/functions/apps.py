"""Sample function apps, written to a directory and run by the local host against Azurite."""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

from azure.storage.queue import QueueClient, TextBase64DecodePolicy, TextBase64EncodePolicy

from local.azurite import Azurite
from local.host import FunctionsHost
from local.host.storage import create_queue

PREAMBLE = """
import os, threading, time, typing
from pathlib import Path
import azure.functions as func

app = func.FunctionApp()
_writing = threading.Lock()
_records = Path(os.environ["RECORD"])  # read once: what runs on after its test has ended writes into no other one's

def record(text):
    with _writing, _records.open("a") as file:
        file.write(f"{text}\\n")
"""
QUICK: Mapping[str, object] = {"queues": {"maxPollingInterval": "00:00:00.2"}}


class SampleApp:
    """A function app in a directory of its own, with queue names of its own."""

    def __init__(
        self, directory: Path, azurite: Azurite, source: str, extensions: Mapping[str, object], **options: object
    ) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)
        (directory / "function_app.py").write_text(PREAMBLE + dedent(source))
        content = {"version": "2.0", "extensions": extensions, **options}
        (directory / "host.json").write_text(json.dumps(content))
        self._connection_string = azurite.connection_string
        self.queue_name = f"q-{uuid.uuid4().hex}"
        self._record = directory / "record.txt"
        self.environment = {
            "AzureWebJobsStorage": azurite.connection_string,
            "QUEUE": self.queue_name,
            "RECORD": str(self._record),
        }

    def host(self, **options: object) -> FunctionsHost:
        return FunctionsHost(self.directory, self.environment, port=0, **options)  # type: ignore[arg-type]  # as it takes them

    def records(self) -> list[str]:
        """What the functions recorded, in order."""
        return self._record.read_text().splitlines() if self._record.exists() else []

    def queue(self, suffix: str = "", *, encoded: bool = True) -> QueueClient:
        name = self.queue_name + suffix
        if not encoded:
            return QueueClient.from_connection_string(self._connection_string, name)
        return QueueClient.from_connection_string(
            self._connection_string,
            name,
            message_encode_policy=TextBase64EncodePolicy(),
            message_decode_policy=TextBase64DecodePolicy(),
        )

    def send(self, *texts: str) -> None:
        with self.queue() as queue:
            create_queue(queue)
            for text in texts:
                queue.send_message(text)

    def stored(self, suffix: str = "") -> list[str]:
        """Texts of the messages that are in the queue and visible."""
        with self.queue(suffix) as queue:
            create_queue(queue)
            return [message.content for message in queue.peek_messages(32)]

    def count(self, suffix: str = "") -> int:
        """Messages in the queue, invisible ones included."""
        with self.queue(suffix) as queue:
            create_queue(queue)
            return queue.get_queue_properties().approximate_message_count or 0


def eventually(condition: Callable[[], object], within: float = 60.0) -> None:
    """Waits until the condition holds; fails if it does not within the seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} seconds"
        time.sleep(0.05)
