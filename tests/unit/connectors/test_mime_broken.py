"""MIME: broken mail is kept as far as it goes, and no mail takes more time or memory than its size warrants."""

import mmap
import tempfile
import tracemalloc
from base64 import b64encode, encodebytes
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connectors.mime import read_envelope, read_message, received_of
from shared.connectors.mime.bodies import LARGEST_TEXT
from shared.connectors.mime.structure import MOST_PARTS
from shared.connectors.mime.transfer import CHUNK
from shared.domain.email import IncomingMessage
from tests.unit.connectors.mime_messages import RECEIVED, REF, content, multipart, raw, read

MIB = 1 << 20


def attached(encoding: str, encoded: bytes, kind: str = "application/pdf") -> IncomingMessage:
    return read(raw(encoded, content_type=f"{kind}; name=a", content_transfer_encoding=encoding))


# ---- structure


@pytest.mark.parametrize("kind", ["multipart/mixed", "multipart/mixed; boundary=", "multipart/mixed; boundary=other"])
def test_a_multipart_without_its_boundary_is_text(kind: str) -> None:
    message = read(raw("--b\n\nHello\n--b--\n", content_type=kind))
    assert (message.body_text, message.attachments) == ("--b\r\n\r\nHello\r\n--b--\r\n", ())


def test_a_multipart_that_is_cut_short_keeps_its_parts() -> None:
    whole = multipart("\nHello", "Content-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\nJVBERi0xLjQ=")
    message = read(whole[: whole.index(b"LjQ=")])
    assert (message.body_text, [content(each) for each in message.attachments]) == ("Hello", [b"%PDF-1"])


def test_what_stands_before_and_after_the_parts_does_not_count() -> None:
    message = read(raw("before\n--b\n\nHello\n--b--\nafter\n--b\n\nmore\n", content_type="multipart/mixed; boundary=b"))
    assert (message.body_text, message.attachments) == ("Hello", ())


def test_a_part_of_which_only_the_boundary_came_is_none() -> None:
    message = read(raw("--b\n\nHello\n--b\n", content_type="multipart/mixed; boundary=b"))
    assert (message.body_text, message.attachments) == ("Hello", ())


def test_a_boundary_ends_only_where_its_line_does() -> None:
    message = read(raw("--b\n\n--bc\n --b\n--b \t\n\nHello\n--b--", content_type="multipart/mixed; boundary=b"))
    assert (message.body_text, [content(each) for each in message.attachments]) == ("--bc\r\n --b", [b"Hello"])


def test_a_boundary_is_compared_as_it_is_written() -> None:
    message = raw("--=?utf-8?q?b?=\n\nHello\n--=?utf-8?q?b?=--", content_type='multipart/mixed; boundary="=?utf-8?q?b?="')
    assert read(message).body_text == "Hello"
    odd = b"--gr\xfc\xdfe\r\n\r\nHello\r\n--gr\xfc\xdfe--"
    assert read(raw(odd, content_type=b'multipart/mixed; boundary="gr\xfc\xdfe"')).body_text == "Hello"


def test_what_is_nested_too_deep_is_one_attachment() -> None:
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n" for depth in range(5000))
    (attachment,) = read(raw()[:-2] + deep.encode()).attachments
    assert attachment.content_type == "multipart/mixed"
    assert content(attachment).endswith(b"--b4999\n")


def test_what_follows_too_many_parts_is_part_of_the_last_one() -> None:
    body = "".join(f"--b\nContent-Type: application/x\n\n{number}\n" for number in range(2 * MOST_PARTS))
    message = read(raw(body, content_type="multipart/mixed; boundary=b"))
    assert len(message.attachments) == MOST_PARTS
    assert content(message.attachments[-1]).rstrip().endswith(str(2 * MOST_PARTS - 1).encode())


def test_a_text_of_any_size_is_kept_and_a_huge_one_as_an_attachment() -> None:
    message = read(raw(b"x" * (LARGEST_TEXT + 1)))
    assert (message.body_text, [each.size for each in message.attachments]) == ("", [LARGEST_TEXT + 1])


# ---- encodings


