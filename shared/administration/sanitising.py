"""Message HTML made safe to show: written by strangers, so nothing in it may run, call home or pose as something else.

What may stay is listed, everything else goes. Images on other servers are blocked, their address kept behind `blocked:`, which
no browser fetches; inline images (`cid:`) point to the attachments. Imported on use: nh3 is not needed to configure anything.
"""

import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote

import nh3

from shared.administration.levelling import levelled

BLOCKED = "blocked:"

_DROPPED_WITH_CONTENT = {
    *("embed", "iframe", "math", "noscript", "object", "script", "select", "style", "svg", "template", "title"),
}

_TAGS = {
    *("a", "abbr", "address", "b", "bdi", "bdo", "big", "blockquote", "br", "caption", "center", "cite", "code", "col"),
    *("colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "font", "h1", "h2", "h3", "h4", "h5"),
    *("h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strike"),
    *("strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var", "wbr"),
}

_ATTRIBUTES = {
    "*": {"align", "bgcolor", "dir", "height", "lang", "style", "title", "valign", "width"},
    "a": {"href"},
    "col": {"span"},
    "colgroup": {"span"},
    "font": {"color", "face", "size"},
    "img": {"alt", "border", "src"},
    "li": {"value"},
    "ol": {"start", "type"},
    "table": {"border", "cellpadding", "cellspacing"},
    "td": {"colspan", "rowspan", "nowrap"},
    "th": {"colspan", "rowspan", "nowrap", "scope"},
    "ul": {"type"},
}

_STYLES = {
    *("background-color", "border-collapse", "border-spacing", "color", "direction", "float", "clear", "height", "line-height"),
    *("font", "font-family", "font-size", "font-style", "font-variant", "font-weight", "letter-spacing", "list-style-type"),
    *("max-height", "max-width", "min-height", "min-width", "overflow-wrap", "table-layout", "text-align", "text-decoration"),
    *("text-indent", "text-transform", "vertical-align", "white-space", "width", "word-break", "word-spacing", "word-wrap"),
    *("margin", "margin-bottom", "margin-left", "margin-right", "margin-top"),
    *("padding", "padding-bottom", "padding-left", "padding-right", "padding-top"),
    *("border", "border-color", "border-style", "border-width", "border-bottom", "border-left", "border-right", "border-top"),
}
"""None of them takes an address, or places anything outside the message."""

_SUSPICIOUS_STYLE = re.compile(r"expression|url\s*\(|image-set|javascript|@|\\|/\*|<", re.IGNORECASE)
_INLINE_IMAGE = re.compile(r"data:image/(?:png|gif|jpeg|webp);base64,[A-Za-z0-9+/=\s]*\Z", re.IGNORECASE)
_LINK = re.compile(r"(?:https?|mailto|tel):", re.IGNORECASE)


def sanitised(html: str, inline: Mapping[str, str]) -> str:
    """The HTML that may be shown; `inline` gives the URL of each attachment by its content id."""
    return nh3.clean(
        levelled(html),
        tags=_TAGS,
        clean_content_tags=_DROPPED_WITH_CONTENT,
        attributes=_ATTRIBUTES,
        attribute_filter=_filter(inline),
        filter_style_properties=_STYLES,
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        url_relative="pass_through",  # only ours are left: `_filter` takes every other one out, and runs before this
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def _filter(inline: Mapping[str, str]) -> Callable[[str, str, str], str | None]:
    def attribute(_tag: str, name: str, value: str) -> str | None:
        if name == "style":
            return None if _SUSPICIOUS_STYLE.search(value) else value
        if name == "src":
            return _image(value.strip(), inline)
        if name == "href":
            return value if _LINK.match(value.strip()) else None
        return value

    return attribute


def _image(source: str, inline: Mapping[str, str]) -> str | None:
    scheme = source.partition(":")[0].lower()
    if scheme == "cid":
        return inline.get(unquote(source[4:]))
    if scheme in ("http", "https"):
        return f"{BLOCKED}{source}"
    return source if _INLINE_IMAGE.match(source) else None
