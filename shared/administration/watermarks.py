"""Forgets how far the folders of a mailbox were read: they are listed again; what is known of their items stays known."""

from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from shared.administration.writing import ATTEMPTS
from shared.domain.choices import Workload
from shared.domain.errors import Busy, LeaseLost
from shared.domain.ids import MailboxId
from shared.domain.ledger import LedgerCommit
from shared.ports import Ledger

WORKLOAD = Workload.INCOMING


def forget_watermarks(ledger: Ledger, mailbox_id: MailboxId, now: datetime) -> None:
    """One transaction through the state's ETag, the fence of every writer: a run that is under way loses its lease.

    Raises Busy where runs keep committing.
    """
    for _ in range(ATTEMPTS):
        head = ledger.head(mailbox_id, WORKLOAD, now)
        marks = tuple(replace(mark, watermark=None, caught_up=False) for mark in head.marks)
        if head.state is None or (marks == head.marks and head.state.holder is None):
            return
        state = replace(head.state, nonce=uuid4().hex, holder=None, expires=None)
        try:
            ledger.commit(mailbox_id, WORKLOAD, head.etag, LedgerCommit(state, marks=marks))
        except LeaseLost:
            continue
        return
    raise Busy("the mailbox is being read and committed all the time")
