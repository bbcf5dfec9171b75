"""Test & enable: probes each workload of a mailbox for real, writes its status, and enables what works.

What a failure means to schedule and breakers is the same as for a run (`shared.domain.scheduling`). An alert tells the
outcome whatever the alert level is: somebody asked. Nothing is tried that is bound to fail: a credential that was refused
stays refused until it changes or its breaker is half open.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from shared import breakers
from shared.administration.schedules import due_now
from shared.administration.standing import remedy
from shared.domain import scheduling
from shared.domain.alerts import UNEXPECTED, alert_of, code_of
from shared.domain.choices import AlertLevel, Workload, WorkloadStatus
from shared.domain.configuration import (
    Discovered,
    EmailServerProfile,
    StoredMailbox,
    StoredProfile,
    WorkloadSchedule,
    for_outgoing,
)
from shared.domain.eligibility import (
    Ineligible,
    breaker_stops,
    credential_version,
    has_connector,
    is_server_side,
    own_ineligibility,
    profile_ineligibility,
)
from shared.domain.errors import AuthenticationFailed, MailboxError
from shared.domain.operations import Alert
from shared.domain.words import cause_of
from shared.messages import ProbeMailbox, ProfileTask, Queue, VisitMailboxes
from shared.ports import Clock, Discover, Probe, Stores

log = logging.getLogger(__name__)

MAILBOXES_AT_ONCE = 200
"""Mailboxes that one message about a profile walks over."""
PREPARES_FOR = timedelta(seconds=20)
"""For what a test reads before it tries; a message that failed so far comes again in 30 seconds."""
SHORTEST_PROBE = timedelta(seconds=1)

SUCCEEDED = "test_succeeded"
UNDER_WAY = "test_under_way"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a test found out, and what is to be written."""

    alert: Alert | None
    schedule: WorkloadSchedule | None = None
    refused: AuthenticationFailed | None = None
    """The profile's credential was refused."""
    signed_in: bool = False
    """The profile's credential was accepted."""


# ---- decisions


def succeeded(mailbox: StoredMailbox, workload: Workload, now: datetime) -> Finding:
    return Finding(
        _information(mailbox, workload, SUCCEEDED, "Nothing to do: it is enabled.", now),
        scheduling.after_test(_schedule(mailbox, workload), now),
        signed_in=True,
    )


def failed(mailbox: StoredMailbox, workload: Workload, profile: EmailServerProfile, error: Exception, now: datetime) -> Finding:
    after = scheduling.after_error(_schedule(mailbox, workload), now, profile, error)
    if isinstance(error, AuthenticationFailed) and error.profile_wide:
        return Finding(None, after, refused=error)
    signed_in = isinstance(error, MailboxError) and error.proves_sign_in
    return Finding(alert_of(_about(mailbox), error, now, {}, workload), after, signed_in=signed_in)


def refused(mailbox: StoredMailbox, workload: Workload, reason: Ineligible, now: datetime) -> Finding:
    """Not tried: its record or its profile has to be changed first. An open breaker has its alert already."""
    after = replace(scheduling.after_refusal(_schedule(mailbox, workload), now, reason), status=WorkloadStatus.FAILURE)
    told = reason in (Ineligible.PROFILE_BREAKER_OPEN, Ineligible.BREAKER_OPEN)
    alert = Alert(_about(mailbox), reason.value, AlertLevel.ERROR, cause_of(reason.value), remedy(reason), now)
    return Finding(None if told else alert, after)


def without_connector(mailbox: StoredMailbox, workload: Workload, now: datetime) -> Finding:
    return Finding(_information(mailbox, workload, Ineligible.NO_CONNECTOR, remedy(Ineligible.NO_CONNECTOR), now))


def under_way(mailbox: StoredMailbox, workload: Workload, now: datetime) -> Finding:
    """Or it died while it tried: then it may have been refused, and is not repeated."""
    advice = "Wait for its outcome; if there is none within the hour, ask for the test again."
    return Finding(_information(mailbox, workload, UNDER_WAY, advice, now))


def password_was_refused(mailbox: StoredMailbox, workload: Workload, profile: EmailServerProfile, now: datetime) -> bool:
    """The mailbox's own password was, with this profile, within the hour. A new one would have cleared the schedule."""
    breaker = _schedule(mailbox, workload).breaker
    if breaker is None or breaker.code != AuthenticationFailed.code:
        return False
    return now < breaker.probe_after and breaker.credential in (None, credential_version(profile))


