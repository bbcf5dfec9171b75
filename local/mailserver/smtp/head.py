"""The SMTP head on its sockets: greets, reads commands and messages, answers; breaks what the faults say.

Operations, for faults and in the journal, are the commands, and three more: Connect is the greeting, Transfer the time while
the message comes, Message what is answered when it has come as a whole.
"""

import base64
import logging
from collections.abc import Callable

from local.mailserver import signing_in
from local.mailserver.backend import Backend
from local.mailserver.faults import FaultKind
from local.mailserver.journal import Asked
from local.mailserver.line_head import LineHead
from local.mailserver.listener import Disconnect
from local.mailserver.signing_in import Claim
from local.mailserver.smtp import replies
from local.mailserver.smtp.parameters import path_of
from local.mailserver.smtp.replies import Reply, reply
from local.mailserver.smtp.session import Session
from local.mailserver.wire import Wire, refusal

_log = logging.getLogger(__name__)

_LONGEST_COMMAND = 16 * 1024
"""Bytes: tokens are long (RFC 4954 section 4 wants 12288 at least)."""


class SmtpHead(LineHead):
    def __init__(self, backend: Backend, port: int = 0, *, implicit_tls: bool = False) -> None:
        super().__init__(backend, port, "mailserver-smtp", implicit_tls=implicit_tls)

    def _converse(self, wire: Wire) -> None:
        _Dialogue(self._backend, wire).converse()


class _Dialogue:
    def __init__(self, backend: Backend, wire: Wire) -> None:
        self._backend = backend
        self._wire = wire
        self._session = Session(backend)
        self._session.is_secure = wire.is_secure

    def converse(self) -> None:
        """Until either side ends it. Raises Disconnect."""
        proceed = self._exchange("Connect", "")
        while proceed:
            line = self._wire.read_line(_LONGEST_COMMAND)
            if line is None:
                return
            name, _, argument = line.decode("utf-8", "replace").partition(" ")
            proceed = self._exchange(name.upper(), argument.strip())

    def _exchange(self, operation: str, argument: str) -> bool:
        """One command and its answer, and the message where it begins one; whether there may be another."""
        claim = self._claim(argument) if operation == "AUTH" else None
        about = self._about(operation, argument, claim)
        parameters = self._session.written(operation, argument)
        try:
            answer = self._refusal(about, operation) or self._answer(operation, argument, claim)
            self._record(operation, about, answer, parameters)
            proceed = self._wire.deliver(answer.pieces, self._backend.faults, about, operation)
        except Disconnect:
            self._record(operation, about, None, parameters)
            raise
        if proceed and operation == "STARTTLS" and answer.is_ok and self._backend.tls is not None:
            self._wire.secure(self._backend.tls)
            self._session.restart()
        if proceed and operation == "DATA" and answer.is_ok:
            return self._take_message()
        return proceed and not answer.hang_up

    def _take_message(self) -> bool:
        about = self._session.about
        try:
            self._break_transfer(about)
            content = self._wire.read_dotted(self._backend.limits.largest_message)
            answer = self._refusal(about, "Message")
            if answer is None:
                answer = self._safely(lambda: self._session.message(content))
            else:
                self._session.reset()
            self._record("Message", about, answer, "")
            proceed = self._wire.deliver(answer.pieces, self._backend.faults, about, "Message")
        except Disconnect:
            self._record("Message", about, None, "")
            raise
        return proceed and not answer.hang_up

    def _break_transfer(self, about: tuple[str, ...]) -> None:
        """Raises Disconnect in the middle of a message while such a fault is on."""
        if self._backend.faults.hit(FaultKind.CONNECTION_RESET, about, "Transfer") is not None:
            self._wire.has_some()
            raise Disconnect

    def _about(self, operation: str, argument: str, claim: Claim | Reply | None) -> tuple[str, ...]:
        if isinstance(claim, Claim):
            address = claim.address(self._backend.store)
            return (address,) if address else ()
        if operation not in ("MAIL", "RCPT"):
            return self._session.about
        try:
            named = path_of(argument, "FROM" if operation == "MAIL" else "TO").address
        except ValueError:
            return ()
        return (named,) if operation == "RCPT" else (named, *self._session.names)

    def _record(self, operation: str, about: tuple[str, ...], answer: Reply | None, parameters: str) -> None:
        code, status = (0, "Disconnect") if answer is None else (answer.code, answer.status)
        first = about[0] if about else None
        self._backend.requests.record(Asked("smtp", operation, first, code, status, self._session.username, parameters))

    def _refusal(self, about: tuple[str, ...], operation: str) -> Reply | None:
        struck = refusal(self._backend.faults, about, operation)
        return None if struck is None else replies.of_fault(*struck)

    def _answer(self, operation: str, argument: str, claim: Claim | Reply | None) -> Reply:
        if isinstance(claim, Reply):
            return claim
        if isinstance(claim, Claim):
            answer = self._session.sign_in(claim)
            if not answer.is_ok and claim.by_token:
                self._challenge(signing_in.challenge_of_error())
            return answer
        return self._safely(lambda: self._carried_out(operation, argument))

    def _carried_out(self, operation: str, argument: str) -> Reply:
        session = self._session
        match operation:
            case "Connect":
                return replies.GREETING
            case "EHLO" | "HELO":
                return session.hello(argument, extended=operation == "EHLO")
            case "STARTTLS":
                return reply(220, "2.0.0", "SMTP server ready") if session.offers("STARTTLS") else replies.NO_SUCH_COMMAND
            case "MAIL":
                return session.mail(argument)
            case "RCPT":
                return session.recipient(argument)
            case "DATA":
                return session.data()
            case "RSET":
                return session.reset()
            case "NOOP":
                return replies.OK
            case "VRFY":
                return reply(252, "2.1.5", "Cannot VRFY user")
            case "QUIT":
                return replies.BYE
        return replies.NO_SUCH_COMMAND

    def _safely(self, act: Callable[[], Reply]) -> Reply:
        try:
            return act()
        except Exception as error:  # noqa: BLE001  # a server answers, whatever happened to it
            _log.exception("request_failed")
            return reply(451, "4.3.0", f"{type(error).__name__}: {error}")

    def _claim(self, argument: str) -> Claim | Reply:
        mechanism, _, initial = argument.partition(" ")
        mechanism = mechanism.upper()
        refused = self._session.refuses_sign_in()
        if refused is not None:
            return refused
        if mechanism not in ("LOGIN", *signing_in.MECHANISMS):
            return reply(504, "5.7.4", "Unrecognized authentication type")
        response = initial.strip().encode() or self._challenge(b"VXNlcm5hbWU6" if mechanism == "LOGIN" else b"")
        if response in (None, b"*"):
            return reply(501, "5.7.0", "Authentication cancelled")
        try:
            if mechanism == "LOGIN":
                return self._by_login(response or b"")
            return signing_in.by_response(
                self._backend.accounts, mechanism, b"" if response == b"=" else response or b"", signing_in.SMTP
            )
        except ValueError:
            return replies.BAD_ARGUMENTS

    def _by_login(self, username: bytes) -> Claim:
        """The name and the password in turn, each in base64. Raises ValueError."""
        password = self._challenge(b"UGFzc3dvcmQ6") or b""
        name, secret = (base64.b64decode(each, validate=True).decode() for each in (username, password))
        return signing_in.by_password(self._backend.accounts, name, secret)

    def _challenge(self, text: bytes) -> bytes | None:
        self._wire.send([b"334 " + text + b"\r\n"])
        return self._wire.read_line(_LONGEST_COMMAND)
