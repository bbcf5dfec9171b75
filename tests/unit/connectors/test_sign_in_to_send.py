"""Who signs in to send: whom the settings of outgoing mail name, by a consent only where it was given for sending there."""

from dataclasses import replace
from typing import Any

import pytest

from shared.connectors.internet.consented import ConsentMissing, ConsentOutdated
from shared.connectors.internet.sign_in import Identities, Password, SignIn, Token, sign_in_for, sign_in_to_send
from shared.domain.choices import AuthenticationProtocol, CredentialSource, OAuthProvider, ServerType
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, SecretRef
from shared.domain.consents import Consent, terms_of
from shared.domain.errors import AuthenticationFailed
from shared.domain.ids import ProfileId
from shared.ports import Consents
from shared.stores.memory import memory_stores
from tests.builders import MONDAY
from tests.contracts.exchange_mailboxes import KnownSecrets, a_mailbox

OWN = Credentials("anna", SecretRef("anna's password", "1"))
RELAY = Credentials("relay", SecretRef("relay's password", "1"))
ELSEWHERE: dict[str, Any] = {"use_same_settings_for_outgoing": False, "outgoing_location": "smtp.contoso.example"}
CONSENTED: dict[str, Any] = {
    "authentication": AuthenticationProtocol.OAUTH,
    "credential_source": CredentialSource.MAILBOX,
    "credentials": Credentials(client_id="app"),
    "oauth_provider": OAuthProvider.MICROSOFT,
}
BASIC = AuthenticationProtocol.BASIC


def a_profile(**changes: Any) -> EmailServerProfile:
    profile = EmailServerProfile(
        id=ProfileId("imap"),
        name="IMAP",
        server_type=ServerType.IMAP_SMTP,
        incoming_location="imap.contoso.example",
        authentication=BASIC,
        credential_source=CredentialSource.PROFILE,
        credentials=Credentials("reader", SecretRef("reader's password", "1")),
    )
    return replace(profile, **changes)


ANNA: Mailbox = a_mailbox("anna@contoso.example", OWN)


def signed_in(profile: EmailServerProfile, consents: Consents | None = None) -> SignIn | None:
    return sign_in_to_send(profile, ANNA, KnownSecrets(), Identities(consents))


@pytest.mark.parametrize("profile", [a_profile(), a_profile(**ELSEWHERE)], ids=["same settings", "another server"])
def test_without_credentials_of_its_own_outgoing_mail_signs_in_as_incoming_mail_does(profile: EmailServerProfile) -> None:
    assert signed_in(profile) == sign_in_for(profile, ANNA, KnownSecrets()) == Password("reader", "reader's password", True)


@pytest.mark.parametrize(
    ("source", "credentials", "expected"),
    [
        (CredentialSource.PROFILE, RELAY, Password("relay", "relay's password", profile_wide=True)),
        (CredentialSource.MAILBOX, Credentials(), Password("anna", "anna's password", profile_wide=False)),
        (CredentialSource.ANONYMOUS, Credentials(), None),
    ],
)
@pytest.mark.parametrize("incoming", [{}, CONSENTED], ids=["password", "consent"])
def test_with_a_source_of_its_own_it_signs_in_by_that_or_not_at_all(
    source: CredentialSource, credentials: Credentials, expected: Password | None, incoming: dict[str, Any]
) -> None:
    own = {
        "outgoing_credential_source": source,
        "outgoing_credentials": credentials,
        "outgoing_authentication": BASIC,
    }
    assert signed_in(a_profile(**incoming | ELSEWHERE | own)) == expected


def test_a_password_of_outgoing_mail_that_is_not_stored_is_told() -> None:
    own = {"outgoing_credential_source": CredentialSource.PROFILE, "outgoing_credentials": Credentials("relay")}
    with pytest.raises(AuthenticationFailed) as raised:
        signed_in(a_profile(**ELSEWHERE | own))
    assert raised.value.profile_wide


# ---- consents


def given_for(profile: EmailServerProfile) -> Consents:
    """The owner consented to what this profile asks for."""
    terms = terms_of(profile)
    assert terms is not None
    consents = memory_stores().consents
    consents.put(Consent(ANNA.id, terms, SecretRef("a refresh token", "1"), MONDAY, "admin", MONDAY), None)
    return consents


def test_whoever_consented_to_sending_sends_as_the_mailbox_with_one_token_for_both() -> None:
    profile = a_profile(**CONSENTED)
    identities = Identities(given_for(profile))
    sends = sign_in_to_send(profile, ANNA, KnownSecrets(), identities)
    reads = sign_in_for(profile, ANNA, KnownSecrets(), identities)
    assert isinstance(sends, Token)
    assert isinstance(reads, Token)
    assert (sends.username, sends.profile_wide) == ("anna", False)
    assert sends.tokens is reads.tokens


def test_nobody_sends_without_a_consent() -> None:
    with pytest.raises(ConsentMissing):
        signed_in(a_profile(**CONSENTED), memory_stores().consents)


def test_a_consent_to_being_read_does_not_send() -> None:
    reading = {"outgoing_credential_source": CredentialSource.ANONYMOUS}
    with pytest.raises(ConsentOutdated):
        signed_in(a_profile(**CONSENTED), given_for(a_profile(**CONSENTED | ELSEWHERE | reading)))


@pytest.mark.parametrize(
    ("then", "now"),
    [({}, ELSEWHERE), (ELSEWHERE, {}), (ELSEWHERE, ELSEWHERE | {"outgoing_location": "smtp.evil.example"})],
)
def test_a_token_goes_to_no_other_smtp_server_than_its_owner_consented_to(then: dict[str, Any], now: dict[str, Any]) -> None:
    consents = given_for(a_profile(**CONSENTED | then))
    with pytest.raises(ConsentOutdated):
        signed_in(a_profile(**CONSENTED | now), consents)
    assert sign_in_for(a_profile(**CONSENTED | now), ANNA, KnownSecrets(), Identities(consents))


def test_an_application_of_outgoing_mail_is_another_than_that_of_incoming_mail() -> None:
    def application(client_id: str) -> Credentials:
        return Credentials(client_id=client_id, tenant_id="contoso.example", secret=SecretRef("secret", "1"))

    profile = a_profile(
        **CONSENTED
        | {"credential_source": CredentialSource.APPLICATION, "credentials": application("reads")}
        | ELSEWHERE
        | {"outgoing_credential_source": CredentialSource.APPLICATION, "outgoing_credentials": application("sends")}
    )
    identities = Identities()
    reads, sends = (each(profile, ANNA, KnownSecrets(), identities) for each in (sign_in_for, sign_in_to_send))
    assert isinstance(reads, Token)
    assert isinstance(sends, Token)
    assert sends.tokens is not reads.tokens
    alike = replace(profile, outgoing_credential_source=None, outgoing_credentials=Credentials())
    same = sign_in_to_send(alike, ANNA, KnownSecrets(), identities)
    assert isinstance(same, Token)
    assert same.tokens is reads.tokens