def _information(mailbox: StoredMailbox, workload: Workload, code: str, advice: str, now: datetime) -> Alert:
    cause = f"{workload.value.capitalize()}: {cause_of(code)}"
    parameters = {"workload": workload.value}
    return Alert(_about(mailbox), code, AlertLevel.INFORMATION, cause, advice, now, parameters=parameters)


def _about(mailbox: StoredMailbox) -> str:
    return f"mailbox:{mailbox.record.id}"


def _schedule(mailbox: StoredMailbox, workload: Workload) -> WorkloadSchedule:
    return mailbox.schedule.get(workload, WorkloadSchedule())


# ---- acts


class Testing:
    """What the queues `test-mailbox` and `visit-mailboxes` set off. Everything in it may be repeated."""

    __test__ = False  # pytest takes every class of that name for one of its own

    def __init__(
        self, stores: Stores, clock: Clock, probes: Mapping[Workload, Probe], discover: Discover | None = None
    ) -> None:
        self._stores = stores
        self._clock = clock
        self._probes = probes
        self._discover = discover

    def probe(self, message: ProbeMailbox) -> None:
        """Tests every workload that Sidesync is to do for the mailbox. Raises TransientError where the store fails."""
        for workload in Workload:
            mailbox = self._stores.mailboxes.get(message.mailbox_id)
            if mailbox is None:
                log.warning("unknown_mailbox", extra={"mailbox_id": message.mailbox_id, "message_id": message.id})
                return
            if is_server_side(mailbox.record, workload):
                self._test_alone(mailbox, workload, message.id)

    def visit(self, message: VisitMailboxes) -> None:
        """Does the message's task to the mailboxes of one page that are on the profile; the next page is the next message."""
        page = self._stores.mailboxes.list(message.continuation, MAILBOXES_AT_ONCE)
        mailboxes = [mailbox for mailbox in page.items if mailbox.record.profile_id == message.profile_id]
        match message.task:
            case ProfileTask.TEST:
                self._enqueue_probes(mailboxes)
            case ProfileTask.RELEASE:
                self._release(mailboxes, self._stores.profiles.get(message.profile_id))
        if page.continuation is not None:
            following = replace(message, id=uuid4().hex, continuation=page.continuation)
            self._stores.queues.send(Queue.VISIT_MAILBOXES, following.to_json())

    def _enqueue_probes(self, mailboxes: list[StoredMailbox]) -> None:
        texts = [
            ProbeMailbox(uuid4().hex, mailbox.record.id).to_json()
            for mailbox in mailboxes
            if mailbox.record.active and any(is_server_side(mailbox.record, workload) for workload in Workload)
        ]
        if texts:
            self._stores.queues.send_many(Queue.TEST_MAILBOX, texts)

    def _release(self, mailboxes: list[StoredMailbox], profile: StoredProfile | None) -> None:
        """What failed, or was found out, before says nothing about a connection that has changed. What failed with the
        present one stays: the message may come late, or twice."""
        version = None if profile is None else credential_version(profile.record)
        for mailbox in mailboxes:
            if mailbox.discovered is not None:
                self._stores.mailboxes.set_discovered(mailbox.record.id, None)
            for workload in Workload:
                present = mailbox.schedule.get(workload)
                if present is not None and present.breaker is not None and present.breaker.credential == version:
                    continue
                after = due_now(present, self._clock())
                if own_ineligibility(mailbox.record, workload) is None and after != present:
                    self._stores.mailboxes.reschedule(mailbox.record.id, workload, after)

    # ---- one workload

    def _test_alone(self, mailbox: StoredMailbox, workload: Workload, message_id: str) -> None:
        """One test of a mailbox at a time, as if it had one connection to give: what comes with it at once, or again after it
        died, does not try what may just be refused. The mailbox is read again once nobody else tests it."""
        claim = partial(self._stores.shares.claim, f"test:{mailbox.record.id}", uuid4().hex)
        now = self._clock()
        if not claim(1, 1, now, now + PREPARES_FOR):
            claim(0, 1, now, now)
            self._write(mailbox, workload, under_way(mailbox, workload, now))
            return
        present = self._stores.mailboxes.get(mailbox.record.id)
        if present is not None:
            self._test(present, workload, message_id, partial(claim, 1, 1, now, now + scheduling.PROBE_EVERY))
        claim(0, 1, now, now)

    def _test(self, mailbox: StoredMailbox, workload: Workload, message_id: str, hold: Callable[[], int]) -> None:
        """`hold` keeps all others away for as long as a password that was tried may not be tried again."""
        now = self._clock()
        probe = self._probes.get(workload)
        profile_id = mailbox.record.profile_id
        profile = self._stores.profiles.get(profile_id) if profile_id is not None else None
        if probe is None or not has_connector(workload, profile.record.server_type if profile else None):
            self._write(mailbox, workload, without_connector(mailbox, workload, now))
            return
        reason = own_ineligibility(mailbox.record, workload) or profile_ineligibility(profile, workload, now)
        if reason is None and profile is not None and password_was_refused(mailbox, workload, profile.record, now):
            reason = Ineligible.BREAKER_OPEN
        if reason is None and not hold():
            self._write(mailbox, workload, under_way(mailbox, workload, now))
            return
        if reason is None and profile is not None and breaker_stops(profile, workload):
            profile = breakers.take_probe(self._stores.profiles, profile.record.id, workload, now, message_id)
            reason = Ineligible.PROFILE_BREAKER_OPEN if profile is None else None
        if reason is not None or profile is None:
            self._write(mailbox, workload, refused(mailbox, workload, reason or Ineligible.UNKNOWN_PROFILE, now))
            return
        finding = self._found(probe, mailbox, workload, profile)
        self._write_breaker(profile, workload, finding)
        self._write(mailbox, workload, finding)

    def _found(self, probe: Probe, mailbox: StoredMailbox, workload: Workload, profile: StoredProfile) -> Finding:
        try:
            self._try(probe, mailbox, workload, profile)
        except Exception as error:  # whatever it is, it is the outcome of the test
            about = {"mailbox_id": mailbox.record.id, "workload": workload.value, "code": code_of(error)}
            log.warning("test_failed", extra=about, exc_info=error if about["code"] == UNEXPECTED else None)
            return failed(mailbox, workload, profile.record, error, self._clock())
        return succeeded(mailbox, workload, self._clock())

    def _try(self, probe: Probe, mailbox: StoredMailbox, workload: Workload, profile: StoredProfile) -> None:
        """All of it together takes no longer than the profile allows for one call."""
        began = self._clock()
        discovered = self._discovered(mailbox, workload, profile, began)
        left = max(profile.record.timeout - (self._clock() - began), SHORTEST_PROBE)
        probe(replace(profile.record, timeout=min(left, profile.record.timeout)), mailbox.record, discovered)

    def _discovered(
        self, mailbox: StoredMailbox, workload: Workload, profile: StoredProfile, now: datetime
    ) -> Discovered | None:
        """Found out anew, since what is to be tested is what is true now."""
        used = for_outgoing(profile.record) if workload is Workload.OUTGOING else profile.record
        if not used.use_autodiscover or self._discover is None:
            return mailbox.discovered
        discovered = self._discover(profile.record, mailbox.record, now)
        self._stores.mailboxes.set_discovered(mailbox.record.id, discovered)
        return discovered

    # ---- what is written

    def _write_breaker(self, profile: StoredProfile, workload: Workload, finding: Finding) -> None:
        """First of all: whoever comes next must see it."""
        if finding.refused is not None:
            breakers.open_breaker(self._stores, profile, workload, finding.refused, self._clock())
        elif finding.signed_in:
            breakers.close_breaker(self._stores.profiles, profile, workload)
        else:
            breakers.leave_probe(self._stores.profiles, profile, workload, self._clock())

    def _write(self, mailbox: StoredMailbox, workload: Workload, finding: Finding) -> None:
        if finding.alert is not None:
            self._stores.alerts.put(finding.alert)
        if finding.schedule is not None:
            self._reschedule(mailbox, workload, finding.schedule)

    def _reschedule(self, mailbox: StoredMailbox, workload: Workload, after: WorkloadSchedule) -> None:
        """What a test found must not outlive a change of the record that it did not see: due at once, or not any more.

        Written first, then compared: whichever of the two writers comes last, the change counts.
        """
        self._stores.mailboxes.reschedule(mailbox.record.id, workload, after)
        present = self._stores.mailboxes.get(mailbox.record.id)
        if present is not None and present.etag != mailbox.etag:
            due = self._clock() if own_ineligibility(present.record, workload) is None else None
            self._stores.mailboxes.reschedule(mailbox.record.id, workload, replace(after, due=due, breaker=None))
