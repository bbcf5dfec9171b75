"""Route templates of HTTP functions: `items/{id:int}/{name?}`, `{*path}`. Pure; knows nothing of HTTP beyond method and path.

As in ASP.NET the most literal template wins, letters of literal segments have no case, and another method is no match.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

_PARAMETER = re.compile(r"\{(\*{0,2})(\w+)(?::([\w()\-,]+))?(\?)?\}")

_CONSTRAINTS: Mapping[str, Callable[[str], bool]] = {
    "int": lambda text: re.fullmatch(r"-?\d{1,10}", text) is not None,
    "long": lambda text: re.fullmatch(r"-?\d{1,19}", text) is not None,
    "guid": lambda text: re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) is not None,
    "alpha": lambda text: re.fullmatch(r"[a-zA-Z]+", text) is not None,
    "bool": lambda text: text.lower() in ("true", "false"),
}


@dataclass(frozen=True, slots=True)
class _Segment:
    literal: str | None
    parameter: str = ""
    constraint: str | None = None
    optional: bool = False
    rest: bool = False

    @property
    def rank(self) -> int:
        if self.literal is not None:
            return 0
        return 3 if self.rest else 1 if self.constraint else 2


@dataclass(frozen=True, slots=True)
class Route:
    function: str
    template: str
    methods: frozenset[str]
    """Empty: every method."""
    segments: Sequence[_Segment]


def parse_route(function: str, template: str, methods: Iterable[str]) -> Route:
    """Raises ValueError for a template that the local host does not understand."""
    parts = [part for part in template.split("/") if part]
    segments = [_segment(part, template) for part in parts]
    if any(segment.rest for segment in segments[:-1]):
        raise ValueError(f"route {template!r}: what takes the rest of the path must come last")
    return Route(function, template, frozenset(method.upper() for method in methods), segments)


def _segment(part: str, template: str) -> _Segment:
    if "{" not in part and "}" not in part:
        return _Segment(part.lower())
    match = _PARAMETER.fullmatch(part)
    if not match:
        raise ValueError(f"route {template!r}: {part!r} is not understood")
    stars, name, constraint, optional = match.groups()
    if constraint and constraint not in _CONSTRAINTS:
        raise ValueError(f"route {template!r}: the constraint {constraint!r} is not known here")
    return _Segment(None, name, constraint, bool(optional), bool(stars))


def find_route(routes: Iterable[Route], method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The best route for a path (without prefix, still percent-encoded) and its parameters."""
    ranked = sorted(routes, key=lambda route: [segment.rank for segment in route.segments])
    for route in ranked:
        if route.methods and method.upper() not in route.methods:
            continue
        values = _match(route.segments, path.strip("/"))
        if values is not None:
            return route, values
    return None


def _match(segments: Sequence[_Segment], path: str) -> dict[str, str] | None:
    parts = path.split("/") if path else []
    values: dict[str, str] = {}
    for index, segment in enumerate(segments):
        if segment.rest:
            values[segment.parameter] = unquote("/".join(parts[index:]))
            return values
        if index >= len(parts):
            if segment.optional:
                return values
            return None
        part = unquote(parts[index])
        if segment.literal is not None:
            if part.lower() != segment.literal:
                return None
        elif segment.constraint and not _CONSTRAINTS[segment.constraint](part):
            return None
        else:
            values[segment.parameter] = part
    return values if len(parts) <= len(segments) else None
