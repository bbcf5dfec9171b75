"""Bytes of mail as text: charsets as they are labelled and mislabelled, and encoded words (RFC 2047).

Never fails: where a label is missing, unknown or wrong, UTF-8 is tried and then what Windows would take. Time is linear in
the length of the input.
"""

import binascii
import codecs
import re
from functools import lru_cache

from shared.connectors.mime.transfer import decoded_base64

_CHARSET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,39}")
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"})
"""What Python knows beside the charsets of mail; some of them take quadratic time."""
_WIDER = {
    "ascii": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "big5": "cp950",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
}
"""What senders mean whose bytes are not of the charset that they name: its superset on Windows."""
_CONTROLS = tuple(chr(code) for code in range(32) if chr(code) not in "\t\n\r")
_NOT_CHARACTERS = ("\ufffe", "\uffff")
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_WORD_START = re.compile(r"=\?([^?]*)\?([bBqQ])\?")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
_LINE_BREAKS = str.maketrans("\t\r\n", "   ")


def visible(text: str) -> str:
    """`text` without the characters that XML cannot carry: Exchange cannot either, and the same mail has to read the same."""
    if text.isprintable():
        return text
    if any(each in text for each in _CONTROLS) or (not text.isascii() and any(each in text for each in _NOT_CHARACTERS)):
        return _UNSEEN.sub("", text)
    return text


def decoded_text(content: bytes, charset: str | None) -> str:
    """`content` in its charset; else as UTF-8; else as Windows reads that charset, with marks for what is none."""
    content = content.removeprefix(codecs.BOM_UTF8)
    codec = _codec(charset.strip().strip("'\"")) if charset else None
    for candidate in (codec, "utf-8", _WIDER.get(codec or "")):
        if candidate:
            try:
                return _without_halves(content.decode(candidate), candidate)
            except ValueError:
                continue
    if codec == "utf-8" and content.decode("utf-8", "ignore").isascii():  # the label is wrong, not a byte
        codec = None
    return content.decode(codec or "cp1252", "replace")


@lru_cache(maxsize=512)
def _codec(charset: str) -> str | None:
    """Python's name for it; None where it is unknown or no charset of mail."""
    if not _CHARSET.fullmatch(charset):
        return None
    try:
        name = codecs.lookup(charset).name
        b"a".decode(name, "ignore")  # those that make no text are refused now
    except (LookupError, ValueError):
        return None
    return None if name.replace("-", "_") in _NO_CHARSETS else name


def _without_halves(text: str, codec: str) -> str:
    """UTF-7 can spell half of a surrogate pair, which is no text."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if codec == "utf-7" else text


def readable(value: str) -> str:
    """A raw field body (bytes beyond ASCII as surrogates) as text: they are UTF-8 (RFC 6532), else Windows-1252."""
    return value if value.isascii() else decoded_text(value.encode("utf-8", "surrogateescape"), None)


def unfolded(value: str) -> str:
    """One line of text: white space at folds is white space."""
    return value.translate(_LINE_BREAKS).strip()


def decoded_words(value: str) -> str:
    """Encoded words decoded. White space between two of them does not count, and a character may be split over two of the same
    charset; white space within one is borne. What is none stays as it is."""
    if "=?" not in value:
        return value
    decoded: list[str] = []
    held, held_charset = b"", ""
    position = 0
    while (start := _WORD_START.search(value, position)) and (end := value.find("?=", start.end())) >= 0:
        between = value[position : start.start()]
        charset = start[1].partition("*")[0].lower()
        word = _word(value[start.end() : end], start[2], charset)
        if held and (charset != held_charset or between.strip()):
            decoded.append(decoded_text(held, held_charset))
            held = b""
        if between.strip() or not (decoded or held or position):
            decoded.append(between)
        held, held_charset = held + word, charset
        position = end + 2
    if held:
        decoded.append(decoded_text(held, held_charset))
    return "".join(decoded) + value[position:]


def _word(encoded: str, encoding: str, charset: str) -> bytes:
    """The bytes of one encoded word. Bytes beyond ASCII that stand in it raw are of its own charset."""
    content = _encoded(encoded, charset)
    if encoding in "bB":
        return decoded_base64(content)
    return _HEX.sub(lambda match: binascii.unhexlify(match[1]), content.replace(b"_", b" "))


def _encoded(text: str, charset: str) -> bytes:
    if text.isascii():
        return text.encode("ascii")
    try:
        return text.encode(_codec(charset) or "utf-8")
    except ValueError:
        return text.encode("utf-8", "surrogatepass")


def text_of(raw: str) -> str:
    """What a reader sees of a raw field body."""
    return visible(unfolded(decoded_words(readable(raw))))
