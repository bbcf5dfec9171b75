"""A connection that breaks at any command, before or after the server did it: repeating from what was committed comes to the
same end."""

from dataclasses import dataclass, field

import pytest

from shared.domain.email import ChangeKind, Envelope, IncomingMessage, ItemRef
from shared.domain.errors import TransientError
from shared.domain.folders import INBOX
from tests.unit.connectors.odd_imap_server import OddServer, a_mailbox_on, serving

COMMANDS = 22
"""Of one way through without a break; the test sees to it that these are all."""


@dataclass(slots=True)
class Committed:
    """What a run would have stored so far."""

    watermark: str | None = None
    listed: list[str] = field(default_factory=list)
    read: dict[str, str] = field(default_factory=dict)
    is_done: bool = False


def a_run(server: OddServer, committed: Committed) -> None:
    """Lists page by page, reads each page before it is committed, and deletes one message at the end."""
    with a_mailbox_on(server) as mail:
        while True:
            page = mail.changes(INBOX, committed.watermark, limit=3)
            refs = [item.ref for item in page.items if item.kind is ChangeKind.CREATED]
            assert all(isinstance(outcome, Envelope) for _, outcome in mail.envelopes(refs))
            messages = [outcome for _, outcome in mail.fetch(refs)]
            for message in messages:
                assert isinstance(message, IncomingMessage)
                committed.read[message.message_id or ""] = message.body_text or ""
            committed.listed += [ref.id for ref in refs]
            committed.watermark = page.watermark
            if not page.more:
                break
        mail.latest(INBOX, 1)
        assert mail.discard([ItemRef("7:7", INBOX.id)]) == {}
        committed.is_done = True


def a_mailbox(server: OddServer) -> None:
    for number in range(7):
        server.deliver(f"{number}")


@pytest.mark.parametrize("is_done", [False, True], ids=["before it is done", "after it was done"])
@pytest.mark.parametrize("at", range(COMMANDS))
def test_a_break_at_any_command_comes_to_the_same_end(at: int, *, is_done: bool) -> None:
    with serving(OddServer()) as server:
        a_mailbox(server)
        heard = 0

        def hang_up_once(line: bytes) -> bytes | None:
            nonlocal heard
            heard += line != b"LOGOUT"
            if heard - 1 != at:
                return None
            if is_done:
                server._answer(line, sorted(server.messages))
            return b""

        server.reply = hang_up_once
        committed = Committed()
        breaks = 0
        while not committed.is_done:
            try:
                a_run(server, committed)
            except TransientError:
                breaks += 1
                assert breaks == 1
        assert heard > COMMANDS - 1
        assert sorted(committed.listed) == [f"7:{uid}" for uid in range(1, 8)]
        assert {name: text.strip() for name, text in committed.read.items()} == {
            f"{number}@fabrikam.example": "Hello" for number in range(7)
        }
        assert sorted(server.messages) == [1, 2, 3, 4, 5, 6]


def test_there_are_as_many_commands_as_are_broken() -> None:
    with serving(OddServer()) as server:
        a_mailbox(server)
        a_run(server, Committed())
        assert len([line for line in server.said if line != b"LOGOUT"]) == COMMANDS
