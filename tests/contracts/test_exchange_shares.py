"""Two worker processes share the connections that one identity may have: never more than its profile allows."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Lock
from time import sleep

import pytest

from local.mailserver import MailServer
from local.mailserver.ews.endpoint import EwsEndpoint
from local.mailserver.web import Reply, Request
from shared.connectors.connect import Connect
from shared.domain.errors import Busy
from shared.domain.folders import INBOX
from shared.stores.memory import memory_stores
from tests.contracts.exchange_mailboxes import PASSWORD, SERVICE, KnownSecrets, a_mailbox, a_new_mailbox, a_profile


@pytest.fixture
def most_at_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests the server had under way at each one's beginning."""
    seen, lock, real = [0], Lock(), EwsEndpoint.handle
    now = [0]

    def counted(self: EwsEndpoint, request: Request) -> Reply:
        with lock:
            now[0] += 1
            seen.append(now[0])
        try:
            sleep(0.02)
            return real(self, request)
        finally:
            with lock:
                now[0] -= 1

    monkeypatch.setattr(EwsEndpoint, "handle", counted)
    return seen


def test_two_workers_never_use_more_connections_than_one_identity_may_have(most_at_once: list[int]) -> None:
    shares = memory_stores().shares
    with MailServer() as server, ExitStack() as stack, ThreadPoolExecutor(12) as threads:
        server.add_account(SERVICE, PASSWORD, impersonation=True)
        profile, mailbox = a_profile(server.ews_url, max_connections=3), a_mailbox(a_new_mailbox(server).address)
        workers = [Connect(KnownSecrets(), allow_local_servers=True, shares=shares) for _ in range(2)]
        for worker in workers:
            stack.callback(worker.close)

        def poll(number: int) -> bool:
            try:
                with workers[number % 2](profile, mailbox) as mail:
                    mail.changes(INBOX, None)
            except Busy:
                return False
            return True

        outcomes = list(threads.map(poll, range(40)))
    assert max(most_at_once) <= 3
    assert any(outcomes)
