"""Real servers as the tests start them end cleanly, and say what is missing where they cannot start."""

import os
import socket
import time
from contextlib import suppress

import pytest

from tests.dovecot import Dovecot
from tests.exim import Exim
from tests.plain_server import PlainServer, ServerMissing


@pytest.fixture(params=[Dovecot, Exim])
def kind(request: pytest.FixtureRequest) -> type[PlainServer]:
    kind: type[PlainServer] = request.param
    return kind


def test_nothing_is_left_when_it_ends_not_even_of_who_is_connected(kind: type[PlainServer]) -> None:
    kind.needed()
    with kind() as server:
        pid, folder = server.pid, server.folder
        with socket.create_connection((server.host, server.ports[0])) as connected:
            assert connected.recv(100)
            assert len(processes_of(pid)) > 1
            server.stop()
    ended_by = time.monotonic() + 60  # the one that writes the log ends a moment after all others
    while processes_of(pid) and time.monotonic() < ended_by:
        time.sleep(0.05)
    assert processes_of(pid) == []
    assert not folder.exists()


def processes_of(session: int) -> list[int]:
    """Those that were started by the one that leads the session."""
    found = []
    for pid in (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()):
        with suppress(OSError):  # it has ended since
            if os.getsid(pid) == session:
                found.append(pid)
    return found


def test_where_it_is_not_installed_it_says_what_to_install(kind: type[PlainServer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "program", "not-installed")
    with pytest.raises(ServerMissing, match="apt-get install"), kind():
        pass
    with pytest.raises(pytest.skip.Exception, match="apt-get install"):
        kind.needed()
