"""Delivery status notifications as Exchange writes them (RFC 3464): what became of a message, for its sender."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from local.mailserver.composing import address_field, header_field, identifier_field, multipart
from local.mailserver.delivery import HOST
from local.mailserver.message import Address, Message

_TITLES = {"failed": "Undeliverable", "delivered": "Delivered", "relayed": "Relayed"}
_WORDS = {
    "failed": "Your message wasn't delivered to these recipients:",
    "delivered": "Your message has been delivered to these recipients:",
    "relayed": "Delivery to these recipients is complete, but no delivery notification was sent by the destination server:",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recipient's copy."""

    address: str
    action: str
    """failed, delivered or relayed."""
    status: str
    """Enhanced status code (RFC 3463)."""
    diagnostic: str = ""
    original: str = ""
    """The recipient as the sender knew him, with its type (ORCPT)."""


def unknown(address: str, original: str = "") -> Outcome:
    words = "RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"
    return refused(address, "550 5.1.10", words, original)


def refused(address: str, code: str, words: str, original: str = "") -> Outcome:
    """`code` is a reply code and an enhanced status code."""
    return Outcome(address, "failed", code.partition(" ")[2] or "5.0.0", f"{code} {words}", original)


def delivered(address: str, original: str = "") -> Outcome:
    return Outcome(address, "delivered", "2.0.0", "", original)


def relayed(address: str, original: str = "") -> Outcome:
    return Outcome(address, "relayed", "2.0.0", "", original)


def report(
    message: Message, outcomes: Sequence[Outcome], to: str, time: datetime, *, envelope_id: str = "", headers_only: bool = False
) -> bytes:
    """The report about a message, all of whose `outcomes` have one action."""
    action = outcomes[0].action
    domain = to.partition("@")[2]
    fields = [
        address_field("From", [Address("Microsoft Outlook", f"postmaster@{domain}")]),
        address_field("To", [Address("", to)]),
        header_field("Subject", f"{_TITLES[action]}: {message.subject}"),
        header_field("Date", format_datetime(time)),
        identifier_field("Message-ID", f"<{uuid.uuid4()}@{domain}>"),
        b"Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n",
    ]
    if message.message_id:
        fields += [identifier_field(name, message.message_id) for name in ("In-Reply-To", "References")]
    said = "\r\n".join([_WORDS[action], "", *(f"{each.address}  {each.diagnostic}".rstrip() for each in outcomes)])
    parts = [
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + said.encode() + b"\r\n",
        b"Content-Type: message/delivery-status\r\n\r\n" + _status(outcomes, envelope_id, time),
        _returned(message, headers_only=headers_only or action != "failed"),
    ]
    return b"".join(fields) + multipart("report; report-type=delivery-status", parts)


def _status(outcomes: Sequence[Outcome], envelope_id: str, time: datetime) -> bytes:
    of_message = [f"Reporting-MTA: dns;{HOST}", f"Arrival-Date: {format_datetime(time)}"]
    if envelope_id:
        of_message.insert(0, f"Original-Envelope-Id: {envelope_id}")
    return "\r\n\r\n".join("\r\n".join(lines) for lines in (of_message, *map(_recipient, outcomes))).encode() + b"\r\n"


def _recipient(outcome: Outcome) -> list[str]:
    lines = [
        f"Final-Recipient: rfc822;{outcome.address}",
        f"Action: {outcome.action}",
        f"Status: {outcome.status}",
    ]
    if outcome.original:
        lines.insert(0, f"Original-Recipient: {outcome.original}")
    if outcome.diagnostic:
        lines.append(f"Diagnostic-Code: smtp;{outcome.diagnostic}")
    return lines


def _returned(message: Message, *, headers_only: bool) -> bytes:
    if headers_only:
        return b"Content-Type: text/rfc822-headers\r\n\r\n" + message.raw[message.root.start : message.root.body]
    return b"Content-Type: message/rfc822\r\n\r\n" + message.raw[message.start : message.end]
