import pytest

from tests.unit.admin.command_line import Deployment


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()
