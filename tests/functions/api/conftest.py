import pytest

from tests.functions.api.over_memory import Api


@pytest.fixture
def api() -> Api:
    return Api()
