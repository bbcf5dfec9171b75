"""Where EWS is, from location, port and TLS of a profile, or from what autodiscover found."""

from typing import Any

import pytest

from shared.connectors.destinations import LocationRefused
from shared.connectors.exchange.locations import domains_of, endpoint_of, online_host
from shared.domain.choices import AuthenticationProtocol, CredentialSource, ServerType
from shared.domain.configuration import Credentials, Discovered, SecretRef
from tests.builders import MONDAY
from tests.contracts.exchange_mailboxes import a_mailbox, a_profile

ANNA = a_mailbox("anna@contoso.example")
FOUND = Discovered(
    "https://mail2.contoso.example/EWS/Exchange.asmx", "15.2.2562.17", AuthenticationProtocol.NTLM, discovered_on=MONDAY
)


@pytest.mark.parametrize(
    ("location", "changes", "expected"),
    [
        ("https://mail.contoso.example/EWS/Exchange.asmx", {}, "https://mail.contoso.example/EWS/Exchange.asmx"),
        ("https://mail.contoso.example/ews/other.asmx", {}, "https://mail.contoso.example/ews/other.asmx"),
        ("mail.contoso.example", {}, "https://mail.contoso.example/EWS/Exchange.asmx"),
        (" https://mail.contoso.example/ ", {}, "https://mail.contoso.example/EWS/Exchange.asmx"),
        ("mail.contoso.example", {"incoming_port": 8443}, "https://mail.contoso.example:8443/EWS/Exchange.asmx"),
        ("https://mail.contoso.example:444/a", {"incoming_port": 8443}, "https://mail.contoso.example:8443/a"),
        ("https://mail.contoso.example:444/a", {}, "https://mail.contoso.example:444/a"),
        ("[2001:db8::1]", {"incoming_port": 8443}, "https://[2001:db8::1]:8443/EWS/Exchange.asmx"),
        ("https://elsewhere.example/a", {"use_autodiscover": True}, "https://mail2.contoso.example/EWS/Exchange.asmx"),
    ],
)
def test_the_location_of_a_profile_becomes_the_url_of_ews(location: str, changes: dict[str, Any], expected: str) -> None:
    assert endpoint_of(a_profile(location, **changes), ANNA, FOUND, allow_local_servers=False) == expected


@pytest.mark.parametrize(
    ("location", "changes"),
    [
        (None, {}),
        ("", {}),
        ("http://mail.contoso.example/EWS/Exchange.asmx", {}),
        ("mail.contoso.example", {"incoming_use_tls": False}),
        ("https://user@mail.contoso.example/", {}),
        ("ftp://mail.contoso.example/", {}),
        ("https://mail.contoso.example:99999/", {}),
    ],
)
def test_what_credentials_may_not_be_sent_to_is_refused(location: str | None, changes: dict[str, Any]) -> None:
    with pytest.raises(LocationRefused):
        endpoint_of(a_profile(location, **changes), ANNA, None, allow_local_servers=False)


def test_without_tls_where_that_is_allowed() -> None:
    profile = a_profile("https://mail.contoso.example", incoming_use_tls=False, incoming_port=8080)
    assert endpoint_of(profile, ANNA, None, allow_local_servers=True) == "http://mail.contoso.example:8080/EWS/Exchange.asmx"


# ---- to which domain credentials belong

SECRET = SecretRef("secret", "1")
USA = "login.microsoftonline.us"


def an_application(tenant: str | None, source: CredentialSource = CredentialSource.APPLICATION) -> dict[str, Any]:
    credentials = Credentials(client_id="app", tenant_id=tenant, secret=SECRET)
    return {"credential_source": source, "authentication": AuthenticationProtocol.OAUTH, "credentials": credentials}


DOMAINS: list[tuple[dict[str, Any], Credentials, tuple[str, ...]]] = [
    ({"username": "svc@Fabrikam.example."}, Credentials(), ("fabrikam.example",)),
    ({"username": "FABRIKAM\\svc"}, Credentials(), ()),
    ({"username": "svc@localhost"}, Credentials(), ()),
    (an_application("fabrikam.example"), Credentials(), ("fabrikam.example",)),
    (an_application("0f0d3b2c-5c5c-4b7e-9e0a-2f4d5d3c9a11"), Credentials(), ()),
    (an_application(None, CredentialSource.MANAGED_IDENTITY), Credentials(), ()),
    ({"credential_source": CredentialSource.MAILBOX}, Credentials("anna@fabrikam.example", SECRET), ("fabrikam.example",)),
    ({"credential_source": CredentialSource.MAILBOX}, Credentials("FABRIKAM\\anna", SECRET), ()),
    (an_application("t") | {"server_type": ServerType.EXCHANGE_ONLINE}, Credentials(), ("outlook.office365.com",)),
]


@pytest.mark.parametrize(("profile", "own", "domains"), DOMAINS)
def test_credentials_belong_to_the_domain_that_they_name_and_never_to_that_of_an_address(
    profile: dict[str, Any], own: Credentials, domains: tuple[str, ...]
) -> None:
    for address in ("anna@contoso.example", "anna@elsewhere.example"):
        assert domains_of(a_profile("", **profile), a_mailbox(address, own)) == domains


def test_what_was_found_outside_their_domain_is_looked_for_anew() -> None:
    profile = a_profile("", username="svc@fabrikam.example", use_autodiscover=True)
    with pytest.raises(LocationRefused) as raised:
        endpoint_of(profile, ANNA, FOUND, allow_local_servers=False)
    assert raised.value.calls_for_discovery


@pytest.mark.parametrize("authority", [f"{USA}", f"https://{USA.upper()}/", f"{USA}:443"])
def test_exchange_online_is_found_by_the_authority_however_it_is_written(authority: str) -> None:
    credentials = Credentials(client_id="app", tenant_id="t", secret=SECRET, authority=authority)
    assert online_host(a_profile("", credentials=credentials)) == "outlook.office365.us"
