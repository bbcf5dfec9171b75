import ssl
from collections.abc import Iterator

import pytest

from local.mailserver import MailServer
from tests.unit.mailserver.soap import SoapClient

ANNA = "anna@contoso.example"
BEN = "ben@contoso.example"


@pytest.fixture
def server() -> Iterator[MailServer]:
    """Two mailboxes with passwords, and a service account that may impersonate."""
    with MailServer() as server:
        server.add_mailbox(ANNA, "Anna Adler", password="anna's password")
        server.add_mailbox(BEN, "Ben Bauer", password="ben's password")
        server.add_account("service", "secret", impersonation=True)
        yield server


@pytest.fixture
def protected() -> Iterator[MailServer]:
    """It serves with TLS as well; Anna's mailbox has a password."""
    with MailServer(tls=True) as server:
        server.add_mailbox(ANNA, password="anna's password")
        yield server


def trusting(server: MailServer) -> ssl.SSLContext:
    """What a client needs to believe the server's certificate."""
    return ssl.create_default_context(cafile=str(server.certificate_file))


@pytest.fixture
def anna(server: MailServer) -> Iterator[SoapClient]:
    client = SoapClient(server, ANNA, "anna's password")
    yield client
    client.close()


@pytest.fixture
def service(server: MailServer) -> Iterator[SoapClient]:
    """The service account, impersonating Anna."""
    client = SoapClient(server, "service", "secret", impersonating=ANNA)
    yield client
    client.close()
