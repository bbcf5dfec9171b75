import pytest

from shared.connectors.destinations import LocationRefused, is_refused
from shared.connectors.guarded_http import checked_url


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::",  # noqa: S104
        "169.254.169.254", "fe80::1", "fe80::1%eth0", "168.63.129.16",
        "100.100.100.200", "fd00:ec2::254", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1",
    ],
)  # fmt: skip
def test_this_machine_its_link_and_its_platform_are_refused(address: str) -> None:
    assert is_refused(address, allow_local_servers=False)


METADATA = [
    "169.254.169.254", "169.254.170.2", "169.254.129.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254",
    "fd00:ec2::23", "fd20:ce::254", "fe80::a9fe:a9fe", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe",
    "::169.254.169.254", "2002:a9fe:a9fe::1", "0.0.0.0", "::",  # noqa: S104
]  # fmt: skip


@pytest.mark.parametrize("address", METADATA)
def test_what_the_platform_keeps_for_itself_is_refused_whatever_is_allowed(address: str) -> None:
    assert is_refused(address, allow_local_servers=True)
    assert is_refused(address, allow_local_servers=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_for_local_set_ups_only(address: str) -> None:
    assert not is_refused(address, allow_local_servers=True)
    assert is_refused(address, allow_local_servers=False)


@pytest.mark.parametrize("address", ["52.96.0.1", "2603:1026::1", "10.1.2.3", "192.168.1.5", "fd12:3456::1", "64:ff9b::3460:1"])
def test_mail_servers_on_public_and_private_networks_are_not(address: str) -> None:
    assert not is_refused(address, allow_local_servers=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.contoso.example/EWS/Exchange.asmx", "ftp://mail.contoso.example", "mail.contoso.example", "https://",
        "https:///EWS", "https://user@mail.contoso.example/", "https://user:pw@mail.contoso.example/",
        "https://mail.contoso.example/#x", "https://mail.contoso.example:port/", "https://[::1/", "", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_locations_without_tls_or_with_oddities_are_refused(url: str) -> None:
    with pytest.raises(LocationRefused):
        checked_url(url, allow_local_servers=False)


def test_plain_http_is_for_local_set_ups_only() -> None:
    assert checked_url("http://127.0.0.1:8080/EWS", allow_local_servers=True)
    assert checked_url("https://mail.contoso.example/EWS/Exchange.asmx", allow_local_servers=False)
