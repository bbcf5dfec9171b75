"""How far a folder was listed: the UIDs that were, the stretches of it that were not yet, and the state of flags. Pure.

UIDs only ever grow, within one UIDVALIDITY (RFC 3501 section 2.3.1.1), so what came since is what is at or above the UID that
was to come next. What is new is a stretch, and so is a mailbox that is read for the first time; the latest stretch is listed
first and from its end, so that a long one never keeps new mail waiting. A stretch remembers how many messages lie below it:
that number never grows, so their sequence numbers are found without asking for UIDs, however many there are.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from shared.connectors.imap.answers import set_of, uids_in
from shared.domain.errors import WatermarkExpired
from shared.domain.ids import short_hash

VERSION = 1
MOST_STRETCHES = 8
"""New mail waits while so many are open: only where much comes faster than it is listed."""
MOST_NOTED = 1000
LARGEST_UID = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Stretch:
    """Messages that were not listed yet: UIDs from `first` to just below `before`."""

    first: int
    before: int
    below: int
    """At most so many messages have a UID below `before`: theirs are the sequence numbers 1 to `below`."""


@dataclass(frozen=True, slots=True)
class FlagChanges:
    """Changes of flags that were listed in part."""

    until: int
    """The state of flags (HIGHESTMODSEQ) up to which they are being listed."""
    after: int
    """UIDs up to this one are."""


@dataclass(frozen=True, slots=True)
class Watermark:
    folder: str
    """Hash of the folder's id."""
    uid_validity: int
    uid_next: int
    """UIDs below are listed, or stand in `stretches`."""
    stretches: tuple[Stretch, ...] = ()
    """Oldest first."""
    flags_at: int | None = None
    """The state of flags (HIGHESTMODSEQ, RFC 7162) up to which their changes are listed; None where the server keeps none."""
    changes: FlagChanges | None = None
    noted: tuple[int, ...] = ()
    """UIDs of messages that have keywords, or are marked as deleted: when their flags change, it may be these that went."""

    @property
    def text(self) -> str:
        changes = None if self.changes is None else [self.changes.until, self.changes.after]
        stretches = [[each.first, each.before, each.below] for each in self.stretches]
        noted = set_of(self.noted).decode("ascii")
        fields = [VERSION, self.folder, self.uid_validity, self.uid_next, stretches, self.flags_at, changes, noted]
        return json.dumps(fields, separators=(",", ":"))

    def with_new(self, uid_next: int, exists: int) -> "Watermark":
        """What came meanwhile is to be listed, too."""
        if uid_next <= self.uid_next or len(self.stretches) >= MOST_STRETCHES:
            return self
        return replace(self, uid_next=uid_next, stretches=(*self.stretches, Stretch(self.uid_next, uid_next, exists)))

    def with_last(self, stretch: Stretch | None) -> "Watermark":
        """What is left of the stretch that is being listed."""
        return replace(self, stretches=(*self.stretches[:-1], stretch) if stretch else self.stretches[:-1])

    def with_noted(self, noted: Iterable[int], others: Iterable[int]) -> "Watermark":
        """Notes UIDs, and forgets others. The highest are kept."""
        kept = sorted((set(self.noted) - set(others)) | set(noted))[-MOST_NOTED:]
        return replace(self, noted=tuple(kept))


def first_watermark(folder: str, uid_validity: int, uid_next: int, exists: int, flags_at: int | None) -> Watermark:
    """Nothing is listed yet. `folder`: the id of the folder."""
    everything = (Stretch(1, uid_next, exists),) if exists and uid_next > 1 else ()
    return Watermark(short_hash(folder), uid_validity, uid_next, everything, flags_at)


def watermark_of(text: str, folder: str, uid_validity: int, uid_next: int | None) -> Watermark:
    """The watermark that `text` is, for the folder as it is now. Raises WatermarkExpired where it is none, or the folder is
    another one: not the same, made anew, or put back to an earlier state, so that UIDs are given a second time.
    `uid_next`: None where the server does not tell."""
    try:
        version, of_folder, validity, following, stretches, flags_at, changes, noted = json.loads(text)
        watermark = Watermark(
            str(of_folder),
            int(validity),
            int(following),
            tuple(Stretch(*map(int, each)) for each in stretches),
            None if flags_at is None else int(flags_at),
            None if changes is None else FlagChanges(*map(int, changes)),
            uids_in(str(noted)),
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise WatermarkExpired("What was given is no watermark of a folder.") from error
    if version != VERSION or watermark.folder != short_hash(folder) or watermark.uid_validity != uid_validity:
        raise WatermarkExpired("The folder is not the one that was listed before.")
    if uid_next is not None and uid_next < watermark.uid_next:
        raise WatermarkExpired("The folder was put back to an earlier state.")
    return watermark
