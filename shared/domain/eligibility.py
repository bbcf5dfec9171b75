"""Whether a mailbox may be synchronized: first by its own record, then by its profile and their breakers.

Pure: records, breakers and the time come in as arguments. The mailbox's own part is applied when its record is written
(its schedule is due or it is not); the profile's part when mailboxes are enumerated and again when a run begins.
"""

from datetime import datetime
from enum import StrEnum

from shared.domain.choices import ActDeliveryMethod, Approval, EmailDeliveryMethod, Workload
from shared.domain.configuration import Breaker, Credentials, EmailServerProfile, Mailbox
from shared.domain.ids import short_hash


class IneligibleReason(StrEnum):
    """Why a workload of a mailbox is not synchronized."""

    MAILBOX_INACTIVE = "mailbox_inactive"
    NO_PROFILE = "no_profile"
    METHOD_NOT_SERVER_SIDE = "method_not_server_side"
    NOT_APPROVED = "not_approved"
    MAILBOX_BREAKER_OPEN = "mailbox_breaker_open"
    PROFILE_MISSING = "profile_missing"
    PROFILE_INACTIVE = "profile_inactive"
    PROFILE_BREAKER_OPEN = "profile_breaker_open"


def ineligibility(mailbox: Mailbox, workload: Workload) -> IneligibleReason | None:
    """Why the mailbox's own record keeps the workload from running; None: it does not."""
    if not mailbox.active:
        return IneligibleReason.MAILBOX_INACTIVE
    if not _server_side(mailbox, workload):
        return IneligibleReason.METHOD_NOT_SERVER_SIDE
    if mailbox.profile_id is None:
        return IneligibleReason.NO_PROFILE
    if mailbox.approval is not Approval.APPROVED:
        return IneligibleReason.NOT_APPROVED
    return None


def profile_ineligibility(
    profile: EmailServerProfile | None, breaker: Breaker | None, now: datetime
) -> IneligibleReason | None:
    """Why the profile keeps every mailbox on it from running; None: it does not.

    A breaker that was opened over one credential says nothing about another: it counts as closed once that changed.
    """
    if profile is None:
        return IneligibleReason.PROFILE_MISSING
    if not profile.active:
        return IneligibleReason.PROFILE_INACTIVE
    if breaker_is_open(breaker, now) and not _about_another_credential(breaker, profile.credentials):
        return IneligibleReason.PROFILE_BREAKER_OPEN
    return None


def breaker_is_open(breaker: Breaker | None, now: datetime) -> bool:
    """Open until `probe_after`; from then on one run may probe."""
    return breaker is not None and now < breaker.probe_after


def credential_version(credentials: Credentials) -> str:
    """Names this very credential without revealing it: `Breaker.credential` of the profile that it failed for."""
    secret = credentials.secret
    parts = (
        credentials.username,
        credentials.tenant_id,
        credentials.client_id,
        credentials.authority,
        secret.name if secret else None,
        secret.version if secret else None,
    )
    return short_hash("\n".join(part or "" for part in parts))


def _about_another_credential(breaker: Breaker | None, credentials: Credentials) -> bool:
    return breaker is not None and breaker.credential is not None and breaker.credential != credential_version(credentials)


def _server_side(mailbox: Mailbox, workload: Workload) -> bool:
    match workload:
        case Workload.INCOMING:
            return mailbox.incoming_method is EmailDeliveryMethod.SERVER_SIDE
        case Workload.OUTGOING:
            return mailbox.outgoing_method is EmailDeliveryMethod.SERVER_SIDE
        case Workload.ACT:
            return mailbox.act_method is ActDeliveryMethod.SERVER_SIDE
