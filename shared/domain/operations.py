"""What operators look at: runs, alerts, quarantined items."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.choices import AlertLevel, Workload
from shared.domain.email import ItemRef
from shared.domain.ids import MailboxId, RunId, short_hash
from shared.domain.ledger import ItemKey


class RunOutcome(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    CONTINUED = "continued"
    """The budget was spent; the continuation is queued."""
    IDLE = "idle"
    """Nothing new. Not written."""
    HELD = "held"
    """Another run has the mailbox, or took it over from this one. Not written."""
    REFUSED = "refused"
    FAILED = "failed"
    LEASE_LOST = "lease_lost"
    UNKNOWN_MAILBOX = "unknown_mailbox"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution for one (mailbox, workload) that did something."""

    id: RunId
    mailbox_id: MailboxId
    workload: Workload
    started_on: datetime
    duration: timedelta
    outcome: RunOutcome
    seen: int = 0
    verdicts: Mapping[str, int] = field(default_factory=dict)
    """Items per `verdict:reason`."""
    pages: int = 0
    error: str | None = None
    """Code of the error that ended it, or the reason it was refused."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something an administrator should know; collapsed by what it is about, code and parameters."""

    about: str
    """`mailbox:<id>`, `profile:<id>`, `load:<id>` or `queue:<name>`."""
    code: str
    level: AlertLevel
    cause: str
    remedy: str
    raised_on: datetime
    """When it was raised last; the store keeps the first time too."""
    first_raised_on: datetime | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    acknowledged_by: str | None = None
    acknowledged_on: datetime | None = None

    @property
    def id(self) -> str:
        """Names it in the API: what it is about, its code and its parameters."""
        return short_hash(json.dumps([self.about, self.code, sorted(self.parameters.items())]))


@dataclass(frozen=True, slots=True)
class QuarantinedItem:
    """An item that failed for good, kept with its raw form."""

    mailbox_id: MailboxId
    key: ItemKey
    ref: ItemRef
    message_id: str | None
    quarantined_on: datetime
    received: datetime | None
    error: str
    detail: str
    attempts: int
    version: str
    """Version of Sidesync that gave up."""
    raw_blob: str | None
    """None where even the raw form cannot be read; `detail` says why."""

    @property
    def id(self) -> str:
        """Names it in the API."""
        return str(self.key)
