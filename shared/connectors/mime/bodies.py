"""Which parts of a message are its body, and which its attachments, as Exchange has it ([MS-OXCMAIL] 2.2.3.1).

The first text is the body; another form of it counts only as its alternative, and further texts are attachments, with all
their forms. A report's parts for programs are read elsewhere and are no attachments. A clear-signed message is its signed
body, and one attachment with the whole entity, signature and signed attachments within ([MS-OXOSMIME] 2.1.3.1).
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
    body_of: Part | None = None
    for part, alternatives in _leaves(root, None):
        slot = _SLOTS.get(part.content_type)
        is_form = alternatives is not None and alternatives is body_of
        if slot and _may_be_body(part) and _fits(slot, chosen, is_form=is_form):
            chosen[slot] = part
            body_of = body_of if slot == "calendar" else alternatives
        elif root.content_type != "multipart/report" or part.content_type not in _FOR_PROGRAMS:
            rest.append(part)
    return Bodies(chosen.get("html"), chosen.get("text"), chosen.get("calendar"), tuple(rest))


def _may_be_body(part: Part) -> bool:
    return part.disposition()[0] != "attachment" and part.end - part.body <= LARGEST_TEXT


def _fits(slot: str, chosen: dict[str, Part], *, is_form: bool) -> bool:
    """`is_form`: it says what the body does, in another form."""
    if slot in chosen:
        return False
    return slot == "calendar" or is_form or not ({"text", "html"} & chosen.keys())


def _leaves(part: Part, alternatives: Part | None) -> Iterator[tuple[Part, Part | None]]:
    """Each with the outermost of the alternatives that it stands in."""
    if not part.parts:
        yield part, alternatives
        return
    if alternatives is None and part.content_type == "multipart/alternative":
        alternatives = part
    for child in part.parts:
        yield from _leaves(child, alternatives)
