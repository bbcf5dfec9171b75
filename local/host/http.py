"""The HTTP front end: a threaded HTTP/1.1 server on the loopback interface. Knows nothing of functions, routes or keys.

It hands whole requests to one callable and writes its reply. Bodies up to 100 MB, as in the real host.
"""

import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local.host.calls import HttpReply
from local.host.errors import HostError

MAX_BODY = 100 * 1024 * 1024
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY", "TRACE")
type _Accepted = socket.socket | tuple[bytes, socket.socket]
"""What the base class calls a request: for TCP always a socket."""

_WRITTEN_HERE = frozenset({"content-length", "transfer-encoding", "connection", "date", "server"})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    """Path and query as they came."""
    headers: dict[str, str]
    """Names as sent; several of one name are joined by a comma."""
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers.items() if key.lower() == name), None)


class HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, answer: Callable[[Request], HttpReply]) -> None:
        """Binds at once, serves after `start`. Raises HostError if the port is in use."""
        self._answer = answer
        self._open: set[socket.socket] = set()
        self._answering = 0
        self._stopping = False
        self._changed = threading.Condition()
        self._serving = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, name="http", daemon=True)
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise HostError(f"Port {port} cannot be used: {error.strerror}. Choose another one with --port.") from error

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def start(self) -> None:
        self._serving.start()

    def stop_accepting(self) -> None:
        """A request on a connection that is still open is answered with 503."""
        with self._changed:
            self._stopping = True
        if self._serving.is_alive():
            self.shutdown()

    def wait_idle(self, seconds: float) -> bool:
        """Whether all requests being answered ended within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._answering == 0, seconds)

    def close(self) -> None:
        """Closes the port and every connection, idle ones included, and waits for their threads."""
        self.server_close()
        with self._changed:
            for connection in self._open:
                _hang_up(connection)
            self._changed.wait_for(lambda: not self._open, 5)

    def answer(self, request: Request) -> HttpReply:
        with self._changed:
            if self._stopping:
                return HttpReply(HTTPStatus.SERVICE_UNAVAILABLE)
            self._answering += 1
        try:
            return self._answer(request)
        except Exception:
            log.exception("http_request_failed")
            return HttpReply(HTTPStatus.INTERNAL_SERVER_ERROR)
        finally:
            with self._changed:
                self._answering -= 1
                self._changed.notify_all()

    def process_request_thread(self, request: _Accepted, client_address: object) -> None:
        connection = request if isinstance(request, socket.socket) else request[1]
        with self._changed:
            self._open.add(connection)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                self._open.discard(connection)
                self._changed.notify_all()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base class's signature
        log.debug("http_connection_broken", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Sidesync-local"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    timeout = 300
    server: HttpServer

    def respond(self) -> None:
        try:
            body = self._body()
        except _BadBody as error:
            self.close_connection = True
            self._write(HttpReply(error.status))
            return
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        self._write(self.server.answer(Request(self.command, self.path, headers, body)))

    def _body(self) -> bytes:
        """Raises _BadBody."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal():
            raise _BadBody(HTTPStatus.BAD_REQUEST)
        if int(length) > MAX_BODY:
            raise _BadBody(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise _BadBody(HTTPStatus.BAD_REQUEST)
        return body

    def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            try:
                size = int(self.rfile.readline(1024).split(b";")[0], 16)
            except ValueError as error:
                raise _BadBody(HTTPStatus.BAD_REQUEST) from error
            if size < 0 or len(body) + size > MAX_BODY:
                raise _BadBody(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            body += self.rfile.read(size)
            if size:
                self.rfile.readline(1024)
                continue
            while self.rfile.readline(65537).strip():
                pass  # trailers
            return bytes(body)

    def _write(self, reply: HttpReply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers:
            if name.lower() not in _WRITTEN_HERE:
                self.send_header(name, value)
        if reply.status >= 200 and reply.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and reply.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            self.wfile.write(reply.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: request lines may carry a key."""


for _method in METHODS:
    setattr(_Handler, f"do_{_method}", _Handler.respond)


class _BadBody(Exception):
    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is gone already
