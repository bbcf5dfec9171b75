"""Fixtures of all tests: one Azurite, Dovecot and Exim per test process, each started when the first test asks for it."""

from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.dovecot import Dovecot
from tests.exim import Exim


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
