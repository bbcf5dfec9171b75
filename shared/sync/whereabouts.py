"""Where a mailbox is, for a profile with autodiscover: found out once a day, and after an error that a move would explain.

What was found stands beside the mailbox and is read with it, so that a poll costs no request more for it.
"""

import logging
from dataclasses import replace
from datetime import timedelta

from shared.domain.choices import Workload
from shared.domain.configuration import Discovered, EmailServerProfile, StoredMailbox, for_outgoing
from shared.domain.errors import SyncError, TransientError
from shared.ports import Mailboxes
from shared.sync.assignment import Assignment, Surroundings

log = logging.getLogger(__name__)

GOOD_FOR = timedelta(days=1)
TRIED_AGAIN_AFTER = timedelta(hours=1)
"""Where finding out anew fails for the moment, what was found before serves for so much longer."""


def whereabouts(assignment: Assignment, around: Surroundings) -> Discovered | None:
    """What is known, found out anew where it is too old. Raises MailboxError, TransientError where nothing is known."""
    known, discover, now = assignment.discovered, around.discover, around.clock()
    if not is_looked_for(assignment.profile, assignment.workload) or discover is None:
        return known
    if known is not None and now - known.discovered_on < GOOD_FOR:
        return known
    try:
        found = discover(assignment.profile, assignment.mailbox, now)
    except TransientError:
        if known is None:
            raise
        log.warning("autodiscover_failed", extra={"mailbox_id": assignment.mailbox.id})
        found = replace(known, discovered_on=now - GOOD_FOR + TRIED_AGAIN_AFTER)
    around.stores.mailboxes.set_discovered(assignment.mailbox.id, found)
    return found


def is_looked_for(profile: EmailServerProfile, workload: Workload) -> bool:
    """The workload goes where autodiscover finds the mailbox; outgoing mail may have a server of its own."""
    return (for_outgoing(profile) if workload is Workload.OUTGOING else profile).use_autodiscover


def forget_whereabouts(mailboxes: Mailboxes, mailbox: StoredMailbox, error: Exception) -> None:
    """After an error that a move of the mailbox explains: the next run looks for it."""
    if mailbox.discovered is None or not isinstance(error, SyncError) or not error.calls_for_discovery:
        return
    try:
        mailboxes.set_discovered(mailbox.record.id, None)
    except TransientError:
        log.warning("whereabouts_not_forgotten", extra={"mailbox_id": mailbox.record.id})