@pytest.mark.parametrize(
    ("encoding", "encoded", "decoded"),
    [
        ("base64", b"JVBERg==", b"%PDF"),
        ("base64", b"JVBE\r\n\r\n Rg\r\n==\r\n", b"%PDF"),
        ("base64", b"JVBERg", b"%PDF"),
        ("base64", b"JVBER", b"%PD"),
        ("base64", b"JVBERg==\r\n-- \r\nScanned by a scanner", b"%PDF"),
        ("base64", b"J!V*B-E\x00R\xffg==", b"%PDF"),
        ("base64", b"", b""),
        ("Base64 ", b"JVBERg==", b"%PDF"),
        ("base64; charset=x", b"JVBERg==", b"%PDF"),
        ("quoted-printable", b"a=3Db=\r\nc=zz=", b"a=bc=zz"),
        ("7bit", b"a=3D", b"a=3D"),
        ("8-bit", b"a=3D", b"a=3D"),
        ("nonsense", b"a=3D", b"a=3D"),
        ("x-uuencode", b"\r\nbegin 644 a\r\n#86)C\r\n\r\n`\r\nend\r\n#86)C\r\n", b"abc"),
        ("uuencode", b"#86)C\r\nno line of it\r\n", b"abc"),
    ],
)
def test_a_broken_encoding_gives_what_can_be_had_of_it(encoding: str, encoded: bytes, decoded: bytes) -> None:
    (attachment,) = attached(encoding, encoded).attachments
    assert (content(attachment), attachment.size) == (decoded, len(decoded))


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17])
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "7bit"])
def test_large_content_comes_in_pieces_that_make_the_whole(encoding: str, size: int) -> None:
    decoded = (b"0123456789abcdef\r\n" * (size // 18 + 1))[:size]
    encoded = {"base64": encodebytes(decoded), "quoted-printable": decoded.replace(b"f", b"=66=\r\n"), "7bit": decoded}[
        encoding
    ]
    (attachment,) = attached(encoding, encoded).attachments
    pieces = list(attachment.chunks())
    assert (b"".join(pieces), attachment.size) == (decoded, size)
    assert max(map(len, pieces)) <= CHUNK
    assert b"".join(attachment.chunks()) == decoded


def test_escapes_are_not_cut_in_a_line_without_end() -> None:
    (attachment,) = attached("quoted-printable", b"A" + b"=41" * CHUNK).attachments
    assert content(attachment) == b"A" + b"A" * CHUNK


@pytest.mark.parametrize(
    ("charset", "encoded", "text"),
    [
        ("utf-8", "Grüße".encode(), "Grüße"),
        ("utf-8", b"\xef\xbb\xbfHello", "Hello"),
        ("utf-8", "Grüße, und dann ".encode() + b"\xff", "Grüße, und dann \N{REPLACEMENT CHARACTER}"),
        ("utf-8", "Grüße".encode("latin-1"), "Grüße"),
        ("us-ascii", "Grüße".encode("cp1252"), "Grüße"),
        ("us-ascii", "Grüße".encode(), "Grüße"),
        ("iso-8859-1", "Grüße".encode("latin-1"), "Grüße"),
        ("'utf-8'", "Grüße".encode(), "Grüße"),
        ("unknown", "Grüße".encode(), "Grüße"),
        ("x-unknown-8bit", "Grüße".encode("cp1252"), "Grüße"),
        ("gb2312", "你好囧镕".encode("gb18030"), "你好囧镕"),
        ("ks_c_5601-1987", "안녕하세요".encode("cp949"), "안녕하세요"),
        ("iso-2022-jp", "日本語".encode("iso-2022-jp"), "日本語"),
        ("shift_jis", "①".encode("cp932"), "①"),
        ("utf-16", "Grüße".encode("utf-16"), "Grüße"),
        ("utf-7", b"Gr+APwA3w-e +2AA-", "Grüße \N{REPLACEMENT CHARACTER}"),
        ("hex", b"6162", "6162"),
        ("unicode_escape", rb"\ud800 \q", r"\ud800 \q"),
        ("idna", b"xn--grn-hoa", "xn--grn-hoa"),
        ("utf-8\x00", b"Hello", "Hello"),
        ("utf-8", b"a\x00b\x0cc", "abc"),
        ("utf-8", "a\uffffb\ufffe".encode(), "ab"),
    ],
)
def test_text_is_read_whatever_its_label_says(charset: str, encoded: bytes, text: str) -> None:
    assert read(raw(encoded, content_type=f'text/plain; charset="{charset}"')).body_text == text


# ---- anything


@given(st.binary(max_size=2000))
def test_any_bytes_make_a_message(noise: bytes) -> None:
    for message in (noise, raw(noise), raw(noise, content_type="multipart/mixed; boundary=a"), multipart("\nx") + noise):
        found = read_message(message, REF)
        assert found.received == (received_of(message) or read_envelope(message, REF).received)
        assert sum(len(content(each)) for each in found.attachments) == sum(each.size for each in found.attachments)
        (found.subject + (found.body_text or "") + (found.body_html or "")).encode()


@given(st.data())
def test_a_damaged_message_is_still_one(data: st.DataObject) -> None:
    whole = bytearray(
        multipart("Content-Type: text/html\n\n<p>x", f"Content-Transfer-Encoding: base64\n\n{b64encode(b'abc').decode()}")
    )
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=20)):
        whole[place] = data.draw(st.integers(0, 255))
    message = read(bytes(whole))
    assert [content(each) for each in message.attachments] == [content(each) for each in read(bytes(whole)).attachments]
    assert message.received == RECEIVED


