"""Addresses of From, To and the like (RFC 5322 section 3.4, RFC 6532), as mail programs write them. Never fails; bounded."""

import re
from collections.abc import Sequence
from email.utils import getaddresses

from shared.connectors.mime.words import decoded_words, readable, unfolded, visible
from shared.domain.email import Address

LONGEST = 128 * 1024
"""Characters of one field that are read."""
MOST_ADDRESSES = 2000
"""Of one kind; no server in use takes more recipients of one message."""
_LONGEST_OF_ONE = 4096
"""Characters of a field that only one address is wanted of."""
_LONGEST_NAME = 1000
"""Characters of what is no list of addresses at all."""

_ATOM = "[A-Za-z0-9_+-][A-Za-z0-9_+'-]*+"
_PLAIN = re.compile(rf"(?:([A-Za-z0-9]++(?:[ '-][A-Za-z0-9]++)*+) )?<({_ATOM}(?:\.{_ATOM})*+@{_ATOM}(?:\.{_ATOM})*+)>")
"""A name of plain words and an address: what most mail has, read without a parser."""
_WORD = r"""[^\s<>()\[\],;:"@]++"""
_ADDRESS = re.compile(f"{_WORD}@{_WORD}")
_AROUND = " \t\r\n<>()[],;:\"'"


def addresses(values: Sequence[str]) -> tuple[Address, ...]:
    """The addresses of these raw field bodies, members of groups among them. What is no address stands as it is written."""
    if len(values) == 1 and (plain := _PLAIN.fullmatch(values[0])):
        return (Address(plain[2], plain[1] or plain[2]),)
    found = (_address(name, address) for name, address in _pairs(values)[:MOST_ADDRESSES])
    return tuple(each for each in found if each is not None)


def first_address(values: Sequence[str]) -> Address | None:
    """Of fields that one address is wanted of, such as From."""
    return next(iter(addresses([value[:_LONGEST_OF_ONE] for value in values])), None)


def _pairs(values: Sequence[str]) -> list[tuple[str, str]]:
    texts = [readable(value[:LONGEST]) for value in values]
    names = [("", text.strip(_AROUND)[:_LONGEST_NAME]) for text in texts]
    if not any(each in text for text in texts for each in "@<:="):
        return names
    try:
        return getaddresses(texts, strict=False)
    except (ValueError, IndexError, TypeError, AttributeError, RecursionError):
        return names


def _address(name: str, address: str) -> Address | None:
    """An address without a name is called what it is, and a name without an address stands for it, as Exchange has it."""
    name, address = _text(name), _text(address)
    if address[:1] == address[-1:] == "'":
        address = address[1:-1]
    is_bare = len(address) > _LONGEST_OF_ONE or _ADDRESS.fullmatch(address)  # looking for one takes quadratic time
    if address and not is_bare and len(found := _ADDRESS.findall(address)) == 1:
        rest = address.replace(found[0], " ").strip(_AROUND)  # a name in front without brackets, or both in one encoded word
        name, address = name or rest, found[0]
    return Address(address or name, name or address) if name or address else None


def _text(written: str) -> str:
    return visible(unfolded(decoded_words(written)))
