"""Azurite, the mail server and the Functions host: three processes that run together and end together."""

import base64
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from local.azurite import Azurite
from local.processes import Child, ChildFailed

ROOT = Path(__file__).parents[2]
type Tell = Callable[[str], None]


class Machine:
    """Everything that the cloud and the mail provider would be, between `start` and `stop`.

    Storage is kept in memory: each start begins with nothing.
    """

    def __init__(self, logs: Path, settings: Mapping[str, str] | None = None, tell: Tell = lambda _: None) -> None:
        self.logs = logs
        self._settings = dict(settings or {})
        self._tell = tell
        self._running = ExitStack()
        self._host: Child | None = None

    def __enter__(self) -> Self:
        """Raises ChildFailed or AzuriteMissing, which say what to do."""
        with ExitStack() as undo:
            undo.push(self._running)
            self._tell("starting Azurite")
            self.azurite = self._running.enter_context(Azurite())
            self._tell("starting the mail server")
            self.mail_server = self._running.enter_context(self._mail_server())
            self._tell("starting the Functions host")
            self.start_host()
            undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._running.close()

    @property
    def host(self) -> Child:
        if self._host is None:
            raise ChildFailed("The Functions host was not started.")
        return self._host

    @property
    def base_url(self) -> str:
        return str(self.host.greeting["base_url"])

    @property
    def key(self) -> str:
        return str(self.host.greeting["key"])

    @property
    def master_key(self) -> str:
        return str(self.host.greeting["master_key"])

    @property
    def children(self) -> Mapping[str, int]:
        """Process ids by name."""
        return {"Azurite": self.azurite.pid, self.mail_server.name: self.mail_server.pid, self.host.name: self.host.pid}

    @property
    def ews_url(self) -> str:
        return str(self.mail_server.greeting["ews_url"])

    @property
    def control_url(self) -> str:
        return str(self.mail_server.greeting["control_url"])

    @property
    def smtp_port(self) -> int:
        return int(str(self.mail_server.greeting["smtp_port"]))

    @property
    def pop3_port(self) -> int:
        return int(str(self.mail_server.greeting["pop3_port"]))

    def start_host(self) -> None:
        """Starts the host, again if it was ended; storage and mail are as they were."""
        command = (sys.executable, "-m", "local.host", "--app", str(ROOT), "--no-settings", "--port", "0", "--json")
        environment = self._environment()
        self._host = Child("the Functions host", command, self.logs / "host.log", environment)
        self._running.enter_context(self._host)

    def _mail_server(self) -> Child:
        command = (sys.executable, "-m", "local.mailserver", "--ews-port", "0", "--smtp-port", "0")
        return Child("the mail server", command, self.logs / "mailserver.log")

    def _environment(self) -> Mapping[str, str]:
        if "SIDESYNC_SECRETS_KEY" not in self._settings:
            self._settings["SIDESYNC_SECRETS_KEY"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        return {
            "AzureWebJobsStorage": self.azurite.connection_string,
            "SIDESYNC_ALLOW_LOCAL_SERVERS": "true",
            "FUNCTIONS_WORKER_RUNTIME": "python",
            # A failed message is tried again soon: the demo waits for its poison queue.
            "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
            "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:01",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", "")))),
            **self._settings,
        }
