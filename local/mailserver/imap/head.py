"""The IMAP head on its sockets: greets, reads commands, answers; breaks what the faults say. The session knows the commands."""

import logging

from local.mailserver import signing_in
from local.mailserver.backend import Backend
from local.mailserver.imap import reading, replies
from local.mailserver.imap import session as sessions
from local.mailserver.imap.replies import Bad, No, Reply, untagged
from local.mailserver.imap.session import Command, Session
from local.mailserver.journal import Asked
from local.mailserver.line_head import LineHead
from local.mailserver.listener import Disconnect
from local.mailserver.signing_in import Claim
from local.mailserver.wire import Wire, refusal

_log = logging.getLogger(__name__)

_LONGEST_RESPONSE = 16 * 1024
"""Bytes of what a client answers to a challenge: tokens are long."""


class ImapHead(LineHead):
    def __init__(self, backend: Backend, port: int = 0, *, implicit_tls: bool = False) -> None:
        super().__init__(backend, port, "mailserver-imap", implicit_tls=implicit_tls)

    def _converse(self, wire: Wire) -> None:
        _Dialogue(self._backend, wire).converse()


class _Dialogue:
    def __init__(self, backend: Backend, wire: Wire) -> None:
        self._backend = backend
        self._wire = wire
        self._session = Session(backend)

    def converse(self) -> None:
        """Until either side ends it. Raises Disconnect."""
        proceed = self._greet()
        while proceed:
            largest = reading.LARGEST_OF_STRANGERS if self._session.mailbox is None else reading.LARGEST_LITERAL
            line = reading.read_command(self._wire, largest)
            if line is None:
                return
            try:
                proceed = self._exchange(sessions.read(line))
            except Bad as bad:
                self._wire.send([untagged(f"BAD {bad}")])

    def _greet(self) -> bool:
        try:
            struck = refusal(self._backend.faults, None, "Connect")
            reply = None if struck is None else replies.of_fault(*struck, greeting=True)
            self._record("Connect", None, reply or Reply())
            greeting = f"OK [CAPABILITY {self._capabilities}] The IMAP4 service is ready."
            pieces = [untagged(greeting)] if reply is None else reply.lines
            return self._wire.deliver(pieces, self._backend.faults, None, "Connect") and reply is None
        except Disconnect:
            self._record("Connect", None, None)
            raise

    @property
    def _capabilities(self) -> str:
        return self._session.capabilities(is_secure=self._wire.is_secure)

    def _exchange(self, command: Command) -> bool:
        """One command and its answer; whether there may be another."""
        about = self._session.mailbox.address if self._session.mailbox is not None else None
        try:
            claim, reply = self._claim(command)
            if claim is not None:
                about = claim.address(self._backend.store)
            struck = refusal(self._backend.faults, about, command.name)
            if struck is not None:
                reply = replies.of_fault(*struck, greeting=False)
            reply = reply or self._answer(command, claim)
            self._record(command.name, about, reply)
            proceed = self._wire.deliver(reply.pieces(command.tag), self._backend.faults, about, command.name)
        except Disconnect:
            self._record(command.name, about, None)
            raise
        if proceed and command.name == "STARTTLS" and reply.status == "OK" and self._backend.tls is not None:
            self._wire.secure(self._backend.tls)
        return proceed and not reply.hang_up

    def _record(self, operation: str, about: str | None, reply: Reply | None) -> None:
        """None: the connection was broken instead."""
        status = 0 if reply is None else 1 if reply.status == "OK" else -1
        outcome = "Disconnect" if reply is None else reply.outcome
        self._backend.requests.record(Asked("imap", operation, about, status, outcome, self._session.username))

    def _claim(self, command: Command) -> tuple[Claim | None, Reply | None]:
        """Who a command that signs in says he is, or why it cannot; neither for all other commands."""
        if command.name not in ("LOGIN", "AUTHENTICATE"):
            return None, None
        try:
            self._session.refuse_sign_in(is_secure=self._wire.is_secure)
            return (self._login(command) if command.name == "LOGIN" else self._sasl(command)), None
        except Bad as bad:
            return None, Reply("BAD", str(bad))
        except No as no:
            return None, Reply("NO", str(no), no.code)

    def _login(self, command: Command) -> Claim:
        username = command.parser.astring().decode("utf-8", "replace")
        command.parser.space()
        password = command.parser.astring().decode("utf-8", "replace")
        command.parser.end()
        return signing_in.by_password(self._backend.accounts, username, password)

    def _sasl(self, command: Command) -> Claim:
        mechanism = command.parser.atom().upper()
        if mechanism not in signing_in.MECHANISMS:
            raise No("That mechanism is not served.", "CANNOT")
        if command.parser.at_end:
            response = self._challenge(b"")
        else:
            command.parser.space()
            response = command.parser.rest()
        if response is None or response == b"*":
            raise Bad("AUTHENTICATE was cancelled.")
        try:
            return signing_in.by_response(
                self._backend.accounts, mechanism, b"" if response == b"=" else response, signing_in.IMAP
            )
        except ValueError:
            raise Bad("The response is malformed.") from None

    def _challenge(self, text: bytes) -> bytes | None:
        self._wire.send([b"+ " + text + b"\r\n"])
        return self._wire.read_line(_LONGEST_RESPONSE)

    def _answer(self, command: Command, claim: Claim | None) -> Reply:
        try:
            if claim is not None:
                return self._sign_in(claim)
            if command.name == "STARTTLS":
                return self._start_tls(command)
            return self._session.carry_out(command, is_secure=self._wire.is_secure)
        except Bad as bad:
            return Reply("BAD", str(bad))
        except No as no:
            return Reply("NO", str(no), no.code)
        except Exception as error:  # noqa: BLE001  # a server answers, whatever happened to it
            _log.exception("request_failed")
            return Reply("NO", f"{type(error).__name__}: {error}", "SERVERBUG")

    def _sign_in(self, claim: Claim) -> Reply:
        try:
            return self._session.sign_in(claim, is_secure=self._wire.is_secure)
        except No as no:
            if claim.by_token and no.code == "AUTHENTICATIONFAILED":
                self._challenge(signing_in.challenge_of_error())
            raise

    def _start_tls(self, command: Command) -> Reply:
        command.parser.end()
        if self._backend.tls is None or self._wire.is_secure or self._session.mailbox is not None:
            raise Bad("That command is not served.")
        return Reply(text="Begin TLS negotiation now.")
