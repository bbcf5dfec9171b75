"""The SMTP head: mail arrives from strangers, or from somebody who signed in and for whom transport then vouches.

Runs aiosmtpd on an event loop in a thread of its own. Knows how mail is delivered only through `Deliver`.
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from local.mailserver.accounts import Accounts
from local.mailserver.journal import Asked, Journal
from local.mailserver.model import MailStore, NoSuchMailbox

MAX_SIZE = 150 * 1024 * 1024
"""Bytes of a message, Exchange Online's largest."""

type Deliver = Callable[[bytes, list[str], bool], None]
"""Raw message, recipients, and whether the sender was signed in."""


class _Server(SMTP):
    line_length_limit = MAX_SIZE
    """Broken mail has long lines; refusing it is not this server's task."""


class _Transport:
    """aiosmtpd's handler: what each command means here."""

    def __init__(self, store: MailStore, deliver: Deliver, journal: Journal) -> None:
        self._store = store
        self._deliver = deliver
        self._journal = journal

    async def handle_RCPT(  # noqa: N802  # the name that aiosmtpd calls
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        rcpt_options: list[str],  # noqa: ARG002
    ) -> str:
        try:
            mailbox = self._store.mailbox(address)
        except NoSuchMailbox:
            self._journal.record(Asked("smtp", "RCPT", address, 550, "5.1.10"))
            return "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"
        envelope.rcpt_tos.append(mailbox.address)
        return "250 2.1.5 Recipient OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        self._deliver(content, list(envelope.rcpt_tos), bool(session.authenticated))
        for address in envelope.rcpt_tos:
            self._journal.record(Asked("smtp", "DATA", address, 250, "2.6.0"))
        return "250 2.6.0 Queued mail for delivery"


class SmtpHead:
    def __init__(self, store: MailStore, accounts: Accounts, journal: Journal, deliver: Deliver, port: int = 0) -> None:
        self._accounts = accounts
        self._handler = _Transport(store, deliver, journal)
        self._socket = socket.create_server(("127.0.0.1", port))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="mailserver-smtp", daemon=True)
        self._stop = asyncio.Event()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=10)
        else:
            self._loop.close()
        self._socket.close()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _serve(self) -> None:
        server = await self._loop.create_server(self._session, sock=self._socket)
        await self._stop.wait()
        server.close()
        server.close_clients()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _session(self) -> SMTP:
        return _Server(
            self._handler,
            data_size_limit=MAX_SIZE,
            enable_SMTPUTF8=True,
            hostname="mail.contoso.example",
            authenticator=self._authenticate,
            auth_require_tls=False,
            loop=self._loop,
        )

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:  # noqa: ANN401, ARG002  # aiosmtpd's interface
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        account = self._accounts.sign_in(data.login.decode("utf-8", "replace"), data.password.decode("utf-8", "replace"))
        return AuthResult(success=account is not None and account.enabled, handled=False)
