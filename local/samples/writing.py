"""Writes well-formed messages the way mail programs do, and the files that are attached to them. Knows no expectations.

Everything is a function of its arguments: boundaries and dates too, so that the same call gives the same bytes.
"""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP
from email.utils import format_datetime, formataddr


@dataclass(frozen=True, slots=True)
class File:
    """Something to attach; with a `content_id` it is a picture in the HTML."""

    name: str
    content_type: str
    content: bytes
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """What a writer decides about a message."""

    sender: tuple[str, str]
    """Name and address."""
    to: Sequence[tuple[str, str]]
    subject: str
    text: str
    sent: datetime
    message_id: str | None
    cc: Sequence[tuple[str, str]] = ()
    html: str | None = None
    files: Sequence[File] = ()
    in_reply_to: str | None = None
    references: Sequence[str] = ()
    headers: Sequence[tuple[str, str]] = ()
    charset: str = "utf-8"


def write(letter: Letter) -> bytes:
    message = EmailMessage(policy=SMTP)
    _write_headers(message, letter)
    message.set_content(letter.text, charset=letter.charset)
    if letter.html is not None:
        message.add_alternative(letter.html, subtype="html", charset=letter.charset)
        _embed(message, [file for file in letter.files if file.content_id])
    for file in letter.files:
        if not file.content_id:
            _attach(message, file)
    _fix_boundaries(message, letter.message_id or letter.subject)
    return message.as_bytes()


def _write_headers(message: EmailMessage, letter: Letter) -> None:
    message["From"] = mailbox(*letter.sender)
    message["To"] = ", ".join(mailbox(*one) for one in letter.to)
    if letter.cc:
        message["Cc"] = ", ".join(mailbox(*one) for one in letter.cc)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(letter.sent)
    if letter.message_id:
        message["Message-ID"] = f"<{letter.message_id}>"
    if letter.in_reply_to:
        message["In-Reply-To"] = f"<{letter.in_reply_to}>"
        message["References"] = " ".join(f"<{one}>" for one in letter.references or (letter.in_reply_to,))
    for name, value in letter.headers:
        message[name] = value


def mailbox(name: str, address: str) -> str:
    """`name <address>`, quoted where it must be; the policy encodes what is not ASCII."""
    if name.isascii():
        return formataddr((name, address))
    return f"{name} <{address}>"


def _embed(message: EmailMessage, pictures: Sequence[File]) -> None:
    if not pictures:
        return
    html = message.get_body(("html",))
    if not isinstance(html, MIMEPart):
        raise TypeError("a message with pictures has an HTML part")
    for picture in pictures:
        main, _, sub = picture.content_type.partition("/")
        html.add_related(picture.content, main, sub, cid=f"<{picture.content_id}>", disposition="inline", filename=picture.name)


def _attach(message: EmailMessage, file: File) -> None:
    main, _, sub = file.content_type.partition("/")
    message.add_attachment(file.content, main, sub, filename=file.name)


def _fix_boundaries(message: EmailMessage, seed: str) -> None:
    """The library draws boundaries at random; ours follow from the message."""
    stem = f"{zlib.crc32(seed.encode()):08x}"
    for number, part in enumerate(message.walk()):
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            part.set_boundary(f"----=_Part_{stem}_{number}")


# ---- files


def picture(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """A PNG of one colour."""
    row = b"\0" + bytes(colour) * width
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        (b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(row * height)), _chunk(b"IEND", b""))
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def pdf(title: str) -> bytes:
    """One page that shows its title."""
    text = f"BT /F1 24 Tf 72 700 Td ({title}) Tj ET".encode("ascii", "replace")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>\nstream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    written = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, one in enumerate(objects, 1):
        offsets.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    start = len(written)
    written += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    written += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    written += b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(written)


def archive(files: Sequence[tuple[str, bytes]]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files:
            zipped.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
    return written.getvalue()


def spreadsheet(rows: Sequence[Sequence[object]]) -> bytes:
    """Comma-separated, as spreadsheets export it: with the byte order mark."""
    lines = [",".join(str(cell) for cell in row) for row in rows]
    return "\r\n".join(("\ufeff" + lines[0], *lines[1:], "")).encode("utf-8")


def noise(size: int, seed: int) -> bytes:
    """`size` bytes that do not compress and do not repeat: a scan, a photograph, a film."""
    return random.Random(seed).randbytes(size)
