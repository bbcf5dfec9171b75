"""Test & enable: a refused password is tried once, however often, late or at once it is asked for."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest

from shared.domain.choices import (
    AuthenticationProtocol,
    Workload,
    WorkloadStatus,
)
from shared.domain.configuration import (
    Credentials,
    SecretRef,
)
from shared.domain.errors import AccessDenied, AuthenticationFailed, CertificateRefused, ImpersonationDenied, TransientError
from shared.domain.ids import ProfileId
from shared.messages import ProbeMailbox
from tests.builders import MONDAY, a_mailbox
from tests.unit.administration.laboratory import HOUR, WRONG_PASSWORD, Laboratory, a_laboratory, raising
from tests.unit.sync.faults import Fault, FaultyWorld


@pytest.fixture
def laboratory() -> Laboratory:
    return a_laboratory()


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


@pytest.mark.parametrize("profile_wide", [False, True])
def test_a_message_that_is_delivered_many_times_at_once_tries_a_password_once(
    laboratory: Laboratory, *, profile_wide: bool
) -> None:
    laboratory.answer = raising(AuthenticationFailed("HTTP 401", profile_wide=profile_wide))
    together = Barrier(8)

    def deliver(_: int) -> None:
        together.wait()
        laboratory.testing.probe(ProbeMailbox("p1", a_mailbox("anna").id))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(deliver, range(8)))
    assert len(laboratory.probed) == 1
    laboratory.clock.advance(HOUR)
    laboratory.test()
    assert len(laboratory.probed) == 2, "nobody's claim stayed behind"


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
    laboratory.answer = raising(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        laboratory.test()
    laboratory.test()
    assert len(laboratory.probed) == 2
    assert [alert.code for alert in laboratory.alerts()] == ["test_under_way"]
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
        assert laboratory.stores.profiles.set_breaker(ProfileId("contoso"), Workload.INCOMING, later, replacing=present)

    laboratory.answer = others_find_it_refused
    laboratory.test()
    breaker = laboratory.breaker()
    assert breaker is not None
    assert breaker.openings == 2


def test_a_test_that_failed_before_it_tried_is_done_when_its_message_comes_again(laboratory: Laboratory) -> None:
    world = FaultyWorld(fault=Fault.FAILURE_BEFORE)
    world.watch = lambda name: setattr(world, "at", len(world.calls)) if name == "profiles.get" else None
    broken = Laboratory(world.stores(laboratory.stores), laboratory.clock)
    with pytest.raises(TransientError):
        broken.testing.probe(ProbeMailbox("p1", a_mailbox("anna").id))
    laboratory.clock.advance(timedelta(seconds=30))
    assert laboratory.test().status is WorkloadStatus.SUCCESS
