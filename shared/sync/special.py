"""Mail that is more, or less, than a person writing to another: automatic, encrypted, reports, loops. Pure, over headers.

Every word in a header may have been written by a stranger: what is recognised here may leave a message out, or mark it, but
never lets one in.
"""

import re

from shared.domain.email import Envelope, IncomingMessage
from shared.domain.ids import normalised_address
from shared.domain.subjects import says_automatic_reply

_ADDRESS = re.compile(r"[^\s<>,;:\"()\[\]@]{1,64}@[^\s<>,;:\"()\[\]@]{1,255}")
_ARMOR = "-----BEGIN PGP MESSAGE-----"
_LOOP_ADDRESSES = 10
"""Addresses that are read of one X-Loop header."""


def is_automatic(envelope: Envelope) -> bool:
    """Whether a program wrote it (RFC 3834): answers, notifications, newsletters that say so. A report is none."""
    return not is_delivery_report(envelope) and (_auto_submitted(envelope) not in ("", "no") or is_automatic_reply(envelope))


def is_automatic_reply(envelope: Envelope) -> bool:
    """Whether a program answers for somebody: out of office, receipts. What a program writes of itself is none (RFC 3834:
    auto-generated), nor is a delivery report.

    Exchange calls its out-of-office messages auto-generated too, though they answer: on other servers only their subject
    tells them from what a help desk sends, which a person may have written.
    """
    if is_delivery_report(envelope):
        return False
    return (
        _auto_submitted(envelope) == "auto-replied"
        or _is_out_of_office(envelope)
        or _header(envelope, "x-autoreply") not in ("", "no")
        or _header(envelope, "precedence") == "auto_reply"
        or _is_under(envelope, "ipm.note.rules")
        or _is_receipt(envelope)
    )


def is_delivery_report(envelope: Envelope) -> bool:
    """Whether a mail server tells what became of an email (RFC 3464). Of which one it says only when it was fetched."""
    if isinstance(envelope, IncomingMessage) and envelope.report is not None:
        return True
    if _is_under(envelope, "report"):
        return not _is_receipt(envelope)
    content_type = _header(envelope, "content-type")
    return content_type.startswith("multipart/report") and "delivery-status" in content_type


def is_encrypted(envelope: Envelope) -> bool:
    """Whether its body can be read by its recipients only: S/MIME, PGP, rights management. Signed mail is none."""
    content_type = _header(envelope, "content-type")
    if content_type.startswith(("application/pkcs7-mime", "application/x-pkcs7-mime")):
        return "signed-data" not in content_type
    if content_type.startswith(("multipart/encrypted", "application/x-microsoft-rpmsg-message")):
        return True
    if _header(envelope, "content-class") == "rpmsg.message":
        return True
    is_called_so = envelope.item_class.lower() in ("ipm.note.smime", "ipm.note.secure")
    return is_called_so and not content_type.startswith("multipart/signed")


def is_armored(text: str) -> bool:
    """Whether all that a body says is PGP (RFC 9580 section 6.2): encrypted, though no header says so."""
    return text.lstrip().startswith(_ARMOR)


def loop_addresses(envelope: Envelope) -> frozenset[str]:
    """The normalised addresses that X-Loop says it went through already."""
    found = _ADDRESS.finditer(envelope.headers.get("x-loop", "")[:2000])
    return frozenset(normalised_address(each.group()) for each, _ in zip(found, range(_LOOP_ADDRESSES), strict=False))


def _auto_submitted(envelope: Envelope) -> str:
    """Its first word; parameters and comments follow (RFC 3834 section 5)."""
    return re.split(r"[;(\s]", _header(envelope, "auto-submitted"), maxsplit=1)[0]


def _is_out_of_office(envelope: Envelope) -> bool:
    is_generated = _auto_submitted(envelope) == "auto-generated"
    return is_generated and envelope.in_reply_to is not None and says_automatic_reply(envelope.subject)


def _is_receipt(envelope: Envelope) -> bool:
    """A read receipt (RFC 8098), which Exchange calls REPORT.IPM.Note.IPNRN (read) or IPNNRN (not read)."""
    content_type = _header(envelope, "content-type")
    is_notification = content_type.startswith("multipart/report") and "disposition-notification" in content_type
    return is_notification or envelope.item_class.lower().endswith((".ipnrn", ".ipnnrn"))


def _is_under(envelope: Envelope, item_class: str) -> bool:
    return envelope.item_class.lower().startswith(f"{item_class}.")


def _header(envelope: Envelope, name: str) -> str:
    return envelope.headers.get(name, "").strip().lower()
