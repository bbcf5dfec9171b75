"""A story about judging: one person who wants mail of customers and answers only, a queue, and what reaches them.

Each letter is there for one verdict. The demo delivers the story in two parts: what starts conversations, and what answers.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from local.samples.people import DOMAIN, Correspondent, Person
from local.samples.writing import Letter, write
from shared.domain.choices import Reason, Verdict

JULIA = Person("Julia Sand", f"julia@{DOMAIN}")
"""Accepts mail of contacts, accounts and leads, and answers to what is tracked already."""
SUPPORT = Person("Support", f"support@{DOMAIN}")
"""A queue with the same filter."""
CUSTOMER = Correspondent("Olga Rivera", "olga.rivera@tailspin.example", "en")
"""A contact of the address book."""
EXCLUDED_DOMAIN = "newsletter.example"
FILED, FILED_ELSEWHERE = "Tailspin", "Old projects"
"""Folders of Julia's with a tracking rule."""

_PURCHASING = Correspondent("Tailspin Purchasing", "purchasing@tailspin.example", "en")
_CARRIER = Correspondent("Dispatch", "dispatch@carrier.example", "en")
_STRANGER = Correspondent("Sam Doe", "sam@stranger.example", "en")
_POSTMASTER = Correspondent("Mail Delivery Subsystem", "postmaster@tailspin.example", "en")

_CONVERSATION = bytes.fromhex("01db3c0ffee0") + bytes(range(16))
"""A conversation index: its first 22 bytes name the conversation, each answer adds five ([MS-OXOMSG] 2.2.1.3)."""


@dataclass(frozen=True, slots=True)
class Told:
    """A letter of the story, and what is to become of it."""

    name: str
    """How the summary calls it."""
    raw: bytes
    message_id: str
    verdict: Verdict
    reason: Reason
    to: tuple[Person, ...] = (JULIA,)
    """Whose Inbox it arrives in."""
    folder: str | None = None
    """Given: the folder of Julia's in which it lies."""
    is_sent: bool = False
    """Julia writes it in her mail client."""


OFFER = "the offer that Julia sends"
FILED_LETTER = f"a stranger's letter in the folder {FILED}"
FILED_ELSEWHERE_LETTER = f"a stranger's letter in the folder {FILED_ELSEWHERE}"
QUESTION = "a customer's question to the queue and to Julia"
NEWSLETTER = "a newsletter of an excluded domain"
ADVERTISEMENT = "a stranger's advertisement"
INQUIRY = "a stranger's inquiry"
ANSWER = "an answer that names the offer (In-Reply-To)"
ANSWER_BY_INDEX = "an answer that only continues the conversation (conversation index)"
REPORT = "a delivery report about the offer"


def beginnings(now: datetime) -> Mapping[str, Told]:
    """What is there when the mailboxes are read first, by name."""
    index = [("Thread-Index", base64.b64encode(_CONVERSATION).decode())]
    offer = _letter(now, (JULIA.name, JULIA.address), "Offer 4711", "Our offer for the test bench.", f"offer-4711@{DOMAIN}")
    found = (
        _told(OFFER, _to(offer, CUSTOMER, headers=index), Verdict.PROMOTED, Reason.KNOWN_SENDER, is_sent=True),
        _told(FILED_LETTER, _from(now, _CARRIER, "Pick-up on Monday"), Verdict.PROMOTED, Reason.FOLDER_RULE, folder=FILED),
        _told(
            FILED_ELSEWHERE_LETTER,
            _from(now, _CARRIER, "Return of the crates"),
            Verdict.PROMOTED,
            Reason.FOLDER_RULE,
            folder=FILED_ELSEWHERE,
        ),
        _told(
            QUESTION,
            _from(now, CUSTOMER, "Which oil for the test bench?", SUPPORT, JULIA),
            Verdict.PROMOTED,
            Reason.KNOWN_SENDER,
            to=(SUPPORT, JULIA),
        ),
        _told(
            NEWSLETTER,
            _from(now, Correspondent("Trends", f"trends@mail.{EXCLUDED_DOMAIN}", "en"), "Ten trends"),
            Verdict.SKIPPED,
            Reason.EXCLUDED,
        ),
        _told(ADVERTISEMENT, _from(now, _STRANGER, "Cheap toner"), Verdict.SKIPPED, Reason.NO_SENDER_MATCH),
        _told(INQUIRY, _from(now, _STRANGER, "Do you rent test benches?"), Verdict.SKIPPED, Reason.NO_SENDER_MATCH),
    )
    return {told.name: told for told in found}


