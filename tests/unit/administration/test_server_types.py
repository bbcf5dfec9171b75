"""Profiles by type of server: what each needs, for incoming and for outgoing mail, and the certificates of applications."""

from datetime import timedelta
from typing import Any

import pytest

from shared.administration import Rules
from shared.domain.choices import AlertLevel, AuthenticationProtocol, CredentialSource, OAuthProvider, ServerType
from shared.domain.configuration import Credentials, EmailServerProfile
from shared.domain.errors import InvalidRecord
from shared.stores.memory import snapshot
from tests.builders import MONDAY, a_profile
from tests.unit.administration.office import ADMIN, PASSWORD, Office
from tests.unit.administration.pem import a_certificate, a_key, pem_of

SECRET, CERTIFICATE = "credentials/secret", "credentials/certificate"
OUTGOING_SECRET = "outgoing_credentials/secret"

APPLICATION: dict[str, Any] = {
    "server_type": ServerType.EXCHANGE_ONLINE,
    "authentication": AuthenticationProtocol.OAUTH,
    "credential_source": CredentialSource.APPLICATION,
    "credentials": Credentials(tenant_id="contoso.onmicrosoft.com", client_id="0f0f"),
}
DISCOVERED: dict[str, Any] = {"use_autodiscover": True, "incoming_location": None}
INTERNET: dict[str, Any] = {
    "incoming_location": "mail.contoso.example",
    "authentication": AuthenticationProtocol.BASIC,
    "credential_source": CredentialSource.MAILBOX,
    "credentials": Credentials(),
}
IMAP: dict[str, Any] = INTERNET | {"server_type": ServerType.IMAP_SMTP, "incoming_port": 993}
POP3: dict[str, Any] = INTERNET | {"server_type": ServerType.POP3_SMTP, "incoming_port": 995}
SMTP: dict[str, Any] = {
    "use_same_settings_for_outgoing": False,
    "outgoing_location": "smtp.contoso.example",
    "outgoing_port": 587,
}
RELAY: dict[str, Any] = SMTP | {
    "outgoing_credential_source": CredentialSource.ANONYMOUS,
    "outgoing_authentication": AuthenticationProtocol.AUTO_DETECT,
}
SUBMISSION: dict[str, Any] = SMTP | {
    "outgoing_credential_source": CredentialSource.PROFILE,
    "outgoing_authentication": AuthenticationProtocol.BASIC,
    "outgoing_credentials": Credentials(username="relay"),
}
MICROSOFT: dict[str, Any] = IMAP | {
    "incoming_location": "outlook.office365.com",
    "authentication": AuthenticationProtocol.OAUTH,
    "credential_source": CredentialSource.APPLICATION,
    "credentials": Credentials(tenant_id="contoso.onmicrosoft.com", client_id="0f0f"),
    "oauth_provider": OAuthProvider.MICROSOFT,
}
GOOGLE: dict[str, Any] = MICROSOFT | {
    "incoming_location": "imap.gmail.com",
    "credentials": Credentials(),
    "oauth_provider": OAuthProvider.GOOGLE,
}
CONSENTED: dict[str, Any] = {
    "credential_source": CredentialSource.MAILBOX,
    "credentials": Credentials(client_id="0f0f"),
}
OWN_EXCHANGE: dict[str, Any] = {
    "use_same_settings_for_outgoing": False,
    "outgoing_location": "https://out.contoso.example/EWS/Exchange.asmx",
    "outgoing_credential_source": CredentialSource.PROFILE,
}
POP3_ONLY: dict[str, Any] = {"server_type": ServerType.POP3_SMTP, "incoming_port": None}
KEY = '{"client_email": "robot@project.example", "private_key": "..."}'


def put(office: Office, secrets: dict[str, str | None] | None = None, **changes: Any) -> EmailServerProfile:
    return office.administration.profiles.put(a_profile(**changes), ADMIN, secrets or {}).stored.record


