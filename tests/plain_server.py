"""A real mail server of Debian's as a plain process: free loopback ports, one folder, no daemon, no service.

`with Dovecot() as dovecot:` serves. Started by root it runs as `nobody`, since mail servers give nobody's mail to root: so one
configuration holds for every tester. Which server it is, and how it is configured, say the subclasses.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import pytest

from local.mailserver.tls import server_context

READY_WITHIN = 60.0
_GONE_WITHIN = 20.0
"""Who writes still, writes into the folder that is about to go."""
_ATTEMPTS = 5
"""A free port may be somebody else's by the time the server listens there."""


class ServerMissing(RuntimeError):
    """The server cannot be started; the message says why, and what to install."""


class PlainServer(ABC):
    """A server between `start` and `stop`; a context manager does both."""

    name: ClassVar[str]
    program: ClassVar[str]
    packages: ClassVar[str]
    """Of Debian, a space between two."""
    greetings: ClassVar[tuple[bytes, ...]]
    """One of them begins what it says first."""
    log_name: ClassVar[str]

    host = "127.0.0.1"

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        # The sockets in it have to have short names: a Unix socket takes 107 characters.
        self._directory = tempfile.TemporaryDirectory(prefix=f"{self.program}-", ignore_cleanup_errors=True)
        self.folder = Path(self._directory.name)

    @classmethod
    def installed(cls) -> str | None:
        """Its program. Debian keeps it where the search path of ordinary users does not lead."""
        return shutil.which(cls.program) or shutil.which(cls.program, path="/usr/sbin:/usr/local/sbin")

    @classmethod
    def installing(cls) -> str:
        return f"apt-get install --no-install-recommends {cls.packages}"

    @classmethod
    def needed(cls) -> None:
        """Skips the test that asks, with the reason, where the server is not installed."""
        if cls.installed() is None:
            pytest.skip(f"{cls.name} is not installed: {cls.installing()}")

    @abstractmethod
    def configure(self) -> None:
        """Writes the configuration into the folder, over the one that was there, for ports that are free now."""

    @abstractmethod
    def arguments(self) -> list[str]:
        """With which the program stays in the foreground and reads that configuration."""

    @property
    @abstractmethod
    def ports(self) -> Sequence[int]:
        """Those on which it greets whoever connects, in the clear."""

    @property
    def certificate_file(self) -> Path:
        """What a client has to trust; it is for `localhost` and 127.0.0.1."""
        return self.folder / "certificate.pem"

    @property
    def pid(self) -> int:
        """Of the process that leads all others of this server; they are in its session."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    @property
    def log(self) -> str:
        path = self.folder / self.log_name
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self) -> None:
        """Returns when it answers. Raises ServerMissing; nothing is left running then."""
        if (program := self.installed()) is None:
            raise ServerMissing(f"{self.name} is not installed: {self.installing()}")
        server_context(self.folder)
        for _ in range(_ATTEMPTS):
            self.configure()
            (self.folder / self.log_name).touch()
            for path in (self.folder, *self.folder.rglob("*")):
                self.own(path)
            self._process = self._launch(program)
            if self._answers():
                return
            self._end()
        raise ServerMissing(f"{self.name} did not start. Its log ends:\n{self.log[-2000:]}")

    def stop(self) -> None:
        self._end()
        self._directory.cleanup()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def own(self, path: Path) -> None:
        """Gives to the server what the tester made for it."""
        if os.geteuid() == 0:
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)

    def _launch(self, program: str) -> subprocess.Popen[bytes]:
        becoming = (self.owner.pw_uid, self.owner.pw_gid) if os.geteuid() == 0 else (None, None)
        with (self.folder / self.log_name).open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own arguments
                [program, *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=becoming[0],
                group=becoming[1],
                extra_groups=None if becoming[0] is None else (),
            )

    def _answers(self) -> bool:
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            if all(self._greets(port) for port in self.ports):
                return True
            time.sleep(0.05)
        return False

    def _greets(self, port: int) -> bool:
        try:
            with socket.create_connection((self.host, port), timeout=2) as one:
                return one.recv(200).startswith(self.greetings)
        except OSError:
            return False

    def _end(self) -> None:
        """The leader, and then those of its processes that serve somebody still."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        deadline = time.monotonic() + _GONE_WITHIN
        with suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(process.pid, signal.SIGTERM)
                time.sleep(0.02)


def free_ports(wanted: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(wanted)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
