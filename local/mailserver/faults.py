"""Switches that make the server misbehave on purpose, for a mailbox, an operation, a number of times. Knows no protocol."""

import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count


class FaultKind(StrEnum):
    SERVER_BUSY = "server_busy"
    """Refused for now; `seconds` says how long (0: the server does not say). POP3 [SYS/TEMP], IMAP [UNAVAILABLE], SMTP 451."""
    UNAVAILABLE = "unavailable"
    """503 with Retry-After (0: without). POP3 and IMAP: as busy, and the server hangs up, as SMTP does with 421."""
    TOO_MANY_REQUESTS = "too_many_requests"
    """429 with Retry-After. POP3 [SYS/TEMP], IMAP [LIMIT], SMTP 421 4.4.2."""
    UNAUTHORIZED = "unauthorized"
    """401. SMTP 535."""
    FORBIDDEN = "forbidden"
    """403. SMTP 550 5.7.60: not as this sender."""
    CONNECTION_RESET = "connection_reset"
    """The request is not carried out, the connection breaks."""
    REPLY_LOST = "reply_lost"
    """The request is carried out, the reply is lost."""
    TRUNCATED_REPLY = "truncated_reply"
    SLOW_REPLY = "slow_reply"
    """The answer comes after `seconds`."""
    HANG_UP = "hang_up"
    """The connection ends `seconds` after the answer, without a word."""
    NONSENSE_REPLY = "nonsense_reply"
    """200, or a line, with something that is no answer of this protocol (`text`)."""
    ERROR = "error"
    """Every response message of the request is the error `code`. POP3 and IMAP: the command is refused with that code.

    SMTP: with that code and enhanced code, such as "452 4.2.2", and `text`; 421 hangs up. `after` makes a quota of it.
    """
    SOAP_FAULT = "soap_fault"
    """The request as a whole is refused with the error `code`."""
    UNREADABLE_ITEM = "unreadable_item"
    """The item `item` cannot be rendered: `code`. POP3 and IMAP: its content; its header alone can."""
    UNREADABLE_ATTACHMENT = "unreadable_attachment"
    """Attachments of the item `item` cannot be read: `code`."""
    UNWRITABLE_ITEM = "unwritable_item"
    """The item `item` (its id or Message-ID), or each, cannot be created, changed, moved, sent or deleted: `code`."""
    BREAKS_OFF = "breaks_off"
    """The connection breaks before the item `item`, or any, is changed or sent; those before it in the request have been."""
    INVALID_SYNC_STATE = "invalid_sync_state"
    ERROR_WITHOUT_SYNC_STATE = "error_without_sync_state"
    """As `invalid_sync_state`, in the form without an element for the state."""
    FOLDER_GONE = "folder_gone"
    BOUNCES = "bounces"
    """What a recipient (`mailbox`) was to get is accepted, and comes back as undeliverable: `code` ("552 5.2.2") and `text`."""


type Names = str | Collection[str] | None


@dataclass(slots=True)
class Fault:
    """One switch. Without `mailbox` or `operation` it holds for all; without `count` until it is cleared."""

    kind: FaultKind
    mailbox: str | None = None
    operation: str | None = None
    count: int | None = None
    after: int = 0
    """Requests that pass unharmed before the first that does not."""
    seconds: float = 0.0
    """Length of a back-off, a Retry-After, or a delay."""
    code: str = ""
    item: str | None = None
    text: str = ""
    id: int = 0
    hits: int = field(default=0)

    def is_meant(self, number: int | None, mailbox: str | None) -> bool:
        """Whether it is the fault of that number, and of that mailbox; None is any."""
        return number in (None, self.id) and (mailbox is None or mailbox.lower() == (self.mailbox or "").lower())

    def matches(self, kind: FaultKind, mailboxes: Collection[str], operation: str | None, items: Collection[str]) -> bool:
        return (
            kind is self.kind
            and (self.mailbox is None or self.mailbox.lower() in (each.lower() for each in mailboxes))
            and (self.operation is None or self.operation == operation)
            and (self.item is None or self.item in items)
        )


class Faults:
    """The switches that are on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on: list[Fault] = []
        self._numbers = count(1)

    def add(
        self,
        kind: FaultKind | str,
        mailbox: str | None = None,
        *,
        operation: str | None = None,
        count: int | None = None,
        after: int = 0,
        seconds: float = 0.0,
        code: str = "",
        item: str | None = None,
        text: str = "",
    ) -> int:
        """Turns a fault on; the number returned turns it off again.

        `operation` is a name such as GetItem, RETR, FETCH (with UID or without) or Token; Connect is the greeting. Of SMTP
        also Transfer, while a message comes, and Message, when it has come. `mailbox` is a recipient for RCPT, the sender for
        MAIL; afterwards the message is about all of them.
        """
        with self._lock:
            number = next(self._numbers)
            self._on.append(Fault(FaultKind(kind), mailbox, operation, count, after, seconds, code, item, text, number))
            return number

    def clear(self, number: int | None = None, mailbox: str | None = None) -> None:
        """Turns off one fault, those of a mailbox, or all."""
        with self._lock:
            self._on = [fault for fault in self._on if not fault.is_meant(number, mailbox)]

    def hit(self, kind: FaultKind, mailbox: Names, operation: str | None, item: Names = None) -> Fault | None:
        """The fault of this kind that strikes now, if one does; it is used up by one. Of several names each may be meant."""
        if not self._on:
            return None
        mailboxes, items = _several(mailbox), _several(item)
        with self._lock:
            for fault in self._on:
                if not fault.matches(kind, mailboxes, operation, items):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.hits += 1
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count <= 0:
                        self._on.remove(fault)
                return fault
            return None

    def __iter__(self) -> Iterator[Fault]:
        with self._lock:
            return iter(list(self._on))


def _several(names: Names) -> Collection[str]:
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else names