@given(st.binary(max_size=500))
def test_bytes_views_and_maps_read_the_same(noise: bytes) -> None:
    message = multipart("\nHello", "Content-Type: application/x; name=a\n\nfile") + noise
    with mapped(message) as found:
        views = [read_message(each, REF, received=RECEIVED) for each in (message, memoryview(message), found)]
        assert len({(each.subject, each.body_text, each.size, content(each.attachments[0])) for each in views}) == 1
        del views


# ---- bombs


def of_parts(body: bytes) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=a\n\n" + body


BOMBS = {
    "parts": of_parts(b"--a\n\nx\n" * 300_000),
    "lines like boundaries": of_parts(b"\n--ab" * 400_000),
    "boundaries with space": of_parts((b"--a" + b" " * 1000 + b"x\n") * 2000),
    "depth over many lines": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(19))
    + b"\n--b" * 500_000,
    "the same boundary within itself": (b"Content-Type: multipart/mixed; boundary=b\n\n--b\n") * 20_000,
    "parameters": b"Content-Type: text/plain" + b";a=b" * 500_000 + b"\n\n",
    "open quotes": b"Content-Type: text/plain" + b';"' * 1_000_000 + b"\n\n",
    "numbered parameters": b"Content-Type: text/plain" + b"".join(b";a*%d=x" % n for n in range(200_000)) + b"\n\n",
    "parts with parameters": of_parts((b"--a\nContent-Type: text/plain" + b';"' * 1000 + b"\n\n") * 1000),
    "fields": b"".join(b"X%d: y\n" % n for n in range(200_000)),
    "one field again and again": b"To: a@b\n" * 250_000,
    "folds": b"Subject: x\n" + b" y\n" * 700_000,
    "a line": b"x" * 2_000_000,
    "encoded words": b"Subject: " + b"=?a?q?" * 300_000 + b"\n\n",
    "comments": b"To: " + b"(" * 250_000 + b"\n\n",
    "addresses": b"To: " + b"a@b," * 60_000 + b"\n\n",
    "an address without end": b"To: <" + b"a" * 120_000 + b">\nCc: <" + b"a." * 60_000 + b"@>\n\n",
    "escapes without end": b'To: "' + b"\\" * 240_000 + b"@\n\n",
    "at signs": b"To: " + b"@" * 250_000 + b"\n\n",
    "attached senders": of_parts((b"--a\nContent-Type: message/rfc822\n\nFrom: " + b"@" * 20_000 + b"\n\n") * 100),
    "references": b"References: " + b"<a@b>" * 50_000 + b"\n\n",
    "a date": b"Date: " + b"1 " * 100_000 + b"\n\n",
    "empty lines of uuencode": b"Content-Type: application/x\nContent-Transfer-Encoding: x-uuencode\n\n" + b"\n" * 2_000_000,
    "quotes": b"Content-Type: text/plain; format=flowed; delsp=yes\n\n" + b">" * 1_000_000 + b"\n" + b"> \n" * 300_000,
    "a report": b"Content-Type: multipart/report; report-type=delivery-status; boundary=a\n\n" + b"--a\n\n" * 400_000,
    "charsets": of_parts(b"".join(b"--a\nContent-Type: text/plain; charset=x%d\n\ny\n" % n for n in range(900))),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_message_of_two_megabytes_takes_long(bomb: str) -> None:
    started = thread_time()
    message = read_message(BOMBS[bomb], REF)
    for attachment in message.attachments:
        content(attachment)
    read_envelope(BOMBS[bomb], REF)
    assert thread_time() - started < 3
    assert len(message.attachments) <= MOST_PARTS
    assert len(message.to) <= 2000


# ---- memory


@contextmanager
def mapped(*pieces: bytes) -> Iterator[mmap.mmap]:
    with tempfile.TemporaryFile() as file:
        file.writelines(pieces)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as found:
            yield found


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "binary"])
def test_an_attachment_of_100_mb_takes_a_few_mb(encoding: str) -> None:
    line = b"A" * 76 + b"\r\n"
    head = multipart("\nHello", f"Content-Type: application/zip\nContent-Transfer-Encoding: {encoding}\n\n").removesuffix(
        b"--=b--\r\n"
    )
    with mapped(head.rstrip(b"\r\n"), b"\r\n\r\n", *[line * 13_500] * 100, b"--=b--\r\n") as found:
        tracemalloc.start()
        (attachment,) = read_message(found, REF).attachments
        digest, size = sha256(), 0
        for piece in attachment.chunks():
            digest.update(piece)
            size += len(piece)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(found) > 100 * MIB
        assert size == attachment.size > 70 * MIB
        assert peak < 8 * MIB
