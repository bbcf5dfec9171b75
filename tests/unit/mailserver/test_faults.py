"""Every fault, as a client sees it."""

import base64
import http.client
import time
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import requests
from lxml import etree

from local.mailserver import FaultKind, MailServer
from tests.unit.mailserver.conftest import ANNA, BEN
from tests.unit.mailserver.messages import a_message
from tests.unit.mailserver.soap import SoapClient


def test_busy_is_a_fault_that_says_how_long(server: MailServer, anna: SoapClient) -> None:
    server.faults.add(FaultKind.SERVER_BUSY, ANNA, seconds=12.5, count=1)
    busy = anna.sync()
    assert (busy.status, busy.fault_code) == (500, "ErrorServerBusy")
    assert [(each.get("Name"), each.text) for each in busy.xml.iterfind(".//{*}Value")] == [("BackOffMilliseconds", "12500")]
    assert anna.sync().codes == ["NoError"]


@pytest.mark.parametrize(("kind", "status"), [(FaultKind.UNAVAILABLE, 503), (FaultKind.TOO_MANY_REQUESTS, 429)])
def test_unavailable_says_when_to_come_back(server: MailServer, anna: SoapClient, kind: FaultKind, status: int) -> None:
    server.faults.add(kind, ANNA, seconds=30, count=1)
    server.faults.add(kind, ANNA, count=1)
    first, second = anna.sync(), anna.sync()
    assert (first.status, first.headers.get("Retry-After")) == (status, "30")
    assert (second.status, second.headers.get("Retry-After")) == (status, None)


def test_refused_sign_in_offers_every_scheme(server: MailServer, anna: SoapClient) -> None:
    server.faults.add(FaultKind.UNAUTHORIZED, ANNA, count=1)
    refused = anna.sync()
    assert refused.status == 401
    assert all(scheme in refused.headers["WWW-Authenticate"] for scheme in ("NTLM", "Basic realm", "Bearer"))


def test_forbidden_is_forbidden(server: MailServer, anna: SoapClient) -> None:
    server.faults.add(FaultKind.FORBIDDEN, ANNA)
    assert [anna.sync().status for _ in range(2)] == [403, 403]
    server.faults.clear(mailbox=ANNA)
    assert anna.sync().status == 200


def test_a_connection_breaks_before_the_effect_or_after_it(server: MailServer, anna: SoapClient) -> None:
    first, second = (server.deliver(a_message(), [ANNA])[0] for _ in range(2))
    delete = '<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="{}"/></m:ItemIds></m:DeleteItem>'
    server.faults.add(FaultKind.CONNECTION_RESET, ANNA, operation="DeleteItem", count=1)
    with pytest.raises(requests.ConnectionError):
        anna.ask(delete.format(first))
    assert server.items(ANNA) == [second, first]
    server.faults.add(FaultKind.REPLY_LOST, ANNA, operation="DeleteItem", count=1)
    with pytest.raises(requests.ConnectionError):
        anna.ask(delete.format(first))
    assert server.items(ANNA) == [second]


def test_a_reply_is_cut(server: MailServer, anna: SoapClient) -> None:
    server.faults.add(FaultKind.TRUNCATED_REPLY, ANNA, count=1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        anna.sync()


def test_a_reply_is_nonsense(server: MailServer, anna: SoapClient) -> None:
    server.faults.add(FaultKind.NONSENSE_REPLY, ANNA, count=1)
    server.faults.add(FaultKind.NONSENSE_REPLY, ANNA, count=1, text="<a><b></a>")
    for _ in range(2):
        nonsense = anna.sync()
        assert nonsense.status == 200
        with pytest.raises(etree.XMLSyntaxError):
            nonsense.xml  # noqa: B018  # reading it is the test


def test_a_reply_takes_its_time(server: MailServer, anna: SoapClient) -> None:
    server.faults.add(FaultKind.SLOW_REPLY, ANNA, count=1, seconds=0.2)
    started = time.monotonic()
    assert anna.sync().status == 200
    assert time.monotonic() - started >= 0.2


def test_the_connection_ends_after_the_answer_without_a_word(server: MailServer) -> None:
    server.faults.add(FaultKind.HANG_UP, ANNA, count=1)
    parts = urlsplit(server.ews_url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)) as connection:
        known = base64.b64encode(f"{ANNA}:anna's password".encode()).decode()
        connection.request("POST", parts.path, b"", {"Authorization": f"Basic {known}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.headers["Connection"] == "keep-alive"
        assert connection.sock.recv(1) == b""


def test_an_error_in_each_response_message(server: MailServer, anna: SoapClient) -> None:
    ids = [server.deliver(a_message(), [ANNA])[0] for _ in range(2)]
    server.faults.add(FaultKind.ERROR, ANNA, operation="GetItem", code="ErrorMailboxStoreUnavailable", count=1)
    assert anna.get(*ids).codes == ["ErrorMailboxStoreUnavailable"] * 2
    assert anna.get(*ids).codes == ["NoError"] * 2


def test_a_fault_spares_other_mailboxes_other_operations_and_the_first_requests(
    server: MailServer, service: SoapClient
) -> None:
    server.faults.add(FaultKind.FORBIDDEN, ANNA, operation="SyncFolderItems", after=1, count=1)
    assert [service.sync().status, service.get("junk").status, service.sync().status, service.sync().status] == [
        200,
        200,
        403,
        200,
    ]
    server.faults.add(FaultKind.FORBIDDEN, ANNA)
    service.impersonating = BEN
    assert service.sync().status == 200


def test_a_fault_is_turned_off_by_its_number(server: MailServer, anna: SoapClient) -> None:
    first = server.faults.add(FaultKind.FORBIDDEN, ANNA)
    server.faults.add(FaultKind.FORBIDDEN, BEN)
    server.faults.clear(first)
    assert anna.sync().status == 200
    assert [fault.mailbox for fault in server.faults] == [BEN]


def test_every_request_is_in_the_journal(server: MailServer, service: SoapClient) -> None:
    service.sync()
    service.get("junk")
    server.faults.add(FaultKind.FORBIDDEN, ANNA, count=1)
    service.sync()
    server.faults.add(FaultKind.CONNECTION_RESET, ANNA, count=1)
    with pytest.raises(requests.ConnectionError):
        service.sync()
    assert [(asked.operation, asked.mailbox, asked.status, asked.code) for asked in server.requests] == [
        ("SyncFolderItems", ANNA, 200, "NoError"),
        ("GetItem", ANNA, 200, "ErrorInvalidIdMalformed"),
        ("SyncFolderItems", ANNA, 403, ""),
        ("SyncFolderItems", ANNA, 0, "Disconnect"),
    ]
    assert server.requests.count("SyncFolderItems", ANNA) == 3
    server.requests.clear()
    assert len(server.requests) == 0
