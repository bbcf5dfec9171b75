"""Microsoft's own Python worker library, in process: loads an app as the real worker does, and invokes its functions.

The only module that knows azure-functions-runtime. `native_invocation` is not documented, hence the pinned version. The
library keeps its registry and thread pool in module globals: one worker per process.
"""

import asyncio
import importlib
import importlib.metadata
import json
import sys
import threading
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, wait
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from local.host import protos
from local.host.calls import Binding, Call, HttpCall, HttpReply, LoadedFunction, Outcome, QueueCall, TimerCall
from local.host.errors import HostError

LIBRARY = "azure-functions-runtime"
VERSION = "1.3.0"

_one_worker = threading.Lock()


class Worker:
    """An app that is loaded. Close it when done; `abandon` first where functions are still running."""

    def __init__(
        self, app_dir: Path, function_timeout: timedelta | None, send: Callable[[LoadedFunction, Outcome], None]
    ) -> None:
        """`send` delivers a function's queue outputs; what it raises fails the invocation.
        Raises HostError, with the worker's own words where it refuses the app."""
        _check_version()
        if not _one_worker.acquire(blocking=False):
            raise HostError("Another functions host runs in this process already; the worker library allows one.")
        self._app_dir = str(app_dir)
        self._send = send
        self._timeout = function_timeout.total_seconds() if function_timeout else None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="worker-loop", daemon=True)
        self._thread.start()
        self._running: set[Future[Outcome]] = set()
        try:
            self.functions = self._load()
        except BaseException:
            self.close()
            raise

    def invoke(self, function: LoadedFunction, call: Call) -> Future[Outcome]:
        """Runs the function in the worker's thread pool, or on its event loop where it is async.

        One that takes longer than functionTimeout has failed. The real host then starts a new process; here its thread
        runs on.
        """
        future = asyncio.run_coroutine_threadsafe(self._invoke(function, call), self._loop)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    def wait_idle(self, seconds: float) -> bool:
        """Whether everything that was invoked ended within the time."""
        return not wait(list(self._running), seconds).not_done

    def abandon(self) -> None:
        """Cancels what has not finished. A thread cannot be stopped: it runs on, but nobody waits for its outcome."""
        for future in list(self._running):
            future.cancel()

    def close(self) -> None:
        """Ends the worker's loop and threads; waits only for threads that nobody abandoned."""
        from azure_functions_runtime.utils import threadpool

        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        if (executor := threadpool.get_threadpool_executor()) is not None:
            executor.shutdown(wait=False, cancel_futures=True)
        if self._app_dir in sys.path:
            sys.path.remove(self._app_dir)
        sys.modules.pop("function_app", None)
        _one_worker.release()

    async def _invoke(self, function: LoadedFunction, call: Call) -> Outcome:
        try:
            outcome = await asyncio.wait_for(_invoke(function, call), self._timeout)
        except TimeoutError:
            return Outcome(error=f"the function took longer than functionTimeout ({self._timeout:g} s)")
        if outcome.messages:
            try:
                await asyncio.to_thread(self._send, function, outcome)
            except Exception as error:  # noqa: BLE001 - whatever keeps an output from being sent fails the invocation
                return Outcome(error=f"an output could not be sent: {error!r}")
        return outcome

    def _load(self) -> Sequence[LoadedFunction]:
        import azure_functions_runtime as runtime

        sys.modules.pop("function_app", None)
        importlib.invalidate_caches()
        sys.path.insert(0, self._app_dir)
        request = SimpleNamespace(
            request=SimpleNamespace(worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=self._app_dir)),
            properties={"host": "127.0.0.1", "protos": protos},
        )
        result = self._wait(runtime.worker_init_request(request)).result
        if result.exception is not None:
            raise HostError(
                f"The app in {self._app_dir} does not load: {result.exception.message}\n{result.exception.stack_trace}"
            )
        found = self._wait(runtime.functions_metadata_request(request)).function_metadata_results
        if not found:
            raise HostError(f"There is no function in {self._app_dir}/function_app.py.")
        runtime.start_threadpool_executor()
        return [_loaded(metadata) for metadata in found]

    def _wait[T](self, coroutine: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def _check_version() -> None:
    try:
        installed = importlib.metadata.version(LIBRARY)
    except importlib.metadata.PackageNotFoundError as error:
        raise HostError(f"{LIBRARY} is not installed: pip install -r requirements-dev.txt") from error
    if installed != VERSION:
        raise HostError(f"{LIBRARY} {installed} is installed, the local host is written for {VERSION}.")


def _loaded(metadata: protos.RpcFunctionMetadata) -> LoadedFunction:
    trigger: Binding | None = None
    outputs: dict[str, Binding] = {}
    for raw in metadata.raw_bindings:
        fields = json.loads(raw)
        binding = Binding(str(fields.get("name")), str(fields.get("type")), fields)
        if str(fields.get("direction", "")).upper() == "OUT":
            outputs[binding.name] = binding
        elif binding.type.lower().endswith("trigger"):
            trigger = binding
        else:
            raise HostError(f"Function {metadata.name} has an input binding {binding.type}: the local host has none of these.")
    if trigger is None:
        raise HostError(f"Function {metadata.name} has no trigger.")
    return LoadedFunction(metadata.function_id, metadata.name, trigger, outputs)


async def _invoke(function: LoadedFunction, call: Call) -> Outcome:
    from azure_functions_runtime.native_invocation import invocation_request_native

    value, metadata = _incoming(call)
    ok, returned, outputs, error, traceback = await invocation_request_native(
        str(uuid.uuid4()), function.id, [(function.trigger.name, value)], metadata
    )
    if not ok:
        return Outcome(error=error or "unknown error", traceback=traceback or "")
    return _outcome(function, [("$return", returned), *outputs])


def _incoming(call: Call) -> tuple[Any, dict[str, Any]]:
    """A call in the library's own terms: the trigger's value, and the trigger metadata."""
    from azure_functions_runtime.bindings.datumdef import Datum

    def texts(values: Mapping[str, str]) -> dict[str, Any]:
        return {name: Datum(value, "string") for name, value in values.items()}

    match call:
        case TimerCall(json=text):
            return Datum(text, "json"), {}
        case QueueCall(body=body, metadata=metadata):
            return Datum(body, "string" if isinstance(body, str) else "bytes"), texts(metadata)
        case HttpCall():
            value = {
                "method": Datum(call.method, "string"),
                "url": Datum(call.url, "string"),
                "headers": texts(call.headers),
                "query": texts(call.query),
                "params": texts(call.route),
                "body": Datum(call.body, "bytes"),
            }
            return Datum(value, "http"), {}


def _outcome(function: LoadedFunction, results: Sequence[tuple[str, Any]]) -> Outcome:
    reply: HttpReply | None = None
    messages: dict[str, Sequence[str | bytes]] = {}
    for name, datum in results:
        binding = function.outputs.get(name)
        if binding is None or datum is None or datum.type is None:
            continue
        if binding.type == "http":
            reply = _reply(datum)
        elif binding.type == "queue":
            messages[name] = _messages(datum)
    return Outcome(reply=reply, messages=messages)


def _reply(datum: Any) -> HttpReply:  # noqa: ANN401 - the library has no types
    if datum.type != "http":
        body = datum.value if isinstance(datum.value, bytes) else str(datum.value).encode()
        return HttpReply(200, [("Content-Type", "text/plain; charset=utf-8")], body)
    value = datum.value
    headers = [(name, header.value) for name, header in value["headers"].items()]
    for cookie in value.get("cookies") or ():
        headers += [("Set-Cookie", morsel.OutputString()) for morsel in cookie.values()]
    return HttpReply(int(value["status_code"].value), headers, value["body"].value or b"")


def _messages(datum: Any) -> Sequence[str | bytes]:  # noqa: ANN401 - the library has no types
    """One message per element of a list, as the real host sends an output of a queue."""
    if datum.type == "json":
        content = json.loads(datum.value)
        elements = content if isinstance(content, list) else [content]
        return [element if isinstance(element, str) else json.dumps(element) for element in elements]
    return [datum.value if isinstance(datum.value, (str, bytes)) else json.dumps(datum.value)]
