"""The POP3 head on its sockets: greets, reads commands, answers; breaks what the faults say. The session knows the commands."""

import itertools
import logging
import os
import time

from local.mailserver import signing_in
from local.mailserver.backend import Backend
from local.mailserver.delivery import HOST
from local.mailserver.habits import Habit
from local.mailserver.journal import Asked
from local.mailserver.line_head import LineHead
from local.mailserver.listener import Disconnect
from local.mailserver.pop3 import replies
from local.mailserver.pop3.maildrop import Locks
from local.mailserver.pop3.replies import Reply, ok, refused
from local.mailserver.pop3.session import Connection, Session
from local.mailserver.signing_in import Claim
from local.mailserver.wire import Wire, refusal

_log = logging.getLogger(__name__)

_LONGEST_COMMAND = 16 * 1024
"""Bytes: tokens are long (RFC 5034 section 4 wants 12288 at least)."""
_numbers = itertools.count(1)


class Pop3Head(LineHead):
    """Heads that share `locks` share maildrops."""

    def __init__(self, backend: Backend, locks: Locks, port: int = 0, *, implicit_tls: bool = False) -> None:
        self._locks = locks
        super().__init__(backend, port, "mailserver-pop3", implicit_tls=implicit_tls)

    def _converse(self, wire: Wire) -> None:
        dialogue = _Dialogue(self._backend, self._locks, wire)
        try:
            dialogue.converse()
        finally:
            dialogue.session.close()


class _Dialogue:
    def __init__(self, backend: Backend, locks: Locks, wire: Wire) -> None:
        self._backend = backend
        self._wire = wire
        self._timestamp = f"<{os.getpid()}.{next(_numbers)}.{time.time_ns()}@{HOST}>"
        self.session = Session(backend, locks)

    def converse(self) -> None:
        """Until either side ends it. Raises Disconnect."""
        proceed = self._exchange("Connect", "")
        while proceed:
            line = self._wire.read_line(_LONGEST_COMMAND)
            if line is None:
                return
            name, _, argument = line.decode("utf-8", "replace").partition(" ")
            proceed = self._exchange(name.upper(), argument if name.upper() == "PASS" else argument.strip())

    def _exchange(self, operation: str, argument: str) -> bool:
        """One command and its answer; whether there may be another."""
        claim = self._claim(operation, argument)
        about = claim.address(self._backend.store) if isinstance(claim, Claim) else self.session.address
        try:
            reply = self._refusal(about, operation) or self._answer(operation, argument, claim)
            self._record(operation, about, 1 if reply.is_ok else -1, reply.outcome)
            proceed = self._wire.deliver(reply.pieces, self._backend.faults, about, operation)
        except Disconnect:
            self._record(operation, about, 0, "Disconnect")
            raise
        if proceed and operation == "STLS" and reply.is_ok and self._backend.tls is not None:
            self._wire.secure(self._backend.tls)
        return proceed and not reply.hang_up

    def _record(self, operation: str, about: str | None, status: int, code: str) -> None:
        self._backend.requests.record(Asked("pop3", operation, about, status, code, self.session.username))

    @property
    def _connection(self) -> Connection:
        without = Habit.POP3_WITHOUT_APOP in self._backend.habits
        return Connection(self._wire.is_secure, "" if without else self._timestamp)

    def _claim(self, operation: str, argument: str) -> Claim | Reply | None:
        if operation != "AUTH":
            return self.session.claim(operation, argument, self._connection)
        mechanism, _, initial = argument.partition(" ")
        not_now = self.session.refuses_sign_in(self._connection)
        if not_now is not None:
            return not_now
        if mechanism.upper() not in signing_in.MECHANISMS:
            return refused("That mechanism is not served.")
        response = initial.strip().encode() or self._challenge(b"")
        if response in (None, b"*"):
            return refused("AUTH was cancelled.")
        try:
            return signing_in.by_response(
                self._backend.accounts, mechanism.upper(), b"" if response == b"=" else response, signing_in.POP3
            )
        except ValueError:
            return refused("The response is malformed.")

    def _challenge(self, text: bytes) -> bytes | None:
        self._wire.send([b"+ " + text + b"\r\n"])
        return self._wire.read_line(_LONGEST_COMMAND)

    def _refusal(self, about: str | None, operation: str) -> Reply | None:
        if self._wire.has_more and Habit.POP3_WITHOUT_PIPELINING in self._backend.habits:
            return refused("Commands came before their turn.", hang_up=True)
        struck = refusal(self._backend.faults, about, operation)
        return None if struck is None else replies.of_fault(*struck, greeting=operation == "Connect")

    def _answer(self, operation: str, argument: str, claim: Claim | Reply | None) -> Reply:
        if isinstance(claim, Reply):
            return claim
        if isinstance(claim, Claim):
            reply = self.session.sign_in(claim)
            if not reply.is_ok and claim.by_token and reply.code == replies.WHO_ARE_YOU:
                self._challenge(signing_in.challenge_of_error())
            return reply
        if operation == "Connect":
            return ok(f"The POP3 service is ready. {self._connection.timestamp}")
        if operation == "STLS":
            return self._start_tls()
        try:
            return self.session.carry_out(operation, argument, self._connection)
        except Exception as error:  # noqa: BLE001  # a server answers, whatever happened to it
            _log.exception("request_failed")
            return refused(f"{type(error).__name__}: {error}")

    def _start_tls(self) -> Reply:
        if self._backend.tls is None or self._wire.is_secure or self.session.address is not None:
            return refused("Unknown command.")
        return ok("Begin TLS negotiation.")
