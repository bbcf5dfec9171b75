"""What the host answers over HTTP: the functions under the route prefix, and the admin endpoints for the master key.

`POST /admin/functions/<name>` with {"input": "..."} runs a timer or queue function at once, as in the real host.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from urllib.parse import parse_qsl, urlsplit

from local.host.calls import HttpCall, HttpReply, LoadedFunction, Outcome
from local.host.http import Request
from local.host.keys import Keys
from local.host.routes import Route, find_route

log = logging.getLogger(__name__)


class FrontEnd:
    def __init__(
        self,
        functions: Sequence[LoadedFunction],
        routes: Sequence[Route],
        prefix: str,
        keys: Keys,
        invoke: Callable[[LoadedFunction, HttpCall], Future[Outcome]],
        trigger: Callable[[str, str], None],
    ) -> None:
        """`trigger` runs the function of a name with an input and waits for nothing; it raises KeyError, ValueError."""
        self._functions = {function.name: function for function in functions}
        self._routes = routes
        self._prefix = f"/{prefix}/" if prefix else "/"
        self._keys = keys
        self._invoke = invoke
        self._trigger = trigger

    def answer(self, request: Request) -> HttpReply:
        path, query = _path_and_query(request.target)
        key = request.header("x-functions-key") or query.get("code")
        if path.lower().startswith("/admin/"):
            return self._admin(request, path[len("/admin/") :], key)
        if path in ("", "/") and self._prefix != "/":
            return _json(200, {"state": "running"})
        found = find_route(self._routes, request.method, path[len(self._prefix) :]) if self._covers(path) else None
        if found is None:
            return HttpReply(404)
        route, parameters = found
        return self._run(self._functions[route.function], request, query, parameters, key)

    def _covers(self, path: str) -> bool:
        return f"{path}/".lower().startswith(self._prefix.lower())

    def _run(
        self,
        function: LoadedFunction,
        request: Request,
        query: Mapping[str, str],
        parameters: Mapping[str, str],
        key: str | None,
    ) -> HttpReply:
        if not self._keys.allow(function.trigger.text("authLevel", "function").lower(), key):
            return HttpReply(401)
        url = f"http://{request.header('host') or 'localhost'}{request.target}"
        call = HttpCall(request.method, url, request.headers, query, parameters, request.body)
        try:
            outcome = self._invoke(function, call).result()
        except CancelledError:
            return HttpReply(503)
        if outcome.error is not None:
            return HttpReply(500)
        return outcome.reply or HttpReply(204)

    def _admin(self, request: Request, path: str, key: str | None) -> HttpReply:
        if path.lower() == "host/ping":
            return HttpReply(200)
        if not self._keys.allow("admin", key):
            return HttpReply(401)
        match path.split("/"), request.method:
            case ["host", "status"], "GET":
                return _json(200, {"state": "Running"})
            case ["functions"], "GET":
                return _json(200, [_described(function) for function in self._functions.values()])
            case ["functions", name], "GET" if name in self._functions:
                return _json(200, _described(self._functions[name]))
            case ["functions", name], "POST":
                return self._run_now(name, request.body)
        return HttpReply(404)

    def _run_now(self, name: str, body: bytes) -> HttpReply:
        try:
            content = json.loads(body or b"{}")
            self._trigger(name, str(content.get("input") or ""))
        except KeyError:
            return HttpReply(404)
        except (ValueError, AttributeError) as error:
            return _json(400, {"message": str(error)})
        return HttpReply(202)


def _path_and_query(target: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(target if target.startswith("/") else f"/{target}")
    return parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))


def _described(function: LoadedFunction) -> dict[str, object]:
    bindings = [function.trigger, *function.outputs.values()]
    return {"name": function.name, "language": "python", "config": {"bindings": [dict(binding.fields) for binding in bindings]}}


def _json(status: int, content: object) -> HttpReply:
    return HttpReply(status, [("Content-Type", "application/json; charset=utf-8")], json.dumps(content).encode())
