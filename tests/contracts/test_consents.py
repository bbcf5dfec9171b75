"""From an owner's consent to mail that is read, over real sockets: the local server issues tokens, and serves the mail."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from local.mailserver import Habit, MailServer
from shared.administration.consenting import ANSWERED_WITHIN, Outcome
from shared.connectors.internet.consented import ConsentEnded, ConsentMissing, ConsentOutdated
from shared.domain.choices import ConsentStatus, OAuthProvider, ServerType
from shared.domain.configuration import SecretRef
from shared.domain.errors import AuthenticationFailed
from tests.contracts.consenting import CLIENT, CLIENT_SECRET, REDIRECT, Deployment, Died, dying, error_of
from tests.contracts.incoming_email import a_message
from tests.unit.administration.office import ADMIN

pytestmark = pytest.mark.usefixtures("trusting")


# ---- consenting


@pytest.mark.parametrize("server_type", [ServerType.POP3_SMTP, ServerType.IMAP_SMTP])
@pytest.mark.parametrize("provider", list(OAuthProvider))
def test_who_consents_has_the_mailbox_read_and_nobody_asks_for_a_second_token(
    fresh: MailServer, server_type: ServerType, provider: OAuthProvider
) -> None:
    deployment = Deployment(fresh, server_type, provider)
    fresh.deliver(bytes(a_message("m1")), [deployment.address])
    assert isinstance(error_of(deployment.listed), ConsentMissing)
    assert deployment.consents() is Outcome.CONSENTED
    asked = fresh.requests.count("Token")
    for _ in range(3):
        assert deployment.listed() == ["m1"]
    assert fresh.requests.count("Token") == asked + 1
    standing = deployment.administration.consents.standing(deployment.mailbox_id)
    assert standing.status is ConsentStatus.GRANTED
    assert deployment.consent.granted_by == ADMIN.name


def test_an_answer_counts_once(deployment: Deployment) -> None:
    back = deployment.in_browser(deployment.link())
    assert deployment.brings(back) is Outcome.CONSENTED
    given = deployment.consent
    assert deployment.brings(back) is Outcome.FAILED
    assert deployment.consent == given


def test_an_answer_that_comes_late_does_not_count(deployment: Deployment) -> None:
    back = deployment.in_browser(deployment.link())
    deployment.clock.advance(ANSWERED_WITHIN)
    assert deployment.brings(back) is Outcome.FAILED
    assert deployment.stores.consents.get(deployment.mailbox_id) is None


@pytest.mark.parametrize("changed", [{"state": "guessed"}, {"state": ""}, {"state": "\ud800"}, {"state": "x" * 10_000}])
def test_who_does_not_know_the_state_changes_nothing(deployment: Deployment, changed: dict[str, str]) -> None:
    back = deployment.in_browser(deployment.link())
    assert deployment.brings(back | changed) is Outcome.FAILED
    assert deployment.brings(back) is Outcome.CONSENTED, "and the owner still can"


def test_who_knows_the_state_and_brings_another_code_does_not_consent(deployment: Deployment) -> None:
    """A code of somebody else's request: the verifier is not that of its challenge."""
    other = deployment.in_browser(deployment.link())
    back = deployment.in_browser(deployment.link())
    assert deployment.brings(back | {"code": other["code"]}) is Outcome.FAILED
    assert deployment.stores.consents.get(deployment.mailbox_id) is None


def test_who_declines_has_nothing_changed(deployment: Deployment) -> None:
    back = deployment.in_browser(deployment.link(), decision="deny")
    assert deployment.brings(back) is Outcome.DECLINED
    assert deployment.brings(back) is Outcome.FAILED
    assert deployment.stores.consents.get(deployment.mailbox_id) is None


def test_what_went_wrong_after_the_consent_is_told_to_the_administrator(deployment: Deployment) -> None:
    deployment.server.add_application(CLIENT, "another secret", impersonation=False, redirect_uris=[REDIRECT])
    assert deployment.consents() is Outcome.FAILED
    (alert,) = deployment.stores.alerts.list(f"mailbox:{deployment.mailbox_id}").items
    assert alert.code == "authentication_failed"
    assert "invalid_client AADSTS7000215" in alert.cause


def test_a_new_consent_takes_the_place_of_the_old_one(deployment: Deployment) -> None:
    assert deployment.consents() is Outcome.CONSENTED
    deployment.listed()
    deployment.server.revoke_consents()
    deployment.server.revoke_tokens()
    deployment.clock.advance(timedelta(hours=1))
    assert isinstance(error_of(deployment.listed), ConsentEnded)
    assert deployment.consents() is Outcome.CONSENTED
    assert deployment.listed() == []


@pytest.mark.parametrize("server_type", [ServerType.POP3_SMTP, ServerType.IMAP_SMTP])
def test_the_owner_comes_back_to_the_page_and_the_mailbox_is_read(fresh: MailServer, server_type: ServerType) -> None:
    """From the administrator's request over HTTP to the mail, by way of the owner's browser."""
    deployment = Deployment(fresh, server_type)
    fresh.deliver(bytes(a_message("m1")), [deployment.address])
    administrator, door = deployment.over_http()
    path = f"/api/mailboxes/{deployment.mailbox_id}/consent"
    link = administrator.post(path).json()["authorization_url"]
    back = deployment.in_browser(link)
    pages = [door.get("/api/consent", params=back) for _ in range(2)]
    assert [page.status_code for page in pages] == [200, 400]
    assert back["code"] not in pages[0].text
    assert administrator.get(path).json()["status"] == "granted"
    assert deployment.listed() == ["m1"]
    assert administrator.delete(path).status_code == 204
    assert isinstance(error_of(deployment.listed), ConsentMissing)


# ---- refusals


