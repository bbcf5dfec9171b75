"""The refresh token of a consent, over real sockets: renewed, stored, and not lost to workers that are many, late, or die."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from local.mailserver import Habit
from shared.administration.consenting import Outcome
from shared.connectors.connect import Connect
from shared.connectors.internet.consented import ConsentEnded
from shared.domain.configuration import SecretRef
from shared.domain.errors import Busy, TransientError
from tests.contracts.consenting import Deployment, Died, dying, error_of

pytestmark = pytest.mark.usefixtures("trusting")


@pytest.mark.parametrize("habit", [Habit.REFRESH_TOKENS_RENEWED, Habit.REFRESH_TOKENS_USED_ONCE])
def test_a_renewed_refresh_token_is_stored_and_used_by_every_worker(deployment: Deployment, habit: Habit) -> None:
    deployment.server.set_habits([habit])
    deployment.consents()
    seen = {deployment.refresh_token}
    for _ in range(3):
        assert deployment.listed(deployment.worker()) == []
        assert deployment.refresh_token not in seen
        seen.add(deployment.refresh_token)
    assert deployment.consent.renewing_until is None


def test_a_token_that_the_mail_server_refuses_is_replaced(deployment: Deployment) -> None:
    deployment.consents()
    deployment.listed()
    deployment.server.revoke_tokens()
    assert deployment.listed() == []


def test_a_token_is_replaced_before_it_runs_out(deployment: Deployment) -> None:
    deployment.consents()
    deployment.listed()
    asked = deployment.server.requests.count("Token")
    deployment.listed()
    assert deployment.server.requests.count("Token") == asked

    deployment.server.set_token_lifetime(1)
    worker = deployment.worker()
    deployment.listed(worker)
    asked = deployment.server.requests.count("Token")
    time.sleep(1)
    deployment.listed(worker)
    assert deployment.server.requests.count("Token") == asked + 1


def test_while_one_worker_asks_the_issuer_no_other_one_does(deployment: Deployment) -> None:
    deployment.server.set_habits([Habit.REFRESH_TOKENS_USED_ONCE])
    deployment.consents()
    stored = deployment.stores.consents.get(deployment.mailbox_id)
    assert stored is not None
    until = deployment.clock() + timedelta(days=36_500)
    deployment.stores.consents.put(replace(stored.record, renewing_until=until), stored.etag)
    asked = deployment.server.requests.count("Token")
    assert isinstance(error_of(deployment.listed), Busy)
    assert deployment.server.requests.count("Token") == asked


def test_of_workers_that_renew_at_once_none_uses_up_what_another_one_has(deployment: Deployment) -> None:
    deployment.server.set_habits([Habit.REFRESH_TOKENS_USED_ONCE])
    deployment.consents()

    def attempt(worker: Connect) -> str:
        try:
            deployment.listed(worker)
        except Busy:
            return "later"
        return "read"

    for _ in range(3):
        with ThreadPoolExecutor(6) as threads:
            outcomes = list(threads.map(attempt, [deployment.worker() for _ in range(6)]))
        assert "read" in outcomes
        assert set(outcomes) <= {"read", "later"}
    assert deployment.consent.ended_on is None


@pytest.mark.parametrize("late", ["get", "set"], ids=["before the issuer is asked", "after it was asked"])
def test_a_worker_that_is_late_ends_no_consent_that_another_one_renewed(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    """The store of secrets takes longer than the others wait, and each refresh token is good once."""
    deployment.server.set_habits([Habit.REFRESH_TOKENS_USED_ONCE])
    deployment.consents()
    secrets = deployment.stores.secrets
    first, kept, others = deployment.worker(), getattr(secrets, late), list[Exception | None]()

    def slowly(name: Any, *value: Any) -> Any:
        found = kept(name, *value)
        if "consent-" in str(name) and not others:
            others.append(None)
            stored = deployment.stores.consents.get(deployment.mailbox_id)
            assert stored is not None
            deployment.stores.consents.put(replace(stored.record, renewing_until=None), stored.etag)
            try:
                deployment.listed(deployment.worker())
            except (Busy, ConsentEnded) as error:
                others.append(error)
        return found

    monkeypatch.setattr(secrets, late, slowly)
    if late == "get":
        assert isinstance(error_of(lambda: deployment.listed(first)), Busy), "not the end of the consent"
    else:
        assert deployment.listed(first) == []
    assert deployment.consent.ended_on is None
    assert deployment.listed(deployment.worker()) == []


def test_who_is_signing_in_while_the_owner_consents_anew_is_told_to_come_back(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.consents()
    kept, anew = deployment.stores.secrets.get, list[Outcome]()

    def slowly(ref: SecretRef) -> str:
        if ref.name.startswith("consent-") and not anew:
            deployment.clock.advance(timedelta(seconds=1))
            anew.append(deployment.consents())
        return kept(ref)

    monkeypatch.setattr(deployment.stores.secrets, "get", slowly)
    assert isinstance(error_of(deployment.listed), Busy)
    assert anew == [Outcome.CONSENTED]
    assert deployment.listed() == []


@pytest.mark.parametrize("kind", ["unavailable", "too_many_requests", "connection_reset"])
def test_an_issuer_that_is_down_ends_no_consent(deployment: Deployment, kind: str) -> None:
    deployment.consents()
    deployment.server.faults.add(kind, operation="Token", count=1)
    assert isinstance(error_of(deployment.listed), TransientError)
    assert deployment.listed() == [], "and nobody has to wait until it is tried again"


# ---- crashes


@pytest.mark.parametrize(
    ("store", "method", "after"),
    [("secrets", "set", 0), ("consents", "put", 1)],
    ids=["before the secret", "before the consent"],
)
@pytest.mark.parametrize("habit", [Habit.REFRESH_TOKENS_RENEWED, Habit.REFRESH_TOKENS_USED_ONCE])
def test_a_process_that_dies_before_it_stored_what_the_issuer_gave(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, store: str, method: str, after: int, habit: Habit
) -> None:
    """Where the issuer lets the old refresh token live, nothing is lost; else the owner is asked again, and is told why."""
    deployment.server.set_habits([habit])
    deployment.consents()
    kept = getattr(deployment.stores, store)
    with monkeypatch.context() as broken:
        broken.setattr(kept, method, dying(getattr(kept, method), after))
        with pytest.raises(Died):
            deployment.listed(deployment.worker())
    until = deployment.consent.renewing_until
    assert until is not None
    assert isinstance(error_of(lambda: deployment.listed(deployment.worker())), Busy), "as if it were still at work"

    stored = deployment.stores.consents.get(deployment.mailbox_id)
    assert stored is not None
    deployment.stores.consents.put(replace(stored.record, renewing_until=deployment.clock()), stored.etag)  # its time is over
    if habit is Habit.REFRESH_TOKENS_RENEWED:
        assert deployment.listed(deployment.worker()) == []
        return
    assert isinstance(error_of(lambda: deployment.listed(deployment.worker())), ConsentEnded)
    deployment.consents()
    assert deployment.listed(deployment.worker()) == []


@pytest.mark.parametrize("lost", [True, False], ids=["the reply is lost", "nothing is written"])
def test_a_store_that_fails_once_does_not_cost_the_consent(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    deployment.server.set_habits([Habit.REFRESH_TOKENS_USED_ONCE])
    deployment.consents()
    put, calls = deployment.stores.consents.put, 0

    def failing(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2 and not lost:
            raise Busy("not now")
        written = put(*arguments)
        if calls == 2:
            raise Busy("no reply")
        return written

    monkeypatch.setattr(deployment.stores.consents, "put", failing)
    for _ in range(2):
        assert deployment.listed(deployment.worker()) == []
