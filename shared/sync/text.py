"""The text of a message body: HTML to plain text, and the white space that does not count in a comparison."""

import re

from selectolax.lexbor import LexborHTMLParser

_NOT_TEXT = ["script", "style", "head", "title", "template"]
_BREAKS = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6]|/blockquote|/table|/pre|hr)\b[^>]{0,200}>", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\u00a0\r\f\v]+")
_EMPTY_LINES = re.compile(r"\n\s*\n\s*")
_SPACE = re.compile(r"\s+")


def text_of_html(html: str) -> str:
    """What a reader sees of `html`, a line per block, without markup. Never fails: any text is some HTML."""
    tree = LexborHTMLParser(_BREAKS.sub(lambda found: f"{found[0]}\n", html))
    tree.strip_tags(_NOT_TEXT)
    root = tree.body or tree.root
    return _tidy(root.text(deep=True)) if root is not None else ""


def collapsed(text: str) -> str:
    """`text` with every run of white space as one space: servers fold and pad differently."""
    return _SPACE.sub(" ", text).strip()


def _tidy(text: str) -> str:
    lines = (line.strip() for line in _BLANKS.sub(" ", text).split("\n"))
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()