@pytest.mark.parametrize(
    ("changes", "secrets"),
    [
        ({}, {SECRET: PASSWORD}),
        (DISCOVERED | {"credentials": Credentials(username="sync@contoso.example")}, {SECRET: PASSWORD}),
        ({"incoming_port": 4443}, {SECRET: PASSWORD}),
        (APPLICATION, {SECRET: PASSWORD}),
        (APPLICATION | DISCOVERED, {SECRET: PASSWORD}),
        (IMAP, {}),
        (POP3, {}),
        (IMAP | {"incoming_location": "2001:db8::1"}, {}),
        (IMAP | SMTP, {}),
        (IMAP | RELAY, {}),
        (IMAP | RELAY | {"outgoing_starttls": True}, {}),
        (POP3 | SUBMISSION, {OUTGOING_SECRET: PASSWORD}),
        (POP3 | SUBMISSION | {"outgoing_authentication": AuthenticationProtocol.AUTO_DETECT}, {OUTGOING_SECRET: PASSWORD}),
        (MICROSOFT | CONSENTED | SMTP | {"outgoing_starttls": True}, {}),
        (
            MICROSOFT | SUBMISSION | {"outgoing_authentication": AuthenticationProtocol.BASIC},
            {SECRET: "x", OUTGOING_SECRET: "y"},
        ),
        (MICROSOFT, {SECRET: "x"}),
        (MICROSOFT | POP3_ONLY, {CERTIFICATE: a_certificate()}),
        (MICROSOFT | {"credential_source": CredentialSource.MANAGED_IDENTITY, "credentials": Credentials()}, {}),
        (MICROSOFT | CONSENTED, {}),
        (MICROSOFT | CONSENTED | POP3_ONLY, {SECRET: "x"}),
        (GOOGLE, {SECRET: KEY}),
        (GOOGLE | CONSENTED, {SECRET: "x"}),
        (IMAP | {"incoming_starttls": True}, {}),
        (
            {
                "use_same_settings_for_outgoing": False,
                "outgoing_location": "https://out.contoso.example/EWS/Exchange.asmx",
                "outgoing_credential_source": CredentialSource.MAILBOX,
            },
            {SECRET: PASSWORD},
        ),
        ({"send_email_alert": True, "owner_address": "ops@contoso.example"}, {SECRET: PASSWORD}),
        ({"save_sent_items": False, "emails_per_minute": 30, "delivery_attempts": 1}, {SECRET: PASSWORD}),
        (OWN_EXCHANGE | {"outgoing_credentials": Credentials(username="relay")}, {SECRET: PASSWORD, OUTGOING_SECRET: "x"}),
    ],
)
def test_each_type_of_server_has_valid_forms(office: Office, changes: dict[str, Any], secrets: dict[str, str | None]) -> None:
    profile = put(office, secrets, **changes)

    assert profile.server_type is changes.get("server_type", ServerType.EXCHANGE_SERVER)
    assert (profile.outgoing_credentials.secret is not None) == (OUTGOING_SECRET in secrets)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("incoming_location", {"incoming_location": None}),
        ("incoming_location", {"use_autodiscover": True}),
        ("credentials/username", DISCOVERED | {"credentials": Credentials(username="CONTOSO\\sync")}),
        ("credentials/username", DISCOVERED | {"credentials": Credentials(username="svc.sync")}),
        ("incoming_location", IMAP | {"incoming_location": None}),
        ("incoming_location", IMAP | {"incoming_location": "https://mail.contoso.example"}),
        ("incoming_location", IMAP | {"incoming_location": "mail.contoso.example:993"}),
        ("incoming_location", IMAP | {"incoming_location": "localhost"}),
        ("incoming_location", IMAP | {"incoming_location": "127.0.0.1"}),
        ("incoming_location", IMAP | {"incoming_location": "::1"}),
        ("incoming_location", IMAP | {"incoming_location": ""}),
        ("incoming_location", IMAP | {"incoming_location": "user@mail.contoso.example"}),
        ("incoming_port", IMAP | {"incoming_port": 0}),
        ("incoming_port", IMAP | {"incoming_port": 65536}),
        ("incoming_use_tls", IMAP | {"incoming_use_tls": False}),
        ("incoming_use_tls", {"incoming_use_tls": False}),
        ("use_autodiscover", IMAP | {"use_autodiscover": True}),
        ("move_undeliverable", IMAP | {"move_undeliverable": True}),
        ("authentication", IMAP | {"authentication": AuthenticationProtocol.NTLM}),
        ("incoming_starttls", {"incoming_starttls": True}),
        ("incoming_starttls", IMAP | {"incoming_starttls": True, "incoming_use_tls": False}),
        ("oauth_provider", MICROSOFT | {"oauth_provider": None}),
        ("oauth_provider", IMAP | {"oauth_provider": OAuthProvider.GOOGLE}),
        ("oauth_provider", APPLICATION | {"oauth_provider": OAuthProvider.MICROSOFT}),
        ("authentication", MICROSOFT | {"credential_source": CredentialSource.PROFILE}),
        ("credential_source", GOOGLE | {"credential_source": CredentialSource.MANAGED_IDENTITY}),
        ("credentials/tenant_id", MICROSOFT | {"credentials": Credentials(client_id="0f0f")}),
        ("credentials/client_id", MICROSOFT | {"credentials": Credentials(tenant_id="contoso.example")}),
        ("credentials/client_id", MICROSOFT | CONSENTED | {"credentials": Credentials()}),
        ("credentials/username", MICROSOFT | CONSENTED | {"credentials": Credentials(client_id="0f0f", username="x")}),
        ("credentials/client_id", GOOGLE | {"credentials": Credentials(client_id="0f0f")}),
        ("credentials/tenant_id", GOOGLE | {"credentials": Credentials(tenant_id="contoso.example")}),
        (
            "outgoing_authentication",
            IMAP
            | SMTP
            | {
                "outgoing_credential_source": CredentialSource.MAILBOX,
                "outgoing_authentication": AuthenticationProtocol.OAUTH,
                "oauth_provider": OAuthProvider.GOOGLE,
            },
        ),
        ("credential_source", IMAP | {"credential_source": CredentialSource.ANONYMOUS}),
        ("outgoing_location", {"outgoing_location": "https://out.contoso.example/"}),
        ("outgoing_port", IMAP | {"outgoing_port": 587}),
        ("outgoing_credential_source", IMAP | {"outgoing_credential_source": CredentialSource.ANONYMOUS}),
        ("outgoing_credentials/username", IMAP | {"outgoing_credentials": Credentials(username="x")}),
        ("outgoing_location", IMAP | SMTP | {"outgoing_location": None}),
        ("outgoing_location", IMAP | SMTP | {"outgoing_location": "https://smtp.contoso.example"}),
        ("outgoing_use_tls", IMAP | SMTP | {"outgoing_use_tls": False}),
        ("outgoing_authentication", IMAP | SMTP | {"outgoing_authentication": AuthenticationProtocol.BASIC}),
        ("outgoing_authentication", IMAP | SUBMISSION | {"outgoing_authentication": AuthenticationProtocol.NTLM}),
        ("outgoing_credentials/username", IMAP | SUBMISSION | {"outgoing_credentials": Credentials()}),
        ("outgoing_credentials/username", IMAP | RELAY | {"outgoing_credentials": Credentials(username="x")}),
        (
            "outgoing_credential_source",
            {
                "use_same_settings_for_outgoing": False,
                "outgoing_location": "https://out.contoso.example/",
                "outgoing_credential_source": CredentialSource.ANONYMOUS,
            },
        ),
        ("outgoing_starttls", IMAP | {"outgoing_starttls": True}),
        ("outgoing_starttls", IMAP | SMTP | {"outgoing_starttls": True, "outgoing_use_tls": False}),
        ("outgoing_starttls", OWN_EXCHANGE | {"outgoing_starttls": True, "outgoing_credential_source": None}),
        ("save_sent_items", IMAP | {"save_sent_items": False}),
        ("emails_per_minute", {"emails_per_minute": 0}),
        ("delivery_attempts", {"delivery_attempts": 0}),
        ("delivery_attempts", {"delivery_attempts": 101}),
        (
            "outgoing_use_impersonation",
            APPLICATION
            | OWN_EXCHANGE
            | {"outgoing_credential_source": None, "outgoing_use_impersonation": False, "use_autodiscover": False},
        ),
        (
            "outgoing_credentials/username",
            DISCOVERED
            | OWN_EXCHANGE
            | {
                "credentials": Credentials(username="sync@contoso.example"),
                "outgoing_location": None,
                "outgoing_credentials": Credentials(username="CONTOSO\\relay"),
            },
        ),
        ("owner_address", {"send_email_alert": True}),
        ("owner_address", {"owner_address": "nobody"}),
    ],
)
def test_what_does_not_go_with_a_type_of_server_is_named(office: Office, field: str, wrong: dict[str, Any]) -> None:
    empty = snapshot(office.stores)

    with pytest.raises(InvalidRecord) as refused:
        put(office, {SECRET: PASSWORD}, **wrong)

    assert refused.value.field == field
    assert refused.value.remedy.endswith(".")
    assert snapshot(office.stores) == empty


