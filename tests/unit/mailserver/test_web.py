"""The HTTP server itself: connections are kept, bodies come in every form, nonsense harms nobody."""

import http.client
import socket
from collections.abc import Iterator

import pytest

from local.mailserver.web import Reply, Request, WebServer


def _echo(request: Request) -> Reply:
    return Reply(200, [request.method.encode(), b" ", request.path.encode(), b" ", request.body])


@pytest.fixture
def server() -> Iterator[WebServer]:
    server = WebServer(_echo)
    server.start()
    yield server
    server.stop()


def test_a_connection_serves_many_requests(server: WebServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for number in range(3):
        connection.request("POST", f"/{number}", b"body")
        assert connection.getresponse().read() == f"POST /{number} body".encode()
        kept = connection.sock
        assert kept is not None
    connection.close()


def test_a_body_may_come_in_chunks(server: WebServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/", iter([b"one ", b"two"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert connection.getresponse().read() == b"POST / one two"
    connection.close()


def test_the_client_may_ask_to_close(server: WebServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/", headers={"Connection": "close"})
    response = connection.getresponse()
    assert response.getheader("Connection") == "close"
    response.read()
    connection.close()


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01\x00\r\n", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"", b"\r\n"]
)
def test_nonsense_ends_its_connection_only(server: WebServer, nonsense: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(nonsense)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1024) == b""
    test_a_connection_serves_many_requests(server)


def test_stopping_ends_open_connections() -> None:
    server = WebServer(_echo)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
        server.stop()
        while client.recv(1024):
            pass
