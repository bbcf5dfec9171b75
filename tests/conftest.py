"""Fixtures of all tests: one Azurite, Dovecot and Exim per test process, each started when the first test asks for it.

And what holds for every test with made-up examples: a slow machine is no failure, so none of them has a deadline.
"""

import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from local.azurite import Azurite
from tests.dovecot import Dovecot
from tests.exim import Exim

# A profile that is named on the command line takes its place: that one has no deadline either.
settings.register_profile("sidesync", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sidesync")


@pytest.fixture(scope="session")
def closed_port() -> Iterator[int]:
    """On 127.0.0.1, where nobody listens. It stays bound: a port that is merely free may be another's a moment later."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with Azurite() as running:
        yield running


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    Dovecot.needed()
    with Dovecot() as running:
        yield running


@pytest.fixture(scope="session")
def exim() -> Iterator[Exim]:
    Exim.needed()
    with Exim() as running:
        yield running
