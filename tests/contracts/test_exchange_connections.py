"""Connections to Exchange: shared by the mailboxes of an identity, bounded, kept alive, closed when they are outdated."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from socket import IPPROTO_TCP, SO_KEEPALIVE, SOL_SOCKET, TCP_KEEPIDLE

import pytest
from requests import Session
from requests.adapters import HTTPAdapter

from shared.connectors.connect import Connect
from shared.connectors.exchange import session
from shared.connectors.exchange.pool import Pool
from shared.domain.choices import CredentialSource
from shared.domain.configuration import Credentials, SecretRef
from shared.domain.errors import Busy
from shared.domain.folders import INBOX
from tests.contracts.exchange_mailboxes import (
    PASSWORD,
    ServedByExchange,
    a_mailbox,
    a_new_mailbox,
    a_profile,
    failure,
    listed,
)
from tests.contracts.incoming_email import a_message


def open_connections(of: Session) -> int:
    adapter = of.get_adapter("http://")
    assert isinstance(adapter, HTTPAdapter)
    return len(adapter.poolmanager.pools)


def test_an_idle_connection_is_kept_alive(connect: Connect, served: ServedByExchange) -> None:
    """Where address translation forgets silent connections, the poll after a long pause would wait for its timeout."""
    profile = a_profile(served.server.ews_url)
    listed(connect, profile, served.address)
    protocol = connect._pools().session(profile, a_mailbox(served.address)).protocol
    (kept,) = protocol._idle
    adapter = kept.get_adapter("http://")
    assert isinstance(adapter, HTTPAdapter)
    pools = adapter.poolmanager.pools
    (pool,) = (pools[key] for key in pools.keys())  # noqa: SIM118 (it cannot be iterated over)
    connection = pool._get_conn()
    assert connection.sock.getsockopt(SOL_SOCKET, SO_KEEPALIVE)
    assert connection.sock.getsockopt(IPPROTO_TCP, TCP_KEEPIDLE) < 240
    pool._put_conn(connection)


def test_mailboxes_of_one_identity_share_their_connections(connect: Connect, served: ServedByExchange) -> None:
    profile = a_profile(served.server.ews_url, max_connections=2)
    with ThreadPoolExecutor(8) as threads:
        results = threads.map(lambda _: listed(connect, profile, served.address), range(24))
        assert list(results) == [[]] * 24
    assert len(connect._pools().session(profile, a_mailbox(served.address)).protocol._idle) <= 2


def test_who_waits_too_long_for_a_connection_is_told_that_it_is_busy(connect: Connect, served: ServedByExchange) -> None:
    profile = a_profile(served.server.ews_url, max_connections=1, timeout=timedelta(seconds=0.2))
    pool = connect._pools().session(profile, a_mailbox(served.address)).protocol
    with pool._slots.one(1, 1):
        assert isinstance(failure(lambda: listed(connect, profile, served.address)), Busy)
    assert listed(connect, replace(profile, timeout=timedelta(minutes=1)), served.address) == []


def test_a_new_secret_closes_the_connections_of_the_old_one(connect: Connect, served: ServedByExchange) -> None:
    profile = a_profile(served.server.ews_url)
    listed(connect, profile, served.address)
    old = connect._pools().session(profile, a_mailbox(served.address)).protocol
    (idle,) = old._idle
    assert open_connections(idle) == 1
    assert listed(connect, a_profile(served.server.ews_url, version="2"), served.address) == []
    assert open_connections(idle) == 0


def test_a_run_that_began_before_the_secret_changed_goes_on(connect: Connect, served: ServedByExchange) -> None:
    profile = a_profile(served.server.ews_url, max_connections=1, timeout=timedelta(seconds=20))
    with connect(profile, a_mailbox(served.address)) as incoming:
        incoming.changes(INBOX, None)
        listed(connect, replace(profile, credentials=a_profile("", version="2").credentials), served.address)
        for _ in range(3):
            assert incoming.changes(INBOX, None).items == ()
        assert incoming._session.protocol._idle == [], "what came back to the outdated pool is closed"  # type: ignore[attr-defined]  # of Exchange


def test_connections_are_kept_for_the_identities_used_last(
    connect: Connect, served: ServedByExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MOST_POOLS", 2)
    profile = a_profile(served.server.ews_url, username=None, credential_source=CredentialSource.MAILBOX)
    owners = [a_new_mailbox(served.server).address for _ in range(3)]
    pools: list[Pool] = []
    for turn in (0, 1, 0, 2):
        served.server.add_account(owners[turn], PASSWORD, mailbox=owners[turn])
        own = Credentials(username=owners[turn], secret=SecretRef(PASSWORD, "1"))
        assert listed(connect, profile, owners[turn], own) == []
        pools.append(connect._pools().session(profile, a_mailbox(owners[turn], own)).protocol)
    assert pools[0] is pools[2]
    assert [len(pool._idle) for pool in pools] == [1, 0, 1, 1]


def test_a_stream_that_nobody_reads_to_its_end_gives_its_connection_back(connect: Connect, served: ServedByExchange) -> None:
    served.deliver(bytes(a_message("m1", text="words and words\r\n" * 50_000)))
    profile = a_profile(served.server.ews_url, max_connections=1, timeout=timedelta(seconds=1))
    with connect(profile, a_mailbox(served.address)) as incoming:
        (item,) = incoming.changes(INBOX, None).items
        stream = incoming.raw(item.ref)
        next(stream)
        assert isinstance(failure(lambda: incoming.changes(INBOX, None)), Busy)
        del stream
        assert len(incoming.changes(INBOX, None).items) == 1


def test_other_limits_of_a_profile_hold_from_the_next_run_on(connect: Connect, served: ServedByExchange) -> None:
    profile = a_profile(served.server.ews_url, max_connections=1)
    listed(connect, profile, served.address)
    at_once = connect._pools().session(replace(profile, max_connections=7), a_mailbox(served.address))
    assert at_once.protocol.max_connections == 7
