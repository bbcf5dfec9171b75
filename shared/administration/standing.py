"""Why a workload of a mailbox does not run now, from its record, its profile and the breakers; and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.choices import Workload
from shared.domain.configuration import StoredMailbox, StoredProfile
from shared.domain.eligibility import Ineligible
from shared.domain.scheduling import ineligibility


@dataclass(frozen=True, slots=True)
class MailboxStanding:
    """A mailbox, and why each of its workloads does not run now; None where it does."""

    stored: StoredMailbox
    held_back: Mapping[Workload, Ineligible | None]


def standing(stored: StoredMailbox, profile: StoredProfile | None, now: datetime) -> MailboxStanding:
    """`profile` is the one that the mailbox names, None where it names none or it is not there."""
    return MailboxStanding(stored, {workload: ineligibility(stored, profile, workload, now) for workload in Workload})


def remedy(reason: Ineligible) -> str:
    """What an administrator does about it; `words.INELIGIBLE` says what it is."""
    return _REMEDIES[reason]


_REMEDIES = {
    Ineligible.MAILBOX_INACTIVE: "Activate the mailbox (and its user).",
    Ineligible.METHOD_NONE: (
        "Set incoming_method or outgoing_method of the mailbox to server_side; this version of Sidesync has no connectors for"
        " appointments, contacts and tasks."
    ),
    Ineligible.NO_CONNECTOR: (
        "Choose another method or profile; or wait for a version of Sidesync that has the connector, and test the mailbox then."
    ),
    Ineligible.NOT_APPROVED: "Approve the mailbox.",
    Ineligible.NO_PROFILE: "Set the mailbox's profile_id.",
    Ineligible.UNKNOWN_PROFILE: "Create the profile, or choose another one for the mailbox.",
    Ineligible.PROFILE_INACTIVE: "Activate the profile.",
    Ineligible.PROFILE_BREAKER_OPEN: (
        "Correct the credentials of the profile: its alert says which. They are also tried again by themselves."
    ),
    Ineligible.BREAKER_OPEN: "Look at its last error. A change of its configuration, or asking for a run, tries it at once.",
}
