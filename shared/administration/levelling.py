"""Bounds how deep and how large message HTML may be before a parser builds a tree of it.

An HTML parser needs quadratic time for deep nesting, and repeats every open formatting element in each new paragraph; one
megabyte of a stranger's mail could keep a worker busy for minutes. Here tags are read one by one, each character once, and
written back balanced; what exceeds the bounds is left out, its text kept. This is no sanitiser: what comes out is as untrusted
as what went in. (The standard library's parser is no help: it is quadratic itself in several ways, depending on its release.)
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

LONGEST = 5_000_000
"""Characters that are looked at."""
FEW_TAGS = 500
"""HTML with fewer tags needs no levelling: it cannot nest deeper than that."""
MOST_TAGS = 50_000
MOST_REFERENCES = 50_000
DEEPEST = 100
DEEPEST_FORMATTING = 12

_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
_FORMATTING = {"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "span", "strike", "strong", "tt", "u"}
_RAW = {"iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "textarea", "title", "xmp"}
"""Elements whose content is no HTML; none of it is ever shown."""

_PARAGRAPH = frozenset({"p"})
_ENDS = {
    **dict.fromkeys(("address", "blockquote", "center", "div", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "hr"), _PARAGRAPH),
    **dict.fromkeys(("ol", "p", "pre", "table", "ul"), _PARAGRAPH),
    "li": _PARAGRAPH | {"li"},
    **dict.fromkeys(("dd", "dt"), _PARAGRAPH | {"dd", "dt"}),
    **dict.fromkeys(("td", "th"), _PARAGRAPH | {"td", "th"}),
    "tr": _PARAGRAPH | {"tr", "td", "th"},
}
"""What a start tag ends without saying so."""

_NAME = re.compile(r"[A-Za-z][^\s/>]*+")
_ATTRIBUTE = re.compile(r"[\s/]*+([^\s/>=][^\s/>=]*+)(\s*+=\s*+)?")
_VALUE = re.compile(r"[^\s>]*+")
_GAP = re.compile(r"[\s/=]*+")


class _Tag(NamedTuple):
    name: str
    attributes: str
    """As they are written back."""
    ends: bool


def levelled(html: str) -> str:
    """The HTML within the bounds; as it is where it cannot exceed them."""
    bounded = _with_few_references(html[:LONGEST])
    if bounded.count("<") <= FEW_TAGS:
        return bounded
    balance = _Balance()
    for token in _tokens(bounded):
        match token:
            case str():
                balance.written.append(token)
            case _Tag(name=name, ends=True):
                balance.end(name)
            case _Tag():
                balance.start(token)
    return balance.text()


def _with_few_references(html: str) -> str:
    """A parser's time is quadratic in the number of character references too."""
    *few, rest = html.split("&", MOST_REFERENCES)
    return "&".join((*few, rest.replace("&", " ")))


class _Balance:
    """Writes tags so that every element that is opened is closed, inside the one that it was opened in."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self._open: list[str] = []
        self._counts: Counter[str] = Counter()
        self._formatting = 0
        self._tags = 0

    def text(self) -> str:
        return "".join((*self.written, *(f"</{name}>" for name in reversed(self._open))))

    def start(self, tag: _Tag) -> None:
        while (block := self._innermost_block()) in _ENDS.get(tag.name, ()):
            self.end(block)
        if not self._fits(tag.name):
            return
        self._tags += 1
        self.written.append(f"<{tag.name}{tag.attributes}>")
        if tag.name not in _VOID:
            self._open.append(tag.name)
            self._counts[tag.name] += 1
            self._formatting += tag.name in _FORMATTING

    def end(self, name: str) -> None:
        while self._counts[name]:
            last = self._open.pop()
            self._counts[last] -= 1
            self._formatting -= last in _FORMATTING
            self.written.append(f"</{last}>")
            if last == name:
                return

    def _innermost_block(self) -> str:
        return next((name for name in reversed(self._open) if name not in _FORMATTING), "")

    def _fits(self, name: str) -> bool:
        if self._tags >= MOST_TAGS or not name.isalnum():
            return False
        if name in _FORMATTING and self._formatting >= DEEPEST_FORMATTING:
            return False
        return name in _VOID or len(self._open) < DEEPEST


def _tokens(html: str) -> Iterator[str | _Tag]:
    """Text and tags, in order. What a browser ignores to the end (an open comment, tag or script) is left out."""
    place = 0
    while (start := html.find("<", place)) >= 0:
        if start > place:
            yield html[place:start]
        place = start + 1
        ends = html.startswith("/", place)
        if name := _NAME.match(html, place + ends):
            attributes, place = _attributes(html, name.end())
            tag = _Tag(name.group().lower(), attributes, ends)
            place = _after_raw(html, place, tag)
            if place < 0:
                return
            if tag.name not in _RAW:
                yield tag
        elif html.startswith(("!", "?", "/"), place):
            closing = "-->" if html.startswith("!--", place) else ">"
            end = html.find(closing, place)
            if end < 0:
                return
            place = end + len(closing)
        else:
            yield "&lt;"
    yield html[place:]


def _attributes(html: str, place: int) -> tuple[str, int]:
    """The attributes from `place` on, and the place after the tag; negative where the tag never ends."""
    written: list[str] = []
    while found := _ATTRIBUTE.match(html, place):
        name, place, value = found.group(1), found.end(), ""
        if found.group(2):
            quote = html[place : place + 1]
            if quote in ('"', "'"):
                end = html.find(quote, place + 1)
                if end < 0:
                    return "", -1
                value, place = html[place + 1 : end], end + 1
            elif unquoted := _VALUE.match(html, place):
                value, place = unquoted.group(), unquoted.end()
        if name.isalnum():
            written.append(f' {name}="{value.replace('"', "&quot;")}"')
    end = html.find(">", place)
    return "".join(written), end + 1 if end >= 0 else -1


def _after_raw(html: str, place: int, tag: _Tag) -> int:
    """The place after the content of an element whose content is no HTML; negative where that never ends."""
    if place < 0 or tag.ends or tag.name not in _RAW:
        return place
    end = re.compile(rf"</{tag.name}[\s/>]", re.IGNORECASE).search(html, place)
    return end.start() if end else -1
