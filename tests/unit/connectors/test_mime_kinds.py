"""MIME: mail that is more, or less, than a letter gets the class that Exchange gives it, and is judged the same."""

import pytest

from shared.connectors.mime import read_envelope
from shared.domain.email import DeliveryReport, IncomingMessage, RecipientReport
from shared.sync.special import is_automatic_reply, is_delivery_report, is_encrypted
from tests.unit.connectors.mime_messages import REF, content, multipart, raw, read

TEXT = "Content-Type: text/plain\n\nIt was not delivered."
STATUS = (
    "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n"
    "Final-Recipient: rfc822; bert@fabrikam.example\nAction: {}\nStatus: 5.1.1\n"
)
RETURNED = "Content-Type: text/rfc822-headers\n\nMessage-ID: <sent@contoso.example>\nSubject: Offer\n"
RECEIPT = (
    "Content-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; bert@x\nDisposition: manual-action; displayed\n"
)


def a_report(action: str = "failed") -> bytes:
    return multipart(TEXT, STATUS.format(action), RETURNED, kind="report; report-type=delivery-status")


def a_meeting(method: str, answer: str = "", *, stated: bool = True) -> bytes:
    calendar = f"BEGIN:VCALENDAR\nMETHOD:{method}\nATTENDEE;PARTSTAT={answer}:mailto:a@x\nEND:VCALENDAR\n"
    parameter = f"; method={method}" if stated else ""
    return multipart(TEXT, f"Content-Type: text/calendar; charset=utf-8{parameter}\n\n{calendar}", kind="alternative")


@pytest.mark.parametrize(
    ("action", "item_class"),
    [("failed", "REPORT.IPM.Note.NDR"), ("delayed", "REPORT.IPM.Note.Delayed"), ("delivered", "REPORT.IPM.Note.DR")],
)
def test_a_delivery_report_says_what_became_of_which_email(action: str, item_class: str) -> None:
    message = read(a_report(action))
    assert message.item_class == item_class
    assert message.report == DeliveryReport(
        "sent@contoso.example", (RecipientReport("bert@fabrikam.example", action, "5.1.1"),)
    )
    assert message.body_text == "It was not delivered."
    assert [attachment.content_type for attachment in message.attachments] == ["text/rfc822-headers"]


def test_the_header_of_a_delivery_report_is_enough_to_know_it() -> None:
    assert is_delivery_report(read_envelope(a_report().partition(b"\r\n\r\n")[0], REF))
    assert is_delivery_report(read(a_report()))


def test_a_read_receipt_is_an_answer_of_a_program() -> None:
    receipt = multipart(TEXT, RECEIPT, kind="report; report-type=disposition-notification")
    message = read(receipt)
    assert (message.item_class, message.attachments, message.report) == ("REPORT.IPM.Note.IPNRN", (), None)
    assert is_automatic_reply(message)
    assert is_automatic_reply(read_envelope(receipt.partition(b"\r\n\r\n")[0], REF))


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize(
    ("method", "answer", "item_class"),
    [
        ("REQUEST", "", "IPM.Schedule.Meeting.Request"),
        ("CANCEL", "", "IPM.Schedule.Meeting.Canceled"),
        ("COUNTER", "", "IPM.Schedule.Meeting.Resp.Tent"),
        ("REPLY", "ACCEPTED", "IPM.Schedule.Meeting.Resp.Pos"),
        ("REPLY", "DECLINED", "IPM.Schedule.Meeting.Resp.Neg"),
        ("REPLY", "TENTATIVE", "IPM.Schedule.Meeting.Resp.Tent"),
    ],
)
def test_a_meeting_message_is_one(method: str, answer: str, item_class: str, stated: bool) -> None:
    message = read(a_meeting(method, answer, stated=stated))
    assert (message.item_class, message.attachments, message.body_text) == (item_class, (), "It was not delivered.")


def test_a_calendar_that_is_no_meeting_is_an_attachment() -> None:
    message = read(a_meeting("PUBLISH"))
    assert message.item_class == "IPM.Note"
    assert [(each.name, b"PUBLISH" in content(each)) for each in message.attachments] == [("ATT00001.ics", True)]


def test_the_header_of_a_calendar_alone_tells_its_method() -> None:
    header = raw(content_type="text/calendar; method=REQUEST")
    assert read_envelope(header, REF).item_class == read(header).item_class == "IPM.Schedule.Meeting.Request"


def enveloped(kind: str = "enveloped-data") -> bytes:
    return raw(
        "MIAGCSqG",
        content_type=f"application/pkcs7-mime; smime-type={kind}; name=smime.p7m",
        content_transfer_encoding="base64",
    )


ENCRYPTED = multipart(
    "Content-Type: application/pgp-encrypted\n\nVersion: 1",
    "Content-Type: application/octet-stream; name=encrypted.asc\n\n-----BEGIN PGP MESSAGE-----",
    kind='encrypted; protocol="application/pgp-encrypted"',
)
SIGNED = multipart(
    "Content-Type: multipart/mixed; boundary=in\n\n--in\nContent-Type: text/plain\n\nHello\n"
    "--in\nContent-Type: application/pdf; name=a.pdf\n\n%PDF\n--in--\n",
    "Content-Type: application/pkcs7-signature; name=smime.p7s\n\nsignature",
    kind='signed; protocol="application/pkcs7-signature"',
)


@pytest.mark.parametrize(
    ("message", "item_class", "expected"),
    [
        (enveloped(), "IPM.Note.SMIME", True),
        (enveloped("signed-data"), "IPM.Note.SMIME", False),
        (raw("x", content_type='application/octet-stream; name="smime.p7m"'), "IPM.Note.SMIME", True),
        (raw("x", content_type='application/zip; name="smime.p7m"'), "IPM.Note", False),
        (ENCRYPTED, "IPM.Note", True),
        (SIGNED, "IPM.Note.SMIME.MultipartSigned", False),
        (raw("Hello"), "IPM.Note", False),
    ],
)
def test_what_only_its_recipient_can_read_is_known_by_its_header(message: bytes, item_class: str, expected: bool) -> None:
    for each in (read(message), read_envelope(message.partition(b"\r\n\r\n")[0], REF)):
        assert (each.item_class, is_encrypted(each)) == (item_class, expected)


def test_an_enveloped_message_is_its_only_attachment() -> None:
    message = read(enveloped())
    assert (message.body_text, [each.name for each in message.attachments]) == ("", ["smime.p7m"])


def test_an_encrypted_message_is_kept_as_it_came() -> None:
    assert [each.name for each in read(ENCRYPTED).attachments] == ["ATT00001.dat", "encrypted.asc"]


def test_a_signed_message_can_be_read_and_keeps_all_that_was_signed() -> None:
    message = read(SIGNED)
    (entity,) = message.attachments
    assert (message.body_text, entity.name, entity.content_type) == ("Hello", "smime.p7m", "multipart/signed")
    assert content(entity).startswith(b"Content-Type: multipart/signed; protocol=")
    assert content(entity).endswith(SIGNED.partition(b"\r\n\r\n")[2])
    assert entity.size == len(content(entity))
    again: IncomingMessage = read(content(entity))
    assert again.body_text == "Hello"
