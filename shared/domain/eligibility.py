"""Whether a workload of a mailbox may run: what its own record says, what its profile says, and from when mail is read.

Pure: records and the time come in as arguments. The mailbox's own part is applied when its record is written (its schedule
is due or it is not); the profile's part when mailboxes are enumerated and again when a run begins.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.choices import ActDeliveryMethod, Approval, EmailDeliveryMethod, ServerType, Workload
from shared.domain.configuration import Breaker, EmailServerProfile, Mailbox, StoredProfile, whose_sign_in
from shared.domain.ids import short_hash


class Ineligible(StrEnum):
    """Why a workload of a mailbox is not run."""

    MAILBOX_INACTIVE = "mailbox_inactive"
    METHOD_NONE = "method_none"
    NO_CONNECTOR = "no_connector"
    NOT_APPROVED = "not_approved"
    NO_PROFILE = "no_profile"
    UNKNOWN_PROFILE = "unknown_profile"
    PROFILE_INACTIVE = "profile_inactive"
    PROFILE_BREAKER_OPEN = "profile_breaker_open"
    BREAKER_OPEN = "breaker_open"


_CONNECTORS: Mapping[ServerType, frozenset[Workload]] = {
    ServerType.EXCHANGE_SERVER: frozenset({Workload.INCOMING, Workload.OUTGOING}),
    ServerType.EXCHANGE_ONLINE: frozenset({Workload.INCOMING, Workload.OUTGOING}),
    ServerType.POP3_SMTP: frozenset({Workload.INCOMING, Workload.OUTGOING}),
    ServerType.IMAP_SMTP: frozenset({Workload.INCOMING, Workload.OUTGOING}),
}
"""What this version of Sidesync can do with each type of server. The rest may be configured ahead; nothing runs it."""


def has_connector(workload: Workload, server_type: ServerType | None = None) -> bool:
    """Whether this version does the workload with this type of server; None: with any."""
    types = _CONNECTORS if server_type is None else (server_type,)
    return any(workload in _CONNECTORS[each] for each in types)


_LONGEST_WAIT = timedelta(hours=2)
"""For a profile's breaker to be half open, which takes an hour: what lies further ahead, a clock wrote that was wrong."""


def own_ineligibility(mailbox: Mailbox, workload: Workload) -> Ineligible | None:
    """Why the mailbox's own record excludes the workload; None where it does not."""
    if not mailbox.active:
        return Ineligible.MAILBOX_INACTIVE
    if not is_server_side(mailbox, workload):
        return Ineligible.METHOD_NONE
    if not has_connector(workload):
        return Ineligible.NO_CONNECTOR
    if mailbox.approval != Approval.APPROVED:
        return Ineligible.NOT_APPROVED
    if mailbox.profile_id is None:
        return Ineligible.NO_PROFILE
    return None


def profile_ineligibility(
    profile: StoredProfile | None, workload: Workload, now: datetime, *, probing: bool = False
) -> Ineligible | None:
    """Why the profile excludes every mailbox on it; None where it does not. `probing`: this run was sent to probe."""
    if profile is None:
        return Ineligible.UNKNOWN_PROFILE
    if not has_connector(workload, profile.record.server_type):
        return Ineligible.NO_CONNECTOR
    if not profile.record.active:
        return Ineligible.PROFILE_INACTIVE
    if not probing and breaker_stops(profile, workload) and not at_probe(profile, workload, now):
        return Ineligible.PROFILE_BREAKER_OPEN
    return None


def breaker_of(profile: StoredProfile, workload: Workload) -> Breaker | None:
    """The one that the workload opens, obeys and closes; workloads that sign in alike have the same one."""
    return profile.breakers.get(whose_sign_in(profile.record, workload))


def breaker_stops(profile: StoredProfile, workload: Workload) -> bool:
    """The credential that the workload signs in with failed, and is still the same one: a breaker says nothing about another
    credential."""
    breaker = breaker_of(profile, workload)
    return breaker is not None and breaker.credential in (None, credential_version(profile.record))


def at_probe(profile: StoredProfile, workload: Workload, now: datetime) -> bool:
    """The breaker that stops the workload is half open: one mailbox may try."""
    breaker = breaker_of(profile, workload)
    if breaker is None or not breaker_stops(profile, workload):
        return False
    return not timedelta() < breaker.probe_after - now <= _LONGEST_WAIT  # clocks are set back, too


def connection_of(profile: EmailServerProfile) -> EmailServerProfile:
    """The profile with all that decides how a server answers, and nothing else."""
    return replace(
        profile,
        name="",
        process_emails_received_after=None,
        min_polling_interval=timedelta(),
        emails_per_minute=None,
        delivery_attempts=1,
        save_sent_items=True,
        max_connections=1,
        move_undeliverable=False,
        send_email_alert=False,
        owner_address=None,
        active=True,
    )


def credential_version(profile: EmailServerProfile) -> str:
    """Changes with anything that another sign-in could depend on: who signs in, how, and where. Reveals nothing of it."""
    return short_hash(repr(connection_of(profile)))


def start_date(profile: EmailServerProfile, mailbox: Mailbox) -> datetime | None:
    """The later of the profile's and the mailbox's date; without either, the moment the mailbox was enabled."""
    dates = [date for date in (profile.process_emails_received_after, mailbox.process_email_received_after) if date]
    return max(dates) if dates else mailbox.enabled_on


def is_server_side(mailbox: Mailbox, workload: Workload) -> bool:
    """Its method says that Sidesync does this workload, whatever else may keep it from running."""
    match workload:
        case Workload.INCOMING:
            return mailbox.incoming_method == EmailDeliveryMethod.SERVER_SIDE
        case Workload.OUTGOING:
            return mailbox.outgoing_method == EmailDeliveryMethod.SERVER_SIDE
        case Workload.ACT:
            return mailbox.act_method == ActDeliveryMethod.SERVER_SIDE
