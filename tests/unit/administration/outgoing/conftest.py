import pytest

from tests.unit.administration.outgoing.post_room import PostRoom


@pytest.fixture
def room() -> PostRoom:
    return PostRoom()
