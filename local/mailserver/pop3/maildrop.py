"""A maildrop: the inbox as it was when a session began, numbered, with what is marked for deletion. Knows no commands.

Nothing is deleted before the session is ended properly (RFC 1939 section 6), and nobody else has the maildrop meanwhile.
"""

import hashlib
import threading
from collections.abc import Iterator

from local.mailserver.contents import Item
from local.mailserver.faults import FaultKind, Faults
from local.mailserver.habits import Habit, Habits
from local.mailserver.model import Mailbox, NoSuchItem
from local.mailserver.octets import header_end, octets

_PATIENCE = 0.25
"""Seconds."""


class NoSuchMessage(Exception):
    """No message has that number, or it is marked for deletion; the text says which."""


class InUse(Exception):
    """Another session has the maildrop."""


class Locks:
    """Which maildrops are in use; by address of the mailbox."""

    def __init__(self) -> None:
        self._freed = threading.Condition()
        self._taken: set[str] = set()

    def take(self, mailbox: Mailbox) -> None:
        """Waits a moment: it takes one to notice that the last client has gone without a word. Raises InUse."""
        with self._freed:
            if not self._freed.wait_for(lambda: mailbox.address not in self._taken, _PATIENCE):
                raise InUse
            self._taken.add(mailbox.address)

    def release(self, mailbox: Mailbox) -> None:
        with self._freed:
            self._taken.discard(mailbox.address)
            self._freed.notify_all()


class Maildrop:
    def __init__(self, mailbox: Mailbox, habits: Habits) -> None:
        self.mailbox = mailbox
        with mailbox.lock:
            inbox = mailbox.folder("inbox")
            items = sorted(inbox.items.values(), key=lambda item: item.uid)
            self._uid_validity = inbox.uid_validity
        self._items = items[::-1] if Habit.POP3_NEWEST_FIRST in habits else items
        self._backwards = Habit.POP3_LISTS_BACKWARDS in habits
        self._repeats = Habit.POP3_REPEATED_UIDLS in habits
        self._marked: set[int] = set()

    def __iter__(self) -> Iterator[tuple[int, Item]]:
        """Numbers and messages that are not marked."""
        numbers = range(1, len(self._items) + 1)
        for number in reversed(numbers) if self._backwards else numbers:
            if number not in self._marked:
                yield number, self._items[number - 1]

    def message(self, number: int) -> Item:
        """Raises NoSuchMessage."""
        if not 1 <= number <= len(self._items):
            raise NoSuchMessage("There's no message of that number.")
        if number in self._marked:
            raise NoSuchMessage("Message is deleted.")
        return self._items[number - 1]

    def uidl(self, item: Item) -> str:
        """One of its own for every message for as long as it is in the mailbox, made of its uid."""
        return _digest_of_identity(item) if self._repeats else f"{item.uid:08x}{self._uid_validity:08x}"

    def mark(self, number: int) -> Item:
        """For deletion. Raises NoSuchMessage."""
        item = self.message(number)
        self._marked.add(number)
        return item

    def unmark(self) -> None:
        self._marked.clear()

    def delete_marked(self, faults: Faults) -> bool:
        """Whether all that was marked is gone now, whoever deleted it."""
        complete = True
        for number in sorted(self._marked):
            item = self._items[number - 1]
            if faults.hit(FaultKind.UNWRITABLE_ITEM, self.mailbox.address, "QUIT", item.id) is not None:
                complete = False
                continue
            try:
                self.mailbox.remove(item.id)
            except NoSuchItem:
                continue
        return complete


def _digest_of_identity(item: Item) -> str:
    content = octets(item.message)
    said = item.message.message_id or bytes(content[header_end(content) :]).hex()
    return hashlib.sha256(said.encode()).hexdigest()[:32]
