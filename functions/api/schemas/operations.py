"""What operators look at: runs, alerts, quarantined items, the audit; and the API's own health."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from functions.api.derived import Given, Instant, Shown, shows
from functions.api.schemas import examples
from shared.domain.audit import AuditEntry
from shared.domain.operations import Alert, QuarantinedItem, Run


@shows(Run)
class RunShown(Shown):
    """One run of a mailbox that did something."""


@shows(Alert)
class AlertShown(Shown):
    """Something an administrator should know."""

    id: str = Field(description="Derived from what it is about, its code and its parameters.")


@shows(QuarantinedItem, without=("key", "raw_blob"))
class QuarantinedItemShown(Shown):
    """An item that failed for good and is kept with its raw form."""

    id: str = Field(description="Hashes of the message's identity and of the server's id of this copy.")


@shows(AuditEntry)
class AuditEntryShown(Shown):
    """Who changed which record, and what of it."""


class ResetGiven(Given):
    """From when on a mailbox is read again."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.RESET})

    received_after: Instant = Field(description="Mail received before this is not read.")


class Accepted(BaseModel):
    """The work is queued; what comes of it is to be seen elsewhere."""

    queued: Literal[True] = True
    look_at: str = Field(description="Path where the outcome shows, within a minute.", examples=["/api/mailboxes/0b8a7b1e"])


class Health(BaseModel):
    """The API answers."""

    status: Literal["ok"] = "ok"
