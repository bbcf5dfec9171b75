"""Probes: try for real, as the identity that will act, whether a workload of a mailbox works. They change nothing there."""

from collections.abc import Mapping

from shared.connectors.deadline import within
from shared.domain.choices import Workload
from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox
from shared.ports import OpenMailbox, OpenOutgoing, Probe


def probes(open_mailbox: OpenMailbox, open_outgoing: OpenOutgoing) -> Mapping[Workload, Probe]:
    """A probe for each workload that there is a connector for."""
    return {Workload.INCOMING: ProbeIncoming(open_mailbox), Workload.OUTGOING: ProbeOutgoing(open_outgoing)}


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


class ProbeOutgoing:
    """Signs in where email is sent, and sends nothing."""

    def __init__(self, open_outgoing: OpenOutgoing) -> None:
        self._open_outgoing = open_outgoing

    def __call__(self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None) -> None:
        """As `ProbeIncoming`."""

        def attempt() -> None:
            with self._open_outgoing(profile, mailbox, discovered) as mail:
                mail.check()

        within(profile.timeout, attempt)
