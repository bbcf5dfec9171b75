"""Flags of messages: the system's own, and the categories that can be keywords (RFC 3501 section 2.3.2)."""

import re
from collections.abc import Collection, Iterable

from local.mailserver.contents import Item
from local.mailserver.imap.replies import Bad, No
from local.mailserver.model import Mailbox

SYSTEM = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")
_OWN_FIELDS = ("\\Seen", "\\Draft")
"""Kept apart from the other marks of an item."""
_KEYWORD = re.compile(r'[^\x00-\x20\x7f-\U0010ffff(){%*"\\\]]+')


def is_keyword(category: str) -> bool:
    return _KEYWORD.fullmatch(category) is not None


def flags_of(item: Item) -> list[str]:
    found = {*item.flags, *(["\\Seen"] if item.is_read else []), *(["\\Draft"] if item.is_draft else [])}
    return [flag for flag in SYSTEM if flag in found] + [category for category in item.categories if is_keyword(category)]


def understood(flags: Iterable[str]) -> list[str]:
    """System flags as they are written. Raises Bad where one is none that a client sets."""
    known = {flag.lower(): flag for flag in SYSTEM}
    found: list[str] = []
    for flag in flags:
        if flag.startswith("\\") and flag.lower() not in known:
            raise Bad(f"The flag {flag} cannot be set.")
        found.append(known.get(flag.lower(), flag))
    return found


def refuse_new_keywords(flags: Iterable[str], item: Item) -> None:
    """Raises No, on a server that keeps no keywords."""
    has = {category.lower() for category in item.categories}
    if any(not flag.startswith("\\") and flag.lower() not in has for flag in flags):
        raise No("Keywords cannot be stored in this mailbox.", "CANNOT")


def changed(item: Item, sign: str, flags: Collection[str]) -> list[str]:
    """The flags that the item has when these are added (`+`), taken away (`-`), or put in place of all."""
    if not sign:
        return list(flags)
    named = {flag.lower() for flag in flags}
    kept = [flag for flag in flags_of(item) if flag.lower() not in named]
    if sign == "-":
        return kept
    as_they_were = {flag.lower(): flag for flag in flags_of(item)}
    return kept + [as_they_were.get(flag.lower(), flag) for flag in flags]


def apply(mailbox: Mailbox, item: Item, flags: Collection[str]) -> None:
    """The item has these flags from now on. What they leave as it is counts as no change."""
    seen, draft = "\\Seen" in flags, "\\Draft" in flags
    marks = {flag for flag in flags if flag.startswith("\\") and flag not in _OWN_FIELDS}
    keywords = [flag for flag in flags if not flag.startswith("\\")]
    if seen is not item.is_read:
        mailbox.mark_read(item.id, seen)
    if marks != item.flags or draft is not item.is_draft:
        mailbox.flag(item.id, marks, is_draft=draft)
    if set(keywords) != {category for category in item.categories if is_keyword(category)}:
        others = [category for category in item.categories if not is_keyword(category) or category in keywords]
        mailbox.categorize(item.id, [*others, *keywords])
