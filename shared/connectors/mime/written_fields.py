"""Header fields as they are written (RFC 5322, 2047, 6854): folded, in ASCII, one line each whatever stands in their values.

Lines have 78 characters where words allow it, and never more than 998. Encoded words are made by the standard library.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from email.header import Header
from email.utils import quote

from shared.connectors.mime.written_addresses import ascii_domain, written_address
from shared.domain.email import Address
from shared.domain.ids import short_hash

LINE = 78
"""Characters of a line (RFC 5322 section 2.1.1), without its end."""
_FOLD = "\r\n "
_LONGEST_WORD = 76
_LONGEST_PHRASE = 60
"""Characters of a name that is written as it is; a longer one is folded between encoded words."""
_LONGEST_ID = 900
_MOST_OF_REFERENCES = 8000
"""Characters: servers refuse headers that are too long. The first Message-ID and the last ones tell the most (RFC 5322 section
3.6.4)."""
_LONGEST_INDEX = 8000
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_WORDS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_MESSAGE_ID = re.compile(rf"[!-;=?-~]{{1,{_LONGEST_ID}}}")
_INDEX = re.compile(rf"(?=.{{1,{_LONGEST_INDEX}}}\Z)[A-Za-z0-9+/]+={{0,2}}")


def one_line(text: str) -> str:
    """Without what ends lines, and what is no text."""
    return _CONTROLS.sub(" ", text).strip()


def text_field(name: str, text: str) -> str:
    """Such as Subject."""
    value = one_line(text)
    if not _is_plain(value) or any(len(word) > _LONGEST_WORD for word in value.split(" ")):
        return f"{name}: {_encoded(value, len(name) + 2)}\r\n"
    return f"{name}:{_folded(value.split(' '), len(name) + 1)}\r\n"


def addresses_field(name: str, addresses: Iterable[Address], *, utf8: bool) -> str:
    """Such as To."""
    written = [_mailbox(address, utf8=utf8) for address in addresses]
    return f"{name}:{_folded([*(f'{each},' for each in written[:-1]), *written[-1:]], len(name) + 1)}\r\n"


def ids_field(name: str, message_ids: Sequence[str]) -> str:
    """Such as References; empty where none of them can be written: strangers made them."""
    written = [f"<{each}>" for each in message_ids if _MESSAGE_ID.fullmatch(each)]
    kept = _outermost(written)
    return f"{name}:{_folded(kept, len(name) + 1)}\r\n" if kept else ""


def index_field(name: str, conversation_index: str) -> str:
    """Such as Thread-Index; empty where it is none."""
    if not _INDEX.fullmatch(conversation_index):
        return ""
    pieces = [conversation_index[at : at + 60] for at in range(0, len(conversation_index), 60)]
    return f"{name}: {_FOLD.join(pieces)}\r\n"


def written_message_id(message_id: str) -> str:
    """The Message-ID as it is written: the same, but for what no header can carry."""
    if _MESSAGE_ID.fullmatch(message_id):
        return message_id
    local, _, domain = message_id.rpartition("@")
    with_ascii_domain = f"{local}@{ascii_domain(domain) or 'localhost'}"
    if _MESSAGE_ID.fullmatch(with_ascii_domain):
        return with_ascii_domain
    return f"{short_hash(message_id)}@{ascii_domain(domain) or 'localhost'}"


def is_written_id(message_id: str) -> bool:
    return _MESSAGE_ID.fullmatch(message_id) is not None


def _folded(words: Sequence[str], used: int) -> str:
    """The words, each after a space or a fold; empty ones are further spaces. A word may have folds of its own."""
    written: list[str] = []
    for word in words:
        first, _, _ = word.partition("\r\n")
        fits = used + 1 + len(first) <= LINE
        written.append(f" {word}" if fits or not word or not written else f"{_FOLD}{word}")
        used = (used if written[-1][0] == " " else 0) + 1 + len(first)
        if first != word:
            used = len(word.rpartition("\r\n")[2])
    return "".join(written)


def _mailbox(address: Address, *, utf8: bool) -> str:
    """What cannot be written is an empty group of that name (RFC 6857 section 3.1.5), so that readers see who it was."""
    written = written_address(address.address, utf8=utf8)
    name = one_line(address.name)
    if written is None:
        return f"{_phrase(one_line(f'{name} {address.address}'))}:;"
    if not name:
        return f"<{written}>"
    phrase = _phrase(name)
    fits = len(phrase.rpartition("\r\n")[2]) + len(written) + 5 <= LINE
    return f"{phrase}{' ' if fits else _FOLD}<{written}>"


def _phrase(name: str) -> str:
    if not _is_plain(name) or len(name) > _LONGEST_PHRASE:
        return _encoded(name, 0)
    if _WORDS.fullmatch(name):
        return name
    return f'"{quote(name)}"'


def _is_plain(value: str) -> bool:
    return value.isascii() and "=?" not in value


def _encoded(value: str, used: int) -> str:
    return Header(value, "utf-8", maxlinelen=LINE - 2, header_name="x" * used).encode(linesep="\r\n")


def _outermost(written: Sequence[str]) -> list[str]:
    """The first and the last ones, as many as fit."""
    kept = list(_fitting(written[:0:-1], _MOST_OF_REFERENCES))
    return [*written[:1], *reversed(kept)]


def _fitting(words: Iterable[str], room: int) -> Iterator[str]:
    for word in words:
        room -= len(word)
        if room < 0:
            return
        yield word