@pytest.mark.parametrize(
    ("field", "changes", "secrets"),
    [
        (SECRET, IMAP, {SECRET: PASSWORD}),
        (OUTGOING_SECRET, IMAP | SUBMISSION, {}),
        (OUTGOING_SECRET, IMAP | RELAY, {OUTGOING_SECRET: PASSWORD}),
        (OUTGOING_SECRET, IMAP, {OUTGOING_SECRET: PASSWORD}),
        (CERTIFICATE, {}, {SECRET: PASSWORD, CERTIFICATE: "x"}),
        (SECRET, APPLICATION, {}),
        (CERTIFICATE, APPLICATION, {SECRET: PASSWORD, CERTIFICATE: "x"}),
        (SECRET, GOOGLE | CONSENTED, {}),
        (CERTIFICATE, MICROSOFT | CONSENTED, {CERTIFICATE: "x"}),
        (SECRET, GOOGLE, {}),
        (SECRET, GOOGLE, {SECRET: "no key"}),
        (SECRET, GOOGLE, {SECRET: '["client_email"]'}),
        (CERTIFICATE, GOOGLE, {SECRET: KEY, CERTIFICATE: "x"}),
    ],
)
def test_secrets_go_with_the_source_of_the_credentials(
    office: Office, field: str, changes: dict[str, Any], secrets: dict[str, str | None]
) -> None:
    with pytest.raises(InvalidRecord) as refused:
        put(office, secrets, **changes)

    assert refused.value.field == field


