"""Mail that arrives over SMTP."""

import smtplib

import pytest

from local.mailserver import MailServer
from tests.unit.mailserver.conftest import ANNA, BEN
from tests.unit.mailserver.messages import a_file, a_message, with_attachments
from tests.unit.mailserver.soap import SoapClient, header_property

ORIGIN = header_property("X-MS-Exchange-Organization-AuthAs")


def send(server: MailServer, raw: bytes, to: list[str], *, signed_in: bool = False) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=20) as client:
        if signed_in:
            client.login(ANNA, "anna's password")
        return client.sendmail("carla@supplier.example", to, raw)


def test_every_recipient_gets_a_copy_of_one_message(server: MailServer) -> None:
    assert send(server, a_message(), [ANNA, BEN.upper()]) == {}
    (for_anna,), (for_ben,) = server.items(ANNA), server.items(BEN)
    assert for_anna != for_ben
    assert server.store.mailbox(ANNA).item(for_anna).message is server.store.mailbox(BEN).item(for_ben).message


def test_a_stranger_is_anonymous_whatever_he_claims(server: MailServer, anna: SoapClient) -> None:
    send(server, a_message(headers="X-MS-Exchange-Organization-AuthAs: Internal\r\n"), [ANNA])
    assert anna.sync(properties=ORIGIN).text("t:Value") == "Anonymous"


def test_who_signed_in_is_internal(server: MailServer, anna: SoapClient) -> None:
    send(server, a_message(), [ANNA], signed_in=True)
    assert anna.sync(properties=ORIGIN).text("t:Value") == "Internal"


def test_a_wrong_password_is_refused(server: MailServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=20) as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login(ANNA, "wrong")


def test_an_unknown_recipient_is_refused_and_the_others_get_theirs(server: MailServer) -> None:
    refused = send(server, a_message(), ["nobody@contoso.example", ANNA])
    assert {address: code for address, (code, _) in refused.items()} == {"nobody@contoso.example": 550}
    assert len(server.items(ANNA)) == 1


def test_what_strangers_send_arrives_as_it_is(server: MailServer) -> None:
    nameless = a_message(message_id=None)
    send(server, nameless, [ANNA])
    (item,) = server.items(ANNA)
    assert bytes(server.store.mailbox(ANNA).item(item).message.raw).endswith(nameless)
    assert server.accepted()[0].octets == nameless


def test_large_mail_and_long_lines_arrive(server: MailServer, anna: SoapClient) -> None:
    send(server, with_attachments(a_file("large.bin", bytes(3_000_000))), [ANNA])
    send(server, a_message(text="x" * 200_000), [ANNA])
    assert len(server.items(ANNA)) == 2
    assert anna.get(*server.items(ANNA)).codes == ["NoError", "NoError"]
