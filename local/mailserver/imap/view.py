"""A selected folder as a client knows it: sequence numbers change only when it is told (RFC 3501 sections 5.2, 7.4)."""

from collections.abc import Iterator

from local.mailserver.contents import Folder, Item
from local.mailserver.imap.flags import flags_of
from local.mailserver.imap.replies import No, untagged
from local.mailserver.imap.sequences import meant


class View:
    def __init__(self, folder: Folder, *, read_only: bool) -> None:
        self.folder = folder
        self.read_only = read_only
        self.uid_validity = folder.uid_validity
        self.items = _by_uid(folder)
        self._uids = [item.uid for item in self.items]
        self._clock = folder.mailbox.clock
        self._told: dict[int, int] = {}

    def refuse_if_gone(self) -> None:
        """Raises No."""
        if self.folder.id not in self.folder.mailbox.folders or self.folder.uid_validity != self.uid_validity:
            raise No("The mailbox is no longer what it was when it was selected.", "NONEXISTENT")

    def refuse_if_read_only(self) -> None:
        """Raises No."""
        if self.read_only:
            raise No("The mailbox is selected read-only.", "READ-ONLY")

    def chosen(self, sequence: str, *, by_uid: bool) -> list[tuple[int, Item]]:
        """Sequence numbers and the messages that are there still."""
        numbers = self._uids if by_uid else range(1, len(self.items) + 1)
        return [(position + 1, self.items[position]) for position in meant(sequence, numbers) if self._is_there(position)]

    def __iter__(self) -> Iterator[tuple[int, Item]]:
        return ((position + 1, item) for position, item in enumerate(self.items) if self._is_there(position))

    def _is_there(self, position: int) -> bool:
        return self.items[position].id in self.folder.items

    def told(self, item: Item) -> None:
        """The client knows of the item as it is now."""
        self._told[item.uid] = item.version

    def updates(self, *, may_expunge: bool, with_modseq: bool) -> list[bytes]:
        """What the client has to be told: messages that went, came, changed."""
        if self.folder.last_change <= self._clock:
            return []
        told = self._expunged() if may_expunge else []
        newest = self._uids[-1] if self._uids else 0
        changed = [(number, item) for number, item in self if item.version > self._clock]
        told += [self._flags(number, item, with_modseq) for number, item in changed if self._told.get(item.uid) != item.version]
        came = [item for item in _by_uid(self.folder) if item.uid > newest]
        self.items += came
        self._uids += [item.uid for item in came]
        if came:
            told.append(untagged(f"{len(self.items)} EXISTS"))
        if may_expunge:
            self._clock = self.folder.mailbox.clock
            self._told.clear()
        else:
            for item in (*(item for _, item in changed), *came):
                self.told(item)
        return told

    def _expunged(self) -> list[bytes]:
        gone = [position for position in range(len(self.items) - 1, -1, -1) if not self._is_there(position)]
        for position in gone:
            del self.items[position], self._uids[position]
        return [untagged(f"{position + 1} EXPUNGE") for position in gone]

    @staticmethod
    def _flags(number: int, item: Item, with_modseq: bool) -> bytes:
        modseq = f" MODSEQ ({item.version})" if with_modseq else ""
        return untagged(f"{number} FETCH (UID {item.uid} FLAGS ({' '.join(flags_of(item))}){modseq})")


def _by_uid(folder: Folder) -> list[Item]:
    return sorted(folder.items.values(), key=lambda item: item.uid)
