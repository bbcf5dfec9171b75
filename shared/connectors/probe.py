"""Probes: try for real, as the identity that will act, whether a workload of a mailbox works. They change nothing there."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Thread

from shared.domain.choices import Workload
from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox
from shared.domain.errors import NoAnswer
from shared.ports import OpenMailbox, Probe


def probes(open_mailbox: OpenMailbox) -> Mapping[Workload, Probe]:
    """A probe for each workload that there is a connector for."""
    return {Workload.INCOMING: ProbeIncoming(open_mailbox)}


class ProbeIncoming:
    """Signs in, opens the inbox and reads one id."""

    def __init__(self, open_mailbox: OpenMailbox) -> None:
        self._open_mailbox = open_mailbox

    def __call__(self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None) -> None:
        """Raises SyncError; NoAnswer when the profile's time for one call was not enough for all of it."""

        def attempt() -> None:
            with self._open_mailbox(profile, mailbox, discovered) as mail:
                inbox, *_ = mail.folders()
                mail.changes(inbox, None, limit=1)

        within(profile.timeout, attempt)


def within(limit: timedelta, attempt: Callable[[], None]) -> None:
    """Gives `attempt` so much time and no more. A thread cannot be ended: one that is late ends by the limits of its own
    calls, and nobody waits for it. Raises NoAnswer, and what `attempt` raises."""
    outcome: SimpleQueue[Exception | None] = SimpleQueue()

    def tell() -> None:
        try:
            attempt()
        except Exception as error:  # noqa: BLE001 # raised again by whoever waits
            outcome.put(error)
        else:
            outcome.put(None)

    Thread(target=tell, name="probe", daemon=True).start()
    try:
        error = outcome.get(timeout=limit.total_seconds())
    except Empty:
        raise NoAnswer(f"No answer within {limit.total_seconds():g} seconds.") from None
    if error is not None:
        raise error
