"""What a server offers to sign in with is asked once, and again when it may have changed."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from local.mailserver import MailServer
from shared.connectors.exchange.detection import Detection
from shared.domain.choices import AuthenticationProtocol

SECONDS = timedelta(seconds=5)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer(schemes=("ntlm", "basic")) as running:
        yield running


def test_what_is_found_is_good_for_an_hour(server: MailServer) -> None:
    clock = Clock()
    detection = Detection(allow_local_servers=True, seconds=clock)
    for moment, asked in ((0, 1), (3599, 1), (3601, 2), (7200, 2)):
        clock.now = moment
        assert detection.at(server.ews_url, SECONDS) is AuthenticationProtocol.NTLM
        assert len(server.requests) == asked


def test_what_is_doubted_is_asked_again(server: MailServer) -> None:
    detection = Detection(allow_local_servers=True)
    detection.at(server.ews_url, SECONDS)
    detection.doubt("https://elsewhere.example/EWS/Exchange.asmx")
    detection.at(server.ews_url, SECONDS)
    assert len(server.requests) == 1
    detection.doubt(server.ews_url)
    detection.at(server.ews_url, SECONDS)
    assert len(server.requests) == 2
