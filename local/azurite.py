"""Azurite, the emulator of Azure Storage: started on free ports, waited for until it listens, stopped with its owner.

`with Azurite() as azurite:` keeps everything in memory; with a folder what is stored outlives the process.
"""

import atexit
import os
import queue
import re
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from local.node import NodeMissing, node

_ENTRY = Path(__file__).parents[1] / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
_LISTENING = re.compile(r"Azurite (\w+) service is successfully listening at (http://\S+)")
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The well-known key of every emulator; it protects nothing."""


class AzuriteMissing(RuntimeError):
    """Azurite cannot be started; the message says what to install."""


class Azurite:
    """An emulator between `start` and `stop`; a context manager does both.

    `ports` are those of blobs, queues and tables; 0 is any free one. `folder` None keeps everything in memory.
    """

    def __init__(self, folder: Path | None = None, ports: tuple[int, int, int] = (0, 0, 0), ready_within: float = 60.0) -> None:
        self._folder = folder
        self._ports = ports
        self._ready_within = ready_within
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._endpoints: dict[str, str] = {}

    @property
    def connection_string(self) -> str:
        parts = {"DefaultEndpointsProtocol": "http", "AccountName": _ACCOUNT, "AccountKey": _KEY, **self.endpoints}
        return "".join(f"{name}={value};" for name, value in parts.items())

    @property
    def endpoints(self) -> Mapping[str, str]:
        """BlobEndpoint, QueueEndpoint and TableEndpoint."""
        return {f"{service}Endpoint": f"{url}/{_ACCOUNT}" for service, url in sorted(self._endpoints.items())}

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("Azurite was not started")
        return self._process.pid

    def start(self) -> None:
        """Returns when all three services listen. Raises AzuriteMissing; nothing is left running then."""
        self._process = subprocess.Popen(  # noqa: S603 - our own arguments
            self._command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        atexit.register(self.stop)
        self._reader = threading.Thread(target=self._read, args=(self._process,), name="log of Azurite", daemon=True)
        self._reader.start()
        try:
            self._wait_until_listening()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the process, gently if it listens to that."""
        process, self._process = self._process, None
        if process is None:
            return
        atexit.unregister(self.stop)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join(5)
        if process.stdout is not None:
            process.stdout.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _command(self) -> list[str]:
        blob, queues, table = (str(port) for port in self._ports)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        where = ["--inMemoryPersistence"] if self._folder is None else ["--location", str(self._folder)]
        ports = ["--blobPort", blob, "--queuePort", queues, "--tablePort", table]
        # Azurite closes idle connections after five seconds, just when a poll wants to use one again.
        patience = ["--blobKeepAliveTimeout", "120", "--queueKeepAliveTimeout", "120", "--tableKeepAliveTimeout", "120"]
        quiet = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        return [_node(), str(_entry()), *quiet, *where, *ports, *patience]

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self._lines.put(line)
        self._lines.put(None)

    def _wait_until_listening(self) -> None:
        deadline = time.monotonic() + self._ready_within
        said: list[str] = []
        while len(self._endpoints) < 3:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AzuriteMissing(f"Azurite did not start. It said:\n{''.join(said[-20:]).strip()}")
            said.append(line)
            if found := _LISTENING.search(line):
                self._endpoints[found[1]] = found[2]


def _entry() -> Path:
    entry = Path(os.environ.get("SIDESYNC_AZURITE", _ENTRY))
    if not entry.is_file():
        raise AzuriteMissing(
            f"Azurite is missing ({entry}): run `make setup`, which installs it with npm,"
            " or set SIDESYNC_AZURITE to the azurite.js of another installation."
        )
    return entry


def _node() -> str:
    try:
        return node()
    except NodeMissing as error:
        raise AzuriteMissing(str(error)) from error