def test_without_tls_only_where_it_is_allowed() -> None:
    office = Office(rules=Rules(allow_local_servers=True))

    assert not put(office, **IMAP | {"incoming_use_tls": False, "incoming_location": "127.0.0.1"}).incoming_use_tls


def test_a_stored_secret_is_not_sent_to_a_new_outgoing_server(office: Office) -> None:
    put(office, {SECRET: PASSWORD})
    evil = "https://evil.example/EWS/Exchange.asmx"

    with pytest.raises(InvalidRecord, match="another host") as refused:
        put(office, use_same_settings_for_outgoing=False, outgoing_location=evil)

    assert refused.value.field == SECRET
    moved = put(office, {SECRET: PASSWORD}, use_same_settings_for_outgoing=False, outgoing_location=evil)
    assert moved.outgoing_location == evil


def test_a_stored_secret_is_not_sent_wherever_autodiscover_leads(office: Office) -> None:
    searching = Credentials(username="sync@contoso.example")
    put(office, {SECRET: PASSWORD}, credentials=searching)

    with pytest.raises(InvalidRecord, match="another host"):
        put(office, **DISCOVERED, credentials=searching)


def test_the_secret_for_outgoing_mail_is_not_sent_wherever_autodiscover_leads(office: Office) -> None:
    def own(username: str) -> dict[str, Any]:
        return OWN_EXCHANGE | {"outgoing_location": None, "outgoing_credentials": Credentials(username=username)}

    searching = DISCOVERED | {"credentials": Credentials(username="sync@contoso.example")}
    put(office, {SECRET: PASSWORD, OUTGOING_SECRET: PASSWORD}, **searching | own("relay@contoso.example"))

    with pytest.raises(InvalidRecord, match="another host") as refused:
        put(office, **searching | own("relay@evil.example"))

    assert refused.value.field == OUTGOING_SECRET


def test_the_secret_of_an_application_is_not_sent_to_another_provider(office: Office) -> None:
    put(office, {SECRET: PASSWORD}, **MICROSOFT | CONSENTED)

    with pytest.raises(InvalidRecord, match="another host") as refused:
        put(office, **MICROSOFT | CONSENTED | {"oauth_provider": OAuthProvider.GOOGLE})

    assert refused.value.field == SECRET


# ---- certificates


def test_an_application_signs_in_with_a_certificate_and_the_administrator_learns_when_it_expires(office: Office) -> None:
    pem = a_certificate()

    stored = put(office, {CERTIFICATE: pem}, **APPLICATION)

    assert stored.credentials.certificate is not None
    assert office.stores.secrets.get(stored.credentials.certificate) == pem
    (alert,) = office.stores.alerts.list("profile:contoso").items
    assert (alert.code, alert.level) == ("certificate_expiry", AlertLevel.INFORMATION)
    assert "valid until 2027-11-23T08:00:00Z" in alert.cause
    assert "PRIVATE KEY" not in repr(office.audited()) + repr(stored)


def test_a_certificate_that_expires_within_a_month_is_a_warning(office: Office) -> None:
    put(office, {CERTIFICATE: a_certificate(until=MONDAY + timedelta(days=29))}, **APPLICATION)

    assert office.stores.alerts.list().items[0].level is AlertLevel.WARNING


def test_a_certificate_replaces_a_secret(office: Office) -> None:
    put(office, {SECRET: PASSWORD}, **APPLICATION)

    stored = put(office, {SECRET: None, CERTIFICATE: a_certificate()}, **APPLICATION)

    assert (stored.credentials.secret is None, stored.credentials.certificate is None) == (True, False)


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "no certificate",
        pem_of(a_key()),
        a_certificate().partition("-----BEGIN CERTIFICATE-----")[2],
        a_certificate(private=a_key("other")),
        a_certificate(key=a_key("elliptic")),
        a_certificate(until=MONDAY - timedelta(hours=1)),
        a_certificate(since=MONDAY + timedelta(hours=1)),
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
        "x" * 20_001,
    ],
)
def test_what_is_no_valid_certificate_is_refused_and_nothing_is_stored(office: Office, pem: str) -> None:
    empty = snapshot(office.stores)

    with pytest.raises(InvalidRecord) as refused:
        put(office, {CERTIFICATE: pem}, **APPLICATION)

    assert refused.value.field == CERTIFICATE
    assert snapshot(office.stores) == empty
