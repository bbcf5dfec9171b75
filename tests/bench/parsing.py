"""Parsing: raw messages read to the last byte, as a connector does, against the standard library.

The yardstick parses with `policy.default`, reads the headers that judging reads, walks all parts and decodes every one.
"""

import base64
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.utils import format_datetime

from shared.connectors.mime import read_message
from shared.domain.email import ItemRef
from tests.bench.figures import Figures
from tests.bench.mail import messages

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
REF = ItemRef("1", "inbox")
HEADERS = ("Subject", "From", "To", "Cc", "Date", "Message-ID", "In-Reply-To", "References")
_ROUNDS = 7
_SMALL = 20_000
_LARGE = 5_000_000


def measure() -> Figures:
    small = [raw for raw, _ in messages(100, _SMALL, "anna@contoso.example", NOW)]
    large = [_with_attachment(_LARGE)]
    figures: dict[str, float] = {}
    notes = []
    for name, raws in (("20kb", small), ("5mb", large)):
        plain, own = _seconds(_plainly, raws), _seconds(_ours, raws)
        figures[f"parsing_{name}_ratio"] = round(plain / own, 1)
        figures[f"parsing_{name}_us"] = round(own * 1e6)
        notes.append(f"{name}: {own * 1e3:.3f} ms each, the standard library {plain * 1e3:.3f} ms")
    return Figures(figures, notes)


def _seconds(read: Callable[[bytes], None], raws: list[bytes]) -> float:
    """Of the processor, for one message: the best of some rounds over all, which others on the machine disturb least."""
    rounds = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        for raw in raws:
            read(raw)
        rounds.append((time.process_time() - started) / len(raws))
    return min(rounds)


def _ours(raw: bytes) -> None:
    for attachment in read_message(raw, REF).attachments:
        for _ in attachment.chunks():
            pass


def _plainly(raw: bytes) -> None:
    message = message_from_bytes(raw, policy=policy.default)
    for name in HEADERS:
        str(message[name])
    for part in message.walk():
        if not part.is_multipart():
            part.get_content()


def _with_attachment(size: int) -> bytes:
    """A text and one file, `size` bytes as MIME."""
    file = base64.encodebytes(random.Random(1).randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")
    boundary = "----=_NextPart_000_0001"
    head = (
        "From: Customer <customer@northwind.example>\r\nTo: <anna@contoso.example>\r\nSubject: Drawings\r\n"
        f"Date: {format_datetime(NOW)}\r\nMessage-ID: <bench.large@northwind.example>\r\nMIME-Version: 1.0\r\n"
        f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n'
        f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nPlease find the drawings attached.\r\n"
        f"--{boundary}\r\nContent-Type: application/pdf; name=drawings.pdf\r\n"
        "Content-Disposition: attachment; filename=drawings.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + file + f"--{boundary}--\r\n".encode()
