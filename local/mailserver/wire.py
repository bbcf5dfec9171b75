"""One connection of a protocol of text lines (POP3, IMAP, SMTP): lines and literals in, replies out, broken on request."""

import ssl
from collections.abc import Sequence

from local.mailserver.faults import FaultKind, Faults, Names
from local.mailserver.listener import Disconnect, Peer
from local.mailserver.mime import Buffer

_END_OF_TEXT = b"\r\n.\r\n"
_BLOCK = 64 * 1024
"""Bytes that are read from the network, or joined before they are sent, at once."""

type Pieces = Sequence[Buffer | memoryview]


class LineTooLong(ValueError):
    """The client sent more than a command may have."""


class Wire:
    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._buffer = bytearray()

    @property
    def is_secure(self) -> bool:
        return self._peer.is_secure

    @property
    def has_more(self) -> bool:
        """The client has sent more already than was read: it does not wait for answers."""
        return bool(self._buffer)

    def read_line(self, limit: int) -> bytes | None:
        """Without its end (CRLF, or LF alone); None where the client has gone. Raises LineTooLong beyond so many bytes."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            if len(self._buffer) > limit:
                raise LineTooLong
            searched = len(self._buffer)
            if not self._receive():
                return None
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line

    def read(self, size: int) -> bytes:
        """Exactly so many bytes. Raises ValueError where the client goes before."""
        while len(self._buffer) < size:
            if not self._receive():
                raise ValueError("the client went in the middle of a literal")
        content = bytes(self._buffer[:size])
        del self._buffer[:size]
        return content

    def read_dotted(self, limit: int) -> bytes | None:
        """A text that ends with a line of a dot (RFC 5321 section 4.5.2), without that; read to its end.

        None where it has more bytes than `limit`. Raises ValueError where the client goes before.
        """
        self._buffer[:0] = b"\r\n"
        searched, is_too_long = 0, False
        while (end := self._buffer.find(_END_OF_TEXT, searched)) < 0:
            if len(self._buffer) > limit + len(_END_OF_TEXT):
                is_too_long = True
                del self._buffer[: -len(_END_OF_TEXT)]
            searched = max(0, len(self._buffer) - len(_END_OF_TEXT))
            if not self._receive():
                raise ValueError("the client went in the middle of a text")
        text = None if is_too_long or end > limit else bytes(self._buffer[2 : end + 2])
        if text is not None and (b"\n." in text or text.startswith(b".")):
            text = (b"\r\n" + text).replace(b"\r\n.", b"\r\n")[2:]
        del self._buffer[: end + len(_END_OF_TEXT)]
        return text

    def has_some(self) -> bool:
        """Waits until the client has sent something; False where it has gone."""
        return bool(self._buffer) or self._receive()

    def _receive(self) -> bool:
        block = self._peer.socket.recv(_BLOCK)
        self._buffer += block
        return bool(block)

    def send(self, pieces: Pieces) -> None:
        waiting, size = list[Buffer | memoryview](), 0
        for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= _BLOCK:
                self._peer.socket.sendall(b"".join(waiting))
                waiting, size = [], 0
        if waiting:
            self._peer.socket.sendall(b"".join(waiting))

    def send_part(self, pieces: Pieces) -> None:
        """The first half of it."""
        whole = b"".join(pieces)
        self._peer.socket.sendall(whole[: len(whole) // 2])

    def secure(self, context: ssl.SSLContext) -> None:
        """What the client sent before is forgotten: it was not protected (RFC 2595 section 4)."""
        self._buffer.clear()
        self._peer.secure(context)

    def reset(self) -> None:
        self._peer.reset()

    def wait(self, seconds: float) -> None:
        self._peer.stopping.wait(seconds)

    def deliver(self, pieces: Pieces, faults: Faults, mailbox: Names, operation: str) -> bool:
        """Sends a reply as it reaches the client while a fault of the way back is on; whether the connection goes on.

        Raises Disconnect where the reply is lost.
        """
        slow = faults.hit(FaultKind.SLOW_REPLY, mailbox, operation)
        if slow is not None:
            self.wait(slow.seconds)
        if faults.hit(FaultKind.REPLY_LOST, mailbox, operation) is not None:
            raise Disconnect
        nonsense = faults.hit(FaultKind.NONSENSE_REPLY, mailbox, operation)
        if nonsense is not None:
            self.send([(nonsense.text or _NONSENSE).encode() + b"\r\n"])
            return True
        if faults.hit(FaultKind.TRUNCATED_REPLY, mailbox, operation) is not None:
            self.send_part(pieces)
            return False
        self.send(pieces)
        idle = faults.hit(FaultKind.HANG_UP, mailbox, operation)
        if idle is not None:
            self.wait(idle.seconds)
        return idle is None


_NONSENSE = "HTTP/1.0 400 Bad Request"
"""What a proxy in between says that speaks something else."""

_REFUSING = (FaultKind.SERVER_BUSY, FaultKind.UNAVAILABLE, FaultKind.TOO_MANY_REQUESTS, FaultKind.ERROR)
_REFUSING_SOMEBODY = (FaultKind.UNAUTHORIZED, FaultKind.FORBIDDEN)
"""Only where it is known who asks."""


def refusal(faults: Faults, mailbox: Names, operation: str) -> tuple[FaultKind, str, str] | None:
    """What a command is refused with instead of being carried out: the kind of the fault, its code and its text.

    Raises Disconnect where the connection breaks instead.
    """
    if faults.hit(FaultKind.CONNECTION_RESET, mailbox, operation) is not None:
        raise Disconnect
    for kind in (*_REFUSING, *(_REFUSING_SOMEBODY if mailbox else ())):
        fault = faults.hit(kind, mailbox, operation)
        if fault is not None:
            return kind, fault.code, fault.text
    return None
