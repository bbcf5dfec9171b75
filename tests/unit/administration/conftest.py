import pytest

from tests.unit.administration.office import Office


@pytest.fixture
def office() -> Office:
    return Office()
