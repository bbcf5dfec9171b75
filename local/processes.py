"""Child processes: started, waited for until they are ready, stopped cleanly. Knows nothing of what they do.

A child says that it is ready by printing one JSON object on a line of its own; everything else it prints goes to its log
file. Children are shielded from the terminal's Ctrl-C: their parent stops them, in its own order.
"""

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_LOG_TAIL = 2_000


type _Greetings = queue.Queue[Mapping[str, object] | None]
"""What the child said when it was ready; None when it said no more."""


class ChildFailed(Exception):
    """A child ended, or said nothing, before it was ready. The message carries the end of its log."""


class Child:
    """A child process between `start` and `stop`; a context manager does both.

    `greeting` is the JSON object with which it said that it is ready.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        ready_within: float = 60.0,
    ) -> None:
        self.name = name
        self.log = log
        self.greeting: Mapping[str, object] = {}
        self._command = list(command)
        self._environment = dict(environment or {})
        self._ready_within = ready_within
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Returns when the child has said that it is ready; one that has ended may be started again.

        Raises ChildFailed; nothing is left running then.
        """
        greetings: _Greetings = queue.Queue()
        mode = "w" if self._process is None else "a"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(  # noqa: S603 - the commands are ours
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | self._environment,
            start_new_session=True,
        )
        self._reader = threading.Thread(
            target=self._read, args=(self._process, mode, greetings), name=f"log of {self.name}", daemon=True
        )
        self._reader.start()
        try:
            self._wait_until_ready(greetings)
        except BaseException:
            self.kill()
            raise

    def stop(self, patience: float = 20.0) -> int | None:
        """Asks the child to end, and ends it and what it started if it has not by then. Returns its exit status."""
        if self._process is None:
            return None
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._signal_group(signal.SIGKILL)
        return self._reap()

    def kill(self) -> int | None:
        """Ends the child, and whatever it started, at once: what a power cut does."""
        if self._process is None:
            return None
        self._signal_group(signal.SIGKILL)
        return self._reap()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def log_tail(self) -> str:
        with suppress(OSError):
            return self.log.read_text("utf-8", "replace")[-_LOG_TAIL:].strip()
        return ""

    def _read(self, process: subprocess.Popen[str], mode: str, greetings: _Greetings) -> None:
        greeted = False
        with self.log.open(mode, encoding="utf-8") as log:
            for line in process.stdout or ():
                log.write(line)
                log.flush()
                if not greeted and (greeting := _as_object(line)) is not None:
                    greeted = True
                    greetings.put(greeting)
        greetings.put(None)

    def _wait_until_ready(self, greetings: _Greetings) -> None:
        try:
            greeting = greetings.get(timeout=self._ready_within)
        except queue.Empty:
            raise ChildFailed(
                f"{self.name} was not ready after {self._ready_within:.0f} s. Its log ends:\n{self.log_tail()}"
            ) from None
        if greeting is None:
            raise ChildFailed(f"{self.name} ended before it was ready. Its log ({self.log}) ends:\n{self.log_tail()}")
        self.greeting = greeting

    def _reap(self) -> int:
        process = self._started()
        status = process.wait()
        if self._reader is not None:
            self._reader.join(5)
            if process.stdout is not None and not self._reader.is_alive():
                process.stdout.close()
        return status

    def _signal_group(self, number: signal.Signals) -> None:
        process = self._started()
        if process.returncode is None:  # once it is reaped its number may be somebody else's
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise ChildFailed(f"{self.name} was not started.")
        return self._process


def _as_object(line: str) -> Mapping[str, object] | None:
    if not line.startswith("{"):
        return None
    with suppress(ValueError):
        value = json.loads(line)
        return value if isinstance(value, dict) else None
    return None
