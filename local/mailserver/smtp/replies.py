"""Replies of SMTP: codes, enhanced status codes, words (RFC 5321 section 4.2, RFC 2034)."""

from dataclasses import dataclass

from local.mailserver.delivery import HOST
from local.mailserver.faults import FaultKind


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    status: str = ""
    """Enhanced; empty where it has none."""
    lines: tuple[str, ...] = ("",)
    hang_up: bool = False

    @property
    def is_ok(self) -> bool:
        return self.code < 400

    @property
    def pieces(self) -> list[bytes]:
        prefix = f"{self.status} " if self.status else ""
        last = len(self.lines) - 1
        texts = (
            f"{self.code}{' ' if number == last else '-'}{prefix}{line}".rstrip() for number, line in enumerate(self.lines)
        )
        return ["".join(f"{text}\r\n" for text in texts).encode()]


def reply(code: int, status: str, text: str, *, hang_up: bool = False) -> Reply:
    return Reply(code, status, (text,), hang_up)


GREETING = reply(220, "", f"{HOST} Microsoft ESMTP MAIL Service ready")
OK = reply(250, "2.0.0", "OK")
BYE = reply(221, "2.0.0", "Service closing transmission channel", hang_up=True)
WHO_ARE_YOU = reply(535, "5.7.3", "Authentication unsuccessful")
UNKNOWN_RECIPIENT = reply(550, "5.1.10", "RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup")
NO_RELAY = reply(550, "5.7.54", "SMTP; Unable to relay recipient in non-accepted domain")
GREYLISTED = reply(450, "4.7.1", "Greylisted, please try again later")
TOO_LARGE = reply(552, "5.3.4", "Message size exceeds fixed maximum message size")
TOO_MANY_RECIPIENTS = reply(452, "4.5.3", "Too many recipients")
SEND_AS_DENIED = reply(550, "5.7.60", "SMTP; Client does not have permissions to send as this sender")
NOT_SIGNED_IN = reply(530, "5.7.57", "Client not authenticated to send mail")
NO_SUCH_COMMAND = reply(500, "5.3.3", "Unrecognized command")
BAD_ARGUMENTS = reply(501, "5.5.4", "Invalid arguments")
NOT_NOW = reply(503, "5.5.2", "Bad sequence of commands")

_OF_FAULTS = {
    FaultKind.SERVER_BUSY: reply(451, "4.3.2", "System not accepting network messages"),
    FaultKind.UNAVAILABLE: reply(421, "4.3.2", "Service not available, closing transmission channel", hang_up=True),
    FaultKind.TOO_MANY_REQUESTS: reply(
        421, "4.4.2", "Message submission rate for this client has exceeded the limit", hang_up=True
    ),
    FaultKind.UNAUTHORIZED: WHO_ARE_YOU,
    FaultKind.FORBIDDEN: SEND_AS_DENIED,
}
_UNSAID = reply(451, "4.0.0", "Requested action aborted: error in processing")


def of_fault(kind: FaultKind, code: str, text: str) -> Reply:
    """`code` is a reply code and an enhanced status code, "452 4.2.2"; it, and the text, may be left to the kind of fault."""
    by_itself = _OF_FAULTS.get(kind, _UNSAID)
    number, _, status = code.partition(" ")
    if not number:
        return Reply(by_itself.code, by_itself.status, tuple(text.splitlines()) or by_itself.lines, by_itself.hang_up)
    return Reply(int(number), status, tuple(text.splitlines()) or by_itself.lines, by_itself.hang_up or number == "421")
