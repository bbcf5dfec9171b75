"""Test & enable: what works is enabled, what fails names its cause, and a refused credential is tried once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import Barrier

import pytest

from shared.administration.testing import MAILBOXES_AT_ONCE, Testing
from shared.domain.choices import (
    ActDeliveryMethod,
    AlertLevel,
    Approval,
    AuthenticationProtocol,
    EmailDeliveryMethod,
    ServerType,
    Workload,
    WorkloadStatus,
)
from shared.domain.configuration import (
    Breaker,
    Credentials,
    Discovered,
    EmailServerProfile,
    Mailbox,
    SecretRef,
    StoredMailbox,
    WorkloadSchedule,
)
from shared.domain.eligibility import credential_version
from shared.domain.errors import AccessDenied, AuthenticationFailed, CertificateRefused, ImpersonationDenied
from shared.domain.ids import ProfileId
from shared.domain.operations import Alert
from shared.messages import ProbeMailbox, ProfileTask, Queue, VisitMailboxes, parse
from shared.ports import Stores
from shared.stores.memory import memory_stores
from tests.builders import MONDAY, SettableClock, a_mailbox, a_profile, with_organisation

HOUR = timedelta(hours=1)


@dataclass
class Laboratory:
    """Tests over stores in memory; `answer` is what the mail server does when it is probed."""

    stores: Stores = field(default_factory=memory_stores)
    clock: SettableClock = field(default_factory=SettableClock)
    answer: Callable[[], None] = lambda: None
    probed: list[tuple[EmailServerProfile, Mailbox, Discovered | None]] = field(default_factory=list)

    def _probe(self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None) -> None:
        self.probed.append((profile, mailbox, discovered))
        self.answer()

    def _discover(self, profile: EmailServerProfile, mailbox: Mailbox, now: object) -> Discovered:  # noqa: ARG002
        self.clock.advance(timedelta(seconds=30))
        return FOUND

    @property
    def testing(self) -> Testing:
        return Testing(self.stores, self.clock, {Workload.INCOMING: self._probe}, self._discover)

    def test(self, name: str = "anna") -> WorkloadSchedule:
        self.testing.probe(ProbeMailbox("p1", a_mailbox(name).id))
        return self.mailbox(name).schedule[Workload.INCOMING]

    def mailbox(self, name: str = "anna") -> StoredMailbox:
        found = self.stores.mailboxes.get(a_mailbox(name).id)
        assert found is not None
        return found

    def alerts(self, about: str = f"mailbox:{a_mailbox().id}") -> list[Alert]:
        return list(self.stores.alerts.list(about).items)

    def breaker(self) -> Breaker | None:
        profile = self.stores.profiles.get(ProfileId("contoso"))
        assert profile is not None
        return profile.breaker


FOUND = Discovered("https://mail.contoso.example/EWS/Exchange.asmx", "15.2", AuthenticationProtocol.NTLM, MONDAY)


def raising(error: Exception) -> Callable[[], None]:
    def answer() -> None:
        raise error

    return answer


@pytest.fixture
def laboratory() -> Laboratory:
    lab = Laboratory()
    with_organisation(lab.stores, a_mailbox("anna"), a_mailbox("ben"))
    return lab


WRONG_PASSWORD = AuthenticationFailed("HTTP 401", profile_wide=True)


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


# ---- a credential that many share


def test_a_wrong_shared_password_is_tried_once_and_alerted_once(laboratory: Laboratory) -> None:
    laboratory.answer = raising(WRONG_PASSWORD)
    for name in ("anna", "ben", "anna"):
        assert laboratory.test(name).status is WorkloadStatus.FAILURE
    assert len(laboratory.probed) == 1
    breaker = laboratory.breaker()
    assert breaker is not None
    assert (breaker.code, breaker.probe_after) == ("authentication_failed", MONDAY + HOUR)
    assert [alert.code for alert in laboratory.alerts("profile:contoso")] == ["authentication_failed"]
    assert laboratory.alerts() == []


def test_a_changed_password_is_tried_at_once_and_closes_the_breaker(laboratory: Laboratory) -> None:
    laboratory.answer = raising(WRONG_PASSWORD)
    laboratory.test()
    stored = laboratory.stores.profiles.get(ProfileId("contoso"))
    assert stored is not None
    changed = replace(stored.record, credentials=Credentials("contoso\\sync", SecretRef("profile-contoso", "2")))
    laboratory.stores.profiles.replace(changed, stored.etag)
    laboratory.answer = lambda: None
    assert laboratory.test().status is WorkloadStatus.SUCCESS
    assert laboratory.breaker() is None


def test_after_an_hour_one_test_tries_the_password_again(laboratory: Laboratory) -> None:
    laboratory.answer = raising(WRONG_PASSWORD)
    laboratory.test()
    laboratory.clock.advance(HOUR)
    laboratory.test("ben")
    laboratory.test("anna")
    assert len(laboratory.probed) == 2
    breaker = laboratory.breaker()
    assert breaker is not None
    assert (breaker.openings, breaker.probe_after) == (2, MONDAY + HOUR + HOUR)


def test_a_password_that_was_replaced_while_it_was_refused_opens_no_breaker(laboratory: Laboratory) -> None:
    def somebody_replaces_it() -> None:
        stored = laboratory.stores.profiles.get(ProfileId("contoso"))
        assert stored is not None
        changed = replace(stored.record, credentials=Credentials("contoso\\sync", SecretRef("profile-contoso", "2")))
        laboratory.stores.profiles.replace(changed, stored.etag)
        raise WRONG_PASSWORD

    laboratory.answer = somebody_replaces_it
    after = laboratory.test()
    assert after.status is WorkloadStatus.FAILURE
    assert after.due is not None
    assert laboratory.breaker() is None
    assert laboratory.alerts("profile:contoso") == []


def test_who_signs_in_and_is_refused_its_own_mailbox_closes_the_breaker_of_the_profile(laboratory: Laboratory) -> None:
    laboratory.answer = raising(WRONG_PASSWORD)
    laboratory.test()
    laboratory.clock.advance(HOUR)
    laboratory.answer = raising(AccessDenied("x"))
    assert laboratory.test().last_error == "access_denied"
    assert laboratory.breaker() is None


def test_a_mailbox_with_a_wrong_password_of_its_own_fails_alone(laboratory: Laboratory) -> None:
    laboratory.answer = raising(AuthenticationFailed("HTTP 401"))
    laboratory.test()
    assert laboratory.breaker() is None
    assert [alert.code for alert in laboratory.alerts()] == ["authentication_failed"]


def test_a_mailboxs_own_wrong_password_is_not_tried_again_by_a_message_that_comes_twice(laboratory: Laboratory) -> None:
    laboratory.answer = raising(AuthenticationFailed("HTTP 401"))
    first = laboratory.test()
    laboratory.clock.advance(HOUR / 2)
    again = laboratory.test()
    assert len(laboratory.probed) == 1
    assert (again.status, again.last_error, again.due) == (WorkloadStatus.FAILURE, "authentication_failed", first.due)
    laboratory.clock.advance(HOUR / 2)
    laboratory.test()
    assert len(laboratory.probed) == 2, "an hour has passed"


def test_a_mailboxs_own_password_is_tried_with_another_connection_of_its_profile(laboratory: Laboratory) -> None:
    laboratory.answer = raising(AuthenticationFailed("HTTP 401"))
    laboratory.test()
    stored = laboratory.stores.profiles.get(ProfileId("contoso"))
    assert stored is not None
    laboratory.stores.profiles.replace(replace(stored.record, authentication=AuthenticationProtocol.NTLM), stored.etag)
    laboratory.test()
    assert len(laboratory.probed) == 2


def test_a_failure_that_is_no_refused_password_is_tested_as_often_as_somebody_asks(laboratory: Laboratory) -> None:
    laboratory.answer = raising(ImpersonationDenied("x"))
    laboratory.test()
    laboratory.test()
    assert len(laboratory.probed) == 2


def test_of_two_tests_at_once_one_tries_a_password_whose_breaker_is_half_open(laboratory: Laboratory) -> None:
    laboratory.answer = raising(WRONG_PASSWORD)
    laboratory.test()
    laboratory.clock.advance(HOUR)
    laboratory.probed.clear()
    together = Barrier(8)

    def one(number: int) -> None:
        together.wait()
        laboratory.testing.probe(ProbeMailbox("p1", a_mailbox(("anna", "ben")[number % 2]).id))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(one, range(8)))
    assert len(laboratory.probed) == 1
    breaker = laboratory.breaker()
    assert breaker is not None
    assert (breaker.openings, breaker.probe_after) == (2, MONDAY + 2 * HOUR)


def test_a_test_that_died_while_it_tried_is_not_repeated_within_the_hour(laboratory: Laboratory) -> None:
    laboratory.answer = raising(WRONG_PASSWORD)
    laboratory.test()
    laboratory.clock.advance(HOUR)
    laboratory.answer = raising(KeyboardInterrupt())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        laboratory.test()
    laboratory.test()
    assert len(laboratory.probed) == 2
    laboratory.clock.advance(HOUR)
    laboratory.answer = raising(WRONG_PASSWORD)
    laboratory.test()
    assert len(laboratory.probed) == 3


def test_a_test_that_did_not_reach_the_server_leaves_the_probe_to_another(laboratory: Laboratory) -> None:
    laboratory.answer = raising(WRONG_PASSWORD)
    laboratory.test()
    laboratory.clock.advance(HOUR)
    laboratory.answer = raising(CertificateRefused("x"))
    laboratory.test()
    laboratory.clock.advance(HOUR / 4)
    laboratory.answer = lambda: None
    assert laboratory.test().status is WorkloadStatus.SUCCESS
    assert laboratory.breaker() is None


def test_a_success_that_ends_late_leaves_a_breaker_that_was_opened_since(laboratory: Laboratory) -> None:
    laboratory.answer = raising(WRONG_PASSWORD)
    laboratory.test()
    laboratory.clock.advance(HOUR)

    def others_find_it_refused() -> None:
        present = laboratory.breaker()
        assert present is not None
        later = replace(present, openings=present.openings + 1, probe_after=laboratory.clock() + HOUR)
        assert laboratory.stores.profiles.set_breaker(ProfileId("contoso"), later, replacing=present)

    laboratory.answer = others_find_it_refused
    laboratory.test()
    breaker = laboratory.breaker()
    assert breaker is not None
    assert breaker.openings == 2


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
    methods = {"outgoing_method": EmailDeliveryMethod.SERVER_SIDE, "act_method": ActDeliveryMethod.SERVER_SIDE}
    with_organisation(laboratory.stores, a_mailbox("anna", **methods))
    laboratory.test()
    told = {(alert.code, alert.parameters["workload"]): alert.level for alert in laboratory.alerts()}
    information = AlertLevel.INFORMATION
    assert told == {
        ("test_succeeded", "incoming"): information,
        ("no_connector", "outgoing"): information,
        ("no_connector", "act"): information,
    }
    schedule = laboratory.mailbox().schedule
    for workload in (Workload.OUTGOING, Workload.ACT):
        assert schedule.get(workload, WorkloadSchedule()).status is WorkloadStatus.NOT_RUN


@pytest.mark.parametrize("server_type", [ServerType.POP3_SMTP, ServerType.IMAP_SMTP])
def test_a_type_of_server_without_a_connector_says_so_and_keeps_its_status(server_type: ServerType) -> None:
    laboratory = Laboratory()
    with_organisation(laboratory.stores, a_mailbox("anna"), profile=a_profile(server_type=server_type))
    assert laboratory.test().status is WorkloadStatus.NOT_RUN
    assert laboratory.probed == []
    assert [(alert.code, alert.level) for alert in laboratory.alerts()] == [("no_connector", AlertLevel.INFORMATION)]


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
    return [message.text for message in laboratory.stores.queues.waiting(queue)]  # type: ignore[attr-defined]


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
