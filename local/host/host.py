"""The host put together: settings, storage, worker, listeners and HTTP, started in order and stopped with patience.

Knows every other part of `local.host` and decides nothing about the semantics of a trigger itself.
"""

import base64
import hashlib
import logging
import os
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from azure.core.exceptions import AzureError, ResourceExistsError

from local.host import keys as host_keys
from local.host import queues, timers
from local.host.calls import Call, LoadedFunction, Outcome, QueueCall
from local.host.configuration import read_host_json
from local.host.crontab import Crontab, parse_crontab
from local.host.errors import HostError
from local.host.frontend import FrontEnd
from local.host.http import HttpServer
from local.host.queues import QueueListener
from local.host.routes import Route, parse_route
from local.host.settings import app_environment, read_local_settings, resolve
from local.host.storage import Storage, open_storage, send
from local.host.timers import TimerListener
from local.host.worker import Worker

STORAGE = "AzureWebJobsStorage"
_TRIGGERS = ("httpTrigger", "queueTrigger", "timerTrigger")
_OUTPUTS = ("http", "queue")

log = logging.getLogger(__name__)


class FunctionsHost:
    """Runs the function app of a directory: `with FunctionsHost(app_dir, environment) as host: host.base_url`.

    Only one at a time in a process: the app's settings become the environment, and the worker library is one per process.
    """

    def __init__(
        self,
        app_dir: Path,
        environment: Mapping[str, str] | None = None,
        *,
        settings: Path | None = None,
        port: int | None = None,
        grace: timedelta = timedelta(seconds=30),
        message_lease: timedelta = queues.LEASE,
    ) -> None:
        """`settings` is a file such as local.settings.json; without one none is read, not even the app's own. `environment`
        wins over the process's own, that over the file. `port` None is the file's, else 7071; 0 is any free one. `grace` is
        how long a stop waits for running functions."""
        self.app_dir = app_dir.resolve()
        self._given = dict(environment or {})
        self._settings_file = settings
        self._asked_port = port
        self._grace = grace
        self._message_lease = message_lease
        self._cleanup = ExitStack()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.port}"

    @property
    def key(self) -> str:
        """Opens functions of level function: header `x-functions-key`, or `?code=`."""
        return self._keys.function

    @property
    def master_key(self) -> str:
        """Opens everything, the admin endpoints included."""
        return self._keys.master

    @property
    def host_id(self) -> str:
        """Names this host's status blobs, locks and keys in storage."""
        return self._host_id

    @property
    def functions(self) -> Sequence[LoadedFunction]:
        return self._worker.functions

    @property
    def urls(self) -> Mapping[str, str]:
        """Where the HTTP functions are, by name."""
        prefix = f"{self.base_url}/{self._options.route_prefix}".rstrip("/")
        return {route.function: f"{prefix}/{route.template}" for route in self._routes}

    def __enter__(self) -> Self:
        """Raises HostError, saying what to do about it."""
        with ExitStack() as undo:
            undo.push(self._cleanup)
            self._start()
            undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> bool:
        """Fetches and accepts nothing more, waits for what is running, then gives back what is not finished: its queue
        messages are visible again. Returns whether everything had finished within the grace period."""
        self._http.stop_accepting()
        for listener in self._listeners:
            listener.stop()
        finished = self._wait_idle(time.monotonic() + self._grace.total_seconds())
        if not finished:
            log.warning("functions_abandoned", extra={"grace_seconds": self._grace.total_seconds()})
            self._worker.abandon()
        for listener in self._listeners:
            listener.close()
        self._http.close()
        self._cleanup.close()
        return finished

    def trigger(self, name: str, text: str = "") -> Future[Outcome]:
        """Runs a timer or queue function now, outside its listener. Raises KeyError for an unknown name, ValueError for an
        HTTP function."""
        function = next((function for function in self.functions if function.name == name), None)
        if function is None:
            raise KeyError(name)
        return self._invoke(function, self._call_now(function, text))

    def _start(self) -> None:
        settings = read_local_settings(self._settings_file)
        environment = app_environment(settings, self._given)
        self._options = read_host_json(self.app_dir, environment)
        self._http = HttpServer(self._port(settings.port), lambda request: self._front_end.answer(request))
        self._cleanup.callback(self._http.server_close)
        self._environment = environment
        self._storages: dict[str, Storage] = {}
        storage = self._storage(STORAGE)
        self._host_id = _host_id(environment, self.app_dir)
        self._prepare(storage)
        self._cleanup.enter_context(_environment_of(environment))
        self._worker = Worker(self.app_dir, self._options.function_timeout, self._send_outputs)
        self._cleanup.callback(self._worker.close)
        self._bind()
        self._front_end = FrontEnd(
            self.functions, self._routes, self._options.route_prefix, self._keys, self._invoke, self._trigger_quietly
        )
        for listener in self._listeners:
            listener.start()
        self._http.start()

    def _port(self, configured: int | None) -> int:
        if self._asked_port is not None:
            return self._asked_port
        return 7071 if configured is None else configured

    def _storage(self, connection: str) -> Storage:
        name = connection or STORAGE
        if name not in self._storages:
            self._storages[name] = open_storage(name, self._environment)
            self._cleanup.callback(self._storages[name].close)
        return self._storages[name]

    def _prepare(self, storage: Storage) -> None:
        try:
            for container in (timers.CONTAINER, host_keys.CONTAINER):
                try:
                    storage.blobs.create_container(container)
                except ResourceExistsError:
                    continue
            self._keys = host_keys.stored_keys(storage.blobs, self._host_id)
        except AzureError as error:
            raise HostError(f"The blobs of {STORAGE} cannot be used: {error}") from error

    def _bind(self) -> None:
        """A listener or a route for every function that is not disabled. Raises HostError for what has none here."""
        self._listeners: list[TimerListener | QueueListener] = []
        self._routes: list[Route] = []
        for function in self.functions:
            _check_bindings(function)
            if self._is_disabled(function):
                log.warning("function_disabled", extra={"function": function.name})
                continue
            match function.trigger.type:
                case "timerTrigger":
                    self._listeners.append(self._timer(function))
                case "queueTrigger":
                    self._listeners.append(self._queue(function))
                case _:
                    self._routes.append(_route(function))

    def _is_disabled(self, function: LoadedFunction) -> bool:
        return self._environment.get(f"AzureWebJobs.{function.name}.Disabled", "false").lower() in ("true", "1")

    def _timer(self, function: LoadedFunction) -> TimerListener:
        return TimerListener(
            function.name,
            self._schedule(function),
            self._storage(STORAGE).blobs,
            self._host_id,
            lambda call: self._invoke(function, call),
            run_on_startup=function.trigger.text("runOnStartup").lower() == "true",
            lock=self._options.listener_lock,
            lock_recovery=self._options.listener_lock_recovery,
        )

    def _schedule(self, function: LoadedFunction) -> Crontab:
        text = resolve(function.trigger.text("schedule"), self._environment)
        try:
            schedule = parse_crontab(text)
            schedule.next_after(datetime.now(UTC))
        except ValueError as error:
            raise HostError(f"Function {function.name} has no valid schedule: {error}.") from error
        return schedule

    def _queue(self, function: LoadedFunction) -> QueueListener:
        storage = self._storage(function.trigger.text("connection"))
        name = resolve(function.trigger.text("queueName"), self._environment).lower()
        poison = None if name.endswith(queues.POISON) else storage.queue(name + queues.POISON)
        return QueueListener(
            storage.queue(name), poison, self._options.queues, lambda call: self._invoke(function, call), self._message_lease
        )

    def _invoke(self, function: LoadedFunction, call: Call) -> Future[Outcome]:
        started = time.perf_counter()
        future = self._worker.invoke(function, call)
        future.add_done_callback(lambda done: _log_end(function, done, time.perf_counter() - started))
        return future

    def _send_outputs(self, function: LoadedFunction, outcome: Outcome) -> None:
        """Sends what the function put into its queue outputs. Raises AzureError, which fails the invocation."""
        for name, messages in outcome.messages.items():
            output = function.outputs[name]
            queue = self._storage(output.text("connection")).queue(resolve(output.text("queueName"), self._environment))
            for message in messages:
                send(queue, self._encoded(message))

    def _encoded(self, message: str | bytes) -> str:
        if self._options.queues.base64:
            return base64.b64encode(message.encode() if isinstance(message, str) else message).decode()
        return message if isinstance(message, str) else message.decode()

    def _trigger_quietly(self, name: str, text: str) -> None:
        self.trigger(name, text)

    def _call_now(self, function: LoadedFunction, text: str) -> Call:
        now = datetime.now(UTC)
        match function.trigger.type:
            case "timerTrigger":
                return timers.timer_call(timers.first_status(self._schedule(function), now), past_due=False)
            case "queueTrigger":
                metadata = {"Id": str(uuid.uuid4()), "DequeueCount": "1", "InsertionTime": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
                return QueueCall(text, metadata)
        raise ValueError(f"{function.name} is an HTTP function: call it at {self.urls.get(function.name, 'its URL')}")

    def _wait_idle(self, deadline: float) -> bool:
        waits: list[Callable[[float], bool]] = [self._http.wait_idle]
        waits += [listener.wait_idle for listener in self._listeners]
        waits.append(self._worker.wait_idle)
        return all([wait(max(0.0, deadline - time.monotonic())) for wait in waits])  # noqa: C419 - each gets its turn


def _check_bindings(function: LoadedFunction) -> None:
    """Raises HostError for a kind of binding that exists in Azure but not here."""
    if function.trigger.type not in _TRIGGERS:
        raise HostError(f"Function {function.name} has a {function.trigger.type}; the local host runs {', '.join(_TRIGGERS)}.")
    for output in function.outputs.values():
        if output.type not in _OUTPUTS:
            raise HostError(
                f"Function {function.name} has an output {output.type}; the local host sends {', '.join(_OUTPUTS)}."
            )


def _route(function: LoadedFunction) -> Route:
    methods = function.trigger.fields.get("methods")
    template = function.trigger.text("route", function.name)
    try:
        return parse_route(function.name, template, map(str, methods if isinstance(methods, list) else ()))
    except ValueError as error:
        raise HostError(f"Function {function.name}: {error}.") from error


def _host_id(environment: Mapping[str, str], app_dir: Path) -> str:
    """Names status blobs, locks and keys: from the setting that the real host has for it, else from machine and directory."""
    if given := environment.get("AzureFunctionsWebHost__hostid"):
        return given.lower()
    machine = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower()).strip("-")[:20]
    return f"{machine}-{hashlib.sha256(str(app_dir).encode()).hexdigest()[:8]}".lstrip("-")


@contextmanager
def _environment_of(environment: Mapping[str, str]) -> Iterator[None]:
    """The app's settings as the environment of this process, for as long as the host runs."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _log_end(function: LoadedFunction, future: Future[Outcome], seconds: float) -> None:
    fields: dict[str, object] = {"function": function.name, "ms": round(seconds * 1000)}
    if future.cancelled():
        log.warning("function_abandoned", extra=fields)
        return
    outcome = future.result()
    if outcome.error is None:
        level = logging.DEBUG if function.trigger.type == "httpTrigger" else logging.INFO
        log.log(level, "function_succeeded", extra=fields)
    else:
        log.error("function_failed", extra={**fields, "error": outcome.error, "traceback": outcome.traceback})
