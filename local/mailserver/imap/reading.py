"""Commands as they come: lines with literals read from the connection, and the parser of what they say (RFC 3501 section 9)."""

import re
from collections.abc import Callable

from local.mailserver.imap.replies import Bad
from local.mailserver.wire import Wire

LONGEST_LINE = 64 * 1024
LARGEST_LITERAL = 150 * 1024 * 1024
LARGEST_OF_STRANGERS = 64 * 1024
"""Bytes of a literal before anybody has signed in."""

_LITERAL = re.compile(rb"\{(\d{1,10})(\+?)\}\Z")
_LITERAL_HERE = re.compile(rb"\{(\d{1,10})\+?\}\r\n")
_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_LIST_PATTERN = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_QUOTED = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*+)"')
_FLAG = re.compile(rb"\\?[^\x00-\x20\x7f-\xff(){%*\"\\\]]+|\\\*")
_NUMBER = re.compile(rb"\d{1,20}")
_SEQUENCE = re.compile(rb"(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?(?:,(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?)*+")


def read_command(wire: Wire, largest_literal: int) -> bytes | None:
    """One command with its literals; None where the client has gone. Raises ValueError where it is beyond all bounds."""
    command = bytearray()
    while True:
        line = wire.read_line(LONGEST_LINE)
        if line is None:
            return None
        command += line
        literal = _LITERAL.search(line)
        if literal is None:
            return bytes(command)
        size = int(literal[1])
        if size > largest_literal or len(command) > LONGEST_LINE + largest_literal:
            raise ValueError("literal too large")
        if not literal[2]:
            wire.send([b"+ Ready for additional command text.\r\n"])
        command += b"\r\n" + wire.read(size)


class Parser:
    """Of one command. All methods raise Bad where something else stands there."""

    def __init__(self, command: bytes) -> None:
        self._command = command
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._command)

    def _match(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        found = pattern.match(self._command, self._at)
        if found is None:
            raise Bad(f"Command argument error: {what} is missing.")
        self._at = found.end()
        return found

    def matched(self, pattern: re.Pattern[bytes], what: str) -> str:
        return self._match(pattern, what)[0].decode()

    def maybe(self, pattern: re.Pattern[bytes]) -> str | None:
        """What matches here, if something does."""
        return None if pattern.match(self._command, self._at) is None else self.matched(pattern, "")

    def tries(self, text: bytes) -> bool:
        """Whether that stands here, whatever its case; then it is passed."""
        if self._command[self._at : self._at + len(text)].upper() != text.upper():
            return False
        self._at += len(text)
        return True

    def expect(self, text: bytes) -> None:
        if not self.tries(text):
            raise Bad(f"Command argument error: {text.decode()} is missing.")

    def space(self) -> None:
        self.expect(b" ")

    def end(self) -> None:
        if not self.at_end:
            raise Bad("Command argument error: something follows.")

    def rest(self) -> bytes:
        """All that is left."""
        found, self._at = self._command[self._at :], len(self._command)
        return found

    def atom(self) -> str:
        return self._match(_ATOM, "an atom")[0].decode()

    def flag(self) -> str:
        return self._match(_FLAG, "a flag")[0].decode()

    def number(self) -> int:
        return int(self._match(_NUMBER, "a number")[0])

    def sequence(self) -> str:
        return self._match(_SEQUENCE, "a sequence set")[0].decode()

    def string(self) -> bytes:
        """Quoted, or a literal."""
        literal = _LITERAL_HERE.match(self._command, self._at)
        if literal is not None:
            self._at = literal.end() + int(literal[1])
            return self._command[literal.end() : self._at]
        return re.sub(rb"\\(.)", rb"\1", self._match(_QUOTED, "a string")[1])

    def astring(self) -> bytes:
        return self.string() if self._is_string() else self._match(_ASTRING, "a string")[0]

    def list_pattern(self) -> bytes:
        return self.string() if self._is_string() else self._match(_LIST_PATTERN, "a pattern")[0]

    def _is_string(self) -> bool:
        return self._command[self._at : self._at + 1] in (b'"', b"{")

    @property
    def next(self) -> bytes:
        return self._command[self._at : self._at + 1]

    def several[T](self, one: Callable[[], T]) -> list[T]:
        """In parentheses, separated by spaces; maybe none."""
        self.expect(b"(")
        found: list[T] = []
        while not self.tries(b")"):
            if found:
                self.space()
            found.append(one())
        return found

    def one_or_several[T](self, one: Callable[[], T]) -> list[T]:
        return self.several(one) if self.next == b"(" else [one()]
