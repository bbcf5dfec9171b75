"""The text of a message body: HTML to plain text, and the white space that does not count in a comparison.

Fingerprints of stored emails are taken from this text: another rendering would make stored messages look like other content.
Mail is written by strangers, so the time that any input takes is bounded: every pattern here is linear.
"""

import html
import re

from selectolax.lexbor import LexborHTMLParser

MOST_DEPTH = 500
"""Deeper markup is not parsed as a tree: the time of an HTML parser grows with the square of the depth."""
_FEW_ELEMENTS = 2000
"""So many cannot be nested deep enough to matter."""

_LEADS = re.compile(r"(?P<unsaid>mailto:|tel:|(?=https?:))", re.IGNORECASE)
"""Links that lead a reader of text somewhere, and what of their scheme nobody needs to be told."""
_NOT_TEXT = ["script", "style", "head", "title", "template"]
_BREAKS = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6]|/blockquote|/table|/pre|hr)\b[^>]{0,200}>", re.IGNORECASE)
_CELLS = re.compile(r"</t[dh]\s{0,20}>", re.IGNORECASE)
_TAGS = re.compile(r"<(/?)([a-z]+)", re.IGNORECASE)
_NEVER_NESTED = frozenset(
    {"br", "img", "hr", "meta", "input", "link", "col", "area", "base", "wbr", "p", "li", "tr", "td", "th", "option"}
)
"""Elements that have no content, or that the next one of their kind closes."""
_MARKUP = re.compile(r"<[^<>]{0,2000}>")
_EMPTY_LINES = re.compile(r"\n\n\n+")


def text_of_html(markup: str) -> str:
    """What a reader sees of `markup`, a line per block. Never fails: any text is some HTML."""
    spaced = _spaced(markup)
    return _text_of_deep(spaced) if _is_deep(markup) else _text_of(_tree(spaced))


def text_instead_of(markup: str) -> str:
    """As `text_of_html`, and where links lead, as `text <address>`: who is given the text alone has no other way to them."""
    spaced = _spaced(markup)
    if _is_deep(markup):
        return _text_of_deep(spaced)
    tree = _tree(spaced)
    for link in tree.css("a[href]"):
        address = "".join((link.attributes["href"] or "").split())
        if (leads := _LEADS.match(address)) and (shown := address[leads.end("unsaid") :]) not in link.text(deep=True):
            link.insert_after(f" <{shown}>")
    return _text_of(tree)


def collapsed(text: str) -> str:
    """`text` with every run of white space as one space: servers fold and pad differently."""
    return " ".join(text.split())  # four times as fast as a pattern, and called for every message


def _spaced(markup: str) -> str:
    return _CELLS.sub(r"\g<0> ", _BREAKS.sub(r"\g<0>\n", markup))


def _tree(markup: str) -> LexborHTMLParser:
    tree = LexborHTMLParser(markup)
    tree.strip_tags(_NOT_TEXT)
    return tree


def _text_of(tree: LexborHTMLParser) -> str:
    root = tree.body or tree.root
    return _tidy(root.text(deep=True)) if root is not None else ""


def _text_of_deep(markup: str) -> str:
    return _tidy(html.unescape(_MARKUP.sub(" ", markup)))


def _is_deep(markup: str) -> bool:
    """Whether elements are nested deeper than a tree is built for; unclosed ones count as nested."""
    if markup.count("<") - markup.count("</") <= _FEW_ELEMENTS:
        return False
    depth = 0
    for closing, name in _TAGS.findall(markup):
        if name.lower() not in _NEVER_NESTED:
            depth = max(0, depth - 1) if closing else depth + 1
            if depth > MOST_DEPTH:
                return True
    return False


def _tidy(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()
