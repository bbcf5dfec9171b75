"""The probe of incoming mail: it reads one id as the identity that will act, and its first failure names what to change."""

from datetime import timedelta
from time import monotonic

import pytest

from local.mailserver.web import Reply
from shared.connectors.connect import Connect
from shared.connectors.destinations import LocationRefused
from shared.connectors.exchange.errors import EwsBlocked
from shared.connectors.probe import ProbeIncoming
from shared.domain.choices import AuthenticationProtocol
from shared.domain.configuration import EmailServerProfile
from shared.domain.errors import (
    AccountDisabled,
    AuthenticationFailed,
    CertificateRefused,
    ConnectionRefused,
    DelegateAccessMissing,
    ImpersonationDenied,
    MailboxNotFound,
    NameNotFound,
    NoAnswer,
    NoMailServer,
    NoTls,
    SyncError,
)
from tests.contracts.exchange_mailboxes import (
    PASSWORD,
    SERVICE,
    ServedByExchange,
    a_mailbox,
    a_profile,
)
from tests.contracts.incoming_email import a_message


@pytest.fixture
def probe(connect: Connect) -> ProbeIncoming:
    return ProbeIncoming(connect)


def failure(probe: ProbeIncoming, profile: EmailServerProfile, address: str) -> SyncError:
    with pytest.raises(SyncError) as raised:
        probe(profile, a_mailbox(address), None)
    return raised.value


@pytest.mark.parametrize("authentication", [AuthenticationProtocol.BASIC, AuthenticationProtocol.NTLM])
def test_a_mailbox_that_works_is_asked_one_question_and_left_as_it_was(
    probe: ProbeIncoming, served: ServedByExchange, authentication: AuthenticationProtocol
) -> None:
    served.deliver(bytes(a_message("m1")))
    probe(a_profile(served.server.ews_url, authentication=authentication), a_mailbox(served.address), None)
    answered = [asked for asked in served.server.requests if asked.status == 200]
    assert [asked.operation for asked in answered] == ["SyncFolderItems"]
    assert len(served.server.items(served.address)) == 1


LOCATIONS = {
    "a name that nobody knows": ("https://mail.contoso.invalid/EWS/Exchange.asmx", NameNotFound, "location"),
    "a port where nobody listens": ("http://127.0.0.1:{closed}/EWS/Exchange.asmx", ConnectionRefused, "port"),
    "another path": ("{http}/elsewhere/Exchange.asmx", NoMailServer, "path"),
    "no TLS there": ("https://127.0.0.1:{smtp}/EWS/Exchange.asmx", NoTls, "port"),
    "a certificate that nobody vouches for": ("{https}/EWS/Exchange.asmx", CertificateRefused, "certificate"),
    "no URL": ("https:///EWS/Exchange.asmx", LocationRefused, "location"),
}


@pytest.mark.parametrize(("location", "expected", "named"), LOCATIONS.values(), ids=LOCATIONS)
def test_a_wrong_location_says_what_is_wrong_with_it(
    probe: ProbeIncoming,
    served: ServedByExchange,
    closed_port: int,
    location: str,
    expected: type[SyncError],
    named: str,
) -> None:
    written = location.format(
        closed=closed_port,
        http=served.server.base_url,
        smtp=served.server.smtp_port,
        https=served.server.https_url,
    )
    error = failure(probe, a_profile(written), served.address)
    assert type(error) is expected
    assert named in error.remedy
    assert served.server.requests.count("SyncFolderItems") == 0


def test_a_page_to_sign_in_on_is_no_mail_server(probe: ProbeIncoming, served: ServedByExchange) -> None:
    for text in ("", "<html><body>Sign in</body></html>"):
        served.server.faults.add("nonsense_reply", text=text, count=1)
        assert isinstance(failure(probe, a_profile(served.server.ews_url), served.address), NoMailServer)


def test_a_location_that_redirects_is_no_mail_server(
    probe: ProbeIncoming, served: ServedByExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    from local.mailserver.ews.endpoint import EwsEndpoint

    monkeypatch.setattr(EwsEndpoint, "handle", lambda *_: Reply(302, headers=[("Location", "https://mail.fabrikam.example")]))
    assert isinstance(failure(probe, a_profile(served.server.ews_url), served.address), NoMailServer)


def test_wrong_credentials_are_tried_once(probe: ProbeIncoming, served: ServedByExchange) -> None:
    for _ in range(3):
        error = failure(probe, a_profile(served.server.ews_url, secret="wrong"), served.address)
        assert isinstance(error, AuthenticationFailed)
        assert error.profile_wide
        assert "password" in error.remedy
    assert len(served.server.requests) == 1


def test_whoever_may_not_impersonate_is_told_to_get_the_role(probe: ProbeIncoming, served: ServedByExchange) -> None:
    served.server.add_account("limited", PASSWORD)
    error = failure(probe, a_profile(served.server.ews_url, username="limited"), served.address)
    assert type(error) is ImpersonationDenied
    assert "ApplicationImpersonation" in error.remedy


def test_a_delegate_without_access_is_told_to_get_it(probe: ProbeIncoming, served: ServedByExchange) -> None:
    served.server.add_account("delegate", PASSWORD)
    profile = a_profile(served.server.ews_url, username="delegate", use_impersonation=False)
    error = failure(probe, profile, served.address)
    assert type(error) is DelegateAccessMissing
    assert "full access" in error.remedy


def test_a_missing_mailbox_is_named(probe: ProbeIncoming, served: ServedByExchange) -> None:
    error = failure(probe, a_profile(served.server.ews_url), "nobody@contoso.example")
    assert type(error) is MailboxNotFound
    assert "address" in error.remedy


def test_ews_that_is_blocked_is_told_apart_from_a_missing_permission(probe: ProbeIncoming, served: ServedByExchange) -> None:
    served.server.faults.add("forbidden")
    error = failure(probe, a_profile(served.server.ews_url), served.address)
    assert type(error) is EwsBlocked
    assert "Set-OrganizationConfig" in error.remedy


@pytest.mark.parametrize("disabled", ["account", "mailbox"])
def test_a_disabled_account_is_named(probe: ProbeIncoming, served: ServedByExchange, disabled: str) -> None:
    if disabled == "account":
        served.server.set_account_enabled(SERVICE, False)
    else:
        served.server.set_mailbox_enabled(served.address, False)
    error = failure(probe, a_profile(served.server.ews_url), served.address)
    assert type(error) is AccountDisabled
    assert "Enable" in error.remedy


def test_a_server_that_does_not_answer_costs_no_more_than_the_time_allowed(
    probe: ProbeIncoming, served: ServedByExchange
) -> None:
    served.server.faults.add("slow_reply", seconds=60)
    began = monotonic()
    error = failure(probe, a_profile(served.server.ews_url, timeout=timedelta(seconds=0.3)), served.address)
    assert type(error) is NoAnswer
    assert monotonic() - began < 30
