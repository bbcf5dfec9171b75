"""What headers, item classes and subjects say about a message."""

import pytest

from shared.domain.email import DeliveryReport, Envelope
from shared.domain.subjects import (
    ANSWERS,
    AUTOMATIC_REPLIES,
    FORWARDS,
    is_forward,
    says_automatic_reply,
    without_prefixes,
)
from shared.sync.special import (
    is_automatic,
    is_automatic_reply,
    is_delivery_report,
    is_encrypted,
    loop_addresses,
)
from tests.builders import a_message


def having(item_class: str = "IPM.Note", **headers: str) -> Envelope:
    return a_message(item_class=item_class, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("message", "is_reply", "is_written_by_a_program"),
    [
        (having(), False, False),
        (having(auto_submitted="no"), False, False),
        (having(auto_submitted="auto-generated"), False, True),
        (having(auto_submitted="auto-replied"), True, True),
        (having(auto_submitted=" Auto-Replied; owner-email=x"), True, True),
        (having(auto_submitted="auto-notified"), False, True),
        (a_message("Automatic reply: x", headers={"auto-submitted": "auto-generated"}), False, True),
        (a_message("Automatic reply: x", headers={"auto-submitted": "auto-generated"}, in_reply_to="x"), True, True),
        (a_message("Offer", headers={"auto-submitted": "auto-generated"}, in_reply_to="x"), False, True),
        (having(x_autoreply="yes"), True, True),
        (having(x_autoreply="no"), False, False),
        (having(precedence="auto_reply"), True, True),
        (having(precedence="list"), False, False),
        (having(x_auto_response_suppress="All"), False, False),
        (having("IPM.Note.Rules.OofTemplate.Microsoft"), True, True),
        (having("REPORT.IPM.Note.IPNRN"), True, True),
        (having(content_type="multipart/report; report-type=disposition-notification"), True, True),
        (having(content_type="multipart/mixed; boundary=disposition-notification"), False, False),
        (having("REPORT.IPM.Note.IPNNRN"), True, True),
        (having("REPORT.IPM.Note.NDR", auto_submitted="auto-replied"), False, False),
    ],
)
def test_automatic_mail(message: Envelope, is_reply: bool, is_written_by_a_program: bool) -> None:
    assert is_automatic_reply(message) == is_reply
    assert is_automatic(message) == is_written_by_a_program


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (having("REPORT.IPM.Note.NDR"), True),
        (having("REPORT.IPM.Note.DR"), True),
        (having("REPORT.IPM.Note.IPNRN"), False),
        (having(content_type='Multipart/Report; report-type="delivery-status"; boundary=x'), True),
        (having(content_type="multipart/report; report-type=disposition-notification"), False),
        (having(content_type="multipart/mixed; boundary=delivery-status"), False),
        (having(), False),
        (a_message(report=DeliveryReport(None)), True),
    ],
)
def test_delivery_reports(message: Envelope, expected: bool) -> None:
    assert is_delivery_report(message) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (having(), False),
        (having("IPM.Note.SMIME"), True),
        (having("IPM.Note.SMIME", content_type="application/pkcs7-mime; smime-type=signed-data"), False),
        (having("IPM.Note.SMIME", content_type="application/pkcs7-mime; smime-type=enveloped-data"), True),
        (having("IPM.Note.SMIME", content_type="multipart/signed; protocol=x"), False),
        (having("IPM.Note.SMIME.MultipartSigned"), False),
        (having(content_type="application/x-pkcs7-mime; name=smime.p7m"), True),
        (having(content_type="multipart/encrypted; protocol=application/pgp-encrypted"), True),
        (having(content_class="rpmsg.message"), True),
        (having(content_class="urn:content-classes:message"), False),
        (having(content_type="multipart/mixed; boundary=encrypted"), False),
    ],
)
def test_encrypted_mail(message: Envelope, expected: bool) -> None:
    assert is_encrypted(message) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("support@contoso.example", {"support@contoso.example"}),
        ("<Support@Contoso.example>", {"support@contoso.example"}),
        ("a@x.example, b@y.example; c@z.example", {"a@x.example", "b@y.example", "c@z.example"}),
        ("yes", set()),
        ("", set()),
    ],
)
def test_addresses_of_a_loop(value: str, expected: set[str]) -> None:
    assert loop_addresses(having(x_loop=value)) == expected


def test_a_loop_header_of_any_length_is_read_in_part() -> None:
    assert len(loop_addresses(having(x_loop=", ".join(f"a{number}@x.example" for number in range(10_000))))) == 10


def _lowered(prefix: str) -> str:
    """As people write it in Turkey, too."""
    return prefix.replace("İ", "i").lower()


@pytest.mark.parametrize("prefix", FORWARDS)
def test_forwards_in_every_language(prefix: str) -> None:
    for subject in (f"{prefix}: Offer", f"{_lowered(prefix)}:Offer", f"  {prefix} : Offer", f"{prefix}[2]: RE: Offer"):
        assert is_forward(subject)
        assert without_prefixes(subject) == "Offer"


@pytest.mark.parametrize("prefix", ANSWERS)
def test_answers_in_every_language(prefix: str) -> None:
    for subject in (f"{prefix}: Offer", f"{prefix} (3): Offer", f"[list] {prefix}: FW: Offer"):
        assert not is_forward(subject)
        assert without_prefixes(subject) == "Offer"


@pytest.mark.parametrize("prefix", AUTOMATIC_REPLIES)
def test_automatic_replies_in_every_language(prefix: str) -> None:
    for subject in (f"{prefix}: Offer", f"[EXT] {prefix.upper()} : Offer", f"{prefix}：Offer"):
        assert says_automatic_reply(subject)
    assert not says_automatic_reply(f"RE: {prefix}: Offer")
    assert not says_automatic_reply(f"{prefix} wanted")


@pytest.mark.parametrize(
    "subject", ["", "Offer", "Forward: march", "Refwd: x", "FW", "FWD", "Offer fw: now", "RE: Offer (fwd)"]
)
def test_other_subjects_forward_nothing(subject: str) -> None:
    assert not is_forward(subject)


@pytest.mark.parametrize("subject", ["Offer (fwd)", "[Fwd: Offer]", "[EXT] [list] FW: Offer", "FW：Offer"])
def test_other_forms_of_forwards(subject: str) -> None:
    assert is_forward(subject)


def test_a_subject_of_prefixes_alone_is_read_in_no_time() -> None:
    assert without_prefixes("RE: " * 100_000 + "[" * 1000) == "[" * 1000