@pytest.mark.parametrize("expired", [True, False])
def test_a_consent_that_the_provider_ended_is_told_once_and_not_tried_again(deployment: Deployment, expired: bool) -> None:
    deployment.consents()
    deployment.server.revoke_consents(expired=expired)
    error = error_of(deployment.listed)
    assert isinstance(error, ConsentEnded)
    assert not error.profile_wide
    assert "consent" in error.remedy
    asked = deployment.server.requests.count("Token")
    assert isinstance(error_of(deployment.listed), ConsentEnded)
    assert isinstance(error_of(lambda: deployment.listed(deployment.worker())), ConsentEnded)
    assert deployment.server.requests.count("Token") == asked
    assert deployment.administration.consents.standing(deployment.mailbox_id).status is ConsentStatus.ENDED


def test_a_wrong_secret_of_the_application_is_the_profiles_error_and_ends_no_consent(deployment: Deployment) -> None:
    deployment.consents()
    deployment.server.add_application(CLIENT, "another secret", impersonation=False, redirect_uris=[REDIRECT])
    error = error_of(deployment.listed)
    assert isinstance(error, AuthenticationFailed)
    assert error.profile_wide
    deployment.server.add_application(CLIENT, CLIENT_SECRET, impersonation=False, redirect_uris=[REDIRECT])
    assert deployment.listed() == []


def test_another_application_needs_another_consent(deployment: Deployment) -> None:
    deployment.consents()
    administration = deployment.administration
    credentials = replace(deployment.profile.credentials, client_id="another")
    administration.profiles.change(deployment.profile.id, lambda each: replace(each, credentials=credentials), ADMIN)
    asked = deployment.server.requests.count("Token")
    assert isinstance(error_of(deployment.listed), ConsentOutdated)
    assert deployment.server.requests.count("Token") == asked, "no other application sees the refresh token"
    assert administration.consents.standing(deployment.mailbox_id).status is ConsentStatus.OUTDATED


def test_no_other_mail_server_is_shown_a_token_than_the_one_the_owner_consented_to(deployment: Deployment) -> None:
    """Who may change a profile does not get the mail of whoever consented."""
    deployment.consents()
    deployment.listed()
    elsewhere = replace(deployment.profile, incoming_location="localhost")
    deployment.administration.profiles.change(elsewhere.id, lambda _: elsewhere, ADMIN, {"credentials/secret": CLIENT_SECRET})
    assert isinstance(error_of(deployment.listed), ConsentOutdated)


# ---- the end


def test_a_withdrawn_consent_opens_nothing_any_more(fresh: MailServer) -> None:
    deployment = Deployment(fresh, provider=OAuthProvider.GOOGLE)
    deployment.consents()
    deployment.listed()
    token = deployment.refresh_token
    for _ in range(2):
        deployment.administration.consents.withdraw(deployment.mailbox_id, ADMIN)
        assert isinstance(error_of(deployment.listed), ConsentMissing), "although the worker has a token that is good"
    assert fresh.requests.count("Revoke") == 1
    assert not fresh.grants.end(token)
    assert not deployment.stores.alerts.list().items


@pytest.mark.parametrize("kind", [None, "unavailable"])
def test_a_consent_that_cannot_be_revoked_is_forgotten_and_the_administrator_told(fresh: MailServer, kind: str | None) -> None:
    deployment = Deployment(fresh, provider=OAuthProvider.GOOGLE if kind else OAuthProvider.MICROSOFT)
    deployment.consents()
    if kind:
        fresh.faults.add(kind, operation="Token")
    deployment.administration.consents.withdraw(deployment.mailbox_id, ADMIN)
    assert deployment.stores.consents.get(deployment.mailbox_id) is None
    (alert,) = deployment.stores.alerts.list().items
    assert alert.code == "consent_not_revoked"


# ---- an answer that is interrupted


@pytest.mark.parametrize(("store", "method"), [("secrets", "set"), ("consents", "put"), ("audit", "put")])
def test_a_process_that_dies_over_an_answer_leaves_the_consent_before(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, store: str, method: str
) -> None:
    deployment.consents()
    before, back = deployment.consent, deployment.in_browser(deployment.link())
    kept = getattr(deployment.stores, store)
    with monkeypatch.context() as broken:
        broken.setattr(kept, method, dying(getattr(kept, method), 0))
        with pytest.raises(Died):
            deployment.brings(back)
    assert deployment.consent == before
    assert deployment.brings(back) is Outcome.FAILED, "the request is over: the code is spent at the provider"
    assert deployment.listed() == []
    assert deployment.consents() is Outcome.CONSENTED


# ---- what nobody may see


def test_no_secret_stands_in_a_log_an_alert_the_audit_or_an_error(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "urllib3")  # which writes every URL, none of which holds a secret of ours
    deployment.server.set_habits([Habit.REFRESH_TOKENS_RENEWED])
    link = deployment.link()
    back = deployment.in_browser(link)
    deployment.brings(back)
    deployment.listed()
    secrets = {back["code"], back["state"], deployment.refresh_token, CLIENT_SECRET}
    deployment.server.revoke_consents()
    deployment.server.revoke_tokens()
    error = error_of(deployment.listed)
    deployment.administration.consents.withdraw(deployment.mailbox_id, ADMIN)
    stores = deployment.stores
    told = repr([stores.audit.list().items, stores.alerts.list().items, error, error.__cause__]) + caplog.text
    assert not [secret for secret in secrets if secret in told]
    assert "AADSTS50173" in str(error)


def test_a_repetition_of_a_secret_reference_is_no_secret(deployment: Deployment) -> None:
    deployment.consents()
    assert isinstance(deployment.consent.refresh_token, SecretRef)
    assert deployment.refresh_token not in repr(deployment.consent)
