"""Values of Content-Type and Content-Disposition with their parameters (RFC 2045, 2183), continued and encoded ones too
(RFC 2231), and the mixes with encoded words (RFC 2047) that mail programs make of them. Linear; never fails."""

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from shared.connectors.mime.words import decoded_text, decoded_words, readable, unfolded, visible

LONGEST = 16 * 1024
"""Characters of a field that are read."""
MOST_PARAMETERS = 100
_COMPARED = frozenset({"boundary"})
"""Parameters that are compared with bytes of the message, and nobody reads: as they came, bytes beyond ASCII as surrogates."""

_PARAMETER = re.compile(r';((?:[^;"]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))*+)', re.DOTALL)
_SEGMENT = re.compile(r"(\w+)\*(?:([0-9]{1,4})\*?)?")
_ESCAPED = re.compile(r"\\([\\\"])")


def value_and_parameters(raw: str) -> tuple[str, Mapping[str, str]]:
    """The value in lower case, and the parameters by lower-case name, decoded; the first where one stands there twice."""
    value, semicolon, rest = raw[:LONGEST].partition(";")
    return value.strip().lower(), _parameters(semicolon + rest) if semicolon else {}


def _parameters(text: str) -> Mapping[str, str]:
    parameters: dict[str, str] = {}
    segments: dict[str, list[tuple[int, str, bool]]] = {}
    for _, found in zip(range(MOST_PARAMETERS), _PARAMETER.finditer(text), strict=False):
        name, _, value = found[1].partition("=")
        name, value = name.strip().lower(), _unquoted(value.strip())
        segment = _SEGMENT.fullmatch(name)
        if segment:
            segments.setdefault(segment[1], []).append((int(segment[2] or 0), value, name.endswith("*")))
        elif name:
            parameters.setdefault(name, value if name in _COMPARED else _readable(decoded_words(readable(value))))
    for name, parts in segments.items():
        parts.sort(key=lambda part: part[0])
        joined = "".join(value for _, value, _ in parts) if name in _COMPARED else _readable(_joined(parts))
        parameters[name] = joined or parameters.get(name, "")  # beside it may stand a plain one, for older programs
    return parameters


def _readable(text: str) -> str:
    return visible(unfolded(text))


def _joined(segments: list[tuple[int, str, bool]]) -> str:
    """The segments of a parameter in their order. Encoded ones are bytes of a charset that the first one names."""
    if not any(is_encoded for _, _, is_encoded in segments):
        return decoded_words(readable("".join(value for _, value, _ in segments)))
    charset, content = "", b""
    for place, (_, value, is_encoded) in enumerate(segments):
        if is_encoded and place == 0 and value.count("'") >= 2:
            charset, _, value = value.split("'", 2)
        raw = value.encode("ascii", "surrogateescape")
        content += unquote_to_bytes(raw) if is_encoded else raw
    return decoded_text(content, charset)


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        return _ESCAPED.sub(r"\1", value[1:-1])
    if len(value) > 1 and value[0] == "<" and value[-1] == ">":
        return value[1:-1]
    return value
