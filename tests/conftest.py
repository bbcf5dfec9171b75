"""Fixtures of all tests: one Azurite and one Dovecot per test process, each started when the first test asks for it."""

from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.dovecot import Dovecot, needs_dovecot


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with Azurite() as running:
        yield running


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    needs_dovecot()
    with Dovecot() as running:
        yield running
