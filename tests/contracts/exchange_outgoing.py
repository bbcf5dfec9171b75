"""Email that leaves through an Exchange mailbox of the local mail server, from both sides."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Unpack

from local.mailserver.ews.endpoint import OPERATIONS
from shared.connectors.connect import Connect
from shared.connectors.mime import read_message
from shared.domain.configuration import EmailServerProfile
from shared.domain.email import Address, IncomingMessage, ItemRef
from shared.domain.outgoing import OutgoingMessage, Receipt
from shared.ports import Drafting
from tests.contracts.exchange_mailboxes import ServedByExchange, Symptoms, a_mailbox
from tests.unit.connectors.outgoing_messages import a_message


@dataclass(frozen=True, slots=True)
class Outbound:
    """A mailbox that sends, and what its server did of it."""

    drafting: Drafting
    served: ServedByExchange

    def message(self, key: str = "k1", **fields: object) -> OutgoingMessage:
        return a_message(
            **{"key": key, "message_id": f"{key}@contoso.example", "from_": Address(self.served.address, "Anna Adams")} | fields
        )

    def messages(self, count: int) -> list[OutgoingMessage]:
        """k0, k1, ... in this order."""
        return [self.message(f"k{number}", subject=f"Number {number}") for number in range(count)]

    def prepared(self, messages: Sequence[OutgoingMessage]) -> list[str]:
        references = self.drafting.prepare(messages)
        assert all(isinstance(reference, str) for reference in references), references
        return [str(reference) for reference in references]

    def send(self, *messages: OutgoingMessage) -> None:
        outcomes = self.drafting.submit(self.prepared(messages), save_copy=True)
        assert outcomes == [Receipt()] * len(messages)

    @property
    def drafts(self) -> int:
        return len(self.served.server.items(self.served.address, "drafts"))

    @property
    def copies(self) -> int:
        return len(self.served.server.items(self.served.address, "sentitems"))

    def accepted(self) -> list[str]:
        """Message-IDs of what transport took, oldest first, each without brackets."""
        return [each.message_id.strip("<>") for each in self.served.server.accepted()]

    def arrived(self) -> IncomingMessage:
        """The only one."""
        (taken,) = self.served.server.accepted()
        return read_message(bytes(taken.octets[:]), ItemRef("arrived", ""))

    def asked(self) -> list[str]:
        """Operations, in order, without what a server refused because nobody was signed in yet."""
        return [
            asked.operation for asked in self.served.server.requests if asked.status != 401 and asked.operation in OPERATIONS
        ]

    def fault(self, kind: str, **how: Unpack[Symptoms]) -> None:
        self.served.server.faults.add(kind, self.served.address, **how)

    def clear(self) -> None:
        self.served.server.faults.clear()


@contextmanager
def opened(connect: Connect, served: ServedByExchange, profile: EmailServerProfile) -> Iterator[Outbound]:
    with connect.outgoing(profile, a_mailbox(served.address)) as drafting:
        assert isinstance(drafting, Drafting)
        yield Outbound(drafting, served)
