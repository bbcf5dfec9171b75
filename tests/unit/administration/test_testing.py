"""Test & enable: what works is enabled, what fails names its cause, and a refused credential is tried once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.administration.testing import MAILBOXES_AT_ONCE
from shared.domain.choices import (
    ActDeliveryMethod,
    AlertLevel,
    Approval,
    EmailDeliveryMethod,
    Workload,
    WorkloadStatus,
)
from shared.domain.configuration import (
    Breaker,
    WorkloadSchedule,
)
from shared.domain.eligibility import credential_version
from shared.domain.errors import CertificateRefused, ImpersonationDenied
from shared.domain.ids import ProfileId
from shared.messages import ProbeMailbox, ProfileTask, Queue, VisitMailboxes, parse
from tests.builders import MONDAY, a_mailbox, a_profile, queues_in_memory, with_organisation
from tests.unit.administration.laboratory import FOUND, HOUR, WRONG_PASSWORD, Laboratory, a_laboratory, raising


@pytest.fixture
def laboratory() -> Laboratory:
    return a_laboratory()


def test_what_works_is_enabled_at_once_and_says_so(laboratory: Laboratory) -> None:
    off = WorkloadSchedule(
        due=MONDAY + HOUR,
        failures=3,
        breaker=Breaker("access_denied", MONDAY, MONDAY + HOUR),
        status=WorkloadStatus.FAILURE,
        last_error="access_denied",
    )
    laboratory.stores.mailboxes.reschedule(a_mailbox().id, Workload.INCOMING, off)
    after = laboratory.test()
    assert (after.due, after.breaker, after.failures) == (MONDAY, None, 0)
    assert (after.status, after.last_error) == (WorkloadStatus.SUCCESS, None)
    assert [(alert.code, alert.level) for alert in laboratory.alerts()] == [("test_succeeded", AlertLevel.INFORMATION)]


def test_a_failure_of_the_mailbox_names_cause_and_remedy_and_switches_it_off(laboratory: Laboratory) -> None:
    laboratory.answer = raising(ImpersonationDenied("SyncFolderItems: ErrorImpersonateUserDenied"))
    after = laboratory.test()
    assert (after.status, after.last_error) == (WorkloadStatus.FAILURE, "impersonation_denied")
    assert after.breaker is not None
    assert after.due == after.breaker.probe_after == MONDAY + HOUR
    (alert,) = laboratory.alerts()
    assert (alert.code, alert.level) == ("impersonation_denied", AlertLevel.ERROR)
    assert "ApplicationImpersonation" in alert.remedy


def test_a_failure_for_the_moment_is_told_and_tried_again_soon(laboratory: Laboratory) -> None:
    laboratory.answer = raising(CertificateRefused("SSLError"))
    after = laboratory.test()
    assert (after.status, after.failures, after.breaker) == (WorkloadStatus.FAILURE, 1, None)
    assert after.due is not None
    assert MONDAY < after.due < MONDAY + HOUR
    assert [alert.code for alert in laboratory.alerts()] == ["certificate_refused"]


def test_an_unknown_failure_quotes_nothing(laboratory: Laboratory) -> None:
    laboratory.answer = raising(RuntimeError("the subject of a mail"))
    assert laboratory.test().last_error == "unexpected"
    (alert,) = laboratory.alerts()
    assert "subject" not in alert.cause


# ---- what cannot be tried


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"active": False}, "mailbox_inactive"),
        ({"approval": Approval.PENDING}, "not_approved"),
        ({"profile_id": None}, "no_profile"),
        ({"profile_id": ProfileId("elsewhere")}, "unknown_profile"),
    ],
)
def test_a_mailbox_that_may_not_run_is_not_tried_and_says_what_to_change(changes: dict[str, object], code: str) -> None:
    laboratory = Laboratory()
    with_organisation(laboratory.stores, a_mailbox("anna", **changes))
    after = laboratory.test()
    assert (after.status, after.last_error) == (WorkloadStatus.FAILURE, code)
    assert laboratory.probed == []
    (alert,) = laboratory.alerts()
    assert (alert.code, alert.level) == (code, AlertLevel.ERROR)
    assert alert.remedy


def test_an_inactive_profile_is_not_tried() -> None:
    laboratory = Laboratory()
    with_organisation(laboratory.stores, a_mailbox("anna"), profile=a_profile(active=False))
    assert laboratory.test().last_error == "profile_inactive"
    assert laboratory.probed == []


def test_a_workload_without_a_connector_says_so_and_keeps_its_status() -> None:
    laboratory = Laboratory()
    with_organisation(laboratory.stores, a_mailbox("anna", act_method=ActDeliveryMethod.SERVER_SIDE))
    laboratory.test()
    told = {(alert.code, alert.parameters["workload"]): alert.level for alert in laboratory.alerts()}
    information = AlertLevel.INFORMATION
    assert told == {
        ("test_succeeded", "incoming"): information,
        ("no_connector", "act"): information,
    }
    schedule = laboratory.mailbox().schedule.get(Workload.ACT, WorkloadSchedule())
    assert schedule.status is WorkloadStatus.NOT_RUN


def test_a_workload_that_is_not_ours_is_left_alone() -> None:
    laboratory = Laboratory()
    with_organisation(laboratory.stores, a_mailbox("anna", incoming_method=EmailDeliveryMethod.OUTLOOK))
    before = laboratory.mailbox()
    laboratory.test()
    assert laboratory.mailbox() == before
    assert laboratory.alerts() == []


def test_a_mailbox_that_is_gone_is_no_error(laboratory: Laboratory) -> None:
    laboratory.testing.probe(ProbeMailbox("p1", a_mailbox("nobody").id))
    assert laboratory.probed == []


def test_a_mailbox_that_was_changed_while_it_was_tested_is_due_all_the_same(laboratory: Laboratory) -> None:
    def somebody_repairs_it() -> None:
        stored = laboratory.mailbox()
        laboratory.stores.mailboxes.replace(replace(stored.record, name="Anna B."), stored.etag, {})
        raise ImpersonationDenied("x")

    laboratory.answer = somebody_repairs_it
    after = laboratory.test()
    assert (after.due, after.breaker) == (MONDAY, None)


@pytest.mark.parametrize("outcome", [None, ImpersonationDenied("x"), WRONG_PASSWORD], ids=lambda each: type(each).__name__)
def test_a_mailbox_that_was_deactivated_while_it_was_tested_is_not_due(
    laboratory: Laboratory, outcome: Exception | None
) -> None:
    def somebody_deactivates_it() -> None:
        stored = laboratory.mailbox()
        laboratory.stores.mailboxes.replace(replace(stored.record, active=False), stored.etag, {})
        if outcome is not None:
            raise outcome

    laboratory.answer = somebody_deactivates_it
    assert laboratory.test().due is None


# ---- autodiscover


def test_where_a_mailbox_is_gets_found_out_anew_and_is_part_of_the_time() -> None:
    laboratory = Laboratory()
    profile = a_profile(use_autodiscover=True, incoming_location=None, timeout=timedelta(seconds=40))
    with_organisation(laboratory.stores, a_mailbox("anna"), profile=profile)
    laboratory.test()
    assert laboratory.mailbox().discovered == FOUND
    ((probed, _, discovered),) = laboratory.probed
    assert discovered == FOUND
    assert probed.timeout == timedelta(seconds=10)


# ---- the mailboxes of a profile


def visited(laboratory: Laboratory, task: ProfileTask) -> int:
    """How many messages it took to walk over all of them."""
    message = VisitMailboxes("v1", ProfileId("contoso"), task)
    for count in range(1, 20):
        laboratory.testing.visit(message)
        texts = queued(laboratory, Queue.VISIT_MAILBOXES)
        if len(texts) < count:
            return count
        following = parse(texts[-1])
        assert isinstance(following, VisitMailboxes)
        message = following
    raise AssertionError("it never ends")


def queued(laboratory: Laboratory, queue: Queue) -> list[str]:
    return [message.text for message in queues_in_memory(laboratory.stores).waiting(queue)]


def test_all_mailboxes_of_a_profile_are_tested_page_by_page() -> None:
    laboratory = Laboratory()
    names = [f"user{number}" for number in range(MAILBOXES_AT_ONCE + 20)]
    others = [
        a_mailbox("elsewhere", profile_id=ProfileId("other")),
        a_mailbox("former", active=False),
        a_mailbox("manual", incoming_method=EmailDeliveryMethod.NONE),
    ]
    with_organisation(laboratory.stores, *(a_mailbox(name) for name in names), *others)
    assert visited(laboratory, ProfileTask.TEST) == 2
    probes = [parse(text) for text in queued(laboratory, Queue.TEST_MAILBOX)]
    assert {probe.mailbox_id for probe in probes if isinstance(probe, ProbeMailbox)} == {a_mailbox(name).id for name in names}
    assert len(probes) == len(names)


def test_mailboxes_of_a_profile_whose_connection_changed_are_due_with_nothing_held_against_them(
    laboratory: Laboratory,
) -> None:
    off = WorkloadSchedule(due=MONDAY + HOUR, failures=3, breaker=Breaker("access_denied", MONDAY, MONDAY + HOUR))
    for name in ("anna", "ben"):
        laboratory.stores.mailboxes.reschedule(a_mailbox(name).id, Workload.INCOMING, off)
        laboratory.stores.mailboxes.set_discovered(a_mailbox(name).id, FOUND)
    assert visited(laboratory, ProfileTask.RELEASE) == 1
    assert laboratory.mailbox().discovered is None
    for name in ("anna", "ben"):
        after = laboratory.mailbox(name).schedule[Workload.INCOMING]
        assert (after.due, after.breaker, after.failures) == (MONDAY, None, 0)


def test_a_release_that_comes_late_or_twice_lets_nobody_try_again_what_was_refused_since(laboratory: Laboratory) -> None:
    laboratory.answer = raising(WRONG_PASSWORD)
    laboratory.test("anna")
    opened = laboratory.breaker()
    stored = laboratory.stores.profiles.get(ProfileId("contoso"))
    assert stored is not None
    version = credential_version(stored.record)
    own = Breaker("authentication_failed", MONDAY, MONDAY + HOUR, credential=version)
    refused = WorkloadSchedule(due=own.probe_after, breaker=own, last_error="authentication_failed")
    laboratory.stores.mailboxes.reschedule(a_mailbox("ben").id, Workload.INCOMING, refused)
    visited(laboratory, ProfileTask.RELEASE)
    assert opened is not None
    assert laboratory.breaker() == opened
    assert laboratory.mailbox("ben").schedule[Workload.INCOMING] == refused


def test_a_mailbox_that_may_not_run_is_not_released() -> None:
    laboratory = Laboratory()
    with_organisation(laboratory.stores, a_mailbox("anna", approval=Approval.REJECTED))
    laboratory.stores.mailboxes.reschedule(a_mailbox().id, Workload.INCOMING, WorkloadSchedule())
    visited(laboratory, ProfileTask.RELEASE)
    assert laboratory.mailbox().schedule[Workload.INCOMING].due is None
