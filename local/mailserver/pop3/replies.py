"""Replies of POP3: one line, or several (RFC 1939 section 3), with the response codes of RFC 2449 section 8 and RFC 3206."""

from collections.abc import Iterable
from dataclasses import dataclass

from local.mailserver.faults import FaultKind
from local.mailserver.octets import dot_stuffed
from local.mailserver.wire import Pieces

TRY_LATER = "SYS/TEMP"
FOR_GOOD = "SYS/PERM"
WHO_ARE_YOU = "AUTH"

_CODES = {
    FaultKind.SERVER_BUSY: TRY_LATER,
    FaultKind.UNAVAILABLE: TRY_LATER,
    FaultKind.TOO_MANY_REQUESTS: TRY_LATER,
    FaultKind.UNAUTHORIZED: WHO_ARE_YOU,
    FaultKind.FORBIDDEN: FOR_GOOD,
    FaultKind.ERROR: "",
}
_TEXTS = {
    FaultKind.SERVER_BUSY: "Server is busy. Try again later.",
    FaultKind.UNAVAILABLE: "The service is unavailable.",
    FaultKind.TOO_MANY_REQUESTS: "Too many requests. Try again later.",
    FaultKind.UNAUTHORIZED: "Authentication failed.",
    FaultKind.FORBIDDEN: "POP3 is not enabled for this mailbox.",
    FaultKind.ERROR: "Internal error occurred.",
}


@dataclass(frozen=True, slots=True)
class Reply:
    is_ok: bool
    text: str = ""
    code: str = ""
    body: bytes | None = None
    """What follows the line, ended already."""
    hang_up: bool = False

    @property
    def pieces(self) -> Pieces:
        code = f"[{self.code}] " if self.code else ""
        line = f"{'+OK' if self.is_ok else '-ERR'} {code}{self.text}".rstrip()
        return [line.encode() + b"\r\n", self.body or b""]

    @property
    def outcome(self) -> str:
        return self.code or ("OK" if self.is_ok else "ERR")


def ok(text: str = "") -> Reply:
    return Reply(True, text)


def listing(text: str, lines: Iterable[str]) -> Reply:
    return Reply(True, text, body=dot_stuffed("".join(f"{line}\r\n" for line in lines).encode()))


def refused(text: str, code: str = "", *, hang_up: bool = False) -> Reply:
    return Reply(False, text, code, hang_up=hang_up)


def of_fault(kind: FaultKind, code: str, text: str, *, greeting: bool) -> Reply:
    return refused(text or _TEXTS[kind], code or _CODES[kind], hang_up=greeting or kind is FaultKind.UNAVAILABLE)
