"""Clients of the POP3 head: the standard library's, signed in."""

import poplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from local.mailserver import MailServer
from tests.unit.mailserver.conftest import ANNA

PASSWORD = "anna's password"


@contextmanager
def connected(server: MailServer) -> Iterator[poplib.POP3]:
    client = poplib.POP3("127.0.0.1", server.pop3_port, timeout=20)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def signed_in(server: MailServer, username: str = ANNA, password: str = PASSWORD) -> Iterator[poplib.POP3]:
    with connected(server) as client:
        client.user(username)
        client.pass_(password)
        yield client


def uidls(client: poplib.POP3) -> dict[int, str]:
    lines = [line.decode().split(" ") for line in client.uidl()[1]]
    return {int(number): uidl for number, uidl in lines}


def retrieved(client: poplib.POP3, number: int) -> bytes:
    return b"".join(line + b"\r\n" for line in client.retr(number)[1])


def refusal(call: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(poplib.error_proto) as refused:
        call(*arguments)
    (answer,) = refused.value.args
    return answer.decode() if isinstance(answer, bytes) else str(answer)
