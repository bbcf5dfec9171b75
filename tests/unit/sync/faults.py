"""Puts a fault at the n-th call of any port: generically, so that no call can be forgotten.

Everything that a run may ask of the world goes through here: stores, opening a mailbox, its listings, every message that is
fetched, every chunk of an attachment.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, cast

from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox
from shared.domain.email import IncomingAttachment, IncomingMessage
from shared.domain.errors import TransientError
from shared.ports import IncomingEmail, OpenMailbox, Stores
from tests.unit.sync.in_memory_mail import ProcessDied


class Fault(StrEnum):
    DEATH_BEFORE = "the process dies before the call"
    DEATH_AFTER = "the process dies after the call took effect"
    FAILURE_BEFORE = "the call fails"
    REPLY_LOST = "the call takes effect, and its reply is lost"


@dataclass
class FaultyWorld:
    """Counts calls, and fails the one that is chosen."""

    at: int = 0
    fault: Fault | None = None
    calls: list[str] = field(default_factory=list)
    is_dead: bool = False
    watch: Callable[[str], None] | None = None
    """Told of every call before it happens."""

    def perform[T](self, name: str, call: Callable[[], T]) -> T:
        if self.is_dead:
            raise ProcessDied("the dead do nothing")
        self.calls.append(name)
        if self.watch is not None:
            self.watch(name)
        if self.fault is None or len(self.calls) != self.at:
            return call()
        if self.fault is Fault.DEATH_BEFORE:
            self.die()
        if self.fault is Fault.FAILURE_BEFORE:
            raise TransientError(f"{name} failed")
        call()
        if self.fault is Fault.REPLY_LOST:
            raise TransientError(f"the reply to {name} was lost")
        self.die()
        raise AssertionError

    def die(self) -> None:
        self.is_dead = True
        raise ProcessDied("at the call that was chosen")

    def revive(self) -> None:
        """Another process: what was stored is there, everything else is gone."""
        self.is_dead = False

    # ---- wrapping

    def stores(self, stores: Stores) -> Stores:
        ports = {port.name: _Port(port.name, getattr(stores, port.name), self) for port in fields(stores)}
        return replace(stores, **cast("dict[str, Any]", ports))

    def opener(self, open_mailbox: OpenMailbox) -> OpenMailbox:
        @contextmanager
        def opened(
            profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None = None
        ) -> Iterator[IncomingEmail]:
            context: AbstractContextManager[IncomingEmail] = self.perform(
                "open", lambda: open_mailbox(profile, mailbox, discovered)
            )
            with context as mail:
                yield cast("IncomingEmail", _Mail("mail", mail, self))

        return opened

    def iterate[T](self, name: str, items: Iterator[T]) -> Iterator[T]:
        """Every step of an iteration is a call."""
        end = object()
        while (item := self.perform(f"{name}.next", lambda: next(items, end))) is not end:
            yield cast("T", self._with_faulty_chunks(item))

    def _with_faulty_chunks(self, item: Any) -> Any:
        match item:
            case (ref, IncomingMessage() as message):
                attachments = tuple(self._faulty(attachment) for attachment in message.attachments)
                return ref, replace(message, attachments=attachments)
            case _:
                return item

    def _faulty(self, attachment: IncomingAttachment) -> IncomingAttachment:
        return replace(attachment, chunks=lambda: self.iterate("chunks", iter(attachment.chunks())))


class _Port:
    def __init__(self, name: str, port: Any, world: FaultyWorld) -> None:
        self._name = name
        self._port = port
        self._world = world

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._port, attribute)
        if not callable(value):
            return value
        name = f"{self._name}.{attribute}"
        if name == "mail.folders":
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            result = self._world.perform(name, lambda: value(*args, **kwargs))
            return self._world.iterate(name, result) if isinstance(result, Iterator) else result

        return call


class _Mail(_Port):
    """A capability is a type: what a mailbox offers beside the port has to be there by name."""

    def tree(self) -> Any:
        return self.__getattr__("tree")()

    def categorize(self, *args: Any) -> Any:
        return self.__getattr__("categorize")(*args)

    def move(self, *args: Any) -> Any:
        return self.__getattr__("move")(*args)