def answers(now: datetime, offer: Told) -> Mapping[str, Told]:
    """What arrives once the offer is an activity, by name; nobody who writes is in the address book."""
    by_index = [("Thread-Index", base64.b64encode(_CONVERSATION + b"\0\0\1\0\7").decode())]
    named = _letter(
        now,
        (_PURCHASING.name, _PURCHASING.address),
        "RE: Offer 4711",
        "We accept.",
        "answer-1@tailspin.example",
        in_reply_to=offer.message_id,
    )
    unnamed = _letter(
        now, (_PURCHASING.name, _PURCHASING.address), "RE: Offer 4711", "One more thing.", "answer-2@tailspin.example"
    )
    found = (
        _told(ANSWER, _to(named, JULIA), Verdict.PROMOTED, Reason.RESPONSE),
        _told(ANSWER_BY_INDEX, _to(unnamed, JULIA, headers=by_index), Verdict.PROMOTED, Reason.RESPONSE),
        Told(REPORT, _report(now, offer), "report-1@tailspin.example", Verdict.PROMOTED, Reason.DELIVERY_REPORT),
    )
    return {told.name: told for told in found}


def _told(
    name: str,
    letter: Letter,
    verdict: Verdict,
    reason: Reason,
    *,
    to: tuple[Person, ...] = (JULIA,),
    folder: str | None = None,
    is_sent: bool = False,
) -> Told:
    return Told(name, write(letter), letter.message_id or "", verdict, reason, to, folder, is_sent)


def _from(now: datetime, sender: Correspondent, subject: str, *to: Person) -> Letter:
    message_id = f"{'-'.join(subject.lower().strip('?').split())}@{sender.address.partition('@')[2]}"
    return _to(_letter(now, (sender.name, sender.address), subject, f"{subject}.", message_id), *(to or (JULIA,)))


def _letter(
    now: datetime, sender: tuple[str, str], subject: str, text: str, message_id: str, in_reply_to: str | None = None
) -> Letter:
    return Letter(sender, (), subject, text, now, message_id, in_reply_to=in_reply_to)


def _to(letter: Letter, *recipients: Person | Correspondent, headers: Sequence[tuple[str, str]] = ()) -> Letter:
    return replace(letter, to=[(one.name, one.address) for one in recipients], headers=headers)


def _report(now: datetime, offer: Told) -> bytes:
    """What the customer's server says about the offer (RFC 3464)."""
    return (
        f"From: {_POSTMASTER.name} <{_POSTMASTER.address}>\r\nTo: <{JULIA.address}>\r\n"
        f"Subject: Undeliverable: Offer 4711\r\nDate: {now:%a, %d %b %Y %H:%M:%S +0000}\r\n"
        "Message-ID: <report-1@tailspin.example>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=report\r\n\r\n"
        "--report\r\nContent-Type: text/plain\r\n\r\nThe mailbox of Olga Rivera is full.\r\n"
        "--report\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mail.tailspin.example\r\n\r\n"
        f"Final-Recipient: rfc822; {CUSTOMER.address}\r\nAction: failed\r\nStatus: 5.2.2\r\n\r\n"
        f"--report\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{offer.message_id}>\r\nSubject: Offer 4711\r\n"
        "--report--\r\n"
    ).encode()
