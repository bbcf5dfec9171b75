"""Delivery reports: what they say is found, and whatever strangers write into them does no harm."""

from collections.abc import Iterator
from email.message import EmailMessage, Message
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connectors.reports import LARGEST_REPORT, delivery_report, is_report
from shared.domain.email import DeliveryReport, RecipientReport


def a_status(*recipients: dict[str, str]) -> Message:
    """message/delivery-status: a group of fields for the message, then one for each recipient."""
    groups = [{"Reporting-MTA": "dns; mail.contoso.example"}, *recipients]
    text = "\n\n".join("\n".join(f"{name}: {value}" for name, value in group.items()) for group in groups)
    status = Message()
    status["Content-Type"] = "message/delivery-status"
    status.set_payload([_fields(part) for part in text.split("\n\n")])
    return status


def _fields(text: str) -> Message:
    fields = Message()
    for line in text.splitlines():
        name, _, value = line.partition(": ")
        fields[name] = value
    return fields


def a_report(*recipients: dict[str, str], original: str | None = "<sent@contoso.example>", headers_only: bool = False) -> bytes:
    report = MIMEMultipart("report")
    report.set_param("report-type", "delivery-status")
    report.attach(MIMEText("It could not be delivered."))
    report.attach(a_status(*recipients))
    if headers_only:
        part = MIMEText(f"Message-ID: {original}\nSubject: Offer\n", "rfc822-headers")
        report.attach(part)
    elif original:
        inner = EmailMessage()
        inner["Message-ID"] = original
        inner.set_content("Hello")
        report.attach(MIMEMessage(inner))
    return bytes(report)


BERT = {
    "Final-Recipient": "rfc822; bert@fabrikam.example",
    "Action": "failed",
    "Status": "5.1.1",
    "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
}


def test_a_report_names_the_email_and_what_became_of_it_for_each_recipient() -> None:
    dora = {"Final-Recipient": "rfc822;dora@fabrikam.example", "Action": "Delayed", "Status": "4.4.7 (timeout)"}
    assert delivery_report([a_report(BERT, dora)]) == DeliveryReport(
        "sent@contoso.example",
        (
            RecipientReport("bert@fabrikam.example", "failed", "5.1.1", "smtp; 550 5.1.1 no such user"),
            RecipientReport("dora@fabrikam.example", "delayed", "4.4.7"),
        ),
    )


def test_a_report_that_returns_only_headers_names_the_email_too() -> None:
    report = delivery_report([a_report(BERT, headers_only=True)])
    assert report is not None
    assert report.original_message_id == "sent@contoso.example"


def test_a_report_without_the_original_still_tells_of_its_recipients() -> None:
    report = delivery_report([a_report(BERT, original=None)])
    assert report is not None
    assert (report.original_message_id, len(report.recipients)) == (None, 1)


def test_an_ordinary_message_is_no_report() -> None:
    message = EmailMessage()
    message.set_content("Hello")
    assert delivery_report([bytes(message)]) is None


def test_no_more_is_read_than_a_report_needs() -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1 << 16
            yield b"x" * (1 << 16)

    assert delivery_report(endless()) is None
    assert read <= LARGEST_REPORT + (1 << 16)


def test_a_report_within_parts_within_parts_is_not_searched_for() -> None:
    """Reading 2 MiB of lines within 900 parts took a minute."""
    report = a_report(BERT).decode()
    assert delivery_report([report.encode()])
    for level in range(30):
        report = f"Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n{report}\n--b{level}--\n"
    assert delivery_report([report.encode()]) is None


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_report_of_blank_lines_takes_no_time(end: bytes) -> None:
    head = b"Content-Type: message/delivery-status\n\nReporting-MTA: x\n\nFinal-Recipient: rfc822; a@b.example\n\n"
    assert delivery_report([head]) is not None
    started = thread_time()
    assert delivery_report([head + end * 200_000]) is None
    assert thread_time() - started < 0.5


def test_many_recipients_are_cut_and_long_lines_too() -> None:
    many = [{**BERT, "Diagnostic-Code": "x" * 1_000}] * 150
    report = delivery_report([a_report(*many)])
    assert report is not None
    assert len(report.recipients) == 100
    assert max(len(each.diagnostic) for each in report.recipients) <= 500


@given(st.binary(max_size=300), st.integers(0, 2000))
def test_whatever_stands_in_it_nothing_fails(noise: bytes, place: int) -> None:
    mime = a_report(BERT)
    delivery_report([mime[:place] + noise + mime[place:]])


@pytest.mark.parametrize(
    ("item_class", "content_type", "is_one"),
    [
        ("REPORT.IPM.Note.NDR", "", True),
        ("Report.IPM.Note.DR", "", True),
        ("IPM.Note", 'multipart/report; report-type="delivery-status"; boundary=x', True),
        ("IPM.Note", "multipart/report; report-type=disposition-notification", False),
        ("IPM.Note", "text/plain", False),
    ],
)
def test_reports_are_known_by_class_or_content_type(item_class: str, content_type: str, is_one: bool) -> None:
    assert is_report(item_class, content_type) is is_one
