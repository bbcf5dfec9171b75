"""Replies of IMAP: untagged lines, then the tagged one with its response code (RFC 3501 section 7.1, RFC 5530)."""

from dataclasses import dataclass, field

from local.mailserver.faults import FaultKind
from local.mailserver.mime import Buffer
from local.mailserver.wire import Pieces

_FAULTS = {
    FaultKind.SERVER_BUSY: ("UNAVAILABLE", "Server is busy. Try again later."),
    FaultKind.UNAVAILABLE: ("UNAVAILABLE", "The service is unavailable."),
    FaultKind.TOO_MANY_REQUESTS: ("LIMIT", "Too many requests. Try again later."),
    FaultKind.UNAUTHORIZED: ("AUTHENTICATIONFAILED", "Authentication failed."),
    FaultKind.FORBIDDEN: ("AUTHORIZATIONFAILED", "IMAP4 is not enabled for this mailbox."),
    FaultKind.ERROR: ("", "Internal error occurred."),
}


class Bad(Exception):
    """The command is malformed, or not served."""


class No(Exception):
    """The command cannot be carried out; `code` is the response code, or empty."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class Reply:
    status: str = "OK"
    text: str = "done."
    code: str = ""
    lines: list[Buffer | memoryview] = field(default_factory=list)
    """What comes untagged before, each line ended already."""
    hang_up: bool = False

    def pieces(self, tag: str) -> Pieces:
        code = f"[{self.code}] " if self.code else ""
        return [*self.lines, f"{tag} {self.status} {code}{self.text}\r\n".encode()]

    @property
    def outcome(self) -> str:
        return self.code.partition(" ")[0] if self.status != "OK" and self.code else self.status


def untagged(text: str) -> bytes:
    return f"* {text}\r\n".encode()


def of_fault(kind: FaultKind, code: str, text: str, *, greeting: bool) -> Reply:
    own_code, own_text = _FAULTS[kind]
    code, text = code or own_code, text or own_text
    if not greeting and kind is not FaultKind.UNAVAILABLE:
        return Reply("NO", text, code)
    bye = untagged(f"BYE [{code}] {text}" if code else f"BYE {text}")
    return Reply("NO", text, code, [bye], hang_up=True)
