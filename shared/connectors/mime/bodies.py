"""Which parts of a message are its body, and which its attachments, as Exchange has it ([MS-OXCMAIL] 2.2.3.1).

The first text is the body; another form of it counts only as its alternative, and further texts are attachments. A report's
parts for programs are read elsewhere and are no attachments. A clear-signed message is its signed body, and one attachment
with the whole entity, signature and signed attachments within ([MS-OXOSMIME] 2.1.3.1).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from shared.connectors.mime.structure import Part

LARGEST_TEXT = 16 << 20
"""Bytes of a part that is held as text; what is larger is an attachment."""

_SLOTS = {"text/plain": "text", "text/html": "html", "text/calendar": "calendar"}
_FOR_PROGRAMS = frozenset({"message/delivery-status", "message/disposition-notification"})


@dataclass(frozen=True, slots=True)
class Bodies:
    """What a message says, and what it carries."""

    html: Part | None
    text: Part | None
    calendar: Part | None
    rest: tuple[Part, ...]
    """The attachments."""
    is_signed: bool = False
    """Clear-signed: beside the body there is one attachment, the whole entity."""


def bodies_of(root: Part) -> Bodies:
    if root.content_type == "multipart/signed":
        return replace(_bodies_of(root.parts[0]), rest=(), is_signed=True)
    return _bodies_of(root)


def _bodies_of(root: Part) -> Bodies:
    chosen: dict[str, Part] = {}
    rest: list[Part] = []
    for part, in_alternative in _leaves(root, in_alternative=False):
        slot = _SLOTS.get(part.content_type)
        if slot and _may_be_body(part) and _fits(slot, chosen, in_alternative=in_alternative):
            chosen[slot] = part
        elif root.content_type != "multipart/report" or part.content_type not in _FOR_PROGRAMS:
            rest.append(part)
    return Bodies(chosen.get("html"), chosen.get("text"), chosen.get("calendar"), tuple(rest))


def _may_be_body(part: Part) -> bool:
    return part.disposition()[0] != "attachment" and part.end - part.body <= LARGEST_TEXT


def _fits(slot: str, chosen: dict[str, Part], *, in_alternative: bool) -> bool:
    if slot in chosen:
        return False
    return slot == "calendar" or in_alternative or not ({"text", "html"} & chosen.keys())


def _leaves(part: Part, *, in_alternative: bool) -> Iterator[tuple[Part, bool]]:
    if not part.parts:
        yield part, in_alternative
        return
    for child in part.parts:
        yield from _leaves(child, in_alternative=in_alternative or part.content_type == "multipart/alternative")
