"""MIME: what the standard library writes is read back, and real mail reads the same wherever and however often it is read."""

import mmap
from base64 import encodebytes
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connectors.mime import read_envelope, read_message
from shared.connectors.mime.envelope import WANTED
from shared.connectors.mime.structure import Part, Splitter
from shared.connectors.mime.words import visible
from shared.domain.email import Envelope, IncomingMessage
from tests.unit.connectors.mime_messages import RECEIVED, REF, content

CORPUS = Path(__file__).parents[4] / "shared" / "mail-corpus"

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs", "Cn", "Co"]), min_size=1, max_size=12)
LINES = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
TEXTS = st.lists(LINES, min_size=1, max_size=4).map(lambda lines: "\n".join(lines) + "\n")
NAMES = WORDS.filter(lambda name: not set(name) & set("=\"\\<>'`"))
FILES = st.lists(st.tuples(NAMES, st.binary(max_size=300)), max_size=3)
POLICIES = st.sampled_from([policy.SMTP, policy.SMTPUTF8, policy.default, policy.SMTP.clone(max_line_length=998)])


@given(subject=LINES, text=TEXTS, html=st.none() | TEXTS, files=FILES, pictures=FILES, written_by=POLICIES)
def test_what_the_standard_library_writes_is_read_back(
    subject: str,
    text: str,
    html: str | None,
    files: list[tuple[str, bytes]],
    pictures: list[tuple[str, bytes]],
    written_by: policy.EmailPolicy,
) -> None:
    written = EmailMessage()
    written["Subject"] = subject
    written["From"] = "bert@fabrikam.example"
    written["Date"] = format_datetime(RECEIVED)
    written.set_content(text)
    if html is not None:
        written.add_alternative(html, subtype="html")
        for number, (picture, data) in enumerate(pictures):
            alternative = written.get_payload(1)
            assert isinstance(alternative, EmailMessage)
            alternative.add_related(data, "image", "png", cid=f"<{number}@x>", disposition="inline", filename=picture)
    for file, data in files:
        written.add_attachment(data, maintype="application", subtype="pdf", filename=file)
    message = read_message(written.as_bytes(policy=written_by), REF)
    assert message.subject == visible(subject)
    assert message.sent == RECEIVED
    body = message.body_html if html is not None else message.body_text or ""
    assert body is not None
    assert body.splitlines() == visible(html or text).splitlines()
    expected = [(each, data, True) for each, data in (pictures if html is not None else [])]
    expected += [(each, data, False) for each, data in files]
    assert [(each.name, content(each), each.is_inline) for each in message.attachments] == expected


def leaves(part: Part) -> Iterator[tuple[str, bytes]]:
    for each in part.parts:
        yield from leaves(each)
    if not part.parts:
        yield part.content_type, part.content()


def leaves_of_the_standard_library(message: Message) -> Iterator[tuple[str, bytes]]:
    for each in message.walk():
        if each.get_content_maintype() != "multipart":
            yield each.get_content_type(), each.get_payload(decode=True)  # type: ignore[misc] # bytes when decoded


@st.composite
def entities(draw: st.DrawFn, depth: int = 0) -> bytes:
    """Parts within parts, in any encoding, with and without what may be left out."""
    line_end = b"\r\n"
    if depth < 3 and draw(st.booleans()):
        boundary = b"=_%d.%d" % (depth, draw(st.integers(0, 10**9)))
        parts = draw(st.lists(entities(depth=depth + 1), min_size=1, max_size=3))
        head = b'Content-Type: multipart/%s; boundary="%s"' % (draw(st.sampled_from([b"mixed", b"related", b"x"])), boundary)
        opened = b"".join(b"--" + boundary + line_end + part + line_end for part in parts)
        return (
            head + line_end * 2 + draw(st.sampled_from([b"", b"preamble\r\n"])) + opened + b"--" + boundary + b"--" + line_end
        )
    encoded = {
        b"base64": st.binary(max_size=60).map(lambda data: encodebytes(data).replace(b"\n", b"\r\n")),
        b"quoted-printable": st.sampled_from([b"a=3Db", b"a=\r\nb", b"=C3=BC", b"a=b"]),
        b"8bit": st.binary(max_size=30).map(lambda data: data.translate(None, b"\r\n-")),
    }
    encoding = draw(st.sampled_from(sorted(encoded)))
    kind = draw(st.sampled_from([b"", b"Content-Type: text/plain\r\n", b"Content-Type: application/octet-stream; name=a\r\n"]))
    return kind + b"Content-Transfer-Encoding: " + encoding + b"\r\nX-Other: x\r\n\r\n" + draw(encoded[encoding])


@given(entities())
def test_parts_are_those_that_the_standard_library_finds(entity: bytes) -> None:
    found = Splitter(entity).part(0, len(entity), WANTED)
    assert list(leaves(found)) == list(leaves_of_the_standard_library(message_from_bytes(entity)))


# ---- real mail


corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not beside the repository")


def described(message: IncomingMessage) -> list[object]:
    told = [getattr(message, name) for name in IncomingMessage.__dataclass_fields__ if name != "attachments"]
    carried = [
        (each.name, each.content_type, each.size, each.content_id, each.is_inline, each.is_message, each.identity)
        for each in message.attachments
    ]
    return [*told, carried, [sha256(content(each)).hexdigest() for each in message.attachments]]


@corpus
def test_no_real_message_is_refused_and_all_read_the_same_twice() -> None:
    count = 0
    for path in sorted(CORPUS.rglob("*.eml")):
        raw = path.read_bytes()
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert described(read_message(raw, REF)) == described(read_message(mapped, REF)), path
        count += 1
    assert count > 400


@corpus
def test_the_header_of_a_real_message_says_what_the_message_says() -> None:
    """But for what only the content tells: which report or meeting it is."""
    for path in sorted(CORPUS.rglob("*.eml")):
        raw = path.read_bytes()
        message = read_message(raw, REF, received=RECEIVED)
        header = raw[: Splitter(raw).part(0, len(raw), WANTED).body]
        envelope = read_envelope(header, REF, received=RECEIVED, size=len(raw))
        told = [name for name in Envelope.__dataclass_fields__ if name != "item_class"]
        assert [getattr(envelope, name) for name in told] == [getattr(message, name) for name in told], path


@corpus
def test_no_part_of_a_real_message_is_lost() -> None:
    """What is neither body nor attachment was read otherwise: a report's parts for programs, or a meeting's calendar."""
    for path in sorted(CORPUS.rglob("*.eml")):
        raw = path.read_bytes()
        message = read_message(raw, REF)
        kept = b"\n".join(content(each) for each in message.attachments)
        said = (message.body_html or message.body_text or "").encode()
        for kind, part in leaves(Splitter(raw).part(0, len(raw), WANTED)):
            if kind in ("text/plain", "text/html", "text/calendar") or "ms-tnef" in kind:
                continue
            is_read = kind in ("message/delivery-status", "message/disposition-notification") and part not in kept
            assert is_read or part in kept or message.item_class.endswith("MultipartSigned"), (path, kind, said[:80])
