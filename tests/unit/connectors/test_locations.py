"""Where EWS is, from location, port and TLS of a profile, or from what autodiscover found."""

import pytest

from shared.connectors.exchange.destination import LocationRefused
from shared.connectors.exchange.locations import endpoint_of
from shared.domain.choices import AuthenticationProtocol
from shared.domain.configuration import Discovered
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
def test_the_location_of_a_profile_becomes_the_url_of_ews(location: str, changes: dict[str, object], expected: str) -> None:
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
def test_what_credentials_may_not_be_sent_to_is_refused(location: str | None, changes: dict[str, object]) -> None:
    with pytest.raises(LocationRefused):
        endpoint_of(a_profile(location, **changes), ANNA, None, allow_local_servers=False)  # type: ignore[arg-type]


def test_without_tls_where_that_is_allowed() -> None:
    profile = a_profile("https://mail.contoso.example", incoming_use_tls=False, incoming_port=8080)
    assert endpoint_of(profile, ANNA, None, allow_local_servers=True) == "http://mail.contoso.example:8080/EWS/Exchange.asmx"
